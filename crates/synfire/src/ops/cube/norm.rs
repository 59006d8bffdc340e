//! Statistics of a batch norm: mean and variance of each channel over the rows of each step.
//!
//! Neighbouring units take neighbouring channels, so that rows are read whole; each unit goes over some rows, and what the
//! units and cubes found is joined by the formula for the variance of two sets together. Squares are summed of distances
//! from the unit's own first value: sums of plain squares would lose the variance of values that lie far from zero.

use super::tensors::{contiguous, cubes, element, empty, len, plain};
use crate::ops::{NormShape, RunningShape, Stats};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Channels of a cube.
pub(super) const LANES: usize = 32;
/// Rows that a cube goes over at once.
pub(super) const ROWS: usize = 8;
/// Rows that a unit asks for at once.
const AHEAD: usize = 8;
/// Cubes that keep any GPU busy.
const CUBES: usize = 2048;

/// Into how many pieces `rows` rows are cut for each of `others` groups of cubes.
pub(super) fn pieces(rows: usize, others: usize) -> usize {
    (CUBES / others.max(1)).clamp(1, rows.div_ceil(4 * ROWS).max(1))
}

/// Number, mean and sum of squared distances from it of some values.
#[derive(CubeType, Clone, Copy)]
struct Moments {
    count: f32,
    mean: f32,
    squares: f32,
}

/// The moments of two sets together.
#[cube]
fn join(a: &Moments, b: &Moments) -> Moments {
    let count = a.count + b.count;
    let share = select(count > 0.0f32, b.count / count, 0.0f32);
    let distance = b.mean - a.mean;
    Moments {
        count,
        mean: a.mean + distance * share,
        squares: a.squares + b.squares + distance * distance * a.count * share,
    }
}

/// Joins what the units of a cube found, for each channel; the answer is that of the units of the first row.
#[cube]
fn join_rows(own: &Moments) -> Moments {
    let mut counts = Shared::<[f32]>::new_slice(comptime!(LANES * ROWS));
    let mut means = Shared::<[f32]>::new_slice(comptime!(LANES * ROWS));
    let mut squares = Shared::<[f32]>::new_slice(comptime!(LANES * ROWS));
    let place = UNIT_POS as usize;
    counts[place] = own.count;
    means[place] = own.mean;
    squares[place] = own.squares;
    sync_cube();
    let lane = UNIT_POS_X as usize;
    let (mut count, mut mean, mut squared) = (counts[lane], means[lane], squares[lane]);
    for row in 1..comptime!(ROWS) {
        let from = row * comptime!(LANES) + lane;
        let other = Moments { count: counts[from], mean: means[from], squares: squares[from] };
        let all = join(&Moments { count, mean, squares: squared }, &other);
        count = all.count;
        mean = all.mean;
        squared = all.squares;
    }
    Moments { count, mean, squares: squared }
}

#[cube(launch)]
fn moments_kernel<F: Float>(
    x: &[F],
    counts: &mut [f32],
    means: &mut [f32],
    squares: &mut [f32],
    rows: usize,
    channels: usize,
    #[define(F)] _element: ElemType,
) {
    let channel = CUBE_POS_X as usize * comptime!(LANES) + UNIT_POS_X as usize;
    let piece = CUBE_POS_Y as usize;
    let pieces = CUBE_COUNT_Y as usize;
    let step = CUBE_POS_Z as usize;
    let begin = piece * comptime!(ROWS) + UNIT_POS_Y as usize;
    let stride = pieces * comptime!(ROWS);
    let mut count = 0.0f32;
    let mut mean = 0.0f32;
    let mut squares_of_own = 0.0f32;
    if channel < channels && begin < rows {
        let first = f32::cast_from(x[(step * rows + begin) * channels + channel]);
        let mut sum = 0.0f32;
        let mut squared = 0.0f32;
        let mut row = begin;
        // Several rows are on their way at a time.
        let mut values = Array::<f32>::new(AHEAD);
        while row + comptime!(AHEAD - 1) * stride < rows {
            #[unroll]
            for i in 0..AHEAD {
                values[i] = f32::cast_from(x[(step * rows + row + i * stride) * channels + channel]);
            }
            #[unroll]
            for i in 0..AHEAD {
                let distance = values[i] - first;
                sum += distance;
                squared += distance * distance;
            }
            count += comptime!(AHEAD as f32);
            row += comptime!(AHEAD) * stride;
        }
        while row < rows {
            let distance = f32::cast_from(x[(step * rows + row) * channels + channel]) - first;
            count += 1.0f32;
            sum += distance;
            squared += distance * distance;
            row += stride;
        }
        let distance = sum / count;
        mean = first + distance;
        squares_of_own = squared - sum * distance;
    }
    let all = join_rows(&Moments { count, mean, squares: squares_of_own });
    if UNIT_POS_Y == 0 && channel < channels {
        let to = (step * pieces + piece) * channels + channel;
        counts[to] = all.count;
        means[to] = all.mean;
        squares[to] = all.squares;
    }
}

#[cube(launch)]
fn join_kernel(
    counts: &[f32],
    means: &[f32],
    squares: &[f32],
    mean: &mut [f32],
    variance: &mut [f32],
    pieces: usize,
    channels: usize,
) {
    let channel = CUBE_POS_X as usize * comptime!(LANES) + UNIT_POS_X as usize;
    let step = CUBE_POS_Y as usize;
    let mut count = 0.0f32;
    let mut mean_of_own = 0.0f32;
    let mut squares_of_own = 0.0f32;
    if channel < channels {
        let mut piece = UNIT_POS_Y as usize;
        while piece < pieces {
            let from = (step * pieces + piece) * channels + channel;
            let other = Moments { count: counts[from], mean: means[from], squares: squares[from] };
            let both = join(&Moments { count, mean: mean_of_own, squares: squares_of_own }, &other);
            count = both.count;
            mean_of_own = both.mean;
            squares_of_own = both.squares;
            piece += comptime!(ROWS);
        }
    }
    let all = join_rows(&Moments { count, mean: mean_of_own, squares: squares_of_own });
    if UNIT_POS_Y == 0 && channel < channels {
        mean[step * channels + channel] = all.mean;
        // What is no number stays none, so that it is found.
        variance[step * channels + channel] = select(all.squares < 0.0f32, 0.0f32, all.squares) / all.count;
    }
}

/// [`SpikeKernels::norm_statistics`](crate::ops::SpikeKernels::norm_statistics).
pub(super) fn statistics(s: NormShape, x: CubeTensor) -> Stats<CubeTensor> {
    let x = contiguous(x);
    let groups = s.channels.div_ceil(LANES);
    let pieces = pieces(s.rows, groups * s.steps);
    let [counts, means, squares] = [(); 3].map(|()| empty(&x, [s.steps * pieces * s.channels], DType::F32));
    let [mean, variance] = [(); 2].map(|()| empty(&x, [s.steps * s.channels], DType::F32));
    let (client, of) = (x.client.clone(), element(&x));
    let dim = CubeDim::new_2d(LANES as u32, ROWS as u32);
    moments_kernel::launch(
        &client,
        CubeCount::new_3d(groups as u32, pieces as u32, s.steps as u32),
        dim,
        x.into_buffer_arg(),
        counts.clone().into_buffer_arg(),
        means.clone().into_buffer_arg(),
        squares.clone().into_buffer_arg(),
        s.rows,
        s.channels,
        of,
    );
    join_kernel::launch(
        &client,
        CubeCount::new_2d(groups as u32, s.steps as u32),
        dim,
        counts.into_buffer_arg(),
        means.into_buffer_arg(),
        squares.into_buffer_arg(),
        mean.clone().into_buffer_arg(),
        variance.clone().into_buffer_arg(),
        pieces,
        s.channels,
    );
    Stats { mean, variance }
}

/// Adds up what the units of a cube of [`LANES`] by [`ROWS`] have found, for each channel, by way of a place for each; the answer is that of
/// the units of the first row.
#[cube]
pub(super) fn add_rows(own: f32, sums: &mut Shared<[f32]>) -> f32 {
    sums[UNIT_POS as usize] = own;
    sync_cube();
    let mut all = 0.0f32;
    if UNIT_POS_Y == 0 {
        for row in 0..comptime!(ROWS) {
            all += sums[row * comptime!(LANES) + UNIT_POS_X as usize];
        }
    }
    // Before others write to the same memory.
    sync_cube();
    all
}

#[cube(launch)]
fn add_pieces_kernel(parts: &[f32], out: &mut [f32], pieces: usize, channels: usize) {
    let channel = CUBE_POS_X as usize * comptime!(LANES) + UNIT_POS_X as usize;
    let step = CUBE_POS_Y as usize;
    let mut own = 0.0f32;
    if channel < channels {
        let mut piece = UNIT_POS_Y as usize;
        while piece < pieces {
            own += parts[(step * pieces + piece) * channels + channel];
            piece += comptime!(ROWS);
        }
    }
    let mut sums = Shared::<[f32]>::new_slice(comptime!(LANES * ROWS));
    let all = add_rows(own, &mut sums);
    if UNIT_POS_Y == 0 && channel < channels {
        out[step * channels + channel] = all;
    }
}

/// Adds the pieces of `[steps, pieces, channels]` up: `[steps·channels]`.
pub(super) fn add_pieces(parts: CubeTensor, [steps, pieces, channels]: [usize; 3]) -> CubeTensor {
    let out = empty(&parts, [steps * channels], DType::F32);
    let client = parts.client.clone();
    add_pieces_kernel::launch(
        &client,
        CubeCount::new_2d(channels.div_ceil(LANES) as u32, steps as u32),
        CubeDim::new_2d(LANES as u32, ROWS as u32),
        parts.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        pieces,
        channels,
    );
    out
}

/// Sums of the columns of `[…, channels]`.
pub(super) fn column_sums(channels: usize, x: CubeTensor) -> CubeTensor {
    let x = plain(x);
    let rows = len(&x) / channels;
    add_pieces(x, [1, rows, channels])
}

#[cube(launch)]
fn running_kernel(
    running: &[f32],
    new: &[f32],
    out: &mut [f32],
    channels: usize,
    steps: usize,
    repeats: usize,
    keep: f32,
    weight: f32,
) {
    let channel = ABSOLUTE_POS;
    if channel < channels {
        let mut value = running[channel];
        for t in 0..steps {
            let seen = new[t * channels + channel] * weight;
            for _ in 0..repeats {
                value = value * keep + seen;
            }
        }
        out[channel] = value;
    }
}

/// [`SpikeKernels::running`](crate::ops::SpikeKernels::running).
pub(super) fn running(s: RunningShape, running: CubeTensor, new: CubeTensor) -> CubeTensor {
    let (running, new) = (contiguous(running), contiguous(new));
    let out = empty(&new, [s.channels], DType::F32);
    let (count, dim) = cubes(&new, s.channels);
    running_kernel::launch(
        &new.client.clone(),
        count,
        dim,
        running.into_buffer_arg(),
        new.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        s.channels,
        s.steps,
        s.repeats,
        (1.0 - s.momentum) as f32,
        (s.momentum * s.factor) as f32,
    );
    out
}
