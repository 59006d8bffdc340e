//! N-MNIST as a simulated camera sees it: every image of MNIST in three saccades
//! ([`synfire_events::simulate::Moving::saccades`]).

use synfire_events::formats::nmnist::SENSOR;
use synfire_events::simulate::{CameraSettings, Image, Moving};

use super::mnist;
use crate::recordings::Framed;
use crate::set::digit_names;
use crate::simulated::Simulated;
use crate::stills::Stills;
use crate::{DataError, DataSet, Locations, Recipe, Source};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "nmnist-simulated",
    description: "simulated event recordings of MNIST's digits, 34x34; 60,000 train and 10,000 test, made of the files of mnist",
    files: mnist::RECIPE.files,
    folder: mnist::RECIPE.folder,
    remote: mnist::RECIPE.remote,
    open,
};

fn open(locations: &Locations) -> Result<DataSet, DataError> {
    let folder = locations.find(mnist::RECIPE.name, RECIPE.files)?;
    let (train, test) = mnist::read_parts(RECIPE.name, &folder)?;
    let (train, test) = (part("n-mnist train", train), part("n-mnist test", test));
    let set = DataSet::new(RECIPE.name, digit_names(), train, test);
    Ok(set.note_partial(60_000, 10_000).in_folder(folder).simulated())
}

fn part(name: &'static str, images: Stills) -> impl Source {
    let labels = images.labels().into_iter().map(|label| label as u8).collect();
    Framed(Simulated::new(name, SENSOR, CameraSettings::default(), labels, images.checksum(), move |i, _| {
        let ([_, height, width], pixels) = images.image(i);
        Moving::saccades(Image::new(width, height, pixels))
    }))
}
