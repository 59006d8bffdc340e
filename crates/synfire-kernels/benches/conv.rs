//! How fast the convolution and its gradients are at the shapes of the released networks: an item is one
//! multiplication or addition of the dense sums, so that `Gitem/s` reads GFLOP/s, and more than the peak where zeros are
//! skipped. The gradient of the input is that where neurons fired.
//!
//! ```text
//! cargo bench -p synfire-kernels --bench conv [-- FILTER]     such as "forward.*17x17.*bf16, threads 2"
//! ```
//!
//! The first rows are the peak that registers alone reach (`synfire_kernels::peak`). `SYNFIRE_ISA` sets the instruction
//! set. That the results are right is what the tests are for.

mod common;

use std::fmt;

use common::{THREADS, noise, pool};
use divan::Bencher;
use divan::counter::ItemsCount;
use synfire_kernels::bf16::Precision;
use synfire_kernels::conv::{ConvShape, conv2d, conv2d_input_grad, conv2d_weight_grad};
use synfire_kernels::isa::Isa;
use synfire_kernels::peak;

/// Frames T·B, side, input channels, output channels of layers; the kernel is 3x3 with padding 1.
const SHAPES: [(&str, [usize; 4]); 8] = [
    ("nmnist", [256, 34, 2, 128]),
    ("nmnist", [256, 17, 128, 128]),
    ("nmnist", [256, 8, 128, 256]),
    ("nmnist", [256, 4, 256, 512]),
    ("cifar10", [128, 32, 128, 128]),
    ("cifar10", [128, 16, 128, 128]),
    ("dvs", [32, 64, 128, 128]),
    ("dvs", [32, 4, 512, 1024]),
];
/// Shares of the input that are 1: everything, and as many as kernels that skip zeros gain from.
const DENSITIES: [f32; 3] = [1.0, 0.3, 0.1];
const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Bf16];

fn main() {
    for precision in PRECISIONS {
        for threads in THREADS {
            let peak = pool(threads).install(|| peak::all_threads(Isa::detect(), precision));
            println!("peak, {precision}, threads {threads}: {:.0} GFLOP/s", 1e-9 * peak);
        }
    }
    divan::main();
}

struct Case {
    net: &'static str,
    shape: ConvShape,
    density: f32,
    threads: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConvShape { frames, height, width, in_channels, out_channels, precision, .. } = self.shape;
        let Case { net, density, threads, .. } = self;
        write!(
            f,
            "{net} {frames}x{height}x{width} {in_channels}->{out_channels}, {precision}, density {density}, threads {threads}"
        )
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (net, [frames, side, in_channels, out_channels]) in SHAPES {
        for precision in PRECISIONS {
            let shape = ConvShape {
                frames,
                height: side,
                width: side,
                in_channels,
                out_channels,
                kernel: [3, 3],
                stride: [1, 1],
                padding: [1, 1],
                groups: 1,
                precision,
            };
            for density in DENSITIES {
                cases.extend(THREADS.map(|threads| Case { net, shape, density, threads }));
            }
        }
    }
    cases
}

impl Case {
    /// The input.
    fn spikes(&self) -> Vec<f32> {
        let spike = |x: f32| f32::from(u8::from(x + 0.5 < self.density));
        noise(self.shape.input_len()).into_iter().map(spike).collect()
    }
}

impl Case {
    fn measure(&self, bencher: Bencher, mut run: impl FnMut() + Send) {
        let pool = pool(self.threads);
        bencher.counter(ItemsCount::new(2 * self.shape.macs())).bench_local(|| pool.install(&mut run));
    }
}

#[divan::bench(args = cases(), sample_count = 3, sample_size = 1)]
fn forward(bencher: Bencher, case: &Case) {
    let shape = &case.shape;
    let (input, weight) = (case.spikes(), noise(shape.weight_len()));
    let mut output = vec![0.0; shape.output_len()];
    case.measure(bencher, || conv2d(Isa::detect(), shape, &input[..], &weight, None, &mut output));
}

#[divan::bench(args = cases(), sample_count = 3, sample_size = 1)]
fn input_grad(bencher: Bencher, case: &Case) {
    let shape = &case.shape;
    let (input, grad, weight) = (case.spikes(), noise(shape.output_len()), noise(shape.weight_len()));
    let mut grad_input = vec![0.0; shape.input_len()];
    case.measure(bencher, || {
        conv2d_input_grad(Isa::detect(), shape, &grad, &weight, Some(&input[..]), &mut grad_input);
    });
}

#[divan::bench(args = cases(), sample_count = 3, sample_size = 1)]
fn weight_grad(bencher: Bencher, case: &Case) {
    let shape = &case.shape;
    let (input, grad) = (case.spikes(), noise(shape.output_len()));
    let mut grad_weight = vec![0.0; shape.weight_len()];
    case.measure(bencher, || conv2d_weight_grad(Isa::detect(), shape, &input[..], &grad, &mut grad_weight));
}
