//! Fashion-MNIST: photographs of clothes in MNIST's format (Xiao, Rasul and Vollgraf, arXiv:1708.07747).

use super::mnist;
use crate::fetch::{Remote, RemoteFile, Then};
use crate::{DataError, DataSet, Locations, Recipe};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "fashion-mnist",
    description: "70,000 photographs of ten kinds of clothes, 28x28 grey; 60,000 train and 10,000 test",
    files: mnist::RECIPE.files,
    folder: Some("fashion-mnist"),
    remote: Some(&REMOTE),
    open,
};

const CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// MD5 as the authors publish it, sizes and SHA-256 as TensorFlow Datasets has them.
static REMOTE: Remote = Remote {
    set: "fashion-mnist",
    files: &[
        file(
            "train-images-idx3-ubyte.gz",
            26_421_880,
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        file(
            "train-labels-idx1-ubyte.gz",
            29_515,
            "25c81989df183df01b3e8a0aad5dffbe",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        file(
            "t10k-images-idx3-ubyte.gz",
            4_422_102,
            "bef4ecab320f06d8554ea6380940ec79",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        file(
            "t10k-labels-idx1-ubyte.gz",
            5_148,
            "bb300cfdad3c16e7a12a480ee83cd310",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
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
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ],
        then: Then::Keep,
    }
}

fn open(locations: &Locations) -> Result<DataSet, DataError> {
    let folder = locations.find(RECIPE.name, RECIPE.files)?;
    let (train, test) = mnist::read_parts(RECIPE.name, &folder)?;
    let names = CLASSES.map(str::to_owned).to_vec();
    Ok(DataSet::new(RECIPE.name, names, train, test).note_partial(60_000, 10_000).in_folder(folder))
}
