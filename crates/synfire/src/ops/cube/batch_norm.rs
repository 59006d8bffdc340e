//! A batch norm that no neurons stand behind, as in the residual blocks, and what the gradients of every batch norm end with.
//!
//! On the way back one kernel takes the errors in front of the ReLU and their sums, a second makes of each error that of the
//! batch norm's input, in its place.

use super::norm::{LANES, ROWS, add_pieces, add_rows, pieces};
use super::tensors::{UNITS, contiguous, element, empty, plain};
use crate::ops::{NormConfig, NormShape, Stats, portable};
use burn::backend::Cube;
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// How a kernel that takes neighbouring channels as a vector is started.
struct Launch {
    /// Channels of a vector.
    wide: usize,
    /// Vectors of a row.
    vectors: usize,
    count: CubeCount,
    dim: CubeDim,
}

impl Launch {
    fn of(norm: &NormShape, x: &CubeTensor) -> Self {
        let widest = 16 / x.dtype.size();
        let fits = |n: &usize| n.is_power_of_two() && norm.channels.is_multiple_of(*n);
        let wide = (1..=widest).rev().find(fits).unwrap_or(1);
        let vectors = norm.channels / wide;
        let lanes = vectors.next_power_of_two().min(LANES);
        let groups = vectors.div_ceil(lanes);
        let pieces = pieces(norm.rows * lanes / LANES, groups * norm.steps);
        Self {
            wide,
            vectors,
            count: CubeCount::new_3d(groups as u32, pieces as u32, norm.steps as u32),
            dim: CubeDim::new_2d(lanes as u32, UNITS / lanes as u32),
        }
    }
}

#[cube(launch)]
fn normalise_kernel<N: Size>(
    x: &[Vector<f32, N>],
    mean: &[Vector<f32, N>],
    variance: &[Vector<f32, N>],
    gamma: &[Vector<f32, N>],
    beta: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    rows: usize,
    channels: usize,
    eps: f32,
    #[comptime] relu: bool,
) {
    let channel = (CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X) as usize;
    let step = CUBE_POS_Z as usize;
    if channel < channels {
        let of_step = step * channels + channel;
        let mean = mean[of_step];
        let scale = (variance[of_step] + Vector::new(eps)).inverse_sqrt() * gamma[channel];
        let beta = beta[channel];
        let mut row = (CUBE_POS_Y * CUBE_DIM_Y + UNIT_POS_Y) as usize;
        let stride = (CUBE_COUNT_Y * CUBE_DIM_Y) as usize;
        while row < rows {
            let place = (step * rows + row) * channels + channel;
            let y = (x[place] - mean) * scale + beta;
            if comptime!(relu) {
                // `max` would turn NaN into 0 and hide it.
                let zero = Vector::new(0.0f32);
                out[place] = select_many(y.less_than(&zero), zero, y);
            } else {
                out[place] = y;
            }
            row += stride;
        }
    }
}

/// [`SpikeKernels::normalise`](crate::ops::SpikeKernels::normalise).
pub(super) fn normalise(
    config: NormConfig,
    x: CubeTensor,
    stats: &Stats<CubeTensor>,
    gamma: CubeTensor,
    beta: CubeTensor,
) -> CubeTensor {
    let NormConfig { shape, eps, relu } = config;
    let x = contiguous(x);
    let [mean, variance, gamma, beta] =
        [stats.mean.clone(), stats.variance.clone(), gamma, beta].map(contiguous);
    let out = empty(&x, x.meta.shape().clone(), DType::F32);
    let (client, launch) = (x.client.clone(), Launch::of(&shape, &x));
    normalise_kernel::launch(
        &client,
        launch.count,
        launch.dim,
        launch.wide,
        x.into_buffer_arg(),
        mean.into_buffer_arg(),
        variance.into_buffer_arg(),
        gamma.into_buffer_arg(),
        beta.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        shape.rows,
        launch.vectors,
        eps,
        relu,
    );
    out
}

/// What a batch norm needs, as kernels take it.
pub(super) fn parameters(stats: &Stats<CubeTensor>, gamma: CubeTensor, beta: CubeTensor) -> [CubeTensor; 4] {
    [stats.mean.clone(), stats.variance.clone(), gamma, beta].map(contiguous)
}

/// The error in front of the ReLU.
#[cube]
pub(super) fn masked(error: f32, normal: f32, gamma: f32, beta: f32, #[comptime] relu: bool) -> f32 {
    if comptime!(relu) { select(normal * gamma + beta <= 0.0f32, 0.0f32, error) } else { error }
}

#[cube(launch)]
fn masked_kernel(
    x: &[f32],
    mean: &[f32],
    variance: &[f32],
    gamma: &[f32],
    beta: &[f32],
    grad: &[f32],
    out: &mut [f32],
    sums: &mut [f32],
    products: &mut [f32],
    rows: usize,
    channels: usize,
    eps: f32,
    #[comptime] relu: bool,
) {
    let channel = CUBE_POS_X as usize * comptime!(LANES) + UNIT_POS_X as usize;
    let piece = CUBE_POS_Y as usize;
    let pieces = CUBE_COUNT_Y as usize;
    let step = CUBE_POS_Z as usize;
    let mut sums_of_units = Shared::<[f32]>::new_slice(comptime!(LANES * ROWS));
    let mut sum = 0.0f32;
    let mut product = 0.0f32;
    if channel < channels {
        let of_step = step * channels + channel;
        let (m, r) = (mean[of_step], (variance[of_step] + eps).inverse_sqrt());
        let (g, b) = (gamma[channel], beta[channel]);
        let mut row = piece * comptime!(ROWS) + UNIT_POS_Y as usize;
        while row < rows {
            let place = (step * rows + row) * channels + channel;
            let normal = (x[place] - m) * r;
            let error = masked(grad[place], normal, g, b, relu);
            out[place] = error;
            sum += error;
            product += error * normal;
            row += pieces * comptime!(ROWS);
        }
    }
    let to = (step * pieces + piece) * channels + channel;
    let all = add_rows(sum, &mut sums_of_units);
    let all_products = add_rows(product, &mut sums_of_units);
    if UNIT_POS_Y == 0 && channel < channels {
        sums[to] = all;
        products[to] = all_products;
    }
}

/// [`SpikeKernels::batch_norm_backward`](crate::ops::SpikeKernels::batch_norm_backward).
pub(super) fn backward(
    config: NormConfig,
    x: CubeTensor,
    stats: Stats<CubeTensor>,
    gamma: CubeTensor,
    beta: CubeTensor,
    grad: CubeTensor,
) -> [CubeTensor; 3] {
    let NormConfig { shape, eps, relu } = config;
    let (x, grad) = (plain(x), plain(grad));
    let [mean, variance, gamma, beta] = parameters(&stats, gamma, beta);
    let groups = shape.channels.div_ceil(LANES);
    let sizes_of_parts = [shape.steps, pieces(shape.rows, groups * shape.steps), shape.channels];
    let [sums, products] = [(); 2].map(|()| empty(&x, sizes_of_parts, DType::F32));
    let out = empty(&x, x.meta.shape().clone(), DType::F32);
    let client = x.client.clone();
    masked_kernel::launch(
        &client,
        CubeCount::new_3d(groups as u32, sizes_of_parts[1] as u32, shape.steps as u32),
        CubeDim::new_2d(LANES as u32, ROWS as u32),
        x.clone().into_buffer_arg(),
        mean.clone().into_buffer_arg(),
        variance.clone().into_buffer_arg(),
        gamma.clone().into_buffer_arg(),
        beta.into_buffer_arg(),
        grad.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        products.clone().into_buffer_arg(),
        shape.rows,
        shape.channels,
        eps,
        relu,
    );
    spread(&shape, [x, mean, variance, gamma], [sums, products], sizes_of_parts, out, eps)
}

/// Makes of the errors in front of a batch norm, `[steps, rows, channels]`, those of its input: each loses its share of what
/// they have in common with the mean and with the variance. Channels are counted in vectors.
#[cube(launch)]
fn spread_kernel<F: Float, N: Size>(
    x: &[Vector<F, N>],
    mean: &[Vector<f32, N>],
    variance: &[Vector<f32, N>],
    gamma: &[Vector<f32, N>],
    sums: &[Vector<f32, N>],
    products: &[Vector<f32, N>],
    errors: &mut [Vector<F, N>],
    rows: usize,
    channels: usize,
    eps: f32,
    share: f32,
    #[define(F)] _element: ElemType,
) {
    let channel = (CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X) as usize;
    let step = CUBE_POS_Z as usize;
    if channel < channels {
        let of_step = step * channels + channel;
        let mean = mean[of_step];
        let inverse = (variance[of_step] + Vector::new(eps)).inverse_sqrt();
        let scale = inverse * gamma[channel];
        let common = sums[of_step] * scale * Vector::new(share);
        let along = products[of_step] * scale * inverse * Vector::new(share);
        let mut row = (CUBE_POS_Y * CUBE_DIM_Y + UNIT_POS_Y) as usize;
        let stride = (CUBE_COUNT_Y * CUBE_DIM_Y) as usize;
        while row < rows {
            let place = (step * rows + row) * channels + channel;
            let distance = Vector::<f32, N>::cast_from(x[place]) - mean;
            let error = Vector::<f32, N>::cast_from(errors[place]);
            errors[place] = Vector::cast_from(error * scale - (common + along * distance));
            row += stride;
        }
    }
}

/// Turns the errors in front of a batch norm into those of its input `x`, and the sums of pieces of these errors and of their products with
/// what is normalised into the gradients of `gamma` and `beta`.
pub(super) fn spread(
    norm: &NormShape,
    [x, mean, variance, gamma]: [CubeTensor; 4],
    parts: [CubeTensor; 2],
    sizes_of_parts: [usize; 3],
    errors: CubeTensor,
    eps: f32,
) -> [CubeTensor; 3] {
    let [sums, products] = parts.map(|parts| add_pieces(parts, sizes_of_parts));
    let over_steps = |v: &CubeTensor| add_pieces(v.clone(), [1, norm.steps, norm.channels]);
    let (for_gamma, for_beta) = (over_steps(&products), over_steps(&sums));
    let (sums, products, all_rows) = portable::of_all_rows::<Cube>(norm, sums, products);
    let (client, of, launch) = (x.client.clone(), element(&x), Launch::of(norm, &x));
    spread_kernel::launch(
        &client,
        launch.count,
        launch.dim,
        launch.wide,
        x.into_buffer_arg(),
        mean.into_buffer_arg(),
        variance.into_buffer_arg(),
        gamma.into_buffer_arg(),
        sums.into_buffer_arg(),
        products.into_buffer_arg(),
        errors.clone().into_buffer_arg(),
        norm.rows,
        launch.vectors,
        eps,
        (1.0 / all_rows) as f32,
        of,
    );
    [errors, for_gamma, for_beta]
}
