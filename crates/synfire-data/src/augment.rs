//! Random changes to training samples.

use crate::random;

/// Random shifts and flips, drawn per (seed, epoch, sample): the same for every frame and channel of a sample, another
/// in every epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Augment {
    /// Shifts an image by up to this many pixels in either direction, each way and amount equally likely; what enters
    /// is 0, what leaves is lost. This is the random crop of an image padded by as many pixels.
    pub shift: u16,
    /// Mirrors every other image, on average, left to right. Not for digits and letters.
    pub flip: bool,
}

impl Augment {
    /// Changes one sample in place: `values` holds any number of planes of `height` rows and `width` columns.
    ///
    /// # Panics
    /// When `values` does not consist of whole planes.
    pub fn apply(
        &self,
        (seed, epoch, sample): (u64, u64, usize),
        (height, width): (usize, usize),
        values: &mut [f32],
    ) {
        let plane_len = height * width;
        if plane_len == 0 || *self == Self::default() {
            return;
        }
        assert!(
            values.len().is_multiple_of(plane_len),
            "{} values are no planes of {height}x{width}",
            values.len()
        );
        let mut rng = random::stream("augment", seed, epoch, sample as u64);
        let mut offset =
            || random::below(&mut rng, 2 * u64::from(self.shift) + 1) as isize - self.shift as isize;
        let (down, right) = (offset(), offset());
        let flip = random::below(&mut rng, 2) == 1 && self.flip;

        // Column x of the result shows column `from(x)` of the original, where there is one.
        let inside =
            |at: usize, by: isize, size: usize| at.checked_add_signed(-by).filter(|&from| from < size);
        let mut original = vec![0.0; plane_len];
        for plane in values.chunks_exact_mut(plane_len) {
            original.copy_from_slice(plane);
            for (y, row) in plane.chunks_exact_mut(width).enumerate() {
                let from_row = inside(y, down, height).map(|y| &original[y * width..][..width]);
                for (x, value) in row.iter_mut().enumerate() {
                    let x = if flip { width - 1 - x } else { x };
                    *value = match (from_row, inside(x, right, width)) {
                        (Some(from_row), Some(x)) => from_row[x],
                        _ => 0.0,
                    };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
        let augment = Augment { shift: 1, flip: true };
        let mut seen = std::collections::BTreeSet::new();
        for sample in 0..400 {
            let mut values = planes();
            augment.apply((1, 2, sample), (3, 4), &mut values);
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
        let augment = Augment { shift: 3, flip: true };
        let apply = |key| {
            let mut values: Vec<f32> = (0..400_u16).map(f32::from).collect();
            augment.apply(key, (20, 20), &mut values);
            values
        };
        assert_eq!(apply((1, 2, 3)), apply((1, 2, 3)));
        let others = [(2, 2, 3), (1, 3, 3), (1, 2, 4), (1, 2, 5)].map(apply);
        assert!(others.iter().any(|other| *other != apply((1, 2, 3))));
    }

    #[test]
    fn nothing_asked_for_changes_nothing_and_large_shifts_leave_zeros() {
        let mut values = planes();
        Augment::default().apply((1, 2, 3), (3, 4), &mut values);
        assert_eq!(values, planes());
        let far = Augment { shift: u16::MAX, flip: false };
        for sample in 0..20 {
            let mut values = planes();
            far.apply((1, 2, sample), (3, 4), &mut values);
            assert!(values.iter().all(|value| *value == 0.0));
        }
    }
}
