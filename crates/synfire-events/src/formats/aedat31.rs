//! AEDAT 3.1, the `.aedat` recordings of cAER and libcaer, of which DVS128 Gesture is made (iniVation, *AEDAT 3.1*,
//! <https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-3.1.html>, and libcaer's `events/common.h` and
//! `events/polarity.h`).
//!
//! Lines of text up to `#!END-HEADER` (see `aedat.rs`), then packets of events of one type. All numbers are little-endian and
//! signed. In front of a packet:
//!
//! | bytes | meaning |
//! |---|---|
//! | 0–1 | type: 0 special, 1 polarity, 2 frame, 3 and 4 inertial measurements of 6 and 9 axes, others |
//! | 2–3 | source: which camera |
//! | 4–7 | bytes of an event |
//! | 8–11 | where in an event its time stands |
//! | 12–15 | turns of the clock: bits 61–31 of the times |
//! | 16–19 | capacity: events there is room for |
//! | 20–23 | number: events that there are, valid or not |
//! | 24–27 | how many of them are valid |
//!
//! Then capacity × bytes of an event. In files, capacity and number are equal; if they are not, what follows the number is room,
//! and the next packet follows the room, as SpikingJelly and Tonic read it. A change of brightness, or polarity event:
//!
//! | bytes | bits | meaning |
//! |---|---|---|
//! | 0–3 | 31–17 | x, from the left |
//! | | 16–2 | y, from the top |
//! | | 1 | polarity: 1 on, 0 off |
//! | | 0 | 1 if it is valid |
//! | 4–7 | 30–0 | time in microseconds, bits 30–0 |
//!
//! The first pixel is at the upper left, so that nothing is flipped: SpikingJelly and Tonic give the same pixels. They take events
//! that are not valid too (a filter of the camera's software took them out), and Tonic leaves out the turns of the clock; here
//! such events are passed over and counted, as are other types of events, and events of a second camera.
//!
//! A packet is decoded as its bytes come: none needs to be in memory as a whole.

use std::collections::BTreeMap;

use super::aedat::{Camera, Header, origin_lines};
use super::{Decoded, Decoder, EncodeError, Encoder, Fault, Output, no_rest};
use crate::{Event, Origin, Sensor};

/// The first line.
const MARK: &str = "#!AER-DAT3.1";
/// The last line of a header.
const LAST: &str = "!END-HEADER";
/// Bytes in front of a packet.
const PACKET_HEADER: usize = 28;
/// The type of changes of brightness, their bytes, and where in them their time stands.
const POLARITY: i16 = 1;
const EVENT: usize = 8;
const TIME_AT: i32 = 4;
/// Bits of x and of y.
const PIXEL_BITS: u32 = 15;
const PIXEL: u32 = (1 << PIXEL_BITS) - 1;
/// Bits of the time that an event has itself.
const LOW_BITS: u32 = 31;
/// The most events that are written into a packet.
const WRITTEN: usize = 8192;

/// Whether a file that begins with `head` is one.
pub(crate) fn matches(head: &[u8], _: u64) -> bool {
    head.starts_with(MARK.as_bytes())
}

pub(crate) fn begin(head: &[u8]) -> Result<(usize, Box<dyn Decoder>), Fault> {
    let header = Header::read(head, MARK, LAST)?;
    if !header.ended {
        return Err(Fault::new(header.len, format!("lines of text up to `#{LAST}`"), "none"));
    }
    if let Some((at, format)) = header.field("Format").filter(|(_, format)| *format != "RAW") {
        return Err(Fault::new(at, "the format RAW", format!("{format:?}")));
    }
    let decoder = Packets {
        stated: header.sensor(),
        cameras: header.sources().collect(),
        source: None,
        high: 0,
        events: 0,
        skip: 0,
        passed_over: BTreeMap::new(),
    };
    Ok((header.len, Box::new(decoder)))
}

/// Decodes packets.
struct Packets {
    /// The sensor that a comment tells.
    stated: Option<Sensor>,
    /// The cameras that the header names, by their sources.
    cameras: Vec<(i16, &'static Camera)>,
    /// The source of the first changes of brightness, which alone is read.
    source: Option<i16>,
    /// The high bits of the times of the packet that is being read.
    high: i64,
    /// Its events that are left.
    events: u64,
    /// Bytes to pass over behind them.
    skip: u64,
    passed_over: BTreeMap<&'static str, u64>,
}

impl Decoder for Packets {
    fn sensor(&self) -> Option<Sensor> {
        let first = || self.cameras.first();
        let camera = self.cameras.iter().find(|(source, _)| Some(*source) == self.source).or_else(first);
        self.stated.or(camera.map(|(_, camera)| camera.sensor))
    }

    fn decode(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<Decoded, Fault> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let later = |fault: Fault| Fault { at: fault.at + at, ..fault };
            let used = match *self {
                Self { events: 1.., .. } => self.decode_events(rest, events).map_err(later)?,
                Self { skip: 1.., .. } => {
                    let used = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rest.len());
                    self.skip -= used as u64;
                    used
                }
                _ => match rest.first_chunk() {
                    Some(header) => {
                        self.begin_packet(header).map_err(later)?;
                        PACKET_HEADER
                    }
                    None => 0,
                },
            };
            if used == 0 {
                let next = match *self {
                    Self { events: 1.., .. } => EVENT,
                    Self { skip: 1.., .. } => 1,
                    _ => PACKET_HEADER,
                };
                return Ok(Decoded { bytes: at, next });
            }
            at += used;
        }
    }

    fn end(&mut self, rest: &[u8], _: &mut Vec<Event>) -> Result<(), Fault> {
        if self.events > 0 || self.skip > 0 {
            let missing = self.events * EVENT as u64 + self.skip;
            let found = format!("the end of the file after {}", rest.len());
            return Err(Fault::new(0, format!("{missing} more bytes of a packet"), found));
        }
        no_rest(rest, "a whole packet")
    }

    fn passed_over(&self) -> Vec<(&'static str, u64)> {
        self.passed_over.iter().map(|(title, count)| (*title, *count)).collect()
    }
}

impl Packets {
    fn pass_over(&mut self, title: &'static str, count: u64) {
        *self.passed_over.entry(title).or_default() += count;
    }

    /// Takes what stands in front of a packet.
    fn begin_packet(&mut self, header: &[u8; PACKET_HEADER]) -> Result<(), Fault> {
        let short = |at: usize| i16::from_le_bytes([header[at], header[at + 1]]);
        let long =
            |at: usize| i32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (kind, source, size, time_at) = (short(0), short(2), long(4), long(8));
        let (turns, capacity, number, valid) = (long(12), long(16), long(20), long(24));
        // None is negative.
        let unsigned = |at: usize, value: i32, title: &str| {
            u64::try_from(value).map_err(|_| Fault::new(at, title, value.to_string()))
        };
        unsigned(0, kind.into(), "a type of events")?;
        let bytes = unsigned(4, size, "the size of an event")?;
        unsigned(12, turns, "turns of the clock")?;
        let room = unsigned(16, capacity, "a number of events")?;
        let count = unsigned(20, number, "a number of events")?;
        if !(0..=number).contains(&valid) || number > capacity {
            let found = format!("{valid} valid of {number} events in room for {capacity}");
            return Err(Fault::new(16, "no more valid events than events, and room for them", found));
        }
        self.events = 0;
        self.skip = room * bytes;
        if kind != POLARITY {
            self.pass_over(title(kind), count);
        } else if (size, time_at) != (EVENT as i32, TIME_AT) {
            let found = format!("{size} bytes with the time at byte {time_at}");
            return Err(Fault::new(4, "events of 8 bytes with the time at byte 4", found));
        } else if *self.source.get_or_insert(source) != source {
            self.pass_over("event of another camera", count);
        } else {
            self.high = i64::from(turns) << LOW_BITS;
            self.events = count;
            self.skip -= count * EVENT as u64;
        }
        Ok(())
    }

    /// Appends the events of the packet that are whole in `bytes`, and tells how many bytes they have.
    fn decode_events(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<usize, Fault> {
        let sensor = self.sensor().unwrap_or(Sensor { width: 1 << PIXEL_BITS, height: 1 << PIXEL_BITS });
        let records = bytes.as_chunks::<EVENT>().0;
        let records = &records[..records.len().min(usize::try_from(self.events).unwrap_or(usize::MAX))];
        events.reserve(records.len());
        let high = self.high;
        let mut invalid = 0;
        for (i, &[a, b, c, d, e, f, g, h]) in records.iter().enumerate() {
            let (data, time) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
            if data & 1 == 0 {
                invalid += 1;
                continue;
            }
            let (x, y) = ((data >> 17) as u16, (data >> 2 & PIXEL) as u16);
            if !sensor.holds(x, y) {
                return Err(Fault::outside(i * EVENT, sensor, x, y));
            }
            if time >> LOW_BITS != 0 {
                let found = time.cast_signed().to_string();
                return Err(Fault::new(i * EVENT + 4, "a time of 31 bits", found));
            }
            events.push(Event { t: high | i64::from(time), x, y, on: data >> 1 & 1 == 1 });
        }
        if invalid > 0 {
            self.pass_over("event that is not valid", invalid);
        }
        self.events -= records.len() as u64;
        Ok(records.len() * EVENT)
    }
}

/// What events of a type are called that are passed over.
fn title(kind: i16) -> &'static str {
    match kind {
        0 => "special event",
        2 => "frame",
        3 | 4 => "inertial measurement",
        _ => "event of another type",
    }
}

/// Writes pixels up to 32,767 and times from 0 to 2^62 − 1 µs. When the recording began is not known and not written, though the
/// specification asks for it; no reader does.
pub(crate) fn encoder(origin: Origin, output: &mut dyn Output) -> Result<Box<dyn Encoder>, EncodeError> {
    let (sensor, most) = (origin.sensor, 1_u16 << PIXEL_BITS);
    if sensor.width > most || sensor.height > most {
        let expected = format!("a sensor of at most {most}x{most} pixels");
        return Err(EncodeError::unfit(0, expected, sensor.to_string()));
    }
    let camera = Camera::of(sensor);
    let name = camera.map_or("Unknown", |camera| camera.source);
    let lines = origin_lines(origin, camera);
    write!(output, "{MARK}\r\n#Format: RAW\r\n#Source 0: {name}\r\n{lines}#{LAST}\r\n")?;
    Ok(Box::new(ToPackets))
}

struct ToPackets;

impl Encoder for ToPackets {
    fn encode(&mut self, events: &[Event], output: &mut dyn Output) -> Result<(), EncodeError> {
        let unfit = |event: &Event| !(0..1 << (2 * LOW_BITS)).contains(&event.t);
        if let Some(i) = events.iter().position(unfit) {
            let expected = "a time from 0 to 4611686018427387903 µs";
            return Err(EncodeError::unfit(i, expected, format!("{} µs", events[i].t)));
        }
        let mut bytes = Vec::with_capacity(PACKET_HEADER + events.len().min(WRITTEN) * EVENT);
        // The high bits of the times are those of all events of a packet.
        let packets = events.chunk_by(|a, b| a.t >> LOW_BITS == b.t >> LOW_BITS);
        for packet in packets.flat_map(|packet| packet.chunks(WRITTEN)) {
            let turns = (packet[0].t >> LOW_BITS) as i32;
            let number = packet.len() as i32;
            bytes.clear();
            bytes.extend([POLARITY, 0].map(i16::to_le_bytes).as_flattened());
            bytes.extend(
                [EVENT as i32, TIME_AT, turns, number, number, number].map(i32::to_le_bytes).as_flattened(),
            );
            for event in packet {
                let data = u32::from(event.x) << 17 | u32::from(event.y) << 2 | u32::from(event.on) << 1 | 1;
                bytes.extend(data.to_le_bytes());
                bytes.extend((event.t as u32 & ((1 << LOW_BITS) - 1)).to_le_bytes());
            }
            output.write_all(&bytes)?;
        }
        Ok(())
    }
}
