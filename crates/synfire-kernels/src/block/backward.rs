//! The way back through a block.

use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::bf16::Element;
use crate::disjoint::Disjoint;
use crate::isa::{Isa, multiversion};
use crate::neuron::{Lif, error_step};
use crate::norm::{Averages, Normal, Normalisation, after_relu, centred, normalise};
use crate::prefetch::prefetch;

use super::strips::{Strip, Task, tasks};
use super::{BlockShape, Pool, SCRATCH, current};

/// The errors of the input and the parameters of [`block`](super::block()), whose statistics must be those of this input.
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
