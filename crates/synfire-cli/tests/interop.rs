//! `synfire export` and `synfire import`: there and back, what is told, and what cannot be.

mod common;

use common::{Ran, Sandbox};
use std::path::Path;

/// Accuracy and loss of a network on the digits, as `synfire eval` prints them.
fn evaluated(sandbox: &Sandbox, network: &str) -> String {
    let out = sandbox.ok(&["eval", network]);
    out.lines().next().unwrap().to_string()
}

fn value(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))
}

#[test]
fn weights_for_pytorch_come_back_with_all_settings() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &["--decay", "0.75", "-T", "3"]);
    assert_eq!(
        sandbox.ok(&["export", "safetensors", "run", "-o", "net.safetensors"]).trim(),
        "net.safetensors"
    );
    let out = sandbox.ok(&["import", "pytorch", "net.safetensors", "-o", "back.safetensors", "--json"]);
    let told = value(&out);
    assert_eq!((&told["net"], &told["time_steps"]), (&"4C3-AP2-LI2".into(), &3.into()));
    assert_eq!(told["modules"][0], serde_json::json!(["layers.0", "layers.0"]));
    assert_eq!(evaluated(&sandbox, "back.safetensors"), evaluated(&sandbox, "run"));
    // It has no split of its own.
    sandbox.fails(
        &["eval", "back.safetensors", "--part", "validation"],
        1,
        &["back.safetensors", "imported"],
    );
    // It says itself what it is.
    for (option, value) in
        [("--recipe", "paper"), ("--classes", "3"), ("--data-dir", "."), ("--config", "run/config.toml")]
    {
        let given = ["import", "pytorch", "net.safetensors", option, value, "-o", "x"];
        sandbox.fails(&given, 2, &[option, "leave this out"]);
    }
    let longer = ["import", "pytorch", "net.safetensors", "-T", "5", "-o", "longer.safetensors"];
    assert!(sandbox.ok(&longer).contains("5 time steps"));
}

#[test]
fn a_graph_comes_back_as_the_same_network() {
    let sandbox = Sandbox::new();
    let exact = ["--relu", "false", "--precision", "f32", "--net", "4C3-AP2-VOTE2", "--voter-method", "stbp"];
    sandbox.train("run", &exact);
    for (name, how) in [("a", &[][..]), ("b", &["--dt", "0.001", "--fold-resistance", "--sum-pool"])] {
        let file = format!("{name}.nir");
        sandbox.ok(&[&["export", "nir", "run", "-o", &file], how].concat());
        let out = sandbox.ok(&["import", "nir", &file, "digits", "-o", &format!("{name}.safetensors")]);
        assert!(out.contains("4C3-AP2-VOTE2") && out.contains("threshold 0.5, decay 0.9"), "{out}");
        assert_eq!(evaluated(&sandbox, &format!("{name}.safetensors")), evaluated(&sandbox, "run"));
    }
    // A network without the name of its data set can be asked, not tested.
    sandbox.ok(&["import", "nir", "a.nir", "-o", "alone.safetensors"]);
    sandbox.fails(&["eval", "alone.safetensors"], 1, &["alone.safetensors", "data set"]);
    sandbox.fails(&["import", "nir", "a.nir", "--dt", "1", "-o", "x"], 1, &["a.nir", "time step of 1 s"]);
    sandbox.fails(&["import", "nir", "a.nir", "--input", "1,9,9", "-o", "x"], 1, &["a.nir", "[1, 9, 9]"]);
    sandbox.fails(&["import", "nir", "a.nir", "gestures", "-o", "x"], 1, &["a.nir", "gestures"]);
    sandbox.fails(&["export", "nir", "run", "--dt", "-1", "-o", "x"], 2, &["--dt", "above 0"]);
    assert!(!sandbox.path("x").exists());
}

#[test]
fn what_nir_cannot_say_is_told_with_what_to_train() {
    let sandbox = Sandbox::new();
    let refused = |run: &str, settings: &[&str], told: &[&str]| {
        sandbox.train(run, settings);
        sandbox.fails(&["export", "nir", run, "-o", "x"], 1, told);
        assert!(!sandbox.path("x").exists());
    };
    refused("relu", &["--net", "4C3-AP2-LI1"], &["4C3 (layers.0)", "--relu false"]);
    refused("maxima", &["--relu", "false", "--net", "4C3-MP2-LI1"], &["MP2 (layers.3)", "AP2"]);
    refused("ann", &["--relu", "false", "--method", "ann"], &["--method ann"]);
}

#[test]
fn a_checkpoint_of_the_released_code_names_its_threshold_and_decay() {
    let sandbox = Sandbox::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../synfire-interop/tests/data/released.pt");
    let file = data.to_str().unwrap();
    let import = |more: &[&str]| -> Ran {
        sandbox.run(
            &[
                &["import", "pytorch", file, "-o", "net.safetensors", "--net", "6C3-MP2-5C3-AP2-DP-VOTE2"],
                more,
            ]
            .concat(),
        )
    };
    let ran = import(&["--input", "2,8,8", "--classes", "3"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("layers.12") && ran.out.contains("network.fun.12"), "{}", ran.out);
    assert!(ran.out.contains("threshold 0.6, decay 0.8"), "{}", ran.out);
    let ran = import(&["--input", "2,8,8", "--classes", "3", "--decay", "0.5"]);
    assert!(ran.out.contains("decay 0.5"), "{}", ran.out);
    import(&[]).failed(2, &["--input and --classes"], "no sizes");
    import(&["--input", "2,8,8", "--classes", "4"]).failed(1, &["released.pt", "[8, 20]"], "other classes");
    import(&["--input", "2,8", "--classes", "3"]).failed(2, &["C,H,W"], "no shape");
    // A data set that is not here tells nothing; one that does not exist is an error.
    let ran = import(&["nmnist", "--input", "2,8,8", "--classes", "3"]);
    assert_eq!((ran.code, ran.err.contains("goes on without")), (0, true), "{}", ran.err);
    import(&["nothing"]).failed(2, &["nothing"], "no such set");
    sandbox.fails(&["import", "pytorch", "absent.pt", "-o", "x"], 1, &["absent.pt"]);
    sandbox.fails(
        &["import", "pytorch", file, "digits", "-o", "x"],
        1,
        &["released.pt", "not those of this network"],
    );
}
