//! The AEDAT 4.0 format: exact bytes, round trips, and one test per malformed input.

use std::io::{Read, Write};

use proptest::prelude::*;
use synfire_events::formats::{Decoder, Fault, decode_all};
use synfire_events::{Event, EventError, Format, Reader, Recording, Sensor, to_bytes};

const SENSOR: Sensor = Sensor { width: 6, height: 4 };
const EVENTS: [Event; 2] =
    [Event { t: 0x0102_0304_0506_0708, x: 5, y: 3, on: true }, Event { t: -2, x: 0, y: 1, on: false }];

/// The FlatBuffer of a packet of [`EVENTS`].
const PACKET: [u8; 64] = [
    60, 0, 0, 0, // bytes that follow
    16, 0, 0, 0, // to the root table
    b'E', b'V', b'T', b'S', 0, 0, // identifier
    6, 0, 8, 0, 4, 0, // vtable: 6 bytes, of a table of 8, whose field is at 4
    6, 0, 0, 0, // the root table, 6 behind its vtable
    4, 0, 0, 0, // to the vector
    2, 0, 0, 0, // elements
    8, 7, 6, 5, 4, 3, 2, 1, 5, 0, 3, 0, 1, 0, 0, 0, //
    254, 255, 255, 255, 255, 255, 255, 255, 0, 0, 1, 0, 0, 0, 0, 0,
];

/// The start of a file with these streams, by id and type.
fn header(compression: i32, table: i64, streams: &[(i32, &str)]) -> Vec<u8> {
    let mut info = "<dv version=\"2.0\"><node name=\"outInfo\" path=\"/outInfo/\">".to_owned();
    for (id, of) in streams {
        info += &format!(
            "<node name=\"{id}\" path=\"/outInfo/{id}/\"><attr key=\"compression\" type=\"string\">?</attr>\
             <attr key=\"typeIdentifier\" type=\"string\">{of}</attr><node name=\"info\">\
             <attr key=\"sizeX\" type=\"int\">6</attr><attr key=\"sizeY\" type=\"int\">4</attr></node></node>"
        );
    }
    header_of(compression, table, (info + "</node></dv>").as_bytes())
}

fn header_of(compression: i32, table: i64, info: &[u8]) -> Vec<u8> {
    let mut bytes = b"#!AER-DAT4.0\r\n".to_vec();
    bytes.extend((48 + info.len() as u32).to_le_bytes());
    bytes.extend([24, 0, 0, 0, b'I', b'O', b'H', b'E', 0, 0, 0, 0, 0, 0, 10, 0, 20, 0, 4, 0, 12, 0, 8, 0]);
    bytes.extend([10, 0, 0, 0]);
    bytes.extend(compression.to_le_bytes());
    bytes.extend([12, 0, 0, 0]);
    bytes.extend(table.to_le_bytes());
    bytes.extend((info.len() as u32).to_le_bytes());
    bytes.extend(info);
    bytes
}

fn packet(stream: i32, content: &[u8]) -> Vec<u8> {
    [&stream.to_le_bytes(), &(content.len() as i32).to_le_bytes(), content].concat()
}

/// An unfinished file with one packet of events.
fn file(compression: i32, content: &[u8]) -> Vec<u8> {
    [header(compression, -1, &[(0, "EVTS")]), packet(0, content)].concat()
}

fn lz4(mut content: impl Read) -> Vec<u8> {
    let mut frame = lz4_flex::frame::FrameEncoder::new(Vec::new());
    std::io::copy(&mut content, &mut frame).unwrap();
    frame.finish().unwrap()
}

fn zstd(mut content: impl Read) -> Vec<u8> {
    let mut frame = zstd::Encoder::new(Vec::new(), 1).unwrap();
    frame.include_checksum(true).unwrap();
    std::io::copy(&mut content, &mut frame).unwrap();
    frame.finish().unwrap()
}

fn decode(bytes: &[u8]) -> Result<(Vec<Event>, Box<dyn Decoder>), Fault> {
    let (start, mut decoder) = Format::Aedat4.begin(bytes)?;
    let mut events = Vec::new();
    decode_all(&mut *decoder, &bytes[start..], &mut events)
        .map_err(|fault| Fault { at: fault.at + start, ..fault })?;
    Ok((events, decoder))
}

#[track_caller]
fn refused(bytes: &[u8], at: usize, expected: &str, found: &str) {
    let fault = decode(bytes).err().expect("a fault");
    assert!(fault.expected.contains(expected) && fault.found.contains(found), "{fault:?}");
    assert_eq!(fault.at, at, "{fault:?}");
}

/// Where the packet of [`file`] begins.
fn start() -> usize {
    header(0, -1, &[(0, "EVTS")]).len()
}

/// A packet whose bytes from `at` on are others is refused.
#[track_caller]
fn refused_with(at: usize, bytes: &[u8], expected: &str, found: &str) {
    let mut content = PACKET;
    content[at..at + bytes.len()].copy_from_slice(bytes);
    refused(&file(0, &content), start() + 8, expected, found);
}

#[test]
fn known_bytes_decode_to_known_events() {
    let contents = [
        (0, PACKET.to_vec()),
        (1, lz4(&PACKET[..])),
        (2, lz4(&PACKET[..])),
        (3, zstd(&PACKET[..])),
        (4, zstd(&PACKET[..])),
    ];
    for (compression, content) in contents {
        let bytes = file(compression, &content);
        let (events, decoder) = decode(&bytes).unwrap();
        assert_eq!((events, decoder.sensor()), (EVENTS.to_vec(), Some(SENSOR)));
        let read = Reader::new(Box::new(std::io::Cursor::new(bytes.clone())), bytes.len() as u64, None);
        assert_eq!(read.unwrap().read_to_end().unwrap().events, EVENTS);
    }
}

#[test]
fn written_bytes_are_known() {
    let written = to_bytes(Format::Aedat4, &Recording { sensor: SENSOR, events: EVENTS.to_vec() }).unwrap();
    let header = 4 + u32::from_le_bytes(written[14..18].try_into().unwrap()) as usize;
    let table = i64::from_le_bytes(written[54..62].try_into().unwrap()) as usize;
    let packet = 14 + header;
    assert_eq!(written[packet..packet + 4], [0; 4], "stream 0");
    let size = table - packet - 8;
    assert_eq!(written[packet + 4..packet + 8], (size as u32).to_le_bytes());
    assert_eq!(zstd::decode_all(&written[packet + 8..table]).unwrap(), PACKET);

    let found = zstd::decode_all(&written[table..]).unwrap();
    let mut known = vec![92, 0, 0, 0, 16, 0, 0, 0, b'F', b'T', b'A', b'B', 0, 0];
    known.extend([
        6, 0, 8, 0, 4, 0, 6, 0, 0, 0, 4, 0, 0, 0, /* a row, 20 behind */ 1, 0, 0, 0, 20, 0, 0, 0,
    ]);
    known.extend([14, 0, 44, 0, 12, 0, 4, 0, 20, 0, 28, 0, 36, 0, /* padding */ 0, 0]);
    known.extend([16, 0, 0, 0, 0, 0, 0, 0]);
    known.extend((size as u32).to_le_bytes());
    known.extend([packet as i64 + 8, 2, -2, EVENTS[0].t].map(i64::to_le_bytes).as_flattened());
    assert_eq!(found, known);
}

#[test]
fn other_streams_are_passed_over_and_counted() {
    let streams = [(3, "IMUS"), (1, "EVTS"), (7, "EVTS"), (4, "FRME"), (5, "TRIG"), (-1, "POSE")];
    let mut bytes = header(3, -1, &streams);
    for stream in [3, 3, 7, 4, 5, -1, 3] {
        // What is passed over is not decompressed.
        bytes.extend(packet(stream, b"anything"));
    }
    bytes.extend(packet(1, &zstd(&PACKET[..])));
    let (events, decoder) = decode(&bytes).unwrap();
    assert_eq!(events, EVENTS);
    let mut passed_over = decoder.passed_over();
    passed_over.sort_by_key(|(_, count)| -(*count as i64));
    assert_eq!(passed_over[0], ("packet of inertial measurements", 3));
    let once = ["frames", "triggers", "other data", "another stream of events"];
    assert!(
        once.iter().all(|of| passed_over[1..].contains(&(&*format!("packet of {of}"), 1))),
        "{passed_over:?}"
    );
}

#[test]
fn the_data_table_is_no_packet() {
    let start = start();
    let table = (start + 8 + PACKET.len()) as i64;
    let file = [header(0, table, &[(0, "EVTS")]), packet(0, &PACKET)].concat();
    assert_eq!(decode(&file).unwrap().0, EVENTS);
    assert_eq!(decode(&[&file[..], b"FTAB"].concat()).unwrap().0, EVENTS);
    assert_eq!(decode(&[&file[..], &[0xff; 100]].concat()).unwrap().0, EVENTS);
}

#[test]
fn a_packet_without_elements_has_no_events() {
    let mut left_out = PACKET[..28].to_vec();
    left_out[0] = 24;
    left_out[18] = 0;
    assert_eq!(decode(&file(0, &left_out)).unwrap().0, []);
}

#[test]
fn a_cut_file_is_a_fault() {
    let bytes = file(0, &PACKET);
    for len in [start() + 3, start() + 8, bytes.len() - 1] {
        refused(&bytes[..len], start(), "a whole packet", "more bytes");
    }
    refused(&bytes[..100], 14, "a header that ends within", "none in 100 bytes");
    refused(&bytes[..16], 14, "a header that ends within", "none in 16 bytes");
    let table = header(0, 10_000, &[(0, "EVTS")]);
    refused(&table, table.len(), "packets up to the data table at byte 10000", "the end of the file");
}

#[test]
fn sizes_that_cannot_be_are_faults() {
    let sized = |size: i32| [header(0, -1, &[(0, "EVTS")]), vec![0; 4], size.to_le_bytes().to_vec()].concat();
    refused(&sized(-1), start() + 4, "the size of a packet", "-1");
    let huge = sized(i32::MAX);
    let mut reader =
        Reader::new(Box::new(std::io::Cursor::new(huge.clone())), huge.len() as u64, None).unwrap();
    let error = reader.next_events().unwrap_err().to_string();
    assert!(error.contains("a record of at most"), "{error}");
    let table = start() as i64 + 71;
    let bytes = [header(0, table, &[(0, "EVTS")]), packet(0, &PACKET)].concat();
    refused(&bytes, start(), &format!("ends before the data table at byte {table}"), "one of 72 bytes");
}

#[test]
fn a_stream_that_is_not_named_is_a_fault() {
    let bytes = [header(0, -1, &[(0, "EVTS")]), packet(9, &PACKET)].concat();
    refused(&bytes, start(), "a stream that the header names", "stream 9");
}

#[test]
fn offsets_out_of_a_flatbuffer_are_faults() {
    let outside = "within a FlatBuffer of 64";
    refused_with(0, &[59], "the length of a FlatBuffer of 60 bytes at byte 0", "59");
    refused_with(4, &[61], outside, "its end"); // the root table's last byte is behind the end
    refused_with(4, &[255; 4], outside, "its end");
    refused_with(8, b"IMUS", "the identifier EVTS", "IMUS");
    let before = "the distance to a vtable within the FlatBuffer at byte 20";
    refused_with(20, &[21], before, "21");
    refused_with(20, &i32::MAX.to_le_bytes(), before, "2147483647");
    refused_with(20, &i32::MIN.to_le_bytes(), outside, "its end");
    refused_with(20, &(-43_i32).to_le_bytes(), outside, "its end"); // one behind the end
    refused_with(14, &[51], outside, "its end"); // one that ends there
    refused_with(18, &[255, 255], outside, "its end"); // a field
    refused_with(24, &[255; 4], outside, "its end"); // the vector
    refused_with(28, &[3], "48 bytes within a FlatBuffer of 64 at byte 32", "its end"); // its elements
    refused_with(28, &[255; 4], outside, "its end");
    for len in 0..28 {
        assert!(decode(&file(0, &PACKET[..len])).is_err());
    }
}

#[test]
fn offsets_out_of_the_header_are_faults() {
    for at in [18, 42, 50] {
        let mut bytes = file(0, &PACKET);
        bytes[at..at + 4].fill(0xf0);
        let fault = decode(&bytes).err().unwrap();
        assert!(fault.expected.contains("within a FlatBuffer"), "{fault:?}");
    }
}

#[test]
fn damaged_frames_are_faults() {
    let at = start() + 8;
    for (compression, name, frame) in [(1, "LZ4", lz4(&PACKET[..])), (3, "Zstandard", zstd(&PACKET[..]))] {
        let whole = format!("a whole {name} frame");
        let mut magic = frame.clone();
        magic[0] ^= 1;
        refused(&file(compression, &magic), at, &whole, "");
        refused(&file(compression, &PACKET), at, &whole, "");
        // LZ4's reader takes the end of the data for the end of the frame: the FlatBuffer's length tells.
        for len in 0..frame.len() - 4 {
            assert!(decode(&file(compression, &frame[..len])).is_err(), "{name} cut to {len} bytes");
        }
        let trailing = [&frame[..], &[1, 2, 3, 4, 5, 6, 7, 8]].concat();
        assert!(compression == 1 || decode(&file(compression, &trailing)).is_err());
    }
    let mut checksum = zstd(&PACKET[..]);
    *checksum.last_mut().unwrap() ^= 1;
    refused(&file(3, &checksum), at, "a whole Zstandard frame", "checksum");
}

#[test]
fn a_bomb_is_a_fault() {
    let zeros = || std::io::repeat(0).take((1 << 28) + 1);
    for (compression, bomb) in [(1, lz4(zeros())), (3, zstd(zeros()))] {
        assert!(bomb.len() < 2_000_000);
        refused(&file(compression, &bomb), start() + 8, "at most 268435456 bytes in a packet", "more");
    }
}

#[test]
fn a_pixel_outside_of_the_sensor_is_a_fault_behind_the_events_before() {
    for (at, bytes, found) in
        [(56, [6, 0], "x 6, y 1"), (58, [4, 0], "x 0, y 4"), (56, [255, 255], "x -1, y 1")]
    {
        refused_with(at, &bytes, "a pixel of the 6x4 sensor as event 1 of the packet", found);
    }
    let mut content = PACKET;
    content[59] = 0x80;
    let bytes = file(0, &content);
    let (start, mut decoder) = Format::Aedat4.begin(&bytes).unwrap();
    let mut events = Vec::new();
    assert!(decoder.decode(&bytes[start..], &mut events).unwrap_err().found.ends_with("y -32767"));
    assert_eq!(events, EVENTS[..1]);
}

#[test]
fn headers_that_tell_too_little_are_faults() {
    refused(b"#!AER-DAT3.1\r\n", 0, "#!AER-DAT4.0\\r\\n", "#!AER-DAT3.1");
    refused(&header(0, -1, &[(0, "FRME"), (1, "IMUS")]), 14, "a stream of events", "[\"FRME\", \"IMUS\"]");
    refused(&header_of(0, -1, b""), 14, "a stream of events", "[]");
    refused(&header_of(0, -1, &[0xff; 9]), 14, "UTF-8", "other bytes");
    refused(&header(5, -1, &[(0, "EVTS")]), 14, "a compression from 0 to 4", "5");
    for table in [-2, 0, start() as i64 - 1] {
        let expected = format!("-1 or a position of the data table from {} on", start());
        refused(&header(0, table, &[(0, "EVTS")]), 14, &expected, &table.to_string());
    }
    let stream = |id: &str, size: &str| {
        let info = format!(
            "<node name=\"outInfo\"><node name=\"{id}\"><attr key=\"typeIdentifier\">EVTS</attr><node name=\"info\">\
             <attr key=\"sizeX\" type=\"int\">{size}</attr></node></node></node>"
        );
        header_of(0, -1, info.as_bytes())
    };
    for size in ["0", "32769", "-6", "", "six", "99999999999999999999"] {
        refused(&stream("0", size), 14, "sizeX of stream 0 from 1 to 32768", &format!("{size:?}"));
    }
    refused(&stream("0", "6"), 14, "sizeY of stream 0", "none");
    refused(&stream("first", "6"), 14, "a number as the id of a stream", "\"first\"");
}

#[test]
fn what_does_not_fit_is_not_written() {
    let sensors = [(0, 4), (4, 0), (32_769, 4), (4, 32_769)];
    for (width, height) in sensors {
        let recording = Recording { sensor: Sensor { width, height }, events: Vec::new() };
        let error = to_bytes(Format::Aedat4, &recording).unwrap_err();
        assert!(matches!(error, EventError::Unwritable { index: 0, .. }), "{error}");
    }
    let mut output = std::io::Cursor::new(Vec::new());
    let mut encoder = Format::Aedat4.encoder(SENSOR, &mut output).unwrap();
    let outside = Event { x: 32_768, ..EVENTS[1] };
    assert!(encoder.encode(&[EVENTS[0], outside], &mut output).is_err());
}

#[test]
fn a_recording_may_stand_behind_other_bytes() {
    let recording = Recording { sensor: SENSOR, events: EVENTS.repeat(9000) };
    let mut output = std::io::Cursor::new(Vec::new());
    output.write_all(b"before").unwrap();
    let mut encoder = Format::Aedat4.encoder(SENSOR, &mut output).unwrap();
    for events in recording.events.chunks(1000) {
        encoder.encode(events, &mut output).unwrap();
    }
    encoder.finish(&mut output).unwrap();
    assert_eq!(output.into_inner()[6..], to_bytes(Format::Aedat4, &recording).unwrap());
}

proptest! {
    #[test]
    fn written_recordings_read_back(
        events in proptest::collection::vec((any::<i64>(), 0..32_768_u16, 0..300_u16, any::<bool>()), 0..300),
    ) {
        let events: Vec<Event> = events.into_iter().map(|(t, x, y, on)| Event { t, x, y, on }).collect();
        let sensor = Sensor { width: 32_768, height: 300 };
        let bytes = to_bytes(Format::Aedat4, &Recording { sensor, events: events.clone() }).unwrap();
        prop_assert_eq!(decode(&bytes).unwrap().0, events);
    }

    #[test]
    fn damage_never_panics(
        compression in 0..5_i32,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let content = match compression {
            0 => PACKET.to_vec(),
            1 | 2 => lz4(&PACKET[..]),
            _ => zstd(&PACKET[..]),
        };
        let mut bytes = file(compression, &content);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok((events, decoder)) = decode(&bytes) {
            let sensor = decoder.sensor().unwrap();
            prop_assert!(events.iter().all(|event| sensor.holds(event.x, event.y)));
        }
    }
}
