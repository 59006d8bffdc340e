//! Recordings in files, read and framed when they are loaded.

use std::fs;
use std::path::{Path, PathBuf};

use synfire_events::{EventError, Recording, Sensor, to_frames};

use crate::{DataError, FrameSpec, Kind, Source};

/// Files of one recording each, and their labels.
pub(crate) struct Recordings {
    sensor: Sensor,
    files: Vec<(PathBuf, u8)>,
    read: fn(&Path) -> Result<Recording, EventError>,
}

impl Recordings {
    /// Recordings of a sensor that `read` understands.
    pub(crate) fn new(
        sensor: Sensor,
        files: Vec<(PathBuf, u8)>,
        read: fn(&Path) -> Result<Recording, EventError>,
    ) -> Self {
        Self { sensor, files, read }
    }
}

impl Source for Recordings {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn kind(&self) -> Kind {
        Kind::Events
    }

    fn shape(&self) -> [usize; 3] {
        [2, usize::from(self.sensor.height), usize::from(self.sensor.width)]
    }

    fn label(&self, i: usize) -> usize {
        usize::from(self.files[i].1)
    }

    fn load(&self, i: usize, frames: &FrameSpec, out: &mut [f32]) -> Result<(), DataError> {
        let Some((file, _)) = self.files.get(i) else {
            return Err(DataError::usage("load a recording", format!("a sample below {}", self.len()), i));
        };
        let recording = (self.read)(file)?;
        to_frames(&recording, frames.steps, frames.framing, out)
            .map_err(|source| DataError::Framing { file: file.clone(), source })
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
