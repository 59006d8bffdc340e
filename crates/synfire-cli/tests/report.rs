//! `synfire report`: the page of a run, of a comparison, and of what is not whole.

mod common;

use common::{Sandbox, TINY, TINY_NMNIST, json_lines, write_nmnist};

fn page(sandbox: &Sandbox, name: &str) -> String {
    String::from_utf8(sandbox.bytes(name)).unwrap()
}

#[test]
fn a_run_becomes_a_page_and_figures() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &["--net", "4C3-AP2-VOTE2"]);
    let line = &json_lines(&sandbox.ok(&["report", "run", "--figures", "figures", "--json"]))[0];
    let files: Vec<&str> =
        line["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    assert!(files.iter().all(|file| sandbox.path(file).is_file()), "{files:?}");
    for figure in [
        "loss",
        "anytime",
        "confusion",
        "firing-rates",
        "gradient-norms",
        "silent-voters",
        "energy",
        "spikes-1",
    ] {
        let svg = page(&sandbox, &format!("figures/{figure}.svg"));
        assert!(svg.starts_with("<svg ") && !svg.contains("currentColor"), "{figure}");
    }
    let html = page(&sandbox, "run/report.html");
    let summary: serde_json::Value = serde_json::from_slice(&sandbox.bytes("run/summary.json")).unwrap();
    let accuracy = format!("{:.2} %", 100.0 * summary["test_accuracy"].as_f64().unwrap());
    // What was measured, how to repeat it, and nothing from elsewhere.
    for part in [
        &accuracy[..],
        "4C3-AP2-VOTE2",
        "net = &quot;4C3-AP2-VOTE2&quot;",
        summary["split"].as_str().unwrap(),
    ] {
        assert!(html.contains(part), "{part}");
    }
    let named = html.replace("http://www.w3.org/2000/svg", "");
    assert!(!named.contains("http://") && !named.contains("https://"));
    // The same run makes the same page.
    sandbox.ok(&["report", "run", "-o", "again.html"]);
    assert!(page(&sandbox, "again.html") == html);
}

#[test]
fn recordings_are_shown_frame_by_frame() {
    let sandbox = Sandbox::new();
    write_nmnist(&sandbox, "sets");
    sandbox.ok(&[&["train", "--out", "run", "--data-dir", "sets"], TINY_NMNIST].concat());
    sandbox.ok(&["report", "run"]);
    let html = page(&sandbox, "run/report.html");
    let scenes = html.split(r#"id="data" type="application/json">"#).nth(1).unwrap();
    let scenes: serde_json::Value = serde_json::from_str(scenes.split("</script>").next().unwrap()).unwrap();
    let scene = &scenes["scenes"][0];
    assert_eq!(scene["pictures"].as_array().unwrap().len(), 4);
    let layer = &scene["layers"][0];
    let shown = layer["neurons"].as_u64().unwrap() as usize;
    assert_eq!(layer["fired"].as_str().unwrap().len(), 4 * shown);

    // The samples and layers that are asked for.
    let asked = ["report", "run", "-o", "asked.html", "--figures", "figures"];
    let layer = layer["name"].as_str().unwrap().split(' ').next_back().unwrap();
    sandbox.ok(&[&asked[..], &["--show", "2,0", "--layers", layer]].concat());
    let html = page(&sandbox, "asked.html");
    assert!(html.contains("sample 2: ") && html.contains("sample 0: ") && !html.contains("sample 1: "));
    let drawn = page(&sandbox, "figures/spikes-1.svg");
    assert!(drawn.contains(layer) && drawn.matches("layers.").count() == 1, "{drawn}");
    sandbox.fails(&["report", "run", "--show", "1000"], 1, &["--show 1000", "0 to"]);
    sandbox.fails(&["report", "run", "--layers", "7C9"], 1, &["--layers", "7C9", layer]);

    // Without its data a run still has a page, which says what is missing.
    std::fs::rename(sandbox.path("sets"), sandbox.path("elsewhere")).unwrap();
    let ran = sandbox.run(&["report", "run", "-o", "without.html"]);
    assert!(ran.code == 0 && ran.err.contains("warning: without samples"), "{}", ran.err);
    let html = page(&sandbox, "without.html");
    assert!(html.contains("could not be opened") && !html.contains("id=\"viewer\""));
    sandbox.ok(&["report", "run", "--data-dir", "elsewhere", "-o", "moved.html"]);
    assert!(page(&sandbox, "moved.html").contains("id=\"viewer\""));
}

#[test]
fn a_comparison_becomes_a_page_while_it_runs_and_after() {
    let sandbox = Sandbox::new();
    let axes = [
        "--vary",
        "method=stbp,ann",
        "--vary",
        "lr=0.001,0.002",
        "--seeds",
        "2",
        "--inference-steps",
        "2,1,2",
    ];
    sandbox.ok(&[&["compare", "--out", "c", "--energy-samples", "20"], TINY, &axes[..]].concat());
    sandbox.ok(&["report", "c", "--figures", "figures"]);
    let html = page(&sandbox, "c/report.html");
    for part in ["8 of 8 runs", "lr=0.002", "runs/000-stbp-0.001-seed0", "key = &quot;method&quot;"] {
        assert!(html.contains(part), "{part}");
    }
    for figure in ["accuracies", "accuracy-over-lr", "anytime", "inference-steps", "validation", "energy"] {
        assert!(sandbox.path(&format!("figures/{figure}.svg")).is_file(), "{figure}");
    }
    std::fs::remove_file(sandbox.path("c/runs/007-ann-0.002-seed1/result.json")).unwrap();
    sandbox.ok(&["report", "c"]);
    assert!(page(&sandbox, "c/report.html").contains("7 of 8 runs"));
}

#[test]
fn what_cannot_be_shown_is_told() {
    let sandbox = Sandbox::new();
    sandbox.fails(&["report", "nowhere"], 1, &["nowhere", "expected the folder"]);
    sandbox.write("empty/file", "");
    sandbox.fails(&["report", "empty"], 1, &["empty", "config.toml"]);
    sandbox.train("run", &[]);
    sandbox.fails(&["report", "run", "-o", "no/such/folder.html"], 1, &["no/such/folder.html"]);
    sandbox.write("file", "");
    sandbox.fails(&["report", "run", "--figures", "file"], 1, &["file"]);
    std::fs::remove_file(sandbox.path("run/summary.json")).unwrap();
    sandbox.ok(&["report", "run"]);
    assert!(page(&sandbox, "run/report.html").contains("not finished"));
    sandbox.write("run/metrics.jsonl", "{}\n");
    sandbox.fails(&["report", "run"], 1, &["metrics.jsonl", "line 1"]);
    // Stopped in the first epoch, and before the first checkpoint.
    std::fs::remove_file(sandbox.path("run/metrics.jsonl")).unwrap();
    std::fs::remove_file(sandbox.path("run/checkpoints/best.safetensors")).unwrap();
    sandbox.ok(&["report", "run"]);
    assert!(page(&sandbox, "run/report.html").contains("0 of 2"));
    std::fs::remove_file(sandbox.path("run/checkpoints/last.safetensors")).unwrap();
    sandbox.fails(&["report", "run"], 1, &["nothing to show yet"]);
    sandbox.fails(&["report", "run/config.toml"], 1, &["run/config.toml", "expected the folder"]);

    sandbox.train("other", &[]);
    let summary = String::from_utf8(sandbox.bytes("other/summary.json")).unwrap();
    let mut summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    summary["test_confusion"][0].as_array_mut().unwrap().pop();
    sandbox.write("other/summary.json", summary.to_string());
    sandbox.fails(&["report", "other"], 1, &["summary.json", "9 columns"]);
}
