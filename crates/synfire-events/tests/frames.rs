//! Events to frames: where the cuts fall, what is conserved, and one test per refusal.

use proptest::prelude::*;
use synfire_events::{
    Downsampling, Event, EventError, FrameSize, FrameSpec, FrameValues, Framing, Polarities, Recording,
    Sensor, to_frames,
};

/// A recording of one pixel, on events at these times.
fn at_times(times: &[i64]) -> Recording {
    let events = times.iter().map(|&t| Event { t, x: 0, y: 0, on: true }).collect();
    Recording { sensor: Sensor { width: 1, height: 1 }, events }
}

/// Events in each of `steps` frames of a one-pixel recording.
fn counts(times: &[i64], steps: usize, framing: Framing) -> Vec<f32> {
    let mut out = vec![f32::NAN; 2 * steps];
    to_frames(&at_times(times), &FrameSpec { framing, ..FrameSpec::new(steps) }, &mut out).unwrap();
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
fn by_duration_what_comes_too_late_is_left_out() {
    let ten = Framing::Duration(10);
    assert_eq!(counts(&[5, 14, 15, 24, 34, 35, 1000], 3, ten), [2.0, 2.0, 1.0]);
    assert_eq!(counts(&[5, 6], 3, ten), [2.0, 0.0, 0.0]);
    assert_eq!(counts(&[i64::MIN, i64::MAX], 2, ten), [1.0, 0.0]);
    assert_eq!(counts(&[i64::MIN, i64::MAX], 2, Framing::Duration(u64::MAX)), [1.0, 1.0]);
}

#[test]
fn binary_frames_say_whether_there_was_an_event() {
    let mut out = vec![f32::NAN; 6];
    let binary =
        FrameSpec { framing: Framing::Duration(10), values: FrameValues::Binary, ..FrameSpec::new(3) };
    to_frames(&at_times(&[0, 1, 2, 25]), &binary, &mut out).unwrap();
    assert_eq!(out, [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
}

/// One off event at each pixel `x` of a row, in one frame of another width.
fn row(from: u16, to: u16, downsampling: Downsampling) -> Vec<f32> {
    let events = (0..from).map(|x| Event { t: 0, x, y: 0, on: false }).collect();
    let size = FrameSize::Pixels(Sensor { width: to, height: 1 });
    let mut out = vec![f32::NAN; 2 * usize::from(to)];
    let spec = FrameSpec { size, downsampling, ..FrameSpec::new(1) };
    to_frames(&Recording { sensor: Sensor { width: from, height: 1 }, events }, &spec, &mut out).unwrap();
    out.truncate(usize::from(to));
    out
}

#[test]
fn sums_keep_every_event_and_means_and_samples_stay_in_scale() {
    assert_eq!(row(7, 3, Downsampling::Sum), [3.0, 2.0, 2.0]);
    for (from, to) in [(7, 3), (128, 64), (34, 34), (34, 17), (5, 1)] {
        assert_eq!(row(from, to, Downsampling::Sum).iter().sum::<f32>(), f32::from(from));
        assert_eq!(row(from, to, Downsampling::Nearest), vec![1.0; usize::from(to)]);
        assert_eq!(row(from, to, Downsampling::Area), vec![1.0; usize::from(to)]);
    }
}

#[test]
fn polarity_is_the_channel_and_rows_are_y() {
    let events = vec![Event { t: 0, x: 2, y: 1, on: true }, Event { t: 1, x: 0, y: 1, on: false }];
    let mut out = vec![0.0; 2 * 2 * 3];
    let recording = Recording { sensor: Sensor { width: 3, height: 2 }, events };
    to_frames(&recording, &FrameSpec::new(1), &mut out).unwrap();
    assert_eq!(out, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, /* on */ 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    let mut out = vec![0.0; 2 * 3];
    let merged = FrameSpec { polarities: Polarities::Merged, ..FrameSpec::new(1) };
    to_frames(&recording, &merged, &mut out).unwrap();
    assert_eq!(out, [0.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
}

#[test]
fn what_cannot_be_framed_is_refused() {
    let refused = |recording: &Recording, steps, len| {
        for framing in [Framing::Count, Framing::Time, Framing::Duration(1)] {
            let spec = FrameSpec { framing, ..FrameSpec::new(steps) };
            let error = to_frames(recording, &spec, &mut vec![0.0; len]).unwrap_err();
            assert!(matches!(error, EventError::Frames { .. }), "{error}");
        }
    };
    let one = at_times(&[1]);
    refused(&one, 0, 0);
    refused(&one, 2, 3);
    refused(&one, usize::MAX, 2);
    refused(&at_times(&[]), 2, 4);
    refused(&Recording { sensor: Sensor { width: 0, height: 1 }, ..one.clone() }, 2, 0);
    for size in
        [Sensor { width: 0, height: 1 }, Sensor { width: 2, height: 1 }, Sensor { width: 1, height: 2 }]
    {
        let spec = FrameSpec { size: FrameSize::Pixels(size), ..FrameSpec::new(1) };
        let len = 2 * usize::from(size.width) * usize::from(size.height);
        let error = to_frames(&one, &spec, &mut vec![0.0; len]).unwrap_err().to_string();
        assert!(error.contains("at most 1x1 pixels, as the sensor has"), "{error}");
    }
    let never = FrameSpec { framing: Framing::Duration(0), ..FrameSpec::new(1) };
    assert!(to_frames(&one, &never, &mut [0.0; 2]).is_err());
    let outside = Recording { events: vec![Event { t: 0, x: 1, y: 0, on: true }], ..one };
    refused(&outside, 2, 4);
}

#[test]
fn what_is_asked_for_has_a_name() {
    for (framing, name) in [
        (Framing::Count, "count"),
        (Framing::Time, "time"),
        (Framing::Duration(10_000), "10ms"),
        (Framing::Duration(1_500), "1500us"),
        (Framing::Duration(3_000_000), "3s"),
    ] {
        assert_eq!((framing.to_string().as_str(), name.parse::<Framing>().unwrap()), (name, framing));
    }
    for wrong in
        ["events", "", "10", "ms", "0ms", "-1ms", "1.5us", "99999999999999999999s", "18446744073709551615ms"]
    {
        let error = wrong.parse::<Framing>().unwrap_err().to_string();
        let expected =
            format!("unknown framing {wrong:?}: expected one of count, time, a duration such as 10ms");
        assert_eq!(error, expected);
    }
    let size = FrameSize::Pixels(Sensor { width: 64, height: 48 });
    assert_eq!((size.to_string().as_str(), "64x48".parse::<FrameSize>().unwrap()), ("64x48", size));
    assert_eq!("sensor".parse::<FrameSize>().unwrap(), FrameSize::Sensor);
    for wrong in ["64", "0x4", "64x", "x", "64x48x2", "70000x1"] {
        assert!(wrong.parse::<FrameSize>().is_err(), "{wrong}");
    }
    for name in ["nearest", "area", "sum"] {
        assert_eq!(name.parse::<Downsampling>().unwrap().to_string(), name);
    }
    let error = "mean".parse::<Downsampling>().unwrap_err().to_string();
    assert_eq!(error, "unknown downsampling \"mean\": expected one of nearest, area, sum");
    let spec = FrameSpec {
        framing: Framing::Duration(20_000),
        polarities: Polarities::Merged,
        values: FrameValues::Binary,
        size,
        ..FrameSpec::new(8)
    };
    assert_eq!(spec.to_string(), "8 frames by 20ms, 64x48 by nearest, merged polarities, binary");
    assert_eq!(spec.shape(Sensor { width: 128, height: 128 }), [8, 1, 48, 64]);
}

/// What smaller frames should be, computed from whole ones.
fn downsampled(whole: &[f32], [h, w]: [usize; 2], [to_h, to_w]: [usize; 2], how: Downsampling) -> Vec<f32> {
    let window = |i: usize, from: usize, to: usize| (i * from / to)..((i + 1) * from).div_ceil(to);
    let mut out = Vec::new();
    for plane in whole.chunks(h * w) {
        for i in 0..to_h {
            for j in 0..to_w {
                let (rows, columns) = (window(i, h, to_h), window(j, w, to_w));
                let pixels = |rows: std::ops::Range<usize>| {
                    rows.flat_map(|y| columns.clone().map(move |x| (y, x))).collect::<Vec<_>>()
                };
                let sum =
                    |pixels: Vec<(usize, usize)>| pixels.iter().map(|(y, x)| plane[y * w + x]).sum::<f32>();
                out.push(match how {
                    Downsampling::Nearest => plane[rows.start * w + columns.start],
                    Downsampling::Area => sum(pixels(rows.clone())) / (rows.len() * columns.len()) as f32,
                    Downsampling::Sum => {
                        let all = (0..h).flat_map(|y| (0..w).map(move |x| (y, x)));
                        sum(all.filter(|(y, x)| (y * to_h / h, x * to_w / w) == (i, j)).collect())
                    }
                });
            }
        }
    }
    out
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
        to_frames(&recording, &FrameSpec { framing, ..FrameSpec::new(steps) }, &mut out).unwrap();
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
    #[test]
    fn smaller_frames_are_those_of_whole_ones(
        events in proptest::collection::vec((0..1000_i64, 0..11_u16, 0..7_u16, any::<bool>()), 1..200),
        (width, height) in (1..=11_u16, 1..=7_u16),
        steps in 1..4_usize,
    ) {
        let events: Vec<Event> = events.into_iter().map(|(t, x, y, on)| Event { t, x, y, on }).collect();
        let recording = Recording { sensor: Sensor { width: 11, height: 7 }, events };
        let mut whole = vec![f32::NAN; steps * 2 * 7 * 11];
        to_frames(&recording, &FrameSpec::new(steps), &mut whole).unwrap();
        let to = [height, width].map(usize::from);
        for downsampling in [Downsampling::Nearest, Downsampling::Area, Downsampling::Sum] {
            let size = FrameSize::Pixels(Sensor { width, height });
            let mut out = vec![f32::NAN; steps * 2 * to[0] * to[1]];
            to_frames(&recording, &FrameSpec { size, downsampling, ..FrameSpec::new(steps) }, &mut out).unwrap();
            prop_assert_eq!(out, downsampled(&whole, [7, 11], to, downsampling));
        }
    }
}
