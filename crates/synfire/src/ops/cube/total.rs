//! The sum of all values of a tensor, in one launch where a cube can do it, in two otherwise.

use super::tensors::{UNITS, empty, len, plain, sum_of_cube};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Values that one cube adds up.
const EACH: usize = 32 * UNITS as usize;

#[cube(launch)]
fn total_kernel(x: &[f32], out: &mut [f32], values: usize, #[comptime] squared: bool) {
    let stride = comptime!(UNITS as usize) * CUBE_COUNT_X as usize;
    let mut sum = 0.0f32;
    let mut i = CUBE_POS_X as usize * comptime!(UNITS as usize) + UNIT_POS as usize;
    while i < values {
        let value = x[i];
        sum += if comptime!(squared) { value * value } else { value };
        i += stride;
    }
    let all = sum_of_cube(sum);
    if UNIT_POS == 0 {
        out[CUBE_POS_X as usize] = all;
    }
}

/// [`SpikeKernels::total`](crate::ops::SpikeKernels::total).
pub(super) fn total(squared: bool, x: CubeTensor) -> CubeTensor {
    let x = plain(x);
    let values = len(&x);
    // Of at most as many as one cube adds up after.
    let cubes = values.div_ceil(EACH).clamp(1, EACH);
    let out = empty(&x, [cubes], DType::F32);
    let client = x.client.clone();
    total_kernel::launch(
        &client,
        CubeCount::new_1d(cubes as u32),
        CubeDim::new_1d(UNITS),
        x.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        values,
        squared,
    );
    if cubes == 1 { out } else { total(false, out) }
}
