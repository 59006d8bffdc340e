//! One forward and backward pass.

use crate::loss::Loss;
use crate::net::{Input, Net, Pass};
use burn::tensor::Tensor;

/// What one forward and backward pass over a batch gives.
#[derive(Debug, Clone)]
pub struct Step {
    /// What each class got at each time step, `[T, B, classes]`.
    pub readout: Tensor<3>,
    /// The loss.
    pub loss: f64,
    /// The gradient of each parameter, in the order of [`Net::parameters`], flat.
    pub gradients: Vec<Tensor<1>>,
}

impl Step {
    /// Runs `net` on `input` forward, and back from the loss of `labels`.
    ///
    /// # Panics
    /// If the input's shape is not the network's, or there is not one label per sample.
    pub fn run(net: &mut Net, input: Input, labels: &[usize], loss: Loss, pass: &mut Pass) -> Self {
        net.track();
        let readout = net.forward(input, pass);
        let loss = loss.of(readout.clone(), labels);
        let gradients = loss.backward();
        let loss = f64::from(loss.into_scalar::<f32>());
        Self { readout: readout.inner(), loss, gradients: net.take_gradients(&gradients) }
    }
}
