//! Event recordings, framed when they are loaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use synfire_events::{EventError, Recording, Sensor, to_frames};

use crate::{DataError, FrameSpec, Kind, Source};

/// Labelled recordings of one sensor.
pub(crate) trait Recordings: Send + Sync {
    /// The sensor of all of them.
    fn sensor(&self) -> Sensor;

    /// Their labels.
    fn labels(&self) -> &[u8];

    /// Recording `i`, of as many as there are labels.
    fn recording(&self, i: usize) -> Result<Recording, DataError>;

    /// What errors call recording `i`.
    fn name(&self, i: usize) -> PathBuf;

    /// See [`Source::identity`].
    fn identity(&self) -> Result<String, DataError>;
}

/// Recordings as samples of frames.
pub(crate) struct Framed<R>(pub(crate) R);

impl<R: Recordings> Source for Framed<R> {
    fn len(&self) -> usize {
        self.0.labels().len()
    }

    fn kind(&self) -> Kind {
        Kind::Events
    }

    fn shape(&self, frames: &FrameSpec) -> [usize; 3] {
        let [_, shape @ ..] = frames.shape(self.0.sensor());
        shape
    }

    fn label(&self, i: usize) -> usize {
        usize::from(self.0.labels()[i])
    }

    fn load(&self, i: usize, frames: &FrameSpec, out: &mut [f32]) -> Result<(), DataError> {
        to_frames(&self.checked(i)?, frames, out)
            .map_err(|source| DataError::Framing { file: self.0.name(i), source })
    }

    fn recording(&self, i: usize) -> Result<Option<Recording>, DataError> {
        self.checked(i).map(Some)
    }

    fn identity(&self) -> Result<Option<String>, DataError> {
        self.0.identity().map(Some)
    }
}

impl<R: Recordings> Framed<R> {
    fn checked(&self, i: usize) -> Result<Recording, DataError> {
        if i >= self.len() {
            return Err(DataError::usage("load a recording", format!("a sample below {}", self.len()), i));
        }
        self.0.recording(i)
    }
}

/// Files of one recording each.
pub(crate) struct Files {
    sensor: Sensor,
    files: Vec<PathBuf>,
    labels: Vec<u8>,
    read: fn(&Path) -> Result<Recording, EventError>,
}

impl Files {
    /// Recordings of a sensor that `read` understands, and their labels.
    pub(crate) fn new(
        sensor: Sensor,
        files: Vec<(PathBuf, u8)>,
        read: fn(&Path) -> Result<Recording, EventError>,
    ) -> Self {
        let (files, labels) = files.into_iter().unzip();
        Self { sensor, files, labels, read }
    }
}

impl Recordings for Files {
    fn sensor(&self) -> Sensor {
        self.sensor
    }

    fn labels(&self) -> &[u8] {
        &self.labels
    }

    fn recording(&self, i: usize) -> Result<Recording, DataError> {
        Ok((self.read)(&self.files[i])?)
    }

    fn name(&self, i: usize) -> PathBuf {
        self.files[i].clone()
    }

    fn identity(&self) -> Result<String, DataError> {
        let mut identity = String::new();
        for (file, label) in self.files.iter().zip(&self.labels) {
            let metadata = fs::metadata(file).map_err(|source| DataError::io(file, source))?;
            let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let changed = changed.unwrap_or_default().as_nanos();
            identity += &format!("{} {label} {} {changed}\n", file.display(), metadata.len());
        }
        Ok(identity)
    }
}

/// The files with an extension in `folder`'s subfolders, one subfolder a class, named by its label: by class, then by
/// name. Other files, and subfolders whose name starts with a dot, are passed over.
pub(crate) fn files_by_class(
    set: &'static str,
    folder: &Path,
    classes: u8,
    extension: &str,
) -> Result<Vec<(PathBuf, u8)>, DataError> {
    let mut files = Vec::new();
    for class_folder in sorted_entries(folder)? {
        let name = class_folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || !class_folder.is_dir() {
            continue;
        }
        let Some(label) = (0..classes).find(|label| label.to_string() == name) else {
            let expected = format!("folders named by a class from 0 to {}", classes - 1);
            return Err(DataError::usage("list recordings", expected, class_folder.display()));
        };
        let wanted = |file: &PathBuf| file.extension().is_some_and(|found| found == extension);
        files.extend(sorted_entries(&class_folder)?.into_iter().filter(wanted).map(|file| (file, label)));
    }
    if files.is_empty() {
        let expected = format!("recordings as CLASS/NAME.{extension}");
        return Err(DataError::FilesMissing { set, expected, folder: folder.to_owned() });
    }
    files.sort_by(|(a, x), (b, y)| (x, a).cmp(&(y, b)));
    Ok(files)
}

/// What a folder holds, by name.
pub(crate) fn sorted_entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let io = |source| DataError::io(folder, source);
    let mut entries = fs::read_dir(folder)
        .map_err(io)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(io)?;
    entries.sort();
    Ok(entries)
}
