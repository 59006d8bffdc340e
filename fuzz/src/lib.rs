//! What the fuzz targets do with bytes, and what must hold whatever the bytes are.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use synfire_data::fetch::{Archive, Unpack, unpack};
use synfire_events::{Event, Format, Reader, Recording, Statistics, labels, to_bytes};

/// Decodes a file of a format, or of the one that is seen from its content. Events lie on the sensor; what can be written again is
/// read back as it was.
pub fn decode(format: Option<Format>, bytes: &[u8]) {
    let Some((format, recording)) = read(format, bytes) else { return };
    let Recording { sensor, events } = &recording;
    assert!(events.iter().all(|event| sensor.holds(event.x, event.y)));
    // Most of what is found here are files of few events; large ones would only be slow.
    if events.is_empty() || events.len() > 4096 {
        return;
    }
    if let Ok(written) = to_bytes(format, &recording) {
        let (_, again) = read(Some(format), &written).expect("what was written is read");
        assert_eq!(again.events, *events, "{format}");
    }
}

/// All events of a file, if it is one.
fn read(format: Option<Format>, bytes: &[u8]) -> Option<(Format, Recording)> {
    let mut reader = Reader::new(Box::new(Cursor::new(bytes.to_vec())), bytes.len() as u64, format).ok()?;
    let mut events: Vec<Event> = Vec::new();
    let mut statistics = Statistics::default();
    while let Some(more) = reader.next_events().ok()? {
        assert!(!more.is_empty());
        // Bounded whatever the file: deflate makes at most a thousand bytes of one, and no record is many events.
        assert!(events.len() < 64 + 4096 * bytes.len(), "{} events of {} bytes", events.len(), bytes.len());
        statistics.add(more);
        events.extend_from_slice(more);
    }
    let _ = statistics.problems();
    let sensor = reader.sensor().or(statistics.needed_sensor())?;
    Some((reader.format(), Recording { sensor, events }))
}

/// Reads a table of labels.
pub fn labels(bytes: &[u8]) {
    if let Ok(intervals) = labels::parse(&String::from_utf8_lossy(bytes)) {
        assert!(intervals.iter().all(|interval| interval.start <= interval.end));
    }
}

/// More bytes than this are refused, which small archives reach.
const MOST_BYTES: u64 = 1 << 20;

/// Unpacks a `tar.gz` of these bytes, which would not be changed by chance in a way that their checksum allows.
pub fn unpack_tar(bytes: &[u8]) {
    let mut compressed = GzEncoder::new(Vec::new(), Compression::none());
    compressed.write_all(bytes).expect("memory");
    unpack_archive(Archive::TarGz, &compressed.finish().expect("memory"));
}

/// Unpacks an archive. Nothing appears outside of the folder that it should make, whatever the archive names, and no more bytes than
/// are allowed.
pub fn unpack_archive(format: Archive, bytes: &[u8]) {
    // In memory, where there is such a folder: every archive is written as a file first.
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let root = tempfile::tempdir_in(parent).expect("a folder");
    let set_folder = root.path().join("set");
    fs::create_dir(&set_folder).expect("a folder");
    let archive = root.path().join("archive");
    fs::write(&archive, bytes).expect("a file");
    let what = Unpack { format, folder: "part", ending: ".bin", count: 1, most_bytes: MOST_BYTES };
    let whole = unpack(&archive, &what, &set_folder, &mut |_, _| ()).is_ok();
    assert_eq!(names(root.path()), ["archive", "set"], "nothing beside the set's folder");
    let made = names(&set_folder);
    assert_eq!(made, if whole { vec!["part"] } else { Vec::new() }, "whole or nothing");
    assert!(size(&set_folder) <= MOST_BYTES);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Bytes in all files of a folder.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.map(|path| if path.is_dir() { size(&path) } else { path.metadata().map_or(0, |m| m.len()) }).sum()
}
