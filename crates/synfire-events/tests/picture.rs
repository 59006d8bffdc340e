//! Pictures of any recording, however damaged, are of a size to look at.

use synfire_events::picture::{Picture, film, sheet, space_time};
use synfire_events::{Event, Recording, Sensor};

fn check(picture: &Picture, what: &str) {
    let Picture { width, height, rgb } = picture;
    assert_eq!(rgb.len(), 3 * width * height, "{what}");
    assert!((1..=4_000).contains(width) && (1..=4_000).contains(height), "{what}: {width}x{height}");
}

#[test]
fn no_sensor_and_no_time_makes_a_picture_too_large() {
    let at = |t: i64, x: u16, y: u16| Event { t, x, y, on: t % 2 == 0 };
    let sides = [0, 1, 346, u16::MAX];
    let times = [vec![], vec![5, i64::MAX, i64::MIN, 3]];
    for (width, height) in sides.into_iter().flat_map(|width| sides.map(|height| (width, height))) {
        for times in &times {
            // Also pixels that the sensor does not have.
            let events = times.iter().flat_map(|&t| [at(t, 0, 0), at(t, width, height), at(t, width / 2, 0)]);
            let recording = Recording { sensor: Sensor { width, height }, events: events.collect() };
            let what = format!("{} at {times:?}", recording.sensor);
            check(&sheet(&recording, 16), &what);
            film(&recording, 2).for_each(|picture| check(&picture, &what));
        }
    }
}

/// How bright a pixel is, of red and of blue.
fn light(picture: &Picture, [x, y]: [usize; 2]) -> [u8; 2] {
    let pixel = &picture.rgb[3 * (y * picture.width + x)..][..3];
    [pixel[0], pixel[2]]
}

#[test]
fn events_shine_where_they_are() {
    // Off in the first half of the events, on in the second, at different pixels.
    let events = (0..40)
        .map(|t| if t < 20 { Event { t, x: 0, y: 0, on: false } } else { Event { t, x: 3, y: 1, on: true } });
    let recording = Recording { sensor: Sensor { width: 4, height: 2 }, events: events.collect() };
    let mut pictures = film(&recording, 2);
    let (first, second) = (pictures.next().unwrap(), pictures.next().unwrap());
    // A pixel of the sensor is 160 pixels wide: the sensor fills the height.
    let (left, right) = ([80, 80], [560, 240]);
    let [[left_red, left_blue], [right_red, right_blue]] = [light(&first, left), light(&second, right)];
    assert!(left_red > 200 && left_blue < 100, "off is orange: {left_red} {left_blue}");
    assert!(right_red < 100 && right_blue > 200, "on is blue: {right_red} {right_blue}");
    assert_eq!(light(&first, right), light(&second, left), "no light where no event is");
    // In space and time, early events are on the left, late ones on the right.
    let cloud = space_time(&recording, [600, 200], None);
    let sum = |columns: std::ops::Range<usize>, channel: usize| -> u32 {
        columns
            .flat_map(|x| (0..200).map(move |y| [x, y]))
            .map(|at| u32::from(light(&cloud, at)[channel]))
            .sum()
    };
    assert!(sum(0..200, 0) > sum(400..600, 0), "orange on the left");
    assert!(sum(0..200, 1) < sum(400..600, 1), "blue on the right");
}
