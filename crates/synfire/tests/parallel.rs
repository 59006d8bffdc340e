//! Several ranks that train one network, as threads of this process: what one process would have trained.

mod common;

use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use synfire::encode::Encoding;
use synfire::loss::Loss;
use synfire::net::{Input, Net, Norm, Pass, Plan};
use synfire::ops::{Implementation, Lif, Precision, set_implementation};
use synfire::parallel::{Group, Lost, Team, Threads, caught, during};
use synfire::train::{
    BatchReport, EpochRecord, Observer, Outcome, PrecisionChoice, RunFolder, Step, TrainConfig, TrainError,
    Trainer,
};
use synfire_data::{Locations, Share, open};

/// Which code runs the operations is chosen for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const STEPS: usize = 3;
const CLASSES: usize = 4;

/// Loss of the whole batch, gradients, and running statistics.
type Found = (f64, Vec<Vec<f32>>, Vec<Vec<f32>>);

fn net(layers: &str, norm: Norm) -> Net {
    let plan = Plan::new(&layers.parse().unwrap(), [2, 8, 8], CLASSES, true).unwrap();
    let mut net = Net::new(plan, Lif { threshold: 0.3, ..Lif::default() }, 3, &Device::flex());
    net.norm = norm;
    net
}

/// A step on the share that is this rank's of a batch, whose values are the same at all time steps or not.
fn step(net: &mut Net, batch: usize, constant: bool, team: Option<(Arc<dyn Group>, bool)>) -> Found {
    let labels: Vec<usize> = (0..batch).map(|i| i * 7 % CLASSES).collect();
    let share = match &team {
        Some((group, _)) => Share::new(batch, group.rank(), group.size()),
        None => Share { first: 0, of: batch, counted: batch },
    };
    let (places, frames) = (share.places(), if constant { 1 } else { STEPS });
    let values = common::random(5, frames * batch * 2 * 8 * 8);
    let own = values.chunks_exact(batch * 128).flat_map(|frame| &frame[places.start * 128..places.end * 128]);
    let own: Vec<f32> = own.map(|value| value.abs()).collect();
    let n = places.len();
    let input = match constant {
        true => Input::constant(common::tensor(&own, [n, 2, 8, 8]), STEPS),
        false => Input::frames(common::tensor(&own, [STEPS, n, 2, 8, 8])),
    };
    let mut dropout = ChaCha8Rng::seed_from_u64(9);
    let mut pass = Pass::training(Some(&mut dropout)).of_share(share);
    let weight = share.counted as f64 / batch as f64;
    let shared = team.clone().map(|(group, sync_norm)| Team { group, sync_norm, weight });
    let run = || Step::run(net, input, &labels[places], Loss::CrossEntropy, &mut pass).unwrap();
    let done = caught(|| during(shared, run)).unwrap();
    let mut loss = [done.loss * weight];
    if let Some((group, _)) = team {
        group.sum(&mut loss).unwrap();
    }
    let host = |tensors: Vec<Tensor<1>>| tensors.into_iter().map(common::values).collect();
    let buffers = net.buffers().into_iter().map(|buffer| buffer.value.clone()).collect();
    (loss[0], host(done.gradients), host(buffers))
}

fn together<T: Send>(size: usize, work: impl Fn(Arc<dyn Group>) -> T + Sync) -> Vec<T> {
    let work = &work;
    thread::scope(|scope| {
        let rank = |group: Arc<dyn Group>| {
            move || {
                // A rank that fails an assertion lets the others go.
                let done = catch_unwind(AssertUnwindSafe(|| work(group.clone())));
                done.unwrap_or_else(|panic| {
                    group.leave();
                    resume_unwind(panic)
                })
            }
        };
        let ranks: Vec<_> = Threads::ranks(size).into_iter().map(|group| scope.spawn(rank(group))).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

#[test]
fn a_batch_means_the_same_however_many_share_it() {
    let _alone = alone();
    for implementation in [Implementation::Kernels, Implementation::Portable] {
        set_implementation(implementation);
        for layers in ["4C3-MP2-6C3-AP2-DP-VOTE2", "4C3-6RBS2-AP2-6FC-LI2"] {
            for (norm, constant) in [(Norm::PerStep, false), (Norm::Joint, true), (Norm::PerStep, true)] {
                for (size, batch) in [(1, 5), (2, 6), (2, 7), (3, 7), (2, 2), (4, 3), (3, 2)] {
                    let what =
                        format!("{layers} {norm} constant {constant}, {batch} by {size}, {implementation:?}");
                    let (loss, gradients, statistics) = step(&mut net(layers, norm), batch, constant, None);
                    for rank in together(size, |group| {
                        step(&mut net(layers, norm), batch, constant, Some((group, true)))
                    }) {
                        assert!((rank.0 - loss).abs() <= 1e-6, "{what}: loss {}, expected {loss}", rank.0);
                        let all = gradients.iter().chain(&statistics).zip(rank.1.iter().chain(&rank.2));
                        for (i, (expected, found)) in all.enumerate() {
                            let scale = common::largest(expected).max(1e-3);
                            if let Err(error) = common::within(found, expected, 2e-4 * scale) {
                                panic!("{what}: tensor {i}: {error}");
                            }
                        }
                    }
                }
            }
        }
    }
    set_implementation(Implementation::Kernels);
}

#[test]
fn without_shared_norms_each_rank_has_statistics_of_its_own() {
    let _alone = alone();
    let of = |sync| {
        let layers = "4C3-MP2-LI2";
        together(2, |group| step(&mut net(layers, Norm::Joint), 6, true, Some((group, sync))))
    };
    let (alone, shared) = (of(false), of(true));
    assert!(alone[0].2 != alone[1].2 && shared[0].2 == shared[1].2);
    // Gradients are added up all the same.
    assert_eq!(alone[0].1, alone[1].1);
}

/// Losses of the batches, and whether to stop after some of them.
#[derive(Default)]
struct Noted {
    losses: Vec<f64>,
    epochs: Vec<EpochRecord>,
    sum: f64,
    stop_after: Option<usize>,
}

impl Observer for Noted {
    fn batch(&mut self, report: &BatchReport) -> bool {
        // Sums begin anew with each epoch.
        if report.batch == 1 {
            self.sum = 0.0;
        }
        self.losses.push(report.sums.loss - self.sum);
        self.sum = report.sums.loss;
        self.stop_after.is_none_or(|n| self.losses.len() < n)
    }
    fn epoch(&mut self, record: &EpochRecord) {
        self.epochs.push(record.clone());
    }
}

fn config() -> TrainConfig {
    TrainConfig {
        net: "8C3-MP2-8C3-AP2-LI2".into(),
        train_samples: 440,
        validation: 40,
        batch_size: 20,
        epochs: 2,
        precision: PrecisionChoice::Fixed(Precision::F32),
        ..TrainConfig::default()
    }
}

fn start(group: Option<Arc<dyn Group>>, config: &TrainConfig, folder: &Path) -> Result<Trainer, TrainError> {
    let data = open(&config.dataset, &Locations::from_folders(Vec::new())).unwrap();
    Trainer::start_in(group, config.clone(), Some(data), RunFolder::new(folder), &Device::flex())
}

/// Runs to the end or to where rank 1 wants to stop.
fn run(mut trainer: Trainer, stop_after: Option<usize>) -> (Noted, Outcome) {
    let mut noted = Noted { stop_after, ..Noted::default() };
    let outcome = trainer.run(&mut noted).unwrap();
    (noted, outcome)
}

#[test]
fn runs_of_ranks_are_those_of_one_process() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let (one, ended) = run(start(None, &config(), &folder.path().join("one")).unwrap(), None);
    let Outcome::Finished(one_summary) = ended else { panic!("{ended:?}") };
    let path = folder.path().join("two");
    let two = together(2, |group| run(start(Some(group), &config(), &path).unwrap(), None));
    assert_eq!(two[0].0.losses, two[1].0.losses);
    let losses = one.losses.iter().zip(&two[0].0.losses).enumerate();
    for (i, (one, two)) in losses.take(20) {
        let tolerance = if i < 3 { 1e-5 } else { 1e-2 };
        assert!((one - two).abs() <= tolerance * one, "step {i}: {two}, expected {one}");
    }
    let summaries = two.iter().map(|(_, outcome)| match outcome {
        Outcome::Finished(summary) => summary,
        stopped => panic!("{stopped:?}"),
    });
    for summary in summaries {
        assert_eq!((summary.test_samples, &summary.split), (one_summary.test_samples, &one_summary.split));
        let tested = summary.test_confusion.iter().flatten().sum::<usize>();
        assert_eq!(tested, one_summary.test_samples);
        assert!((summary.test_accuracy - one_summary.test_accuracy).abs() <= 0.05);
        assert_eq!(summary.test_anytime.accuracy.last(), Some(&summary.test_accuracy));
    }
    let records = RunFolder::new(&path).records().unwrap();
    assert_eq!((records.len(), two[1].0.epochs.len()), (2, 2));
    assert_eq!(records[1].validation_accuracy, two[1].0.epochs[1].validation_accuracy);
}

#[test]
fn ranks_stop_together_and_go_on_in_another_number() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let stopped = folder.path().join("stopped");
    // Rank 1 alone wants to stop, in the second epoch.
    let outcomes = together(3, |group| {
        let stop = (group.rank() == 1).then_some(25);
        run(start(Some(group), &config(), &stopped).unwrap(), stop).1
    });
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, Outcome::Stopped { epoch: 1, batch: 6 })),
        "{outcomes:?}"
    );
    let resumed = together(2, |group| {
        let trainer =
            Trainer::resume_in(Some(group), RunFolder::new(&stopped), None, &Device::flex()).unwrap();
        assert_eq!((trainer.position().epoch, trainer.position().batch), (1, 6));
        run(trainer, None)
    });
    assert!(resumed.iter().all(|(_, outcome)| matches!(outcome, Outcome::Finished(_))));
    let (whole, _) = run(start(None, &config(), &folder.path().join("whole")).unwrap(), None);
    let rest = whole.losses.len() - resumed[0].0.losses.len();
    assert_eq!(rest, 26);
    // The first is told together with those before it was stopped.
    for (one, two) in whole.losses[rest..].iter().zip(&resumed[0].0.losses).skip(1) {
        assert!((one - two).abs() <= 0.05 * one, "{two}, expected {one}");
    }
}

#[test]
fn ranks_with_something_else_are_refused() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let errors = together(2, |group| {
        let own = TrainConfig { lr: [1e-3, 2e-3][group.rank()], ..config() };
        start(Some(group), &own, folder.path()).err().unwrap().to_string()
    });
    let told = "rank 1 is not at one with rank 0: `lr = 0.002` here, `lr = 0.001` there";
    assert_eq!(errors, [told, told]);
    assert!(!folder.path().join("config.toml").exists());
}

#[test]
fn a_rank_that_is_lost_ends_the_others() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let long = TrainConfig { epochs: 500, ..config() };
    let outcomes = together(2, |group| {
        let mut trainer = start(Some(group.clone()), &long, folder.path()).unwrap();
        if group.rank() == 1 {
            group.leave();
            return None;
        }
        trainer.run(&mut Noted::default()).err()
    });
    assert!(matches!(outcomes[0], Some(TrainError::Lost(Lost))), "{outcomes:?}");
}

#[test]
fn a_rank_that_is_lost_on_the_way_back_ends_the_others() {
    let _alone = alone();
    let found = together(2, |group| {
        if group.rank() == 1 {
            // The statistics of the one block are added up forward; on the way back this rank is gone.
            group.sum(&mut [0.0; 2 * 4 + 1]).unwrap();
            group.leave();
            return None;
        }
        let mut net = net("4C3-MP2-LI2", Norm::Joint);
        let input = Input::constant(common::tensor(&common::random(5, 2 * 128), [2, 2, 8, 8]), STEPS);
        let team = Team { group, sync_norm: true, weight: 0.5 };
        let step = || Step::run(&mut net, input, &[0usize, 1][..], Loss::Mse, &mut Pass::training(None));
        Some(caught(|| during(Some(team), step)).err())
    });
    assert_eq!(found[0], Some(Some(Lost)));
}

#[test]
fn whole_runs_with_what_else_there_is() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let plain = TrainConfig { epochs: 1, train_samples: 200, ..config() };
    let cases = [
        TrainConfig { clip_norm: 0.1, ..plain.clone() },
        TrainConfig { ann_epochs: 1, epochs: 2, ..plain.clone() },
        TrainConfig { precision: PrecisionChoice::Fixed(Precision::Bf16), ..plain.clone() },
        TrainConfig {
            encoding: Encoding::Rate,
            loss: Loss::Tet,
            net: "8C3-AP2-8RB-DP-VOTE2".into(),
            ..plain.clone()
        },
        TrainConfig { sync_norm: false, ..plain },
    ];
    for (i, config) in cases.into_iter().enumerate() {
        let path = |name: &str| folder.path().join(format!("{name}-{i}"));
        let (one, _) = run(start(None, &config, &path("one")).unwrap(), None);
        let two = together(2, |group| run(start(Some(group), &config, &path("two")).unwrap(), None).0);
        assert_eq!((two[0].losses.len(), &two[0].losses), (one.losses.len(), &two[1].losses));
        // Statistics of half a batch are others.
        let tolerance = if config.sync_norm { 0.02 } else { 0.5 };
        for (one, two) in one.losses.iter().zip(&two[0].losses) {
            assert!((one - two).abs() <= tolerance * one, "case {i}: {two}, expected {one}");
        }
    }
}
