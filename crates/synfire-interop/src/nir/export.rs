//! From a network to a graph.

use super::graph::{Graph, Metadata, Node, Pooling};
use synfire::encode::Encoding;
use synfire::file::{HostTensor, TensorMap};
use synfire::net::{EPS, LayerSpec, Net, PlannedLayer, Readout};
use synfire::ops;
use synfire::train::Described;

/// Where a neuron's resistance R = 1/(1-λ) goes, for simulators that know no other than 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resistance {
    /// Into the neuron, weights stay as they are (SpikingJelly, snnTorch).
    #[default]
    Neuron,
    /// Into the weights in front of it, R is 1 (Norse).
    Weights,
}

/// How means over windows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pools {
    /// As means.
    #[default]
    Average,
    /// As sums, and the next weights divided by the window's size, for simulators that have no means (Norse, Sinabs).
    Sum,
}

/// What can be chosen of a graph.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Translation {
    /// The time step that the neurons' constants are made for, in seconds.
    pub dt: f64,
    /// Where R goes.
    pub resistance: Resistance,
    /// How means are written.
    pub pools: Pools,
}

impl Translation {
    /// For a time step, with what users can choose of the rest.
    pub fn new(dt: f64, fold_resistance: bool, sum_pool: bool) -> Self {
        Self {
            dt,
            resistance: if fold_resistance { Resistance::Weights } else { Resistance::Neuron },
            pools: if sum_pool { Pools::Sum } else { Pools::Average },
        }
    }
}

impl Default for Translation {
    fn default() -> Self {
        Self { dt: super::DT, resistance: Resistance::default(), pools: Pools::default() }
    }
}

/// The graph of a network that is described, with what an [`import`](super::import()) of it needs.
///
/// # Errors
/// As [`export`], and if it has no neurons.
pub fn export_described(
    network: &Described,
    net: &mut Net,
    translation: Translation,
) -> Result<Graph, String> {
    if network.config.is_ann() {
        return Err("it was trained without neurons (--method ann)".into());
    }
    let mut graph = export(net, translation)?;
    graph.metadata.time_steps = Some(network.config.time_steps);
    graph.metadata.class_names.clone_from(&network.class_names);
    graph.metadata.encoding = Some(network.config.encoding.to_string());
    graph.metadata.method = Some(network.config.lif().method.name().to_string());
    Ok(graph)
}

/// What other programs have to do that a graph does not say.
pub fn left_to_others(network: &Described) -> Option<String> {
    let encoding = network.config.encoding;
    (encoding != Encoding::Direct).then(|| {
        format!(
            "the graph begins behind the encoding ({encoding}): other programs have to encode images by it before they show them"
        )
    })
}

/// The graph of `net` in inference.
///
/// # Errors
/// If the time step is not above 0, or the network has what NIR cannot say: the error names the layer and what to train instead.
pub fn export(net: &mut Net, translation: Translation) -> Result<Graph, String> {
    let dt = translation.dt;
    if !(dt.is_finite() && dt > 0.0) {
        return Err(format!("a time step of {dt} seconds: expected a number above 0"));
    }
    let decay = f64::from(net.lif.decay);
    let constant = if decay == 1.0 { 1.0 / dt } else { dt / (1.0 - decay) };
    if !(constant as f32).is_normal() {
        return Err(format!(
            "a time step of {dt} seconds: single precision cannot hold its neurons' constants, {constant:e}"
        ));
    }
    let state = net.state();
    let plan = net.plan().clone();
    let refuse = |layer: &PlannedLayer, problem: &str, instead: &str| {
        Err(format!("layer {} (layers.{}): {problem}; {instead}", layer.spec, layer.module))
    };
    let with_neurons =
        |spec| matches!(spec, LayerSpec::Conv { .. } | LayerSpec::Residual { .. } | LayerSpec::Linear { .. });
    for layer in &plan.layers {
        if plan.relu && with_neurons(layer.spec) {
            let instead = "train with --relu false";
            return refuse(layer, "NIR has no ReLU in front of neurons", instead);
        }
        if let LayerSpec::Pool { kind: ops::Pooling::Max, size } = layer.spec {
            return refuse(
                layer,
                "NIR has no maximum over a window",
                &format!("train with AP{size} in its place"),
            );
        }
    }
    let mut builder =
        Builder { state, translation, net, graph: Graph::default(), last: Vec::new(), divisor: 1.0 };
    builder.add("input", Node::Input { shape: plan.input.to_vec() });
    for layer in &plan.layers {
        builder.layer(layer)?;
    }
    builder.add("output", Node::Output { shape: vec![plan.classes] });
    let mut graph = builder.graph;
    graph.metadata = Metadata { dt: Some(dt), ..Metadata::default() };
    Ok(graph)
}

struct Builder<'a> {
    state: TensorMap,
    translation: Translation,
    net: &'a Net,
    graph: Graph,
    /// What the next node's values come from.
    last: Vec<String>,
    /// What the next weights are divided by.
    divisor: f64,
}

/// Scale and shift of each channel.
struct Norm {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Builder<'_> {
    fn add(&mut self, name: impl Into<String>, node: Node) {
        let name = name.into();
        self.graph.edges.extend(self.last.drain(..).map(|from| (from, name.clone())));
        self.last.push(name.clone());
        self.graph.nodes.insert(name, node);
    }

    fn layer(&mut self, layer: &PlannedLayer) -> Result<(), String> {
        let module = layer.module;
        if layer.flatten {
            // What is flattened here has its images from the layer in front.
            let input = self.net.plan().layers.iter().take_while(|other| other.module < module).last();
            let input = input.map_or(self.net.plan().input, |other| other.output);
            self.add(format!("flatten_{}", module - 1), Node::Flatten { input: Some(input.to_vec()) });
        }
        match layer.spec {
            LayerSpec::Conv { stride, .. } => {
                let names = [format!("layers.{module}"), format!("layers.{}", module + 1)];
                self.convolution(&format!("conv_{module}"), &names, stride, layer.input)?;
                self.neurons(&format!("lif_{}", module + 2), &layer.output);
            }
            LayerSpec::Residual { stride, .. } => self.residual(layer, stride)?,
            LayerSpec::Pool { size, .. } => {
                let pooling = Pooling { kernel: [size; 2], stride: [size; 2], padding: [0; 2] };
                let node = match self.translation.pools {
                    Pools::Average => Node::AvgPool2d(pooling),
                    Pools::Sum => {
                        self.divisor *= (size * size) as f64;
                        Node::SumPool2d(pooling)
                    }
                };
                self.add(format!("pool_{module}"), node);
            }
            LayerSpec::Dropout { .. } => {}
            LayerSpec::Linear { outputs } => {
                self.linear(module)?;
                self.neurons(&format!("lif_{}", module + 1), &[outputs]);
            }
            LayerSpec::Readout { kind, voters } => {
                self.linear(module)?;
                let units = layer.units();
                let name = module + 1;
                match kind {
                    Readout::Vote => self.neurons(&format!("lif_{name}"), &[units]),
                    Readout::LeakyIntegrator => self.integrators(&format!("li_{name}"), units, layer)?,
                }
                if voters > 1 {
                    self.add(format!("mean_{}", module + 2), Node::Linear { weight: mean(units, voters) });
                }
            }
        }
        Ok(())
    }

    fn residual(&mut self, layer: &PlannedLayer, stride: usize) -> Result<(), String> {
        let module = layer.module;
        let names = |part: &str| [format!("layers.{module}.conv{part}"), format!("layers.{module}.bn{part}")];
        let (before, divisor) = (self.last.clone(), self.divisor);
        self.convolution(&format!("conv_{module}_1"), &names("1"), stride, layer.input)?;
        self.neurons(&format!("lif_{module}_1"), &layer.output);
        self.convolution(&format!("conv_{module}_2"), &names("2"), 1, layer.output)?;
        let branch = std::mem::replace(&mut self.last, before);
        let shortcut = [format!("layers.{module}.shortcut.0"), format!("layers.{module}.shortcut.1")];
        self.divisor = divisor;
        if self.state.contains_key(&format!("{}.weight", shortcut[0])) {
            self.convolution(&format!("conv_{module}_shortcut"), &shortcut, stride, layer.input)?;
        } else if divisor != 1.0 || self.gain() != 1.0 {
            // There are no weights on this way that could take it.
            return Err(format!(
                "layer {} (layers.{module}): its shortcut has no weights that the factor {} could go into; export with the resistance in \
                 the neurons and with means of windows",
                layer.spec,
                self.gain() / divisor,
            ));
        }
        self.last.extend(branch);
        self.neurons(&format!("lif_{module}_2"), &layer.output);
        Ok(())
    }

    /// R, wherever it goes.
    fn resistance(&self) -> f64 {
        let decay = f64::from(self.net.lif.decay);
        1.0 / if decay == 1.0 { self.translation.dt } else { 1.0 - decay }
    }

    /// What weights in front of neurons are multiplied with.
    fn gain(&self) -> f64 {
        match self.translation.resistance {
            Resistance::Neuron => 1.0,
            Resistance::Weights => self.resistance(),
        }
    }

    fn tensor(&self, name: &str) -> Result<&HostTensor, String> {
        self.state.get(name).ok_or_else(|| format!("the network has no tensor `{name}`"))
    }

    fn convolution(
        &mut self,
        name: &str,
        [conv, norm]: &[String; 2],
        stride: usize,
        [_, height, width]: [usize; 3],
    ) -> Result<(), String> {
        let weight = self.tensor(&format!("{conv}.weight"))?;
        let bias = self.tensor(&format!("{conv}.bias"))?;
        let norm = self.norm(norm)?;
        let (gain, divisor) = (self.gain(), self.divisor);
        let each = weight.values.len() / norm.scale.len().max(1);
        let channels = weight.values.chunks(each).zip(&norm.scale);
        let values = channels.flat_map(|(weights, scale)| {
            weights.iter().map(move |&weight| (f64::from(weight) * scale * gain / divisor) as f32)
        });
        let biases = bias.values.iter().zip(norm.scale.iter().zip(&norm.shift));
        let biases = biases.map(|(&bias, (scale, shift))| ((f64::from(bias) * scale + shift) * gain) as f32);
        let kernel = weight.shape[2];
        let node = Node::Conv2d {
            input: Some([height, width]),
            weight: HostTensor { shape: weight.shape.clone(), values: values.collect() },
            bias: HostTensor { shape: bias.shape.clone(), values: biases.collect() },
            stride: [stride; 2],
            padding: [kernel / 2; 2],
            dilation: [1; 2],
            groups: 1,
        };
        self.divisor = 1.0;
        self.add(name, node);
        Ok(())
    }

    /// A batch norm in inference.
    fn norm(&self, name: &str) -> Result<Norm, String> {
        let values = |leaf: &str| self.tensor(&format!("{name}.{leaf}")).map(|tensor| &tensor.values);
        let (gamma, beta) = (values("weight")?, values("bias")?);
        let (mean, variance) = (values("running_mean")?, values("running_var")?);
        let scale: Vec<f64> = gamma
            .iter()
            .zip(variance)
            .map(|(&gamma, &variance)| f64::from(gamma) / (f64::from(variance) + f64::from(EPS)).sqrt())
            .collect();
        let shift = beta.iter().zip(mean).zip(&scale);
        let shift = shift.map(|((&beta, &mean), scale)| f64::from(beta) - f64::from(mean) * scale);
        Ok(Norm { shift: shift.collect(), scale })
    }

    fn linear(&mut self, module: usize) -> Result<(), String> {
        let (gain, divisor) = (self.gain(), self.divisor);
        let weight = self.tensor(&format!("layers.{module}.weight"))?;
        let bias = self.tensor(&format!("layers.{module}.bias"))?;
        let scaled = |tensor: &HostTensor, factor: f64| HostTensor {
            shape: tensor.shape.clone(),
            values: tensor.values.iter().map(|&value| (f64::from(value) * factor) as f32).collect(),
        };
        let node = Node::Affine { weight: scaled(weight, gain / divisor), bias: scaled(bias, gain) };
        self.divisor = 1.0;
        self.add(format!("linear_{module}"), node);
        Ok(())
    }

    /// Constants of as many neurons, τ and R.
    fn constants(&self, shape: &[usize]) -> (impl Fn(f64) -> HostTensor + use<>, f64, f64) {
        let shape = shape.to_vec();
        let len = shape.iter().product();
        let all = move |value: f64| HostTensor { shape: shape.clone(), values: vec![value as f32; len] };
        let tau = self.translation.dt / (1.0 - f64::from(self.net.lif.decay));
        (all, tau, self.resistance() / self.gain())
    }

    fn neurons(&mut self, name: &str, shape: &[usize]) {
        let (all, tau, r) = self.constants(shape);
        let threshold = all(self.net.lif.threshold.into());
        let node = if self.net.lif.decay == 1.0 {
            Node::If { r: all(r), v_threshold: threshold, v_reset: Some(all(0.0)) }
        } else {
            Node::Lif {
                tau: all(tau),
                r: all(r),
                v_leak: all(0.0),
                v_threshold: threshold,
                v_reset: Some(all(0.0)),
            }
        };
        self.add(name, node);
    }

    fn integrators(&mut self, name: &str, units: usize, layer: &PlannedLayer) -> Result<(), String> {
        if self.net.lif.decay == 1.0 {
            return Err(format!(
                "layer {} (layers.{}): integrators without leak (--decay 1) have no time constant; train with a decay below 1",
                layer.spec, layer.module
            ));
        }
        let (all, tau, r) = self.constants(&[units]);
        self.add(name, Node::Li { tau: all(tau), r: all(r), v_leak: all(0.0) });
        Ok(())
    }
}

/// The means over `each` neighbours of so many values, as weights.
fn mean(units: usize, each: usize) -> HostTensor {
    let classes = units / each;
    let mut values = vec![0.0; classes * units];
    for class in 0..classes {
        values[class * units + class * each..][..each].fill(1.0 / each as f32);
    }
    HostTensor { shape: vec![classes, units], values }
}
