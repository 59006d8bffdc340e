//! `--device` and `synfire devices`, with and without a GPU.

mod common;

use common::{Sandbox, golden, json_lines};
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
    }
}

#[test]
fn the_cpu_by_name() {
    let file = golden("neuron.safetensors");
    let out = Sandbox::new().ok(&["verify", "--device", "cpu", file.to_str().unwrap()]);
    assert!(out.contains("0 failed"), "{out}");
}
