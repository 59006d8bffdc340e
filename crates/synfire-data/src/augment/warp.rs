//! Shifts, flips and rotations.

use rand_chacha::rand_core::RngCore;

use super::Augment;
use crate::random;

/// Where an image goes.
pub(super) struct Warp {
    pub(super) down: isize,
    pub(super) right: isize,
    pub(super) flip: bool,
    /// Against the clock.
    pub(super) degrees: f64,
}

impl Warp {
    pub(super) fn draw(rng: &mut impl RngCore, augment: &Augment) -> Self {
        let shift = augment.shift;
        let mut offset = || random::below(rng, 2 * u64::from(shift) + 1) as isize - shift as isize;
        let (down, right) = (offset(), offset());
        let flip = random::below(rng, 2) == 1 && augment.flip;
        // From -1 to 1 in equal steps.
        let turn = random::below(rng, 1 << 24) as f64 / f64::from(1 << 23) - 1.0;
        Self { down, right, flip, degrees: turn * f64::from(augment.rotate) }
    }

    /// Moves every plane `[height, width]` of `values` in the same way: shifted, then turned, then mirrored.
    pub(super) fn apply(&self, [height, width]: [usize; 2], values: &mut [f32]) {
        let from = self.sources(height, width);
        let mut original = vec![0.0; height * width];
        for plane in values.chunks_exact_mut(height * width) {
            original.copy_from_slice(plane);
            for (value, from) in plane.iter_mut().zip(&from) {
                *value = from.map_or(0.0, |from| original[from as usize]);
            }
        }
    }

    /// For each pixel of the result, which pixel of the original it shows, where there is one.
    fn sources(&self, height: usize, width: usize) -> Vec<Option<u32>> {
        let (sin, cos) = self.degrees.to_radians().sin_cos();
        let (middle_y, middle_x) = ((height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0);
        let source = |y: usize, x: usize| {
            let x = if self.flip { width - 1 - x } else { x };
            let (dy, dx) = (y as f64 - middle_y, x as f64 - middle_x);
            let nearest = |at: f64| (at + 0.5).floor() as isize;
            let (y, x) = match self.degrees == 0.0 {
                true => (y as isize, x as isize),
                false => (nearest(middle_y + sin * dx + cos * dy), nearest(middle_x + cos * dx - sin * dy)),
            };
            let inside = |at: isize, size: usize| (0..size as isize).contains(&at).then_some(at as usize);
            let (y, x) = (inside(y, height)?, inside(x, width)?);
            let (y, x) = (inside(y as isize - self.down, height)?, inside(x as isize - self.right, width)?);
            Some((y * width + x) as u32)
        };
        (0..height).flat_map(|y| (0..width).map(move |x| (y, x))).map(|(y, x)| source(y, x)).collect()
    }
}
