//! The file of cached frames.
//!
//! All numbers are little endian.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `synframe` |
//! | 4 | length of the description |
//! | … | the description: lines of text, see [`Description`] |
//! | … | the samples, one after the other, each packed as [`pack`] does |
//! | 16 each | the index: of each sample its place (8), length (4) and CRC-32C (4) |
//! | 8 | where the index begins |
//! | 4 | CRC-32C of description and index |
//! | 8 | `framesyn`, without which the file is not whole |

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use sha2::{Digest, Sha256};
use synfire_events::NewFile;

use crate::DataError;
use crate::set::hex;

/// Is a part of every key: raise it when anything changes that decides what is in a file.
const VERSION: u32 = 1;
const START: &[u8; 8] = b"synframe";
const END: &[u8; 8] = b"framesyn";
const INDEX_ENTRY: usize = 16;
const TAIL: usize = 20;
/// Event frames are mostly zeros: more effort makes them little smaller.
const EFFORT: i32 = 3;
/// The longest description that is read.
const LONGEST: usize = 1 << 16;

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    /// For people.
    pub(super) content: String,
    /// Of a sample, `[T, C, H, W]`.
    pub(super) shape: Vec<usize>,
    pub(super) samples: usize,
}

impl Description {
    /// Names the file: 32 hexadecimal digits of a hash of all that decides its content.
    pub(super) fn key(&self, identity: &str) -> String {
        let text = format!("{VERSION}\n{}{identity}", self.to_text());
        hex(&Sha256::digest(text)[..16])
    }

    fn to_text(&self) -> String {
        let Self { content, shape, samples } = self;
        let shape = shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        format!("{content}\n{shape}\n{samples}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let content = lines.next()?.to_owned();
        let shape = lines.next()?.split(' ').map(|side| side.parse().ok()).collect::<Option<_>>()?;
        let samples = lines.next()?.parse().ok()?;
        Some(Self { content, shape, samples })
    }
}

/// Values as they are written: a byte that says how wide a value is, 1, 2 or 4 bytes, and the values as Zstandard has them.
/// Counts of events are whole numbers and nearly always below 256.
pub(super) fn pack(values: &[f32]) -> io::Result<Vec<u8>> {
    let fits = |most: f32| values.iter().all(|value| (0.0..=most).contains(value) && value.fract() == 0.0);
    let (width, bytes): (u8, Vec<u8>) = if fits(255.0) {
        (1, values.iter().map(|value| *value as u8).collect())
    } else if fits(65535.0) {
        (2, values.iter().flat_map(|value| (*value as u16).to_le_bytes()).collect())
    } else {
        (4, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    };
    let mut packed = vec![width];
    packed.extend(zstd::bulk::compress(&bytes, EFFORT)?);
    Ok(packed)
}

/// The values of [`pack`], as many as there is room for.
fn unpack(packed: &[u8], values: &mut [f32]) -> io::Result<()> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the frames of a sample are damaged");
    let (&width, packed) = packed.split_first().ok_or_else(damaged)?;
    let bytes = zstd::bulk::decompress(packed, values.len() * usize::from(width.min(4)))?;
    if bytes.len() != values.len() * usize::from(width) {
        return Err(damaged());
    }
    match width {
        1 => values.iter_mut().zip(&bytes).for_each(|(value, byte)| *value = f32::from(*byte)),
        2 => {
            let words = bytes.as_chunks::<2>().0.iter();
            values
                .iter_mut()
                .zip(words)
                .for_each(|(value, word)| *value = f32::from(u16::from_le_bytes(*word)));
        }
        4 => {
            let words = bytes.as_chunks::<4>().0.iter();
            values.iter_mut().zip(words).for_each(|(value, word)| *value = f32::from_le_bytes(*word));
        }
        _ => return Err(damaged()),
    }
    Ok(())
}

/// A file that is being written.
pub(super) struct Writer {
    path: PathBuf,
    output: NewFile,
    description: String,
    at: u64,
    index: Vec<u8>,
}

impl Writer {
    pub(super) fn create(path: &Path, description: &Description) -> Result<Self, DataError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let start = || {
            fs::create_dir_all(folder)?;
            let mut output = NewFile::create(path)?;
            let description = description.to_text();
            output.write_all(START)?;
            output.write_all(&(description.len() as u32).to_le_bytes())?;
            output.write_all(description.as_bytes())?;
            let at = (START.len() + 4 + description.len()) as u64;
            Ok(Self { path: path.to_owned(), output, description, at, index: Vec::new() })
        };
        start().map_err(|source| DataError::Write { file: path.to_owned(), source })
    }

    pub(super) fn add(&mut self, packed: &[u8]) -> Result<(), DataError> {
        let failed = |source| DataError::Write { file: self.path.clone(), source };
        self.output.write_all(packed).map_err(failed)?;
        self.index.extend(self.at.to_le_bytes());
        self.index.extend((packed.len() as u32).to_le_bytes());
        self.index.extend(crc32c::crc32c(packed).to_le_bytes());
        self.at += packed.len() as u64;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(), DataError> {
        let mut end = || {
            let checksum = crc32c::crc32c_append(crc32c::crc32c(self.description.as_bytes()), &self.index);
            self.output.write_all(&self.index)?;
            self.output.write_all(&self.at.to_le_bytes())?;
            self.output.write_all(&checksum.to_le_bytes())?;
            self.output.write_all(END)
        };
        let failed = |source| DataError::Write { file: self.path.clone(), source };
        end().and_then(|()| self.output.put_in_place()).map_err(failed)
    }
}

/// A file that is whole.
pub(super) struct Reader {
    path: PathBuf,
    description: Description,
    index: Vec<[u8; INDEX_ENTRY]>,
    file: Mutex<File>,
}

impl Reader {
    /// Opens a file and checks all but its samples.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let open = || {
            let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged or not whole");
            let mut file = File::open(path)?;
            let len = file.metadata()?.len();
            let mut start = [0; 12];
            file.read_exact(&mut start)?;
            let text_len = u32::from_le_bytes(start[8..].try_into().expect("four bytes")) as usize;
            if start[..8] != *START || text_len > LONGEST || len < (12 + text_len + TAIL) as u64 {
                return Err(damaged());
            }
            let mut text = vec![0; text_len];
            file.read_exact(&mut text)?;
            let mut tail = [0; TAIL];
            file.seek(SeekFrom::Start(len - TAIL as u64))?;
            file.read_exact(&mut tail)?;
            let index_at = u64::from_le_bytes(tail[..8].try_into().expect("eight bytes"));
            let checksum = u32::from_le_bytes(tail[8..12].try_into().expect("four bytes"));
            let index_len = (len - TAIL as u64).checked_sub(index_at).ok_or_else(damaged)?;
            if tail[12..] != *END || index_at < (12 + text_len) as u64 {
                return Err(damaged());
            }
            let description = str::from_utf8(&text).ok().and_then(Description::parse).ok_or_else(damaged)?;
            if (description.samples as u64).checked_mul(INDEX_ENTRY as u64) != Some(index_len) {
                return Err(damaged());
            }
            let mut index = vec![[0; INDEX_ENTRY]; description.samples];
            file.seek(SeekFrom::Start(index_at))?;
            file.read_exact(index.as_flattened_mut())?;
            if crc32c::crc32c_append(crc32c::crc32c(&text), index.as_flattened()) != checksum {
                return Err(damaged());
            }
            Ok(Self { path: path.to_owned(), description, index, file: Mutex::new(file) })
        };
        open().map_err(|source| DataError::io(path, source))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn description(&self) -> &Description {
        &self.description
    }

    /// Reads the values of a sample.
    pub(super) fn read(&self, i: usize, values: &mut [f32]) -> io::Result<()> {
        let entry = &self.index[i];
        let at = u64::from_le_bytes(entry[..8].try_into().expect("eight bytes"));
        let len = u32::from_le_bytes(entry[8..12].try_into().expect("four bytes"));
        let checksum = u32::from_le_bytes(entry[12..].try_into().expect("four bytes"));
        let mut packed = Vec::new();
        {
            // A poisoned lock means a panic elsewhere, after which the file is as good as before.
            let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            file.seek(SeekFrom::Start(at))?;
            (&mut *file).take(len.into()).read_to_end(&mut packed)?;
        }
        if crc32c::crc32c(&packed) != checksum {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the frames of a sample are damaged"));
        }
        unpack(&packed, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind_are_packed_and_back() {
        for values in [&[0.0, 1.0, 255.0][..], &[0.0, 256.0, 65535.0], &[0.5, -1.0, 70_000.0, 1e-9], &[]] {
            let mut back = vec![f32::NAN; values.len()];
            unpack(&pack(values).unwrap(), &mut back).unwrap();
            assert_eq!(back, values);
        }
        assert_eq!(pack(&[3.0; 100]).unwrap()[0], 1);
        let mut too_many = [0.0; 4];
        assert!(unpack(&pack(&[1.0; 3]).unwrap(), &mut too_many).is_err());
        assert!(unpack(&[], &mut too_many).is_err());
        assert!(unpack(&[9, 1, 2], &mut too_many).is_err());
    }
}
