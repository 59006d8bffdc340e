//! The formats there are.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::formats::{
    Decoder, EncodeError, Encoder, Fault, Output, aedat2, aedat4, aedat31, csv, dat, evt2, evt3, nmnist, npy,
    npz,
};
use crate::{EventError, Origin};

/// A file format of recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// [`evt2`].
    Evt2,
    /// [`evt3`].
    Evt3,
    /// [`dat`].
    Dat,
    /// [`aedat2`].
    Aedat2,
    /// [`aedat31`].
    Aedat31,
    /// [`aedat4`].
    Aedat4,
    /// [`npy`].
    Npy,
    /// [`npz`].
    Npz,
    /// [`csv`].
    Csv,
    /// [`nmnist`].
    Nmnist,
}

/// Begins to decode a file; see [`Format::begin`].
type Begin = fn(&[u8]) -> Result<(usize, Box<dyn Decoder>), Fault>;
/// Begins to encode one; see [`Format::encoder`].
type Start = fn(Origin, &mut dyn Output) -> Result<Box<dyn Encoder>, EncodeError>;

/// What is known about a format, in the order in which files are compared with them.
struct Entry {
    format: Format,
    name: &'static str,
    title: &'static str,
    extension: &'static str,
    matches: fn(&[u8], u64) -> bool,
    begin: Begin,
    encoder: Start,
}

static FORMATS: &[Entry] = &[
    Entry {
        format: Format::Evt2,
        name: "evt2",
        title: "an EVT 2.0 recording",
        extension: "raw",
        matches: evt2::matches,
        begin: evt2::begin,
        encoder: evt2::encoder,
    },
    Entry {
        format: Format::Evt3,
        name: "evt3",
        title: "an EVT 3.0 recording",
        extension: "raw",
        matches: evt3::matches,
        begin: evt3::begin,
        encoder: evt3::encoder,
    },
    Entry {
        format: Format::Dat,
        name: "dat",
        title: "a DAT recording",
        extension: "dat",
        matches: dat::matches,
        begin: dat::begin,
        encoder: dat::encoder,
    },
    Entry {
        format: Format::Aedat2,
        name: "aedat2",
        title: "an AEDAT 2.0 recording",
        extension: "aedat",
        matches: aedat2::matches,
        begin: aedat2::begin,
        encoder: aedat2::encoder,
    },
    Entry {
        format: Format::Aedat31,
        name: "aedat3.1",
        title: "an AEDAT 3.1 recording",
        extension: "aedat",
        matches: aedat31::matches,
        begin: aedat31::begin,
        encoder: aedat31::encoder,
    },
    Entry {
        format: Format::Aedat4,
        name: "aedat4",
        title: "an AEDAT 4.0 recording",
        extension: "aedat4",
        matches: aedat4::matches,
        begin: aedat4::begin,
        encoder: aedat4::encoder,
    },
    Entry {
        format: Format::Npy,
        name: "npy",
        title: "a NumPy array of events",
        extension: "npy",
        matches: npy::matches,
        begin: npy::begin,
        encoder: npy::encoder,
    },
    Entry {
        format: Format::Npz,
        name: "npz",
        title: "a NumPy archive of events",
        extension: "npz",
        matches: npz::matches,
        begin: npz::begin,
        encoder: npz::encoder,
    },
    // Has no mark but that its lines are numbers.
    Entry {
        format: Format::Csv,
        name: "csv",
        title: "a text table of events",
        extension: "csv",
        matches: csv::matches,
        begin: csv::begin,
        encoder: csv::encoder,
    },
    // Has no mark, so that the others come first.
    Entry {
        format: Format::Nmnist,
        name: "nmnist",
        title: "an N-MNIST recording",
        extension: "bin",
        matches: nmnist::matches,
        begin: nmnist::begin,
        encoder: nmnist::encoder,
    },
];

impl Format {
    /// All formats.
    pub fn all() -> impl Iterator<Item = Self> {
        FORMATS.iter().map(|entry| entry.format)
    }

    fn entry(self) -> &'static Entry {
        FORMATS.iter().find(|entry| entry.format == self).expect("every format has an entry")
    }

    /// Its name, as [`FromStr`] reads it.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// What a file of it is called in a sentence, with its article.
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// The usual ending of a file's name.
    pub fn extension(self) -> &'static str {
        self.entry().extension
    }

    /// The format of a file of `len` bytes that begins with `head`: all of it, or its first [`HEAD`](crate::formats::HEAD) bytes.
    pub fn detect(head: &[u8], len: u64) -> Option<Self> {
        FORMATS.iter().find(|entry| (entry.matches)(head, len)).map(|entry| entry.format)
    }

    /// The format that a file's name asks for by its ending. Where several have that ending, it is the first of [`Format::all`].
    pub fn of_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Self::all().find(|format| format.extension() == extension)
    }

    /// A decoder of what follows a header, and where that begins. `head` is the start of the file: all of it, or its first
    /// [`HEAD`](crate::formats::HEAD) bytes.
    ///
    /// # Errors
    /// What the header breaks.
    pub fn begin(self, head: &[u8]) -> Result<(usize, Box<dyn Decoder>), Fault> {
        (self.entry().begin)(head)
    }

    /// An encoder, which has written what stands in front of the events.
    ///
    /// # Errors
    /// Where the output refuses, or the format has no room for the sensor.
    pub fn encoder(
        self,
        origin: impl Into<Origin>,
        output: &mut dyn Output,
    ) -> Result<Box<dyn Encoder>, EncodeError> {
        (self.entry().encoder)(origin.into(), output)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = EventError;

    fn from_str(name: &str) -> Result<Self, EventError> {
        Self::all().find(|format| format.name() == name).ok_or_else(|| {
            let known = Self::all().map(Self::name).collect::<Vec<_>>().join(", ");
            EventError::UnknownName { what: "format", name: name.to_owned(), known }
        })
    }
}
