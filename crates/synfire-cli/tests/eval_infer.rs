//! `synfire eval` and `synfire infer`.

mod common;

use common::{Sandbox, TINY_NMNIST, json_lines, recording, write_nmnist};
use image::{GrayImage, Luma};
use synfire_events::{Format, Recording, Sensor, to_bytes};

#[test]
fn eval_repeats_the_test_of_the_run() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    let summary: serde_json::Value = serde_json::from_slice(&sandbox.bytes("run/summary.json")).unwrap();
    for path in ["run", "run/checkpoints/best.safetensors"] {
        let lines = json_lines(&sandbox.ok(&["eval", path, "--json"]));
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["result"]["accuracy"], summary["test_accuracy"]);
        assert_eq!(lines[0]["result"]["samples"], summary["test_samples"]);
    }
    let text = sandbox.ok(&["eval", "run"]);
    assert!(text.starts_with("T = 4: test accuracy "), "{text}");
    assert!(text.contains("of 360") || text.lines().count() > 10, "a line per class: {text}");
    assert!(text.contains("firing rate") && text.contains("layers.3 (4C3)"), "{text}");
}

#[test]
fn answers_are_told_before_the_last_step() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    let result = json_lines(&sandbox.ok(&["eval", "run", "--json"]))[0]["result"].clone();
    let after = result["anytime"]["accuracy"].as_array().unwrap();
    assert_eq!((after.len(), &after[3]), (4, &result["accuracy"]));
    // The first step of four is the only one of one: neurons know nothing of later ones.
    let one = json_lines(&sandbox.ok(&["eval", "run", "--json", "-T", "1"]))[0]["result"]["accuracy"].clone();
    assert_eq!(after[0], one);
    let exits = result["anytime"]["exits"].as_array().unwrap();
    let steps: Vec<f64> = exits.iter().map(|exit| exit["mean_steps"].as_f64().unwrap()).collect();
    assert!(steps.is_sorted() && steps.iter().all(|steps| (1.0..=4.0).contains(steps)), "{steps:?}");
    let text = sandbox.ok(&["eval", "run", "--anytime"]);
    assert!(text.contains("  after step   4: ") && text.contains("  once certain to 90.0 %: "), "{text}");
}

#[test]
fn eval_takes_time_steps_and_parts() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    let lines = json_lines(&sandbox.ok(&["eval", "run", "--json", "--time-steps", "1,2,8"]));
    let steps: Vec<_> = lines.iter().map(|line| line["time_steps"].as_u64().unwrap()).collect();
    assert_eq!(steps, [1, 2, 8]);
    let samples = |part: &str| {
        json_lines(&sandbox.ok(&["eval", "run", "--json", "--part", part]))[0]["result"]["samples"]
            .as_u64()
            .unwrap()
    };
    assert_eq!((samples("train"), samples("validation"), samples("test")), (160, 40, 360));
    let validation = &json_lines(&sandbox.ok(&["eval", "run", "--json", "--part", "validation"]))[0];
    let summary: serde_json::Value = serde_json::from_slice(&sandbox.bytes("run/summary.json")).unwrap();
    assert_eq!(validation["result"]["accuracy"], summary["validation_accuracy"]);
}

#[test]
fn infer_takes_images_and_samples() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    GrayImage::from_fn(16, 16, |x, y| Luma([if x / 4 == y / 4 { 255 } else { 0 }]))
        .save(sandbox.path("a.png"))
        .unwrap();
    image::RgbaImage::new(8, 8).save(sandbox.path("b.png")).unwrap();
    let lines = json_lines(&sandbox.ok(&["infer", "run", "a.png", "b.png", "--json"]));
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["input"], "a.png");
    assert!(lines[0]["class_index"].as_u64().unwrap() < 10);
    assert!((0.0..=1.0).contains(&lines[0]["certainty"].as_f64().unwrap()));
    assert!((1..=4).contains(&lines[0]["settled_after"].as_u64().unwrap()));
    let text = sandbox.ok(&["infer", "run", "--sample", "359"]);
    assert!(text.contains("digits test sample 359") && text.contains("labelled "), "{text}");
    sandbox.fails(&["infer", "run", "--sample", "360"], 2, &["--sample 360", "360 test samples"]);
}

#[test]
fn infer_takes_recordings() {
    let sandbox = Sandbox::new();
    write_nmnist(&sandbox, "data");
    sandbox.ok(&[&["train", "--data-dir", "data", "--out", "run"], TINY_NMNIST].concat());
    sandbox.write("seven.bin", to_bytes(Format::Nmnist, &recording(24, 3)).unwrap());
    let lines = json_lines(&sandbox.ok(&["infer", "run", "seven.bin", "--json"]));
    assert_eq!(lines[0]["input"], "seven.bin");
    // The run knows where its data were; another folder may be named.
    let text = sandbox.ok(&["infer", "run", "--sample", "3"]);
    assert!(text.contains("labelled 7"), "{text}");
    sandbox.ok(&["eval", "run/checkpoints/last.safetensors"]);
    std::fs::rename(sandbox.path("data"), sandbox.path("moved")).unwrap();
    sandbox.fails(&["infer", "run", "--sample", "3"], 2, &["data-dir", "there is no such folder"]);
    let text = sandbox.ok(&["infer", "run", "--sample", "3", "--data-dir", "moved"]);
    assert!(text.contains("labelled 7"), "{text}");

    GrayImage::new(34, 34).save(sandbox.path("a.png")).unwrap();
    sandbox.fails(&["infer", "run", "a.png"], 1, &["a.png", "trained on recordings, this is an image"]);
    sandbox.write("ragged.bin", [0; 12]);
    sandbox.fails(&["infer", "run", "ragged.bin"], 1, &["ragged.bin", "byte 10"]);
    sandbox.write("outside.bin", [34, 0, 0, 0, 0]);
    sandbox.fails(
        &["infer", "run", "outside.bin"],
        1,
        &["outside.bin", "expected a recording of the 34x34 sensor, found one of 304x240"],
    );
    sandbox.write("empty.bin", []);
    sandbox.fails(&["infer", "run", "empty.bin"], 1, &["empty.bin", "at least one event"]);
}

#[test]
fn infer_frames_recordings_as_the_run_did() {
    let sandbox = Sandbox::new();
    write_nmnist(&sandbox, "data");
    let frames = ["--frame-size", "17x16", "--downsampling", "sum", "--polarities", "merged"];
    let more = ["--framing", "15ms", "--frame-values", "binary", "--rotate", "5", "--jitter", "0.5"];
    let augment = ["--event-drop", "true", "--event-mix", "0.5"];
    let train = |out: &str| {
        let start = ["train", "--data-dir", "data", "--out", out];
        sandbox.ok(&[&start, TINY_NMNIST, &frames, &more, &augment].concat());
    };
    train("run");
    train("again");
    sandbox.assert_same_checkpoints("run", "again");
    sandbox.write("seven.bin", to_bytes(Format::Nmnist, &recording(24, 3)).unwrap());
    sandbox.ok(&["infer", "run", "seven.bin"]);
    sandbox.ok(&["eval", "run"]);

    // Frames are scaled from the sensor that was trained on, whatever a file tells of its own: the same events, the same answer.
    let seven = recording(24, 3);
    let output = |file: &str, format, sensor| {
        let recording = Recording { sensor, events: seven.events.clone() };
        sandbox.write(file, to_bytes(format, &recording).unwrap());
        let line = json_lines(&sandbox.ok(&["infer", "run", file, "--json"])).remove(0);
        (line["output"].clone(), line["warning"].as_str().unwrap_or_default().to_owned())
    };
    let known = output("seven.npy", Format::Npy, seven.sensor);
    assert_eq!(output("same.aedat4", Format::Aedat4, seven.sensor), known);
    assert_eq!(known.1, "");
    let (of_smaller, warning) = output("seven.aedat4", Format::Aedat4, Sensor { width: 30, height: 33 });
    assert_eq!(of_smaller, known.0);
    assert!(warning.contains("its sensor is 30x33, the network was trained on 34x34"), "{warning}");
    let larger = Recording { sensor: Sensor { width: 35, height: 34 }, events: seven.events };
    sandbox.write("larger.aedat4", to_bytes(Format::Aedat4, &larger).unwrap());
    let told = ["larger.aedat4", "of the 34x34 sensor, found one of 35x34"];
    sandbox.fails(&["infer", "run", "larger.aedat4"], 1, &told);
}

#[test]
fn infer_says_what_is_wrong_with_a_file() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    sandbox.write("fake.png", b"not a picture");
    sandbox.fails(&["infer", "run", "fake.png"], 1, &["fake.png"]);
    sandbox.fails(&["infer", "run", "absent.png"], 1, &["absent.png"]);
    sandbox.fails(&["infer", "run", "words.txt"], 1, &["words.txt"]);
    sandbox.write("words.txt", "many");
    let told = ["words.txt", "expected an image (PNG, JPEG, PNM, BMP, GIF) or a recording"];
    sandbox.fails(&["infer", "run", "words.txt"], 1, &told);
    sandbox.fails(&["infer", "run", "run"], 1, &["run:", "directory"]);
    sandbox.write("seven.bin", to_bytes(Format::Nmnist, &recording(24, 3)).unwrap());
    sandbox.fails(&["infer", "run", "seven.bin"], 1, &["seven.bin", "1x8x8", "2x34x34"]);
    sandbox.fails(&["infer", "run"], 2, &["<FILE>"]);
    sandbox.fails(&["infer", "absent", "a.png"], 1, &["absent"]);
    // An error ends the command after the results before it.
    GrayImage::new(8, 8).save(sandbox.path("a.png")).unwrap();
    let ran = sandbox.run(&["infer", "run", "a.png", "fake.png"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.starts_with("a.png: "), "{}", ran.out);
}

#[test]
fn energy_counts_what_a_network_does() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    let line = json_lines(&sandbox.ok(&["energy", "run", "--json", "--samples", "50"])).remove(0);
    assert_eq!((&line["operations"]["samples"], &line["operations"]["time_steps"]), (&50.into(), &4.into()));
    let number = |key: &str| line[key].as_f64().unwrap();
    assert!(number("effective_macs") + number("effective_acs") < number("dense"));
    let by_paper = &line["energy_pj"][2];
    let expected = 46.0 / (4.0 * number("firing_rate"));
    assert!((by_paper["ratio"].as_f64().unwrap() - expected).abs() < 1e-6 * expected);
    let memory =
        json_lines(&sandbox.ok(&["energy", "run", "--json", "--samples", "50", "--memory", "50"])).remove(0);
    let ann = |line: &serde_json::Value, place: usize| line["energy_pj"][place]["ann"].as_f64().unwrap();
    assert!(ann(&memory, 3) > 10.0 * ann(&memory, 0) && line["energy_pj"].as_array().unwrap().len() == 3);
    sandbox.fails(&["energy", "run", "--memory", "-1"], 2, &["--memory"]);
    let text = sandbox.ok(&["energy", "run", "-T", "2", "--samples", "3"]);
    assert!(
        text.contains("over 2 time steps, mean of 3 samples") && text.contains("paper's formula"),
        "{text}"
    );
    sandbox.fails(&["energy", "nowhere"], 1, &["nowhere"]);
    sandbox.fails(&["energy", "run", "--samples", "0"], 2, &["--samples"]);
}

#[test]
fn a_network_without_neurons_is_trained_and_compared_with() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    sandbox.train("plain", &["--method", "ann"]);
    let line = &json_lines(&sandbox.ok(&["eval", "plain", "--json"]))[0];
    let summary: serde_json::Value = serde_json::from_slice(&sandbox.bytes("plain/summary.json")).unwrap();
    assert_eq!(
        (&line["time_steps"], &summary["time_steps"], &summary["method"]),
        (&1.into(), &1.into(), &"ann".into())
    );
    assert_eq!(line["result"]["accuracy"], summary["test_accuracy"]);
    let line = &json_lines(&sandbox.ok(&["energy", "run", "--ann", "plain", "--json", "--samples", "20"]))[0];
    let ann = &line["against_ann"];
    let layers = ann["operations"]["layers"].as_array().unwrap();
    assert!(layers.iter().all(|layer| layer["binary"] == false || layer["effective"] == 0.0), "{layers:?}");
    let (macs, dense) =
        (ann["effective_macs"].as_f64().unwrap(), line["operations"]["dense_step"].as_f64().unwrap());
    assert!(0.0 < macs && macs < dense, "{macs} of {dense}");
    let spent = |key: &str| line["energy_pj"][0][key].as_f64().unwrap();
    let ratio = 4.6 * macs / (spent("snn") + spent("neurons"));
    assert!((ann["energy_pj"][0]["ratio"].as_f64().unwrap() - ratio).abs() <= 1e-9 * ratio);
    let text = sandbox.ok(&["energy", "plain", "--samples", "3"]);
    assert!(!text.contains("firing") && text.contains("nJ in fp32"), "{text}");
    sandbox.fails(&["energy", "run", "--ann", "run"], 2, &["--ann run", "--method ann"]);
    sandbox.fails(&["eval", "plain", "-T", "2"], 2, &["--time-steps 2", "without neurons"]);
    sandbox.fails(&["train", "--method", "ann", "-T", "2"], 2, &["time-steps = 2", "no time"]);
}
