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

use std::path::Path;

use super::{Decoded, Decoder, EncodeError, Encoder, Fault, Output, decode_all, no_rest};
use crate::{Event, EventError, Format, Origin, Recording, Sensor};

/// N-MNIST's sensor window.
pub const SENSOR: Sensor = Sensor { width: 34, height: 34 };
/// The sensor of the ATIS camera that the sets were recorded with.
pub const ATIS: Sensor = Sensor { width: 304, height: 240 };

/// Bytes of an event.
const RECORD: usize = 5;
const EVENT: &str = "an event of 5 bytes";
/// The y of a record that marks an overflow of the camera's clock.
const OVERFLOW_Y: u8 = 240;
/// What an overflow adds to the time of the records after it, in microseconds.
const OVERFLOW_US: i64 = 1 << 13;
/// The latest time that fits in a record, in microseconds.
const MAX_US: i64 = (1 << 23) - 1;

/// Whether a file of `len` bytes that begins with `head` may be one. The format has no mark: its records must be whole,
/// with rows that the camera had and times that rise, and not be a text.
pub(crate) fn matches(head: &[u8], len: u64) -> bool {
    let (records, _) = head.as_chunks::<RECORD>();
    let (mut last, mut overflow) = (0, 0);
    let sound = |record: &[u8; RECORD]| {
        if record[1] == OVERFLOW_Y {
            overflow += OVERFLOW_US;
            return true;
        }
        let rises = time(record) + overflow >= last;
        last = time(record) + overflow;
        rises && u16::from(record[1]) < ATIS.height
    };
    let text = head.iter().take(5000).all(|byte| (b' '..=b'~').contains(byte) || byte.is_ascii_whitespace());
    // Zeros are what a file system gives a file that was never written.
    let empty = head.iter().all(|byte| *byte == 0);
    !text
        && !empty
        && len.is_multiple_of(RECORD as u64)
        && !records.is_empty()
        && records.iter().take(1000).all(sound)
}

/// The sensor that a file's name does not tell: N-MNIST's, unless an event of the head lies outside of it.
pub(crate) fn begin(head: &[u8]) -> Result<(usize, Box<dyn Decoder>), Fault> {
    let (records, _) = head.as_chunks::<RECORD>();
    let fits = |[x, y, ..]: &[u8; RECORD]| *y == OVERFLOW_Y || SENSOR.holds((*x).into(), (*y).into());
    let sensor = if records.iter().all(fits) { SENSOR } else { ATIS };
    Ok((0, Box::new(Records::new(sensor))))
}

/// Reads a recording of N-MNIST's sensor.
///
/// # Errors
/// When the file cannot be read, is empty or broken, or holds an event outside of the sensor; the message names the file.
pub fn read(path: &Path) -> Result<Recording, EventError> {
    let bytes = std::fs::read(path).map_err(|source| EventError::Io { file: path.to_owned(), source })?;
    let mut events = Vec::new();
    decode_all(&mut Records::new(SENSOR), &bytes, &mut events)
        .map_err(|fault| fault.in_format(Format::Nmnist.title(), 0).in_file(path))?;
    if events.is_empty() {
        return Err(EventError::NoEvents { file: Some(path.to_owned()), bytes: bytes.len() as u64 });
    }
    Ok(Recording { sensor: SENSOR, events })
}

/// Reads a recording of N-MNIST's sensor and counts it into `steps` frames of equally many events, `[steps, 2, 34, 34]`, as [`read`]
/// and [`to_frames`](crate::to_frames) do, in two thirds of their time: no event stands in memory. `false`, with anything in `out`,
/// where that cannot be done, because of an overflow or of what [`read`] has an error for.
///
/// # Errors
/// When the file cannot be read; the message names it.
///
/// # Panics
/// When `out` has another length.
pub fn read_counts(path: &Path, steps: usize, out: &mut [f32]) -> Result<bool, EventError> {
    let (height, width) = (usize::from(SENSOR.height), usize::from(SENSOR.width));
    assert_eq!(out.len(), steps * 2 * height * width, "room for the frames of a recording");
    let bytes = std::fs::read(path).map_err(|source| EventError::Io { file: path.to_owned(), source })?;
    let (records, rest) = bytes.as_chunks::<RECORD>();
    if records.is_empty() || !rest.is_empty() || steps == 0 {
        return Ok(false);
    }
    out.fill(0.0);
    let each = records.len() / steps;
    for (step, frame) in out.chunks_exact_mut(2 * height * width).enumerate() {
        let end = if step + 1 == steps { records.len() } else { (step + 1) * each };
        for &[x, y, a, ..] in &records[step * each..end] {
            // An overflow too has a row that the sensor has not.
            if !SENSOR.holds(x.into(), y.into()) {
                return Ok(false);
            }
            frame[(usize::from(a >> 7) * height + usize::from(y)) * width + usize::from(x)] += 1.0;
        }
    }
    Ok(true)
}

/// Checks what a recording's size tells, without reading it.
///
/// # Errors
/// When there is no such file, it is empty, or its length is no multiple of 5; the message names the file.
pub fn check_size(path: &Path) -> Result<(), EventError> {
    let io = |source| EventError::Io { file: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(io)?;
    if metadata.is_dir() {
        return Err(io(std::io::ErrorKind::IsADirectory.into()));
    }
    let bytes = metadata.len();
    if bytes == 0 {
        return Err(EventError::NoEvents { file: Some(path.to_owned()), bytes });
    }
    let rest = bytes % RECORD as u64;
    no_rest(&[0; RECORD][..rest as usize], EVENT)
        .map_err(|fault| fault.in_format(Format::Nmnist.title(), bytes - rest).in_file(path))
}

/// Decodes records.
#[derive(Debug)]
pub struct Records {
    sensor: Sensor,
    /// What the overflows so far add.
    overflow: i64,
    overflows: u64,
}

impl Records {
    /// Of a recording by this sensor.
    pub fn new(sensor: Sensor) -> Self {
        Self { sensor, overflow: 0, overflows: 0 }
    }
}

fn time(&[_, _, a, b, c]: &[u8; RECORD]) -> i64 {
    i64::from(u32::from_be_bytes([0, a & 0x7f, b, c]))
}

impl Decoder for Records {
    fn sensor(&self) -> Option<Sensor> {
        Some(self.sensor)
    }

    fn decode(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<Decoded, Fault> {
        let (records, rest) = bytes.as_chunks::<RECORD>();
        events.reserve(records.len());
        for (i, record) in records.iter().enumerate() {
            let [x, y, a, ..] = *record;
            if y == OVERFLOW_Y {
                self.overflow += OVERFLOW_US;
                self.overflows += 1;
                continue;
            }
            let (x, y) = (u16::from(x), u16::from(y));
            if !self.sensor.holds(x, y) {
                return Err(Fault::outside(i * RECORD, self.sensor, x, y));
            }
            events.push(Event { t: time(record) + self.overflow, x, y, on: a & 0x80 != 0 });
        }
        Ok(Decoded { bytes: bytes.len() - rest.len(), next: RECORD })
    }

    fn end(&mut self, rest: &[u8], _: &mut Vec<Event>) -> Result<(), Fault> {
        no_rest(rest, EVENT)
    }

    fn passed_over(&self) -> Vec<(&'static str, u64)> {
        vec![("overflow of the clock", self.overflows)]
    }
}

/// Writes times from 0 to 8,388,607 µs, x up to 255, y up to 239.
pub(crate) fn encoder(_: Origin, _: &mut dyn Output) -> Result<Box<dyn Encoder>, EncodeError> {
    Ok(Box::new(ToRecords))
}

struct ToRecords;

impl Encoder for ToRecords {
    fn encode(&mut self, events: &[Event], output: &mut dyn Output) -> Result<(), EncodeError> {
        let mut bytes = Vec::with_capacity(events.len() * RECORD);
        for (i, event) in events.iter().enumerate() {
            let (Ok(x), Ok(y)) = (u8::try_from(event.x), u8::try_from(event.y)) else {
                let found = format!("x {}, y {}", event.x, event.y);
                return Err(EncodeError::unfit(i, "x and y up to 255", found));
            };
            if y == OVERFLOW_Y {
                let expected = format!("a y other than {OVERFLOW_Y}, the overflow mark");
                return Err(EncodeError::unfit(i, expected, y.to_string()));
            }
            let Some(t) = u32::try_from(event.t).ok().filter(|&t| i64::from(t) <= MAX_US) else {
                let expected = format!("a time from 0 to {MAX_US} µs");
                return Err(EncodeError::unfit(i, expected, format!("{} µs", event.t)));
            };
            let [_, a, b, c] = t.to_be_bytes();
            bytes.extend([x, y, a | u8::from(event.on) << 7, b, c]);
        }
        output.write_all(&bytes)?;
        Ok(())
    }
}
