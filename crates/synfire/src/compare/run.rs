//! Training the runs of a comparison, several at a time.

use super::finding::{Finding, RunResult};
use super::{Comparison, PlannedRun};
use crate::device::unless_full;
use crate::net::NonFinite;
use crate::train::{
    BatchReport, ConfigError, Observer, Outcome, RunFolder, TrainError, Trainer, check_inference,
    check_training, inference_memory, training_memory, training_of,
};
use burn::tensor::Device;
use rayon::ThreadPoolBuilder;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use synfire_data::{Cache, DataSet, Locations};

/// Follows a comparison, from several threads at once. Runs are told by their place in [`Comparison::runs`].
pub trait Watcher: Sync {
    /// A line for the reader.
    fn note(&self, run: usize, text: &str);
    /// So large a share of a run's training is done, and what it does now. Answer whether to go on.
    fn working(&self, run: usize, share: f64, place: &str) -> bool;
    /// A run ended now, or was found to have ended before.
    fn ended(&self, run: usize, result: &RunResult, before: bool);
}

/// How the work on a comparison ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every run has its result.
    Finished,
    /// The watcher stopped it; every run that was at work keeps its place.
    Stopped,
}

/// Checks that each of `runs`, all or some of `comparison`'s, can be trained and tested on its data on every one of `devices`, in the
/// same precision, and returns the memory that the largest one takes of a device's, in bytes.
///
/// # Errors
/// If a setting does not fit the data, the data are missing, a run does not fit into memory, or devices differ in what they have.
pub fn check(comparison: &Comparison, runs: &[PlannedRun], devices: &[Device]) -> Result<u128, TrainError> {
    let mut largest = 0;
    let mut opened: Option<(&PlannedRun, DataSet)> = None;
    for run in runs {
        let same = |(other, _): &(&PlannedRun, DataSet)| {
            (&other.config.dataset, &other.config.data_dir) == (&run.config.dataset, &run.config.data_dir)
        };
        let data = match opened.take().filter(same) {
            Some((_, data)) => data,
            None => {
                synfire_data::open(&run.config.dataset, &Locations::new(run.config.data_dir.as_deref())?)?
            }
        };
        run.config.validate_for(&data)?;
        let plan = run.config.plan(data.shape(&run.config.frames()), data.classes)?;
        let batch = run.config.batch_size.min(data.test.len());
        let precision = run.config.precision.on(&devices[0]);
        for device in devices {
            let training = training_of(&run.config, &data, device);
            if training.precision != precision {
                let found = run.config.precision.to_string();
                let expected = "f32 or bf16, since not all devices have bf16".to_string();
                return Err(ConfigError::Value { key: "precision", found, expected }.into());
            }
            check_training(&plan, &training, 1, device)?;
            largest = largest.max(training_memory(&plan, &training, device));
            for &steps in comparison.inference_steps.iter().filter(|_| !run.config.is_ann()) {
                check_inference(&plan, batch, steps, device)?;
                largest = largest.max(inference_memory(&plan, batch, steps));
            }
        }
        opened = Some((run, data));
    }
    Ok(largest)
}

/// Trains every run of the comparison in `folder` that has no result yet, `jobs` at a time, each with its share of the threads and on the next
/// of `devices`. What was stopped is taken up where it stands.
///
/// # Errors
/// What ended a run; the others are stopped and keep their places. A run that diverged is a result, not an error.
pub fn run(
    comparison: &Comparison,
    folder: &Path,
    jobs: usize,
    devices: &[Device],
    cache: Option<&Cache>,
    watcher: &dyn Watcher,
) -> Result<Ended, TrainError> {
    let runs = comparison.runs()?;
    let threads = (rayon::current_num_threads() / jobs.max(1)).max(1);
    let crew = Crew {
        comparison,
        folder,
        cache,
        watcher,
        runs: &runs,
        next: AtomicUsize::new(0),
        stopped: AtomicBool::new(false),
        error: Mutex::new(None),
    };
    thread::scope(|scope| {
        for device in devices.iter().cycle().take(jobs.max(1)) {
            let crew = &crew;
            scope.spawn(move || match ThreadPoolBuilder::new().num_threads(threads).build() {
                Ok(pool) => pool.install(|| crew.work(device)),
                Err(error) => crew.fail(ConfigError::Threads { threads, problem: error.to_string() }.into()),
            });
        }
    });
    match crew.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None if crew.stopped.into_inner() => Ok(Ended::Stopped),
        None => Ok(Ended::Finished),
    }
}

/// What the threads of a comparison share.
struct Crew<'a> {
    comparison: &'a Comparison,
    folder: &'a Path,
    cache: Option<&'a Cache>,
    watcher: &'a dyn Watcher,
    runs: &'a [PlannedRun],
    next: AtomicUsize,
    stopped: AtomicBool,
    error: Mutex<Option<TrainError>>,
}

impl Crew<'_> {
    /// Trains run after run on a device.
    fn work(&self, device: &Device) {
        while !self.stopped.load(Ordering::SeqCst) {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let Some(run) = self.runs.get(number) else { return };
            let trained = unless_full(|| self.train(number, run, device)).unwrap_or_else(|full| {
                let (batch, steps) = (run.config.batch_size, run.config.time_steps);
                Err(TrainError::Full { full, batch, steps, fits: batch / 2 })
            });
            match trained {
                Ok(true) => {}
                Ok(false) => self.stopped.store(true, Ordering::SeqCst),
                Err(error) => self.fail(error),
            }
        }
    }

    /// Stops all, for this reason if it is the first.
    fn fail(&self, error: TrainError) {
        self.stopped.store(true, Ordering::SeqCst);
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// Whether a run may go on, after it told where it is.
    fn working(&self, number: usize, share: f64, place: &str) -> bool {
        self.watcher.working(number, share, place) && !self.stopped.load(Ordering::SeqCst)
    }

    /// Trains a run to its result; `false` if it was stopped.
    fn train(&self, number: usize, planned: &PlannedRun, device: &Device) -> Result<bool, TrainError> {
        let path = Comparison::run_folder(self.folder, &planned.name);
        if let Some(result) = planned.result(self.folder)? {
            self.watcher.ended(number, &result, true);
            return Ok(true);
        }
        let folder = RunFolder::new(&path);
        let trainer = match folder.config()? {
            Some(_) => Trainer::resume(folder, None, device)?,
            None => Trainer::start(planned.config.clone(), folder, device)?,
        };
        let mut trainer = trainer.with_cache(self.cache.cloned());
        let epochs = trainer.config().epochs;
        let share = trainer.position().epoch as f64 / epochs as f64;
        let mut follow = Follow { crew: self, number, epochs, share };
        let finding = match trainer.run(&mut follow) {
            Ok(Outcome::Stopped { .. }) => return Ok(false),
            Ok(Outcome::Finished(_)) => {
                let wanted = (&self.comparison.inference_steps[..], self.comparison.energy_samples);
                let mut keep_going = || self.working(number, 1.0, "testing");
                Finding::of(planned, trainer.folder(), trainer.data(), wanted, device, &mut keep_going)
            }
            Err(error) => Err(error),
        };
        let result = match finding {
            Ok(Some(finding)) => RunResult::Finished(Box::new(finding)),
            Ok(None) => return Ok(false),
            Err(error) if diverged(&error) => {
                let (values, seed) = (planned.values.clone(), planned.config.seed);
                RunResult::Diverged { values, seed, error: error.to_string() }
            }
            Err(error) => return Err(error),
        };
        result.write(&path)?;
        self.watcher.ended(number, &result, false);
        Ok(true)
    }
}

/// Whether training came to a value that is not finite, and would again; not so where a sample is such a value.
fn diverged(error: &TrainError) -> bool {
    match error {
        TrainError::NonFiniteAt { found, .. } | TrainError::NonFinite(found) => {
            !matches!(found, NonFinite::Input { .. })
        }
        _ => false,
    }
}

/// Follows one run.
struct Follow<'a> {
    crew: &'a Crew<'a>,
    number: usize,
    epochs: usize,
    /// How much of the training is done.
    share: f64,
}

impl Observer for Follow<'_> {
    fn warning(&mut self, text: &str) {
        self.crew.watcher.note(self.number, text);
    }

    fn framed(&mut self, part: &str, done: usize, of: usize) -> bool {
        self.crew.working(self.number, 0.0, &format!("framing {done} of {of} recordings of {part}"))
    }

    fn batch(&mut self, report: &BatchReport) -> bool {
        let epochs = report.epoch as f64 + report.batch as f64 / report.batches.max(1) as f64;
        let place = format!("epoch {}/{}", report.epoch + 1, self.epochs);
        self.share = epochs / self.epochs as f64;
        self.crew.working(self.number, self.share, &place)
    }

    fn evaluated(&mut self, samples: usize) -> bool {
        self.crew.working(self.number, self.share, &format!("evaluating, {samples} samples"))
    }
}
