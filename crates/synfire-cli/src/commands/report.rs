//! `synfire report`.

use super::{DeviceArgument, Error, data_set, open_checkpoint};
use crate::console::Console;
use clap::{Args, value_parser};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use synfire::compare::{Comparison, RunResult};
use synfire::file::{FileError, write_atomically};
use synfire::train::{RunFolder, check_inference};
use synfire_data::Locations;
use synfire_report::samples::Samples;
use synfire_report::{Compared, Ground, Painter, Report, Run};

/// Make a page of a run or a comparison.
///
/// The page is one file that loads nothing from elsewhere: learning curves, accuracy and certainty against time steps, what was taken
/// for what, firing rates and gradients of each layer, energy, spikes of some samples step by step, the mistakes, and how to reproduce
/// it. Each figure can be copied as CSV; --figures writes them as files for papers. A run that is still trained may be shown too.
#[derive(Args)]
pub(crate) struct ReportArguments {
    /// Folder of a run or of a comparison.
    #[arg(value_name = "RUN|COMPARISON")]
    folder: PathBuf,
    /// The page [default: report.html in that folder].
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write each figure into this folder too, as SVG and PNG.
    #[arg(long, value_name = "DIR")]
    figures: Option<PathBuf>,
    /// Look at so many samples of a run's test set, evenly spaced, for spikes and mistakes, and at 200 of them for energy; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = value_parser!(u32))]
    samples: u32,
    /// Show the spikes of these samples of a run's test set, by index [default: some that were right and some that were wrong].
    #[arg(long, value_name = "I,J,…", value_delimiter = ',')]
    show: Vec<u32>,
    /// Show the spikes of these layers alone, by layer (`64C3`) or module (`layers.3`) [default: all].
    #[arg(long, value_name = "LAYER,…", value_delimiter = ',')]
    layers: Vec<String>,
    /// Folder of data sets [default: that of the run], searched before SYNFIRE_DATA and the user's cache folder.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgument,
}

impl ReportArguments {
    pub(crate) fn run(self, console: &Console) -> Result<ExitCode, Error> {
        if !self.folder.is_dir() {
            return Err(Error::failed(format!(
                "{}: expected the folder of a run or of a comparison",
                self.folder.display()
            )));
        }
        if (!self.show.is_empty() || !self.layers.is_empty())
            && (self.samples == 0 || Comparison::is_in(&self.folder))
        {
            return Err(Error::usage("--show and --layers choose among the samples of a run's test set"));
        }
        let report = if Comparison::is_in(&self.folder) { self.compared()? } else { self.of_run(console)? };
        let out = self.out.clone().unwrap_or_else(|| self.folder.join("report.html"));
        write_atomically(&out, report.html.as_bytes())?;
        let mut files = vec![out];
        if let Some(folder) = &self.figures {
            fs::create_dir_all(folder).map_err(FileError::io("create", folder))?;
            let painter = Painter::of_system();
            if painter.is_none() {
                console
                    .note("warning: this machine has no font: figures are written as SVG alone, not as PNG");
            }
            for figure in &report.figures {
                let svg = Some(("svg", figure.svg(Ground::Paper).into_bytes()));
                let png = painter.as_ref().map(|painter| ("png", painter.png(figure)));
                for (ending, bytes) in svg.into_iter().chain(png) {
                    let path = folder.join(format!("{}.{ending}", figure.name));
                    write_atomically(&path, &bytes)?;
                    files.push(path);
                }
            }
        }
        files.iter().for_each(|file| console.say(file.display().to_string()));
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        console.json(&serde_json::json!({ "files": files }));
        Ok(ExitCode::SUCCESS)
    }

    fn of_run(&self, console: &Console) -> Result<Report, Error> {
        let folder = RunFolder::new(&self.folder);
        let Some(config) = folder.config()? else {
            let problem = "no run and no comparison: neither config.toml nor compare.toml is there";
            return Err(Error::failed(format!("{}: {problem}", self.folder.display())));
        };
        let path = if folder.best().exists() { folder.best() } else { folder.last() };
        if !path.exists() {
            let problem = "there is nothing to show yet: the first checkpoint is written when training is stopped, after some minutes, \
                           or at the end of the first epoch";
            return Err(Error::failed(format!("{}: {problem}", self.folder.display())));
        }
        let (path, checkpoint, mut net) = open_checkpoint(&path, &self.device.open()?)?;
        let mut notes = Vec::new();
        let mut samples = None;
        if self.samples > 0 {
            match data_set(&checkpoint, &path, self.data_dir.clone()) {
                Ok(data) => {
                    notes.extend(data.notes.iter().cloned());
                    let config = &checkpoint.header.config;
                    check_inference(net.plan(), config.batch_size, config.time_steps, net.device())?;
                    let wanted = (self.samples as usize).min(data.test.len());
                    let shown: Vec<usize> = self.show.iter().map(|&index| index as usize).collect();
                    if let Some(index) = shown.iter().find(|&&index| index >= data.test.len()) {
                        let last = data.test.len().saturating_sub(1);
                        return Err(Error::failed(format!(
                            "--show {index}: the test set's samples are 0 to {last}"
                        )));
                    }
                    let bar =
                        console.bar(wanted as u64, "looking at samples {bar:24} {pos}/{len}, {eta} left");
                    let mut go_on = |samples| {
                        bar.set_position(samples as u64);
                        true
                    };
                    samples = Samples::of(&mut net, config, &data, wanted, &shown, &mut go_on)?;
                    bar.finish_and_clear();
                    if let Some(samples) = &mut samples {
                        samples
                            .show_layers(&self.layers)
                            .map_err(|problem| Error::failed(format!("--layers: {problem}")))?;
                    }
                }
                Err(error) => {
                    let note = format!(
                        "without samples, energy and mistakes, as the data could not be opened: {error}"
                    );
                    console.note(format!("warning: {note}"));
                    notes.push(note);
                }
            }
        }
        let run = Run {
            name: name(&self.folder),
            config,
            plan: net.plan().clone(),
            classes: checkpoint.header.class_names.clone(),
            records: folder.records()?,
            summary: if folder.has_summary()? { Some(folder.summary()?) } else { None },
            samples,
            notes,
        };
        Ok(run.report())
    }

    fn compared(&self) -> Result<Report, Error> {
        let comparison = Comparison::read(&self.folder)?;
        let results = comparison.results(&self.folder)?;
        let mut records = BTreeMap::new();
        for finding in results.iter().filter_map(RunResult::finding) {
            let run = RunFolder::new(Comparison::run_folder(&self.folder, &finding.name));
            records.insert(finding.name.clone(), run.records()?);
        }
        let runs = comparison.runs()?;
        let sets: BTreeSet<_> = runs.iter().map(|run| (&run.config.dataset, &run.config.data_dir)).collect();
        let mut notes = Vec::new();
        for (set, folder) in sets {
            let folder = self.data_dir.as_deref().or(folder.as_deref());
            // What is missing is no reason to show no results.
            if let Ok(data) = Locations::new(folder).and_then(|places| synfire_data::open(set, &places)) {
                notes.extend(data.notes);
            }
        }
        let (name, runs) = (name(&self.folder), runs.len());
        Ok(Compared { name, comparison, runs, results, records, notes }.report())
    }
}

/// What a folder is called.
fn name(folder: &Path) -> String {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    whole.file_name().map_or_else(|| whole.display().to_string(), |name| name.to_string_lossy().into_owned())
}
