//! What training minimises, from the readout `[T, B, classes]` and the labels.

use burn::tensor::{Int, Tensor, TensorData, activation};
use std::fmt;
use std::str::FromStr;

/// A loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loss {
    /// Mean square error between the time-mean of the readout and the one-hot label, averaged over batch and
    /// classes: the paper's.
    #[default]
    Mse,
    /// Cross-entropy of the time-mean of the readout.
    CrossEntropy,
    /// Temporal efficient training: the mean over time of the cross-entropy at each step (Deng et al. 2022).
    Tet,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mse => "mse",
            Self::CrossEntropy => "cross-entropy",
            Self::Tet => "tet",
        })
    }
}

impl FromStr for Loss {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Mse, Self::CrossEntropy, Self::Tet]
            .into_iter()
            .find(|loss| loss.to_string() == text)
            .ok_or_else(|| format!("unknown loss `{text}`, expected mse, cross-entropy or tet"))
    }
}

/// The mean over time of a readout `[T, B, classes]`: `[B, classes]`.
pub fn mean_over_time(readout: Tensor<3>) -> Tensor<2> {
    let [_, batch, classes] = readout.dims();
    readout.mean_dim(0).reshape([batch, classes])
}

impl Loss {
    /// The loss of a readout `[T, B, classes]`, a scalar `[1]`.
    ///
    /// # Panics
    /// If there is not one label per sample, or a label is no class.
    pub fn of(self, readout: Tensor<3>, labels: &[usize]) -> Tensor<1> {
        let [steps, batch, classes] = readout.dims();
        assert_eq!(labels.len(), batch, "one label per sample");
        match self {
            Self::Mse => {
                let mut target = vec![0.0f32; batch * classes];
                for (row, &label) in labels.iter().enumerate() {
                    assert!(label < classes, "label {label} of {classes} classes");
                    target[row * classes + label] = 1.0;
                }
                let device = readout.device().inner();
                let target = Tensor::<2>::from_data(TensorData::new(target, [batch, classes]), &device);
                (mean_over_time(readout) - target).square().mean()
            }
            Self::CrossEntropy => cross_entropy(mean_over_time(readout), labels),
            Self::Tet => {
                let repeated: Vec<usize> = (0..steps).flat_map(|_| labels).copied().collect();
                cross_entropy(readout.reshape([steps * batch, classes]), &repeated)
            }
        }
    }
}

fn cross_entropy(logits: Tensor<2>, labels: &[usize]) -> Tensor<1> {
    let [rows, classes] = logits.dims();
    assert!(labels.iter().all(|&label| label < classes), "a label is outside of {classes} classes");
    let index: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
    let index = Tensor::<2, Int>::from_data(TensorData::new(index, [rows, 1]), &logits.device().inner());
    activation::log_softmax(logits, 1).gather(1, index).mean().neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn readout() -> Tensor<3> {
        // T = 2, B = 1, two classes
        Tensor::from_floats([[[1.0, 0.0]], [[0.0, 1.0]]], &Device::flex())
    }

    fn value(loss: Loss, labels: &[usize]) -> f32 {
        loss.of(readout(), labels).into_scalar()
    }

    #[test]
    fn values_by_hand() {
        assert!((value(Loss::Mse, &[0]) - 0.25).abs() <= 1e-6);
        assert!((value(Loss::CrossEntropy, &[0]) - 2f32.ln()).abs() <= 1e-6);
        let (hit, miss) = ((1.0 + (-1f32).exp()).ln(), (1.0 + 1f32.exp()).ln());
        assert!((value(Loss::Tet, &[0]) - (hit + miss) / 2.0).abs() <= 1e-6);
    }
}
