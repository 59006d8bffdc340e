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

use super::super::direction::Direction;
use super::super::gather::SLACK;
use super::super::panels::{Cut, Form};
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

/// How the tiles are summed over.
struct Cuts {
    /// Rows of tiles: one tile each, or where pairs are multiplied two.
    rows: usize,
    /// Tiles of a row.
    together: usize,
    /// Chunks that the rows are cut into.
    chunks: usize,
    /// Sums of a chunk.
    sums: usize,
}

impl Cuts {
    fn new(direction: &Direction, tiles: &Tiles, cut: &Cut) -> Self {
        let together = if direction.precision == Precision::Bf16 { 2 } else { 1 };
        let rows = tiles.len().div_ceil(together);
        let groups = direction.order.groups;
        let tasks = groups * LINE * cut.len().div_ceil(PANELS);
        let chunks = (TASKS / tasks).clamp(1, rows.div_ceil(PIXELS));
        Cuts { rows, together, chunks, sums: groups * PLACES * direction.layout.group_channels * cut.width() }
    }
}

/// Bytes that a thread keeps for itself.
pub(in super::super) fn scratch(isa: Isa, direction: &Direction) -> usize {
    let row = direction.layout.group_channels.next_multiple_of(sizes(isa).0);
    let width = Cut::new(isa, direction.channels).panel(0).width;
    LINE * PIXELS * (row + width) * size_of::<f32>()
}

/// Values of the memory that is shared by all threads.
pub(in super::super) fn workspace(isa: Isa, direction: &Direction) -> usize {
    let cut = Cut::new(isa, direction.channels);
    let cuts = Cuts::new(direction, &Tiles::new(&direction.layout), &cut);
    cuts.chunks * cuts.sums
}

/// As [`super::super::weight::weight_grad`].
pub(in super::super) fn weight_grad<X: Source, G: Element>(
    isa: Isa,
    direction: &Direction,
    source: X,
    grad_output: &[G],
    grad_weight: &mut [f32],
) {
    let Direction { precision, layout, order, channels } = *direction;
    let cut = Cut::new(isa, channels);
    let tiles = Tiles::new(&layout);
    let Cuts { rows, together, chunks, sums: size } = Cuts::new(direction, &tiles, &cut);
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
