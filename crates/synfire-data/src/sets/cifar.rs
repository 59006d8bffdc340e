//! The records of CIFAR-10 and CIFAR-100 in their binary versions: labels of a byte each, of which the last is the class,
//! then 32x32 red, green and blue values.

use std::fs;
use std::path::{Path, PathBuf};

use crate::DataError;
use crate::set::thousands;
use crate::stills::Stills;

const SHAPE: [usize; 3] = [3, 32, 32];
const IMAGE: usize = 3 * 32 * 32;

/// What a set's records are.
pub(super) struct Layout {
    pub(super) set: &'static str,
    /// What errors call its files.
    pub(super) format: &'static str,
    /// Labels of a record.
    pub(super) labels: usize,
    /// Classes that the last of them tells apart.
    pub(super) classes: u8,
}

/// The files of a part.
pub(super) struct Part<'a> {
    pub(super) folder: &'a Path,
    /// Which files there should be.
    pub(super) expected: &'static str,
    pub(super) files: Vec<PathBuf>,
}

impl Layout {
    pub(super) fn read(&self, part: Part<'_>) -> Result<Stills, DataError> {
        if part.files.is_empty() {
            let (expected, folder) = (part.expected.to_owned(), part.folder.to_owned());
            return Err(DataError::FilesMissing { set: self.set, expected, folder });
        }
        let size = self.labels + IMAGE;
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for file in &part.files {
            let bytes = fs::read(file).map_err(|source| DataError::io(file, source))?;
            let malformed = |offset: usize, expected: String, found: String| DataError::Malformed {
                file: file.clone(),
                format: self.format,
                offset: offset as u64,
                expected,
                found,
            };
            let records = bytes.chunks_exact(size);
            let rest = records.remainder().len();
            if records.len() == 0 || rest != 0 {
                let expected = format!("records of {} bytes", thousands(size as u64));
                return Err(malformed(bytes.len() - rest, expected, format!("{rest} bytes")));
            }
            for (i, record) in records.enumerate() {
                let class = record[self.labels - 1];
                if class >= self.classes {
                    let expected = format!("a label below {}", self.classes);
                    return Err(malformed(i * size + self.labels - 1, expected, class.to_string()));
                }
                labels.push(class);
                pixels.extend_from_slice(&record[self.labels..]);
            }
        }
        Ok(Stills::new(SHAPE, u8::MAX, pixels, labels))
    }
}
