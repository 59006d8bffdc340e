//! Runs that are stopped or killed continue to the same bytes.
#![cfg(unix)]

mod common;

use common::{Ran, Sandbox};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Long enough to be caught in the middle, with checkpoints of a few megabytes.
const SETTINGS: &[&str] = &[
    "--train-samples",
    "400",
    "--validation",
    "40",
    "--epochs",
    "12",
    "--net",
    "8C3-AP2-2048FC-DP-LI2",
    "--shift",
    "1",
];

fn start(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    sandbox.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(status.unwrap().success());
}

/// Waits until `there` or the end of `child`.
fn wait_until(child: &mut Child, there: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !there() && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "nothing happened for a minute");
        sleep(Duration::from_micros(200));
    }
}

fn lines(path: PathBuf) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[test]
fn a_run_stopped_by_ctrl_c_continues_to_the_same_bytes() {
    let sandbox = Sandbox::new();
    sandbox.ok(&[&["train", "--out", "whole"], SETTINGS].concat());
    let mut child = start(&sandbox, &[&["train", "--out", "my run"], SETTINGS].concat());
    let mut stops = 0;
    for epochs in [1, 4, 7] {
        wait_until(&mut child, || lines(sandbox.path("my run/metrics.jsonl")) >= epochs);
        signal(&child, "INT");
        let ran = Ran::of(&child.wait_with_output().unwrap());
        assert_eq!(ran.code, 130, "{}\n{}", ran.out, ran.err);
        assert!(ran.err.contains("synfire train --resume 'my run'"), "{}", ran.err);
        assert_eq!(ran.out, "", "no result");
        stops += 1;
        child = start(&sandbox, &["train", "--resume", "my run"]);
    }
    let ran = Ran::of(&child.wait_with_output().unwrap());
    assert_eq!((ran.code, stops), (0, 3), "{}", ran.err);
    assert!(ran.err.contains("resumed  in epoch"), "{}", ran.err);
    sandbox.assert_same_checkpoints("whole", "my run");
    assert_eq!(lines(sandbox.path("my run/metrics.jsonl")), 12);

    let again = sandbox.run(&["train", "--resume", "my run"]);
    assert_eq!(again.code, 0);
    assert!(again.err.contains("is finished"), "{}", again.err);
    assert!(again.out.contains("test accuracy"), "{}", again.out);
}

#[test]
fn a_comparison_stopped_by_ctrl_c_continues_to_the_same_bytes() {
    let sandbox = Sandbox::new();
    let settings = [SETTINGS, &["--vary", "alpha=0,0.5", "--seeds", "1", "--jobs", "2"]].concat();
    let first = "c/runs/000-0-seed0/metrics.jsonl";
    let mut child = start(&sandbox, &[&["compare", "--out", "c"], &settings[..]].concat());
    for epochs in [2, 5] {
        wait_until(&mut child, || lines(sandbox.path(first)) >= epochs);
        signal(&child, "INT");
        let ran = Ran::of(&child.wait_with_output().unwrap());
        assert_eq!(ran.code, 130, "{}\n{}", ran.out, ran.err);
        assert!(ran.err.contains("synfire compare --resume c") && ran.out.is_empty(), "{}", ran.err);
        child = start(&sandbox, &["compare", "--resume", "c"]);
    }
    assert_eq!(Ran::of(&child.wait_with_output().unwrap()).code, 0);
    for (name, alpha) in [("000-0-seed0", "0"), ("001-0.5-seed0", "0.5")] {
        sandbox.ok(&[&["train", "--out", name, "--alpha", alpha], SETTINGS].concat());
        sandbox.assert_same_checkpoints(name, &format!("c/runs/{name}"));
    }
}

#[test]
fn a_terminated_run_keeps_its_place_and_says_so_to_machines() {
    let sandbox = Sandbox::new();
    let mut child = start(&sandbox, &[&["train", "--json", "--out", "run"], SETTINGS].concat());
    wait_until(&mut child, || lines(sandbox.path("run/metrics.jsonl")) >= 1);
    signal(&child, "TERM");
    let ran = Ran::of(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, 143, "{}\n{}", ran.out, ran.err);
    let last = common::json_lines(&ran.out).pop().unwrap();
    assert_eq!(
        (last["event"].as_str(), last["resume"].as_str()),
        (Some("stopped"), Some("synfire train --resume run"))
    );
}

#[test]
fn a_run_killed_while_it_writes_continues_to_the_same_bytes() {
    let sandbox = Sandbox::new();
    sandbox.ok(&[&["train", "--out", "whole"], SETTINGS].concat());
    let mut child = start(&sandbox, &[&["train", "--out", "run"], SETTINGS].concat());
    let whole = sandbox.path("run/checkpoints/last.safetensors");
    let half = sandbox.path("run/checkpoints/last.safetensors.tmp");
    wait_until(&mut child, || whole.exists());
    let (mut caught, mut resumed) = (0, 0);
    // A kill may come after the renaming; the run has more epochs than kills are needed.
    while caught < 2 && child.try_wait().unwrap().is_none() {
        wait_until(&mut child, || half.exists());
        child.kill().unwrap();
        let ran = Ran::of(&child.wait_with_output().unwrap());
        resumed += usize::from(ran.err.contains("resumed  in epoch"));
        caught += usize::from(half.exists());
        // What the last one left must not be taken for what the next one writes.
        let _ = std::fs::remove_file(&half);
        child = start(&sandbox, &["train", "--resume", "run"]);
    }
    let ran = Ran::of(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.err);
    resumed += usize::from(ran.err.contains("resumed  in epoch"));
    assert!(caught >= 1 && resumed >= 1, "{caught} half-written checkpoints, {resumed} resumed runs");
    sandbox.assert_same_checkpoints("whole", "run");
    assert_eq!(lines(sandbox.path("run/metrics.jsonl")), 12);
}

#[test]
fn two_processes_do_not_train_one_run() {
    let sandbox = Sandbox::new();
    let mut child = start(&sandbox, &[&["train", "--out", "run"], SETTINGS].concat());
    wait_until(&mut child, || sandbox.path("run/checkpoints/best.safetensors").exists());
    sandbox.fails(&["train", "--resume", "run"], 1, &["run: another process is training this run"]);
    sandbox.ok(&["eval", "run"]);
    child.kill().unwrap();
    child.wait().unwrap();
    sandbox.ok(&["train", "--resume", "run"]);
}

#[test]
fn a_half_written_checkpoint_is_no_obstacle() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    sandbox.write("run/checkpoints/last.safetensors.tmp", b"half");
    sandbox.ok(&["eval", "run"]);
    sandbox.ok(&["train", "--resume", "run"]);
    // A finished run whose summary is gone is tested again.
    let summary = sandbox.bytes("run/summary.json");
    std::fs::remove_file(sandbox.path("run/summary.json")).unwrap();
    let ran = sandbox.run(&["train", "--resume", "run"]);
    assert!(ran.code == 0 && ran.err.contains("resumed  before the test"), "{}", ran.err);
    assert_eq!(sandbox.bytes("run/summary.json"), summary);
}

#[test]
fn a_run_without_checkpoint_is_resumed_from_the_beginning() {
    let sandbox = Sandbox::new();
    let mut child = start(&sandbox, &[&["train", "--out", "run"], SETTINGS].concat());
    wait_until(&mut child, || sandbox.path("run/config.toml").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let _ = std::fs::remove_file(sandbox.path("run/checkpoints/last.safetensors"));
    let _ = std::fs::remove_file(sandbox.path("run/metrics.jsonl"));
    let ran = sandbox.run(&["train", "--resume", "run"]);
    assert!(ran.code == 0 && ran.err.contains("no checkpoint yet: from the beginning"), "{}", ran.err);
}
