//! Cached frames: the same values as without, built once, and anew when anything is other or damaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use synfire_data::{Cache, DataError, FrameSpec, Framing, Kind, Locations, Source, open};

/// A part of an event set whose frames are computed, and which counts how often it is asked. Sample 300 is damaged.
struct Counting {
    samples: usize,
    identity: String,
    loads: AtomicUsize,
}

impl Counting {
    fn new(samples: usize, identity: &str) -> Arc<Self> {
        Arc::new(Self { samples, identity: identity.into(), loads: AtomicUsize::new(0) })
    }

    /// What [`Source::load`] should write.
    fn expected(i: usize, frames: &FrameSpec) -> Vec<f32> {
        let value = |j: usize| if (i + j).is_multiple_of(7) { ((i * j) % 300) as f32 } else { 0.0 };
        (0..frames.steps * 2 * 5 * 6).map(value).collect()
    }
}

impl Source for Counting {
    fn len(&self) -> usize {
        self.samples
    }

    fn kind(&self) -> Kind {
        Kind::Events
    }

    fn shape(&self, _: &FrameSpec) -> [usize; 3] {
        [2, 5, 6]
    }

    fn label(&self, i: usize) -> usize {
        i % 3
    }

    fn load(&self, i: usize, frames: &FrameSpec, out: &mut [f32]) -> Result<(), DataError> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let expected = Self::expected(i, frames);
        if i >= 300 || out.len() != expected.len() {
            return Err(DataError::Stopped);
        }
        out.copy_from_slice(&expected);
        Ok(())
    }

    fn identity(&self) -> Result<Option<String>, DataError> {
        Ok(Some(self.identity.clone()))
    }
}

const FRAMES: FrameSpec = FrameSpec::new(4);

fn load(source: &dyn Source, i: usize, frames: &FrameSpec) -> Vec<f32> {
    let mut out = vec![f32::NAN; source.sample_len(frames)];
    source.load(i, frames, &mut out).unwrap();
    out
}

fn cached(folder: &Path, source: &Arc<Counting>, frames: &FrameSpec) -> Arc<dyn Source> {
    cached_some(folder, source, &all(source.samples), frames)
}

fn cached_some(
    folder: &Path,
    source: &Arc<Counting>,
    wanted: &[usize],
    frames: &FrameSpec,
) -> Arc<dyn Source> {
    let source: Arc<dyn Source> = source.clone();
    Cache::in_folder(folder.to_owned()).frames(&source, wanted, "set part", frames, &mut |_, _| true).unwrap()
}

fn all(samples: usize) -> Vec<usize> {
    (0..samples).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn frames_are_made_once_and_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let source = Counting::new(70, "a");
    let first = cached(folder.path(), &source, &FRAMES);
    assert_eq!(source.loads.load(Ordering::Relaxed), 70);
    let again = cached(folder.path(), &source, &FRAMES);
    for i in [0, 1, 69] {
        assert_eq!(load(&*first, i, &FRAMES), Counting::expected(i, &FRAMES));
        assert_eq!(load(&*again, i, &FRAMES), Counting::expected(i, &FRAMES));
    }
    assert_eq!(source.loads.load(Ordering::Relaxed), 70, "read from the file");
    assert_eq!(
        (first.len(), first.label(12), first.shape(&FRAMES)),
        (70, source.label(12), source.shape(&FRAMES))
    );
    // What is not in the file comes from the source.
    let other = FrameSpec { steps: 2, ..FRAMES };
    assert_eq!(load(&*first, 3, &other), Counting::expected(3, &other));
    assert!(first.load(70, &FRAMES, &mut vec![0.0; first.sample_len(&FRAMES)]).is_ok(), "the source decides");
    assert!(first.load(0, &FRAMES, &mut [0.0; 3]).is_err());
}

#[test]
fn some_samples_have_a_file_until_all_have() {
    let folder = tempfile::tempdir().unwrap();
    // Sample 300 cannot be loaded: where it is not wanted, it is not asked for.
    let source = Counting::new(400, "a");
    let wanted = [3, 64, 65, 130, 299];
    let some = cached_some(folder.path(), &source, &wanted, &FRAMES);
    let loads = || source.loads.load(Ordering::Relaxed);
    assert_eq!(loads(), 5);
    for i in wanted {
        assert_eq!(load(&*some, i, &FRAMES), Counting::expected(i, &FRAMES));
    }
    assert_eq!(loads(), 5, "read from the file");
    assert_eq!(load(&*some, 4, &FRAMES), Counting::expected(4, &FRAMES), "the others come from the source");
    assert_eq!((loads(), some.len()), (6, 400));
    let content = || Cache::in_folder(folder.path().to_owned()).list().unwrap().remove(0).content.unwrap();
    assert_eq!(content(), "set part, 5 of 400 samples, 4 frames by count");
    // Others have a file of their own.
    cached_some(folder.path(), &source, &[3, 64, 65, 130, 298], &FRAMES);
    assert_eq!((loads(), files(folder.path()).len()), (11, 2));
    // Once all are there, no other is written.
    let source = Counting::new(70, "b");
    cached(folder.path(), &source, &FRAMES);
    let some = cached_some(folder.path(), &source, &[5, 69], &FRAMES);
    assert_eq!(load(&*some, 69, &FRAMES), Counting::expected(69, &FRAMES));
    assert_eq!((source.loads.load(Ordering::Relaxed), files(folder.path()).len()), (70, 3));
}

#[test]
fn each_source_and_framing_has_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let by_time = FrameSpec { framing: Framing::Time, ..FRAMES };
    for (source, frames) in
        [("a", FRAMES), ("b", FRAMES), ("a", by_time), ("a", FrameSpec { steps: 5, ..FRAMES })]
    {
        let source = Counting::new(3, source);
        assert_eq!(
            load(&*cached(folder.path(), &source, &frames), 2, &frames),
            Counting::expected(2, &frames)
        );
    }
    assert_eq!(files(folder.path()).len(), 4);
    let listed = Cache::in_folder(folder.path().to_owned()).list().unwrap();
    let contents: Vec<&str> = listed.iter().map(|file| file.content.as_deref().unwrap()).collect();
    assert_eq!(contents[..2], ["set part, 4 frames by count"; 2]);
    assert!(listed.iter().all(|file| file.samples == 3 && file.bytes > 100 && file.written.is_some()));
}

#[test]
fn a_damaged_file_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let source = Counting::new(5, "a");
    cached(folder.path(), &source, &FRAMES);
    let file = files(folder.path()).remove(0);
    let whole = fs::read(&file).unwrap();
    let expected = Counting::expected(4, &FRAMES);
    for at in (0..whole.len()).step_by(whole.len() / 97).chain(whole.len() - 40..whole.len()) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&file, damaged).unwrap();
        // Noticed when it is opened, or when the sample is read.
        let found = cached(folder.path(), &source, &FRAMES);
        for i in 0..5 {
            assert_eq!(load(&*found, i, &FRAMES), Counting::expected(i, &FRAMES), "byte {at}");
        }
        drop(found);
        assert_eq!(load(&*cached(folder.path(), &source, &FRAMES), 4, &FRAMES), expected);
        assert_eq!(fs::read(&file).unwrap(), whole, "byte {at}");
    }
    for len in [0, 7, 12, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..len]).unwrap();
        assert_eq!(load(&*cached(folder.path(), &source, &FRAMES), 4, &FRAMES), expected);
        assert_eq!(fs::read(&file).unwrap(), whole);
    }
}

#[test]
fn what_is_stopped_or_fails_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::in_folder(folder.path().join("frames"));
    let source: Arc<dyn Source> = Counting::new(130, "a");
    let mut told = Vec::new();
    let stopped = cache.frames(&source, &all(130), "part", &FRAMES, &mut |done, of| {
        told.push((done, of));
        done < 64
    });
    assert!(matches!(stopped.err(), Some(DataError::Stopped)));
    assert_eq!(told, [(0, 130), (64, 130)]);
    assert_eq!(files(cache.folder()), Vec::<PathBuf>::new());
    // What a killed process leaves is cleared away with the rest.
    fs::write(cache.folder().join(".tmpx.unfinished"), [0; 10]).unwrap();
    fs::write(cache.folder().join("mine.txt"), "stays").unwrap();
    assert_eq!(cache.clear().unwrap(), 10);
    assert_eq!(files(cache.folder()).len(), 1);
    // A part whose sample cannot be loaded.
    let source: Arc<dyn Source> = Counting::new(400, "a");
    assert!(cache.frames(&source, &all(400), "part", &FRAMES, &mut |_, _| true).is_err());
    assert!(cache.list().unwrap().is_empty());
    // A folder that cannot be written.
    let blocked = Cache::in_folder(folder.path().join("frames/mine.txt"));
    let source: Arc<dyn Source> = Counting::new(2, "a");
    let error = blocked.frames(&source, &all(2), "part", &FRAMES, &mut |_, _| true).err().unwrap();
    assert!(matches!(error, DataError::Write { .. }), "{error}");
}

#[test]
fn stills_are_not_cached() {
    let folder = tempfile::tempdir().unwrap();
    let set = open("digits", &Locations::from_folders(Vec::new())).unwrap();
    let cache = Cache::in_folder(folder.path().join("frames"));
    cache.frames(&set.test, &all(set.test.len()), "digits test", &FRAMES, &mut |_, _| true).unwrap();
    assert!(!cache.folder().exists());
}

#[test]
fn a_changed_recording_has_another_identity() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["Train", "Test"] {
        let class = folder.path().join("nmnist").join(part).join("3");
        fs::create_dir_all(&class).unwrap();
        fs::write(class.join("00001.bin"), [1, 2, 0x80, 0, 5]).unwrap();
    }
    let identity = || {
        let set = open("nmnist", &Locations::from_folders(vec![folder.path().to_owned()])).unwrap();
        set.train.identity().unwrap().unwrap()
    };
    let before = identity();
    assert_eq!(identity(), before);
    fs::write(folder.path().join("nmnist/Train/3/00001.bin"), [1, 2, 0x80, 0, 5, 1, 2, 0x80, 0, 6]).unwrap();
    assert_ne!(identity(), before);
}
