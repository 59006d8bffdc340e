//! Asking for memory before it is needed, where the processor could not guess.

/// Asks for the cache lines of a slice (but a part of one at its end). It is read as always, sooner if the processor
/// heeds it.
#[inline(always)]
pub(crate) fn prefetch<T>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        /// Bytes of a cache line.
        const LINE: usize = 64;
        let start = values.as_ptr().cast::<i8>();
        for at in (0..size_of_val(values)).step_by(LINE) {
            // SAFETY: the place lies in the slice, and a hint reads nothing that the program would see.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(at)) }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}
