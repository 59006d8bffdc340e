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

    /// Writes its frames over `out`, if there is a faster way than by all its events; whether there was.
    fn count(&self, _i: usize, _frames: &FrameSpec, _out: &mut [f32]) -> Result<bool, DataError> {
        Ok(false)
    }

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
        self.check(i)?;
        if self.0.count(i, frames, out)? {
            return Ok(());
        }
        let framed = to_frames(&self.0.recording(i)?, frames, out);
        framed.map_err(|source| DataError::Framing { file: self.0.name(i), source })
    }

    fn recording(&self, i: usize) -> Result<Option<Recording>, DataError> {
        self.check(i)?;
        self.0.recording(i).map(Some)
    }

    fn sensor(&self) -> Option<Sensor> {
        Some(self.0.sensor())
    }

    fn identity(&self) -> Result<Option<String>, DataError> {
        // The sensor, which frames are scaled from, may be that of a recording in another part.
        Ok(Some(format!("sensor {}\n{}", self.0.sensor(), self.0.identity()?)))
    }
}

impl<R: Recordings> Framed<R> {
    fn check(&self, i: usize) -> Result<(), DataError> {
        if i >= self.len() {
            return Err(DataError::usage("load a recording", format!("a sample below {}", self.len()), i));
        }
        Ok(())
    }
}

/// Files, and which class each is of.
pub(crate) type LabelledFiles = Vec<(PathBuf, u8)>;

/// Files of one recording each.
pub(crate) struct Files {
    sensor: Sensor,
    files: Vec<PathBuf>,
    labels: Vec<u8>,
    read: fn(&Path) -> Result<Recording, EventError>,
    count: Option<Count>,
}

/// Counts a file into so many frames by event count; `false` where it cannot.
type Count = fn(&Path, usize, &mut [f32]) -> Result<bool, EventError>;

impl Files {
    /// Recordings of a sensor that `read` understands, and their labels.
    pub(crate) fn new(
        sensor: Sensor,
        files: LabelledFiles,
        read: fn(&Path) -> Result<Recording, EventError>,
    ) -> Self {
        let (files, labels) = files.into_iter().unzip();
        Self { sensor, files, labels, read, count: None }
    }

    /// The same, with a faster way to the frames that are asked for most.
    pub(crate) fn with_count(self, count: Count) -> Self {
        Self { count: Some(count), ..self }
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
        let file = &self.files[i];
        let recording = (self.read)(file)?;
        recording.on(self.sensor).map_err(|source| DataError::Framing { file: file.clone(), source })
    }

    fn count(&self, i: usize, frames: &FrameSpec, out: &mut [f32]) -> Result<bool, DataError> {
        let fits = *frames == FrameSpec::new(frames.steps)
            && frames.shape(self.sensor).into_iter().try_fold(1, usize::checked_mul) == Some(out.len());
        match self.count {
            Some(count) if fits => Ok(count(&self.files[i], frames.steps, out)?),
            _ => Ok(false),
        }
    }

    fn name(&self, i: usize) -> PathBuf {
        self.files[i].clone()
    }

    fn identity(&self) -> Result<String, DataError> {
        let files = self.files.iter().zip(&self.labels);
        files.map(|(file, label)| Ok(format!("{} {label}\n", identity_of(file)?))).collect()
    }
}

/// A text that is another one once a file is: its path, size and time of change.
pub(crate) fn identity_of(file: &Path) -> Result<String, DataError> {
    let metadata = fs::metadata(file).map_err(|source| DataError::io(file, source))?;
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let changed = changed.unwrap_or_default().as_nanos();
    Ok(format!("{} {} {changed}", file.display(), metadata.len()))
}

/// The files of each class in `folder`, whose subfolders have the classes' names: by class, then by name. Files that `wanted`
/// does not name, and subfolders whose name starts with a dot, are passed over.
pub(crate) fn files_by_class(
    folder: &Path,
    class_names: &[String],
    wanted: fn(&Path) -> bool,
) -> Result<LabelledFiles, DataError> {
    let mut files = Vec::new();
    for (class_folder, name) in class_folders(folder)? {
        let Some(label) = class_names.iter().position(|class| *class == name) else {
            let expected = format!("folders named by a class: {}", class_names.join(", "));
            return Err(DataError::usage("list samples", expected, class_folder.display()));
        };
        let entries = sorted_entries(&class_folder)?;
        let entries = entries.into_iter().filter(|file| wanted(file));
        files.extend(entries.map(|file| (file, label as u8)));
    }
    files.sort_by(|(a, x), (b, y)| (x, a).cmp(&(y, b)));
    Ok(files)
}

/// The subfolders of a folder and their names; those whose name starts with a dot are passed over.
pub(crate) fn class_folders(folder: &Path) -> Result<Vec<(PathBuf, String)>, DataError> {
    let named = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (path.is_dir() && !name.starts_with('.')).then_some((path, name))
    };
    Ok(sorted_entries(folder)?.into_iter().filter_map(named).collect())
}

/// Whether a file's name ends in an extension, which is written in lower case.
pub(crate) fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|found| found.to_string_lossy().to_lowercase() == extension)
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
