//! NumPy's `.npy` files: an array of records or a table of numbers, an event a row.
//!
//! | bytes | meaning |
//! |---|---|
//! | 0–5 | `\x93NUMPY` |
//! | 6, 7 | version: 1.0, 2.0 or 3.0 |
//! | 8–9, from version 2.0 on 8–11 | length of the dictionary, least significant byte first |
//! | next | a Python dictionary of `descr` (the type), `fortran_order` and `shape`, blanks, a line's end |
//! | then | the array |
//!
//! (NumPy Enhancement Proposal 1 and *numpy.lib.format* of the NumPy reference.)
//!
//! Read are
//! - records in one dimension, with fields t (or ts, timestamp, time), x, y and p (or pol, polarity, on), in any order and
//!   beside others, of any integer, boolean or float of at most 64 bits in either byte order, packed or padded. Tonic has
//!   `[("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")]`, Expelliarmus
//!   `[("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")]`;
//! - rows `[N, 4]` of numbers in C order. No order of columns is common, and none is written down in the file: it is t, x, y,
//!   p, or x, y, t, p, or x, y, p, t, whichever alone has times that never fall and polarities that are 0 or 1 (or -1 or 1)
//!   at the start of the file. Where more than one has, or none, the file is refused.
//!
//! Times are microseconds; where they are floats and one at the start of the file (in its first [`HEAD`](super::HEAD)
//! bytes) has a fraction, all are seconds, rounded to microseconds. A polarity of -1 is off, as 0 is. The sensor is not
//! known.
//!
//! Written is Expelliarmus' record.

mod header;
mod literal;
mod number;

use std::io::SeekFrom;

pub(super) use header::{Header, Layout, fraction};
pub(super) use number::Number;

use super::table::{self, is_event, misfit};
use super::{Decoded, Decoder, EncodeError, Encoder, Fault, Output};
use crate::{Event, Origin, Sensor};

const MARK: &[u8] = b"\x93NUMPY";

/// Whether a file that begins with `head` is one.
pub(super) fn is_npy(head: &[u8]) -> bool {
    head.starts_with(MARK)
}

pub(crate) fn matches(head: &[u8], _: u64) -> bool {
    is_npy(head)
}

pub(crate) fn begin(head: &[u8]) -> Result<(usize, Box<dyn Decoder>), Fault> {
    let (start, records) = Records::begin(head)?;
    Ok((start, Box::new(records)))
}

/// Rows that are taken apart at once: few enough that all of it stays in the nearest cache.
pub(super) const BLOCK: usize = 512;

/// The values of some rows, column by column: a loop over one column has one type, one byte order and one offset.
#[derive(Debug)]
pub(super) struct Columns(pub(super) [[i64; BLOCK]; 4]);

impl Columns {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self([[0; BLOCK]; 4]))
    }

    /// Appends the events of the first `n` rows, as far as they are events; then tells row and column.
    pub(super) fn events(&self, n: usize, events: &mut Vec<Event>) -> Result<(), (usize, usize)> {
        let [t, x, y, p] = self.0.each_ref().map(|column| &column[..n]);
        let rows = t.iter().zip(x).zip(y).zip(p).map(|(((&t, &x), &y), &p)| [t, x, y, p]);
        let (before, mut all) = (events.len(), true);
        events.extend(rows.clone().map(|row| {
            all &= is_event(row);
            table::event(row)
        }));
        if all {
            return Ok(());
        }
        events.truncate(before);
        for (i, row) in rows.enumerate() {
            match misfit(row) {
                None => events.push(table::event(row)),
                Some(column) => return Err((i, column)),
            }
        }
        Ok(())
    }
}

/// Decodes the rows of an array.
#[derive(Debug)]
pub(super) struct Records {
    layout: Layout,
    /// Rows that are still to come.
    pub(super) left: u64,
    columns: Box<Columns>,
}

impl Records {
    /// Of the file that begins with `head`, and where they begin in it.
    pub(super) fn begin(head: &[u8]) -> Result<(usize, Self), Fault> {
        let header = Header::parse(head)?;
        let layout = header.layout(head)?;
        Ok((header.start, Self { left: layout.count, layout, columns: Columns::new() }))
    }
}

impl Decoder for Records {
    fn sensor(&self) -> Option<Sensor> {
        None
    }

    fn decode(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<Decoded, Fault> {
        if self.left == 0 {
            return self.end(bytes, events).map(|()| Decoded { bytes: 0, next: 1 });
        }
        let Layout { stride, fields, seconds, .. } = self.layout;
        let whole = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() / stride);
        events.reserve(whole);
        for (i, block) in bytes[..whole * stride].chunks(BLOCK * stride).enumerate() {
            let n = block.len() / stride;
            for (i, (column, (offset, number))) in self.columns.0.iter_mut().zip(fields).enumerate() {
                number.read(seconds && i == 0, block, stride, offset, &mut column[..n]);
            }
            self.columns.events(n, events).map_err(|(row, column)| {
                let (offset, number) = fields[column];
                let value = row * stride + offset;
                let found = number.value(&block[value..]).to_string();
                Fault::new(i * BLOCK * stride + value, table::VALUES[column], found)
            })?;
        }
        self.left -= whole as u64;
        Ok(Decoded { bytes: whole * stride, next: stride })
    }

    fn end(&mut self, rest: &[u8], _: &mut Vec<Event>) -> Result<(), Fault> {
        match (self.left, rest.len()) {
            (0, 0) => Ok(()),
            (0, n) => Err(Fault::new(0, "the end of the file behind its array", format!("{n} more bytes"))),
            (left, n) => {
                let stride = self.layout.stride;
                let expected = format!("{left} more rows of {stride} bytes");
                Err(Fault::new(0, expected, format!("{n} bytes and the end of the file")))
            }
        }
    }
}

/// A header of `count` rows, of the same length for any, so that it can be written again when they are counted.
pub(super) fn header(descr: &str, count: u64) -> Vec<u8> {
    // Whole lines of cache in front of the array, as NumPy has it.
    const LEN: usize = 192;
    const AT: usize = 10;
    let dictionary = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': ({count},), }}");
    let mut header = [MARK, &[1, 0], &((LEN - AT) as u16).to_le_bytes(), dictionary.as_bytes()].concat();
    header.resize(LEN - 1, b' ');
    header.push(b'\n');
    header
}

const DESCR: &str = "[('t', '<i8'), ('x', '<i2'), ('y', '<i2'), ('p', '|u1')]";
/// Bytes of a record that is written.
const RECORD: usize = 13;

/// Writes any time but the first of 64 bits (which reads as none), x and y up to 32,767.
pub(crate) fn encoder(_: Origin, output: &mut dyn Output) -> Result<Box<dyn Encoder>, EncodeError> {
    output.write_all(&header(DESCR, 0))?;
    Ok(Box::new(ToRecords { written: 0 }))
}

struct ToRecords {
    written: u64,
}

/// x and y as the signed numbers that the Python libraries have, so that differences of them do not wrap there.
pub(super) fn pixel(i: usize, event: &Event) -> Result<[i16; 2], EncodeError> {
    let (Ok(x), Ok(y)) = (i16::try_from(event.x), i16::try_from(event.y)) else {
        let found = format!("x {}, y {}", event.x, event.y);
        return Err(EncodeError::unfit(i, format!("x and y up to {}", i16::MAX), found));
    };
    Ok([x, y])
}

impl Encoder for ToRecords {
    fn encode(&mut self, events: &[Event], output: &mut dyn Output) -> Result<(), EncodeError> {
        let mut bytes = Vec::with_capacity(events.len() * RECORD);
        for (i, event) in events.iter().enumerate() {
            let [x, y] = pixel(i, event)?;
            bytes.extend(event.t.to_le_bytes());
            bytes.extend(x.to_le_bytes());
            bytes.extend(y.to_le_bytes());
            bytes.push(event.on.into());
        }
        output.write_all(&bytes)?;
        self.written += events.len() as u64;
        Ok(())
    }

    fn finish(&mut self, output: &mut dyn Output) -> Result<(), EncodeError> {
        output.seek(SeekFrom::Start(0))?;
        output.write_all(&header(DESCR, self.written))?;
        output.seek(SeekFrom::End(0))?;
        Ok(())
    }
}
