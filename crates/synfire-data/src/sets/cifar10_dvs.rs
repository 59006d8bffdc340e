//! CIFAR10-DVS: CIFAR-10's images, moved in front of an event camera in closed loops (Li et al., *CIFAR10-DVS: an event-stream
//! dataset for object classification*, Frontiers in Neuroscience 11:309, 2017).
//!
//! It was published without a split into training and test samples, and results on different splits are no results on the same
//! task. Here a split has a name, and the checksum of its list of files is told:
//!
//! - `cifar10-dvs`: of each class the first nine tenths train, the others test, in the order of the files' names as bytes (so
//!   that `…_10.aedat` comes before `…_2.aedat`): the split of the method's authors.
//! - `cifar10-dvs-stratified`: a tenth of each class tests, drawn once and for all.
//!
//! The camera lay on its side: columns and rows of its recordings are exchanged here, as by the authors' program (and SpikingJelly), so
//! that things stand upright. `synfire data show FILE` shows a recording as the camera saw it.

use std::path::Path;

use synfire_events::{EventError, Recording, Sensor};

use super::DVS128;
use super::cifar10::class_names;
use crate::fetch::{Archive, Remote, RemoteFile, Then, Unpack};
use crate::recordings::{Files, Framed, LabelledFiles, files_by_class, has_extension};
use crate::split::{PUBLISHED_SEED, Parts};
use crate::{DataError, DataSet, Locations, Recipe};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "cifar10-dvs",
    description: "10,000 event recordings of CIFAR-10's images, 128x128; the first 900 of each class train, 100 test",
    files: "CLASS/*.aedat",
    folder: Some("cifar10-dvs"),
    remote: Some(&REMOTE),
    open: |locations| open(locations, RECIPE.name, Parts::first_nine_tenths),
};

pub(crate) const STRATIFIED: Recipe = Recipe {
    name: "cifar10-dvs-stratified",
    description: "the recordings of cifar10-dvs, split at random: 900 of each class train, 100 test",
    open: |locations| open(locations, STRATIFIED.name, |files| Parts::stratified(files, 10, PUBLISHED_SEED)),
    ..RECIPE
};

/// Reads a recording, and puts it upright.
fn read(file: &Path) -> Result<Recording, EventError> {
    let Recording { sensor: Sensor { width, height }, mut events } = synfire_events::read(file)?;
    events.iter_mut().for_each(|event| (event.x, event.y) = (event.y, event.x));
    Ok(Recording { sensor: Sensor { width: height, height: width }, events })
}

fn open(
    locations: &Locations,
    name: &'static str,
    split: fn(LabelledFiles) -> Result<Parts, DataError>,
) -> Result<DataSet, DataError> {
    let folder = locations.find(RECIPE.name, RECIPE.files)?;
    let files = files_by_class(&folder, &class_names(), |file| has_extension(file, "aedat"))?;
    if files.is_empty() {
        return Err(DataError::FilesMissing { set: name, expected: RECIPE.files.into(), folder });
    }
    let parts = split(files)?;
    let checksum = parts.note();
    let part = |files| Framed(Files::new(DVS128, files, read));
    let mut set =
        DataSet::new(name, class_names(), part(parts.train), part(parts.test)).note_partial(9_000, 1_000);
    set.notes.push(checksum);
    Ok(set.in_folder(folder))
}

/// Sizes and SHA-256 as in events-tfds, MD5 as in SpikingJelly. The first mirror serves programs where the second one
/// may ask for a browser.
static REMOTE: Remote = Remote {
    set: "cifar10-dvs",
    files: &[
        RemoteFile {
            name: "airplane.zip",
            size: Some(747_054_427),
            md5: Some("0afd5c4bf9ae06af762a77b180354fdd"),
            sha256: Some("9d6191188bc5d09a50614677fd2ba5bacda140ccea8a9cfebde8b0089ad9cf00"),
            mirrors: &[
                "https://api.figshare.com/v2/file/download/7712788",
                "https://ndownloader.figshare.com/files/7712788",
            ],
            then: recordings("airplane"),
        },
        RemoteFile {
            name: "automobile.zip",
            size: Some(970_159_102),
            md5: Some("8438dfeba3bc970c94962d995b1b9bdd"),
            sha256: Some("7eb280fb1da6673e99ab05967256c00be227507444523079699463bf06c1cc9d"),
            mirrors: &[
                "https://api.figshare.com/v2/file/download/7712791",
                "https://ndownloader.figshare.com/files/7712791",
            ],
            then: recordings("automobile"),
        },
        RemoteFile {
            name: "bird.zip",
            size: Some(760_766_288),
            md5: Some("a9c207c91c55b9dc2002dc21c684d785"),
            sha256: Some("05b44f05080a9236230cfbb3e1a0948ce7153fae8c233b6d86cd0ee76e30379f"),
            mirrors: &[
                "https://api.figshare.com/v2/file/download/7712794",
                "https://ndownloader.figshare.com/files/7712794",
            ],
            then: recordings("bird"),
        },
        RemoteFile {
            name: "cat.zip",
            size: Some(843_271_197),
            md5: Some("52c63c677c2b15fa5146a8daf4d56687"),
            sha256: Some("5afdde5e1e631b2939f9ea9dbdab1c2c50f98dd4910c0012568ef1c9fb6a9375"),
            mirrors: &[
                "https://api.figshare.com/v2/file/download/7712812",
                "https://ndownloader.figshare.com/files/7712812",
            ],
            then: recordings("cat"),
        },
        RemoteFile {
            name: "deer.zip",
            size: Some(778_283_422),
            md5: Some("b6bf21f6c04d21ba4e23fc3e36c8a4a3"),
            sha256: Some("fc4306f2876f1844fdae82babe31a492e905e67c481a1fa92aac0097078f09cb"),
            mirrors: &[
                "https://api.figshare.com/v2/file/download/7712815",
                "https://ndownloader.figshare.com/files/7712815",
            ],
            then: recordings("deer"),
        },
        RemoteFile {
            name: "dog.zip",
            size: Some(844_609_875),
            md5: Some("f379ebdf6703d16e0a690782e62639c3"),
            sha256: Some("21e657bc3e960e99c1b76b03457e51cadf68c4f9a77ca6c9765d60297b0526ca"),
            mirrors: &[
                "https://api.figshare.com/v2/file/download/7712818",
                "https://ndownloader.figshare.com/files/7712818",
            ],
            then: recordings("dog"),
        },
        RemoteFile {
            name: "frog.zip",
            size: Some(818_824_848),
            md5: Some("cad6ed91214b1c7388a5f6ee56d08803"),
            sha256: Some("6837a43d5c88e116b21b7e38b4551f067fcee8ef1971a455bba3b4415c7d4812"),
            mirrors: &[
                "https://api.figshare.com/v2/file/download/7712842",
                "https://ndownloader.figshare.com/files/7712842",
            ],
            then: recordings("frog"),
        },
        RemoteFile {
            name: "horse.zip",
            size: Some(929_265_395),
            md5: Some("e7cbbf77bec584ffbf913f00e682782a"),
            sha256: Some("d7221ac72a6a4bd1d7b4a393f22123f49d6468746e74c60b53eaab995250ae67"),
            mirrors: &[
                "https://api.figshare.com/v2/file/download/7712851",
                "https://ndownloader.figshare.com/files/7712851",
            ],
            then: recordings("horse"),
        },
        RemoteFile {
            name: "ship.zip",
            size: Some(742_404_857),
            md5: Some("41c7bd7d6b251be82557c6cce9a7d5c9"),
            sha256: Some("cd04b0e42bf84c5237b62fd91723db91b7760fabe2c6b2a7a5da61d2766e9a1b"),
            mirrors: &[
                "https://api.figshare.com/v2/file/download/7712836",
                "https://ndownloader.figshare.com/files/7712836",
            ],
            then: recordings("ship"),
        },
        RemoteFile {
            name: "truck.zip",
            size: Some(950_111_954),
            md5: Some("89f3922fd147d9aeff89e76a2b0b70a7"),
            sha256: Some("0fafec811d8cec57b10f92212ac9e8d037b39f38ec3115de709db60b1b8b2017"),
            mirrors: &[
                "https://api.figshare.com/v2/file/download/7712839",
                "https://ndownloader.figshare.com/files/7712839",
            ],
            then: recordings("truck"),
        },
    ],
    by_hand: None,
};

const fn recordings(folder: &'static str) -> Then {
    Then::Unpack(Unpack { format: Archive::Zip, folder, ending: ".aedat", count: 1_000, most_bytes: 8 << 30 })
}
