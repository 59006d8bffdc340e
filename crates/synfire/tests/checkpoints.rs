//! Checkpoints that are damaged or belong elsewhere: a sentence that names the file, and no panic.

mod common;

use burn::tensor::Device;
use common::runs::{self, Patience, config};
use std::fs;
use std::path::Path;
use synfire::file::{HostTensor, TensorFile};
use synfire::train::{Checkpoint, RunFolder, TrainConfig, Trainer};
use synfire_data::Locations;
use tempfile::TempDir;

/// A run of a small network, stopped after its first batch.
fn stopped(net: &str) -> TempDir {
    let config = TrainConfig { net: net.into(), ..config() };
    let folder = tempfile::tempdir().unwrap();
    runs::start(&config, folder.path()).unwrap().run(&mut Patience::batches(1)).unwrap();
    folder
}

fn resume(folder: &Path) -> Result<Trainer, String> {
    runs::resume(folder).map_err(|error| error.to_string())
}

/// What is said of a run whose last checkpoint holds `bytes`.
#[track_caller]
fn problem(bytes: &[u8]) -> String {
    let folder = stopped("4C3-AP4-LI1");
    let path = RunFolder::new(folder.path()).last();
    fs::write(&path, bytes).unwrap();
    let text = resume(folder.path()).err().expect("the checkpoint is refused");
    assert!(text.contains("last.safetensors"), "the file is named: {text}");
    text
}

fn last_of(net: &str) -> Vec<u8> {
    fs::read(RunFolder::new(stopped(net).path()).last()).unwrap()
}

/// The bytes of a checkpoint that `edit` has changed, its checksum with it.
fn edited_bytes(bytes: &[u8], edit: impl FnOnce(&mut TensorFile)) -> Vec<u8> {
    let mut file = TensorFile::parse(bytes).unwrap();
    edit(&mut file);
    if let Some(header) = file.metadata.get_mut("synfire")
        && let Some((before, _)) = header.split_once("\"checksum\":")
    {
        let mut all = format!("{before}\"checksum\":0}}").into_bytes();
        for (name, HostTensor { shape, values }) in &file.tensors {
            all.extend(name.bytes());
            all.extend(shape.iter().flat_map(|&size| (size as u64).to_le_bytes()));
            all.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        *header = format!("{before}\"checksum\":{}}}", crc32c::crc32c(&all));
    }
    file.to_bytes().unwrap()
}

/// What is said of a run whose last checkpoint `edit` has changed.
#[track_caller]
fn edited(edit: impl FnOnce(&mut TensorFile)) -> String {
    problem(&edited_bytes(&last_of("4C3-AP4-LI1"), edit))
}

/// What is said of a checkpoint, whatever run it is of, in whose header `from` was replaced by `to`.
#[track_caller]
fn replaced(net: &str, from: &str, to: &str) -> String {
    let bytes = edited_bytes(&last_of(net), |file| {
        let header = file.metadata.get_mut("synfire").unwrap();
        assert!(header.contains(from), "{from} is in {header}");
        *header = header.replacen(from, to, 1);
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.safetensors");
    fs::write(&path, bytes).unwrap();
    let data = synfire_data::open("digits", &Locations::from_folders(Vec::new())).unwrap();
    let used = Checkpoint::read(&path).and_then(|checkpoint| {
        checkpoint.header.check_fits(&path, &data)?;
        checkpoint.net(&path, &Device::flex())
    });
    let text = used.expect_err("it is refused").to_string();
    assert!(text.contains("bad.safetensors"), "the file is named: {text}");
    text
}

#[test]
fn cut_short_or_overwritten() {
    let whole = last_of("4C3-AP4-LI1");
    for cut in [0, 1, 8, 200, whole.len() / 2, whole.len() - 1] {
        let text = problem(&whole[..cut]);
        assert!(text.contains("not a sound safetensors file"), "{text}");
    }
    // Any one byte of the header; what is no other header by chance is an error.
    let folder = stopped("4C3-AP4-LI1");
    let path = RunFolder::new(folder.path()).last();
    for place in (0..2000).step_by(97) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x11;
        fs::write(&path, &bytes).unwrap();
        let _ = resume(folder.path());
    }
    // Any bit of a value, any word of the header.
    let mut bytes = whole.clone();
    let at = bytes.windows(8).position(|part| part == b"[1,8,8],").unwrap();
    bytes[at + 5] = b'9';
    assert!(problem(&bytes).contains("damaged"));
    let mut bytes = whole.clone();
    *bytes.last_mut().unwrap() ^= 1;
    assert!(problem(&bytes).contains("damaged"));
    let text = problem(b"what once was a checkpoint");
    assert!(text.contains("not a sound safetensors file"), "{text}");
}

#[test]
fn settings_that_a_version_before_did_not_have_are_not_missed() {
    let bytes = edited_bytes(&last_of("4C3-AP4-LI1"), |file| {
        let header = file.metadata.get_mut("synfire").unwrap();
        for setting in ["\"jitter\":0.0,", "\"frame-size\":\"sensor\","] {
            assert!(header.contains(setting), "{setting} is in {header}");
            *header = header.replacen(setting, "", 1);
        }
    });
    let folder = stopped("4C3-AP4-LI1");
    fs::write(RunFolder::new(folder.path()).last(), bytes).unwrap();
    resume(folder.path()).unwrap();
}

#[test]
fn no_checkpoint_or_of_another_version() {
    let text = edited(|file| file.metadata.clear());
    assert!(text.contains("not a Synfire checkpoint"), "{text}");
    let text = edited(|file| *file.metadata.get_mut("synfire").unwrap() = "{}".into());
    assert!(text.contains("metadata `synfire`"), "{text}");
    let text = edited(|file| {
        let header = file.metadata.get_mut("synfire").unwrap();
        *header = header.replacen("\"format\":2", "\"format\":99", 1);
    });
    assert!(text.contains("format 99"), "{text}");
}

#[test]
fn of_another_network() {
    let text = problem(&last_of("6C3-AP4-LI1"));
    assert!(text.contains("settings"), "{text}");
    // The same settings around other tensors.
    let text = edited(|file| drop(file.tensors.remove("layers.0.weight")));
    assert!(text.contains("values"), "{text}");
    let text = edited(|file| {
        let bias = file.tensors.remove("layers.0.bias").unwrap();
        file.tensors.insert("layers.77.bias".into(), bias);
    });
    assert!(text.contains("no tensor `layers.0.bias`"), "{text}");
    let text = edited(|file| {
        let weight = file.tensors["layers.0.weight"].clone();
        file.tensors.insert("layers.77.weight".into(), weight);
    });
    assert!(text.contains("layers.77.weight"), "{text}");
    let text = edited(|file| file.tensors.get_mut("layers.0.weight").unwrap().shape = vec![36]);
    assert!(text.contains("[36]"), "{text}");
    let text = edited(|file| drop(file.tensors.remove("layers.1.running_mean")));
    assert!(text.contains("layers.1.running_mean"), "{text}");
}

#[test]
fn of_another_optimizer() {
    let state =
        |file: &TensorFile| file.tensors.keys().find(|name| name.starts_with("optimizer.")).cloned().unwrap();
    let text = edited(|file| {
        let name = state(file);
        file.tensors.insert(name, HostTensor { shape: vec![3], values: vec![0.0; 3] });
    });
    assert!(text.contains("shape [3]"), "{text}");
    let text = edited(|file| {
        let name = state(file);
        file.tensors.remove(&name);
    });
    assert!(text.contains("the optimizer"), "{text}");
    let text = edited(|file| {
        let name = state(file);
        let tensor = file.tensors[&name].clone();
        file.tensors.insert("optimizer.layers.0.weight.tea".into(), tensor);
    });
    assert!(text.contains("the optimizer"), "{text}");
    // That of the best epoch holds no optimiser: enough for inference, too little to train on.
    let text = edited(|file| file.tensors.retain(|name, _| !name.starts_with("optimizer.")));
    assert!(text.contains("the optimizer"), "{text}");
}

#[test]
fn holding_what_is_not_finite() {
    let names: [fn(&TensorFile) -> String; 3] = [
        |_| "layers.0.weight".into(),
        |_| "layers.1.running_var".into(),
        |file| file.tensors.keys().find(|name| name.starts_with("optimizer.layers.0")).cloned().unwrap(),
    ];
    for value in [f32::NAN, f32::INFINITY] {
        for name in names {
            let mut told = String::new();
            let text = edited(|file| {
                told = name(file);
                file.tensors.get_mut(&told).unwrap().values[3] = value;
            });
            assert!(text.contains(&format!("the tensor `{told}` holds a value that is NaN")), "{text}");
        }
    }
}

#[test]
fn beside_other_settings() {
    let folder = stopped("4C3-AP4-LI1");
    let path = folder.path().join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("seed = 7", "seed = 8")).unwrap();
    let problem = resume(folder.path()).err().unwrap();
    assert!(problem.contains("config.toml beside it: seed = 7 here, 8 there"), "{problem}");
    fs::write(&path, format!("{text}tea = 1\n")).unwrap();
    let problem = resume(folder.path()).err().unwrap();
    assert!(problem.contains("config.toml") && problem.contains("tea"), "{problem}");
    fs::remove_file(&path).unwrap();
    let problem = resume(folder.path()).err().unwrap();
    assert!(problem.contains("config.toml is missing"), "{problem}");
}

#[test]
fn one_can_be_used_without_its_run() {
    let folder = stopped("4C3-AP4-LI1");
    let path = RunFolder::new(folder.path()).last();
    let checkpoint = Checkpoint::read(&path).unwrap();
    let mut net = checkpoint.net(&path, &Device::flex()).unwrap();
    assert_eq!(checkpoint.header.input, [1, 8, 8]);
    assert_eq!(checkpoint.header.position.batch, 1);
    let file = TensorFile::read(&path).unwrap();
    for (name, tensor) in net.state() {
        assert_eq!(file.tensors[&name], tensor, "{name}");
    }
}

#[test]
fn headers_that_contradict_their_tensors_or_themselves() {
    let net = "4C3-AP2-LI2";
    for (from, to, told) in [
        // As many parameters, another image.
        ("[1,8,8]", "[1,8,9]", "input of 1x8x9 and 10 classes, digits has 1x8x8"),
        ("[1,8,8]", "[1,0,8]", "input of 1x0x8"),
        (",\"9\"]", "]", "9 classes"),
        (net, "2C3-AP2-LI2", "shape"),
        (net, "4C3-AP2-LI9", "parameters"),
        (net, "4C3-AP2-XX2", "XX2"),
        (net, "65536C255-65536C255-LI1", "parameters"),
        ("\"epoch\":0", "\"epoch\":4", "it stands in epoch 5 of 3"),
        ("\"best\":null", "\"best\":{\"epoch\":0,\"accuracy\":0.5,\"loss\":1.0}", "its best epoch, 1,"),
        ("\"time-steps\":2", "\"time-steps\":0", "time-steps"),
    ] {
        let text = replaced(net, from, to);
        assert!(text.contains(told), "{from} {to}: {text}");
    }
}

#[test]
fn of_other_data() {
    let mark = |from: &str, to: &str| {
        edited(|file| {
            let header = file.metadata.get_mut("synfire").unwrap();
            assert!(header.contains(from), "{header}");
            *header = header.replacen(from, to, 1);
        })
    };
    let text = mark("\"train\":1437", "\"train\":1400");
    assert!(text.contains("other data: 1400 training and 360 test samples"), "{text}");
    assert!(text.contains("of digits then, 1437 training") && text.contains("now (built in)"), "{text}");
    let text = mark("\"split\":\"", "\"split\":\"0");
    assert!(text.contains("other data"), "{text}");
}
