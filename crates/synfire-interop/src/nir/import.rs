//! From a graph to a network.

use super::graph::{Graph, Node, Pooling};
use crate::{decimal, numbers};
use burn::tensor::Device;
use synfire::file::{HostTensor, TensorMap};
use synfire::net::{EPS, Net, Plan};
use synfire::ops::{Lif, Method};

/// How far two constants may be apart that are meant to be the same: a few roundings.
const CLOSE: f64 = 1e-6;

/// Largest side of an input: products of three stay far from overflow.
const LARGEST: usize = 65_536;

/// A network from a graph.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The network, without ReLUs in front of its neurons.
    pub net: Net,
    /// The names of its classes: those of the graph, else numbers.
    pub class_names: Vec<String>,
    /// What the user should know; one sentence each.
    pub notes: Vec<String>,
}

impl Imported {
    /// The settings of a run that make it what it is.
    pub fn settings(&self) -> toml::Table {
        let lif = self.net.lif;
        toml::Table::from_iter([
            ("net".to_string(), self.net.plan().spec.to_string().into()),
            ("relu".to_string(), false.into()),
            ("threshold".to_string(), decimal(lif.threshold).into()),
            ("decay".to_string(), decimal(lif.decay).into()),
            // What was never rounded to bf16 stays as it is.
            ("precision".to_string(), "f32".into()),
        ])
    }
}

/// The network that a graph is, with neurons of the time step `dt` in seconds. `input` is the shape `[C, H, W]` of its input where the
/// graph has a row of values there.
///
/// # Errors
/// If the graph is none that a layer string could say; the error names the node.
pub fn import(
    graph: &Graph,
    dt: f64,
    input: Option<[usize; 3]>,
    device: &Device,
) -> Result<Imported, String> {
    if !(dt.is_finite() && dt > 0.0) {
        return Err(format!("a time step of {dt} seconds: expected a number above 0"));
    }
    let row = graph.in_a_row()?;
    let mut reader = Reader::new(&row, dt, input)?;
    reader.read(&row[1..row.len() - 1])?;
    let (_, Node::Output { shape }) = row[row.len() - 1] else { unreachable!("a row ends at the output") };
    let (net, notes) = reader.finish(shape, device)?;
    let classes = net.plan().classes;
    let own = Some(graph.metadata.class_names.clone()).filter(|names| names.len() == classes);
    Ok(Imported { net, class_names: own.unwrap_or_else(|| numbers(classes)), notes })
}

/// A layer with weights, and what is in front of it.
struct Weighted {
    weight: HostTensor,
    bias: Vec<f32>,
}

/// Neurons or integrators behind a layer with weights.
struct Cells<'a> {
    node: &'a str,
    decay: f64,
    /// What a neuron's input is multiplied with, one or one for each.
    gains: Vec<f64>,
    thresholds: Option<Vec<f64>>,
}

struct Reader<'a> {
    dt: f64,
    input: [usize; 3],
    /// The shape of what the last node gives.
    shape: [usize; 3],
    /// Values stand in a row.
    flat: bool,
    tokens: Vec<String>,
    layers: Vec<Weighted>,
    cells: Vec<Cells<'a>>,
    /// What the next weights are multiplied with.
    factor: f64,
    voters: usize,
    notes: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(row: &[(&'a str, &'a Node)], dt: f64, input: Option<[usize; 3]>) -> Result<Self, String> {
        let (name, Node::Input { shape }) = row[0] else { unreachable!("a row begins at the input") };
        let own = match shape[..] {
            [c, h, w] => [c, h, w],
            [n] => [n, 1, 1],
            _ => {
                return Err(format!(
                    "node `{name}` has shape {shape:?}; expected channels, height and width, or one number"
                ));
            }
        };
        let size = |shape: &[usize]| shape.iter().fold(1usize, |product, &side| product.saturating_mul(side));
        if own.iter().any(|side| !(1..=LARGEST).contains(side)) {
            return Err(format!("node `{name}` has shape {shape:?}; expected sides from 1 to {LARGEST}"));
        }
        let input = match input {
            Some(given) if given == own => own,
            Some(given) if shape.len() == 1 && size(&given) == size(&own) => given,
            Some(given) => return Err(format!("an input of {given:?}: node `{name}` takes {shape:?}")),
            None => own,
        };
        let (tokens, layers, cells, notes) = Default::default();
        Ok(Self {
            dt,
            input,
            shape: input,
            flat: false,
            tokens,
            layers,
            cells,
            factor: 1.0,
            voters: 1,
            notes,
        })
    }

    fn read(&mut self, row: &[(&'a str, &'a Node)]) -> Result<(), String> {
        let mut nodes = row.iter().copied().peekable();
        while let Some((name, node)) = nodes.next() {
            let next = nodes.peek().copied();
            match node {
                Node::Conv2d { .. } => {
                    self.convolution(name, node)?;
                    let Some((cells, Node::Lif { .. } | Node::If { .. })) = next else {
                        return Err(behind(name, next, "neurons (LIF or IF)"));
                    };
                    nodes.next();
                    self.cells(cells, next.expect("just seen").1)?;
                }
                Node::Affine { weight, bias } => self.linear(name, weight, Some(bias), &mut nodes)?,
                Node::Linear { weight } => self.linear(name, weight, None, &mut nodes)?,
                Node::AvgPool2d(pooling) => self.pool(name, pooling)?,
                Node::SumPool2d(pooling) => {
                    self.pool(name, pooling)?;
                    self.factor *= (pooling.kernel[0] * pooling.kernel[1]) as f64;
                }
                // The row of values is in the order of channels, height and width however many of them are joined.
                Node::Flatten { input } => {
                    let found = self.shape;
                    if let Some(input) = input.as_ref().filter(|input| !input.iter().eq(found.iter())) {
                        return Err(format!(
                            "node `{name}` (Flatten): its input_type is {input:?}, what reaches it is {found:?}"
                        ));
                    }
                    self.shape = [found.iter().product(), 1, 1];
                    self.flat = true;
                }
                Node::Lif { .. } | Node::If { .. } | Node::Li { .. } => {
                    return Err(format!("node `{name}` ({}): expected weights in front of it", node.kind()));
                }
                Node::Input { .. } | Node::Output { .. } => unreachable!("they stand at the ends of a row"),
            }
        }
        Ok(())
    }

    fn convolution(&mut self, name: &str, node: &Node) -> Result<(), String> {
        let Node::Conv2d { input, weight, bias, stride, padding, dilation, groups } = node else {
            unreachable!()
        };
        let refuse = |problem: String| Err(format!("node `{name}` (Conv2d): {problem}"));
        let [_, height, width] = self.shape;
        if self.flat {
            return refuse("it stands behind a row of values; expected images".into());
        }
        if let Some(input) = input.filter(|input| *input != [height, width]) {
            return refuse(format!("its input_shape is {input:?}, what reaches it is {height}x{width}"));
        }
        let [out, from, kh, kw] = weight.shape[..] else {
            return refuse(format!("a weight of shape {:?}, expected four dimensions", weight.shape));
        };
        if *groups != 1 || *dilation != [1, 1] {
            return refuse(format!(
                "{groups} groups and a dilation of {dilation:?}; expected one group and no dilation"
            ));
        }
        if kh != kw || kh % 2 == 0 {
            return refuse(format!("a kernel of {kh}x{kw}, expected an odd square one"));
        }
        if *padding != [kh / 2; 2] {
            return refuse(format!("a padding of {padding:?}, expected {} on each side", kh / 2));
        }
        if stride[0] != stride[1] || stride[0] == 0 {
            return refuse(format!("steps of {stride:?}, expected the same both ways"));
        }
        if from != self.shape[0] || out == 0 {
            return refuse(format!(
                "it takes {from} channels to {out}, what reaches it has {}",
                self.shape[0]
            ));
        }
        let stride = stride[0];
        let strided = if stride == 1 { String::new() } else { format!("S{stride}") };
        self.tokens.push(format!("{out}C{kh}{strided}"));
        self.shape = [out, height.saturating_sub(1) / stride + 1, width.saturating_sub(1) / stride + 1];
        self.weights(name, weight, Some(bias))
    }

    fn linear(
        &mut self,
        name: &str,
        weight: &HostTensor,
        bias: Option<&HostTensor>,
        nodes: &mut std::iter::Peekable<impl Iterator<Item = (&'a str, &'a Node)>>,
    ) -> Result<(), String> {
        let [out, from] = weight.shape[..] else {
            return Err(format!(
                "node `{name}`: a weight of shape {:?}, expected two dimensions",
                weight.shape
            ));
        };
        let reaching: usize = self.shape.iter().product();
        if from != reaching || out == 0 {
            return Err(format!(
                "node `{name}` takes {from} values to {out}, what reaches it has {reaching}"
            ));
        }
        self.shape = [out, 1, 1];
        self.flat = true;
        self.weights(name, weight, bias)?;
        let next = nodes.next();
        let Some((cells, node @ (Node::Lif { .. } | Node::If { .. } | Node::Li { .. }))) = next else {
            return Err(behind(name, next, "neurons (LIF or IF) or integrators (LI)"));
        };
        self.cells(cells, node)?;
        let integrates = matches!(node, Node::Li { .. });
        let mean = match nodes.peek() {
            Some((_, Node::Linear { weight })) => voters(weight).filter(|_| integrates || is_last(nodes)),
            _ => None,
        };
        if let Some(voters) = mean {
            nodes.next();
            self.voters = voters;
            self.shape = [out / voters, 1, 1];
        }
        if let Some((after, node)) = nodes.peek() {
            if integrates || mean.is_some() {
                return Err(format!(
                    "node `{after}` ({}) stands behind the readout; expected the output",
                    node.kind()
                ));
            }
            self.tokens.push(format!("{out}FC"));
        } else {
            let kind = if integrates { "LI" } else { "VOTE" };
            self.tokens.push(format!("{kind}{}", self.voters));
        }
        Ok(())
    }

    fn pool(&mut self, name: &str, pooling: &Pooling) -> Result<(), String> {
        let Pooling { kernel: [k, other], stride, padding } = *pooling;
        if k != other || stride != [k; 2] || padding != [0; 2] || k == 0 {
            return Err(format!(
                "node `{name}`: windows of {k}x{other}, steps of {stride:?} and padding of {padding:?}; expected square windows side \
                 by side"
            ));
        }
        self.tokens.push(format!("AP{k}"));
        let [channels, height, width] = self.shape;
        self.shape = [channels, height / k, width / k];
        Ok(())
    }

    fn weights(&mut self, name: &str, weight: &HostTensor, bias: Option<&HostTensor>) -> Result<(), String> {
        let outputs = weight.shape[0];
        let bias = match bias {
            Some(bias) if bias.values.len() == outputs => bias.values.clone(),
            Some(bias) => {
                return Err(format!(
                    "node `{name}`: a bias of {} values, expected {outputs}",
                    bias.values.len()
                ));
            }
            None => vec![0.0; outputs],
        };
        let factor = std::mem::replace(&mut self.factor, 1.0);
        let mut weight = weight.clone();
        if factor != 1.0 {
            weight.values.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
        }
        self.layers.push(Weighted { weight, bias });
        Ok(())
    }

    /// Neurons or integrators behind the last weights.
    fn cells(&mut self, name: &'a str, node: &'a Node) -> Result<(), String> {
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
        self.cells.push(Cells { node: name, decay, gains, thresholds });
        Ok(())
    }

    fn finish(mut self, output: &[usize], device: &Device) -> Result<(Net, Vec<String>), String> {
        let (Some(first), Some(last)) = (self.cells.first(), self.tokens.last()) else {
            return Err("it has no neurons".into());
        };
        if !(last.starts_with("VOTE") || last.starts_with("LI")) {
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
        let spec = self.tokens.join("-").parse().map_err(|e| format!("{e}"))?;
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
        for (layer, cells) in self.layers.iter_mut().zip(&self.cells) {
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
        let mut layers = std::mem::take(&mut self.layers).into_iter();
        for layer in net.plan().layers.iter().filter(|layer| layer.parameters > 0) {
            let Weighted { weight, bias } = layers.next().expect("as many as there are tokens");
            let n = bias.len();
            let spatial = weight.shape.len() == 4;
            let row = |values: Vec<f32>| HostTensor { shape: vec![n], values };
            let mut put =
                |module: usize, leaf: &str, tensor| state.insert(format!("layers.{module}.{leaf}"), tensor);
            put(layer.module, "weight", weight);
            put(layer.module, "bias", row(bias));
            if spatial {
                let norm = layer.module + 1;
                put(norm, "weight", row(vec![1.0; n]));
                put(norm, "bias", row(vec![0.0; n]));
                put(norm, "running_mean", row(vec![0.0; n]));
                // With the constant that is added to it, 1.
                put(norm, "running_var", row(vec![1.0 - EPS; n]));
            }
        }
        state
    }
}

/// Equal but for a few roundings of numbers around 1.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= CLOSE * b.abs().max(1.0)
}

/// What stands where something else was expected.
fn behind(name: &str, next: Option<(&str, &Node)>, expected: &str) -> String {
    let found = match next {
        Some((other, node)) => format!("`{other}` ({})", node.kind()),
        None => "the output".into(),
    };
    format!("behind node `{name}` stands {found}; expected {expected}")
}

/// How many neighbours these weights take the mean of, if that is what they do.
fn voters(weight: &HostTensor) -> Option<usize> {
    let [classes, units] = weight.shape[..] else { return None };
    if classes == 0 || units == 0 || !units.is_multiple_of(classes) {
        return None;
    }
    let each = units / classes;
    let is = |(i, &value): (usize, &f32)| {
        let wanted = if i % units / each == i / units { 1.0 / each as f64 } else { 0.0 };
        (f64::from(value) - wanted).abs() <= CLOSE
    };
    weight.values.iter().enumerate().all(is).then_some(each)
}

fn is_last<'a>(nodes: &std::iter::Peekable<impl Iterator<Item = (&'a str, &'a Node)>>) -> bool {
    nodes.size_hint().1 == Some(1)
}
