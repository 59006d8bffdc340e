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
use crate::ops::Method;
use crate::train::{ConfigError, Learning, MOST_STEPS, RunFolder, TrainConfig, TrainError};
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
    /// The runs, seed by seed, so that a part of them is a comparison with fewer seeds. What means nothing to a run's method, such as time
    /// steps without neurons, is not varied for it: its value is [`NOT_VARIED`], and it is trained once.
    ///
    /// # Errors
    /// If a setting is unknown or out of range.
    pub fn runs(&self) -> Result<Vec<PlannedRun>, ConfigError> {
        self.check()?;
        let mut combinations = vec![Vec::new()];
        for axis in &self.vary {
            let with = |so_far: &Vec<toml::Value>| {
                let longer = |value| [&so_far[..], std::slice::from_ref(value)].concat();
                axis.values.iter().map(longer).collect::<Vec<_>>()
            };
            combinations = combinations.iter().flat_map(with).collect();
        }
        let mut runs: Vec<PlannedRun> = Vec::new();
        for &seed in &self.seeds {
            for values in &combinations {
                let mut table = self.settings.clone();
                table.insert("seed".into(), toml::Value::Integer(seed as i64));
                table.extend(self.vary.iter().map(|axis| axis.key.clone()).zip(values.iter().cloned()));
                let method = TrainConfig::resolve(None, table.clone())?.method;
                let idle = |key: &str| means_nothing(key, method);
                table.retain(|key, _| !idle(key));
                let config = TrainConfig::resolve(None, table)?;
                config.validate()?;
                if runs.iter().any(|run| run.config == config) {
                    continue;
                }
                let value = |(axis, value): (&Axis, &toml::Value)| {
                    if idle(&axis.key) { NOT_VARIED.to_string() } else { text(value) }
                };
                let values: Vec<String> = self.vary.iter().zip(values).map(value).collect();
                runs.push(PlannedRun { name: name(runs.len(), &values, seed), values, config });
            }
        }
        Ok(runs)
    }

    /// Checks what no run's settings tell.
    fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key, found: &dyn ToString, expected: &str| {
            Err(ConfigError::Value { key, found: found.to_string(), expected: expected.into() })
        };
        let repeats = |i: usize| self.seeds[..i].contains(&self.seeds[i]);
        if let Some(seed) = self.seeds.iter().find(|seed| **seed > i64::MAX as u64) {
            return wrong("seeds", seed, "numbers of at most 2^63 - 1, what a TOML file can hold");
        }
        if self.seeds.is_empty() || (0..self.seeds.len()).any(repeats) {
            return wrong("seeds", &format!("{:?}", self.seeds), "at least one, each once");
        }
        if let Some(steps) = self.inference_steps.iter().find(|steps| !(1..=MOST_STEPS).contains(*steps)) {
            return wrong("inference-steps", steps, &format!("from 1 to {MOST_STEPS}"));
        }
        if self.energy_samples == 0 {
            return wrong("energy-samples", &0, "at least 1");
        }
        match self
            .vary
            .iter()
            .find(|axis| axis.values.is_empty() || ["seed", "data-dir"].contains(&&*axis.key))
        {
            Some(axis) => wrong("vary", &axis.key, "settings with values; seeds have a list of their own"),
            None => Ok(()),
        }
    }

    /// Where run `name` of the comparison in `folder` lies.
    pub fn run_folder(folder: &Path, name: &str) -> PathBuf {
        folder.join(RUNS).join(name)
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
    /// If it holds one already, or what is left of one, or cannot be written to.
    pub fn begin(&self, folder: &Path) -> Result<(), FileError> {
        if Self::is_in(folder) || folder.join(RUNS).exists() {
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
    /// If a result cannot be read, or is of other settings than the comparison's.
    pub fn results(&self, folder: &Path) -> Result<Vec<RunResult>, TrainError> {
        let read = |run: &PlannedRun| run.result(folder);
        self.runs()?.iter().map(read).filter_map(Result::transpose).collect()
    }
}

impl PlannedRun {
    /// Its result in the comparison in `folder`; none before it is finished.
    ///
    /// # Errors
    /// If it cannot be read, or the run that lies there was trained with other settings: the comparison's file was changed since.
    pub fn result(&self, folder: &Path) -> Result<Option<RunResult>, TrainError> {
        let path = Comparison::run_folder(folder, &self.name);
        let Some(config) = RunFolder::new(&path).config()? else { return Ok(None) };
        if let Some(difference) = self.config.unlike(&config) {
            let problem = format!(
                "this run was begun with other settings than compare.toml says now, {difference} in the run: compare anew in \
                 another folder, or change compare.toml back"
            );
            return Err(FileError::content(&path, problem).into());
        }
        let Some(result) = RunResult::read(&path)? else { return Ok(None) };
        if result.of() != (&self.values[..], self.config.seed) {
            let problem =
                "result.json is that of another run; without it, --resume looks at the trained network again";
            return Err(FileError::content(&path, problem).into());
        }
        Ok(Some(result))
    }
}

/// What stands in place of a value that means nothing to a run's method.
pub const NOT_VARIED: &str = "–";

/// Whether setting `key` changes nothing for networks of `method`.
fn means_nothing(key: &str, method: Learning) -> bool {
    match key {
        "alpha" => method != Learning::Spiking(Method::Bpsta),
        "time-steps" | "threshold" | "decay" | "voter-method" => method == Learning::Ann,
        _ => false,
    }
}

/// The folder of the runs.
const RUNS: &str = "runs";

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
    for value in values.iter().filter(|value| *value != NOT_VARIED) {
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
            comparison("epochs = 3", &[("method", "'stbp', 'bpsta'"), ("lr", "0.25, 0.5")], &[7, 8]);
        let runs = comparison.runs().unwrap();
        let names: Vec<&str> = runs.iter().map(|run| &*run.name).collect();
        assert_eq!(names[..3], ["000-stbp-0.25-seed7", "001-stbp-0.5-seed7", "002-bpsta-0.25-seed7"]);
        assert_eq!((runs.len(), &names[4]), (8, &"004-stbp-0.25-seed8"));
        let last = &runs[7].config;
        assert_eq!((last.lr, last.seed, last.epochs, &*last.method.to_string()), (0.5, 8, 3, "bpsta"));
    }

    #[test]
    fn what_means_nothing_to_a_method_is_not_varied_for_it() {
        let axes = [("method", "'bpsta', 'ann'"), ("time-steps", "4, 8")];
        let runs = comparison("", &axes, &[0]).runs().unwrap();
        let values: Vec<String> = runs.iter().map(|run| run.values.join(" ")).collect();
        assert_eq!(values, ["bpsta 4", "bpsta 8", "ann –"]);
        let axes = [("method", "'stbp', 'bpsta'"), ("alpha", "0, 0.5")];
        let runs = comparison("time-steps = 3", &axes, &[0]).runs().unwrap();
        let values: Vec<String> = runs.iter().map(|run| run.values.join(" ")).collect();
        assert_eq!(values, ["stbp –", "bpsta 0", "bpsta 0.5"]);
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
        let wrong = |change: fn(&mut Comparison), told: &str| {
            let mut comparison = comparison("", &[("alpha", "0")], &[0]);
            change(&mut comparison);
            let text = comparison.runs().unwrap_err().to_string();
            assert!(text.contains(told), "{text}");
        };
        wrong(|c| c.seeds.clear(), "at least one");
        wrong(|c| c.seeds = vec![1, 1], "each once");
        wrong(|c| c.seeds = vec![u64::MAX], "2^63");
        wrong(|c| c.inference_steps = vec![4, 0], "inference-steps = 0");
        wrong(|c| c.inference_steps = vec![100_000], "from 1 to 4096");
        wrong(|c| c.energy_samples = 0, "energy-samples = 0");
        wrong(|c| c.vary[0].key = "seed".into(), "vary = seed");
        wrong(|c| c.vary[0].values.clear(), "vary = alpha");
    }

    #[test]
    fn runs_of_other_settings_are_no_results() {
        let folder = tempfile::tempdir().unwrap();
        let comparison = comparison("epochs = 3", &[("alpha", "0, 0.5")], &[0]);
        comparison.begin(folder.path()).unwrap();
        let run = &comparison.runs().unwrap()[0];
        let path = Comparison::run_folder(folder.path(), &run.name);
        std::fs::create_dir_all(&path).unwrap();
        // As a run settles it when it begins.
        let begun = TrainConfig { validation: 17, ..run.config.clone() };
        std::fs::write(path.join("config.toml"), begun.to_toml()).unwrap();
        assert_eq!(comparison.results(folder.path()).unwrap(), []);
        let values = vec!["0".to_string()];
        let result = RunResult::Diverged { values, seed: 0, error: "e".into() };
        result.write(&path).unwrap();
        assert_eq!(comparison.results(folder.path()).unwrap(), [result]);
        RunResult::Diverged { values: vec![], seed: 0, error: "e".into() }.write(&path).unwrap();
        assert!(comparison.results(folder.path()).unwrap_err().to_string().contains("another run"));
        let mut changed = comparison.clone();
        changed.settings.insert("epochs".into(), 4.into());
        let text = changed.results(folder.path()).unwrap_err().to_string();
        assert!(text.contains("epochs = 4 here, 3 there"), "{text}");
        // What is left of a comparison is not taken for another's.
        std::fs::remove_file(folder.path().join("compare.toml")).unwrap();
        assert!(comparison.begin(folder.path()).is_err());
    }

    #[test]
    fn folders_have_names_that_every_system_takes() {
        let name = name(4, &["../my set".into(), "x".repeat(300)], 1);
        assert!(name.starts_with("004-.._my_set-xxx") && name.ends_with("x-seed1"), "{name}");
        assert!(name.len() < 100);
    }
}
