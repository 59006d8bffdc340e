//! Frames of recordings, kept in one compact file for each part of a set and each way of framing.
//!
//! To read thousands of recordings and count their events takes longer, in every epoch, than to read what came of it. A file is
//! named by a hash of all that decides its content: the identity of the sources ([`Source::identity`]), the framing, and the
//! version of the format, so that nothing stale is ever read. It is written beside its place and renamed when it is whole; what
//! an interruption leaves is never taken for a cache. Each sample has a checksum: one that is damaged is loaded from its source
//! instead, and the file is removed.

mod file;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rayon::prelude::*;
use synfire_events::{NewFile, Recording, Sensor};

use crate::locations::cache_folder;
use crate::set::thousands;
use crate::{DataError, FrameSpec, Kind, Source};
use file::{Description, Reader, Writer};

/// Ends the names of files.
const ENDING: &str = "frames";
/// Samples that are framed before their frames are written.
const AT_ONCE: usize = 64;

/// A folder of cached frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    folder: PathBuf,
}

/// A file of a [`Cache`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheFile {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it, such as `nmnist train, 16 frames by count`; none where it cannot be read.
    pub content: Option<String>,
    /// Samples in it.
    pub samples: usize,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub written: Option<SystemTime>,
}

impl Cache {
    /// The cache of the user: `synfire/frames` in the folder that `XDG_CACHE_HOME` names, or in `~/.cache`.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        cache_folder().map(|folder| Self::in_folder(folder.join("frames")))
    }

    /// The cache in a folder, which need not be there yet.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The same samples as `source`'s, of which the frames of those in `wanted`, in rising order, are read from this cache; they
    /// are made and written first if they are not there. `name` says what they are, such as `nmnist train`. `progress` is told how
    /// many are done, and of how many, and answers whether to go on. Still images, and sources without an identity, are returned as
    /// they are.
    ///
    /// # Errors
    /// When a sample cannot be loaded, the cache cannot be written, or `progress` stopped it ([`DataError::Stopped`]).
    pub fn frames(
        &self,
        source: &Arc<dyn Source>,
        wanted: &[usize],
        name: &str,
        frames: &FrameSpec,
        progress: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Arc<dyn Source>, DataError> {
        let (Kind::Events, Some(identity)) = (source.kind(), source.identity()?) else {
            return Ok(source.clone());
        };
        let shape = source.sample_shape(frames);
        let of = |samples: &[usize]| {
            let (mut content, mut identity) = (name.to_owned(), identity.clone());
            if samples.len() < source.len() {
                let [some, all] = [samples.len(), source.len()].map(|n| thousands(n as u64));
                content += &format!(", {some} of {all} samples");
                identity += &samples.iter().map(|i| format!("{i} ")).collect::<String>();
            }
            let content = format!("{content}, {frames}");
            let description = Description { content, shape: shape.clone(), samples: samples.len() };
            (self.folder.join(format!("{}.{ENDING}", description.key(&identity))), description)
        };
        let there = |(path, description): &(PathBuf, Description)| {
            Reader::open(path).ok().filter(|file| file.description() == description)
        };
        // A file of all samples has these too.
        let mut samples: Vec<usize> = (0..source.len()).collect();
        let mut place = of(&samples);
        let mut found = there(&place);
        if found.is_none() && wanted.len() < samples.len() {
            samples = wanted.to_owned();
            place = of(&samples);
            found = there(&place);
        }
        let file = match found {
            Some(file) => file,
            // Absent or damaged.
            None => {
                let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
                match there(&place) {
                    Some(file) => file,
                    None => made(&place, &**source, &samples, frames, progress)?,
                }
            }
        };
        Ok(Arc::new(Cached {
            source: source.clone(),
            samples,
            frames: *frames,
            file,
            damaged: AtomicBool::new(false),
        }))
    }

    /// What is in the cache, by name.
    ///
    /// # Errors
    /// When its folder is there and cannot be read.
    pub fn list(&self) -> Result<Vec<CacheFile>, DataError> {
        let mut files = Vec::new();
        for path in self.paths(&[ENDING])? {
            let metadata = fs::metadata(&path).map_err(|source| DataError::io(&path, source))?;
            let description = Reader::open(&path).ok().map(|file| file.description().clone());
            files.push(CacheFile {
                samples: description.as_ref().map_or(0, |description| description.samples),
                content: description.map(|description| description.content),
                bytes: metadata.len(),
                written: metadata.modified().ok(),
                path,
            });
        }
        files.sort_by(|a, b| (&a.content, &a.path).cmp(&(&b.content, &b.path)));
        Ok(files)
    }

    /// Removes everything from the cache, what interruptions left too. Returns how many bytes that were.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn clear(&self) -> Result<u64, DataError> {
        let mut bytes = 0;
        for path in self.paths(&[ENDING, NewFile::UNFINISHED])? {
            bytes += fs::metadata(&path).map_or(0, |metadata| metadata.len());
            fs::remove_file(&path).map_err(|source| DataError::Write { file: path.clone(), source })?;
        }
        Ok(bytes)
    }

    fn paths(&self, endings: &[&str]) -> Result<Vec<PathBuf>, DataError> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let mut paths = crate::recordings::sorted_entries(&self.folder)?;
        paths.retain(|path| {
            endings.iter().any(|ending| path.extension().is_some_and(|found| found == *ending))
        });
        Ok(paths)
    }
}

/// Held by who makes frames: other threads wait, as they may want the same ones.
static MAKING: Mutex<()> = Mutex::new(());

/// Makes a file and opens it.
fn made(
    (path, description): &(PathBuf, Description),
    source: &dyn Source,
    samples: &[usize],
    frames: &FrameSpec,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Reader, DataError> {
    build(path, source, samples, frames, description, progress)?;
    // What was written and cannot be read is no reason to stop either.
    Reader::open(path).map_err(|error| match error {
        DataError::Io { file, source } => DataError::Write { file, source },
        other => other,
    })
}

/// Writes the frames of samples.
fn build(
    path: &Path,
    source: &dyn Source,
    samples: &[usize],
    frames: &FrameSpec,
    description: &Description,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<(), DataError> {
    let mut writer = Writer::create(path, description)?;
    for (done, some) in (0..).step_by(AT_ONCE).zip(samples.chunks(AT_ONCE)) {
        if !progress(done, samples.len()) {
            return Err(DataError::Stopped);
        }
        let packed: Vec<Result<Vec<u8>, DataError>> = some
            .par_iter()
            .map(|&i| {
                let mut values = vec![0.0; source.sample_len(frames)];
                source.load(i, frames, &mut values)?;
                file::pack(&values).map_err(|source| DataError::Write { file: path.to_owned(), source })
            })
            .collect();
        for sample in packed {
            writer.add(&sample?)?;
        }
    }
    progress(samples.len(), samples.len());
    writer.finish()
}

/// A source whose frames, of some samples or of all, are in a file.
struct Cached {
    source: Arc<dyn Source>,
    /// Those in the file, in its order.
    samples: Vec<usize>,
    frames: FrameSpec,
    file: Reader,
    damaged: AtomicBool,
}

impl Source for Cached {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn kind(&self) -> Kind {
        self.source.kind()
    }

    fn shape(&self, frames: &FrameSpec) -> [usize; 3] {
        self.source.shape(frames)
    }

    fn label(&self, i: usize) -> usize {
        self.source.label(i)
    }

    fn load(&self, i: usize, frames: &FrameSpec, out: &mut [f32]) -> Result<(), DataError> {
        let place = self.samples.binary_search(&i).ok();
        let place = place.filter(|_| *frames == self.frames && out.len() == self.sample_len(frames));
        let Some(place) = place else { return self.source.load(i, frames, out) };
        if self.file.read(place, out).is_ok() {
            return Ok(());
        }
        // It is written anew when it is needed next.
        if !self.damaged.swap(true, Ordering::Relaxed) {
            let _ = fs::remove_file(self.file.path());
        }
        self.source.load(i, frames, out)
    }

    fn recording(&self, i: usize) -> Result<Option<Recording>, DataError> {
        self.source.recording(i)
    }

    fn sensor(&self) -> Option<Sensor> {
        self.source.sensor()
    }

    fn identity(&self) -> Result<Option<String>, DataError> {
        self.source.identity()
    }
}
