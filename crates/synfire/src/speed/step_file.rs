//! A network and a batch as a file, so that another program can take the same step.

use super::Load;
use crate::file::{FileError, HostTensor, TensorFile, write_atomically};
use crate::loss::Loss;
use crate::net::{Input, Net};
use burn::tensor::Tensor;
use std::path::Path;

/// Writes `net` and `load` in the names of a golden file (`tests/golden`), without what is expected of them: `param.*`
/// and `buffer.*` as in PyTorch's state dict, `input` (`[B, C, H, W]`, or frames `[B, T, C, H, W]`), `label` `[B]`, and
/// the constants as JSON under `config`.
///
/// # Errors
/// If the file cannot be written.
pub fn save_step(path: &Path, net: &mut Net, load: &Load, loss: Loss) -> Result<(), FileError> {
    let mut file = TensorFile::default();
    let parameters: Vec<String> = net.parameters().into_iter().map(|p| p.name.clone()).collect();
    for (name, tensor) in net.state() {
        let kind = if parameters.contains(&name) { "param" } else { "buffer" };
        file.tensors.insert(format!("{kind}.{name}"), tensor);
    }
    file.tensors.insert("input".into(), images(&load.input));
    let labels = load.labels.iter().map(|&label| label as f32).collect();
    file.tensors.insert("label".into(), HostTensor { shape: vec![load.labels.len()], values: labels });
    let (plan, lif) = (net.plan(), net.lif);
    let config = serde_json::json!({
        "layers": plan.spec.to_string(), "shape": plan.input, "classes": plan.classes, "relu": plan.relu,
        "time_steps": load.input.steps(), "method": lif.method.name(), "threshold": lif.threshold,
        "decay": lif.decay, "alpha": lif.alpha, "norm": net.norm.to_string(), "loss": loss.to_string(),
    });
    file.metadata.insert("kind".into(), "step".into());
    file.metadata.insert("config".into(), config.to_string());
    let bytes = file.to_bytes().map_err(|problem| FileError::content(path, problem))?;
    write_atomically(path, &bytes)
}

/// An input in PyTorch's order.
fn images(input: &Input) -> HostTensor {
    fn host<const D: usize>(tensor: Tensor<D>) -> HostTensor {
        let shape = tensor.dims().to_vec();
        HostTensor { shape, values: tensor.into_data().try_into_vec().expect("f32 input") }
    }
    let values = input.flow.values.clone();
    let [frames, h, w, c] = values.dims();
    if input.flow.constant {
        return host(values.permute([0, 3, 1, 2]));
    }
    let (steps, batch) = (input.steps, frames / input.steps);
    host(values.reshape([steps, batch, h, w, c]).permute([1, 0, 4, 2, 3]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Plan;
    use crate::ops::Lif;
    use burn::tensor::Device;

    #[test]
    fn another_program_finds_weights_and_batch() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("step.safetensors");
        for (channels, shape) in [(1, vec![3, 1, 4, 6]), (2, vec![3, 2, 2, 4, 6])] {
            let plan = Plan::new(&"4C3-AP2-LI1".parse().unwrap(), [channels, 4, 6], 10, true).unwrap();
            let load = Load::synthetic(&plan, 3, 2, &device);
            let mut net = Net::new(plan, Lif::default(), 0, &device);
            save_step(&path, &mut net, &load, Loss::Mse).unwrap();
            let file = TensorFile::read(&path).unwrap();
            assert_eq!(file.get("param.layers.0.weight").unwrap().shape, [4, channels, 3, 3]);
            assert_eq!(file.get("buffer.layers.1.running_var").unwrap().values, [1.0; 4]);
            let input = file.get("input").unwrap();
            assert_eq!(input.shape, shape);
            // Channel 0 of sample 1 at the last step, from the channels-last and time-major input.
            let (steps, frame) = (shape.iter().product::<usize>() / (3 * channels * 24), channels * 24);
            let own = load.input.flow.values.clone().into_data().try_into_vec::<f32>().unwrap();
            let last = &own[((steps - 1) * 3 + 1) * frame..][..frame];
            let expected: Vec<f32> = last.iter().copied().step_by(channels).collect();
            assert_eq!(input.values[(steps + steps - 1) * frame..][..24], expected);
            assert!(file.meta("config").unwrap().contains(r#""loss":"mse""#));
        }
    }
}
