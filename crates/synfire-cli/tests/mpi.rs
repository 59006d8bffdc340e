//! Training by processes that `mpirun` starts: as one process, with whatever happens to one of them.
#![cfg(feature = "mpi")]

mod common;

use common::{Sandbox, TINY};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// `mpirun` of ranks each of which is given these arguments.
fn mpirun(sandbox: &Sandbox, ranks: &[&[&str]]) -> Child {
    command(sandbox, ranks).spawn().expect("mpirun is installed")
}

fn command(sandbox: &Sandbox, ranks: &[&[&str]]) -> Command {
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "--bind-to", "none"]);
    for (i, arguments) in ranks.iter().enumerate() {
        command.args(if i > 0 { &[":", "-n", "1"][..] } else { &["-n", "1"] });
        command.arg(env!("CARGO_BIN_EXE_synfire")).args(*arguments);
    }
    command.current_dir(sandbox.path("")).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] {
        command.env(name, "1");
    }
    command
}

/// What became of it, within a minute or so.
fn ended(mut child: Child) -> (bool, String, String) {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            let Output { stdout, stderr, .. } = child.wait_with_output().unwrap();
            panic!("it hangs: {} {}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        }
        sleep(Duration::from_millis(20));
    }
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.success(), text(stdout), text(stderr))
}

fn wait_for(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} does not come", path.display());
        sleep(Duration::from_millis(10));
    }
}

/// Sends a signal to the second of the ranks that `mpirun` started.
fn signal_one(mpirun: &Child, signal: &str) {
    let mut ranks = Vec::new();
    for process in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Ok(stat) = fs::read_to_string(process.path().join("stat")) else { continue };
        // PID (NAME) STATE PARENT …
        let (before, after) = stat.rsplit_once(')').unwrap();
        if after.split_whitespace().nth(1) == Some(&mpirun.id().to_string()) && before.contains("(synfire") {
            ranks.push(before.split(' ').next().unwrap().to_string());
        }
    }
    ranks.sort_by_key(|pid| pid.parse::<u32>().unwrap());
    assert!(ranks.len() > 1, "{ranks:?}");
    assert!(Command::new("kill").args([signal, &ranks[1]]).status().unwrap().success());
}

fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "--precision", "f32"], TINY, more].concat()
}

fn losses(sandbox: &Sandbox, run: &str) -> Vec<f64> {
    let text = String::from_utf8(sandbox.bytes(&format!("{run}/metrics.jsonl"))).unwrap();
    let loss =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["train_loss"].as_f64().unwrap();
    text.lines().map(loss).collect()
}

#[test]
fn two_ranks_train_what_one_does() {
    let sandbox = Sandbox::new();
    sandbox.ok(&train(&["--out", "one"]));
    let arguments = train(&["--out", "two"]);
    let (succeeded, out, err) = ended(mpirun(&sandbox, &[&arguments, &arguments]));
    assert!(succeeded, "{err}");
    // One of them speaks.
    assert_eq!(out.matches("test accuracy").count(), 1, "{out}");
    assert!(err.contains("ranks    2") && err.matches("data     ").count() == 1, "{err}");
    let (one, two) = (losses(&sandbox, "one"), losses(&sandbox, "two"));
    assert_eq!((one.len(), two.len()), (2, 2));
    assert!((one[0] - two[0]).abs() <= 0.01 * one[0], "{one:?} {two:?}");
    for file in
        ["summary.json", "config.toml", "checkpoints/best.safetensors", "checkpoints/last.safetensors"]
    {
        assert!(sandbox.path(&format!("two/{file}")).is_file(), "{file}");
    }
    sandbox.ok(&["eval", "two"]);
    // A folder of its own is chosen once.
    let numbered = train(&[]);
    for folder in ["runs/digits", "runs/digits-2"] {
        let (succeeded, _, err) = ended(mpirun(&sandbox, &[&numbered, &numbered]));
        assert!(succeeded && sandbox.path(&format!("{folder}/summary.json")).is_file(), "{err}");
    }
    assert!(!sandbox.path("runs/digits-3").exists());
}

#[test]
fn a_killed_rank_ends_the_job_and_loses_no_checkpoint() {
    let sandbox = Sandbox::new();
    let arguments = train(&["--out", "run", "--epochs", "40"]);
    let job = mpirun(&sandbox, &[&arguments, &arguments]);
    wait_for(&sandbox.path("run/checkpoints/last.safetensors"));
    signal_one(&job, "-KILL");
    let (succeeded, _, err) = ended(job);
    assert!(!succeeded && err.contains("signal 9"), "{err}");
    // The first rank may be the one that was killed.
    let told = err.contains("rank 0 with PID")
        || err.contains(
            "if a rank was lost, go on from the last checkpoint with\n  synfire train --resume run",
        );
    assert!(told, "{err}");
    // In another number: alone.
    sandbox.ok(&["train", "--resume", "run"]);
    assert_eq!(losses(&sandbox, "run").len(), 40);
}

#[test]
fn whoever_is_asked_to_stop_all_stop_in_order() {
    let sandbox = Sandbox::new();
    let arguments = train(&["--out", "run", "--epochs", "4000"]);
    let job = mpirun(&sandbox, &[&arguments, &arguments]);
    wait_for(&sandbox.path("run/checkpoints/last.safetensors"));
    signal_one(&job, "-TERM");
    let (succeeded, _, err) = ended(job);
    assert!(!succeeded && !err.contains("panicked") && !err.contains("signal 15"), "{err}");
    assert!(err.contains("stopped in epoch"), "{err}");
    let epochs = losses(&sandbox, "run").len();
    assert!(epochs < 4000);
    // Three go on from there.
    let config = String::from_utf8(sandbox.bytes("run/config.toml")).unwrap();
    assert!(config.contains("epochs = 4000"));
    let resume = ["train", "--resume", "run"];
    let job = mpirun(&sandbox, &[&resume, &resume, &resume]);
    let begun = Instant::now();
    while losses(&sandbox, "run").len() <= epochs {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not go on");
        sleep(Duration::from_millis(50));
    }
    signal_one(&job, "-TERM");
    let (_, _, err) = ended(job);
    assert!(err.contains("stopped in epoch"), "{err}");
}

#[test]
fn a_launcher_of_another_mpi_is_refused() {
    let sandbox = Sandbox::new();
    let ran = sandbox.command(&train(&["--out", "run"])).env("PMI_SIZE", "4").output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code() == Some(1), "{told}");
    assert!(told.contains("4 processes were started together, but MPI knows of 1"), "{told}");
    assert!(!sandbox.path("run").exists());
}

#[test]
fn ranks_that_are_given_something_else_are_refused() {
    let sandbox = Sandbox::new();
    let (one, other) = (train(&["--out", "run", "--lr", "0.001"]), train(&["--out", "run", "--lr", "0.002"]));
    let (succeeded, _, err) = ended(mpirun(&sandbox, &[&one, &other]));
    assert!(
        !succeeded && err.contains("error: rank 1 is not at one with rank 0: `lr = 0.002` here"),
        "{err}"
    );
    assert!(!sandbox.path("run/checkpoints/last.safetensors").exists());
    let wrong = train(&["--out", "run", "--net", "nothing"]);
    let (succeeded, _, err) = ended(mpirun(&sandbox, &[&wrong, &wrong]));
    assert!(!succeeded && err.contains("nothing"), "{err}");
}

#[test]
#[ignore = "needs the feature cuda and tests/emulated-cuda/run.sh"]
fn the_processes_of_a_machine_take_its_devices_in_turn() {
    let sandbox = Sandbox::new();
    sandbox.ok(&train(&["--out", "one"]));
    for (out, option, names, told) in [
        ("two", "--device", "cuda", "on cuda:0, cuda:1\n"),
        ("named", "--devices", "cuda:2,cuda:1", "on cuda:1, cuda:2\n"),
        ("same", "--device", "cuda:1", "on cuda:1 (shared by several ranks)\n"),
    ] {
        let arguments = train(&["--out", out, option, names]);
        let mut command = command(&sandbox, &[&arguments, &arguments]);
        let (succeeded, _, err) = ended(command.env("EMULATED_DEVICES", "3").spawn().unwrap());
        assert!(succeeded && err.contains(told), "{names}: {err}");
        let (one, two) = (losses(&sandbox, "one"), losses(&sandbox, out));
        assert!((one[0] - two[0]).abs() <= 0.01 * one[0], "{names}: {one:?} {two:?}");
    }
}
