//! What a readout is made of: leaky integrators, and means over voters and over time.

use super::tensors::{cubes, empty, len, plain};
use crate::ops::{IntegratorShape, MeanShape};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

#[cube(launch)]
fn mean_kernel(x: &[f32], out: &mut [f32], means: usize, among: usize, inner: usize) {
    let i = ABSOLUTE_POS;
    if i < means {
        let first = i / inner * among * inner + i % inner;
        let mut sum = 0.0f32;
        for k in 0..among {
            sum += x[first + k * inner];
        }
        out[i] = sum / f32::cast_from(among as u32);
    }
}

#[cube(launch)]
fn mean_backward_kernel(grad: &[f32], out: &mut [f32], values: usize, among: usize, inner: usize) {
    let i = ABSOLUTE_POS;
    if i < values {
        let from = i / (among * inner) * inner + i % inner;
        out[i] = grad[from] / f32::cast_from(among as u32);
    }
}

#[cube(launch)]
fn integrate_kernel(
    current: &[f32],
    out: &mut [f32],
    units: usize,
    decay: f32,
    #[comptime] steps: usize,
    #[comptime] constant: bool,
) {
    let i = ABSOLUTE_POS;
    if i < units {
        let mut potential = 0.0f32;
        for t in 0..steps {
            let place = t * units + i;
            let from = if comptime!(constant) { i } else { place };
            potential = potential * decay + current[from];
            out[place] = potential;
        }
    }
}

#[cube(launch)]
fn integrate_backward_kernel(
    grad: &[f32],
    out: &mut [f32],
    units: usize,
    decay: f32,
    #[comptime] steps: usize,
    #[comptime] constant: bool,
) {
    let i = ABSOLUTE_POS;
    if i < units {
        let mut error = 0.0f32;
        let mut sum = 0.0f32;
        for back in 0..steps {
            let place = (steps - 1 - back) * units + i;
            error = error * decay + grad[place];
            if comptime!(constant) {
                sum += error;
            } else {
                out[place] = error;
            }
        }
        if comptime!(constant) {
            out[i] = sum;
        }
    }
}

/// [`SpikeKernels::mean_forward`](crate::ops::SpikeKernels::mean_forward).
pub(super) fn mean(s: MeanShape, x: CubeTensor) -> CubeTensor {
    let x = plain(x);
    let out = empty(&x, [s.outer * s.inner], DType::F32);
    let (count, dim) = cubes(&out, len(&out));
    let (means, client) = (len(&out), x.client.clone());
    let (x, to) = (x.into_buffer_arg(), out.clone().into_buffer_arg());
    mean_kernel::launch(&client, count, dim, x, to, means, s.among, s.inner);
    out
}

/// [`SpikeKernels::mean_backward`](crate::ops::SpikeKernels::mean_backward).
pub(super) fn mean_backward(s: MeanShape, grad: CubeTensor) -> CubeTensor {
    let grad = plain(grad);
    let out = empty(&grad, [s.outer * s.among * s.inner], DType::F32);
    let (count, dim) = cubes(&out, len(&out));
    let (values, client) = (len(&out), grad.client.clone());
    let (grad, to) = (grad.into_buffer_arg(), out.clone().into_buffer_arg());
    mean_backward_kernel::launch(&client, count, dim, grad, to, values, s.among, s.inner);
    out
}

/// [`SpikeKernels::integrate_forward`](crate::ops::SpikeKernels::integrate_forward).
pub(super) fn integrate(s: IntegratorShape, current: CubeTensor) -> CubeTensor {
    let current = plain(current);
    let units = len(&current) / if s.constant { 1 } else { s.steps };
    let out = empty(&current, [s.steps, units], DType::F32);
    let (count, dim) = cubes(&out, units);
    let client = current.client.clone();
    let (from, to) = (current.into_buffer_arg(), out.clone().into_buffer_arg());
    integrate_kernel::launch(&client, count, dim, from, to, units, s.decay, s.steps, s.constant);
    out
}

/// [`SpikeKernels::integrate_backward`](crate::ops::SpikeKernels::integrate_backward).
pub(super) fn integrate_backward(s: IntegratorShape, grad: CubeTensor) -> CubeTensor {
    let grad = plain(grad);
    let units = len(&grad) / s.steps;
    let out = empty(&grad, [if s.constant { 1 } else { s.steps }, units], DType::F32);
    let (count, dim) = cubes(&out, units);
    let client = grad.client.clone();
    let (from, to) = (grad.into_buffer_arg(), out.clone().into_buffer_arg());
    integrate_backward_kernel::launch(&client, count, dim, from, to, units, s.decay, s.steps, s.constant);
    out
}
