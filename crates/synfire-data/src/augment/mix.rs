//! Two samples in one: EventMix.

use rand_chacha::rand_core::RngCore;

use crate::random;

/// Blobs of which the regions consist that come from the other sample.
const BLOBS: usize = 3;

/// A sample that is mixed with another one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mix {
    /// Which of the samples that are trained on is the other one.
    pub(crate) partner: usize,
    /// The share of space and time that comes from it.
    share: f64,
    blobs: [Blob; BLOBS],
}

/// A normal distribution without correlations: middles and deviations in t, y and x, as shares of the sample.
#[derive(Clone, Debug, PartialEq)]
struct Blob {
    middle: [f64; 3],
    deviation: [f64; 3],
}

impl Mix {
    /// Whether a sample is mixed, and how: with the probability `rate`, with one of `others`.
    pub(crate) fn draw((seed, epoch, sample): (u64, u64, usize), rate: f32, others: usize) -> Option<Self> {
        let mut rng = random::stream("event mix", seed, epoch, sample as u64);
        let mut uniform =
            |from: f64, to: f64| from + (to - from) * f64::from(rng.next_u32()) / 4_294_967_296.0;
        if others == 0 || uniform(0.0, 1.0) >= rate.into() {
            return None;
        }
        let share = uniform(0.0, 1.0);
        let mut three = |from: f64, to: f64| [0; 3].map(|_| uniform(from, to));
        let blobs = [0; BLOBS].map(|_| Blob { middle: three(0.0, 1.0), deviation: three(0.1, 0.5) });
        Some(Self { partner: random::below(&mut rng, others as u64) as usize, share, blobs })
    }

    /// Puts regions of `other` into `values`, both `[T, C, H, W]`. The share of the events that are there then and come from
    /// `other`: that of the other label.
    pub(crate) fn apply(
        &self,
        [steps, channels, height, width]: [usize; 4],
        values: &mut [f32],
        other: &[f32],
    ) -> f32 {
        let volume = steps * height * width;
        let density: Vec<f32> = self.density([steps, height, width]);
        // The densest voxels, so that their share is the one that was drawn.
        let taken = (self.share * volume as f64) as usize;
        let mut order: Vec<u32> = (0..volume as u32).collect();
        let by_density =
            |a: &u32, b: &u32| density[*b as usize].total_cmp(&density[*a as usize]).then(a.cmp(b));
        if taken > 0 && taken < volume {
            order.select_nth_unstable_by(taken, by_density);
        }
        let plane = height * width;
        for &voxel in &order[..taken] {
            let (step, at) = (voxel as usize / plane, voxel as usize % plane);
            for channel in 0..channels {
                let i = (step * channels + channel) * plane + at;
                values[i] = other[i];
            }
        }
        let from_other: f64 = order[..taken]
            .iter()
            .flat_map(|&voxel| {
                let (step, at) = (voxel as usize / plane, voxel as usize % plane);
                (0..channels).map(move |channel| (step * channels + channel) * plane + at)
            })
            .map(|i| f64::from(values[i]))
            .sum();
        let all: f64 = values.iter().map(|value| f64::from(*value)).sum();
        if all > 0.0 { (from_other / all) as f32 } else { 0.0 }
    }

    /// How dense the blobs are together in every voxel `[T, H, W]`.
    fn density(&self, sides: [usize; 3]) -> Vec<f32> {
        let along = |blob: &Blob, axis: usize| -> Vec<f32> {
            let place = |i: usize| (i as f64 + 0.5) / sides[axis] as f64;
            let bell =
                |i| (-0.5 * ((place(i) - blob.middle[axis]) / blob.deviation[axis]).powi(2)).exp() as f32;
            (0..sides[axis]).map(bell).collect()
        };
        let mut density = vec![0.0; sides.iter().product()];
        for blob in &self.blobs {
            let [times, rows, columns] = [0, 1, 2].map(|axis| along(blob, axis));
            let voxels = times.iter().flat_map(|t| rows.iter().map(move |y| t * y));
            for (row, height) in density.chunks_exact_mut(sides[2]).zip(voxels) {
                row.iter_mut().zip(&columns).for_each(|(value, x)| *value += height * x);
            }
        }
        density
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_mixed_at_the_rate_with_every_other() {
        let drawn: Vec<Mix> = (0..1000).filter_map(|i| Mix::draw((1, 2, i), 0.3, 4)).collect();
        assert!((250..350).contains(&drawn.len()), "{}", drawn.len());
        assert!((0..4).all(|other| drawn.iter().any(|mix| mix.partner == other)));
        assert_eq!(Mix::draw((1, 2, 3), 1.0, 4), Mix::draw((1, 2, 3), 1.0, 4));
        assert!(Mix::draw((1, 2, 3), 0.0, 4).is_none() && Mix::draw((1, 2, 3), 1.0, 0).is_none());
    }

    #[test]
    fn the_share_is_that_of_events_and_regions_are_the_same_for_both_polarities() {
        let shape = [4, 2, 10, 10];
        let mut shares = Vec::new();
        for i in 0..50 {
            let mix = Mix::draw((1, 2, i), 1.0, 4).unwrap();
            let (mut values, other) = (vec![1.0; 800], vec![3.0; 800]);
            let share = mix.apply(shape, &mut values, &other);
            let taken = values.iter().filter(|value| **value == 3.0).count() as f32;
            assert!((taken / 800.0 - mix.share as f32).abs() < 0.01);
            assert!((share - 3.0 * taken / (3.0 * taken + 800.0 - taken)).abs() < 1e-5);
            for frame in values.chunks(200) {
                assert_eq!(frame[..100], frame[100..]);
            }
            shares.push(share);
        }
        assert!(shares.iter().any(|share| *share < 0.3) && shares.iter().any(|share| *share > 0.7));
        let mix = Mix::draw((1, 2, 3), 1.0, 4).unwrap();
        assert_eq!(mix.apply(shape, &mut [0.0; 800], &[0.0; 800]), 0.0);
    }
}
