//! The N-MNIST format: exact bytes, round trips, and one test per malformed input.

use proptest::prelude::*;
use synfire_events::nmnist::{self, SENSOR};
use synfire_events::{Event, EventError, Recording};

fn message(error: impl std::error::Error) -> String {
    error.to_string()
}

#[test]
fn known_bytes_decode_to_known_events() {
    // x 10, y 30, off, 0x000351 = 849 µs; then x 33, y 0, on, the latest time of 23 bits.
    let bytes = [10, 30, 0x00, 0x03, 0x51, 33, 0, 0xff, 0xff, 0xff];
    let recording = nmnist::parse(&bytes, SENSOR).unwrap();
    assert_eq!((recording.width, recording.height), (34, 34));
    let events = [Event { t: 849, x: 10, y: 30, on: false }, Event { t: 8_388_607, x: 33, y: 0, on: true }];
    assert_eq!(recording.events, events);
    assert_eq!(nmnist::encode(&recording).unwrap(), bytes);
}

#[test]
fn an_overflow_mark_moves_later_events_and_is_no_event() {
    let bytes = [1, 1, 0, 0, 5, 0, 240, 0, 0, 0, 2, 2, 0, 0, 1, 9, 240, 0x80, 1, 1, 3, 3, 0, 0, 2];
    let times: Vec<i64> = nmnist::parse(&bytes, SENSOR).unwrap().events.iter().map(|event| event.t).collect();
    assert_eq!(times, [5, 8192 + 1, 2 * 8192 + 2]);
}

#[test]
fn a_torn_record_is_an_error_at_its_offset() {
    let error = nmnist::parse(&[1, 1, 0, 0, 5, 2, 2], SENSOR).unwrap_err();
    assert_eq!(
        message(error),
        "cannot read the recording as an N-MNIST recording: at byte 5 expected the end of the file or an event of 5 \
         bytes, found 2 more"
    );
}

#[test]
fn a_pixel_outside_the_sensor_is_an_error_at_its_offset() {
    for pixel in [[34, 0], [0, 34], [255, 255]] {
        let bytes = [1, 1, 0, 0, 5, pixel[0], pixel[1], 0, 0, 6];
        let error = nmnist::parse(&bytes, SENSOR).unwrap_err();
        assert!(matches!(error, EventError::Malformed { offset: 5, .. }), "{error}");
    }
}

#[test]
fn no_events_are_an_error() {
    assert!(matches!(nmnist::parse(&[], SENSOR), Err(EventError::NoEvents { bytes: 0, .. })));
    let only_overflow = [0, 240, 0, 0, 0];
    assert!(matches!(nmnist::parse(&only_overflow, SENSOR), Err(EventError::NoEvents { bytes: 5, .. })));
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("00002.bin");
    assert!(message(nmnist::read(&missing).unwrap_err()).contains("00002.bin"));
    std::fs::write(&missing, [1, 2, 3]).unwrap();
    assert!(
        message(nmnist::read(&missing).unwrap_err()).contains("00002.bin as an N-MNIST recording: at byte 0")
    );
    std::fs::write(&missing, []).unwrap();
    assert!(message(nmnist::read(&missing).unwrap_err()).contains("00002.bin: expected at least one event"));
}

#[test]
fn what_does_not_fit_is_not_written() {
    let event = Event { t: 0, x: 0, y: 0, on: true };
    let bad = [
        Event { t: -1, ..event },
        Event { t: 1 << 23, ..event },
        Event { t: 1 << 32, ..event },
        Event { x: 256, ..event },
        Event { y: 256, ..event },
        Event { y: 240, ..event },
    ];
    for bad in bad {
        let recording = Recording { width: 640, height: 480, events: vec![event, bad] };
        let error = nmnist::encode(&recording).unwrap_err();
        assert!(matches!(error, EventError::Unwritable { index: 1, .. }), "{error}");
    }
}

proptest! {
    #[test]
    fn written_recordings_read_back(
        events in proptest::collection::vec((0..1_i64 << 23, 0..34_u16, 0..34_u16, any::<bool>()), 1..200),
    ) {
        let events = events.into_iter().map(|(t, x, y, on)| Event { t, x, y, on }).collect();
        let recording = Recording { width: 34, height: 34, events };
        let bytes = nmnist::encode(&recording).unwrap();
        prop_assert_eq!(nmnist::parse(&bytes, SENSOR).unwrap(), recording);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        sensor in any::<(u16, u16)>(),
    ) {
        if let Ok(recording) = nmnist::parse(&bytes, sensor) {
            prop_assert!(recording.events.iter().all(|event| event.x < sensor.0 && event.y < sensor.1));
        }
    }
}
