//! MNIST: handwritten digits (LeCun, Cortes and Burges).

use std::path::Path;

use crate::set::digit_names;
use crate::stills::Stills;
use crate::{DataError, DataSet, Locations, Recipe, idx};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "mnist",
    description: "70,000 handwritten digits, 28x28 grey; 60,000 train and 10,000 test",
    files: "train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz], t10k-images-idx3-ubyte[.gz] and \
            t10k-labels-idx1-ubyte[.gz]",
    folder: Some("mnist"),
    open,
};

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
