//! Values that are NaN or infinite, and where they are met.
//!
//! A neuron hides them: no comparison with NaN holds, so that a potential that is NaN is a neuron that never fires, and
//! whatever comes behind looks sound. They are looked for in front of the neurons: in the input, in the statistics of
//! the batch norms, which every value of a convolution enters, and in what linear layers compute.

use super::{Input, Net, Pass};
use crate::ops;
use burn::tensor::Tensor;

/// The first place where a value is NaN or infinite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NonFinite {
    /// The network's input.
    #[error("the network's input holds a value that is NaN or infinite, in sample {sample} (counted from 0)")]
    Input {
        /// Which sample: its place in the batch, or in the data set where there is one.
        sample: usize,
    },
    /// A parameter or running statistic, or a tensor of a checkpoint, by its name.
    #[error("the tensor `{0}` holds a value that is NaN or infinite")]
    Tensor(String),
    /// What a convolution or linear layer computed from sound values; its module, `layers.N`.
    #[error("the layer {0} computed a value that is NaN or infinite")]
    Layer(String),
    /// The loss.
    #[error("the loss is NaN or infinite")]
    Loss,
    /// The gradient of a parameter, by its name.
    #[error("the gradient of `{0}` holds a value that is NaN or infinite")]
    Gradient(String),
}

impl NonFinite {
    /// With a sample's number in the data set in place of its number in the batch `indices`.
    pub(crate) fn among(self, indices: &[usize]) -> Self {
        match self {
            Self::Input { sample } => Self::Input { sample: indices[sample] },
            other => other,
        }
    }
}

/// The place of the first value that is NaN or infinite.
fn first_in<const D: usize>(x: &Tensor<D>) -> Option<usize> {
    let x = x.clone().inner();
    // One reading without a copy: a sum that is finite has finite terms alone. The other way round it is not so, as
    // large numbers may add up to infinity.
    if x.clone().sum().into_scalar::<f32>().is_finite() {
        return None;
    }
    x.into_data().iter::<f32>().position(|value| !value.is_finite())
}

fn is_finite<const D: usize>(x: &Tensor<D>) -> bool {
    first_in(x).is_none()
}

/// The first of `tensors` that holds a value that is NaN or infinite. Their sums are fetched together: each fetch waits for
/// the device.
fn first_of(tensors: Vec<Tensor<1>>) -> Option<usize> {
    let sums = ops::totals(false, tensors.iter().cloned());
    // A sum may be infinite though no term is.
    sums.iter().zip(&tensors).position(|(sum, x)| !sum.is_finite() && !is_finite(x))
}

impl Input {
    /// Checks every value.
    ///
    /// # Errors
    /// If one is NaN or infinite: the sample of the batch that holds it.
    pub fn check(&self) -> Result<(), NonFinite> {
        let Some(place) = first_in(&self.flow.values) else { return Ok(()) };
        let [_, h, w, c] = self.flow.values.dims();
        Err(NonFinite::Input { sample: place / (h * w * c) % self.batch() })
    }
}

impl Pass<'_> {
    /// Checks what the linear layers of the forward pass computed, and its readout.
    ///
    /// # Errors
    /// If a value was NaN or infinite: the first such layer.
    pub fn check(&self) -> Result<(), NonFinite> {
        self.non_finite.clone().map_or(Ok(()), Err)
    }

    /// Notes down what the layer of module `module` computed, if it is the first to be NaN or infinite.
    pub(crate) fn watch<const D: usize>(&mut self, module: usize, values: &Tensor<D>) {
        if self.non_finite.is_none() && !is_finite(values) {
            self.non_finite = Some(NonFinite::Layer(format!("layers.{module}")));
        }
    }
}

impl Net {
    /// Checks every parameter and running statistic.
    ///
    /// # Errors
    /// If a value is NaN or infinite: the tensor that holds it.
    pub fn check(&mut self) -> Result<(), NonFinite> {
        let mut tensors: Vec<_> =
            self.parameters().into_iter().map(|p| (p.name.clone(), p.value())).collect();
        tensors.extend(self.buffers().into_iter().map(|b| (b.name.clone(), b.value.clone())));
        let (mut names, values): (Vec<_>, Vec<_>) = tensors.into_iter().unzip();
        match first_of(values) {
            Some(place) => Err(NonFinite::Tensor(names.swap_remove(place))),
            None => Ok(()),
        }
    }

    /// Checks what the convolutions of a forward pass in training computed. All of it has entered the running
    /// statistics, a few values a channel. Parameters are looked at too: kernels that skip zeros may not meet a weight,
    /// and batch norm's own scale and shift come after the statistics.
    ///
    /// # Errors
    /// If a value was NaN or infinite: the first such layer.
    pub(crate) fn check_norms(&mut self) -> Result<(), NonFinite> {
        let (mut modules, mut values) = (Vec::new(), Vec::new());
        for (layer, planned) in self.layers.iter_mut().zip(&self.plan.layers) {
            let Some(owner) = layer.owner() else { continue };
            values.extend(owner.buffers().into_iter().map(|buffer| buffer.value.clone()));
            values.extend(owner.parameters().into_iter().map(|parameter| parameter.value()));
            modules.resize(values.len(), planned.module);
        }
        match first_of(values) {
            Some(place) => Err(NonFinite::Layer(format!("layers.{}", modules[place]))),
            None => Ok(()),
        }
    }
}
