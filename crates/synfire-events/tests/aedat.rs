//! AEDAT 2.0 and 3.1: exact bytes, round trips, clocks that turn, and one test per malformed input.

use std::io::Cursor;

use std::path::Path;

use synfire_events::formats::{Fault, decode_all};
use synfire_events::{Event, EventError, Format, Reader, Recording, Sensor, to_bytes};

const DVS128: Sensor = Sensor { width: 128, height: 128 };
const DAVIS346: Sensor = Sensor { width: 346, height: 260 };

fn event(t: i64, x: u16, y: u16, on: bool) -> Event {
    Event { t, x, y, on }
}

fn open(bytes: &[u8]) -> Result<Reader, EventError> {
    Reader::new(Box::new(Cursor::new(bytes.to_vec())), bytes.len() as u64, None)
}

/// The events and what was passed over.
type Parsed = (Vec<Event>, Vec<(&'static str, u64)>);

fn parse(bytes: &[u8]) -> Result<Parsed, EventError> {
    let mut reader = open(bytes)?;
    let mut events = Vec::new();
    while let Some(more) = reader.next_events()? {
        events.extend_from_slice(more);
    }
    Ok((events, reader.passed_over()))
}

fn told(bytes: &[u8]) -> String {
    parse(bytes).unwrap_err().to_string()
}

fn written(format: Format, sensor: Sensor, events: &[Event]) -> Vec<u8> {
    to_bytes(format, &Recording { sensor, events: events.to_vec() }).unwrap()
}

/// What is told of a time or a sensor that does not fit.
fn unwritable(format: Format, sensor: Sensor, times: &[i64]) -> String {
    let events = times.iter().map(|t| event(*t, 0, 0, true)).collect();
    to_bytes(format, &Recording { sensor, events }).unwrap_err().to_string()
}

/// An AEDAT 2.0 file of addresses and times.
fn aedat2(lines: &str, words: &[u32]) -> Vec<u8> {
    let words = words.iter().flat_map(|word| word.to_be_bytes());
    format!("#!AER-DAT2.0\r\n{lines}").into_bytes().into_iter().chain(words).collect()
}

const CHIP_128: &str = "# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n";
const CHIP_346: &str = "# AEChip: eu.seebetter.ini.chips.davis.Davis346blue\r\n";

#[test]
fn known_addresses_of_a_dvs128() {
    // In the address, x 127 and y 127 are the first pixel; polarity 0 is on.
    let bytes = aedat2(CHIP_128, &[127 << 8 | 127 << 1, 7, 100 << 8 | 3 << 1 | 1, 9, 0, 9]);
    let events = [event(7, 0, 0, true), event(9, 124, 27, false), event(9, 127, 127, true)];
    assert_eq!(parse(&bytes).unwrap(), (events.to_vec(), vec![]));
    assert_eq!(open(&bytes).unwrap().sensor(), Some(DVS128));
    let written = written(Format::Aedat2, DVS128, &events);
    assert_eq!(written[written.len() - 24..], bytes[bytes.len() - 24..]);
    let header = "#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n\
        # Data format is int32 address, int32 timestamp (8 bytes total), repeated for each event\r\n\
        # Timestamps tick is 1 us\r\n# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n#End Of ASCII Header\r\n";
    assert_eq!(written[..written.len() - 24], *header.as_bytes());
}

#[test]
fn known_addresses_of_a_davis() {
    let bytes = aedat2(CHIP_346, &[259 << 22 | 345 << 12 | 1 << 11, 7, 5 << 22 | 3 << 12, 9]);
    let events = [event(7, 0, 0, true), event(9, 342, 254, false)];
    assert_eq!(parse(&bytes).unwrap(), (events.to_vec(), vec![]));
    assert_eq!(open(&bytes).unwrap().sensor(), Some(DAVIS346));
    let written = written(Format::Aedat2, DAVIS346, &events);
    assert_eq!(written[written.len() - 16..], bytes[bytes.len() - 16..]);
}

#[test]
fn the_header_tells_the_camera() {
    let sensor = |lines: &str| open(&aedat2(lines, &[0, 0])).unwrap().sensor().unwrap().to_string();
    assert_eq!(sensor(""), "128x128");
    assert_eq!(sensor("# HardwareInterface: DVS128-V1 0298\r\n"), "128x128");
    assert_eq!(sensor("# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n"), "240x180");
    assert_eq!(sensor("# HardwareInterface: DVS128\r\n# AEChip: Davis640\n"), "640x480");
    assert_eq!(sensor("# AEChip: Davis208PixelParade\r\n"), "208x192");
    assert_eq!(sensor("# sensor 34x34\r\n# AEChip: Davis128\r\n"), "34x34");
    let cochlea = told(&aedat2("# AEChip: ch.unizh.ini.jaer.chip.cochlea.CochleaAMS1c\r\n", &[0, 0]));
    assert!(
        cochlea.contains("at byte 14 expected a DVS128, or a DAVIS128, 208, 240, 346 or 640"),
        "{cochlea}"
    );
    let size = told(&aedat2("# HardwareInterface: DAVIS FX3 0002-INI\r\n", &[0, 0]));
    assert!(size.contains("found \"DAVIS FX3 0002-INI\""), "{size}");
}

#[test]
fn a_header_ends_where_the_text_ends() {
    // Both words of the first event begin with `#`; in the second file it ends like a line, but is not text.
    for words in [[0x2300_0000, 0x2323_0000], [0x2300_000a, 0x2323_0a0a]] {
        let found = parse(&aedat2(CHIP_346, &words)).unwrap().0;
        assert_eq!(found, [event(words[1].into(), 345, 259 - 0x23 * 4, false)]);
    }
    // This one is text; the last line of jAER's headers tells it from one.
    let words = [0x2340_2020, 0x2020_200a, 0x0000_0000, 0x2020_200b];
    let last = format!("{CHIP_346}#End Of ASCII Header\r\n");
    assert_eq!(parse(&aedat2(CHIP_346, &words)).unwrap().0.len(), 1);
    assert_eq!(parse(&aedat2(&last, &words)).unwrap().0.len(), 2);
    // Old headers have letters of Latin-1.
    let bytes = [&aedat2(CHIP_346, &[])[..], b"# created 1. M\xe4rz 2016\r\n", &[0; 8]].concat();
    assert_eq!(parse(&bytes).unwrap().0, [event(0, 345, 259, false)]);
    let endless = aedat2(&"#".repeat(1 << 20), &[]);
    assert!(told(&endless).contains("a header of less than 1048576 bytes"), "{}", told(&endless));
}

#[test]
fn what_is_no_change_of_brightness_is_counted() {
    let special = parse(&aedat2(CHIP_128, &[1 << 15, 5, 0, 6, 1 << 31 | 2, 7, 1 << 20, 8])).unwrap();
    assert_eq!(special, (vec![event(6, 127, 127, true)], vec![("special event", 3)]));
    let (sample, external) = (1 << 31, 1 << 10);
    let words =
        [sample, 1, sample | external, 2, sample | 3 << 10, 3, external, 4, external | 1 << 11, 5, 0, 6];
    let passed_over =
        [("special event", 2), ("sample of a frame", 2), ("sample of the inertial sensor", 1)].to_vec();
    assert_eq!(parse(&aedat2(CHIP_346, &words)).unwrap(), (vec![event(6, 345, 259, false)], passed_over));
}

#[test]
fn the_clock_of_aedat2_turns_and_runs_backwards() {
    let times = |times: &[u32]| {
        let words: Vec<u32> = times.iter().flat_map(|time| [0, *time]).collect();
        let events = parse(&aedat2("", &words)).unwrap().0;
        assert_eq!(parse(&written(Format::Aedat2, DVS128, &events)).unwrap().0, events);
        events.iter().map(|event| event.t).collect::<Vec<_>>()
    };
    let half = 1_i64 << 31;
    assert_eq!(times(&[0x7fff_ffff, 0x8000_0000, 0x7fff_fffe]), [half - 1, half, half - 2]);
    assert_eq!(times(&[0xffff_ffff, 3, 1]), [-1, 3, 1]);
    // A special event carries the clock on.
    let words = [0, 0x7000_0000, 1 << 15, 0xe000_0000, 0, 0x1000_0000];
    assert_eq!(parse(&aedat2("", &words)).unwrap().0[1].t, 0x1_1000_0000);
}

#[test]
fn what_does_not_fit_aedat2_is_told() {
    let told = unwritable(Format::Aedat2, Sensor { width: 641, height: 480 }, &[]);
    assert!(told.contains("expected a sensor of at most 640x480 pixels, found 641x480"), "{told}");
    let told = unwritable(Format::Aedat2, DVS128, &[1 << 31]);
    assert!(
        told.contains("expected a time from -2147483648 to 2147483647 µs, found 2147483648 µs"),
        "{told}"
    );
    let told = unwritable(Format::Aedat2, DVS128, &[5, 5 + (1 << 31)]);
    assert!(told.contains("event 1") && told.contains("a time less than 2^31 µs from 5 µs"), "{told}");
}

#[test]
fn a_malformed_aedat2_file_is_told_where() {
    let cut = aedat2(CHIP_128, &[0, 0, 0]);
    let at = cut.len() - 4;
    let expected =
        format!("at byte {at} expected the end of the file or an event of 8 bytes, found 4 more bytes");
    assert!(told(&cut).contains(&expected), "{}", told(&cut));
    let outside = aedat2(CHIP_346, &[0, 0, 346 << 12, 0]);
    let at = outside.len() - 8;
    let expected =
        format!("at byte {at} expected the address of a pixel of the 346x260 sensor, found 0x0015a000");
    assert!(told(&outside).contains(&expected), "{}", told(&outside));
    let outside = aedat2("# sensor 34x34\r\n", &[0, 0]);
    assert!(told(&outside).contains("of the 34x34 sensor"), "{}", told(&outside));
    let other = Format::Aedat2.begin(b"#!AER-DAT3.1\r\n").err().unwrap();
    assert_eq!(other, Fault::new(0, "the line `#!AER-DAT2.0`", "another"));
}

#[test]
fn sensors_come_back_from_both_formats() {
    for format in [Format::Aedat2, Format::Aedat31] {
        for (width, height) in [(128, 128), (1, 1), (34, 34), (240, 180), (129, 7), (346, 260), (640, 480)] {
            let sensor = Sensor { width, height };
            let events = vec![event(0, 0, height - 1, true), event(5, width - 1, 0, false)];
            let bytes = written(format, sensor, &events);
            let back = open(&bytes).unwrap().read_to_end().unwrap();
            assert_eq!(back, Recording { sensor, events }, "{format}");
        }
    }
}

const HEADER: &str = "#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n\
    #Start-Time: 2016-09-30 11:20:30 (TZ-0700)\r\n#!END-HEADER\r\n";

/// What stands in front of a packet.
#[derive(Clone, Copy)]
struct Front {
    kind: i16,
    source: i16,
    size: i32,
    time_at: i32,
    turns: i32,
    capacity: i32,
    number: i32,
    valid: i32,
}

/// Of a packet of this many changes of brightness.
fn front(number: i32) -> Front {
    Front { kind: 1, source: 1, size: 8, time_at: 4, turns: 0, capacity: number, number, valid: number }
}

fn packet(front: Front, content: &[u32]) -> Vec<u8> {
    let Front { kind, source, size, time_at, turns, capacity, number, valid } = front;
    let mut bytes = [kind, source].map(i16::to_le_bytes).concat();
    bytes.extend([size, time_at, turns, capacity, number, valid].map(i32::to_le_bytes).concat());
    bytes.extend(content.iter().flat_map(|word| word.to_le_bytes()));
    bytes
}

fn aedat31(packets: &[Vec<u8>]) -> Vec<u8> {
    [HEADER.as_bytes().to_vec(), packets.concat()].concat()
}

/// The word of a valid event.
fn word(x: u32, y: u32, on: bool) -> u32 {
    x << 17 | y << 2 | u32::from(on) << 1 | 1
}

#[test]
fn known_packets_of_aedat31() {
    let turned = Front { turns: 2, ..front(1) };
    let first = packet(front(2), &[word(5, 100, true), 7, word(127, 0, false), 9]);
    let bytes = aedat31(&[first, packet(turned, &[word(0, 127, false), 3])]);
    let events = [event(7, 5, 100, true), event(9, 127, 0, false), event((2 << 31) + 3, 0, 127, false)];
    assert_eq!(parse(&bytes).unwrap(), (events.to_vec(), vec![]));
    assert_eq!(open(&bytes).unwrap().sensor(), Some(DVS128));
    let header = "#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 0: DVS128\r\n#!END-HEADER\r\n";
    let mut expected = [header.as_bytes(), &bytes[HEADER.len()..]].concat();
    for second in [0, 28 + 16] {
        expected[header.len() + second + 2] = 0;
    }
    assert_eq!(written(Format::Aedat31, DVS128, &events), expected);
}

#[test]
fn a_file_that_another_program_wrote_by_the_specification() {
    let file = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name);
    let mut reader = Reader::open(&file("aedat31.aedat")).unwrap();
    let recording = reader.read_to_end().unwrap();
    let expected = synfire_events::read(&file("aedat31.npy")).unwrap().events;
    assert_eq!(recording.sensor, Sensor { width: 128, height: 128 });
    assert!(recording.events == expected && expected.len() > 500);
    assert!(expected[expected.len() - 1].t > 1 << 32, "the clock turns twice");
    let passed_over: Vec<_> = reader.passed_over().into_iter().map(|(what, _)| what).collect();
    assert_eq!(passed_over, ["event that is not valid", "frame", "inertial measurement", "special event"]);
}

#[test]
fn what_aedat31_holds_beside_is_counted() {
    let other = |kind, number, bytes: usize| {
        packet(Front { kind, size: (4 * bytes) as i32 / number, ..front(number) }, &vec![0xffff_ffff; bytes])
    };
    let bytes = aedat31(&[
        other(0, 3, 6),
        packet(front(2), &[word(1, 1, true), 4, word(1, 1, true) & !1, 0xffff_ffff]),
        other(2, 1, 5000),
        other(3, 2, 18),
        other(4, 1, 12),
        other(99, 1, 1),
        packet(Front { source: 2, ..front(1) }, &[word(500, 1, true), 4]),
        packet(front(0), &[]),
        // Room behind the events.
        packet(Front { capacity: 3, ..front(1) }, &[word(2, 2, true), 5, 1, 2, 3, 4]),
        packet(front(1), &[word(3, 3, true), 6]),
    ]);
    let passed_over = vec![
        ("event of another camera", 1),
        ("event of another type", 1),
        ("event that is not valid", 1),
        ("frame", 1),
        ("inertial measurement", 3),
        ("special event", 3),
    ];
    let events = [event(4, 1, 1, true), event(5, 2, 2, true), event(6, 3, 3, true)];
    assert_eq!(parse(&bytes).unwrap(), (events.to_vec(), passed_over));
}

#[test]
fn the_header_of_aedat31_tells_the_camera() {
    let sensor = |lines: &str| {
        let header = format!("#!AER-DAT3.1\r\n{lines}#!END-HEADER\r\n");
        let bytes = [header.into_bytes(), packet(front(1), &[word(0, 0, true), 4])].concat();
        let mut reader = open(&bytes).unwrap();
        let first = reader.sensor();
        reader.next_events().unwrap();
        [first, reader.sensor()].map(|sensor| sensor.map_or("none".into(), |sensor| sensor.to_string()))
    };
    assert_eq!(sensor(""), ["none", "none"]);
    assert_eq!(sensor("#Source 1: Unknown\r\n"), ["none", "none"]);
    assert_eq!(sensor("#Source 0: File\r\n#-Source 1: DAVIS240C\r\n"), ["240x180", "240x180"]);
    // Of two cameras, it is that of the first packet.
    assert_eq!(sensor("#Source 0: DAVIS346B\r\n#Source 1: DVS128\r\n"), ["346x260", "128x128"]);
    assert_eq!(sensor("#Source 1: DVS128\r\n# sensor 34x34\r\n"), ["34x34", "34x34"]);
}

#[test]
fn a_packet_is_decoded_as_it_comes() {
    let n = 200_000;
    let words = (0..n).flat_map(|i| [word(i % 128, i / 128 % 128, i % 3 == 0), i]);
    let bytes = aedat31(&[packet(front(n as i32), &words.collect::<Vec<_>>()), packet(front(0), &[])]);
    let (start, mut whole) = Format::Aedat31.begin(&bytes).unwrap();
    let mut expected = Vec::new();
    decode_all(&mut *whole, &bytes[start..], &mut expected).unwrap();
    assert_eq!((expected.len(), expected[n as usize - 1].t), (n as usize, i64::from(n) - 1));
    let (_, mut decoder) = Format::Aedat31.begin(&bytes).unwrap();
    let (mut events, mut at, mut next) = (Vec::new(), start, 1);
    while at + next <= bytes.len() {
        // What is asked for, and a bit more.
        let piece = (next + at % 5).min(bytes.len() - at);
        let decoded = decoder.decode(&bytes[at..at + piece], &mut events).unwrap();
        (at, next) = (at + decoded.bytes, decoded.next);
        assert!(next <= 28);
    }
    decoder.end(&bytes[at..], &mut events).unwrap();
    assert!(events == expected);
}

#[test]
fn the_clock_of_aedat31_turns_and_runs_backwards() {
    let turn = 1_i64 << 31;
    let times = [0, turn - 1, turn, 2 * turn + 5, 2 * turn + 4, 3, (1 << 62) - 1];
    let events = times.map(|t| event(t, 1, 2, true));
    assert_eq!(parse(&written(Format::Aedat31, DVS128, &events)).unwrap().0, events);
    for t in [-1, 1 << 62] {
        let told = unwritable(Format::Aedat31, DVS128, &[0, t]);
        assert!(
            told.contains("event 1") && told.contains("a time from 0 to 4611686018427387903 µs"),
            "{told}"
        );
    }
    let told = unwritable(Format::Aedat31, Sensor { width: 32769, height: 1 }, &[]);
    assert!(told.contains("a sensor of at most 32768x32768 pixels"), "{told}");
}

#[test]
fn a_malformed_front_of_a_packet_is_told_where() {
    let cases = [
        (Front { kind: -1, ..front(1) }, 0, "a type of events, found -1"),
        (Front { size: -8, ..front(1) }, 4, "the size of an event, found -8"),
        (Front { size: 16, ..front(1) }, 4, "events of 8 bytes with the time at byte 4, found 16 bytes"),
        (Front { time_at: 0, ..front(1) }, 4, "found 8 bytes with the time at byte 0"),
        (Front { turns: -1, ..front(1) }, 12, "turns of the clock, found -1"),
        (Front { capacity: -1, ..front(1) }, 16, "a number of events, found -1"),
        (Front { number: -1, ..front(1) }, 20, "a number of events, found -1"),
        (Front { capacity: 0, ..front(1) }, 16, "found 1 valid of 1 events in room for 0"),
        (Front { valid: 2, ..front(1) }, 16, "found 2 valid of 1 events in room for 1"),
        (Front { valid: -1, ..front(1) }, 16, "found -1 valid of 1 events"),
    ];
    for (front, at, expected) in cases {
        let told = told(&aedat31(&[packet(front, &[word(0, 0, true), 0])]));
        let at = HEADER.len() + at;
        assert!(told.contains(&format!("at byte {at} expected ")) && told.contains(expected), "{told}");
    }
}

#[test]
fn malformed_events_of_aedat31_are_told_where() {
    let start = HEADER.len() + 28;
    let outside = told(&aedat31(&[packet(front(2), &[word(0, 0, true), 0, word(128, 5, true), 0])]));
    let expected = format!("at byte {} expected a pixel of the 128x128 sensor, found x 128, y 5", start + 8);
    assert!(outside.contains(&expected), "{outside}");
    let negative = told(&aedat31(&[packet(front(1), &[word(0, 0, true), 0x8000_0000])]));
    let expected = format!("at byte {} expected a time of 31 bits, found -2147483648", start + 4);
    assert!(negative.contains(&expected), "{negative}");
}

#[test]
fn a_cut_aedat31_file_is_told() {
    let bytes = aedat31(&[packet(front(2), &[word(0, 0, true), 0, word(1, 1, true), 0])]);
    let missing = told(&bytes[..bytes.len() - 5]);
    assert!(
        missing.contains("expected 8 more bytes of a packet, found the end of the file after 3"),
        "{missing}"
    );
    let front_cut = told(&bytes[..HEADER.len() + 27]);
    assert!(
        front_cut.contains("expected the end of the file or a whole packet, found 27 more"),
        "{front_cut}"
    );
    // Sizes that a damaged file states take neither memory nor time.
    let huge = packet(Front { kind: 2, size: i32::MAX, ..front(i32::MAX) }, &[0; 4]);
    let huge = told(&aedat31(&[huge]));
    assert!(huge.contains("expected 4611686014132420593 more bytes of a packet"), "{huge}");
    let huge = told(&aedat31(&[packet(front(i32::MAX), &[word(0, 0, true), 0])]));
    assert!(huge.contains("expected 17179869168 more bytes of a packet"), "{huge}");
}

#[test]
fn a_malformed_header_of_aedat31_is_told_where() {
    let none = told(b"#!AER-DAT3.1\r\n#Format: RAW\r\n\x01\x00");
    assert!(none.contains("at byte 28 expected lines of text up to `#!END-HEADER`, found none"), "{none}");
    let packed = told(b"#!AER-DAT3.1\r\n#Format: PNGFrames\r\n#!END-HEADER\r\n");
    assert!(packed.contains("at byte 14 expected the format RAW, found \"PNGFrames\""), "{packed}");
    let other = Format::Aedat31.begin(b"#!AER-DAT2.0\r\n").err().unwrap();
    assert_eq!(other, Fault::new(0, "the line `#!AER-DAT3.1`", "another"));
}
