//! Batch norm, ReLU, neurons and pooling in one kernel forward, and in two backward.
//!
//! A unit is one pooling window of one channel, over all time steps. Backward goes through the window's potentials again,
//! pixel by pixel: first for the sums that the batch norm's gradient needs, then for the errors, as on the CPU. Windows at
//! the edge that are not whole have no output, but neurons, which fire and take part in the statistics.

mod backward;

pub(super) use backward::backward;

use super::batch_norm::parameters;
use super::neuron::{Constants, ConstantsLaunch, fires, is_stbp};
use super::norm::{LANES, add_pieces};
use super::tensors::{contiguous, cubes, element, empty, len, sum_of_cube};
use crate::ops::{BlockConfig, Pool, Stats};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Sizes of frames and what scales a channel, as kernels take them.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Sizes {
    batch: usize,
    height: usize,
    width: usize,
    channels: usize,
    eps: f32,
}

/// What a kernel is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Made {
    steps: usize,
    /// Side of the window.
    side: usize,
    max: bool,
    /// The input is given once.
    constant: bool,
    /// All steps share their statistics.
    joint: bool,
    relu: bool,
    stbp: bool,
}

impl Made {
    fn of(config: &BlockConfig) -> Self {
        let shape = &config.shape;
        Self {
            steps: shape.steps,
            side: shape.pool.side(),
            max: matches!(shape.pool, Pool::Max(_)),
            constant: shape.constant,
            joint: shape.joint || shape.constant,
            relu: config.relu,
            stbp: is_stbp(&config.lif),
        }
    }

    /// A unit's values of all steps are registers where there are few of them.
    fn unrolled(&self) -> bool {
        self.steps <= 16
    }
}

/// Where a unit works.
#[derive(CubeType, Clone, Copy)]
struct Place {
    sample: usize,
    top: usize,
    left: usize,
    channel: usize,
    /// Where its output is within a step, if its window is whole.
    out: usize,
    whole: bool,
}

/// Windows of a batch, whole or not.
#[cube]
fn windows_of(s: &Sizes, #[comptime] side: usize) -> usize {
    let across = (s.width + comptime!(side - 1)) / side;
    let down = (s.height + comptime!(side - 1)) / side;
    s.batch * down * across
}

#[cube]
fn place(window: usize, channel: usize, s: &Sizes, #[comptime] side: usize) -> Place {
    let across = (s.width + comptime!(side - 1)) / side;
    let down = (s.height + comptime!(side - 1)) / side;
    let column = window % across;
    let rest = window / across;
    let row = rest % down;
    let sample = rest / down;
    let (out_height, out_width) = (s.height / side, s.width / side);
    Place {
        sample,
        top: row * side,
        left: column * side,
        channel,
        out: ((sample * out_height + row) * out_width + column) * s.channels + channel,
        whole: row < out_height && column < out_width,
    }
}

/// What a channel is scaled with at a step: the mean, and the inverse of the standard deviation. An inverse root is one
/// instruction where a root and a division are twenty.
#[cube]
fn scale(
    mean: &[f32],
    variance: &[f32],
    t: usize,
    channel: usize,
    s: &Sizes,
    #[comptime] joint: bool,
) -> (f32, f32) {
    let from = if comptime!(joint) { channel } else { t * s.channels + channel };
    (mean[from], (variance[from] + s.eps).inverse_sqrt())
}

#[cube]
fn current(normal: f32, gamma: f32, beta: f32, #[comptime] relu: bool) -> f32 {
    let y = normal * gamma + beta;
    if comptime!(relu) { select(y < 0.0f32, 0.0f32, y) } else { y }
}

#[cube(launch)]
fn block_kernel<F: Float>(
    z: &[F],
    mean: &[f32],
    variance: &[f32],
    gamma: &[f32],
    beta: &[f32],
    out: &mut [F],
    fired: &mut [f32],
    s: Sizes,
    lif: Constants,
    #[comptime] made: Made,
    #[define(F)] _element: ElemType,
) {
    let side = comptime!(made.side);
    let windows = windows_of(&s, side);
    let mut count = 0.0f32;
    if ABSOLUTE_POS < windows * s.channels {
        let at = place(ABSOLUTE_POS / s.channels, ABSOLUTE_POS % s.channels, &s, side);
        let (g, b) = (gamma[at.channel], beta[at.channel]);
        let frame = s.height * s.width * s.channels;
        let out_frame = (s.height / side) * (s.width / side) * s.channels;
        let mut held = Array::<f32>::new(comptime!(made.side * made.side));
        #[unroll(made.unrolled())]
        for t in 0..made.steps {
            let (m, r) = scale(mean, variance, t, at.channel, &s, made.joint);
            let step = if comptime!(made.constant) { 0usize.runtime() } else { t * s.batch };
            let begin = (step + at.sample) * frame + at.channel;
            let mut pooled = 0.0f32;
            #[unroll(made.side <= 4)]
            for pixel in 0..comptime!(made.side * made.side) {
                let y = at.top + pixel / side;
                let x = at.left + pixel % side;
                if y < s.height && x < s.width {
                    let value = f32::cast_from(z[begin + (y * s.width + x) * s.channels]);
                    let input = current((value - m) * r, g, b, made.relu);
                    let membrane = held[pixel] * lif.decay + input;
                    let fires = fires(membrane, &lif, made.stbp);
                    held[pixel] = select(fires, 0.0f32, membrane);
                    let spike = select(fires, 1.0f32, 0.0f32);
                    count += spike;
                    if comptime!(made.max) {
                        pooled = max(pooled, spike);
                    } else {
                        pooled += spike;
                    }
                }
            }
            if at.whole {
                if comptime!(!made.max) {
                    pooled /= comptime!((made.side * made.side) as f32);
                }
                out[t * s.batch * out_frame + at.out] = F::cast_from(pooled);
            }
        }
    }
    let count_of_cube = sum_of_cube(count);
    if UNIT_POS == 0 {
        fired[CUBE_POS] = count_of_cube;
    }
}

fn sizes(config: &BlockConfig) -> SizesLaunch {
    let s = &config.shape;
    SizesLaunch::new(s.batch, s.height, s.width, s.channels, config.eps)
}

fn windows(config: &BlockConfig) -> usize {
    let s = &config.shape;
    let side = s.pool.side();
    s.batch * s.height.div_ceil(side) * s.width.div_ceil(side)
}

/// [`SpikeKernels::block_forward`](crate::ops::SpikeKernels::block_forward).
pub(super) fn forward(
    config: BlockConfig,
    z: CubeTensor,
    stats: &Stats<CubeTensor>,
    gamma: CubeTensor,
    beta: CubeTensor,
) -> (CubeTensor, CubeTensor) {
    let shape = config.shape;
    let z = contiguous(z);
    let [mean, variance, gamma, beta] = parameters(stats, gamma, beta);
    let frames = shape.steps * shape.batch;
    let out = empty(&z, [frames, shape.out_height(), shape.out_width(), shape.channels], z.dtype);
    let units = windows(&config) * shape.channels;
    let (count, dim) = cubes(&z, units);
    let CubeCount::Static(x, y, w) = count else { unreachable!("counts of values are known") };
    let fired = empty(&z, [x as usize * y as usize * w as usize], DType::F32);
    let (client, of) = (z.client.clone(), element(&z));
    block_kernel::launch(
        &client,
        count,
        dim,
        z.into_buffer_arg(),
        mean.into_buffer_arg(),
        variance.into_buffer_arg(),
        gamma.into_buffer_arg(),
        beta.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        fired.clone().into_buffer_arg(),
        sizes(&config),
        ConstantsLaunch::of(&config.lif),
        Made::of(&config),
        of,
    );
    let neurons = frames * shape.height * shape.width * shape.channels;
    // Each cube's count is exact; so many of them are added up in two stages.
    let cubes = len(&fired);
    let lanes = (1..=LANES).rev().find(|n| cubes.is_multiple_of(*n)).unwrap_or(1);
    let lines = add_pieces(fired, [1, cubes / lanes, lanes]);
    let rate = burn_cubecl::ops::numeric::div_scalar(
        add_pieces(lines, [1, lanes, 1]),
        InputScalar::new(neurons.max(1) as f32, f32::elem_type_native()),
    );
    (out, rate)
}
