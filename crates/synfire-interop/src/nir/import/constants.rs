//! What constants of neurons become: one threshold and one decay for all, and factors of the weights in front of them.

use super::super::graph::Node;
use super::{CLOSE, Reader};
use burn::tensor::Device;
use synfire::file::{HostTensor, TensorMap};
use synfire::net::{EPS, LayerSpec, Net, Plan};
use synfire::ops::{Lif, Method};

/// Weights.
pub(super) struct Weighted {
    pub(super) weight: HostTensor,
    pub(super) bias: Vec<f32>,
    /// Which neurons or integrators they lead to.
    pub(super) cells: usize,
}

/// Neurons or integrators behind a layer with weights.
pub(super) struct Cells<'a> {
    node: &'a str,
    decay: f64,
    /// What a neuron's input is multiplied with, one or one for each.
    gains: Vec<f64>,
    thresholds: Option<Vec<f64>>,
    /// Values reach them without weights, by a shortcut.
    pub(super) bare: bool,
}

impl<'a> Reader<'a> {
    /// Neurons or integrators behind the last weights.
    pub(super) fn cells(&mut self, name: &'a str, node: &'a Node) -> Result<(), String> {
        let units: usize = self.shape.iter().product();
        let constant = |tensor: &'a HostTensor, what: &str| -> Result<Vec<f64>, String> {
            let n = tensor.values.len();
            if n == 0 || (n != 1 && n != units) {
                return Err(format!("node `{name}`, {what}: {n} values, expected one or {units}"));
            }
            if let Some(value) = tensor.values.iter().find(|value| !value.is_finite()) {
                return Err(format!("node `{name}`, {what}: {value} is no finite number"));
            }
            Ok(tensor.values.iter().map(|&value| f64::from(value)).collect())
        };
        let zero =
            |tensor: &'a HostTensor, what: &str| match tensor.values.iter().find(|value| **value != 0.0) {
                Some(value) => Err(format!("node `{name}`: {what} is {value}; neurons here need 0")),
                None => Ok(()),
            };
        let reset = |v_reset: &'a Option<HostTensor>| match v_reset {
            Some(v_reset) => zero(v_reset, "v_reset"),
            None => Ok(()),
        };
        let dt = self.dt;
        let leaky = |tau: &'a HostTensor, r: &'a HostTensor| {
            let (tau, r) = (constant(tau, "tau")?, constant(r, "r")?);
            if let Some(wrong) = tau.iter().find(|tau| **tau <= 0.0) {
                return Err(format!("node `{name}`: tau is {wrong}, expected seconds above 0"));
            }
            // What is 0 but for roundings is 0.
            let kept = |tau: f64| Some(1.0 - dt / tau).filter(|decay| decay.abs() > CLOSE).unwrap_or(0.0);
            let decay = kept(tau[0]);
            if let Some(other) = tau.iter().find(|&&other| !same(kept(other), decay)) {
                let (first, other) = (tau[0] as f32, *other as f32);
                return Err(format!(
                    "node `{name}`: tau is {first} and {other}; neurons here have one for all"
                ));
            }
            if !(0.0..=1.0).contains(&decay) {
                return Err(format!(
                    "node `{name}`: a time step of {dt} s is too long for tau = {} s: they leave {decay:.3} of the potential, \
                     expected 0 to 1; name the time step that the graph was made for",
                    tau[0] as f32
                ));
            }
            Ok((decay, r.into_iter().map(|r| r * dt / tau[0]).collect()))
        };
        let (decay, gains, thresholds) = match node {
            Node::Lif { tau, r, v_leak, v_threshold, v_reset } => {
                zero(v_leak, "v_leak")?;
                reset(v_reset)?;
                let (decay, gains) = leaky(tau, r)?;
                (decay, gains, Some(constant(v_threshold, "v_threshold")?))
            }
            Node::If { r, v_threshold, v_reset } => {
                reset(v_reset)?;
                let gains = constant(r, "r")?.into_iter().map(|r| r * dt).collect();
                (1.0, gains, Some(constant(v_threshold, "v_threshold")?))
            }
            Node::Li { tau, r, v_leak } => {
                zero(v_leak, "v_leak")?;
                let (decay, gains) = leaky(tau, r)?;
                (decay, gains, None)
            }
            _ => unreachable!("the caller looks"),
        };
        if matches!(node, Node::Lif { v_reset: None, .. } | Node::If { v_reset: None, .. }) {
            self.notes.push(format!(
                "node `{name}` says nothing of v_reset: taken as a reset to 0, as NIR 1.0.7 and later do"
            ));
        }
        self.cells.push(Cells { node: name, decay, gains, thresholds, bare: false });
        Ok(())
    }

    pub(super) fn finish(mut self, output: &[usize], device: &Device) -> Result<(Net, Vec<String>), String> {
        let (Some(first), Some(last)) = (self.cells.first(), self.specs.last()) else {
            return Err("it has no neurons".into());
        };
        if !matches!(last, LayerSpec::Readout { .. }) {
            return Err(format!("it ends with {last}; expected a linear layer with neurons or integrators"));
        }
        if let Some(other) = self.cells.iter().find(|cells| !same(cells.decay, first.decay)) {
            return Err(format!(
                "neurons of `{}` keep {} of their potential at each step, those of `{}` {}; networks here have one decay",
                first.node, first.decay as f32, other.node, other.decay as f32
            ));
        }
        let classes = self.shape[0];
        if output.iter().product::<usize>() != classes {
            return Err(format!("the output has shape {output:?}, what reaches it has {classes} values"));
        }
        let decay = first.decay as f32;
        let threshold = self.threshold()?;
        self.fold(threshold)?;
        let lif = Lif { method: Method::default(), threshold: threshold as f32, decay, ..Lif::default() };
        let layers: Vec<String> = self.specs.iter().map(ToString::to_string).collect();
        let spec = layers.join("-").parse().map_err(|e| format!("{e}"))?;
        let plan = Plan::new(&spec, self.input, classes, false).map_err(|e| e.to_string())?;
        let mut net = Net::new(plan, lif, 0, device);
        let state = self.state(&net);
        net.load_state(&state).map_err(|e| e.to_string())?;
        Ok((net, self.notes))
    }

    /// That of all neurons, if there is one; else the weights are made for 1.
    fn threshold(&self) -> Result<f64, String> {
        let mut common: Option<f64> = None;
        for cells in &self.cells {
            for &threshold in cells.thresholds.iter().flatten() {
                if !(threshold.is_finite() && threshold > 0.0) {
                    return Err(format!(
                        "node `{}`: a threshold of {threshold}, expected one above 0",
                        cells.node
                    ));
                }
                match common {
                    Some(other) if other != threshold => return Ok(1.0),
                    _ => common = Some(threshold),
                }
            }
        }
        Ok(common.unwrap_or(1.0))
    }

    /// Brings gains and thresholds into the weights in front of the neurons.
    fn fold(&mut self, threshold: f64) -> Result<(), String> {
        for layer in &mut self.layers {
            let cells = &self.cells[layer.cells];
            let outputs = layer.bias.len();
            let each = layer.weight.values.len() / outputs.max(1);
            for output in 0..outputs {
                // Neurons of one channel share its weights.
                let of = |values: &[f64]| -> Result<f64, String> {
                    let n = values.len();
                    let own = if n == 1 { values } else { &values[output * (n / outputs)..][..n / outputs] };
                    match own.iter().find(|&&value| !same(value, own[0])) {
                        Some(other) => Err(format!(
                            "node `{}`: neurons of channel {output} have different constants, {} and {}; those of one channel share \
                             weights",
                            cells.node, own[0] as f32, *other as f32
                        )),
                        None => Ok(own[0]),
                    }
                };
                let gain = of(&cells.gains)?;
                let scale = match &cells.thresholds {
                    Some(thresholds) => threshold / of(thresholds)?,
                    None => 1.0,
                };
                let factor = gain * scale;
                if !factor.is_finite() {
                    return Err(format!("node `{}`: its constants make a factor of {factor}", cells.node));
                }
                // What was 1 before it was rounded leaves weights as they are.
                if same(factor, 1.0) {
                    continue;
                }
                if cells.bare {
                    return Err(format!(
                        "node `{}`: its constants make a factor of {}, which the way that leads to it without weights cannot take",
                        cells.node, factor as f32
                    ));
                }
                let weights = &mut layer.weight.values[output * each..][..each];
                weights.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
                layer.bias[output] = (f64::from(layer.bias[output]) * factor) as f32;
            }
        }
        Ok(())
    }

    /// The weights by the names of the network; its batch norms change nothing.
    fn state(&mut self, net: &Net) -> TensorMap {
        let mut state = TensorMap::new();
        let places = net.plan().layers.iter().filter(|layer| layer.parameters > 0).flat_map(|layer| {
            let module = layer.module;
            let of = |weights: String, norm: String| (format!("layers.{weights}"), format!("layers.{norm}"));
            match layer.spec {
                LayerSpec::Residual { channels, stride } => {
                    let part =
                        |conv: &str, norm: &str| of(format!("{module}.{conv}"), format!("{module}.{norm}"));
                    let mut parts = vec![part("conv1", "bn1"), part("conv2", "bn2")];
                    if stride != 1 || layer.input[0] != channels {
                        parts.push(part("shortcut.0", "shortcut.1"));
                    }
                    parts
                }
                _ => vec![of(module.to_string(), (module + 1).to_string())],
            }
        });
        for ((place, norm), Weighted { weight, bias, .. }) in places.zip(std::mem::take(&mut self.layers)) {
            let n = bias.len();
            let spatial = weight.shape.len() == 4;
            let row = |values: Vec<f32>| HostTensor { shape: vec![n], values };
            let mut put = |module: &str, leaf: &str, tensor| state.insert(format!("{module}.{leaf}"), tensor);
            put(&place, "weight", weight);
            put(&place, "bias", row(bias));
            if spatial {
                put(&norm, "weight", row(vec![1.0; n]));
                put(&norm, "bias", row(vec![0.0; n]));
                put(&norm, "running_mean", row(vec![0.0; n]));
                // With the constant that is added to it, 1.
                put(&norm, "running_var", row(vec![1.0 - EPS; n]));
            }
        }
        state
    }
}

/// Equal but for a few roundings of numbers around 1.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= CLOSE * b.abs().max(1.0)
}
