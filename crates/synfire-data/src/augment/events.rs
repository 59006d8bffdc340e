//! Events that are left out and moved, in frames of their counts.

use rand_chacha::rand_core::RngCore;

use crate::random;

/// A number from 0 up to 1.
fn share(rng: &mut impl RngCore) -> f64 {
    f64::from(rng.next_u32()) / 4_294_967_296.0
}

/// Leaves out events of a sample `[T, C, H, W]`: none, a share of all, all of a while, or all of a rectangle.
pub(super) fn drop_events(
    rng: &mut impl RngCore,
    [steps, channels, height, width]: [usize; 4],
    values: &mut [f32],
) {
    let frame_len = channels * height * width;
    match random::below(rng, 4) {
        0 => {}
        1 => {
            let dropped = (1 + random::below(rng, 9)) as f64 / 10.0;
            thin(rng, dropped, values);
        }
        2 => {
            // Nine tenths at most, so that something is left of every sample.
            let length = (1 + random::below(rng, 9)) as f64 / 10.0 * steps as f64;
            let start = share(rng) * steps as f64;
            for (step, frame) in values.chunks_exact_mut(frame_len).enumerate() {
                let overlap = (start + length).min(step as f64 + 1.0) - start.max(step as f64);
                match overlap {
                    ..=0.0 => {}
                    0.0..1.0 => thin(rng, overlap, frame),
                    _ => frame.fill(0.0),
                }
            }
        }
        _ => {
            let side = (1 + random::below(rng, 6)) as f64 / 20.0;
            let (top, left) =
                (random::below(rng, height as u64) as usize, random::below(rng, width as u64) as usize);
            let end = |start: usize, len: usize| (start + (side * len as f64) as usize).min(len - 1) + 1;
            let (rows, columns) = (top..end(top, height), left..end(left, width));
            for plane in values.chunks_exact_mut(height * width) {
                rows.clone().for_each(|row| plane[row * width..][columns.clone()].fill(0.0));
            }
        }
    }
}

/// Leaves each event out with the probability `dropped`.
fn thin(rng: &mut impl RngCore, dropped: f64, values: &mut [f32]) {
    for value in values.iter_mut().filter(|value| **value > 0.0) {
        *value = units(*value).filter(|_| share(rng) >= dropped).sum();
    }
}

/// Moves each event of a sample `[T, C, H, W]` within its frame; what leaves the sensor is lost.
pub(super) fn jitter(
    rng: &mut impl RngCore,
    deviation: f32,
    [_, _, height, width]: [usize; 4],
    values: &mut [f32],
) {
    let mut moved = vec![0.0; height * width];
    for plane in values.chunks_exact_mut(height * width) {
        moved.fill(0.0);
        for (at, value) in plane.iter().enumerate().filter(|(_, value)| **value > 0.0) {
            for unit in units(*value) {
                let [down, right] = normal_pair(rng).map(|distance| (distance * deviation).round() as isize);
                let (y, x) = ((at / width).checked_add_signed(down), (at % width).checked_add_signed(right));
                if let (Some(y @ 0..), Some(x @ 0..)) = (y, x)
                    && y < height
                    && x < width
                {
                    moved[y * width + x] += unit;
                }
            }
        }
        plane.copy_from_slice(&moved);
    }
}

/// The events that a value stands for: ones, and a part of one where it is not whole.
fn units(value: f32) -> impl Iterator<Item = f32> {
    let whole = value.floor();
    let rest = value - whole;
    (0..whole as u64).map(|_| 1.0).chain((rest > 0.0).then_some(rest))
}

/// Two numbers that are nearly normal, with mean 0 and variance 1: sums of four uniform ones, which are the same on every machine.
fn normal_pair(rng: &mut impl RngCore) -> [f32; 2] {
    [rng.next_u64(), rng.next_u64()].map(|bits| {
        let sum: u32 = (0..4).map(|i| (bits >> (16 * i)) as u32 & 0xffff).sum();
        // Each has the variance 1/12 in units of 2^16.
        (sum as f32 / 65_536.0 - 2.0) * 3.0_f32.sqrt()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 4] = [10, 2, 8, 8];

    fn sample() -> Vec<f32> {
        vec![10.0; SHAPE.iter().product()]
    }

    #[test]
    fn one_of_four_ways_of_dropping_is_drawn() {
        let mut kinds = [0; 4];
        for i in 0..400 {
            let mut values = sample();
            drop_events(&mut random::stream("test", 0, 0, i), SHAPE, &mut values);
            assert!(values.iter().all(|value| (0.0..=10.0).contains(value) && value.fract() == 0.0));
            let frames: Vec<f32> = values.chunks(128).map(|frame| frame.iter().sum()).collect();
            let untouched = frames.iter().filter(|frame| **frame == 1280.0).count();
            let zeros = values.iter().filter(|value| **value == 0.0).count();
            let kind = match (untouched, zeros) {
                (10, _) => 0,
                // A rectangle is the same in all frames.
                (0, 1..) if frames.iter().all(|frame| *frame == frames[0]) => {
                    assert!(zeros <= 20 * 9, "at most 3x3 of 8x8: {zeros}");
                    3
                }
                (1.., _) => 2,
                _ => 1,
            };
            kinds[kind] += 1;
        }
        assert!(kinds.iter().all(|&count| (60..140).contains(&count)), "{kinds:?}");
    }

    #[test]
    fn thinning_keeps_its_share() {
        let mut values = sample();
        thin(&mut random::stream("test", 0, 0, 0), 0.3, &mut values);
        let kept = values.iter().sum::<f32>() / 12_800.0;
        assert!((kept - 0.7).abs() < 0.02, "{kept}");
    }

    #[test]
    fn jitter_moves_events_by_its_deviation_and_loses_them_at_edges_alone() {
        let shape = [1, 1, 101, 101];
        let mut values = vec![0.0; 101 * 101];
        values[50 * 101 + 50] = 10_000.0;
        values[0] = 0.25;
        jitter(&mut random::stream("test", 0, 0, 0), 2.0, shape, &mut values);
        let variance = |axis: fn(usize) -> f64| {
            let sum: f64 =
                values.iter().enumerate().map(|(at, n)| f64::from(*n) * (axis(at) - 50.0).powi(2)).sum();
            sum / 10_000.0
        };
        for axis in [(|at| (at / 101) as f64) as fn(usize) -> f64, |at| (at % 101) as f64] {
            // Rounding adds 1/12.
            assert!((variance(axis) - 4.0 - 1.0 / 12.0).abs() < 0.4, "{}", variance(axis));
        }
        let sum: f64 = values.iter().map(|n| f64::from(*n)).sum();
        assert!((10_000.0..=10_000.25).contains(&sum));
    }
}
