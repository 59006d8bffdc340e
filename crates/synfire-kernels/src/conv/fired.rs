//! The gradient of the input where neurons fired.
//!
//! Under bpsa and bpsta a silent neuron's spike passes no error on, so that nobody needs the error of an input that is
//! 0. What is left is a dot product along the values under the kernel for every neuron that fired. Channel by channel,
//! a few pixels in which it fired are summed together: their weights are loaded once.

#![allow(clippy::needless_range_loop, reason = "loops over constants, which are unrolled into registers")]

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::bf16::{Element, convert};
use crate::disjoint::Disjoint;
use crate::isa::{Isa, multiversion};
use crate::simd::{Simd, per_isa, sizes};
use crate::source::Source;

use super::direction::Direction;
use super::gather::Elements;

/// About how many values lie under the kernels of the pixels that are worked on together: a part of the first cache.
const WINDOW: usize = 6144;
/// Pixels that are worked on together, at least and at most.
const PIXELS: Range<usize> = 16..96;
/// Dot products that are summed together.
const TOGETHER: usize = 4;

thread_local! {
    static SCRATCH: RefCell<(Aligned, Aligned, Lists)> = RefCell::default();
}

/// Computes `output[pixel, n] = Σ_k source[pixel, k]·weight[n, k]` where `wanted[pixel, n]` is not 0, and 0 elsewhere.
pub(super) fn product<X: Source, Y: Element>(
    isa: Isa,
    direction: &Direction,
    source: &[Y],
    weight: &[f32],
    wanted: X,
    output: &mut [X::Element],
) {
    let Direction { precision, layout, order, channels } = *direction;
    let gather = direction.gather(Elements::for_sums_over_channels(precision));
    let (row, weights) = order.rows(sizes(isa).0, layout.kernel[0], precision, weight);
    let run = gather.runs()[0].len();
    let together = (WINDOW / (layout.kernel[0] * run.div_ceil(layout.kernel[1])))
        .saturating_sub(layout.kernel[1] - 1)
        .clamp(PIXELS.start, PIXELS.end);
    let output = Disjoint::new(output);

    (0..gather.units() * order.groups).into_par_iter().for_each(|i| {
        let (unit, group) = (gather.unit(i / order.groups), i % order.groups);
        SCRATCH.with_borrow_mut(|(scratch, sums, lists)| {
            let scratch = scratch.at_least(gather.scratch_len());
            gather.fill(isa, unit, group, source, scratch);
            let place = |pixel: usize| (pixel * order.groups + group) * channels;
            let mut buffer = Vec::new();
            for (block, bases) in gather.bases(unit).chunks(together).enumerate() {
                let first = gather.first_pixel(unit) + block * together;
                lists.clear(channels, together);
                for pixel in 0..bases.len() {
                    let place = place(first + pixel);
                    lists.note(isa, pixel, wanted.read(isa, place..place + channels, &mut buffer));
                }
                let sums = sums.at_least(bases.len() * channels);
                sums.fill(0.0);
                let weights = &weights.as_slice()[group * channels * layout.kernel[0] * row..];
                let mut dots =
                    Dots { scratch, bases, runs: gather.runs(), weights, row, lists, channels, sums };
                // SAFETY: nothing but the instruction set, which `run_all` sees to.
                unsafe { run_all(isa, precision, &mut dots) }
                for (pixel, sums) in sums.chunks_exact(channels).enumerate() {
                    // SAFETY: no other task has the same pixels and group.
                    let to = unsafe { output.part(place(first + pixel), channels) };
                    convert(isa, sums, to);
                }
            }
        });
    });
}

/// For every channel, the pixels where it is not 0.
#[derive(Default)]
struct Lists {
    pixels: Vec<u16>,
    lens: Vec<u32>,
    /// Room of a list.
    room: usize,
}

impl Lists {
    fn clear(&mut self, channels: usize, room: usize) {
        // One place more, as `note` writes before it knows.
        self.room = room + 1;
        self.pixels.resize(channels * self.room, 0);
        self.lens.clear();
        self.lens.resize(channels, 0);
    }

    fn note<X: Element>(&mut self, isa: Isa, pixel: usize, values: &[X]) {
        note(isa, self.room, pixel as u16, values, &mut self.pixels, &mut self.lens);
    }

    fn of(&self, channel: usize) -> &[u16] {
        &self.pixels[channel * self.room..][..self.lens[channel] as usize]
    }
}

multiversion! {
    fn note<X: Element>(room: usize, pixel: u16, values: &[X], pixels: &mut [u16], lens: &mut [u32]) {
        for ((x, len), list) in values.iter().zip(lens).zip(pixels.chunks_exact_mut(room)) {
            // Without a branch, which would be mispredicted.
            list[*len as usize] = pixel;
            *len += u32::from(x.widen() != 0.0);
        }
    }
}

/// Dot products of the weights of every channel and the values under the kernel at its pixels.
struct Dots<'a> {
    scratch: &'a [f32],
    bases: &'a [usize],
    runs: &'a [Range<usize>],
    /// `[channels][runs][row]`, zeros past the end of each run.
    weights: &'a [f32],
    row: usize,
    lists: &'a Lists,
    channels: usize,
    /// Written where there is something in a list, `[bases][channels]`.
    sums: &'a mut [f32],
}

per_isa! {
    unsafe fn run_all(dots: &mut Dots) = run_generic;
}

/// # Safety
/// The instruction set of `S`.
#[inline(always)]
unsafe fn run_generic<S: Simd>(dots: &mut Dots) {
    let reach = dots.runs.last().map_or(0, |run| run.start + dots.row);
    let furthest = dots.bases.last().copied().unwrap_or(0);
    assert!(furthest + reach <= dots.scratch.len() && dots.bases.is_sorted());
    let depth = dots.runs.len() * dots.row;
    assert!(dots.channels * depth <= dots.weights.len() && dots.row.is_multiple_of(S::LANES));
    for (n, weights) in dots.weights.chunks_exact(depth).take(dots.channels).enumerate() {
        for pixels in dots.lists.of(n).chunks(TOGETHER) {
            // SAFETY: the caller's promise, and what is read was checked above.
            unsafe {
                match pixels.len() {
                    4 => dots.some::<S, 4>(n, weights, pixels),
                    3 => dots.some::<S, 3>(n, weights, pixels),
                    2 => dots.some::<S, 2>(n, weights, pixels),
                    _ => dots.some::<S, 1>(n, weights, pixels),
                }
            }
        }
    }
}

impl Dots<'_> {
    /// # Safety
    /// The instruction set of `S`, with the checks of `run_generic` done; `weights` are those of channel `n`.
    #[inline(always)]
    unsafe fn some<S: Simd, const M: usize>(&mut self, n: usize, weights: &[f32], pixels: &[u16]) {
        // SAFETY: the caller's promises.
        unsafe {
            let mut x = [self.scratch.as_ptr(); M];
            for m in 0..M {
                x[m] = x[m].add(self.bases[usize::from(pixels[m])]);
            }
            // Two sums each, to hide the latency of an addition.
            let mut sums = [[S::zero(); 2]; M];
            let mut w = weights.as_ptr();
            for run in self.runs {
                let x = x.map(|x| x.add(run.start));
                let (mut k, end) = (0, self.row);
                while k < end {
                    for half in 0..2 {
                        if k < end {
                            let weights = S::load(w.add(k));
                            for m in 0..M {
                                sums[m][half] = S::mul_add(S::load(x[m].add(k)), weights, sums[m][half]);
                            }
                            k += S::LANES;
                        }
                    }
                }
                w = w.add(end);
            }
            for m in 0..M {
                let [a, b] = sums[m];
                self.sums[usize::from(pixels[m]) * self.channels + n] = S::sum(S::add(a, b));
            }
        }
    }
}
