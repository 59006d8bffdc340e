//! The folder of a run.

use super::checkpoint::Checkpoint;
use super::config::TrainConfig;
use super::error::TrainError;
use super::tensorboard::EventFile;
use crate::anytime::Anytime;
use crate::file::{FileError, write_atomically};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What is written down of an epoch: a line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epoch, from 1.
    pub epoch: usize,
    /// It trained without neurons.
    pub ann: bool,
    /// Learning rate.
    pub learning_rate: f64,
    /// Mean loss over the training samples as they were seen.
    pub train_loss: f64,
    /// Fraction right of the training samples as they were seen.
    pub train_accuracy: f64,
    /// Mean loss over the validation samples.
    pub validation_loss: f64,
    /// Fraction right of the validation samples.
    pub validation_accuracy: f64,
    /// Mean spikes per neuron and step on the validation samples of each neuron layer, by its module:
    /// `layers.3`.
    pub firing_rates: BTreeMap<String, f64>,
    /// Fraction of the training samples, as they were seen, of whose class no voter fired; none without voting neurons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_voters: Option<f64>,
    /// Norm of the gradient of a module's parameters, mean over the batches, by the module.
    pub gradient_norms: BTreeMap<String, f64>,
    /// Training samples per second of the process that ended the epoch.
    pub samples_per_s: f64,
    /// The share of that time in which it waited for batches.
    #[serde(default)]
    pub data_wait: f64,
    /// Seconds that this process spent on it, with validation; not those of one that was stopped within the epoch.
    pub seconds: f64,
}

/// What is written down of a run: `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Data set.
    pub dataset: String,
    /// Layer string.
    pub net: String,
    /// Method.
    pub method: String,
    /// Time steps T.
    pub time_steps: usize,
    /// Seed.
    pub seed: u64,
    /// Trained values.
    pub parameters: u64,
    /// Samples trained on.
    pub train_samples: usize,
    /// Samples that chose the model.
    pub validation_samples: usize,
    /// Samples of the test set.
    pub test_samples: usize,
    /// Checksum of the split into training and validation.
    pub split: String,
    /// Epochs trained.
    pub epochs: usize,
    /// The chosen epoch, from 1.
    pub best_epoch: usize,
    /// Its validation accuracy, a fraction.
    pub validation_accuracy: f64,
    /// Its test accuracy, a fraction; the test set is used this once.
    pub test_accuracy: f64,
    /// Its mean loss on the test set.
    pub test_loss: f64,
    /// Its firing rates on the test set.
    pub test_firing_rates: BTreeMap<String, f64>,
    /// Its answers on the test set: `[class][answer]`, samples.
    #[serde(default)]
    pub test_confusion: Vec<Vec<usize>>,
    /// What its answers on the test set are worth that are taken before the last time step.
    #[serde(default)]
    pub test_anytime: Anytime,
    /// Sum of the epochs' seconds.
    pub train_seconds: f64,
    /// Version of Synfire.
    pub version: String,
}

/// The folder of a run: `config.toml`, `metrics.jsonl`, TensorBoard events, `checkpoints/` and `summary.json`.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Another number is put behind `path` where it is taken.
    numbered: bool,
    /// Another process trains the run with this one, and writes.
    follows: bool,
    events: Option<EventFile>,
    /// Held while this process trains the run; the system frees it however the process ends.
    _lock: Option<File>,
}

impl RunFolder {
    /// The run folder `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), numbered: false, follows: false, events: None, _lock: None }
    }

    /// A new run folder `path`, or the first of `path-2`, `path-3`, … that does not exist when the run begins.
    pub fn numbered(path: impl Into<PathBuf>) -> Self {
        Self { numbered: true, ..Self::new(path) }
    }

    /// The same folder for a process that trains the run together with another one, which writes: here nothing is written.
    #[must_use]
    pub fn following(self) -> Self {
        Self { follows: true, ..self }
    }

    /// Goes to where the process that writes has begun the run.
    pub(super) fn follow(&mut self, path: &str) {
        if self.follows {
            self.path = path.into();
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The checkpoint to resume from.
    pub fn last(&self) -> PathBuf {
        self.path.join("checkpoints/last.safetensors")
    }

    /// The checkpoint of the best epoch by validation.
    pub fn best(&self) -> PathBuf {
        self.path.join("checkpoints/best.safetensors")
    }

    fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    fn config_path(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    fn summary_path(&self) -> PathBuf {
        self.path.join("summary.json")
    }

    /// Makes the folder and writes the settings. A run that failed before its first checkpoint is begun anew.
    pub(super) fn begin(&mut self, config: &TrainConfig) -> Result<(), FileError> {
        if self.follows {
            return Ok(());
        }
        if self.numbered {
            self.claim()?;
        }
        let checkpoints = self.path.join("checkpoints");
        fs::create_dir_all(&checkpoints).map_err(FileError::io("create", &checkpoints))?;
        // Locked before it is looked into, so that of two processes one finds the other's run.
        self.lock()?;
        if self.has_checkpoint()? || self.epochs()? > 0 {
            let problem =
                "this folder holds a run already; continue it with --resume, or choose another --out";
            return Err(FileError::content(&self.path, problem));
        }
        write_atomically(&self.config_path(), config.to_toml().as_bytes())
    }

    /// Makes the first numbered folder that nobody else has made.
    fn claim(&mut self) -> Result<(), FileError> {
        let first = self.path.clone();
        let parent = first.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(parent).map_err(FileError::io("create", parent))?;
        for number in 2.. {
            match fs::create_dir(&self.path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    let mut name = first.clone().into_os_string();
                    name.push(format!("-{number}"));
                    self.path = name.into();
                }
                made => return made.map_err(FileError::io("create", &self.path)),
            }
        }
        unreachable!("some number is free")
    }

    /// Whether there is a checkpoint to resume from.
    pub(super) fn has_checkpoint(&self) -> Result<bool, FileError> {
        exists(&self.last())
    }

    /// Whether the run was finished and says so.
    ///
    /// # Errors
    /// If that cannot be told.
    pub fn has_summary(&self) -> Result<bool, FileError> {
        exists(&self.summary_path())
    }

    /// How many epochs are written down.
    pub(super) fn epochs(&self) -> Result<usize, FileError> {
        let path = self.metrics();
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            text => Ok(text.map_err(FileError::io("read", &path))?.lines().count()),
        }
    }

    /// Keeps other processes from training this run at the same time.
    fn lock(&mut self) -> Result<(), FileError> {
        let path = self.path.join(".lock");
        // It stays when the run ends: who removed it would free a lock that another process waits for.
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(FileError::io("open", &path))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(FileError::content(&self.path, "another process is training this run"));
        }
        // Where the file system knows no locks, the run goes on without.
        self._lock = Some(file);
        Ok(())
    }

    /// Takes up a run that was begun before: its settings.
    pub(super) fn take_up(&mut self) -> Result<TrainConfig, TrainError> {
        // Where there is no run, not even a lock is left.
        if !self.follows && exists(&self.config_path())? {
            self.lock()?;
        }
        let missing = || FileError::content(&self.path, "no run to resume here: config.toml is missing");
        self.config()?.ok_or_else(|| missing().into())
    }

    /// The settings of the run; none where the folder holds no run.
    ///
    /// # Errors
    /// If they cannot be read or make no sense.
    pub fn config(&self) -> Result<Option<TrainConfig>, TrainError> {
        let path = self.config_path();
        if !exists(&path)? {
            return Ok(None);
        }
        Ok(Some(TrainConfig::resolve(Some(&path), toml::Table::new())?))
    }

    /// Opens TensorBoard's file.
    pub(super) fn open(&mut self) -> Result<(), FileError> {
        if self.follows {
            return Ok(());
        }
        self.events =
            Some(EventFile::create(&self.path).map_err(FileError::io("create events in", &self.path))?);
        Ok(())
    }

    /// Forgets epochs after the last checkpoint: they will be trained again.
    pub(super) fn keep_epochs(&self, epochs: usize) -> Result<(), FileError> {
        let path = self.metrics();
        if self.follows || !exists(&path)? {
            return Ok(());
        }
        let text = fs::read_to_string(&path).map_err(FileError::io("read", &path))?;
        let kept: String = text.split_inclusive('\n').take(epochs).collect();
        if kept == text { Ok(()) } else { write_atomically(&path, kept.as_bytes()) }
    }

    /// Writes a checkpoint to `path`.
    pub(super) fn keep(&self, path: &Path, checkpoint: &Checkpoint) -> Result<(), FileError> {
        if self.follows { Ok(()) } else { checkpoint.write(path) }
    }

    /// Adds an epoch.
    pub(super) fn record(&mut self, record: &EpochRecord) -> Result<(), FileError> {
        if self.follows {
            return Ok(());
        }
        let path = self.metrics();
        let mut line = serde_json::to_string(record).expect("a record is JSON");
        line.push('\n');
        let mut file =
            OpenOptions::new().create(true).append(true).open(&path).map_err(FileError::io("open", &path))?;
        file.write_all(line.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(FileError::io("write", &path))?;
        if let Some(events) = &mut self.events {
            let mut scalars = vec![
                ("loss/train".to_string(), record.train_loss),
                ("loss/validation".to_string(), record.validation_loss),
                ("accuracy/train".to_string(), record.train_accuracy),
                ("accuracy/validation".to_string(), record.validation_accuracy),
                ("learning_rate".to_string(), record.learning_rate),
                ("samples_per_s".to_string(), record.samples_per_s),
                ("data_wait".to_string(), record.data_wait),
            ];
            scalars.extend(record.silent_voters.map(|share| ("silent_voters".to_string(), share)));
            scalars.extend(record.firing_rates.iter().map(|(m, v)| (format!("firing_rate/{m}"), *v)));
            scalars.extend(record.gradient_norms.iter().map(|(m, v)| (format!("gradient_norm/{m}"), *v)));
            let scalars = scalars.iter().map(|(tag, value)| (tag.as_str(), *value));
            events
                .scalars(record.epoch as u64, scalars)
                .map_err(FileError::io("write events in", &self.path))?;
        }
        Ok(())
    }

    /// The epochs written down so far; none before the first has ended.
    ///
    /// # Errors
    /// If the file cannot be read or a line of it is damaged.
    pub fn records(&self) -> Result<Vec<EpochRecord>, FileError> {
        let path = self.metrics();
        if !exists(&path)? {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(&path).map_err(FileError::io("read", &path))?;
        let parse = |(i, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|e| FileError::content(&path, format!("line {}: {e}", i + 1)))
        };
        text.lines().enumerate().map(parse).collect()
    }

    /// Writes the summary.
    pub(super) fn finish(&self, summary: &Summary) -> Result<(), FileError> {
        if self.follows {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(summary).expect("a summary is JSON") + "\n";
        write_atomically(&self.summary_path(), text.as_bytes())
    }

    /// The summary of a finished run.
    ///
    /// # Errors
    /// If there is none or it is damaged.
    pub fn summary(&self) -> Result<Summary, FileError> {
        let path = self.summary_path();
        let text = fs::read_to_string(&path).map_err(FileError::io("read", &path))?;
        let summary: Summary =
            serde_json::from_str(&text).map_err(|e| FileError::content(&path, e.to_string()))?;
        let classes = summary.test_confusion.len();
        match summary.test_confusion.iter().find(|row| row.len() != classes) {
            Some(row) => {
                let problem =
                    format!("test_confusion has {classes} rows, of which one has {} columns", row.len());
                Err(FileError::content(&path, problem))
            }
            None => Ok(summary),
        }
    }
}

/// Whether there is such a file; unlike [`Path::exists`] an error where that cannot be told.
fn exists(path: &Path) -> Result<bool, FileError> {
    path.try_exists().map_err(FileError::io("look for", path))
}
