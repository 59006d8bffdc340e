//! Vectors of `f32`: the few operations that the convolution's inner loops are written with, one implementation per
//! instruction set.

use crate::bf16::{Element, Precision, bf16};

/// Takes every operation from another implementation but [`Simd::mul_add`], and those that round to bf16.
macro_rules! delegate_to_vectors {
    ($to:ty) => {
        delegate_to_vectors! { $to:
            zero(); splat(from: *const f32); load(from: *const f32); add(a: Self::V, b: Self::V);
            sub(a: Self::V, b: Self::V); widen(from: *const crate::bf16::bf16); spikes(bits: u16);
            first(pairs: Self::V); second(pairs: Self::V);
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, v: Self::V) {
            // SAFETY: the caller's promises.
            unsafe { <$to>::store(to, v) }
        }

        #[inline(always)]
        unsafe fn sum(v: Self::V) -> f32 {
            // SAFETY: the caller's promises.
            unsafe { <$to>::sum(v) }
        }
    };
    ($to:ty: $($name:ident($($arg:ident: $ty:ty),*);)*) => {$(
        #[inline(always)]
        unsafe fn $name($($arg: $ty),*) -> Self::V {
            // SAFETY: the caller's promises.
            unsafe { <$to>::$name($($arg),*) }
        }
    )*};
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512bf16;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pairs;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512bf16::Avx512Bf16;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use pairs::Pairs;
pub(crate) use portable::Portable;

/// A vector of `f32` of one instruction set.
///
/// # Safety
/// Every function may only be called where the processor has the instruction set, and should be inlined into a
/// function compiled for it (see `per_isa`). Pointers must be valid for what is read or written.
pub trait Simd: Copy {
    /// The vector.
    type V: Copy;
    /// How many values a vector has.
    const LANES: usize;
    /// How many vectors of output channels a tile has at most: 4 where there are 32 registers, 2 where there are 16.
    const WIDE: usize;
    /// What [`Simd::mul_add`] multiplies in each lane.
    const OPERANDS: Precision = Precision::F32;

    /// All lanes 0.
    unsafe fn zero() -> Self::V;
    /// All lanes the value at `from`.
    unsafe fn splat(from: *const f32) -> Self::V;
    /// Reads [`Simd::LANES`] values, aligned or not.
    unsafe fn load(from: *const f32) -> Self::V;
    /// Writes [`Simd::LANES`] values, aligned or not.
    unsafe fn store(to: *mut f32, v: Self::V);
    /// The sum of all lanes.
    unsafe fn sum(v: Self::V) -> f32;
    /// `a + b`.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a·b + c`, rounded once where the processor can. Where lanes hold pairs of bf16: `a₀·b₀ + a₁·b₁ + c`.
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The first value of each lane's pair.
    unsafe fn first(pairs: Self::V) -> Self::V;
    /// The second value of each lane's pair.
    unsafe fn second(pairs: Self::V) -> Self::V;

    /// Reads [`Simd::LANES`] bf16 values.
    #[inline(always)]
    unsafe fn widen(from: *const bf16) -> Self::V {
        // SAFETY: the caller's promises.
        unsafe {
            let mut x = [0.0; MOST_LANES];
            for (lane, x) in x[..Self::LANES].iter_mut().enumerate() {
                *x = from.add(lane).read().widen();
            }
            Self::load(x.as_ptr())
        }
    }

    /// Writes all lanes, rounded to bf16.
    #[inline(always)]
    unsafe fn narrow(to: *mut bf16, v: Self::V) {
        // SAFETY: the caller's promises.
        unsafe {
            let mut x = [0.0; MOST_LANES];
            Self::store(x.as_mut_ptr(), v);
            for (lane, x) in x[..Self::LANES].iter().enumerate() {
                to.add(lane).write(bf16::narrow(*x));
            }
        }
    }

    /// Lanes 1 where their bit is set, the first lane's the lowest, and 0 elsewhere.
    #[inline(always)]
    unsafe fn spikes(bits: u16) -> Self::V {
        let mut x = [0.0; MOST_LANES];
        for (lane, x) in x[..Self::LANES].iter_mut().enumerate() {
            *x = f32::from((bits >> lane) & 1);
        }
        // SAFETY: the caller's promise; a vector has no more lanes than `x` has values.
        unsafe { Self::load(x.as_ptr()) }
    }

    /// Pairs of bf16, to which the values of two vectors are rounded.
    #[inline(always)]
    unsafe fn pair(first: Self::V, second: Self::V) -> Self::V {
        // SAFETY: the caller's promises.
        unsafe {
            let (mut x, mut y) = ([0.0; MOST_LANES], [0.0; MOST_LANES]);
            Self::store(x.as_mut_ptr(), first);
            Self::store(y.as_mut_ptr(), second);
            for (x, y) in x.iter_mut().zip(y) {
                *x = f32::pair(*x, y);
            }
            Self::load(x.as_ptr())
        }
    }
}

/// The most lanes that a vector has.
pub(crate) const MOST_LANES: usize = 16;

/// Defines `unsafe fn $name(isa, precision, …)` that runs `$generic::<S, …>(…)` compiled for the instruction set of `isa`.
/// What is unsafe about `$generic` besides the instruction set stays the caller's duty.
macro_rules! per_isa {
    ($(#[$meta:meta])* $vis:vis unsafe fn $name:ident$(<$($E:ident: $bound:path),*>)?(
        $($arg:ident: $ty:ty),* $(,)?
    ) = $generic:ident;) => {
        $(#[$meta])*
        $vis unsafe fn $name$(<$($E: $bound),*>)?(isa: $crate::isa::Isa, precision: $crate::bf16::Precision, $($arg: $ty),*) {
            use $crate::bf16::Precision;
            use $crate::isa::Kind;
            #[allow(unused_imports, reason = "which are used depends on the architecture")]
            use $crate::simd::*;

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2<S: Simd, $($($E: $bound),*)?>($($arg: $ty),*) {
                // SAFETY: this function has the features; the rest is its caller's duty.
                unsafe { $generic::<S, $($($E),*)?>($($arg),*) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            unsafe fn avx512<S: Simd, $($($E: $bound),*)?>($($arg: $ty),*) {
                // SAFETY: this function has the features; the rest is its caller's duty.
                unsafe { $generic::<S, $($($E),*)?>($($arg),*) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
            unsafe fn avx512bf16$(<$($E: $bound),*>)?($($arg: $ty),*) {
                // SAFETY: this function has the features; the rest is its caller's duty.
                unsafe { $generic::<Avx512Bf16, $($($E),*)?>($($arg),*) }
            }

            // SAFETY: an `Isa` of a kind is only built where detection found its features; NEON is part of the
            // aarch64 baseline, and plain Rust runs everywhere.
            unsafe {
                match (isa.kind(), precision) {
                    #[cfg(target_arch = "x86_64")]
                    (Kind::Avx2, Precision::F32) => avx2::<Avx2, $($($E),*)?>($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    (Kind::Avx2, Precision::Bf16) => avx2::<Pairs<Avx2>, $($($E),*)?>($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    (Kind::Avx512 | Kind::Avx512Bf16, Precision::F32) => avx512::<Avx512, $($($E),*)?>($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    (Kind::Avx512, Precision::Bf16) => avx512::<Pairs<Avx512>, $($($E),*)?>($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    (Kind::Avx512Bf16, Precision::Bf16) => avx512bf16::<$($($E),*)?>($($arg),*),
                    #[cfg(target_arch = "aarch64")]
                    (Kind::Neon, Precision::F32) => $generic::<Neon, $($($E),*)?>($($arg),*),
                    #[cfg(target_arch = "aarch64")]
                    (Kind::Neon, Precision::Bf16) => $generic::<Pairs<Neon>, $($($E),*)?>($($arg),*),
                    (_, Precision::F32) => $generic::<Portable, $($($E),*)?>($($arg),*),
                    (_, Precision::Bf16) => $generic::<Pairs<Portable>, $($($E),*)?>($($arg),*),
                }
            }
        }
    };
}
pub(crate) use per_isa;

/// Lanes and greatest number of vectors of a tile for `isa`: [`Simd::LANES`] and [`Simd::WIDE`].
pub(crate) fn sizes(isa: crate::isa::Isa) -> (usize, usize) {
    fn of<S: Simd>() -> (usize, usize) {
        (S::LANES, S::WIDE)
    }
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        crate::isa::Kind::Avx2 => of::<Avx2>(),
        #[cfg(target_arch = "x86_64")]
        crate::isa::Kind::Avx512 | crate::isa::Kind::Avx512Bf16 => of::<Avx512>(),
        #[cfg(target_arch = "aarch64")]
        crate::isa::Kind::Neon => of::<Neon>(),
        _ => of::<Portable>(),
    }
}
