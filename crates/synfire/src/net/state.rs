//! A network's parameters and running statistics by name.

use super::Net;
use crate::file::{HostTensor, TensorMap};
use burn::tensor::Tensor;

/// Why named tensors are not the state of a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A tensor of the network is absent.
    #[error("it has no tensor `{0}`: it belongs to another network")]
    Missing(String),
    /// A tensor has another shape than the network's.
    #[error("tensor `{name}` has shape {found:?}, this network expects {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// The network's shape.
        expected: Vec<usize>,
        /// The file's.
        found: Vec<usize>,
    },
    /// A tensor the network does not have.
    #[error("it holds the tensor `{0}`, which this network does not have")]
    Unknown(String),
}

fn host(tensor: Tensor<1>) -> Vec<f32> {
    tensor.inner().into_data().try_into_vec::<f32>().expect("tensors of a network are f32")
}

impl Net {
    /// Every parameter and running statistic, named as in PyTorch's state dict.
    pub fn state(&mut self) -> TensorMap {
        let mut state: TensorMap = self
            .parameters()
            .into_iter()
            .map(|p| (p.name.clone(), HostTensor { shape: p.shape.clone(), values: host(p.value()) }))
            .collect();
        for buffer in self.buffers() {
            let values = host(buffer.value.clone());
            state.insert(buffer.name.clone(), HostTensor { shape: vec![values.len()], values });
        }
        state
    }

    /// Takes up parameters and, where given, running statistics.
    ///
    /// # Errors
    /// If a parameter is missing, a shape differs or a tensor is unknown. The network is then unchanged.
    pub fn load_state(&mut self, state: &TensorMap) -> Result<(), StateError> {
        let expected = self.state();
        for (name, tensor) in state {
            let Some(own) = expected.get(name) else { return Err(StateError::Unknown(name.clone())) };
            if own.shape != tensor.shape {
                let (expected, found) = (own.shape.clone(), tensor.shape.clone());
                return Err(StateError::Shape { name: name.clone(), expected, found });
            }
        }
        let missing = self.parameters().into_iter().find(|p| !state.contains_key(&p.name));
        if let Some(parameter) = missing {
            return Err(StateError::Missing(parameter.name.clone()));
        }
        let device = self.device().clone();
        let tensor = |t: &HostTensor| Tensor::<1>::from_floats(t.values.as_slice(), &device);
        for parameter in self.parameters() {
            parameter.set(tensor(&state[&parameter.name]));
        }
        for buffer in self.buffers() {
            if let Some(values) = state.get(&buffer.name) {
                buffer.value = tensor(values);
            }
        }
        Ok(())
    }
}
