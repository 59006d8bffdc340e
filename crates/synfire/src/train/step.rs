//! One forward and backward pass.

use crate::loss::{Labels, Loss};
use crate::net::{Input, Net, NonFinite, Pass};
use crate::optim;
use crate::parallel;
use burn::tensor::Tensor;

/// What one forward and backward pass over a batch gives; all of it finite.
#[derive(Debug, Clone)]
pub struct Step {
    /// What each class got at each time step, `[T, B, classes]`.
    pub readout: Tensor<3>,
    /// The loss of these samples.
    pub loss: f64,
    /// The gradient of each parameter, where ranks share the step that of the whole batch, in the order of [`Net::parameters`], flat.
    pub gradients: Vec<Tensor<1>>,
    /// The Euclidean norm of each gradient.
    pub norms: Vec<f64>,
}

impl Step {
    /// Runs `net` on `input` forward, and back from the loss of `labels`.
    ///
    /// # Errors
    /// If the input, a weight, or what was computed from them is NaN or infinite: where it is met first. Running
    /// statistics are then what they were before.
    ///
    /// # Panics
    /// If the input's shape is not the network's, or there is not one label per sample.
    pub fn run<'a>(
        net: &mut Net,
        input: Input,
        labels: impl Into<Labels<'a>>,
        loss: Loss,
        pass: &mut Pass,
    ) -> Result<Self, NonFinite> {
        input.check()?;
        let statistics: Vec<_> = net.buffers().into_iter().map(|buffer| buffer.value.clone()).collect();
        Self::forward_and_back(net, input, labels.into(), loss, pass).map_err(|found| {
            net.untrack();
            // The pass has moved the statistics of every block on, not only of those behind what was found.
            for (buffer, before) in net.buffers().into_iter().zip(statistics) {
                buffer.value = before;
            }
            // A weight that is NaN is the cause of whatever came of it.
            net.check().err().unwrap_or(found)
        })
    }

    fn forward_and_back(
        net: &mut Net,
        input: Input,
        labels: Labels<'_>,
        loss: Loss,
        pass: &mut Pass,
    ) -> Result<Self, NonFinite> {
        net.track();
        let readout = net.forward(input, pass);
        net.check_norms()?;
        pass.check()?;
        let loss = loss.of(readout.clone(), labels);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        if !value.is_finite() {
            return Err(NonFinite::Loss);
        }
        let weighed = match parallel::weight() {
            Some(weight) => loss.mul_scalar(weight),
            None => loss,
        };
        let mut gradients = net.take_gradients(&weighed.backward());
        for (place, sum) in parallel::gradients() {
            gradients[place] = Tensor::from_floats(sum.as_slice(), net.device());
        }
        let norms = optim::norms(&gradients);
        // The error walks from the readout to the input: the last of the parameters is the first it met.
        if let Some(place) = norms.iter().rposition(|norm| !norm.is_finite()) {
            return Err(NonFinite::Gradient(net.parameters()[place].name.clone()));
        }
        Ok(Self { readout: readout.inner(), loss: value, gradients, norms })
    }
}
