//! Writing to disjoint parts of one slice from many threads.

use std::marker::PhantomData;

/// A mutable slice whose parts are written by several threads, where the parts are not simple chunks.
pub(crate) struct Disjoint<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: as for `&mut [T]`; that no two threads use the same part is promised to `Disjoint::part`.
unsafe impl<T: Send> Send for Disjoint<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Disjoint { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// The `len` elements from `start` on.
    ///
    /// # Safety
    /// No other part that overlaps this one may be alive.
    #[expect(clippy::mut_from_ref, reason = "the caller promises that parts do not overlap")]
    pub(crate) unsafe fn part(&self, start: usize, len: usize) -> &mut [T] {
        assert!(start <= self.len && len <= self.len - start, "part {start}+{len} of {} elements", self.len);
        // SAFETY: the range was checked above, and the caller promises that it is not in use elsewhere.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}
