//! What follows a convolution, fused over all time steps: batch norm, ReLU, neurons, pooling.
//!
//! One pass over memory forward and two backward take the place of eleven. Neurons are worked on in *strips*, a few
//! pooling windows of one sample, that stay in the cache from the first time step to the last. Nothing but the input is
//! kept for the backward pass, which goes through the strip's potentials again before it goes back. It does so twice,
//! for the sums that the batch norm needs and for the errors: to compute them again takes less time than to write them
//! down and read them, and the errors can take the place of the input.
//!
//! The formulas are those of [`crate::norm`], [`crate::neuron`] and [`crate::pool`], and the spikes have the same bits.

mod strips;

use std::cell::RefCell;

use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::bf16::{Element, convert};
use crate::disjoint::Disjoint;
use crate::isa::{Isa, multiversion};
use crate::neuron::{Lif, error_step};
use crate::norm::{Averages, NormShape, Normal, Normalisation, after_relu, centred, normalise};
use crate::prefetch::prefetch;
use crate::source::{CHANNELS_PER_WORD, pack_words};
use strips::{Strip, Task, tasks};

/// Pooling over windows that do not overlap; an incomplete window at the edge is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pool {
    /// No pooling.
    None,
    /// Whether any neuron of a window of this side fired.
    Max(usize),
    /// The mean of the spikes of a window of this side.
    Average(usize),
}

impl Pool {
    /// Whether the output may be [bits](crate::source::Bits): spikes, no averages of them, of whole words of channels.
    pub fn fits_bits(self, channels: usize) -> bool {
        !matches!(self, Pool::Average(_)) && channels.is_multiple_of(CHANNELS_PER_WORD)
    }

    /// Side of the window.
    pub fn side(self) -> usize {
        match self {
            Pool::None => 1,
            Pool::Max(side) | Pool::Average(side) => side,
        }
    }
}

/// The shape of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockShape {
    /// Time steps, T.
    pub steps: usize,
    /// Samples, B.
    pub batch: usize,
    /// Height of the frames of neurons.
    pub height: usize,
    /// Width of the frames of neurons.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// The input is the same at every step and given once.
    pub constant: bool,
    /// Batch norm takes its statistics over all steps together, not over each on its own.
    pub joint: bool,
    /// Pooling behind the neurons.
    pub pool: Pool,
}

impl BlockShape {
    /// Values of the input: `[steps, batch, height, width, channels]`, without the steps where it is constant.
    pub fn input_len(&self) -> usize {
        self.steps_present() * self.batch * self.frame()
    }

    /// Height of the output.
    ///
    /// # Panics
    /// Where the window is empty.
    pub fn out_height(&self) -> usize {
        self.height / self.side()
    }

    /// Width of the output.
    ///
    /// # Panics
    /// Where the window is empty.
    pub fn out_width(&self) -> usize {
        self.width / self.side()
    }

    /// Values of the output, `[steps, batch, out height, out width, channels]`.
    pub fn output_len(&self) -> usize {
        self.steps * self.batch * self.out_height() * self.out_width() * self.channels
    }

    /// The batch norm of the input.
    pub fn norm(&self) -> NormShape {
        let steps = if self.joint { 1 } else { self.steps_present() };
        let rows = self.steps_present() / steps.max(1) * self.batch * self.height * self.width;
        NormShape { steps, rows, channels: self.channels }
    }

    fn side(&self) -> usize {
        assert!(self.pool.side() > 0, "a pooling window is empty: {self:?}");
        self.pool.side()
    }

    fn frame(&self) -> usize {
        self.height * self.width * self.channels
    }

    fn steps_present(&self) -> usize {
        if self.constant { 1 } else { self.steps }
    }

    /// Which statistics time step `t` is normalised with.
    fn statistics_at(&self, t: usize) -> usize {
        if self.joint || self.constant { 0 } else { t }
    }

    /// Whether the output may be bits; see [`Pool::fits_bits`].
    pub fn fits_bits(&self) -> bool {
        self.pool.fits_bits(self.channels)
    }

    fn check(&self, input: usize, output: usize) {
        assert!(self.steps > 0, "a block needs at least one time step");
        let fits = self.side() == 1 || self.side() <= self.height.min(self.width);
        assert!(fits, "the pooling window is larger than the frame: {self:?}");
        assert_eq!(input, self.input_len(), "block: the length of the input does not fit {self:?}");
        assert_eq!(output, self.output_len(), "block: the length of the output does not fit {self:?}");
    }
}

thread_local! {
    static SCRATCH: RefCell<Aligned> = RefCell::default();
}

/// What a block's output is written as: values, or the words of [bits](crate::source::Bits).
pub trait Output: Copy + Send {
    /// Channels of an element.
    #[doc(hidden)]
    const CHANNELS: usize;
    /// Writes values.
    #[doc(hidden)]
    fn write(isa: Isa, values: &[f32], to: &mut [Self]);
}

impl<E: Element> Output for E {
    const CHANNELS: usize = 1;

    fn write(isa: Isa, values: &[f32], to: &mut [E]) {
        convert(isa, values, to);
    }
}

impl Output for u16 {
    const CHANNELS: usize = CHANNELS_PER_WORD;

    fn write(isa: Isa, values: &[f32], to: &mut [u16]) {
        pack_words(isa, values, to);
    }
}

/// Takes the neurons through all time steps. Returns how many spikes they fired.
///
/// ```text
/// z      [steps, batch, height, width, channels]  or [batch, …] where it is constant
/// output [steps, batch, out height, out width, channels]  written; of bits, [… channels / 16]
/// ```
///
/// # Panics
/// Where lengths do not fit the shape, or bits do not.
pub fn block<E: Element, O: Output>(
    isa: Isa,
    shape: &BlockShape,
    lif: &Lif,
    norm: &Normalisation,
    z: &[E],
    output: &mut [O],
) -> u64 {
    shape.check(z.len(), output.len() * O::CHANNELS);
    assert!(O::CHANNELS == 1 || shape.fits_bits(), "block: bits do not hold the output of {shape:?}");
    norm.check(&shape.norm());
    let scales = norm.scales();
    let output = Disjoint::new(output);
    let go_through = |strip: &Strip| {
        SCRATCH.with_borrow_mut(|scratch| {
            let neurons = strip.neurons();
            let scratch = scratch.at_least(2 * neurons + strip.channels.len());
            let (v, rest) = scratch.split_at_mut(neurons);
            let (spikes, sums) = rest.split_at_mut(neurons);
            v.fill(0.0);
            let mut fired = 0;
            for t in 0..shape.steps {
                let normal = norm.of_step(&scales, shape.statistics_at(t), strip.channels.clone());
                if t + 1 < shape.steps_present() {
                    strip.runs(shape, t + 1).for_each(|run| prefetch(&z[run.input]));
                }
                for run in strip.runs(shape, t) {
                    let (v, spikes) = (&mut v[run.strip.clone()], &mut spikes[run.strip]);
                    fire(isa, normal, lif.decay, lif.least_firing(), &z[run.input], v, spikes, &mut fired);
                }
                for window in 0..strip.windows {
                    let out = strip.output(shape, t, window);
                    let spikes = &spikes[window * shape.side() * out.len()..];
                    pool(isa, shape.pool, spikes, strip.row(), sums);
                    // SAFETY: strips have no windows and channels in common, and have whole words of them.
                    let out = unsafe { output.part(out.start / O::CHANNELS, out.len() / O::CHANNELS) };
                    O::write(isa, sums, out);
                }
            }
            fired
        })
    };
    tasks(shape).par_iter().map(|task| task.strips.iter().map(go_through).sum::<u64>()).sum()
}

/// The errors of the input and the parameters of [`block`], whose statistics must be those of this input.
///
/// ```text
/// z                      as `z` of `block`         replaced by its error
/// grad_output            as `output` of `block`
/// grad_gamma, grad_beta  [channels]                written
/// ```
///
/// # Panics
/// Where lengths do not fit the shape.
#[expect(clippy::too_many_arguments, reason = "the slices of the formula, each by its name")]
pub fn block_backward<E: Element>(
    isa: Isa,
    shape: &BlockShape,
    lif: &Lif,
    norm: &Normalisation,
    z: &mut [E],
    grad_output: &[E],
    grad_gamma: &mut [f32],
    grad_beta: &mut [f32],
) {
    shape.check(z.len(), grad_output.len());
    norm.check(&shape.norm());
    let scales = norm.scales();
    let back = Back { isa, shape, lif, norm, scales: &scales, z: Disjoint::new(z), grad_output };
    let tasks = tasks(shape);
    let partial: Vec<Vec<f64>> = tasks.par_iter().map(|task| back.sums(task)).collect();

    // Of each of the statistics and each channel: sums of `g` and of `g·(z − mean)`, added up in the tasks' order.
    let norm_shape = shape.norm();
    let mut sums = vec![0.0; norm_shape.steps * 2 * shape.channels];
    for (task, partial) in tasks.iter().zip(&partial) {
        let halves = sums.chunks_exact_mut(shape.channels).zip(partial.chunks_exact(task.channels.len()));
        for (sums, partial) in halves {
            sums[task.channels.clone()].iter_mut().zip(partial).for_each(|(sum, x)| *sum += x);
        }
    }
    let averages = norm.averages(&norm_shape, &sums, grad_gamma, grad_beta);
    tasks.par_iter().for_each(|task| back.replace(task, &averages));
}

/// The way back through the neurons, to the errors of what the batch norm gave them.
struct Back<'a, E> {
    isa: Isa,
    shape: &'a BlockShape,
    lif: &'a Lif,
    norm: &'a Normalisation<'a>,
    scales: &'a [f32],
    /// Whose strips are each used by one task.
    z: Disjoint<'a, E>,
    grad_output: &'a [E],
}

impl<E: Element> Back<'_, E> {
    /// The sums over the task's errors, `[statistics][2][the task's channels]`.
    fn sums(&self, task: &Task) -> Vec<f64> {
        let channels = task.channels.len();
        let mut sums = vec![0.0; self.shape.norm().steps * 2 * channels];
        let mut short = vec![0.0; 2 * channels];
        for strip in &task.strips {
            self.strip(strip, |t, error| {
                // Short sums in f32, long ones in f64.
                short.fill(0.0);
                let (g, gx) = short.split_at_mut(channels);
                for run in strip.runs(self.shape, t) {
                    // SAFETY: strips have no pixels and channels in common.
                    let z = unsafe { self.z.part(run.input.start, run.input.len()) };
                    add(self.isa, self.normal(strip, t), z, &error[run.strip], g, gx);
                }
                let sums = &mut sums[self.shape.statistics_at(t) * 2 * channels..][..2 * channels];
                sums.iter_mut().zip(&short).for_each(|(sum, x)| *sum += f64::from(*x));
            });
        }
        sums
    }

    /// Writes the task's errors in place of its input.
    fn replace(&self, task: &Task, averages: &Averages) {
        for strip in &task.strips {
            self.strip(strip, |t, error| {
                let averages = averages.of_step(self.shape.statistics_at(t), strip.channels.clone());
                for run in strip.runs(self.shape, t) {
                    // SAFETY: strips have no pixels and channels in common.
                    let z = unsafe { self.z.part(run.input.start, run.input.len()) };
                    replace(self.isa, self.normal(strip, t), averages, &error[run.strip], z);
                }
            });
        }
    }

    /// What the strip is normalised with at time step `t`.
    fn normal(&self, strip: &Strip, t: usize) -> Normal<'_> {
        self.norm.of_step(self.scales, self.shape.statistics_at(t), strip.channels.clone())
    }

    /// Visits the time steps of the input, from the last to the first, with the errors of the strip's currents.
    fn strip(&self, strip: &Strip, visit: impl FnMut(usize, &[f32])) {
        SCRATCH.with_borrow_mut(|scratch| self.strip_with(strip, scratch, visit));
    }

    fn strip_with(&self, strip: &Strip, scratch: &mut Aligned, mut visit: impl FnMut(usize, &[f32])) {
        let Back { isa, shape, lif, .. } = *self;
        let (neurons, channels) = (strip.neurons(), strip.channels.len());
        let scratch = scratch.at_least((shape.steps + 4) * neurons + channels);
        let (membrane, rest) = scratch.split_at_mut(shape.steps * neurons);
        let (v, rest) = rest.split_at_mut(neurons);
        let (grads, rest) = rest.split_at_mut(neurons);
        let (error, rest) = rest.split_at_mut(neurons);
        let (total, taken) = rest.split_at_mut(neurons);
        error.fill(0.0);
        total.fill(0.0);
        if strip.windows == 0 {
            // Spikes that nobody sees have no error.
            (0..shape.steps_present()).for_each(|t| visit(t, error));
            return;
        }

        v.fill(0.0);
        for (t, membrane) in membrane.chunks_exact_mut(neurons).enumerate() {
            let normal = self.normal(strip, t);
            if t + 1 < shape.steps_present() {
                // SAFETY: as below.
                strip
                    .runs(shape, t + 1)
                    .for_each(|run| prefetch(unsafe { self.z.part(run.input.start, run.input.len()) }));
            }
            for run in strip.runs(shape, t) {
                let (v, membrane) = (&mut v[run.strip.clone()], &mut membrane[run.strip]);
                // SAFETY: strips have no pixels and channels in common.
                let z = unsafe { self.z.part(run.input.start, run.input.len()) };
                charge(isa, normal, lif.decay, lif.least_firing(), z, v, membrane);
            }
        }
        for (t, membrane) in membrane.chunks_exact(neurons).enumerate().rev() {
            if let Some(next) = t.checked_sub(1) {
                (0..strip.windows)
                    .for_each(|window| prefetch(&self.grad_output[strip.output(shape, next, window)]));
            }
            for window in 0..strip.windows {
                let at = window * shape.side() * channels;
                let grad = &self.grad_output[strip.output(shape, t, window)];
                let (membrane, grads) = (&membrane[at..], &mut grads[at..]);
                unpool(isa, shape.pool, lif.least_firing(), membrane, strip.row(), grad, taken, grads);
            }
            error_step(isa, lif, membrane, grads, error);
            if shape.constant {
                total.iter_mut().zip(&*error).for_each(|(total, e)| *total += e);
            } else {
                visit(t, error);
            }
        }
        if shape.constant {
            visit(0, total);
        }
    }
}

/// The current of a neuron.
#[inline(always)]
fn current(relu: bool, z: f32, mean: f32, scale: f32, beta: f32) -> f32 {
    let value = normalise(z, mean, scale, beta);
    // `max` would turn NaN into 0 and hide it.
    if relu && value < 0.0 { 0.0 } else { value }
}

multiversion! {
    /// A time step of neurons with channels `[…][C]`: `v` is the potential after the last step's reset, then after
    /// this one's.
    fn fire<E: Element>(
        normal: Normal,
        decay: f32,
        least: f32,
        z: &[E],
        v: &mut [f32],
        spikes: &mut [f32],
        count: &mut u64,
    ) {
        let c = normal.mean.len();
        let (mean, scale, beta, relu) = (normal.mean, &normal.scale[..c], &normal.beta[..c], normal.relu);
        let pixels = z.chunks_exact(c).zip(v.chunks_exact_mut(c)).zip(spikes.chunks_exact_mut(c));
        for ((z, v), spikes) in pixels {
            let mut fired_here = 0u32;
            for i in 0..c {
                let m = decay * v[i] + current(relu, z[i].widen(), mean[i], scale[i], beta[i]);
                let fired = m >= least;
                spikes[i] = if fired { 1.0 } else { 0.0 };
                v[i] = if fired { 0.0 } else { m };
                fired_here += u32::from(fired);
            }
            *count += u64::from(fired_here);
        }
    }
}

multiversion! {
    /// As `fire`, for the potentials before reset alone.
    fn charge<E: Element>(normal: Normal, decay: f32, least: f32, z: &[E], v: &mut [f32], membrane: &mut [f32]) {
        let c = normal.mean.len();
        let (mean, scale, beta, relu) = (normal.mean, &normal.scale[..c], &normal.beta[..c], normal.relu);
        let pixels = z.chunks_exact(c).zip(v.chunks_exact_mut(c)).zip(membrane.chunks_exact_mut(c));
        for ((z, v), membrane) in pixels {
            for i in 0..c {
                let m = decay * v[i] + current(relu, z[i].widen(), mean[i], scale[i], beta[i]);
                membrane[i] = m;
                v[i] = if m >= least { 0.0 } else { m };
            }
        }
    }
}

multiversion! {
    /// One window of spikes, whose rows are `row` values apart.
    fn pool(kind: Pool, spikes: &[f32], row: usize, out: &mut [f32]) {
        let (c, side) = (out.len(), kind.side());
        out.fill(0.0);
        for y in 0..side {
            for spikes in spikes[y * row..][..side * c].chunks_exact(c) {
                for i in 0..c {
                    let (sum, largest) = (out[i] + spikes[i], if spikes[i] > out[i] { spikes[i] } else { out[i] });
                    out[i] = if let Pool::Average(_) = kind { sum } else { largest };
                }
            }
        }
        if let Pool::Average(side) = kind {
            let area = (side * side) as f32;
            out.iter_mut().for_each(|sum| *sum /= area);
        }
    }
}

multiversion! {
    /// The errors of one window's spikes. The maximum's goes to the first neuron that fired, or to the first.
    fn unpool<E: Element>(
        kind: Pool,
        least: f32,
        membrane: &[f32],
        row: usize,
        grad: &[E],
        taken: &mut [f32],
        grads: &mut [f32],
    ) {
        let (c, side) = (grad.len(), kind.side());
        let taken = &mut taken[..c];
        taken.fill(0.0);
        let area = (side * side) as f32;
        for y in 0..side {
            let membrane = membrane[y * row..][..side * c].chunks_exact(c);
            for (membrane, to) in membrane.zip(grads[y * row..][..side * c].chunks_exact_mut(c)) {
                if let Pool::Max(_) = kind {
                    for i in 0..c {
                        let first = membrane[i] >= least && taken[i] == 0.0;
                        to[i] = if first { grad[i].widen() } else { 0.0 };
                        taken[i] = if first { 1.0 } else { taken[i] };
                    }
                } else {
                    for i in 0..c {
                        to[i] = grad[i].widen() / area;
                    }
                }
            }
        }
        if let Pool::Max(_) = kind {
            let grads = &mut grads[..c];
            for i in 0..c {
                grads[i] = if taken[i] == 0.0 { grad[i].widen() } else { grads[i] };
            }
        }
    }
}

/// The error in front of the ReLU.
#[inline(always)]
fn before_relu(relu: bool, error: f32, z: f32, mean: f32, scale: f32, beta: f32) -> f32 {
    after_relu(relu, normalise(z, mean, scale, beta), error)
}

multiversion! {
    /// Adds to the sums per channel of the errors `g` in front of the ReLU, and of `g·(z − mean)`.
    fn add<E: Element>(normal: Normal, z: &[E], error: &[f32], g: &mut [f32], gx: &mut [f32]) {
        let c = normal.mean.len();
        let (mean, scale, beta, relu) = (normal.mean, &normal.scale[..c], &normal.beta[..c], normal.relu);
        let (g, gx) = (&mut g[..c], &mut gx[..c]);
        for (z, error) in z.chunks_exact(c).zip(error.chunks_exact(c)) {
            for i in 0..c {
                let z = z[i].widen();
                let e = before_relu(relu, error[i], z, mean[i], scale[i], beta[i]);
                g[i] += e;
                gx[i] += e * (z - mean[i]);
            }
        }
    }
}

multiversion! {
    /// The error of `z` in its place.
    fn replace<E: Element>(normal: Normal, averages: [&[f32]; 2], error: &[f32], z: &mut [E]) {
        let c = normal.mean.len();
        let (mean, scale, beta, relu) = (normal.mean, &normal.scale[..c], &normal.beta[..c], normal.relu);
        let (a, b) = (&averages[0][..c], &averages[1][..c]);
        for (z, error) in z.chunks_exact_mut(c).zip(error.chunks_exact(c)) {
            for i in 0..c {
                let x = z[i].widen();
                let e = before_relu(relu, error[i], x, mean[i], scale[i], beta[i]);
                z[i] = E::narrow(centred(e, x, mean[i], scale[i], a[i], b[i]));
            }
        }
    }
}
