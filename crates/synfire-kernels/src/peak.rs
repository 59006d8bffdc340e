//! What this processor can compute at most: multiplications and additions of registers, without memory to wait for.
//!
//! The measure of the convolutions, whose inner loops use the same instruction: no kernel of this crate multiplies faster.
//! (Some need fewer multiplications than they are counted with.)

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::bf16::Precision;
use crate::isa::Isa;
use crate::simd::{Simd, per_isa, sizes};

/// A round is long beside the start of the threads, and short beside what else a machine does.
const ROUND: Duration = Duration::from_millis(10);
const ROUNDS: usize = 10;
/// Turns of the loop between two looks at the clock.
const TURNS: usize = 10_000;
/// The most lanes there are.
const LANES: usize = 16;

/// FLOP/s of the calling thread, multiplications and additions counted each: the best of some rounds, 0.1 s in all.
pub fn one_thread(isa: Isa, precision: Precision) -> f64 {
    best(|| round(isa, precision))
}

/// FLOP/s of all threads of the current rayon pool at once: the best of some rounds, 0.1 s in all.
pub fn all_threads(isa: Isa, precision: Precision) -> f64 {
    best(|| rayon::broadcast(|_| round(isa, precision)).into_iter().sum())
}

fn best(round: impl Fn() -> f64) -> f64 {
    (0..ROUNDS).map(|_| round()).fold(0.0, f64::max)
}

fn round(isa: Isa, precision: Precision) -> f64 {
    let (lanes, vectors) = sizes(isa);
    let products = match precision {
        Precision::F32 => 1,
        Precision::Bf16 => 2,
    };
    let flop = (2 * products * lanes * vectors * ROWS * TURNS) as f64;
    let (start, mut bursts) = (Instant::now(), 0);
    while start.elapsed() < ROUND {
        burst(isa, precision);
        bursts += 1;
    }
    f64::from(bursts) * flop / start.elapsed().as_secs_f64()
}

/// Rows of a tile. With them there are enough independent sums to hide the latency, and few enough for the registers.
const ROWS: usize = 6;

/// [`TURNS`] turns of the loop; all sums together, lane by lane.
fn burst(isa: Isa, precision: Precision) -> [f32; LANES] {
    let mut end = [0.0; LANES];
    // SAFETY: there is nothing but the instruction set to promise.
    unsafe { multiply_add(isa, precision, &[0.5; ROWS], &[1.0; LANES], &mut end) };
    black_box(end)
}

per_isa! {
    unsafe fn multiply_add(rows: &[f32; ROWS], column: &[f32; LANES], end: &mut [f32; LANES]) = run;
}

/// # Safety
/// The instruction set of `S`.
#[inline(always)]
unsafe fn run<S: Simd>(rows: &[f32; ROWS], column: &[f32; LANES], end: &mut [f32; LANES]) {
    // SAFETY: the caller's promise.
    unsafe {
        match S::WIDE {
            4 => tile::<S, 4>(rows, column, end),
            _ => tile::<S, 2>(rows, column, end),
        }
    }
}

/// The inner loop of a convolution with the same operands at every turn: ½·1 is added to each sum. (As pairs of bf16 the
/// bits are (0, ½) and (0, 1), of which the same can be said.)
///
/// # Safety
/// The instruction set of `S`.
#[inline(always)]
unsafe fn tile<S: Simd, const V: usize>(rows: &[f32; ROWS], column: &[f32; LANES], end: &mut [f32; LANES]) {
    const { assert!(S::LANES <= LANES) };
    // SAFETY: the caller's promise; the arrays have as many values as a vector has lanes, or more.
    unsafe {
        // The compiler must take vectors and rows for different ones, and the rows of a turn for others than the last's.
        let mut columns = [S::zero(); V];
        for vector in &mut columns {
            *vector = S::load(black_box(column).as_ptr());
        }
        let mut sums = [[S::zero(); V]; ROWS];
        for _ in 0..TURNS {
            for (row, sums) in black_box(rows).iter().zip(&mut sums) {
                let row = S::splat(row);
                for (column, sum) in columns.iter().zip(sums) {
                    *sum = S::mul_add(row, *column, *sum);
                }
            }
        }
        let total = sums.into_iter().flatten().fold(S::zero(), |total, sum| S::add(total, sum));
        S::store(end.as_mut_ptr(), total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Bf16];

    #[test]
    fn every_turn_is_computed() {
        for isa in Isa::available() {
            let (lanes, vectors) = sizes(isa);
            for precision in PRECISIONS {
                let end = burst(isa, precision);
                let expected = (vectors * ROWS * TURNS) as f32 / 2.0;
                assert!(end[..lanes].iter().all(|&sum| sum == expected), "{isa} {precision}: {end:?}");
            }
        }
    }

    #[test]
    fn a_peak_is_a_number_above_zero() {
        for precision in PRECISIONS {
            for peak in [one_thread(Isa::detect(), precision), all_threads(Isa::detect(), precision)] {
                // The slowest processor that this could run on does a million.
                assert!(peak.is_finite() && peak > 1e6, "{precision}: {peak}");
            }
        }
    }
}
