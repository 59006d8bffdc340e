//! CIFAR-10: small colour photographs (Krizhevsky, *Learning multiple layers of features from tiny images*, 2009), in
//! the binary version.
//!
//! Records of 3,073 bytes: a label, then 32x32 red, green and blue values.

use std::fs;
use std::path::{Path, PathBuf};

use crate::recordings::sorted_entries;
use crate::stills::Stills;
use crate::{DataError, DataSet, Locations, Recipe};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "cifar-10",
    description: "60,000 photographs of ten kinds of things, 32x32 colour; 50,000 train and 10,000 test",
    files: "data_batch_1.bin to data_batch_5.bin and test_batch.bin",
    folder: Some("cifar-10"),
    open,
};

const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const SHAPE: [usize; 3] = [3, 32, 32];
const RECORD: usize = 1 + 3 * 32 * 32;
/// The folder the published archive unpacks to.
const ARCHIVE_FOLDER: &str = "cifar-10-batches-bin";

fn open(locations: &Locations) -> Result<DataSet, DataError> {
    let mut folder = locations.find(RECIPE.name, RECIPE.files)?;
    if folder.join(ARCHIVE_FOLDER).is_dir() {
        folder.push(ARCHIVE_FOLDER);
    }
    let train_files: Vec<PathBuf> =
        (1..=5).map(|n| folder.join(format!("data_batch_{n}.bin"))).filter(|file| file.is_file()).collect();
    let train = read_part(&folder, "data_batch_1.bin to data_batch_5.bin", &train_files)?;
    let test = read_part(&folder, "test_batch.bin", &test_files(&folder)?)?;
    let names = CLASSES.map(str::to_owned).to_vec();
    Ok(DataSet::new(RECIPE.name, names, train, test).note_partial(50_000, 10_000).in_folder(folder))
}

/// `test_batch.bin`, or else the parts of it, such as `test_batch_first1000.bin`.
fn test_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let whole = folder.join("test_batch.bin");
    if whole.is_file() {
        return Ok(vec![whole]);
    }
    let is_part = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("test_batch") && name.ends_with(".bin")
    };
    Ok(sorted_entries(folder)?.into_iter().filter(is_part).collect())
}

fn read_part(folder: &Path, expected: &str, files: &[PathBuf]) -> Result<Stills, DataError> {
    if files.is_empty() {
        let (expected, folder) = (expected.to_owned(), folder.to_owned());
        return Err(DataError::FilesMissing { set: RECIPE.name, expected, folder });
    }
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for file in files {
        let bytes = fs::read(file).map_err(|source| DataError::io(file, source))?;
        let malformed = |offset: usize, expected: &str, found: String| DataError::Malformed {
            file: file.clone(),
            format: "CIFAR-10",
            offset: offset as u64,
            expected: expected.to_owned(),
            found,
        };
        let (records, rest) = bytes.as_chunks::<RECORD>();
        if records.is_empty() || !rest.is_empty() {
            let found = format!("{} bytes", rest.len());
            return Err(malformed(bytes.len() - rest.len(), "records of 3,073 bytes", found));
        }
        for (i, record) in records.iter().enumerate() {
            if usize::from(record[0]) >= CLASSES.len() {
                return Err(malformed(i * RECORD, "a label below 10", record[0].to_string()));
            }
            labels.push(record[0]);
            pixels.extend_from_slice(&record[1..]);
        }
    }
    Ok(Stills::new(SHAPE, u8::MAX, pixels, labels))
}
