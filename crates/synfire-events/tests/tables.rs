//! Tables of events (npy, npz, csv): files that NumPy wrote, exact bytes, round trips, and one test per malformed input.

use std::io::{Cursor, Write};
use std::path::Path;

use proptest::prelude::*;
use synfire_events::{Event, EventError, Format, Reader, Recording, Sensor, read, to_bytes};
use zip::write::SimpleFileOptions;

fn events(bytes: &[u8], format: Option<Format>) -> Result<Vec<Event>, EventError> {
    let input = Box::new(Cursor::new(bytes.to_vec()));
    Ok(Reader::new(input, bytes.len() as u64, format)?.read_to_end()?.events)
}

/// Offset, what was expected and what found.
fn fault(bytes: &[u8], format: Format) -> (u64, String, String) {
    match events(bytes, Some(format)) {
        Err(EventError::Malformed { offset, expected, found, .. }) => (offset, expected, found),
        other => panic!("{other:?} of {:?}", String::from_utf8_lossy(bytes)),
    }
}

/// The events in the files that `tables.py` wrote.
fn written() -> Vec<Event> {
    let event = |i: i64| Event {
        t: 1000 + 37 * i,
        x: (7 * i % 34) as u16,
        y: (11 * i % 34) as u16,
        on: i % 3 % 2 == 1,
    };
    (0..100).map(event).collect()
}

/// A `.npy` file.
fn npy(descr: &str, shape: &str, content: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), content].concat()
}

/// A `.npz` file.
fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, array) in arrays {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(array).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

const PACKED: &str = "[('t', '<i8'), ('x', '<i2'), ('y', '<i2'), ('p', '|u1')]";
const SMALL: &str = "[('t', '|u1'), ('x', '|u1'), ('y', '|u1'), ('p', '|u1')]";

#[test]
fn files_of_numpy_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    let formats = [
        ("tonic.npy", Format::Npy),
        ("expelliarmus.npy", Format::Npy),
        ("aligned.npy", Format::Npy),
        ("big_endian_v3.npy", Format::Npy),
        ("rows_txyp_v2.npy", Format::Npy),
        ("rows_xytp_f8.npy", Format::Npy),
        ("rows_xytp_seconds.npy", Format::Npy),
        ("spikingjelly.npz", Format::Npz),
        ("spikingjelly_compressed.npz", Format::Npz),
        ("records.npz", Format::Npz),
        ("savetxt.txt", Format::Csv),
        ("seconds.txt", Format::Csv),
        ("savetxt_floats.txt", Format::Csv),
    ];
    for (name, format) in formats {
        assert_eq!(Reader::open(&folder.join(name)).unwrap().format(), format, "{name}");
        let recording = read(&folder.join(name)).unwrap();
        assert_eq!(recording.events, written(), "{name}");
        assert_eq!(recording.sensor, Sensor { width: 34, height: 34 }, "{name}");
    }
}

#[test]
fn known_bytes_decode_to_known_events() {
    // Three records of 13 bytes: -2 µs and 10^12 µs, x 258, y 3, on; times run backwards.
    let record = |t: i64, x: i16, p: u8| [&t.to_le_bytes()[..], &x.to_le_bytes(), &[3, 0, p]].concat();
    let content = [record(-2, 258, 1), record(1_000_000_000_000, 0, 0), record(5, 1, 0)].concat();
    let event = |t, x, on| Event { t, x, y: 3, on };
    let known = vec![event(-2, 258, true), event(1_000_000_000_000, 0, false), event(5, 1, false)];
    assert_eq!(events(&npy(PACKED, "(3,)", &content), None).unwrap(), known);
    let recording = Recording { sensor: Sensor { width: 259, height: 4 }, events: known.clone() };
    let bytes = to_bytes(Format::Npy, &recording).unwrap();
    assert_eq!((bytes.len(), &bytes[192..]), (192 + 39, &content[..]));
    let header = format!("{{'descr': {PACKED}, 'fortran_order': False, 'shape': (3,), }}");
    assert_eq!(&bytes[..10], b"\x93NUMPY\x01\0\xb6\0");
    assert_eq!(bytes[10..192], *format!("{header:<181}\n").as_bytes());
    let text = to_bytes(Format::Csv, &recording).unwrap();
    assert_eq!(text, b"t,x,y,p\n-2,258,3,1\n1000000000000,0,3,0\n5,1,3,0\n");
    assert_eq!(events(&text, None).unwrap(), known);
}

#[test]
fn numbers_of_every_type_are_read() {
    let known = [Event { t: 100, x: 2, y: 3, on: true }];
    let row = |bytes: fn(u8) -> Vec<u8>| [100, 2, 3, 1].map(bytes).concat();
    let of: [(&str, Vec<u8>); 14] = [
        ("|i1", row(|v| vec![v])),
        ("|u1", row(|v| vec![v])),
        ("<i2", row(|v| vec![v, 0])),
        (">i2", row(|v| vec![0, v])),
        ("<u2", row(|v| vec![v, 0])),
        ("<i4", row(|v| u32::from(v).to_le_bytes().into())),
        (">i4", row(|v| u32::from(v).to_be_bytes().into())),
        ("<u4", row(|v| u32::from(v).to_le_bytes().into())),
        ("<i8", row(|v| u64::from(v).to_le_bytes().into())),
        (">i8", row(|v| u64::from(v).to_be_bytes().into())),
        (">u8", row(|v| u64::from(v).to_be_bytes().into())),
        ("<f4", row(|v| f32::from(v).to_le_bytes().into())),
        (">f4", row(|v| f32::from(v).to_be_bytes().into())),
        (">f8", row(|v| f64::from(v).to_be_bytes().into())),
    ];
    for (name, content) in of {
        let descr = format!("[('ts', '{name}'), ('X', '{name}'), ('y', '{name}'), ('on', '{name}')]");
        assert_eq!(events(&npy(&descr, "(1,)", &content), None).unwrap(), known, "{name}");
        let columns = content.chunks(content.len() / 4).zip(["t", "x", "y", "p"]);
        let columns: Vec<_> = columns
            .map(|(value, column)| (column, npy(&format!("'{name}'"), "(1L,)", value)))
            .map(|(column, array)| (format!("{column}.npy"), array))
            .collect();
        let columns: Vec<_> = columns.iter().map(|(column, array)| (&column[..], array.clone())).collect();
        assert_eq!(events(&npz(&columns), None).unwrap(), known, "{name}");
    }
}

#[test]
fn rows_of_numbers_have_the_one_order_that_their_values_allow() {
    let known = [(10, 5, 6, 1), (11, 3, 7, 0), (12, 4, 2, 1)];
    let known = known.map(|(t, x, y, p)| Event { t, x, y, on: p == 1 });
    for rows in [
        [[10, 5, 6, 1], [11, 3, 7, 0], [12, 4, 2, 1]],
        [[5, 6, 10, 1], [3, 7, 11, 255], [4, 2, 12, 1]],
        [[5, 6, 1, 10], [3, 7, 255, 11], [4, 2, 1, 12]],
    ] {
        let array = npy("'|i1'", "(3, 4)", rows.as_flattened());
        assert_eq!(events(&array, None).unwrap(), known, "{rows:?}");
        let lines = rows.map(|row| row.map(|v| v as i8).map(|v: i8| v.to_string()).join(" ")).join("\n");
        assert_eq!(events(lines.as_bytes(), None).unwrap(), known, "{rows:?}");
    }
    for rows in
        [[[10, 5, 6, 1], [11, 6, 7, 0]], [[10, 5, 6, 1], [9, 6, 2, 0]], [[10, 5, 6, 2], [11, 4, 2, 0]]]
    {
        let (offset, expected, _) = fault(&npy("'|u1'", "(2, 4)", rows.as_flattened()), Format::Npy);
        assert_eq!(offset, 10);
        assert_eq!(expected, "columns whose order is seen from times that never fall, or that have names");
    }
}

#[test]
fn damaged_headers_are_faults() {
    let long = format!("[('t', '|u1'), ('x', '|u1'), ('y', '|u1'), ('p', '|u1'), ('', '|V{}')]", u64::MAX);
    let deep = "[".repeat(30);
    let bad = [
        ("['t'", "(1,)", "a comma or ']'"),
        ("[('t", "(1,)", "a comma or ')'"),
        (&deep[..], "(1,)", "no list as deep in others as this"),
        ("None", "(1,)", "a Python literal"),
        ("True", "(1,)", "a descr of a type or of fields"),
        ("'<i8'", "(99999999999999999999,)", "a number of 64 bits"),
        ("'<i8'", "('1',)", "a shape of numbers"),
        ("'<i8'", "1", "a dictionary with descr, fortran_order and shape"),
        ("'<i8', 'x' 1", "(1,)", "a colon"),
        ("'<i8', 1: 1", "(1,)", "a quoted name"),
        ("'<M8[us]'", "(1, 4)", "integers or floats of at most 64 bits"),
        ("'<i8'", "(1,)", "one dimension of records with fields"),
        ("'<i8'", "(4, 1)", "one dimension of records with fields"),
        (PACKED, "(1, 1)", "one dimension of records with fields"),
        ("'<i8'", "(0, 4)", "columns whose order is seen"),
        (
            "[('t', '<i8'), ('x', '<i2'), ('y', '<i2')]",
            "(1,)",
            "columns t, x, y and p, one of them named p or",
        ),
        ("[('t', '<i8'), ('ts', '<i8')]", "(1,)", "columns t, x, y and p, one of them named t or ts"),
        ("[('t', '<i8'), ('o', '|O')]", "(1,)", "fields of a name and a type of known size"),
        (
            "[('t', '<M8[us]'), ('x', '<i2'), ('y', '<i2'), ('p', '|u1')]",
            "(1,)",
            "t, x, y and p that are integers",
        ),
        (&long, "(1,)", "records of at most 65536 bytes"),
    ];
    for (descr, shape, what) in bad {
        let (offset, expected, _) = fault(&npy(descr, shape, &[0; 16]), Format::Npy);
        assert!(expected.starts_with(what), "{descr} {shape}: {expected}");
        assert!((10..200).contains(&offset), "{offset}");
    }
}

#[test]
fn a_wrong_mark_version_or_length_of_a_header_is_a_fault() {
    let good = npy(SMALL, "(1,)", &[1, 2, 3, 1]);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        fault(&bytes, Format::Npy)
    };
    assert_eq!(with(1, b'n'), (0, "the mark \\x93NUMPY".into(), "\"\u{fffd}nUMPY\"".into()));
    assert_eq!(with(6, 4), (6, "version 1, 2 or 3 of the format".into(), "4".into()));
    let (offset, expected, found) = with(9, 0xff);
    assert_eq!((offset, &expected[..]), (8, "a header in the first 1048576 bytes of the file"));
    assert!(found.starts_with("a header of 65"), "{found}");
    assert_eq!(fault(&good[..7], Format::Npy).0, 6);
    let fortran = String::from_utf8_lossy(&good[10..]).replace("False", "True ");
    let columns_first = [&good[..10], fortran.replace(SMALL, "'|u1'").as_bytes()].concat();
    assert_eq!(fault(&columns_first, Format::Npy).0, 8, "the header is shorter than told");
}

#[test]
fn columns_first_is_refused() {
    let rows = [[10, 5, 6, 1], [11, 3, 2, 0]];
    let mut array = npy("'|u1'", "(2, 4)", rows.as_flattened());
    assert!(events(&array, None).is_ok());
    let at = array.windows(5).position(|word| word == b"False").unwrap();
    array[at..at + 5].copy_from_slice(b"True ");
    assert!(fault(&array, Format::Npy).1.ends_with("rows of four numbers in C order"));
}

#[test]
fn an_array_that_is_cut_or_too_long_is_a_fault() {
    let start = npy(SMALL, "(2,)", &[]).len() as u64;
    let told = fault(&npy(SMALL, "(2,)", &[1, 2, 3, 1, 1]), Format::Npy);
    assert_eq!(told, (start + 4, "1 more rows of 4 bytes".into(), "1 bytes and the end of the file".into()));
    for more in 1..6 {
        let told = fault(&npy(SMALL, "(1,)", &[&[1, 2, 3, 1][..], &[0; 5][..more]].concat()), Format::Npy);
        assert_eq!(told.0, start + 4);
        assert_eq!(told.1, "the end of the file behind its array");
    }
    let huge = fault(&npy(SMALL, "(18446744073709551615,)", &[1, 2, 3, 1]), Format::Npy);
    assert_eq!(huge.1, "18446744073709551614 more rows of 4 bytes");
}

#[test]
fn values_that_no_event_has_are_faults_at_their_bytes() {
    let descr = "[('t', '<f8'), ('x', '<i4'), ('y', '<u2'), ('p', '|i1')]";
    let record = |t: f64, x: i32, y: u16, p: i8| {
        [&t.to_le_bytes()[..], &x.to_le_bytes(), &y.to_le_bytes(), &p.to_le_bytes()].concat()
    };
    let start = npy(descr, "(2,)", &[]).len() as u64 + 15;
    let bad = [
        (record(f64::NAN, 0, 0, 0), 0, "a time in whole microseconds", "NaN"),
        (record(1e300, 0, 0, 0), 0, "a time in whole microseconds", &*format!("{}", 1e300)),
        (record(1.0, -1, 0, 0), 8, "an x from 0 to 65534", "-1"),
        (record(1.0, 65535, 0, 0), 8, "an x from 0 to 65534", "65535"),
        (record(1.0, 0, 65535, 0), 12, "a y from 0 to 65534", "65535"),
        (record(1.0, 0, 0, 2), 14, "a polarity of 0 or 1, or of -1 or 1", "2"),
    ];
    for (bytes, offset, expected, found) in bad {
        let array = npy(descr, "(2,)", &[record(3.0, 65534, 65534, -1), bytes].concat());
        assert_eq!(fault(&array, Format::Npy), (start + offset, expected.into(), found.into()));
    }
    let wide = npy("[('t', '<u8'), ('x', '|u1'), ('y', '|u1'), ('p', '|u1')]", "(1,)", &[0xff; 11]);
    assert_eq!(fault(&wide, Format::Npy).1, "a time in whole microseconds");
}

#[test]
fn floats_are_seconds_where_one_at_the_start_has_a_fraction() {
    let table = |times: &[f64]| {
        let rows = times.iter().flat_map(|t| [&t.to_le_bytes()[..], &[1, 1, 1]].concat());
        let descr = "[('t', '<f8'), ('x', '|u1'), ('y', '|u1'), ('p', '|u1')]";
        npy(descr, &format!("({},)", times.len()), &rows.collect::<Vec<_>>())
    };
    let times = |bytes: &[u8]| events(bytes, None).unwrap().iter().map(|event| event.t).collect::<Vec<_>>();
    assert_eq!(times(&table(&[0.0, 3.0])), [0, 3]);
    assert_eq!(times(&table(&[0.0, 3.0, 1_468_939_993.123_457])), [0, 3_000_000, 1_468_939_993_123_457]);
    assert_eq!(times(b"0 1 1 1\n0.0000015 1 1 1\n2e-05 1 1 0\n3 0 0 0"), [0, 2, 20, 3_000_000]);
    // Behind the start, a file that began with microseconds goes on so.
    let mut later = vec![0.0; 100_000];
    later.push(0.5);
    assert_eq!(fault(&table(&later), Format::Npy).1, "a time in whole microseconds");
}

/// The four arrays of SpikingJelly, of one event, with others in their place.
fn archive(with: &[(&str, &str, &str, &[u8])]) -> Vec<u8> {
    let mut arrays: Vec<_> =
        ["t.npy", "x.npy", "y.npy", "p.npy"].map(|name| (name, npy("'|u1'", "(1,)", &[1]))).into();
    for (name, descr, shape, content) in with {
        arrays.retain(|(other, _)| other != name);
        arrays.push((name, npy(descr, shape, content)));
    }
    npz(&arrays)
}

#[test]
fn archives_of_wrong_arrays_are_faults() {
    assert_eq!(events(&archive(&[]), None).unwrap(), [Event { t: 1, x: 1, y: 1, on: true }]);
    let other = ("label.npy", "'<U3'", "()", &[0; 12][..]);
    assert!(events(&archive(&[other]), None).is_ok());
    let bad = [
        (archive(&[("x.npy", "'|u1'", "(2,)", &[1, 1])]), "1 values, as t.npy has them, at byte 0 of x.npy"),
        (archive(&[("x.npy", "'|u1'", "(1,)", &[])]), "more content at byte 68 of x.npy"),
        (archive(&[("x.npy", "'|u1'", "(1,)", &[1, 1])]), "the end of the array at byte 69 of x.npy"),
        (archive(&[("x.npy", "'|i1'", "(1,)", &[255])]), "an x from 0 to 65534 at byte 68 of x.npy"),
        (archive(&[("x.npy", "'|u1'", "(1, 1)", &[1])]), "one dimension of numbers at byte 10 of x.npy"),
        (
            archive(&[("x.npy", "'|S1'", "(1,)", &[1])]),
            "integers or floats of at most 64 bits at byte 10 of x.npy",
        ),
        (
            archive(&[("t.npy", "'|u1'", "(99999999999,)", &[1])]),
            "at most 67108864 events at byte 0 of t.npy",
        ),
        (archive(&[("ts.npy", "'|u1'", "(1,)", &[1])]), "columns t, x, y and p, one of them named t or"),
        (npz(&[("e.npy", npy("'|u1'", "(1,)", &[1]))]), "one dimension of records with fields"),
        (npz(&[("e.npy", npy(SMALL, "(2,)", &[1, 2, 3, 1]))]), "1 more rows of 4 bytes at byte"),
        (npz(&[("e.npy", npy(SMALL, "(1,)", &[1, 2, 3, 7]))]), "a polarity of 0 or 1, or of -1 or 1 at byte"),
        (npz(&[("e.npy", npy(SMALL, "(99999999999,)", &[]))]), "at most 67108864 events"),
        (npz(&[("e.npy", b"no array".to_vec())]), "the mark \\x93NUMPY at byte 0 of e.npy"),
        (npz(&[]), "columns t, x, y and p"),
    ];
    for (bytes, what) in bad {
        let (_, expected, _) = fault(&bytes, Format::Npz);
        assert!(expected.starts_with(what), "{expected}");
    }
}

#[test]
fn damaged_archives_are_faults() {
    let recording = Recording { sensor: Sensor { width: 34, height: 34 }, events: written() };
    let good = to_bytes(Format::Npz, &recording).unwrap();
    assert_eq!(fault(&good[..good.len() - 30], Format::Npz).1, "a whole ZIP archive");
    // A bit in the checksum of the first array, as the directory tells it.
    let directory = good.windows(4).position(|mark| mark == b"PK\x01\x02").unwrap();
    let mut wrong = good.clone();
    wrong[directory + 16] ^= 1;
    let (offset, expected, found) = fault(&wrong, Format::Npz);
    assert!(offset > 30 && expected.starts_with("more content at byte "), "{expected}, {found}");
}

#[test]
fn text_is_read_however_it_is_parted_and_named() {
    let known = [Event { t: 10, x: 5, y: 6, on: true }, Event { t: 11, x: 3, y: 7, on: false }];
    for text in [
        "10 5 6 1\n11 3 7 0\n",
        "10\t5\t6\t1\r\n11\t3\t7\t-1",
        "  10   5 6\t1  \n\n# a comment\n11 3 7 +0",
        "10,5,6,1\n11,3,7,0",
        "10; 5; 6; 1\n11; 3; 7; 0",
        "\u{feff}t,x,y,p\n10,5,6,1\n11,3,7,0",
        "\"Polarity\";\"Y\";\"X\";\"Timestamp\"\n1;6;5;10\n0;7;3;11",
        ",x,y,t,p\n0,5,6,10,True\n1,3,7,11,False\n",
        "# made by hand\n# x y t p\n5 6 10 1\n3 7 11 0",
        "% p x y t\n1 5 6 10\n0 3 7 11",
        "1.000e+01 5.000e+00 6.000e+00 1.000e+00\n1.100e+01 3.000e+00 7.000e+00 0.000e+00\n",
        "t,x,y,p\n10.0,5,6,1.0\n11.0,3,7,-1.0\n",
    ] {
        assert_eq!(events(text.as_bytes(), None).unwrap(), known, "{text:?}");
    }
    // Where nothing tells the order, it is that of the Event Camera Dataset.
    assert_eq!(events(b"3 1 2 1", None).unwrap(), [Event { t: 3, x: 1, y: 2, on: true }]);
}

#[test]
fn a_comment_tells_the_sensor() {
    let sensor = |text: &'static str| {
        Reader::new(Box::new(text.as_bytes()), text.len() as u64, None).unwrap().sensor()
    };
    assert_eq!(sensor("# sensor 240x180\n1 2 3 1\n"), Some(Sensor { width: 240, height: 180 }));
    assert_eq!(sensor("%geometry:1280,720\n4,3,1,7\n"), Some(Sensor { width: 1280, height: 720 }));
    assert_eq!(sensor("# sensor large\n1 2 3 1\n"), None);
    let told = fault(b"# sensor 4x4\n1 2 3 1\n2 4 3 1\n", Format::Csv);
    assert_eq!(told, (21, "a pixel of the 4x4 sensor".into(), "x 4, y 3".into()));
}

#[test]
fn lines_that_are_no_events_are_faults() {
    let bad = [
        ("11 3 7", "4 columns"),
        ("11 3 7 0 0", "4 columns"),
        ("1.5 3 7 0", "a time in whole microseconds"),
        ("11 70000 7 0", "an x from 0 to 65534"),
        ("11 -3 7 0", "an x from 0 to 65534"),
        ("11 3 6.5 0", "a y from 0 to 65534"),
        ("11 3 7 2", "a polarity of 0 or 1, or of -1 or 1"),
        ("11 3 7 on", "a polarity of 0 or 1, or of -1 or 1"),
        ("1234567890123456789 3 7 0", "a time in whole microseconds"),
        ("- 3 7 0", "a time in whole microseconds"),
        ("1e300 3 7 0", "a time in whole microseconds"),
        ("11 nan 7 0", "an x from 0 to 65534"),
        ("11 3.25e+00 7 0", "an x from 0 to 65534"),
    ];
    for (line, what) in bad {
        // Many good lines first, so that the units are seen from them.
        let good = "10 5 6 1\n".repeat(200_000);
        let (offset, expected, found) = fault(format!("{good}{line}\n").as_bytes(), Format::Csv);
        assert_eq!((offset, &expected[..], found), (good.len() as u64, what, format!("{line:?}")));
    }
}

#[test]
fn text_without_events_is_a_fault() {
    let told = fault(b"hello, world\n1,2\n", Format::Csv);
    assert_eq!(told.0, 0);
    assert_eq!(told.1, "columns t, x, y and p, one of them named t or ts or timestamp or time");
    assert_eq!(told.2, "\"hello, world\"");
    assert_eq!(fault(b"# nothing\n\n", Format::Csv).0, 11);
    let endless = [&b"1 2 3 1\n"[..], &[b'1'; 100_000]].concat();
    let (offset, expected, found) = fault(&endless, Format::Csv);
    assert_eq!((offset, &expected[..]), (8, "a line of at most 65536 bytes"));
    assert!(found.len() < 100 && found.ends_with(" and more"), "{found}");
}

#[test]
fn other_texts_are_no_tables() {
    for text in [
        "1 2 3\n",
        "1 2 3 4\n",
        "1 2 3 1\n1 2 3 4\n",
        "a b c d\n",
        "t,x,y,p\n",
        "t,x,y,p\na,b,c,d\n",
        "1,2,3,1,\n",
    ] {
        assert!(matches!(events(text.as_bytes(), None), Err(EventError::UnknownContent { .. })), "{text}");
    }
}

#[test]
fn what_does_not_fit_is_not_written() {
    let events = vec![Event { t: 0, x: 32767, y: 0, on: true }, Event { t: 0, x: 0, y: 32768, on: true }];
    let recording = Recording { sensor: Sensor { width: 32768, height: 32769 }, events };
    for format in [Format::Npy, Format::Npz] {
        let error = to_bytes(format, &recording).unwrap_err();
        assert!(matches!(error, EventError::Unwritable { index: 1, .. }), "{error}");
    }
    assert!(to_bytes(Format::Csv, &recording).is_ok());
    let events = vec![Event { t: -1_000_000_000_000_000_000, x: 0, y: 0, on: true }];
    let error = to_bytes(Format::Csv, &Recording { events, ..recording }).unwrap_err();
    assert!(matches!(error, EventError::Unwritable { index: 0, .. }), "{error}");
}

proptest! {
    #[test]
    fn written_recordings_read_back(
        all in proptest::collection::vec((-1_i64 << 59..1 << 59, 0..32768_u16, 0..32768_u16, any::<bool>()), 1..200),
    ) {
        let all: Vec<Event> = all.into_iter().map(|(t, x, y, on)| Event { t, x, y, on }).collect();
        let recording = Recording { sensor: Sensor { width: 32768, height: 32768 }, events: all.clone() };
        for format in [Format::Npy, Format::Npz, Format::Csv] {
            let bytes = to_bytes(format, &recording).unwrap();
            prop_assert_eq!(&events(&bytes, None).unwrap(), &all);
        }
    }

    #[test]
    fn arbitrary_headers_and_lines_never_panic(text in "[\\[\\](){}'\",:<>| 0-9a-z\n.#%-]{0,60}") {
        let _ = events(&npy(&text, "(1,)", &[1; 16]), None);
        let _ = events(text.as_bytes(), Some(Format::Csv));
    }
}
