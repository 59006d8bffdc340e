//! AVX-512 with its dot product of bf16 pairs.

use std::arch::x86_64::*;

use crate::bf16::{Precision, bf16};

use super::{Avx512, Simd};

#[derive(Clone, Copy)]
pub(crate) struct Avx512Bf16;

impl Simd for Avx512Bf16 {
    type V = __m512;
    const LANES: usize = Avx512::LANES;
    const WIDE: usize = Avx512::WIDE;
    const OPERANDS: Precision = Precision::Bf16;

    #[inline(always)]
    unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the caller vouches for the instruction set; the casts change no bits.
        unsafe {
            let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
            _mm512_dpbf16_ps(
                c,
                std::mem::transmute::<__m512i, __m512bh>(a),
                std::mem::transmute::<__m512i, __m512bh>(b),
            )
        }
    }

    #[inline(always)]
    unsafe fn narrow(to: *mut bf16, v: __m512) {
        // SAFETY: the caller vouches for the instruction set and the pointer.
        unsafe { to.cast::<__m256bh>().write_unaligned(_mm512_cvtneps_pbh(v)) }
    }

    #[inline(always)]
    unsafe fn pair(first: __m512, second: __m512) -> __m512 {
        // SAFETY: the caller vouches for the instruction set; the casts change no bits.
        unsafe {
            let wide = |v| {
                let narrow = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v));
                _mm512_cvtepu16_epi32(narrow)
            };
            _mm512_castsi512_ps(_mm512_or_si512(wide(first), _mm512_slli_epi32::<16>(wide(second))))
        }
    }

    delegate_to_vectors!(Avx512);
}
