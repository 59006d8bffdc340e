//! One layer of neurons: what the three methods make of the same current and the same error.
//!
//! `cargo run --release -p synfire --example 01_neuron`

use burn::tensor::{Device, Tensor};
use synfire::ops::{self, Lif, LifShape, Method};

fn main() {
    let device = Device::flex();
    // Four time steps of one neuron: it fires at the second and the fourth.
    let current = Tensor::<2>::from_floats([[0.3], [0.4], [0.2], [0.9]], &device);

    for method in [Method::Stbp, Method::Bpsa, Method::Bpsta] {
        let current = current.clone().autodiff().require_grad();
        let lif = Lif { method, ..Lif::default() };
        let spikes = ops::lif(current.clone(), LifShape { steps: 4, constant: false, lif });
        // An error of 1 arrives at every spike.
        let gradients = spikes.clone().sum().backward();
        let gradient = current.grad(&gradients).expect("the current is a leaf");
        println!("{method:<6} spikes {:?}  gradient {:.3?}", values(spikes), values(gradient));
    }
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.inner().into_data().try_into_vec().expect("f32 values")
}
