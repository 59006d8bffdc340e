//! What a data set is fetched from.

use std::fs;
use std::path::{Path, PathBuf};

use super::{FetchError, Reason, digest};

/// Where the files of a data set come from, and what makes them a set.
///
/// Only what a source states is written down: a size or a hash that nobody published stays open.
#[derive(Debug)]
pub struct Remote {
    /// The data set, and its folder's name.
    pub set: &'static str,
    /// Its files, in the order they are fetched.
    pub files: &'static [RemoteFile],
    /// For files that no program may download: where a person does.
    pub by_hand: Option<&'static str>,
}

/// A file somewhere else.
#[derive(Debug)]
pub struct RemoteFile {
    /// Its name in the set's folder.
    pub name: &'static str,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Its MD5, in hexadecimal.
    pub md5: Option<&'static str>,
    /// Its SHA-256, in hexadecimal.
    pub sha256: Option<&'static str>,
    /// Where it is, tried in turn; an address that ends in `/` is that of a folder, in which the file has its name.
    pub mirrors: &'static [&'static str],
    /// What is done with it.
    pub then: Then,
}

/// What is done with a file once it is there.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// Nothing: it is one of the set's files.
    Keep,
    /// It is unpacked.
    Unpack(Unpack),
}

/// What an archive holds.
#[derive(Clone, Copy, Debug)]
pub struct Unpack {
    /// How it is packed.
    pub format: Archive,
    /// The folder it holds, which becomes one of the set's folder; whatever else it holds is passed over.
    pub folder: &'static str,
    /// The samples' files end in this.
    pub ending: &'static str,
    /// So many of them at least make the folder whole.
    pub count: usize,
    /// An archive that holds more bytes is not what it should be: a limit, not a size.
    pub most_bytes: u64,
}

/// How files are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Archive {
    /// A zip file, stored or deflated.
    Zip,
    /// A tar file, compressed by gzip.
    TarGz,
}

impl Remote {
    /// Whether everything is in place in `root`, the folder that holds the set's own.
    ///
    /// # Errors
    /// When a file cannot be read, or another one has its name.
    pub fn is_whole(&self, root: &Path) -> Result<bool, FetchError> {
        let folder = root.join(self.set);
        for file in self.files {
            let there = match &file.then {
                Then::Keep => file.is_at(&folder.join(file.name), &mut |_, _| ())?,
                Then::Unpack(unpack) => unpack.is_whole(&folder)?,
            };
            if !there {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Compares the files that are in the set's own folder as they were published with what they should be: their names, and what is
    /// wrong with them. Others, such as unpacked ones, are passed over.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn compare(&self, folder: &Path) -> Result<Vec<(&'static str, Option<Reason>)>, FetchError> {
        let there = |file: &&RemoteFile| folder.join(file.name).is_file();
        let compared = |file: &RemoteFile| {
            let found = digest::of_file(&folder.join(file.name), file, &mut |_, _| ())?;
            Ok((file.name, found.refused(file)))
        };
        self.files.iter().filter(there).map(compared).collect()
    }
}

impl RemoteFile {
    /// Its addresses, in the order they are tried.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let url = |mirror: &&str| match mirror.ends_with('/') {
            true => format!("{mirror}{}", self.name),
            false => (*mirror).to_owned(),
        };
        self.mirrors.iter().map(url).collect()
    }

    /// Whether the file is at `place`; `progress` hears of bytes read and of how many there are.
    ///
    /// # Errors
    /// When what is there is another file: it may be the user's own, and is not written over.
    pub(super) fn is_at(&self, place: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<bool, FetchError> {
        if !place.is_file() {
            return Ok(false);
        }
        let found = digest::of_file(place, self, progress)?;
        match found.refused(self) {
            None => Ok(true),
            Some(reason) => Err(FetchError::Other { file: place.to_owned(), reason }),
        }
    }
}

impl Unpack {
    /// Whether the folder it makes is there and whole.
    ///
    /// # Errors
    /// When it is there but a part: it may be the user's own, and is not written over.
    pub(super) fn is_whole(&self, set_folder: &Path) -> Result<bool, FetchError> {
        let folder = set_folder.join(self.folder);
        // Its files may also stand in the set's folder itself, where readers look too.
        if self.count_in(set_folder, false)? >= self.count {
            return Ok(true);
        }
        if !folder.exists() {
            return Ok(false);
        }
        match self.count_in(&folder, true)? {
            found if found >= self.count => Ok(true),
            found => Err(FetchError::Partial { folder, expected: self.count, found, ending: self.ending }),
        }
    }

    /// How many samples' files are in `folder`, with its subfolders or without.
    pub(super) fn count_in(&self, folder: &Path, nested: bool) -> Result<usize, FetchError> {
        let mut count = 0;
        let mut waiting: Vec<PathBuf> = vec![folder.to_owned()];
        while let Some(folder) = waiting.pop() {
            if !folder.is_dir() {
                continue;
            }
            for entry in fs::read_dir(&folder).map_err(FetchError::io("list", &folder))? {
                let entry = entry.map_err(FetchError::io("list", &folder))?;
                let kind = entry.file_type().map_err(FetchError::io("look at", &entry.path()))?;
                if kind.is_dir() && nested {
                    waiting.push(entry.path());
                } else if entry.file_name().to_string_lossy().ends_with(self.ending) && !kind.is_dir() {
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}
