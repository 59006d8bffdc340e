//! A network from a layer string: its sizes, a training step by hand, and its firing rates.
//!
//! `cargo run --release -p synfire --example 02_network`

use burn::tensor::{Device, Distribution, Tensor};
use synfire::loss::Loss;
use synfire::net::{Input, Net, NetError, Pass, Plan, Record};
use synfire::ops::Lif;
use synfire::optim::{Optimizer, OptimizerKind};

fn main() -> Result<(), NetError> {
    let device = Device::flex();
    let spec = "16C3-MP2-32C3-AP2-DP-LI10".parse()?;
    let plan = Plan::new(&spec, [2, 16, 16], 10, true)?;
    for layer in &plan.layers {
        println!(
            "{:<6} {:?} -> {:?}, {} parameters",
            layer.spec.to_string(),
            layer.input,
            layer.output,
            layer.parameters
        );
    }

    let mut net = Net::new(plan, Lif::default(), 0, &device);
    let mut optimizer = Optimizer::new(OptimizerKind::AdamW, 1e-4, 0.0);
    // Frames of an event camera [T, B, C, H, W]; here noise.
    let frames = Tensor::<5>::random([5, 8, 2, 16, 16], Distribution::Bernoulli(0.1), &device);
    let labels: Vec<usize> = (0..8).collect();
    for step in 0..5 {
        net.track();
        let mut pass = Pass::training(None).recording(Record::Rates);
        let readout = net.forward(Input::frames(frames.clone()), &mut pass);
        let loss = Loss::CrossEntropy.of(readout, &labels);
        let gradients = loss.backward();
        let gradients = net.take_gradients(&gradients);
        optimizer.step(&mut net, gradients, 1e-3);

        let rates: Vec<f32> = pass.recorded.iter().map(|layer| layer.rate.clone().into_scalar()).collect();
        println!("step {step}: loss {:.4}, firing rates {rates:.3?}", loss.into_scalar::<f32>());
    }
    Ok(())
}
