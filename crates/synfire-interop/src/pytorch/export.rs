//! Weights as a file that PyTorch loads.

use safetensors::tensor::{Dtype, SafeTensorError, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use synfire::net::{Net, Norm};
use synfire::train::{Checkpoint, Described, TrainConfig};

/// The key of the file's metadata.
pub(super) const KEY: &str = "synfire-network";

/// What an exported file says of its network, so that it can be taken up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    /// Its settings.
    pub config: TrainConfig,
    /// Channels, height and width of the input.
    pub input: [usize; 3],
    /// Width and height of the sensor whose recordings it was trained on; none for still images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensor: Option<[u16; 2]>,
    /// Names of the classes.
    pub class_names: Vec<String>,
}

/// The weights and running statistics of a trained network as the bytes of a safetensors file, with the names that they have in
/// PyTorch where `layers` is the `Sequential` of the network's modules. Batch norms count their batches, as PyTorch's do, so that
/// `load_state_dict` takes the file as it is.
///
/// # Errors
/// If a tensor's shape does not fit its values.
pub fn export(checkpoint: &Checkpoint, net: &mut Net) -> Result<Vec<u8>, String> {
    let header = &checkpoint.header;
    let Described { config, input, sensor, class_names } = header.described();
    let sensor = sensor.map(|sensor| [sensor.width, sensor.height]);
    let exported = Exported { config, input, sensor, class_names };
    let times = if header.config.norm == Norm::PerStep { header.config.time_steps as u64 } else { 1 };
    let batches = (header.position.steps * times) as i64;
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, tensor) in net.state() {
        if let Some(module) = name.strip_suffix(".running_mean") {
            let name = format!("{module}.num_batches_tracked");
            tensors.push((name, Dtype::I64, Vec::new(), batches.to_le_bytes().to_vec()));
        }
        let bytes = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensors.push((name, Dtype::F32, tensor.shape, bytes));
    }
    let views = tensors
        .iter()
        .map(|(name, kind, shape, bytes)| Ok((name, TensorView::new(*kind, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, SafeTensorError>>()
        .map_err(|e| e.to_string())?;
    let text = serde_json::to_string(&exported).map_err(|e| e.to_string())?;
    safetensors::serialize(views, Some(HashMap::from([(KEY.to_string(), text)]))).map_err(|e| e.to_string())
}
