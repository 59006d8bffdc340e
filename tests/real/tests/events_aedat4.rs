//! Recordings of iniVation's cameras, in AEDAT 4.0. What is in them was counted by two other readers, iniVation's
//! dv-processing and the Python package aedat.

use std::path::PathBuf;

use synfire_events::{Event, Format, Reader, Recording, Sensor, read, write};
use synfire_real_data::folder;

fn file(name: &str) -> PathBuf {
    folder().join("events").join(name)
}

/// Reads a recording, writes it, and reads that.
fn assert_read(name: &str, sensor: Sensor, events: usize, [first, last]: [Event; 2]) {
    let path = file(name);
    let recording = read(&path).unwrap();
    assert_eq!((recording.sensor, recording.events.len()), (sensor, events));
    assert_eq!((recording.events.first(), recording.events.last()), (Some(&first), Some(&last)));
    assert!(recording.events.is_sorted_by_key(|event| event.t));
    assert!(recording.events.iter().all(|event| sensor.holds(event.x, event.y)));

    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("written.aedat4");
    write(&written, Format::Aedat4, &recording).unwrap();
    let Recording { sensor: read_sensor, events: read_events } = read(&written).unwrap();
    assert!(read_sensor == sensor && read_events == recording.events, "{name} written and read");
}

#[test]
#[cfg_attr(not(events), ignore = "needs the recordings in events, in a folder that SYNFIRE_DATA names")]
fn a_recording_of_a_dvs128() {
    let first = Event { t: 1_718_321_587_068_617, x: 42, y: 39, on: true };
    let last = Event { t: 1_718_321_592_538_225, x: 31, y: 120, on: true };
    assert_read("dvs128.aedat4", Sensor { width: 128, height: 128 }, 28_373, [first, last]);
}

#[test]
#[cfg_attr(not(events), ignore = "needs the recordings in events, in a folder that SYNFIRE_DATA names")]
fn a_recording_of_a_dvxplorer() {
    let first = Event { t: 1_605_537_493_718_345, x: 154, y: 204, on: false };
    let last = Event { t: 1_605_537_494_308_262, x: 88, y: 237, on: true };
    assert_read("dvxplorer.aedat4", Sensor { width: 320, height: 240 }, 111_954, [first, last]);

    let mut reader = Reader::open(&file("dvxplorer.aedat4")).unwrap();
    while reader.next_events().unwrap().is_some() {}
    assert_eq!(reader.passed_over(), [("packet of inertial measurements", 59)]);
}
