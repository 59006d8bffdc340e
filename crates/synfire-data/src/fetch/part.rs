//! What is there of a file so far: `NAME.part` beside its final place.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::digest::{self, Digests};
use super::{FetchError, Reason, RemoteFile};

/// The beginning of a file, and what is known of its bytes.
///
/// Every byte is on its way to the disk when it is counted, so that a program that is killed leaves what it has.
pub(super) struct Part<'a> {
    file: &'a RemoteFile,
    place: &'a Path,
    path: PathBuf,
    opened: File,
    digests: Digests,
    /// Its bytes come from more than one answer, so that they may be of two versions.
    pub(super) patched: bool,
}

impl<'a> Part<'a> {
    /// What an earlier call left, or an empty part. Nobody else writes it until it is dropped.
    pub(super) fn open(
        file: &'a RemoteFile,
        place: &'a Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, FetchError> {
        let path = beside(place, ".part");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut opened = options.open(&path).map_err(FetchError::io("open", &path))?;
        lock(&opened, &path)?;
        let digests = digest::of_open(&mut opened, &path, file, progress)?;
        let mut part = Self { file, place, path, opened, digests, patched: false };
        part.patched = part.len() > 0;
        if file.size.is_some_and(|size| part.len() > size) {
            part.restart()?;
        }
        Ok(part)
    }

    pub(super) fn len(&self) -> u64 {
        self.digests.len()
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.opened.write_all(bytes).map_err(FetchError::io("write", &self.path))?;
        self.digests.update(bytes);
        Ok(())
    }

    /// Forgets all of it.
    pub(super) fn restart(&mut self) -> Result<(), FetchError> {
        self.opened.set_len(0).map_err(FetchError::io("empty", &self.path))?;
        self.opened.seek(SeekFrom::Start(0)).map_err(FetchError::io("empty", &self.path))?;
        self.digests = Digests::new(self.file);
        self.patched = false;
        Ok(())
    }

    /// Why it is not the whole file; nothing if it is.
    pub(super) fn refused(&self) -> Option<Reason> {
        self.digests.clone().refused(self.file)
    }

    /// Puts it in its place, once nothing speaks against it.
    pub(super) fn finish(self) -> Result<(), FetchError> {
        self.opened.sync_all().map_err(FetchError::io("write", &self.path))?;
        // Not every system renames an open file.
        drop(self.opened);
        put_in_place(&self.path, self.place)
    }

    /// Leaves what is worth going on with, and nothing else.
    pub(super) fn leave(self) {
        if self.len() == 0 {
            drop(self.opened);
            // An empty file that stays does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// `path` with something added to its name.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Sees to it that nobody else works with this file while it is open.
pub(super) fn lock(opened: &File, path: &Path) -> Result<(), FetchError> {
    match opened.try_lock() {
        Err(TryLockError::WouldBlock) => Err(FetchError::Busy { file: path.to_owned() }),
        // There are file systems without locks; hashes still find what two writers spoil.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Renames what is whole to its final name.
pub(super) fn put_in_place(whole: &Path, place: &Path) -> Result<(), FetchError> {
    fs::rename(whole, place).map_err(FetchError::io("put in place", place))?;
    // The rename itself lasts once the folder is synced; not every system can.
    if let Some(Ok(folder)) = place.parent().map(File::open) {
        let _ = folder.sync_all();
    }
    Ok(())
}
