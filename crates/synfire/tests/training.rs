//! Training runs: the same settings give the same bytes, however often a run is stopped and on however many threads.

mod common;

use common::runs::{Patience, config, resume, start};
use rayon::ThreadPoolBuilder;
use std::path::Path;
use std::{fmt, fs};
use synfire::encode::Encoding;
use synfire::loss::Loss;
use synfire::ops::{Method, Precision};
use synfire::optim::{OptimizerKind, Schedule};
use synfire::train::{
    EpochRecord, Learning, Outcome, PrecisionChoice, RunFolder, Summary, TrainConfig, TrainError,
};

/// Everything random at once.
fn random_throughout(optimizer: OptimizerKind) -> TrainConfig {
    TrainConfig {
        optimizer,
        encoding: Encoding::Rate,
        shift: 1,
        flip: true,
        ann_epochs: 1,
        clip_norm: 1.0,
        schedule: Schedule::WarmupCosine,
        ..config()
    }
}

/// What a run leaves, without its times.
#[derive(PartialEq)]
struct Remains {
    last: Vec<u8>,
    best: Vec<u8>,
    epochs: Vec<EpochRecord>,
    summary: Summary,
}

impl Remains {
    fn of(folder: &Path) -> Self {
        let run = RunFolder::new(folder);
        let timeless = |record| EpochRecord { samples_per_s: 0.0, data_wait: 0.0, seconds: 0.0, ..record };
        Self {
            last: fs::read(run.last()).unwrap(),
            best: fs::read(run.best()).unwrap(),
            epochs: run.records().unwrap().into_iter().map(timeless).collect(),
            summary: Summary { train_seconds: 0.0, ..run.summary().unwrap() },
        }
    }
}

impl fmt::Debug for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { last, best, epochs, summary } = self;
        let sums =
            [last, best].map(|bytes| format!("{} bytes, CRC {:08x}", bytes.len(), crc32c::crc32c(bytes)));
        write!(f, "checkpoints {sums:?}, {epochs:#?}, {summary:#?}")
    }
}

/// A whole run that `patience` stops again and again.
fn train(config: &TrainConfig, patience: impl Fn() -> Patience) -> Remains {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = start(config, folder.path()).unwrap();
    while let Outcome::Stopped { .. } = trainer.run(&mut patience()).unwrap() {
        // A run has one trainer at a time.
        drop(trainer);
        trainer = resume(folder.path()).unwrap();
    }
    Remains::of(folder.path())
}

/// A new run stopped after `batches` batches.
fn stopped(config: &TrainConfig, batches: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let outcome = start(config, folder.path()).unwrap().run(&mut Patience::batches(batches)).unwrap();
    assert_eq!(outcome, Outcome::Stopped { epoch: (batches - 1) / 5, batch: (batches - 1) % 5 + 1 });
    folder
}

#[test]
fn a_stopped_and_resumed_run_ends_as_an_uninterrupted_one() {
    for optimizer in [OptimizerKind::AdamW, OptimizerKind::Sgd] {
        let config = random_throughout(optimizer);
        let whole = train(&config, Patience::endless);
        assert_eq!(whole.epochs.len(), 3);
        assert_eq!((whole.epochs[0].ann, whole.epochs[1].ann), (true, false));
        assert!(whole.summary.best_epoch > 1, "an epoch without neurons was chosen");
        assert_eq!(train(&config, Patience::endless), whole, "an equal run");
        assert_eq!(train(&config, || Patience::batches(1)), whole, "stopped after every batch");
        // A test takes thirteen calls: stops fall into batches, validation and test.
        for calls in [14, 15, 17] {
            assert_eq!(train(&config, || Patience::calls(calls)), whole, "stopped after every {calls} calls");
        }
        assert_ne!(train(&TrainConfig { seed: 8, ..config }, Patience::endless).last, whole.last);
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let config = TrainConfig {
        net: "16C3-24C3-MP2-24RBS2-DP-40FC-VOTE3".into(),
        time_steps: 4,
        epochs: 1,
        loss: Loss::Tet,
        threshold: 0.2,
        ..config()
    };
    let on = |threads| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| train(&config, Patience::endless))
    };
    let one = on(1);
    assert_eq!(on(2), one);
    assert_eq!(on(3), one);
}

#[test]
fn patience_ends_a_run_and_survives_a_stop() {
    let config = TrainConfig { patience: 1, epochs: 60, lr: 0.05, schedule: Schedule::Constant, ..config() };
    let whole = train(&config, Patience::endless);
    assert!(whole.summary.epochs < 60, "60 epochs without two equal ones");
    assert_eq!(whole.summary.epochs, whole.summary.best_epoch + config.patience);
    // Stopped between the last epoch and the test, again and again.
    assert_eq!(train(&config, || Patience::calls(14)), whole);
    assert_eq!(train(&config, || Patience::calls(15)), whole);
}

#[test]
fn a_finished_run_answers_with_its_summary() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = start(&config(), folder.path()).unwrap().run(&mut Patience::endless()).unwrap();
    assert_eq!(outcome, Outcome::Finished(Box::new(RunFolder::new(folder.path()).summary().unwrap())));
    let before = Remains::of(folder.path());
    let mut again = resume(folder.path()).unwrap();
    assert_eq!(again.run(&mut Patience::calls(1)).unwrap(), outcome);
    drop(again);
    assert_eq!(Remains::of(folder.path()), before);
    let problem = start(&config(), folder.path()).err().unwrap().to_string();
    assert!(problem.contains("holds a run already"), "{problem}");
    assert_eq!(before.summary.train_samples + before.summary.validation_samples, 200);
    assert_eq!(before.summary.test_samples, 360);
}

#[test]
fn what_a_crash_leaves_does_no_harm() {
    let whole = train(&config(), Patience::endless);
    // A checkpoint that was being written, and an epoch written down whose checkpoint was not.
    let folder = stopped(&config(), 7);
    fs::write(folder.path().join("checkpoints/last.safetensors.tmp"), b"half a checkpoint").unwrap();
    let metrics = folder.path().join("metrics.jsonl");
    let line = fs::read_to_string(&metrics).unwrap();
    fs::write(&metrics, format!("{line}{line}{}", &line[..40])).unwrap();
    resume(folder.path()).unwrap().run(&mut Patience::endless()).unwrap();
    assert_eq!(Remains::of(folder.path()), whole);
    // The same before the first checkpoint.
    let folder = stopped(&config(), 7);
    fs::remove_file(RunFolder::new(folder.path()).last()).unwrap();
    resume(folder.path()).unwrap().run(&mut Patience::endless()).unwrap();
    assert_eq!(Remains::of(folder.path()), whole);
    // After more epochs there was a checkpoint: whoever lost it does not lose the record of them too.
    let folder = stopped(&config(), 12);
    fs::remove_file(RunFolder::new(folder.path()).last()).unwrap();
    let problem = resume(folder.path()).err().unwrap().to_string();
    assert!(problem.contains("last.safetensors: is missing, though metrics.jsonl tells of 2"), "{problem}");
    // Between the last checkpoint and the summary.
    let folder = stopped(&config(), 7);
    resume(folder.path()).unwrap().run(&mut Patience::endless()).unwrap();
    fs::remove_file(folder.path().join("summary.json")).unwrap();
    resume(folder.path()).unwrap().run(&mut Patience::endless()).unwrap();
    assert_eq!(Remains::of(folder.path()), whole);
}

#[test]
fn what_was_trained_before_a_stop_does_not_count_as_speed() {
    let folder = tempfile::tempdir().unwrap();
    // Stopped in the validation after the fifth and last batch.
    start(&config(), folder.path()).unwrap().run(&mut Patience::calls(6)).unwrap();
    resume(folder.path()).unwrap().run(&mut Patience::endless()).unwrap();
    let records = RunFolder::new(folder.path()).records().unwrap();
    assert_eq!(records[0].samples_per_s, 0.0);
    assert!(records[0].train_loss > 0.0 && records[1].samples_per_s > 0.0, "{records:?}");
}

#[test]
fn bf16_trains_and_resumes_to_the_same_bytes() {
    let bf16 = TrainConfig { precision: PrecisionChoice::Fixed(Precision::Bf16), ..config() };
    let f32 = TrainConfig { precision: PrecisionChoice::Fixed(Precision::F32), ..config() };
    let whole = train(&bf16, Patience::endless);
    assert_eq!(train(&bf16, || Patience::calls(14)), whole);
    assert_ne!(train(&f32, Patience::endless).last, whole.last);
    assert!(whole.epochs[2].train_loss < whole.epochs[0].train_loss, "{whole:?}");
}

#[test]
fn a_diverged_run_says_so_and_leaves_its_checkpoint() {
    let huge = TrainConfig { lr: 1e30, schedule: Schedule::Constant, ..config() };
    let folder = stopped(&huge, 1);
    let last = RunFolder::new(folder.path()).last();
    let before = fs::read(&last).unwrap();
    let error = resume(folder.path()).unwrap().run(&mut Patience::endless()).unwrap_err();
    assert!(matches!(error, TrainError::NonFiniteAt { epoch: 1, batch: Some(2..=5), .. }), "{error}");
    assert!(
        error.to_string().contains("last.safetensors, is intact; the usual cause is a learning rate"),
        "{error}"
    );
    assert_eq!(fs::read(&last).unwrap(), before);
    assert!(resume(folder.path()).is_ok());

    // A step that is too large is not written down, and what is there can be gone on with.
    let larger = TrainConfig { weight_decay: 1e20, ..huge.clone() };
    let folder = tempfile::tempdir().unwrap();
    let error = start(&larger, folder.path()).unwrap().run(&mut Patience::batches(1)).unwrap_err();
    let told = "batch 1 of epoch 1: the tensor `layers.";
    assert!(error.to_string().starts_with(told) && !RunFolder::new(folder.path()).last().exists(), "{error}");
    assert!(resume(folder.path()).is_ok());

    // One batch an epoch: the validation is the first to see it. And voters, whose loss stays finite whatever the
    // weights are.
    for (net, loss) in [("4C3-AP4-LI1", Loss::CrossEntropy), ("4C3-AP4-VOTE2", Loss::Mse)] {
        for method in Method::ALL {
            let config = TrainConfig {
                net: net.into(),
                loss,
                method: Learning::Spiking(method),
                batch_size: 200,
                ..huge.clone()
            };
            let folder = tempfile::tempdir().unwrap();
            match start(&config, folder.path()).unwrap().run(&mut Patience::endless()) {
                Err(error) => {
                    assert!(matches!(error, TrainError::NonFiniteAt { .. }), "{net} {method}: {error}");
                    let told = error.to_string().contains("No checkpoint was written yet");
                    assert_eq!(told, !RunFolder::new(folder.path()).last().exists(), "{error}");
                }
                Ok(_) => assert_eq!(Remains::of(folder.path()).epochs.len(), 3, "{net} {method}"),
            }
        }
    }
}
