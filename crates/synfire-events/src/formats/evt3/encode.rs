//! Writing EVT 3.0: words for what changes from event to event, and vectors where they are shorter.

use super::{
    ADDR_X, ADDR_Y, CLOCK, LOW, LOW_BITS, ON, PIXEL_BITS, TIME_HIGH, TIME_LOW, VECT_12, VECT_BASE_X, VECTOR,
};
use crate::formats::prophesee::{self, Clock};
use crate::formats::{EncodeError, Encoder, Output};
use crate::{Event, Origin};

/// Writes pixels up to 2047 and any time that is at most 19 hours from the one before.
pub(crate) fn encoder(origin: Origin, output: &mut dyn Output) -> Result<Box<dyn Encoder>, EncodeError> {
    prophesee::ask_for_sensor(origin.sensor, PIXEL_BITS)?;
    output.write_all(prophesee::raw_header('3', origin).as_bytes())?;
    Ok(Box::new(ToWords { clock: CLOCK, last: None, y: None }))
}

struct ToWords {
    clock: Clock,
    /// The time and the y that the last words tell.
    last: Option<i64>,
    y: Option<u16>,
}

impl ToWords {
    /// Writes what changes from the last event to this one, but its x.
    fn address(&mut self, event: &Event, words: &mut Vec<u16>) {
        if self.last != Some(event.t) {
            self.clock.write(event.t >> LOW_BITS, |high| words.push(TIME_HIGH << 12 | high as u16));
            words.push(TIME_LOW << 12 | event.t as u16 & LOW);
            self.last = Some(event.t);
        }
        if self.y != Some(event.y) {
            words.push(ADDR_Y << 12 | event.y);
            self.y = Some(event.y);
        }
    }
}

/// The x and the polarity in the words that tell both.
fn column(event: &Event) -> u16 {
    if event.on { ON | event.x } else { event.x }
}

/// Writes the first event and, if that takes fewer words than an EVT_ADDR_X for each, those behind it in a row of vectors;
/// gives their number. The events of a vector are read from left to right, so that only events in that order are written as
/// one. A vector that would hold a single event is not worth its word. A VECT_8 holds no more than a VECT_12, and is as long.
fn columns(events: &[Event], words: &mut Vec<u16>) -> usize {
    let first = events[0];
    let begin = words.len();
    words.push(VECT_BASE_X << 12 | column(&first));
    let (mut taken, mut base) = (0, first.x);
    loop {
        let (mut next, mut bits, mut x) = (taken, 0, base);
        while let Some(event) = events.get(next)
            && (event.t, event.y, event.on) == (first.t, first.y, first.on)
            && (x..base + VECTOR).contains(&event.x)
        {
            bits |= 1 << (event.x - base);
            x = event.x + 1;
            next += 1;
        }
        if next < taken + 2 {
            break;
        }
        words.push(VECT_12 << 12 | bits);
        (taken, base) = (next, base + VECTOR);
    }
    if words.len() - begin < taken {
        return taken;
    }
    words.truncate(begin);
    words.push(ADDR_X << 12 | column(&first));
    1
}

impl Encoder for ToWords {
    fn encode(&mut self, events: &[Event], output: &mut dyn Output) -> Result<(), EncodeError> {
        let mut words = Vec::with_capacity(events.len() * 2);
        let mut i = 0;
        while let Some(event) = events.get(i) {
            prophesee::ask_for_time(i, self.last.unwrap_or(0), event.t)?;
            self.address(event, &mut words);
            i += columns(&events[i..], &mut words);
        }
        let bytes: Vec<u8> = words.into_iter().flat_map(u16::to_le_bytes).collect();
        output.write_all(&bytes)?;
        Ok(())
    }
}
