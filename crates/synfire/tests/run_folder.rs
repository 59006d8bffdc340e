//! What a run does with its settings and what it writes down.

mod common;

use burn::tensor::Device;
use common::runs::{Patience, config, start};
use std::fs;
use std::path::PathBuf;
use synfire::optim::{OptimizerKind, Schedule};
use synfire::train::{Observer, PrecisionChoice, RunFolder, TrainConfig, Trainer};

/// Euclidean length of the first step of a run.
fn first_step(config: &TrainConfig) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = start(config, folder.path()).unwrap();
    let before = trainer.net().clone().state();
    trainer.run(&mut Patience::batches(1)).unwrap();
    let after = trainer.net().clone().state();
    let squares = after.iter().filter(|(name, _)| !name.contains("running")).flat_map(|(name, tensor)| {
        tensor.values.iter().zip(&before[name].values).map(|(a, b)| f64::from(a - b).powi(2))
    });
    squares.sum::<f64>().sqrt()
}

#[test]
fn clipping_bounds_a_step() {
    let plain = TrainConfig {
        optimizer: OptimizerKind::Sgd,
        momentum: 0.0,
        weight_decay: 0.0,
        lr: 1.0,
        schedule: Schedule::Constant,
        ..config()
    };
    let whole = first_step(&plain);
    let clipped = |clip_norm| first_step(&TrainConfig { clip_norm, ..plain.clone() });
    assert!((clipped(whole / 4.0) / whole - 0.25).abs() <= 1e-3);
    assert_eq!(clipped(whole * 2.0), whole);
}

#[test]
fn validation_samples_are_not_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let trainer = start(&config(), folder.path()).unwrap();
    let split = trainer.split();
    assert_eq!((split.train.len(), split.validation.len()), (160, 40));
    let mut all: Vec<usize> = split.train.iter().chain(&split.validation).copied().collect();
    all.sort_unstable();
    assert_eq!(all, (0..200).map(|i| i * 1437 / 200).collect::<Vec<_>>());
    assert!(split.validation.iter().all(|i| !split.train.contains(i)));
}

#[test]
fn a_tenth_is_held_back_where_nothing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let trainer = start(&TrainConfig { validation: 0, ..config() }, folder.path()).unwrap();
    assert_eq!((trainer.split().train.len(), trainer.split().validation.len()), (180, 20));
    assert_eq!(trainer.config().validation, 20);
    let written = fs::read_to_string(folder.path().join("config.toml")).unwrap();
    assert!(written.contains("validation = 20\n"), "{written}");
}

#[test]
fn metrics_and_tensorboard_events_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    start(&config(), folder.path()).unwrap().run(&mut Patience::endless()).unwrap();
    let text = fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
    for (i, line) in text.lines().enumerate() {
        let epoch: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(epoch["epoch"], i + 1);
        assert!(epoch["train_loss"].as_f64().unwrap() > 0.0);
        assert!((0.0..=1.0).contains(&epoch["validation_accuracy"].as_f64().unwrap()));
        let names = |key: &str| epoch[key].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names("firing_rates"), ["layers.3", "layers.8"]);
        assert_eq!(names("gradient_norms").len(), 5);
    }
    assert_eq!(text.lines().count(), 3);

    let is_events = |path: &PathBuf| path.to_string_lossy().contains("events.out.tfevents");
    let files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let bytes = fs::read(files.into_iter().find(is_events).unwrap()).unwrap();
    let (mut rest, mut records) = (bytes.as_slice(), Vec::new());
    let masked = |bytes| crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        assert_eq!(rest[8..12], masked(&rest[..8]));
        let data = &rest[12..12 + length];
        assert_eq!(rest[12 + length..16 + length], masked(data));
        records.push(data);
        rest = &rest[16 + length..];
    }
    assert_eq!(records.len(), 4, "the version and three epochs");
    let holds = |record: &[u8], tag: &[u8]| record.windows(tag.len()).any(|window| window == tag);
    assert!(holds(records[0], b"brain.Event:2"));
    for record in &records[1..] {
        for tag in ["loss/train", "accuracy/validation", "firing_rate/layers.3", "gradient_norm/layers.0"] {
            assert!(holds(record, tag.as_bytes()), "{tag}");
        }
    }
}

#[derive(Default)]
struct Warnings(Vec<String>);

impl Observer for Warnings {
    fn warning(&mut self, text: &str) {
        self.0.push(text.to_string());
    }
}

#[test]
fn a_dead_layer_is_told_once() {
    let warnings = |config: TrainConfig| {
        let folder = tempfile::tempdir().unwrap();
        let mut warnings = Warnings::default();
        start(&config, folder.path()).unwrap().run(&mut warnings).unwrap();
        warnings.0
    };
    assert_eq!(warnings(config()), [""; 0]);
    let dead = warnings(TrainConfig { threshold: 1e6, ..config() });
    assert_eq!(dead.len(), 2, "a line for each of two layers, in three epochs: {dead:?}");
    assert!(dead[0].starts_with("neuron layer layers.3 (4C3), rate 0.0000, is dead"), "{dead:?}");
}

#[test]
fn more_samples_than_there_are_and_shifts_out_of_the_image_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let problem = |config: TrainConfig| start(&config, folder.path()).err().unwrap().to_string();
    let text = problem(TrainConfig { train_samples: 1438, ..config() });
    assert_eq!(text, "train-samples = 1438: expected at most the 1437 training samples there are");
    let text = problem(TrainConfig { shift: 8, ..config() });
    assert_eq!(text, "shift = 8: expected less than the 8x8 pixels of an image");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn a_run_writes_down_what_it_resolved() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { data_dir: Some(".".into()), ..config() };
    let trainer = start(&config, folder.path()).unwrap();
    let written = RunFolder::new(folder.path()).config().unwrap().unwrap();
    assert_eq!(&written, trainer.config());
    assert!(written.data_dir.unwrap().is_absolute());
    let here = PrecisionChoice::Auto.here();
    assert_eq!(written.precision, PrecisionChoice::Fixed(here));
    assert_eq!(trainer.net().precision, here);

    let absent = TrainConfig { data_dir: Some("absent".into()), ..config };
    let problem = start(&absent, &folder.path().join("other")).err().unwrap().to_string();
    assert_eq!(problem, "data-dir absent: there is no such folder");
}

#[test]
fn numbered_folders_are_claimed_by_one_run_each() {
    let folder = tempfile::tempdir().unwrap();
    let begin = || {
        let run = RunFolder::numbered(folder.path().join("runs/digits"));
        Trainer::start(config(), run, &Device::flex()).unwrap()
    };
    let runs: Vec<Trainer> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(begin)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut names: Vec<_> = runs.iter().map(|run| run.folder().path().file_name().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["digits", "digits-2", "digits-3"]);
}

#[test]
fn one_process_at_a_time_and_a_run_without_checkpoint_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(&config(), folder.path()).unwrap();
    let problem = start(&config(), folder.path()).err().unwrap().to_string();
    assert!(problem.contains("another process is training this run"), "{problem}");
    drop(first);
    let mut again = start(&config(), folder.path()).unwrap();
    again.run(&mut Patience::batches(1)).unwrap();
    drop(again);
    let problem = start(&config(), folder.path()).err().unwrap().to_string();
    assert!(problem.contains("holds a run already"), "{problem}");
}

#[test]
fn a_seed_no_configuration_file_can_hold_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let problem =
        start(&TrainConfig { seed: u64::MAX, ..config() }, folder.path()).err().unwrap().to_string();
    assert!(problem.contains("seed"), "{problem}");
}
