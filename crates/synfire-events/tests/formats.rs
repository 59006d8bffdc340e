//! What holds for every format: written recordings read back, whatever the pieces they come in, and damage is an error or
//! other events, never a panic or memory without bound.

use std::io::Read;

use synfire_events::{Event, EventError, Format, Origin, Reader, Recording, Sensor, read, to_bytes, write};

/// A sensor that every format has room for.
const SENSOR: Sensor = Sensor { width: 34, height: 34 };

/// Events by rising time, several in a microsecond, pauses among them, and rows of neighbours.
fn recording(n: u64) -> Recording {
    let hash = |i: u64| {
        (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    let mut t = 100;
    let mut events = Vec::new();
    for i in 0..n {
        let h = hash(i);
        t += match h % 16 {
            0 => 10_000 + (h >> 20) as i64 % 10_000,
            1..8 => (h >> 20) as i64 % 40,
            _ => 0,
        };
        let neighbour = i % 3 == 0;
        let (x, y) =
            if neighbour { (5 + (i % 20) as u16, 7) } else { ((h >> 40) as u16 % 34, (h >> 50) as u16 % 34) };
        events.push(Event { t, x, y, on: neighbour || h >> 63 == 1 });
    }
    // The first pixels and the last, so that a format without a sensor finds it again.
    events[0] = Event { t: 100, x: 0, y: 0, ..events[0] };
    events[1] = Event { t: 100, x: 33, y: 33, ..events[1] };
    events.sort_by_key(|event| event.t);
    Recording { sensor: SENSOR, events }
}

/// Gives a few bytes at a time.
struct Trickle {
    bytes: Vec<u8>,
    at: usize,
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = (1 + self.at % 7).min(buffer.len()).min(self.bytes.len() - self.at);
        buffer[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

fn parse(bytes: &[u8], format: Option<Format>) -> Result<Recording, EventError> {
    let len = bytes.len() as u64;
    Reader::new(Box::new(Trickle { bytes: bytes.to_vec(), at: 0 }), len, format)?.read_to_end()
}

#[test]
fn written_recordings_are_recognised_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    // The largest does not fit into the head that a file is recognised by.
    for n in [2, 3, 4, 100, 4097, 300_000] {
        let mut written = recording(n);
        if n > 5000 {
            // Every format has room for these times.
            written.events.iter_mut().enumerate().for_each(|(i, event)| event.t = 100 + i as i64 / 8);
        }
        for format in Format::all() {
            let file = folder.path().join("recording");
            write(&file, format, &written).unwrap();
            let bytes = std::fs::read(&file).unwrap();
            assert_eq!(bytes, to_bytes(format, &written).unwrap(), "{format}");
            assert_eq!(Format::detect(&bytes[..bytes.len().min(1 << 20)], bytes.len() as u64), Some(format));
            assert!(read(&file).unwrap() == written, "{n} events of {format} read back");
            assert!(
                parse(&bytes, Some(format)).unwrap() == written,
                "{n} events of {format} in small pieces"
            );
        }
    }
}

#[test]
fn a_cut_or_damaged_file_is_an_error_or_other_events() {
    let written = recording(60);
    for format in Format::all() {
        let bytes = to_bytes(format, &written).unwrap();
        for len in 0..bytes.len() {
            if let Ok(found) = parse(&bytes[..len], Some(format)) {
                assert!(written.events.starts_with(&found.events), "{format} cut to {len} bytes");
            }
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                if let Ok(Recording { sensor, events }) = parse(&damaged, Some(format)) {
                    assert!(events.iter().all(|event| sensor.holds(event.x, event.y)), "{format}");
                }
            }
        }
    }
}

#[test]
fn a_file_that_is_not_finished_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording");
    std::fs::write(&file, "before").unwrap();
    for format in Format::all() {
        let recording = recording(60);
        let mut writer = synfire_events::Writer::create(&file, format, recording.sensor).unwrap();
        writer.write(&recording.events).unwrap();
        let outside = Event { t: 2_000_000, x: 34, y: 0, on: true };
        let error = writer.write(&[outside]).unwrap_err();
        assert!(matches!(error, EventError::Unwritable { index: 60, .. }), "{error}");
        drop(writer);
        assert_eq!(std::fs::read(&file).unwrap(), b"before");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}

#[test]
fn what_is_no_recording_is_told_so() {
    for bytes in
        [&b"many words"[..], b"<!DOCTYPE html><html><body>not found</body></html>", &[0xff; 4096], &[0; 5000]]
    {
        assert!(matches!(parse(bytes, None), Err(EventError::UnknownContent { .. })), "{bytes:?}");
    }
    assert!(matches!(parse(b"", None), Err(EventError::NoEvents { .. })));
    assert!(read(std::env::temp_dir().as_path()).is_err());
}

#[test]
fn files_whose_header_is_text_say_that_they_are_simulated() {
    let folder = tempfile::tempdir().unwrap();
    let recording = recording(60);
    for format in Format::all() {
        let file = folder.path().join(format.name());
        for simulated in [false, true] {
            let origin = Origin { sensor: recording.sensor, simulated };
            let mut writer = synfire_events::Writer::create(&file, format, origin).unwrap();
            writer.write(&recording.events).unwrap();
            writer.finish().unwrap();
            let mut reader = synfire_events::Reader::open(&file).unwrap();
            let no_room = [Format::Npy, Format::Npz, Format::Csv, Format::Nmnist].contains(&format);
            assert_eq!(reader.simulated(), simulated && !no_room, "{format}");
            assert_eq!(reader.read_to_end().unwrap().events, recording.events, "{format}");
        }
    }
}

#[test]
fn formats_have_names() {
    for format in Format::all() {
        assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
    }
    let error = "evt9".parse::<Format>().unwrap_err().to_string();
    assert!(error.starts_with("unknown format \"evt9\": expected one of "), "{error}");
}
