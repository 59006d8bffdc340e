//! The convolution itself, and the gradient of its input.

use std::cell::RefCell;

use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::bf16::Element;
use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::simd::sizes;
use crate::source::Source;

use super::super::direction::Direction;
use super::super::forward::{TASKS, padded_bias, run};
use super::super::panels::{Cut, Form};
use super::super::tile::Pixels;
use super::transform::{Outputs, Rows, Windows};
use super::{LINE, PLACES, Tiles};

/// About how many elements the transformed windows of a unit have: 256 KiB, a part of the second cache.
const SCRATCH: usize = 1 << 16;
/// Tiles of a unit come in such numbers, which all of the inner loops' tiles divide.
const STEP: usize = 24;
/// The most tiles of a unit: more gain nothing, as weights are read rarely enough then.
const MOST: usize = 96;

thread_local! {
    static SCRATCHES: RefCell<(Aligned, Aligned)> = RefCell::default();
}

/// Tiles of a unit whose tiles have rows of so many elements.
fn unit(row: usize) -> usize {
    (SCRATCH / (PLACES * row) / STEP * STEP).clamp(STEP, MOST)
}

/// Bytes that a thread keeps for itself.
pub(in super::super) fn scratch(isa: Isa, direction: &Direction) -> usize {
    let row = direction.order.channel_elements(direction.precision).next_multiple_of(sizes(isa).0);
    let width = Cut::new(isa, direction.channels).panel(0).width;
    PLACES * unit(row) * (row + width) * size_of::<f32>()
}

/// As [`super::super::forward::product`].
pub(in super::super) fn product<X: Source, Y: Element>(
    isa: Isa,
    direction: &Direction,
    source: X,
    weight: &[f32],
    bias: Option<&[f32]>,
    output: &mut [Y],
) {
    let Direction { precision, layout, order, channels } = *direction;
    let cut = Cut::new(isa, channels);
    let weights = order.pack(isa, Form::Winograd, &cut, precision, weight);
    let bias = padded_bias(&cut, order.groups, bias);
    let nothing = vec![0.0; cut.panel(0).width];
    let elements = order.channel_elements(precision);
    let row = elements.next_multiple_of(sizes(isa).0);
    let tiles = Tiles::new(&layout);
    let size = unit(row);
    // One run: a tile's elements.
    let all = 0..elements;
    let bases: Vec<usize> = (0..size).map(|tile| tile * row).collect();
    let output = Disjoint::new(output);

    let units = tiles.len().div_ceil(size) * order.groups;
    let parts = TASKS.div_ceil(units).min(cut.len());
    (0..units * parts).into_par_iter().for_each(|i| {
        let (unit, part) = (i / parts, i % parts);
        let (unit, group) = (unit / order.groups, unit % order.groups);
        let range = unit * size..tiles.len().min((unit + 1) * size);
        SCRATCHES.with_borrow_mut(|(scratch, sums)| {
            let scratch = scratch.at_least(PLACES * size * row);
            let first = group * layout.group_channels;
            Windows {
                source,
                size: layout.source,
                pixel: layout.channels,
                channels: first..first + layout.group_channels,
                tiles,
                range: range.clone(),
                before: layout.before,
                rows: Rows::Channels,
                row,
                lines: Windows::<X>::ALL,
                to: scratch,
            }
            .spread_input(isa, precision);
            for i in part * cut.len() / parts..(part + 1) * cut.len() / parts {
                let panel = cut.panel(i);
                let first = group * cut.width() + panel.first;
                let weights = &weights.as_slice()[first * PLACES * elements..];
                let sums = sums.at_least(PLACES * size * panel.width);
                let places = scratch
                    .chunks_exact(size * row)
                    .zip(weights.chunks_exact(elements * panel.width))
                    .zip(sums.chunks_exact_mut(size * panel.width));
                for (place, ((scratch, weights), sums)) in places.enumerate() {
                    // The place that counts once in each of the four outputs starts from the bias.
                    let bias = if place == LINE + 1 { &bias.as_slice()[first..] } else { &nothing };
                    let mut pixels = Pixels {
                        scratch,
                        bases: &bases[..range.len()],
                        runs: std::slice::from_ref(&all),
                        weights,
                        vectors: panel.vectors,
                        bias: Some(bias),
                        sums,
                    };
                    // SAFETY: nothing but the instruction set, which `run` sees to.
                    unsafe { run(isa, precision, &mut pixels) }
                }
                let first = group * channels + panel.first;
                let outputs = Outputs {
                    sums,
                    width: panel.width,
                    tiles,
                    range: range.clone(),
                    size: layout.out,
                    pixel: order.groups * channels,
                    channels: first..first + panel.channels,
                    output: &output,
                };
                // SAFETY: no other task has the same unit, group and panel.
                unsafe { outputs.collect(isa, precision) }
            }
        });
    });
}
