//! What follows a convolution, fused over all time steps: batch norm, ReLU, neurons, pooling.
//!
//! One pass over memory forward and two backward take the place of eleven. Neurons are worked on in *strips*, a few
//! pooling windows of one sample, that stay in the cache from the first time step to the last. Nothing but the input is
//! kept for the backward pass, which goes through the strip's potentials again before it goes back. It does so twice,
//! for the sums that the batch norm needs and for the errors: to compute them again takes less time than to write them
//! down and read them, and the errors can take the place of the input.
//!
//! The formulas are those of [`crate::norm`], [`crate::neuron`] and [`crate::pool`], and the spikes have the same bits.

mod backward;
mod strips;

use std::cell::RefCell;

use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::bf16::{Element, convert};
use crate::disjoint::Disjoint;
use crate::isa::{Isa, multiversion};
use crate::lens;
use crate::neuron::Lif;
use crate::norm::{NormShape, Normal, Normalisation, normalise};
use crate::prefetch::prefetch;
use crate::source::{CHANNELS_PER_WORD, pack_words};

use strips::{Strip, tasks};

pub use backward::block_backward;

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
    ///
    /// # Panics
    /// Where there are more than can be counted.
    pub fn input_len(&self) -> usize {
        lens::product(self, [self.steps_present(), self.batch, self.height, self.width, self.channels])
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
    ///
    /// # Panics
    /// Where the window is empty, or there are more than can be counted.
    pub fn output_len(&self) -> usize {
        lens::product(self, [self.steps, self.batch, self.out_height(), self.out_width(), self.channels])
    }

    /// The batch norm of the input.
    pub fn norm(&self) -> NormShape {
        let steps = self.statistics();
        let present = self.steps_present() / steps.max(1);
        let rows = lens::product(self, [present, self.batch, self.height, self.width]);
        NormShape { steps, rows, channels: self.channels }
    }

    /// Bytes that each thread keeps for itself when [`block_backward`] is computed, and of the sums of all its tasks; the
    /// largest number where there are more.
    ///
    /// # Panics
    /// Where the window is empty.
    pub fn scratch(&self) -> [usize; 2] {
        let product =
            |factors: &[usize]| factors.iter().fold(1_usize, |product, n| product.saturating_mul(*n));
        let rows = self.height.div_ceil(self.side());
        let sums = product(&[size_of::<f64>(), 2, self.statistics(), self.batch, rows, self.channels]);
        let steps = self.steps.saturating_add(4);
        [product(&[size_of::<f32>(), steps, strips::largest(self)]), sums]
    }

    fn side(&self) -> usize {
        assert!(self.pool.side() > 0, "a pooling window is empty: {self:?}");
        self.pool.side()
    }

    fn steps_present(&self) -> usize {
        if self.constant { 1 } else { self.steps }
    }

    /// How many statistics there are.
    fn statistics(&self) -> usize {
        if self.joint { 1 } else { self.steps_present() }
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
pub trait Output: sealed::Write {}

impl<E: Element> Output for E {}

impl Output for u16 {}

mod sealed {
    use super::{CHANNELS_PER_WORD, Element, Isa, convert, pack_words};

    pub trait Write: Copy + Send {
        /// Channels of an element.
        const CHANNELS: usize;
        /// Writes values.
        fn write(isa: Isa, values: &[f32], to: &mut [Self]);
    }

    impl<E: Element> Write for E {
        const CHANNELS: usize = 1;

        fn write(isa: Isa, values: &[f32], to: &mut [E]) {
            convert(isa, values, to);
        }
    }

    impl Write for u16 {
        const CHANNELS: usize = CHANNELS_PER_WORD;

        fn write(isa: Isa, values: &[f32], to: &mut [u16]) {
            pack_words(isa, values, to);
        }
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
