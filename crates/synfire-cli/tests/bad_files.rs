//! Damaged and missing files: each error names the file, and what can be resumed is not lost.

mod common;

use common::{Sandbox, TINY, TINY_NMNIST, write_mnist, write_nmnist};
use std::fs;
use synfire::file::{HostTensor, TensorFile};

const MNIST: &[&str] =
    &["train", "mnist", "--data-dir", "data", "--out", "run", "--validation", "10", "--epochs", "1"];

#[test]
fn images_that_are_damaged() {
    let sandbox = Sandbox::new();
    let with = |name: &str, edit: fn(&mut Vec<u8>), told: &[&str]| {
        write_mnist(&sandbox, "data");
        let name = format!("data/mnist/{name}");
        let mut bytes = sandbox.bytes(&name);
        edit(&mut bytes);
        sandbox.write(&name, bytes);
        sandbox.fails(MNIST, 1, told);
        assert!(!sandbox.path("run").exists());
    };
    let images = "train-images-idx3-ubyte";
    with(images, |bytes| bytes.truncate(5000), &[images, "5000"]);
    with(images, |bytes| bytes.truncate(3), &[images]);
    with(images, |bytes| bytes[3] = 9, &[images, "byte 0"]);
    with(images, |bytes| bytes[7] = 31, &[images]);
    with(images, |bytes| bytes[11] = 27, &[images, "28"]);
    with(images, |bytes| bytes[4..8].fill(0xff), &[images]);
    with("t10k-labels-idx1-ubyte", |bytes| bytes[8] = 12, &["t10k-labels-idx1-ubyte", "byte 8", "12"]);
    with("t10k-labels-idx1-ubyte", Vec::clear, &["t10k-labels-idx1-ubyte"]);
}

#[test]
fn sets_that_are_missing() {
    let sandbox = Sandbox::new();
    let train = |set: &str, told: &[&str]| {
        sandbox.fails(&["train", set, "--data-dir", "data", "--out", "run"], 1, told);
        assert!(!sandbox.path("run").exists());
    };
    fs::create_dir_all(sandbox.path("data")).unwrap();
    // File names stand whole in the message, however narrow the terminal.
    train("mnist", &["mnist", "data", "train-images-idx3-ubyte", "--data-dir", "SYNFIRE_DATA"]);
    train("nmnist", &["nmnist", "data"]);
    train("cifar-10", &["cifar-10", "data"]);
    write_mnist(&sandbox, "data");
    fs::remove_file(sandbox.path("data/mnist/t10k-labels-idx1-ubyte")).unwrap();
    train("mnist", &["t10k-labels-idx1-ubyte"]);
    fs::create_dir_all(sandbox.path("data/nmnist/Train/0")).unwrap();
    train("nmnist", &["nmnist", ".bin"]);
    fs::create_dir_all(sandbox.path("data/nmnist/Test/0")).unwrap();
    train("nmnist", &["nmnist", "Train", ".bin"]);
    sandbox.write("data/nmnist/Train/eleven/00001.bin", [0; 5]);
    train("nmnist", &["eleven"]);
}

#[test]
fn a_damaged_recording_stops_a_run_that_resumes_once_it_is_mended() {
    let sandbox = Sandbox::new();
    write_nmnist(&sandbox, "data");
    let train = |out: &'static str| [&["train", "--data-dir", "data", "--out", out], TINY_NMNIST].concat();
    sandbox.ok(&train("whole"));
    let name = "data/nmnist/Test/7/00009.bin";
    let sound = sandbox.bytes(name);
    // What a file's size tells is told before anything is trained.
    sandbox.write(name, &sound[..sound.len() - 2]);
    sandbox.fails(&train("run"), 1, &["00009.bin", "byte 595"]);
    assert!(!sandbox.path("run").exists());
    // What is in it is told before, too, where frames are cached, and else when the sample is needed.
    sandbox.write(name, [0, 99, 0, 0, 0]);
    let told = ["00009.bin", "34x34", "y 99"];
    sandbox.fails(&train("early"), 1, &told);
    assert!(!sandbox.path("early/checkpoints/last.safetensors").exists());
    sandbox.fails(&[&train("run")[..], &["--no-cache"]].concat(), 1, &told);
    sandbox.fails(
        &["train", "--resume", "run", "--no-cache"],
        1,
        &["continue with\n  synfire train --resume run"],
    );
    fs::remove_file(sandbox.path(name)).unwrap();
    fs::create_dir(sandbox.path(name)).unwrap();
    sandbox.fails(&["train", "--resume", "run"], 1, &["00009.bin"]);
    fs::remove_dir(sandbox.path(name)).unwrap();
    sandbox.write(name, &sound);
    for run in ["run", "early"] {
        sandbox.ok(&["train", "--resume", run]);
        sandbox.assert_same_checkpoints("whole", run);
    }
}

#[test]
fn checkpoints_that_are_damaged() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    let sound = sandbox.bytes("run/checkpoints/last.safetensors");
    let refused = |bytes: &[u8], what: &str| {
        sandbox.write("run/checkpoints/last.safetensors", bytes);
        sandbox.write("bad.safetensors", bytes);
        sandbox.run(&["eval", "bad.safetensors"]).failed(1, &["bad.safetensors"], what);
        sandbox.run(&["infer", "bad.safetensors", "--sample", "0"]).failed(1, &["bad.safetensors"], what);
        sandbox.run(&["train", "--resume", "run"]).failed(1, &["last.safetensors"], what);
    };
    for keep in [0, 7, 8, 100, sound.len() / 2, sound.len() - 1] {
        refused(&sound[..keep], &format!("cut to {keep}"));
    }
    let random: Vec<u8> = (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    refused(&random, "random bytes");
    let mut flipped = sound.clone();
    flipped[8] ^= 0x40;
    refused(&flipped, "the first byte of the header");
    let mut long = sound.clone();
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    refused(&long, "the length of the header");
}

/// Any byte of the header may be wrong: an error or, where it does not matter, a result, but never a panic.
#[test]
fn no_byte_of_a_header_brings_a_panic() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    let sound = sandbox.bytes("run/checkpoints/best.safetensors");
    let header = u64::from_le_bytes(sound[..8].try_into().unwrap()) as usize;
    for at in (8..8 + header).step_by(header / 60) {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        sandbox.write("bad.safetensors", &bytes);
        let ran = sandbox.run(&["infer", "bad.safetensors", "--sample", "0"]);
        assert!((0..=2).contains(&ran.code), "byte {at}: {}", ran.err);
        assert!(!ran.err.contains("panicked"), "byte {at}: {}", ran.err);
    }
}

/// The bytes of a checkpoint with `from` in its header replaced by `to`, of the same length.
fn edited(sandbox: &Sandbox, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = sandbox.bytes("run/checkpoints/best.safetensors");
    let at = bytes.windows(from.len()).position(|part| part == from.as_bytes()).expect("it is in the header");
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

/// The bytes of a checkpoint, sound by its checksum, in which `value` stands in the tensor `name`.
fn holding(bytes: &[u8], name: &str, value: f32) -> Vec<u8> {
    let mut file = TensorFile::parse(bytes).unwrap();
    file.tensors.get_mut(name).unwrap().values[2] = value;
    let header = file.metadata.get_mut("synfire").unwrap();
    let (before, _) = header.split_once("\"checksum\":").unwrap();
    let mut all = format!("{before}\"checksum\":0}}").into_bytes();
    for (name, HostTensor { shape, values }) in &file.tensors {
        all.extend(name.bytes());
        all.extend(shape.iter().flat_map(|&size| (size as u64).to_le_bytes()));
        all.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    *header = format!("{before}\"checksum\":{}}}", crc32c::crc32c(&all));
    file.to_bytes().unwrap()
}

#[test]
fn checkpoints_whose_weights_are_not_finite() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    let sound = sandbox.bytes("run/checkpoints/last.safetensors");
    for (name, value) in [
        ("layers.0.weight", f32::NAN),
        ("layers.1.running_var", f32::INFINITY),
        ("layers.6.bias", f32::NEG_INFINITY),
    ] {
        let bad = holding(&sound, name, value);
        sandbox.write("bad.safetensors", &bad);
        let told = ["bad.safetensors: the tensor `", name, "NaN or infinite"];
        sandbox.fails(&["eval", "bad.safetensors"], 1, &told);
        sandbox.fails(&["infer", "bad.safetensors", "--sample", "0"], 1, &told);
        sandbox.write("run/checkpoints/last.safetensors", &bad);
        sandbox.fails(&["train", "--resume", "run"], 1, &["last.safetensors: the tensor `", name]);
    }
    sandbox.write("bad.safetensors", holding(&sound, "layers.0.weight", 0.5));
    sandbox.ok(&["eval", "bad.safetensors"]);
}

#[test]
fn checkpoints_of_another_network() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    for (from, to) in [("[1,8,8]", "[1,8,9]"), ("4C3-AP2-LI2", "4C3-AP2-LI9")] {
        sandbox.write("bad.safetensors", edited(&sandbox, from, to));
        sandbox.fails(&["eval", "bad.safetensors"], 1, &["bad.safetensors", "damaged"]);
        sandbox.fails(&["infer", "bad.safetensors", "--sample", "0"], 1, &["bad.safetensors", "damaged"]);
    }
    let later = edited(&sandbox, r#"\"format\":2"#, r#"\"format\":7"#);
    sandbox.write("bad.safetensors", later);
    sandbox.fails(&["eval", "bad.safetensors"], 1, &["bad.safetensors", "format 7"]);

    sandbox.ok(&[&["train", "--out", "other"], TINY, &["--net", "6C3-AP2-LI2"]].concat());
    fs::copy(
        sandbox.path("other/checkpoints/last.safetensors"),
        sandbox.path("run/checkpoints/last.safetensors"),
    )
    .unwrap();
    sandbox.fails(
        &["train", "--resume", "run"],
        1,
        &["last.safetensors", "net = \"6C3-AP2-LI2\" here, \"4C3-AP2-LI2\" there"],
    );
}

#[test]
fn a_checkpoint_without_the_optimizer_is_not_resumed_from() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    fs::copy(
        sandbox.path("run/checkpoints/best.safetensors"),
        sandbox.path("run/checkpoints/last.safetensors"),
    )
    .unwrap();
    sandbox.fails(&["train", "--resume", "run"], 1, &["last.safetensors", "optimizer"]);
}

#[test]
fn other_data_than_the_checkpoint_was_trained_on() {
    let sandbox = Sandbox::new();
    write_nmnist(&sandbox, "data");
    sandbox.ok(&[&["train", "--data-dir", "data", "--out", "run"], TINY_NMNIST].concat());
    fs::remove_file(sandbox.path("run/summary.json")).unwrap();
    fs::remove_file(sandbox.path("data/nmnist/Train/3/00002.bin")).unwrap();
    let told = ["other data: 16 training and 4 test samples", "of nmnist then, 15 training", "data/nmnist"];
    sandbox.fails(&["train", "--resume", "run"], 1, &told);
    sandbox.fails(&["eval", "run", "--part", "validation"], 1, &told);
    sandbox.ok(&["eval", "run"]);
    fs::rename(sandbox.path("data"), sandbox.path("moved")).unwrap();
    sandbox.fails(&["train", "--resume", "run"], 2, &["data-dir /", "there is no such folder"]);
}

#[test]
fn a_checkpoint_that_was_lost_takes_no_history_with_it() {
    let sandbox = Sandbox::new();
    sandbox.train("run", &[]);
    fs::remove_file(sandbox.path("run/checkpoints/last.safetensors")).unwrap();
    let metrics = sandbox.bytes("run/metrics.jsonl");
    sandbox.fails(&["train", "--resume", "run"], 1, &["last.safetensors", "is missing", "2 epochs"]);
    assert_eq!(sandbox.bytes("run/metrics.jsonl"), metrics);
}
