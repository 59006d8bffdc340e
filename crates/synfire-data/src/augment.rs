//! Random changes to training samples.
//!
//! Drawn per (seed, epoch, sample): the same for all frames and channels of a sample, another in every epoch. What changes events
//! works on their counts in frames, so that frames need not be counted again in every epoch; values that are not whole (means) are
//! taken for as many events and a part of one.

mod events;
mod mix;
mod warp;

use crate::random;
use events::{drop_events, jitter};
pub(crate) use mix::Mix;
use warp::Warp;

/// Which random changes are made to training samples.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Augment {
    /// Shifts an image by up to this many pixels in either direction, each way and amount equally likely; what enters
    /// is 0, what leaves is lost. This is the random crop of an image padded by as many pixels.
    pub shift: u16,
    /// Mirrors every other image, on average, left to right. Not for digits and letters.
    pub flip: bool,
    /// Turns an image around its middle by up to so many degrees, either way; pixels take the value nearest to where they come
    /// from.
    pub rotate: f32,
    /// Leaves out events: all the time long, for a while, in a part of the sensor, or none, each equally likely (EventDrop: Gu et
    /// al., *EventDrop: data augmentation for event-based learning*, IJCAI 2021). For frames of events.
    pub event_drop: bool,
    /// Moves each event by a random distance, nearly normal with this standard deviation in pixels along each side. For frames of
    /// events.
    pub jitter: f32,
    /// The share of samples that are mixed with another: some regions of space and time come from that one, and the label is
    /// shared by the numbers of events (EventMix: Shen et al., *EventMix: an efficient data augmentation strategy for event-based
    /// learning*, Information Sciences 644, 2023). For frames of events.
    pub event_mix: f32,
}

impl Augment {
    /// Changes one sample `[T, C, H, W]` in place, by all but [`Augment::event_mix`], for which two are needed.
    ///
    /// # Panics
    /// When `values` has another length than its shape.
    pub fn apply(&self, key: (u64, u64, usize), shape: [usize; 4], values: &mut [f32]) {
        assert_eq!(values.len(), shape.iter().product::<usize>(), "values of a sample {shape:?}");
        if values.is_empty() {
            return;
        }
        let (seed, epoch, sample) = key;
        let stream = |purpose| random::stream(purpose, seed, epoch, sample as u64);
        if self.event_drop {
            drop_events(&mut stream("event drop"), shape, values);
        }
        if self.jitter > 0.0 {
            jitter(&mut stream("event jitter"), self.jitter, shape, values);
        }
        if self.shift > 0 || self.flip || self.rotate > 0.0 {
            let warp = Warp::draw(&mut stream("augment"), self);
            warp.apply([shape[2], shape[3]], values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::warp::Warp;
    use super::*;

    /// Two equal planes of 3x4 with distinct values from 1 to 12.
    fn planes() -> Vec<f32> {
        let plane: Vec<f32> = (1..=12_u8).map(f32::from).collect();
        plane.repeat(2)
    }

    /// The plane moved and mirrored, by definition.
    fn moved(down: isize, right: isize, flip: bool) -> Vec<f32> {
        let mut out = vec![0.0; 12];
        for (i, value) in planes()[..12].iter().enumerate() {
            let (y, x) = ((i / 4) as isize + down, (i % 4) as isize + right);
            if (0..3).contains(&y) && (0..4).contains(&x) {
                let x = if flip { 3 - x } else { x };
                out[(y * 4 + x) as usize] = *value;
            }
        }
        out
    }

    #[test]
    fn every_shift_and_flip_is_drawn_and_the_same_for_all_planes() {
        let augment = Augment { shift: 1, flip: true, ..Augment::default() };
        let mut seen = std::collections::BTreeSet::new();
        for sample in 0..400 {
            let mut values = planes();
            augment.apply((1, 2, sample), [1, 2, 3, 4], &mut values);
            assert_eq!(values[..12], values[12..]);
            let drawn = (-1..=1)
                .flat_map(|down| (-1..=1).flat_map(move |right| [(down, right, false), (down, right, true)]))
                .find(|&(down, right, flip)| moved(down, right, flip) == values[..12]);
            seen.insert(drawn.expect("a shift of at most one pixel"));
        }
        assert_eq!(seen.len(), 18);
    }

    #[test]
    fn draws_depend_on_seed_epoch_and_sample_alone() {
        let augment = Augment { shift: 3, flip: true, ..Augment::default() };
        let apply = |key| {
            let mut values: Vec<f32> = (0..400_u16).map(f32::from).collect();
            augment.apply(key, [1, 1, 20, 20], &mut values);
            values
        };
        assert_eq!(apply((1, 2, 3)), apply((1, 2, 3)));
        let others = [(2, 2, 3), (1, 3, 3), (1, 2, 4), (1, 2, 5)].map(apply);
        assert!(others.iter().any(|other| *other != apply((1, 2, 3))));
    }

    #[test]
    fn nothing_asked_for_changes_nothing_and_large_shifts_leave_zeros() {
        let mut values = planes();
        Augment::default().apply((1, 2, 3), [1, 2, 3, 4], &mut values);
        assert_eq!(values, planes());
        let far = Augment { shift: u16::MAX, ..Augment::default() };
        for sample in 0..20 {
            let mut values = planes();
            far.apply((1, 2, sample), [2, 1, 3, 4], &mut values);
            assert!(values.iter().all(|value| *value == 0.0));
        }
    }
    #[test]
    fn a_quarter_turn_turns_and_a_small_one_keeps_the_middle() {
        let turned = |degrees: f64, shape: [usize; 4], values: &[f32]| {
            let warp = Warp { down: 0, right: 0, flip: false, degrees };
            let mut out = values.to_vec();
            warp.apply([shape[2], shape[3]], &mut out);
            out
        };
        let plane: Vec<f32> = (1..=9_u8).map(f32::from).collect();
        assert_eq!(turned(90.0, [1, 1, 3, 3], &plane), [3.0, 6.0, 9.0, 2.0, 5.0, 8.0, 1.0, 4.0, 7.0]);
        assert_eq!(turned(-90.0, [1, 1, 3, 3], &turned(90.0, [1, 1, 3, 3], &plane)), plane);
        assert_eq!(turned(0.0, [1, 1, 3, 3], &plane), plane);
        assert_eq!(turned(5.0, [1, 1, 3, 3], &plane), plane);
        let large = vec![1.0; 32 * 32];
        let kept = turned(15.0, [1, 1, 32, 32], &large).iter().sum::<f32>();
        assert!((0.85..0.99).contains(&(kept / 1024.0)), "corners leave: {kept}");
    }

    #[test]
    fn rotations_are_drawn_up_to_the_largest_both_ways() {
        let augment = Augment { rotate: 90.0, ..Augment::default() };
        let mut seen = std::collections::BTreeSet::new();
        for sample in 0..100 {
            let mut values: Vec<f32> = (1..=9_u8).map(f32::from).collect();
            augment.apply((1, 2, sample), [1, 1, 3, 3], &mut values);
            assert_eq!(values[4], 5.0);
            seen.insert(values.iter().map(|value| *value as u8).collect::<Vec<_>>());
        }
        assert!(seen.len() >= 5, "{seen:?}");
    }
}
