//! Writes what the fuzz targets begin with into `corpus/TARGET`: a simulated recording in every format, small archives and tables, and
//! the beginnings of real recordings, where `SYNFIRE_DATA` names a folder with them.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use synfire_events::simulate::{CameraSettings, Image, Moving, record};
use synfire_events::{Format, Recording, to_bytes};
use zip::write::{SimpleFileOptions, ZipWriter};

/// As much of a real recording as a fuzzer can change in useful time.
const BEGINNING: u64 = 16 << 10;

fn main() -> std::io::Result<()> {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let seed = |target: &str, name: &str, bytes: &[u8]| {
        fs::create_dir_all(corpus.join(target))?;
        fs::write(corpus.join(target).join(name), bytes)
    };
    let disc = Image::from_fn(28, 28, |x, y| if (x - 14.0).hypot(y - 14.0) < 6.0 { 1.0 } else { 0.0 });
    let whole = record(&Moving::saccades(disc), &CameraSettings::default(), 1).expect("a camera");
    for events in [1, 20, 300] {
        let recording = Recording { events: whole.events[..events].to_vec(), ..whole };
        for format in Format::all() {
            let bytes = to_bytes(format, &recording).expect("a recording that every format has room for");
            for target in [&target_of(format), "detect"] {
                seed(target, &format!("{format}-{events}"), &bytes)?;
            }
        }
    }
    seed("labels", "table", b"class,startTime_usec,endTime_usec\n1,10,20\n11,20,3000000000\n")?;
    for (target, bytes) in [("zip", zip()), ("tar_gz", tar())] {
        seed(target, "archive", &bytes)?;
    }
    let Some(data) = std::env::var_os("SYNFIRE_DATA") else { return Ok(()) };
    let data = Path::new(&data);
    let real = |path: PathBuf| -> std::io::Result<()> {
        let mut bytes = Vec::new();
        fs::File::open(&path)?.take(BEGINNING).read_to_end(&mut bytes)?;
        if let Some(format) = Format::detect(&bytes, path.metadata()?.len()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            seed(&target_of(format), &name, &bytes)?;
        }
        Ok(())
    };
    for entry in fs::read_dir(data.join("events"))? {
        real(entry?.path())?;
    }
    for entry in fs::read_dir(data.join("nmnist/Test/3"))?.take(3) {
        real(entry?.path())?;
    }
    Ok(())
}

/// The target that reads this format.
fn target_of(format: Format) -> String {
    format.name().replace('.', "")
}

/// An archive of a file `part/1.bin`.
fn zip() -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("part/1.bin", SimpleFileOptions::default()).expect("an entry");
    archive.write_all(b"12345").expect("memory");
    archive.finish().expect("memory").into_inner()
}

/// The same, not yet compressed.
fn tar() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    archive.append_data(&mut header, "part/1.bin", &b"12345"[..]).expect("memory");
    archive.into_inner().expect("memory")
}
