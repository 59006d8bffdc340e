//! What came of one run.

use super::PlannedRun;
use crate::energy::{self, Operations};
use crate::file::{FileError, write_atomically};
use crate::train::{Checkpoint, RunFolder, Summary, TrainConfig, TrainError, evaluate};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use synfire_data::{DataSet, Loader, evenly_spaced};

/// How a run ended, as its `result.json` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunResult {
    /// It was trained and tested.
    Finished(Box<Finding>),
    /// It met a value that is NaN or infinite, and would meet it again.
    Diverged {
        /// The value of each axis.
        values: Vec<String>,
        /// Seed.
        seed: u64,
        /// Where it met it.
        error: String,
    },
}

/// What is known of a trained network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The value of each axis.
    pub values: Vec<String>,
    /// Seed.
    pub seed: u64,
    /// Name of its folder.
    pub name: String,
    /// Training and test.
    pub summary: Summary,
    /// Operations on samples of the test set.
    pub operations: Operations,
    /// Its accuracy with other numbers of time steps than it was trained with.
    pub inference: Vec<AtSteps>,
}

/// Accuracy with some number of time steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtSteps {
    /// Time steps.
    pub time_steps: usize,
    /// Fraction right of the test set.
    pub accuracy: f64,
}

impl RunResult {
    /// The result in the folder of a run; none before it is finished.
    ///
    /// # Errors
    /// If it cannot be read or is damaged.
    pub fn read(run: &Path) -> Result<Option<Self>, FileError> {
        let path = file(run);
        match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            text => {
                let text = text.map_err(FileError::io("read", &path))?;
                let advice = "without this file, --resume looks at the trained network again";
                serde_json::from_str(&text)
                    .map(Some)
                    .map_err(|e| FileError::content(&path, format!("{e}; {advice}")))
            }
        }
    }

    /// The values and the seed it is of.
    pub(super) fn of(&self) -> (&[String], u64) {
        match self {
            Self::Finished(finding) => (&finding.values, finding.seed),
            Self::Diverged { values, seed, .. } => (values, *seed),
        }
    }

    pub(super) fn write(&self, run: &Path) -> Result<(), FileError> {
        let text = serde_json::to_string_pretty(self).expect("a result is JSON") + "\n";
        write_atomically(&file(run), text.as_bytes())
    }

    /// What is known of it, if it was finished.
    pub fn finding(&self) -> Option<&Finding> {
        match self {
            Self::Finished(finding) => Some(finding),
            Self::Diverged { .. } => None,
        }
    }
}

impl Finding {
    /// Looks at the best network of a finished run. `keep_going` is asked before each batch; once it says no, there is no finding.
    pub(super) fn of(
        planned: &PlannedRun,
        folder: &RunFolder,
        data: &DataSet,
        (inference_steps, energy_samples): (&[usize], usize),
        device: &Device,
        keep_going: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Self>, TrainError> {
        let path = folder.best();
        let checkpoint = Checkpoint::read(&path)?;
        let mut net = checkpoint.net(&path, device)?;
        let config = checkpoint.header.config;
        let samples = evenly_spaced(energy_samples.min(data.test.len()), data.test.len());
        let loader = Loader::new(data.test.clone(), samples, config.frames(), config.batch_size)?;
        let counted = energy::count(&mut net, &loader, &config, &mut |_| keep_going())?;
        let Some(operations) = counted else { return Ok(None) };
        let mut inference = Vec::new();
        for &time_steps in inference_steps.iter().filter(|_| !config.is_ann()) {
            let config = TrainConfig { time_steps, ..config.clone() };
            let all = (0..data.test.len()).collect();
            let loader = Loader::new(data.test.clone(), all, config.frames(), config.batch_size)?;
            let tested = evaluate(&mut net, &loader, &config, false, &mut |_| keep_going())?;
            let Some(tested) = tested else { return Ok(None) };
            inference.push(AtSteps { time_steps, accuracy: tested.accuracy });
        }
        let (values, seed, name) = (planned.values.clone(), config.seed, planned.name.clone());
        Ok(Some(Self { values, seed, name, summary: folder.summary()?, operations, inference }))
    }
}

fn file(run: &Path) -> PathBuf {
    run.join("result.json")
}
