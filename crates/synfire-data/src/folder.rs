//! A data set of one's own: a folder with a subfolder for each class, of images or of recordings.
//!
//! ```text
//! my-set/train/CLASS/FILE…        my-set/CLASS/FILE…
//! my-set/test/CLASS/FILE…         (a fifth of each class, drawn once and for all, is the test part)
//! ```
//!
//! Parts may be written otherwise (`Train`, `training`, `testing`); where there is no test part, one named `val`, `valid` or
//! `validation` is it, and where there is `train` alone, a fifth of it. What a run validates on, it draws from the training part.
//!
//! The subfolders' names are the classes', by number where all are numbers. Images are of any format that
//! [`image`] reads (PNG, JPEG, PNM, BMP, GIF), all of one size; they are grey if all of them are, else in colour. Recordings are of
//! any [`Format`]. What kind a file is, is seen from its content; files whose names begin with a dot, and those that Windows leaves in
//! folders (`Thumbs.db`, `desktop.ini`), are passed over.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use image::{ColorType, ImageDecoder, ImageReader};
use rayon::prelude::*;
use synfire_events::formats::HEAD;
use synfire_events::{Format, Reader, Sensor};

use crate::recordings::{Files, Framed, LabelledFiles, class_folders, files_by_class};
use crate::split::{PUBLISHED_SEED, Parts};
use crate::{DataError, DataSet, FrameSpec, Kind, Source};

/// A file of this name in a folder says that no camera made what is in it.
pub const SIMULATED: &str = "simulated.txt";
/// Without a test part, one of so many samples of each class is in it.
const TEST_OF: usize = 5;

/// What the parts of a set may be called, in lower case.
const PARTS: [&[&str]; 3] = [&["train", "training"], &["test", "testing"], &["val", "valid", "validation"]];

/// The folders of a set's parts.
enum Layout {
    /// Training and test.
    Parts([PathBuf; 2]),
    /// Classes alone.
    Classes(PathBuf),
}

impl Layout {
    /// Of a folder, and what the user should know of it.
    fn of(folder: &Path) -> Result<(Self, Option<String>), DataError> {
        let subfolders = class_folders(folder)?;
        let [train, test, validation] = PARTS
            .map(|names| subfolders.iter().find(|(_, name)| names.contains(&&*name.to_lowercase())).cloned());
        Ok(match (train, test, validation) {
            (Some((train, from)), Some((test, _)), unused) => {
                let note = unused.map(|(_, unused)| {
                    format!("{unused} is not used: a run draws its validation samples from {from}")
                });
                (Self::Parts([train, test]), note)
            }
            (Some((train, _)), None, Some((test, name))) => {
                let note = format!("{name} is the test part: there is no other");
                (Self::Parts([train, test]), Some(note))
            }
            (Some((train, _)), None, None) if subfolders.len() == 1 => (Self::Classes(train), None),
            _ => (Self::Classes(folder.to_owned()), None),
        })
    }
}

/// Opens the set in this folder.
///
/// # Errors
/// When there are no classes or no files, more than 256 classes, a file is neither an image nor a recording, both are there, or
/// images have different sizes.
pub fn open(folder: &Path) -> Result<DataSet, DataError> {
    if !folder.is_dir() {
        return Err(unlike(folder, "a folder with a subfolder for each class", "none"));
    }
    let (layout, note) = Layout::of(folder)?;
    let mut notes = Vec::from_iter(note);
    let no_files =
        |folder: &Path| unlike(folder, "files in CLASS/, or in train/CLASS/ and test/CLASS/", "none");
    let (parts, class_names) = match layout {
        Layout::Parts(folders) => {
            let class_names = class_names(&[&folders[0], &folders[1]])?;
            let [train, test] = folders.map(|folder| {
                let files = files_by_class(&folder, &class_names, is_sample)?;
                if files.is_empty() { Err(no_files(&folder)) } else { Ok(files) }
            });
            ([train?, test?], class_names)
        }
        Layout::Classes(folder) => {
            let class_names = class_names(&[&folder])?;
            let files = files_by_class(&folder, &class_names, is_sample)?;
            match files.len() {
                0 => return Err(no_files(&folder)),
                few @ 1..TEST_OF => {
                    let expected = format!("{TEST_OF} files or more, of which a fifth is the test part");
                    return Err(unlike(&folder, expected, few.to_string()));
                }
                _ => {}
            }
            let parts = Parts::stratified(files, TEST_OF, PUBLISHED_SEED)?;
            notes.push(parts.note());
            ([parts.train, parts.test], class_names)
        }
    };
    let [train, test] = &parts;
    let files: Vec<&Path> = train.iter().chain(test).map(|(file, _)| file.as_path()).collect();
    let name = &*folder.to_string_lossy();
    let set = match kind_of(files[0])?.ok_or_else(|| neither(files[0]))? {
        Kind::Still => {
            let shape = common_shape(&files)?;
            let [train, test] = parts.map(|files| Pictures { shape, files });
            DataSet::new(name, class_names, train, test)
        }
        Kind::Events => {
            let sensor = common_sensor(&files)?;
            let [train, test] = parts.map(|files| Framed(Files::new(sensor, files, synfire_events::read)));
            DataSet::new(name, class_names, train, test)
        }
    };
    let mut set = set.in_folder(folder.to_owned());
    set.notes.extend(notes);
    Ok(if folder.join(SIMULATED).exists() { set.simulated() } else { set })
}

/// The names of all classes that any of these folders has.
fn class_names(folders: &[&Path]) -> Result<Vec<String>, DataError> {
    let mut names = BTreeSet::new();
    for folder in folders {
        names.extend(class_folders(folder)?.into_iter().map(|(_, name)| name));
    }
    let mut names: Vec<String> = names.into_iter().collect();
    if names.iter().all(|name| name.parse::<u32>().is_ok()) {
        names.sort_by_key(|name| name.parse::<u32>().unwrap_or(0));
    }
    match names.len() {
        2..=256 => Ok(names),
        found => Err(unlike(folders[0], "from 2 to 256 subfolders, one for each class", found.to_string())),
    }
}

/// Whether a file is to be a sample, and not what a system leaves in folders.
fn is_sample(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    !name.starts_with('.') && !["thumbs.db", "desktop.ini"].contains(&&*name)
}

/// What a file is by its content; none if neither an image nor a recording.
///
/// # Errors
/// When it cannot be read.
pub fn kind_of(file: &Path) -> Result<Option<Kind>, DataError> {
    let io = |source| DataError::io(file, source);
    let opened = File::open(file).map_err(io)?;
    let len = opened.metadata().map_err(io)?.len();
    let mut head = Vec::new();
    opened.take(HEAD as u64).read_to_end(&mut head).map_err(io)?;
    let like_image = image::guess_format(&head).is_ok();
    Ok(match Format::detect(&head, len) {
        // A recording without a mark may begin with the two letters that mark some images, but no header follows them.
        Some(_) if !like_image || reader(file)?.into_decoder().is_err() => Some(Kind::Events),
        _ => like_image.then_some(Kind::Still),
    })
}

fn neither(file: &Path) -> DataError {
    unlike(file, "an image (PNG, JPEG, PNM, BMP, GIF) or a recording", "neither")
}

fn unlike(file: &Path, expected: impl Into<String>, found: impl Into<String>) -> DataError {
    DataError::Folder { path: file.to_owned(), expected: expected.into(), found: found.into() }
}

/// Asks all files on all threads; of several errors that of the first file.
fn of_all<T: Send>(
    files: &[&Path],
    ask: impl Fn(&Path) -> Result<T, DataError> + Sync,
) -> Result<Vec<T>, DataError> {
    let answers: Vec<Result<T, DataError>> = files.par_iter().map(|file| ask(file)).collect();
    answers.into_iter().collect()
}

/// The sensor that has room for all recordings.
fn common_sensor(files: &[&Path]) -> Result<Sensor, DataError> {
    let sensors = of_all(files, |file| match kind_of(file)? {
        Some(Kind::Events) => Ok(Reader::open(file)?.into_sensor()?),
        Some(Kind::Still) => Err(unlike(file, "a recording, as the first file is", "an image")),
        None => Err(neither(file)),
    })?;
    let side = |of: fn(&Sensor) -> u16| sensors.iter().map(of).max().unwrap_or(0);
    Ok(Sensor { width: side(|sensor| sensor.width), height: side(|sensor| sensor.height) })
}

/// The shape `[C, H, W]` of all images.
fn common_shape(files: &[&Path]) -> Result<[usize; 3], DataError> {
    let seen = of_all(files, |file| match kind_of(file)? {
        Some(Kind::Still) => {
            let decoder = reader(file)?.into_decoder().map_err(|error| damaged(file, &error))?;
            let grey = matches!(
                decoder.color_type(),
                ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16
            );
            Ok((decoder.dimensions(), grey))
        }
        Some(Kind::Events) => Err(unlike(file, "an image, as the first file is", "a recording")),
        None => Err(neither(file)),
    })?;
    let (width, height) = seen[0].0;
    if let Some(i) = seen.iter().position(|(size, _)| *size != (width, height)) {
        let (other_width, other_height) = seen[i].0;
        let expected = format!("{width}x{height} pixels, as in {}", files[0].display());
        return Err(unlike(files[i], expected, format!("{other_width}x{other_height}")));
    }
    let channels = if seen.iter().all(|(_, grey)| *grey) { 1 } else { 3 };
    Ok([channels, height as usize, width as usize])
}

fn reader(file: &Path) -> Result<ImageReader<std::io::BufReader<File>>, DataError> {
    let io = |source| DataError::io(file, source);
    ImageReader::open(file).map_err(io)?.with_guessed_format().map_err(io)
}

fn damaged(file: &Path, error: &image::ImageError) -> DataError {
    unlike(file, "an intact image", error.to_string())
}

/// Image files of one size.
struct Pictures {
    shape: [usize; 3],
    files: LabelledFiles,
}

impl Source for Pictures {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn kind(&self) -> Kind {
        Kind::Still
    }

    fn shape(&self, _: &FrameSpec) -> [usize; 3] {
        self.shape
    }

    fn label(&self, i: usize) -> usize {
        self.files[i].1.into()
    }

    fn load(&self, i: usize, frames: &FrameSpec, out: &mut [f32]) -> Result<(), DataError> {
        let Some((file, _)) = self.files.get(i) else {
            return Err(DataError::usage("load an image", format!("a sample below {}", self.len()), i));
        };
        let [channels, height, width] = self.shape;
        if out.len() != self.sample_len(frames) {
            let expected = format!("room for {} values", self.sample_len(frames));
            return Err(DataError::usage("load an image", expected, out.len()));
        }
        let image = reader(file)?.decode().map_err(|error| damaged(file, &error))?;
        if (image.width() as usize, image.height() as usize) != (width, height) {
            let found = format!("{}x{}", image.width(), image.height());
            return Err(unlike(file, format!("{width}x{height} pixels, as it had"), found));
        }
        if channels == 1 {
            out.copy_from_slice(&image.to_luma32f());
            return Ok(());
        }
        let pixels = image.to_rgb32f();
        for (channel, plane) in out.chunks_exact_mut(width * height).enumerate() {
            plane
                .iter_mut()
                .zip(pixels.chunks_exact(channels))
                .for_each(|(value, pixel)| *value = pixel[channel]);
        }
        Ok(())
    }
}
