//! IDX, the format of MNIST and the sets made in its likeness, plain or compressed by gzip.
//!
//! Two zero bytes, a type (8: unsigned bytes), the number of dimensions, each dimension as 32 bits big endian, then the
//! values, row-major.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::DataError;
use crate::stills::Stills;

const FORMAT: &str = "IDX";
/// Deflate makes at most this many bytes of one.
const MAX_EXPANSION: u64 = 1032;

/// Reads images `[N, H, W]` and their labels from the files of these names, with or without `.gz`.
pub(crate) fn read_stills(
    set: &'static str,
    folder: &Path,
    [images, labels]: [&str; 2],
    (height, width): (usize, usize),
    classes: u8,
) -> Result<Stills, DataError> {
    let image_file = find(set, folder, images)?;
    let label_file = find(set, folder, labels)?;
    let (pixels, image_count) = read(&image_file, &[height, width])?;
    let (labels, label_count) = read(&label_file, &[])?;
    if image_count != label_count {
        return Err(DataError::CountMismatch {
            image_file,
            images: image_count,
            label_file,
            labels: label_count,
        });
    }
    if let Some(i) = labels.iter().position(|&label| label >= classes) {
        let expected = format!("a label below {classes}");
        return Err(malformed(&label_file, 8 + i as u64, expected, labels[i].to_string()));
    }
    Ok(Stills::new([1, height, width], u8::MAX, pixels, labels))
}

fn find(set: &'static str, folder: &Path, name: &str) -> Result<PathBuf, DataError> {
    let candidates = [folder.join(name), folder.join(format!("{name}.gz"))];
    candidates.into_iter().find(|file| file.is_file()).ok_or_else(|| DataError::FilesMissing {
        set,
        expected: format!("{name} or {name}.gz"),
        folder: folder.to_owned(),
    })
}

/// Reads items of the given shape: their bytes, and how many items there are (at least one).
fn read(path: &Path, item_shape: &[usize]) -> Result<(Vec<u8>, usize), DataError> {
    let mut input = Input::open(path)?;
    let header_len = 4 + 4 * (1 + item_shape.len());
    let header = input.read_up_to(header_len as u64)?;
    if header.len() < header_len {
        let expected = format!("a header of {header_len} bytes");
        return Err(malformed(path, header.len() as u64, expected, "the end of the file".into()));
    }
    let word = |i: usize| u32::from_be_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
    let magic = 0x0800 + 1 + item_shape.len() as u32;
    if word(0) != magic {
        return Err(malformed(
            path,
            0,
            format!("the magic number {magic:#06x}"),
            format!("{:#06x}", word(0)),
        ));
    }
    for (i, &size) in item_shape.iter().enumerate() {
        let offset = 8 + 4 * i;
        if word(offset) as usize != size {
            let found = word(offset).to_string();
            return Err(malformed(path, offset as u64, format!("a dimension of {size}"), found));
        }
    }
    let count = word(4);
    if count == 0 {
        return Err(malformed(path, 4, "at least one item".into(), "0".into()));
    }
    let item_len = item_shape.iter().product::<usize>() as u64;
    let expected = u64::from(count) * item_len;
    // The header's word is not taken for it: before anything is allocated, the file must be able to hold that much.
    if header_len as u64 + expected > input.capacity {
        let found = format!("a file that holds at most {} bytes", input.capacity);
        return Err(malformed(path, 4, format!("{expected} bytes of values, as {count} items need"), found));
    }
    let bytes = input.read_up_to(expected + 1)?;
    if bytes.len() as u64 != expected {
        let offset = header_len as u64 + expected.min(bytes.len() as u64);
        let (expected, found) = if (bytes.len() as u64) < expected {
            (
                format!("{expected} bytes of values"),
                format!("the end of the file after {} of them", bytes.len()),
            )
        } else {
            (format!("the end of the file after {expected} bytes of values"), "more bytes".into())
        };
        return Err(malformed(path, offset, expected, found));
    }
    Ok((bytes, count as usize))
}

/// A file's bytes, after decompression.
struct Input<'a> {
    path: &'a Path,
    reader: Box<dyn Read>,
    compressed: bool,
    /// Bytes read so far.
    position: u64,
    /// No more bytes than this can come out of the file.
    capacity: u64,
}

impl<'a> Input<'a> {
    fn open(path: &'a Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|source| DataError::io(path, source))?;
        let size = file.metadata().map_err(|source| DataError::io(path, source))?.len();
        let compressed = path.extension().is_some_and(|extension| extension == "gz");
        let file = BufReader::new(file);
        let (reader, capacity): (Box<dyn Read>, _) = if compressed {
            (Box::new(MultiGzDecoder::new(file)), size.saturating_mul(MAX_EXPANSION))
        } else {
            (Box::new(file), size)
        };
        Ok(Self { path, reader, compressed, position: 0, capacity })
    }

    /// Reads `limit` bytes, or fewer where the file ends.
    fn read_up_to(&mut self, limit: u64) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        let result = self.reader.by_ref().take(limit).read_to_end(&mut bytes);
        self.position += bytes.len() as u64;
        match result {
            Ok(_) => Ok(bytes),
            Err(source) if self.compressed && is_damage(&source) => {
                Err(DataError::Gzip { file: self.path.to_owned(), offset: self.position, source })
            }
            Err(source) => Err(DataError::io(self.path, source)),
        }
    }
}

/// Whether a decoder's error is about the data, not about reading it.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

fn malformed(file: &Path, offset: u64, expected: String, found: String) -> DataError {
    DataError::Malformed { file: file.to_owned(), format: FORMAT, offset, expected, found }
}
