//! The product of a gathered source and packed weights: the convolution itself, and the gradient of its input.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::bf16::{Element, convert};
use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::simd::{Simd, per_isa};
use crate::source::Source;

use super::direction::Direction;
use super::gather::Elements;
use super::panels::{Cut, Form};
use super::skip;
use super::tile::Pixels;

/// The most values under the kernel that are summed in one go: their weights for one panel, 384 KiB, stay in the
/// second cache beside the scratch.
const DEPTH: usize = 1536;
/// Panels are computed by tasks of their own where units alone would be fewer than this.
pub(super) const TASKS: usize = 16;

thread_local! {
    static SCRATCH: RefCell<(Aligned, Aligned, skip::Listed)> = RefCell::default();
}

/// Bytes that a thread keeps for itself.
pub(super) fn scratch(isa: Isa, direction: &Direction) -> usize {
    let gather = direction.gather(Elements::for_sums_over_channels(direction.precision));
    gather.thread_bytes(Cut::new(isa, direction.channels).panel(0).width)
}

/// Computes `output[pixel, n] = bias[n] + Σ_k source[pixel, k]·weight[n, k]` for every group.
pub(super) fn product<X: Source, Y: Element>(
    isa: Isa,
    direction: &Direction,
    source: X,
    weight: &[f32],
    bias: Option<&[f32]>,
    output: &mut [Y],
) {
    let Direction { precision, layout, order, channels } = *direction;
    let gather = direction.gather(Elements::for_sums_over_channels(precision));
    let depth = order.elements(precision);
    let cut = Cut::new(isa, channels);
    let weights = order.pack(isa, Form::Plain, &cut, precision, weight);
    let bias = padded_bias(&cut, order.groups, bias);
    let blocks = blocks(gather.runs());
    let output = Disjoint::new(output);

    let units = gather.units() * order.groups;
    let parts = TASKS.div_ceil(units).min(cut.len());
    let task = |i: usize| {
        let (unit, part) = (i / parts, i % parts);
        let (unit, group) = (gather.unit(unit / order.groups), unit % order.groups);
        let first_pixel = gather.first_pixel(unit);
        SCRATCH.with_borrow_mut(|(scratch, sums, listed)| {
            let scratch = scratch.at_least(gather.scratch_len());
            gather.fill(isa, unit, group, source, scratch);
            let input = &scratch[..gather.filled(unit)];
            let skips = skip::pays_for_pixels(skip::share(isa, input), &gather, layout.kernel);
            if skips {
                listed.list(isa, input, gather.pixel(), gather.bases(unit));
            }
            for i in part * cut.len() / parts..(part + 1) * cut.len() / parts {
                let panel = cut.panel(i);
                let first = group * cut.width() + panel.first;
                let mut weights = &weights.as_slice()[first * depth..][..panel.width * depth];
                let bias = &bias.as_slice()[first..][..panel.width];
                let sums = sums.at_least(gather.pixels(unit) * panel.width);
                if skips {
                    sums.chunks_exact_mut(panel.width).for_each(|sums| sums.copy_from_slice(bias));
                    let (width, kernel, vectors) = (gather.width(), layout.kernel, panel.vectors);
                    skip::Pixels { input: listed, width, kernel, weights, vectors, sums }.add(isa, precision);
                } else {
                    for (i, runs) in blocks.iter().enumerate() {
                        let depth = runs.iter().map(|run| run.len()).sum::<usize>();
                        let (these, rest) = weights.split_at(depth * panel.width);
                        weights = rest;
                        let mut pixels = Pixels {
                            scratch,
                            bases: gather.bases(unit),
                            runs,
                            weights: these,
                            vectors: panel.vectors,
                            bias: (i == 0).then_some(bias),
                            sums,
                        };
                        // SAFETY: nothing but the instruction set, which `run` sees to.
                        unsafe { run(isa, precision, &mut pixels) }
                    }
                }
                for (sums, pixel) in sums.chunks_exact(panel.width).zip(first_pixel..) {
                    let from = (pixel * order.groups + group) * channels + panel.first;
                    // SAFETY: no other task has the same unit, group and panel.
                    let to = unsafe { output.part(from, panel.channels) };
                    convert(isa, sums, to);
                }
            }
        });
    };
    (0..units * parts).into_par_iter().for_each(task);
}

per_isa! {
    pub(super) unsafe fn run(pixels: &mut Pixels) = run_generic;
}

#[inline(always)]
unsafe fn run_generic<S: Simd>(pixels: &mut Pixels) {
    // SAFETY: the caller's promise.
    unsafe { pixels.run::<S>() }
}

/// The bias in the layout of the panels, zeros where there is none.
pub(super) fn padded_bias(cut: &Cut, groups: usize, bias: Option<&[f32]>) -> Aligned {
    let mut padded = Aligned::zeroed(groups * cut.width());
    if let Some(bias) = bias {
        let rows =
            padded.as_mut_slice().chunks_exact_mut(cut.width()).zip(bias.chunks_exact(bias.len() / groups));
        rows.for_each(|(padded, bias)| padded[..bias.len()].copy_from_slice(bias));
    }
    padded
}

/// Cuts the values under the kernel into blocks of at most [`DEPTH`], of about equal size.
fn blocks(runs: &[Range<usize>]) -> Vec<Vec<Range<usize>>> {
    let depth: usize = runs.iter().map(|run| run.len()).sum();
    let size = depth.div_ceil(depth.div_ceil(DEPTH));
    let mut blocks = vec![Vec::new()];
    let mut room = size;
    for run in runs {
        let mut start = run.start;
        while start < run.end {
            if room == 0 {
                blocks.push(Vec::new());
                room = size;
            }
            let end = run.end.min(start + room);
            room -= end - start;
            blocks.last_mut().expect("there is always a block").push(start..end);
            start = end;
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_all_runs_once() {
        assert_eq!(blocks(&[0..3, 10..13]), [[0..3, 10..13]]);
        let runs = [0..1000, 5000..6000, 9000..10000];
        let cut = blocks(&runs);
        assert_eq!(cut, [vec![0..1000, 5000..5500], vec![5500..6000, 9000..10000]]);
        let values = |runs: &[Range<usize>]| runs.iter().cloned().flatten().collect::<Vec<_>>();
        assert_eq!(values(&cut.concat()), values(&runs));
    }
}
