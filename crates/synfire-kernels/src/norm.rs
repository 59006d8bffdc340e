//! Batch norm with an optional ReLU, where every time step is normalised on its own.
//!
//! With `mean` and `var` (biased) over the rows of one step and one channel:
//!
//! ```text
//! y = (x − mean)·γ/√(var + ε) + β          then max(y, 0) with ReLU
//! ```
//!
//! and backward, with `g` the error of `y` (0 where ReLU cut it off), `x̂ = (x − mean)/√(var + ε)` and averages over
//! the rows of the step (S. Ioffe, C. Szegedy, "Batch Normalization", 2015):
//!
//! ```text
//! error of x = γ/√(var + ε)·(g − avg(g) − x̂·avg(g·x̂))     error of γ = Σ g·x̂     error of β = Σ g
//! ```

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use crate::bf16::Element;
use crate::disjoint::Disjoint;
use crate::isa::{Isa, multiversion};
use crate::lens;
use crate::rows;

/// The shape of a batch norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NormShape {
    /// Time steps, each with statistics of its own.
    pub steps: usize,
    /// Rows in a step, `B·H·W`.
    pub rows: usize,
    /// Channels of a row.
    pub channels: usize,
}

impl NormShape {
    /// Values in the input, and in the output.
    ///
    /// # Panics
    /// Where there are more than can be counted.
    pub fn values(&self) -> usize {
        lens::product(self, [self.steps, self.rows, self.channels])
    }

    /// Values in the means, and in the variances.
    ///
    /// # Panics
    /// Where there are more than can be counted.
    pub fn statistics(&self) -> usize {
        lens::product(self, [self.steps, self.channels])
    }

    fn check(&self, values: &[(&str, usize)], statistics: &[(&str, usize)], channels: &[(&str, usize)]) {
        for (expected, slices) in
            [(self.values(), values), (self.statistics(), statistics), (self.channels, channels)]
        {
            for (name, len) in slices {
                assert_eq!(*len, expected, "batch norm: the length of {name} does not fit {self:?}");
            }
        }
    }

    /// Values in a step.
    fn step(&self) -> usize {
        self.rows * self.channels
    }

    /// Blocks of rows in a step; see [`rows::block`].
    fn blocks(&self) -> usize {
        self.rows.div_ceil(rows::block(self.channels))
    }

    /// The values of block `i`, counted over all steps.
    fn block(&self, i: usize) -> (usize, std::ops::Range<usize>) {
        let (step, block) = (i / self.blocks(), i % self.blocks());
        let len = rows::block(self.channels) * self.channels;
        let start = block * len;
        (step, step * self.step() + start..step * self.step() + self.step().min(start + len))
    }
}

/// Other processes that have rows of the same batch: its statistics are over the rows of all.
pub trait Others: std::fmt::Debug + Sync {
    /// Adds theirs to sums over so many rows of this process; returns how many rows there are in all.
    fn add(&self, sums: &mut [f64], rows: usize) -> f64;
}

/// What a batch norm normalises with: mean and biased variance `[steps, channels]`, which are those of [`statistics`]
/// in training and running ones in inference, and the parameters `[channels]`.
#[derive(Clone, Copy, Debug)]
pub struct Normalisation<'a> {
    /// Mean.
    pub mean: &'a [f32],
    /// Biased variance.
    pub var: &'a [f32],
    /// Scale `γ`.
    pub gamma: &'a [f32],
    /// Shift `β`.
    pub beta: &'a [f32],
    /// Added to the variance, `ε`.
    pub eps: f32,
    /// Whether a ReLU follows.
    pub relu: bool,
    /// Who else has rows of the batch; the way back asks them for their errors' sums.
    pub others: Option<&'a dyn Others>,
}

impl Normalisation<'_> {
    pub(crate) fn check(&self, shape: &NormShape) {
        let Self { mean, var, gamma, beta, .. } = self;
        shape.check(
            &[],
            &[("mean", mean.len()), ("var", var.len())],
            &[("gamma", gamma.len()), ("beta", beta.len())],
        );
    }

    /// `γ/√(var + ε)` for every step and channel.
    pub(crate) fn scales(&self) -> Vec<f32> {
        let channels = self.var.iter().zip(self.gamma.iter().cycle());
        channels.map(|(&var, gamma)| gamma * reciprocal_deviation(var, self.eps)).collect()
    }

    /// From the sums `Σ g` and `Σ g·(x − mean)` over the errors `g` behind the batch norm, `[steps][2][channels]`, to
    /// the errors of its parameters, and what the errors of its input need.
    pub(crate) fn averages(
        &self,
        shape: &NormShape,
        sums: &[f64],
        grad_gamma: &mut [f32],
        grad_beta: &mut [f32],
    ) -> Averages {
        let c = shape.channels;
        let mut of_parameters = vec![0.0; 2 * c];
        let mut values = vec![0.0; 2 * shape.statistics()];
        // The parameters' errors are of these rows alone, the input's of all rows that had a part in the statistics.
        let (of_all, rows) = match self.others {
            None => (Cow::Borrowed(sums), shape.rows as f64),
            Some(others) => {
                let mut of_all = sums.to_vec();
                let rows = others.add(&mut of_all, shape.rows);
                (Cow::Owned(of_all), rows)
            }
        };
        let steps = sums.chunks_exact((2 * c).max(1)).zip(of_all.chunks_exact((2 * c).max(1)));
        for (step, (of_step, of_all)) in steps.enumerate() {
            for channel in 0..c {
                let rstd = f64::from(reciprocal_deviation(self.var[step * c + channel], self.eps));
                of_parameters[channel] += of_step[channel];
                of_parameters[c + channel] += of_step[c + channel] * rstd;
                let (g, gx) = (of_all[channel], of_all[c + channel] * rstd);
                values[2 * step * c + channel] = (g / rows) as f32;
                values[2 * step * c + c + channel] = (gx * rstd / rows) as f32;
            }
        }
        for channel in 0..c {
            grad_beta[channel] = of_parameters[channel] as f32;
            grad_gamma[channel] = of_parameters[c + channel] as f32;
        }
        Averages { channels: c, values }
    }

    /// What `channels` of a step are normalised with, given all [`Self::scales`].
    pub(crate) fn of_step<'a>(
        &'a self,
        scales: &'a [f32],
        step: usize,
        channels: Range<usize>,
    ) -> Normal<'a> {
        let first = step * self.beta.len();
        let values = first + channels.start..first + channels.end;
        Normal {
            mean: &self.mean[values.clone()],
            scale: &scales[values],
            beta: &self.beta[channels],
            relu: self.relu,
        }
    }
}

/// What one step's channels are normalised with: `y = (x − mean)·scale + beta`.
#[derive(Clone, Copy)]
pub(crate) struct Normal<'a> {
    pub(crate) mean: &'a [f32],
    pub(crate) scale: &'a [f32],
    pub(crate) beta: &'a [f32],
    pub(crate) relu: bool,
}

/// The one formula of the output, shared by forward and backward so that both see the same sign of `y`.
#[inline(always)]
pub(crate) fn normalise(x: f32, mean: f32, scale: f32, beta: f32) -> f32 {
    (x - mean) * scale + beta
}

#[inline(always)]
fn reciprocal_deviation(var: f32, eps: f32) -> f32 {
    1.0 / (var + eps).sqrt()
}

/// Batch norm for training: finds each step's statistics and normalises with them.
///
/// ```text
/// x, y        [steps, rows, channels]
/// gamma, beta [channels]
/// mean, var   [steps, channels]        written; var is the biased variance
/// ```
///
/// Long sums are taken in `f64`, and around the step's first row, so that a large mean costs no precision where that row is a
/// usual one.
///
/// # Panics
/// Where lengths do not fit the shape.
#[expect(clippy::too_many_arguments, reason = "the slices of the formula, each by its name")]
pub fn batch_norm(
    isa: Isa,
    shape: &NormShape,
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    eps: f32,
    relu: bool,
    mean: &mut [f32],
    var: &mut [f32],
    y: &mut [f32],
) {
    shape.check(
        &[("x", x.len()), ("y", y.len())],
        &[("mean", mean.len()), ("var", var.len())],
        &[("gamma", gamma.len()), ("beta", beta.len())],
    );
    statistics(isa, shape, x, mean, var);
    let norm = Normalisation { mean, var, gamma, beta, eps, relu, others: None };
    let scales = norm.scales();
    each_block(shape, y, |step, values, y| {
        outputs(isa, norm.of_step(&scales, step, 0..shape.channels), &x[values], y);
    });
}

/// The errors of the input and the parameters of [`batch_norm`].
///
/// ```text
/// x, grad_y, grad_x                          [steps, rows, channels]
/// mean, var                                  [steps, channels]        from `batch_norm`
/// gamma, beta, grad_gamma, grad_beta         [channels]
/// ```
///
/// `grad_x`, `grad_gamma` and `grad_beta` are overwritten; the latter two are sums over all steps. With `relu` the
/// error passes where `y > 0`, with `y` computed again from `x` to the same bits.
///
/// # Panics
/// Where lengths do not fit the shape.
#[expect(clippy::too_many_arguments, reason = "the slices of the formula, each by its name")]
pub fn batch_norm_backward(
    isa: Isa,
    shape: &NormShape,
    x: &[f32],
    mean: &[f32],
    var: &[f32],
    gamma: &[f32],
    beta: &[f32],
    eps: f32,
    relu: bool,
    grad_y: &[f32],
    grad_x: &mut [f32],
    grad_gamma: &mut [f32],
    grad_beta: &mut [f32],
) {
    shape.check(
        &[("x", x.len()), ("grad_y", grad_y.len()), ("grad_x", grad_x.len())],
        &[("mean", mean.len()), ("var", var.len())],
        &[
            ("gamma", gamma.len()),
            ("beta", beta.len()),
            ("grad_gamma", grad_gamma.len()),
            ("grad_beta", grad_beta.len()),
        ],
    );
    let c = shape.channels;
    let norm = Normalisation { mean, var, gamma, beta, eps, relu, others: None };
    let scales = norm.scales();
    let mut partial = vec![0.0; shape.steps * shape.blocks() * 2 * c];
    let blocks = Disjoint::new(grad_x);
    partial.par_chunks_mut((2 * c).max(1)).enumerate().for_each(|(i, sums)| {
        let (step, values) = shape.block(i);
        let (g, gx) = sums.split_at_mut(c);
        // SAFETY: blocks have no values in common.
        let to = unsafe { blocks.part(values.start, values.len()) };
        errors(isa, norm.of_step(&scales, step, 0..c), &x[values.clone()], &grad_y[values], to, g, gx);
    });
    let averages = norm.averages(shape, &merge(shape, &partial), grad_gamma, grad_beta);
    each_block(shape, grad_x, |step, values, grad_x| {
        let (normal, averages) = (norm.of_step(&scales, step, 0..c), averages.of_step(step, 0..c));
        centre(isa, normal, averages, &x[values], grad_x);
    });
}

/// What is the same in the errors of all rows of a step: the error of x is `scale·(g − a − (x − mean)·b)`.
pub(crate) struct Averages {
    channels: usize,
    /// `a` and `b`, `[steps][2][channels]`.
    values: Vec<f32>,
}

impl Averages {
    /// `a` and `b` of some channels of a step.
    pub(crate) fn of_step(&self, step: usize, channels: Range<usize>) -> [&[f32]; 2] {
        let (a, b) = self.values[2 * step * self.channels..][..2 * self.channels].split_at(self.channels);
        [&a[channels.clone()], &b[channels]]
    }
}

/// Calls `f(step, values, part)` for every block of rows, with the part of `all` that its values are.
fn each_block<E: Element>(
    shape: &NormShape,
    all: &mut [E],
    f: impl Fn(usize, Range<usize>, &mut [E]) + Sync,
) {
    if all.is_empty() {
        return;
    }
    let all = Disjoint::new(all);
    (0..shape.steps * shape.blocks()).into_par_iter().for_each(|i| {
        let (step, values) = shape.block(i);
        // SAFETY: blocks have no values in common.
        let part = unsafe { all.part(values.start, values.len()) };
        f(step, values, part);
    });
}

/// The mean and the biased variance of every step and channel.
///
/// ```text
/// x         [steps, rows, channels]
/// mean, var [steps, channels]        written
/// ```
///
/// # Panics
/// Where lengths do not fit the shape.
pub fn statistics<E: Element>(isa: Isa, shape: &NormShape, x: &[E], mean: &mut [f32], var: &mut [f32]) {
    shape.check(&[("x", x.len())], &[("mean", mean.len()), ("var", var.len())], &[]);
    if x.is_empty() {
        mean.fill(0.0);
        var.fill(0.0);
        return;
    }
    let c = shape.channels;
    let firsts = (0..shape.steps).flat_map(|step| &x[step * shape.step()..][..c]);
    let shift: Vec<f32> = firsts.map(|x| x.widen()).collect();
    let mut partial = vec![0.0; shape.steps * shape.blocks() * 2 * c];
    partial.par_chunks_mut(2 * c).enumerate().for_each(|(i, sums)| {
        let (step, values) = shape.block(i);
        let (sum, square) = sums.split_at_mut(c);
        moments(isa, &shift[step * c..][..c], &x[values], sum, square);
    });
    for (step, of_step) in merge(shape, &partial).chunks_exact(2 * c).enumerate() {
        for channel in 0..c {
            let shifted = of_step[channel] / shape.rows as f64;
            let square = of_step[c + channel] / shape.rows as f64;
            mean[step * c + channel] = (f64::from(shift[step * c + channel]) + shifted) as f32;
            // `max` would turn NaN into 0 and hide it.
            let variance = square - shifted * shifted;
            var[step * c + channel] = if variance < 0.0 { 0.0 } else { variance as f32 };
        }
    }
}

/// Adds up the blocks of each step, in order: `[steps, blocks, 2, channels]` to `[steps, 2, channels]`.
fn merge(shape: &NormShape, partial: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; shape.steps * 2 * shape.channels];
    let width = (2 * shape.channels).max(1);
    for (sums, blocks) in
        sums.chunks_exact_mut(width).zip(partial.chunks_exact(shape.blocks().max(1) * width))
    {
        for block in blocks.chunks_exact(width) {
            sums.iter_mut().zip(block).for_each(|(sum, x)| *sum += x);
        }
    }
    sums
}

/// Rows whose moments are summed in `f32` before they are added to those in `f64`: short sums lose next to nothing, and
/// a vector holds twice as many of them.
const SHORT: usize = 16;
/// Channels whose short sums stay in registers.
const LANES: usize = 64;

multiversion! {
    /// Sums of the differences from `shift`, and of their squares, per channel.
    fn moments<E: Element>(shift: &[f32], x: &[E], sum: &mut [f64], square: &mut [f64]) {
        let c = shift.len();
        for rows in x.chunks(SHORT * c) {
            for from in (0..c).step_by(LANES) {
                let (mut short, mut short_square) = ([0.0f32; LANES], [0.0f32; LANES]);
                let mut add = |row: &[E], shift: &[f32]| {
                    for i in 0..row.len().min(LANES) {
                        let d = row[i].widen() - shift[i];
                        short[i] += d;
                        short_square[i] += d * d;
                    }
                };
                let to = c.min(from + LANES);
                if to - from == LANES {
                    // A length that the compiler knows.
                    rows.chunks_exact(c).for_each(|row| add(&row[from..from + LANES], &shift[from..from + LANES]));
                } else {
                    rows.chunks_exact(c).for_each(|row| add(&row[from..to], &shift[from..to]));
                }
                for i in from..to {
                    sum[i] += f64::from(short[i - from]);
                    square[i] += f64::from(short_square[i - from]);
                }
            }
        }
    }
}

multiversion! {
    fn outputs(normal: Normal, x: &[f32], y: &mut [f32]) {
        let c = normal.mean.len();
        let (mean, scale, beta) = (normal.mean, &normal.scale[..c], &normal.beta[..c]);
        for (x, y) in x.chunks_exact(c).zip(y.chunks_exact_mut(c)) {
            if normal.relu {
                for i in 0..c {
                    let value = normalise(x[i], mean[i], scale[i], beta[i]);
                    // `max` would turn NaN into 0 and hide it.
                    y[i] = if value < 0.0 { 0.0 } else { value };
                }
            } else {
                for i in 0..c {
                    y[i] = normalise(x[i], mean[i], scale[i], beta[i]);
                }
            }
        }
    }
}

/// The error of the normalised value: 0 where ReLU cut it off.
#[inline(always)]
pub(crate) fn after_relu(relu: bool, normal: f32, grad: f32) -> f32 {
    if !relu || normal > 0.0 { grad } else { 0.0 }
}

multiversion! {
    /// The errors `g` behind the ReLU, and their sums per channel, with and without `x − mean`.
    fn errors(normal: Normal, x: &[f32], grad_y: &[f32], to: &mut [f32], sum: &mut [f64], product: &mut [f64]) {
        let c = normal.mean.len();
        let (mean, scale, beta) = (normal.mean, &normal.scale[..c], &normal.beta[..c]);
        let (sum, product) = (&mut sum[..c], &mut product[..c]);
        for ((x, grad_y), to) in x.chunks_exact(c).zip(grad_y.chunks_exact(c)).zip(to.chunks_exact_mut(c)) {
            for i in 0..c {
                let y = normalise(x[i], mean[i], scale[i], beta[i]);
                let g = after_relu(normal.relu, y, grad_y[i]);
                to[i] = g;
                sum[i] += f64::from(g);
                product[i] += f64::from(g) * f64::from(x[i] - mean[i]);
            }
        }
    }
}

/// The error of `x` from the error `g` of its normalised value, and the averages.
#[inline(always)]
pub(crate) fn centred(g: f32, x: f32, mean: f32, scale: f32, a: f32, b: f32) -> f32 {
    scale * (g - a - (x - mean) * b)
}

multiversion! {
    /// `g` to the error of `x`.
    fn centre(normal: Normal, averages: [&[f32]; 2], x: &[f32], g: &mut [f32]) {
        let c = normal.mean.len();
        let (mean, scale) = (normal.mean, &normal.scale[..c]);
        let (a, b) = (&averages[0][..c], &averages[1][..c]);
        for (x, g) in x.chunks_exact(c).zip(g.chunks_exact_mut(c)) {
            for i in 0..c {
                g[i] = centred(g[i], x[i], mean[i], scale[i], a[i], b[i]);
            }
        }
    }
}
