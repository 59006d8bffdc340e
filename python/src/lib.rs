//! The compiled part of the Python package `synfire`: what needs speed or Rust's crates. Names, arguments and documentation that users see
//! are in `python/synfire`, which checks arrays before they come here.

mod data;
mod error;
mod events;
mod kernels;
mod network;

use pyo3::prelude::*;

/// The compiled part of synfire.
#[pymodule(gil_used = false)]
fn _synfire(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    events::register(module)?;
    data::register(module)?;
    kernels::register(module)?;
    network::register(module)
}
