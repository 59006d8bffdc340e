//! The allocator of the command.
//!
//! A training step allocates and frees the same large tensors over and over. The system's allocator gives each back
//! to the kernel and pays for zeroed pages when it comes again, a fifth of the time of a step. jemalloc keeps them and
//! puts what lies side by side together again, so that the next large tensor fits.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_char;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Kept = Kept;

/// jemalloc, but that zeros are written by us: it would give the pages of a block back to the system, block by block,
/// and take cleared ones.
struct Kept;

// SAFETY: the blocks are jemalloc's; `alloc_zeroed` is the trait's own, which fills one of them.
unsafe impl GlobalAlloc for Kept {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises.
        unsafe { Jemalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises.
        unsafe { Jemalloc.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promises.
        unsafe { Jemalloc.realloc(block, layout, size) }
    }
}

/// jemalloc's settings: freed memory is kept, all threads share one arena, so that it serves any of them, a freed block
/// serves smaller ones however small, and pages
/// are large where the system has such.
// SAFETY: jemalloc looks for a pointer to a C string under this name, and nothing else has it.
#[unsafe(export_name = "_rjem_malloc_conf")]
static SETTINGS: Option<&'static c_char> = Some({
    let settings = c"dirty_decay_ms:-1,muzzy_decay_ms:-1,narenas:1,oversize_threshold:0,lg_extent_max_active_fit:14,thp:always";
    // SAFETY: the string is not empty, so that there is a first character.
    unsafe { &*settings.as_ptr() }
});
