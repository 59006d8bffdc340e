//! The inner loops: tiles of output that stay in registers while the products are summed.
//!
//! A tile has `M` rows of `V` vectors. For every step of the sum, `V` vectors are loaded and `M` values broadcast,
//! for `M·V` fused multiplications and additions: with 24 sums in 32 registers, the loads are hidden behind the
//! arithmetic, and the sums are enough to hide its latency.

#![allow(
    clippy::needless_range_loop,
    reason = "loops over the constants M and V, which are unrolled into registers"
)]

use std::ops::Range;

use crate::simd::Simd;

use super::gather::SLACK;

/// Output pixels times output channels, summed over values under the kernel.
pub(super) struct Pixels<'a> {
    /// Input of the unit, from [`super::gather::Gather::fill`].
    pub(super) scratch: &'a [f32],
    /// Where the pixels begin in `scratch`.
    pub(super) bases: &'a [usize],
    /// Values to sum over, relative to a base.
    pub(super) runs: &'a [Range<usize>],
    /// The weights of a panel for these values, `[Σ runs][width]`.
    pub(super) weights: &'a [f32],
    /// Vectors of the panel.
    pub(super) vectors: usize,
    /// What the sums start from, `[width]`; `None`: what they hold.
    pub(super) bias: Option<&'a [f32]>,
    /// The sums, `[pixels][width]`.
    pub(super) sums: &'a mut [f32],
}

impl Pixels<'_> {
    /// Computes all pixels.
    ///
    /// # Safety
    /// The instruction set of `S`.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd>(&mut self) {
        let depth: usize = self.runs.iter().map(|run| run.len()).sum();
        let reach = self.runs.iter().map(|run| run.end).max().unwrap_or(0);
        let furthest = self.bases.iter().max().copied().unwrap_or(0);
        let width = self.vectors * S::LANES;
        assert!(furthest + reach <= self.scratch.len());
        assert!(depth * width <= self.weights.len());
        assert!(self.bias.is_none_or(|bias| bias.len() >= width));
        assert!(self.bases.len() * width <= self.sums.len());
        // SAFETY: the caller's promise, and what `tile` asks for was checked above.
        unsafe {
            match (S::WIDE, self.vectors) {
                (4, 4) => self.tiles::<S, 6, 4>(),
                (4, 3) => self.tiles::<S, 8, 3>(),
                (4, 2) => self.tiles::<S, 8, 2>(),
                (4, 1) => self.tiles::<S, 8, 1>(),
                (2, 2) => self.tiles::<S, 6, 2>(),
                (2, 1) => self.tiles::<S, 6, 1>(),
                other => unreachable!("no tile for {other:?}"),
            }
        }
    }

    #[inline(always)]
    unsafe fn tiles<S: Simd, const M: usize, const V: usize>(&mut self) {
        let sums = self.sums.as_mut_ptr();
        for (i, bases) in self.bases.chunks(M).enumerate() {
            // SAFETY: the caller's promises; there is a row of sums for every base.
            unsafe { self.tile::<S, M, V>(bases, sums.add(i * M * V * S::LANES)) }
        }
    }

    /// # Safety
    /// As [`Pixels::run`], with its checks done; `rows` are the sums of `bases`.
    #[inline(always)]
    unsafe fn tile<S: Simd, const M: usize, const V: usize>(&self, bases: &[usize], rows: *mut f32) {
        // SAFETY: `run` checked that bases plus runs lie in the scratch and that the panel has all weights and biases.
        // Of an incomplete tile, the last pixel is computed several times and stored once.
        unsafe {
            let mut x = [self.scratch.as_ptr(); M];
            for m in 0..M {
                x[m] = x[m].add(bases[m.min(bases.len() - 1)]);
            }
            let mut sums = [[S::zero(); V]; M];
            for m in 0..M {
                let from = match self.bias {
                    Some(bias) => bias.as_ptr(),
                    None => rows.add(m.min(bases.len() - 1) * V * S::LANES),
                };
                for v in 0..V {
                    sums[m][v] = S::load(from.add(v * S::LANES));
                }
            }
            let mut w = self.weights.as_ptr();
            for run in self.runs {
                for k in run.clone() {
                    let mut weights = [S::zero(); V];
                    for v in 0..V {
                        weights[v] = S::load(w.add(v * S::LANES));
                    }
                    w = w.add(V * S::LANES);
                    for m in 0..M {
                        let x = S::splat(x[m].add(k));
                        for v in 0..V {
                            sums[m][v] = S::mul_add(x, weights[v], sums[m][v]);
                        }
                    }
                }
            }
            // Not `0..M.min(bases.len())`, which would keep the sums in memory instead of registers.
            for m in 0..M {
                if m < bases.len() {
                    for v in 0..V {
                        S::store(rows.add((m * V + v) * S::LANES), sums[m][v]);
                    }
                }
            }
        }
    }
}

/// Values under the kernel times output channels, summed over output pixels: the gradient of the weights.
pub(super) struct Weights<'a> {
    /// Input of the unit, from [`super::gather::Gather::fill`].
    pub(super) scratch: &'a [f32],
    /// Where the pixels begin in `scratch`.
    pub(super) bases: &'a [usize],
    /// Values under the kernel, relative to a base.
    pub(super) runs: &'a [Range<usize>],
    /// The errors of the panel at the pixels, `[pixels][width]`.
    pub(super) grads: &'a [f32],
    /// Vectors of the panel.
    pub(super) vectors: usize,
    /// Added to, `[Σ runs][width]`.
    pub(super) sums: &'a mut [f32],
}

/// Pixels summed over before the next values under the kernel are looked at: their errors and a few values of each
/// pixel stay in the first cache.
pub(super) const PIXELS: usize = 96;

impl Weights<'_> {
    /// Adds all products.
    ///
    /// # Safety
    /// The instruction set of `S`.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd>(&mut self) {
        let depth: usize = self.runs.iter().map(|run| run.len()).sum();
        let reach = self.runs.iter().map(|run| run.end).max().unwrap_or(0);
        let furthest = self.bases.iter().max().copied().unwrap_or(0);
        let width = self.vectors * S::LANES;
        assert!(furthest + reach + SLACK <= self.scratch.len());
        assert!(self.bases.len() * width <= self.grads.len());
        assert!(depth * width <= self.sums.len());
        // SAFETY: the caller's promise, and what `tile` asks for was checked above.
        unsafe {
            match (S::WIDE, self.vectors) {
                (4, 4) => self.tiles::<S, 6, 4>(),
                (4, 3) => self.tiles::<S, 8, 3>(),
                (4, 2) => self.tiles::<S, 8, 2>(),
                (4, 1) => self.tiles::<S, 8, 1>(),
                (2, 2) => self.tiles::<S, 6, 2>(),
                (2, 1) => self.tiles::<S, 6, 1>(),
                other => unreachable!("no tile for {other:?}"),
            }
        }
    }

    #[inline(always)]
    unsafe fn tiles<S: Simd, const M: usize, const V: usize>(&mut self) {
        const { assert!(M <= SLACK) };
        for (bases, grads) in self.bases.chunks(PIXELS).zip(self.grads.chunks(PIXELS * V * S::LANES)) {
            let mut sums = self.sums.as_mut_ptr();
            for run in self.runs {
                for k in run.clone().step_by(M) {
                    let values = M.min(run.end - k);
                    // SAFETY: the caller's promises; `sums` has a row for every value of every run.
                    unsafe {
                        tile::<S, M, V>(self.scratch.as_ptr().add(k), bases, grads.as_ptr(), values, sums);
                        sums = sums.add(values * V * S::LANES);
                    }
                }
            }
        }
    }
}

/// Adds the products of `values ≤ M` values from `x + base` on and the errors, over all bases, to `sums`.
///
/// # Safety
/// The instruction set of `S`; `M` values at every base, a row of `grads` for every base, `values` rows of `sums`.
#[inline(always)]
unsafe fn tile<S: Simd, const M: usize, const V: usize>(
    x: *const f32,
    bases: &[usize],
    grads: *const f32,
    values: usize,
    sums: *mut f32,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let mut tile = [[S::zero(); V]; M];
        let mut g = grads;
        for &base in bases {
            let x = x.add(base);
            let mut errors = [S::zero(); V];
            for v in 0..V {
                errors[v] = S::load(g.add(v * S::LANES));
            }
            g = g.add(V * S::LANES);
            for m in 0..M {
                let x = S::splat(x.add(m));
                for v in 0..V {
                    tile[m][v] = S::mul_add(x, errors[v], tile[m][v]);
                }
            }
        }
        // The tile starts from 0 and is added once per block of pixels: short sums of short sums lose less precision
        // than one long sum.
        for m in 0..M {
            if m < values {
                for v in 0..V {
                    let at = sums.add((m * V + v) * S::LANES);
                    S::store(at, S::add(S::load(at), tile[m][v]));
                }
            }
        }
    }
}
