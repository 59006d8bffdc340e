//! Sums that skip zeros: the convolution and the gradient of its weights where few inputs are not 0.
//!
//! What is not 0 is listed once, then every sum runs over its list: `sums += Σ x·row`, where a row is the weights of an
//! input (by its place under the kernel) or the errors of an output pixel. The lists are cut so that the rows that one
//! round needs stay in the first cache; read from the second they would take twice as long.

#![allow(
    clippy::needless_range_loop,
    reason = "loops over the constant V, which are unrolled into registers"
)]

use crate::bf16::Precision;
use crate::isa::{Isa, multiversion};
use crate::simd::{Simd, per_isa};

use super::gather::Gather;

/// Elements under the kernel that one round takes: with a panel of 64 channels their weights are 16 KiB.
const ELEMENTS: usize = 64;
/// Pixels that one round of the weights' gradient takes: their errors are 24 KiB.
const PIXELS: usize = 96;

/// An element of the scratch that is not 0, and the row that belongs to it.
#[derive(Clone, Copy, Default)]
struct Entry {
    row: u32,
    x: f32,
}

/// The share of elements that are not 0. Only the bits of `+0` count as 0.
pub(super) fn share(isa: Isa, scratch: &[f32]) -> f64 {
    let mut n = 0;
    count(isa, scratch, &mut n);
    f64::from(n) / scratch.len().max(1) as f64
}

multiversion! {
    fn count(scratch: &[f32], n: &mut u32) {
        *n = scratch.iter().map(|x| u32::from(x.to_bits() != 0)).sum();
    }
}

/// Whether [`Pixels`] is faster than tiles where so large a share of a unit's input is not 0.
///
/// By measurement (AVX-512, bf16), an element of a list takes 1.45 times as long as one of a tile, and a round
/// as long as 12 elements of a tile besides. Other instruction sets choose alike, so that all give alike results.
pub(super) fn pays_for_pixels(share: f64, gather: &Gather, kernel: [usize; 2]) -> bool {
    let pixel = gather.pixel();
    let depth = (kernel[0] * kernel[1] * pixel) as f64;
    let rounds = kernel[0] * kernel[1].div_ceil(places(pixel, kernel)) * pixel.div_ceil(ELEMENTS);
    1.45 * share * depth + 12.0 * rounds as f64 <= depth
}

/// Whether [`Weights`] is faster than tiles where so large a share of a unit's input is not 0; found as above.
pub(super) fn pays_for_weights(share: f64) -> bool {
    share <= 0.5
}

/// Places of a row of the kernel that one round takes; with several parts to a pixel, a part of one.
fn places(pixel: usize, kernel: [usize; 2]) -> usize {
    (ELEMENTS / pixel).clamp(1, kernel[1])
}

/// The input of a unit, listed by pixels, one list after the other: what [`Pixels`] multiplies.
#[derive(Default)]
pub(super) struct Listed {
    entries: Vec<Entry>,
    /// Where list `i` begins, and at `i + 1` where it ends.
    starts: Vec<u32>,
    /// Lists of a pixel.
    parts: usize,
    /// Elements of a pixel.
    pixel: usize,
    /// The pixel of the scratch at which each output pixel begins.
    firsts: Vec<u32>,
}

impl Listed {
    /// Lists the elements of every pixel of a scratch, in parts of [`ELEMENTS`]. A row is the element's place in the
    /// scratch.
    pub(super) fn list(&mut self, isa: Isa, scratch: &[f32], pixel: usize, bases: &[usize]) {
        self.pixel = pixel;
        self.parts = pixel.div_ceil(ELEMENTS);
        self.firsts.clear();
        self.firsts.extend(bases.iter().map(|base| (base / pixel) as u32));
        self.entries.resize(scratch.len() + 1, Entry::default());
        self.starts.clear();
        let (mut end, mut row) = (0, 0);
        self.starts.push(end);
        for part in scratch.chunks_exact(pixel).flat_map(|pixel| pixel.chunks(ELEMENTS)) {
            note(isa, row, part, &mut self.entries, &mut end);
            self.starts.push(end);
            row += part.len() as u32;
        }
    }
}

multiversion! {
    /// Appends what is not 0 in `values` at `end`, without a branch, which would be mispredicted.
    fn note(first: u32, values: &[f32], entries: &mut [Entry], end: &mut u32) {
        for (&x, row) in values.iter().zip(first..) {
            entries[*end as usize] = Entry { row, x };
            *end += u32::from(x.to_bits() != 0);
        }
    }
}

/// `sums += Σ x·row` over `entries`, where a row's address is `rows` plus so many rows.
///
/// # Safety
/// The instruction set of `S`; the rows of all entries and `sums` must be valid for `V` vectors.
#[inline(always)]
unsafe fn add_rows<S: Simd, const V: usize>(entries: &[Entry], rows: *const f32, sums: *mut f32) {
    // SAFETY: the caller's promises.
    unsafe {
        // Two sums each, to hide the latency of an addition.
        let (mut even, mut odd) = ([S::zero(); V], [S::zero(); V]);
        let row = |entry: &Entry| rows.wrapping_add(entry.row as usize * V * S::LANES);
        let mut pairs = entries.chunks_exact(2);
        for pair in &mut pairs {
            let (x, y) = (S::splat(&raw const pair[0].x), S::splat(&raw const pair[1].x));
            let (first, second) = (row(&pair[0]), row(&pair[1]));
            for v in 0..V {
                even[v] = S::mul_add(x, S::load(first.add(v * S::LANES)), even[v]);
                odd[v] = S::mul_add(y, S::load(second.add(v * S::LANES)), odd[v]);
            }
        }
        if let [last] = pairs.remainder() {
            let (x, row) = (S::splat(&raw const last.x), row(last));
            for v in 0..V {
                even[v] = S::mul_add(x, S::load(row.add(v * S::LANES)), even[v]);
            }
        }
        for v in 0..V {
            let at = sums.add(v * S::LANES);
            S::store(at, S::add(S::load(at), S::add(even[v], odd[v])));
        }
    }
}

/// Output pixels times output channels, summed over what is not 0 under the kernel.
pub(super) struct Pixels<'a> {
    pub(super) input: &'a Listed,
    /// Pixels of a row of the scratch.
    pub(super) width: usize,
    pub(super) kernel: [usize; 2],
    /// The weights of a panel, `[kernel][elements of a pixel][width]`.
    pub(super) weights: &'a [f32],
    /// Vectors of the panel.
    pub(super) vectors: usize,
    /// Added to, `[pixels][width]`.
    pub(super) sums: &'a mut [f32],
}

impl Pixels<'_> {
    pub(super) fn add(&mut self, isa: Isa, precision: Precision) {
        // SAFETY: nothing but the instruction set, which `add_pixels` sees to.
        unsafe { add_pixels(isa, precision, self) }
    }

    #[inline(always)]
    unsafe fn all<S: Simd, const V: usize>(&mut self) {
        let lists = self.input;
        let ([kh, kw], row) = (self.kernel, V * S::LANES);
        assert!(
            self.weights.len() >= kh * kw * lists.pixel * row && self.sums.len() >= lists.firsts.len() * row
        );
        let places = places(lists.pixel, self.kernel);
        for (ky, place) in (0..kh).flat_map(|ky| (0..kw).step_by(places).map(move |kx| (ky, kx))) {
            let places = places.min(kw - place);
            for part in 0..lists.parts {
                let weights = &self.weights[((ky * kw + place) * lists.pixel + part * ELEMENTS) * row..];
                for (q, first) in lists.firsts.iter().enumerate() {
                    let pixel = *first as usize + ky * self.width + place;
                    let list = pixel * lists.parts + part;
                    // One part of one pixel, or the only parts of some pixels: the lists follow each other.
                    let entries = lists.starts[list] as usize..lists.starts[list + places] as usize;
                    let origin = pixel * lists.pixel + part * ELEMENTS;
                    let rows = weights.as_ptr().wrapping_sub(origin * row);
                    // SAFETY: the entries' places lie between that of the first list's begin, `origin`, and that of
                    // the last one's end, for which there are weights as checked above, and sums as well.
                    unsafe {
                        add_rows::<S, V>(&lists.entries[entries], rows, self.sums.as_mut_ptr().add(q * row));
                    }
                }
            }
        }
    }
}

per_isa! {
    unsafe fn add_pixels(pixels: &mut Pixels) = add_pixels_generic;
}

#[inline(always)]
unsafe fn add_pixels_generic<S: Simd>(pixels: &mut Pixels) {
    // SAFETY: the caller's promise.
    unsafe {
        match pixels.vectors {
            4 => pixels.all::<S, 4>(),
            3 => pixels.all::<S, 3>(),
            2 => pixels.all::<S, 2>(),
            _ => pixels.all::<S, 1>(),
        }
    }
}

/// Values under the kernel times output channels, summed over output pixels where the value is not 0.
pub(super) struct Weights<'a> {
    /// Input of the unit, `[pixels][channels]`.
    pub(super) scratch: &'a [f32],
    pub(super) channels: usize,
    /// Pixels of a row of the scratch.
    pub(super) width: usize,
    pub(super) kernel: [usize; 2],
    /// The errors of the panel, each at the pixel of the scratch at which its output pixel begins, behind
    /// [`lead`] rows of zeros: `[lead + pixels][width]`.
    pub(super) grads: &'a [f32],
    /// Vectors of the panel.
    pub(super) vectors: usize,
    /// Added to, `[kernel][channels][width]`.
    pub(super) sums: &'a mut [f32],
}

/// How far the first pixel under a kernel lies before the last, in a scratch whose rows have `width` pixels.
pub(super) fn lead(width: usize, kernel: [usize; 2]) -> usize {
    (kernel[0] - 1) * width + kernel[1] - 1
}

impl Weights<'_> {
    pub(super) fn add(&mut self, isa: Isa, precision: Precision, lists: &mut ChannelLists) {
        for first in (0..self.scratch.len() / self.channels).step_by(PIXELS) {
            let values = &self.scratch[first * self.channels..];
            let values = &values[..values.len().min(PIXELS * self.channels)];
            lists.list(isa, first, values, self.channels);
            // SAFETY: nothing but the instruction set, which `add_weights` sees to.
            unsafe { add_weights(isa, precision, self, lists) }
        }
    }

    #[inline(always)]
    unsafe fn all<S: Simd, const V: usize>(&mut self, lists: &ChannelLists) {
        let ([kh, kw], row) = (self.kernel, V * S::LANES);
        let lead = lead(self.width, self.kernel);
        let pixels = self.scratch.len() / self.channels;
        assert!(self.grads.len() >= (lead + pixels) * row && lists.pixels <= pixels);
        assert!(self.sums.len() >= kh * kw * self.channels * row && lists.lens.len() == self.channels);
        let mut sums = self.sums.as_mut_ptr();
        for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
            // The output pixel that meets a pixel of the scratch here begins so many before it.
            let rows = self.grads[(lead - ky * self.width - kx) * row..].as_ptr();
            for (list, len) in lists.entries.chunks_exact(PIXELS + 1).zip(&lists.lens) {
                // SAFETY: rows and sums were checked above.
                unsafe {
                    add_rows::<S, V>(&list[..*len as usize], rows, sums);
                    sums = sums.add(row);
                }
            }
        }
    }
}

per_isa! {
    unsafe fn add_weights(weights: &mut Weights, lists: &ChannelLists) = add_weights_generic;
}

#[inline(always)]
unsafe fn add_weights_generic<S: Simd>(weights: &mut Weights, lists: &ChannelLists) {
    // SAFETY: the caller's promise.
    unsafe {
        match weights.vectors {
            4 => weights.all::<S, 4>(lists),
            3 => weights.all::<S, 3>(lists),
            2 => weights.all::<S, 2>(lists),
            _ => weights.all::<S, 1>(lists),
        }
    }
}

/// For every channel, the pixels where it is not 0.
#[derive(Default)]
pub(super) struct ChannelLists {
    /// `[channels][PIXELS + 1]`: one more, as a place is written before it is known whether it counts.
    entries: Vec<Entry>,
    lens: Vec<u32>,
    /// All pixels listed come before this one.
    pixels: usize,
}

impl ChannelLists {
    /// Lists at most [`PIXELS`] pixels from number `first` on.
    fn list(&mut self, isa: Isa, first: usize, values: &[f32], channels: usize) {
        self.entries.resize(channels * (PIXELS + 1), Entry::default());
        self.lens.clear();
        self.lens.resize(channels, 0);
        self.pixels = first + values.len() / channels;
        note_channels(isa, first as u32, values, &mut self.entries, &mut self.lens);
    }
}

multiversion! {
    fn note_channels(first: u32, values: &[f32], entries: &mut [Entry], lens: &mut [u32]) {
        for (row, values) in (first..).zip(values.chunks_exact(lens.len())) {
            for ((x, len), list) in values.iter().zip(&mut *lens).zip(entries.chunks_exact_mut(PIXELS + 1)) {
                list[*len as usize] = Entry { row, x: *x };
                *len += u32::from(x.to_bits() != 0);
            }
        }
    }
}
