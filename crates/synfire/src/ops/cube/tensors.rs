//! Tensors of the GPU backend as the kernels take them: contiguous, with their element types told apart.

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Units of a cube wherever no other number is called for.
pub(super) const UNITS: u32 = 256;

/// The tensor with its values one after another, in the order of its shape.
pub(super) fn contiguous(x: CubeTensor) -> CubeTensor {
    into_contiguous(x)
}

/// The same in another element type.
pub(super) fn converted(x: CubeTensor, dtype: DType) -> CubeTensor {
    if x.dtype == dtype { x } else { cast(x, dtype) }
}

/// The tensor in single precision, its values one after another.
pub(super) fn plain(x: CubeTensor) -> CubeTensor {
    contiguous(converted(x, DType::F32))
}

/// Memory for a tensor whose every value a kernel is going to write.
pub(super) fn empty(like: &CubeTensor, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
    let shape = shape.into();
    let handle = like.client.empty(shape.num_elements() * dtype.size());
    CubeTensor::new_contiguous(like.client.clone(), like.device.clone(), shape, handle, dtype)
}

/// The element type as kernels name it.
pub(super) fn element(x: &CubeTensor) -> ElemType {
    burn::backend::cubecl::dtype_to_storage_type(x.dtype)
}

/// Values of a tensor.
pub(super) fn len(x: &CubeTensor) -> usize {
    x.shape().num_elements()
}

/// The sum of `value` over the [`UNITS`] units of a cube, in an order that is always the same; every unit has it.
#[cube]
pub(super) fn sum_of_cube(value: f32) -> f32 {
    let mut sums = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    sums[UNIT_POS as usize] = value;
    sync_cube();
    let mut half = comptime!(UNITS as usize / 2).runtime();
    while half > 0 {
        if (UNIT_POS as usize) < half {
            let other = sums[UNIT_POS as usize + half];
            sums[UNIT_POS as usize] += other;
        }
        sync_cube();
        half /= 2;
    }
    sums[0]
}

/// Cubes of [`UNITS`] units for so many values, one each.
pub(super) fn cubes(x: &CubeTensor, values: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(UNITS);
    (cubecl::calculate_cube_count_elemwise(&x.client, values, dim), dim)
}
