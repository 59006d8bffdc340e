//! `synfire compare`.

mod follow;
mod table;

use super::train::settings::Settings;
use super::train::{run_name, shell_word, way_on};
use super::{DeviceArgument, Error};
use crate::console::Console;
use crate::stop::Stop;
use burn::tensor::Device;
use clap::{Args, value_parser};
use follow::Follow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use synfire::compare::{Axis, Comparison, Ended, PlannedRun, check, run, text};
use synfire::device::{is_cpu, name};
use synfire::train::{MOST_STEPS, TrainConfig, available_on};
use synfire_data::{Cache, is_path};

/// Train the same network with some settings varied and several seeds, and compare.
///
/// Without --vary the methods stbp, bpsa and bpsta are compared. Each combination of values is trained with each seed, in a run folder
/// of its own; several runs share the cores. At the end stands a table of means and standard deviations over the seeds, of differences
/// between runs with the same seed, of firing rates and energies; `synfire report` draws it. What is printed is the accuracy on the
/// test set at the epoch that validation chose.
#[derive(Args)]
#[command(allow_negative_numbers = true, after_help = EXAMPLES)]
pub(crate) struct Compare {
    #[command(flatten)]
    settings: Settings,
    /// Vary a setting, one of the options here without its dashes: --vary method=stbp,bpsta. May be given several times: every
    /// combination is trained. The first value is what the others are compared with [default: method=stbp,bpsa,bpsta].
    #[arg(long, value_name = "KEY=A,B,…", value_parser = axis, help_heading = COMPARISON)]
    vary: Vec<Axis>,
    /// How many seeds, from --seed on (0).
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u16).range(1..=1000), help_heading = COMPARISON)]
    seeds: u16,
    /// Test the trained networks with these numbers of time steps too.
    #[arg(long, value_name = "T,…", value_delimiter = ',', value_parser = value_parser!(u16).range(1..=MOST_STEPS as i64),
          help_heading = COMPARISON)]
    inference_steps: Vec<u16>,
    /// Count operations on so many samples of the test set.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = value_parser!(u32).range(1..), help_heading = COMPARISON)]
    energy_samples: u32,
    /// How many runs are trained at once [default: as many as there are threads, on GPUs one on each, if memory allows].
    #[arg(long, short, value_name = "N", value_parser = value_parser!(u16).range(1..=1024), help_heading = COMPARISON)]
    jobs: Option<u16>,
    /// Folder of data sets, searched before SYNFIRE_DATA and the user's cache folder.
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    data_dir: Option<PathBuf>,
    /// File of settings (TOML) for all runs; options stand over it.
    #[arg(long, value_name = "FILE", conflicts_with = "resume", help_heading = COMPARISON)]
    config: Option<PathBuf>,
    /// Folder of the comparison [default: runs/compare-DATASET, numbered if it exists].
    #[arg(long, value_name = "DIR", conflicts_with = "resume", help_heading = COMPARISON)]
    out: Option<PathBuf>,
    /// Continue the comparison in this folder, or show a finished one.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["vary", "seeds", "inference_steps", "energy_samples", "data_dir"],
          help_heading = COMPARISON)]
    resume: Option<PathBuf>,
    /// Print what would be trained, and exit.
    #[arg(long, help_heading = COMPARISON)]
    dry_run: bool,
    #[command(flatten)]
    device: DeviceArgument,
}

const COMPARISON: &str = "Comparison";
const EXAMPLES: &str = "\
Examples:
  synfire compare                                           three methods on the built-in digits, three seeds each
  synfire compare nmnist --vary method=stbp,bpsta --vary time-steps=4,8 --seeds 5
  synfire compare --vary alpha=0,0.1,0.2,0.5,1              the weight of the error across a spike
  synfire compare --vary method=bpsta,ann                   beside a network without neurons
  synfire compare --resume runs/compare-digits              go on where it was stopped, or show it

Ctrl-C stops all runs after the present batch; --resume continues to the same result, bit for bit.
With --json, each line has an event: run (a run's result), stopped or finished (the table).";

/// Reads `KEY=A,B,…`.
fn axis(argument: &str) -> Result<Axis, String> {
    let (key, values) = argument.split_once('=').ok_or("expected KEY=A,B,…, such as method=stbp,bpsta")?;
    let key = key.trim_start_matches('-').to_string();
    if key == "seed" || key == "data-dir" {
        return Err(format!("{key} cannot be varied; seeds are given by --seeds"));
    }
    // What is no number, no true and no false is a name.
    let value = |text: &str| match format!("v = {text}").parse::<toml::Table>() {
        Ok(mut table) => table.remove("v").expect("it was just written"),
        Err(_) => text.into(),
    };
    let values: Vec<toml::Value> = values.split(',').map(str::trim).map(value).collect();
    let number = |value: &toml::Value| value.as_float().or(value.as_integer().map(|whole| whole as f64));
    let same = |a: &toml::Value, b: &toml::Value| a == b || (number(a).is_some() && number(a) == number(b));
    let repeated = |(i, value): (usize, &toml::Value)| values[..i].iter().any(|other| same(other, value));
    match values.iter().enumerate().find(|&found| repeated(found)) {
        Some((_, value)) => Err(format!("{} is named twice", text(value))),
        None if values.iter().any(|value| text(value).is_empty()) => Err("a value is empty".into()),
        None => Ok(Axis { key, values }),
    }
}

impl Compare {
    pub(crate) fn run(self, console: &Console) -> Result<ExitCode, Error> {
        let given = self.settings.table()?;
        let (folder, comparison) = match &self.resume {
            Some(folder) => {
                Settings::refuse(&given, "a comparison keeps the settings of its compare.toml")?;
                (folder.clone(), Comparison::read(folder)?)
            }
            None => self.begin(given)?,
        };
        let runs = comparison.runs()?;
        if self.dry_run {
            runs.iter().for_each(|run| console.say(line(&comparison, run)));
            let names: Vec<&str> = runs.iter().map(|run| &*run.name).collect();
            console.json(&serde_json::json!({ "runs": names }));
            return Ok(ExitCode::SUCCESS);
        }
        let mut left = Vec::new();
        for run in &runs {
            if self.resume.is_none() || run.result(&folder)?.is_none() {
                left.push(run.clone());
            }
        }
        if !left.is_empty() {
            let devices = self.device.open_some(self.jobs.map_or(usize::MAX, usize::from).min(left.len()))?;
            let largest = check(&comparison, &left, &devices)?;
            let jobs = self.jobs(left.len(), largest, &devices, console);
            if self.resume.is_none() {
                comparison.begin(&folder)?;
            }
            let on = match &devices[..] {
                [one] if is_cpu(one) => String::new(),
                all => format!(
                    " on {}",
                    all.iter().map(|device| name(device).to_string()).collect::<Vec<_>>().join(", ")
                ),
            };
            console.note(format!(
                "comparing {} runs, {jobs} at a time{on}, in {}",
                left.len(),
                folder.display()
            ));
            let stopped = train(&comparison, &runs, (&folder, jobs), &devices, console)?;
            if let Some(code) = stopped {
                return Ok(code);
            }
        }
        table::show(&comparison, &comparison.results(&folder)?, &folder, console)?;
        Ok(ExitCode::SUCCESS)
    }

    /// What is to be compared, and where.
    fn begin(&self, given: toml::Table) -> Result<(PathBuf, Comparison), Error> {
        let mut settings = match &self.config {
            Some(file) => TrainConfig::settings_in(file)?,
            None => toml::Table::new(),
        };
        settings.extend(given);
        if let Some(folder) = &self.data_dir {
            settings.insert("data-dir".into(), folder.to_str().unwrap_or_default().into());
        }
        let mut vary = match &self.vary[..] {
            [] => vec![axis("method=stbp,bpsa,bpsta").expect("a sound axis")],
            given => given.to_vec(),
        };
        // Folders are found again from any other one.
        let given = settings.iter_mut().map(|(key, value)| (&**key, value));
        let varied = vary.iter_mut().flat_map(|axis| axis.values.iter_mut().map(|value| (&*axis.key, value)));
        for (key, value) in given.chain(varied) {
            let path = value.as_str().filter(|text| key == "data-dir" || (key == "dataset" && is_path(text)));
            if let Some(path) = path {
                let whole = std::path::absolute(path).ok().and_then(|path| path.to_str().map(str::to_string));
                let problem = || Error::usage(format!("--{key} {path}: expected a path in UTF-8"));
                *value = whole.ok_or_else(problem)?.into();
            }
        }
        if let Some(axis) =
            vary.iter().enumerate().find(|(i, axis)| vary[..*i].iter().any(|a| a.key == axis.key))
        {
            return Err(Error::usage(format!("--vary {}: it is varied already", axis.1.key)));
        }
        if let Some(axis) = vary.iter().find(|axis| settings.contains_key(&axis.key)) {
            return Err(Error::usage(format!("--vary {0}: --{0} is given too", axis.key)));
        }
        let first = match settings.remove("seed") {
            Some(seed) => seed.as_integer().and_then(|seed| u64::try_from(seed).ok()).unwrap_or(u64::MAX),
            None => 0,
        };
        let comparison = Comparison {
            seeds: (0..u64::from(self.seeds)).map(|i| first.saturating_add(i)).collect(),
            inference_steps: {
                let steps: BTreeSet<usize> = self.inference_steps.iter().map(|&steps| steps.into()).collect();
                steps.into_iter().collect()
            },
            energy_samples: self.energy_samples as usize,
            settings,
            vary,
        };
        let folder = match &self.out {
            Some(out) => out.clone(),
            None => {
                let dataset =
                    comparison.settings.get("dataset").and_then(toml::Value::as_str).unwrap_or("digits");
                let dataset = if is_path(dataset) { run_name(dataset) } else { dataset.to_string() };
                unused(&Path::new("runs").join(format!("compare-{dataset}")))
            }
        };
        Ok((folder, comparison))
    }

    /// How many runs are trained at once.
    fn jobs(&self, runs: usize, largest: u128, devices: &[Device], console: &Console) -> usize {
        let usual = if is_cpu(&devices[0]) { rayon::current_num_threads() } else { devices.len() };
        let wanted = self.jobs.map_or(usual, usize::from).min(runs).max(1);
        // A run that may not fit is tried.
        let each = |bytes: u128| ((bytes / largest.max(1)) as usize).max(1);
        let least = devices.iter().filter_map(available_on).min();
        let fitting = least.map_or(wanted, |bytes| each(bytes).saturating_mul(devices.len()));
        if fitting < wanted {
            console.note(format!("memory is enough for {fitting} of {wanted} runs at once"));
        }
        wanted.min(fitting)
    }
}

/// `folder`, or the first of `folder-2`, `folder-3`, … that does not exist.
fn unused(folder: &Path) -> PathBuf {
    let numbered = (2..).map(|number| PathBuf::from(format!("{}-{number}", folder.display())));
    let mut candidates = std::iter::once(folder.to_path_buf()).chain(numbered);
    candidates.find(|path| !path.exists()).expect("some number is free")
}

/// A run in words: `method=bpsta time-steps=4 seed 0`.
fn line(comparison: &Comparison, run: &PlannedRun) -> String {
    let values =
        comparison.vary.iter().zip(&run.values).map(|(axis, value)| format!("{}={value} ", axis.key));
    format!("{}seed {}", values.collect::<String>(), run.config.seed)
}

/// Trains what is left; an exit code if it was stopped.
fn train(
    comparison: &Comparison,
    runs: &[PlannedRun],
    (folder, jobs): (&Path, usize),
    devices: &[Device],
    console: &Console,
) -> Result<Option<ExitCode>, Error> {
    let bar = console.bar(1000, "{prefix} {bar:16} {msg}");
    let stop = Stop::beside(&bar, console, None)?;
    let follow = Follow::new(console, comparison, runs, stop.clone(), bar.clone());
    let cache = Cache::of_user();
    let ended = run(comparison, folder, jobs, devices, cache.as_ref(), &follow);
    stop.settle();
    bar.finish_and_clear();
    let resume = format!("synfire compare --resume {}", shell_word(folder));
    let ended = ended.inspect_err(|error| {
        console.note(format!("stopped by an error; once {}, continue with\n  {resume}", way_on(error)))
    })?;
    if ended == Ended::Finished {
        return Ok(None);
    }
    console.note(format!("stopped; continue with\n  {resume}"));
    console.json(
        &serde_json::json!({ "event": "stopped", "folder": folder.display().to_string(), "resume": resume }),
    );
    Ok(Some(ExitCode::from(stop.exit_code())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_read_with_the_kinds_of_their_values() {
        let found = axis("--alpha=0,0.5, 1e-3").unwrap();
        assert_eq!(found.key, "alpha");
        assert_eq!(found.values, [0.into(), 0.5.into(), toml::Value::from(1e-3)]);
        let net = axis("net=8C3-AP2-LI2,nmnist").unwrap();
        assert_eq!(net.values, ["8C3-AP2-LI2".into(), toml::Value::from("nmnist")]);
        assert_eq!(axis("flip=true").unwrap().values, [true.into()]);
        for wrong in ["alpha", "seed=1,2", "method=stbp,stbp", "method=stbp,", "alpha=0,0.0"] {
            assert!(axis(wrong).is_err(), "{wrong}");
        }
    }
}
