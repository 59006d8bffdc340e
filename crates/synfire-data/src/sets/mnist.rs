//! MNIST: handwritten digits (LeCun, Cortes and Burges).

use std::path::Path;

use crate::fetch::{Remote, RemoteFile, Then};
use crate::set::digit_names;
use crate::stills::Stills;
use crate::{DataError, DataSet, Locations, Recipe, idx};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "mnist",
    description: "70,000 handwritten digits, 28x28 grey; 60,000 train and 10,000 test",
    files: "train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz], t10k-images-idx3-ubyte[.gz] and \
            t10k-labels-idx1-ubyte[.gz]",
    folder: Some("mnist"),
    remote: Some(&REMOTE),
    open,
};

/// Sizes as on the authors' page, MD5 as in torchvision, SHA-256 as several projects that fetch it have them.
static REMOTE: Remote = Remote {
    set: "mnist",
    files: &[
        file(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        file(
            "train-labels-idx1-ubyte.gz",
            28_881,
            "d53e105ee54ea40749a09fcbcd1e9432",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        file(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "9fb629c4189551a2d022fa330f9573f3",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        file(
            "t10k-labels-idx1-ubyte.gz",
            4_542,
            "ec29112dd5afa0611ce80d1b7f02629c",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ],
    by_hand: None,
};

const fn file(name: &'static str, size: u64, md5: &'static str, sha256: &'static str) -> RemoteFile {
    RemoteFile {
        name,
        size: Some(size),
        md5: Some(md5),
        sha256: Some(sha256),
        mirrors: &[
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ],
        then: Then::Keep,
    }
}

fn open(locations: &Locations) -> Result<DataSet, DataError> {
    let folder = locations.find(RECIPE.name, RECIPE.files)?;
    let (train, test) = read_parts(RECIPE.name, &folder)?;
    Ok(DataSet::new(RECIPE.name, digit_names(), train, test).note_partial(60_000, 10_000).in_folder(folder))
}

/// Reads the four files of a set in MNIST's likeness: 28x28 grey images of ten classes.
pub(crate) fn read_parts(set: &'static str, folder: &Path) -> Result<(Stills, Stills), DataError> {
    let part = |name: &str| {
        let files = [format!("{name}-images-idx3-ubyte"), format!("{name}-labels-idx1-ubyte")];
        idx::read_stills(set, folder, [&files[0], &files[1]], (28, 28), 10)
    };
    Ok((part("train")?, part("t10k")?))
}
