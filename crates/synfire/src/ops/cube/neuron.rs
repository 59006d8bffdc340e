//! A layer of neurons: a unit is a neuron, its potential stays in a register from the first step to the last.

use super::tensors::{contiguous, cubes, element, empty, len, plain};
use crate::ops::{Lif, LifShape, Method};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// A neuron's constants as kernels take them.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Constants {
    pub(super) threshold: f32,
    pub(super) decay: f32,
    /// How much of the error of the next step crosses a spike.
    pub(super) alpha: f32,
}

impl ConstantsLaunch {
    pub(super) fn of(lif: &Lif) -> Self {
        let alpha = if lif.method == Method::Bpsta { lif.alpha } else { 0.0 };
        Self::new(lif.threshold, lif.decay, alpha)
    }
}

/// Whether the baseline's rules hold, which fires above the threshold and hears silent neurons.
pub(super) fn is_stbp(lif: &Lif) -> bool {
    lif.method == Method::Stbp
}

/// Whether a neuron of this potential fires.
#[cube]
pub(super) fn fires(membrane: f32, lif: &Constants, #[comptime] stbp: bool) -> bool {
    if comptime!(stbp) { membrane > lif.threshold } else { membrane >= lif.threshold }
}

/// The error of a potential from that of its spike and that of the next step's potential.
#[cube]
pub(super) fn error(membrane: f32, grad: f32, next: f32, lif: &Constants, #[comptime] stbp: bool) -> f32 {
    let carried = next * lif.decay;
    let fired = fires(membrane, lif, stbp);
    if comptime!(stbp) {
        // h·g + λ·next·(1 - s - m·h), h the rectangle around the threshold
        let distance = membrane - lif.threshold;
        let near = distance < 0.5f32 && distance > -0.5f32;
        select(fired, 0.0f32, carried) + select(near, grad - carried * membrane, 0.0f32)
    } else {
        // fired: (g + λ·α·next)/m, silent: λ·next. What fired is above zero: a squared inverse root takes a third of a
        // division's instructions.
        let root = membrane.inverse_sqrt();
        select(fired, (grad + carried * lif.alpha) * (root * root), carried)
    }
}

#[cube(launch)]
fn lif_kernel<F: Float>(
    current: &[F],
    spikes: &mut [F],
    membrane: &mut [F],
    neurons: usize,
    lif: Constants,
    #[comptime] steps: usize,
    #[comptime] constant: bool,
    #[comptime] stbp: bool,
    #[define(F)] _element: ElemType,
) {
    let neuron = ABSOLUTE_POS;
    if neuron < neurons {
        let mut held = 0.0f32;
        for t in 0..steps {
            let place = t * neurons + neuron;
            let input = if comptime!(constant) { neuron } else { place };
            let m = held * lif.decay + f32::cast_from(current[input]);
            let fired = fires(m, &lif, stbp);
            spikes[place] = F::cast_from(select(fired, 1.0f32, 0.0f32));
            membrane[place] = F::cast_from(m);
            held = select(fired, 0.0f32, m);
        }
    }
}

#[cube(launch)]
fn lif_backward_kernel<F: Float>(
    membrane: &[F],
    grad: &[F],
    out: &mut [F],
    neurons: usize,
    lif: Constants,
    #[comptime] steps: usize,
    #[comptime] constant: bool,
    #[comptime] stbp: bool,
    #[define(F)] _element: ElemType,
) {
    let neuron = ABSOLUTE_POS;
    if neuron < neurons {
        let mut next = 0.0f32;
        let mut sum = 0.0f32;
        for back in 0..steps {
            let place = (steps - 1 - back) * neurons + neuron;
            let m = f32::cast_from(membrane[place]);
            next = error(m, f32::cast_from(grad[place]), next, &lif, stbp);
            if comptime!(constant) {
                sum += next;
            } else {
                out[place] = F::cast_from(next);
            }
        }
        if comptime!(constant) {
            out[neuron] = F::cast_from(sum);
        }
    }
}

/// [`SpikeKernels::lif_forward`](crate::ops::SpikeKernels::lif_forward).
pub(super) fn forward(shape: LifShape, current: CubeTensor) -> (CubeTensor, CubeTensor) {
    let LifShape { steps, constant, lif } = shape;
    let current = plain(current);
    let mut out = current.meta.shape().clone();
    let neurons = len(&current) / if constant { 1 } else { steps };
    if constant {
        out[0] *= steps;
    }
    let [spikes, membrane] = [(); 2].map(|()| empty(&current, [steps * neurons], DType::F32));
    let (count, dim) = cubes(&current, neurons);
    let of = element(&current);
    lif_kernel::launch(
        &current.client.clone(),
        count,
        dim,
        current.into_buffer_arg(),
        spikes.clone().into_buffer_arg(),
        membrane.clone().into_buffer_arg(),
        neurons,
        ConstantsLaunch::of(&lif),
        steps,
        constant,
        is_stbp(&lif),
        of,
    );
    let shaped = |x| burn_cubecl::ops::reshape(x, out.clone());
    (shaped(spikes), shaped(membrane))
}

/// [`SpikeKernels::lif_backward`](crate::ops::SpikeKernels::lif_backward).
pub(super) fn backward(shape: LifShape, membrane: CubeTensor, grad: CubeTensor) -> CubeTensor {
    let LifShape { steps, constant, lif } = shape;
    let (membrane, grad) = (contiguous(membrane), plain(grad));
    let mut shape = membrane.meta.shape().clone();
    let neurons = len(&membrane) / steps;
    if constant {
        shape[0] /= steps;
    }
    let out = empty(&membrane, [shape.num_elements()], DType::F32);
    let (count, dim) = cubes(&membrane, neurons);
    let of = element(&membrane);
    lif_backward_kernel::launch(
        &membrane.client.clone(),
        count,
        dim,
        membrane.into_buffer_arg(),
        grad.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        neurons,
        ConstantsLaunch::of(&lif),
        steps,
        constant,
        is_stbp(&lif),
        of,
    );
    burn_cubecl::ops::reshape(out, shape)
}
