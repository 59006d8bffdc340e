//! CIFAR-10: small colour photographs (Krizhevsky, *Learning multiple layers of features from tiny images*, 2009), in
//! the binary version.

use std::path::{Path, PathBuf};

use super::cifar::{Layout, Part};
use crate::fetch::{Archive, Remote, RemoteFile, Then, Unpack};
use crate::recordings::sorted_entries;
use crate::stills::Stills;
use crate::{DataError, DataSet, Locations, Recipe};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "cifar-10",
    description: "60,000 photographs of ten kinds of things, 32x32 colour; 50,000 train and 10,000 test",
    files: "data_batch_1.bin to data_batch_5.bin and test_batch.bin",
    folder: Some("cifar-10"),
    remote: Some(&REMOTE),
    open,
};

/// MD5 as on the authors' page; size and SHA-256 as several projects that fetch it have them.
static REMOTE: Remote = Remote {
    set: "cifar-10",
    files: &[RemoteFile {
        name: "cifar-10-binary.tar.gz",
        size: Some(170_052_171),
        md5: Some("c32a1d4ab5d03f1284b67883e8d87530"),
        sha256: Some("c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
        mirrors: &[
            "https://www.cs.toronto.edu/~kriz/",
            "https://cave.cs.toronto.edu/kriz/",
            "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset/cifar10/",
        ],
        then: Then::Unpack(Unpack {
            format: Archive::TarGz,
            folder: ARCHIVE_FOLDER,
            ending: ".bin",
            count: 6,
            most_bytes: 1 << 30,
        }),
    }],
    by_hand: None,
};

const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const LAYOUT: Layout = Layout { set: RECIPE.name, format: "CIFAR-10", labels: 1, classes: 10 };
/// The folder the published archive unpacks to.
const ARCHIVE_FOLDER: &str = "cifar-10-batches-bin";

pub(super) fn class_names() -> Vec<String> {
    CLASSES.map(str::to_owned).to_vec()
}

fn open(locations: &Locations) -> Result<DataSet, DataError> {
    let (train, test, folder) = read_parts(locations)?;
    Ok(DataSet::new(RECIPE.name, class_names(), train, test).note_partial(50_000, 10_000).in_folder(folder))
}

/// Training and test images, and the folder they are in.
pub(super) fn read_parts(locations: &Locations) -> Result<(Stills, Stills, PathBuf), DataError> {
    let folder = locations.find_unpacked(RECIPE.name, RECIPE.files, ARCHIVE_FOLDER)?;
    let train_files: Vec<PathBuf> =
        (1..=5).map(|n| folder.join(format!("data_batch_{n}.bin"))).filter(|file| file.is_file()).collect();
    let part = |expected, files| LAYOUT.read(Part { folder: &folder, expected, files });
    let train = part("data_batch_1.bin to data_batch_5.bin", train_files)?;
    let test = part("test_batch.bin", test_files(&folder)?)?;
    Ok((train, test, folder))
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
