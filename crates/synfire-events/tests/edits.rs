//! Changes to recordings, and what statistics find in them.

use proptest::prelude::*;
use synfire_events::{Edits, Event, Pixel, Problem, Recording, Sensor, Statistics};

const SENSOR: Sensor = Sensor { width: 8, height: 6 };

fn event(t: i64, x: u16, y: u16) -> Event {
    Event { t, x, y, on: true }
}

fn edited(mut edits: Edits, events: &[Event]) -> Vec<Event> {
    let mut events = events.to_vec();
    edits.apply(&mut events);
    events
}

#[test]
fn a_slice_has_its_start_and_not_its_end() {
    let events: Vec<Event> = [-5, 0, 9, 10, 11].map(|t| event(t, 1, 1)).to_vec();
    let slice = |times| {
        edited(Edits::new(SENSOR).between(times), &events).iter().map(|event| event.t).collect::<Vec<_>>()
    };
    assert_eq!(slice(0..10), [0, 9]);
    assert_eq!(slice(-5..-4), [-5]);
    assert_eq!(slice(20..30), [0; 0]);
    let zeroed = edited(Edits::new(SENSOR).between(0..10).zero_at(-5), &events);
    assert_eq!(zeroed.iter().map(|event| event.t).collect::<Vec<_>>(), [5, 14]);
}

#[test]
fn a_crop_becomes_the_sensor() {
    let crop = Edits::new(SENSOR).cropped(2, 1, Sensor { width: 3, height: 4 }).unwrap();
    assert_eq!(crop.sensor(), Sensor { width: 3, height: 4 });
    let corners =
        [event(0, 1, 1), event(1, 2, 1), event(2, 4, 4), event(3, 5, 4), event(4, 4, 5), event(5, 2, 0)];
    assert_eq!(edited(crop, &corners), [event(1, 0, 0), event(2, 2, 3)]);
    for (x, y, width, height) in [(0, 0, 9, 1), (6, 0, 3, 1), (0, 5, 1, 2), (0, 0, 0, 1), (u16::MAX, 0, 2, 1)]
    {
        let error = Edits::new(SENSOR).cropped(x, y, Sensor { width, height }).unwrap_err().to_string();
        assert!(error.starts_with("cannot crop: expected a part of the 8x6 sensor, found "), "{error}");
    }
}

#[test]
fn noise_is_what_no_neighbour_has_seen_lately() {
    let denoise = || Edits::new(SENSOR).denoised(10).unwrap();
    // Neighbours support each other, also over a corner; a pixel alone does not support itself.
    let events =
        [event(0, 3, 3), event(5, 4, 4), event(15, 5, 4), event(26, 4, 4), event(27, 0, 0), event(30, 0, 0)];
    assert_eq!(edited(denoise(), &events), [event(5, 4, 4), event(15, 5, 4)]);
    // At the sensor's edges too, and not around them: the end of a row is far from the start of the next.
    let events =
        [event(0, 0, 0), event(1, 0, 1), event(2, 7, 5), event(3, 7, 4), event(4, 7, 2), event(5, 0, 3)];
    assert_eq!(edited(denoise(), &events), [event(1, 0, 1), event(3, 7, 4)]);
    // Where times run backwards, as after a camera's clock began anew, what was long after is no neighbour.
    let events = [event(1_000, 3, 3), event(0, 3, 2), event(5, 3, 3)];
    assert_eq!(edited(denoise(), &events), [event(5, 3, 3)]);
    let wide = Sensor { width: u16::MAX, height: u16::MAX };
    assert!(Edits::new(wide).denoised(10).is_err());
}

#[test]
fn changes_are_made_in_their_order() {
    // The neighbour in front of the slice and outside of the crop still supports what is kept.
    let edits = Edits::new(SENSOR)
        .without(vec![[5, 5]])
        .between(5..100)
        .denoised(10)
        .unwrap()
        .cropped(4, 0, Sensor { width: 4, height: 6 })
        .unwrap();
    let events = [event(0, 3, 3), event(5, 4, 3), event(6, 5, 5), event(7, 6, 5)];
    assert_eq!(edited(edits, &events), [event(5, 0, 3)]);
    assert_eq!(edited(Edits::new(SENSOR), &[event(0, 8, 0), event(1, 7, 5)]), [event(1, 7, 5)]);
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        events in proptest::collection::vec((0..200_i64, 0..8_u16, 0..6_u16), 0..60),
        cut in 0..60_usize,
    ) {
        let events: Vec<Event> = events.into_iter().map(|(t, x, y)| event(t, x, y)).collect();
        let mut edits = Edits::new(SENSOR).denoised(20).unwrap().between(20..150);
        let whole = edited(edits.clone(), &events);
        let (first, second) = events.split_at(cut.min(events.len()));
        let (mut first, mut second) = (first.to_vec(), second.to_vec());
        edits.apply(&mut first);
        edits.apply(&mut second);
        first.extend(second);
        prop_assert_eq!(first, whole);
    }
}

#[test]
fn a_recording_is_counted() {
    let off = Event { on: false, ..event(30, 2, 0) };
    let events = vec![event(10, 7, 1), event(10, 7, 1), off, event(1_000_010, 0, 3)];
    let found = Statistics::of(&Recording { sensor: SENSOR, events });
    assert_eq!((found.events, found.on, found.span), (4, 3, Some([10, 1_000_010])));
    assert_eq!((found.duration(), found.rate()), (1_000_000, Some(4.0)));
    assert_eq!((found.active_pixels(), found.busiest()), (Some(3), Some(Pixel { x: 7, y: 1, events: 2 })));
    assert_eq!(found.needed_sensor(), Some(Sensor { width: 8, height: 4 }));
    assert_eq!((found.repeated, found.longest_pause, found.backwards), (1, 999_980, (0, 0)));
    let nothing = Statistics::default();
    assert_eq!(
        (nothing.span, nothing.rate(), nothing.busiest(), nothing.needed_sensor()),
        (None, None, None, None)
    );
    assert!(nothing.problems().is_empty());
}

#[test]
fn problems_are_told() {
    let told = |events: Vec<Event>| {
        Statistics::of(&Recording { sensor: SENSOR, events })
            .problems()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let off = |t, x| Event { on: false, ..event(t, x, 0) };
    assert_eq!(told(vec![event(0, 0, 0), off(10, 1)]), [""; 0]);
    assert_eq!(
        told(vec![event(10, 0, 0), off(3, 1), off(5, 2), event(1, 3, 0)]),
        ["times run backwards, 2 times, by up to 7 µs"]
    );
    assert_eq!(
        told(vec![event(i64::MAX, 0, 0), off(i64::MIN, 1)])[0],
        format!("times run backwards, once, by {} µs", u64::MAX)
    );
    assert_eq!(told(vec![event(4, 0, 0), off(4, 1)]), ["all events have the same time"]);
    assert_eq!(told(vec![event(4, 0, 0), event(5, 1, 0)]), ["there are on events alone"]);
    assert_eq!(told(vec![off(4, 0), off(5, 1)]), ["there are off events alone"]);
    assert_eq!(told(vec![event(0, 0, 0), off(2_000_000, 1)]), ["no event for 2.0 s"]);
    assert_eq!(
        told(vec![event(0, 0, 0), event(0, 0, 0), off(1, 1)]),
        ["one event is equal to the one in front of it"]
    );
}

#[test]
fn a_hot_pixel_stands_out_of_what_is_around_it() {
    let mut events = Vec::new();
    for t in 0..100 {
        events.push(event(10 * t, 3, 2));
        // An edge that moves over all pixels of some columns ten times each.
        if t < 60 {
            events.extend((0..6).map(|y| event(10 * t + 1, 4 + (t % 4) as u16, y)));
        }
    }
    events.extend((0..49).map(|t| event(10 * t + 2, 0, 5)));
    let found = Statistics::of(&Recording { sensor: SENSOR, events: events.clone() });
    // Around x 3, y 2 are ten pixels with 15 events, and half have none; 49 events are too few to say.
    let hot = Pixel { x: 3, y: 2, events: 100 };
    assert_eq!(found.hot_pixels(), [hot]);
    assert!(found.problems().contains(&Problem::HotPixels(vec![hot])));
    let silenced = edited(Edits::new(SENSOR).without(vec![[3, 2]]), &events);
    assert_eq!(silenced.len(), events.len() - 100);
}

#[test]
fn no_pixel_is_hot_for_lying_at_an_edge() {
    let all = |t: i64| (0..6).flat_map(move |y| (0..8).map(move |x| event(t, x, y)));
    let mut events: Vec<Event> = (0..100).flat_map(all).collect();
    let of = |events: &[Event]| Statistics::of(&Recording { sensor: SENSOR, events: events.to_vec() });
    assert_eq!(of(&events).hot_pixels(), []);
    // Nor is it spared: ten times as many as all others in each corner.
    let corners = [(0, 0), (7, 0), (0, 5), (7, 5)];
    events.extend((0..1_000).flat_map(|t| corners.map(|(x, y)| event(t, x, y))));
    let found: Vec<_> = of(&events).hot_pixels().iter().map(|pixel| (pixel.x, pixel.y)).collect();
    assert_eq!(found, corners);
    // A recording of one pixel alone has nothing around it.
    let alone: Vec<Event> = (0..50).map(|t| event(t, 0, 0)).collect();
    assert_eq!(of(&alone).hot_pixels(), [Pixel { x: 0, y: 0, events: 50 }]);
}

#[test]
fn pixels_far_out_take_little_memory() {
    let mut statistics = Statistics::default();
    for y in 0..u16::MAX {
        statistics.add(&[event(i64::from(y), u16::MAX, y)]);
    }
    assert_eq!((statistics.events, statistics.active_pixels()), (65_535, None));
}
