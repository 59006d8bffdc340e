//! Convolutions by Winograd's algorithm, F(2x2, 3x3), with what the kernels round.
//!
//! Every addition of a transform is rounded to `f32`, transformed values to the precision, and sums of products are
//! `f64`. Without rounding the results would be those of [`super::conv2d`] and its gradients.

use std::array::from_fn;

use crate::bf16::{Precision, rounded};
use crate::conv::ConvShape;

/// Sums of products, and the sums of their magnitudes, which bound the error of rounding them.
pub struct Sums {
    /// The result.
    pub values: Vec<f64>,
    /// The same with the magnitudes of all that is added.
    pub magnitudes: Vec<f64>,
}

fn single(x: f64) -> f64 {
    f64::from(x as f32)
}

/// `Bᵀ d`.
fn input([a, b, c, d]: [f64; 4]) -> [f64; 4] {
    [a - c, b + c, c - b, d - b].map(single)
}

/// `A e`.
fn errors([a, b]: [f64; 2]) -> [f64; 4] {
    [a, single(a + b), single(a - b), b]
}

/// `G g`.
fn kernel([a, b, c]: [f64; 3]) -> [f64; 4] {
    let outer = single(a + c);
    [a, single(outer + b) / 2.0, single(outer - b) / 2.0, c]
}

/// `Aᵀ m`, of magnitudes where `sign` is 1.
fn output([a, b, c, d]: [f64; 4], sign: f64) -> [f64; 2] {
    [a + b + c, b + sign * c + d]
}

/// `Gᵀ m`, of magnitudes where `sign` is 1.
fn kernel_grad([a, b, c, d]: [f64; 4], sign: f64) -> [f64; 3] {
    [a + (b + c) / 2.0, (b + sign * c) / 2.0, (b + c) / 2.0 + d]
}

/// `H x Hᵀ`, along columns first.
fn both<const N: usize, const M: usize>(
    x: [[f64; N]; N],
    map: impl Fn([f64; N]) -> [f64; M],
) -> [[f64; M]; M] {
    let columns: [[f64; M]; N] = from_fn(|i| map(from_fn(|j| x[j][i])));
    from_fn(|j| map(from_fn(|i| columns[i][j])))
}

/// Sums of products at the places of a tile.
#[derive(Clone, Default)]
struct Places {
    values: [f64; 16],
    magnitudes: [f64; 16],
}

impl Places {
    fn add(&mut self, a: &[f64; 16], b: &[f64; 16]) {
        for i in 0..16 {
            let product = a[i] * b[i];
            self.values[i] += product;
            self.magnitudes[i] += product.abs();
        }
    }
}

fn square(places: &[f64; 16]) -> [[f64; 4]; 4] {
    from_fn(|j| from_fn(|i| places[4 * j + i]))
}

fn operands(shape: &ConvShape, x: [[f64; 4]; 4]) -> [f64; 16] {
    let operand = |x: f64| match shape.precision {
        Precision::F32 => x,
        Precision::Bf16 => f64::from(rounded(x as f32)),
    };
    from_fn(|i| operand(x[i / 4][i % 4]))
}

/// The window of `N`x`N` pixels from `(y, x)` on, zeros outside.
fn window<const N: usize>(size: [usize; 2], at: [isize; 2], pixel: impl Fn(usize) -> f64) -> [[f64; N]; N] {
    let inside = |at: isize, len: usize| usize::try_from(at).ok().filter(|at| *at < len);
    from_fn(|j| {
        from_fn(|i| match (inside(at[0] + j as isize, size[0]), inside(at[1] + i as isize, size[1])) {
            (Some(y), Some(x)) => pixel(y * size[1] + x),
            _ => 0.0,
        })
    })
}

/// A convolution from `size` pixels of `channels` to `out` pixels, whose windows begin `before` their pixels.
struct Plan<'a> {
    shape: &'a ConvShape,
    size: [usize; 2],
    channels: usize,
    out: [usize; 2],
    out_channels: usize,
    before: [isize; 2],
}

impl Plan<'_> {
    fn tiles(&self) -> impl Iterator<Item = (usize, [usize; 2])> + use<> {
        let (frames, [down, across]) = (self.shape.frames, self.out.map(|len| len.div_ceil(2)));
        (0..frames * down * across)
            .map(move |i| (i / (down * across), [2 * (i / across % down), 2 * (i % across)]))
    }

    /// `Bᵀ d B` of the tile at an output pixel, for a channel.
    fn input(&self, source: &[f64], frame: usize, [y, x]: [usize; 2], channel: usize) -> [f64; 16] {
        let at = [y as isize - self.before[0], x as isize - self.before[1]];
        let frame = frame * self.size[0] * self.size[1];
        operands(
            self.shape,
            both(window(self.size, at, |i| source[(frame + i) * self.channels + channel]), input),
        )
    }

    /// `weight(n, c)` are the 3x3 weights of an output channel and an input channel of its group.
    fn product(&self, source: &[f64], weight: impl Fn(usize, usize) -> [[f64; 3]; 3]) -> Sums {
        let len = self.shape.frames * self.out[0] * self.out[1] * self.out_channels;
        let mut sums = Sums { values: vec![f64::NAN; len], magnitudes: vec![f64::NAN; len] };
        let of_group = [self.channels, self.out_channels].map(|channels| channels / self.shape.groups);
        let kernels: Vec<[f64; 16]> = (0..self.out_channels * of_group[0])
            .map(|i| operands(self.shape, both(weight(i / of_group[0], i % of_group[0]), kernel)))
            .collect();
        for (frame, [y, x]) in self.tiles() {
            let inputs: Vec<_> = (0..self.channels).map(|c| self.input(source, frame, [y, x], c)).collect();
            for n in 0..self.out_channels {
                let inputs = &inputs[n / of_group[1] * of_group[0]..][..of_group[0]];
                let mut places = Places::default();
                inputs.iter().zip(&kernels[n * of_group[0]..]).for_each(|(d, g)| places.add(d, g));
                let values = both(square(&places.values), |m| output(m, -1.0));
                let magnitudes = both(square(&places.magnitudes), |m| output(m, 1.0));
                for j in 0..2.min(self.out[0] - y) {
                    for i in 0..2.min(self.out[1] - x) {
                        let pixel = (frame * self.out[0] + y + j) * self.out[1] + x + i;
                        sums.values[pixel * self.out_channels + n] = values[j][i];
                        sums.magnitudes[pixel * self.out_channels + n] = magnitudes[j][i];
                    }
                }
            }
        }
        sums
    }
}

fn plan(shape: &ConvShape) -> Plan<'_> {
    Plan {
        shape,
        size: [shape.height, shape.width],
        channels: shape.in_channels,
        out: [shape.out_height(), shape.out_width()],
        out_channels: shape.out_channels,
        before: shape.padding.map(|padding| padding as isize),
    }
}

/// See [`crate::conv::conv2d`]; without a bias.
pub fn conv2d(shape: &ConvShape, input: &[f64], weight: &[f64]) -> Sums {
    let channels = shape.in_channels / shape.groups;
    plan(shape).product(input, |n, c| from_fn(|y| from_fn(|x| weight[((n * channels + c) * 3 + y) * 3 + x])))
}

/// See [`crate::conv::conv2d_input_grad`].
pub fn conv2d_input_grad(shape: &ConvShape, grad_output: &[f64], weight: &[f64]) -> Sums {
    let forward = plan(shape);
    let back = Plan {
        shape,
        size: forward.out,
        channels: forward.out_channels,
        out: forward.size,
        out_channels: forward.channels,
        before: forward.before.map(|before| 2 - before),
    };
    let [inputs, outputs] = [shape.in_channels, shape.out_channels].map(|channels| channels / shape.groups);
    back.product(grad_output, |n, c| {
        let at = ((n / inputs * outputs + c) * inputs + n % inputs) * 9;
        from_fn(|y| from_fn(|x| weight[at + (2 - y) * 3 + 2 - x]))
    })
}

/// See [`crate::conv::conv2d_weight_grad`].
pub fn conv2d_weight_grad(shape: &ConvShape, input: &[f64], grad_output: &[f64]) -> Sums {
    let plan = plan(shape);
    let [inputs, outputs] = [shape.in_channels, shape.out_channels].map(|channels| channels / shape.groups);
    let mut places = vec![Places::default(); shape.out_channels * inputs];
    for (frame, at) in plan.tiles() {
        let input: Vec<_> = (0..shape.in_channels).map(|c| plan.input(input, frame, at, c)).collect();
        for n in 0..shape.out_channels {
            let errors_of =
                |i: usize| grad_output[(frame * plan.out[0] * plan.out[1] + i) * shape.out_channels + n];
            let at = at.map(|at| at as isize);
            let errors = operands(shape, both(window::<2>(plan.out, at, errors_of), errors));
            for (c, d) in input[n / outputs * inputs..][..inputs].iter().enumerate() {
                places[n * inputs + c].add(d, &errors);
            }
        }
    }
    let taps = |m: &[f64; 16], sign: f64| both(square(m), |m| kernel_grad(m, sign)).into_iter().flatten();
    Sums {
        values: places.iter().flat_map(|places| taps(&places.values, -1.0)).collect(),
        magnitudes: places.iter().flat_map(|places| taps(&places.magnitudes, 1.0)).collect(),
    }
}
