//! The gradients of a block: its potentials are gone through again, for the errors in front of the batch norm and their sums. With
//! the sums of all rows a second kernel makes of each error that of the batch norm's input, in its place.

#![allow(
    clippy::collapsible_if,
    reason = "what is known when a kernel is made stands apart from what it decides"
)]

use super::{Made, Place, Sizes, current, place, scale, sizes, windows, windows_of};
use crate::ops::cube::batch_norm::{masked, parameters, spread};
use crate::ops::cube::neuron::{Constants, ConstantsLaunch, error, fires};
use crate::ops::cube::norm::{LANES, ROWS, add_rows, pieces};
use crate::ops::cube::tensors::{contiguous, element, empty};
use crate::ops::{BlockConfig, Stats};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Whether the bit of step `t` is set in its word.
#[cube]
fn has(word: u32, t: usize) -> bool {
    (word >> (t % 32) as u32) & 1u32 == 1u32
}

/// Goes through the potentials of one pixel: normalised inputs and potentials of all steps.
#[cube]
fn replay<F: Float>(
    z: &[F],
    mean: &[f32],
    variance: &[f32],
    gamma: f32,
    beta: f32,
    at: &Place,
    pixel: usize,
    normals: &mut Array<f32>,
    membranes: &mut Array<f32>,
    s: &Sizes,
    lif: &Constants,
    #[comptime] made: Made,
) {
    let frame = s.height * s.width * s.channels;
    let (y, x) = (at.top + pixel / made.side, at.left + pixel % made.side);
    let within = (y * s.width + x) * s.channels + at.channel;
    let mut held = 0.0f32;
    #[unroll(made.unrolled())]
    for t in 0..made.steps {
        let (m, r) = scale(mean, variance, t, at.channel, s, made.joint);
        let step = if comptime!(made.constant) { 0usize.runtime() } else { t * s.batch };
        let value = f32::cast_from(z[(step + at.sample) * frame + within]);
        let normal = (value - m) * r;
        let membrane = held * lif.decay + current(normal, gamma, beta, made.relu);
        held = select(fires(membrane, lif, made.stbp), 0.0f32, membrane);
        normals[t] = normal;
        membranes[t] = membrane;
    }
}

/// The errors of one pixel's currents, in place of its potentials: of each step, or their sum at step 0 where the current is
/// constant. `taken` holds the steps at which a pixel before this one in the window has taken the error of a maximum, and
/// `any` those at which any pixel fired.
#[cube]
fn errors<G: Float>(
    grad: &[G],
    gamma: f32,
    beta: f32,
    at: &Place,
    pixel: usize,
    normals: &Array<f32>,
    membranes: &mut Array<f32>,
    taken: &mut Array<u32>,
    any: &Array<u32>,
    s: &Sizes,
    lif: &Constants,
    #[comptime] made: Made,
) {
    let out_frame = (s.height / made.side) * (s.width / made.side) * s.channels;
    let mut next = 0.0f32;
    let mut sum = 0.0f32;
    #[unroll(made.unrolled())]
    for back in 0..made.steps {
        let t = made.steps - 1 - back;
        let membrane = membranes[t];
        let mut share = 0.0f32;
        if at.whole {
            let whole = f32::cast_from(grad[t * s.batch * out_frame + at.out]);
            if comptime!(made.max) {
                let fired = fires(membrane, lif, made.stbp);
                // Of equal values the first takes the error: the first that fired, or the first of all.
                let mut takes = fired && !has(taken[t / 32], t);
                if comptime!(made.stbp) {
                    takes = takes || (pixel == 0 && !has(any[t / 32], t));
                }
                share = select(takes, whole, 0.0f32);
                if fired {
                    taken[t / 32] |= 1u32 << (t % 32) as u32;
                }
            } else {
                share = whole / comptime!((made.side * made.side) as f32);
            }
        }
        next = error(membrane, share, next, lif, made.stbp);
        if comptime!(made.constant) {
            sum += next;
        } else {
            membranes[t] = masked(next, normals[t], gamma, beta, made.relu);
        }
    }
    if comptime!(made.constant) {
        membranes[0] = masked(sum, normals[0], gamma, beta, made.relu);
    }
}

/// The steps at which any pixel of the window fired, where silence is heard: there the first pixel of a window takes the error of a
/// step at which none fired. Elsewhere nobody asks.
#[cube]
fn fired_at<F: Float>(
    z: &[F],
    mean: &[f32],
    variance: &[f32],
    gamma: f32,
    beta: f32,
    at: &Place,
    normals: &mut Array<f32>,
    membranes: &mut Array<f32>,
    any: &mut Array<u32>,
    s: &Sizes,
    lif: &Constants,
    #[comptime] made: Made,
) {
    if comptime!(made.stbp && made.max) {
        if at.whole {
            for pixel in 0..comptime!(made.side * made.side) {
                replay::<F>(z, mean, variance, gamma, beta, at, pixel, normals, membranes, s, lif, made);
                #[unroll(made.unrolled())]
                for t in 0..made.steps {
                    if fires(membranes[t], lif, made.stbp) {
                        any[t / 32] |= 1u32 << (t % 32) as u32;
                    }
                }
            }
        }
    }
}

/// Goes through one pixel's potentials, and back: its errors take the place of the potentials.
#[cube]
fn there_and_back<F: Float, G: Float>(
    z: &[F],
    mean: &[f32],
    variance: &[f32],
    gamma: f32,
    beta: f32,
    grad: &[G],
    at: &Place,
    pixel: usize,
    normals: &mut Array<f32>,
    membranes: &mut Array<f32>,
    taken: &mut Array<u32>,
    any: &Array<u32>,
    s: &Sizes,
    lif: &Constants,
    #[comptime] made: Made,
) {
    replay::<F>(z, mean, variance, gamma, beta, at, pixel, normals, membranes, s, lif, made);
    errors::<G>(grad, gamma, beta, at, pixel, &*normals, membranes, taken, any, s, lif, made);
}

#[cube(launch)]
fn errors_kernel<F: Float, G: Float>(
    z: &[F],
    mean: &[f32],
    variance: &[f32],
    gamma: &[f32],
    beta: &[f32],
    grad: &[G],
    out: &mut [F],
    sums: &mut [f32],
    products: &mut [f32],
    s: Sizes,
    lif: Constants,
    #[comptime] made: Made,
    #[define(F, G)] _elements: [ElemType; 2],
) {
    let side = comptime!(made.side);
    let statistics = comptime!(if made.joint { 1 } else { made.steps });
    let present = comptime!(if made.constant { 1 } else { made.steps });
    let windows = windows_of(&s, side);
    let frame = s.height * s.width * s.channels;
    let channel = CUBE_POS_X as usize * comptime!(LANES) + UNIT_POS_X as usize;
    let pieces = CUBE_COUNT_Y as usize;
    let mut sum = Array::<f32>::new(statistics);
    let mut product = Array::<f32>::new(statistics);
    if channel < s.channels {
        let (g, b) = (gamma[channel], beta[channel]);
        let mut window = CUBE_POS_Y as usize * comptime!(ROWS) + UNIT_POS_Y as usize;
        while window < windows {
            let at = place(window, channel, &s, side);
            let mut normals = Array::<f32>::new(made.steps);
            let mut membranes = Array::<f32>::new(made.steps);
            let mut taken = Array::<u32>::new(comptime!(made.steps.div_ceil(32)));
            let mut any = Array::<u32>::new(comptime!(made.steps.div_ceil(32)));
            fired_at::<F>(
                z,
                mean,
                variance,
                g,
                b,
                &at,
                &mut normals,
                &mut membranes,
                &mut any,
                &s,
                &lif,
                made,
            );
            for pixel in 0..comptime!(made.side * made.side) {
                let (y, x) = (at.top + pixel / side, at.left + pixel % side);
                if y < s.height && x < s.width {
                    there_and_back::<F, G>(
                        z,
                        mean,
                        variance,
                        g,
                        b,
                        grad,
                        &at,
                        pixel,
                        &mut normals,
                        &mut membranes,
                        &mut taken,
                        &any,
                        &s,
                        &lif,
                        made,
                    );
                    #[unroll(made.unrolled())]
                    for t in 0..present {
                        let to = if comptime!(made.joint) { 0usize.runtime() } else { t };
                        let place =
                            (t * s.batch + at.sample) * frame + (y * s.width + x) * s.channels + channel;
                        let error = F::cast_from(membranes[t]);
                        out[place] = error;
                        // The sums are those of what is written, rounded or not: what is spread adds up to nothing then.
                        let error = f32::cast_from(error);
                        sum[to] += error;
                        product[to] += error * normals[t];
                    }
                }
            }
            window += pieces * comptime!(ROWS);
        }
    }
    let mut sums_of_units = Shared::<[f32]>::new_slice(comptime!(LANES * ROWS));
    #[unroll(made.unrolled())]
    for step in 0..statistics {
        let all = add_rows(sum[step], &mut sums_of_units);
        let all_products = add_rows(product[step], &mut sums_of_units);
        if UNIT_POS_Y == 0 && channel < s.channels {
            let to = (step * pieces + CUBE_POS_Y as usize) * s.channels + channel;
            sums[to] = all;
            products[to] = all_products;
        }
    }
}

/// [`SpikeKernels::block_backward`](crate::ops::SpikeKernels::block_backward).
pub(in crate::ops::cube) fn backward(
    config: BlockConfig,
    z: CubeTensor,
    stats: Stats<CubeTensor>,
    gamma: CubeTensor,
    beta: CubeTensor,
    grad: CubeTensor,
) -> [CubeTensor; 3] {
    let shape = config.shape;
    let norm = shape.norm();
    let (z, grad) = (contiguous(z), contiguous(grad));
    let [mean, variance, gamma, beta] = parameters(&stats, gamma, beta);
    let made = Made::of(&config);
    let windows = windows(&config);
    let groups = shape.channels.div_ceil(LANES);
    // A window is far more work than a row.
    let pixels = shape.pool.side().pow(2);
    let pieces = pieces(windows * pixels, groups).min(windows.div_ceil(ROWS).max(1));
    let sizes_of_parts = [norm.steps, pieces, shape.channels];
    let [sums, products] = [(); 2].map(|()| empty(&z, sizes_of_parts, DType::F32));
    let out = empty(&z, z.meta.shape().dims::<4>(), z.dtype);
    let (client, of) = (z.client.clone(), [element(&z), element(&grad)]);
    errors_kernel::launch(
        &client,
        CubeCount::new_2d(groups as u32, pieces as u32),
        CubeDim::new_2d(LANES as u32, ROWS as u32),
        z.clone().into_buffer_arg(),
        mean.clone().into_buffer_arg(),
        variance.clone().into_buffer_arg(),
        gamma.clone().into_buffer_arg(),
        beta.into_buffer_arg(),
        grad.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        products.clone().into_buffer_arg(),
        sizes(&config),
        ConstantsLaunch::of(&config.lif),
        made,
        of,
    );
    spread(&norm, [z, mean, variance, gamma], [sums, products], sizes_of_parts, out, config.eps)
}
