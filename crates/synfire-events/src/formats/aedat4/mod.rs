//! AEDAT 4.0, the `.aedat4` recordings of iniVation's DV (*AEDAT 4.0*,
//! <https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-4.0.html>, and the schemas it links to).
//!
//! All numbers are little-endian, times are Unix time in microseconds.
//!
//! | bytes | meaning |
//! |---|---|
//! | 14 | `#!AER-DAT4.0\r\n` |
//! | 4 + its length | FlatBuffer `IOHE`, the header |
//! | packets | i32 stream, i32 bytes that follow, then a FlatBuffer of the stream's type, compressed as the header says |
//! | to the end | FlatBuffer `FTAB`, a table of all packets, compressed as they are; without it a recording is unfinished |
//!
//! A FlatBuffer has its length in front of it (size-prefixed). Fields of the header, by number: 0, i32, compression: 0
//! none, 1 LZ4, 2 LZ4 high, 3 Zstandard, 4 Zstandard high; 1, i64, where the table begins, or -1; 2, a string, XML that
//! names the streams, what is in them and the size of the sensor.
//!
//! A packet of events (`EVTS`) has one field, a vector of:
//!
//! | bytes | meaning |
//! |---|---|
//! | 0–7 | i64 time |
//! | 8–9 | i16 x |
//! | 10–11 | i16 y |
//! | 12 | polarity: 0 off, else on |
//! | 13–15 | padding |
//!
//! The first stream of events that the header names is read. Packets of the others, and of frames (`FRME`), inertial
//! measurements (`IMUS`), triggers (`TRIG`) and other data, are passed over and counted without being decompressed. The
//! table is not needed to read a file from its start to its end, and passed over.

mod compression;
mod encode;
mod flatbuffer;
mod header;

use std::collections::BTreeMap;

use self::compression::Decompressor;
use self::flatbuffer::Table;
use self::header::{Header, MARK};
use super::{Decoded, Decoder, Fault, no_rest};
use crate::{Event, Sensor};

pub(crate) use self::encode::encoder;

/// Bytes in front of a packet.
const PACKET_HEADER: usize = 8;
/// Bytes of an event.
const EVENT: usize = 16;

/// Whether a file that begins with `head` is one.
pub(crate) fn matches(head: &[u8], _: u64) -> bool {
    head.starts_with(MARK)
}

/// The decoder of the header's first stream of events.
pub(crate) fn begin(head: &[u8]) -> Result<(usize, Box<dyn Decoder>), Fault> {
    let Header { end, compression, table, streams } = Header::parse(head)?;
    let Some(events) = streams.iter().find(|stream| stream.of == "EVTS") else {
        let found: Vec<&str> = streams.iter().map(|stream| &*stream.of).collect();
        return Err(Fault::new(MARK.len(), "a stream of events (EVTS)", format!("streams {found:?}")));
    };
    let others = streams.iter().filter(|stream| stream.id != events.id);
    let decoder = Packets {
        sensor: events.sensor()?,
        events: events.id,
        others: others.map(|stream| (stream.id, title(&stream.of))).collect(),
        compression,
        table,
        at: end as u64,
        passed_over: BTreeMap::new(),
    };
    Ok((end, Box::new(decoder)))
}

/// What a packet of a stream is called that is passed over.
fn title(of: &str) -> &'static str {
    match of {
        "EVTS" => "packet of another stream of events",
        "FRME" => "packet of frames",
        "IMUS" => "packet of inertial measurements",
        "TRIG" => "packet of triggers",
        _ => "packet of other data",
    }
}

/// Decodes packets.
struct Packets {
    sensor: Sensor,
    /// The stream whose events are read.
    events: i32,
    /// The others, and what their packets are called.
    others: BTreeMap<i32, &'static str>,
    compression: Decompressor,
    /// Where in the file the data table begins.
    table: Option<u64>,
    /// Where in the file the next packet begins, or the table.
    at: u64,
    passed_over: BTreeMap<&'static str, u64>,
}

impl Decoder for Packets {
    fn sensor(&self) -> Option<Sensor> {
        Some(self.sensor)
    }

    /// Decodes one packet, so that the events of many small ones that decompress to large ones are not all there at once.
    fn decode(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<Decoded, Fault> {
        if self.table == Some(self.at) {
            return Ok(Decoded { bytes: bytes.len(), next: 1 });
        }
        let Some(&[a, b, c, d, e, f, g, h]) = bytes.first_chunk() else {
            return Ok(Decoded { bytes: 0, next: PACKET_HEADER });
        };
        let (stream, size) = (i32::from_le_bytes([a, b, c, d]), i32::from_le_bytes([e, f, g, h]));
        let Ok(size) = usize::try_from(size) else {
            return Err(Fault::new(4, "the size of a packet", size.to_string()));
        };
        let len = PACKET_HEADER.saturating_add(size);
        if let Some(table) = self.table.filter(|table| *table < self.at + len as u64) {
            let expected = format!("a packet that ends before the data table at byte {table}");
            return Err(Fault::new(0, expected, format!("one of {len} bytes")));
        }
        let Some(packet) = bytes.get(PACKET_HEADER..len) else {
            return Ok(Decoded { bytes: 0, next: len });
        };
        if stream == self.events {
            self.decode_events(packet, events)?;
        } else if let Some(title) = self.others.get(&stream) {
            *self.passed_over.entry(title).or_default() += 1;
        } else {
            return Err(Fault::new(0, "a stream that the header names", format!("stream {stream}")));
        }
        self.at += len as u64;
        Ok(Decoded { bytes: len, next: PACKET_HEADER })
    }

    fn end(&mut self, rest: &[u8], _: &mut Vec<Event>) -> Result<(), Fault> {
        match self.table {
            Some(table) if table == self.at => Ok(()),
            Some(table) if rest.is_empty() => Err(Fault::new(
                0,
                format!("packets up to the data table at byte {table}"),
                "the end of the file",
            )),
            _ => no_rest(rest, "a whole packet"),
        }
    }

    fn passed_over(&self) -> Vec<(&'static str, u64)> {
        self.passed_over.iter().map(|(title, count)| (*title, *count)).collect()
    }
}

impl Packets {
    /// Appends the events of a packet, whose header is not in `packet`.
    fn decode_events(&mut self, packet: &[u8], events: &mut Vec<Event>) -> Result<(), Fault> {
        // Bytes of what is decompressed are nowhere in the file: the fault is the packet's.
        let in_packet = |fault: Fault| {
            let expected = format!("{} at byte {} of its data", fault.expected, fault.at);
            Fault { at: PACKET_HEADER, expected, ..fault }
        };
        let data = self.compression.decompress(packet).map_err(in_packet)?;
        let elements =
            Table::root(data, b"EVTS").and_then(|table| table.vector(0, EVENT)).map_err(in_packet)?;
        let start = events.len();
        events.extend(elements.as_chunks().0.iter().map(event));
        // Apart from the loop above and without an early end, so that both run over several events at once.
        let outside = |event: &Event| !self.sensor.holds(event.x, event.y);
        if events[start..].iter().fold(false, |any, event| any | outside(event)) {
            let i = events[start..].iter().position(outside).unwrap_or_default();
            let Event { x, y, .. } = events[start + i];
            events.truncate(start + i);
            let expected = format!("a pixel of the {} sensor as event {i} of the packet", self.sensor);
            let found = format!("x {}, y {}", x.cast_signed(), y.cast_signed());
            return Err(Fault::new(PACKET_HEADER, expected, found));
        }
        Ok(())
    }
}

/// A negative coordinate becomes one of 32,768 or more, which no sensor has.
#[inline]
fn event(&[t0, t1, t2, t3, t4, t5, t6, t7, x0, x1, y0, y1, on, ..]: &[u8; EVENT]) -> Event {
    Event {
        t: i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
        x: u16::from_le_bytes([x0, x1]),
        y: u16::from_le_bytes([y0, y1]),
        on: on != 0,
    }
}
