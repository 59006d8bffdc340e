//! CIFAR-100: CIFAR-10's kind of photographs in a hundred classes (Krizhevsky, *Learning multiple layers of features from
//! tiny images*, 2009), in the binary version.
//!
//! A record has two labels, one of twenty groups of classes and one of a hundred classes; the latter is the class here.

use std::path::PathBuf;

use super::cifar::{Layout, Part};
use crate::fetch::{Archive, Remote, RemoteFile, Then, Unpack};
use crate::{DataError, DataSet, Locations, Recipe};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "cifar-100",
    description: "60,000 photographs of a hundred kinds of things, 32x32 colour; 50,000 train and 10,000 test",
    files: "train.bin and test.bin",
    folder: Some("cifar-100"),
    remote: Some(&REMOTE),
    open,
};

/// MD5 as on the authors' page; size and SHA-256 as several projects that fetch it have them.
static REMOTE: Remote = Remote {
    set: "cifar-100",
    files: &[RemoteFile {
        name: "cifar-100-binary.tar.gz",
        size: Some(168_513_733),
        md5: Some("03b5dce01913d631647c71ecec9e9cb8"),
        sha256: Some("58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"),
        mirrors: &[
            "https://www.cs.toronto.edu/~kriz/",
            "https://cave.cs.toronto.edu/kriz/",
            "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset/cifar100/",
        ],
        then: Then::Unpack(Unpack {
            format: Archive::TarGz,
            folder: ARCHIVE_FOLDER,
            ending: ".bin",
            count: 2,
            most_bytes: 1 << 30,
        }),
    }],
    by_hand: None,
};

const LAYOUT: Layout = Layout { set: RECIPE.name, format: "CIFAR-100", labels: 2, classes: 100 };
/// The folder the published archive unpacks to.
const ARCHIVE_FOLDER: &str = "cifar-100-binary";
/// The classes, in the order of the labels, as in the archive's `fine_label_names.txt`.
const CLASSES: &str = "\
    apple, aquarium fish, baby, bear, beaver, bed, bee, beetle, bicycle, bottle, bowl, boy, bridge, bus, \
    butterfly, camel, can, castle, caterpillar, cattle, chair, chimpanzee, clock, cloud, cockroach, \
    couch, crab, crocodile, cup, dinosaur, dolphin, elephant, flatfish, forest, fox, girl, hamster, \
    house, kangaroo, keyboard, lamp, lawn mower, leopard, lion, lizard, lobster, man, maple tree, \
    motorcycle, mountain, mouse, mushroom, oak tree, orange, orchid, otter, palm tree, pear, \
    pickup truck, pine tree, plain, plate, poppy, porcupine, possum, rabbit, raccoon, ray, road, rocket, \
    rose, sea, seal, shark, shrew, skunk, skyscraper, snail, snake, spider, squirrel, streetcar, \
    sunflower, sweet pepper, table, tank, telephone, television, tiger, tractor, train, trout, tulip, \
    turtle, wardrobe, whale, willow tree, wolf, woman, worm";

fn open(locations: &Locations) -> Result<DataSet, DataError> {
    let folder = locations.find_unpacked(RECIPE.name, RECIPE.files, ARCHIVE_FOLDER)?;
    let part = |expected| {
        let files: Vec<PathBuf> = [folder.join(expected)].into_iter().filter(|file| file.is_file()).collect();
        LAYOUT.read(Part { folder: &folder, expected, files })
    };
    let (train, test) = (part("train.bin")?, part("test.bin")?);
    let names = CLASSES.split(", ").map(str::to_owned).collect();
    Ok(DataSet::new(RECIPE.name, names, train, test).note_partial(50_000, 10_000).in_folder(folder))
}
