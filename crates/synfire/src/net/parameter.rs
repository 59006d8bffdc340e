//! Trained values and running statistics.

use burn::tensor::{Device, Tensor};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A trained tensor: flat values in PyTorch's order, and their shape.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Name as in PyTorch's state dict, `layers.0.weight`.
    pub name: String,
    /// Its shape, `[out, in, kh, kw]`, `[out, in]` or `[out]`.
    pub shape: Vec<usize>,
    /// Its gradient is zero by construction: the bias of a convolution whose batch norm subtracts it again.
    /// It is set to exactly zero, because AdamW would turn rounding noise into full steps.
    pub zero_gradient: bool,
    value: Tensor<1>,
}

impl Parameter {
    fn new(name: String, shape: Vec<usize>, values: Vec<f32>, device: &Device) -> Self {
        debug_assert_eq!(values.len(), shape.iter().product::<usize>());
        let value = Tensor::from_floats(values.as_slice(), device);
        Self { name, shape, zero_gradient: false, value }
    }

    /// Uniform in ±1/√`fan_in`, PyTorch's default for the weights and biases of Conv2d and Linear.
    pub(crate) fn uniform(
        name: String,
        shape: &[usize],
        fan_in: usize,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Self {
        let bound = 1.0 / (fan_in as f32).sqrt();
        let values = (0..shape.iter().product()).map(|_| rng.random_range(-bound..bound)).collect();
        Self::new(name, shape.to_vec(), values, device)
    }

    pub(crate) fn filled(name: String, len: usize, value: f32, device: &Device) -> Self {
        Self::new(name, vec![len], vec![value; len], device)
    }

    /// The module it belongs to, `layers.0`.
    pub fn module(&self) -> &str {
        self.name.rsplit_once('.').map_or(&self.name, |(module, _)| module)
    }

    /// The value for a forward pass.
    pub fn value(&self) -> Tensor<1> {
        self.value.clone()
    }

    /// Replaces the value.
    ///
    /// # Panics
    /// If the number of values differs.
    pub fn set(&mut self, value: Tensor<1>) {
        assert_eq!(value.dims(), self.value.dims(), "the values of {}", self.name);
        self.value = value;
    }

    /// Makes the value a leaf whose gradient the next backward pass computes.
    pub(crate) fn track(&mut self) {
        if !self.zero_gradient {
            self.value = self.value.clone().autodiff().require_grad();
        }
    }

    /// Leaves autodiff again.
    pub(crate) fn untrack(&mut self) {
        self.value = self.value.clone().inner();
    }
}

/// A value the forward pass updates, such as a running mean.
#[derive(Debug, Clone)]
pub struct Buffer {
    /// Name as in PyTorch's state dict, `layers.1.running_mean`.
    pub name: String,
    /// `[channels]`.
    pub value: Tensor<1>,
}
