//! From an archive to a folder, whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use tar::EntryType;
use zip::ZipArchive;

use super::part::{beside, lock, put_in_place};
use super::{Archive, FetchError, Unpack, names};
use crate::set::thousands;

/// More entries than any of the sets has.
const MOST_ENTRIES: usize = 1_000_000;
/// The longest name of a file that a tar file may write in a block of its own.
const LONGEST_NAME: u64 = 1 << 16;

/// Unpacks `archive` into the set's folder: beside the place first, which is whole or not there. `progress` hears how many of its bytes
/// are done.
///
/// # Errors
/// When the archive is not what it should be: damaged, with names that lead elsewhere, links, too many or too large entries, or too few
/// samples; or the system refuses.
pub fn unpack(
    archive: &Path,
    what: &Unpack,
    set_folder: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), FetchError> {
    let opened = File::open(archive).map_err(FetchError::io("open", archive))?;
    lock(&opened, archive)?;
    let size = opened.metadata().map_err(FetchError::io("look at", archive))?.len();
    let temporary = beside(&set_folder.join(what.folder), ".unpacking");
    clear(&temporary)?;
    fs::create_dir(&temporary).map_err(FetchError::io("create", &temporary))?;
    let mut unpacking = Unpacking { archive, what, temporary: &temporary, entries: 0, bytes: 0 };
    let result = match what.format {
        Archive::Zip => unpacking.zip(opened, size, progress),
        Archive::TarGz => unpacking.tar_gz(&opened, size, progress),
    };
    let result = result.and_then(|()| {
        let folder = temporary.join(what.folder);
        let found = what.count_in(&folder, true)?;
        if found < what.count {
            return Err(unpacking.unlike(
                format!("{} files {}/…{}", thousands(what.count as u64), what.folder, what.ending),
                thousands(found as u64),
            ));
        }
        put_in_place(&folder, &set_folder.join(what.folder))
    });
    let cleared = clear(&temporary);
    result.and(cleared)
}

/// Removes what an earlier call left.
fn clear(folder: &Path) -> Result<(), FetchError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FetchError::io("remove", folder)(error)),
        _ => Ok(()),
    }
}

struct Unpacking<'a> {
    archive: &'a Path,
    what: &'a Unpack,
    temporary: &'a Path,
    entries: usize,
    bytes: u64,
}

impl Unpacking<'_> {
    fn zip(
        &mut self,
        opened: impl Read + Seek,
        size: u64,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), FetchError> {
        let mut archive = ZipArchive::new(BufReader::new(opened)).map_err(|error| self.damaged(error))?;
        let mut done = 0;
        for i in 0..archive.len() {
            let mut entry = archive.by_index(i).map_err(|error| self.damaged(error))?;
            let path = self.place(entry.name_raw())?;
            let kind = entry.unix_mode().map_or(0, |mode| mode & 0o170_000);
            if !matches!(kind, 0 | 0o100_000 | 0o040_000) {
                return Err(
                    self.unlike("files and folders alone", format!("a link or device {}", path.display()))
                );
            }
            done += entry.compressed_size();
            let is_folder = entry.is_dir();
            let len = entry.size();
            self.entry(path, is_folder, len, &mut entry)?;
            progress(done.min(size), size);
        }
        Ok(())
    }

    fn tar_gz(
        &mut self,
        opened: &File,
        size: u64,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), FetchError> {
        let mut decoder = MultiGzDecoder::new(BufReader::new(opened));
        let mut archive = tar::Archive::new(&mut decoder);
        // Raw, since long names would be read into memory whatever size they say they have.
        let entries = archive.entries().map_err(|error| self.damaged(error))?.raw(true);
        let mut long_name: Option<Vec<u8>> = None;
        for entry in entries {
            let mut entry = entry.map_err(|error| self.damaged(error))?;
            let kind = entry.header().entry_type();
            match kind {
                EntryType::GNULongName | EntryType::XHeader => {
                    let text = self.short_text(&mut entry)?;
                    long_name =
                        if kind == EntryType::XHeader { pax_path(&text).or(long_name) } else { Some(text) };
                }
                EntryType::XGlobalHeader => {}
                EntryType::Regular | EntryType::Continuous | EntryType::Directory => {
                    let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
                    let path = self.place(&name[..end])?;
                    let is_folder = kind == EntryType::Directory || name[..end].ends_with(b"/");
                    let len = entry.size();
                    self.entry(path, is_folder, len, &mut entry)?;
                }
                _ => {
                    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                    return Err(self.unlike("files and folders alone", format!("a link or device {name}")));
                }
            }
            progress((&mut &*opened).stream_position().unwrap_or(0).min(size), size);
        }
        // Behind the last file stands the checksum of all.
        let most = self.what.most_bytes.saturating_sub(self.bytes);
        io::copy(&mut decoder.take(most), &mut io::sink()).map_err(|error| self.damaged(error))?;
        Ok(())
    }

    /// The text of an entry that is part of the next one's header.
    fn short_text(&self, entry: &mut impl Read) -> Result<Vec<u8>, FetchError> {
        let mut text = Vec::new();
        entry.take(LONGEST_NAME + 1).read_to_end(&mut text).map_err(|error| self.damaged(error))?;
        if text.len() as u64 > LONGEST_NAME {
            return Err(self.unlike(format!("names of at most {LONGEST_NAME} bytes"), "a longer one".into()));
        }
        Ok(text)
    }

    /// Where an entry goes, and whether there may be one more.
    fn place(&mut self, name: &[u8]) -> Result<PathBuf, FetchError> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            let expected = format!("at most {} entries", thousands(MOST_ENTRIES as u64));
            return Err(self.unlike(expected, "more".into()));
        }
        names::inside(name).map_err(|why| {
            let name = String::from_utf8_lossy(name).into_owned();
            self.unlike("names inside its folder", format!("a name {why}: {name:?}"))
        })
    }

    /// Unpacks one entry, if it is in the folder that is wanted.
    fn entry(
        &mut self,
        path: PathBuf,
        is_folder: bool,
        len: u64,
        content: &mut impl Read,
    ) -> Result<(), FetchError> {
        if !path.starts_with(self.what.folder) {
            return Ok(());
        }
        let place = self.temporary.join(path);
        let folder = if is_folder { Some(place.as_path()) } else { place.parent() };
        if let Some(folder) = folder {
            fs::create_dir_all(folder).map_err(FetchError::io("create", folder))?;
        }
        if is_folder {
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(len);
        if self.bytes > self.what.most_bytes {
            let expected = format!("at most {} bytes unpacked", thousands(self.what.most_bytes));
            return Err(self.unlike(expected, "more".into()));
        }
        let mut file = File::create_new(&place).map_err(FetchError::io("create", &place))?;
        // One more byte than there should be tells an entry that is longer than it says.
        let mut limited = content.take(len.saturating_add(1));
        let mut chunk = [0; 1 << 14];
        let mut written = 0;
        loop {
            let n = limited.read(&mut chunk).map_err(|error| self.damaged(error))?;
            if n == 0 {
                break;
            }
            io::Write::write_all(&mut file, &chunk[..n]).map_err(FetchError::io("write", &place))?;
            written += n as u64;
        }
        if written != len {
            let expected = format!("{} bytes of {}", thousands(len), place.display());
            return Err(self.unlike(expected, thousands(written)));
        }
        Ok(())
    }

    fn damaged(&self, error: impl std::fmt::Display) -> FetchError {
        self.unlike(format!("an intact {} file", self.what.format.name()), format!("damage: {error}"))
    }

    fn unlike(&self, expected: impl Into<String>, found: String) -> FetchError {
        FetchError::Archive { archive: self.archive.to_owned(), expected: expected.into(), found }
    }
}

impl Archive {
    fn name(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::TarGz => "tar.gz",
        }
    }
}

/// The name that an extended header gives to the file after it.
fn pax_path(text: &[u8]) -> Option<Vec<u8>> {
    let named = |record: tar::PaxExtension<'_>| {
        (record.key_bytes() == b"path").then(|| record.value_bytes().to_vec())
    };
    tar::PaxExtensions::new(text).filter_map(Result::ok).find_map(named)
}
