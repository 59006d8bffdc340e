//! How fast the convolution and its gradients are on this machine, in GFLOP/s (two operations a multiplication).
//!
//! ```text
//! cargo run --release -p synfire-kernels --example conv_speed [instruction set…]
//! ```
//!
//! Every kernel's result is checked before it is timed, at a sample of places, against sums in `f64`. A number is the
//! best of several runs: a shared machine only ever makes a run slower. `RAYON_NUM_THREADS` sets the threads.

use std::time::Instant;

use synfire_kernels::bf16::{Precision, rounded};
use synfire_kernels::conv::{ConvShape, conv2d, conv2d_input_grad, conv2d_weight_grad};
use synfire_kernels::isa::Isa;

/// Frames, height and width, input channels, output channels; the kernel is 3x3 with padding 1.
const SHAPES: [[usize; 4]; 5] =
    [[128, 17, 128, 128], [64, 14, 32, 64], [256, 8, 128, 256], [256, 4, 256, 512], [64, 28, 1, 32]];
const RUNS: usize = 7;
const SAMPLES: usize = 50;

fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let isas = if names.is_empty() {
        vec![Isa::detect()]
    } else {
        names.iter().map(|name| name.parse().unwrap_or_else(|error| panic!("{error}"))).collect()
    };
    println!(
        "{:10} {:5} {:>26} {:>10} {:>10} {:>11}",
        "isa", "", "frames x side x in->out", "forward", "input grad", "weight grad"
    );
    for isa in isas {
        for precision in [Precision::F32, Precision::Bf16] {
            for shape in SHAPES {
                measure(isa, precision, shape);
            }
        }
    }
}

fn measure(isa: Isa, precision: Precision, [frames, side, cin, cout]: [usize; 4]) {
    let shape = ConvShape {
        frames,
        height: side,
        width: side,
        in_channels: cin,
        out_channels: cout,
        kernel: [3, 3],
        stride: [1, 1],
        padding: [1, 1],
        groups: 1,
        precision,
    };
    let mut random = Random(1);
    // Values that bf16 has, so that both precisions are checked against the same sums.
    let mut draw =
        |n: usize| (0..n).map(|_| rounded(random.next() as f32 / 2f32.powi(32) - 0.5)).collect::<Vec<f32>>();
    let (input, weight, grad) = (draw(shape.input_len()), draw(shape.weight_len()), draw(shape.output_len()));
    let (mut output, mut grad_input, mut grad_weight) = (grad.clone(), input.clone(), weight.clone());

    let forward = best(|| conv2d(isa, &shape, &input, &weight, None, &mut output));
    let input_grad = best(|| conv2d_input_grad(isa, &shape, &grad, &weight, None, &mut grad_input));
    let weight_grad = best(|| conv2d_weight_grad(isa, &shape, &input, &grad, &mut grad_weight));

    let (pixels, taps) = (side * side, 9);
    for _ in 0..SAMPLES {
        let i = random.below(output.len());
        let (f, p, o) = (i / cout / pixels, i / cout % pixels, i % cout);
        let products = (0..taps).flat_map(|tap| (0..cin).map(move |c| (tap, c))).filter_map(|(tap, c)| {
            let q = neighbour(p, side, tap)?;
            Some(product(input[(f * pixels + q) * cin + c], weight[(o * cin + c) * taps + tap]))
        });
        check("output", output[i], products);

        let i = random.below(grad_input.len());
        let (f, p, c) = (i / cin / pixels, i / cin % pixels, i % cin);
        let products = (0..taps).flat_map(|tap| (0..cout).map(move |o| (tap, o))).filter_map(|(tap, o)| {
            let q = neighbour(p, side, taps - 1 - tap)?;
            Some(product(grad[(f * pixels + q) * cout + o], weight[(o * cin + c) * taps + tap]))
        });
        check("grad_input", grad_input[i], products);

        let i = random.below(grad_weight.len());
        let (o, c, tap) = (i / taps / cin, i / taps % cin, i % taps);
        let products = (0..frames * pixels).filter_map(|i| {
            let (f, p) = (i / pixels, i % pixels);
            let q = neighbour(p, side, tap)?;
            Some(product(input[(f * pixels + q) * cin + c], grad[i * cout + o]))
        });
        check("grad_weight", grad_weight[i], products);
    }

    let rate = |seconds: f64| 2e-9 * shape.macs() as f64 / seconds;
    println!(
        "{isa:10} {precision:5} {:>26} {:>10.0} {:>10.0} {:>11.0}",
        format!("{frames} x {side} x {cin}->{cout}"),
        rate(forward),
        rate(input_grad),
        rate(weight_grad)
    );
}

/// The pixel that a 3x3 kernel's place `tap` sees from pixel `p`.
fn neighbour(p: usize, side: usize, tap: usize) -> Option<usize> {
    let (y, x) = ((p / side + tap / 3).checked_sub(1)?, (p % side + tap % 3).checked_sub(1)?);
    (y < side && x < side).then_some(y * side + x)
}

fn product(a: f32, b: f32) -> f64 {
    f64::from(a) * f64::from(b)
}

/// Compares with the sum, allowing for a rounding error that grows with the sum of magnitudes.
fn check(what: &str, found: f32, products: impl Iterator<Item = f64>) {
    let (expected, magnitude) = products.fold((0.0, 0.0), |(sum, abs), x| (sum + x, abs + x.abs()));
    let error = (f64::from(found) - expected).abs();
    assert!(error <= 1e-5 * magnitude, "{what}: found {found}, expected {expected}");
}

fn best(mut run: impl FnMut()) -> f64 {
    run();
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..RUNS).map(time).fold(f64::MAX, f64::min)
}

/// Xorshift: the numbers only have to be the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }

    fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }
}
