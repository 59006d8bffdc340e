//! Golden files: they pass with the kernels and with the portable operations, and what is disturbed fails.

use burn::tensor::Device;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use synfire::file::{HostTensor, TensorFile};
use synfire::ops::{Implementation, Precision, set_implementation};
use synfire::verify::{Check, OWN, verify_file, verify_own};
use synfire_data::Locations;

/// The choice of implementation holds for the process: one test at a time makes it.
static CHOICE: Mutex<()> = Mutex::new(());

fn choose(implementation: Implementation) -> MutexGuard<'static, ()> {
    let guard = CHOICE.lock().unwrap_or_else(PoisonError::into_inner);
    set_implementation(implementation);
    guard
}

#[track_caller]
fn assert_passed(checks: &[Check]) {
    assert!(!checks.is_empty());
    let failed: Vec<&Check> = checks.iter().filter(|check| !check.passed()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn own_set_with_the_kernels() {
    let _choice = choose(Implementation::Kernels);
    assert_passed(&verify_own(&Device::flex(), Precision::F32).unwrap());
}

#[test]
fn own_set_in_bf16() {
    let _choice = choose(Implementation::Kernels);
    let checks = verify_own(&Device::flex(), Precision::Bf16).unwrap();
    assert_passed(&checks);
    // What rounding leaves alike is compared down to the gradients.
    let of = |part: &str| checks.iter().filter(|check| check.name.contains(part)).count();
    assert!(of("1 - cosine") >= 16 && of("that differ, share") >= 8 && of("mean loss") == 1);
}

#[test]
fn own_set_with_the_portable_operations() {
    let _choice = choose(Implementation::Portable);
    assert_passed(&verify_own(&Device::flex(), Precision::F32).unwrap());
}

fn own(name: &str) -> TensorFile {
    let (_, bytes) = OWN.iter().find(|(own, _)| *own == name).unwrap();
    TensorFile::parse(bytes).unwrap()
}

/// The checks of `file`, or why there are none.
fn verify(file: &TensorFile) -> Result<Vec<Check>, String> {
    verify_bytes(&file.to_bytes().unwrap())
}

fn verify_bytes(bytes: &[u8]) -> Result<Vec<Check>, String> {
    let _choice = choose(Implementation::Kernels);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("golden.safetensors");
    std::fs::write(&path, bytes).unwrap();
    verify_file(&path, &Device::flex(), &Locations::from_folders(Vec::new()), Precision::F32)
        .map_err(|error| error.to_string())
}

/// Why a file is none to be checked by with `from` in its `config` replaced by `to`.
#[track_caller]
fn refused(golden: &str, from: &str, to: &str) -> String {
    let mut file = own(golden);
    let config = file.metadata.get_mut("config").unwrap();
    assert!(config.contains(from), "{from} is in {config}");
    *config = config.replacen(from, to, 1);
    verify(&file).unwrap_err()
}

#[test]
fn a_config_that_asks_for_the_absurd_is_an_error() {
    for steps in ["0", "4097", "18446744073709551615"] {
        let text = refused("net_vote", "\"time_steps\": ", &format!("\"time_steps\": {steps}, \"x\": "));
        assert!(text.contains(&format!("time_steps {steps}")), "{text}");
    }
    for batch in ["0", "18446744073709551615"] {
        let text = refused("digits_trajectory", "\"batch\": ", &format!("\"batch\": {batch}, \"x\": "));
        assert!(text.contains(&format!("batches of {batch} samples")), "{text}");
    }
    let text = refused("digits_trajectory", "\"batch\": ", "\"batch\": 1000000000, \"x\": ");
    assert!(text.contains("GiB of memory") || text.contains("samples of digits are needed"), "{text}");
    let text = refused("digits_trajectory", "\"batches\": ", "\"batches\": 3, \"x\": ");
    assert!(text.contains("3 batches"), "{text}");
    let text = refused("net_vote", "\"layers\": \"", "\"layers\": \"65536C255-65536C255-");
    assert!(text.contains("parameters"), "{text}");
}

/// Names of the checks that fail once `edit` has changed the tensor `name`.
fn failing(golden: &str, name: &str, edit: impl FnOnce(&mut [f32])) -> Vec<String> {
    let mut file = own(golden);
    edit(&mut file.tensors.get_mut(name).unwrap_or_else(|| panic!("{golden} has no {name}")).values);
    let checks = verify(&file).unwrap();
    checks.into_iter().filter(|check| !check.passed()).map(|check| check.name).collect()
}

fn scale(values: &mut [f32]) {
    values.iter_mut().for_each(|v| *v *= 1.0001);
}

#[test]
fn a_disturbed_network_fails_where_it_was_disturbed() {
    assert_eq!(failing("net_vote", "loss", |_| ()), [""; 0]);
    let flip = |values: &mut [f32]| values[7] = 1.0 - values[7];
    assert_eq!(failing("net_vote", "spikes.3", flip), ["spikes.3 that differ"]);
    assert_eq!(failing("net_vote", "grad.layers.0.weight", scale), ["grad.layers.0.weight"]);
    assert_eq!(failing("net_vote", "loss", |v| v[0] = f32::NAN), ["loss, relative"]);
    assert_eq!(failing("net_vote", "output", |v| v[0] = f32::NAN), ["output"]);
    let mean = "buffer_after_forward.layers.1.running_mean";
    assert_eq!(failing("net_vote", mean, scale), [mean]);
    assert_eq!(failing("net_vote", "adamw_losses", |v| v[1] *= 1.0001), ["AdamW step 2, loss"]);
    let weight = "param_after_adamw.layers.0.weight";
    assert_eq!(failing("net_vote", weight, |v| v[0] += 1e-3), [weight]);
    let inference = "eval_output_after_adamw";
    assert_eq!(failing("net_vote", inference, |v| v[0] = f32::INFINITY), ["inference after AdamW"]);
    // A convolution's bias has a gradient of exactly zero.
    assert_eq!(failing("net_vote", "grad.layers.0.bias", |v| v[0] = 1e-3), ["grad.layers.0.bias"]);
}

#[test]
fn disturbed_neurons_and_trajectories_fail() {
    let case = own("neuron")
        .tensors
        .keys()
        .find_map(|name| Some(name.strip_suffix(".spikes")?.to_string()))
        .unwrap();
    let failed = failing("neuron", &format!("{case}.spikes"), |v| v[0] = 1.0 - v[0]);
    assert!(failed.len() == 1 && failed[0].contains("spikes"), "{failed:?}");
    let failed = failing("neuron", &format!("{case}.grad_current"), scale);
    assert!(failed.len() == 1 && failed[0].contains("gradient"), "{failed:?}");
    let failed = failing("digits_trajectory", "losses", |v| v[3] *= 1.1);
    assert_eq!(failed, ["losses of the first 10 steps, relative"]);
    assert!(!failing("digits_trajectory", "losses", |v| *v.last_mut().unwrap() = f32::NAN).is_empty());
}

#[test]
fn what_is_no_golden_file_is_an_error() {
    let problem = |golden: &str, edit: &dyn Fn(&mut TensorFile)| {
        let mut file = own(golden);
        edit(&mut file);
        verify(&file).unwrap_err()
    };
    let text = problem("neuron", &|file| *file.metadata.get_mut("kind").unwrap() = "tea".into());
    assert!(text.contains("unknown kind `tea`") && text.contains("golden.safetensors"), "{text}");
    let text = problem("neuron", &|file| drop(file.metadata.remove("cases")));
    assert!(text.contains("cases"), "{text}");
    let text = problem("net_vote", &|file| drop(file.tensors.remove("grad.layers.0.weight")));
    assert!(text.contains("grad.layers.0.weight"), "{text}");
    let text = problem("net_vote", &|file| drop(file.tensors.remove("param.layers.0.weight")));
    assert!(text.contains("it holds 870 values, its network has 924 parameters"), "{text}");
    let text = problem("net_vote", &|file| *file.metadata.get_mut("config").unwrap() = "{".into());
    assert!(text.contains("config"), "{text}");
    // A label that is no class, one label too few, an input of other channels.
    let text = problem("net_vote", &|file| file.tensors.get_mut("label").unwrap().values[0] = 99.0);
    assert!(text.contains("label"), "{text}");
    let text = problem("net_vote", &|file| {
        let label = file.tensors.get_mut("label").unwrap();
        label.values.pop();
        label.shape = vec![label.values.len()];
    });
    assert!(text.contains("label"), "{text}");
    let text = problem("net_vote", &|file| {
        let input = file.tensors.get_mut("input").unwrap();
        input.shape.swap(0, 1);
    });
    assert!(text.contains("input"), "{text}");

    let text = problem("neuron", &|file| {
        for (name, tensor) in &mut file.tensors {
            if name.ends_with(".current") || name.ends_with(".grad_spikes") {
                *tensor = HostTensor { shape: vec![0, 3], values: Vec::new() };
            }
        }
    });
    assert!(text.contains("[0, 3], which holds nothing"), "{text}");
    let text = problem("net_readout", &|file| {
        let input = file.tensors.get_mut("input").unwrap();
        input.shape[1] = 0;
        input.values.clear();
    });
    assert!(text.contains("`input`"), "{text}");

    let (_, bytes) = OWN[0];
    for cut in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        let text = verify_bytes(&bytes[..cut]).unwrap_err();
        assert!(text.contains("not a sound safetensors file"), "{text}");
    }
    assert!(
        verify_file(
            Path::new("absent.safetensors"),
            &Device::flex(),
            &Locations::from_folders(vec![]),
            Precision::F32
        )
        .is_err()
    );
}
