//! Gestures: moving shapes seen by a simulated camera, eleven classes that the order of events in time tells apart
//! ([`synfire_events::simulate::gestures`]).
//!
//! As many samples as DVS128 Gesture has, in the same proportion; nothing is read from files.

use synfire_events::simulate::gestures::{Gesture, Performance, SENSOR, camera};

use crate::recordings::Framed;
use crate::simulated::Simulated;
use crate::{DataError, DataSet, Locations, Recipe, Source};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "gestures",
    description: "simulated event recordings of moving shapes, 64x64, eleven classes; built in, 1,177 train and 286 test",
    files: "",
    folder: None,
    remote: None,
    open,
};

/// Recordings of each class.
const TRAIN: usize = 107;
const TEST: usize = 26;

fn open(_: &Locations) -> Result<DataSet, DataError> {
    let names = Gesture::ALL.map(|gesture| gesture.name().to_owned()).to_vec();
    let (train, test) = (part("gestures train", TRAIN), part("gestures test", TEST));
    Ok(DataSet::new(RECIPE.name, names, train, test).simulated())
}

fn part(name: &'static str, of_each: usize) -> impl Source {
    let classes = Gesture::ALL.len();
    let labels = (0..of_each * classes).map(|i| (i % classes) as u8).collect();
    Framed(Simulated::new(name, SENSOR, camera(), labels, String::new(), move |i, seed| {
        Performance::new(Gesture::ALL[i % classes], seed)
    }))
}
