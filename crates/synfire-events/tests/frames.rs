//! Events to frames: where the cuts fall, what is conserved, and one test per refusal.

use proptest::prelude::*;
use synfire_events::{Event, EventError, Framing, Recording, Sensor, to_frames};

/// A recording of one pixel, on events at these times.
fn at_times(times: &[i64]) -> Recording {
    let events = times.iter().map(|&t| Event { t, x: 0, y: 0, on: true }).collect();
    Recording { sensor: Sensor { width: 1, height: 1 }, events }
}

/// Events in each of `steps` frames of a one-pixel recording.
fn counts(times: &[i64], steps: usize, framing: Framing) -> Vec<f32> {
    let mut out = vec![f32::NAN; 2 * steps];
    to_frames(&at_times(times), steps, framing, &mut out).unwrap();
    out.chunks(2)
        .map(|frame| {
            assert_eq!(frame[0], 0.0, "no off events");
            frame[1]
        })
        .collect()
}

#[test]
fn by_count_the_last_frame_takes_the_rest() {
    let times: Vec<i64> = (0..11).collect();
    assert_eq!(counts(&times, 4, Framing::Count), [2.0, 2.0, 2.0, 5.0]);
    assert_eq!(counts(&times, 1, Framing::Count), [11.0]);
    assert_eq!(counts(&[1, 2], 3, Framing::Count), [0.0, 0.0, 2.0]);
}

#[test]
fn by_time_durations_are_equal_and_the_last_frame_takes_the_rest() {
    // (110 - 10) / 3 = 33 µs: cuts at 43 and 76.
    assert_eq!(counts(&[10, 42, 43, 75, 76, 109, 110], 3, Framing::Time), [2.0, 2.0, 3.0]);
    // Order does not matter.
    assert_eq!(counts(&[110, 76, 10, 43, 42, 75, 109], 3, Framing::Time), [2.0, 2.0, 3.0]);
    // Shorter than a microsecond a frame.
    assert_eq!(counts(&[5, 5, 6], 4, Framing::Time), [2.0, 1.0, 0.0, 0.0]);
    assert_eq!(counts(&[i64::MIN, 0, i64::MAX], 2, Framing::Time), [1.0, 2.0]);
}

#[test]
fn polarity_is_the_channel_and_rows_are_y() {
    let events = vec![Event { t: 0, x: 2, y: 1, on: true }, Event { t: 1, x: 0, y: 1, on: false }];
    let mut out = vec![0.0; 2 * 2 * 3];
    to_frames(&Recording { sensor: Sensor { width: 3, height: 2 }, events }, 1, Framing::Count, &mut out)
        .unwrap();
    assert_eq!(out, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, /* on */ 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn what_cannot_be_framed_is_refused() {
    let refused = |recording: &Recording, steps, len| {
        for framing in [Framing::Count, Framing::Time] {
            let error = to_frames(recording, steps, framing, &mut vec![0.0; len]).unwrap_err();
            assert!(matches!(error, EventError::Frames { .. }), "{error}");
        }
    };
    let one = at_times(&[1]);
    refused(&one, 0, 0);
    refused(&one, 2, 3);
    refused(&one, usize::MAX, 2);
    refused(&at_times(&[]), 2, 4);
    refused(&Recording { sensor: Sensor { width: 0, height: 1 }, ..one.clone() }, 2, 0);
    let outside = Recording { events: vec![Event { t: 0, x: 1, y: 0, on: true }], ..one };
    refused(&outside, 2, 4);
}

#[test]
fn framings_have_names() {
    for framing in [Framing::Count, Framing::Time] {
        assert_eq!(framing.to_string().parse::<Framing>().unwrap(), framing);
    }
    let error = "events".parse::<Framing>().unwrap_err();
    assert_eq!(error.to_string(), "unknown framing \"events\": expected \"count\" or \"time\"");
}

proptest! {
    #[test]
    fn frames_hold_every_event_once(
        events in proptest::collection::vec((any::<i64>(), 0..5_u16, 0..4_u16, any::<bool>()), 1..300),
        steps in 1..20_usize,
        by_time in any::<bool>(),
    ) {
        let framing = if by_time { Framing::Time } else { Framing::Count };
        let events: Vec<Event> = events.into_iter().map(|(t, x, y, on)| Event { t, x, y, on }).collect();
        let recording = Recording { sensor: Sensor { width: 5, height: 4 }, events };
        let mut out = vec![f32::NAN; steps * 2 * 4 * 5];
        to_frames(&recording, steps, framing, &mut out).unwrap();
        // Summed over frames, every pixel and polarity has its own count.
        let mut expected = vec![0.0; 2 * 4 * 5];
        for event in &recording.events {
            expected[(usize::from(event.on) * 4 + usize::from(event.y)) * 5 + usize::from(event.x)] += 1.0;
        }
        let mut sums = vec![0.0; 2 * 4 * 5];
        for (i, value) in out.iter().enumerate() {
            sums[i % 40] += value;
        }
        prop_assert_eq!(sums, expected);
    }
}
