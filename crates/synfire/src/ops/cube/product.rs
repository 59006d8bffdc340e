//! Convolutions and linear layers as products of matrices whose entries are looked up where they lie, in single precision.
//!
//! A cube makes a tile of the result, from strips of both operands that it keeps in shared memory; a unit holds 4 by 4 sums
//! in registers. Frames are never unfolded: rows are pixels, and the depth goes over the window and its channels. The
//! gradient of the weights, whose depth is all pixels of all frames, is cut along it, and the pieces are added up after.

use super::norm::add_pieces;
use super::tensor;
use super::tensors::{contiguous, element, empty};
use crate::ops::ConvShape;
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Rows and columns of a tile.
const TILE: usize = 64;
/// How much of the depth is in shared memory at a time.
const DEPTH: usize = 16;
/// A row of shared memory, padded so that neighbours lie in different banks.
const PITCH: usize = TILE + 1;
/// Units of a cube along each side of a tile, each with [`EACH`] rows and columns.
const SIDE: usize = 16;
const EACH: usize = TILE / SIDE;
const UNITS: usize = SIDE * SIDE;
/// Cubes that keep any GPU busy.
const CUBES: usize = 1024;
/// Columns of cubes that a device is given at most in one dimension.
const MOST_CUBES: usize = 32_768;

/// Which of a convolution's three passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pass {
    /// Rows: pixels of the output. Columns: output channels. Depth: the window.
    Forward,
    /// Rows: pixels of the input. Columns: input channels. Depth: the window, of output channels.
    InputGrad,
    /// Rows: output channels. Columns: the window. Depth: pixels of the output.
    WeightGrad,
}

/// What a kernel is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Made {
    pub(super) pass: Pass,
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) padding: [usize; 2],
    pub(super) biased: bool,
}

/// Sizes of the frames.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) inputs: usize,
    pub(super) out_height: usize,
    pub(super) out_width: usize,
    pub(super) outputs: usize,
}

/// Sizes of the product.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Extent {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) depth: usize,
    /// Depth of a piece.
    pub(super) piece: usize,
}

/// The value of the frames `[frames, height, width, channels]` that the window at output pixel `pixel` has at `tap`.
#[cube]
fn under_window<F: Float>(
    frames: &[F],
    pixel: usize,
    tap: usize,
    channel: usize,
    s: &Sizes,
    #[comptime] made: Made,
) -> f32 {
    let across = pixel % s.out_width;
    let rest = pixel / s.out_width;
    let y = rest % s.out_height * comptime!(made.stride[0]) + tap / comptime!(made.kernel[1]);
    let x = across * comptime!(made.stride[1]) + tap % comptime!(made.kernel[1]);
    let (top, left) = (comptime!(made.padding[0]), comptime!(made.padding[1]));
    let mut value = 0.0f32;
    if y >= top && y < s.height + top && x >= left && x < s.width + left {
        let frame = rest / s.out_height;
        value =
            f32::cast_from(frames[((frame * s.height + y - top) * s.width + x - left) * s.inputs + channel]);
    }
    value
}

/// The value of the output's frames whose window has input pixel `pixel` at `tap`.
#[cube]
fn over_window<F: Float>(
    frames: &[F],
    pixel: usize,
    tap: usize,
    channel: usize,
    s: &Sizes,
    #[comptime] made: Made,
) -> f32 {
    let rest = pixel / s.width;
    let y = rest % s.height + comptime!(made.padding[0]);
    let x = pixel % s.width + comptime!(made.padding[1]);
    let (dy, dx) = (tap / comptime!(made.kernel[1]), tap % comptime!(made.kernel[1]));
    let mut value = 0.0f32;
    if y >= dy && x >= dx {
        let (y, x) = (y - dy, x - dx);
        let (oy, ox) = (y / comptime!(made.stride[0]), x / comptime!(made.stride[1]));
        let met = oy * comptime!(made.stride[0]) == y && ox * comptime!(made.stride[1]) == x;
        if met && oy < s.out_height && ox < s.out_width {
            let frame = rest / s.height;
            value = f32::cast_from(
                frames[((frame * s.out_height + oy) * s.out_width + ox) * s.outputs + channel],
            );
        }
    }
    value
}

/// The entry of the left matrix.
#[cube]
fn left<F: Float>(a: &[F], row: usize, k: usize, s: &Sizes, #[comptime] made: Made) -> f32 {
    match comptime!(made.pass) {
        Pass::Forward => under_window::<F>(a, row, k / s.inputs, k % s.inputs, s, made),
        Pass::InputGrad => over_window::<F>(a, row, k / s.outputs, k % s.outputs, s, made),
        Pass::WeightGrad => f32::cast_from(a[k * s.outputs + row]),
    }
}

/// The entry of the right matrix; weights lie as `[outputs, kernel height, kernel width, inputs]`.
#[cube]
fn right<F: Float>(b: &[F], k: usize, column: usize, s: &Sizes, #[comptime] made: Made) -> f32 {
    let taps = comptime!(made.kernel[0] * made.kernel[1]);
    match comptime!(made.pass) {
        Pass::Forward => f32::cast_from(b[column * taps * s.inputs + k]),
        Pass::InputGrad => f32::cast_from(b[(k % s.outputs * taps + k / s.outputs) * s.inputs + column]),
        Pass::WeightGrad => under_window::<F>(b, k, column / s.inputs, column % s.inputs, s, made),
    }
}

#[cube(launch)]
fn product_kernel<A: Float, B: Float, C: Float>(
    a: &[A],
    b: &[B],
    bias: &[f32],
    out: &mut [C],
    s: Sizes,
    extent: Extent,
    #[comptime] made: Made,
    #[define(A, B, C)] _elements: [ElemType; 3],
) {
    let mut lefts = Shared::<[f32]>::new_slice(comptime!(DEPTH * PITCH));
    let mut rights = Shared::<[f32]>::new_slice(comptime!(DEPTH * PITCH));
    let mut sums = Array::<f32>::new(comptime!(EACH * EACH));
    let tiles = (extent.columns + comptime!(TILE - 1)) / comptime!(TILE);
    let tile = CUBE_POS_Y as usize * CUBE_COUNT_X as usize + CUBE_POS_X as usize;
    let first_row = tile / tiles * comptime!(TILE);
    let first_column = tile % tiles * comptime!(TILE);
    let begin = CUBE_POS_Z as usize * extent.piece;
    let end = min(begin + extent.piece, extent.depth);
    let unit = UNIT_POS as usize;
    let (across, down) = (unit % comptime!(SIDE), unit / comptime!(SIDE));
    // Which index runs fastest in memory decides which neighbouring units read along.
    let along_depth = comptime!(made.pass != Pass::WeightGrad);
    let right_along_depth = comptime!(made.pass == Pass::Forward);
    let mut depth = begin;
    while depth < end {
        #[unroll]
        for i in 0..comptime!(DEPTH * TILE / UNITS) {
            let entry = unit + i * comptime!(UNITS);
            let k = if comptime!(along_depth) { entry % comptime!(DEPTH) } else { entry / comptime!(TILE) };
            let r = if comptime!(along_depth) { entry / comptime!(DEPTH) } else { entry % comptime!(TILE) };
            let mut value = 0.0f32;
            if depth + k < end && first_row + r < extent.rows {
                value = left::<A>(a, first_row + r, depth + k, &s, made);
            }
            lefts[k * comptime!(PITCH) + r] = value;
            let k =
                if comptime!(right_along_depth) { entry % comptime!(DEPTH) } else { entry / comptime!(TILE) };
            let c =
                if comptime!(right_along_depth) { entry / comptime!(DEPTH) } else { entry % comptime!(TILE) };
            let mut value = 0.0f32;
            if depth + k < end && first_column + c < extent.columns {
                value = right::<B>(b, depth + k, first_column + c, &s, made);
            }
            rights[k * comptime!(PITCH) + c] = value;
        }
        sync_cube();
        #[unroll]
        for k in 0..comptime!(DEPTH) {
            #[unroll]
            for i in 0..comptime!(EACH) {
                let l = lefts[k * comptime!(PITCH) + down + i * comptime!(SIDE)];
                #[unroll]
                for j in 0..comptime!(EACH) {
                    let r = rights[k * comptime!(PITCH) + across + j * comptime!(SIDE)];
                    sums[i * comptime!(EACH) + j] += l * r;
                }
            }
        }
        sync_cube();
        depth += comptime!(DEPTH);
    }
    #[unroll]
    for i in 0..comptime!(EACH) {
        #[unroll]
        for j in 0..comptime!(EACH) {
            let row = first_row + down + i * comptime!(SIDE);
            let column = first_column + across + j * comptime!(SIDE);
            if row < extent.rows && column < extent.columns {
                let mut sum = sums[i * comptime!(EACH) + j];
                if comptime!(made.biased) {
                    sum += bias[column];
                }
                let place = (CUBE_POS_Z as usize * extent.rows + row) * extent.columns + column;
                out[place] = C::cast_from(sum);
            }
        }
    }
}

/// One pass of the convolution `s` of `a` and `b`: frames and weights, errors and weights, or errors and frames, as matrices
/// `[rows, columns]`. Weights lie as `[outputs, kernel height, kernel width, inputs]`. The gradient of the weights is in single
/// precision whatever the operands are, the others in `dtype`. Where both operands are bf16, tensor cores multiply them if the
/// device has some and channels are multiples of eight.
///
/// # Panics
/// If the convolution has several groups.
pub(super) fn product(
    s: &ConvShape,
    pass: Pass,
    a: CubeTensor,
    b: CubeTensor,
    bias: Option<CubeTensor>,
    dtype: DType,
) -> CubeTensor {
    assert_eq!(s.groups, 1, "groups");
    let (a, b) = (contiguous(a), contiguous(b));
    let taps = s.kernel[0] * s.kernel[1];
    let pixels = s.frames * s.out_height() * s.out_width();
    let [rows, columns, depth] = match pass {
        Pass::Forward => [pixels, s.out_channels, taps * s.in_channels],
        Pass::InputGrad => [s.frames * s.height * s.width, s.in_channels, taps * s.out_channels],
        Pass::WeightGrad => [s.out_channels, taps * s.in_channels, pixels],
    };
    let wide = [s.in_channels, s.out_channels].iter().all(|n| n.is_multiple_of(tensor::WIDE));
    let by_tensor_cores = wide && [&a, &b].iter().all(|x| x.dtype == DType::BF16) && tensor::fits(&a);
    let (tile, strip) = if by_tensor_cores { (tensor::TILE, tensor::DEPTH) } else { (TILE, DEPTH) };
    let tiles = rows.div_ceil(tile) * columns.div_ceil(tile);
    let strips = depth.div_ceil(strip);
    let pieces = match pass {
        Pass::WeightGrad => (CUBES / tiles).clamp(1, strips.div_ceil(8)),
        _ => 1,
    };
    let piece = strips.div_ceil(pieces) * strip;
    let pieces = depth.div_ceil(piece);
    let dtype = if pass == Pass::WeightGrad { DType::F32 } else { dtype };
    let out = empty(&a, [pieces, rows * columns], dtype);
    let biased = bias.is_some();
    let bias = bias.map_or_else(|| empty(&a, [1], DType::F32), contiguous);
    let made = Made { pass, kernel: s.kernel, stride: s.stride, padding: s.padding, biased };
    let across = tiles.min(MOST_CUBES);
    let count = CubeCount::new_3d(across as u32, tiles.div_ceil(across) as u32, pieces as u32);
    let sizes =
        SizesLaunch::new(s.height, s.width, s.in_channels, s.out_height(), s.out_width(), s.out_channels);
    let extent = ExtentLaunch::new(rows, columns, depth, piece);
    if by_tensor_cores {
        tensor::launch(count, [a, b, bias, out.clone()], sizes, extent, made);
    } else {
        let client = a.client.clone();
        let elements = [element(&a), element(&b), element(&out)];
        product_kernel::launch(
            &client,
            count,
            CubeDim::new_1d(UNITS as u32),
            a.into_buffer_arg(),
            b.into_buffer_arg(),
            bias.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            sizes,
            extent,
            made,
            elements,
        );
    }
    let whole = if pieces == 1 { out } else { add_pieces(out, [1, pieces, rows * columns]) };
    burn_cubecl::ops::reshape(whole, [rows, columns].into())
}
