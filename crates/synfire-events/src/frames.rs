//! Events to frames: counts per pixel and polarity over `T` slices of a recording.
//!
//! A frame has the shape `[2, H, W]`; channel 0 counts the off events, channel 1 the on events. Counts are not
//! normalised.

use std::fmt;
use std::str::FromStr;

use crate::{Event, EventError, Recording};

/// How a recording is cut into `T` frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Framing {
    /// The same number of events a frame: `N / T` rounded down, in file order; the last frame takes the rest too. A
    /// recording of fewer than `T` events falls into the last frame whole.
    #[default]
    Count,
    /// The same duration a frame: `(last - first) / T` rounded down to whole microseconds (but at least one), from the
    /// earliest event on; the last frame takes the rest too.
    Time,
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Count => "count",
            Self::Time => "time",
        })
    }
}

impl FromStr for Framing {
    type Err = EventError;

    fn from_str(name: &str) -> Result<Self, EventError> {
        match name {
            "count" => Ok(Self::Count),
            "time" => Ok(Self::Time),
            _ => Err(EventError::UnknownFraming(name.to_owned())),
        }
    }
}

/// Counts the events of a recording into `steps` frames.
///
/// `out` has the shape `[steps, 2, height, width]`, row-major, and is overwritten.
///
/// # Errors
/// When `steps` is 0, the sensor has no pixels, `out` has another length, the recording is empty, or an event lies outside the sensor (`out` is
/// then partly written).
pub fn to_frames(
    recording: &Recording,
    steps: usize,
    framing: Framing,
    out: &mut [f32],
) -> Result<(), EventError> {
    let (width, height) = (usize::from(recording.sensor.width), usize::from(recording.sensor.height));
    let frame_len = 2 * height * width;
    if steps == 0 {
        return Err(frames_error("at least one time step", "0"));
    }
    if frame_len == 0 {
        return Err(frames_error("a sensor with pixels", &format!("one of {width}x{height}")));
    }
    if frame_len.checked_mul(steps) != Some(out.len()) {
        let expected = format!("room for [{steps}, 2, {height}, {width}] values");
        return Err(frames_error(&expected, &format!("{} values", out.len())));
    }
    let events = &recording.events;
    if events.is_empty() {
        return Err(frames_error("at least one event", "an empty recording"));
    }
    out.fill(0.0);
    match framing {
        Framing::Count => {
            let per_frame = events.len() / steps;
            for (step, frame) in out.chunks_exact_mut(frame_len).enumerate() {
                let end = if step + 1 == steps { events.len() } else { (step + 1) * per_frame };
                for event in &events[step * per_frame..end] {
                    count(event, width, height, frame)?;
                }
            }
        }
        Framing::Time => {
            let first = events.iter().fold(i64::MAX, |t, event| t.min(event.t));
            let last = events.iter().fold(i64::MIN, |t, event| t.max(event.t));
            // Two's complement: the difference of ordered i64 always fits in u64.
            let since_first = |t: i64| t.wrapping_sub(first) as u64;
            let duration = (since_first(last) / steps as u64).max(1);
            for event in events {
                let step = (since_first(event.t) / duration).min(steps as u64 - 1) as usize;
                count(event, width, height, &mut out[step * frame_len..][..frame_len])?;
            }
        }
    }
    Ok(())
}

/// Adds one event to a frame of shape `[2, height, width]`.
#[inline]
fn count(event: &Event, width: usize, height: usize, frame: &mut [f32]) -> Result<(), EventError> {
    let (x, y) = (usize::from(event.x), usize::from(event.y));
    if x >= width || y >= height {
        let expected = format!("events on the {width}x{height} sensor");
        return Err(frames_error(&expected, &format!("one at x {x}, y {y}")));
    }
    frame[(usize::from(event.on) * height + y) * width + x] += 1.0;
    Ok(())
}

#[cold]
fn frames_error(expected: &str, found: &str) -> EventError {
    EventError::Frames { expected: expected.to_owned(), found: found.to_owned() }
}
