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

/// What a unit knows of each vector that it carries, so that only little is left to compute from one strip to the next: the
/// step of the depth, the tap and the channel, and the frame, row and column of a pixel.
const FIELDS: usize = 6;
const K: usize = 0;
const TAP: usize = 1;
const CHANNEL: usize = 2;
const FRAME: usize = 3;
const ROW: usize = 4;
const COLUMN: usize = 5;

/// The row or column, and the step of the depth, where a vector begins.
#[cube]
fn position(entry: usize, #[comptime] along_depth: bool) -> (usize, usize) {
    if comptime!(along_depth) {
        (entry / comptime!(DEPTH / WIDE), entry % comptime!(DEPTH / WIDE) * WIDE)
    } else {
        (entry % comptime!(TILE / WIDE) * WIDE, entry / comptime!(TILE / WIDE))
    }
}

/// Where the vectors of a unit begin, of the left or the right matrix.
#[cube]
fn begin(
    at: &mut Array<usize>,
    first: usize,
    depth: usize,
    s: &Sizes,
    #[comptime] is_left: bool,
    #[comptime] along_depth: bool,
    #[comptime] made: Made,
) {
    #[unroll]
    for i in 0..EACH {
        let (line, step) = position(UNIT_POS as usize + i * UNITS, along_depth);
        let (line, k) = (first + line, depth + step);
        let o = comptime!(i * FIELDS);
        at[o + K] = k;
        match comptime!((made.pass, is_left)) {
            (Pass::Forward, true) => {
                let rest = line / s.out_width;
                at[o + TAP] = k / s.inputs;
                at[o + CHANNEL] = k % s.inputs;
                at[o + FRAME] = rest / s.out_height;
                at[o + ROW] = rest % s.out_height * comptime!(made.stride[0]);
                at[o + COLUMN] = line % s.out_width * comptime!(made.stride[1]);
            }
            (Pass::InputGrad, true) => {
                let rest = line / s.width;
                at[o + TAP] = k / s.outputs;
                at[o + CHANNEL] = k % s.outputs;
                at[o + FRAME] = rest / s.height;
                at[o + ROW] = rest % s.height + comptime!(made.padding[0]);
                at[o + COLUMN] = line % s.width + comptime!(made.padding[1]);
            }
            (Pass::InputGrad, false) => {
                at[o + TAP] = k / s.outputs;
                at[o + CHANNEL] = k % s.outputs;
            }
            (Pass::WeightGrad, false) => {
                let rest = k / s.out_width;
                at[o + TAP] = line / s.inputs;
                at[o + CHANNEL] = line % s.inputs;
                at[o + FRAME] = rest / s.out_height;
                at[o + ROW] = rest % s.out_height;
                at[o + COLUMN] = k % s.out_width;
            }
            _ => {}
        }
    }
}

/// Moves the vectors of a unit on to the next strip.
#[cube]
fn advance(at: &mut Array<usize>, s: &Sizes, #[comptime] is_left: bool, #[comptime] made: Made) {
    #[unroll]
    for i in 0..EACH {
        let o = comptime!(i * FIELDS);
        at[o + K] += DEPTH;
        match comptime!((made.pass, is_left)) {
            (Pass::Forward, true) => {
                at[o + CHANNEL] += DEPTH;
                while at[o + CHANNEL] >= s.inputs {
                    at[o + CHANNEL] -= s.inputs;
                    at[o + TAP] += 1;
                }
            }
            (Pass::InputGrad, _) => {
                at[o + CHANNEL] += DEPTH;
                while at[o + CHANNEL] >= s.outputs {
                    at[o + CHANNEL] -= s.outputs;
                    at[o + TAP] += 1;
                }
            }
            (Pass::WeightGrad, false) => {
                at[o + COLUMN] += DEPTH;
                while at[o + COLUMN] >= s.out_width {
                    at[o + COLUMN] -= s.out_width;
                    at[o + ROW] += 1;
                }
                while at[o + ROW] >= s.out_height {
                    at[o + ROW] -= s.out_height;
                    at[o + FRAME] += 1;
                }
            }
            _ => {}
        }
    }
}

/// Where a vector of an operand lies, and whether it does: what is beyond the frames is zero.
#[derive(CubeType, Clone, Copy)]
struct Found {
    place: usize,
    there: bool,
}

/// Channels of the input at a tap of the window that begins at `y`, `x` in front of its padding.
#[cube]
fn under_window(
    at: &Array<usize>,
    y: usize,
    x: usize,
    s: &Sizes,
    #[comptime] o: usize,
    #[comptime] made: Made,
) -> Found {
    let y = y + at[o + TAP] / comptime!(made.kernel[1]);
    let x = x + at[o + TAP] % comptime!(made.kernel[1]);
    let (top, left) = (comptime!(made.padding[0]), comptime!(made.padding[1]));
    Found {
        place: ((at[o + FRAME] * s.height + y - top) * s.width + x - left) * s.inputs + at[o + CHANNEL],
        there: y >= top && y < s.height + top && x >= left && x < s.width + left,
    }
}

/// Where a vector lies.
#[cube]
fn find(
    at: &Array<usize>,
    line: usize,
    s: &Sizes,
    #[comptime] o: usize,
    #[comptime] is_left: bool,
    #[comptime] made: Made,
) -> Found {
    let taps = comptime!(made.kernel[0] * made.kernel[1]);
    match comptime!((made.pass, is_left)) {
        (Pass::Forward, true) => under_window(at, at[o + ROW], at[o + COLUMN], s, o, made),
        (Pass::Forward, false) => Found { place: line * taps * s.inputs + at[o + K], there: true.runtime() },
        (Pass::InputGrad, true) => {
            let (y, x) = (at[o + ROW], at[o + COLUMN]);
            let dy = at[o + TAP] / comptime!(made.kernel[1]);
            let dx = at[o + TAP] % comptime!(made.kernel[1]);
            let (oy, ox) = ((y - dy) / comptime!(made.stride[0]), (x - dx) / comptime!(made.stride[1]));
            let met = oy * comptime!(made.stride[0]) + dy == y && ox * comptime!(made.stride[1]) + dx == x;
            Found {
                place: ((at[o + FRAME] * s.out_height + oy) * s.out_width + ox) * s.outputs + at[o + CHANNEL],
                there: y >= dy && x >= dx && met && oy < s.out_height && ox < s.out_width,
            }
        }
        (Pass::InputGrad, false) => {
            Found { place: (at[o + CHANNEL] * taps + at[o + TAP]) * s.inputs + line, there: true.runtime() }
        }
        (Pass::WeightGrad, true) => Found { place: at[o + K] * s.outputs + line, there: true.runtime() },
        (Pass::WeightGrad, false) => {
            let y = at[o + ROW] * comptime!(made.stride[0]);
            let x = at[o + COLUMN] * comptime!(made.stride[1]);
            under_window(at, y, x, s, o, made)
        }
    }
}

/// Reads what a unit carries of a strip of an operand with `lines` rows or columns.
#[cube]
fn fetch<F: Float, N: Size>(
    from: &[Vector<F, N>],
    into: &mut Array<Vector<F, N>>,
    at: &Array<usize>,
    first: usize,
    lines: usize,
    end: usize,
    s: &Sizes,
    #[comptime] is_left: bool,
    #[comptime] along_depth: bool,
    #[comptime] made: Made,
) {
    #[unroll]
    for i in 0..EACH {
        let o = comptime!(i * FIELDS);
        let (line, _) = position(UNIT_POS as usize + i * UNITS, along_depth);
        let found = find(at, first + line, s, o, is_left, made);
        let mut value = Vector::<F, N>::new(F::new(0.0f32));
        if found.there && first + line < lines && at[o + K] < end {
            value = from[found.place / WIDE];
        }
        into[i] = value;
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
    let start = CUBE_POS_Z as usize * extent.piece;
    let end = min(start + extent.piece, extent.depth);
    let plane = UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let plane_row = plane / ACROSS * comptime!(DOWN * FRAGMENT);
    let plane_column = plane % ACROSS * comptime!(BESIDE * FRAGMENT);
    let mut next_left = Array::<Vector<F, N>>::new(EACH);
    let mut next_right = Array::<Vector<F, N>>::new(EACH);
    let mut at_left = Array::<usize>::new(comptime!(EACH * FIELDS));
    let mut at_right = Array::<usize>::new(comptime!(EACH * FIELDS));
    begin(&mut at_left, first_row, start, &s, true, left_along, made);
    begin(&mut at_right, first_column, start, &s, false, right_along, made);
    fetch(a, &mut next_left, &at_left, first_row, extent.rows, end, &s, true, left_along, made);
    fetch(b, &mut next_right, &at_right, first_column, extent.columns, end, &s, false, right_along, made);
    let mut depth = start;
    while depth < end {
        lay_down(&next_left, &mut lefts, left_along);
        lay_down(&next_right, &mut rights, right_along);
        sync_cube();
        depth += DEPTH;
        if depth < end {
            advance(&mut at_left, &s, true, made);
            advance(&mut at_right, &s, false, made);
            fetch(a, &mut next_left, &at_left, first_row, extent.rows, end, &s, true, left_along, made);
            fetch(
                b,
                &mut next_right,
                &at_right,
                first_column,
                extent.columns,
                end,
                &s,
                false,
                right_along,
                made,
            );
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
