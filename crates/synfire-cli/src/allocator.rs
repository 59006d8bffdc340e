//! The allocator of the command.
//!
//! A training step allocates and frees the same large tensors over and over. The system's allocator gives each back
//! to the kernel and pays for zeroed pages when it comes again, a fifth of the time of a step. jemalloc keeps them and
//! puts what lies side by side together again, so that the next large tensor fits.

use std::ffi::c_char;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// jemalloc's settings: freed memory is kept, and all threads share one arena, so that it serves any of them.
// SAFETY: jemalloc looks for a pointer to a C string under this name, and nothing else has it.
#[unsafe(export_name = "_rjem_malloc_conf")]
static SETTINGS: Option<&'static c_char> = Some({
    let settings = c"dirty_decay_ms:-1,muzzy_decay_ms:-1,narenas:1,oversize_threshold:0";
    // SAFETY: the string is not empty, so that there is a first character.
    unsafe { &*settings.as_ptr() }
});
