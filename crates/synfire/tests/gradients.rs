//! Gradients of the public operations, losses and readout through Burn's autodiff, against slopes and against the
//! equations of the neuron written out once more.

mod common;

use burn::tensor::Tensor;
use common::{assert_close, assert_slopes, dot, gradients, lif, net, random, tensor, values};
use synfire::loss::Loss;
use synfire::net::{Input, Net, Pass};
use synfire::ops::{self, ConvShape, Lif, LifShape, Method, NormConfig, NormShape, Pooling, Precision};

/// Operations linear in each argument: a wide step has no error but rounding.
const LINEAR: (f32, f64) = (0.5, 1e-5);

fn leaf<const D: usize>(x: &[f32], shape: [usize; D]) -> Tensor<D> {
    tensor(x, shape).autodiff().require_grad()
}

#[test]
fn conv2d() {
    for (kernel, stride, [height, width]) in [(1, 1, [3, 4]), (3, 1, [4, 3]), (3, 2, [5, 4]), (5, 2, [4, 5])]
    {
        let shape = ConvShape {
            frames: 2,
            height,
            width,
            in_channels: 3,
            out_channels: 2,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [kernel / 2; 2],
            groups: 1,
            precision: Precision::F32,
        };
        let dims = [2, height, width, 3];
        let (x, weight, bias) = (random(1, shape.input_len()), random(2, shape.weight_len()), random(3, 2));
        let error = random(4, shape.output_len());
        let (a, b, c) = (leaf(&x, dims), leaf(&weight, [weight.len()]), leaf(&bias, [2]));
        let y = ops::conv2d(a.clone(), b.clone(), c.clone(), shape);
        let found = (y.clone() * tensor(&error, y.dims())).sum().backward();
        let loss = |x: &[f32], weight: &[f32], bias: &[f32]| {
            let y = ops::conv2d(tensor(x, dims), tensor(weight, [weight.len()]), tensor(bias, [2]), shape);
            dot(&values(y), &error)
        };
        let grad = |leaf: Option<_>| leaf.expect("a gradient");
        assert_slopes("input", &x, &values(grad(a.grad(&found))), LINEAR, |x| loss(x, &weight, &bias));
        assert_slopes("weight", &weight, &values(b.grad(&found).unwrap()), LINEAR, |w| loss(&x, w, &bias));
        assert_slopes("bias", &bias, &values(c.grad(&found).unwrap()), LINEAR, |b| loss(&x, &weight, b));
    }
}

#[test]
fn linear() {
    let (x, weight, bias, error) = (random(1, 3 * 5), random(2, 4 * 5), random(3, 4), random(4, 3 * 4));
    let (a, b, c) = (leaf(&x, [3, 5]), leaf(&weight, [20]), leaf(&bias, [4]));
    let y = ops::linear(a.clone(), b.clone(), c.clone());
    let found = (y * tensor(&error, [3, 4])).sum().backward();
    let loss = |x: &[f32], weight: &[f32], bias: &[f32]| {
        dot(&values(ops::linear(tensor(x, [3, 5]), tensor(weight, [20]), tensor(bias, [4]))), &error)
    };
    assert_slopes("input", &x, &values(a.grad(&found).unwrap()), LINEAR, |x| loss(x, &weight, &bias));
    assert_slopes("weight", &weight, &values(b.grad(&found).unwrap()), LINEAR, |w| loss(&x, w, &bias));
    assert_slopes("bias", &bias, &values(c.grad(&found).unwrap()), LINEAR, |b| loss(&x, &weight, b));
}

#[test]
fn batch_norm() {
    for (steps, relu) in [(1, false), (1, true), (3, false), (3, true)] {
        let dims = [steps * 2, 2, 2, 2];
        let n = dims.iter().product();
        let config = NormConfig { shape: NormShape { steps, rows: 8, channels: 2 }, eps: 1e-5, relu };
        let gamma = vec![1.3, -0.7];
        let beta = vec![0.2, 0.1];
        let forward = |x: &[f32], gamma: &[f32], beta: &[f32], relu| {
            let config = NormConfig { relu, ..config };
            values(ops::batch_norm(tensor(x, dims), tensor(gamma, [2]), tensor(beta, [2]), config).0)
        };
        // An input that keeps away from the ReLU's kink.
        let away = |x: &Vec<f32>| forward(x, &gamma, &beta, false).iter().all(|y| y.abs() > 0.02);
        let x = (0..).map(|seed| random(seed, n)).find(away).unwrap();
        let error = random(5, n);
        let (a, b, c) = (leaf(&x, dims), leaf(&gamma, [2]), leaf(&beta, [2]));
        let (y, stats) = ops::batch_norm(a.clone(), b.clone(), c.clone(), config);
        assert_eq!((stats.mean.dims(), stats.variance.dims()), ([steps * 2], [steps * 2]));
        let found = (y * tensor(&error, dims)).sum().backward();
        let loss = |x: &[f32], gamma: &[f32], beta: &[f32]| dot(&forward(x, gamma, beta, relu), &error);
        let how = (4e-3, 1e-3);
        assert_slopes("input", &x, &values(a.grad(&found).unwrap()), how, |x| loss(x, &gamma, &beta));
        assert_slopes("gamma", &gamma, &values(b.grad(&found).unwrap()), how, |g| loss(&x, g, &beta));
        assert_slopes("beta", &beta, &values(c.grad(&found).unwrap()), how, |b| loss(&x, &gamma, b));
    }
}

#[test]
fn average_pooling() {
    for (kernel, stride) in [(2, 2), (3, 2), (4, 4)] {
        let dims = [2, 7, 5, 3];
        let x = random(1, 210);
        let a = leaf(&x, dims);
        let y = ops::pool(a.clone(), Pooling::Average, kernel, stride);
        let error = random(2, y.dims().iter().product());
        let found = (y.clone() * tensor(&error, y.dims())).sum().backward();
        let loss =
            |x: &[f32]| dot(&values(ops::pool(tensor(x, dims), Pooling::Average, kernel, stride)), &error);
        assert_slopes("input", &x, &values(a.grad(&found).unwrap()), LINEAR, loss);
    }
}

#[test]
fn losses() {
    let (dims, labels) = ([4, 3, 5], [2, 0, 4]);
    let readout = random(1, 60);
    for loss in [Loss::Mse, Loss::CrossEntropy, Loss::Tet] {
        let a = leaf(&readout, dims);
        let found = loss.of(a.clone(), &labels).backward();
        let value = |x: &[f32]| f64::from(values(loss.of(tensor(x, dims), &labels))[0]);
        assert_slopes(&loss.to_string(), &readout, &values(a.grad(&found).unwrap()), (0.05, 1e-3), value);
    }
}

/// Replaces the values of parameter `i`.
fn set(net: &mut Net, i: usize, values: &[f32]) {
    net.parameters()[i].set(tensor(values, [values.len()]));
}

#[test]
fn leaky_integrator_readout() {
    let lif = Lif { decay: 0.7, ..lif(Method::Bpsta, 0.5) };
    let mut net = net("LI2", [2, 1, 2], 3, true, lif, 1);
    let x = random(2, 5 * 2 * 4);
    for constant in [false, true] {
        let input = || match constant {
            true => Input::constant(tensor(&x[..8], [2, 2, 1, 2]), 5),
            false => Input::frames(tensor(&x, [5, 2, 2, 1, 2])),
        };
        let error = random(3, 5 * 2 * 3);
        let (readout, found) = gradients(&mut net, input(), &error, &mut Pass::training(None));

        // u[t] = λ·u[t-1] + I[t], mean over the units of a class
        let weight = values(net.parameters()[0].value());
        let bias = values(net.parameters()[1].value());
        let mut u = [0.0; 12];
        let mut expected = Vec::new();
        for t in 0..5 {
            for b in 0..2 {
                let x = if constant { &x[b * 4..][..4] } else { &x[(t * 2 + b) * 4..][..4] };
                for unit in 0..6 {
                    let current = dot(x, &weight[unit * 4..][..4]) + f64::from(bias[unit]);
                    u[b * 6 + unit] = f64::from(lif.decay) * u[b * 6 + unit] + current;
                }
                expected.extend(
                    (0..3).map(|class| ((u[b * 6 + class * 2] + u[b * 6 + class * 2 + 1]) / 2.0) as f32),
                );
            }
        }
        assert_close("readout", &readout, &expected, 1e-6);

        for (i, gradient) in found.iter().enumerate() {
            let at = values(net.parameters()[i].value());
            assert_slopes("readout", &at, gradient, LINEAR, |v| {
                set(&mut net, i, v);
                dot(&values(net.forward(input(), &mut Pass::inference())), &error)
            });
            set(&mut net, i, &at);
        }
    }
}

/// One neuron in double precision, straight from the table of the three methods: its spikes and g_m.
fn neuron(lif: &Lif, current: &[f64], error: &[f64]) -> (Vec<f32>, Vec<f64>, f64) {
    let [th, decay, alpha] = [lif.threshold, lif.decay, lif.alpha].map(f64::from);
    let (mut m, mut s, mut v) = (Vec::new(), Vec::new(), 0.0);
    for i in current {
        let potential = decay * v + i;
        let fired = if lif.method == Method::Stbp { potential > th } else { potential >= th };
        v = if fired { 0.0 } else { potential };
        m.push(potential);
        s.push(fired);
    }
    let mut g = vec![0.0; m.len() + 1];
    for t in (0..m.len()).rev() {
        let (later, fired) = (g[t + 1], s[t]);
        g[t] = match lif.method {
            Method::Stbp => {
                let h = if (m[t] - th).abs() < 0.5 { 1.0 } else { 0.0 };
                let s = if fired { 1.0 } else { 0.0 };
                h * error[t] + decay * later * (1.0 - s - m[t] * h)
            }
            Method::Bpsa => {
                if fired {
                    error[t] / m[t]
                } else {
                    decay * later
                }
            }
            Method::Bpsta => {
                if fired {
                    (error[t] + decay * alpha * later) / m[t]
                } else {
                    decay * later
                }
            }
        };
    }
    g.pop();
    let margin = m.iter().flat_map(|m| [m - th, m - th - 0.5, m - th + 0.5]).fold(1.0, |a, d| d.abs().min(a));
    (s.into_iter().map(|s| if s { 1.0 } else { 0.0 }).collect(), g, margin)
}

#[test]
fn neurons_follow_the_table() {
    let n = 40;
    for method in Method::ALL {
        for steps in 1..=6 {
            for constant in [false, true] {
                let lif = Lif { threshold: 0.4, decay: 0.8, alpha: 0.3, method };
                let rows = if constant { 1 } else { steps };
                let current: Vec<f32> = random(steps as u64, rows * n).iter().map(|x| x + 0.3).collect();
                let error = random(9, steps * n);
                let a = leaf(&current, [rows, n]);
                let y = ops::lif(a.clone(), LifShape { steps, constant, lif });
                let found = (y.clone() * tensor(&error, [steps, n])).sum().backward();
                let (spikes, found) = (values(y), values(a.grad(&found).unwrap()));

                let mut expected = vec![0.0f32; rows * n];
                for i in 0..n {
                    let row = |x: &[f32], t: usize| f64::from(x[t * n + i]);
                    let own: Vec<f64> =
                        (0..steps).map(|t| row(&current, if constant { 0 } else { t })).collect();
                    let errors: Vec<f64> = (0..steps).map(|t| row(&error, t)).collect();
                    let (expected_spikes, g, margin) = neuron(&lif, &own, &errors);
                    assert!(margin > 1e-6, "an input at an edge decides nothing: choose another seed");
                    let own_spikes: Vec<f32> = (0..steps).map(|t| spikes[t * n + i]).collect();
                    assert_eq!(own_spikes, expected_spikes, "{method}, T = {steps}, neuron {i}");
                    match constant {
                        true => expected[i] = g.iter().sum::<f64>() as f32,
                        false => (0..steps).for_each(|t| expected[t * n + i] = g[t] as f32),
                    }
                }
                assert_close(&format!("{method}, T = {steps}"), &found, &expected, 1e-5);
            }
        }
    }
}

/// The potential starts at zero in every call: what was computed before leaves no trace.
#[test]
fn no_state_passes_from_call_to_call() {
    let shape = LifShape { steps: 3, constant: false, lif: lif(Method::Bpsta, 0.5) };
    let (x, other) = (tensor(&random(1, 60), [3, 20]), tensor(&random(2, 60), [3, 20]));
    let first = values(ops::lif(x.clone(), shape));
    let others = values(ops::lif(other.clone(), shape));
    assert_ne!(first, others);
    assert_eq!(values(ops::lif(x, shape)), first);
    assert_eq!(values(ops::lif(other, shape)), others);
}
