//! Convolutions and linear layers, by [`product`](super::product).

use super::product::{Pass, product};
use super::tensor::WIDE;
use super::tensors::{contiguous, converted};
use crate::ops::{ConvConfig, ConvShape, LinearShape, Precision, portable};
use burn::backend::Cube;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape, Slice};
use burn_cubecl::ops::{permute, reshape};
use burn_cubecl::tensor::CubeTensor;

/// What a convolution multiplies.
fn element(s: &ConvShape) -> DType {
    match s.precision {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
    }
}

/// The same convolution with channels of zeros behind those of the input, so that tensor cores can take it: frames of events
/// have two channels.
fn widened(s: &ConvShape) -> ConvShape {
    match s.precision {
        Precision::F32 => *s,
        Precision::Bf16 => ConvShape { in_channels: s.in_channels.next_multiple_of(WIDE), ..*s },
    }
}

/// `[…, channels]` with `more` channels of zeros.
fn with_zeros(x: CubeTensor, more: usize) -> CubeTensor {
    if more == 0 {
        return x;
    }
    let mut shape = x.meta.shape().clone();
    let last = shape.num_dims() - 1;
    shape[last] = more;
    let zeros = Cube::float_zeros(shape, &x.device, x.dtype.into());
    Cube::float_cat(vec![x, zeros], last)
}

/// Frames as they are multiplied.
fn frames(s: &ConvShape, x: CubeTensor) -> CubeTensor {
    with_zeros(converted(x, element(s)), widened(s).in_channels - s.in_channels)
}

/// Weights from PyTorch's order, `[N, C, kh, kw]`, to channels last, as they are multiplied.
fn weights(s: &ConvShape, weight: CubeTensor) -> CubeTensor {
    let [kh, kw] = s.kernel;
    let weight = reshape(weight, [s.out_channels, s.in_channels, kh, kw].into());
    frames(s, contiguous(permute(weight, &[0, 2, 3, 1])))
}

/// Their gradient, `[N, kh·kw·C]`, back.
fn from_channels_last(s: &ConvShape, grad: CubeTensor) -> CubeTensor {
    let [kh, kw] = s.kernel;
    let grad = reshape(grad, [s.out_channels, kh, kw, widened(s).in_channels].into());
    let grad = contiguous(permute(first_channels(grad, s.in_channels), &[0, 3, 1, 2]));
    reshape(grad, [s.weight_len()].into())
}

/// The first channels of `[…, …, …, channels]`.
fn first_channels(x: CubeTensor, channels: usize) -> CubeTensor {
    if x.meta.shape()[3] == channels {
        return x;
    }
    let all = || Slice::from(..);
    Cube::float_slice(x, &[all(), all(), all(), Slice::from(0..channels)])
}

/// [`SpikeKernels::conv2d_forward`](crate::ops::SpikeKernels::conv2d_forward).
pub(super) fn forward(s: ConvShape, x: CubeTensor, weight: CubeTensor, bias: CubeTensor) -> CubeTensor {
    if s.groups != 1 {
        return portable::conv2d::<Cube>(s, converted(x, DType::F32), weight, bias);
    }
    let (x, weight) = (frames(&s, x), weights(&s, weight));
    let y = product(&widened(&s), Pass::Forward, x, weight, Some(bias), element(&s));
    reshape(y, [s.frames, s.out_height(), s.out_width(), s.out_channels].into())
}

/// [`SpikeKernels::conv2d_input_grad`](crate::ops::SpikeKernels::conv2d_input_grad).
pub(super) fn input_grad(
    config: ConvConfig,
    x: CubeTensor,
    weight: CubeTensor,
    grad: CubeTensor,
) -> CubeTensor {
    let s = config.shape;
    let values = x.dtype;
    if s.groups != 1 {
        let found = portable::conv2d_input_grad::<Cube>(s, x, weight, converted(grad, DType::F32));
        return converted(found, values);
    }
    let wide = widened(&s);
    let grad = converted(grad, element(&s));
    let found = product(&wide, Pass::InputGrad, grad, weights(&s, weight), None, values);
    let found = reshape(found, Shape::from([s.frames, s.height, s.width, wide.in_channels]));
    contiguous(first_channels(found, s.in_channels))
}

/// [`SpikeKernels::conv2d_weight_grad`](crate::ops::SpikeKernels::conv2d_weight_grad).
pub(super) fn weight_grad(s: ConvShape, x: CubeTensor, grad: CubeTensor) -> CubeTensor {
    if s.groups != 1 {
        let [x, grad] = [x, grad].map(|x| converted(x, DType::F32));
        return portable::conv2d_weight_grad::<Cube>(s, x, grad);
    }
    let grad = converted(grad, element(&s));
    from_channels_last(&s, product(&widened(&s), Pass::WeightGrad, grad, frames(&s, x), None, DType::F32))
}

/// A linear layer is a convolution of frames of one pixel.
fn as_conv(s: &LinearShape) -> ConvShape {
    synfire_kernels::linear::shape(s.rows, s.inputs, s.outputs)
}

/// [`SpikeKernels::linear_forward`](crate::ops::SpikeKernels::linear_forward).
pub(super) fn linear(s: LinearShape, x: CubeTensor, weight: CubeTensor, bias: CubeTensor) -> CubeTensor {
    product(&as_conv(&s), Pass::Forward, x, weight, Some(bias), DType::F32)
}

/// [`SpikeKernels::linear_input_grad`](crate::ops::SpikeKernels::linear_input_grad).
pub(super) fn linear_input_grad(s: LinearShape, grad: CubeTensor, weight: CubeTensor) -> CubeTensor {
    product(&as_conv(&s), Pass::InputGrad, grad, weight, None, DType::F32)
}

/// [`SpikeKernels::linear_weight_grad`](crate::ops::SpikeKernels::linear_weight_grad).
pub(super) fn linear_weight_grad(s: LinearShape, x: CubeTensor, grad: CubeTensor) -> CubeTensor {
    let found = product(&as_conv(&s), Pass::WeightGrad, grad, x, None, DType::F32);
    reshape(found, [s.outputs * s.inputs].into())
}
