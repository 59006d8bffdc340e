//! NumPy's `.npz` files: a ZIP archive of `.npy` files, stored or deflated.
//!
//! Read are
//! - t, x, y and p (or the other names that [`npy`] has for them), an array of one dimension each, as
//!   SpikingJelly caches its data sets (`numpy.savez` or `savez_compressed`, `spikingjelly/datasets`); other arrays may stand
//!   beside them;
//! - an only array of any name, as [`npy`] reads it.
//!
//! Types and units are those of [`npy`].
//!
//! An archive's directory is at its end, so that all of it is kept in memory, and its arrays are inflated piece by piece,
//! side by side: memory beyond that grows with the events that are really there. Both are bounded, by [`MOST_BYTES`] and
//! [`MOST_EVENTS`].
//!
//! Written are the arrays t (`<i8`), x, y (`<i2`) and p (`|u1`), deflated. They are written one behind the other, so that the
//! encoder keeps 13 bytes of each event until the end.

use std::io::{self, Cursor, Read, Write};

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::npy::{self, BLOCK, Columns, Header, Number, Records, fraction, pixel};
use super::table::{self, places, quoted};
use super::{Decoded, Decoder, EncodeError, Encoder, Fault, HEAD, Output};
use crate::{Event, Origin, Sensor};

/// The longest archive.
pub const MOST_BYTES: usize = (1 << 28) - 1;
/// The most events of an archive, 1 GiB of them: it may hold a thousand times more than its own length.
pub const MOST_EVENTS: u64 = 1 << 26;

/// Bytes of the table that are inflated at once.
const PIECE: u64 = 1 << 16;

/// Whether a file that begins with `head` may be one: a local file header of ZIP (*.ZIP File Format Specification*, PKWARE,
/// 4.3.7), which has the length of the name at byte 26 and the name at byte 30.
pub(crate) fn matches(head: &[u8], _: u64) -> bool {
    let name = |len: [u8; 2]| head.get(30..30 + usize::from(u16::from_le_bytes(len)));
    head.starts_with(b"PK\x03\x04")
        && head[4..]
            .get(22..)
            .and_then(<[u8]>::first_chunk)
            .copied()
            .and_then(name)
            .is_some_and(|name| name.ends_with(b".npy"))
}

pub(crate) fn begin(_: &[u8]) -> Result<(usize, Box<dyn Decoder>), Fault> {
    Ok((0, Box::new(Whole)))
}

/// Waits for the whole archive.
struct Whole;

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

impl Decoder for Whole {
    fn sensor(&self) -> Option<Sensor> {
        None
    }

    fn decode(&mut self, bytes: &[u8], _: &mut Vec<Event>) -> Result<Decoded, Fault> {
        if bytes.len() > MOST_BYTES {
            return Err(Fault::new(0, format!("an archive of at most {MOST_BYTES} bytes"), "a longer one"));
        }
        Ok(Decoded { bytes: 0, next: MOST_BYTES + 1 })
    }

    fn end(&mut self, rest: &[u8], events: &mut Vec<Event>) -> Result<(), Fault> {
        let archive = ZipArchive::new(Cursor::new(rest))
            .map_err(|error| Fault::new(0, "a whole ZIP archive", error.to_string()))?;
        let names: Vec<String> =
            archive.file_names().map(|name| name.map_or_else(|_| String::new(), Into::into)).collect();
        let stems = names.iter().map(|name| name.strip_suffix(".npy").unwrap_or_default().as_bytes());
        match (places(stems), &names[..]) {
            (Ok(places), _) => columns(&archive, places, events),
            (Err(_), [_]) => table(archive, events),
            (Err(expected), _) => {
                let expected = format!("{expected}, or an only array");
                Err(Fault::new(0, expected, quoted(names.join(", ").as_bytes())))
            }
        }
    }
}

/// An array of an archive, as it is inflated.
struct Array<'a> {
    name: String,
    /// Where its content begins in the archive.
    start: usize,
    /// The start of its content, which was inflated to know the array, and how far that was read.
    head: Cursor<Vec<u8>>,
    rest: Box<dyn Read + 'a>,
}

impl Read for Array<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.head.read(buffer)? {
            0 => self.rest.read(buffer),
            n => Ok(n),
        }
    }
}

impl<'a> Array<'a> {
    fn open(archive: &'a mut Archive<'_>, index: usize) -> Result<Self, Fault> {
        let broken = |error: ZipError| Fault::new(0, "stored or deflated arrays", error.to_string());
        let mut rest = archive.by_index(index).map_err(broken)?;
        let name = rest.name().map_err(broken)?.into_owned();
        let start = rest.data_start().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
        let mut head = Vec::new();
        let read = rest.by_ref().take(HEAD as u64).read_to_end(&mut head);
        let array = Self { name, start, head: Cursor::new(head), rest: Box::new(rest) };
        read.map_err(|error| array.fault(unreadable(0, &error)))?;
        Ok(array)
    }

    /// A fault of the inflated array as one of the archive, which knows no byte of it but the first.
    fn fault(&self, fault: Fault) -> Fault {
        Fault::new(
            self.start,
            format!("{} at byte {} of {}", fault.expected, fault.at, self.name),
            fault.found,
        )
    }
}

fn check_count(count: u64) -> Result<(), Fault> {
    if count > MOST_EVENTS {
        return Err(Fault::new(0, format!("at most {MOST_EVENTS} events"), count.to_string()));
    }
    Ok(())
}

/// The events of an array that holds all of them.
fn table(mut archive: Archive, events: &mut Vec<Event>) -> Result<(), Fault> {
    let mut array = Array::open(&mut archive, 0)?;
    let (mut at, mut records) = Records::begin(array.head.get_ref()).map_err(|fault| array.fault(fault))?;
    check_count(records.left).map_err(|fault| array.fault(fault))?;
    array.head.set_position(at as u64);
    let mut bytes = Vec::new();
    loop {
        let read = array.by_ref().take(PIECE).read_to_end(&mut bytes);
        let ended = match read {
            Ok(read) => read == 0,
            Err(error) => return Err(array.fault(unreadable(at, &error))),
        };
        let decoded = if ended {
            records.end(&bytes, events).map(|()| bytes.len())
        } else {
            records.decode(&bytes, events).map(|decoded| decoded.bytes)
        };
        let used = decoded.map_err(|fault| array.fault(Fault { at: fault.at + at, ..fault }))?;
        if ended {
            return Ok(());
        }
        bytes.drain(..used);
        at += used;
    }
}

fn unreadable(at: usize, error: &io::Error) -> Fault {
    Fault::new(at, "more content", error.to_string())
}

/// The events of four arrays, which are inflated side by side.
fn columns(archive: &Archive, places: [usize; 4], events: &mut Vec<Event>) -> Result<(), Fault> {
    let mut archives = places.map(|_| archive.clone());
    let mut columns = Vec::new();
    for (archive, place) in archives.iter_mut().zip(places) {
        columns.push(Column::of(Array::open(archive, place)?)?);
    }
    // A time that has a fraction is in seconds.
    let Column { number, at, .. } = columns[0];
    columns[0].seconds = fraction((0, number), number.width(), &columns[0].array.head.get_ref()[at..]);
    let count = columns[0].count;
    for column in &columns {
        check_count(column.count).map_err(|fault| column.array.fault(fault))?;
        if column.count != count {
            let expected = format!("{count} values, as {} has them,", columns[0].array.name);
            return Err(column.array.fault(Fault::new(0, expected, column.count.to_string())));
        }
    }
    let mut values = Columns::new();
    let mut left = count;
    while left > 0 {
        let n = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        for (column, values) in columns.iter_mut().zip(&mut values.0) {
            column.read(&mut values[..n])?;
        }
        values
            .events(n, events)
            .map_err(|(row, column)| columns[column].misfit(row, table::VALUES[column]))?;
        left -= n as u64;
    }
    columns.iter_mut().try_for_each(Column::end)
}

/// An array of one dimension.
struct Column<'a> {
    array: Array<'a>,
    number: Number,
    count: u64,
    seconds: bool,
    /// What was read last, and where it lies in the array.
    block: Vec<u8>,
    at: usize,
}

impl<'a> Column<'a> {
    fn of(mut array: Array<'a>) -> Result<Self, Fault> {
        let header = Header::parse(array.head.get_ref());
        let known = header.and_then(|header| Ok((header.start, header.column()?)));
        let (at, (number, count)) = known.map_err(|fault| array.fault(fault))?;
        array.head.set_position(at as u64);
        Ok(Self { array, number, count, seconds: false, block: Vec::new(), at })
    }

    /// The next values.
    fn read(&mut self, values: &mut [i64]) -> Result<(), Fault> {
        let width = self.number.width();
        self.at += self.block.len();
        self.block.resize(values.len() * width, 0);
        let read = self.array.read_exact(&mut self.block);
        read.map_err(|error| self.array.fault(unreadable(self.at, &error)))?;
        self.number.read(self.seconds, &self.block, width, 0, values);
        Ok(())
    }

    /// The fault of a value among those read last.
    fn misfit(&self, row: usize, expected: &str) -> Fault {
        let at = row * self.number.width();
        let found = self.number.value(&self.block[at..]).to_string();
        self.array.fault(Fault::new(self.at + at, expected, found))
    }

    /// Reads on to the end, where ZIP's checksum is compared.
    fn end(&mut self) -> Result<(), Fault> {
        let at = self.at + self.block.len();
        match self.array.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.array.fault(Fault::new(at, "the end of the array", "more bytes"))),
            Err(error) => Err(self.array.fault(unreadable(at, &error))),
        }
    }
}

/// Writes any time but the first of 64 bits (which reads as none), x and y up to 32,767.
pub(crate) fn encoder(_: Origin, _: &mut dyn Output) -> Result<Box<dyn Encoder>, EncodeError> {
    Ok(Box::new(ToColumns::default()))
}

/// Name and type of the arrays that are written.
const WRITTEN: [(&str, &str); 4] = [("t", "'<i8'"), ("x", "'<i2'"), ("y", "'<i2'"), ("p", "'|u1'")];

#[derive(Default)]
struct ToColumns {
    events: u64,
    /// The bytes of each array.
    columns: [Vec<u8>; 4],
}

impl Encoder for ToColumns {
    fn encode(&mut self, events: &[Event], _: &mut dyn Output) -> Result<(), EncodeError> {
        let [t, x, y, p] = &mut self.columns;
        for (i, event) in events.iter().enumerate() {
            let [column, row] = pixel(i, event)?;
            t.extend(event.t.to_le_bytes());
            x.extend(column.to_le_bytes());
            y.extend(row.to_le_bytes());
            p.push(event.on.into());
        }
        self.events += events.len() as u64;
        Ok(())
    }

    fn finish(&mut self, output: &mut dyn Output) -> Result<(), EncodeError> {
        let mut archive = ZipWriter::new(output);
        for ((name, descr), column) in WRITTEN.iter().zip(&self.columns) {
            let header = npy::header(descr, self.events);
            let large = header.len() + column.len() >= u32::MAX as usize;
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Deflated)
                .large_file(large);
            archive.start_file(format!("{name}.npy"), options).map_err(io::Error::from)?;
            archive.write_all(&header)?;
            archive.write_all(column)?;
        }
        archive.finish().map_err(io::Error::from)?;
        Ok(())
    }
}
