//! `synfire data`: what is listed, drawn, converted and simulated, and what is refused.

mod common;

use common::{Sandbox, TINY_NMNIST, json_lines, recording, write_nmnist};
use image::{GrayImage, Luma};
use synfire_events::{Format, read, to_bytes};

/// A sandbox with an N-MNIST recording `three.bin` of 120 events.
fn with_recording() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("three.bin", to_bytes(Format::Nmnist, &recording(10, 3)).unwrap());
    sandbox
}

#[test]
fn sets_and_formats_are_listed_with_their_places() {
    let sandbox = Sandbox::new();
    write_nmnist(&sandbox, "data");
    let lines = json_lines(&sandbox.ok(&["data", "list", "--data-dir", "data", "--json"]));
    let set = |name: &str| lines.iter().find(|line| line["set"] == name).unwrap();
    assert_eq!(
        (&set("digits")["built_in"], &set("digits")["folder"]),
        (&true.into(), &serde_json::Value::Null)
    );
    assert_eq!(set("nmnist")["folder"], "data/nmnist");
    assert!(set("mnist")["folder"].is_null());
    assert!(Format::all().all(|format| lines.iter().any(|line| line["format"] == format.name())));
    let text = sandbox.ok(&["data", "list"]);
    assert!(
        text.contains(
            "`synfire data fetch nmnist` downloads it; expected is a folder nmnist with Train/DIGIT/*.bin"
        ),
        "{text}"
    );
}

#[test]
fn a_recording_is_drawn_as_picture_and_film() {
    let sandbox = with_recording();
    let said = sandbox.ok(&["data", "show", "three.bin", "-o", "three.png"]);
    assert!(said.starts_with("120 events of a 34x34 sensor"), "{said}");
    let picture = image::open(sandbox.path("three.png")).unwrap().into_rgb8();
    assert!(picture.width() >= 1200 && picture.height() > 400);
    // Both polarities are there: blue and orange.
    let has = |test: fn(&[u8; 3]) -> bool| picture.pixels().any(|pixel| test(&pixel.0));
    assert!(has(|[r, _, b]| *b > 150 && *b > 2 * r) || has(|[r, _, b]| *r > 150 && *r > 2 * b));

    let lines =
        json_lines(&sandbox.ok(&["data", "show", "three.bin", "-o", "a.gif", "--frames", "3", "--json"]));
    assert_eq!((&lines[0]["events"], &lines[0]["frames"]), (&120.into(), &3.into()));
    let film = image::codecs::gif::GifDecoder::new(std::io::Cursor::new(sandbox.bytes("a.gif"))).unwrap();
    assert_eq!(image::AnimationDecoder::into_frames(film).count(), 3);

    // What is there stays, unless it is to be replaced.
    sandbox.fails(&["data", "show", "three.bin", "-o", "a.gif"], 2, &["a.gif is there already", "--force"]);
    sandbox.ok(&["data", "show", "three.bin", "-o", "a.gif", "--frames", "2", "--force"]);
    sandbox.ok(&["data", "show", "gestures", "--sample", "4", "--test", "-o", "gesture.png"]);
}

#[test]
fn what_cannot_be_drawn_is_told() {
    let sandbox = with_recording();
    sandbox.fails(
        &["data", "show", "three.bin", "-o", "three.tiff"],
        2,
        &["three.tiff: expected .png or .gif"],
    );
    sandbox.fails(&["data", "show", "absent.bin", "-o", "a.png"], 1, &["absent.bin"]);
    sandbox.fails(&["data", "show", "three.bin", "-o", "nowhere/a.png"], 1, &["nowhere/a.png"]);
    sandbox.fails(&["data", "show", "three.bin", "-o", "a.png", "--frames", "0"], 2, &["--frames"]);
    let show = |from: &str, sample: &str, code: i32, told: &str| {
        sandbox.fails(&["data", "show", from, "--sample", sample, "-o", "a.png"], code, &[told]);
    };
    show("gestures", "99999", 2, "there are 1177 samples");
    show("gesturs", "0", 2, "did you mean gestures?");
    let of_set = |from: &str, told: &str| sandbox.fails(&["data", "show", from, "-o", "a.png"], 2, &[told]);
    of_set("gestures", "gestures is a data set: --sample N names a recording of it");
    let many = ["data", "show", "three.bin", "-o", "a.png", "--frames", "65"];
    sandbox.fails(&many, 2, &["--frames 65: a picture shows 64 at most, a film (.gif) 512"]);
    show("digits", "0", 2, "are images, not recordings");
    sandbox.write("words.txt", "many words");
    sandbox.fails(&["data", "show", "words.txt", "-o", "a.png"], 1, &["words.txt", "no known format"]);
    assert!(!sandbox.path("a.png").exists());
}

#[test]
fn recordings_are_converted_to_every_format_and_back() {
    let sandbox = with_recording();
    let events = read(&sandbox.path("three.bin")).unwrap().events;
    for format in Format::all() {
        let name = format.name();
        let line = &json_lines(&sandbox.ok(&[
            "data",
            "convert",
            "three.bin",
            "-o",
            name,
            "--format",
            name,
            "--json",
        ]))[0];
        assert_eq!((&line["events"], &line["from"]), (&120.into(), &"nmnist".into()));
        assert_eq!((&line["format"], &line["width"]), (&name.into(), &34.into()));
        let back = format!("{name}.bin");
        sandbox.ok(&["data", "convert", name, "-o", &back]);
        assert!(read(&sandbox.path(&back)).unwrap().events == events, "{name}");
    }
    let convert = |more: &[&str], code: i32, told: &[&str]| {
        sandbox.fails(&[&["data", "convert", "three.bin", "-o"], more].concat(), code, told);
    };
    convert(&["three.xyz"], 2, &["three.xyz: --format is needed", "ends in .raw, .dat, ", ".bin"]);
    convert(&["three.xyz", "--format", "mp3"], 2, &["unknown format \"mp3\"", "nmnist"]);
    convert(&["nmnist", "--format", "nmnist"], 2, &["nmnist is there already"]);
    sandbox.write("cut.bin", &sandbox.bytes("three.bin")[..203]);
    sandbox.fails(
        &["data", "convert", "cut.bin", "-o", "b.bin"],
        1,
        &["cut.bin", "at byte 200", "3 more bytes"],
    );
    assert!(!sandbox.path("b.bin").exists());
    let kept =
        sandbox.run(&["data", "convert", "cut.bin", "-o", "b.evt2", "--format", "evt2", "--keep-readable"]);
    assert_eq!(kept.code, 0);
    assert!(
        kept.err.contains("warning: cannot read cut.bin") && kept.err.contains("at byte 200"),
        "{}",
        kept.err
    );
    assert_eq!(read(&sandbox.path("b.evt2")).unwrap().events, events[..40]);
    // What a format has no room for is told.
    let notes = |format: &str| {
        let convert = ["data", "convert", "b.evt2", "-o", "noted", "--force", "--json", "--format", format];
        json_lines(&sandbox.ok(&convert))[0]["notes"].clone()
    };
    assert_eq!(notes("aedat4"), serde_json::json!([]));
    let told = notes("npy")[0].as_str().unwrap().to_owned();
    assert!(
        told.contains("npy do not tell the sensor: instead of 34x34, readers will take as much"),
        "{told}"
    );
}

#[test]
fn what_has_room_for_no_large_time_may_begin_at_zero() {
    let sandbox = with_recording();
    let late: String = (0..9).map(|i| format!("{},1,2,1\n", 6_000_000_000_i64 + i)).collect();
    sandbox.write("late.csv", format!("t,x,y,p\n{late}"));
    let convert = ["data", "convert", "late.csv", "-o", "late.dat"];
    sandbox.fails(
        &convert,
        1,
        &["expected a time from 0 to 4294967295 µs", "--from-zero lets times begin at 0"],
    );
    sandbox.ok(&[&convert[..], &["--from-zero"]].concat());
    assert_eq!(read(&sandbox.path("late.dat")).unwrap().events[8].t, 8);
}

#[test]
fn a_recording_is_told_about() {
    let sandbox = with_recording();
    let text = sandbox.ok(&["data", "info", "three.bin"]);
    for told in ["three.bin: an N-MNIST recording, 600 bytes", "34x34", "120, ", "problems     none found"] {
        assert!(text.contains(told), "{told} in {text}");
    }
    sandbox.write("cut.bin", &sandbox.bytes("three.bin")[..203]);
    sandbox.write("words.txt", "many words");
    let ran = sandbox.run(&["data", "info", "words.txt", "cut.bin", "three.bin"]);
    ran.failed(1, &["words.txt", "no known format", "cut.bin", "at byte 200"], "info");
    let text = &ran.out;
    assert!(text.contains("problem      damaged: at byte 200 expected the end of the file"), "{text}");
    assert!(text.contains("events       40, "), "what lies before the damage: {text}");
    assert!(text.contains("three.bin: an N-MNIST recording"), "{text}");
    let line = &json_lines(&sandbox.ok(&["data", "info", "three.bin", "--json"]))[0];
    assert_eq!(
        (&line["format"], &line["events"], &line["width"]),
        (&"nmnist".into(), &120.into(), &34.into())
    );
    assert_eq!((&line["problems"], &line["bytes"]), (&serde_json::json!([]), &600.into()));
    sandbox.fails(&["data", "info"], 2, &["<FILE>"]);
}

#[test]
fn a_part_of_a_recording_is_written() {
    let sandbox = with_recording();
    let whole = read(&sandbox.path("three.bin")).unwrap().events;
    let first = whole[0].t;
    let convert = |more: &[&str]| {
        let start = ["data", "convert", "three.bin", "--force", "-o", "part.npy"];
        let said = sandbox.ok(&[&start[..], more].concat());
        (said, read(&sandbox.path("part.npy")).unwrap())
    };
    let (said, part) = convert(&["--from", "1ms", "--to", "3ms"]);
    let expected: Vec<_> =
        whole.iter().filter(|event| (1000..3000).contains(&(event.t - first))).copied().collect();
    assert!(part.events == expected && expected.len() < 120, "{}", expected.len());
    assert!(said.starts_with(&format!("{} of 120 events of a 34x34 sensor", expected.len())), "{said}");
    let (_, part) = convert(&["--crop", "4,2,20x30"]);
    let inside = |x: u16, y: u16| (4..24).contains(&x) && (2..32).contains(&y);
    assert_eq!(part.events.len(), whole.iter().filter(|event| inside(event.x, event.y)).count());
    let (_, part) = convert(&["--from", "1ms", "--from-zero"]);
    let later = |event: &synfire_events::Event| event.t >= first + 1000;
    let expected: Vec<i64> =
        whole.iter().filter(|event| later(event)).map(|event| event.t - first - 1000).collect();
    assert_eq!(part.events.iter().map(|event| event.t).collect::<Vec<_>>(), expected);
    let (_, part) = convert(&["--denoise", "1s", "--drop-hot-pixels"]);
    assert!(part.events.len() <= 120);

    let refused = |more: &[&str], code: i32, told: &str| {
        sandbox.fails(&[&["data", "convert", "three.bin", "-o", "none.npy"], more].concat(), code, &[told]);
    };
    refused(&["--crop", "4,2"], 2, "expected X,Y,WIDTHxHEIGHT");
    refused(
        &["--crop", "4,2,31x1"],
        2,
        "cannot crop: expected a part of the 34x34 sensor, found 31x1 at x 4, y 2",
    );
    refused(&["--from", "5"], 2, "unknown span of time");
    refused(&["--from", "3ms", "--to", "3ms"], 2, "--from must be before --to");
    refused(&["--from", "50s", "--to", "60s"], 1, "no event is left of 120");
    assert!(!sandbox.path("none.npy").exists());
}

/// A bright square at a column of a dark image.
fn square(column: u32) -> GrayImage {
    GrayImage::from_fn(28, 28, |x, y| {
        Luma([if x.abs_diff(column) < 4 && y.abs_diff(14) < 4 { 220 } else { 20 }])
    })
}

#[test]
fn images_and_videos_become_simulated_recordings() {
    let sandbox = Sandbox::new();
    square(14).save(sandbox.path("square.png")).unwrap();
    let said = sandbox.ok(&["data", "simulate", "square.png", "-o", "saccades.bin"]);
    assert!(said.contains("simulated events of a 34x34 sensor"), "{said}");
    let saccades = read(&sandbox.path("saccades.bin")).unwrap();
    assert!(saccades.events.len() > 500 && saccades.events.iter().all(|event| event.t <= 300_000));
    // The same seed gives the same bytes.
    sandbox.ok(&["data", "simulate", "square.png", "-o", "again.bin"]);
    assert_eq!(sandbox.bytes("again.bin"), sandbox.bytes("saccades.bin"));
    sandbox.ok(&["data", "simulate", "square.png", "-o", "other.bin", "--seed", "1"]);
    assert_ne!(sandbox.bytes("other.bin"), sandbox.bytes("saccades.bin"));
    let lines = json_lines(&sandbox.ok(&[
        "data",
        "simulate",
        "square.png",
        "-o",
        "loop.bin",
        "--protocol",
        "loop",
        "--json",
    ]));
    assert_eq!((&lines[0]["simulated"], &lines[0]["width"]), (&true.into(), &128.into()));

    // A square that moves to the right, 100 frames a second: its right edge makes on events, its left edge off events.
    std::fs::create_dir(sandbox.path("video")).unwrap();
    for i in 0..10 {
        square(6 + i).save(sandbox.path(&format!("video/{i:03}.png"))).unwrap();
    }
    sandbox.ok(&["data", "simulate", "video", "-o", "video.aedat4", "--noise-hz", "0", "--mismatch", "0"]);
    let video = read(&sandbox.path("video.aedat4")).unwrap();
    // The file says so itself, and what is made of it.
    let info =
        |file: &str| json_lines(&sandbox.ok(&["data", "info", file, "--json"]))[0]["simulated"].clone();
    assert_eq!((info("video.aedat4"), info("saccades.bin")), (true.into(), false.into()));
    assert!(sandbox.ok(&["data", "info", "video.aedat4"]).contains("simulated: no camera made it"));
    for format in ["evt2", "evt3", "dat", "aedat2", "aedat3.1", "aedat4"] {
        sandbox.ok(&["data", "convert", "video.aedat4", "-o", format, "--format", format]);
        assert_eq!(info(format), true, "{format}");
    }
    let noted =
        json_lines(&sandbox.ok(&["data", "convert", "evt3", "-o", "a.npz", "--json"]))[0]["notes"].clone();
    assert_eq!(noted[1], "files of the format npz do not tell that a recording is simulated");
    let mean_x = |on: bool| {
        let some: Vec<f64> =
            video.events.iter().filter(|event| event.on == on).map(|event| f64::from(event.x)).collect();
        some.iter().sum::<f64>() / some.len() as f64
    };
    assert!(mean_x(true) > mean_x(false) + 6.0);
    assert!((80_000..=90_000).contains(&video.events[video.events.len() - 1].t));
}

#[test]
fn simulated_sets_are_written_as_folders_of_classes() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["data", "simulate", "gestures", "-o", "gestures", "--samples", "11"]);
    let folders = std::fs::read_dir(sandbox.path("gestures/train")).unwrap().count();
    assert_eq!(folders, 11);
    let first = read(&sandbox.path("gestures/train/clockwise/00000.aedat4")).unwrap();
    assert!(first.events.len() > 300);
    assert!(sandbox.ok(&["data", "info", "gestures/train/clockwise/00000.aedat4"]).contains("simulated"));
    sandbox.fails(&["data", "simulate", "gestures", "-o", "gestures"], 2, &["gestures is there already"]);
    // A name is the set's, whatever folder is there.
    sandbox.ok(&["data", "simulate", "gestures", "-o", "again", "--samples", "1"]);
    let told = ["./gestures: expected two images at least, found 0"];
    sandbox.fails(&["data", "simulate", "./gestures", "-o", "a.aedat4"], 1, &told);
}

#[test]
fn what_cannot_be_simulated_is_told() {
    let sandbox = Sandbox::new();
    square(14).save(sandbox.path("square.png")).unwrap();
    let simulate = |more: &[&str], code: i32, told: &[&str]| {
        sandbox.fails(&[&["data", "simulate"], more].concat(), code, told);
    };
    simulate(
        &["square.png", "-o", "a.bin", "--threshold-on", "0"],
        2,
        &["the on threshold to be a number of at least 0.001"],
    );
    simulate(&["square.png", "-o", "a.bin", "--noise-hz", "nan"], 2, &["the noise"]);
    simulate(&["square.png", "-o", "a.bin", "--refractory-us=-1"], 2, &["refractory period"]);
    simulate(
        &["square.png", "-o", "a.bin", "--threshold-on", "9", "--threshold-off", "9", "--noise-hz", "0"],
        1,
        &["saw no change"],
    );
    simulate(&["digits", "-o", "a"], 2, &["digits is no simulated set"]);
    simulate(&["absent.png", "-o", "a.bin"], 1, &["absent.png"]);
    sandbox.write("words.txt", "many words");
    simulate(&["words.txt", "-o", "a.bin"], 1, &["words.txt", "expected an image"]);
    std::fs::create_dir(sandbox.path("video")).unwrap();
    square(3).save(sandbox.path("video/0.png")).unwrap();
    simulate(&["video", "-o", "a.bin"], 1, &["video: expected two images at least, found 1"]);
    GrayImage::new(5, 6).save(sandbox.path("video/1.png")).unwrap();
    simulate(&["video", "-o", "a.bin"], 1, &["1.png: expected 28x28 pixels", "found 5x6"]);
    simulate(&["video", "-o", "a.bin", "--fps", "0"], 2, &["--fps 0"]);
    // What means nothing is refused, not passed over.
    simulate(
        &["video", "-o", "a.bin", "--protocol", "loop"],
        2,
        &["video: --protocol means nothing for a video"],
    );
    simulate(&["square.png", "-o", "a.bin", "--fps", "9"], 2, &["--fps means nothing for an image"]);
    let both = ["gestures", "-o", "a", "--dark", "0.2", "--seed", "1", "--fps", "9"];
    simulate(&both, 2, &["gestures: --dark, --seed, --fps means nothing for a set"]);
    simulate(&["square.png", "-o", "a.bin", "--samples", "9"], 2, &["--samples means nothing for an image"]);
    simulate(&["gesture", "-o", "a"], 2, &["unknown data set \"gesture\"", "gestures"]);
    simulate(&["mnist", "-o", "a", "--data-dir", "video"], 1, &["mnist"]);
    simulate(
        &["digits", "-o", "a"],
        2,
        &["digits is no simulated set; a folder of that name is written ./digits"],
    );
    assert!(!sandbox.path("a.bin").exists() && !sandbox.path("a").exists());
}

#[test]
fn training_keeps_frames_in_the_cache_and_comes_to_the_same() {
    let sandbox = Sandbox::new();
    write_nmnist(&sandbox, "data");
    let train = |out: &str, more: &[&str]| {
        sandbox.ok(&[&["train", "--data-dir", "data", "--out", out], TINY_NMNIST, more].concat());
    };
    train("without", &["--no-cache"]);
    let list = || json_lines(&sandbox.ok(&["data", "cache", "list", "--json"]));
    assert!(list().is_empty());
    train("first", &[]);
    let files = list();
    let contents: Vec<&str> = files.iter().map(|file| file["content"].as_str().unwrap()).collect();
    assert_eq!(contents, ["nmnist test, 4 frames by count", "nmnist train, 4 frames by count"]);
    train("second", &[]);
    assert_eq!(list(), files);
    sandbox.assert_same_checkpoints("without", "first");
    sandbox.assert_same_checkpoints("without", "second");
    assert!(sandbox.ok(&["data", "cache", "list"]).contains("nmnist train, 4 frames by count"));
    assert!(sandbox.ok(&["data", "cache", "clear"]).starts_with("removed "));
    assert!(list().is_empty());
}

#[test]
fn what_would_be_fetched_is_listed() {
    let sandbox = Sandbox::new();
    let said = sandbox.ok(&["data", "fetch", "MNIST", "--list-urls"]);
    assert!(said.starts_with("train-images-idx3-ubyte.gz: 9,912,422 bytes, MD5 f68b3c2d"), "{said}");
    assert!(said.contains("\n  https://") && !sandbox.path("no-cache").exists(), "{said}");
    let lines = json_lines(&sandbox.ok(&["data", "fetch", "cifar10-dvs", "--list-urls", "--json"]));
    assert_eq!((lines.len(), &lines[9]["unpacked_to"]), (10, &"truck".into()));
    assert_eq!(lines[0]["urls"][0], "https://api.figshare.com/v2/file/download/7712788");
}

#[test]
fn a_set_that_is_there_is_left_and_a_part_of_one_told() {
    let sandbox = Sandbox::new();
    for i in 1..=5 {
        sandbox.write(&format!("data/cifar-10/data_batch_{i}.bin"), "");
    }
    sandbox.write("data/cifar-10/test_batch.bin", "");
    let fetch = ["data", "fetch", "cifar-10", "--data-dir", "data"];
    let said = sandbox.ok(&[&fetch[..], &["--quiet"]].concat());
    assert_eq!(said.trim(), "cifar-10 is there already: data/cifar-10");
    let lines = json_lines(&sandbox.ok(&[&fetch[..], &["--json"]].concat()));
    assert_eq!((&lines[0]["event"], &lines[1]["event"]), (&"there".into(), &"done".into()));
    assert_eq!((&lines[1]["received"], &lines[1]["placed"]), (&0.into(), &0.into()));
    write_nmnist(&sandbox, "data");
    let told = ["data/nmnist/Train is a part: expected 60,000 files that end in .bin, found 16"];
    sandbox.fails(&["data", "fetch", "nmnist", "--data-dir", "data"], 1, &told);
    sandbox.write("data/mnist/train-images-idx3-ubyte.gz", "");
    let told = ["train-images-idx3-ubyte.gz is another file: expected the file, found 0 bytes"];
    sandbox.fails(&["data", "fetch", "mnist", "--data-dir", "data"], 1, &told);
}

#[test]
fn a_set_that_no_program_may_download_says_what_to_do() {
    let sandbox = Sandbox::new();
    let told = [
        "dvs128-gesture has to be downloaded by hand",
        "https://ibm.ent.box.com/",
        "DvsGesture.tar.gz (MD5 8a5c71fb11e24e5ca5b11866ca6c00a1)",
        "put it at new/dvs128-gesture/DvsGesture.tar.gz",
        "synfire data fetch dvs128-gesture --data-dir new",
    ];
    sandbox.fails(&["data", "fetch", "dvs128-gesture", "--data-dir", "new"], 1, &told);
    // Without a folder it is the user's cache.
    let told = ["no-cache/synfire/data/dvs128-gesture/DvsGesture.tar.gz"];
    sandbox.fails(&["data", "fetch", "dvs128-gesture"], 1, &told);
}

#[test]
fn what_cannot_be_fetched_is_told() {
    let sandbox = Sandbox::new();
    sandbox.fails(&["data", "fetch", "digits"], 2, &["digits is built in", "cifar10-dvs"]);
    sandbox.fails(&["data", "fetch", "mnits"], 2, &["did you mean mnist?"]);
    sandbox.fails(&["data", "fetch"], 2, &["<SET>"]);
    sandbox.write("file", "");
    sandbox.fails(
        &["data", "fetch", "mnist", "--data-dir", "file/x"],
        1,
        &["cannot create --data-dir file/x"],
    );
    sandbox.fails(&["train", "mnist"], 1, &["`synfire data fetch mnist` downloads it"]);
}
