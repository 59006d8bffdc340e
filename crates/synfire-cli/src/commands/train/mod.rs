//! `synfire train`.

mod progress;
pub(crate) mod settings;

use super::{DeviceArgument, Error, open_device, percent};
use crate::console::Console;
use crate::out_of_memory;
use crate::ranks;
use crate::stop::Stop;
use burn::tensor::Device;
use clap::Args;
use progress::Progress;
use settings::Settings;
pub(crate) use settings::network;
use std::collections::{BTreeSet, HashSet};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use synfire::device::{self, DeviceName, Runtime};
use synfire::net::NonFinite;
use synfire::parallel::{Group, Threads};
use synfire::train::{Outcome, RunFolder, Summary, TrainConfig, TrainError, Trainer};
use synfire_data::{Cache, find, is_path};
use synfire_report::text::duration;
use sysinfo::System;

/// Train a spiking network.
///
/// Without a data set the built-in digits are used. A run is a folder: config.toml (all settings), metrics.jsonl (a
/// line per epoch), TensorBoard events, checkpoints/last.safetensors and checkpoints/best.safetensors, summary.json.
/// The best epoch is chosen by validation samples held back from training; the test set is used once, at the end.
///
/// Defaults depend on the data set and the recipe; --print-config shows them.
#[derive(Args)]
#[command(
    allow_negative_numbers = true,
    args_override_self = true,
    after_help = "Settings come from the recipe, over them those of --config, over them the options given.\nCtrl-C stops \
                  after the present batch; --resume then continues to the same result, bit for bit.\nWith --json, each \
                  line has an event: start, note, warning, epoch (as in metrics.jsonl), stopped or finished."
)]
pub(crate) struct Train {
    #[command(flatten)]
    settings: Settings,
    /// Folder of data sets, searched before SYNFIRE_DATA and the user's cache folder.
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    data_dir: Option<PathBuf>,
    /// Count the events of recordings into frames anew in every epoch, instead of once into the cache of frames
    /// (`synfire data cache`).
    #[arg(long, help_heading = "Data")]
    no_cache: bool,
    /// File of settings (TOML); its keys are the options here. A run's config.toml is one.
    #[arg(long, value_name = "FILE", conflicts_with = "resume", help_heading = RUN)]
    config: Option<PathBuf>,
    /// Print the resulting settings (TOML) and exit.
    #[arg(long, conflicts_with = "resume", help_heading = RUN)]
    print_config: bool,
    /// Folder of the run [default: runs/DATASET, numbered if it exists].
    #[arg(long, value_name = "DIR", conflicts_with = "resume", help_heading = RUN)]
    out: Option<PathBuf>,
    /// Continue the run in this folder, with its own settings.
    #[arg(long, value_name = "RUN", help_heading = RUN)]
    resume: Option<PathBuf>,
    /// Print the firing rates and gradient norms of each layer after each epoch.
    #[arg(long, short, conflicts_with = "quiet", help_heading = RUN)]
    verbose: bool,
    #[command(flatten)]
    device: DeviceArgument,
    /// Train on several devices at once, each of which has its share of every batch (cuda:0,cuda:1). Of processes that MPI starts on
    /// a machine the first takes the first device, and so on; with `--device cuda` they take all that there are.
    #[arg(long, value_name = "DEVICE,…", value_delimiter = ',', conflicts_with = "device")]
    devices: Vec<String>,
}

const RUN: &str = "Run";

impl Train {
    pub(crate) fn run(&self, console: &Console) -> Result<ExitCode, Error> {
        if let Some(group) = ranks::of_mpi()? {
            let place = ranks::here().unwrap_or(group.rank());
            return self.run_rank(&group, || self.open_in_turn(place), console);
        }
        if let Some(told) = ranks::apart() {
            console.note(told);
        }
        match &self.devices[..] {
            [] => self.run_in(None, || self.device.open(), console),
            [name] => self.run_in(None, || open_device("--devices", name), console),
            names => {
                // What is wrong with a name is told once, before any of them begins.
                self.each_gpu_once()?;
                let devices: Vec<_> =
                    names.iter().map(|name| open_device("--devices", name)).collect::<Result<_, _>>()?;
                thread::scope(|scope| {
                    let begin =
                        |(group, device)| scope.spawn(move || self.run_rank(&group, || Ok(device), console));
                    let ranks: Vec<_> =
                        Threads::ranks(devices.len()).into_iter().zip(devices).map(begin).collect();
                    let ended = ranks
                        .into_iter()
                        .map(|rank| rank.join().unwrap_or_else(|panic| resume_unwind(panic)));
                    ended.collect::<Vec<_>>().swap_remove(0)
                })
            }
        }
    }

    /// Refuses two ranks on one GPU, which would share its memory and be no faster.
    fn each_gpu_once(&self) -> Result<(), Error> {
        let mut named = HashSet::new();
        let names = self.devices.iter().filter_map(|name| name.parse::<DeviceName>().ok());
        for name in names.filter(|name| name.runtime != Runtime::Cpu) {
            if !named.insert(name) {
                return Err(Error::usage(format!(
                    "--devices: {name} is named twice, expected each device once"
                )));
            }
        }
        Ok(())
    }

    /// The device of the process that has this place among those of its machine, which take its devices in turn.
    fn open_in_turn(&self, place: usize) -> Result<Device, Error> {
        match &self.devices[..] {
            [] => self.device.open_in_turn(place),
            names => open_device("--devices", &names[place % names.len()]),
        }
    }

    /// As a rank of `group`, of whom the first one speaks.
    fn run_rank(
        &self,
        group: &Arc<dyn Group>,
        open: impl FnOnce() -> Result<Device, Error>,
        console: &Console,
    ) -> Result<ExitCode, Error> {
        /// The others would wait for a rank that panics.
        struct Leaving<'a>(&'a dyn Group);
        impl Drop for Leaving<'_> {
            fn drop(&mut self) {
                if thread::panicking() {
                    self.0.leave();
                }
            }
        }
        let _leaving = Leaving(&**group);
        let other = (group.rank() > 0).then(|| Console::of_rank(group.rank()));
        let console_of_own = other.as_ref().unwrap_or(console);
        let ran = out_of_memory::told(|| self.run_in(Some(group.clone()), open, console_of_own));
        ran.inspect_err(|error| {
            if let Some(other) = &other {
                other.error(error);
            } else if ranks::by_mpi() {
                // MPI ends this process before its caller could say it.
                console.error(error);
            }
            group.leave();
        })
    }

    /// Alone or as a rank of `group`.
    fn run_in(
        &self,
        group: Option<Arc<dyn Group>>,
        open: impl FnOnce() -> Result<Device, Error>,
        console: &Console,
    ) -> Result<ExitCode, Error> {
        let device = &open()?;
        let given = self.settings.table()?;
        let resumes = self.resume.is_some();
        let trainer = match &self.resume {
            Some(run) => {
                Settings::refuse(&given, "a run keeps the settings of its config.toml")?;
                Trainer::resume_in(group.clone(), RunFolder::new(run), self.data_dir.clone(), device)?
            }
            None => {
                let mut config = TrainConfig::resolve(self.config.as_deref(), given)?;
                config.data_dir = self.data_dir.clone().or(config.data_dir);
                if self.print_config {
                    config.validate()?;
                    if !is_path(&config.dataset) {
                        find(&config.dataset)?;
                    }
                    console.say(config.to_toml().trim_end());
                    console.json(&config);
                    return Ok(ExitCode::SUCCESS);
                }
                let folder = match &self.out {
                    Some(out) => RunFolder::new(out),
                    None => RunFolder::numbered(Path::new("runs").join(run_name(&config.dataset))),
                };
                Trainer::start_in(group.clone(), config, None, folder, device)?
            }
        };
        let mut trainer = trainer.with_cache(if self.no_cache { None } else { Cache::of_user() });
        if trainer.is_finished()? {
            let path = trainer.folder().path();
            console.note(format!("{} is finished; there is nothing to resume", path.display()));
            report(console, path, &trainer.folder().summary()?);
            return Ok(ExitCode::SUCCESS);
        }
        introduce(console, &trainer, resumes, &Devices::of(group.as_deref(), device)?);
        train(&mut trainer, console, self.verbose)
    }
}

fn train(trainer: &mut Trainer, console: &Console, verbose: bool) -> Result<ExitCode, Error> {
    let path = trainer.folder().path().to_path_buf();
    let bar = console.bar(0, "{prefix} {bar:16} {msg}");
    let resume = format!("synfire train --resume {}", shell_word(&path));
    // MPI's launcher ends all processes in this way when one is lost, and the batch is never over.
    let lost = format!("; if a rank was lost, go on from the last checkpoint with\n  {resume}");
    let stop = Stop::beside(&bar, console, ranks::by_mpi().then_some(lost))?;
    let mut progress = Progress::new(console, trainer, stop.clone(), bar.clone(), verbose);
    let outcome = trainer.run(&mut progress);
    stop.settle();
    bar.finish_and_clear();
    match outcome.inspect_err(|error| {
        // A run that diverged would diverge again.
        let mended = match error {
            TrainError::NonFiniteAt { found, .. } => matches!(found, NonFinite::Input { .. }),
            // Another rank knows why.
            TrainError::Lost(_) => false,
            _ => true,
        };
        if mended && trainer.folder().last().exists() {
            console.note(format!("stopped by an error; once {}, continue with\n  {resume}", way_on(error)));
        }
    })? {
        Outcome::Finished(summary) => {
            report(console, &path, &summary);
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Stopped { epoch, batch } => {
            let place = if epoch < trainer.config().epochs {
                format!("in epoch {} after {batch} batches", epoch + 1)
            } else {
                "before the test".to_string()
            };
            console.note(format!("stopped {place}; continue with\n  {resume}"));
            console.json(&serde_json::json!({ "event": "stopped", "run": text(&path), "resume": resume }));
            Ok(ExitCode::from(stop.exit_code()))
        }
    }
}

/// After what a run may go on that this error has stopped. It keeps its settings.
pub(crate) fn way_on(error: &TrainError) -> &'static str {
    match error {
        TrainError::Full { .. } => "the device has more memory to spare",
        _ => "it is mended",
    }
}

/// A path for people and JSON, neither of which has bytes that are no text.
fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A path as a shell takes it.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = text(path);
    if text.chars().all(|c| c.is_alphanumeric() || "/._-+:@%=,\\".contains(c)) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// What a run on this data set is called: the set's name, or that of a folder of one's own.
pub(crate) fn run_name(dataset: &str) -> String {
    let last = || std::path::absolute(dataset).ok()?.file_name()?.to_str().map(str::to_owned);
    if is_path(dataset) { last().unwrap_or_else(|| "run".to_owned()) } else { dataset.to_owned() }
}

/// What the ranks compute on.
struct Devices {
    /// Their names in the order of the ranks; what this process computes on if it is alone.
    names: Vec<String>,
    /// Ranks share a GPU: they are as fast as fewer would be, and take more of its memory.
    shared: bool,
}

impl Devices {
    fn of(group: Option<&dyn Group>, own: &Device) -> Result<Self, Error> {
        let own = device::name(own).to_string();
        let Some(group) = group else { return Ok(Self { names: vec![own], shared: false }) };
        // Another machine, or a process that sees other GPUs, means another one by the same name.
        let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
        let own = [own, System::host_name().unwrap_or_default(), visible].join("\n");
        let of = |rank| group.of(rank, own.as_bytes()).map(|own| String::from_utf8_lossy(&own).into_owned());
        let all: Vec<String> =
            (0..group.size()).map(of).collect::<Result<_, _>>().map_err(TrainError::from)?;
        let name = |one: &String| one.lines().next().unwrap_or_default().to_string();
        let names: Vec<String> = all.iter().map(name).collect();
        let mut gpus = HashSet::new();
        let shared = all.iter().zip(&names).any(|(one, name)| name != "cpu" && !gpus.insert(one));
        Ok(Self { names, shared })
    }
}

/// Says what is about to be trained on what.
fn introduce(console: &Console, trainer: &Trainer, resumes: bool, devices: &Devices) {
    let (config, data, plan) = (trainer.config(), trainer.data(), trainer.net().plan());
    let split = trainer.split();
    for note in &data.notes {
        console.note(note);
    }
    let folder = data.folder.as_deref().map_or("built in".to_string(), text);
    console.note(format!(
        "data     {}: {} training, {} validation, {} test samples (split {}), {folder}",
        data.name,
        split.train.len(),
        split.validation.len(),
        data.test.len(),
        split.checksum()
    ));
    console.note(format!("network  {}, {} parameters", plan.spec, plan.parameters()));
    console.note(format!(
        "method   {}, {} time steps, {}, {}, recipe {}, seed {}",
        config.method, config.time_steps, config.loss, config.precision, config.recipe, config.seed
    ));
    let run = text(trainer.folder().path());
    console.note(format!("run      {run}"));
    let Devices { names, shared } = devices;
    let gpus: BTreeSet<&str> = names.iter().map(String::as_str).filter(|name| *name != "cpu").collect();
    let share = if *shared { " (shared by several ranks)" } else { "" };
    let gpus = Vec::from_iter(gpus).join(", ");
    match (names.len(), gpus.as_str()) {
        (1, "") => {}
        (1, gpu) => console.note(format!("device   {gpu}")),
        (ranks, gpus) => {
            let on = if gpus.is_empty() { String::new() } else { format!(", on {gpus}{share}") };
            console.note(format!("ranks    {ranks}, each with its share of every batch{on}"));
        }
    }
    let position = trainer.position();
    let resumed = match (resumes, position.steps) {
        (false, _) => None,
        (true, 0) => Some("no checkpoint yet: from the beginning".to_string()),
        (true, _) if position.finished || position.epoch == config.epochs => {
            Some("before the test".to_string())
        }
        (true, _) => Some(format!("in epoch {} after {} batches", position.epoch + 1, position.batch)),
    };
    if let Some(place) = &resumed {
        console.note(format!("resumed  {place}"));
    }
    console.json(&serde_json::json!({
        "event": "start", "run": run, "dataset": data.name, "folder": folder, "notes": data.notes,
        "train_samples": split.train.len(), "validation_samples": split.validation.len(),
        "test_samples": data.test.len(), "split": split.checksum(), "net": plan.spec.to_string(),
        "parameters": plan.parameters(), "precision": config.precision.to_string(), "resumed": resumed,
        "devices": names,
    }));
}

fn report(console: &Console, path: &Path, summary: &Summary) {
    console.say(format!(
        "test accuracy {} of {} samples (epoch {} of {}, chosen by validation accuracy {}; {})",
        percent(summary.test_accuracy),
        summary.test_samples,
        summary.best_epoch,
        summary.epochs,
        percent(summary.validation_accuracy),
        duration(summary.train_seconds)
    ));
    console.say(text(&path.join("checkpoints/best.safetensors")));
    console.json(&serde_json::json!({ "event": "finished", "run": text(path), "summary": summary }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_command_can_be_pasted() {
        assert_eq!(shell_word(Path::new("runs/digits-2")), "runs/digits-2");
        assert_eq!(shell_word(Path::new("my runs/it's")), r"'my runs/it'\''s'");
    }
}
