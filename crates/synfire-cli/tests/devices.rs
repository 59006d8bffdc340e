//! `--device` and `synfire devices`, with and without a GPU.

mod common;

use common::{Ran, Sandbox, golden, json_lines};
use synfire::device::RUNTIMES;

#[test]
fn every_way_is_listed() {
    let sandbox = Sandbox::new();
    let out = sandbox.ok(&["devices", "--json"]);
    let lines = json_lines(&out);
    assert_eq!(lines[0]["device"], "cpu");
    assert_eq!(lines[0]["usable"], true);
    assert!(lines[0]["description"].as_str().unwrap().contains("threads"));
    for runtime in RUNTIMES {
        let named = |line: &&serde_json::Value| line["device"].as_str().unwrap().starts_with(runtime.name());
        let of: Vec<_> = lines.iter().filter(named).collect();
        assert!(!of.is_empty(), "{runtime} in {out}");
        // Usable, or with a reason.
        assert!(of.iter().all(|line| line["usable"] == true || line["problem"].is_string()), "{out}");
    }
    let text = sandbox.ok(&["devices"]);
    assert!(RUNTIMES.iter().all(|runtime| text.contains(runtime.name())), "{text}");
}

#[test]
fn unknown_devices_are_bad_usage() {
    let sandbox = Sandbox::new();
    for name in ["gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "webgpu:1:2", ""] {
        let told =
            format!("--device {name}: unknown device `{name}`, expected cpu, cuda, vulkan, metal or webgpu");
        sandbox.fails(&["verify", "--device", name], 2, &[&told]);
        sandbox.fails(&["bench", "--device", name, "--net", "4C3-AP2-LI1"], 2, &[&told]);
    }
}

#[test]
fn what_is_not_built_in_or_not_there_says_so() {
    let sandbox = Sandbox::new();
    for runtime in RUNTIMES {
        let Some(feature) = runtime.feature() else { continue };
        // No machine has so many.
        let name = format!("{runtime}:999");
        for command in [&["verify", "--device", &name][..], &["train", "--out", "run", "--device", &name]] {
            if runtime.built_in() {
                sandbox.fails(command, 1, &[&format!("--device {name}: no "), runtime.name()]);
            } else {
                let how = format!("cargo build --release --features {feature}");
                sandbox.fails(command, 2, &[&format!("--device {name}: this build has no {runtime}"), &how]);
            }
            assert!(!sandbox.path("run").exists());
        }
        let devices = format!("cpu,{name}");
        let code = if runtime.built_in() { 1 } else { 2 };
        let told = format!("--devices {name}: ");
        sandbox.fails(&["train", "--out", "run", "--devices", &devices], code, &[&told]);
        assert!(!sandbox.path("run").exists());
    }
}

#[test]
fn the_cpu_by_name() {
    let file = golden("neuron.safetensors");
    let out = Sandbox::new().ok(&["verify", "--device", "cpu", file.to_str().unwrap()]);
    assert!(out.contains("0 failed"), "{out}");
}

/// A command with emulated CUDA devices (tests/emulated-cuda), each with so many MiB.
fn emulated(sandbox: &Sandbox, devices: &str, memory: &str, arguments: &[&str]) -> Ran {
    let mut command = sandbox.command(arguments);
    command.env("EMULATED_DEVICES", devices).env("EMULATED_MEMORY", memory);
    Ran::of(&command.output().unwrap())
}

#[test]
#[ignore = "needs the feature cuda and tests/emulated-cuda/run.sh"]
fn two_devices_take_the_steps_of_one() {
    let sandbox = Sandbox::new();
    let settings =
        "--net 16C3-AP4-LI10 --time-steps 2 --train-samples 160 --validation 32 --batch-size 32 --epochs 1";
    let loss = |out: &str, of: &[&str]| {
        let settings: Vec<&str> = settings.split(' ').collect();
        let ran =
            emulated(&sandbox, "2", "1024", &[&["train", "digits", "--out", out], of, &settings].concat());
        assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
        let metrics = String::from_utf8(sandbox.bytes(&format!("{out}/metrics.jsonl"))).unwrap();
        json_lines(&metrics)[0]["train_loss"].as_f64().unwrap()
    };
    let (one, two) = (loss("one", &["--device", "cuda:1"]), loss("two", &["--devices", "cuda:0,cuda:1"]));
    let difference = (one - two).abs() / one;
    assert!(difference <= 1e-4, "{one} on one device, {two} on two");
    let train =
        |devices: &str| emulated(&sandbox, "2", "1024", &["train", "--devices", devices, "--out", "other"]);
    train("cuda:0,cpu").failed(1, &["rank 1", "device = cpu", "device = cuda"], "another kind");
    train("cuda:0,cuda:2").failed(
        1,
        &["--devices cuda:2: no device cuda:2: there are 2, from 0 to 1"],
        "absent",
    );
}

#[test]
#[ignore = "needs the feature cuda and tests/emulated-cuda/run.sh"]
fn a_comparison_takes_all_devices() {
    let sandbox = Sandbox::new();
    let losses = |out: &str, device: &str, told: &str| {
        let settings = "--vary method=stbp,bpsta --seeds 1 --net 4C3-AP4-LI10 --time-steps 2 --train-samples 96 \
                        --validation 32 --batch-size 32 --epochs 1 --energy-samples 10";
        let settings: Vec<&str> = settings.split_whitespace().collect();
        let arguments = [&["compare", "digits", "--out", out, "--device", device], &settings[..]].concat();
        let ran = emulated(&sandbox, "2", "1024", &arguments);
        assert!(ran.code == 0 && ran.err.contains(told), "{}\n{}", ran.out, ran.err);
        ["000-stbp-seed0", "001-bpsta-seed0"].map(|name| {
            let summary = sandbox.bytes(&format!("{out}/runs/{name}/summary.json"));
            let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
            summary["test_loss"].as_f64().unwrap()
        })
    };
    let both = losses("both", "cuda", "2 runs, 2 at a time on cuda:0, cuda:1, in");
    let one = losses("one", "cuda:1", "2 runs, 1 at a time on cuda:1, in");
    assert!(both.iter().zip(one).all(|(both, one)| (both - one).abs() <= 1e-5 * one), "{both:?}, {one:?}");
}

#[test]
#[ignore = "needs the feature cuda and tests/emulated-cuda/run.sh"]
fn too_little_memory_is_told() {
    let sandbox = Sandbox::new();
    let train = |batch: &str, steps: &str| {
        let settings = ["--net", "128C3-128C3-MP2-LI10", "--time-steps", steps, "--batch-size", batch];
        let run = ["train", "--device", "cuda", "--out", "run"];
        emulated(&sandbox, "1", "64", &[&run[..], &settings].concat())
    };
    // Before the run, and where the estimate lets pass what does not fit after all.
    train("256", "8").failed(
        2,
        &["batches of 256 samples over 8 time steps", "the device has 0.1 GiB", "--batch-size 91 may fit"],
        "256",
    );
    train("1000", "600").failed(2, &["batch_size = 1000: expected at most 873 on a GPU"], "1000");
    train("110", "8").failed(
        1,
        &["the device's memory is full: ", "in batches of 110 samples over 8", "--batch-size 55 "],
        "110",
    );
}
