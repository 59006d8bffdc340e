//! RAW files of Prophesee's cameras in the encoding EVT 3.0 (*EVT 3.0 Format*,
//! <https://docs.prophesee.ai/stable/data/encoding_formats/evt3.html>).
//!
//! Lines of text (see `prophesee.rs`), then words of 2 bytes, least significant byte first, which change what is known of the
//! events behind them or are events:
//!
//! | word | bits 15–12 | 11 | 10–0 |
//! |---|---|---|---|
//! | EVT_ADDR_Y | 0 | system | y |
//! | EVT_ADDR_X, an event | 2 | polarity: 1 on | x |
//! | VECT_BASE_X | 3 | polarity | x of the next vector's first bit |
//! | VECT_12, an event for each bit that is set | 4 | bit of x + 11 | bits of x + 10 to x + 0; then x is 12 higher |
//! | VECT_8 | 5 | | bits 7–0: of x + 7 to x + 0; then x is 8 higher |
//! | EVT_TIME_LOW | 6 | time, bit 11 | time, bits 10–0 |
//! | EVT_TIME_HIGH | 8 | time, bit 23 | time, bits 22–12 |
//! | EXT_TRIGGER | 10 | passed over | |
//! | CONTINUED_4, OTHERS, CONTINUED_12 | 7, 14, 15 | passed over | |
//!
//! Times are in microseconds. An EVT_TIME_LOW goes with the EVT_TIME_HIGH in front of it. That turns every 16.8 s; cameras
//! repeat it every 16 µs, but other writers may leave it out while there is no event. So a word is taken for the later time
//! that is nearest to the last word's, unless it is less than about a second earlier: then times run backwards.
//!
//! Events in front of the first time and the first y are passed over, as are vectors in front of the first VECT_BASE_X and words
//! whose type the specification reserves; all are counted.
//!
//! Where the header tells no sensor, the camera's plugin does; where that is not known, none is told.

mod encode;

use std::hint::select_unpredictable;
use std::slice::from_ref;

use super::prophesee::{self, Clock, PassedOver};
use super::{Decoded, Decoder, Fault, no_rest};
use crate::{Event, Sensor};

pub(crate) use encode::encoder;

/// Bytes of a word.
const WORD: usize = 2;
/// Bits of x and of y.
const PIXEL_BITS: u32 = 11;
const PIXEL: u16 = (1 << PIXEL_BITS) - 1;
/// The bit of the polarity.
const ON: u16 = 1 << 11;
/// Bits of an EVT_TIME_LOW.
const LOW_BITS: u32 = 12;
const LOW: u16 = (1 << LOW_BITS) - 1;
/// Pixels of a VECT_12.
const VECTOR: u16 = 12;

const ADDR_Y: u16 = 0;
const ADDR_X: u16 = 2;
const VECT_BASE_X: u16 = 3;
const VECT_12: u16 = 4;
const VECT_8: u16 = 5;
const TIME_LOW: u16 = 6;
const CONTINUED_4: u16 = 7;
const TIME_HIGH: u16 = 8;
const EXT_TRIGGER: u16 = 10;
const OTHERS: u16 = 14;
const CONTINUED_12: u16 = 15;

const CLOCK: Clock = Clock::new(1 << 12, 1 << 8);

/// Whether a file that begins with `head` says that it is one.
pub(crate) fn matches(head: &[u8], _: u64) -> bool {
    prophesee::is_raw(head, "3.0")
}

pub(crate) fn begin(head: &[u8]) -> Result<(usize, Box<dyn Decoder>), Fault> {
    let (start, sensor) = prophesee::begin_raw(head, "3.0")?;
    Ok((start, Box::new(Words::new(sensor))))
}

/// The words that most events are made of.
const SINGLE: u32 = 1 << ADDR_Y | 1 << ADDR_X | 1 << TIME_LOW;

/// Words that are decoded at once.
const BLOCK: usize = 64;
/// A power of two that is no less than the events of a block of vectors.
const ROOM: usize = 1024;

/// Decodes words.
#[derive(Debug)]
pub struct Words {
    sensor: Option<Sensor>,
    known: Known,
    /// The events of a block.
    block: Box<[Event; ROOM]>,
}

/// What words have told.
#[derive(Clone, Copy, Debug)]
struct Known {
    clock: Clock,
    /// The time of the last EVT_TIME_HIGH.
    high: i64,
    /// Time and row of the next event.
    t: i64,
    y: u16,
    /// Column and polarity of the next vector's first bit.
    x: u16,
    on: bool,
    /// A bit for each type of word that was seen, for as long as events are not known whole.
    types: u16,
    passed_over: PassedOver,
}

impl Known {
    fn saw(&self, kind: u16) -> bool {
        self.types >> kind & 1 == 1
    }

    /// Whether time and row of the next event are known.
    fn whole(&self) -> bool {
        self.saw(ADDR_Y) && self.saw(TIME_LOW)
    }

    /// Notes a word in front of the first whole event. An EVT_TIME_LOW says nothing without an EVT_TIME_HIGH.
    fn note(&mut self, word: u16) {
        let kind = word >> 12;
        if kind != TIME_LOW || self.clock.runs() {
            self.types |= 1 << kind;
        }
    }

    /// Takes a block of words and puts their events in `events`. Gives their number, and whether one lies outside of the
    /// sensor.
    fn take(&mut self, words: &[[u8; WORD]], sensor: Sensor, events: &mut [Event; ROOM]) -> (usize, bool) {
        let (mut len, mut outside) = (0, false);
        let Self { mut t, mut y, .. } = *self;
        for word in words {
            let word = u16::from_le_bytes(*word);
            let kind = word >> 12;
            if SINGLE >> kind & 1 == 1 {
                // These follow each other in no order that a processor could foresee, so that there are no branches in
                // here: what is no event is overwritten by the next.
                let (x, is_event) = (word & PIXEL, kind == ADDR_X);
                y = select_unpredictable(kind == ADDR_Y, x, y);
                t = select_unpredictable(kind == TIME_LOW, self.high + i64::from(word & LOW), t);
                events[len % ROOM] = Event { t, x, y, on: word & ON != 0 };
                outside |= is_event & !((x < sensor.width) & (y < sensor.height));
                len += usize::from(is_event);
            } else if kind == VECT_12 || kind == VECT_8 {
                let size = if kind == VECT_12 { VECTOR } else { 8 };
                let mut bits = self.valid(word & ((1 << size) - 1));
                while bits != 0 {
                    let x = self.x + bits.trailing_zeros() as u16;
                    events[len % ROOM] = Event { t, x, y, on: self.on };
                    outside |= !sensor.holds(x, y);
                    len += 1;
                    bits &= bits - 1;
                }
                // No further than where all pixels are outside.
                self.x = (self.x + size).min(1 << PIXEL_BITS);
            } else {
                self.other(word);
            }
        }
        (self.t, self.y) = (t, y);
        (len, outside)
    }

    /// The bits of a vector whose first one's x is known.
    fn valid(&mut self, bits: u16) -> u16 {
        if self.saw(VECT_BASE_X) {
            return bits;
        }
        self.passed_over.partial += u64::from(bits.count_ones());
        0
    }

    /// Takes a word that is no event and changes neither time nor row. Kept out of the loop, which has no registers to
    /// spare for it.
    #[inline(never)]
    fn other(&mut self, word: u16) {
        match word >> 12 {
            VECT_BASE_X => {
                (self.x, self.on) = (word & PIXEL, word & ON != 0);
                self.types |= 1 << VECT_BASE_X;
            }
            TIME_HIGH => self.high = self.clock.read(i64::from(word & LOW)) << LOW_BITS,
            EXT_TRIGGER => self.passed_over.triggers += 1,
            CONTINUED_4 | OTHERS | CONTINUED_12 => self.passed_over.others += 1,
            _ => self.passed_over.reserved += 1,
        }
    }
}

impl Words {
    /// Of a camera with this sensor, if it is known.
    pub fn new(sensor: Option<Sensor>) -> Self {
        let known = Known {
            clock: CLOCK,
            high: 0,
            t: 0,
            y: 0,
            x: 0,
            on: false,
            types: 0,
            passed_over: PassedOver::default(),
        };
        Self { sensor, known, block: Box::new([Event { t: 0, x: 0, y: 0, on: false }; ROOM]) }
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
        for (i, block) in words.chunks(BLOCK).enumerate() {
            let before = self.known;
            let (len, outside) = self.known.take(block, sensor, &mut self.block);
            if before.whole() && !outside {
                events.extend_from_slice(&self.block[..len]);
                continue;
            }
            // Once more, word by word, to see which events are whole and which one is outside.
            self.known = before;
            for (j, word) in block.iter().enumerate() {
                let (len, outside) = self.known.take(from_ref(word), sensor, &mut self.block);
                self.known.note(u16::from_le_bytes(*word));
                if !self.known.whole() {
                    self.known.passed_over.partial += len as u64;
                } else if outside {
                    let first = self.block[..len].iter().find(|event| !sensor.holds(event.x, event.y));
                    let (x, y) = first.map_or((0, 0), |event| (event.x, event.y));
                    return Err(Fault::outside((i * BLOCK + j) * WORD, sensor, x, y));
                } else {
                    events.extend_from_slice(&self.block[..len]);
                }
            }
        }
        Ok(Decoded { bytes: bytes.len() - rest.len(), next: WORD })
    }

    fn end(&mut self, rest: &[u8], _: &mut Vec<Event>) -> Result<(), Fault> {
        no_rest(rest, "a word of 2 bytes")
    }

    fn passed_over(&self) -> Vec<(&'static str, u64)> {
        self.known.passed_over.list()
    }
}
