//! DVS128 Gesture: eleven gestures in front of an event camera (Amir et al., *A low power, fully event-based gesture recognition
//! system*, CVPR 2017).
//!
//! A recording holds all gestures of a person under one light, and a table beside it says when each was made
//! ([`synfire_events::labels`]); `trials_to_train.txt` and `trials_to_test.txt` name the recordings of either part, so that no person
//! is in both. Every interval of the tables is a sample: 98 and 24 recordings of 12 intervals, 1,176 to train on and 288 to test on. That
//! is what the method's authors and SpikingJelly have. Tonic's 1,077 and 264 come from another publication of the set, which was cut
//! before; others leave out the eleventh class, or cut a gesture into several samples. Accuracies on them are not the same task's.

use std::fs;
use std::path::{Path, PathBuf};

use synfire_events::labels::{self, Interval};
use synfire_events::{Reader, Recording, Sensor};

use super::DVS128;
use crate::fetch::{Archive, Remote, RemoteFile, Then, Unpack};
use crate::recordings::{Framed, Recordings, identity_of};
use crate::{DataError, DataSet, Locations, Recipe};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "dvs128-gesture",
    description: "1,464 event recordings of eleven gestures, 128x128; 1,176 train and 288 test, other people in each",
    files: "trials_to_train.txt, trials_to_test.txt, and the *.aedat and *_labels.csv that they name",
    folder: Some("dvs128-gesture"),
    remote: Some(&REMOTE),
    open,
};

/// MD5 as in SpikingJelly; of the size its authors say 3 GB, and nobody more.
static REMOTE: Remote = Remote {
    set: "dvs128-gesture",
    files: &[RemoteFile {
        name: "DvsGesture.tar.gz",
        size: None,
        md5: Some("8a5c71fb11e24e5ca5b11866ca6c00a1"),
        sha256: None,
        mirrors: &[],
        then: Then::Unpack(Unpack {
            format: Archive::TarGz,
            folder: ARCHIVE_FOLDER,
            ending: ".aedat",
            // As many as the lists of trials name.
            count: 122,
            most_bytes: 32 << 30,
        }),
    }],
    by_hand: Some("https://ibm.ent.box.com/s/3hiq58ww1pbbjrinh367ykfdf60xsfm8/folder/50167556794"),
};

/// The folder that the published archive unpacks to.
const ARCHIVE_FOLDER: &str = "DvsGesture";
/// As `gesture_mapping.csv` of the archive names them, from 1 on.
const CLASSES: [&str; 11] = [
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter-clockwise",
    "left arm clockwise",
    "left arm counter-clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other gestures",
];

fn open(locations: &Locations) -> Result<DataSet, DataError> {
    let folder = locations.find_unpacked(RECIPE.name, RECIPE.files, ARCHIVE_FOLDER)?;
    let part = |list| Trials::listed(&folder, list).map(Framed);
    let (train, test) = (part("trials_to_train.txt")?, part("trials_to_test.txt")?);
    let names = CLASSES.map(str::to_owned).to_vec();
    Ok(DataSet::new(RECIPE.name, names, train, test).note_partial(1_176, 288).in_folder(folder))
}

/// Intervals of recordings.
struct Trials {
    files: Vec<PathBuf>,
    /// The file that each is in.
    intervals: Vec<(usize, Interval)>,
    labels: Vec<u8>,
}

impl Trials {
    /// Those of the recordings that a list names. Recordings that are not there are passed over.
    fn listed(folder: &Path, list: &'static str) -> Result<Self, DataError> {
        let missing = |expected: &str| {
            let (expected, folder) = (expected.to_owned(), folder.to_owned());
            DataError::FilesMissing { set: RECIPE.name, expected, folder }
        };
        let path = folder.join(list);
        if !path.is_file() {
            return Err(missing(list));
        }
        let text = fs::read_to_string(&path).map_err(|source| DataError::io(&path, source))?;
        let mut trials = Self { files: Vec::new(), intervals: Vec::new(), labels: Vec::new() };
        // A list is a text of somebody else's: what it names must not lead out of the folder.
        let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
        for name in names.filter_map(|name| Path::new(name).file_name()) {
            let file = folder.join(name);
            if !file.is_file() {
                continue;
            }
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            for interval in labels::read(&folder.join(format!("{stem}_labels.csv")))? {
                trials.intervals.push((trials.files.len(), interval));
                trials.labels.push(interval.class - 1);
            }
            trials.files.push(file);
        }
        if trials.intervals.is_empty() {
            return Err(missing(&format!("recordings that {list} names")));
        }
        Ok(trials)
    }
}

impl Recordings for Trials {
    fn sensor(&self) -> Sensor {
        DVS128
    }

    fn labels(&self) -> &[u8] {
        &self.labels
    }

    fn recording(&self, i: usize) -> Result<Recording, DataError> {
        let (file, interval) = self.intervals[i];
        let mut reader = Reader::open(&self.files[file])?;
        let mut recording = Recording { sensor: DVS128, events: Vec::new() };
        // Pieces are in the order of time, which a camera's clock keeps.
        while let Some(events) = reader.next_events()?.filter(|events| events[0].t < interval.end) {
            recording.events.extend(events.iter().filter(|event| interval.holds(event.t)));
        }
        Ok(recording)
    }

    fn name(&self, i: usize) -> PathBuf {
        self.files[self.intervals[i].0].clone()
    }

    fn identity(&self) -> Result<String, DataError> {
        let files: Result<String, DataError> =
            self.files.iter().map(|file| Ok(identity_of(file)? + "\n")).collect();
        Ok(format!("{}{:?}", files?, self.intervals))
    }
}
