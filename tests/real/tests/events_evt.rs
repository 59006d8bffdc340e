//! Recordings of Prophesee's cameras: counts, first and last events, and the way there and back in every format of theirs.

use synfire_events::{Event, Format, Reader, Recording, Sensor, read, to_bytes};
use synfire_real_data::folder;

fn event(t: i64, x: u16, y: u16, on: bool) -> Event {
    Event { t, x, y, on }
}

/// Asserts that a recording is as expected, and comes back from each format it is written in.
fn check(name: &str, format: Format, sensor: Sensor, events: usize, first: Event, last: Event) {
    let file = folder().join("events").join(name);
    assert_eq!(Reader::open(&file).unwrap().format(), format, "{name}");
    let recording = read(&file).unwrap();
    let found = (recording.sensor, recording.events.len(), recording.events[0], recording.events[events - 1]);
    assert_eq!(found, (sensor, events, first, last), "{name}");
    assert!(recording.events.is_sorted_by_key(|event| event.t), "{name}");
    let original = std::fs::metadata(&file).unwrap().len();
    for written in [Format::Evt2, Format::Evt3, Format::Dat] {
        let bytes = to_bytes(written, &recording).unwrap();
        let len = bytes.len() as u64;
        let back: Recording =
            Reader::new(Box::new(std::io::Cursor::new(bytes)), len, None).unwrap().read_to_end().unwrap();
        assert!(back == recording, "{name} as {written}");
        // The cameras repeat the time more often, and write vectors that hold no event.
        assert!(written != format || len < original + 100, "{len} bytes of {original}");
    }
}

#[test]
#[cfg_attr(not(events), ignore = "needs the recordings in events, in a folder that SYNFIRE_DATA names")]
fn evt2_is_read_whole() {
    let sensor = Sensor { width: 640, height: 480 };
    let (first, last) = (event(1_317_888, 237, 121, true), event(1_367_888, 210, 142, true));
    check("evt2.raw", Format::Evt2, sensor, 539_481, first, last);
}

#[test]
#[cfg_attr(not(events), ignore = "needs the recordings in events, in a folder that SYNFIRE_DATA names")]
fn evt3_is_read_whole() {
    let sensor = Sensor { width: 1280, height: 720 };
    let (first, last) = (event(11_718_656, 874, 200, false), event(11_727_457, 1218, 572, true));
    check("evt3.raw", Format::Evt3, sensor, 219_596, first, last);
}

#[test]
#[cfg_attr(not(events), ignore = "needs the recordings in events, in a folder that SYNFIRE_DATA names")]
fn ncars_is_read_whole() {
    let sensor = Sensor { width: 78, height: 42 };
    check("ncars.dat", Format::Dat, sensor, 2009, event(0, 25, 8, false), event(99_952, 75, 28, true));
}
