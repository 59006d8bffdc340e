//! The allocator of the command: glibc's, told to keep what it has.
//!
//! A training step allocates and frees the same large tensors over and over. By default each is mapped and given back,
//! and a fifth of a step goes into pages that the kernel clears. Kept in the heap, where free neighbours are joined and
//! the best fit is taken, they leave the process with little more memory than the tensors that live at one time.

use std::alloc::{GlobalAlloc, Layout, System};

#[global_allocator]
static ALLOCATOR: Large = Large;

/// Keeps large blocks in the heap and the heap's memory with the process. Other threads allocate in the same heap, so
/// that what one frees serves any other.
pub(crate) fn keep() {
    // SAFETY: settings of the allocator, made before there is a second thread. One that it does not know changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Blocks of at least this many bytes are asked to have large pages, of 2 MiB: a few per cent of a step.
const LARGE: usize = 4 << 20;
const PAGE: usize = 4096;

/// The system's allocator, with large pages for large blocks.
struct Large;

impl Large {
    fn advise(block: *mut u8, size: usize) {
        if block.is_null() || size < LARGE {
            return;
        }
        let before = block.align_offset(PAGE);
        // SAFETY: the pages lie in the block; the advice changes no byte, and that it is not heeded does no harm.
        unsafe {
            libc::madvise(block.add(before).cast(), (size - before) / PAGE * PAGE, libc::MADV_HUGEPAGE);
        }
    }
}

// SAFETY: the blocks are the system's; `alloc_zeroed` is the trait's own, which fills one of them.
unsafe impl GlobalAlloc for Large {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises.
        let block = unsafe { System.alloc(layout) };
        Self::advise(block, layout.size());
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promises.
        let block = unsafe { System.realloc(block, layout, size) };
        Self::advise(block, size);
        block
    }
}
