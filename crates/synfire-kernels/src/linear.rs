//! Linear layers: a 1x1 convolution over the rows.
//!
//! ```text
//! y[r, o] = Σ_i x[r, i]·weight[o, i] + bias[o]
//! ```

use crate::bf16::Precision;
use crate::conv::{ConvShape, conv2d, conv2d_input_grad, conv2d_weight_grad};
use crate::isa::Isa;

/// The convolution that a linear layer is computed as. Every row is a frame of one pixel: the convolution puts small frames
/// together, and spreads them over the threads.
pub fn shape(rows: usize, inputs: usize, outputs: usize) -> ConvShape {
    ConvShape {
        frames: rows,
        height: 1,
        width: 1,
        in_channels: inputs,
        out_channels: outputs,
        kernel: [1, 1],
        stride: [1, 1],
        padding: [0, 0],
        groups: 1,
        precision: Precision::F32,
    }
}

/// The output of a linear layer.
///
/// ```text
/// x      [rows, inputs]
/// weight [outputs, inputs]
/// bias   [outputs]
/// y      [rows, outputs]  written
/// ```
///
/// # Panics
/// Where lengths do not fit.
#[expect(clippy::too_many_arguments, reason = "the sizes and slices of the formula, each by its name")]
pub fn linear(
    isa: Isa,
    rows: usize,
    inputs: usize,
    outputs: usize,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    conv2d(isa, &shape(rows, inputs, outputs), x, weight, bias, y);
}

/// The error of the input of [`linear`].
///
/// ```text
/// grad_y [rows, outputs]
/// weight [outputs, inputs]
/// grad_x [rows, inputs]  written
/// ```
///
/// # Panics
/// Where lengths do not fit.
pub fn linear_input_grad(
    isa: Isa,
    rows: usize,
    inputs: usize,
    outputs: usize,
    grad_y: &[f32],
    weight: &[f32],
    grad_x: &mut [f32],
) {
    conv2d_input_grad(isa, &shape(rows, inputs, outputs), grad_y, weight, None::<&[f32]>, grad_x);
}

/// The error of the weight of [`linear`]; that of the bias is [`crate::conv::bias_grad`].
///
/// ```text
/// x      [rows, inputs]
/// grad_y [rows, outputs]
/// grad_w [outputs, inputs]  written
/// ```
///
/// # Panics
/// Where lengths do not fit.
pub fn linear_weight_grad(
    isa: Isa,
    rows: usize,
    inputs: usize,
    outputs: usize,
    x: &[f32],
    grad_y: &[f32],
    grad_w: &mut [f32],
) {
    conv2d_weight_grad(isa, &shape(rows, inputs, outputs), x, grad_y, grad_w);
}
