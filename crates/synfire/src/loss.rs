//! What training minimises, from the readout `[T, B, classes]` and the labels.

use crate::ops::{self, MeanShape};
use burn::tensor::{Int, Tensor, TensorData, activation};
use std::fmt;
use std::str::FromStr;
use synfire_data::Batch;

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
    let [steps, batch, classes] = readout.dims();
    let shape = MeanShape { outer: 1, among: steps, inner: batch * classes };
    ops::mean(readout, shape).reshape([batch, classes])
}

/// What a batch should be taken for.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// The class of each sample.
    pub classes: &'a [usize],
    /// For samples that are mixed with another one, its class and its share of the sample; empty where none is.
    pub mixed: &'a [Option<(usize, f32)>],
}

impl<'a> From<&'a [usize]> for Labels<'a> {
    fn from(classes: &'a [usize]) -> Self {
        Self { classes, mixed: &[] }
    }
}

impl<'a> From<&'a Vec<usize>> for Labels<'a> {
    fn from(classes: &'a Vec<usize>) -> Self {
        classes[..].into()
    }
}

impl<'a, const N: usize> From<&'a [usize; N]> for Labels<'a> {
    fn from(classes: &'a [usize; N]) -> Self {
        classes[..].into()
    }
}

impl<'a> From<&'a Batch> for Labels<'a> {
    fn from(batch: &'a Batch) -> Self {
        Self { classes: &batch.labels, mixed: &batch.mixed }
    }
}

impl Labels<'_> {
    /// The distributions `[B, classes]`: 1 for a sample's class, or two shares.
    ///
    /// # Panics
    /// If a label is no class.
    fn distributions(&self, classes: usize) -> Vec<f32> {
        let mut target = vec![0.0f32; self.classes.len() * classes];
        for (row, (sample, &label)) in target.chunks_exact_mut(classes).zip(self.classes.iter().enumerate()) {
            let (other, share) = self.mixed.get(sample).copied().flatten().unwrap_or((label, 0.0));
            assert!(label.max(other) < classes, "labels {label} and {other} of {classes} classes");
            row[label] += 1.0 - share;
            row[other] += share;
        }
        target
    }
}

impl Loss {
    /// The loss of a readout `[T, B, classes]`, a scalar `[1]`.
    ///
    /// # Panics
    /// If there is not one label per sample, or a label is no class.
    pub fn of<'a>(self, readout: Tensor<3>, labels: impl Into<Labels<'a>>) -> Tensor<1> {
        let labels: Labels<'_> = labels.into();
        let [steps, batch, classes] = readout.dims();
        assert_eq!(labels.classes.len(), batch, "one label per sample");
        let is_mixed = labels.mixed.iter().any(Option::is_some);
        match self {
            Self::Mse => {
                let target = TensorData::new(labels.distributions(classes), [batch, classes]);
                let target = Tensor::<2>::from_data(target, &readout.device().inner());
                (mean_over_time(readout) - target).square().mean()
            }
            Self::CrossEntropy if is_mixed => {
                soft_cross_entropy(mean_over_time(readout), labels.distributions(classes))
            }
            Self::CrossEntropy => cross_entropy(mean_over_time(readout), labels.classes),
            Self::Tet => {
                let logits = readout.reshape([steps * batch, classes]);
                if is_mixed {
                    return soft_cross_entropy(logits, labels.distributions(classes).repeat(steps));
                }
                let repeated: Vec<usize> = (0..steps).flat_map(|_| labels.classes).copied().collect();
                cross_entropy(logits, &repeated)
            }
        }
    }
}

/// The cross-entropy of logits with distributions, both `[rows, classes]`.
fn soft_cross_entropy(logits: Tensor<2>, target: Vec<f32>) -> Tensor<1> {
    let [rows, classes] = logits.dims();
    let target = Tensor::<2>::from_data(TensorData::new(target, [rows, classes]), &logits.device().inner());
    (activation::log_softmax(logits, 1) * target).sum().neg() / rows as f32
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

    #[test]
    fn a_mixed_sample_has_both_labels_by_their_shares() {
        let readout = || Tensor::from_floats([[[0.2, 0.9], [0.5, -0.3]]], &Device::flex());
        let mixed = |loss: Loss, mixed: [Option<(usize, f32)>; 2]| {
            loss.of(readout(), Labels { classes: &[0, 1], mixed: &mixed }).into_scalar::<f32>()
        };
        for loss in [Loss::Mse, Loss::CrossEntropy, Loss::Tet] {
            let plain = |labels: [usize; 2]| loss.of(readout(), &labels).into_scalar::<f32>();
            assert!((mixed(loss, [None, None]) - plain([0, 1])).abs() <= 1e-6);
            assert!((mixed(loss, [Some((0, 0.4)), None]) - plain([0, 1])).abs() <= 1e-6);
            assert!((mixed(loss, [Some((1, 1.0)), None]) - plain([1, 1])).abs() <= 1e-6);
            let expected = match loss {
                // (0.2 - 0.7)² and (0.9 - 0.3)², 0.5² and 1.3².
                Loss::Mse => (0.25 + 0.36 + 0.25 + 1.69) / 4.0,
                _ => 0.7 * plain([0, 1]) + 0.3 * plain([1, 1]),
            };
            assert!((mixed(loss, [Some((1, 0.3)), None]) - expected).abs() <= 1e-6, "{loss}");
        }
    }
}
