//! Networks from other programs and for them.
//!
//! - [`pytorch`]: state dicts in (`.pt`, `.pth`, `.safetensors`), safetensors out.
//! - [`nir`]: graphs of the Neuromorphic Intermediate Representation, in and out.
//!
//! Both read files of unknown origin: no code in them is run, and nothing is allocated by a length that a file states.

pub mod nir;
pub mod pytorch;
