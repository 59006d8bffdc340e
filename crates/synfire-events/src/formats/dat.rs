//! DAT files of Prophesee's software, of which N-Cars is made (*DAT File Format*,
//! <https://docs.prophesee.ai/stable/data/file_formats/dat.html>; the layout before version 2 as read by `load_atis_data.m`,
//! which Prophesee published with N-Cars).
//!
//! Lines of text (see `prophesee.rs`), at least one; a byte with the type of the events, 0 (any) or 12 (changes of
//! brightness, CD); a byte with their size, 8; then the events, two words of 4 bytes each, least significant byte first. The
//! first word is the time in microseconds, the second the pixel:
//!
//! | | polarity: 1 on, 0 off | y | x |
//! |---|---|---|---|
//! | `Version` 2 | bit 28 | bits 27–14 | bits 13–0 |
//! | `Version` 1, or none | bit 17 | bits 16–9 | bits 8–0 |
//!
//! The 32 bits of time turn after 71.6 minutes: an event is taken for the time that is nearest to the last one's, so that times
//! may run backwards too.
//!
//! Where the header tells no sensor, none is told. N-Cars has such headers: its recordings are cut out of those of a 304x240
//! sensor, each as large as the car in it, and moved to the first pixel, so that the camera's sensor would say nothing.

use super::prophesee::{self, Header};
use super::{Decoded, Decoder, EncodeError, Encoder, Fault, Output, ask_for_step, nearest_time, no_rest};
use crate::{Event, Origin, Sensor};

/// Bytes of an event.
const RECORD: usize = 8;
/// Bits of x and of y since version 2.
const PIXEL_BITS: u32 = 14;
/// The type of events that are no more than events, and of changes of brightness.
const EVENT_2D: u8 = 0;
const EVENT_CD: u8 = 12;

/// Whether a file that begins with `head` may be one: RAW files begin alike, but tell their encoding.
pub(crate) fn matches(head: &[u8], _: u64) -> bool {
    let header = Header::read(head);
    header.len > 0 && header.encoding().is_none() && type_and_size(head, header.len).is_ok()
}

pub(crate) fn begin(head: &[u8]) -> Result<(usize, Box<dyn Decoder>), Fault> {
    let header = Header::read(head);
    if header.len == 0 {
        return Err(Fault::new(0, "a line of text that begins with `% `", "none"));
    }
    type_and_size(head, header.len)?;
    let bits = match header.field("Version") {
        Some(field) if field.value == "2" => (PIXEL_BITS, PIXEL_BITS),
        Some(field) if field.value != "1" => return Err(field.fault("version 1 or 2")),
        _ => (9, 8),
    };
    Ok((header.len + 2, Box::new(Records { sensor: header.sensor()?, bits, last: None })))
}

/// Checks the two bytes between the lines of text and the events.
fn type_and_size(head: &[u8], at: usize) -> Result<(), Fault> {
    let expected = "events of type 0 or 12 and 8 bytes";
    match head[at..] {
        [EVENT_2D | EVENT_CD, size, ..] if usize::from(size) == RECORD => Ok(()),
        [kind, size, ..] => Err(Fault::new(at, expected, format!("type {kind} and {size} bytes"))),
        _ => Err(Fault::new(at, expected, "the end of the file")),
    }
}

/// Decodes events.
#[derive(Debug)]
struct Records {
    sensor: Option<Sensor>,
    /// Bits of x and of y.
    bits: (u32, u32),
    /// The time of the last event.
    last: Option<i64>,
}

impl Decoder for Records {
    fn sensor(&self) -> Option<Sensor> {
        self.sensor
    }

    fn decode(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<Decoded, Fault> {
        let (records, rest) = bytes.as_chunks::<RECORD>();
        events.reserve(records.len());
        let (x_bits, y_bits) = self.bits;
        let sensor = self.sensor.unwrap_or(Sensor { width: 1 << x_bits, height: 1 << y_bits });
        let time = |[a, b, c, d, ..]: [u8; RECORD]| u32::from_le_bytes([a, b, c, d]);
        let mut last = self.last.unwrap_or_else(|| records.first().map_or(0, |record| time(*record).into()));
        for (i, record) in records.iter().enumerate() {
            last = nearest_time(last, time(*record));
            let [.., a, b, c, d] = *record;
            let pixel = u32::from_le_bytes([a, b, c, d]);
            let x = (pixel & ((1 << x_bits) - 1)) as u16;
            let y = (pixel >> x_bits & ((1 << y_bits) - 1)) as u16;
            if !sensor.holds(x, y) {
                return Err(Fault::outside(i * RECORD, sensor, x, y));
            }
            events.push(Event { t: last, x, y, on: pixel >> (x_bits + y_bits) & 1 == 1 });
        }
        self.last = Some(last).filter(|_| self.last.is_some() || !records.is_empty());
        Ok(Decoded { bytes: bytes.len() - rest.len(), next: RECORD })
    }

    fn end(&mut self, rest: &[u8], _: &mut Vec<Event>) -> Result<(), Fault> {
        no_rest(rest, "an event of 8 bytes")
    }
}

/// Writes version 2: pixels up to 16,383, times from 0 to 2^32 µs at first and less than 2^31 µs from the one before after.
pub(crate) fn encoder(origin: Origin, output: &mut dyn Output) -> Result<Box<dyn Encoder>, EncodeError> {
    let (Sensor { width, height }, note) = (origin.sensor, prophesee::simulated_line(origin));
    prophesee::ask_for_sensor(origin.sensor, PIXEL_BITS)?;
    let text =
        format!("% Data file containing CD events\n{note}% Version 2\n% Width {width}\n% Height {height}\n");
    output.write_all(text.as_bytes())?;
    output.write_all(&[EVENT_CD, RECORD as u8])?;
    Ok(Box::new(ToRecords { last: None }))
}

struct ToRecords {
    /// The time of the last event.
    last: Option<i64>,
}

impl Encoder for ToRecords {
    fn encode(&mut self, events: &[Event], output: &mut dyn Output) -> Result<(), EncodeError> {
        let mut bytes = Vec::with_capacity(events.len() * RECORD);
        for (i, event) in events.iter().enumerate() {
            ask_for_step(i, self.last, event.t, 0..=u32::MAX.into())?;
            self.last = Some(event.t);
            let pixel = u32::from(event.on) << 28 | u32::from(event.y) << PIXEL_BITS | u32::from(event.x);
            bytes.extend((event.t as u32).to_le_bytes());
            bytes.extend(pixel.to_le_bytes());
        }
        output.write_all(&bytes)?;
        Ok(())
    }
}
