//! Names of data sets, the folders they are looked for in, and the built-in one. Published ones: `tests/real`.

use synfire_data::{DataError, FrameSpec, Kind, Locations, Source, names, open};

fn load(source: &dyn Source, i: usize, frames: &FrameSpec) -> Vec<f32> {
    let mut out = vec![f32::NAN; source.sample_len(frames)];
    source.load(i, frames, &mut out).unwrap();
    out
}

fn class_counts(source: &dyn Source) -> Vec<usize> {
    let mut counts = vec![0; 10];
    source.labels().into_iter().for_each(|label| counts[label] += 1);
    counts
}

#[test]
fn digits_are_built_in_and_split_by_class() {
    let set = open("digits", &Locations::from_folders(Vec::new())).unwrap();
    assert_eq!((set.kind, set.shape(&FrameSpec::default()), set.classes), (Kind::Still, [1, 8, 8], 10));
    assert_eq!((set.train.len(), set.test.len()), (1437, 360));
    assert!(set.notes.is_empty());
    let (train, test) = (class_counts(&*set.train), class_counts(&*set.test));
    // The class counts scikit-learn documents for the whole set.
    let all: Vec<usize> = train.iter().zip(&test).map(|(a, b)| a + b).collect();
    assert_eq!(all, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    assert!(test.iter().all(|&count| (34..=37).contains(&count)), "{test:?}");
    let frames = FrameSpec::default();
    for source in [&set.train, &set.test] {
        for i in 0..source.len() {
            let image = load(&**source, i, &frames);
            assert!(image.iter().all(|&v| (0.0..=1.0).contains(&v) && (v * 16.0).fract() == 0.0));
        }
    }
    // The sum of all pixels, as computed from the CSV file.
    let sum: f32 = [&set.train, &set.test]
        .iter()
        .flat_map(|source| (0..source.len()).flat_map(|i| load(&***source, i, &frames)))
        .sum();
    assert_eq!(sum * 16.0, 561_718.0);
}

#[test]
fn gestures_are_simulated_the_same_for_everyone() {
    let set = open("gestures", &Locations::from_folders(Vec::new())).unwrap();
    assert_eq!((set.kind, set.shape(&FrameSpec::default()), set.classes), (Kind::Events, [2, 64, 64], 11));
    assert_eq!((set.train.len(), set.test.len()), (1177, 286));
    assert!(set.notes[0].starts_with("simulated"));
    assert_eq!((set.train.label(12), set.class_names[1].as_str()), (1, "anticlockwise"));
    let frames = FrameSpec::new(8);
    let first = load(&*set.train, 0, &frames);
    assert_eq!(first, load(&*set.train, 0, &frames));
    assert_ne!(first, load(&*set.train, 11, &frames), "another performance of the same gesture");
    assert_ne!(first, load(&*set.test, 0, &frames), "another part");
    let recording = set.train.recording(0).unwrap().unwrap();
    assert_eq!(first.iter().sum::<f32>(), recording.events.len() as f32);
    assert!(set.train.recording(1177).is_err());
}

#[test]
fn mnist_is_seen_by_a_simulated_camera() {
    // Two images of a white square, and one, in MNIST's files.
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("mnist");
    std::fs::create_dir(&files).unwrap();
    for (part, labels) in [("train", &[3_u8, 7][..]), ("t10k", &[1])] {
        let mut images = vec![0, 0, 8, 3, 0, 0, 0, labels.len() as u8, 0, 0, 0, 28, 0, 0, 0, 28];
        let inside = |i: usize| (10..18).contains(&(i % 28)) && (10..18).contains(&(i / 28 % 28));
        images.extend((0..labels.len() * 784).map(|i| if inside(i) { 255 } else { 0 }));
        std::fs::write(files.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        let bytes = [&[0, 0, 8, 1, 0, 0, 0, labels.len() as u8], labels].concat();
        std::fs::write(files.join(format!("{part}-labels-idx1-ubyte")), bytes).unwrap();
    }
    let set = open("nmnist-simulated", &Locations::from_folders(vec![folder.path().to_owned()])).unwrap();
    assert_eq!((set.kind, set.shape(&FrameSpec::default()), set.classes), (Kind::Events, [2, 34, 34], 10));
    assert_eq!((set.train.labels(), set.test.labels()), (vec![3, 7], vec![1]));
    assert!(set.notes.iter().any(|note| note.starts_with("simulated")));
    let [one, other] = [0, 1].map(|i| set.train.recording(i).unwrap().unwrap());
    assert!(one.events.len() > 300 && one != other, "each image has a camera of its own");
}

#[test]
fn fashion_mnist_is_in_mnists_format() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("fashion-mnist");
    std::fs::create_dir(&files).unwrap();
    for part in ["train", "t10k"] {
        let images = [&[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28][..], &[51; 784]].concat();
        std::fs::write(files.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        std::fs::write(files.join(format!("{part}-labels-idx1-ubyte")), [0, 0, 8, 1, 0, 0, 0, 1, 9]).unwrap();
    }
    let set = open("FashionMNIST", &Locations::from_folders(vec![folder.path().to_owned()])).unwrap();
    assert_eq!((set.kind, set.shape(&FrameSpec::default()), set.classes), (Kind::Still, [1, 28, 28], 10));
    assert_eq!(set.class_names[set.test.label(0)], "Ankle boot");
    assert_eq!(load(&*set.train, 0, &FrameSpec::default())[783], 0.2);
}

#[test]
fn cifar_100_has_a_hundred_classes() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("cifar-100").join("cifar-100-binary");
    std::fs::create_dir_all(&files).unwrap();
    let record = |labels: [u8; 2]| [&labels[..], &[255; 1024], &[0; 2048]].concat();
    std::fs::write(files.join("train.bin"), [record([19, 11]), record([0, 99])].concat()).unwrap();
    std::fs::write(files.join("test.bin"), record([1, 0])).unwrap();
    let set = open("cifar100", &Locations::from_folders(vec![folder.path().to_owned()])).unwrap();
    assert_eq!((set.kind, set.shape(&FrameSpec::default()), set.classes), (Kind::Still, [3, 32, 32], 100));
    assert_eq!((set.train.labels(), set.test.labels()), (vec![11, 99], vec![0]));
    let named = [0, 1, 41, 98, 99].map(|class| set.class_names[class].as_str());
    assert_eq!(named, ["apple", "aquarium fish", "lawn mower", "woman", "worm"]);
    let image = load(&*set.train, 0, &FrameSpec::default());
    assert_eq!((image[1023], image[1024]), (1.0, 0.0));
    assert_eq!(set.notes, ["partial: 2 of 50,000 training samples", "partial: 1 of 10,000 test samples"]);
}

#[test]
fn names_are_forgiving_and_unknown_ones_explained() {
    let nowhere = Locations::from_folders(vec!["/nonexistent".into()]);
    assert!(open("Digits", &nowhere).is_ok());
    assert!(matches!(open("CIFAR10", &nowhere), Err(DataError::SetNotFound { set: "cifar-10", .. })));
    let message = open("mnits", &nowhere).err().unwrap().to_string();
    let expected =
        "unknown data set \"mnits\": did you mean mnist? the data sets are digits, gestures, mnist, ";
    assert!(
        message.starts_with(expected) && names().iter().all(|set| message.contains(set.name)),
        "{message}"
    );
    assert!(names().iter().all(|recipe| !recipe.description.is_empty()));
}

#[test]
fn a_missing_set_names_every_folder_searched_and_the_files() {
    let nowhere = Locations::from_folders(vec!["/nonexistent/a".into(), "/nonexistent/b".into()]);
    assert_eq!(
        open("nmnist", &nowhere).err().unwrap().to_string(),
        "cannot find the data set nmnist: expected a folder nmnist with Train/DIGIT/*.bin and Test/DIGIT/*.bin, found \
         none in /nonexistent/a, /nonexistent/b; `synfire data fetch nmnist` downloads it, --data-dir or SYNFIRE_DATA names \
         the folder that holds it"
    );
}

#[test]
fn an_explicit_folder_is_searched_first() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Locations::new(Some(folder.path())).unwrap().folders()[0], folder.path());
    // One that is not there does not make room for the next.
    let problem = |path| Locations::new(Some(path)).unwrap_err().to_string();
    let absent = folder.path().join("absent");
    assert_eq!(problem(&absent), format!("data-dir {}: there is no such folder", absent.display()));
    std::fs::write(&absent, "").unwrap();
    assert_eq!(problem(&absent), format!("data-dir {}: is not a folder", absent.display()));
}

#[test]
fn a_set_named_in_place_of_the_folder_above_it_is_recognised() {
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("mnist");
    std::fs::create_dir(&folder).unwrap();
    let message = open("mnist", &Locations::from_folders(vec![folder.clone()])).err().unwrap().to_string();
    let hint = format!("({} is the set itself: name the one above it)", folder.display());
    assert!(message.ends_with(&hint), "{message}");
}

#[test]
fn samples_out_of_range_and_wrong_room_are_errors() {
    let set = open("digits", &Locations::from_folders(Vec::new())).unwrap();
    let frames = FrameSpec::default();
    assert!(matches!(set.test.load(360, &frames, &mut [0.0; 64]), Err(DataError::Usage { .. })));
    assert!(matches!(set.test.load(0, &frames, &mut [0.0; 63]), Err(DataError::Usage { .. })));
}
