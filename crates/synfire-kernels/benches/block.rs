//! How fast batch norm, neurons and pooling are at the shapes of the released networks: an item is one neuron at one
//! time step, whose input is bf16 in memory.
//!
//! ```text
//! cargo bench -p synfire-kernels --bench block [-- FILTER]
//! ```
//!
//! `SYNFIRE_ISA` sets the instruction set. That the results are right is what the tests are for.

mod common;

use std::fmt;

use common::{THREADS, noise, pool};
use divan::Bencher;
use divan::counter::ItemsCount;
use synfire_kernels::bf16::bf16;
use synfire_kernels::block::{BlockShape, Pool, block, block_backward};
use synfire_kernels::isa::Isa;
use synfire_kernels::neuron::Lif;
use synfire_kernels::norm::{self, Normalisation};

/// Time steps, samples, side, channels, pooling of layers.
const SHAPES: [(&str, usize, usize, usize, usize, Pool); 5] = [
    ("nmnist", 16, 16, 34, 128, Pool::Max(2)),
    ("nmnist", 16, 16, 17, 128, Pool::Max(2)),
    ("nmnist", 16, 16, 8, 256, Pool::Average(2)),
    ("nmnist", 16, 16, 4, 512, Pool::Average(4)),
    ("dvs", 16, 2, 64, 128, Pool::None),
];

fn main() {
    divan::main();
}

struct Case {
    net: &'static str,
    shape: BlockShape,
    threads: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BlockShape { steps, batch, height, width, channels, .. } = self.shape;
        let (net, threads) = (self.net, self.threads);
        write!(f, "{net} {steps}x{batch}x{height}x{width}x{channels}, threads {threads}")
    }
}

fn cases() -> Vec<Case> {
    let of = |(net, steps, batch, side, channels, pool)| {
        let (height, width) = (side, side);
        let shape = BlockShape { steps, batch, height, width, channels, constant: false, joint: false, pool };
        THREADS.map(|threads| Case { net, shape, threads })
    };
    SHAPES.into_iter().flat_map(of).collect()
}

/// A block's input and parameters.
struct Values {
    z: Vec<bf16>,
    mean: Vec<f32>,
    var: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

fn narrow_noise(n: usize) -> Vec<bf16> {
    noise(n).into_iter().map(bf16::from_f32).collect()
}

impl Values {
    fn new(shape: &BlockShape) -> Self {
        let statistics = shape.norm().statistics();
        Self {
            z: narrow_noise(shape.input_len()),
            mean: vec![0.0; statistics],
            // That of the noise.
            var: vec![1.0 / 12.0; statistics],
            gamma: vec![1.0; shape.channels],
            beta: vec![0.0; shape.channels],
        }
    }

    fn norm(&self) -> Normalisation<'_> {
        let Self { mean, var, gamma, beta, .. } = self;
        Normalisation { mean, var, gamma, beta, eps: 1e-5, relu: true, others: None }
    }
}

impl Case {
    fn measure(&self, bencher: Bencher, mut run: impl FnMut() + Send) {
        let pool = pool(self.threads);
        bencher.counter(ItemsCount::new(self.shape.input_len())).bench_local(|| pool.install(&mut run));
    }
}

#[divan::bench(args = cases(), sample_count = 10, sample_size = 1)]
fn statistics(bencher: Bencher, case: &Case) {
    let Values { z, mut mean, mut var, .. } = Values::new(&case.shape);
    let shape = case.shape.norm();
    case.measure(bencher, || norm::statistics(Isa::detect(), &shape, &z, &mut mean, &mut var));
}

#[divan::bench(args = cases(), sample_count = 10, sample_size = 1)]
fn forward(bencher: Bencher, case: &Case) {
    let values = Values::new(&case.shape);
    let mut y = vec![bf16::ZERO; case.shape.output_len()];
    case.measure(bencher, || {
        block(Isa::detect(), &case.shape, &Lif::default(), &values.norm(), &values.z, &mut y);
    });
}

#[divan::bench(args = cases(), sample_count = 10, sample_size = 1)]
fn backward(bencher: Bencher, case: &Case) {
    let values = Values::new(&case.shape);
    let grad = narrow_noise(case.shape.output_len());
    let (mut grad_gamma, mut grad_beta) = (vec![0.0; case.shape.channels], vec![0.0; case.shape.channels]);
    let pool = pool(case.threads);
    bencher
        .counter(ItemsCount::new(case.shape.input_len()))
        .with_inputs(|| values.z.clone())
        .bench_local_refs(|z| {
            pool.install(|| {
                let norm = values.norm();
                let (shape, lif) = (&case.shape, Lif::default());
                block_backward(Isa::detect(), shape, &lif, &norm, z, &grad, &mut grad_gamma, &mut grad_beta);
            });
        });
}
