//! The products of [`product`](super::product) on tensor cores: bf16 times bf16, summed in single precision.
//!
//! A cube of eight planes makes a tile of 128 by 128, a plane 64 by 32 of it as fragments of 16 by 16. While the planes
//! multiply what is in shared memory, the units already hold the next strip of both operands in registers. Everything is
//! read and written eight channels at a time; the caller sees to it that channels are multiples of eight.

use super::product::{Extent, ExtentLaunch, Made, Pass, Sizes, SizesLaunch};
use super::tensors::element;
use burn_cubecl::tensor::CubeTensor;
use cubecl::cmma::{self, MatrixIdent, MatrixLayout};
use cubecl::ir::features::MmaConfig;
use cubecl::prelude::*;

/// Rows and columns of a tile.
pub(super) const TILE: usize = 128;
/// How much of the depth is in shared memory at a time.
pub(super) const DEPTH: usize = 32;
/// Values that are read at once.
pub(super) const WIDE: usize = 8;
/// Side of a fragment.
const FRAGMENT: usize = 16;
const PLANES: usize = 8;
const LANES: usize = 32;
const UNITS: usize = PLANES * LANES;
/// Planes beside each other.
const ACROSS: usize = 4;
/// Fragments of a plane, down and across.
const DOWN: usize = TILE / (PLANES / ACROSS) / FRAGMENT;
const BESIDE: usize = TILE / ACROSS / FRAGMENT;
/// Strips that lie along the depth, and those that lie along the tile, in shared memory: padded, so that neighbouring rows
/// begin in different banks.
const ALONG_DEPTH: usize = DEPTH + WIDE;
const ALONG_TILE: usize = TILE + WIDE;
/// Vectors of a strip of one operand that each unit carries.
const EACH: usize = TILE * DEPTH / WIDE / UNITS;

/// Whether the device has such tensor cores.
pub(super) fn fits(x: &CubeTensor) -> bool {
    let (half, single) = (half::bf16::elem_type_native(), f32::elem_type_native());
    let side = FRAGMENT as u32;
    let needed = MmaConfig { a_type: half, b_type: half, cd_type: single, m: side, n: side, k: side };
    let properties = x.client.properties();
    properties.features.matmul.cmma.contains(&needed)
        && properties.hardware.plane_size_min == LANES as u32
        && properties.hardware.plane_size_max == LANES as u32
}

/// Where a vector of an operand lies, and whether it does: what is beyond the frames is zero.
#[derive(CubeType, Clone, Copy)]
struct Found {
    place: usize,
    there: bool,
}

/// Channels from `channel` on of the input at `tap` of the window of output pixel `pixel`.
#[cube]
fn under_window(pixel: usize, tap: usize, channel: usize, s: &Sizes, #[comptime] made: Made) -> Found {
    let rest = pixel / s.out_width;
    let y = rest % s.out_height * comptime!(made.stride[0]) + tap / comptime!(made.kernel[1]);
    let x = pixel % s.out_width * comptime!(made.stride[1]) + tap % comptime!(made.kernel[1]);
    let (top, left) = (comptime!(made.padding[0]), comptime!(made.padding[1]));
    let frame = rest / s.out_height;
    Found {
        place: ((frame * s.height + y - top) * s.width + x - left) * s.inputs + channel,
        there: y >= top && y < s.height + top && x >= left && x < s.width + left,
    }
}

/// Channels from `channel` on of the output whose window has input pixel `pixel` at `tap`.
#[cube]
fn over_window(pixel: usize, tap: usize, channel: usize, s: &Sizes, #[comptime] made: Made) -> Found {
    let rest = pixel / s.width;
    let y = rest % s.height + comptime!(made.padding[0]);
    let x = pixel % s.width + comptime!(made.padding[1]);
    let (dy, dx) = (tap / comptime!(made.kernel[1]), tap % comptime!(made.kernel[1]));
    let (oy, ox) = ((y - dy) / comptime!(made.stride[0]), (x - dx) / comptime!(made.stride[1]));
    let met = oy * comptime!(made.stride[0]) + dy == y && ox * comptime!(made.stride[1]) + dx == x;
    let frame = rest / s.height;
    Found {
        place: ((frame * s.out_height + oy) * s.out_width + ox) * s.outputs + channel,
        there: y >= dy && x >= dx && met && oy < s.out_height && ox < s.out_width,
    }
}

/// Eight entries of the left matrix: of a row along the depth, or of a step of the depth along the rows.
#[cube]
fn left(row: usize, k: usize, s: &Sizes, extent: &Extent, end: usize, #[comptime] made: Made) -> Found {
    let inside = row < extent.rows && k < end;
    match comptime!(made.pass) {
        Pass::Forward => {
            let found = under_window(row, k / s.inputs, k % s.inputs, s, made);
            Found { place: found.place, there: found.there && inside }
        }
        Pass::InputGrad => {
            let found = over_window(row, k / s.outputs, k % s.outputs, s, made);
            Found { place: found.place, there: found.there && inside }
        }
        Pass::WeightGrad => Found { place: k * s.outputs + row, there: inside },
    }
}

/// Eight entries of the right matrix: of a column along the depth, or of a step of the depth along the columns.
#[cube]
fn right(k: usize, column: usize, s: &Sizes, extent: &Extent, end: usize, #[comptime] made: Made) -> Found {
    let inside = column < extent.columns && k < end;
    let taps = comptime!(made.kernel[0] * made.kernel[1]);
    match comptime!(made.pass) {
        Pass::Forward => Found { place: column * taps * s.inputs + k, there: inside },
        Pass::InputGrad => {
            Found { place: (k % s.outputs * taps + k / s.outputs) * s.inputs + column, there: inside }
        }
        Pass::WeightGrad => {
            let found = under_window(k, column / s.inputs, column % s.inputs, s, made);
            Found { place: found.place, there: found.there && inside }
        }
    }
}

/// Reads what a unit carries of the next strip of an operand.
#[cube]
fn fetch<F: Float, N: Size>(
    from: &[Vector<F, N>],
    into: &mut Array<Vector<F, N>>,
    first: usize,
    depth: usize,
    end: usize,
    s: &Sizes,
    extent: &Extent,
    #[comptime] is_left: bool,
    #[comptime] along_depth: bool,
    #[comptime] made: Made,
) {
    #[unroll]
    for i in 0..EACH {
        let entry = UNIT_POS as usize + i * UNITS;
        let (line, k) = position(entry, along_depth);
        let found = if comptime!(is_left) {
            left(first + line, depth + k, s, extent, end, made)
        } else {
            right(depth + k, first + line, s, extent, end, made)
        };
        let mut value = Vector::<F, N>::new(F::new(0.0f32));
        if found.there {
            value = from[found.place / WIDE];
        }
        into[i] = value;
    }
}

/// The row or column, and the step of the depth, where a vector begins.
#[cube]
fn position(entry: usize, #[comptime] along_depth: bool) -> (usize, usize) {
    if comptime!(along_depth) {
        (entry / comptime!(DEPTH / WIDE), entry % comptime!(DEPTH / WIDE) * WIDE)
    } else {
        (entry % comptime!(TILE / WIDE) * WIDE, entry / comptime!(TILE / WIDE))
    }
}

/// Lays down what a unit carries.
#[cube]
fn lay_down<F: Float, N: Size>(
    carried: &Array<Vector<F, N>>,
    to: &mut Shared<[Vector<F, N>]>,
    #[comptime] along_depth: bool,
) {
    #[unroll]
    for i in 0..EACH {
        let entry = UNIT_POS as usize + i * UNITS;
        let (line, k) = position(entry, along_depth);
        let place = if comptime!(along_depth) { line * ALONG_DEPTH + k } else { k * ALONG_TILE + line };
        to[place / WIDE] = carried[i];
    }
}

#[cube(launch)]
fn tensor_kernel<F: Float, C: Float, N: Size>(
    a: &[Vector<F, N>],
    b: &[Vector<F, N>],
    bias: &[f32],
    out: &mut [Vector<C, N>],
    s: Sizes,
    extent: Extent,
    #[comptime] made: Made,
    #[define(F, C)] _elements: [ElemType; 2],
) {
    let left_along = comptime!(made.pass != Pass::WeightGrad);
    let right_along = comptime!(made.pass == Pass::Forward);
    let left_pitch = comptime!(if left_along { ALONG_DEPTH } else { ALONG_TILE });
    let right_pitch = comptime!(if right_along { ALONG_DEPTH } else { ALONG_TILE });
    let mut lefts = Shared::<[Vector<F, N>]>::new_slice(comptime!(strip(left_along)));
    let mut rights = Shared::<[Vector<F, N>]>::new_slice(comptime!(strip(right_along)));
    let mut sums = Sequence::<cmma::Matrix<f32>>::new();
    #[unroll]
    for _ in 0..comptime!(DOWN * BESIDE) {
        sums.push(cmma::Matrix::<f32>::from_value(
            MatrixIdent::Accumulator,
            FRAGMENT,
            FRAGMENT,
            FRAGMENT,
            MatrixLayout::Undefined,
            0.0f32,
        ));
    }
    let tiles = (extent.columns + comptime!(TILE - 1)) / TILE;
    let tile = CUBE_POS_Y as usize * CUBE_COUNT_X as usize + CUBE_POS_X as usize;
    let first_row = tile / tiles * TILE;
    let first_column = tile % tiles * TILE;
    let begin = CUBE_POS_Z as usize * extent.piece;
    let end = min(begin + extent.piece, extent.depth);
    let plane = UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let plane_row = plane / ACROSS * comptime!(DOWN * FRAGMENT);
    let plane_column = plane % ACROSS * comptime!(BESIDE * FRAGMENT);
    let mut next_left = Array::<Vector<F, N>>::new(EACH);
    let mut next_right = Array::<Vector<F, N>>::new(EACH);
    fetch(a, &mut next_left, first_row, begin, end, &s, &extent, true, left_along, made);
    fetch(b, &mut next_right, first_column, begin, end, &s, &extent, false, right_along, made);
    let mut depth = begin;
    while depth < end {
        lay_down(&next_left, &mut lefts, left_along);
        lay_down(&next_right, &mut rights, right_along);
        sync_cube();
        depth += DEPTH;
        if depth < end {
            fetch(a, &mut next_left, first_row, depth, end, &s, &extent, true, left_along, made);
            fetch(b, &mut next_right, first_column, depth, end, &s, &extent, false, right_along, made);
        }
        #[unroll]
        for k in 0..comptime!(DEPTH / FRAGMENT) {
            let mut columns = Sequence::<cmma::Matrix<Vector<F, N>>>::new();
            #[unroll]
            for j in 0..BESIDE {
                let line = plane_column + j * FRAGMENT;
                let place = if comptime!(right_along) {
                    line * right_pitch + k * FRAGMENT
                } else {
                    k * comptime!(FRAGMENT * right_pitch) + line
                };
                columns.push(cmma::Matrix::<Vector<F, N>>::from_slice(
                    MatrixIdent::B,
                    FRAGMENT,
                    FRAGMENT,
                    FRAGMENT,
                    comptime!(if right_along { MatrixLayout::ColMajor } else { MatrixLayout::RowMajor }),
                    &rights[place / WIDE..comptime!(strip(right_along))],
                    comptime!(right_pitch as u32),
                ));
            }
            #[unroll]
            for i in 0..DOWN {
                let line = plane_row + i * FRAGMENT;
                let place = if comptime!(left_along) {
                    line * left_pitch + k * FRAGMENT
                } else {
                    k * comptime!(FRAGMENT * left_pitch) + line
                };
                let rows = cmma::Matrix::<Vector<F, N>>::from_slice(
                    MatrixIdent::A,
                    FRAGMENT,
                    FRAGMENT,
                    FRAGMENT,
                    comptime!(if left_along { MatrixLayout::RowMajor } else { MatrixLayout::ColMajor }),
                    &lefts[place / WIDE..comptime!(strip(left_along))],
                    comptime!(left_pitch as u32),
                );
                #[unroll]
                for j in 0..BESIDE {
                    let sum = sums.index(comptime!(i * BESIDE + j));
                    cmma::execute(&rows, columns.index(j), sum, sum);
                }
            }
        }
        sync_cube();
    }
    // Fragments are stored through shared memory: only there is it known which unit has which entry.
    let mut staged = Shared::<[f32]>::new_slice(comptime!(PLANES * FRAGMENT * FRAGMENT));
    let own = plane * comptime!(FRAGMENT * FRAGMENT);
    let line = lane / 2;
    let half = lane % 2 * WIDE;
    #[unroll]
    for i in 0..DOWN {
        #[unroll]
        for j in 0..BESIDE {
            cmma::store(
                &mut staged[own..comptime!(PLANES * FRAGMENT * FRAGMENT)],
                sums.index(comptime!(i * BESIDE + j)),
                FRAGMENT as u32,
                MatrixLayout::RowMajor,
            );
            sync_plane();
            let row = first_row + plane_row + i * FRAGMENT + line;
            let column = first_column + plane_column + j * FRAGMENT + half;
            if row < extent.rows && column < extent.columns {
                let mut values = Vector::<C, N>::empty();
                #[unroll]
                for v in 0..WIDE {
                    let mut value = staged[own + line * FRAGMENT + half + v];
                    if comptime!(made.biased) {
                        value += bias[column + v];
                    }
                    values.insert(v, C::cast_from(value));
                }
                let place = (CUBE_POS_Z as usize * extent.rows + row) * extent.columns + column;
                out[place / WIDE] = values;
            }
            sync_plane();
        }
    }
}

/// Vectors of a strip in shared memory.
const fn strip(along_depth: bool) -> usize {
    let values = if along_depth { TILE * ALONG_DEPTH } else { DEPTH * ALONG_TILE };
    values / WIDE
}

/// Launches the kernel on `count` cubes.
pub(super) fn launch(
    count: CubeCount,
    [a, b, bias, out]: [CubeTensor; 4],
    sizes: SizesLaunch,
    extent: ExtentLaunch,
    made: Made,
) {
    let client = a.client.clone();
    let elements = [element(&a), element(&out)];
    tensor_kernel::launch(
        &client,
        count,
        CubeDim::new_1d(UNITS as u32),
        WIDE,
        a.into_buffer_arg(),
        b.into_buffer_arg(),
        bias.into_buffer_arg(),
        out.into_buffer_arg(),
        sizes,
        extent,
        made,
        elements,
    );
}
