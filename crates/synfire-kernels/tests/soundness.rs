//! Every kernel and each of its ways once, at sizes small enough for an interpreter that watches each access to memory:
//!
//! ```text
//! MIRIFLAGS="-Zmiri-tree-borrows -Zmiri-ignore-leaks" cargo +nightly miri test -p synfire-kernels --test soundness
//! ```
//!
//! Miri runs plain Rust, the portable instruction set; the others are for AddressSanitizer (see CONTRIBUTING.md). That
//! results are right is checked elsewhere.

mod common;

use common::{SMALL, random};
use synfire_kernels::bf16::{Element, Precision, bf16};
use synfire_kernels::block::{BlockShape, Pool, block, block_backward};
use synfire_kernels::conv::{ConvShape, Pass, bias_grad, conv2d, conv2d_input_grad, conv2d_weight_grad};
use synfire_kernels::isa::Isa;
use synfire_kernels::linear::{linear, linear_input_grad, linear_weight_grad};
use synfire_kernels::neuron::{Lif, Method, lif, lif_backward};
use synfire_kernels::norm::{NormShape, Normalisation, batch_norm, batch_norm_backward, statistics};
use synfire_kernels::pool::{PoolShape, avg_pool, avg_pool_backward, max_pool, max_pool_backward};
use synfire_kernels::source::{Bits, Source};

fn finite<E: Element>(values: &[E]) {
    assert!(values.iter().all(|x| x.widen().is_finite()));
}

fn convolve<X: Source>(isa: Isa, shape: &ConvShape, x: X) {
    let weight = random(2, shape.weight_len());
    let grad: Vec<X::Element> = random(3, shape.output_len()).iter().map(|g| Element::narrow(*g)).collect();
    let bias = random(4, shape.out_channels);
    let (mut y, mut dx) = (grad.clone(), vec![X::Element::default(); shape.input_len()]);
    let mut dw = vec![0.0; weight.len()];
    conv2d(isa, shape, x, &weight, Some(&bias), &mut y);
    conv2d_input_grad(isa, shape, &grad, &weight, Some(x), &mut dx);
    finite(&dx);
    conv2d_input_grad(isa, shape, &grad, &weight, None::<X>, &mut dx);
    conv2d_weight_grad(isa, shape, x, &grad, &mut dw);
    let mut db = bias;
    bias_grad(isa, shape.out_channels, &grad, &mut db);
    finite(&y);
    finite(&dx);
    finite(&dw);
    finite(&db);
}

#[test]
fn convolutions() {
    // The last frame has no partner.
    let small = ConvShape { frames: 3, ..SMALL };
    let strided =
        ConvShape { stride: [2, 1], kernel: [3, 2], groups: 2, in_channels: 6, out_channels: 10, ..small };
    let tiled = ConvShape { frames: 48, height: 3, width: 4, in_channels: 16, ..SMALL };
    assert!(tiled.winograd(Pass::Forward, 1.0) && !small.winograd(Pass::Forward, 1.0));
    for isa in Isa::available() {
        for precision in [Precision::F32, Precision::Bf16] {
            // Dense, and so sparse that zeros are skipped.
            for least in [-2.0, 0.8] {
                for shape in [small, strided] {
                    values(isa, &ConvShape { precision, ..shape }, least);
                }
            }
        }
        // The large one once as values and once as bits.
        values(isa, &ConvShape { in_channels: 17, ..tiled }, -2.0);
        let words: Vec<u16> = (0..tiled.input_len() / 16).map(|i| (i * 40503) as u16).collect();
        convolve(isa, &ConvShape { precision: Precision::Bf16, ..tiled }, Bits::<bf16>::new(&words));
    }
}

fn values(isa: Isa, shape: &ConvShape, least: f32) {
    let x = random(1, shape.input_len()).into_iter().map(|x| if x > least { x } else { 0.0 });
    match shape.precision {
        Precision::F32 => convolve(isa, shape, &x.collect::<Vec<f32>>()[..]),
        Precision::Bf16 => convolve(isa, shape, &x.map(bf16::narrow).collect::<Vec<bf16>>()[..]),
    }
}

#[test]
fn blocks() {
    for isa in Isa::available() {
        for (pool, channels, constant) in
            [(Pool::None, 16, false), (Pool::Max(2), 5, false), (Pool::Average(2), 3, true)]
        {
            let shape = BlockShape {
                steps: 3,
                batch: 2,
                height: 5,
                width: 4,
                channels,
                constant,
                joint: false,
                pool,
            };
            let mut z: Vec<bf16> = random(1, shape.input_len()).iter().map(|x| bf16::narrow(*x)).collect();
            let statistics_of = shape.norm();
            let mut mean = vec![0.0; statistics_of.statistics()];
            let mut var = mean.clone();
            statistics(isa, &statistics_of, &z, &mut mean, &mut var);
            let (gamma, beta) = (vec![1.0; channels], vec![0.2; channels]);
            let norm = Normalisation {
                mean: &mean,
                var: &var,
                gamma: &gamma,
                beta: &beta,
                eps: 1e-5,
                relu: true,
                others: None,
            };
            let mut output = vec![bf16::ZERO; shape.output_len()];
            let fired = block(isa, &shape, &Lif::default(), &norm, &z, &mut output);
            if shape.fits_bits() {
                let mut words = vec![0u16; output.len() / 16];
                assert_eq!(block(isa, &shape, &Lif::default(), &norm, &z, &mut words), fired);
            }
            let (mut for_gamma, mut for_beta) = (gamma.clone(), beta.clone());
            let lif = Lif::default();
            block_backward(isa, &shape, &lif, &norm, &mut z, &output, &mut for_gamma, &mut for_beta);
            finite(&z);
            finite(&for_gamma);
            finite(&for_beta);
        }
    }
}

#[test]
fn the_others() {
    for isa in Isa::available() {
        let (rows, inputs, outputs) = (3, 7, 10);
        let [x, w, g] =
            [(1, rows * inputs), (2, outputs * inputs), (3, rows * outputs)].map(|(seed, n)| random(seed, n));
        let (mut y, mut dx, mut dw) = (g.clone(), x.clone(), w.clone());
        linear(isa, rows, inputs, outputs, &x, &w, None, &mut y);
        linear_input_grad(isa, rows, inputs, outputs, &g, &w, &mut dx);
        linear_weight_grad(isa, rows, inputs, outputs, &x, &g, &mut dw);

        let current = random(4, 3 * 37);
        let [mut spikes, mut membrane, mut error] = [(); 3].map(|()| vec![0.0; current.len()]);
        for method in Method::ALL {
            let neuron = Lif { method, ..Lif::default() };
            lif(isa, &neuron, 3, &current, &mut spikes, &mut membrane);
            lif_backward(isa, &neuron, 3, &membrane, &current, &mut error);
        }

        let shape = NormShape { steps: 2, rows: 5, channels: 6 };
        let (x, gamma) = (random(5, 60), random(6, 6));
        let (mut mean, mut var, mut y, mut dx) = (vec![0.0; 12], vec![0.0; 12], x.clone(), x.clone());
        let (mut for_gamma, mut for_beta) = (gamma.clone(), gamma.clone());
        batch_norm(isa, &shape, &x, &gamma, &gamma, 1e-5, true, &mut mean, &mut var, &mut y);
        batch_norm_backward(
            isa,
            &shape,
            &x,
            &mean,
            &var,
            &gamma,
            &gamma,
            1e-5,
            true,
            &y,
            &mut dx,
            &mut for_gamma,
            &mut for_beta,
        );

        let shape = PoolShape { frames: 2, height: 5, width: 4, channels: 3, kernel: 2, stride: 2 };
        let (x, g) = (random(7, shape.input_len()), random(8, shape.output_len()));
        let (mut y, mut dx) = (g.clone(), x.clone());
        max_pool(isa, &shape, &x, &mut y);
        max_pool_backward(isa, &shape, &x, &g, &mut dx);
        avg_pool(isa, &shape, &x, &mut y);
        avg_pool_backward(isa, &shape, &g, &mut dx);
        [y, dx, dw, error, spikes].iter().for_each(|values| finite(values));
    }
}
