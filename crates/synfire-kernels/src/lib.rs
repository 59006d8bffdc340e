//! Synfire's CPU kernels: convolution, linear layers, batch norm, spiking neurons and pooling, forward and
//! backward, over plain slices.
//!
//! # Layout
//! Activations are `f32`, or `bf16` in memory ([`bf16::Element`]), or spikes as bits for convolutions
//! ([`source::Bits`]), and channels-last: a *frame* is
//! `[height, width, channels]`, and a batch of `T` time steps of `B` samples is
//! `[T·B, height, width, channels]`, time-major. Weights are in PyTorch's order,
//! `[out, in / groups, kernel height, kernel width]` for a convolution and `[out, in]` for a linear layer.
//! Every output slice is overwritten.
//!
//! # Instruction sets
//! Every function takes an [`Isa`](isa::Isa), which only detection builds; `Isa::detect()` is the fastest one.
//!
//! # Determinism
//! Work is spread over the threads of the current rayon pool, but what is summed with what, and in which order, is
//! fixed by the shapes alone: on one instruction set the result has the same bits whatever the number of threads.
//! Neurons, pooling and batch norm give the same bits on every instruction set too; convolutions and linear layers
//! do not, because some processors fuse a multiplication with an addition and others round in between.
//!
//! # Checking
//! [`mod@reference`] has each kernel once more as a plain loop in `f64`, which the tests compare against.

#[cfg(target_endian = "big")]
compile_error!("pairs of bf16 are written as two halves of a word, the lower one first");

mod aligned;
mod disjoint;
mod lens;
mod rows;
mod simd;

pub mod bf16;
pub mod block;
pub mod conv;
pub mod isa;
pub mod linear;
pub mod neuron;
pub mod norm;
pub mod peak;
pub mod pool;
mod prefetch;
pub mod reference;
pub mod source;
