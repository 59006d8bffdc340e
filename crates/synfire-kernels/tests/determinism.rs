//! Every kernel gives the same bits on any number of threads, and wherever its slices lie in memory; those that only
//! look at values one by one or sum them in `f64` give the same bits on every instruction set too.

mod common;

use common::{SMALL, random, unwritten};
use rayon::ThreadPoolBuilder;
use synfire_kernels::bf16::Precision;
use synfire_kernels::conv::{ConvShape, bias_grad, conv2d, conv2d_input_grad, conv2d_weight_grad};
use synfire_kernels::isa::Isa;
use synfire_kernels::linear::{linear, linear_input_grad, linear_weight_grad};
use synfire_kernels::neuron::{Lif, Method, lif, lif_backward};
use synfire_kernels::norm::{NormShape, batch_norm, batch_norm_backward};
use synfire_kernels::pool::{PoolShape, avg_pool, avg_pool_backward, max_pool, max_pool_backward};

/// The bits of all that `kernel` returns, computed on a pool of `threads`.
fn bits(threads: usize, isa: Isa, kernel: impl Fn(Isa) -> Vec<Vec<f32>> + Sync) -> Vec<Vec<u32>> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
    let results = pool.install(|| kernel(isa));
    results.into_iter().map(|result| result.into_iter().map(f32::to_bits).collect()).collect()
}

/// Runs `kernel` on pools of several sizes and compares all that it returns, bit for bit.
#[track_caller]
fn same(what: &str, kernel: impl Fn(Isa) -> Vec<Vec<f32>> + Sync) {
    for isa in Isa::available() {
        let one = bits(1, isa, &kernel);
        for threads in [2, 3, 7] {
            assert!(bits(threads, isa, &kernel) == one, "{what} on {isa}: {threads} threads differ from one");
        }
    }
}

/// As [`same`], and compares instruction sets too.
#[track_caller]
fn same_everywhere(what: &str, kernel: impl Fn(Isa) -> Vec<Vec<f32>> + Sync) {
    same(what, &kernel);
    let portable = bits(1, Isa::PORTABLE, &kernel);
    for isa in Isa::available() {
        assert!(bits(1, isa, &kernel) == portable, "{what}: {isa} differs from portable");
    }
}

#[test]
fn convolutions() {
    let shapes = [(50, 6, 20, 70), (2, 40, 8, 16), (3, 4, 180, 140), (90, 7, 64, 140)];
    for ((frames, side, in_channels, out_channels), precision) in shapes
        .into_iter()
        .flat_map(|shape| [Precision::F32, Precision::Bf16].map(|precision| (shape, precision)))
    {
        let shape = ConvShape {
            frames,
            height: side,
            width: side,
            in_channels,
            out_channels,
            groups: 2,
            precision,
            ..SMALL
        };
        let (x, w) = (random(1, shape.input_len()), random(2, shape.weight_len()));
        let (b, g) = (random(3, out_channels), random(4, shape.output_len()));
        let above = |least: f32| x.iter().map(|x| x.max(least) - least).collect::<Vec<f32>>();
        // Few enough that zeros are skipped.
        let (fired, few) = (above(0.3), above(0.9));
        same("conv2d", |isa| {
            let [mut y, mut of_few] = [unwritten(g.len()), unwritten(g.len())];
            conv2d(isa, &shape, &x[..], &w, Some(&b), &mut y);
            conv2d(isa, &shape, &few[..], &w, Some(&b), &mut of_few);
            vec![y, of_few]
        });
        same("gradients of conv2d", |isa| {
            let [mut dx, mut dx_where_fired] = [unwritten(x.len()), unwritten(x.len())];
            let [mut dw, mut dw_of_few] = [unwritten(w.len()), unwritten(w.len())];
            conv2d_input_grad(isa, &shape, &g, &w, None::<&[f32]>, &mut dx);
            conv2d_input_grad(isa, &shape, &g, &w, Some(&fired[..]), &mut dx_where_fired);
            conv2d_weight_grad(isa, &shape, &x[..], &g, &mut dw);
            conv2d_weight_grad(isa, &shape, &few[..], &g, &mut dw_of_few);
            vec![dx, dx_where_fired, dw, dw_of_few]
        });
        same_everywhere("bias_grad", |isa| {
            let mut db = unwritten(out_channels);
            bias_grad(isa, out_channels, &g, &mut db);
            vec![db]
        });
    }
}

#[test]
fn linear_layers() {
    let (rows, inputs, outputs) = (300, 70, 100);
    let (x, w, g) = (random(1, rows * inputs), random(2, outputs * inputs), random(3, rows * outputs));
    same("linear", |isa| {
        let (mut y, mut dx, mut dw) = (unwritten(g.len()), unwritten(x.len()), unwritten(w.len()));
        linear(isa, rows, inputs, outputs, &x, &w, None, &mut y);
        linear_input_grad(isa, rows, inputs, outputs, &g, &w, &mut dx);
        linear_weight_grad(isa, rows, inputs, outputs, &x, &g, &mut dw);
        vec![y, dx, dw]
    });
}

#[test]
fn batch_norms() {
    for (steps, rows, channels) in [(3, 2000, 40), (40, 1000, 40)] {
        let shape = NormShape { steps, rows, channels };
        let (x, g) = (random(1, shape.values()), random(2, shape.values()));
        let (gamma, beta) = (random(3, channels), random(4, channels));
        same_everywhere("batch norm", |isa| {
            let statistics = shape.statistics();
            let (mut mean, mut var, mut y) =
                (unwritten(statistics), unwritten(statistics), unwritten(x.len()));
            batch_norm(isa, &shape, &x, &gamma, &beta, 1e-5, true, &mut mean, &mut var, &mut y);
            let (mut dx, mut dgamma, mut dbeta) =
                (unwritten(x.len()), unwritten(channels), unwritten(channels));
            batch_norm_backward(
                isa,
                &shape,
                &x,
                &mean,
                &var,
                &gamma,
                &beta,
                1e-5,
                true,
                &g,
                &mut dx,
                &mut dgamma,
                &mut dbeta,
            );
            vec![mean, var, y, dx, dgamma, dbeta]
        });
    }
}

#[test]
fn neurons() {
    let (steps, n) = (5, 10_000);
    let (current, g) = (random(1, steps * n), random(2, steps * n));
    for method in Method::ALL {
        let neuron = Lif { method, ..Lif::default() };
        same_everywhere("lif", |isa| {
            let (mut spikes, mut membrane) = (unwritten(steps * n), unwritten(steps * n));
            lif(isa, &neuron, steps, &current, &mut spikes, &mut membrane);
            let (mut every, mut still) = (unwritten(steps * n), unwritten(n));
            lif_backward(isa, &neuron, steps, &membrane, &g, &mut every);
            lif_backward(isa, &neuron, steps, &membrane, &g, &mut still);
            vec![spikes, membrane, every, still]
        });
    }
}

#[test]
fn pooling() {
    let shape = PoolShape { frames: 30, height: 9, width: 9, channels: 20, kernel: 3, stride: 2 };
    let (x, g) = (random(1, shape.input_len()), random(2, shape.output_len()));
    same_everywhere("pooling", |isa| {
        let (mut max, mut avg) = (unwritten(g.len()), unwritten(g.len()));
        let (mut max_grad, mut avg_grad) = (unwritten(x.len()), unwritten(x.len()));
        max_pool(isa, &shape, &x, &mut max);
        avg_pool(isa, &shape, &x, &mut avg);
        max_pool_backward(isa, &shape, &x, &g, &mut max_grad);
        avg_pool_backward(isa, &shape, &g, &mut avg_grad);
        vec![max, avg, max_grad, avg_grad]
    });
}

/// Slices that begin anywhere: `f32` aligned, and nothing more.
#[test]
fn alignment() {
    let shape = ConvShape { frames: 23, height: 5, width: 5, in_channels: 16, out_channels: 64, ..SMALL };
    let (x, w, g) =
        (random(1, shape.input_len()), random(2, shape.weight_len()), random(3, shape.output_len()));
    let pool = PoolShape { frames: 23, height: 5, width: 5, channels: 16, kernel: 2, stride: 2 };
    let fired: Vec<f32> = x.iter().map(|x| x.max(0.3) - 0.3).collect();
    for isa in Isa::available() {
        let run = |offset: usize| {
            let moved = |x: &[f32]| [vec![0.0; offset], x.to_vec()].concat();
            let (x, w, g) = (moved(&x), moved(&w), moved(&g));
            let (x, w, g) = (&x[offset..], &w[offset..], &g[offset..]);
            let result = |n: usize, kernel: &dyn Fn(&mut [f32])| {
                let mut result = unwritten(offset + n);
                kernel(&mut result[offset..]);
                result.split_off(offset).into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            [
                result(g.len(), &|y| conv2d(isa, &shape, x, w, None, y)),
                result(x.len(), &|dx| conv2d_input_grad::<f32, &[f32]>(isa, &shape, g, w, None, dx)),
                result(x.len(), &|dx| conv2d_input_grad(isa, &shape, g, w, Some(&fired[..]), dx)),
                result(w.len(), &|dw| conv2d_weight_grad(isa, &shape, x, g, dw)),
                result(pool.output_len(), &|y| max_pool(isa, &pool, x, y)),
                result(x.len(), &|dx| lif_backward(isa, &Lif::default(), 1, x, x, dx)),
            ]
        };
        let first = run(0);
        for offset in [1, 3, 9] {
            assert!(run(offset) == first, "offset {offset} on {isa}");
        }
    }
}
