//! Sets of one's own: folders of images and of recordings, with parts or without; the splits of CIFAR10-DVS; and checks.

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage};
use synfire_data::folder::kind_of;
use synfire_data::{DataSet, FrameSpec, Kind, Locations, Source, check, open};
use synfire_events::{Event, Format, Recording, Sensor, to_bytes, write};

/// A recording of a 12x10 sensor with `n` events.
fn recording(n: u16) -> Recording {
    let event = |i: u16| Event { t: i64::from(i) * 100, x: i % 12, y: i % 10, on: i.is_multiple_of(3) };
    Recording { sensor: Sensor { width: 12, height: 10 }, events: (0..n).map(event).collect() }
}

fn write_recording(path: &Path, format: Format, n: u16) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write(path, format, &recording(n)).unwrap();
}

fn write_image(path: &Path, value: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    GrayImage::from_fn(6, 5, |x, y| Luma([value + (x + 6 * y) as u8])).save(path).unwrap();
}

fn opened(folder: &Path) -> Result<DataSet, String> {
    open(folder.to_str().unwrap(), &Locations::from_folders(Vec::new())).map_err(|error| error.to_string())
}

fn load(source: &dyn Source, i: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; source.sample_len(&FrameSpec::new(2))];
    source.load(i, &FrameSpec::new(2), &mut out).unwrap();
    out
}

#[test]
fn images_in_two_parts() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (part, class, value) in [("train", "cat", 10), ("train", "dog", 60), ("test", "dog", 90)] {
        write_image(&root.join(part).join(class).join("a.png"), value);
    }
    fs::write(root.join("train/cat/.hidden"), "no image").unwrap();
    let set = opened(root).unwrap();
    assert_eq!(
        (set.kind, set.shape(&FrameSpec::default()), &set.class_names[..]),
        (Kind::Still, [1, 5, 6], &["cat".to_owned(), "dog".to_owned()][..])
    );
    assert_eq!((set.train.labels(), set.test.labels()), (vec![0, 1], vec![1]));
    assert!(set.notes.is_empty() && set.folder.as_deref() == Some(root));
    assert_eq!(load(&*set.train, 1)[..7], [60, 61, 62, 63, 64, 65, 66].map(|value| value as f32 / 255.0));

    // One in colour makes all of them so.
    RgbImage::from_pixel(6, 5, Rgb([255, 0, 51])).save(root.join("train/dog/b.bmp")).unwrap();
    let set = opened(root).unwrap();
    assert_eq!(set.shape(&FrameSpec::default()), [3, 5, 6]);
    let (grey, colour) = (load(&*set.train, 1), load(&*set.train, 2));
    assert!(grey[..30] == grey[30..60] && grey[..30] == grey[60..]);
    assert_eq!([colour[0], colour[30], colour[60]], [1.0, 0.0, 0.2]);
}

#[test]
fn recordings_without_parts_are_split_once_and_for_all() {
    let folder = tempfile::tempdir().unwrap();
    for (class, format) in [("10", Format::Npy), ("9", Format::Aedat4)] {
        for i in 0..10 {
            write_recording(&folder.path().join(class).join(format!("{i}.anything")), format, 20 + i);
        }
    }
    let set = opened(folder.path()).unwrap();
    assert_eq!((set.kind, set.shape(&FrameSpec::default())), (Kind::Events, [2, 10, 12]));
    assert_eq!(set.class_names, ["9", "10"], "numbers by size");
    assert_eq!((set.train.len(), set.test.len()), (16, 4));
    assert_eq!(set.test.labels(), [0, 0, 1, 1]);
    assert_eq!(
        set.notes,
        ["split stratified, seed 0: 16 training and 4 test samples, checksum e382b81f56c832c2"]
    );
    assert_eq!(set.notes, opened(folder.path()).unwrap().notes);
    assert!(load(&*set.train, 0).iter().sum::<f32>() >= 20.0);

    // A larger recording in the other part is another sensor, from which frames are scaled.
    let identities = |set: &DataSet| [&set.train, &set.test].map(|part| part.identity().unwrap().unwrap());
    let before = identities(&set);
    let large = Recording { sensor: Sensor { width: 14, height: 10 }, ..recording(25) };
    let file = folder.path().join("9/11.anything");
    write(&file, Format::Aedat4, &large).unwrap();
    let with_large = opened(folder.path()).unwrap();
    assert_eq!(with_large.train.sensor(), Some(large.sensor));
    let after = identities(&with_large);
    fs::remove_file(file).unwrap();
    assert!(
        before.iter().zip(&after).all(
            |(before, after)| before.starts_with("sensor 12x10\n") && after.starts_with("sensor 14x10\n")
        )
    );

    let checked = check(&*set.train, 2, &mut |_| ());
    assert_eq!((checked.of_class, checked.damaged.len(), checked.doubtful.len()), (vec![8, 8], 0, 0));
    let test: u64 = check(&*set.test, 2, &mut |_| ()).events;
    assert_eq!(checked.events + test, 2 * (20..30).sum::<u64>());
}

#[test]
fn parts_are_known_by_other_names_too() {
    let with = |parts: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        for (part, count) in parts.iter().zip([10, 5, 6]) {
            for (class, i) in ["car", "train"].iter().flat_map(|class| (0..count).map(move |i| (class, i))) {
                write_image(&folder.path().join(part).join(class).join(format!("{i}.png")), i);
            }
            fs::write(folder.path().join(part).join("car/Thumbs.db"), "of the system").unwrap();
        }
        let set = opened(folder.path()).unwrap();
        assert_eq!(set.class_names, ["car", "train"]);
        ([set.train.len(), set.test.len()], set.notes)
    };
    assert_eq!(with(&["Train", "Test"]), ([20, 10], vec![]));
    let (sizes, notes) = with(&["training", "val"]);
    assert_eq!((sizes, &*notes[0]), ([20, 10], "val is the test part: there is no other"));
    let (sizes, notes) = with(&["train", "test", "valid"]);
    assert_eq!(sizes, [20, 10]);
    assert_eq!(notes, ["valid is not used: a run draws its validation samples from train"]);
    let (sizes, notes) = with(&["train"]);
    assert!(sizes == [16, 4] && notes[0].starts_with("split stratified, seed 0: 16 training"), "{notes:?}");
    // A class may have the name of a part.
    assert_eq!(with(&["."]).0, [16, 4]);
}

#[test]
fn a_recording_that_begins_like_an_image_is_one() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        fs::create_dir(folder.path().join(class)).unwrap();
        for i in 0..5 {
            // The first event at x 80, y 53 is `P5`, that at x 66, y 77 `BM`.
            let event = |[x, y]: [u8; 2]| [x, y, 0x80, 0, i, 1, 2, 0, 1, i];
            let bytes = event(if class == "a" { *b"P5" } else { *b"BM" });
            fs::write(folder.path().join(class).join(format!("{i}.bin")), bytes).unwrap();
        }
    }
    let set = opened(folder.path()).unwrap();
    assert_eq!((set.kind, set.train.len()), (Kind::Events, 8));
    let grey = folder.path().join("grey.pgm");
    fs::write(&grey, b"P5 2 2 255\n1234").unwrap();
    assert_eq!(kind_of(&grey).unwrap(), Some(Kind::Still));
    fs::write(&grey, "neither").unwrap();
    assert_eq!(kind_of(&grey).unwrap(), None);
}

#[test]
fn what_is_no_set_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let told = |parts: &[&str]| {
        let error = opened(folder.path()).map(|_| "opened").unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    assert!(
        opened(&folder.path().join("absent"))
            .map(|_| ())
            .unwrap_err()
            .contains("expected a folder with a subfolder for each class, found none")
    );
    told(&["expected from 2 to 256 subfolders, one for each class, found 0"]);
    fs::create_dir_all(folder.path().join("a")).unwrap();
    fs::create_dir_all(folder.path().join("b")).unwrap();
    told(&["expected files in CLASS/, or in train/CLASS/ and test/CLASS/, found none"]);
    write_image(&folder.path().join("a/0.png"), 1);
    told(&["expected 5 files or more, of which a fifth is the test part, found 1"]);
    for i in 0..5 {
        write_image(&folder.path().join(format!("a/{i}.png")), 1);
        write_image(&folder.path().join(format!("b/{i}.png")), 2);
    }
    opened(folder.path()).unwrap();
    let odd = folder.path().join("b/odd");
    let with = |bytes: &[u8], parts: &[&str]| {
        fs::write(&odd, bytes).unwrap();
        told(&[&["b/odd: expected "], parts].concat());
    };
    with(b"words", &["an image (PNG, JPEG, PNM, BMP, GIF) or a recording, found neither"]);
    with(
        &to_bytes(Format::Evt2, &recording(5)).unwrap(),
        &["an image, as the first file is, found a recording"],
    );
    let png = fs::read(folder.path().join("a/0.png")).unwrap();
    with(&png[..20], &["an intact image"]);
    fs::remove_file(&odd).unwrap();
    GrayImage::new(7, 5).save(folder.path().join("b/odd.png")).unwrap();
    told(&["b/odd.png: expected 6x5 pixels, as in ", "found 7x5"]);
}

#[test]
fn an_image_that_is_damaged_later_is_found_by_a_check() {
    let folder = tempfile::tempdir().unwrap();
    for (part, class) in [("train", "a"), ("train", "b"), ("test", "a")] {
        write_image(&folder.path().join(part).join(class).join("0.png"), 1);
    }
    let set = opened(folder.path()).unwrap();
    let file = folder.path().join("train/b/0.png");
    let mut png = fs::read(&file).unwrap();
    let middle = png.len() / 2;
    png[middle] ^= 0xff;
    fs::write(&file, png).unwrap();
    let mut progress = Vec::new();
    let checked = check(&*set.train, 2, &mut |done| progress.push(done));
    assert_eq!((checked.damaged.len(), checked.damaged[0].0, progress), (1, 1, vec![0, 2]));
    assert!(checked.damaged[0].1.contains("b/0.png: expected an intact image"), "{}", checked.damaged[0].1);
}

#[test]
fn gestures_are_cut_out_of_their_recordings() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("dvs128-gesture/DvsGesture");
    for name in ["user01_led", "user02_led"] {
        // 100 µs an event: gestures of 100 and 50 events, of which 20 are of both.
        write_recording(&root.join(format!("{name}.aedat")), Format::Aedat31, 1000);
        let table = "class,startTime_usec,endTime_usec\n11,10000,20000\n1,18000,23000\n";
        fs::write(root.join(format!("{name}_labels.csv")), table).unwrap();
    }
    fs::write(root.join("trials_to_train.txt"), "user01_led.aedat\nuser09_lab.aedat\n\n").unwrap();
    fs::write(root.join("trials_to_test.txt"), "user02_led.aedat\r\n").unwrap();
    let locations = Locations::from_folders(vec![folder.path().to_owned()]);
    let set = open("dvs128-gesture", &locations).unwrap();
    assert_eq!((set.classes, set.shape(&FrameSpec::default())), (11, [2, 128, 128]));
    assert_eq!((set.train.labels(), set.test.labels()), (vec![10, 0], vec![10, 0]));
    assert_eq!(set.class_names[10], "other gestures");
    assert_eq!(set.notes, ["partial: 2 of 1,176 training samples", "partial: 2 of 288 test samples"]);
    let part = |i| set.train.recording(i).unwrap().unwrap().events;
    assert_eq!(part(0), recording(1000).events[100..200]);
    assert_eq!(part(1), recording(1000).events[180..230]);
    let identity = || open("dvs128-gesture", &locations).unwrap().train.identity().unwrap();
    let before = identity();
    fs::write(root.join("user01_led_labels.csv"), "class,startTime_usec,endTime_usec\n2,1,2\n").unwrap();
    assert_ne!(identity(), before);

    let told = |part: &str| {
        let error = open("dvs128-gesture", &locations).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    fs::write(root.join("user01_led_labels.csv"), "class,startTime_usec,endTime_usec\n12,1,2\n").unwrap();
    told("user01_led_labels.csv");
    fs::write(root.join("trials_to_train.txt"), "user09_lab.aedat\n").unwrap();
    told("expected recordings that trials_to_train.txt names, found none");
    fs::remove_file(root.join("trials_to_train.txt")).unwrap();
    told("expected trials_to_train.txt, found none");
}

#[test]
fn the_splits_of_cifar10_dvs_have_names() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("cifar10-dvs");
    for class in ["airplane", "truck"] {
        for i in 0..20 {
            write_recording(
                &root.join(class).join(format!("cifar10_{class}_{i}.aedat")),
                Format::Aedat2,
                20 + i,
            );
        }
    }
    let locations = Locations::from_folders(vec![folder.path().to_owned()]);
    let set = |name: &str| open(name, &locations).unwrap();
    let first = set("cifar10-dvs");
    assert_eq!((first.classes, first.shape(&FrameSpec::default())), (10, [2, 128, 128]));
    assert_eq!((first.train.len(), first.test.labels()), (36, vec![0, 0, 9, 9]));
    // By name, 8 and 9 are the last of 0 to 19.
    let events = |i| first.test.recording(i).unwrap().unwrap().events.len();
    assert_eq!([events(0), events(1)], [28, 29]);
    let upright = |event: &Event| Event { x: event.y, y: event.x, ..*event };
    let expected: Vec<Event> = recording(28).events.iter().map(upright).collect();
    assert_eq!(first.test.recording(0).unwrap().unwrap().events, expected);
    assert_eq!(
        first.notes[..2],
        ["partial: 36 of 9,000 training samples", "partial: 4 of 1,000 test samples"]
    );
    assert!(
        first.notes[2].starts_with("split first-90: 36 training and 4 test samples, checksum "),
        "{}",
        first.notes[2]
    );
    let drawn = set("CIFAR10_DVS_stratified");
    assert_eq!((drawn.train.len(), drawn.test.labels()), (36, vec![0, 0, 9, 9]));
    assert!(
        drawn.notes[2].starts_with("split stratified, seed 0: 36 training and 4 test samples"),
        "{}",
        drawn.notes[2]
    );
    assert_ne!(drawn.notes[2].split_once("checksum"), first.notes[2].split_once("checksum"));

    // A recording of a larger sensor does not fit.
    let large = Recording { sensor: Sensor { width: 129, height: 10 }, ..recording(20) };
    write(&root.join("truck/cifar10_truck_0.aedat"), Format::Dat, &large).unwrap();
    let error = set("cifar10-dvs").train.recording(18).unwrap_err().to_string();
    let told = "expected a recording of the 128x128 sensor, found one of 10x129";
    assert!(error.contains("cifar10_truck_0.aedat") && error.contains(told), "{error}");
    let checked = check(&*set("cifar10-dvs").train, 10, &mut |_| ());
    assert_eq!(checked.damaged.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [18]);
}
