//! Files that are not what they should be: each is an error that says where and why, never a panic.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use synfire_data::{DataError, FrameSpec, Locations, open};
use tempfile::TempDir;

fn open_in(folder: &TempDir, set: &str) -> Result<synfire_data::DataSet, DataError> {
    open(set, &Locations::from_folders(vec![folder.path().to_owned()]))
}

fn write(folder: &TempDir, file: &str, bytes: &[u8]) {
    let path = folder.path().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The message of the error of opening `set`, without the folder.
fn message(folder: &TempDir, set: &str) -> String {
    let error = open_in(folder, set).err().expect("the set should not open");
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn idx(dimensions: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
    dimensions.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

/// Two grey images of 28x28.
fn images() -> Vec<u8> {
    idx(&[2, 28, 28], &[128; 2 * 784])
}

/// An MNIST of two training and two test images.
fn small_mnist() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "mnist/train-images-idx3-ubyte", &images());
    write(&folder, "mnist/train-labels-idx1-ubyte.gz", &gzip(&idx(&[2], &[3, 9])));
    write(&folder, "mnist/t10k-images-idx3-ubyte.gz", &gzip(&images()));
    write(&folder, "mnist/t10k-labels-idx1-ubyte", &idx(&[2], &[0, 1]));
    folder
}

#[test]
fn a_small_mnist_is_read_plain_and_compressed_and_called_partial() {
    let folder = small_mnist();
    let set = open_in(&folder, "mnist").unwrap();
    assert_eq!((set.train.labels(), set.test.labels()), (vec![3, 9], vec![0, 1]));
    assert_eq!(set.notes, ["partial: 2 of 60,000 training samples", "partial: 2 of 10,000 test samples"]);
    let mut image = [0.0; 784];
    set.test.load(1, &FrameSpec::default(), &mut image).unwrap();
    assert!(image.iter().all(|&value| value == 128.0 / 255.0));
}

#[test]
fn idx_errors_say_where_and_why() {
    const IMAGES: &str = "mnist/train-images-idx3-ubyte";
    const LABELS: &str = "mnist/train-labels-idx1-ubyte.gz";
    let truncated = &images()[..1000];
    let trailing = [images(), vec![0]].concat();
    let cases: [(&str, Vec<u8>, &str); 10] = [
        (IMAGES, vec![], "at byte 0 expected a header of 16 bytes, found the end of the file"),
        (IMAGES, vec![0, 0, 8], "at byte 3 expected a header of 16 bytes, found the end of the file"),
        (IMAGES, idx(&[2, 784], &[0; 1568]), "at byte 0 expected the magic number 0x0803, found 0x0802"),
        (
            IMAGES,
            b"<!DOCTYPE html>..".to_vec(),
            "at byte 0 expected the magic number 0x0803, found 0x3c21444f",
        ),
        (IMAGES, idx(&[2, 28, 27], &[0; 1512]), "at byte 12 expected a dimension of 28, found 27"),
        (IMAGES, idx(&[0, 28, 28], &[]), "at byte 4 expected at least one item, found 0"),
        (
            IMAGES,
            truncated.to_vec(),
            "at byte 4 expected 1568 bytes of values, as 2 items need, found a file that holds at most 1000 bytes",
        ),
        (
            IMAGES,
            trailing,
            "at byte 1584 expected the end of the file after 1568 bytes of values, found more bytes",
        ),
        (LABELS, gzip(&idx(&[2], &[3, 10])), "at byte 9 expected a label below 10, found 10"),
        (
            LABELS,
            gzip(&idx(&[3], &[3, 9])),
            "at byte 10 expected 3 bytes of values, found the end of the file after 2 of them",
        ),
    ];
    for (file, bytes, expected) in cases {
        let folder = small_mnist();
        write(&folder, file, &bytes);
        assert_eq!(message(&folder, "mnist"), format!("cannot read {file} as IDX: {expected}"));
    }
}

#[test]
fn a_huge_count_in_a_header_is_refused_before_anything_is_allocated() {
    let folder = small_mnist();
    write(&folder, "mnist/t10k-images-idx3-ubyte.gz", &gzip(&idx(&[u32::MAX, 28, 28], &[0; 10])));
    let message = message(&folder, "mnist");
    assert!(message.contains("expected 3367254359280 bytes of values"), "{message}");
    assert!(message.contains("found a file that holds at most"), "{message}");
}

#[test]
fn images_without_as_many_labels_are_an_error() {
    let folder = small_mnist();
    write(&folder, "mnist/train-labels-idx1-ubyte.gz", &gzip(&idx(&[3], &[1, 2, 3])));
    assert_eq!(
        message(&folder, "mnist"),
        "cannot pair images with labels: mnist/train-images-idx3-ubyte holds 2 images, \
         mnist/train-labels-idx1-ubyte.gz holds 3 labels, expected as many"
    );
}

#[test]
fn damaged_gzip_is_an_error() {
    let good = gzip(&images());
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut wrong_checksum = good.clone();
    let at = wrong_checksum.len() - 8;
    wrong_checksum[at] ^= 1;
    let damaged = [
        flipped,
        wrong_checksum,
        good[..good.len() / 2].to_vec(),
        good[..good.len() - 3].to_vec(),
        images(),
        vec![],
    ];
    for (i, bytes) in damaged.into_iter().enumerate() {
        let folder = small_mnist();
        write(&folder, "mnist/t10k-images-idx3-ubyte.gz", &bytes);
        let message = message(&folder, "mnist");
        let known = message.contains("cannot decompress mnist/t10k-images-idx3-ubyte.gz: after")
            || (i == 5 && message.contains("expected a header of 16 bytes"));
        assert!(known, "case {i}: {message}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let folder = small_mnist();
    fs::remove_file(folder.path().join("mnist/t10k-labels-idx1-ubyte")).unwrap();
    assert_eq!(
        message(&folder, "mnist"),
        "cannot open the data set mnist: expected t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz, found none in \
         mnist"
    );
}

/// Records of CIFAR-10 with these labels.
fn records(labels: &[u8]) -> Vec<u8> {
    labels.iter().flat_map(|&label| std::iter::once(label).chain([label; 3072])).collect()
}

#[test]
fn cifar_10_is_found_in_the_archives_folder_and_prefers_the_whole_test_batch() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "cifar-10/cifar-10-batches-bin/data_batch_2.bin", &records(&[2]));
    write(&folder, "cifar-10/cifar-10-batches-bin/data_batch_1.bin", &records(&[1]));
    write(&folder, "cifar-10/cifar-10-batches-bin/test_batch_b.bin", &records(&[5]));
    write(&folder, "cifar-10/cifar-10-batches-bin/test_batch_a.bin", &records(&[4]));
    let set = open_in(&folder, "cifar-10").unwrap();
    assert_eq!((set.train.labels(), set.test.labels()), (vec![1, 2], vec![4, 5]));
    write(&folder, "cifar-10/cifar-10-batches-bin/test_batch.bin", &records(&[6]));
    assert_eq!(open_in(&folder, "cifar-10").unwrap().test.labels(), [6]);
}

#[test]
fn cifar_100_errors_say_where_and_why() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("cifar-100")).unwrap();
    assert!(message(&folder, "cifar-100").contains("cannot find the data set"), "an empty folder is none");
    write(&folder, "cifar-100/readme.txt", b"not there yet");
    assert!(message(&folder, "cifar-100").contains("expected train.bin, found none in"));
    write(&folder, "cifar-100/train.bin", &[0; 3073]);
    let expected = "at byte 0 expected records of 3,074 bytes, found 3073 bytes";
    assert!(message(&folder, "cifar-100").ends_with(expected));
    write(&folder, "cifar-100/train.bin", &[[0; 3074], [100; 3074]].concat());
    assert!(message(&folder, "cifar-100").ends_with("at byte 3075 expected a label below 100, found 100"));
}

#[test]
fn cifar_10_errors_say_where_and_why() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "cifar-10/readme.txt", b"not there yet");
    assert!(
        message(&folder, "cifar-10").contains("expected data_batch_1.bin to data_batch_5.bin, found none in")
    );
    write(&folder, "cifar-10/data_batch_1.bin", &records(&[1, 2]));
    assert!(message(&folder, "cifar-10").contains("expected test_batch.bin, found none in"));
    let cases = [
        (vec![], "at byte 0 expected records of 3,073 bytes, found 0 bytes"),
        (records(&[1, 2])[..6145].to_vec(), "at byte 3073 expected records of 3,073 bytes, found 3072 bytes"),
        (records(&[1, 10]), "at byte 3073 expected a label below 10, found 10"),
    ];
    for (bytes, expected) in cases {
        write(&folder, "cifar-10/test_batch.bin", &bytes);
        let expected = format!("cannot read cifar-10/test_batch.bin as CIFAR-10: {expected}");
        assert_eq!(message(&folder, "cifar-10"), expected);
    }
}

const TWO_EVENTS: [u8; 10] = [1, 1, 0, 0, 5, 2, 2, 0x80, 0, 9];

#[test]
fn nmnist_is_listed_by_class_and_name() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["Train/7/00002.bin", "Train/7/00001.bin", "Train/0/00009.bin", "Test/3/00001.bin"] {
        write(&folder, &format!("nmnist/{file}"), &TWO_EVENTS);
    }
    write(&folder, "nmnist/Train/7/readme.txt", b"passed over");
    write(&folder, "nmnist/Train/.trash/00001.bin", b"passed over");
    write(&folder, "nmnist/Train/list.bin", b"passed over");
    let set = open_in(&folder, "nmnist").unwrap();
    assert_eq!((set.train.labels(), set.test.labels()), (vec![0, 7, 7], vec![3]));
    let frames = FrameSpec::new(2);
    let mut out = vec![f32::NAN; set.train.sample_len(&frames)];
    set.train.load(0, &frames, &mut out).unwrap();
    let set_at: Vec<usize> = out.iter().enumerate().filter(|(_, v)| **v == 1.0).map(|(i, _)| i).collect();
    assert_eq!(set_at, [34 + 1, 3 * 34 * 34 + 2 * 34 + 2]);
    assert_eq!(out.iter().sum::<f32>(), 2.0);
}

#[test]
fn nmnist_folders_must_be_there_and_be_classes() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("nmnist/Test/0")).unwrap();
    assert!(message(&folder, "nmnist").ends_with("found none in nmnist/Train"));
    write(&folder, "nmnist/Train/0/00001.bin", &TWO_EVENTS);
    assert_eq!(
        message(&folder, "nmnist"),
        "cannot open the data set nmnist: expected Train/DIGIT/*.bin and Test/DIGIT/*.bin, found none in nmnist/Test"
    );
    write(&folder, "nmnist/Test/10/00001.bin", &TWO_EVENTS);
    assert_eq!(
        message(&folder, "nmnist"),
        "cannot list samples: expected folders named by a class: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, found nmnist/Test/10"
    );
}

#[test]
fn a_recording_of_no_or_half_an_event_is_an_error_when_the_set_is_opened() {
    let cases: [(&[u8], &str); 2] = [
        (
            &TWO_EVENTS[..8],
            "at byte 5 expected the end of the file or an event of 5 bytes, found 3 more bytes",
        ),
        (&[], "expected at least one event, found none in its 0 bytes"),
    ];
    for (bytes, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, "nmnist/Train/0/00001.bin", &TWO_EVENTS);
        write(&folder, "nmnist/Test/0/00001.bin", bytes);
        let message = message(&folder, "nmnist");
        assert!(message.contains("Test/0/00001.bin") && message.ends_with(expected), "{message}");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("nmnist/Train/0/00001.bin")).unwrap();
    fs::create_dir_all(folder.path().join("nmnist/Test/0")).unwrap();
    let message = message(&folder, "nmnist");
    assert!(message.contains("Train/0/00001.bin") && message.ends_with("is a directory"), "{message}");
}

#[test]
fn a_recording_with_a_bad_event_is_an_error_when_it_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "nmnist/Train/0/00001.bin", &[1, 1, 0, 0, 5, 34, 0, 0, 0, 6]);
    write(&folder, "nmnist/Test/0/00001.bin", &TWO_EVENTS);
    let train = open_in(&folder, "nmnist").unwrap().train;
    let frames = FrameSpec::default();
    let mut out = vec![0.0; train.sample_len(&frames)];
    let message = train.load(0, &frames, &mut out).unwrap_err().to_string();
    let expected = "at byte 5 expected a pixel of the 34x34 sensor, found x 34, y 0";
    assert!(message.contains("Train/0/00001.bin") && message.ends_with(expected), "{message}");
}

fn opens_or_fails(set: &str, file: &str, bytes: &[u8], fallback: impl Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    fallback(folder.path());
    write(&folder, file, bytes);
    let _ = open_in(&folder, set);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_never_panic(
        header in proptest::collection::vec(any::<u8>(), 0..20),
        body in proptest::collection::vec(any::<u8>(), 0..2000),
        keep_magic in any::<bool>(),
    ) {
        let mut bytes = if keep_magic { vec![0, 0, 8, 3] } else { Vec::new() };
        bytes.extend(header);
        bytes.extend(body);
        opens_or_fails("mnist", "mnist/train-images-idx3-ubyte", &bytes, |folder| {
            fs::create_dir(folder.join("mnist")).unwrap();
            fs::write(folder.join("mnist/train-labels-idx1-ubyte"), &bytes).unwrap();
        });
        opens_or_fails("mnist", "mnist/train-images-idx3-ubyte.gz", &gzip(&bytes), |folder| {
            fs::create_dir(folder.join("mnist")).unwrap();
            fs::write(folder.join("mnist/train-labels-idx1-ubyte.gz"), &bytes).unwrap();
        });
        opens_or_fails("cifar-10", "cifar-10/data_batch_1.bin", &bytes.repeat(2), |_| {});
    }
}
