//! Recordings of a DVS128 by jAER, in AEDAT 2.0: counts, first and last events, and the way there and back in both formats that
//! are called `.aedat`. Counts and events were taken from the bytes by a script of NumPy; with these coordinates, its pictures
//! of the first recording showed a person who walks away, head up.

use synfire_events::{Event, Format, Reader, Sensor, read, to_bytes};
use synfire_real_data::folder;

const SENSOR: Sensor = Sensor { width: 128, height: 128 };

fn event(t: i64, x: u16, y: u16, on: bool) -> Event {
    Event { t, x, y, on }
}

/// Asserts that a recording is as expected, and comes back from each format it is written in.
fn check(name: &str, events: usize, on: usize, [first, last]: [Event; 2]) {
    let file = folder().join("events").join(name);
    let mut reader = Reader::open(&file).unwrap();
    assert_eq!(reader.format(), Format::Aedat2, "{name}");
    while reader.next_events().unwrap().is_some() {}
    assert_eq!(reader.passed_over(), [], "{name}");
    let recording = read(&file).unwrap();
    let found = (recording.sensor, recording.events.len(), recording.events[0], recording.events[events - 1]);
    assert_eq!(found, (SENSOR, events, first, last), "{name}");
    assert_eq!(recording.events.iter().filter(|event| event.on).count(), on, "{name}");
    assert!(recording.events.is_sorted_by_key(|event| event.t), "{name}");
    for format in [Format::Aedat2, Format::Aedat31] {
        let bytes = to_bytes(format, &recording).unwrap();
        if format == Format::Aedat2 {
            let original = std::fs::read(&file).unwrap();
            let tail = 8 * events;
            assert!(bytes[bytes.len() - tail..] == original[original.len() - tail..], "the bytes of {name}");
        }
        let len = bytes.len() as u64;
        let mut back = Reader::new(Box::new(std::io::Cursor::new(bytes)), len, None).unwrap();
        assert!(back.read_to_end().unwrap() == recording, "{name} as {format}");
    }
}

#[test]
#[cfg_attr(not(events), ignore = "needs the recordings in events, in a folder that SYNFIRE_DATA names")]
fn a_person_who_walks_away() {
    let ends = [event(135_707_767, 106, 90, true), event(144_951_371, 42, 74, true)];
    check("dvs128_1.aedat", 70_304, 34_031, ends);
}

#[test]
#[cfg_attr(not(events), ignore = "needs the recordings in events, in a folder that SYNFIRE_DATA names")]
fn a_second_recording() {
    let ends = [event(52_965_624, 82, 85, false), event(70_984_609, 14, 14, false)];
    check("dvs128_2.aedat", 110_228, 59_036, ends);
}
