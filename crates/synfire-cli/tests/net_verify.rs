//! `synfire net`, `synfire verify`, and what every command shares.

mod common;

use common::{Sandbox, golden, json_lines};

#[test]
fn networks_are_listed_and_described() {
    let sandbox = Sandbox::new();
    let listed = json_lines(&sandbox.ok(&["net", "list", "--json"]));
    assert!(listed.iter().any(|net| net["name"] == "resnet18"));
    assert!(sandbox.ok(&["net", "list"]).contains("nmnist"));
    let lines = json_lines(&sandbox.ok(&["net", "describe", "nmnist", "--json"]));
    let total = lines.last().unwrap();
    assert_eq!((total["layer"].as_str(), total["parameters"].as_u64()), (Some("total"), Some(1_678_692)));
    assert!(sandbox.ok(&["net", "describe", "nmnist"]).contains("1678692"));
    let own = sandbox.ok(&["net", "describe", "8C3-LI1", "--input", "1,8,8", "--classes", "3"]);
    // 72 weights and 24 values of the convolution block; 512 x 3 weights and 3 biases
    assert!(own.contains(&(96 + 1539).to_string()), "{own}");
}

#[test]
fn a_network_that_makes_no_sense_is_told_where() {
    let sandbox = Sandbox::new();
    let describe = |net: &str, told: &[&str]| {
        sandbox.fails(&["net", "describe", net, "--input", "1,8,8"], 2, told);
    };
    describe("8C3-12Q3-LI1", &["layer 2", "`12Q3`", "column 5"]);
    describe("8C3-MP9-LI1", &["layer 2", "`MP9`", "8x8"]);
    describe("8C3", &["ends with a readout"]);
    describe("nmnits", &["unknown layer", "the names nmnist, "]);
    sandbox.fails(&["net", "describe", "8C3-LI1"], 2, &["--input"]);
    sandbox.fails(&["net", "describe", "8C3-LI1", "--input", "1,8"], 2, &["--input", "C,H,W"]);
    sandbox.fails(&["net", "describe", "8C3-LI1", "--input", "1,0,8"], 2, &["from 1 to"]);
    let huge =
        ["1,99999999999999999999,8", "18446744073709551615,18446744073709551615,2", "65536,65536,65536"];
    for input in huge {
        for net in
            ["65536FC-65536FC-VOTE65536", "65536C3-65535C65535-MP2-65536RBS65535-LI65536", "1C1*65536-LI1"]
        {
            for sizes in [&[][..], &["-b", "4294967295", "-T", "4096"], &["-b", "18446744073709551615"]] {
                let command = ["net", "describe", net, "--input", input, "--precision", "bf16"];
                let ran = sandbox.run(&[&command, sizes].concat());
                assert!(ran.code == 0 || ran.code == 2, "{command:?} {sizes:?}: {}", ran.err);
                assert!(!ran.err.contains("panicked"), "{command:?} {sizes:?}: {}", ran.err);
            }
        }
    }
}

#[test]
fn verify_passes_here_and_notices_a_changed_file() {
    let sandbox = Sandbox::new();
    let lines = json_lines(&sandbox.ok(&["verify", "--json"]));
    assert!(lines.len() > 20 && lines.iter().all(|line| line["passed"] == true));

    let original = golden("neuron.safetensors");
    let out = sandbox.ok(&["verify", original.to_str().unwrap()]);
    assert!(out.contains("0 failed"), "{out}");
    sandbox.ok(&["verify", "--ops", "portable", original.to_str().unwrap()]);

    let mut bytes = std::fs::read(&original).unwrap();
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..start]).unwrap();
    let (_, tensor) =
        header.as_object().unwrap().iter().find(|(name, _)| name.ends_with(".grad_current")).unwrap();
    let at = start + tensor["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[at..at + 4].copy_from_slice(&1000f32.to_le_bytes());
    sandbox.write("tampered.safetensors", &bytes);
    let ran = sandbox.run(&["verify", "tampered.safetensors"]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("FAILED") && ran.out.contains("1 failed"), "{}", ran.out);

    sandbox.write("short.safetensors", &bytes[..bytes.len() / 2]);
    sandbox.fails(
        &["verify", "short.safetensors"],
        1,
        &["short.safetensors", "not a sound safetensors file"],
    );
    sandbox.fails(&["verify", "absent.safetensors"], 1, &["absent.safetensors"]);
}

#[test]
fn help_and_version_are_there_for_every_command() {
    let sandbox = Sandbox::new();
    assert!(sandbox.ok(&["--version"]).starts_with("synfire "));
    for command in [
        &["--help"][..],
        &["train", "--help"],
        &["eval", "-h"],
        &["infer", "-h"],
        &["net", "describe", "-h"],
        &["data", "-h"],
        &["data", "list", "-h"],
        &["data", "show", "--help"],
        &["data", "convert", "--help"],
        &["data", "simulate", "--help"],
    ] {
        let help = sandbox.ok(command);
        assert!(help.contains("Usage: synfire"), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
    sandbox.fails(&["trian"], 2, &["trian", "train"]);
    assert_eq!(sandbox.run(&[]).code, 2, "no command: help and bad usage");
}
