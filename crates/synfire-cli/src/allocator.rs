//! The allocator of the command.
//!
//! A training step allocates and frees the same large tensors over and over. The system's allocator gives each back
//! to the kernel and pays for zeroed pages when it comes again, a third of the time of a step; mimalloc keeps them.

use libmimalloc_sys::{mi_option_set, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of `mimalloc.h`; the same number in versions 2 and 3.
const PURGE_DELAY: mi_option_t = 15;

/// Never gives freed memory back. To be called before other threads start.
pub(crate) fn keep_memory() {
    // SAFETY: the option exists in every version that libmimalloc-sys builds, and no other thread runs yet.
    unsafe { mi_option_set(PURGE_DELAY, -1) };
}
