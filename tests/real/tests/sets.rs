//! The data sets as published: counts, first labels, value ranges.

use synfire_data::fetch::find;
use synfire_data::{DataSet, FrameSpec, Framing, Kind, Source};
use synfire_real_data::real;

fn load(source: &dyn Source, i: usize, frames: &FrameSpec) -> Vec<f32> {
    let mut out = vec![f32::NAN; source.sample_len(frames)];
    source.load(i, frames, &mut out).unwrap();
    out
}

/// Asserts that the notes tell which parts of a set are not whole, and nothing else.
fn assert_parts_are_told(set: &DataSet, train: usize, test: usize) {
    let parts = [(&set.train, train, "training"), (&set.test, test, "test")];
    let told: Vec<String> = parts
        .into_iter()
        .filter(|(part, whole, _)| part.len() != *whole)
        .map(|(part, whole, name)| format!("partial: {} of {whole} {name} samples", part.len()))
        .collect();
    let notes: Vec<String> = set.notes.iter().map(|note| note.replace(',', "")).collect();
    assert_eq!(notes, told);
}

#[test]
#[cfg_attr(not(mnist), ignore = "needs the data set mnist, in a folder that SYNFIRE_DATA names")]
fn mnist_is_as_published() {
    let set = real("mnist");
    assert_eq!((set.kind, set.shape(&FrameSpec::default())), (Kind::Still, [1, 28, 28]));
    assert_eq!((set.train.len(), set.test.len()), (60_000, 10_000));
    assert_eq!(set.train.labels()[..5], [5, 0, 4, 1, 9]);
    assert_eq!(set.test.labels()[..5], [7, 2, 1, 0, 4]);
    let mut counts = [0; 10];
    set.test.labels().into_iter().for_each(|label| counts[label] += 1);
    assert_eq!(counts, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    assert!(set.notes.is_empty());
    // They are the files that would be fetched.
    let root = set.folder.as_ref().unwrap().parent().unwrap();
    assert!(find("mnist").unwrap().is_whole(root).unwrap());
    let frames = FrameSpec::default();
    let images = 60_000.0 * 784.0;
    let mean = (0..60_000).flat_map(|i| load(&*set.train, i, &frames)).map(f64::from).sum::<f64>() / images;
    assert!((mean - 0.1307).abs() < 1e-4, "{mean}");
}

#[test]
#[cfg_attr(not(cifar_10), ignore = "needs the data set cifar-10, in a folder that SYNFIRE_DATA names")]
fn cifar_10_is_read_from_the_parts_that_are_there() {
    let set = real("cifar-10");
    assert_eq!((set.kind, set.shape(&FrameSpec::default())), (Kind::Still, [3, 32, 32]));
    assert_parts_are_told(&set, 50_000, 10_000);
    if set.folder.as_ref().unwrap().join("data_batch_1.bin").is_file() {
        let names: Vec<&str> = set.train.labels()[..3].iter().map(|&i| set.class_names[i].as_str()).collect();
        assert_eq!(names, ["frog", "truck", "truck"]);
        // The first training image starts with red 59, 43, 50.
        assert_eq!(load(&*set.train, 0, &FrameSpec::default())[..3], [59, 43, 50].map(|v| v as f32 / 255.0));
    }
}

#[test]
#[cfg_attr(not(nmnist), ignore = "needs the data set nmnist, in a folder that SYNFIRE_DATA names")]
fn nmnist_is_read_from_the_recordings_that_are_there() {
    let set = real("nmnist");
    assert_eq!((set.kind, set.shape(&FrameSpec::default())), (Kind::Events, [2, 34, 34]));
    assert_parts_are_told(&set, 60_000, 10_000);
    assert!(set.train.labels().is_sorted(), "listed by class");
    for framing in [Framing::Count, Framing::Time] {
        let frames = FrameSpec { framing, ..FrameSpec::default() };
        for i in (0..set.test.len()).step_by((set.test.len() / 50).max(1)) {
            let values = load(&*set.test, i, &frames);
            let per_frame: Vec<f32> = values.chunks(2 * 34 * 34).map(|frame| frame.iter().sum()).collect();
            assert!(per_frame.iter().sum::<f32>() > 1000.0);
            if framing == Framing::Count {
                assert!(per_frame[..15].iter().all(|&count| count == per_frame[0]));
                assert!((per_frame[0]..per_frame[0] + 16.0).contains(&per_frame[15]));
            }
        }
    }
}
