//! The compiled part of the Python package `synfire`: what needs speed or Rust's crates. Names, arguments and documentation that users see
//! are in `python/synfire`, which checks arrays before they come here.

mod arrays;
mod data;
mod device;
mod error;
mod events;
mod kernels;
mod network;
mod threads;

/// The compiled part of synfire.
#[pyo3::pymodule(gil_used = false)]
mod _synfire {
    #[pymodule_export]
    use crate::data::{BatchIterator, Samples, data_sets};
    #[pymodule_export]
    use crate::device::devices;
    #[pymodule_export]
    use crate::events::{
        events_problems, events_to_frames, read_events, recording_info, simulate_gesture, simulate_image,
        simulate_video, write_events,
    };
    #[pymodule_export]
    use crate::kernels::{
        block_backward, block_forward, block_statistics, conv_backward, conv_forward, lif_backward,
        lif_forward,
    };
    #[pymodule_export]
    use crate::network::Core;

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
