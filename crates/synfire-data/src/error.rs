//! What can go wrong between a data set's name and a batch.

use std::path::{Path, PathBuf};

use synfire_events::EventError;

/// An error of finding, reading, splitting or loading a data set.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No data set has this name.
    #[error(
        "unknown data set {name:?}: {}the data sets are {}{}", hint(suggestion.as_deref()), known.join(", "),
        if *folder { format!("; the folder {name} is ./{name}") } else { String::new() }
    )]
    UnknownSet {
        /// The name asked for.
        name: String,
        /// The name that was probably meant.
        suggestion: Option<String>,
        /// The names there are.
        known: Vec<&'static str>,
        /// A folder has that name, whose path was perhaps meant.
        folder: bool,
    },
    /// The folder named for data sets is none.
    #[error(
        "data-dir {}: {}",
        folder.display(),
        if folder.exists() { "is not a folder" } else { "there is no such folder" }
    )]
    NoFolder {
        /// What was named.
        folder: PathBuf,
    },
    /// No searched folder has the data set's own folder in it.
    #[error(
        "cannot find the data set {set}: expected a folder {set} with {files}, found none in {}; \
         `synfire data fetch {set}` downloads it, --data-dir or SYNFIRE_DATA names the folder that holds it{}",
        list(searched),
        itself(set, searched)
    )]
    SetNotFound {
        /// The data set, and its folder's name.
        set: &'static str,
        /// The files the folder should hold.
        files: &'static str,
        /// The folders searched, in order.
        searched: Vec<PathBuf>,
    },
    /// There is nothing to fetch for a data set.
    #[error("{set} is built in: there is nothing to fetch; sets to fetch are {}", known.join(", "))]
    BuiltIn {
        /// The data set.
        set: &'static str,
        /// The sets that are fetched.
        known: Vec<&'static str>,
    },
    /// No folder for data sets can be written.
    #[error("cannot write to a folder of data sets: {}; name one with --data-dir", reasons_of(reasons))]
    NotWritable {
        /// What the system said of each.
        reasons: Vec<String>,
    },
    /// A data set's folder lacks files.
    #[error("cannot open the data set {set}: expected {expected}, found none in {}", folder.display())]
    FilesMissing {
        /// The data set.
        set: &'static str,
        /// The files looked for.
        expected: String,
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// A folder of one's own is no data set, or a file in it no sample.
    #[error("cannot use {}: expected {expected}, found {found}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What is needed.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The operating system could not read a file or folder.
    #[error("cannot read {}: {source}", file.display())]
    Io {
        /// The file or folder that was to be read.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The operating system could not write or remove a file.
    #[error("cannot write {}: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Work was stopped by who asked for it.
    #[error("stopped")]
    Stopped,
    /// A file breaks the rules of its format.
    #[error("cannot read {} as {format}: at byte {offset} expected {expected}, found {found}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The format's name.
        format: &'static str,
        /// Where the offending value starts, in bytes from the start of the file, after decompression.
        offset: u64,
        /// What the format asks for there.
        expected: String,
        /// What was there.
        found: String,
    },
    /// A gzip file is damaged.
    #[error("cannot decompress {}: after {offset} bytes of output expected intact gzip data, found: {source}", file.display())]
    Gzip {
        /// The file.
        file: PathBuf,
        /// Bytes decompressed before the damage was noticed.
        offset: u64,
        /// What the decoder said.
        source: std::io::Error,
    },
    /// Two files that belong together hold different numbers of samples.
    #[error(
        "cannot pair images with labels: {} holds {images} images, {} holds {labels} labels, expected as many",
        image_file.display(),
        label_file.display()
    )]
    CountMismatch {
        /// The file of images.
        image_file: PathBuf,
        /// How many it holds.
        images: usize,
        /// The file of labels.
        label_file: PathBuf,
        /// How many it holds.
        labels: usize,
    },
    /// A recording cannot be read or framed.
    #[error(transparent)]
    Event(#[from] EventError),
    /// A recording cannot be turned into frames.
    #[error("{}: {source}", file.display())]
    Framing {
        /// The recording.
        file: PathBuf,
        /// Why not.
        source: EventError,
    },
    /// A value given to this library makes no sense.
    #[error("cannot {what}: expected {expected}, found {found}")]
    Usage {
        /// What was to be done.
        what: &'static str,
        /// What it needs.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The loader's threads could not be started.
    #[error("cannot start the loader's threads: {0}")]
    Threads(String),
}

impl DataError {
    pub(crate) fn io(file: &Path, source: std::io::Error) -> Self {
        Self::Io { file: file.to_owned(), source }
    }

    pub(crate) fn usage(what: &'static str, expected: impl Into<String>, found: impl ToString) -> Self {
        Self::Usage { what, expected: expected.into(), found: found.to_string() }
    }
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("did you mean {name}? "))
}

/// A hint where a folder of the set's name was searched, instead of the one that holds it.
fn itself(set: &str, searched: &[PathBuf]) -> String {
    let named_so = |folder: &&PathBuf| folder.is_dir() && folder.file_name().is_some_and(|name| name == set);
    searched.iter().find(named_so).map_or_else(String::new, |folder| {
        format!(" ({} is the set itself: name the one above it)", folder.display())
    })
}

fn reasons_of(reasons: &[String]) -> String {
    if reasons.is_empty() { "there is none".to_owned() } else { reasons.join(", ") }
}

fn list(folders: &[PathBuf]) -> String {
    if folders.is_empty() {
        return "(no folder to search)".to_owned();
    }
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
}
