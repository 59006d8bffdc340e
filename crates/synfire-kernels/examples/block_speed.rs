//! How fast batch norm, neurons and pooling are on this machine, in milliseconds and in nanoseconds a neuron and step.
//!
//! ```text
//! cargo run --release -p synfire-kernels --example block_speed [instruction set…]
//! ```
//!
//! A number is the best of several runs: a shared machine only ever makes a run slower. `RAYON_NUM_THREADS` sets the
//! threads. That the results are right is what the tests are for.

use std::time::Instant;

use synfire_kernels::block::{BlockShape, Pool, block, block_backward};
use synfire_kernels::isa::Isa;
use synfire_kernels::neuron::Lif;
use synfire_kernels::norm::{Normalisation, statistics};

/// Time steps, samples, side, channels, pooling: the layers of the released networks.
const SHAPES: [(usize, usize, usize, usize, Pool); 5] = [
    (16, 16, 34, 128, Pool::Max(2)),
    (16, 16, 17, 128, Pool::Max(2)),
    (16, 16, 8, 256, Pool::Average(2)),
    (16, 16, 4, 512, Pool::Average(4)),
    (16, 2, 64, 128, Pool::None),
];
const RUNS: usize = 5;

fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let isas = if names.is_empty() {
        vec![Isa::detect()]
    } else {
        names.iter().map(|name| name.parse().unwrap_or_else(|error| panic!("{error}"))).collect()
    };
    println!(
        "{:10} {:>26} {:>18} {:>18} {:>18}",
        "isa", "T x B x side x C", "statistics", "forward", "backward"
    );
    for isa in isas {
        for (steps, batch, side, channels, pool) in SHAPES {
            let (height, width) = (side, side);
            let shape =
                BlockShape { steps, batch, height, width, channels, constant: false, joint: false, pool };
            measure(isa, &shape);
        }
    }
}

fn measure(isa: Isa, shape: &BlockShape) {
    let z: Vec<f32> =
        (0..shape.input_len() as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8e6).collect();
    let (gamma, beta) = (vec![1.0; shape.channels], vec![0.0; shape.channels]);
    let norm_shape = shape.norm();
    let (mut mean, mut var) = (vec![0.0; norm_shape.statistics()], vec![0.0; norm_shape.statistics()]);
    let finding = best(|| statistics(isa, &norm_shape, &z, &mut mean, &mut var));
    let norm = Normalisation { mean: &mean, var: &var, gamma: &gamma, beta: &beta, eps: 1e-5, relu: true };
    let mut y = vec![0.0; shape.output_len()];
    let forward = best(|| {
        block(isa, shape, &Lif::default(), &norm, &z, &mut y);
    });
    let (mut grad_z, mut for_gamma, mut for_beta) = (z.clone(), gamma.clone(), beta.clone());
    let backward = best(|| {
        block_backward(
            isa,
            shape,
            &Lif::default(),
            &norm,
            &z,
            &y,
            &mut grad_z,
            &mut for_gamma,
            &mut for_beta,
        );
    });
    let column = |seconds: f64| format!("{:.1} ms {:.3} ns", 1e3 * seconds, 1e9 * seconds / z.len() as f64);
    println!(
        "{isa:10} {:>26} {:>18} {:>18} {:>18}",
        format!("{} x {} x {} x {}", shape.steps, shape.batch, shape.height, shape.channels),
        column(finding),
        column(forward),
        column(backward)
    );
}

fn best(mut run: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..RUNS).map(time).fold(f64::INFINITY, f64::min)
}
