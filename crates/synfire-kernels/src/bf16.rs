//! bf16 operands: the upper half of an `f32`, 8 bits of precision.
//!
//! Processors multiply bf16 in pairs: `a₀·b₀ + a₁·b₁ + c` with everything after the products in `f32`. Two values that
//! are multiplied together therefore stand in one *pair*, the first in its lower half. A pair takes the place of an
//! `f32` in the memory of the inner loops, which only move it about: its bits are no number.

use std::fmt;
use std::str::FromStr;

use crate::isa::{Isa, multiversion};

pub use half::bf16;

/// What a convolution multiplies; sums are `f32` always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Operands as they are.
    #[default]
    F32,
    /// Operands rounded to bf16. Spikes, and their maxima and averages over windows of 2x2 or 4x4, are exact in it.
    Bf16,
}

impl Precision {
    /// The name, as [`FromStr`] reads it.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Precision::F32, Precision::Bf16]
            .into_iter()
            .find(|precision| precision.name() == name)
            .ok_or_else(|| format!("there is no precision called {name:?}; expected f32 or bf16"))
    }
}

/// The nearest bf16, of two equally near the even one; the lower half of the bits is 0.
#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    // The sum would carry a NaN's bits over into another number.
    (if x.is_nan() { bits | 0x0040_0000 } else { nearest }) & 0xffff_0000
}

/// `x` rounded to bf16.
#[inline(always)]
pub fn rounded(x: f32) -> f32 {
    f32::from_bits(round(x))
}

/// How an activation lies in memory, [`f32`] or [`struct@bf16`]; arithmetic is done in `f32`.
pub trait Element: sealed::Sealed + Copy + Default + Send + Sync + 'static {
    /// The value.
    fn widen(self) -> f32;
    /// The nearest value that there is; see [`rounded`].
    fn narrow(x: f32) -> Self;
    /// Both as bf16, the first in the lower half of the bits.
    #[doc(hidden)]
    fn pair(first: Self, second: Self) -> f32;
}

mod sealed {
    use crate::simd::Simd;

    pub trait Sealed: Sized {
        /// Reads a vector of values.
        ///
        /// # Safety
        /// The instruction set of `S`, and `from` valid for all lanes.
        unsafe fn load<S: Simd>(from: *const Self) -> S::V;
        /// Writes a vector of values, rounded to what there is.
        ///
        /// # Safety
        /// The instruction set of `S`, and `to` valid for all lanes.
        unsafe fn store<S: Simd>(to: *mut Self, v: S::V);
    }

    impl Sealed for f32 {
        #[inline(always)]
        unsafe fn load<S: Simd>(from: *const f32) -> S::V {
            // SAFETY: the caller's promises.
            unsafe { S::load(from) }
        }

        #[inline(always)]
        unsafe fn store<S: Simd>(to: *mut f32, v: S::V) {
            // SAFETY: the caller's promises.
            unsafe { S::store(to, v) }
        }
    }

    impl Sealed for half::bf16 {
        #[inline(always)]
        unsafe fn load<S: Simd>(from: *const half::bf16) -> S::V {
            // SAFETY: the caller's promises.
            unsafe { S::widen(from) }
        }

        #[inline(always)]
        unsafe fn store<S: Simd>(to: *mut half::bf16, v: S::V) {
            // SAFETY: the caller's promises.
            unsafe { S::narrow(to, v) }
        }
    }
}

impl Element for f32 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }

    #[inline(always)]
    fn narrow(x: f32) -> Self {
        x
    }

    #[inline(always)]
    fn pair(first: Self, second: Self) -> f32 {
        f32::from_bits(round(first) >> 16 | round(second))
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    #[inline(always)]
    fn narrow(x: f32) -> Self {
        bf16::from_bits((round(x) >> 16) as u16)
    }

    #[inline(always)]
    fn pair(first: Self, second: Self) -> f32 {
        f32::from_bits(u32::from(first.to_bits()) | u32::from(second.to_bits()) << 16)
    }
}

multiversion! {
    /// Other elements of the same values, to the nearest.
    pub(crate) fn convert<X: Element, Y: Element>(x: &[X], y: &mut [Y]) {
        for (x, y) in x.iter().zip(y) {
            *y = Y::narrow(x.widen());
        }
    }
}

multiversion! {
    /// Pairs of neighbours in a slice of even length.
    pub(crate) fn pair_neighbours<X: Element>(x: &[X], pairs: &mut [f32]) {
        for (x, to) in x.chunks_exact(2).zip(pairs) {
            *to = X::pair(x[0], x[1]);
        }
    }
}

/// Pairs of values from two slices, of which the second may be absent: zeros.
pub(crate) fn pair_partners<X: Element>(isa: Isa, first: &[X], second: Option<&[X]>, pairs: &mut [f32]) {
    match second {
        Some(second) => partners(isa, first, second, pairs),
        None => first.iter().zip(pairs).for_each(|(x, to)| *to = X::pair(*x, X::default())),
    }
}

multiversion! {
    fn partners<X: Element>(first: &[X], second: &[X], pairs: &mut [f32]) {
        for ((first, second), to) in first.iter().zip(second).zip(pairs) {
            *to = X::pair(*first, *second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_found_and_of_two_the_even_one() {
        let ulp = 2f32.powi(-7);
        for (x, nearest) in [
            (0.0, 0.0),
            (-0.0, -0.0),
            (1.0, 1.0),
            (0.25, 0.25),
            (1.0 + 0.4 * ulp, 1.0),
            (1.0 + 0.5 * ulp, 1.0),
            (1.0 + 0.6 * ulp, 1.0 + ulp),
            (1.0 + 1.5 * ulp, 1.0 + 2.0 * ulp),
            (-1.0 - 1.5 * ulp, -1.0 - 2.0 * ulp),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
        ] {
            assert_eq!(rounded(x).to_bits(), f32::to_bits(nearest), "{x}");
        }
        assert!(rounded(f32::NAN).is_nan() && rounded(f32::from_bits(0x7f80_0001)).is_nan());
        assert!(rounded(f32::from_bits(0xffff_ffff)).is_nan());
    }

    #[test]
    fn a_pair_has_its_first_value_in_the_lower_half() {
        assert_eq!(f32::pair(1.0, -2.0).to_bits(), 0xc000_3f80);
        assert_eq!(bf16::pair(bf16::narrow(1.0), bf16::narrow(-2.0)).to_bits(), 0xc000_3f80);
    }

    #[test]
    fn names_round_trip() {
        for precision in [Precision::F32, Precision::Bf16] {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        assert!("half".parse::<Precision>().unwrap_err().contains("half"));
    }
}
