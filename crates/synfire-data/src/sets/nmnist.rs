//! N-MNIST: MNIST's digits, seen by an event camera that moves in three saccades (Orchard et al., *Converting static
//! image datasets to spiking neuromorphic datasets using saccades*, Frontiers in Neuroscience 9:437, 2015).

use std::path::Path;

use synfire_events::formats::nmnist;

use crate::fetch::{Archive, Remote, RemoteFile, Then, Unpack};
use crate::recordings::{Files, Framed, files_by_class, has_extension};
use crate::set::digit_names;
use crate::{DataError, DataSet, Locations, Recipe};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "nmnist",
    description: "70,000 event recordings of handwritten digits, 34x34; 60,000 train and 10,000 test",
    files: "Train/DIGIT/*.bin and Test/DIGIT/*.bin",
    folder: Some("nmnist"),
    remote: Some(&REMOTE),
    open,
};

/// MD5 and addresses at Mendeley Data as in Tonic, MD5 as in SpikingJelly too; sizes are not stated there.
static REMOTE: Remote = Remote {
    set: "nmnist",
    files: &[
        RemoteFile {
            name: "Train.zip",
            size: None,
            md5: Some("20959b8e626244a1b502305a9e6e2031"),
            sha256: None,
            mirrors: &[
                "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",
                "https://www.dropbox.com/sh/tg2ljlbmtzygrag/AABlMOuR15ugeOxMCX0Pvoxga/Train.zip?dl=1",
            ],
            then: recordings("Train", 60_000),
        },
        RemoteFile {
            name: "Test.zip",
            size: None,
            md5: Some("69ca8762b2fe404d9b9bad1103e97832"),
            sha256: None,
            mirrors: &[
                "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",
                "https://www.dropbox.com/sh/tg2ljlbmtzygrag/AADSKgJ2CjaBWh75HnTNZyhca/Test.zip?dl=1",
            ],
            then: recordings("Test", 10_000),
        },
    ],
    by_hand: None,
};

const fn recordings(folder: &'static str, count: usize) -> Then {
    Then::Unpack(Unpack { format: Archive::Zip, folder, ending: ".bin", count, most_bytes: 8 << 30 })
}

fn open(locations: &Locations) -> Result<DataSet, DataError> {
    let folder = locations.find(RECIPE.name, RECIPE.files)?;
    let (train, test) = (part(&folder, "Train")?, part(&folder, "Test")?);
    Ok(DataSet::new(RECIPE.name, digit_names(), train, test).note_partial(60_000, 10_000).in_folder(folder))
}

fn part(folder: &Path, name: &str) -> Result<Framed<Files>, DataError> {
    let folder = folder.join(name);
    if !folder.is_dir() {
        return Err(DataError::FilesMissing { set: RECIPE.name, expected: RECIPE.files.into(), folder });
    }
    let files = files_by_class(&folder, &digit_names(), |file| has_extension(file, "bin"))?;
    if files.is_empty() {
        return Err(DataError::FilesMissing { set: RECIPE.name, expected: RECIPE.files.into(), folder });
    }
    // Their content is read when it is needed; a copy cut short is told before hours of training.
    files.iter().try_for_each(|(file, _)| nmnist::check_size(file))?;
    Ok(Framed(Files::new(nmnist::SENSOR, files, nmnist::read).with_count(nmnist::read_counts)))
}
