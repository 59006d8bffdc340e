//! Samples held in memory as numbers.

use crate::{DataError, FrameSpec, Kind, Source};

/// Still images or frames of recordings, and their labels.
pub struct Arrays {
    /// Time steps of a sample, for frames.
    steps: Option<usize>,
    shape: [usize; 3],
    /// `[N, C, H, W]` or `[N, T, C, H, W]`.
    values: Vec<f32>,
    labels: Vec<usize>,
}

impl Arrays {
    /// Samples of `shape`: `[N, C, H, W]` for still images, `[N, T, C, H, W]` for frames. `values` are theirs in row-major order.
    ///
    /// # Errors
    /// When the shape is neither, or there are not as many values and labels as it says.
    pub fn new(shape: &[usize], values: Vec<f32>, labels: Vec<usize>) -> Result<Self, DataError> {
        const WHAT: &str = "use arrays";
        let (n, steps, sample) = match *shape {
            [n, c, h, w] => (n, None, [c, h, w]),
            [n, t, c, h, w] => (n, Some(t), [c, h, w]),
            _ => return Err(DataError::usage(WHAT, "[N, C, H, W] or [N, T, C, H, W]", format!("{shape:?}"))),
        };
        let size = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
        if size != Some(values.len()) {
            return Err(DataError::usage(WHAT, format!("the values of {shape:?}"), values.len()));
        }
        if labels.len() != n {
            return Err(DataError::usage(WHAT, format!("a label for each of {n} samples"), labels.len()));
        }
        Ok(Self { steps, shape: sample, values, labels })
    }
}

impl Source for Arrays {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn kind(&self) -> Kind {
        if self.steps.is_some() { Kind::Events } else { Kind::Still }
    }

    fn shape(&self, _: &FrameSpec) -> [usize; 3] {
        self.shape
    }

    fn label(&self, i: usize) -> usize {
        self.labels[i]
    }

    fn load(&self, i: usize, frames: &FrameSpec, out: &mut [f32]) -> Result<(), DataError> {
        if let Some(steps) = self.steps.filter(|steps| *steps != frames.steps) {
            return Err(DataError::usage(
                "load frames",
                format!("{steps} time steps, as the arrays have"),
                frames.steps,
            ));
        }
        let size = self.steps.unwrap_or(1) * self.shape.iter().product::<usize>();
        match self.values.chunks_exact(size.max(1)).nth(i) {
            Some(sample) if out.len() == size => {
                out.copy_from_slice(sample);
                Ok(())
            }
            Some(_) => Err(DataError::usage("load a sample", format!("room for {size} values"), out.len())),
            None => Err(DataError::usage("load a sample", format!("a sample below {}", self.len()), i)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_what_was_given() {
        let values: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let stills = Arrays::new(&[2, 1, 3, 4], values.clone(), vec![5, 6]).unwrap();
        let frames = Arrays::new(&[1, 2, 1, 3, 4], values.clone(), vec![7]).unwrap();
        assert_eq!((stills.kind(), frames.kind()), (Kind::Still, Kind::Events));
        let mut image = [0.0; 12];
        stills.load(1, &FrameSpec::new(9), &mut image).unwrap();
        assert_eq!((&image[..], stills.label(1)), (&values[12..], 6));
        let mut sample = [0.0; 24];
        frames.load(0, &FrameSpec::new(2), &mut sample).unwrap();
        assert_eq!(&sample[..], &values[..]);
        assert!(
            frames.load(0, &FrameSpec::new(3), &mut sample).unwrap_err().to_string().contains("2 time steps")
        );
        assert!(stills.load(2, &FrameSpec::new(1), &mut image).is_err());
        assert!(stills.load(0, &FrameSpec::new(1), &mut sample).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |shape: &[usize], values: usize, labels: usize| {
            Arrays::new(shape, vec![0.0; values], vec![0; labels]).err().unwrap().to_string()
        };
        assert!(refused(&[2, 3], 6, 2).contains("[N, C, H, W]"));
        assert!(refused(&[2, 1, 1, 3], 5, 2).contains("5"));
        assert!(refused(&[2, 1, 1, 3], 6, 3).contains("each of 2 samples"));
        assert!(refused(&[usize::MAX, 2, 2, 2], 6, 3).contains("6"));
    }
}
