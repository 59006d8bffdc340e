//! The N-MNIST format: exact bytes, round trips, and one test per malformed input.

use proptest::prelude::*;
use synfire_events::formats::nmnist::{self, Records, SENSOR};
use synfire_events::formats::{Decoder, Fault, decode_all};
use synfire_events::{Event, EventError, Format, FrameSpec, Reader, Recording, Sensor, to_bytes, to_frames};

/// The events of a whole file's bytes.
fn parse(bytes: &[u8], sensor: Sensor) -> Result<Vec<Event>, Fault> {
    let mut events = Vec::new();
    decode_all(&mut Records::new(sensor), bytes, &mut events).map(|()| events)
}

fn message(error: impl std::error::Error) -> String {
    error.to_string()
}

#[test]
fn known_bytes_decode_to_known_events() {
    // x 10, y 30, off, 0x000351 = 849 µs; then x 33, y 0, on, the latest time of 23 bits.
    let bytes = [10, 30, 0x00, 0x03, 0x51, 33, 0, 0xff, 0xff, 0xff];
    let events = parse(&bytes, SENSOR).unwrap();
    let known = [Event { t: 849, x: 10, y: 30, on: false }, Event { t: 8_388_607, x: 33, y: 0, on: true }];
    assert_eq!(events, known);
    assert_eq!(to_bytes(Format::Nmnist, &Recording { sensor: SENSOR, events }).unwrap(), bytes);
}

#[test]
fn an_overflow_mark_moves_later_events_and_is_no_event() {
    let bytes = [1, 1, 0, 0, 5, 0, 240, 0, 0, 0, 2, 2, 0, 0, 1, 9, 240, 0x80, 1, 1, 3, 3, 0, 0, 2];
    let mut decoder = Records::new(SENSOR);
    let mut events = Vec::new();
    decode_all(&mut decoder, &bytes, &mut events).unwrap();
    assert_eq!(events.iter().map(|event| event.t).collect::<Vec<_>>(), [5, 8192 + 1, 2 * 8192 + 2]);
    assert_eq!(decoder.passed_over(), [("overflow of the clock", 2)]);
    // Nor is it counted for one: such a file is not read the fast way.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("0.bin");
    std::fs::write(&file, bytes).unwrap();
    assert!(!nmnist::read_counts(&file, 1, &mut [0.0; 2 * 34 * 34]).unwrap());
    assert!(nmnist::read_counts(&folder.path().join("absent"), 1, &mut [0.0; 2 * 34 * 34]).is_err());
}

#[test]
fn a_pixel_outside_the_sensor_is_a_fault_at_its_offset() {
    for pixel in [[34, 0], [0, 34], [255, 255]] {
        let fault = parse(&[1, 1, 0, 0, 5, pixel[0], pixel[1], 0, 0, 6], SENSOR).unwrap_err();
        assert_eq!((fault.at, &*fault.expected), (5, "a pixel of the 34x34 sensor"));
        assert_eq!(fault.found, format!("x {}, y {}", pixel[0], pixel[1]));
    }
}

#[test]
fn the_sensor_is_the_large_one_where_events_need_it() {
    let reader = |bytes: &'static [u8]| Reader::new(Box::new(bytes), bytes.len() as u64, None).unwrap();
    assert_eq!(reader(&[33, 33, 0, 0, 5]).sensor(), Some(SENSOR));
    assert_eq!(reader(&[34, 33, 0, 0, 5]).sensor(), Some(nmnist::ATIS));
}

#[test]
fn errors_name_the_file_and_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("00002.bin");
    let read = || message(nmnist::read(&file).unwrap_err());
    let size = || message(nmnist::check_size(&file).unwrap_err());
    assert!(read().contains("00002.bin") && size().contains("00002.bin"));
    std::fs::write(&file, [1, 2, 0, 0, 5, 3, 4]).unwrap();
    let told = "00002.bin as an N-MNIST recording: at byte 5 expected the end of the file or an event of 5 bytes, found 2 \
                more bytes";
    assert!(read().ends_with(told) && size().ends_with(told), "{}", read());
    std::fs::write(&file, []).unwrap();
    let told = "00002.bin: expected at least one event, found none in its 0 bytes";
    assert!(read().ends_with(told) && size().ends_with(told));
    std::fs::write(&file, [0, 240, 0, 0, 0]).unwrap();
    assert!(read().ends_with("found none in its 5 bytes"));
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
        let sensor = Sensor { width: 640, height: 480 };
        let error = to_bytes(Format::Nmnist, &Recording { sensor, events: vec![event, bad] }).unwrap_err();
        assert!(matches!(error, EventError::Unwritable { index: 1, .. }), "{error}");
    }
}

proptest! {
    #[test]
    fn written_recordings_read_back(
        events in proptest::collection::vec((0..1_i64 << 23, 0..34_u16, 0..34_u16, any::<bool>()), 1..200),
    ) {
        let events: Vec<Event> = events.into_iter().map(|(t, x, y, on)| Event { t, x, y, on }).collect();
        let bytes = to_bytes(Format::Nmnist, &Recording { sensor: SENSOR, events: events.clone() }).unwrap();
        prop_assert_eq!(parse(&bytes, SENSOR).unwrap(), events);
    }

    #[test]
    fn counted_frames_are_those_of_the_events(
        records in prop::collection::vec((0..36_u8, 0..36_u8, any::<[u8; 3]>()), 0..200), inside in any::<bool>(),
        more in 0..3_usize, steps in 1..20_usize,
    ) {
        let record = |&(x, y, [a, b, c]): &(u8, u8, [u8; 3])| {
            if inside { [x % 34, y % 34, a, b, c] } else { [x, y, a, b, c] }
        };
        let mut bytes: Vec<u8> = records.iter().flat_map(record).collect();
        bytes.extend(vec![0; if inside { 0 } else { more }]);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("0.bin");
        std::fs::write(&file, &bytes).unwrap();
        let room = || vec![f32::NAN; steps * 2 * 34 * 34];
        let (mut counted, mut expected) = (room(), room());
        match nmnist::read(&file) {
            Ok(recording) => {
                to_frames(&recording, &FrameSpec::new(steps), &mut expected).unwrap();
                prop_assert!(nmnist::read_counts(&file, steps, &mut counted).unwrap());
                prop_assert_eq!(counted, expected);
            }
            Err(_) => prop_assert!(!nmnist::read_counts(&file, steps, &mut counted).unwrap()),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        (width, height) in any::<(u16, u16)>(),
    ) {
        let sensor = Sensor { width, height };
        if let Ok(events) = parse(&bytes, sensor) {
            prop_assert!(events.iter().all(|event| sensor.holds(event.x, event.y)));
        }
    }
}
