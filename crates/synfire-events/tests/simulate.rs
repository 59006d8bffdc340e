//! What a simulated camera must see of known scenes.

use proptest::prelude::*;
use synfire_events::simulate::gestures::{Gesture, Performance, camera};
use synfire_events::simulate::{Camera, CameraSettings, Image, Moving, Scene, record};
use synfire_events::{Event, EventError, FrameSpec, Recording, Sensor, to_frames};

const ONE: Sensor = Sensor { width: 1, height: 1 };

/// Without mismatch, noise and refractory period.
fn ideal() -> CameraSettings {
    CameraSettings { mismatch: 0.0, refractory_us: 0, noise_hz: 0.0, ..CameraSettings::default() }
}

/// The gestures' camera without mismatch and noise.
fn sharp() -> CameraSettings {
    CameraSettings { mismatch: 0.0, noise_hz: 0.0, ..camera() }
}

/// What a pixel reports of brightnesses, a millisecond apart.
fn events(settings: CameraSettings, brightness: &[f32]) -> Vec<Event> {
    let mut camera = Camera::new(ONE, settings, 1).unwrap();
    let mut events = Vec::new();
    for (i, brightness) in brightness.iter().enumerate() {
        camera.see(1000 * i as i64, &[*brightness], &mut events).unwrap();
    }
    events
}

#[test]
fn a_pixel_reports_each_threshold_at_its_time() {
    // From ln 0.1 to ln 1.1 are 2.398 or nine times 0.25.
    let rising = events(ideal(), &[0.0, 1.0]);
    let slope = (1.1_f64 / 0.1).ln();
    let expected: Vec<i64> = (1..=9).map(|n| (1000.0 * 0.25 * f64::from(n) / slope) as i64).collect();
    let times: Vec<i64> = rising.iter().map(|event| event.t).collect();
    assert!(times.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1), "{times:?}, {expected:?}");
    assert!(rising.len() == 9 && rising.iter().all(|event| event.on));
    // Back from there: 0.148 above the last reference, which is 2.25 above the dark.
    let both = events(ideal(), &[0.0, 1.0, 0.0]);
    assert_eq!(both.len(), 9 + 9);
    assert!(both[9..].iter().all(|event| !event.on && event.t > 1000));
    assert_eq!(events(ideal(), &[0.5; 100]), []);
    // A slow change adds up, however small its steps.
    let ramp: Vec<f32> = (0..=1000).map(|i| i as f32 / 1000.0).collect();
    assert_eq!(events(ideal(), &ramp).len(), 9);
}

#[test]
fn a_pixel_is_blind_after_an_event() {
    let blind = CameraSettings { refractory_us: 500, ..ideal() };
    let times: Vec<i64> = events(blind, &[0.0, 1.0]).iter().map(|event| event.t).collect();
    assert!(times.len() == 2 && times[1] - times[0] >= 500, "{times:?}");
}

#[test]
fn thresholds_differ_by_polarity_and_pixel() {
    let lopsided = CameraSettings { threshold_off: 0.5, ..ideal() };
    let counts = |events: &[Event]| events.iter().filter(|event| event.on).count();
    let seen = events(lopsided, &[0.0, 1.0, 0.0]);
    assert_eq!((counts(&seen), seen.len()), (9, 9 + 4));

    let sensor = Sensor { width: 100, height: 100 };
    let mismatched = CameraSettings { mismatch: 0.1, ..ideal() };
    let mut camera = Camera::new(sensor, mismatched, 3).unwrap();
    let mut events = Vec::new();
    camera.see(0, &[0.0; 10_000], &mut events).unwrap();
    // To the middle between the first threshold and the second: one event of nearly all pixels.
    camera.see(1000, &[0.1 * 0.375_f32.exp() - 0.1; 10_000], &mut events).unwrap();
    let mean = events.len() as f64 / 10_000.0;
    assert!((0.97..1.03).contains(&mean), "{mean}");
    let times: Vec<f64> = events.iter().map(|event| event.t as f64).collect();
    let spread = times.iter().map(|t| (t - 667.0).powi(2)).sum::<f64>() / times.len() as f64;
    assert!((40.0..100.0).contains(&spread.sqrt()), "{}", spread.sqrt());
}

#[test]
fn noise_has_its_rate() {
    let sensor = Sensor { width: 50, height: 40 };
    let mut camera = Camera::new(sensor, CameraSettings { noise_hz: 2.0, ..ideal() }, 9).unwrap();
    let mut events = Vec::new();
    for t in 0..=100 {
        camera.see(10_000 * t, &[0.5; 2000], &mut events).unwrap();
    }
    // 2000 pixels, twice in a second: 4000, with a standard deviation of 63.
    assert!((3800..4200).contains(&events.len()), "{}", events.len());
    let on = events.iter().filter(|event| event.on).count();
    assert!((1800..2200).contains(&on), "{on}");
    assert!(events.is_sorted_by_key(|event| event.t));
}

#[test]
fn a_camera_that_cannot_be_is_refused() {
    let refused = |settings: CameraSettings| {
        assert!(matches!(Camera::new(ONE, settings, 0), Err(EventError::Simulation { .. })));
    };
    for wrong in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        refused(CameraSettings { threshold_on: wrong, ..ideal() });
        refused(CameraSettings { threshold_off: wrong, ..ideal() });
        refused(CameraSettings { dark: wrong, ..ideal() });
    }
    refused(CameraSettings { mismatch: 0.5, ..ideal() });
    refused(CameraSettings { noise_hz: f32::NAN, ..ideal() });
    refused(CameraSettings { refractory_us: -1, ..ideal() });
    assert!(Camera::new(Sensor { width: 0, height: 1 }, ideal(), 0).is_err());
    let mut camera = Camera::new(ONE, ideal(), 0).unwrap();
    let mut events = Vec::new();
    assert!(camera.see(0, &[0.0, 0.0], &mut events).is_err());
    camera.see(5, &[0.0], &mut events).unwrap();
    assert!(camera.see(5, &[0.0], &mut events).is_err());
    // What is no brightness is clipped.
    camera.see(6, &[f32::INFINITY], &mut events).unwrap();
    camera.see(7, &[f32::NAN], &mut events).unwrap();
}

fn disc() -> Image {
    Image::from_fn(28, 28, |x, y| if (x - 13.5).hypot(y - 13.5) < 7.0 { 1.0 } else { 0.0 })
}

#[test]
fn a_moving_disc_makes_a_ring_of_both_polarities() {
    let Recording { sensor, events } =
        record(&Moving::saccades(disc()), &CameraSettings::default(), 5).unwrap();
    assert_eq!(sensor, Sensor { width: 34, height: 34 });
    assert!(events.is_sorted_by_key(|event| event.t));
    assert!(events[0].t >= 0 && (250_000..=300_000).contains(&events[events.len() - 1].t));
    let distance = |event: &Event| (f32::from(event.x) - 16.5).hypot(f32::from(event.y) - 16.5);
    let near = events.iter().filter(|event| (3.0..12.0).contains(&distance(event))).count();
    assert!(near as f64 > 0.95 * events.len() as f64, "{near} of {}", events.len());
    let on = events.iter().filter(|event| event.on).count() as f64 / events.len() as f64;
    assert!((0.4..0.6).contains(&on), "{on}");
    // Each saccade has its part.
    for third in 0..3 {
        let here = events.iter().filter(|event| event.t / 100_001 == third).count();
        assert!(here > events.len() / 6, "{here} of {} in part {third}", events.len());
    }
}

#[test]
fn a_loop_fills_the_large_sensor_again_and_again() {
    let checks =
        Image::from_fn(
            32,
            32,
            |x, y| if (x as u32 / 4 + y as u32 / 4).is_multiple_of(2) { 0.8 } else { 0.2 },
        );
    let Recording { sensor, events } = record(&Moving::closed_loop(checks), &ideal(), 5).unwrap();
    assert_eq!(sensor, Sensor { width: 128, height: 128 });
    let counts = [0, 1, 2, 3, 4, 5].map(|i| events.iter().filter(|event| event.t / 200_001 == i).count());
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(*least > 10_000 && *most as f64 <= 1.2 * *least as f64, "{counts:?}");
}

#[test]
fn seeds_decide() {
    let scene = Moving::saccades(disc());
    let seen = |seed| record(&scene, &CameraSettings::default(), seed).unwrap();
    assert_eq!(seen(1), seen(1));
    assert_ne!(seen(1), seen(2));
    let performance = Performance::new(Gesture::Clockwise, 1);
    assert_eq!(performance, Performance::new(Gesture::Clockwise, 1));
    assert_ne!(performance, Performance::new(Gesture::Clockwise, 2));
}

/// Events of a pixel, summed over time and polarity.
fn heat(recording: &Recording) -> Vec<f32> {
    let mut frame = vec![0.0; 2 * 64 * 64];
    to_frames(recording, &FrameSpec::new(1), &mut frame).unwrap();
    let (off, on) = frame.split_at(64 * 64);
    off.iter().zip(on).map(|(a, b)| a + b).collect()
}

#[test]
fn a_gesture_and_its_reverse_differ_in_order_alone() {
    for pair in Gesture::ALL.chunks_exact(2) {
        for seed in 0..8 {
            let [one, other] = [pair[0], pair[1]]
                .map(|gesture| record(&Performance::new(gesture, seed), &sharp(), 0).unwrap());
            let counts = [one.events.len(), other.events.len()].map(|n| n as f64);
            assert!(counts[0] > 1000.0 && (counts[0] / counts[1] - 1.0).abs() <= 0.1, "{pair:?} {counts:?}");
            let [a, b] = [heat(&one), heat(&other)];
            let difference: f32 = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum();
            let all: f32 = a.iter().zip(&b).map(|(a, b)| a + b).sum();
            assert!(difference <= 0.25 * all, "{pair:?} {seed}: {difference} of {all}");
        }
    }
}

#[test]
fn gestures_move_as_they_are_called() {
    /// The middle of the events, and their mean distance from it, in the first and the last quarter.
    fn ends(gesture: Gesture, seed: u64) -> [[f64; 3]; 2] {
        let Recording { events, .. } = record(&Performance::new(gesture, seed), &sharp(), 0).unwrap();
        let quarter = events.len() / 4;
        [&events[..quarter], &events[3 * quarter..]].map(|events| {
            let n = events.len() as f64;
            let [x, y] = [0, 1]
                .map(|axis| events.iter().map(|event| f64::from([event.x, event.y][axis])).sum::<f64>() / n);
            let away = |event: &Event| (f64::from(event.x) - x).hypot(f64::from(event.y) - y);
            [x, y, events.iter().map(away).sum::<f64>() / n]
        })
    }
    for seed in 0..20 {
        let rises = |gesture, what: usize| {
            let [first, last] = ends(gesture, seed);
            last[what] - first[what]
        };
        assert!(rises(Gesture::Rightwards, 0) > 5.0 && rises(Gesture::Leftwards, 0) < -5.0);
        assert!(rises(Gesture::Downwards, 1) > 5.0 && rises(Gesture::Upwards, 1) < -5.0);
        assert!(rises(Gesture::Nearing, 2) > 1.0 && rises(Gesture::Receding, 2) < -1.0);
        assert!(rises(Gesture::ThereAndBack, 0).abs() < 3.0);
    }
}

#[test]
fn scenes_are_looked_at_often_enough() {
    for gesture in Gesture::ALL {
        let scene = Performance::new(gesture, 4);
        let steps = scene.duration_us() / scene.interval_us();
        assert!((200..1000).contains(&steps), "{steps}");
    }
}

proptest! {
    #[test]
    fn events_bring_the_reference_within_a_threshold(levels in proptest::collection::vec(0.0..1.0_f32, 2..50)) {
        let seen = events(ideal(), &levels);
        let log = |brightness: f32| f64::from(brightness + 0.1).ln();
        let sum: i32 = seen.iter().map(|event| if event.on { 1 } else { -1 }).sum();
        let reference = log(levels[0]) + 0.25 * f64::from(sum);
        prop_assert!((log(levels[levels.len() - 1]) - reference).abs() <= 0.251);
        prop_assert!(seen.is_sorted_by_key(|event| event.t));
    }
}
