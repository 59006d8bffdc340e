//! The references' backward functions against slopes of their forward functions: the kernels are compared with the
//! references, so this is what ties both to the mathematics.

mod common;

use common::{assert_gradient, dot, random, wide};
use synfire_kernels::bf16::Precision;
use synfire_kernels::conv::ConvShape;
use synfire_kernels::neuron::{Lif, Method};
use synfire_kernels::norm::NormShape;
use synfire_kernels::pool::PoolShape;
use synfire_kernels::reference;

fn values(seed: u64, n: usize) -> Vec<f64> {
    wide(&random(seed, n))
}

#[test]
fn convolution() {
    for (stride, padding, groups) in [([1, 1], [1, 1], 1), ([2, 1], [0, 2], 2)] {
        let shape = ConvShape {
            frames: 2,
            height: 4,
            width: 3,
            in_channels: 2,
            out_channels: 4,
            kernel: [3, 2],
            stride,
            padding,
            groups,
            precision: Precision::F32,
        };
        let (x, w, b) = (values(1, shape.input_len()), values(2, shape.weight_len()), values(3, 4));
        let g = values(4, shape.output_len());
        let loss = |x: &[f64], w: &[f64], b: &[f64]| {
            let mut y = vec![f64::NAN; g.len()];
            reference::conv2d(&shape, x, w, Some(b), &mut y);
            dot(&y, &g)
        };
        let (mut dx, mut dw, mut db) = (vec![f64::NAN; x.len()], vec![f64::NAN; w.len()], vec![f64::NAN; 4]);
        reference::conv2d_input_grad(&shape, &g, &w, &mut dx);
        reference::conv2d_weight_grad(&shape, &x, &g, &mut dw);
        reference::bias_grad(4, &g, &mut db);
        assert_gradient("conv2d_input_grad", &x, &dx, |x| loss(x, &w, &b));
        assert_gradient("conv2d_weight_grad", &w, &dw, |w| loss(&x, w, &b));
        assert_gradient("bias_grad", &b, &db, |b| loss(&x, &w, b));
    }
}

#[test]
fn linear() {
    let (rows, inputs, outputs) = (3, 4, 5);
    let (x, w, b) = (values(1, rows * inputs), values(2, outputs * inputs), values(3, outputs));
    let g = values(4, rows * outputs);
    let loss = |x: &[f64], w: &[f64]| {
        let mut y = vec![f64::NAN; g.len()];
        reference::linear(rows, inputs, outputs, x, w, Some(&b), &mut y);
        dot(&y, &g)
    };
    let (mut dx, mut dw) = (vec![f64::NAN; x.len()], vec![f64::NAN; w.len()]);
    reference::linear_input_grad(rows, inputs, outputs, &g, &w, &mut dx);
    reference::linear_weight_grad(rows, inputs, outputs, &x, &g, &mut dw);
    assert_gradient("linear_input_grad", &x, &dx, |x| loss(x, &w));
    assert_gradient("linear_weight_grad", &w, &dw, |w| loss(&x, w));
}

#[test]
fn batch_norm() {
    let shape = NormShape { steps: 2, rows: 5, channels: 3 };
    let (x, gamma, beta) = (values(1, shape.values()), values(2, 3), values(3, 3));
    let g = values(4, shape.values());
    let eps = 1e-3;
    for relu in [false, true] {
        let forward = |x: &[f64], gamma: &[f64], beta: &[f64]| {
            let (mut mean, mut var) = (vec![f64::NAN; 6], vec![f64::NAN; 6]);
            let mut y = vec![f64::NAN; x.len()];
            reference::batch_norm(&shape, x, gamma, beta, eps, relu, &mut mean, &mut var, &mut y);
            (mean, var, dot(&y, &g))
        };
        let (mean, var, _) = forward(&x, &gamma, &beta);
        let (mut dx, mut dgamma, mut dbeta) = (vec![f64::NAN; x.len()], vec![f64::NAN; 3], vec![f64::NAN; 3]);
        reference::batch_norm_backward(
            &shape,
            &x,
            &mean,
            &var,
            &gamma,
            &beta,
            eps,
            relu,
            &g,
            &mut dx,
            &mut dgamma,
            &mut dbeta,
        );
        assert_gradient("batch norm, x", &x, &dx, |x| forward(x, &gamma, &beta).2);
        assert_gradient("batch norm, gamma", &gamma, &dgamma, |gamma| forward(&x, gamma, &beta).2);
        assert_gradient("batch norm, beta", &beta, &dbeta, |beta| forward(&x, &gamma, beta).2);
    }
}

#[test]
fn pooling() {
    let shape = PoolShape { frames: 2, height: 5, width: 4, channels: 2, kernel: 2, stride: 1 };
    let (x, g) = (values(1, shape.input_len()), values(2, shape.output_len()));
    let loss = |pool: fn(&PoolShape, &[f64], &mut [f64]), x: &[f64]| {
        let mut y = vec![f64::NAN; g.len()];
        pool(&shape, x, &mut y);
        dot(&y, &g)
    };
    let mut dx = vec![f64::NAN; x.len()];
    reference::avg_pool_backward(&shape, &g, &mut dx);
    assert_gradient("avg_pool_backward", &x, &dx, |x| loss(reference::avg_pool, x));
    reference::max_pool_backward(&shape, &x, &g, &mut dx);
    assert_gradient("max_pool_backward", &x, &dx, |x| loss(reference::max_pool, x));
}

/// The methods replace the slope of the spike, which has none, so no slope of the neuron itself can be taken. But it
/// can of a stand-in: spike `s` and potential after reset `v` as straight lines in `m` through their true values, with
/// the slopes that the method defines:
///
/// ```text
/// stbp    ds/dm = h                       v = m·(1 − s)
/// bpsa    ds/dm = 1/m fired, 0 silent     dv/dm = 0 fired, 1 silent
/// bpsta   ds/dm as bpsa                   dv/dm = α/m fired, 1 silent
/// ```
#[test]
fn neurons() {
    let (steps, n) = (6, 40);
    let current: Vec<f64> = values(1, steps * n).iter().map(|x| 0.6 * x + 0.3).collect();
    let g = values(2, steps * n);
    for method in Method::ALL {
        let neuron = Lif { method, threshold: 0.5, decay: 0.875, alpha: 0.25 };
        let (mut spikes, mut membrane) = (vec![f64::NAN; steps * n], vec![f64::NAN; steps * n]);
        reference::lif(&neuron, steps, &current, &mut spikes, &mut membrane);
        let fired = spikes.iter().filter(|s| **s == 1.0).count();
        assert!((20..200).contains(&fired), "{fired} of 240 fired");

        let loss = |current: &[f64]| {
            let mut loss = 0.0;
            for i in 0..n {
                let mut v = 0.0;
                for t in 0..steps {
                    let at = t * n + i;
                    let m = 0.875 * v + current[at];
                    let (s0, m0) = (spikes[at], membrane[at]);
                    let d = m - m0;
                    let s;
                    (s, v) = match method {
                        Method::Stbp => {
                            let h = if (m0 - 0.5).abs() < 0.5 { 1.0 } else { 0.0 };
                            (s0 + h * d, m * (1.0 - s0 - h * d))
                        }
                        Method::Bpsa if s0 == 1.0 => (1.0 + d / m0, 0.0),
                        Method::Bpsta if s0 == 1.0 => (1.0 + d / m0, 0.25 * d / m0),
                        Method::Bpsa | Method::Bpsta => (0.0, m),
                    };
                    loss += g[at] * s;
                }
            }
            loss
        };
        let mut error = vec![f64::NAN; steps * n];
        reference::lif_backward(&neuron, steps, &membrane, &g, &mut error);
        assert_gradient(method.name(), &current, &error, loss);
    }
}

#[test]
fn a_static_current_gets_the_sum_over_the_steps() {
    let (steps, n) = (4, 10);
    let (membrane, g) = (values(1, steps * n), values(2, steps * n));
    let (mut every, mut still) = (vec![f64::NAN; steps * n], vec![f64::NAN; n]);
    reference::lif_backward(&Lif::default(), steps, &membrane, &g, &mut every);
    reference::lif_backward(&Lif::default(), steps, &membrane, &g, &mut still);
    for (i, still) in still.iter().enumerate() {
        let sum: f64 = every.iter().skip(i).step_by(n).sum();
        assert!((sum - still).abs() <= 1e-12);
    }
}
