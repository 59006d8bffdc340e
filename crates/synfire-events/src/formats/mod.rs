//! File formats, a file each.
//!
//! A [`Decoder`] is given the bytes of a file piece by piece and appends the events in them; it never sees the file, so
//! that the size of the file does not matter, and a fuzzer can call it. An [`Encoder`] is given events and writes bytes.
//!
//! To add a format: a file here with `matches`, `begin` and `encoder`; a variant of [`crate::Format`] and its entry in the table;
//! tests with exact bytes and one for each malformed input (see `tests/nmnist.rs`). `tests/formats.rs` and the bench run over
//! all that are in the table.

mod aedat;
pub mod aedat2;
pub mod aedat31;
pub mod aedat4;
pub mod csv;
pub mod dat;
pub mod evt2;
pub mod evt3;
pub mod nmnist;
pub mod npy;
pub mod npz;
mod prophesee;
mod table;

use std::io::{self, Seek, Write};
use std::ops::RangeInclusive;

use crate::{Event, EventError, Sensor};

/// How many bytes from its start on a file is recognised and begun by: all of its header must lie in them.
pub const HEAD: usize = 1 << 20;

/// Stands in the header of a file that no camera made, in formats whose header is text.
pub(crate) const SIMULATED: &str = "simulated: no camera made this recording";

/// What a file's content breaks, as its format sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where the offending value starts, in bytes from the start of what was to be decoded.
    pub at: usize,
    /// What the format asks for there.
    pub expected: String,
    /// What was there.
    pub found: String,
}

impl Fault {
    /// A fault at a byte.
    pub fn new(at: usize, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { at, expected: expected.into(), found: found.into() }
    }

    /// An event that lies outside of the sensor, decoded from the bytes at `at`.
    #[cold]
    pub fn outside(at: usize, sensor: Sensor, x: impl Into<u64>, y: impl Into<u64>) -> Self {
        Self::new(at, format!("a pixel of the {sensor} sensor"), format!("x {}, y {}", x.into(), y.into()))
    }
}

/// How far a [`Decoder`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes that were used up. The others are given again, with more behind them.
    pub bytes: usize,
    /// How many bytes, counted from the first that was not used up, make the next record whole.
    pub next: usize,
}

/// Makes events of a file's bytes, behind its header.
pub trait Decoder: Send {
    /// The sensor, where the file tells or its format has one alone.
    fn sensor(&self) -> Option<Sensor>;

    /// Appends the events of the whole records at the start of `bytes`. What is in `bytes` is at least as long as the last
    /// call asked for, unless the file ends before.
    ///
    /// # Errors
    /// What the bytes break; events before that were appended.
    fn decode(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<Decoded, Fault>;

    /// Is told the bytes that are left at the end of the file, which are fewer than the last call asked for, and appends
    /// what events they are nevertheless.
    ///
    /// # Errors
    /// Where a file of this format must not end so.
    fn end(&mut self, rest: &[u8], events: &mut Vec<Event>) -> Result<(), Fault>;

    /// What was passed over because it is no change of brightness, such as `("trigger", 3)`.
    fn passed_over(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

/// Where an [`Encoder`] writes.
pub trait Output: Write + Seek + Send {}

impl<T: Write + Seek + Send> Output for T {}

/// Why an [`Encoder`] stopped.
#[derive(Debug)]
pub enum EncodeError {
    /// The output refused.
    Io(io::Error),
    /// An event does not fit the format.
    Unfit {
        /// Its place among the events given.
        index: usize,
        /// What the format can hold.
        expected: String,
        /// What the event holds.
        found: String,
    },
}

impl EncodeError {
    /// An event that does not fit.
    #[cold]
    pub fn unfit(index: usize, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Unfit { index, expected: expected.into(), found: found.into() }
    }
}

impl From<io::Error> for EncodeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Makes a file's bytes of events.
pub trait Encoder: Send {
    /// Writes the events, which follow those of the last call.
    ///
    /// # Errors
    /// Where the output refuses or an event does not fit the format.
    fn encode(&mut self, events: &[Event], output: &mut dyn Output) -> Result<(), EncodeError>;

    /// Writes what stands behind all events, and what only now is known in front of them.
    ///
    /// # Errors
    /// Where the output refuses.
    fn finish(&mut self, _output: &mut dyn Output) -> Result<(), EncodeError> {
        Ok(())
    }
}

/// The fault of a record that the file's end cuts off.
pub(crate) fn no_rest(rest: &[u8], record: &str) -> Result<(), Fault> {
    match rest.len() {
        0 => Ok(()),
        n => Err(Fault::new(0, format!("the end of the file or {record}"), format!("{n} more bytes"))),
    }
}

/// The time nearest to the `last` one that has these low 32 bits: the clock of a camera turns, and times may run backwards too.
#[inline]
pub(crate) fn nearest_time(last: i64, low: u32) -> i64 {
    last + i64::from(low.wrapping_sub(last as u32).cast_signed())
}

/// Asks for a time that 32 bits tell: the first one of `first`, the others by the step from the `last` one.
pub(crate) fn ask_for_step(
    index: usize,
    last: Option<i64>,
    t: i64,
    first: RangeInclusive<i64>,
) -> Result<(), EncodeError> {
    let fits = match last {
        None => first.contains(&t),
        Some(last) => t.checked_sub(last).is_some_and(|step| i32::try_from(step).is_ok()),
    };
    if fits {
        return Ok(());
    }
    let expected = match last {
        None => format!("a time from {} to {} µs", first.start(), first.end()),
        Some(last) => format!("a time less than 2^31 µs from {last} µs"),
    };
    Err(EncodeError::unfit(index, expected, format!("{t} µs")))
}

/// Decodes all of `bytes`, which is a whole file in memory.
///
/// # Errors
/// What the bytes break.
pub fn decode_all(decoder: &mut dyn Decoder, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), Fault> {
    let later = |at: usize| move |fault: Fault| Fault { at: fault.at + at, ..fault };
    let mut at = 0;
    while at < bytes.len() {
        let decoded = decoder.decode(&bytes[at..], events).map_err(later(at))?;
        at += decoded.bytes;
        if decoded.next > bytes.len() - at || decoded.bytes == 0 {
            break;
        }
    }
    decoder.end(&bytes[at..], events).map_err(later(at))
}

impl Fault {
    /// As an error of a format whose bytes began at `offset` of the file.
    pub(crate) fn in_format(self, format: &'static str, offset: u64) -> EventError {
        EventError::Malformed {
            file: None,
            format,
            offset: offset + self.at as u64,
            expected: self.expected,
            found: self.found,
        }
    }
}
