//! The gradient of the weights.

use std::cell::RefCell;

use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::bf16::{Element, Precision, convert, pair_partners};
use crate::isa::Isa;
use crate::simd::{Simd, per_isa};
use crate::source::Source;

use super::direction::Direction;
use super::gather::{Elements, Gather};
use super::panels::{Cut, Form, Order};
use super::skip;
use super::tile::Weights;

/// About how many tasks there are. Where panels are fewer, the units are cut into chunks of which each has sums of its
/// own, which are added up in order at the end.
const TASKS: usize = 24;
/// The sums of several chunks have no more values than these, 16 MiB, though there be fewer tasks: linear layers may have any
/// number of inputs.
const MOST_SUMS: usize = 1 << 22;
/// Values that one task adds up at the end.
const SUMS: usize = 1 << 13;

thread_local! {
    static SCRATCH: RefCell<(Aligned, Aligned, skip::ChannelLists)> = RefCell::default();
}

/// Computes `grad_weight[n, k] = Σ_pixels source[pixel, k]·grad_output[pixel, n]` for every group.
pub(super) fn weight_grad<X: Source, G: Element>(
    isa: Isa,
    direction: &Direction,
    source: X,
    grad_output: &[G],
    grad_weight: &mut [f32],
) {
    let Direction { precision, layout, order, channels } = *direction;
    let (gather, cut) = (gather(direction), Cut::new(isa, channels));
    let (panels, units) = (order.groups * cut.len(), gather.units());
    let (chunks, size) = sums(&gather, &order, &cut);
    let mut partial = Aligned::zeroed(chunks * size);

    // `[chunks][groups][panels]` slices of different lengths.
    let mut tasks = Vec::with_capacity(chunks * panels);
    let mut rest = partial.as_mut_slice();
    for chunk in 0..chunks {
        for group in 0..order.groups {
            for i in 0..cut.len() {
                let panel = cut.panel(i);
                let (sums, after) = rest.split_at_mut(panel.width * order.depth());
                rest = after;
                tasks.push((chunk, group, panel, sums));
            }
        }
    }
    tasks.into_par_iter().with_max_len(1).for_each(|(chunk, group, panel, sums)| {
        SCRATCH.with_borrow_mut(|(scratch, grads, lists)| {
            let scratch = scratch.at_least(gather.scratch_len());
            for i in chunk * units / chunks..(chunk + 1) * units / chunks {
                let unit = gather.unit(i);
                gather.fill(isa, unit, group, source, scratch);
                let errors_of = |pixel: usize| {
                    let from = (pixel * order.groups + group) * channels + panel.first;
                    &grad_output[from..from + panel.channels]
                };
                let input = &scratch[..gather.filled(unit)];
                let skips = skip::pays_for_weights(skip::share(isa, input));
                let bases = gather.bases(unit);
                // Where the rows of errors stand, one for each output pixel.
                let (lead, pixel) = (skip::lead(gather.width(), layout.kernel), gather.pixel());
                let rows = if skips { lead + input.len() / pixel } else { bases.len() };
                let row = |i: usize| if skips { lead + bases[i] / pixel } else { i };
                let grads = grads.at_least(rows * panel.width);
                if skips {
                    grads.fill(0.0);
                }
                let mut write = |i: usize, first: usize, second: Option<usize>| {
                    let to = &mut grads[row(i) * panel.width..][..panel.width];
                    let (to, zeros) = to.split_at_mut(panel.channels);
                    match precision {
                        Precision::F32 => convert(isa, errors_of(first), to),
                        Precision::Bf16 => pair_partners(isa, errors_of(first), second.map(errors_of), to),
                    }
                    zeros.fill(0.0);
                };
                match precision {
                    Precision::F32 => {
                        let first = gather.first_pixel(unit);
                        (0..bases.len()).for_each(|i| write(i, first + i, None));
                    }
                    Precision::Bf16 => {
                        let pairs = gather.pixel_pairs(unit).enumerate();
                        pairs.for_each(|(i, (first, second))| write(i, first, second));
                    }
                }
                if skips {
                    let (kernel, width, vectors) = (layout.kernel, gather.width(), panel.vectors);
                    skip::Weights { scratch: input, channels: pixel, width, kernel, grads, vectors, sums }
                        .add(isa, precision, lists);
                } else {
                    let (runs, vectors) = (gather.runs(), panel.vectors);
                    let mut weights = Weights { scratch, bases, runs, grads, vectors, sums };
                    // SAFETY: nothing but the instruction set, which `run` sees to.
                    unsafe { run(isa, precision, &mut weights) }
                }
            }
        });
    });

    let sums = add_up(partial.as_mut_slice(), size);
    order.unpack(isa, Form::Plain, &cut, sums, grad_weight);
}

/// Adds the sums of all chunks, in order, to those of the first.
pub(super) fn add_up(partial: &mut [f32], size: usize) -> &[f32] {
    let (sums, others) = partial.split_at_mut(size);
    if !others.is_empty() {
        sums.par_chunks_mut(SUMS).enumerate().for_each(|(i, sums)| {
            for other in others.chunks_exact(size) {
                sums.iter_mut().zip(&other[i * SUMS..]).for_each(|(sum, x)| *sum += x);
            }
        });
    }
    sums
}

fn gather(direction: &Direction) -> Gather {
    direction.gather(match direction.precision {
        Precision::F32 => Elements::Values,
        Precision::Bf16 => Elements::FramePairs,
    })
}

/// Chunks of units, and the sums of each.
fn sums(gather: &Gather, order: &Order, cut: &Cut) -> (usize, usize) {
    let (panels, size) = (order.groups * cut.len(), order.groups * cut.width() * order.depth());
    let chunks = (TASKS / panels).min(MOST_SUMS / size.max(1));
    (chunks.clamp(1, gather.units()), size)
}

/// Bytes that a thread keeps for itself.
pub(super) fn scratch(isa: Isa, direction: &Direction) -> usize {
    gather(direction).thread_bytes(Cut::new(isa, direction.channels).panel(0).width)
}

/// Values of the memory that is shared by all threads.
pub(super) fn workspace(isa: Isa, direction: &Direction) -> usize {
    let (chunks, size) = sums(&gather(direction), &direction.order, &Cut::new(isa, direction.channels));
    chunks * size
}

per_isa! {
    pub(super) unsafe fn run(weights: &mut Weights) = run_generic;
}

#[inline(always)]
unsafe fn run_generic<S: Simd>(weights: &mut Weights) {
    // SAFETY: the caller's promise.
    unsafe { weights.run::<S>() }
}
