//! The gradient of the weights.
//!
//! A task has a line of places, some panels and some of the tiles: few enough sums that they stay in the second cache
//! beside the transformed windows of [`PIXELS`] rows of tiles. It transforms what it needs by itself; no task waits for
//! another.

use std::cell::RefCell;

use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::bf16::{Element, Precision};
use crate::isa::Isa;
use crate::simd::sizes;
use crate::source::Source;

use super::super::gather::{Layout, SLACK};
use super::super::panels::{Cut, Form, Order};
use super::super::tile::{PIXELS, Weights};
use super::super::weight::{add_up, run};
use super::transform::{Rows, Windows};
use super::{LINE, PLACES, Tiles};

/// About how many tasks there are. Where lines and panels are fewer, the tiles are cut into chunks of which each has sums
/// of its own.
const TASKS: usize = 24;
/// Panels of a task: with more of them the inputs are transformed less often, with fewer the sums stay in the cache.
const PANELS: usize = 2;

thread_local! {
    static SCRATCHES: RefCell<(Aligned, Aligned)> = RefCell::default();
}

/// How many chunks the tiles are cut into, and the sums of each.
fn sums(order: &Order, cut: &Cut, layout: &Layout, rows: usize) -> (usize, usize) {
    let tasks = order.groups * LINE * cut.len().div_ceil(PANELS);
    let chunks = (TASKS / tasks).clamp(1, rows.div_ceil(PIXELS));
    (chunks, order.groups * PLACES * layout.group_channels * cut.width())
}

/// Rows of tiles: one tile each, or where pairs are multiplied two.
fn rows(precision: Precision, tiles: &Tiles) -> (usize, usize) {
    let together = if precision == Precision::Bf16 { 2 } else { 1 };
    (tiles.len().div_ceil(together), together)
}

/// Values of the memory that is shared by all threads.
pub(in super::super) fn workspace(
    isa: Isa,
    precision: Precision,
    layout: Layout,
    order: Order,
    channels: usize,
) -> usize {
    let (rows, _) = rows(precision, &Tiles::new(&layout));
    let (chunks, size) = sums(&order, &Cut::new(isa, channels), &layout, rows);
    chunks * size
}

/// As [`super::super::weight::weight_grad`].
#[expect(clippy::too_many_arguments, reason = "the slices of the formula, each by its name")]
pub(in super::super) fn weight_grad<X: Source, G: Element>(
    isa: Isa,
    precision: Precision,
    layout: Layout,
    order: Order,
    channels: usize,
    source: X,
    grad_output: &[G],
    grad_weight: &mut [f32],
) {
    let cut = Cut::new(isa, channels);
    let tiles = Tiles::new(&layout);
    let (rows, together) = rows(precision, &tiles);
    let (chunks, size) = sums(&order, &cut, &layout, rows);
    let of_channels = layout.group_channels;
    let row = of_channels.next_multiple_of(sizes(isa).0);
    // One run: a row's channels.
    let all = 0..of_channels;
    let bases: Vec<usize> = (0..PIXELS).map(|i| i * row).collect();
    let mut partial = Aligned::zeroed(chunks * size);

    // `[chunks][groups][panels][PLACES][of_channels][width]`, of which a task has a line of the places of some panels.
    let mut tasks = Vec::new();
    let mut rest = partial.as_mut_slice();
    for chunk in 0..chunks {
        for group in 0..order.groups {
            for first in (0..cut.len()).step_by(PANELS) {
                let mut lines = [(); LINE].map(|()| Vec::with_capacity(PANELS));
                for i in first..cut.len().min(first + PANELS) {
                    let panel = cut.panel(i);
                    for line in &mut lines {
                        let (sums, after) = rest.split_at_mut(LINE * of_channels * panel.width);
                        rest = after;
                        line.push((panel, sums));
                    }
                }
                tasks.extend(lines.into_iter().enumerate().map(|(line, sums)| (chunk, group, line, sums)));
            }
        }
    }
    tasks.into_par_iter().with_max_len(1).for_each(|(chunk, group, line, mut panels)| {
        SCRATCHES.with_borrow_mut(|(inputs, errors)| {
            let inputs = inputs.at_least(LINE * PIXELS * row + SLACK);
            // What a vector reads past the end must be a number, as it is multiplied by 0.
            inputs[LINE * PIXELS * row..].fill(0.0);
            let last = (chunk + 1) * rows / chunks;
            for first in (chunk * rows / chunks..last).step_by(PIXELS) {
                let here = PIXELS.min(last - first);
                let range = first * together..tiles.len().min((first + here) * together);
                Windows {
                    source,
                    size: layout.source,
                    pixel: layout.channels,
                    channels: group * of_channels..(group + 1) * of_channels,
                    tiles,
                    range: range.clone(),
                    before: layout.before,
                    rows: Rows::Tiles,
                    row,
                    lines: line..line + 1,
                    to: &mut inputs[..LINE * PIXELS * row],
                }
                .spread_input(isa, precision);
                for (panel, sums) in &mut panels {
                    let errors = errors.at_least(LINE * PIXELS * panel.width);
                    let channel = group * channels + panel.first;
                    Windows {
                        source: grad_output,
                        size: layout.out,
                        pixel: order.groups * channels,
                        channels: channel..channel + panel.channels,
                        tiles,
                        range: range.clone(),
                        before: [0, 0],
                        rows: Rows::Tiles,
                        row: panel.width,
                        lines: line..line + 1,
                        to: errors,
                    }
                    .spread_errors(isa, precision);
                    let places = sums
                        .chunks_exact_mut(of_channels * panel.width)
                        .zip(errors.chunks_exact(PIXELS * panel.width));
                    for (place, (sums, grads)) in places.enumerate() {
                        let mut weights = Weights {
                            scratch: &inputs[place * PIXELS * row..],
                            bases: &bases[..here],
                            runs: std::slice::from_ref(&all),
                            grads,
                            vectors: panel.vectors,
                            sums,
                        };
                        // SAFETY: nothing but the instruction set, which `run` sees to.
                        unsafe { run(isa, precision, &mut weights) }
                    }
                }
            }
        });
    });
    let sums = add_up(partial.as_mut_slice(), size);
    order.unpack(isa, Form::Winograd, &cut, sums, grad_weight);
}
