//! Values that are NaN or infinite are told by their place, and nothing is learnt from them.

mod common;

use common::{BATCH, INPUT, STEPS, frames, images, lif, net, random, tensor, values};
use std::sync::Arc;
use synfire::encode::Encoding;
use synfire::file::HostTensor;
use synfire::infer::answer;
use synfire::loss::Loss;
use synfire::net::{Input, Net, NonFinite, Norm, Pass};
use synfire::ops::{Implementation, Lif, Method, Precision, set_implementation};
use synfire::train::{Step, TrainConfig, TrainError, evaluate};
use synfire_data::{DataError, FrameSpec, Kind, Loader, Source};

/// A layer string for every kind of layer.
const NETS: [&str; 4] =
    ["6C3-MP2-8C5S2-AP2-VOTE3", "4C3-MP2-6RB-8RBS2-12FC-LI1", "DP0.3-10FC-8FC-DP-VOTE4", "AP2-4C1-LI2"];
const NOT_FINITE: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
const LABELS: [usize; BATCH] = [0, 2, 1];

/// Parameters and running statistics, bit by bit: NaN equals nothing.
fn bits(net: &mut Net) -> Vec<(String, Vec<u32>)> {
    let of = |tensor: HostTensor| tensor.values.into_iter().map(f32::to_bits).collect();
    net.state().into_iter().map(|(name, tensor)| (name, of(tensor))).collect()
}

fn step(net: &mut Net, input: Input, pass: Pass) -> Result<Step, NonFinite> {
    let mut pass = pass;
    Step::run(net, input, &LABELS, Loss::Mse, &mut pass)
}

/// What a step finds, which must leave the network as it was, and able to learn.
#[track_caller]
fn found(net: &mut Net, input: Input, pass: Pass, case: &str) -> NonFinite {
    let before = bits(net);
    let found = step(net, input, pass).err().unwrap_or_else(|| panic!("{case}: nothing was found"));
    assert!(bits(net) == before, "{case}: the network has changed");
    assert!(net.parameters().iter().all(|p| !p.value().is_require_grad()), "{case}: it is still tracked");
    found
}

/// The values of a network's tensor called `name` changed by `edit`.
fn edit(net: &mut Net, name: &str, edit: impl Fn(usize, f32) -> f32) {
    let mut state = net.state();
    let tensor = state.get_mut(name).unwrap();
    tensor.values.iter_mut().enumerate().for_each(|(i, value)| *value = edit(i, *value));
    net.load_state(&state).unwrap();
}

/// One test, because the implementation is that of the whole process.
#[test]
fn every_implementation_finds_them_in_every_place() {
    for implementation in [Implementation::Portable, Implementation::Kernels] {
        set_implementation(implementation);
        for layers in NETS {
            weights(layers);
            inputs(layers);
        }
        computed();
    }
}

fn weights(layers: &str) {
    for (case, method) in Method::ALL.into_iter().enumerate() {
        let mut net = net(layers, INPUT, 3, case != 1, lif(method, 0.3), 1);
        net.norm = [Norm::Joint, Norm::PerStep][case % 2];
        net.precision = [Precision::F32, Precision::Bf16][case % 2];
        let state = net.state();
        for (name, tensor) in &state {
            let value = NOT_FINITE[case];
            let place = tensor.values.len() / 2;
            let mut net = net.clone();
            edit(&mut net, name, |i, x| if i == place { value } else { x });
            for ann in [false, true] {
                let case = format!("{layers} {method} {name} ann {ann} {value}");
                let pass = Pass::training(None).as_ann(ann);
                let input = [Input::constant(images(1), STEPS), Input::frames(frames(1))];
                let found = found(&mut net, input[usize::from(ann)].clone(), pass, &case);
                assert_eq!(found, NonFinite::Tensor(name.clone()), "{case}");
            }
            assert_eq!(net.check(), Err(NonFinite::Tensor(name.clone())));
        }
        assert_eq!(net.check(), Ok(()));
        let input = Input::constant(images(1), STEPS);
        assert!(step(&mut net, input, Pass::training(None)).is_ok(), "{layers} {method}");
    }
}

fn inputs(layers: &str) {
    let mut net = net(layers, INPUT, 3, true, lif(Method::Bpsta, 0.3), 1);
    let sample = 1;
    for value in NOT_FINITE {
        // Behind `step` steps of all samples and the samples before.
        let with = |step: usize, mut all: Vec<f32>| {
            all[(step * BATCH + sample) * 84 + 40] = value;
            all
        };
        let still = tensor(&with(0, random(1, BATCH * 84)), [BATCH, 2, 7, 6]);
        let moving = tensor(&with(2, random(1, STEPS * BATCH * 84)), [STEPS, BATCH, 2, 7, 6]);
        for input in [Input::constant(still, STEPS), Input::frames(moving)] {
            assert_eq!(input.check(), Err(NonFinite::Input { sample }));
            let found = found(&mut net, input, Pass::training(None), layers);
            assert_eq!(found, NonFinite::Input { sample }, "{layers} {value}");
        }
    }
    // Numbers whose sum is infinite are numbers.
    assert_eq!(Input::constant(images(1) * 0.0 + f32::MAX, STEPS).check(), Ok(()));
}

/// From sound weights that are too large.
fn computed() {
    let input = || Input::constant(images(1), STEPS);
    let new = || net("4C3-AP2-6RB-10FC-LI1", INPUT, 3, true, lif(Method::Bpsta, 0.3), 1);
    for (name, layer) in [
        ("layers.0.weight", "layers.0"),
        ("layers.5.conv1.weight", "layers.5"),
        ("layers.5.conv2.weight", "layers.5"),
        ("layers.7.weight", "layers.7"),
        ("layers.10.weight", "layers.10"),
    ] {
        let mut net = new();
        edit(&mut net, "layers.7.bias", |_, _| 9.0);
        edit(&mut net, name, |_, _| 3e38);
        let found = found(&mut net, input(), Pass::training(None).as_ann(true), name);
        assert_eq!(found, NonFinite::Layer(layer.into()), "{name}");
        assert_eq!(net.check(), Ok(()));
    }

    let mut net = new();
    edit(&mut net, "layers.10.bias", |_, _| 1e30);
    assert_eq!(found(&mut net, input(), Pass::training(None), "loss"), NonFinite::Loss);

    // The loss stays below 1e38; its gradient grows by the batch norm's small deviation.
    let mut net = common::net("4C3-LI1", INPUT, 3, true, lif(Method::Bpsta, 0.3), 1);
    edit(&mut net, "layers.0.weight", |_, x| x * 1e-4);
    edit(&mut net, "layers.1.weight", |_, _| 1e11);
    edit(&mut net, "layers.5.weight", |_, x| x * 1e9);
    let found = found(&mut net, input(), Pass::training(None).as_ann(true), "gradient");
    assert_eq!(found, NonFinite::Gradient("layers.0.weight".into()));
}

#[test]
fn what_was_found_last_time_is_forgotten() {
    let mut spoiled = net(NETS[1], INPUT, 3, true, lif(Method::Bpsta, 0.3), 1);
    let mut fresh = spoiled.clone();
    let gradients = |net: &mut Net| {
        let step = step(net, Input::frames(frames(2)), Pass::training(None)).unwrap();
        step.gradients.into_iter().map(values).collect::<Vec<_>>()
    };
    let nan = Input::frames(frames(1) * f32::NAN);
    assert!(step(&mut spoiled, nan, Pass::training(None)).is_err());
    assert_eq!(gradients(&mut spoiled), gradients(&mut fresh));
    assert_eq!(bits(&mut spoiled), bits(&mut fresh));
}

/// Still images of which one is not finite.
struct Spoiled(f32);

impl Source for Spoiled {
    fn len(&self) -> usize {
        9
    }

    fn kind(&self) -> Kind {
        Kind::Still
    }

    fn shape(&self, _: &FrameSpec) -> [usize; 3] {
        [1, 8, 8]
    }

    fn label(&self, i: usize) -> usize {
        i
    }

    fn load(&self, i: usize, _: &FrameSpec, out: &mut [f32]) -> Result<(), DataError> {
        out.fill(0.5);
        if i == 7 {
            out[20] = self.0;
        }
        Ok(())
    }
}

#[test]
fn no_encoding_hides_them_from_inference() {
    for encoding in [Encoding::Direct, Encoding::Rate, Encoding::Latency, Encoding::Phase] {
        let config = TrainConfig { encoding, ..TrainConfig::default() };
        let mut net = net("4C3-AP2-VOTE2", [1, 8, 8], 10, true, Lif::default(), 1);
        let all = |net: &mut Net, value: f32| {
            let loader = Loader::new(Arc::new(Spoiled(value)), (0..9).collect(), config.frames(), 4).unwrap();
            evaluate(net, &loader, &config, false, &mut |_| true)
        };
        let mut image = vec![0.5; 64];
        for value in NOT_FINITE {
            let error = all(&mut net, value).unwrap_err();
            let expected = NonFinite::Input { sample: 7 };
            assert!(
                matches!(&error, TrainError::NonFinite(found) if *found == expected),
                "{encoding}: {error}"
            );
            image[9] = value;
            assert_eq!(answer(&mut net, &config, &image, 7), Err(expected), "{encoding}");
        }
        assert_eq!(all(&mut net, 0.5).unwrap().unwrap().samples, 9);
        image[9] = 0.5;
        assert!(answer(&mut net, &config, &image, 7).is_ok());

        for name in net.state().into_keys() {
            let mut net = net.clone();
            edit(&mut net, &name, |i, x| if i == 0 { f32::NAN } else { x });
            let expected = NonFinite::Tensor(name);
            let error = all(&mut net, 0.5).unwrap_err();
            assert!(matches!(&error, TrainError::NonFinite(found) if *found == expected), "{error}");
            assert_eq!(answer(&mut net, &config, &image, 7), Err(expected));
        }
        // Finite weights whose sums are not.
        edit(&mut net, "layers.6.weight", |_, _| 3e38);
        edit(&mut net, "layers.6.bias", |_, _| 3e38);
        edit(&mut net, "layers.1.bias", |_, _| 9.0);
        let error = all(&mut net, 0.5).unwrap_err();
        assert!(error.to_string().contains("the layer layers.6 computed"), "{error}");
    }
}
