//! `synfire bench`: what programs read of it, and what it refuses.

mod common;

use common::{Sandbox, json_lines};

const TINY: &[&str] =
    &["bench", "--net", "4C3-AP2-LI1", "--batch-size", "2", "--time-steps", "3", "--seconds", "0"];

#[test]
fn a_case_is_a_line_of_json() {
    let sandbox = Sandbox::new();
    for (input, precision) in [("1,6,6", "f32"), ("2,6,6", "bf16")] {
        let out = sandbox.ok(&[TINY, &["--json", "--input", input, "--precision", precision]].concat());
        let [line] = &json_lines(&out)[..] else { panic!("one line, not {out}") };
        assert_eq!(
            (line["net"].as_str(), line["precision"].as_str()),
            (Some("4C3-AP2-LI1"), Some(precision))
        );
        assert_eq!((line["batch_size"].as_u64(), line["time_steps"].as_u64()), (Some(2), Some(3)));
        for key in ["train_samples_per_s", "infer_samples_per_s", "first_loss"] {
            assert!(line[key].as_f64().is_some_and(|value| value > 0.0), "{key} in {line}");
        }
        assert!(!cfg!(target_os = "linux") || line["peak_rss_mib"].as_f64().unwrap() > 1.0);
    }
    assert!(sandbox.ok(&[TINY, &["--input", "1,6,6"]].concat()).contains("samples/s"));
}

#[test]
fn a_trained_network_is_measured_on_its_data() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    let trained = ["bench", "--checkpoint", "run", "--seconds", "0"];
    let lines = json_lines(&sandbox.ok(&[&trained[..], &["--json"]].concat()));
    let summary: serde_json::Value = serde_json::from_slice(&sandbox.bytes("run/summary.json")).unwrap();
    assert!(lines[0]["train_samples_per_s"].as_f64().unwrap() > 0.0);
    assert_eq!(lines[0]["test_accuracy"], summary["test_accuracy"]);
    assert_eq!((&lines[0]["dataset"], &lines[0]["norm"]), (&"digits".into(), &"joint".into()));
    assert_eq!(lines[0]["time_steps"], summary["time_steps"]);
    // Half of the digits' pixels are black.
    let density = lines[0]["input_density"][0]["share"].as_f64().unwrap();
    assert!((0.3..0.7).contains(&density), "{density}");

    let text = sandbox.ok(&[&trained[..], &["--batch-size", "2", "-T", "3"]].concat());
    assert!(text.contains("B 2, T 3"), "{text}");
    assert!(
        text.contains("run/summary.json") && text.contains("layers.0") && text.contains("dense"),
        "{text}"
    );

    sandbox.ok(&[&trained[..], &["--save-step", "step.safetensors"]].concat());
    assert!(!sandbox.bytes("step.safetensors").is_empty());
    sandbox.fails(&[&trained[..], &["--method", "stbp"]].concat(), 2, &["--method"]);
    sandbox.fails(&[&trained[..], &["--norm", "joint"]].concat(), 2, &["--norm"]);
    sandbox.fails(&[&trained[..], &["--batch-size", "361"]].concat(), 2, &["batch-size", "361", "360"]);
}

#[test]
fn a_profile_tells_of_each_kernel() {
    let sandbox = Sandbox::new();
    let profile = [TINY, &["--input", "2,6,6", "--profile"]].concat();
    let line = &json_lines(&sandbox.ok(&[&profile[..], &["--json"]].concat()))[0]["profile"];
    assert!(line["step_ms"].as_f64().unwrap() > 0.0 && line["peak_gflops"].as_f64().unwrap() > 0.0);
    let kernels = line["kernels"].as_array().unwrap();
    assert_eq!((&kernels[0]["kernel"], &kernels[0]["calls"]), (&"convolution, forward".into(), &1.0.into()));
    assert!(kernels[0]["gflops"].as_f64().unwrap() > 0.0);
    assert!(sandbox.ok(&profile).contains("block, backward"));
}

#[test]
fn neurons_alone_are_measured() {
    let sandbox = Sandbox::new();
    let bench = ["bench", "--neurons", "100", "-T", "4", "--seconds", "0", "--method", "stbp"];
    let line = &json_lines(&sandbox.ok(&[&bench[..], &["--json"]].concat()))[0];
    assert_eq!(
        (&line["neurons"], &line["time_steps"], &line["method"]),
        (&100.into(), &4.into(), &"stbp".into())
    );
    assert!(line["median_ms"].as_f64().unwrap() > 0.0);
    assert!(sandbox.ok(&bench).contains("100 neurons, T 4, stbp"));
    sandbox.fails(&["bench", "--neurons", "0"], 2, &["--neurons"]);
    sandbox.fails(&["bench", "--neurons", "9", "--net", "nmnist"], 2, &["cannot be used with"]);
    sandbox.fails(&["bench", "--neurons", "67108864", "-T", "4096"], 2, &["GiB, there are"]);
}

#[test]
fn what_makes_no_case_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.fails(&["bench", "--net", "4C3-LI1"], 2, &["--input"]);
    sandbox.fails(&["bench", "--net", "4C4-LI1", "--input", "1,6,6"], 2, &["4C4"]);
    sandbox.fails(&[TINY, &["--input", "1,6"]].concat(), 2, &["1,6", "--input", "C,H,W"]);
    sandbox.fails(&["bench", "--net", "nmnist", "--seconds=-1"], 2, &["--seconds -1"]);
    sandbox.fails(&["bench", "--net", "nmnist", "--batch-size", "0"], 2, &["--batch-size"]);
    sandbox.fails(&["bench", "--net", "nmnist", "--precision", "half"], 2, &["half", "auto"]);
    sandbox.fails(&["bench", "--checkpoint", "nowhere"], 1, &["nowhere"]);
    // A name that is none is told before what else is lacking.
    sandbox.fails(&["bench", "--net", "nonsense"], 2, &["unknown layer", "nonsense"]);
    sandbox.fails(&["net", "describe", "nonsense"], 2, &["unknown layer", "nonsense"]);
    sandbox.fails(
        &[TINY, &["--input", "0,1,1"]].concat(),
        2,
        &["an input of [0, 1, 1] (C, H, W) and 10 classes"],
    );
    // What does not go together is refused, not passed over.
    for both in [["--data-dir", "data"], ["--checkpoint", "run"]] {
        sandbox.fails(&[&["bench", "--net", "nmnist"][..], &both].concat(), 2, &["cannot be used with"]);
    }
    let input = ["bench", "--checkpoint", "run", "--input", "2,6,6"];
    sandbox.fails(&input, 2, &["cannot be used with"]);
    sandbox.fails(&["bench", "--save-step", "step"], 2, &["--save-step needs --net or --checkpoint"]);
}

#[test]
fn what_does_not_fit_into_memory_is_refused() {
    let sandbox = Sandbox::new();
    let wide = "65536C255-65536C255-LI1";
    sandbox.fails(&["bench", "--net", wide, "--input", "1,65536,65536"], 2, &["GiB of memory"]);
    sandbox.fails(
        &["bench", "--net", "dvs", "--batch-size", "4000000000", "--seconds", "0"],
        2,
        &["GiB of memory"],
    );
    let described = sandbox.ok(&["net", "describe", wide, "--input", "1,65536,65536", "-b", "2"]);
    assert!(described.contains("that is more than the "), "{described}");
}

/// The figure that `synfire net describe` tells before training, against what the process took. How large its heap
/// becomes differs from run to run by some per cent, now and then by more, as threads allocate in another order.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn memory_is_what_was_predicted() {
    let sandbox = Sandbox::new();
    for case in [
        ["nmnist", "2,34,34", "16", "4", "bf16"],
        ["cifar10", "3,32,32", "16", "8", "bf16"],
        ["nmnist", "2,34,34", "8", "16", "f32"],
        ["resnet18", "3,32,32", "4", "4", "bf16"],
        // Scratch memory, large frames before a readout, dropout and pooling apart from blocks.
        ["64C3-AP64-LI1", "2,64,64", "2", "64", "bf16"],
        ["8C3-8C3-8C3-LI1", "2,64,64", "16", "16", "bf16"],
        ["32C5-DP-32C5S2-DP-64C3-LI10", "3,32,32", "16", "8", "f32"],
    ] {
        let [net, input, batch, steps, precision] = case;
        let sizes = [net, "-b", batch, "-T", steps, "--precision", precision, "--threads", "2", "--json"];
        let sizes = [&sizes[..], &["--input", input]].concat();
        let mib = |command: &[&str], key: &str| {
            let line = json_lines(&sandbox.ok(&[command, &sizes[..]].concat())).pop().unwrap();
            line[key].as_f64().unwrap()
        };
        let predicted = mib(&["net", "describe"], "peak_mib");
        let mut took = Vec::new();
        let agrees = (0..3).any(|_| {
            took.push(mib(&["bench", "--seconds", "0", "--net"], "peak_rss_mib"));
            (0.85..=1.15).contains(&(predicted / took[took.len() - 1]))
        });
        assert!(agrees, "{case:?}: predicted {predicted:.0} MiB, but runs took {took:.0?} MiB");
    }
}
