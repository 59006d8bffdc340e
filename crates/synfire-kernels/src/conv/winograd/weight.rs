//! The gradient of the weights.
//!
//! Windows and errors of some tiles are transformed by all threads, then every place and panel sums over these tiles:
//! two steps, so that nothing is transformed twice and there is one set of sums.

use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::bf16::{Element, Precision};
use crate::isa::Isa;
use crate::simd::sizes;
use crate::source::Source;

use super::super::gather::{Layout, SLACK};
use super::super::panels::{Cut, Form, Order};
use super::super::tile::{PIXELS, Weights};
use super::super::weight::run;
use super::transform::{Rows, Windows};
use super::{PLACES, Tiles};

/// About how many elements the transformed windows and errors of one round have: 8 MiB, a part of the last cache.
const ROUND: usize = 1 << 21;

struct Sizes {
    /// Tiles of a row.
    together: usize,
    /// Rows in all.
    rows: usize,
    /// Elements of a row.
    row: usize,
    /// Elements of a chunk of rows: `[PLACES][PIXELS][row]` of inputs.
    of_inputs: usize,
    /// And `[panels][PLACES][PIXELS][width]` of errors.
    of_errors: usize,
    /// Chunks of a round.
    chunks: usize,
}

impl Sizes {
    fn new(isa: Isa, precision: Precision, layout: &Layout, cut: &Cut) -> Self {
        let together = if precision == Precision::Bf16 { 2 } else { 1 };
        let rows = Tiles::new(layout).len().div_ceil(together);
        let row = layout.group_channels.next_multiple_of(sizes(isa).0);
        let [of_inputs, of_errors] = [row, cut.width()].map(|row| PLACES * PIXELS * row);
        let chunks = (ROUND / (of_inputs + of_errors)).clamp(1, rows.div_ceil(PIXELS));
        Sizes { together, rows, row, of_inputs, of_errors, chunks }
    }
}

/// Values of the memory that is shared by all threads.
pub(in super::super) fn workspace(
    isa: Isa,
    precision: Precision,
    layout: Layout,
    order: Order,
    channels: usize,
) -> usize {
    let cut = Cut::new(isa, channels);
    let sizes = Sizes::new(isa, precision, &layout, &cut);
    let sums = order.groups * PLACES * layout.group_channels * cut.width();
    sizes.chunks * (sizes.of_inputs + sizes.of_errors) + sums
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
    let Sizes { together, rows, row, of_inputs, of_errors, chunks } =
        Sizes::new(isa, precision, &layout, &cut);
    let mut inputs = Aligned::zeroed(chunks * of_inputs + SLACK);
    let mut errors = Aligned::zeroed(chunks * of_errors);
    // One run: a row's channels.
    let all = 0..layout.group_channels;
    let bases: Vec<usize> = (0..PIXELS).map(|i| i * row).collect();
    let sums_of_place = |width: usize| layout.group_channels * width;
    let mut sums = Aligned::zeroed(order.groups * PLACES * sums_of_place(cut.width()));

    for (group, sums) in sums.as_mut_slice().chunks_exact_mut(PLACES * sums_of_place(cut.width())).enumerate()
    {
        for first in (0..rows).step_by(chunks * PIXELS) {
            let last = rows.min(first + chunks * PIXELS);
            let chunks = (last - first).div_ceil(PIXELS);
            let rows_of = |chunk: usize| PIXELS.min(last - first - chunk * PIXELS);
            let range = |chunk: usize| {
                let first = (first + chunk * PIXELS) * together;
                first..tiles.len().min(first + PIXELS * together)
            };
            let of_channels = layout.group_channels;
            let spread_inputs = || {
                let chunks = inputs.as_mut_slice().par_chunks_exact_mut(of_inputs).take(chunks);
                chunks.enumerate().for_each(|(chunk, to)| {
                    Windows {
                        source,
                        size: layout.source,
                        pixel: layout.channels,
                        channels: group * of_channels..(group + 1) * of_channels,
                        tiles,
                        range: range(chunk),
                        before: layout.before,
                        rows: Rows::Tiles,
                        row,
                        to,
                    }
                    .spread_input(isa, precision);
                });
            };
            let spread_errors = || {
                let chunks = errors.as_mut_slice().par_chunks_exact_mut(of_errors).take(chunks);
                chunks.enumerate().for_each(|(chunk, to)| {
                    let panels = to.par_chunks_mut(PLACES * PIXELS * cut.panel(0).width);
                    panels.enumerate().for_each(|(i, to)| {
                        let panel = cut.panel(i);
                        let first = group * channels + panel.first;
                        Windows {
                            source: grad_output,
                            size: layout.out,
                            pixel: order.groups * channels,
                            channels: first..first + panel.channels,
                            tiles,
                            range: range(chunk),
                            before: [0, 0],
                            rows: Rows::Tiles,
                            row: panel.width,
                            to,
                        }
                        .spread_errors(isa, precision);
                    });
                });
            };
            rayon::join(spread_inputs, spread_errors);

            let (inputs, errors) = (inputs.as_slice(), errors.as_slice());
            let panels = sums.par_chunks_mut(PLACES * sums_of_place(cut.panel(0).width)).enumerate();
            panels.for_each(|(i, sums)| {
                let panel = cut.panel(i);
                let places = sums.par_chunks_exact_mut(sums_of_place(panel.width)).enumerate();
                places.with_max_len(1).for_each(|(place, sums)| {
                    for chunk in 0..chunks {
                        let at = chunk * of_errors + PLACES * PIXELS * panel.first;
                        let mut weights = Weights {
                            scratch: &inputs[chunk * of_inputs + place * PIXELS * row..],
                            bases: &bases[..rows_of(chunk)],
                            runs: std::slice::from_ref(&all),
                            grads: &errors[at + place * PIXELS * panel.width..],
                            vectors: panel.vectors,
                            sums,
                        };
                        // SAFETY: nothing but the instruction set, which `run` sees to.
                        unsafe { run(isa, precision, &mut weights) }
                    }
                });
            });
        }
    }
    order.unpack(isa, Form::Winograd, &cut, sums.as_slice(), grad_weight);
}
