//! `synfire train`: what a run leaves, what it prints, and that threads change nothing.

mod common;

use common::{Ran, Sandbox, TINY, TINY_NMNIST, json_lines, write_mnist, write_nmnist};
use std::fs;
use std::process::Stdio;

#[test]
fn a_run_leaves_its_folder() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    let summary: serde_json::Value = serde_json::from_slice(&sandbox.bytes("run/summary.json")).unwrap();
    for key in ["test_accuracy", "validation_accuracy"] {
        let accuracy = summary[key].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&accuracy), "{key} {accuracy}");
    }
    assert!(summary["train_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(summary["train_samples"], 160);
    let metrics = String::from_utf8(sandbox.bytes("run/metrics.jsonl")).unwrap();
    let epochs: Vec<_> = json_lines(&metrics).iter().map(|line| line["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [1, 2]);
    let config: toml::Table = String::from_utf8(sandbox.bytes("run/config.toml")).unwrap().parse().unwrap();
    assert_eq!(config["net"].as_str(), Some("4C3-AP2-LI2"));
    assert!(config.contains_key("lr") && config.contains_key("seed"), "every value is resolved");

    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(sandbox.path(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names("run/checkpoints"), ["best.safetensors", "last.safetensors"]);
    assert!(names("run").iter().any(|name| name.starts_with("events.out.tfevents.")), "{:?}", names("run"));
    assert!(!names("run").iter().any(|name| name.ends_with(".tmp")));
}

#[test]
fn the_folder_of_another_run_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    let before = sandbox.bytes("run/metrics.jsonl");
    sandbox.fails(
        &[&["train", "--out", "run"], TINY].concat(),
        1,
        &["run:", "holds a run already", "--resume"],
    );
    assert_eq!(sandbox.bytes("run/metrics.jsonl"), before);
}

#[test]
fn a_run_without_a_name_gets_the_next_number() {
    let sandbox = Sandbox::new();
    sandbox.ok(&[&["train"], TINY].concat());
    sandbox.ok(&[&["train"], TINY].concat());
    assert!(sandbox.path("runs/digits/summary.json").exists());
    assert!(sandbox.path("runs/digits-2/summary.json").exists());
}

#[test]
fn results_go_to_standard_output_and_progress_to_standard_error() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&[&["train", "--out", "run"], TINY].concat());
    let out: Vec<_> = ran.out.lines().collect();
    assert_eq!(out.len(), 2, "{}", ran.out);
    assert!(out[0].starts_with("test accuracy "), "{}", ran.out);
    assert_eq!(out[1], "run/checkpoints/best.safetensors");
    assert!(ran.err.contains("epoch 1/2  loss ") && ran.err.contains("epoch 2/2"), "{}", ran.err);
    assert!(ran.err.lines().all(|line| line.chars().count() <= 100), "{}", ran.err);

    let quiet = sandbox.run(&[&["train", "--quiet", "--out", "quiet"], TINY].concat());
    assert_eq!(quiet.err, "");
    assert!(quiet.out.starts_with("test accuracy "), "{}", quiet.out);

    let verbose = sandbox.run(&[&["train", "-v", "--out", "verbose"], TINY].concat());
    assert!(verbose.err.contains("gradient norms") && verbose.err.contains("4C3"), "{}", verbose.err);
}

#[test]
fn json_is_all_there_is() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&[&["train", "--json", "--out", "run"], TINY].concat());
    assert_eq!(ran.err, "");
    let lines = json_lines(&ran.out);
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["start", "epoch", "epoch", "finished"]);
    assert_eq!((lines[0]["run"].as_str(), lines[0]["dataset"].as_str()), (Some("run"), Some("digits")));
    assert_eq!(
        (lines[0]["train_samples"].as_u64(), lines[0]["test_samples"].as_u64()),
        (Some(160), Some(360))
    );
    assert_eq!(lines[1]["epoch"]["epoch"], 1);
    assert_eq!(lines[3]["run"], "run");
    assert!(lines[3]["summary"]["test_accuracy"].is_f64());
    let dead = sandbox.run(&[&["train", "--json", "--threshold", "1e6", "--out", "dead"], TINY].concat());
    let warned = json_lines(&dead.out).into_iter().find(|line| line["event"] == "warning").unwrap();
    assert!(warned["text"].as_str().unwrap().contains("is dead"), "{warned}");
    let failed = sandbox.run(&["eval", "--json", "nothing.safetensors"]);
    assert!(json_lines(&failed.out)[0]["error"].as_str().unwrap().contains("nothing.safetensors"));
}

#[test]
fn threads_change_no_byte() {
    let sandbox = Sandbox::new();
    let settings = ["--net", "8C3-MP2-12C3-AP2-20FC-VOTE3", "--shift", "1"];
    sandbox.train("one", &[&settings[..], &["--threads", "1"]].concat());
    sandbox.train("three", &[&settings[..], &["--threads", "3"]].concat());
    let arguments = [&["train", "--out", "two"], TINY, &settings[..]].concat();
    assert!(sandbox.command(&arguments).env("RAYON_NUM_THREADS", "2").status().unwrap().success());
    sandbox.assert_same_checkpoints("one", "three");
    sandbox.assert_same_checkpoints("one", "two");
    sandbox.train("seed", &[&settings[..], &["--seed", "1"]].concat());
    assert_ne!(
        sandbox.bytes("one/checkpoints/last.safetensors"),
        sandbox.bytes("seed/checkpoints/last.safetensors")
    );
}

#[test]
fn settings_come_from_recipe_file_and_options() {
    let sandbox = Sandbox::new();
    sandbox.write("mine.toml", "epochs = 7\nlr = 0.5\n");
    let text = sandbox.ok(&["train", "--print-config", "--config", "mine.toml", "--epochs", "9"]);
    let config: toml::Table = text.parse().unwrap();
    assert_eq!((config["epochs"].as_integer(), config["lr"].as_float()), (Some(9), Some(0.5)));
    assert_eq!(config["dataset"].as_str(), Some("digits"));
    assert!(!sandbox.path("runs").exists(), "nothing was trained");
    // What a run wrote trains the same run again.
    sandbox.train("run", &[]);
    sandbox.ok(&["train", "--config", "run/config.toml", "--out", "again"]);
    sandbox.assert_same_checkpoints("run", "again");
}

#[test]
fn images_and_recordings_train_from_files() {
    let sandbox = Sandbox::new();
    write_mnist(&sandbox, "data");
    write_nmnist(&sandbox, "data");
    let mnist = ["mnist", "--validation", "10", "--net", "2C3-AP4-LI1", "--epochs", "1"];
    for arguments in [&mnist[..], TINY_NMNIST] {
        let ran = sandbox.run(&[&["train", "--data-dir", "data", "--out", arguments[0]], arguments].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.err.contains("partial"), "the reader is told that samples are missing: {}", ran.err);
    }
    // The environment names the folder as well.
    let arguments = [&["train", "--out", "by-environment"], TINY_NMNIST].concat();
    assert!(sandbox.command(&arguments).env("SYNFIRE_DATA", "data").status().unwrap().success());
}

/// Starts `arguments`, closes their standard output unread, and waits.
fn unread(sandbox: &Sandbox, arguments: &[&str]) -> Ran {
    let mut child = sandbox.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    Ran::of(&child.wait_with_output().unwrap())
}

#[test]
fn a_closed_pipe_ends_no_training() {
    let sandbox = Sandbox::new();
    let ran = unread(&sandbox, &[&["train", "--json", "--out", "run"], TINY].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(sandbox.path("run/summary.json").exists());
    let ran = unread(&sandbox, &["net", "list"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let sandbox = Sandbox::new();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let ran = Ran::of(&sandbox.command(&["net", "list"]).stdout(full).output().unwrap());
    ran.failed(1, &["cannot write to standard output"], "net list > /dev/full");
}

#[test]
fn a_run_that_diverges_says_where_and_how_to_go_on() {
    let sandbox = Sandbox::new();
    let train = |out, more: &[&str]| {
        let huge = ["--lr", "1e30", "--schedule", "constant", "--clip-norm", "0"];
        sandbox.run(&[&["train", "--out", out], TINY, &huge, more].concat())
    };
    let told = |place| [place, "the layer layers.0 computed a value that is NaN", "--lr", "--clip-norm 1"];
    // Each epoch is a batch: the first leaves large weights and a checkpoint, the second meets them.
    let ran = train("run", &["--batch-size", "160"]);
    ran.failed(1, &told("batch 1 of epoch 2: "), "a checkpoint from before");
    ran.failed(1, &["run/checkpoints/last.safetensors, is intact"], "a checkpoint from before");
    let last = sandbox.bytes("run/checkpoints/last.safetensors");
    sandbox.fails(&["train", "--resume", "run"], 1, &told("batch 1 of epoch 2: "));
    assert!(sandbox.bytes("run/checkpoints/last.safetensors") == last);
    assert!(!sandbox.path("run/summary.json").exists());
    sandbox.ok(&["eval", "run/checkpoints/last.safetensors"]);

    let ran = train("other", &["--batch-size", "80"]);
    ran.failed(1, &told("batch 2 of epoch 1: "), "no checkpoint yet");
    ran.failed(1, &["No checkpoint was written yet"], "no checkpoint yet");
}

#[test]
fn a_folder_of_ones_own_is_trained_on_and_found_again() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["data", "simulate", "gestures", "--samples", "22", "-o", "data/own"]);
    let settings = ["--epochs", "2", "--net", "4C3-AP4-LI1", "-T", "2", "--frame-size", "16x16", "-b", "4"];
    let train = |set: &str, more: &[&str]| sandbox.ok(&[&["train", set], &settings[..], more].concat());
    train("./data/own", &[]);
    let config = String::from_utf8(sandbox.bytes("runs/own/config.toml")).unwrap();
    let own = sandbox.path("data/own");
    assert!(config.contains(&format!("dataset = \"{}\"", own.display())), "the whole path in {config}");
    let lines = json_lines(&sandbox.ok(&["data", "check", "data/own", "--json"]));
    assert_eq!((&lines[0]["samples"], &lines[1]["samples"]), (&22.into(), &22.into()));
    // What was simulated remains so, wherever it goes.
    assert!(sandbox.ok(&["data", "check", "./data/own"]).contains("simulated: no camera made these"));
    sandbox.ok(&["eval", "runs/own"]);
    std::fs::create_dir(sandbox.path("moved")).unwrap();
    std::fs::rename(own, sandbox.path("moved/own")).unwrap();
    sandbox.fails(&["eval", "runs/own"], 1, &["data/own: expected a folder with a subfolder for each class"]);
    sandbox.ok(&["eval", "runs/own", "--data-dir", "moved"]);
    sandbox.fails(&["train", "moved"], 2, &["unknown data set \"moved\"", "the folder moved is ./moved"]);
    sandbox.fails(&["train", "./moved"], 1, &["subfolders, one for each class"]);
}

#[cfg(not(feature = "mpi"))]
#[test]
fn processes_that_mpi_starts_do_not_each_train_alone() {
    let sandbox = Sandbox::new();
    let ran = sandbox.command(&["train"]).env("OMPI_COMM_WORLD_SIZE", "2").output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code() == Some(2) && told.contains("--features mpi"), "{told}");
}

#[test]
fn tasks_of_srun_without_mpi_are_told_that_they_are_alone() {
    let sandbox = Sandbox::new();
    let task = |number: &str| {
        let mut command = sandbox.command(&["train", "--print-config"]);
        let ran = command.env("SLURM_STEP_NUM_TASKS", "2").env("SLURM_PROCID", number).output().unwrap();
        String::from_utf8_lossy(&ran.stderr).into_owned()
    };
    assert!(task("0").contains("srun has started 2 tasks, each of which trains for itself"), "{}", task("0"));
    assert!(!task("1").contains("srun"), "{}", task("1"));
}

#[test]
fn devices_share_every_batch() {
    let sandbox = Sandbox::new();
    let f32 = ["--precision", "f32"];
    sandbox.train("one", &f32);
    sandbox.train("two", &[&f32[..], &["--devices", "cpu,cpu"]].concat());
    let loss = |run: &str| {
        let text = String::from_utf8(sandbox.bytes(&format!("{run}/metrics.jsonl"))).unwrap();
        let line = text.lines().next().unwrap();
        serde_json::from_str::<serde_json::Value>(line).unwrap()["train_loss"].as_f64().unwrap()
    };
    assert!((loss("one") - loss("two")).abs() <= 0.01 * loss("one"));
    // One of them goes on.
    let out = sandbox.ok(&["train", "--resume", "two", "--devices", "cpu"]);
    assert_eq!(out.matches("test accuracy").count(), 1, "{out}");
    sandbox.fails(&["train", "--devices", "cpu,gpu"], 2, &["--devices gpu"]);
    sandbox.fails(&["train", "--devices", "cpu,cpu", "--net", "nothing"], 2, &["nothing"]);
    sandbox.fails(&["train", "--devices", "cuda,webgpu:1,cuda:0"], 2, &["cuda:0 is named twice"]);
    sandbox.fails(&["train", "--device", "cpu", "--devices", "cpu"], 2, &["--device"]);
}
