//! CIFAR10-DVS as a simulated camera sees it: images of CIFAR-10, enlarged and moved in closed loops
//! ([`synfire_events::simulate::Moving::closed_loop`]).
//!
//! As many as CIFAR10-DVS has, 900 of each class to train on and 100 to test on: the first of CIFAR-10's training and test images.

use synfire_events::simulate::{CameraSettings, Image, Moving};

use super::{DVS128, cifar10};
use crate::recordings::Framed;
use crate::simulated::Simulated;
use crate::stills::Stills;
use crate::{DataError, DataSet, Locations, Recipe, Source};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "cifar10-dvs-simulated",
    description: "simulated event recordings of CIFAR-10's images, 128x128; 9,000 train and 1,000 test, made of the files of \
                  cifar-10",
    files: cifar10::RECIPE.files,
    folder: cifar10::RECIPE.folder,
    remote: cifar10::RECIPE.remote,
    open,
};

fn open(locations: &Locations) -> Result<DataSet, DataError> {
    let (train, test, folder) = cifar10::read_parts(locations)?;
    let (train, test) = (part("c10-dvs train", &train, 900), part("c10-dvs test", &test, 100));
    let set = DataSet::new(RECIPE.name, cifar10::class_names(), train, test);
    Ok(set.note_partial(9_000, 1_000).in_folder(folder).simulated())
}

/// The first images of each class, each seen by a camera.
fn part(name: &'static str, images: &Stills, of_each: usize) -> impl Source + use<> {
    let mut counts = vec![0; cifar10::class_names().len()];
    let labels = images.labels();
    let taken = |&i: &usize| {
        counts[labels[i]] += 1;
        counts[labels[i]] <= of_each
    };
    let images = images.subset(&(0..images.len()).filter(taken).collect::<Vec<_>>());
    let labels = images.labels().into_iter().map(|label| label as u8).collect();
    Framed(Simulated::new(name, DVS128, camera(), labels, images.checksum(), move |i, _| {
        let ([_, height, width], values) = images.image(i);
        Moving::closed_loop(Image::new(width, height, brightness(&values, height * width)))
    }))
}

/// So sensitive that a recording has about 200,000 events, as those of CIFAR10-DVS.
fn camera() -> CameraSettings {
    CameraSettings { threshold_on: 0.2, threshold_off: 0.2, ..CameraSettings::default() }
}

/// The brightness of an image `[3, H, W]`: the weights of ITU-R BT.601, as grey pictures are made of colour ones.
fn brightness(values: &[f32], plane: usize) -> Vec<f32> {
    (0..plane)
        .map(|i| 0.299 * values[i] + 0.587 * values[plane + i] + 0.114 * values[2 * plane + i])
        .collect()
}
