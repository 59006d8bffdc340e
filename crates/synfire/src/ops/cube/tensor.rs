//! The products of [`product`](super::product) on tensor cores: bf16 times bf16, summed in single precision.
//!
//! A cube of eight planes makes a tile of 128 by 128, a plane 64 by 32 of it. Strips of both operands are copied to shared
//! memory asynchronously, two ahead of the one that is multiplied, so that a strip costs one barrier and no registers. From
//! there fragments are loaded as the tensor cores want them. Everything is read eight channels at a time; the caller sees to
//! it that channels are multiples of eight.

use super::product::{Extent, ExtentLaunch, Made, Pass, Sizes, SizesLaunch};
use super::tensors::element;
use burn_cubecl::tensor::CubeTensor;
use cubecl::cmma::{MatrixIdent, MmaDefinition};
use cubecl::ir::features::MmaConfig;
use cubecl::prelude::barrier::copy_async_checked;
use cubecl::prelude::*;

/// Rows and columns of a tile.
pub(super) const TILE: usize = 128;
/// How much of the depth is one strip.
pub(super) const DEPTH: usize = 32;
/// Values that are read at once.
pub(super) const WIDE: usize = 8;
/// Strips in shared memory.
const STAGES: usize = 3;
/// Rows, columns and depth of what tensor cores multiply at once.
const FRAGMENT: [usize; 3] = [16, 8, 16];
const PLANES: usize = 8;
const LANES: usize = 32;
const UNITS: usize = PLANES * LANES;
/// Planes beside each other.
const ACROSS: usize = 4;
/// Rows and columns of a plane.
const ROWS: usize = TILE / (PLANES / ACROSS);
const COLUMNS: usize = TILE / ACROSS;
/// Fragments of a plane, down and across.
const DOWN: usize = ROWS / FRAGMENT[0];
const BESIDE: usize = COLUMNS / FRAGMENT[1];
/// Neighbouring results that a unit holds.
const PAIR: usize = 2;
/// Strips that lie along the depth, and those that lie along the tile, in shared memory: padded, so that neighbouring rows
/// begin in different banks.
const ALONG_DEPTH: usize = DEPTH + WIDE;
const ALONG_TILE: usize = TILE + WIDE;
/// Vectors of a strip of one operand that each unit copies.
const EACH: usize = TILE * DEPTH / WIDE / UNITS;

/// Whether the device has such tensor cores.
pub(super) fn fits(x: &CubeTensor) -> bool {
    let (half, single) = (half::bf16::elem_type_native(), f32::elem_type_native());
    let [m, n, k] = FRAGMENT.map(|side| side as u32);
    let needed = MmaConfig { a_type: half, b_type: half, cd_type: single, m, n, k };
    let properties = x.client.properties();
    let (features, hardware) = (&properties.features, &properties.hardware);
    features.matmul.mma.contains(&needed)
        && features.matmul.ldmatrix.contains(&half)
        && features.copy_async
        && hardware.plane_size_min == LANES as u32
        && hardware.plane_size_max == LANES as u32
        && hardware.max_shared_memory_size >= 2 * STAGES * TILE * ALONG_DEPTH * size_of::<half::bf16>()
}

/// What a unit knows of the rows or columns of its vectors: where the vector would lie at depth 0, the depth from which on it
/// is not there, and a pixel's place or a tap's in its window. Vectors along the depth are of different rows and share their depth;
/// those along the tile are the other way about.
const LINE_FIELDS: usize = 4;
const BASE: usize = 0;
const LIMIT: usize = 1;
const Y: usize = 2;
const X: usize = 3;

/// What it knows of their depths: the step, and either its tap and channel or its frame, row and column.
const DEPTH_FIELDS: usize = 4;
const K: usize = 0;
const TAP: usize = 1;
const CHANNEL: usize = 2;
const FRAME: usize = 1;
const ROW: usize = 2;
const COLUMN: usize = 3;

/// Where the fields of vector `i` begin, of its line and of its depth.
const fn fields(i: usize, along_depth: bool) -> (usize, usize) {
    if along_depth { (i * LINE_FIELDS, 0) } else { (0, i * DEPTH_FIELDS) }
}

/// The row or column of a tile, and the step of a strip, where a unit's vector begins.
#[cube]
fn position(i: usize, #[comptime] along_depth: bool) -> (usize, usize) {
    let entry = UNIT_POS as usize + i * UNITS;
    if comptime!(along_depth) {
        // Of eight rows the first and the fifth follow each other, the second and the sixth, …: neighbours would meet in a bank.
        let row = entry / comptime!(DEPTH / WIDE);
        let line = row / 8 * 8 + row % 2 * 4 + row % 8 / 2;
        (line, entry % comptime!(DEPTH / WIDE) * WIDE)
    } else {
        (entry % comptime!(TILE / WIDE) * WIDE, entry / comptime!(TILE / WIDE))
    }
}

/// Where an entry of a strip lies in shared memory, in values.
#[cube]
fn place_in_strip(line: usize, step: usize, #[comptime] along_depth: bool) -> usize {
    if comptime!(along_depth) { line * ALONG_DEPTH + step } else { step * ALONG_TILE + line }
}

/// An operand of the product, as a unit copies it.
#[derive(CubeType)]
struct Operand {
    lines: Array<usize>,
    depths: Array<usize>,
    /// What a strip adds to the fields of a depth behind the first.
    steps: Array<usize>,
}

/// The left or the right operand from row or column `first` and depth `depth` on.
#[cube]
fn operand(
    first: usize,
    depth: usize,
    lines: usize,
    end: usize,
    s: &Sizes,
    #[comptime] is_left: bool,
    #[comptime] along_depth: bool,
    #[comptime] made: Made,
) -> Operand {
    let taps = comptime!(made.kernel[0] * made.kernel[1]);
    let (top, left) = (comptime!(made.padding[0]), comptime!(made.padding[1]));
    let mut of_lines = Array::<usize>::new(comptime!(EACH * LINE_FIELDS));
    let mut depths = Array::<usize>::new(comptime!(EACH * DEPTH_FIELDS));
    let mut steps = Array::<usize>::new(DEPTH_FIELDS);
    #[unroll]
    for i in 0..EACH {
        let (o, d) = comptime!(fields(i, along_depth));
        let (line, step) = position(i, along_depth);
        let (line, k) = (first + line, depth + step);
        of_lines[o + LIMIT] = select(line < lines, end, 0usize);
        depths[d + K] = k;
        match comptime!((made.pass, is_left)) {
            (Pass::Forward, true) => {
                let rest = line / s.out_width;
                let y = rest % s.out_height * comptime!(made.stride[0]) - top;
                let x = line % s.out_width * comptime!(made.stride[1]) - left;
                of_lines[o + Y] = y;
                of_lines[o + X] = x;
                of_lines[o + BASE] = ((rest / s.out_height * s.height + y) * s.width + x) * s.inputs;
                depths[d + TAP] = k / s.inputs;
                depths[d + CHANNEL] = k % s.inputs;
            }
            (Pass::Forward, false) => of_lines[o + BASE] = line * taps * s.inputs,
            (Pass::InputGrad, true) => {
                let rest = line / s.width;
                of_lines[o + Y] = rest % s.height + top;
                of_lines[o + X] = line % s.width + left;
                of_lines[o + BASE] = rest / s.height * s.out_height;
                depths[d + TAP] = k / s.outputs;
                depths[d + CHANNEL] = k % s.outputs;
            }
            (Pass::InputGrad, false) => {
                of_lines[o + BASE] = line;
                depths[d + TAP] = k / s.outputs;
                depths[d + CHANNEL] = k % s.outputs;
            }
            (Pass::WeightGrad, true) => of_lines[o + BASE] = line,
            (Pass::WeightGrad, false) => {
                let tap = line / s.inputs;
                of_lines[o + Y] = tap / comptime!(made.kernel[1]) - top;
                of_lines[o + X] = tap % comptime!(made.kernel[1]) - left;
                of_lines[o + BASE] = line % s.inputs;
                let rest = k / s.out_width;
                depths[d + FRAME] = rest / s.out_height;
                depths[d + ROW] = rest % s.out_height;
                depths[d + COLUMN] = k % s.out_width;
            }
        }
    }
    if comptime!(made.pass == Pass::WeightGrad) {
        let rows = DEPTH.runtime() / s.out_width;
        steps[FRAME] = rows / s.out_height;
        steps[ROW] = rows % s.out_height;
        steps[COLUMN] = DEPTH.runtime() % s.out_width;
    } else {
        let channels = if comptime!(made.pass == Pass::Forward) { s.inputs } else { s.outputs };
        steps[TAP] = DEPTH.runtime() / channels;
        steps[CHANNEL] = DEPTH.runtime() % channels;
    }
    Operand { lines: of_lines, depths, steps }
}

/// Adds to a digit, and gives what is carried to the next one.
#[cube]
fn carry(digits: &mut Array<usize>, at: usize, step: usize, base: usize) -> usize {
    let sum = digits[at] + step;
    digits[at] = select(sum >= base, sum - base, sum);
    select(sum >= base, 1usize, 0usize)
}

/// Moves the vectors of a unit on to the next strip.
#[cube]
fn advance(
    operand: &mut Operand,
    s: &Sizes,
    #[comptime] is_left: bool,
    #[comptime] along_depth: bool,
    #[comptime] made: Made,
) {
    #[unroll]
    for i in 0..comptime!(if along_depth { 1 } else { EACH }) {
        let d = comptime!(fields(i, along_depth).1);
        operand.depths[d + K] += DEPTH;
        match comptime!((made.pass, is_left)) {
            (Pass::Forward, true) | (Pass::InputGrad, _) => {
                let channels = if comptime!(made.pass == Pass::Forward) { s.inputs } else { s.outputs };
                let more = carry(&mut operand.depths, d + CHANNEL, operand.steps[CHANNEL], channels);
                operand.depths[d + TAP] += operand.steps[TAP] + more;
            }
            (Pass::WeightGrad, false) => {
                let more = carry(&mut operand.depths, d + COLUMN, operand.steps[COLUMN], s.out_width);
                let more = carry(&mut operand.depths, d + ROW, operand.steps[ROW] + more, s.out_height);
                operand.depths[d + FRAME] += operand.steps[FRAME] + more;
            }
            _ => {}
        }
    }
}

/// Where a vector of an operand lies, and whether it does: what is beyond the frames is zero. Numbers below zero wrap round, and
/// are then larger than any size.
#[derive(CubeType, Clone, Copy)]
struct Found {
    place: usize,
    there: bool,
}

/// Where a vector lies, if its row or column and its depth are there.
#[cube]
fn find(
    operand: &Operand,
    s: &Sizes,
    #[comptime] i: usize,
    #[comptime] is_left: bool,
    #[comptime] along_depth: bool,
    #[comptime] made: Made,
) -> Found {
    let (o, d) = comptime!(fields(i, along_depth));
    let taps = comptime!(made.kernel[0] * made.kernel[1]);
    let (base, k) = (operand.lines[o + BASE], operand.depths[d + K]);
    match comptime!((made.pass, is_left)) {
        (Pass::Forward, true) => {
            let tap = operand.depths[d + TAP];
            let (dy, dx) = (tap / comptime!(made.kernel[1]), tap % comptime!(made.kernel[1]));
            let (y, x) = (operand.lines[o + Y] + dy, operand.lines[o + X] + dx);
            Found {
                place: base + (dy * s.width + dx) * s.inputs + operand.depths[d + CHANNEL],
                there: y < s.height && x < s.width,
            }
        }
        (Pass::Forward, false) => Found { place: base + k, there: true.runtime() },
        (Pass::InputGrad, true) => {
            let tap = operand.depths[d + TAP];
            let y = operand.lines[o + Y] - tap / comptime!(made.kernel[1]);
            let x = operand.lines[o + X] - tap % comptime!(made.kernel[1]);
            let (row, column) = (y / comptime!(made.stride[0]), x / comptime!(made.stride[1]));
            // A number below zero is far larger than any row, divided by a stride too.
            let met = row * comptime!(made.stride[0]) == y && column * comptime!(made.stride[1]) == x;
            Found {
                place: ((base + row) * s.out_width + column) * s.outputs + operand.depths[d + CHANNEL],
                there: met && row < s.out_height && column < s.out_width,
            }
        }
        (Pass::InputGrad, false) => {
            let row = operand.depths[d + CHANNEL] * taps + operand.depths[d + TAP];
            Found { place: row * s.inputs + base, there: true.runtime() }
        }
        (Pass::WeightGrad, true) => Found { place: k * s.outputs + base, there: true.runtime() },
        (Pass::WeightGrad, false) => {
            let y = operand.depths[d + ROW] * comptime!(made.stride[0]) + operand.lines[o + Y];
            let x = operand.depths[d + COLUMN] * comptime!(made.stride[1]) + operand.lines[o + X];
            Found {
                place: ((operand.depths[d + FRAME] * s.height + y) * s.width + x) * s.inputs + base,
                there: y < s.height && x < s.width,
            }
        }
    }
}

/// Begins to copy what a unit copies of a strip, and moves on to the next one.
#[cube]
fn copy<F: Float, N: Size>(
    from: &[Vector<F, N>],
    to: &mut Shared<[Vector<F, N>]>,
    stage: usize,
    operand: &mut Operand,
    s: &Sizes,
    #[comptime] is_left: bool,
    #[comptime] along_depth: bool,
    #[comptime] made: Made,
) {
    #[unroll]
    for i in 0..EACH {
        let (o, d) = comptime!(fields(i, along_depth));
        let found = find(&*operand, s, i, is_left, along_depth, made);
        let there = found.there && operand.depths[d + K] < operand.lines[o + LIMIT];
        // Of an empty slice nothing is read, and what is not read is zero.
        let place = select(there, found.place / WIDE, 0usize);
        let length = select(there, 1usize, 0usize);
        let (line, step) = position(i, along_depth);
        let at = stage * comptime!(strip(along_depth)) + place_in_strip(line, step, along_depth) / WIDE;
        copy_async_checked(&from[place..place + length], &mut to[at..at + 1], comptime!(WIDE as u32));
    }
    advance(operand, s, is_left, along_depth, made);
}

/// Closes the group of copies that were begun; the groups end one after the other.
#[cube]
fn close_group() {
    gpu_asm!("cp.async.commit_group;");
}

/// Waits until all groups but the last `left` have ended.
#[cube]
fn wait_for_groups(#[comptime] left: usize) {
    gpu_asm!("cp.async.wait_group {};", const left);
}

/// Where a lane's row of the four matrices of 8 by 8 lies that are loaded at once: in the left operand one pair is of the first
/// eight rows, in the right one of the first eight columns. Lines and steps in values.
#[cube]
fn row_of_lane(#[comptime] is_left: bool, #[comptime] along_depth: bool) -> (usize, usize) {
    let lane = UNIT_POS as usize % LANES;
    let (matrix, row) = (lane / 8, lane % 8);
    let (low, high) = (matrix % 2 * 8, matrix / 2 * 8);
    let (line, step) = if comptime!(is_left) { (low, high) } else { (high, low) };
    if comptime!(along_depth) { (line + row, step) } else { (line, step + row) }
}

#[cube(launch)]
fn tensor_kernel<F: Float, C: Float, N: Size, P: Size>(
    a: &[Vector<F, N>],
    b: &[Vector<F, N>],
    bias: &[f32],
    out: &mut [Vector<C, P>],
    s: Sizes,
    extent: Extent,
    #[comptime] made: Made,
    #[define(F, C)] _elements: [ElemType; 2],
) {
    let left_along = comptime!(made.pass != Pass::WeightGrad);
    let right_along = comptime!(made.pass == Pass::Forward);
    let mut lefts = Shared::<[Vector<F, N>]>::new_slice(comptime!(STAGES * strip(left_along)));
    let mut rights = Shared::<[Vector<F, N>]>::new_slice(comptime!(STAGES * strip(right_along)));
    let tiles = (extent.columns + comptime!(TILE - 1)) / TILE;
    let tile = CUBE_POS_Y as usize * CUBE_COUNT_X as usize + CUBE_POS_X as usize;
    let first_row = tile / tiles * TILE;
    let first_column = tile % tiles * TILE;
    let start = CUBE_POS_Z as usize * extent.piece;
    let end = min(start + extent.piece, extent.depth);
    let plane = UNIT_POS as usize / LANES;
    let plane_row = plane / ACROSS * ROWS;
    let plane_column = plane % ACROSS * COLUMNS;

    let mut left = operand(first_row, start, extent.rows, end, &s, true, left_along, made);
    let mut right = operand(first_column, start, extent.columns, end, &s, false, right_along, made);
    #[unroll]
    for stage in 0..comptime!(STAGES - 1) {
        copy(a, &mut lefts, stage, &mut left, &s, true, left_along, made);
        copy(b, &mut rights, stage, &mut right, &s, false, right_along, made);
        close_group();
    }

    let definition = MmaDefinition::<F, F, f32>::new(FRAGMENT[0], FRAGMENT[1], FRAGMENT[2]);
    let size!(P16) = definition.vector_size(MatrixIdent::A);
    let size!(P32) = definition.vector_size(MatrixIdent::Accumulator);
    let mut sums = Array::<Vector<f32, P32>>::new(comptime!(DOWN * BESIDE * 2));
    #[unroll]
    for i in 0..comptime!(DOWN * BESIDE * 2) {
        sums[i] = Vector::new(0.0f32);
    }
    let (line, step) = row_of_lane(true, left_along);
    let of_left = place_in_strip(line + plane_row, step, left_along) / WIDE;
    let (line, step) = row_of_lane(false, right_along);
    let of_right = place_in_strip(line + plane_column, step, right_along) / WIDE;
    let mut depth = start;
    let mut stage = 0usize.runtime();
    while depth < end {
        wait_for_groups(comptime!(STAGES - 2));
        // Now all units' copies of this strip are there, and the strip before it is no longer read.
        sync_cube();
        let free = select(stage == 0, comptime!(STAGES - 1).runtime(), stage - 1);
        copy(a, &mut lefts, free, &mut left, &s, true, left_along, made);
        copy(b, &mut rights, free, &mut right, &s, false, right_along, made);
        close_group();
        #[unroll]
        for k in 0..comptime!(DEPTH / FRAGMENT[2]) {
            let mut columns = Array::<Vector<F, P16>>::new(comptime!(BESIDE * 2));
            #[unroll]
            for j in 0..comptime!(BESIDE / 2) {
                let more = comptime!(place_of_fragment(2 * j * FRAGMENT[1], k * FRAGMENT[2], right_along));
                let at = stage * comptime!(strip(right_along)) + of_right + more;
                let loaded = definition.load_matrix::<_, P16>(
                    &rights[at..at + 1],
                    MatrixIdent::B,
                    4usize,
                    comptime!(!right_along),
                );
                #[unroll]
                for matrix in 0..4usize {
                    columns[comptime!(4 * j + matrix)] = loaded[matrix];
                }
            }
            #[unroll]
            for i in 0..DOWN {
                let more = comptime!(place_of_fragment(i * FRAGMENT[0], k * FRAGMENT[2], left_along));
                let at = stage * comptime!(strip(left_along)) + of_left + more;
                let rows = definition.load_matrix::<_, P16>(
                    &lefts[at..at + 1],
                    MatrixIdent::A,
                    4usize,
                    comptime!(!left_along),
                );
                #[unroll]
                for j in 0..BESIDE {
                    let mut column = Array::<Vector<F, P16>>::new(2usize);
                    let mut sum = Array::<Vector<f32, P32>>::new(2usize);
                    #[unroll]
                    for half in 0..2usize {
                        column[half] = columns[comptime!(2 * j + half)];
                        sum[half] = sums[comptime!((i * BESIDE + j) * 2 + half)];
                    }
                    let sum = definition.execute(&rows, &column, &sum);
                    #[unroll]
                    for half in 0..2usize {
                        sums[comptime!((i * BESIDE + j) * 2 + half)] = sum[half];
                    }
                }
            }
        }
        stage = select(stage == comptime!(STAGES - 1), 0usize, stage + 1);
        depth += DEPTH;
    }
    // Those behind the end brought nothing, but shared memory is theirs until they have.
    wait_for_groups(0usize);

    // A lane has two neighbouring columns of two rows of each fragment.
    let lane = UNIT_POS as usize % LANES;
    #[unroll]
    for j in 0..BESIDE {
        let column = first_column + plane_column + j * FRAGMENT[1] + lane % 4 * PAIR;
        if column < extent.columns {
            let mut more = Array::<f32>::new(PAIR);
            #[unroll]
            for v in 0..PAIR {
                more[v] = if comptime!(made.biased) { bias[column + v] } else { 0.0f32.runtime() };
            }
            #[unroll]
            for i in 0..comptime!(DOWN * 2) {
                let row = first_row + plane_row + i * comptime!(FRAGMENT[0] / 2) + lane / 4;
                if row < extent.rows {
                    let sum = sums[comptime!((i / 2 * BESIDE + j) * 2 + i % 2)];
                    let mut values = Vector::<C, P>::empty();
                    #[unroll]
                    for v in 0..PAIR {
                        values.insert(v, C::cast_from(sum.extract(v) + more[v]));
                    }
                    let place = (CUBE_POS_Z as usize * extent.rows + row) * extent.columns + column;
                    out[place / PAIR] = values;
                }
            }
        }
    }
}

/// How far a fragment lies behind the first one of a strip, in vectors.
const fn place_of_fragment(line: usize, step: usize, along_depth: bool) -> usize {
    let values = if along_depth { line * ALONG_DEPTH + step } else { step * ALONG_TILE + line };
    values / WIDE
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
        PAIR,
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
