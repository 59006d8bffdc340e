//! `synfire compare`: every combination trained, stopped and taken up, and what is told of it.

mod common;

use common::{Sandbox, TINY, TINY_NMNIST, json_lines, write_nmnist};

fn compare(more: &[&str]) -> Vec<String> {
    let head = ["compare", "--energy-samples", "20"];
    head.iter().chain(TINY).chain(more).map(|argument| argument.to_string()).collect()
}

fn ok(sandbox: &Sandbox, arguments: &[String]) -> String {
    sandbox.ok(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn every_combination_is_trained_as_if_alone() {
    let sandbox = Sandbox::new();
    let arguments =
        ["--vary", "method=stbp,bpsta,ann", "--vary", "time-steps=2,3", "--seeds", "2", "--out", "c"];
    let tested = ["--inference-steps", "1,3", "--jobs", "3", "--json"];
    let lines = json_lines(&ok(&sandbox, &compare(&[&arguments[..], &tested].concat())));
    let (table, runs) = lines.split_last().unwrap();
    assert!(runs.len() == 10 && runs.iter().all(|line| line["event"] == "run"), "{runs:?}");
    assert_eq!((&table["event"], table["groups"].as_array().unwrap().len()), (&"finished".into(), 5));

    sandbox.train("alone", &["--method", "bpsta", "-T", "3", "--seed", "1"]);
    sandbox.assert_same_checkpoints("alone", "c/runs/008-bpsta-3-seed1");

    // The means are those of the runs, differences those of runs with the same seed.
    let accuracy = |values: [&str; 2], seed: u64| -> f64 {
        let same = |line: &&serde_json::Value| {
            let run = &line["result"]["finished"];
            run["values"] == serde_json::json!(values) && run["seed"] == seed
        };
        runs.iter().find(same).unwrap()["result"]["finished"]["summary"]["test_accuracy"].as_f64().unwrap()
    };
    let close = |found: &serde_json::Value, expected: f64| {
        assert!((found.as_f64().unwrap() - expected).abs() <= 1e-12, "{found}, expected {expected}");
    };
    let of = |values: [&str; 2]| [0, 1].map(|seed| accuracy(values, seed));
    let group = &table["groups"][0];
    assert_eq!(group["values"], serde_json::json!(["stbp", "2"]));
    close(&group["test_accuracy"]["mean"], of(["stbp", "2"]).iter().sum::<f64>() / 2.0);
    let difference = &table["differences"][0];
    assert_eq!(difference["value"], "bpsta");
    let pairs = of(["bpsta", "2"]).iter().zip(of(["stbp", "2"])).map(|(a, b)| a - b).sum::<f64>() / 2.0;
    close(&difference["difference"]["mean"], pairs);
    // At its own number of steps a network is what its test said.
    let trained =
        runs.iter().find(|line| line["result"]["finished"]["values"] == serde_json::json!(["stbp", "3"]));
    let finding = &trained.unwrap()["result"]["finished"];
    assert_eq!(finding["inference"][1]["accuracy"], finding["summary"]["test_accuracy"]);

    let csv = String::from_utf8(sandbox.bytes("c/results.csv")).unwrap();
    let rows: Vec<&str> = csv.lines().collect();
    assert!(rows[0].starts_with("method,time-steps,seed,test_accuracy,"), "{}", rows[0]);
    assert!(rows.len() == 11 && rows[1].starts_with("stbp,2,0,"), "{csv}");
    assert!(csv.lines().any(|row| row.starts_with("ann,–,0,") && row.contains(",0,")), "{csv}");
    // Without neurons it is compared with each number of steps.
    let against = |steps: &str| format!("method=ann against stbp, time-steps={steps}: ");
    // A finished comparison is shown.
    let text = sandbox.ok(&["compare", "--resume", "c"]);
    assert!(
        text.contains("method=bpsta against stbp, time-steps=2:") && text.contains("better with"),
        "{text}"
    );
    // The means of what networks say early, and with other steps.
    let of = |values: [&str; 2], number: &dyn Fn(&serde_json::Value) -> f64| {
        let same =
            |line: &&serde_json::Value| line["result"]["finished"]["values"] == serde_json::json!(values);
        let found: Vec<f64> =
            runs.iter().filter(same).map(|line| number(&line["result"]["finished"])).collect();
        found.iter().sum::<f64>() / found.len() as f64
    };
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let early = |run: &serde_json::Value| 100.0 * number(&run["summary"]["test_anytime"]["accuracy"][0]);
    let exit = |run: &serde_json::Value, key: &str| {
        let exits = run["summary"]["test_anytime"]["exits"].as_array().unwrap();
        number(&exits.iter().find(|exit| exit["certainty"] == 0.9).unwrap()[key])
    };
    let other = |run: &serde_json::Value| 100.0 * number(&run["inference"][0]["accuracy"]);
    let rows = text.lines().skip_while(|line| !line.contains("certain to 90 %")).collect::<Vec<_>>();
    let row = |steps: &str| {
        let found =
            rows.iter().find(|row| row.starts_with("bpsta") && row.split_whitespace().nth(1) == Some(steps));
        found.unwrap().split_whitespace().map(str::to_string).collect::<Vec<_>>()
    };
    let bpsta = ["bpsta", "3"];
    assert_eq!(row("3")[2], format!("{:.2}", of(bpsta, &early)), "{text}");
    assert_eq!(row("3")[4], format!("{:.2}", 100.0 * of(bpsta, &|run| exit(run, "accuracy"))), "{text}");
    assert_eq!(row("3")[6], format!("{:.2}", of(bpsta, &|run| exit(run, "mean_steps"))), "{text}");
    assert_eq!(row("3")[10], format!("{:.2}", of(bpsta, &other)), "{text}");
    assert_eq!(row("2")[3], "–", "{text}");
    assert!(rows[1..].iter().all(|row| !row.starts_with("ann")), "{text}");
    assert!(
        text.contains(&against("2")) && text.contains(&against("3")) && !text.contains("-0.00 %"),
        "{text}"
    );
    // Once its settings are changed, what was trained is not its result.
    let toml = String::from_utf8(sandbox.bytes("c/compare.toml")).unwrap();
    sandbox.write("c/compare.toml", toml.replace("epochs = 2", "epochs = 3"));
    sandbox.fails(&["compare", "--resume", "c"], 1, &["000-stbp-2-seed0", "epochs = 3 here, 2 there"]);
    sandbox.fails(&["report", "c"], 1, &["other settings"]);
    std::fs::remove_file(sandbox.path("c/compare.toml")).unwrap();
    sandbox.fails(&["compare", "--out", "c"], 1, &["holds a comparison already"]);
}

#[test]
fn a_run_that_diverges_is_a_result() {
    let sandbox = Sandbox::new();
    let arguments = compare(&["--vary", "lr=0.001,1e30", "--seeds", "1", "--out", "c"]);
    let text = ok(&sandbox, &arguments);
    assert!(text.contains("\ndiverged: 1e30 seed 0: "), "{text}");
    assert_eq!(String::from_utf8(sandbox.bytes("c/results.csv")).unwrap().lines().count(), 2);
}

#[test]
fn what_makes_no_comparison_is_refused_before_anything_is_trained() {
    let sandbox = Sandbox::new();
    let fails = |arguments: &[&str], told: &[&str]| {
        sandbox.fails(&[&["compare", "--out", "c"], arguments].concat(), 2, told);
        assert!(!sandbox.path("c").exists());
    };
    fails(&["--vary", "methods=stbp"], &["methods"]);
    fails(&["--vary", "alpha"], &["KEY=A,B"]);
    fails(&["--vary", "alpha=1,1"], &["named twice"]);
    fails(&["--vary", "seed=1,2"], &["--seeds"]);
    fails(&["--vary", "alpha=1,2", "--vary", "alpha=3"], &["varied already"]);
    fails(&["--vary", "epochs=1,2", "--epochs", "3"], &["--epochs is given too"]);
    fails(&["--vary", "time-steps=0,1"], &["time-steps = 0"]);
    fails(&["--vary", "event-mix=0,0.5"], &["event-mix", "digits"]);
    fails(&["nowhere"], &["nowhere"]);
    fails(&["--seeds", "0"], &["--seeds"]);
    sandbox.fails(&["compare", "--resume", "c"], 1, &["compare.toml"]);
    sandbox.fails(&["compare", "--resume", "c", "--epochs", "3"], 2, &["--epochs", "--resume"]);
    let text = sandbox.ok(&["compare", "--dry-run", "--seeds", "2"]);
    assert!(text.lines().count() == 6 && text.contains("method=bpsta seed 1"), "{text}");
    sandbox.fails(&["compare", "--dry-run", "--vary", "voter-method=same,stbp"], 2, &["no voting neurons"]);
    sandbox.write("c/compare.toml", "seeds = 1");
    sandbox.fails(&["compare", "--resume", "c"], 1, &["compare.toml", "seeds"]);
    sandbox.fails(&["compare", "--out", "c"], 1, &["holds a comparison already"]);
}

#[test]
fn data_are_found_again_from_another_folder() {
    let sandbox = Sandbox::new();
    write_nmnist(&sandbox, "sets");
    let set = ["compare", "--data-dir", "sets", "--vary", "method=stbp", "--seeds", "1", "--out", "c"];
    sandbox.ok(&[&set[..], TINY_NMNIST].concat());
    std::fs::remove_file(sandbox.path("c/runs/000-stbp-seed0/result.json")).unwrap();
    let mut command = sandbox.command(&["compare", "--resume", "."]);
    assert!(command.current_dir(sandbox.path("c")).status().unwrap().success());
}
