//! Weights packed for the inner loops: output channels are cut into *panels* of a few vectors, and a panel is
//! `[K][width]` with `K = kh·kw·channels` in the order in which a pixel's values lie in the scratch; where those are
//! pairs of channels, so are the weights.

use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::bf16::{Element, Precision};
use crate::isa::{Isa, multiversion};
use crate::simd;

use super::winograd;

/// Channels packed together: a cache line of them.
const BLOCK: usize = 16;

/// How the output channels of one group are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    channels: usize,
    lanes: usize,
    /// Channels of a full panel.
    full: usize,
}

/// Some output channels that are computed together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    /// The first channel, counted in its group.
    pub(super) first: usize,
    /// Its channels.
    pub(super) channels: usize,
    /// Vectors that hold them; the last may have lanes left over.
    pub(super) vectors: usize,
    /// `vectors` times lanes.
    pub(super) width: usize,
}

impl Cut {
    pub(super) fn new(isa: Isa, channels: usize) -> Self {
        let (lanes, wide) = simd::sizes(isa);
        Cut { channels, lanes, full: lanes * wide }
    }

    /// The number of panels.
    pub(super) fn len(&self) -> usize {
        self.channels.div_ceil(self.full)
    }

    pub(super) fn panel(&self, i: usize) -> Panel {
        let first = i * self.full;
        let channels = self.full.min(self.channels - first);
        let vectors = channels.div_ceil(self.lanes);
        Panel { first, channels, vectors, width: vectors * self.lanes }
    }

    /// The sum of all panels' widths.
    pub(super) fn width(&self) -> usize {
        self.channels.next_multiple_of(self.lanes)
    }
}

/// How one group's weights lie in memory: the weight of output channel `n`, input channel `c` and kernel place `tap`
/// is at `n·outer + c·inner + tap`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) groups: usize,
    /// Weights of a group.
    pub(super) group: usize,
    pub(super) outer: usize,
    pub(super) inner: usize,
    /// Places of the kernel, `kh·kw`.
    pub(super) taps: usize,
    /// Input channels of a group.
    pub(super) channels: usize,
    /// Whether the kernel is turned by 180°.
    pub(super) turned: bool,
}

impl Order {
    /// Values under the kernel.
    pub(super) fn depth(&self) -> usize {
        self.taps * self.channels
    }

    /// Elements under the kernel: values, or pairs of channels.
    pub(super) fn elements(&self, precision: Precision) -> usize {
        self.taps * self.channel_elements(precision)
    }

    /// Elements of a group's channels.
    pub(super) fn channel_elements(&self, precision: Precision) -> usize {
        match precision {
            Precision::F32 => self.channels,
            Precision::Bf16 => self.channels.div_ceil(2),
        }
    }

    fn tap(&self, tap: usize) -> usize {
        if self.turned { self.taps - 1 - tap } else { tap }
    }

    /// Elements of packed weights.
    pub(super) fn packed_len(&self, form: Form, cut: &Cut, precision: Precision) -> usize {
        self.groups * cut.width() * form.places(self.taps) * self.channel_elements(precision)
    }

    /// Packs weights: `[groups][panels][places][elements][width]`, with zeros in the lanes left over.
    pub(super) fn pack(
        &self,
        isa: Isa,
        form: Form,
        cut: &Cut,
        precision: Precision,
        weight: &[f32],
    ) -> Aligned {
        let (places, elements) = (form.places(self.taps), self.channel_elements(precision));
        let depth = places * elements;
        let mut packed = Aligned::zeroed(self.packed_len(form, cut, precision));
        let groups =
            packed.as_mut_slice().par_chunks_mut(cut.width() * depth).zip(weight.par_chunks(self.group));
        groups.for_each(|(packed, weight)| {
            packed.par_chunks_mut(cut.full * depth).enumerate().for_each(|(i, packed)| {
                let panel = cut.panel(i);
                let mut taps = vec![[0.0; BLOCK]; self.taps];
                let [mut first, mut second] = [(); 2].map(|()| vec![[0.0; BLOCK]; places]);
                for from in (0..panel.channels).step_by(BLOCK) {
                    let block = BLOCK.min(panel.channels - from);
                    let mut spread = |c: usize, to: &mut [Block]| {
                        if c == self.channels {
                            to.fill([0.0; BLOCK]);
                            return;
                        }
                        let first = (panel.first + from) * self.outer + c * self.inner;
                        gather(isa, &weight[first..], self.outer, block, &mut taps);
                        if self.turned {
                            taps.reverse();
                        }
                        form.spread(isa, &taps, to);
                    };
                    for e in 0..elements {
                        let to = &mut packed[e * panel.width + from..];
                        let row = elements * panel.width;
                        match precision {
                            Precision::F32 => {
                                spread(e, &mut first);
                                let rows = to.chunks_mut(row).zip(&first);
                                rows.for_each(|(to, w)| to[..block].copy_from_slice(&w[..block]));
                            }
                            Precision::Bf16 => {
                                spread(2 * e, &mut first);
                                spread(2 * e + 1, &mut second);
                                pair(isa, &first, &second, block, row, to);
                            }
                        }
                    }
                }
            });
        });
        packed
    }

    /// Weights for sums along the values under the kernel: `[groups][n][kernel rows][row]`, with zeros at the end of
    /// every row, which is a multiple of `lanes` long. `n` are the output channels of a group.
    pub(super) fn rows(
        &self,
        lanes: usize,
        kernel_rows: usize,
        precision: Precision,
        weight: &[f32],
    ) -> (usize, Aligned) {
        let elements = self.channel_elements(precision);
        let across = self.taps / kernel_rows;
        let row = (across * elements).next_multiple_of(lanes);
        let n = self.group / self.depth();
        let mut rows = Aligned::zeroed(self.groups * n * kernel_rows * row);
        rows.as_mut_slice().par_chunks_exact_mut(kernel_rows * row).enumerate().for_each(|(i, rows)| {
            let weight = &weight[i / n * self.group..][..self.group];
            let at = |c: usize, tap: usize| weight[i % n * self.outer + c * self.inner + tap];
            for tap in 0..self.taps {
                let place = self.tap(tap);
                let to = &mut rows[place / across * row + place % across * elements..][..elements];
                for (e, to) in to.iter_mut().enumerate() {
                    *to = match precision {
                        Precision::F32 => at(e, tap),
                        Precision::Bf16 => {
                            let second = if 2 * e + 1 < self.channels { at(2 * e + 1, tap) } else { 0.0 };
                            f32::pair(at(2 * e, tap), second)
                        }
                    };
                }
            }
        });
        (row, rows)
    }

    /// The gradient of weights from that of packed ones; here `outer` is that of whole channels.
    pub(super) fn unpack(&self, isa: Isa, form: Form, cut: &Cut, packed: &[f32], weight: &mut [f32]) {
        let places = form.places(self.taps);
        let depth = places * self.channels;
        // A block lies in one panel: panels are powers of two wide.
        let block = BLOCK.min(cut.full);
        let groups = packed.par_chunks(cut.width() * depth).zip(weight.par_chunks_mut(self.group));
        groups.for_each(|(packed, weight)| {
            weight.par_chunks_mut(block * self.outer).enumerate().for_each(|(i, weight)| {
                let from = i * block;
                let panel = cut.panel(from / cut.full);
                let packed = &packed[panel.first * depth..][..panel.width * depth];
                let (mut of_places, mut of_taps) =
                    (vec![[0.0; BLOCK]; places], vec![[0.0; BLOCK]; self.taps]);
                let n = block.min(panel.width - (from - panel.first));
                for c in 0..self.channels {
                    let rows =
                        packed[c * panel.width + from - panel.first..].chunks(self.channels * panel.width);
                    of_places
                        .iter_mut()
                        .zip(rows)
                        .for_each(|(place, row)| place[..n].copy_from_slice(&row[..n]));
                    form.collect(isa, &of_places, &mut of_taps);
                    if self.turned {
                        of_taps.reverse();
                    }
                    scatter(isa, &of_taps, self.outer, &mut weight[c * self.inner..]);
                }
            });
        });
    }
}

multiversion! {
    /// The weights of `block` output channels, which lie `outer` apart, by the places of the kernel.
    fn gather(weight: &[f32], outer: usize, block: usize, taps: &mut [Block]) {
        for (n, weight) in weight.chunks(outer).take(block.min(BLOCK)).enumerate() {
            for (to, w) in taps.iter_mut().zip(weight) {
                // Which is `n`, and less than the length for the compiler too.
                to[n % BLOCK] = *w;
            }
        }
    }
}

multiversion! {
    /// The inverse of [`gather`], for as many output channels as there are.
    fn scatter(taps: &[Block], outer: usize, weight: &mut [f32]) {
        for (n, weight) in weight.chunks_mut(outer).take(BLOCK).enumerate() {
            for (from, w) in taps.iter().zip(weight) {
                *w = from[n % BLOCK];
            }
        }
    }
}

multiversion! {
    /// Writes pairs of two channels' weights, for each place `block` of them at the start of a row.
    fn pair(first: &[Block], second: &[Block], block: usize, row: usize, to: &mut [f32]) {
        for ((to, first), second) in to.chunks_mut(row).zip(first).zip(second) {
            if block == BLOCK {
                // A length that the compiler knows.
                for (i, to) in to[..BLOCK].iter_mut().enumerate() {
                    *to = f32::pair(first[i], second[i]);
                }
            } else {
                to[..block].iter_mut().zip(first).zip(second).for_each(|((to, a), b)| *to = f32::pair(*a, *b));
            }
        }
    }
}

/// The weights of a block of output channels.
pub(super) type Block = [f32; BLOCK];

/// What is packed for each input channel: the weights at the places of the kernel, or what Winograd's algorithm makes
/// of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Winograd,
}

impl Form {
    fn places(self, taps: usize) -> usize {
        match self {
            Form::Plain => taps,
            Form::Winograd => winograd::PLACES,
        }
    }

    fn spread(self, isa: Isa, taps: &[Block], places: &mut [Block]) {
        match self {
            Form::Plain => places.copy_from_slice(taps),
            Form::Winograd => winograd::spread_kernel(isa, taps, places),
        }
    }

    fn collect(self, isa: Isa, places: &[Block], taps: &mut [Block]) {
        match self {
            Form::Plain => taps.copy_from_slice(places),
            Form::Winograd => winograd::collect_kernel(isa, places, taps),
        }
    }
}
