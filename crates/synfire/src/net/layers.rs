//! The layers of a network: parameters, and the forward pass built from [`ops`](crate::ops).

use super::parameter::{Buffer, Parameter};
use super::pass::{Flow, Norm, Pass};
use super::spec::Readout;
use crate::ops::{
    self, BlockConfig, BlockShape, ConvConfig, ConvShape, IntegratorShape, MeanShape, NormConfig, NormShape,
    Pool, RunningShape, Stats,
};
use burn::tensor::{Device, Tensor, activation};
use rand_chacha::ChaCha8Rng;

/// Added to the variance by every batch norm (PyTorch's default).
pub const EPS: f32 = 1e-5;
/// Weight of a batch's statistics in the running ones (PyTorch's default).
pub const MOMENTUM: f64 = 0.1;

/// Where a layer's new parameters come from.
pub(crate) struct Init<'a> {
    pub(crate) rng: &'a mut ChaCha8Rng,
    pub(crate) device: &'a Device,
}

/// Convolution, batch norm, and optionally ReLU.
#[derive(Debug, Clone)]
pub(super) struct ConvNorm {
    weight: Parameter,
    bias: Parameter,
    gamma: Parameter,
    beta: Parameter,
    running_mean: Buffer,
    running_var: Buffer,
    relu: bool,
    stride: usize,
}

impl ConvNorm {
    /// `names` are those of the convolution and of the batch norm.
    pub(crate) fn new(
        names: [String; 2],
        [inputs, outputs]: [usize; 2],
        kernel: usize,
        stride: usize,
        relu: bool,
        init: &mut Init,
    ) -> Self {
        let [conv, norm] = names;
        let fan_in = inputs * kernel * kernel;
        let shape = [outputs, inputs, kernel, kernel];
        let device = init.device;
        let weight = Parameter::uniform(format!("{conv}.weight"), &shape, fan_in, init.rng, device);
        let mut bias = Parameter::uniform(format!("{conv}.bias"), &[outputs], fan_in, init.rng, device);
        bias.zero_gradient = true;
        let buffer = |name: &str, value: f32| Buffer {
            name: format!("{norm}.{name}"),
            value: Tensor::from_floats(vec![value; outputs].as_slice(), device),
        };
        Self {
            weight,
            bias,
            gamma: Parameter::filled(format!("{norm}.weight"), outputs, 1.0, device),
            beta: Parameter::filled(format!("{norm}.bias"), outputs, 0.0, device),
            running_mean: buffer("running_mean", 0.0),
            running_var: buffer("running_var", 1.0),
            relu,
            stride,
        }
    }

    /// The shape of the convolution of `flow`.
    pub(crate) fn shape(&self, flow: &Flow<4>, pass: &Pass) -> ConvShape {
        let [frames, height, width, in_channels] = flow.sizes();
        let [out_channels, _, kh, kw] = self.weight.shape[..] else {
            unreachable!("a convolution's weight is 4-d")
        };
        ConvShape {
            frames,
            height,
            width,
            in_channels,
            out_channels,
            kernel: [kh, kw],
            stride: [self.stride; 2],
            padding: [kh / 2, kw / 2],
            groups: 1,
            precision: pass.precision,
        }
    }

    fn convolution(&self, flow: &Flow<4>, pass: &Pass) -> Tensor<4> {
        let config = ConvConfig { shape: self.shape(flow, pass), spikes: flow.spikes };
        ops::conv2d(flow.values.clone(), self.weight.value(), self.bias.value(), config)
    }

    /// Convolution and batch norm without neurons.
    pub(crate) fn forward(&mut self, flow: &Flow<4>, pass: &Pass) -> Flow<4> {
        let current = flow.with(self.convolution(flow, pass)).widened().values;
        let relu = self.relu || pass.ann;
        if !pass.training {
            return flow.with(self.normalise(current, relu));
        }
        let steps = match pass.norm {
            Norm::PerStep => flow.steps_present(pass.steps),
            Norm::Joint => 1,
        };
        let [frames, h, w, channels] = current.dims();
        let norm = NormShape { steps, rows: frames / steps * h * w, channels };
        let config = NormConfig { shape: norm, eps: EPS, relu };
        let (y, stats) = ops::batch_norm(current, self.gamma.value(), self.beta.value(), config);
        self.learn(stats, &norm, flow.constant, pass);
        flow.with(y)
    }

    /// The whole block: convolution, batch norm, ReLU, neurons (called `module`) and pooling. Its spikes may be `bits`
    /// where nothing but a convolution reads them.
    pub(crate) fn block(
        &mut self,
        flow: &Flow<4>,
        pool: Pool,
        bits: bool,
        pass: &mut Pass,
        module: &str,
    ) -> Flow<4> {
        let current = self.convolution(flow, pass);
        let [frames, height, width, channels] = current.dims();
        let shape = BlockShape {
            steps: pass.steps,
            batch: frames / flow.steps_present(pass.steps),
            height,
            width,
            channels,
            constant: flow.constant,
            joint: !pass.training || pass.norm == Norm::Joint,
            pool,
        };
        let config = BlockConfig { shape, lif: pass.lif, eps: EPS, relu: self.relu, bits };
        let (gamma, beta) = (self.gamma.value(), self.beta.value());
        let (y, rate) = if pass.training {
            let (y, stats, rate) = ops::block::block(current, gamma, beta, config);
            self.learn(stats, &shape.norm(), flow.constant, pass);
            (y, rate)
        } else {
            let (mean, variance) = (self.running_mean.value.clone(), self.running_var.value.clone());
            ops::block_inference(current, Stats { mean, variance }, gamma, beta, config)
        };
        pass.note_rate(module, rate, &[height, width, channels]);
        pass.spikes(y)
    }

    /// Moves the running statistics on by those of a batch.
    fn learn(&mut self, stats: Stats<Tensor<1>>, norm: &NormShape, constant: bool, pass: &Pass) {
        // A constant input stands for every step: the running values see its statistics as often, or its rows.
        let turns = if constant { pass.steps } else { 1 };
        let (repeats, rows) = match pass.norm {
            Norm::PerStep => (turns, norm.rows as f64),
            Norm::Joint => (1, (norm.rows * turns) as f64),
        };
        let rows = rows * pass.all_samples();
        let unbiased = rows / (rows - 1.0).max(1.0);
        update_running(&mut self.running_mean, stats.mean, norm, repeats, 1.0);
        update_running(&mut self.running_var, stats.variance, norm, repeats, unbiased);
    }

    /// Batch norm with the running statistics, by the formula that [`block`](Self::block) uses, so that spikes have the
    /// same bits.
    fn normalise(&self, x: Tensor<4>, relu: bool) -> Tensor<4> {
        let channels = x.dims()[3];
        let spread = |v: Tensor<1>| v.reshape([1, 1, 1, channels]);
        let scale = self.gamma.value() * (self.running_var.value.clone() + EPS).sqrt().recip();
        let y = (x - spread(self.running_mean.value.clone())) * spread(scale) + spread(self.beta.value());
        if relu { activation::relu(y) } else { y }
    }
}

/// Moves a running statistic on by those of a batch, each step's seen so often.
fn update_running(running: &mut Buffer, new: Tensor<1>, norm: &NormShape, repeats: usize, factor: f64) {
    let (steps, channels) = (norm.steps, norm.channels);
    let shape = RunningShape { steps, repeats, channels, factor, momentum: MOMENTUM };
    running.value = ops::running(running.value.clone(), new, shape);
}

/// A residual block: conv-norm-ReLU-neuron, conv-norm, plus the shortcut, ReLU, neuron.
#[derive(Debug, Clone)]
pub(super) struct Residual {
    first: ConvNorm,
    second: ConvNorm,
    shortcut: Option<ConvNorm>,
    relu: bool,
}

impl Residual {
    pub(crate) fn new(
        name: &str,
        [inputs, outputs]: [usize; 2],
        stride: usize,
        relu: bool,
        init: &mut Init,
    ) -> Self {
        let names = |i: &str| [format!("{name}.conv{i}"), format!("{name}.bn{i}")];
        let first = ConvNorm::new(names("1"), [inputs, outputs], 3, stride, relu, init);
        let second = ConvNorm::new(names("2"), [outputs, outputs], 3, 1, false, init);
        let shortcut = (inputs != outputs || stride != 1).then(|| {
            let names = [format!("{name}.shortcut.0"), format!("{name}.shortcut.1")];
            ConvNorm::new(names, [inputs, outputs], 1, stride, false, init)
        });
        Self { first, second, shortcut, relu }
    }

    pub(crate) fn forward(&mut self, flow: &Flow<4>, pass: &mut Pass, module: usize) -> Flow<4> {
        pass.note_input(format!("layers.{module}.conv1"), flow, &self.first.shape(flow, pass));
        let current = self.first.forward(flow, pass);
        let spikes = pass.neurons(current, &format!("{module}.1"));
        pass.note_input(format!("layers.{module}.conv2"), &spikes, &self.second.shape(&spikes, pass));
        let mut branch = pass.linear_only(|pass| self.second.forward(&spikes, pass));
        let mut straight = match &mut self.shortcut {
            Some(shortcut) => {
                pass.note_input(format!("layers.{module}.shortcut.0"), flow, &shortcut.shape(flow, pass));
                pass.linear_only(|pass| shortcut.forward(flow, pass))
            }
            None => flow.clone().widened(),
        };
        // A constant shortcut beside a branch that has already spiked.
        if straight.constant && !branch.constant {
            straight = straight.spread(pass.steps);
        } else if branch.constant && !straight.constant {
            branch = branch.spread(pass.steps);
        }
        let sum = branch.values + straight.values;
        let sum = if self.relu || pass.ann { activation::relu(sum) } else { sum };
        pass.neurons(Flow { values: sum, constant: branch.constant, spikes: false }, &format!("{module}.2"))
    }
}

/// A linear layer.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    weight: Parameter,
    bias: Parameter,
}

impl Linear {
    pub(crate) fn new(name: &str, inputs: usize, outputs: usize, init: &mut Init) -> Self {
        let shape = [outputs, inputs];
        Self {
            weight: Parameter::uniform(format!("{name}.weight"), &shape, inputs, init.rng, init.device),
            bias: Parameter::uniform(format!("{name}.bias"), &[outputs], inputs, init.rng, init.device),
        }
    }

    /// `module` is its number.
    fn forward(&self, x: Tensor<2>, pass: &mut Pass, module: usize) -> Tensor<2> {
        let y = ops::linear(x, self.weight.value(), self.bias.value());
        pass.watch(module, &y);
        y
    }
}

/// Linear layer, optionally ReLU, neuron.
#[derive(Debug, Clone)]
pub(super) struct LinearBlock {
    pub(crate) linear: Linear,
    pub(crate) relu: bool,
}

impl LinearBlock {
    pub(crate) fn forward(&self, flow: &Flow<2>, pass: &mut Pass, module: usize) -> Flow<2> {
        let current = self.linear.forward(flow.values.clone(), pass, module);
        let relu = self.relu || pass.ann;
        let current = if relu { activation::relu(current) } else { current };
        let neuron = module + 1 + usize::from(self.relu);
        pass.neurons(flow.with(current), &neuron.to_string())
    }
}

/// The last layer.
#[derive(Debug, Clone)]
pub(super) struct ReadoutLayer {
    pub(crate) linear: Linear,
    pub(crate) kind: Readout,
    pub(crate) voters: usize,
    pub(crate) classes: usize,
}

impl ReadoutLayer {
    /// What each class gets at each time step, `[T, B, classes]`.
    pub(crate) fn forward(&self, flow: &Flow<2>, pass: &mut Pass, module: usize) -> Tensor<3> {
        let current = flow.with(self.linear.forward(flow.values.clone(), pass, module));
        let units = match self.kind {
            _ if pass.ann => current.spread(pass.steps).values,
            Readout::Vote => pass.neurons(current, &(module + 1).to_string()).spread(pass.steps).values,
            Readout::LeakyIntegrator => integrate(current, pass),
        };
        let batch = units.dims()[0] / pass.steps;
        let shape = MeanShape { outer: pass.steps * batch * self.classes, among: self.voters, inner: 1 };
        ops::mean(units, shape).reshape([pass.steps, batch, self.classes])
    }
}

/// Leaky integrators behind `current`.
fn integrate(current: Flow<2>, pass: &Pass) -> Tensor<2> {
    let [rows, units] = current.values.dims();
    let shape = IntegratorShape { steps: pass.steps, constant: current.constant, decay: pass.lif.decay };
    let present = current.steps_present(pass.steps);
    let batch = rows / present;
    ops::integrate(current.values.reshape([present, batch * units]), shape)
        .reshape([pass.steps * batch, units])
}

/// Visits every parameter of a layer in the order of its state dict.
pub(crate) trait Parameters {
    fn parameters(&mut self) -> Vec<&mut Parameter>;
    fn buffers(&mut self) -> Vec<&mut Buffer> {
        Vec::new()
    }
}

impl Parameters for ConvNorm {
    fn parameters(&mut self) -> Vec<&mut Parameter> {
        vec![&mut self.weight, &mut self.bias, &mut self.gamma, &mut self.beta]
    }
    fn buffers(&mut self) -> Vec<&mut Buffer> {
        vec![&mut self.running_mean, &mut self.running_var]
    }
}

impl Parameters for Residual {
    fn parameters(&mut self) -> Vec<&mut Parameter> {
        let blocks = [&mut self.first, &mut self.second].into_iter().chain(&mut self.shortcut);
        blocks.flat_map(Parameters::parameters).collect()
    }
    fn buffers(&mut self) -> Vec<&mut Buffer> {
        let blocks = [&mut self.first, &mut self.second].into_iter().chain(&mut self.shortcut);
        blocks.flat_map(Parameters::buffers).collect()
    }
}

impl Parameters for Linear {
    fn parameters(&mut self) -> Vec<&mut Parameter> {
        vec![&mut self.weight, &mut self.bias]
    }
}
