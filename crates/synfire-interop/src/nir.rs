//! Graphs of the Neuromorphic Intermediate Representation (NIR; Pedersen et al., Nature Communications 15, 2024), which simulators
//! and tool chains of neuromorphic chips exchange: [neuroir.org](https://neuroir.org).
//!
//! # What stands for what
//!
//! A NIR neuron lives in continuous time, τ·dv/dt = (v_leak - v) + R·I; simulators step it by Euler's method with a time step dt of their
//! own. Synfire's neuron is m\[t\] = λ·v\[t-1\] + I\[t\], fires at m ≥ threshold and is then 0. Both are the same with
//!
//! | Synfire | NIR |
//! |---|---|
//! | neurons, 0 ≤ λ < 1 | `LIF`: τ = dt/(1-λ), R = 1/(1-λ), v_leak = v_reset = 0, v_threshold = threshold |
//! | neurons, λ = 1 | `IF`: R = 1/dt, v_reset = 0, v_threshold = threshold |
//! | leaky integrators (`LIn`), λ < 1 | `LI`: τ and R as above, v_leak = 0 |
//! | convolution and batch norm | `Conv2d`, the batch norm folded into weight and bias |
//! | linear layer | `Affine` |
//! | mean pooling | `AvgPool2d`, or `SumPool2d` with the next weights divided |
//! | first linear layer behind images | `Flatten` in front of it |
//! | mean over a class's units | `Linear` |
//! | residual block | two edges into its last neurons: NIR adds them |
//! | dropout | nothing, as in inference |
//!
//! NIR's threshold is passed by v > v_threshold, Synfire's is reached by m ≥ threshold: a difference where both are equal to the last bit.
//! An output of Synfire's is the mean over time of what `Output` gets.
//!
//! NIR has neither a ReLU in front of neurons nor maxima: [`export`] refuses networks with them and says what to train instead.
//!
//! What other programs write may have other constants for each neuron: [`import`] scales the weights in front of it instead, which is the
//! same as long as v_leak and v_reset are 0. All neurons need the same λ.

mod export;
mod file;
mod graph;
mod import;

pub use export::{Pools, Resistance, Translation, export, export_described, left_to_others};
pub use file::{read, write};
pub use graph::{Graph, Metadata, Node, Pooling};
pub use import::{Imported, import};

/// The time step that most simulators take for granted, in seconds (SpikingJelly, snnTorch).
pub const DT: f64 = 1e-4;
