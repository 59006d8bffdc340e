//! The `.bin` recordings of N-MNIST and N-Caltech101 (Orchard et al., *Converting static image datasets to spiking
//! neuromorphic datasets using saccades*, Frontiers in Neuroscience 9:437, 2015).
//!
//! No header; five bytes an event:
//!
//! | bits | meaning |
//! |---|---|
//! | 39–32 | x |
//! | 31–24 | y |
//! | 23 | polarity: 1 on, 0 off |
//! | 22–0 | time in microseconds, most significant byte first |
//!
//! A record with y = 240, just below the last row of the ATIS sensor the sets were recorded with, is no event: it says
//! that the camera's clock overflowed, and adds 2^13 µs to the time of every later record. This is the convention of
//! the data sets' author (`eventvision.py` of gorchard/event-Python); the published N-MNIST files were cut from their
//! recordings after this correction and hold no such record.

use std::io;
use std::path::Path;

use crate::{Event, EventError, Recording};

/// Width and height of N-MNIST's sensor window, in pixels.
pub const SENSOR: (u16, u16) = (34, 34);

const FORMAT: &str = "an N-MNIST recording";
const RECORD: usize = 5;
/// The y of a record that marks an overflow of the camera's clock.
const OVERFLOW_Y: u8 = 240;
/// What an overflow adds to the time of the records after it, in microseconds.
const OVERFLOW_US: i64 = 1 << 13;
/// The latest time that fits in a record, in microseconds.
const MAX_US: i64 = (1 << 23) - 1;

/// Reads an N-MNIST recording of a 34x34 sensor.
///
/// # Errors
/// When the file cannot be read, and as for [`parse`]; the message names the file.
pub fn read(path: &Path) -> Result<Recording, EventError> {
    let bytes = std::fs::read(path).map_err(|source| EventError::Io { file: path.to_owned(), source })?;
    parse(&bytes, SENSOR).map_err(|error| error.in_file(path))
}

/// Checks what a recording's size tells, without reading it.
///
/// # Errors
/// When there is no such file, it is empty, or its length is no multiple of 5; the message names the file.
pub fn check_size(path: &Path) -> Result<(), EventError> {
    let io = |source| EventError::Io { file: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(io)?;
    if metadata.is_dir() {
        return Err(io(io::ErrorKind::IsADirectory.into()));
    }
    check_length(metadata.len() as usize).map_err(|error| error.in_file(path))
}

fn check_length(bytes: usize) -> Result<(), EventError> {
    match bytes % RECORD {
        0 if bytes == 0 => Err(EventError::NoEvents { file: None, bytes }),
        0 => Ok(()),
        rest => Err(EventError::Malformed {
            file: None,
            format: FORMAT,
            offset: bytes - rest,
            expected: format!("the end of the file or an event of {RECORD} bytes"),
            found: format!("{rest} more"),
        }),
    }
}

/// Decodes the bytes of a recording by a sensor of `(width, height)` pixels.
///
/// # Errors
/// When the length is no multiple of 5, an event lies outside the sensor, or there is no event.
pub fn parse(bytes: &[u8], (width, height): (u16, u16)) -> Result<Recording, EventError> {
    check_length(bytes.len())?;
    let (records, _) = bytes.as_chunks::<RECORD>();
    let mut overflow = 0;
    let mut events = Vec::with_capacity(records.len());
    for (i, &[x, y, a, b, c]) in records.iter().enumerate() {
        if y == OVERFLOW_Y {
            overflow += OVERFLOW_US;
            continue;
        }
        let (x, y) = (u16::from(x), u16::from(y));
        if x >= width || y >= height {
            return Err(EventError::Malformed {
                file: None,
                format: FORMAT,
                offset: i * RECORD,
                expected: format!("a pixel of the {width}x{height} sensor"),
                found: format!("x {x}, y {y}"),
            });
        }
        let t = i64::from(u32::from_be_bytes([0, a & 0x7f, b, c])) + overflow;
        events.push(Event { t, x, y, on: a & 0x80 != 0 });
    }
    if events.is_empty() {
        return Err(EventError::NoEvents { file: None, bytes: bytes.len() });
    }
    Ok(Recording { width, height, events })
}

/// Encodes a recording; [`parse`] gives the same events back.
///
/// # Errors
/// When an event does not fit the format: time outside 0 to 8,388,607 µs, x above 255, y above 255 or equal to 240.
pub fn encode(recording: &Recording) -> Result<Vec<u8>, EventError> {
    let mut bytes = Vec::with_capacity(recording.events.len() * RECORD);
    for (index, event) in recording.events.iter().enumerate() {
        let unwritable =
            |expected: String, found| EventError::Unwritable { format: FORMAT, index, expected, found };
        let (Ok(x), Ok(y)) = (u8::try_from(event.x), u8::try_from(event.y)) else {
            return Err(unwritable("x and y up to 255".into(), format!("x {}, y {}", event.x, event.y)));
        };
        if y == OVERFLOW_Y {
            return Err(unwritable(format!("a y other than {OVERFLOW_Y}, the overflow mark"), y.to_string()));
        }
        let time = u32::try_from(event.t).ok().filter(|&t| i64::from(t) <= MAX_US);
        let Some(t) = time else {
            return Err(unwritable(format!("a time from 0 to {MAX_US} µs"), format!("{} µs", event.t)));
        };
        let [_, a, b, c] = t.to_be_bytes();
        bytes.extend([x, y, a | u8::from(event.on) << 7, b, c]);
    }
    Ok(bytes)
}
