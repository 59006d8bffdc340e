//! Networks with weights and statistics that nothing can be mistaken in.
#![allow(dead_code, reason = "each test file uses a part")]

use burn::tensor::{Device, Tensor, TensorData};
use synfire::net::{Input, Net, Pass, Plan};
use synfire::ops::Lif;

/// A network whose batch norms are not those of the beginning.
pub(crate) fn net(layers: &str, input: [usize; 3], classes: usize, decay: f32, relu: bool) -> Net {
    let plan = Plan::new(&layers.parse().unwrap(), input, classes, relu).unwrap();
    let mut net = Net::new(plan, Lif { decay, ..Lif::default() }, 7, &Device::flex());
    let mut state = net.state();
    for (name, tensor) in &mut state {
        for (i, value) in tensor.values.iter_mut().enumerate() {
            let wave = ((i * 7 + name.len()) as f32).sin();
            match name.rsplit_once('.').unwrap().1 {
                "running_mean" => *value = 0.1 * wave,
                "running_var" => *value = 0.3 + 0.1 * wave,
                "weight" if tensor.shape.len() == 1 => *value = 1.0 + 0.3 * wave,
                "bias" => *value = 0.2 + 0.3 * wave,
                // Linear layers behind sparse spikes would hardly reach the threshold.
                _ if tensor.shape.len() == 2 => *value *= 3.0,
                _ => {}
            }
        }
    }
    net.load_state(&state).unwrap();
    net
}

/// What each class gets at each time step, `[T, classes]`, of one sample's frames.
pub(crate) fn outputs(net: &mut Net, frames: &[Vec<f64>]) -> Vec<f64> {
    let [c, h, w] = net.plan().input;
    let values: Vec<f32> = frames.iter().flatten().map(|&value| value as f32).collect();
    let tensor = Tensor::<5>::from_data(TensorData::new(values, [frames.len(), 1, c, h, w]), net.device());
    let readout = net.forward(Input::frames(tensor), &mut Pass::inference());
    readout.into_data().iter::<f64>().collect()
}
