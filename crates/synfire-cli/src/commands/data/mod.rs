//! `synfire data`.

mod cache;
mod camera;
mod check;
mod convert;
mod edits;
mod fetch;
mod info;
mod list;
mod show;
mod simulate;

use super::Error;
use crate::console::Console;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use synfire_data::{DataSet, Locations, is_path, thousands};
use synfire_events::{Event, EventError, Format, Origin, Reader, Recording};

/// Data sets and recordings: fetch them, look at them, convert and simulate them.
#[derive(Args)]
pub(crate) struct Data {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Subcommand)]
enum DataCommand {
    List(list::List),
    Fetch(fetch::Fetch),
    Info(info::Info),
    Check(check::Check),
    Show(show::Show),
    Convert(convert::Convert),
    Simulate(simulate::Simulate),
    Cache(cache::CacheArguments),
}

impl Data {
    pub(crate) fn run(self, console: &Console) -> Result<ExitCode, Error> {
        match self.command {
            DataCommand::List(list) => list.run(console),
            DataCommand::Fetch(fetch) => fetch.run(console),
            DataCommand::Info(info) => info.run(console),
            DataCommand::Check(check) => check.run(console),
            DataCommand::Show(show) => show.run(console),
            DataCommand::Convert(convert) => convert.run(console),
            DataCommand::Simulate(simulate) => simulate.run(console),
            DataCommand::Cache(cache) => cache.run(console),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A recording: a file, or a sample of a data set.
#[derive(Args)]
struct RecordingArgument {
    /// A recording, or with --sample the name of a data set.
    #[arg(value_name = "FILE|SET")]
    from: PathBuf,
    /// Take this sample of the set's training part, counted from 0.
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Count in the set's test part.
    #[arg(long, requires = "sample")]
    test: bool,
    /// Folder of data sets, searched before SYNFIRE_DATA and the user's cache folder.
    #[arg(long, value_name = "DIR", requires = "sample")]
    data_dir: Option<PathBuf>,
}

impl RecordingArgument {
    fn read(&self, console: &Console) -> Result<Recording, Error> {
        let Some(sample) = self.sample else {
            if !self.from.exists() && names_set(&self.from) {
                let name = self.from.display();
                let text = format!("{name} is a data set: --sample N names a recording of it");
                return Err(Error::usage(text));
            }
            return synfire_events::read(&self.from).map_err(unreadable);
        };
        let set = open(&self.from, self.data_dir.as_deref())?;
        set.notes.iter().for_each(|note| console.note(note));
        let part = if self.test { &set.test } else { &set.train };
        if sample >= part.len() {
            let text = format!("--sample {sample}: there are {} samples, counted from 0", part.len());
            return Err(Error::usage(text));
        }
        part.recording(sample)?
            .ok_or_else(|| Error::usage(format!("the samples of {} are images, not recordings", set.name)))
    }
}

/// Whether this is the name of a data set, and not a path.
fn names_set(name: &Path) -> bool {
    let name = name.to_string_lossy();
    !is_path(&name) && synfire_data::find(&name).is_ok()
}

fn open(name: &Path, data_dir: Option<&Path>) -> Result<DataSet, Error> {
    Ok(synfire_data::open(&name.to_string_lossy(), &Locations::new(data_dir)?)?)
}

/// In which format recordings are written.
#[derive(Args)]
struct FormatArgument {
    /// The format to write, as `synfire data list` names it [default: what the file's name ends in].
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

impl FormatArgument {
    fn of(&self, path: &Path) -> Result<Format, Error> {
        match &self.format {
            Some(name) => Ok(name.parse::<Format>()?),
            None => Format::of_name(path).ok_or_else(|| {
                let mut known: Vec<_> =
                    Format::all().map(|format| format!(".{}", format.extension())).collect();
                known.dedup();
                let known = known.join(", ");
                Error::usage(format!(
                    "{}: --format is needed, or a name that ends in {known}",
                    path.display()
                ))
            }),
        }
    }
}

/// The events of a file, piece by piece; of a damaged one, if it is wanted, those that can be read.
struct Pieces {
    reader: Reader,
    keep_readable: bool,
    /// What ended the events, where they are kept nevertheless.
    damage: Option<EventError>,
}

impl Pieces {
    fn open(file: &Path, keep_readable: bool) -> Result<Self, Error> {
        Ok(Self { reader: Reader::open(file).map_err(unreadable)?, keep_readable, damage: None })
    }

    fn next_events(&mut self) -> Result<Option<&[Event]>, Error> {
        match self.reader.next_events() {
            Ok(events) => Ok(events),
            Err(error) if self.keep_readable => {
                self.damage = Some(error);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Tells and returns what a file that was written does not say of where its recording comes from.
fn tell_untold(path: &Path, format: Format, origin: Origin, console: &Console) -> Result<Vec<String>, Error> {
    let notes = synfire_events::untold(path, format, origin)?;
    notes.iter().for_each(|note| console.note(format!("note: {note}")));
    Ok(notes)
}

/// Refuses to write where something is.
fn must_be_new(path: &Path, force: bool) -> Result<(), Error> {
    match path.symlink_metadata() {
        Ok(_) if !force => {
            Err(Error::usage(format!("{} is there already: --force replaces it", path.display())))
        }
        _ => Ok(()),
    }
}

fn write_failed(path: &Path, source: impl std::fmt::Display) -> Error {
    Error::failed(format!("cannot write {}: {source}", path.display()))
}

/// A size for people.
fn size(bytes: u64) -> String {
    match bytes as f64 {
        small @ ..1e6 => format!("{:.0} kB", (small / 1e3).ceil()),
        middle @ ..1e9 => format!("{:.1} MB", middle / 1e6),
        large => format!("{:.2} GB", large / 1e9),
    }
}

/// An error that a file may be the reason of, with what can be read at all.
fn unreadable(error: EventError) -> Error {
    match error {
        EventError::UnknownContent { .. } => {
            let known = Format::all().map(Format::title).collect::<Vec<_>>().join(", ");
            Error::failed(format!("{error}; known are {known}"))
        }
        other => other.into(),
    }
}
