//! Weights packed for the inner loops: output channels are cut into *panels* of a few vectors, and a panel is
//! `[K][width]` with `K = kh·kw·channels` in the order in which a pixel's values lie in the scratch; where those are
//! pairs of channels, so are the weights.

use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::bf16::{Element, Precision};
use crate::isa::Isa;
use crate::simd;

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

    fn channel_elements(&self, precision: Precision) -> usize {
        match precision {
            Precision::F32 => self.channels,
            Precision::Bf16 => self.channels.div_ceil(2),
        }
    }

    fn tap(&self, tap: usize) -> usize {
        if self.turned { self.taps - 1 - tap } else { tap }
    }

    /// Packs weights: `[groups][panels][K][width]`, with zeros in the lanes left over.
    pub(super) fn pack(&self, cut: &Cut, precision: Precision, weight: &[f32]) -> Aligned {
        let (depth, elements) = (self.elements(precision), self.channel_elements(precision));
        let mut packed = Aligned::zeroed(self.groups * cut.width() * depth);
        let groups =
            packed.as_mut_slice().par_chunks_mut(cut.width() * depth).zip(weight.par_chunks(self.group));
        groups.for_each(|(packed, weight)| {
            packed.par_chunks_mut(cut.full * depth).enumerate().for_each(|(i, packed)| {
                let panel = cut.panel(i);
                for from in (0..panel.channels).step_by(BLOCK) {
                    for e in 0..elements {
                        for n in from..panel.channels.min(from + BLOCK) {
                            let taps = |c: usize| {
                                &weight[(panel.first + n) * self.outer + c * self.inner..][..self.taps]
                            };
                            let mut put = |tap: usize, element: f32| {
                                packed[(self.tap(tap) * elements + e) * panel.width + n] = element;
                            };
                            match precision {
                                Precision::F32 => {
                                    taps(e).iter().enumerate().for_each(|(tap, w)| put(tap, *w))
                                }
                                Precision::Bf16 => {
                                    let second = (2 * e + 1 < self.channels).then(|| taps(2 * e + 1));
                                    for (tap, w) in taps(2 * e).iter().enumerate() {
                                        put(tap, f32::pair(*w, second.map_or(0.0, |second| second[tap])));
                                    }
                                }
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

    /// The inverse of [`Order::pack`], for the gradient of the weights: here `outer` is that of whole channels.
    pub(super) fn unpack(&self, cut: &Cut, packed: &[f32], weight: &mut [f32]) {
        let depth = self.depth();
        // A block lies in one panel: panels are powers of two wide.
        let block = BLOCK.min(cut.full);
        let groups = packed.par_chunks(cut.width() * depth).zip(weight.par_chunks_mut(self.group));
        groups.for_each(|(packed, weight)| {
            weight.par_chunks_mut(block * self.outer).enumerate().for_each(|(i, weight)| {
                let from = i * block;
                let panel = cut.panel(from / cut.full);
                let packed = &packed[panel.first * depth..][..panel.width * depth];
                for c in 0..self.channels {
                    for (n, weight) in weight.chunks_exact_mut(self.outer).enumerate() {
                        for (tap, w) in weight[c * self.inner..][..self.taps].iter_mut().enumerate() {
                            let k = self.tap(tap) * self.channels + c;
                            *w = packed[k * panel.width + from - panel.first + n];
                        }
                    }
                }
            });
        });
    }
}
