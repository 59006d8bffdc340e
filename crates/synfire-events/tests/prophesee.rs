//! EVT 2.0, EVT 3.0 and DAT: exact bytes, round trips, clocks that turn, and one test per malformed input.

use std::io::Cursor;

use proptest::prelude::*;
use synfire_events::{Event, EventError, Format, Reader, Recording, Sensor, to_bytes};

const SMALL: Sensor = Sensor { width: 40, height: 30 };

fn event(t: i64, x: u16, y: u16, on: bool) -> Event {
    Event { t, x, y, on }
}

/// A file of a header and little-endian words.
fn file<const N: usize, W>(header: &str, words: &[W], bytes: fn(W) -> [u8; N]) -> Vec<u8>
where
    W: Copy,
{
    header.bytes().chain(words.iter().flat_map(|word| bytes(*word))).collect()
}

fn evt2(words: &[u32]) -> Vec<u8> {
    file("% evt 2.0\n% geometry 40x30\n% end\n", words, u32::to_le_bytes)
}

fn evt3(words: &[u16]) -> Vec<u8> {
    file("% evt 3.0\n% format EVT3;height=30;width=40\n% end\n", words, u16::to_le_bytes)
}

const DAT: &str = "% Data file containing CD events\n% Version 2\n% Width 40\n% Height 30\n\x0c\x08";

/// A DAT file of times and pixels.
fn dat(header: &str, words: &[u32]) -> Vec<u8> {
    file(header, words, u32::to_le_bytes)
}

fn open(bytes: &[u8], format: Option<Format>) -> Result<Reader, EventError> {
    Reader::new(Box::new(Cursor::new(bytes.to_vec())), bytes.len() as u64, format)
}

/// The events and what was passed over.
type Parsed = (Vec<Event>, Vec<(&'static str, u64)>);

fn parse(bytes: &[u8]) -> Result<Parsed, EventError> {
    let mut reader = open(bytes, None)?;
    let mut events = Vec::new();
    while let Some(more) = reader.next_events()? {
        events.extend_from_slice(more);
    }
    Ok((events, reader.passed_over()))
}

fn times(bytes: &[u8]) -> Vec<i64> {
    parse(bytes).unwrap().0.iter().map(|event| event.t).collect()
}

fn told(bytes: &[u8]) -> String {
    parse(bytes).unwrap_err().to_string()
}

/// The bytes behind the header of a RAW file.
fn words(format: Format, events: &[Event]) -> Vec<u8> {
    let bytes = to_bytes(format, &Recording { sensor: SMALL, events: events.to_vec() }).unwrap();
    let end = bytes.windows(6).position(|part| part == b"% end\n").unwrap();
    bytes[end + 6..].to_vec()
}

#[test]
fn known_evt2_words_decode_to_known_events() {
    let (high, on, off) = (0x8000_0010, 0x1000_0000 | 5 << 22 | 3 << 11 | 2, 63 << 22 | 39 << 11 | 29);
    let bytes = evt2(&[high, on, off]);
    let events = [event(16 * 64 + 5, 3, 2, true), event(16 * 64 + 63, 39, 29, false)];
    assert_eq!(parse(&bytes).unwrap(), (events.to_vec(), vec![]));
    assert_eq!(words(Format::Evt2, &events), bytes[bytes.len() - 12..]);
}

#[test]
fn known_evt3_words_decode_to_known_events() {
    // The time 0x001002, row 2; x 3 on; a vector of 12 from x 5 on, off, with bits 0, 2 and 11; one of 8 with bit 7.
    let bytes = evt3(&[0x8001, 0x6002, 0x0002, 0x2803, 0x3005, 0x4805, 0x5080]);
    let at = |x, on| event(0x1002, x, 2, on);
    let events = [at(3, true), at(5, false), at(7, false), at(16, false), at(24, false)];
    assert_eq!(parse(&bytes).unwrap(), (events.to_vec(), vec![]));
}

#[test]
fn evt3_tells_rows_of_neighbours_in_vectors() {
    let row: Vec<Event> = [4, 5, 6, 16, 17, 30].map(|x| event(0x1002, x, 2, true)).to_vec();
    let expected: [u16; 7] = [0x8001, 0x6002, 0x0002, 0x3804, 0x4007, 0x4003, 0x281e];
    assert_eq!(words(Format::Evt3, &row), file("", &expected, u16::to_le_bytes));
    // In another order the same pixels are events of their own.
    let back: Vec<Event> = row.iter().rev().copied().collect();
    assert_eq!(words(Format::Evt3, &back).len(), 2 * (3 + 6));
    // Other times, rows and polarities are not taken into a row, and a pixel that fires twice not twice.
    for i in 0..3 {
        let mut broken = row[..3].to_vec();
        match i {
            0 => broken[1].t += 1,
            1 => broken[1].on = false,
            _ => broken[1] = broken[0],
        }
        assert!(words(Format::Evt3, &broken).chunks(2).all(|word| !matches!(word[1] >> 4, 3..=5)));
    }
}

#[test]
fn known_dat_events_of_both_versions() {
    let new = dat(DAT, &[7, 1 << 28 | 29 << 14 | 39, 9, 0]);
    let events = [event(7, 39, 29, true), event(9, 0, 0, false)];
    assert_eq!(parse(&new).unwrap().0, events);
    assert_eq!(to_bytes(Format::Dat, &Recording { sensor: SMALL, events: events.to_vec() }).unwrap(), new);
    for version in ["", "% Version 1\n"] {
        let header = format!("% Data file containing TD events.\n{version}\0\x08");
        let old = dat(&header, &[7, 1 << 17 | 239 << 9 | 303]);
        assert_eq!(parse(&old).unwrap().0, [event(7, 303, 239, true)]);
    }
}

#[test]
fn clocks_turn_and_run_backwards() {
    let (on, high) = (0x1000_0000, 0x8000_0000);
    let last = high | 0xfff_ffff;
    assert_eq!(times(&evt2(&[last, on, high, on, last, on])), [(1 << 34) - 64, 1 << 34, (1 << 34) - 64]);
    let evt3_times = |highs: &[u16]| {
        let words = highs.iter().flat_map(|high| [0x8000 | high, 0x6001, 0x0000, 0x2000]);
        times(&evt3(&words.collect::<Vec<_>>()))
    };
    // Into the next turn, within a second back into the last, on without words in between, and into the turn after that.
    let found = evt3_times(&[4095, 0, 4095, 0, 3839, 0]);
    assert_eq!(found, [4095, 4096, 4095, 4096, 4096 + 3839, 2 * 4096].map(|high| high * 4096 + 1));
    let turn = 1_i64 << 32;
    let found = times(&dat(DAT, &[u32::MAX, 0, 3, 0, u32::MAX - 1, 0]));
    assert_eq!(found, [turn - 1, turn + 3, turn - 2]);
}

#[test]
fn what_is_no_event_is_counted() {
    let on = 0x1000_0000;
    let bytes =
        evt2(&[on, on, 0xa000_0000, 0x8000_0000, on, 0xa000_0001, 0xe000_0000, 0xf000_0000, 0x4000_0000]);
    let (events, passed) = parse(&bytes).unwrap();
    assert_eq!(events.len(), 1);
    let names = ["trigger", "other word", "word of a reserved type", "event before the first time or row"];
    assert_eq!(passed, names.into_iter().zip([2, 2, 1, 2]).collect::<Vec<_>>());

    // No time, no row, no time again because its high bits come later; then all is known but a vector's base.
    let lone =
        [0x2000, 0x8001, 0x6001, 0x2000, 0x0000, 0x2000, 0x4003, 0xa000, 0x7000, 0xe000, 0xf000, 0x1000];
    let (events, passed) = parse(&evt3(&lone)).unwrap();
    assert_eq!(events, [event(0x1001, 0, 0, false)]);
    assert_eq!(passed, names.into_iter().zip([1, 3, 1, 4]).collect::<Vec<_>>());
    let (events, passed) = parse(&evt3(&[0x6001, 0x8001, 0x0000, 0x2000, 0x6002, 0x2000])).unwrap();
    assert_eq!((events, passed), (vec![event(0x1002, 0, 0, false)], vec![(names[3], 1)]));
}

#[test]
fn headers_tell_the_sensor() {
    let sensor = |header: &str| open(format!("{header}% end\n").as_bytes(), None).unwrap().sensor();
    let size = |width, height| Some(Sensor { width, height });
    assert_eq!(sensor("% evt 3.0\n"), None);
    assert_eq!(sensor("% evt 3.0\n% geometry 320x240\n"), size(320, 240));
    assert_eq!(sensor("% format EVT3;height=720;width=1280\r\n"), size(1280, 720));
    assert_eq!(sensor("% evt 2.0\n% Width 64\n% Height 48\n"), size(64, 48));
    assert_eq!(sensor("% evt 2.0\n% plugin_name hal_plugin_gen3_fx3\n"), size(640, 480));
    assert_eq!(sensor("% evt 3.0\n% plugin_name hal_plugin_gen41_evk3\n"), size(1280, 720));
    assert_eq!(sensor("% evt 2.0\n% plugin_name hal_plugin_imx636_evk4\n"), size(1280, 720));
    assert_eq!(sensor("% evt 3.0\n% plugin_name hal_plugin_genx320_usb\n"), size(320, 320));
    // What is stated goes before what the camera would have had.
    assert_eq!(sensor("% evt 2.0\n% plugin_name hal_plugin_gen3_fx3\n% geometry 8x9\n"), size(8, 9));
}

#[test]
fn headers_end_where_no_line_of_text_follows() {
    // The first event's bytes are those of `% ` and a line's end, but none of text stands between.
    let bytes = file("% evt 2.0\n", &[0x0a00_2025_u32, 0x8000_0000, 0x1000_0000], u32::to_le_bytes);
    let (events, passed) = parse(&bytes).unwrap();
    assert_eq!((events.len(), passed), (1, vec![("event before the first time or row", 1)]));
    // No header at all, as the oldest files.
    let bytes = file("", &[0x8001_u16, 0x6002, 0x0002, 0x2803], u16::to_le_bytes);
    let recording = open(&bytes, Some(Format::Evt3)).unwrap().read_to_end().unwrap();
    assert_eq!(
        recording,
        Recording { sensor: Sensor { width: 4, height: 3 }, events: vec![event(0x1002, 3, 2, true)] }
    );
}

#[test]
fn a_broken_header_is_a_fault_at_its_line() {
    for bad in ["geometry 640", "geometry 0x480", "geometry 640x65536", "format EVT3;height=-1;width=9"] {
        let told = told(format!("% evt 3.0\n% {bad}\n% end\n").as_bytes());
        let expected = format!("at byte 10 expected a sensor of 1x1 to 65535x65535 pixels, found `% {bad}`");
        assert!(told.ends_with(&expected), "{told}");
    }
    let told_of = |format, bytes: &[u8]| open(bytes, Some(format)).err().unwrap().to_string();
    let told = told_of(Format::Evt2, b"% end_of 1\n% evt 2.1\n");
    assert!(told.ends_with("at byte 11 expected the encoding EVT 2.0, found `% evt 2.1`"), "{told}");
    let told = told_of(Format::Evt3, b"% format EVT3;endianness=big\n");
    assert!(told.contains("at byte 0 expected words of little endianness"), "{told}");
    let told = told_of(Format::Dat, b"\0\x08");
    assert!(told.ends_with("at byte 0 expected a line of text that begins with `% `, found none"), "{told}");
    let told = told_of(Format::Dat, b"% Version 3\n\0\x08");
    assert!(told.ends_with("at byte 0 expected version 1 or 2, found `% Version 3`"), "{told}");
    for (bytes, found) in
        [(&b"\x0e\x08"[..], "type 14 and 8 bytes"), (b"\0\x0c", "type 0 and 12 bytes"), (b"\0", "the end")]
    {
        let told = told_of(Format::Dat, &[b"% Version 2\n", bytes].concat());
        assert!(
            told.contains(&format!("at byte 12 expected events of type 0 or 12 and 8 bytes, found {found}")),
            "{told}"
        );
    }
    assert!(matches!(parse(b"% evt 2.1\n% end\n"), Err(EventError::UnknownContent { .. })));
}

#[test]
fn a_pixel_outside_the_sensor_is_a_fault_at_its_word() {
    let expected = |told: &str, header: &str, at: usize, found: &str| {
        let at = header.len() + at;
        told.ends_with(&format!("at byte {at} expected a pixel of the 40x30 sensor, found {found}"))
    };
    let header = "% evt 2.0\n% geometry 40x30\n% end\n";
    for (x, y) in [(40, 0), (0, 30), (2047, 2047)] {
        let told = told(&evt2(&[0x8000_0000, 0x1000_0000, x << 11 | y]));
        assert!(expected(&told, header, 8, &format!("x {x}, y {y}")), "{told}");
    }
    let header = "% evt 3.0\n% format EVT3;height=30;width=40\n% end\n";
    let broken: [(&[u16], usize, &str); 4] = [
        (&[0x2028], 0, "x 40, y 0"),
        (&[0x001e, 0x2000], 2, "x 0, y 30"),
        (&[0x3020, 0x4080, 0x4fff], 4, "x 44, y 0"),
        (&[0x3020, 0x5081, 0x5001], 4, "x 40, y 0"),
    ];
    for (words, at, found) in broken {
        // Behind more events than are decoded at once.
        let whole = [&[0x8000, 0x6000, 0x0000][..], &[0x2001; 1000], words].concat();
        let told = told(&evt3(&whole));
        assert!(expected(&told, header, 2 * 1003 + at, found), "{told}");
    }
    // Vectors without end must not come round to the first column again, nor end where no sensor is told.
    let endless = [&[0x8000, 0x6000, 0x0000, 0x3000][..], &[0x4000; 10_000], &[0x4001]].concat();
    assert!(told(&evt3(&endless)).ends_with("found x 2048, y 0"));
    assert!(
        told(&file("% evt 3.0\n", &endless, u16::to_le_bytes)).contains("a pixel of the 2048x2048 sensor")
    );
    for (pixel, found) in [(40, "x 40, y 0"), (30 << 14, "x 0, y 30")] {
        let told = told(&dat(DAT, &[0, 0, 1, pixel]));
        assert!(expected(&told, DAT, 8, found), "{told}");
    }
}

#[test]
fn a_cut_record_is_a_fault() {
    let cut = [(evt2(&[0x8000_0000]), 3, "a word of 4 bytes"), (evt3(&[0x8000]), 1, "a word of 2 bytes")];
    for (bytes, rest, record) in cut.into_iter().chain([(dat(DAT, &[0, 0]), 7, "an event of 8 bytes")]) {
        let told = told(&bytes[..bytes.len() - 1]);
        let expected = format!("expected the end of the file or {record}, found {rest} more bytes");
        assert!(told.ends_with(&expected), "{told}");
    }
}

#[test]
fn what_does_not_fit_is_not_written() {
    let write =
        |format, sensor, events: &[Event]| to_bytes(format, &Recording { sensor, events: events.to_vec() });
    for (format, most) in [(Format::Evt2, 2048), (Format::Evt3, 2048), (Format::Dat, 16384)] {
        let largest = Sensor { width: most, height: most };
        assert!(write(format, largest, &[event(0, most - 1, most - 1, true)]).is_ok());
        for large in [Sensor { width: most + 1, ..largest }, Sensor { height: most + 1, ..largest }] {
            let error = write(format, large, &[]).unwrap_err();
            assert!(matches!(error, EventError::Unwritable { .. }), "{error}");
        }
        for (first, second) in [(0, i64::MAX), (0, i64::MIN), (5, 5 + (1 << 36) + 1)] {
            let events = [event(first, 0, 0, true), event(second, 0, 0, true)];
            let error = write(format, SMALL, &events).unwrap_err();
            assert!(matches!(error, EventError::Unwritable { index: 1, .. }), "{error}");
        }
    }
    assert!(write(Format::Dat, SMALL, &[event(-1, 0, 0, true)]).is_err());
    assert!(write(Format::Dat, SMALL, &[event(0, 0, 0, true), event(1 << 31, 0, 0, true)]).is_err());
}

#[test]
fn long_steps_of_time_are_written_in_words_of_their_own() {
    let steps = [0, 1 << 36, (1 << 36) + 16_000_000, 16_000_000, 15_999_999, -1, -(1 << 35), 3];
    let events: Vec<Event> = steps.map(|t| event(t, 1, 1, true)).to_vec();
    for format in [Format::Evt2, Format::Evt3] {
        let bytes = to_bytes(format, &Recording { sensor: SMALL, events: events.clone() }).unwrap();
        assert_eq!(parse(&bytes).unwrap().0, events, "{format}");
    }
}

proptest! {
    #[test]
    fn written_recordings_read_back(
        start in 0..1_i64 << 31,
        events in proptest::collection::vec(
            (prop_oneof![4 => Just(0), 1 => -3..9_i64, 1 => -20_000_000..40_000_000_i64], -3..9_i16, 0..8_u8, any::<bool>()),
            1..300,
        ),
    ) {
        let (mut t, mut x) = (start, 0_i16);
        let events: Vec<Event> = events
            .into_iter()
            .map(|(step, right, y, on)| {
                (t, x) = (t + step, (x + right).rem_euclid(40));
                event(t, x as u16, 7 + u16::from(y / 6), on)
            })
            .collect();
        for format in [Format::Evt2, Format::Evt3, Format::Dat] {
            // A DAT file begins at its clock's zero or later.
            if format == Format::Dat && events[0].t < 0 {
                continue;
            }
            let recording = Recording { sensor: SMALL, events: events.clone() };
            let bytes = to_bytes(format, &recording).unwrap();
            prop_assert_eq!(open(&bytes, None).unwrap().read_to_end().unwrap(), recording);
        }
    }

    #[test]
    fn arbitrary_words_never_panic(words in proptest::collection::vec(any::<u16>(), 0..400), sensor in any::<bool>()) {
        for header in ["% evt 2.0\n", "% evt 3.0\n", "% Version 1\n", "% Version 2\n"] {
            let geometry = if sensor { "% geometry 900x700\n% end\n" } else { "% end\n" };
            let kind = if header.contains("evt") { "" } else { "\0\x08" };
            let bytes = file(&format!("{header}{geometry}{kind}"), &words, u16::to_le_bytes);
            if let Ok(recording) = open(&bytes, None).unwrap().read_to_end() {
                let holds = |event: &Event| recording.sensor.holds(event.x, event.y);
                prop_assert!(recording.events.iter().all(holds));
            }
        }
    }
}
