//! State dicts: the layout of the released networks, other names, our own files, and what is no network.

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::net;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use synfire::file::{HostTensor, TensorFile, TensorMap};
use synfire::net::{Input, Net, Pass, Plan};
use synfire::ops::Lif;
use synfire::train::{Checkpoint, Described, TrainConfig};
use synfire_interop::pytorch::{Constants, StateDict, export};

const LAYERS: &str = "6C3-MP2-5C3-AP2-DP-VOTE2";

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The network of `tests/data/generate.py`, with other weights.
fn empty(lif: Lif) -> Net {
    let plan = Plan::new(&LAYERS.parse().unwrap(), [2, 8, 8], 3, true).unwrap();
    Net::new(plan, lif, 1, &Device::flex())
}

#[test]
fn a_checkpoint_of_the_released_code_answers_as_it_did_there() {
    let answers = TensorFile::read(&data("answers.safetensors")).unwrap();
    let (frames, expected) = (answers.get("frames").unwrap(), answers.get("answers").unwrap());
    for (file, prefix) in [("released.pt", "network.fun."), ("legacy.pt", "fun.")] {
        let file = StateDict::open(&data(file)).unwrap();
        let constants = file.constants().unwrap();
        assert_eq!(constants, Constants { threshold: Some(0.6), decay: Some(0.8) });
        let mut net = empty(Lif { threshold: 0.6, decay: 0.8, ..Lif::default() });
        let weights = file.weights_for(&mut net, None).unwrap();
        let own = ["0", "1", "5", "6", "12"].map(|n| (format!("layers.{n}"), format!("{prefix}{n}")));
        assert_eq!((weights.modules, weights.by_shape), (own.to_vec(), false));
        net.load_state(&weights.tensors).unwrap();
        let values = TensorData::new(frames.values.clone(), [5, 1, 2, 8, 8]);
        let input = Input::frames(Tensor::<5>::from_data(values, net.device()));
        let found = net.forward(input, &mut Pass::inference()).into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(found, expected.values);
    }
}

/// A file with the weights of `net`, called otherwise.
fn renamed(net: &mut Net, folder: &Path, name: impl Fn(&str) -> Option<String>) -> StateDict {
    let tensors = net.state().into_iter().filter_map(|(own, tensor)| Some((name(&own)?, tensor))).collect();
    written(tensors, folder)
}

fn written(tensors: TensorMap, folder: &Path) -> StateDict {
    let path = folder.join("weights.safetensors");
    let file = TensorFile { tensors, metadata: BTreeMap::new() };
    fs::write(&path, file.to_bytes().unwrap()).unwrap();
    StateDict::open(&path).unwrap()
}

#[test]
fn tensors_are_found_by_name_or_else_by_shape() {
    let folder = tempfile::tempdir().unwrap();
    let mut original = net(LAYERS, [2, 8, 8], 3, 0.9, true);
    let state = original.state();
    for (prefix, other) in [("layers.", ""), ("layers.", "model.layers."), ("layers.", "module.net.")] {
        let file = renamed(&mut original, folder.path(), |name| Some(name.replacen(prefix, other, 1)));
        let weights = file.weights_for(&mut empty(Lif::default()), None).unwrap();
        assert_eq!((&weights.tensors, weights.by_shape), (&state, false), "{other}");
    }
    // Names that say nothing to us.
    let called = |net: &mut Net, names: &[&str]| {
        let mut modules: Vec<String> =
            net.state().into_keys().map(|name| name.rsplit_once('.').unwrap().0.to_string()).collect();
        modules.sort_by_key(|module| module["layers.".len()..].parse::<usize>().unwrap());
        modules.dedup();
        renamed(net, folder.path(), |name: &str| {
            let (module, leaf) = name.rsplit_once('.').unwrap();
            Some(format!("{}.{leaf}", names[modules.iter().position(|own| own == module).unwrap()]))
        })
    };
    for names in [
        ["features.2", "features.3", "features.10", "features.11", "head"],
        ["conv1", "bn1", "conv2", "bn2", "fc"],
    ] {
        let weights = called(&mut original, &names).weights_for(&mut empty(Lif::default()), None).unwrap();
        assert_eq!((&weights.tensors, weights.by_shape), (&state, true));
        assert_eq!(weights.modules[2], ("layers.5".to_string(), names[2].to_string()));
    }
    // Layers of the same shape are told apart by numbers, and by nothing else.
    let mut alike = net("18FC-18FC-18FC-VOTE6", [2, 3, 3], 3, 0.9, true);
    let numbered = called(&mut alike, &["fc8", "fc9", "fc10", "fc11"]);
    assert_eq!(numbered.weights_for(&mut alike.clone(), None).unwrap().tensors, alike.state());
    let words = called(&mut alike, &["one", "two", "three", "four"]);
    let problem = words.weights_for(&mut alike.clone(), None).unwrap_err().to_string();
    assert!(problem.contains("cannot tell which of") && problem.contains("layers.1"), "{problem}");
    // A residual network, whose modules have names of their own.
    let mut residual = net("4C3-4RB-6RBS2-VOTE1", [2, 8, 8], 3, 0.9, true);
    let state = residual.state();
    let file = renamed(&mut residual, folder.path(), |name| Some(format!("net.{name}")));
    assert_eq!(file.weights_for(&mut residual, None).unwrap().tensors, state);
}

#[test]
fn a_bias_that_is_absent_is_zero() {
    let folder = tempfile::tempdir().unwrap();
    let mut original = net(LAYERS, [2, 8, 8], 3, 0.9, true);
    let file = renamed(&mut original, folder.path(), |name| (name != "layers.5.bias").then(|| name.into()));
    let weights = file.weights_for(&mut empty(Lif::default()), None).unwrap();
    assert_eq!(weights.tensors["layers.5.bias"], HostTensor { shape: vec![5], values: vec![0.0; 5] });
}

#[test]
fn what_is_another_network_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |state: TensorMap, prefix: Option<&str>, told: &[&str]| {
        let problem = written(state, folder.path()).weights_for(&mut empty(Lif::default()), prefix);
        let problem = problem.unwrap_err().to_string();
        told.iter()
            .chain(&["weights.safetensors"])
            .for_each(|told| assert!(problem.contains(told), "{problem}"));
    };
    let state = net(LAYERS, [2, 8, 8], 3, 0.9, true).state();
    let wider = net("6C3-MP2-7C3-AP2-DP-VOTE2", [2, 8, 8], 3, 0.9, true).state();
    refused(wider, None, &["0 of a layer", "layers.5", "[5, 6, 3, 3]", "expected 1"]);
    let deeper = net("6C3-MP2-5C3-AP2-DP-6FC-VOTE2", [2, 8, 8], 3, 0.9, true).state();
    refused(deeper, None, &["`layers.15`"]);
    let without = |name: &str| {
        let mut state = state.clone();
        state.remove(name).unwrap();
        state
    };
    refused(without("layers.6.running_var"), None, &["`layers.6.running_var` is missing"]);
    // Without running statistics it is no batch norm.
    refused(without("layers.6.running_mean"), None, &["0 of a batch norm", "layers.6"]);
    let mut short = state.clone();
    short.insert("layers.6.bias".into(), HostTensor { shape: vec![4], values: vec![0.0; 4] });
    refused(short, None, &["`layers.6.bias` has shape [4], expected [5]"]);
    let named = |prefix: &str| {
        state.iter().map(move |(n, t)| (n.replacen("layers", prefix, 1), t.clone())).collect::<Vec<_>>()
    };
    let twice: TensorMap = named("ema.fun").into_iter().chain(named("net.fun")).collect();
    refused(twice.clone(), None, &["`ema.fun.`", "`net.fun.`"]);
    refused(twice.clone(), Some("other."), &["begins with `other.`"]);
    let file = written(twice, folder.path());
    assert_eq!(file.weights_for(&mut empty(Lif::default()), Some("ema.")).unwrap().tensors, state);
}

#[test]
fn neurons_with_constants_of_their_own_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let one = |value: f32| HostTensor { shape: vec![], values: vec![value] };
    let file = |values: [f32; 2]| {
        let tensors =
            [("fun.3.decay".to_string(), one(values[0])), ("fun.8.decay".to_string(), one(values[1]))];
        written(tensors.into(), folder.path())
    };
    assert_eq!(file([0.5, 0.5]).constants().unwrap(), Constants { threshold: None, decay: Some(0.5) });
    let problem = file([0.5, 0.25]).constants().unwrap_err().to_string();
    assert!(problem.contains("`fun.3.decay` is 0.5, `fun.8.decay` is 0.25"), "{problem}");
}

#[test]
fn what_is_exported_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut original = net(LAYERS, [2, 8, 8], 3, 0.9, true);
    let config = TrainConfig { net: LAYERS.into(), time_steps: 5, ..TrainConfig::default() };
    let class_names: Vec<String> = ["a", "b", "c"].map(String::from).into();
    let network = Described {
        config: config.clone(),
        input: [2, 8, 8],
        sensor: None,
        class_names: class_names.clone(),
    };
    let checkpoint = Checkpoint::imported(network, &mut original).unwrap();
    let bytes = export(&checkpoint, &mut original).unwrap();
    assert_eq!(bytes, export(&checkpoint, &mut original).unwrap(), "equal networks make equal bytes");
    let path = folder.path().join("exported.safetensors");
    fs::write(&path, bytes).unwrap();
    let file = StateDict::open(&path).unwrap();
    let exported = file.exported().unwrap();
    assert_eq!((&exported.config, exported.input, &exported.class_names), (&config, [2, 8, 8], &class_names));
    assert_eq!(file.weights_for(&mut empty(Lif::default()), None).unwrap().tensors, original.state());
}

/// Opcodes of a pickle that would run a command, were it run.
const HOSTILE: &[u8] = b"\x80\x02cos\nsystem\nq\x00X\x0d\x00\x00\x00touch runs.txtq\x01\x85q\x02Rq\x03.";

#[test]
fn files_that_are_damaged_or_hostile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.pt");
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let problem = match StateDict::open(&path) {
            Err(error) => error.to_string(),
            Ok(file) => file.weights_for(&mut empty(Lif::default()), None).unwrap_err().to_string(),
        };
        assert!(problem.contains("bad.pt"), "{problem}");
        problem
    };
    refused(HOSTILE);
    assert!(!Path::new("runs.txt").exists());
    assert!(refused(b"nothing of the kind").contains("neither"));
    refused(b"");
    let sound = fs::read(data("released.pt")).unwrap();
    for cut in (0..sound.len()).step_by(211) {
        refused(&sound[..cut]);
    }
    // Any byte may be wrong: an error or another number, but never a panic.
    for name in ["released.pt", "legacy.pt"] {
        let sound = fs::read(data(name)).unwrap();
        for i in (0..sound.len()).step_by(13) {
            let mut bytes = sound.clone();
            bytes[i] ^= 0xff;
            fs::write(&path, &bytes).unwrap();
            if let Ok(file) = StateDict::open(&path) {
                let _ = (file.constants(), file.weights_for(&mut empty(Lif::default()), None).is_ok());
            }
        }
    }
    let mut tensors = fs::read(data("answers.safetensors")).unwrap();
    tensors.truncate(tensors.len() - 3);
    assert!(refused(&tensors).contains("not a sound safetensors file"));
}
