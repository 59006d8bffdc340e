//! Archives that hold what they should, and others.

use std::fs;
use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use synfire_data::fetch::{Archive, FetchError, Fetched, Options, RemoteFile, Then, Unpack};
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::server::{Reply, Server};
use crate::{Place, quick, remote_of};

const GOOD: &[(&str, &[u8])] = &[
    ("Train/3/a.bin", b"three"),
    ("Train/7/b.bin", b"seven"),
    ("__MACOSX/Train/3/a.bin", b"?"),
    ("Train/note", b""),
];

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A header as a bad writer makes it: no name is too bad.
fn tar_header(name: &[u8], kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

fn tar(entries: &[(&str, &[u8])]) -> tar::Builder<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let header = tar_header(name.as_bytes(), tar::EntryType::Regular, bytes.len() as u64);
        builder.append(&header, *bytes).unwrap();
    }
    builder
}

fn tar_gz(entries: &[(&str, &[u8])]) -> Vec<u8> {
    gzip(&tar(entries).into_inner().unwrap())
}

/// An archive with a folder `Train` of two `.bin` files, of which no hash is known.
fn archive(bytes: &[u8], format: Archive) -> RemoteFile {
    let unpack = Unpack { format, folder: "Train", ending: ".bin", count: 2, most_bytes: 1000 };
    RemoteFile {
        name: "archive",
        size: None,
        sha256: None,
        then: Then::Unpack(unpack),
        ..remote_of(bytes, &[])
    }
}

fn unpack(place: &mut Place, bytes: &[u8], format: Archive) -> Result<Fetched, FetchError> {
    place.write("archive", bytes);
    place.fetch(archive(bytes, format))
}

/// What cannot be unpacked is told with these words, stays, and leaves nothing else.
#[track_caller]
fn fails(bytes: &[u8], format: Archive, told: &str) {
    let mut place = Place::new();
    let error = unpack(&mut place, bytes, format).unwrap_err();
    assert!(matches!(error, FetchError::Archive { .. }), "{error}");
    assert!(error.to_string().contains(told), "no `{told}` in {error}");
    assert_eq!(place.names(), ["archive"]);
    assert_eq!(fs::read_dir(place.root.path()).unwrap().count(), 1, "nothing beside the set's folder");
}

#[test]
fn both_formats_become_a_folder() {
    for (bytes, format) in [(zip(GOOD), Archive::Zip), (tar_gz(GOOD), Archive::TarGz)] {
        let mut place = Place::new();
        place.write("Train.unpacking/left", b"by a call that was killed");
        assert_eq!(unpack(&mut place, &bytes, format).unwrap().placed, 1);
        assert_eq!(place.names(), ["Train"]);
        assert_eq!(fs::read(place.path("Train/7/b.bin")).unwrap(), b"seven");
        assert_eq!(fs::read(place.path("Train/note")).unwrap(), b"");
        // Now it is there, and the archive is not missed.
        assert_eq!(place.fetch(archive(&bytes, format)).unwrap().placed, 0);
        assert_eq!(place.log, ["placed", "there"]);
        assert!(matches!(unpack(&mut Place::new(), b"", format), Err(FetchError::Other { .. })));
    }
}

#[test]
fn archives_are_downloaded_and_kept_on_request() {
    let bytes = tar_gz(GOOD);
    let served = bytes.clone();
    let server = Server::start(move |request| Reply::file(request, &served));
    let file = || {
        let there = remote_of(&bytes, std::slice::from_ref(&server.url));
        RemoteFile { name: "archive", then: archive(&bytes, Archive::TarGz).then, ..there }
    };
    let mut place = Place::new();
    place.fetch(file()).unwrap();
    assert_eq!(place.names(), ["Train"]);
    let mut place = Place::new();
    place.fetch_with(file(), &Options { keep_archives: true, ..quick() }).unwrap();
    assert_eq!(place.names(), ["Train", "archive"]);
}

#[test]
fn a_part_of_a_folder_is_the_users() {
    let mut place = Place::new();
    place.write("Train/3/a.bin", b"mine");
    let error = unpack(&mut place, &zip(GOOD), Archive::Zip).unwrap_err().to_string();
    assert!(
        error.contains("Train is a part: expected 2 files that end in .bin, found 1; move it away"),
        "{error}"
    );
    assert_eq!(fs::read(place.path("Train/3/a.bin")).unwrap(), b"mine");
    // Files in the set's folder itself are as good.
    let mut place = Place::new();
    place.write("a.bin", b"1");
    place.write("b.bin", b"2");
    assert_eq!(place.fetch(archive(b"", Archive::Zip)).unwrap().placed, 0);
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in
        ["../out.bin", "Train/../../out.bin", "/tmp/out.bin", "C:/out.bin", "Train/C:out.bin", "..\\out.bin"]
    {
        let entries: &[(&str, &[u8])] = &[("Train/a.bin", b"1"), (name, b"2"), ("Train/b.bin", b"3")];
        fails(&zip(entries), Archive::Zip, "expected names inside its folder, found a name ");
        fails(&tar_gz(entries), Archive::TarGz, "expected names inside its folder, found a name ");
    }
}

#[test]
fn names_in_headers_of_their_own_are_checked_too() {
    for (kind, text) in [
        (tar::EntryType::GNULongName, &b"Train/../../x\0"[..]),
        (tar::EntryType::XHeader, b"22 path=Train/../../x\n"),
    ] {
        let mut builder = tar(GOOD);
        builder.append(&tar_header(b"long", kind, text.len() as u64), text).unwrap();
        builder.append(&tar_header(b"Train/x", tar::EntryType::Regular, 1), &b"1"[..]).unwrap();
        fails(&gzip(&builder.into_inner().unwrap()), Archive::TarGz, "a name with ..");
    }
    let mut builder = tar(&[]);
    let name = format!("Train/{}/{}.bin", "d".repeat(90), "n".repeat(90));
    for name in [name.as_str(), "Train/b.bin"] {
        let mut header = tar_header(b"", tar::EntryType::Regular, 1);
        builder.append_data(&mut header, name, &b"1"[..]).unwrap();
    }
    let mut place = Place::new();
    unpack(&mut place, &gzip(&builder.into_inner().unwrap()), Archive::TarGz).unwrap();
    assert_eq!(fs::read(place.path(&name)).unwrap(), b"1");
}

#[test]
fn links_and_devices_are_refused() {
    use tar::EntryType::{Block, Char, Fifo, Link, Symlink};
    for kind in [Symlink, Link, Block, Char, Fifo] {
        let mut builder = tar(GOOD);
        let mut header = tar_header(b"Train/link", kind, 0);
        header.set_link_name("/etc").unwrap();
        header.set_cksum();
        builder.append(&header, std::io::empty()).unwrap();
        fails(&gzip(&builder.into_inner().unwrap()), Archive::TarGz, "a link or device Train/link");
    }
    let mut writer = ZipWriter::new(Cursor::new(zip(GOOD)));
    writer.add_symlink("Train/link", "/etc", SimpleFileOptions::default()).unwrap();
    fails(&writer.finish().unwrap().into_inner(), Archive::Zip, "a link or device Train/link");
}

#[test]
fn bombs_are_refused() {
    let large = vec![0; 2_000_000];
    let entries: &[(&str, &[u8])] = &[("Train/a.bin", b"1"), ("Train/b.bin", &large)];
    for (bytes, format) in [(zip(entries), Archive::Zip), (tar_gz(entries), Archive::TarGz)] {
        assert!(bytes.len() < 20_000);
        fails(&bytes, format, "expected at most 1,000 bytes unpacked, found more");
    }
    // A name of two megabytes, which nobody needs.
    let mut builder = tar(GOOD);
    let long = tar_header(b"long", tar::EntryType::GNULongName, large.len() as u64);
    builder.append(&long, large.as_slice()).unwrap();
    fails(&gzip(&builder.into_inner().unwrap()), Archive::TarGz, "names of at most 65536 bytes");
    // An entry that says it is smaller than it is.
    let mut lying = zip(&[("Train/a.bin", &[7; 900]), ("Train/b.bin", b"1")]);
    for at in 0..lying.len() - 4 {
        if lying[at..at + 4] == 900u32.to_le_bytes() {
            lying[at..at + 4].copy_from_slice(&5u32.to_le_bytes());
        }
    }
    fails(&lying, Archive::Zip, "");
}

#[test]
fn damage_and_other_content_are_told() {
    fails(b"<html>not found</html>", Archive::Zip, "expected an intact zip file, found damage");
    fails(b"<html>not found</html>", Archive::TarGz, "expected an intact tar.gz file, found damage");
    fails(&zip(&[("Test/a.bin", b"1")]), Archive::Zip, "expected 2 files Train/….bin, found 0");
    fails(&tar_gz(&[("Train/a.bin", b"1")]), Archive::TarGz, "expected 2 files Train/….bin, found 1");
    let twice: &[(&str, &[u8])] = &[("Train/a.bin", b"1"), ("Train/a.bin", b"2")];
    let error = unpack(&mut Place::new(), &tar_gz(twice), Archive::TarGz).unwrap_err().to_string();
    assert!(error.contains("cannot create ") && error.contains("a.bin"), "{error}");
    for (bytes, format) in [(zip(GOOD), Archive::Zip), (tar_gz(GOOD), Archive::TarGz)] {
        for len in [bytes.len() - 1, bytes.len() / 2, 30] {
            fails(&bytes[..len], format, "");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever an archive holds, its folder is whole or not there.
    #[test]
    fn damaged_archives_give_all_or_nothing(at in any::<prop::sample::Index>(), flip in 1u8.., is_zip in any::<bool>()) {
        let (mut bytes, format) = if is_zip { (zip(GOOD), Archive::Zip) } else { (tar_gz(GOOD), Archive::TarGz) };
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let mut place = Place::new();
        match unpack(&mut place, &bytes, format) {
            Ok(_) => prop_assert_eq!(place.names(), ["Train"]),
            Err(_) => prop_assert_eq!(place.names(), ["archive"]),
        }
    }

    #[test]
    fn bytes_that_are_no_archive_are_refused(bytes in prop::collection::vec(any::<u8>(), 1..400), is_zip in any::<bool>()) {
        let format = if is_zip { Archive::Zip } else { Archive::TarGz };
        let mut place = Place::new();
        prop_assert!(unpack(&mut place, &bytes, format).is_err());
        prop_assert_eq!(place.names(), ["archive"]);
    }
}
