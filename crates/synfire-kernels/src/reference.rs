//! The same functions as plain loops in `f64`, one thread, no blocking: what the kernels are checked against.
//!
//! They favour being obviously right over being fast. Shapes and meaning are those of the kernels of the same name,
//! where equations are given too.

mod conv;
mod neuron;
mod norm;
mod pool;
pub mod winograd;

pub use conv::{
    bias_grad, conv2d, conv2d_input_grad, conv2d_weight_grad, linear, linear_input_grad, linear_weight_grad,
};
pub use neuron::{lif, lif_backward};
pub use norm::{batch_norm, batch_norm_backward};
pub use pool::{avg_pool, avg_pool_backward, max_pool, max_pool_backward};
