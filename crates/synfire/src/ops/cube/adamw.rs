//! AdamW: a unit is a weight. As operations of their own its terms would be a dozen kernels for each parameter.

use super::tensors::{contiguous, cubes, empty, len};
use crate::ops::AdamWStep;
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// [`AdamWStep`] as the kernel takes it.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Rule {
    rate: f32,
    keep: f32,
    beta_1: f32,
    beta_2: f32,
    eps: f32,
    correction_1: f32,
    correction_2: f32,
}

#[cube(launch)]
fn adamw_kernel(
    value: &[f32],
    grad: &[f32],
    moment_1: &[f32],
    moment_2: &[f32],
    new_value: &mut [f32],
    new_moment_1: &mut [f32],
    new_moment_2: &mut [f32],
    weights: usize,
    rule: Rule,
) {
    let i = ABSOLUTE_POS;
    if i < weights {
        let g = grad[i];
        let first = moment_1[i] * rule.beta_1 + g * (1.0f32 - rule.beta_1);
        let second = moment_2[i] * rule.beta_2 + g * g * (1.0f32 - rule.beta_2);
        let size = (second / rule.correction_2).sqrt() + rule.eps;
        new_moment_1[i] = first;
        new_moment_2[i] = second;
        new_value[i] = value[i] * rule.keep - first / rule.correction_1 / size * rule.rate;
    }
}

/// [`SpikeKernels::adamw`](crate::ops::SpikeKernels::adamw).
pub(super) fn adamw(step: AdamWStep, tensors: [CubeTensor; 4]) -> [CubeTensor; 3] {
    let [value, grad, moment_1, moment_2] = tensors.map(contiguous);
    let weights = len(&value);
    let new = [(); 3].map(|()| empty(&value, [weights], DType::F32));
    let [new_value, new_moment_1, new_moment_2] = new.clone();
    let (count, dim) = cubes(&value, weights);
    adamw_kernel::launch(
        &value.client.clone(),
        count,
        dim,
        value.into_buffer_arg(),
        grad.into_buffer_arg(),
        moment_1.into_buffer_arg(),
        moment_2.into_buffer_arg(),
        new_value.into_buffer_arg(),
        new_moment_1.into_buffer_arg(),
        new_moment_2.into_buffer_arg(),
        weights,
        RuleLaunch::new(
            step.rate,
            step.keep,
            step.betas[0],
            step.betas[1],
            step.eps,
            step.corrections[0],
            step.corrections[1],
        ),
    );
    new
}
