//! What convolutions read: values in memory, or spikes as bits.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use crate::bf16::Element;
use crate::isa::{Isa, multiversion};
use crate::simd::{MOST_LANES, Simd};

/// Channels whose spikes stand in one word.
pub const CHANNELS_PER_WORD: usize = u16::BITS as usize;
/// Words or values that one task looks at.
const TASK: usize = 1 << 16;

/// Activations: a slice of values, or [`Bits`].
pub trait Source: sealed::Read {
    /// What a value is read as.
    type Element: Element;

    /// Values.
    fn len(self) -> usize;

    /// Whether there is nothing.
    fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The share of values that are not 0.
    fn density(self, isa: Isa) -> f64;

    /// Some values, in place or written to `buffer`.
    #[doc(hidden)]
    fn read<'b>(
        &'b self,
        isa: Isa,
        range: Range<usize>,
        buffer: &'b mut Vec<Self::Element>,
    ) -> &'b [Self::Element];
}

pub(crate) mod sealed {
    use crate::simd::Simd;

    pub trait Read: Copy + Send + Sync {
        /// The values from `at` on in the first lanes of a vector, as many as there are lanes or `n`, 0 in the others.
        ///
        /// # Safety
        /// The instruction set of `S`, and so many values there.
        unsafe fn load<S: Simd>(self, at: usize, n: usize) -> S::V;
    }
}

impl<E: Element> Source for &[E] {
    type Element = E;

    fn len(self) -> usize {
        <[E]>::len(self)
    }

    fn density(self, isa: Isa) -> f64 {
        let some = |values: &[E]| {
            let mut n = 0;
            count(isa, values, &mut n);
            u64::from(n)
        };
        share(self.par_chunks(TASK).map(some).sum(), self.len())
    }

    fn read<'b>(&'b self, _: Isa, range: Range<usize>, _: &'b mut Vec<E>) -> &'b [E] {
        &self[range]
    }
}

impl<E: Element> sealed::Read for &[E] {
    #[inline(always)]
    unsafe fn load<S: Simd>(self, at: usize, n: usize) -> S::V {
        // SAFETY: the caller's promise; a vector has no more lanes than `some` has values.
        unsafe {
            let from = self.as_ptr().add(at);
            if n >= S::LANES {
                return E::load::<S>(from);
            }
            let mut some = [E::default(); MOST_LANES];
            std::ptr::copy_nonoverlapping(from, some.as_mut_ptr(), n);
            E::load::<S>(some.as_ptr())
        }
    }
}

/// Spikes as bits, of which each word holds those of 16 neighbouring channels, the first in its lowest bit. They are
/// read as `E`.
#[derive(Debug)]
pub struct Bits<'a, E> {
    words: &'a [u16],
    element: PhantomData<E>,
}

impl<E> Clone for Bits<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Bits<'_, E> {}

impl<'a, E> Bits<'a, E> {
    /// Spikes `[…, channels]` in words `[…, channels / 16]`.
    pub fn new(words: &'a [u16]) -> Self {
        Bits { words, element: PhantomData }
    }
}

impl<E: Element> Source for Bits<'_, E> {
    type Element = E;

    fn len(self) -> usize {
        self.words.len() * CHANNELS_PER_WORD
    }

    fn density(self, _: Isa) -> f64 {
        let ones = |words: &[u16]| words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        share(self.words.par_chunks(TASK).map(ones).sum(), self.len())
    }

    fn read<'b>(&'b self, isa: Isa, range: Range<usize>, buffer: &'b mut Vec<E>) -> &'b [E] {
        let first = range.start / CHANNELS_PER_WORD;
        let words = &self.words[first..range.end.div_ceil(CHANNELS_PER_WORD)];
        buffer.resize(buffer.len().max(words.len() * CHANNELS_PER_WORD), E::default());
        unpack_words(isa, words, buffer);
        &buffer[range.start - first * CHANNELS_PER_WORD..][..range.len()]
    }
}

impl<E: Element> sealed::Read for Bits<'_, E> {
    #[inline(always)]
    unsafe fn load<S: Simd>(self, at: usize, n: usize) -> S::V {
        let (word, bit) = (at / CHANNELS_PER_WORD, at % CHANNELS_PER_WORD);
        let lanes = n.min(S::LANES);
        let mut bits = u32::from(self.words[word]) >> bit;
        if bit + lanes > CHANNELS_PER_WORD {
            bits |= u32::from(self.words[word + 1]) << (CHANNELS_PER_WORD - bit);
        }
        // SAFETY: the caller's promise.
        unsafe { S::spikes((bits & ((1 << lanes) - 1)) as u16) }
    }
}

fn share(n: u64, of: usize) -> f64 {
    n as f64 / of.max(1) as f64
}

multiversion! {
    /// Adds the number of values that are not 0.
    fn count<E: Element>(values: &[E], n: &mut u32) {
        *n += values.iter().map(|x| u32::from(x.widen() != 0.0)).sum::<u32>();
    }
}

multiversion! {
    fn unpack_words<E: Element>(words: &[u16], values: &mut [E]) {
        for (word, values) in words.iter().zip(values.chunks_exact_mut(CHANNELS_PER_WORD)) {
            for (bit, value) in values.iter_mut().enumerate() {
                *value = E::narrow(f32::from((word >> bit) & 1));
            }
        }
    }
}

multiversion! {
    /// The bits of values that are not 0.
    pub(crate) fn pack_words(values: &[f32], words: &mut [u16]) {
        for (word, values) in words.iter_mut().zip(values.chunks_exact(CHANNELS_PER_WORD)) {
            let mut bits = 0;
            for (bit, value) in values.iter().enumerate() {
                bits |= u16::from(*value != 0.0) << bit;
            }
            *word = bits;
        }
    }
}

/// Spikes as values, from bits.
///
/// ```text
/// words  [n]
/// values [16·n]  written
/// ```
///
/// # Panics
/// Where lengths do not fit.
pub fn unpack<E: Element>(isa: Isa, words: &[u16], values: &mut [E]) {
    assert_eq!(values.len(), words.len() * CHANNELS_PER_WORD, "unpack: the lengths of words and values");
    words
        .par_chunks(TASK)
        .zip(values.par_chunks_mut(TASK * CHANNELS_PER_WORD))
        .for_each(|(words, values)| unpack_words(isa, words, values));
}
