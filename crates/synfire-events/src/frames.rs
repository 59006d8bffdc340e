//! Events to frames: counts per pixel and polarity over `T` slices of a recording.
//!
//! Frames have the shape `[T, C, H, W]`. Channel 0 counts the off events, channel 1 the on events, unless polarities are
//! merged. Counts are not normalised.

mod scale;
mod spec;

use crate::{Event, EventError, Recording, Sensor};
use scale::Scale;
pub use spec::{Downsampling, FrameSize, FrameSpec, FrameValues, Framing, Polarities};

/// Counts the events of a recording into frames.
///
/// `out` has the shape that [`FrameSpec::shape`] tells, row-major, and is overwritten.
///
/// # Errors
/// When there is no time step, the sensor has no pixels, frames would be larger than the sensor, `out` has another length, the
/// recording is empty, or an event lies outside the sensor (`out` is then partly written).
pub fn to_frames(recording: &Recording, spec: &FrameSpec, out: &mut [f32]) -> Result<(), EventError> {
    let Recording { sensor, events } = recording;
    if spec.steps == 0 {
        return Err(frames_error("at least one time step", "0"));
    }
    let [steps, channels, height, width] = spec.shape(*sensor);
    if sensor.width == 0 || sensor.height == 0 {
        return Err(frames_error("a sensor with pixels", &format!("one of {sensor}")));
    }
    if width == 0 || height == 0 || width > sensor.width.into() || height > sensor.height.into() {
        let expected = format!("frames of at least 1x1 and at most {sensor} pixels, as the sensor has");
        return Err(frames_error(&expected, &format!("{width}x{height}")));
    }
    if spec.framing == Framing::Duration(0) {
        return Err(frames_error("frames of at least 1 µs", "0 µs"));
    }
    let frame_len = channels * height * width;
    if frame_len.checked_mul(steps) != Some(out.len()) {
        let expected = format!("room for [{steps}, {channels}, {height}, {width}] values");
        return Err(frames_error(&expected, &format!("{} values", out.len())));
    }
    if events.is_empty() {
        return Err(frames_error("at least one event", "an empty recording"));
    }
    out.fill(0.0);
    let merged = spec.polarities == Polarities::Merged;
    let first_row = |event: &Event| if merged { 0 } else { usize::from(event.on) * height };
    if spec.size == FrameSize::Sensor {
        return cut(recording, spec, frame_len, out, |frame, event| {
            frame[(first_row(event) + usize::from(event.y)) * width + usize::from(event.x)] += 1.0;
        })
        .map(|()| spec.values.finish(out));
    }
    let columns = Scale::new(sensor.width.into(), width, spec.downsampling);
    let rows = Scale::new(sensor.height.into(), height, spec.downsampling);
    cut(recording, spec, frame_len, out, |frame, event| {
        for row in rows.targets(event.y) {
            for column in columns.targets(event.x) {
                frame[(first_row(event) + row) * width + column] += 1.0;
            }
        }
    })?;
    if spec.downsampling == Downsampling::Area {
        for plane in out.chunks_exact_mut(height * width) {
            for (row, values) in plane.chunks_exact_mut(width).enumerate() {
                let pixels = |column| (rows.sources(row) * columns.sources(column)) as f32;
                values.iter_mut().enumerate().for_each(|(column, value)| *value /= pixels(column));
            }
        }
    }
    spec.values.finish(out);
    Ok(())
}

/// Gives each event to the frame it belongs to.
fn cut(
    Recording { sensor, events }: &Recording,
    spec: &FrameSpec,
    frame_len: usize,
    out: &mut [f32],
    count: impl Fn(&mut [f32], &Event),
) -> Result<(), EventError> {
    let steps = spec.steps;
    let checked = |frame: &mut [f32], event: &Event| {
        if !sensor.holds(event.x, event.y) {
            return Err(outside(*sensor, event));
        }
        count(frame, event);
        Ok(())
    };
    if spec.framing == Framing::Count {
        let per_frame = events.len() / steps;
        for (step, frame) in out.chunks_exact_mut(frame_len).enumerate() {
            let end = if step + 1 == steps { events.len() } else { (step + 1) * per_frame };
            events[step * per_frame..end].iter().try_for_each(|event| checked(frame, event))?;
        }
        return Ok(());
    }
    let first = events.iter().fold(i64::MAX, |t, event| t.min(event.t));
    // Two's complement: the difference of ordered i64 always fits in u64.
    let since_first = |t: i64| t.wrapping_sub(first) as u64;
    let (duration, rest_counts) = match spec.framing {
        Framing::Duration(microseconds) => (microseconds, false),
        _ => {
            let last = events.iter().fold(i64::MIN, |t, event| t.max(event.t));
            ((since_first(last) / steps as u64).max(1), true)
        }
    };
    for event in events {
        let step = since_first(event.t) / duration;
        if step < steps as u64 || rest_counts {
            let step = step.min(steps as u64 - 1) as usize;
            checked(&mut out[step * frame_len..][..frame_len], event)?;
        }
    }
    Ok(())
}

#[cold]
fn outside(sensor: Sensor, event: &Event) -> EventError {
    let expected = format!("events on the {sensor} sensor");
    frames_error(&expected, &format!("one at x {}, y {}", event.x, event.y))
}

#[cold]
fn frames_error(expected: &str, found: &str) -> EventError {
    EventError::Frames { expected: expected.to_owned(), found: found.to_owned() }
}
