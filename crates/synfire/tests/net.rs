//! Networks: what goes in, what comes out, what is learnt and what is kept.

mod common;

use burn::tensor::Tensor;
use common::{
    BATCH, INPUT, STEPS, assert_close, frames, gradients, images, lif, net, random, tensor, values,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use synfire::file::HostTensor;
use synfire::net::{Input, Net, Norm, Pass, StateError};
use synfire::ops::{Lif, Method};

/// A layer string for every kind of layer.
const NETS: [&str; 6] = [
    "6C3-MP2-8C5S2-AP2-VOTE3",
    "6C3-LI2",
    "5C1-AP3-DP-12FC-LI1",
    "6RB-MP2-6RB-8RBS2-LI2",
    "2RB-AP2-2RB-VOTE2",
    "DP0.3-4C3-DP0.2-10FC-8FC-DP-VOTE4",
];
/// The same images at every step.
fn repeated(images: &Tensor<4>) -> Input {
    Input::frames(images.clone().unsqueeze_dim::<5>(0).repeat(&[STEPS, 1, 1, 1, 1]))
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn running(net: &mut Net) -> Vec<Vec<f32>> {
    net.buffers().into_iter().map(|buffer| values(buffer.value.clone())).collect()
}

#[test]
fn a_constant_input_is_the_same_as_equal_frames() {
    for layers in NETS {
        for (relu, norm) in [(true, Norm::PerStep), (false, Norm::PerStep), (true, Norm::Joint)] {
            let mut once = net(layers, INPUT, 3, relu, lif(Method::Bpsta, 0.3), 1);
            once.norm = norm;
            let mut each = once.clone();
            let error = random(3, STEPS * BATCH * 3);
            let run = |net: &mut Net, input: Input| {
                let mut masks = rng(5);
                gradients(net, input, &error, &mut Pass::training(Some(&mut masks)))
            };
            let (readout, found) = run(&mut once, Input::constant(images(1), STEPS));
            let (expected_readout, expected) = run(&mut each, repeated(&images(1)));
            assert_close(layers, &readout, &expected_readout, 1e-5);
            for (i, parameter) in once.parameters().into_iter().enumerate() {
                assert_close(&format!("{layers} {}", parameter.name), &found[i], &expected[i], 2e-5);
            }
            for (found, expected) in running(&mut once).iter().zip(&running(&mut each)) {
                assert_close(layers, found, expected, 1e-5);
            }
            let mut infer = |input| values(once.forward(input, &mut Pass::inference()));
            assert_close(
                layers,
                &infer(Input::constant(images(2), STEPS)),
                &infer(repeated(&images(2))),
                1e-5,
            );
        }
    }
}

#[test]
fn every_layer_learns_and_stays_finite() {
    for layers in NETS {
        for method in Method::ALL {
            for (relu, ann) in [(true, false), (false, false), (true, true)] {
                let case = format!("{layers} {method} relu {relu} ann {ann}");
                let mut net = net(layers, INPUT, 3, relu, lif(method, 0.1), 2);
                for input in [Input::constant(images(3), STEPS), Input::frames(frames(3))] {
                    let error = random(4, STEPS * BATCH * 3);
                    let mut masks = rng(6);
                    let mut pass = Pass::training(Some(&mut masks)).as_ann(ann);
                    let (readout, found) = gradients(&mut net, input.clone(), &error, &mut pass);
                    assert!(readout.iter().all(|v| v.is_finite()), "{case}");
                    for (parameter, gradient) in net.parameters().into_iter().zip(&found) {
                        assert!(gradient.iter().all(|g| g.is_finite()), "{case} {}", parameter.name);
                        let learns = gradient.iter().any(|g| *g != 0.0);
                        assert_eq!(learns, !parameter.zero_gradient, "{case} {}", parameter.name);
                    }
                    let output = net.forward(input, &mut Pass::inference().as_ann(ann));
                    assert_eq!(output.dims(), [STEPS, BATCH, 3], "{case}");
                    assert!(values(output).iter().all(|v| v.is_finite()), "{case}");
                }
                let convolutions = net.buffers().len() / 2;
                let flat: Vec<_> = net.parameters().into_iter().filter(|p| p.zero_gradient).collect();
                assert!(flat.iter().all(|p| p.name.ends_with("bias")), "{case}");
                assert_eq!(flat.len(), convolutions, "{case}");
            }
        }
    }
}

#[test]
fn batches_leave_no_state_behind() {
    let mut used = net(NETS[0], INPUT, 3, true, lif(Method::Bpsta, 0.3), 1);
    let mut fresh = used.clone();
    let infer =
        |net: &mut Net, seed| values(net.forward(Input::frames(frames(seed)), &mut Pass::inference()));
    let first = infer(&mut used, 1);
    assert_eq!(infer(&mut used, 1), first);
    assert_eq!(infer(&mut used, 2), infer(&mut fresh, 2));
    assert_ne!(infer(&mut used, 2), first);
}

/// Dropout, then a readout that passes its inputs on: what comes out shows the mask.
#[test]
fn a_dropout_mask_holds_for_all_steps_and_one_batch() {
    let mut net = net("DP0.25-LI1", [40, 1, 1], 40, true, Lif { decay: 0.0, ..Lif::default() }, 1);
    let identity = (0..1600).map(|i| if i % 41 == 0 { 1.0 } else { 0.0 }).collect();
    let state = [("weight", vec![40, 40], identity), ("bias", vec![40], vec![0.0; 40])];
    let state = state.map(|(name, shape, values)| (format!("layers.2.{name}"), HostTensor { shape, values }));
    net.load_state(&state.into_iter().collect()).unwrap();
    let ones = tensor(&vec![1.0; STEPS * 20 * 40], [STEPS, 20, 40, 1, 1]);

    let mut masks = rng(1);
    let mut drop = || values(net.forward(Input::frames(ones.clone()), &mut Pass::training(Some(&mut masks))));
    let (first, second) = (drop(), drop());
    assert_ne!(first, second);
    let kept = 1.0 / 0.75;
    assert!(first.iter().all(|&v| v == 0.0 || (v - kept).abs() <= 1e-6));
    let steps: Vec<&[f32]> = first.chunks(800).collect();
    assert!(steps.iter().all(|step| *step == steps[0]));
    // Samples have masks of their own.
    assert_ne!(first[..40], first[40..80]);
    let dropped = steps[0].iter().filter(|v| **v == 0.0).count();
    assert!((140..260).contains(&dropped), "{dropped} of 800 dropped, 200 expected");

    let ones = || Input::frames(ones.clone());
    assert!(values(net.forward(ones(), &mut Pass::training(None))).iter().all(|v| *v == 1.0));
    assert!(values(net.forward(ones(), &mut Pass::inference())).iter().all(|v| *v == 1.0));
}

#[test]
fn initial_values_are_pytorchs() {
    let new = |seed| net("32C3-24C5-MP2-64FC-VOTE10", INPUT, 3, true, Lif::default(), seed);
    let (mut net, mut same, mut other) = (new(1), new(1), new(2));
    assert_eq!(net.state(), same.state());
    assert_ne!(net.state(), other.state());
    let fan_in = [("layers.0", 18), ("layers.4", 800), ("layers.10", 216), ("layers.13", 64)];
    for (name, tensor) in net.state() {
        let x: Vec<f64> = tensor.values.iter().map(|v| f64::from(*v)).collect();
        let (module, kind) = name.rsplit_once('.').unwrap();
        let Some((_, fan_in)) = fan_in.iter().find(|(m, _)| *m == module) else {
            // A batch norm begins as the identity.
            let one = kind == "weight" || kind == "running_var";
            assert!(x.iter().all(|v| *v == f64::from(u8::from(one))), "{name}");
            continue;
        };
        let bound = 1.0 / f64::from(*fan_in).sqrt();
        assert!(x.iter().all(|v| v.abs() <= bound * (1.0 + 1e-6)), "{name}");
        // Uniform: deviation bound/√3; its mean over n within four of its own deviations.
        let n = x.len() as f64;
        let deviation = bound / 3f64.sqrt();
        let mean = x.iter().sum::<f64>() / n;
        assert!(mean.abs() <= 4.0 * deviation / n.sqrt(), "{name}: mean {mean}");
        if n > 500.0 {
            let found = (x.iter().map(|v| v * v).sum::<f64>() / n).sqrt();
            assert!(
                (found / deviation - 1.0).abs() <= 0.1,
                "{name}: deviation {found}, expected {deviation}"
            );
        }
    }
}

#[test]
fn state_round_trip_and_its_errors() {
    let new = |seed| net("4C3-8RBS2-6FC-LI2", INPUT, 3, true, Lif::default(), seed);
    let (mut net, mut other) = (new(1), new(2));
    net.forward(Input::frames(frames(1)), &mut Pass::training(None));
    let state = net.state();
    other.load_state(&state).unwrap();
    assert_eq!(other.state(), state);
    let infer = |net: &mut Net| values(net.forward(Input::frames(frames(2)), &mut Pass::inference()));
    assert_eq!(infer(&mut net), infer(&mut other));

    // Running statistics may be absent.
    let mut parameters = state.clone();
    parameters.retain(|name, _| !name.contains("running"));
    other.load_state(&parameters).unwrap();
    assert_eq!(other.state(), state);

    let mut fresh = new(3);
    let before = fresh.state();
    let name = "layers.4.shortcut.0.weight".to_string();
    let mut missing = state.clone();
    let tensor = missing.remove(&name).expect("a projected shortcut");
    assert_eq!(fresh.load_state(&missing), Err(StateError::Missing(name.clone())));
    let mut unknown = state.clone();
    unknown.insert("layers.99.weight".into(), tensor.clone());
    assert_eq!(fresh.load_state(&unknown), Err(StateError::Unknown("layers.99.weight".into())));
    let mut reshaped = state.clone();
    let flat = vec![tensor.values.len()];
    reshaped.insert(name.clone(), HostTensor { shape: flat.clone(), ..tensor.clone() });
    let error = StateError::Shape { name, expected: tensor.shape, found: flat };
    assert_eq!(fresh.load_state(&reshaped), Err(error));
    assert_eq!(fresh.state(), before, "a refused state changes nothing");
}

#[test]
fn silent_voters_learn_by_the_surrogate_alone() {
    let mut net = net("4C3-AP2-VOTE2", INPUT, 3, true, lif(Method::Bpsta, 0.5), 1);
    // Potentials rise to 0.1·(1 + 0.9 + 0.81 + …) below the voters' threshold, within the surrogate's reach.
    let mut state = net.state();
    let readout = |name: &str| name.starts_with("layers.6");
    for (_, tensor) in state.iter_mut().filter(|(name, _)| readout(name)) {
        tensor.values.fill(if tensor.shape.len() == 1 { 0.1 } else { 0.0 });
    }
    net.load_state(&state).unwrap();
    let error = random(3, STEPS * BATCH * 3);
    let mut learnt = |method: Method| {
        net.voters = Lif { method, ..net.lif };
        let (out, found) =
            gradients(&mut net, Input::constant(images(1), STEPS), &error, &mut Pass::training(None));
        assert!(out.iter().all(|&share| share == 0.0), "{out:?}");
        found.last().unwrap().iter().any(|&gradient| gradient != 0.0)
    };
    assert_eq!([Method::Stbp, Method::Bpsa, Method::Bpsta].map(&mut learnt), [true, false, false]);
}
