//! Comparisons: the same training with some settings varied and several seeds, each combination a run of its own.
//!
//! A comparison is a folder: `compare.toml` says what is compared, `runs/` holds a folder for each run, and in it `result.json` once it
//! is finished. Nothing else is kept, so that a comparison is taken up again by looking at what is there.

mod finding;
mod run;
mod statistics;

pub use finding::{AtSteps, Finding, RunResult};
pub use run::{Ended, Watcher, check, run};
pub use statistics::{Difference, Group, Spread, differences, groups};

use crate::file::{FileError, write_atomically};
use crate::train::{ConfigError, TrainConfig};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A setting that is varied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// Its name: a key of [`TrainConfig`].
    pub key: String,
    /// What it is set to; the others are compared with the first.
    pub values: Vec<toml::Value>,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Comparison {
    /// Each combination is trained with each of these seeds.
    pub seeds: Vec<u64>,
    /// The trained networks are tested with these numbers of time steps too.
    #[serde(default)]
    pub inference_steps: Vec<usize>,
    /// On so many samples of the test set operations are counted.
    pub energy_samples: usize,
    /// The settings of all runs.
    pub settings: toml::Table,
    /// What is varied.
    pub vary: Vec<Axis>,
}

/// A run of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedRun {
    /// Its folder's name under `runs/`.
    pub name: String,
    /// The value of each axis.
    pub values: Vec<String>,
    /// Its settings.
    pub config: TrainConfig,
}

impl Comparison {
    /// The runs, seed by seed, so that a part of them is a comparison with fewer seeds. Without neurons there is one time step, so that
    /// a network of the method `ann` is trained once, whatever time steps are compared.
    ///
    /// # Errors
    /// If a setting is unknown or out of range.
    pub fn runs(&self) -> Result<Vec<PlannedRun>, ConfigError> {
        let mut combinations = vec![Vec::new()];
        for axis in &self.vary {
            let with = |so_far: &Vec<toml::Value>| {
                axis.values
                    .iter()
                    .map(|value| [&so_far[..], std::slice::from_ref(value)].concat())
                    .collect::<Vec<_>>()
            };
            combinations = combinations.iter().flat_map(with).collect();
        }
        let mut runs: Vec<PlannedRun> = Vec::new();
        for &seed in &self.seeds {
            for values in &combinations {
                let mut table = self.settings.clone();
                table.insert("seed".into(), toml::Value::try_from(seed).unwrap_or((i64::MAX).into()));
                table.extend(self.vary.iter().map(|axis| axis.key.clone()).zip(values.iter().cloned()));
                let timeless = table.get("method").and_then(toml::Value::as_str) == Some("ann");
                if timeless {
                    table.remove("time-steps");
                }
                let config = TrainConfig::resolve(None, table)?;
                config.validate()?;
                if runs.iter().any(|run| run.config == config) {
                    continue;
                }
                let values = self.vary.iter().zip(values).map(|(axis, value)| match &*axis.key {
                    "time-steps" if timeless => "1".to_string(),
                    _ => text(value),
                });
                let values: Vec<String> = values.collect();
                runs.push(PlannedRun { name: name(runs.len(), &values, seed), values, config });
            }
        }
        Ok(runs)
    }

    /// Where run `name` of the comparison in `folder` lies.
    pub fn run_folder(folder: &Path, name: &str) -> PathBuf {
        folder.join("runs").join(name)
    }

    /// Whether `folder` holds a comparison.
    pub fn is_in(folder: &Path) -> bool {
        file(folder).is_file()
    }

    /// The comparison in `folder`.
    ///
    /// # Errors
    /// If there is none, or its file is damaged.
    pub fn read(folder: &Path) -> Result<Self, FileError> {
        let path = file(folder);
        let text = std::fs::read_to_string(&path).map_err(FileError::io("read", &path))?;
        toml::from_str(&text).map_err(|e| FileError::content(&path, e.to_string().trim_end().to_string()))
    }

    /// Begins a comparison in `folder`, which is made.
    ///
    /// # Errors
    /// If it holds one already, or cannot be written to.
    pub fn begin(&self, folder: &Path) -> Result<(), FileError> {
        if Self::is_in(folder) {
            let problem =
                "this folder holds a comparison already; continue it with --resume, or choose another --out";
            return Err(FileError::content(folder, problem));
        }
        std::fs::create_dir_all(folder).map_err(FileError::io("create", folder))?;
        let text = toml::to_string(self).expect("a comparison is a table");
        write_atomically(&file(folder), text.as_bytes())
    }

    /// What is known of the comparison in `folder` so far, in the order of its runs.
    ///
    /// # Errors
    /// If a result cannot be read.
    pub fn results(&self, folder: &Path) -> Result<Vec<RunResult>, CompareError> {
        let read = |run: &PlannedRun| RunResult::read(&Self::run_folder(folder, &run.name));
        Ok(self.runs()?.iter().map(read).filter_map(Result::transpose).collect::<Result<_, _>>()?)
    }
}

/// Why a comparison could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// Its settings make no run.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file of it cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

fn file(folder: &Path) -> PathBuf {
    folder.join("compare.toml")
}

/// A value as it is written on the command line.
pub fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        // As short as it reads back.
        toml::Value::Float(number) => format!("{number:?}"),
        other => other.to_string(),
    }
}

/// Longest part of a folder's name that is made of values.
const LONGEST: usize = 80;

/// The folder of a run: its number, and for people its values and seed.
fn name(number: usize, values: &[String], seed: u64) -> String {
    let mut name = format!("{number:03}");
    for value in values {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._+-".contains(c) { c } else { '_' };
        name.push('-');
        name.extend(value.chars().map(plain));
    }
    name.truncate(LONGEST);
    name + &format!("-seed{seed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(settings: &str, vary: &[(&str, &str)], seeds: &[u64]) -> Comparison {
        let axis = |&(key, values): &(&str, &str)| Axis {
            key: key.into(),
            values: format!("v = [{values}]").parse::<toml::Table>().unwrap()["v"]
                .as_array()
                .unwrap()
                .clone(),
        };
        Comparison {
            seeds: seeds.into(),
            inference_steps: vec![],
            energy_samples: 10,
            settings: settings.parse().unwrap(),
            vary: vary.iter().map(axis).collect(),
        }
    }

    #[test]
    fn every_combination_is_run_seed_by_seed() {
        let comparison =
            comparison("epochs = 3", &[("method", "'stbp', 'bpsta'"), ("alpha", "0, 0.5")], &[7, 8]);
        let runs = comparison.runs().unwrap();
        let names: Vec<&str> = runs.iter().map(|run| &*run.name).collect();
        assert_eq!(names[..3], ["000-stbp-0-seed7", "001-stbp-0.5-seed7", "002-bpsta-0-seed7"]);
        assert_eq!((runs.len(), &names[4]), (8, &"004-stbp-0-seed8"));
        let last = &runs[7].config;
        assert_eq!((last.alpha, last.seed, last.epochs, &*last.method.to_string()), (0.5, 8, 3, "bpsta"));
    }

    #[test]
    fn a_network_without_neurons_is_trained_once_for_all_time_steps() {
        let axes = [("method", "'bpsta', 'ann'"), ("time-steps", "4, 8")];
        let runs = comparison("", &axes, &[0]).runs().unwrap();
        let values: Vec<String> = runs.iter().map(|run| run.values.join(" ")).collect();
        assert_eq!(values, ["bpsta 4", "bpsta 8", "ann 1"]);
    }

    #[test]
    fn a_comparison_is_written_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let comparison = comparison("dataset = 'digits'", &[("method", "'stbp'")], &[0]);
        comparison.begin(folder.path()).unwrap();
        assert_eq!(Comparison::read(folder.path()).unwrap(), comparison);
        assert!(comparison.begin(folder.path()).unwrap_err().to_string().contains("--resume"));
        assert_eq!(comparison.results(folder.path()).unwrap(), []);
        std::fs::write(folder.path().join("compare.toml"), "seeds = 3").unwrap();
        assert!(Comparison::read(folder.path()).unwrap_err().to_string().contains("seeds"));
    }

    #[test]
    fn what_makes_no_run_is_refused() {
        assert!(comparison("", &[("methods", "1")], &[0]).runs().is_err());
        assert!(comparison("", &[("lr", "-1")], &[0]).runs().is_err());
    }

    #[test]
    fn folders_have_names_that_every_system_takes() {
        let name = name(4, &["../my set".into(), "x".repeat(300)], 1);
        assert!(name.starts_with("004-.._my_set-xxx") && name.ends_with("x-seed1"), "{name}");
        assert!(name.len() < 100);
    }
}
