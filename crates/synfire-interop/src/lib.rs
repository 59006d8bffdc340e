//! Networks from other programs and for them.
//!
//! - [`pytorch`]: state dicts in (`.pt`, `.pth`, `.safetensors`), safetensors out.
//! - [`nir`]: graphs of the Neuromorphic Intermediate Representation, in and out.
//!
//! Both read files of unknown origin: no code in them is run, and nothing is allocated by a length that a file states.

pub mod nir;
pub mod pytorch;

/// A number of 32 bits as it would be written in a file of settings, 0.9 rather than 0.899999976.
pub fn decimal(value: f32) -> f64 {
    value.to_string().parse().expect("a number as it is written")
}

/// The names of classes of which nothing is known.
pub fn numbers(classes: usize) -> Vec<String> {
    (0..classes).map(|class| class.to_string()).collect()
}
