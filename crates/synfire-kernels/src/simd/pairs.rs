//! Pairs of bf16 where the processor has no instruction for them: each half becomes an `f32` on its own.

use std::marker::PhantomData;

use crate::bf16::Precision;

use super::Simd;

/// The vectors of `S`, their lanes pairs of bf16 where something is multiplied.
#[derive(Clone, Copy)]
pub(crate) struct Pairs<S>(PhantomData<S>);

impl<S: Simd> Simd for Pairs<S> {
    type V = S::V;
    const LANES: usize = S::LANES;
    const WIDE: usize = S::WIDE;
    const OPERANDS: Precision = Precision::Bf16;

    #[inline(always)]
    unsafe fn mul_add(a: S::V, b: S::V, c: S::V) -> S::V {
        // SAFETY: the caller vouches for the instruction set.
        unsafe {
            let firsts = S::mul_add(S::first(a), S::first(b), c);
            S::mul_add(S::second(a), S::second(b), firsts)
        }
    }

    delegate_to_vectors!(S);
}
