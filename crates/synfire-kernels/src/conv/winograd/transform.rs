//! The transforms of inputs, errors and outputs: matrices of 0 and ±1 along rows and columns of a tile, for a vector of
//! channels at a time.

#![allow(clippy::needless_range_loop, reason = "loops over constants, which are unrolled into registers")]

use std::ops::Range;

use crate::bf16::{Element, Precision};
use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::simd::{MOST_LANES, Simd, per_isa};
use crate::source::Source;

use super::{LINE, Origin, PLACES, SIDE, Tiles};

/// A matrix of 0 and ±1 that makes `M` values of `N`.
pub(super) trait Matrix<const N: usize, const M: usize> {
    /// # Safety
    /// The instruction set of `S`.
    unsafe fn times<S: Simd>(x: [S::V; N]) -> [S::V; M];
}

/// `Bᵀ`.
struct Input;

impl Matrix<4, 4> for Input {
    #[inline(always)]
    unsafe fn times<S: Simd>([a, b, c, d]: [S::V; 4]) -> [S::V; 4] {
        // SAFETY: the caller's promise.
        unsafe { [S::sub(a, c), S::add(b, c), S::sub(c, b), S::sub(d, b)] }
    }
}

/// `A`.
struct Errors;

impl Matrix<2, 4> for Errors {
    #[inline(always)]
    unsafe fn times<S: Simd>([a, b]: [S::V; 2]) -> [S::V; 4] {
        // SAFETY: the caller's promise.
        unsafe { [a, S::add(a, b), S::sub(a, b), b] }
    }
}

/// `Aᵀ`.
struct Output;

impl Matrix<4, 2> for Output {
    #[inline(always)]
    unsafe fn times<S: Simd>([a, b, c, d]: [S::V; 4]) -> [S::V; 2] {
        // SAFETY: the caller's promise.
        unsafe { [S::add(a, S::add(b, c)), S::add(S::sub(b, c), d)] }
    }
}

/// Lines `FROM` to `TO` of `H x Hᵀ`; the others are not computed.
///
/// # Safety
/// The instruction set of `S`.
#[inline(always)]
unsafe fn both<
    S: Simd,
    H: Matrix<N, M>,
    const N: usize,
    const M: usize,
    const FROM: usize,
    const TO: usize,
>(
    x: &[[S::V; N]; N],
) -> [[S::V; M]; M] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut rows = [[S::zero(); N]; M];
        for i in 0..N {
            let mut column = [S::zero(); N];
            for j in 0..N {
                column[j] = x[j][i];
            }
            let column = H::times::<S>(column);
            for j in 0..M {
                rows[j][i] = column[j];
            }
        }
        let mut product = [[S::zero(); M]; M];
        for j in FROM..TO {
            product[j] = H::times::<S>(rows[j]);
        }
        product
    }
}

/// Writes the first `n` values of a vector.
///
/// # Safety
/// The instruction set of `S`, and `to` valid for as many values.
#[inline(always)]
unsafe fn store<S: Simd, X: Element>(to: *mut X, v: S::V, n: usize) {
    // SAFETY: the caller's promise; a vector has no more lanes than `some` has values.
    unsafe {
        if n >= S::LANES {
            return X::store::<S>(to, v);
        }
        let mut some = [X::default(); MOST_LANES];
        X::store::<S>(some.as_mut_ptr(), v);
        std::ptr::copy_nonoverlapping(some.as_ptr(), to, n);
    }
}

/// What a row of transformed windows stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// One tile, to be summed over its channels.
    Channels,
    /// One tile, or where pairs are multiplied two successive ones, to be summed over tiles.
    Tiles,
}

/// Windows of pixels, one for each tile, to be transformed.
pub(super) struct Windows<'a, X> {
    /// `[frames, height, width, pixel]`.
    pub(super) source: X,
    pub(super) size: [usize; 2],
    /// Channels of a pixel in memory.
    pub(super) pixel: usize,
    /// The channels to take.
    pub(super) channels: Range<usize>,
    pub(super) tiles: Tiles,
    pub(super) range: Range<usize>,
    /// How far above and to the left of the tile's first output pixel the window begins.
    pub(super) before: [isize; 2],
    pub(super) rows: Rows,
    /// Elements of a row, a multiple of the lanes.
    pub(super) row: usize,
    /// The lines of places that are wanted, all or one: a part of the work for its own memory.
    pub(super) lines: Range<usize>,
    /// Written, `[places of the lines][capacity][row]`.
    pub(super) to: &'a mut [f32],
}

impl<X: Source> Windows<'_, X> {
    /// All lines.
    pub(super) const ALL: Range<usize> = 0..LINE;

    /// `Bᵀ d B` of windows of 4x4 inputs.
    pub(super) fn spread_input(&mut self, isa: Isa, precision: Precision) {
        // SAFETY: nothing but the instruction set, which `input` sees to.
        unsafe { input(isa, precision, self) }
    }

    /// `A e Aᵀ` of windows of 2x2 errors.
    pub(super) fn spread_errors(&mut self, isa: Isa, precision: Precision) {
        // SAFETY: nothing but the instruction set, which `errors` sees to.
        unsafe { errors(isa, precision, self) }
    }

    /// The window of a tile.
    #[inline(always)]
    fn window<const N: usize>(&self, Origin { frame, y, x }: Origin) -> Window<N> {
        let [height, width] = self.size;
        let (y, x) = (y as isize - self.before[0], x as isize - self.before[1]);
        let mut window = Window::outside();
        let mut inside = 0;
        for j in 0..N {
            let y = (y + j as isize) as usize;
            for i in 0..N {
                // Below 0 is past the end here.
                let x = (x + i as isize) as usize;
                if y < height && x < width {
                    let at = ((frame * height + y) * width + x) * self.pixel + self.channels.start;
                    let (n, len) = (self.channels.len(), self.source.len());
                    assert!(at <= len && n <= len - at);
                    window.pixels[j][i] = at;
                    inside += 1;
                }
            }
        }
        window.whole = inside == N * N;
        window
    }

    /// # Safety
    /// The instruction set of `S`.
    #[inline(always)]
    unsafe fn spread_lines<S: Simd, H: Matrix<N, LINE>, const N: usize>(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            match (self.lines.start, self.lines.end) {
                (0, LINE) => self.spread::<S, H, N, 0, LINE>(),
                (0, 1) => self.spread::<S, H, N, 0, 1>(),
                (1, 2) => self.spread::<S, H, N, 1, 2>(),
                (2, 3) => self.spread::<S, H, N, 2, 3>(),
                (3, LINE) => self.spread::<S, H, N, 3, LINE>(),
                other => unreachable!("lines {other:?} of places"),
            }
        }
    }

    /// # Safety
    /// The instruction set of `S`.
    #[inline(always)]
    unsafe fn spread<S: Simd, H: Matrix<N, LINE>, const N: usize, const FROM: usize, const TO: usize>(
        &mut self,
    ) {
        let pairs = S::OPERANDS == Precision::Bf16;
        let together = if pairs && self.rows == Rows::Tiles { 2 } else { 1 };
        let values = self.channels.len();
        let plane = self.to.len() / (LINE * (TO - FROM));
        let filled = self.range.len().div_ceil(together) * self.row;
        let needed = if pairs && self.rows == Rows::Channels { values.div_ceil(2) } else { values };
        assert!(self.row >= needed && self.row.is_multiple_of(S::LANES) && filled <= plane);
        let to = self.to.as_mut_ptr();
        let mut origins = self.tiles.origins(self.range.clone());
        for row in (0..filled).step_by(self.row) {
            let mut next = || origins.next().map_or(Window::outside(), |origin| self.window::<N>(origin));
            let first = next();
            let second = if together == 2 { next() } else { Window::outside() };
            for c in (0..values).step_by(S::LANES) {
                // SAFETY: the caller's promise; windows have all channels, and each plane's row room for them, rounded
                // up to vectors.
                unsafe {
                    let to = to.add(row);
                    let first = self.transformed::<S, H, N, FROM, TO>(&first, c);
                    if pairs && self.rows == Rows::Channels {
                        for place in 0..LINE * (TO - FROM) {
                            let to = to.add(place * plane).cast::<half::bf16>().add(c);
                            S::narrow(to, first[FROM + place / LINE][place % LINE]);
                        }
                    } else if pairs {
                        let second = self.transformed::<S, H, N, FROM, TO>(&second, c);
                        for place in 0..LINE * (TO - FROM) {
                            let [first, second] =
                                [first, second].map(|x| x[FROM + place / LINE][place % LINE]);
                            S::store(to.add(place * plane + c), S::pair(first, second));
                        }
                    } else {
                        for place in 0..LINE * (TO - FROM) {
                            S::store(to.add(place * plane + c), first[FROM + place / LINE][place % LINE]);
                        }
                    }
                }
            }
        }
    }

    /// The transform of a window, of a vector of channels from the `c`th on.
    ///
    /// # Safety
    /// The instruction set of `S`; the window is from [`Windows::window`].
    #[inline(always)]
    unsafe fn transformed<S: Simd, H: Matrix<N, LINE>, const N: usize, const FROM: usize, const TO: usize>(
        &self,
        window: &Window<N>,
        c: usize,
    ) -> [[S::V; LINE]; LINE] {
        let n = self.channels.len() - c;
        // SAFETY: the caller's promises; pixels inside the frame have all channels.
        unsafe {
            let mut x = [[S::zero(); N]; N];
            for j in 0..N {
                for i in 0..N {
                    if window.whole || window.pixels[j][i] != OUTSIDE {
                        x[j][i] = self.source.load::<S>(window.pixels[j][i] + c, n);
                    }
                }
            }
            both::<S, H, N, LINE, FROM, TO>(&x)
        }
    }
}

/// Stands for a pixel outside of the frame.
const OUTSIDE: usize = usize::MAX;

/// Where the pixels of a window begin, at their first channel to be taken.
struct Window<const N: usize> {
    pixels: [[usize; N]; N],
    /// None of them is outside.
    whole: bool,
}

impl<const N: usize> Window<N> {
    fn outside() -> Self {
        Window { pixels: [[OUTSIDE; N]; N], whole: false }
    }
}

per_isa! {
    unsafe fn input<X: Source>(windows: &mut Windows<'_, X>) = input_generic;
}

/// # Safety
/// The instruction set of `S`.
#[inline(always)]
unsafe fn input_generic<S: Simd, X: Source>(windows: &mut Windows<'_, X>) {
    // SAFETY: the caller's promise.
    unsafe { windows.spread_lines::<S, Input, 4>() }
}

per_isa! {
    unsafe fn errors<X: Source>(windows: &mut Windows<'_, X>) = errors_generic;
}

/// # Safety
/// The instruction set of `S`.
#[inline(always)]
unsafe fn errors_generic<S: Simd, X: Source>(windows: &mut Windows<'_, X>) {
    // SAFETY: the caller's promise.
    unsafe { windows.spread_lines::<S, Errors, SIDE>() }
}

/// Sums at the 16 places of some tiles, to be made the output.
pub(super) struct Outputs<'a, Y> {
    /// `[PLACES][capacity][width]`.
    pub(super) sums: &'a [f32],
    pub(super) width: usize,
    pub(super) tiles: Tiles,
    pub(super) range: Range<usize>,
    /// Height and width of the output.
    pub(super) size: [usize; 2],
    /// Channels of a pixel in memory.
    pub(super) pixel: usize,
    /// The channels that are written.
    pub(super) channels: Range<usize>,
    /// `[frames, height, width, pixel]`.
    pub(super) output: &'a Disjoint<'a, Y>,
}

impl<Y: Element> Outputs<'_, Y> {
    /// `Aᵀ m A`, written to the output.
    ///
    /// # Safety
    /// Nobody else may use these tiles' and channels' part of the output.
    pub(super) unsafe fn collect(&self, isa: Isa, precision: Precision) {
        // SAFETY: the caller's promise, and the instruction set, which `outputs` sees to.
        unsafe { outputs(isa, precision, self) }
    }
}

per_isa! {
    unsafe fn outputs<Y: Element>(outputs: &Outputs<'_, Y>) = outputs_generic;
}

/// # Safety
/// The instruction set of `S`, and as [`Outputs::collect`].
#[inline(always)]
unsafe fn outputs_generic<S: Simd, Y: Element>(outputs: &Outputs<'_, Y>) {
    let Outputs { sums, width, size: [height, columns], pixel, .. } = *outputs;
    let (values, plane) = (outputs.channels.len(), sums.len() / PLACES);
    assert!(outputs.range.len() * width <= plane && values <= width && width.is_multiple_of(S::LANES));
    for (row, Origin { frame, y, x }) in outputs.tiles.origins(outputs.range.clone()).enumerate() {
        let mut to = [[std::ptr::null_mut::<Y>(); SIDE]; SIDE];
        for j in 0..SIDE.min(height - y) {
            for i in 0..SIDE.min(columns - x) {
                let at = ((frame * height + y + j) * columns + x + i) * pixel + outputs.channels.start;
                // SAFETY: the caller's promise.
                to[j][i] = unsafe { outputs.output.part(at, values) }.as_mut_ptr();
            }
        }
        for c in (0..values).step_by(S::LANES) {
            // SAFETY: the caller's promise; the sums were checked above, and every pixel has all values.
            unsafe {
                let from = sums.as_ptr().add(row * width + c);
                let mut m = [[S::zero(); LINE]; LINE];
                for place in 0..PLACES {
                    m[place / LINE][place % LINE] = S::load(from.add(place * plane));
                }
                let y = both::<S, Output, LINE, SIDE, 0, SIDE>(&m);
                for j in 0..SIDE {
                    for i in 0..SIDE {
                        if !to[j][i].is_null() {
                            store::<S, Y>(to[j][i].add(c), y[j][i], values - c);
                        }
                    }
                }
            }
        }
    }
}
