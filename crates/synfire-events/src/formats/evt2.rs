//! RAW files of Prophesee's cameras in the encoding EVT 2.0 (*EVT 2.0 Format*,
//! <https://docs.prophesee.ai/stable/data/encoding_formats/evt2.html>).
//!
//! Lines of text (see `prophesee.rs`), then words of 4 bytes, least significant byte first:
//!
//! | word | bits 31–28 | 27–22 | 21–11 | 10–0 |
//! |---|---|---|---|---|
//! | CD_OFF, an off event | 0 | time, bits 5–0 | x | y |
//! | CD_ON, an on event | 1 | time, bits 5–0 | x | y |
//! | EVT_TIME_HIGH | 8 | time, bits 33–28 | time, bits 27–17 | time, bits 16–6 |
//! | EXT_TRIGGER | 10 | passed over | | |
//! | OTHERS, CONTINUED | 14, 15 | passed over | | |
//!
//! Times are in microseconds. An EVT_TIME_HIGH is for the events behind it. Its 28 bits turn about every 4.8 hours: a word is
//! taken for the time that is nearest to the last word's, so that times may run backwards too. Events in front of the first
//! have no time and are passed over, as are words whose type the specification reserves; all are counted.
//!
//! Where the header tells no sensor, the camera's plugin does; where that is not known, none is told.

use super::prophesee::{self, Clock, PassedOver};
use super::{Decoded, Decoder, EncodeError, Encoder, Fault, Output, no_rest};
use crate::{Event, Origin, Sensor};

/// Bytes of a word.
const WORD: usize = 4;
/// Bits of x and of y.
const PIXEL_BITS: u32 = 11;
const PIXEL: u32 = (1 << PIXEL_BITS) - 1;
/// Bits of the time that an event has itself.
const LOW_BITS: u32 = 6;
/// Words of a smaller value are events.
const EVENTS: u32 = 2 << 28;

const CLOCK: Clock = Clock::new(1 << 28, 1 << 27);

/// Whether a file that begins with `head` says that it is one.
pub(crate) fn matches(head: &[u8], _: u64) -> bool {
    prophesee::is_raw(head, "2.0")
}

pub(crate) fn begin(head: &[u8]) -> Result<(usize, Box<dyn Decoder>), Fault> {
    let (start, sensor) = prophesee::begin_raw(head, "2.0")?;
    Ok((start, Box::new(Words::new(sensor))))
}

/// Decodes words.
#[derive(Debug)]
pub struct Words {
    sensor: Option<Sensor>,
    clock: Clock,
    /// The time of the last EVT_TIME_HIGH.
    high: i64,
    passed_over: PassedOver,
}

impl Words {
    /// Of a camera with this sensor, if it is known.
    pub fn new(sensor: Option<Sensor>) -> Self {
        Self { sensor, clock: CLOCK, high: 0, passed_over: PassedOver::default() }
    }

    /// Takes a word that is no event.
    fn other(&mut self, word: u32) {
        match word >> 28 {
            8 => self.high = self.clock.read(i64::from(word & ((1 << 28) - 1))) << LOW_BITS,
            10 => self.passed_over.triggers += 1,
            14 | 15 => self.passed_over.others += 1,
            _ => self.passed_over.reserved += 1,
        }
    }
}

fn event(high: i64, word: u32) -> Event {
    Event {
        t: high + i64::from(word >> 22 & 0x3f),
        x: (word >> PIXEL_BITS & PIXEL) as u16,
        y: (word & PIXEL) as u16,
        on: word >> 28 == 1,
    }
}

impl Decoder for Words {
    fn sensor(&self) -> Option<Sensor> {
        self.sensor
    }

    fn decode(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<Decoded, Fault> {
        let (words, rest) = bytes.as_chunks::<WORD>();
        events.reserve(words.len());
        let sensor = self.sensor.unwrap_or(Sensor { width: 1 << PIXEL_BITS, height: 1 << PIXEL_BITS });
        let mut words = words.iter().map(|word| u32::from_le_bytes(*word)).enumerate();
        while !self.clock.runs()
            && let Some((_, word)) = words.next()
        {
            match word {
                0..EVENTS => self.passed_over.partial += 1,
                _ => self.other(word),
            }
        }
        for (i, word) in words {
            if word >= EVENTS {
                self.other(word);
                continue;
            }
            let event = event(self.high, word);
            if !sensor.holds(event.x, event.y) {
                return Err(Fault::outside(i * WORD, sensor, event.x, event.y));
            }
            events.push(event);
        }
        Ok(Decoded { bytes: bytes.len() - rest.len(), next: WORD })
    }

    fn end(&mut self, rest: &[u8], _: &mut Vec<Event>) -> Result<(), Fault> {
        no_rest(rest, "a word of 4 bytes")
    }

    fn passed_over(&self) -> Vec<(&'static str, u64)> {
        self.passed_over.list()
    }
}

/// Writes pixels up to 2047 and any time that is at most 19 hours from the one before.
pub(crate) fn encoder(origin: Origin, output: &mut dyn Output) -> Result<Box<dyn Encoder>, EncodeError> {
    prophesee::ask_for_sensor(origin.sensor, PIXEL_BITS)?;
    output.write_all(prophesee::raw_header('2', origin).as_bytes())?;
    Ok(Box::new(ToWords { clock: CLOCK, last: 0 }))
}

struct ToWords {
    clock: Clock,
    /// The time of the last event.
    last: i64,
}

impl Encoder for ToWords {
    fn encode(&mut self, events: &[Event], output: &mut dyn Output) -> Result<(), EncodeError> {
        let mut bytes = Vec::with_capacity(events.len() * WORD);
        for (i, event) in events.iter().enumerate() {
            prophesee::ask_for_time(i, self.last, event.t)?;
            self.last = event.t;
            let high = |bits: i64| bytes.extend((8 << 28 | bits as u32).to_le_bytes());
            self.clock.write(event.t >> LOW_BITS, high);
            let low = (event.t & 0x3f) as u32;
            let word = u32::from(event.on) << 28 | low << 22 | u32::from(event.x) << 11 | u32::from(event.y);
            bytes.extend(word.to_le_bytes());
        }
        output.write_all(&bytes)?;
        Ok(())
    }
}
