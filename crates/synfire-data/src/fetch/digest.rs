//! Sizes and hashes: whether bytes are the file they should be.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use md5::{Digest, Md5};
use sha2::Sha256;

use super::{FetchError, Reason, RemoteFile};
use crate::set::hex;

/// Bytes read at once.
pub(super) const CHUNK: usize = 1 << 16;

/// What is known of bytes that came so far; only hashes that the table has are computed.
#[derive(Clone)]
pub(super) struct Digests {
    len: u64,
    md5: Option<Md5>,
    sha256: Option<Sha256>,
}

impl Digests {
    pub(super) fn new(file: &RemoteFile) -> Self {
        Self { len: 0, md5: file.md5.map(|_| Md5::new()), sha256: file.sha256.map(|_| Sha256::new()) }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        if let Some(hasher) = &mut self.md5 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.sha256 {
            hasher.update(bytes);
        }
    }

    /// Why the bytes are not `file`; nothing if they are.
    pub(super) fn refused(self, file: &RemoteFile) -> Option<Reason> {
        let found = self.len;
        if found == 0 && file.size != Some(0) {
            return Some(Reason::Empty);
        }
        if let Some(expected) = file.size.filter(|&size| size != found) {
            return Some(Reason::Size { expected, found, more: false });
        }
        let different = |kind, expected: Option<&str>, found: Option<String>| {
            let (expected, found) = (expected?.to_ascii_lowercase(), found?);
            (expected != found).then_some(Reason::Hash { kind, expected, found })
        };
        different("MD5", file.md5, self.md5.map(|hasher| hex(&hasher.finalize())))
            .or_else(|| different("SHA-256", file.sha256, self.sha256.map(|hasher| hex(&hasher.finalize()))))
    }
}

/// What is known of the file at `path`.
pub(super) fn of_file(
    path: &Path,
    file: &RemoteFile,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Digests, FetchError> {
    let mut opened = File::open(path).map_err(FetchError::io("open", path))?;
    of_open(&mut opened, path, file, progress)
}

/// What is known of the rest of an open file.
pub(super) fn of_open(
    opened: &mut File,
    path: &Path,
    file: &RemoteFile,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Digests, FetchError> {
    let total = opened.metadata().map_err(FetchError::io("look at", path))?.len();
    let mut digests = Digests::new(file);
    let mut chunk = vec![0; CHUNK];
    loop {
        let n = opened.read(&mut chunk).map_err(FetchError::io("read", path))?;
        if n == 0 {
            return Ok(digests);
        }
        digests.update(&chunk[..n]);
        progress(digests.len, total);
    }
}
