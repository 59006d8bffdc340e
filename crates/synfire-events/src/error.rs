//! What can go wrong between bytes and frames.

use std::fmt;
use std::path::{Path, PathBuf};

/// An error of reading, writing or framing a recording.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The operating system could not read the file.
    #[error("cannot read the recording {}: {source}", file.display())]
    Io {
        /// The file that was to be read.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The operating system could not write the file.
    #[error("cannot write the recording {}: {source}", file.display())]
    Write {
        /// The file that was to be written.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The content is that of no format.
    #[error("cannot read {}: its content is that of no known format of recordings", Name(file))]
    UnknownContent {
        /// The file, unless the bytes came from memory.
        file: Option<PathBuf>,
    },
    /// The bytes break the rules of their format.
    #[error("cannot read {} as {format}: at byte {offset} expected {expected}, found {found}", Name(file))]
    Malformed {
        /// The file, unless the bytes came from memory.
        file: Option<PathBuf>,
        /// The format's name.
        format: &'static str,
        /// Where the offending value starts, in bytes from the start of the file.
        offset: u64,
        /// What the format asks for there.
        expected: String,
        /// What was there.
        found: String,
    },
    /// A table of labels breaks its rules.
    #[error("cannot read the labels of {}: in line {line} expected {expected}, found {found}", Name(file))]
    Labels {
        /// The table's file, unless its text came from memory.
        file: Option<PathBuf>,
        /// The line, where the first one is 1.
        line: usize,
        /// What the table must have there.
        expected: String,
        /// What was there.
        found: String,
    },
    /// The recording holds no event, so that there is nothing to train on.
    #[error("cannot use {}: expected at least one event, found none in its {bytes} bytes", Name(file))]
    NoEvents {
        /// The file, unless the bytes came from memory.
        file: Option<PathBuf>,
        /// Length of the file.
        bytes: u64,
    },
    /// An event cannot be written in the format asked for.
    #[error("cannot write event {index} as {format}: expected {expected}, found {found}")]
    Unwritable {
        /// The format's name.
        format: &'static str,
        /// Position of the event in the recording.
        index: usize,
        /// What the format can hold.
        expected: String,
        /// What the event holds.
        found: String,
    },
    /// The recording cannot be counted into the frames asked for.
    #[error("cannot turn a recording into frames: expected {expected}, found {found}")]
    Frames {
        /// What framing needs.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A recording cannot be changed so.
    #[error("cannot {action}: expected {expected}, found {found}")]
    Edit {
        /// What was to be done.
        action: &'static str,
        /// What it needs.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A camera cannot be simulated so.
    #[error("cannot simulate a camera: expected {expected}, found {found}")]
    Simulation {
        /// What the simulation needs.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A name that nothing has.
    #[error("unknown {what} {name:?}: expected one of {known}")]
    UnknownName {
        /// What was asked for, such as `format`.
        what: &'static str,
        /// By which name.
        name: String,
        /// The names there are.
        known: String,
    },
}

impl EventError {
    /// Names the file in an error that came from its bytes.
    #[must_use]
    pub fn in_file(mut self, path: &Path) -> Self {
        match &mut self {
            Self::Malformed { file, .. }
            | Self::NoEvents { file, .. }
            | Self::Labels { file, .. }
            | Self::UnknownContent { file } => *file = Some(path.to_owned()),
            Self::Io { file, .. } => path.clone_into(file),
            _ => {}
        }
        self
    }
}

/// Prints a file's name, or a stand-in for bytes in memory.
struct Name<'a>(&'a Option<PathBuf>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(path) => write!(f, "{}", path.display()),
            None => f.write_str("the recording"),
        }
    }
}
