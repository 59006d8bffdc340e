//! A convolution block against its parts: training, running statistics, inference.

mod common;

use burn::tensor::{Tensor, activation};
use common::{BATCH, INPUT, STEPS, assert_close, frames, images, lif, net, random, tensor, values};
use synfire::loss::Loss;
use synfire::net::{EPS, Input, MOMENTUM, Net, Norm, Pass, Record};
use synfire::ops::{self, ConvShape, Lif, LifShape, Method, NormConfig, NormShape, Precision};

/// Value of the parameter or running statistic `name`.
fn named<const D: usize>(net: &mut Net, name: &str, shape: [usize; D]) -> Tensor<D> {
    tensor(&net.state()[name].values, shape)
}

/// One convolution block and readout, composed of the public operations.
#[test]
fn with_and_without_relu() {
    for relu in [true, false] {
        let lif = lif(Method::Bpsta, 0.2);
        let mut net = net("4C3-LI1", INPUT, 3, relu, lif, 3);
        let mut pass = Pass::training(None).recording(Record::Spikes);
        let readout = values(net.forward(Input::frames(frames(1)), &mut pass));
        let neuron = if relu { "3" } else { "2" };
        assert_eq!(pass.recorded.len(), 1);
        let recorded = &pass.recorded[0];
        assert_eq!((recorded.module.as_str(), &recorded.shape[..]), (neuron, &[7, 6, 4][..]));

        let x = frames(1).reshape([STEPS * BATCH, 2, 7, 6]);
        let y = convolved(&mut net, x);
        let norm = NormShape { steps: STEPS, rows: BATCH * 42, channels: 4 };
        let (gamma, beta) = (named(&mut net, "layers.1.weight", [4]), named(&mut net, "layers.1.bias", [4]));
        let (y, _) = ops::batch_norm(y, gamma, beta, NormConfig { shape: norm, eps: EPS, relu });
        assert_eq!(values(y.clone()).iter().any(|v| *v < 0.0), !relu);
        let spikes = ops::lif(y, LifShape { steps: STEPS, constant: false, lif });
        assert_eq!(values(recorded.spikes.clone().unwrap()), values(spikes.clone()));
        let rate = values(spikes.clone().mean())[0];
        assert!((values(recorded.rate.clone())[0] - rate).abs() <= 1e-6 && rate > 0.0 && rate < 1.0);

        let linear = if relu { "layers.5" } else { "layers.4" };
        let row = spikes.permute([0, 3, 1, 2]).reshape([STEPS * BATCH, 168]);
        let weight = named(&mut net, &format!("{linear}.weight"), [3 * 168]);
        let current = values(ops::linear(row, weight, named(&mut net, &format!("{linear}.bias"), [3])));
        let mut expected = current.clone();
        for i in BATCH * 3..expected.len() {
            expected[i] += lif.decay * expected[i - BATCH * 3];
        }
        assert_close("readout", &readout, &expected, 1e-5);
    }
}

/// Convolution `name` of `[F, H, W, C]` to `outputs` channels.
fn conv(net: &mut Net, name: &str, x: Tensor<4>, [kernel, outputs, stride]: [usize; 3]) -> Tensor<4> {
    let [frames, height, width, in_channels] = x.dims();
    let shape = ConvShape {
        frames,
        height,
        width,
        in_channels,
        out_channels: outputs,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 2],
        groups: 1,
        precision: Precision::F32,
    };
    let weight = named(net, &format!("{name}.weight"), [shape.weight_len()]);
    ops::conv2d(x, weight, named(net, &format!("{name}.bias"), [outputs]), shape)
}

/// Convolution and batch norm of each step, by their names.
fn conv_norm(
    net: &mut Net,
    [conv_name, norm]: [&str; 2],
    x: Tensor<4>,
    sizes: [usize; 3],
    relu: bool,
) -> Tensor<4> {
    let y = conv(net, conv_name, x, sizes);
    let outputs = sizes[1];
    let mut of = |name: String, n| named(net, &name, [n]);
    let rows = BATCH * y.dims()[1] * y.dims()[2];
    let config = NormConfig { shape: NormShape { steps: STEPS, rows, channels: outputs }, eps: EPS, relu };
    ops::batch_norm(y, of(format!("{norm}.weight"), outputs), of(format!("{norm}.bias"), outputs), config).0
}

/// Two residual blocks, one whose shortcut is the input itself and one whose shortcut is a convolution, composed of the
/// public operations.
#[test]
fn residual_blocks() {
    for relu in [true, false] {
        let lif = lif(Method::Bpsta, 0.2);
        let mut net = net("2RB-4RBS2-LI1", INPUT, 3, relu, lif, 3);
        let mut pass = Pass::training(None).recording(Record::Spikes);
        net.forward(Input::frames(frames(1)), &mut pass);
        let recorded: Vec<_> = pass.recorded.iter().map(|layer| layer.module.as_str()).collect();
        assert_eq!(recorded, ["0.1", "0.2", "1.1", "1.2"]);

        let neurons = |current| ops::lif(current, LifShape { steps: STEPS, constant: false, lif });
        let mut x = frames(1).reshape([STEPS * BATCH, 2, 7, 6]).permute([0, 2, 3, 1]);
        for (block, [outputs, stride]) in [[2, 1], [4, 2]].into_iter().enumerate() {
            let name = |part: &str| format!("layers.{block}.{part}");
            let first =
                conv_norm(&mut net, [&name("conv1"), &name("bn1")], x.clone(), [3, outputs, stride], relu);
            let hidden = neurons(first);
            let second =
                conv_norm(&mut net, [&name("conv2"), &name("bn2")], hidden.clone(), [3, outputs, 1], false);
            let shortcut = match block {
                0 => x,
                _ => conv_norm(
                    &mut net,
                    [&name("shortcut.0"), &name("shortcut.1")],
                    x,
                    [1, outputs, stride],
                    false,
                ),
            };
            let sum = second + shortcut;
            assert!(values(sum.clone()).iter().any(|v| *v < 0.0), "the ReLU behind the sum matters");
            x = neurons(if relu { activation::relu(sum) } else { sum });
            for (found, expected) in pass.recorded[2 * block..].iter().zip([hidden, x.clone()]) {
                let case = format!("relu {relu}, {}", found.module);
                assert_eq!(values(found.spikes.clone().unwrap()), values(expected), "{case}");
            }
        }
        assert!((0.01..0.99).contains(&values(x.mean())[0]), "the last layer fires now and then");
    }
}

/// What the convolution of a `4C3` makes of `[F, C, H, W]`: `[F, H, W, 4]`.
fn convolved(net: &mut Net, x: Tensor<4>) -> Tensor<4> {
    conv(net, "layers.0", x.permute([0, 2, 3, 1]), [3, 4, 1])
}

#[test]
fn running_statistics_follow_each_step_or_each_batch() {
    for (constant, norm) in
        [(false, Norm::PerStep), (true, Norm::PerStep), (false, Norm::Joint), (true, Norm::Joint)]
    {
        let mut net = net("4C3-LI1", INPUT, 3, true, Lif::default(), 1);
        net.norm = norm;
        let (mut mean, mut variance) = ([0.0f64; 4], [1.0f64; 4]);
        for batch in 1..3 {
            let input = match constant {
                true => Input::constant(images(batch), STEPS),
                false => Input::frames(frames(batch)),
            };
            net.forward(input, &mut Pass::training(None));
            let x = match constant {
                true => images(batch).repeat(&[STEPS, 1, 1, 1]),
                false => frames(batch).reshape([STEPS * BATCH, 2, 7, 6]),
            };
            let y = values(convolved(&mut net, x));
            let groups = if norm == Norm::PerStep { STEPS } else { 1 };
            for group in y.chunks(y.len() / groups) {
                for channel in 0..4 {
                    let x: Vec<f64> = group.iter().skip(channel).step_by(4).map(|v| f64::from(*v)).collect();
                    let n = x.len() as f64;
                    let new_mean = x.iter().sum::<f64>() / n;
                    let unbiased = x.iter().map(|v| (v - new_mean).powi(2)).sum::<f64>() / (n - 1.0);
                    mean[channel] = (1.0 - MOMENTUM) * mean[channel] + MOMENTUM * new_mean;
                    variance[channel] = (1.0 - MOMENTUM) * variance[channel] + MOMENTUM * unbiased;
                }
            }
        }
        for (buffer, expected) in net.buffers().into_iter().zip([mean, variance]) {
            let case = format!("{norm}, constant {constant}, {}", buffer.name);
            assert_close(&case, &values(buffer.value.clone()), &expected.map(|v| v as f32), 1e-5);
        }
    }
}

/// Where every spike is noted down, a block runs in parts; else as one operation.
#[test]
fn a_block_in_one_operation_and_in_parts() {
    for (norm, constant, relu) in [
        (Norm::PerStep, false, true),
        (Norm::Joint, false, false),
        (Norm::PerStep, true, true),
        (Norm::Joint, true, true),
    ] {
        let case = format!("{norm}, constant {constant}, relu {relu}");
        let made = || {
            let mut net = net("4C3-6C3-MP2-5C3-AP3-LI1", INPUT, 3, relu, lif(Method::Bpsta, 0.2), 3);
            net.norm = norm;
            net
        };
        let input = match constant {
            true => Input::constant(images(1), STEPS),
            false => Input::frames(frames(1)),
        };
        in_parts(&case, 3, made, &input, BATCH);
    }
}

/// So many channels that spikes travel as bits, and so many frames that convolutions are Winograd's.
#[test]
fn bits_in_one_operation_and_values_in_parts() {
    let (batch, size) = (4, [2, 8, 8]);
    let frames =
        random(1, STEPS * batch * 2 * 64).iter().map(|x| f32::from(u8::from(*x > 0.0))).collect::<Vec<_>>();
    let input = Input::frames(tensor(&frames, [STEPS, batch, 2, 8, 8]));
    for method in Method::ALL {
        for (layers, blocks) in [("16C3-32C3-16C3-LI1", 3), ("32C3-16C3-MP2-48C3-16C3-AP2-LI1", 4)] {
            let made = || net(layers, size, 3, true, lif(method, 0.2), 3);
            in_parts(&format!("{layers}, {method}"), blocks, made, &input, batch);
        }
    }
}

/// Compares both ways of a network of so many blocks and three classes.
fn in_parts(case: &str, blocks: usize, made: impl Fn() -> Net, input: &Input, batch: usize) {
    let run = |record: Record, training: bool| {
        let mut net = made();
        let pass = if training { Pass::training(None) } else { Pass::inference() };
        let mut pass = pass.recording(record);
        net.track();
        let readout = net.forward(input.clone(), &mut pass);
        let found = values(readout.clone());
        let labels = (0..batch).map(|i| i % 3).collect::<Vec<_>>();
        let gradients = Loss::CrossEntropy.of(readout, &labels).backward();
        let gradients = if training { net.take_gradients(&gradients) } else { Vec::new() };
        let rates: Vec<_> =
            pass.recorded.iter().map(|r| (r.module.clone(), values(r.rate.clone())[0])).collect();
        let statistics: Vec<_> =
            net.buffers().iter().flat_map(|buffer| values(buffer.value.clone())).collect();
        (found, rates, statistics, gradients)
    };
    for training in [true, false] {
        let (fused, parts) = (run(Record::Rates, training), run(Record::Spikes, training));
        assert_eq!(fused.0, parts.0, "{case}");
        assert_eq!(fused.2, parts.2, "{case}");
        assert_eq!((fused.1.len(), parts.1.len()), (blocks, blocks), "{case}");
        for ((module, rate), (expected_module, expected)) in fused.1.iter().zip(&parts.1) {
            assert_eq!(module, expected_module);
            assert!((rate - expected).abs() <= 1e-6, "{case}: {rate}, {expected}");
        }
        for (found, expected) in fused.3.into_iter().zip(parts.3) {
            let expected = values(expected);
            let scale = expected.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
            let scaled = |v: Vec<f32>| v.into_iter().map(|v| v / scale).collect::<Vec<_>>();
            assert_close(case, &scaled(values(found)), &scaled(expected), 1e-5);
        }
    }
}

/// A single f32 sum of spikes would stay at 2^24.
#[test]
fn rates_of_large_layers_are_right() {
    let always = Lif { threshold: 1e-6, ..Lif::default() };
    let mut net = net("32C1-LI1", [1, 300, 300], 2, false, always, 1);
    let mut state = net.state();
    state.get_mut("layers.1.weight").unwrap().values.fill(0.0);
    state.get_mut("layers.1.bias").unwrap().values.fill(1.0);
    net.load_state(&state).unwrap();
    let mut pass = Pass::inference().recording(Record::Rates);
    let images = tensor(&random(1, 2 * 300 * 300), [2, 1, 300, 300]);
    net.forward(Input::constant(images, 4), &mut pass);
    assert_eq!(values(pass.recorded[0].rate.clone()), [1.0]);
}

#[test]
fn inference_normalises_with_the_running_statistics() {
    let mut net = net("4C3-LI1", INPUT, 3, true, Lif::default(), 1);
    let mut state = net.state();
    for (i, name) in ["weight", "bias", "running_mean", "running_var"].into_iter().enumerate() {
        let shift = if name == "running_var" { 1.5 } else { 0.0 };
        let tensor = state.get_mut(&format!("layers.1.{name}")).unwrap();
        tensor.values = random(i as u64, 4).iter().map(|v| v + shift).collect();
    }
    net.load_state(&state).unwrap();
    let mut channel = |name: &str| named(&mut net, &format!("layers.1.{name}"), [1, 1, 1, 4]);
    let (gamma, beta) = (channel("weight"), channel("bias"));
    let (mean, variance) = (channel("running_mean"), channel("running_var"));
    let y = (convolved(&mut net, images(1)) - mean) / (variance + EPS).sqrt() * gamma + beta;
    let y = activation::relu(y).permute([0, 3, 1, 2]).reshape([BATCH, 168]);
    let weight = named(&mut net, "layers.5.weight", [3 * 168]);
    let expected = values(ops::linear(y, weight, named(&mut net, "layers.5.bias", [3])));
    let found = net.forward(Input::constant(images(1), 1), &mut Pass::inference().as_ann(true));
    assert_close("output", &values(found), &expected, 1e-5);
}
