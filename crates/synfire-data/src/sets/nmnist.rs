//! N-MNIST: MNIST's digits, seen by an event camera that moves in three saccades (Orchard et al., *Converting static
//! image datasets to spiking neuromorphic datasets using saccades*, Frontiers in Neuroscience 9:437, 2015).

use std::path::Path;

use synfire_events::formats::nmnist;

use crate::recordings::{Files, Framed, files_by_class};
use crate::set::digit_names;
use crate::{DataError, DataSet, Locations, Recipe};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "nmnist",
    description: "70,000 event recordings of handwritten digits, 34x34; 60,000 train and 10,000 test",
    files: "Train/DIGIT/*.bin and Test/DIGIT/*.bin",
    folder: Some("nmnist"),
    open,
};

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
    let files = files_by_class(RECIPE.name, &folder, 10, "bin")?;
    // Their content is read when it is needed; a copy cut short is told before hours of training.
    files.iter().try_for_each(|(file, _)| nmnist::check_size(file))?;
    Ok(Framed(Files::new(nmnist::SENSOR, files, nmnist::read)))
}
