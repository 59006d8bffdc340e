//! An optimiser's steps, against its equations in double precision.

mod common;

use common::{assert_close, lif, net, tensor, values};
use synfire::ops::Method;
use synfire::optim::{Optimizer, OptimizerKind};

#[test]
fn sgd_has_momentum_and_weight_decay_in_the_gradient() {
    const STEPS: [(f64, f32); 3] = [(0.1, 1.0), (0.05, -0.5), (0.02, 0.25)];
    let (decay, momentum) = (0.3, 0.9);
    // Two inputs to two classes: four weights, two biases.
    let mut net = net("LI1", [1, 1, 2], 2, true, lif(Method::Bpsta, 1.0), 3);
    let mut optimizer = Optimizer::new(OptimizerKind::Sgd, decay, momentum);
    let all = |net: &mut synfire::net::Net| -> Vec<f32> {
        net.parameters().into_iter().flat_map(|parameter| values(parameter.value())).collect()
    };
    let mut expected: Vec<f64> = all(&mut net).into_iter().map(f64::from).collect();
    let mut velocity = [0.0; 6];
    for (step, (rate, scale)) in STEPS.into_iter().enumerate() {
        let gradient = [1.0f32, -2.0, 0.5, 3.0, -1.0, 0.25].map(|g| g * scale);
        let parts = vec![tensor(&gradient[..4], [4]), tensor(&gradient[4..], [2])];
        optimizer.step(&mut net, parts, rate);
        for ((weight, velocity), g) in expected.iter_mut().zip(&mut velocity).zip(gradient) {
            let g = f64::from(g) + decay * *weight;
            *velocity = if step == 0 { g } else { momentum * *velocity + g };
            *weight -= rate * *velocity;
        }
        let expected: Vec<f32> = expected.iter().map(|&weight| weight as f32).collect();
        assert_close(&format!("step {}", step + 1), &all(&mut net), &expected, 1e-6);
    }
}
