//! Settings that make no sense: each is refused by name, and leaves nothing behind.

mod common;

use common::{Sandbox, TINY, write_nmnist};

/// Runs `synfire train --out run` with `arguments`, which must be bad usage.
#[track_caller]
fn refused(sandbox: &Sandbox, arguments: &[&str], told: &[&str]) {
    sandbox.fails(&[&["train", "--out", "run"], arguments].concat(), 2, told);
    assert!(!sandbox.path("run").exists(), "{arguments:?} left a run folder");
}

#[test]
fn values_out_of_range() {
    let sandbox = Sandbox::new();
    refused(&sandbox, &["--time-steps", "0"], &["time-steps", "at least 1"]);
    refused(&sandbox, &["-T", "1000000"], &["time-steps", "at most 4096"]);
    refused(&sandbox, &["--batch-size", "0"], &["batch-size", "at least 1"]);
    refused(&sandbox, &["--epochs", "0"], &["epochs", "at least 1"]);
    refused(&sandbox, &["--epochs", "-3"], &["--epochs", "-3"]);
    refused(&sandbox, &["--lr", "nan"], &["lr", "NaN"]);
    refused(&sandbox, &["--lr", "-0.1"], &["lr", "above 0"]);
    refused(&sandbox, &["--lr", "fast"], &["--lr", "fast"]);
    refused(&sandbox, &["--decay", "1.5"], &["decay", "from 0 to 1"]);
    refused(&sandbox, &["--threshold", "inf"], &["threshold"]);
    refused(&sandbox, &["--ann-epochs", "20", "--epochs", "20"], &["ann-epochs"]);
    refused(&sandbox, &["--validation", "9999"], &["validation", "9999"]);
    refused(&sandbox, &["--train-samples", "100", "--validation", "100"], &["validation"]);
    refused(&sandbox, &["--seed", "18446744073709551615"], &["--seed"]);
    refused(&sandbox, &["--shift", "70000"], &["--shift"]);
    refused(&sandbox, &["--shift", "8"], &["shift = 8", "8x8"]);
    refused(&sandbox, &["--train-samples", "1438"], &["train-samples = 1438", "1437"]);
    write_nmnist(&sandbox, "data");
    let nmnist = |option: &'static str, value: &'static str| {
        let told = format!("{} = {value} works on still images alone; nmnist holds event", &option[2..]);
        refused(&sandbox, &["nmnist", "--data-dir", "data", option, value], &[told.as_str()]);
    };
    nmnist("--encoding", "rate");
    nmnist("--ann-epochs", "1");
    let digits = |option: &'static str, value: &'static str| {
        let told = format!("{} = {value} works on event recordings alone; digits holds still", &option[2..]);
        refused(&sandbox, &["digits", option, value], &[told.as_str()]);
    };
    for (option, value) in [
        ("--framing", "time"),
        ("--frame-size", "4x4"),
        ("--polarities", "merged"),
        ("--frame-values", "binary"),
        ("--event-drop", "true"),
        ("--jitter", "0.5"),
        ("--event-mix", "0.5"),
    ] {
        digits(option, value);
    }
    let too_large = ["nmnist", "--data-dir", "data", "--frame-size", "35x34"];
    refused(&sandbox, &too_large, &["frame-size = 35x34: expected at most 34x34, as the sensor of nmnist"]);
    refused(&sandbox, &["--rotate", "181"], &["rotate = 181", "from 0 to 180"]);
    refused(&sandbox, &["--event-mix", "1.5"], &["event-mix = 1.5", "from 0 to 1"]);
    refused(&sandbox, &["--flip", "maybe"], &["--flip"]);
}

#[test]
fn unknown_names() {
    let sandbox = Sandbox::new();
    refused(&sandbox, &["mnits"], &["mnits", "did you mean mnist?"]);
    refused(&sandbox, &["mnits", "--print-config"], &["mnits", "did you mean mnist?"]);
    refused(&sandbox, &["--precision", "f16"], &["--precision", "bf16"]);
    refused(&sandbox, &["--method", "bp"], &["--method", "bpsta"]);
    refused(&sandbox, &["--loss", "l1"], &["--loss", "cross-entropy"]);
    refused(&sandbox, &["--optimizer", "lion"], &["--optimizer", "adamw"]);
    refused(&sandbox, &["--schedule", "step"], &["--schedule", "cosine"]);
    refused(&sandbox, &["--encoding", "morse"], &["--encoding", "latency"]);
    refused(&sandbox, &["--framing", "luck"], &["--framing", "count"]);
    refused(&sandbox, &["--framing", "10"], &["--framing", "10ms"]);
    refused(&sandbox, &["--frame-size", "64"], &["--frame-size", "64x64"]);
    refused(&sandbox, &["--downsampling", "mean"], &["--downsampling", "nearest, area, sum"]);
    refused(&sandbox, &["--recipe", "soup"], &["soup", "paper"]);
    refused(&sandbox, &["--device", "gpu"], &["--device gpu", "unknown device", "cuda", "webgpu"]);
    refused(&sandbox, &["--learning-rate", "1"], &["--learning-rate"]);
}

#[test]
fn networks_that_cannot_be() {
    let sandbox = Sandbox::new();
    refused(&sandbox, &["--net", "4C3-12Q3-LI1"], &["--net", "layer 2", "column 5"]);
    refused(&sandbox, &["--net", ""], &["--net", "empty"]);
    refused(&sandbox, &["--net", "4C3-MP20-LI1"], &["`MP20`", "20x20", "8x8"]);
    refused(&sandbox, &["--net", "65536C255-65536C255-LI1"], &["GiB of memory", "narrower"]);
    refused(&sandbox, &["--net", "65536C255-65536C255*1000-LI1"], &["GiB of memory"]);
    refused(
        &sandbox,
        &["-T", "4096", "-b", "4000000", "--net", "8192C3-LI1"],
        &["GiB of memory", "--time-steps"],
    );
}

#[test]
fn configuration_files() {
    let sandbox = Sandbox::new();
    let with = |text: &str, told: &[&str]| {
        sandbox.write("my.toml", text);
        refused(&sandbox, &["--config", "my.toml"], told);
    };
    with("epochs = 3\nepoch = 3\n", &["my.toml", "line 2", "epoch"]);
    with("epochs = 3\n\nlr = \"fast\"\n", &["my.toml", "line 3"]);
    with("epochs = 1.5\n", &["my.toml", "line 1"]);
    with("epochs = -1\n", &["my.toml", "line 1"]);
    with("method = \"bp\"\n", &["my.toml", "line 1", "bpsta"]);
    with("epochs = \n", &["my.toml", "line 1"]);
    with("dataset = 3\n", &["my.toml", "line 1"]);
    with("epochs = 0\n", &["my.toml: epochs = 0"]);
    with("net = \"4C3\"\n", &["my.toml: ", "readout"]);
    with("data-dir = \"absent\"\n", &["data-dir absent: there is no such folder"]);
    sandbox.write("my.toml", [0xff, 0xfe]);
    refused(&sandbox, &["--config", "my.toml"], &["my.toml"]);
    refused(&sandbox, &["--config", "absent.toml"], &["absent.toml"]);
}

#[test]
fn threads_and_instruction_sets() {
    let sandbox = Sandbox::new();
    for threads in ["0", "-1", "many", "1000000"] {
        refused(&sandbox, &["--threads", threads], &["--threads", threads]);
    }
    let ran =
        common::Ran::of(&sandbox.command(&["net", "list"]).env("SYNFIRE_ISA", "nonsense").output().unwrap());
    ran.failed(2, &["SYNFIRE_ISA", "nonsense", "portable"], "SYNFIRE_ISA=nonsense");
    for threads in ["0", "-1", "many", "1025"] {
        let mut command = sandbox.command(&["net", "list"]);
        let ran = common::Ran::of(&command.env("RAYON_NUM_THREADS", threads).output().unwrap());
        ran.failed(2, &[&format!("RAYON_NUM_THREADS = {threads}: expected"), "from 1 to 1024"], threads);
    }
    let arguments = [&["train", "--out", "portable"], TINY].concat();
    assert!(sandbox.command(&arguments).env("SYNFIRE_ISA", "portable").status().unwrap().success());
    // Empty means unset, as for other programs.
    let empty =
        sandbox.command(&["net", "list"]).env("SYNFIRE_ISA", "").env("RAYON_NUM_THREADS", "").status();
    assert!(empty.unwrap().success());
}

#[test]
fn options_that_exclude_each_other() {
    let sandbox = Sandbox::new();
    sandbox.train("old", &[]);
    for (option, value) in [("--epochs", "3"), ("--lr", "0.1"), ("--net", "LI1")] {
        sandbox.fails(&["train", "--resume", "old", option, value], 2, &[option, "--resume"]);
    }
    sandbox.fails(&["train", "mnist", "--resume", "old"], 2, &["DATASET", "--resume"]);
    sandbox.fails(&["train", "--resume", "old", "--config", "x"], 2, &["--resume", "--config"]);
    sandbox.fails(&["train", "--resume", "old", "--out", "x"], 2, &["--resume", "--out"]);
    sandbox.fails(&["infer", "old", "a.png", "--sample", "1"], 2, &["--sample"]);
    sandbox.fails(&["eval", "old", "--part", "holiday"], 2, &["--part", "validation"]);
    sandbox.fails(&["eval", "old", "--time-steps", "0"], 2, &["time-steps"]);
    sandbox.fails(&["eval", "old", "--time-steps", "1,,2"], 2, &["--time-steps"]);
    sandbox.fails(&["eval", "old", "--time-steps", "5000"], 2, &["time-steps", "1..=4096"]);
}

#[test]
fn folders_that_cannot_hold_a_run() {
    let sandbox = Sandbox::new();
    let out = |out: &str| sandbox.fails(&[&["train", "--out", out], TINY].concat(), 1, &[out]);
    sandbox.write("file", "text");
    out("file");
    assert_eq!(sandbox.bytes("file"), b"text");
    out("file/run");
    #[cfg(target_os = "linux")]
    out("/proc/synfire");
    sandbox.fails(&["train", "--resume", "absent"], 1, &["absent", "no run to resume"]);
    sandbox.fails(&["train", "--resume", "file"], 1, &["file"]);
    refused(&sandbox, &["mnist", "--data-dir", "absent"], &["data-dir absent: there is no"]);
    refused(&sandbox, &["mnist", "--data-dir", "file"], &["data-dir file: is not a folder"]);
    std::fs::create_dir_all(sandbox.path("data/mnist")).unwrap();
    sandbox.fails(
        &["train", "mnist", "--data-dir", "data/mnist"],
        1,
        &["data/mnist is the set itself: name the one above it"],
    );
}

/// Names that are no UTF-8: a run may lie in such a folder, a configuration cannot name one.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    let name = OsStr::from_bytes(b"r\xffn");
    std::fs::create_dir(sandbox.path("data")).unwrap();
    std::fs::create_dir(sandbox.path("").join(name)).unwrap();
    let with = |arguments: &[&str], option: &str| {
        let mut command = sandbox.command(&[&["train"], TINY, arguments].concat());
        common::Ran::of(&command.arg(option).arg(name).output().unwrap())
    };
    let ran = with(&["--json"], "--out");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(common::json_lines(&ran.out).pop().unwrap()["run"], "r\u{fffd}n");
    with(&["--out", "run"], "--data-dir").failed(2, &["data-dir = r", "UTF-8"], "a folder of data");
    assert!(!sandbox.path("run").exists());
}
