//! What one forward pass knows and notes down.

use super::NonFinite;
use crate::ops::{self, ConvShape, Lif, LifShape, Precision};
use crate::parallel;
use burn::tensor::{FloatDType, Tensor, TensorData, f16};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::str::FromStr;
use synfire_data::Share;
use synfire_kernels::conv::{self, Way};
use synfire_kernels::linear;

/// Values on their way through the network: `[T·B, …]`, or `[B, …]` where they are the same at every step.
#[derive(Debug, Clone)]
pub struct Flow<const D: usize> {
    /// The values, time-major.
    pub values: Tensor<D>,
    /// They stand for all time steps.
    pub constant: bool,
    /// They are spikes, pooled or not, and the error of a spike that was not fired is not asked for.
    pub spikes: bool,
}

impl Flow<4> {
    /// Frames, height, width and channels. Between convolutions the values may be spikes as bits.
    pub(crate) fn sizes(&self) -> [usize; 4] {
        let [frames, height, width, elements] = self.values.dims();
        [frames, height, width, elements * ops::spikes_in_element(&self.values)]
    }
}

impl<const D: usize> Flow<D> {
    /// The values as `f32`; between convolutions in bf16 they are bf16, which no other layer reads. Bits are no values:
    /// they are for a convolution alone.
    pub(crate) fn widened(self) -> Self {
        assert_eq!(ops::spikes_in_element(&self.values), 1, "spikes as bits where values are read");
        Self { values: self.values.cast(FloatDType::F32), ..self }
    }

    /// Other values with the same meaning of time.
    pub(crate) fn with<const E: usize>(&self, values: Tensor<E>) -> Flow<E> {
        Flow { values, constant: self.constant, spikes: self.spikes }
    }

    /// Time steps that the first dimension holds.
    pub(crate) fn steps_present(&self, steps: usize) -> usize {
        if self.constant { 1 } else { steps }
    }

    /// Every time step written out.
    pub(crate) fn spread(self, steps: usize) -> Self {
        if !self.constant || steps == 1 {
            return Self { constant: false, ..self };
        }
        let mut times = [1; D];
        times[0] = steps;
        Self { values: self.values.repeat(&times), constant: false, ..self }
    }
}

/// What the network's input is.
#[derive(Debug, Clone)]
pub struct Input {
    pub(crate) flow: Flow<4>,
    pub(crate) steps: usize,
}

impl Input {
    /// Images `[B, C, H, W]` presented unchanged at each of `steps` time steps (direct encoding).
    pub fn constant(images: Tensor<4>, steps: usize) -> Self {
        Self { flow: Flow { values: images.permute([0, 2, 3, 1]), constant: true, spikes: false }, steps }
    }

    /// One image a time step: frames `[T, B, C, H, W]`.
    pub fn frames(frames: Tensor<5>) -> Self {
        let [steps, batch, c, h, w] = frames.dims();
        let values = frames.permute([0, 1, 3, 4, 2]).reshape([steps * batch, h, w, c]);
        Self { flow: Flow { values, constant: false, spikes: false }, steps }
    }

    /// Time steps.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Samples in the batch.
    pub fn batch(&self) -> usize {
        self.flow.values.dims()[0] / if self.flow.constant { 1 } else { self.steps }
    }
}

/// Over which values a batch norm takes its statistics in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Norm {
    /// Each time step on its own, as the paper's code does; the running values see T updates a batch. Inference uses
    /// one set of running values for all steps, although a deep layer's first steps differ from its last.
    #[default]
    PerStep,
    /// All time steps together, with one update a batch: inference then sees what training saw.
    Joint,
}

impl fmt::Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PerStep => "per-step",
            Self::Joint => "joint",
        })
    }
}

impl FromStr for Norm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "per-step" => Ok(Self::PerStep),
            "joint" => Ok(Self::Joint),
            _ => Err(format!("unknown batch norm `{text}`, expected per-step or joint")),
        }
    }
}

/// What a pass notes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Record {
    /// Nothing.
    #[default]
    Nothing,
    /// The firing rate of each neuron layer.
    Rates,
    /// The same, and how dense the input of each convolution is. The values are counted one by one, which takes time.
    Densities,
    /// The firing rates, and what reaches each layer that has weights.
    Operations,
    /// Every spike of each neuron layer.
    Spikes,
}

/// A neuron layer's record.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Number of the neuron's module, as in `layers.N`; `N.1` and `N.2` within a residual block.
    pub module: String,
    /// Mean of all spikes, a scalar tensor `[1]`.
    pub rate: Tensor<1>,
    /// The spikes, channels-last and time-major, flat `[T·B, values]`, if asked for.
    pub spikes: Option<Tensor<2>>,
    /// Height, width and channels of one step of one sample.
    pub shape: Vec<usize>,
}

/// How dense the input of a convolution is.
#[derive(Debug, Clone, PartialEq)]
pub struct Density {
    /// The convolution: `layers.5`, or `layers.9.conv1` within a residual block.
    pub module: String,
    /// Share of the values that are not 0.
    pub share: f64,
    /// How the forward pass is computed with it.
    pub forward: Way,
    /// How the gradient of the input is; nobody asks for that of the network's input.
    pub input_gradient: Option<Way>,
    /// How the gradient of the weights is.
    pub weight_gradient: Way,
}

/// What reached a layer that has weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Operands {
    /// The layer: `layers.5`, or `layers.9.conv1` within a residual block.
    pub module: String,
    /// Its sizes; a linear layer is a convolution of frames of one pixel.
    pub shape: ConvShape,
    /// How many values were not 0 at each place `[height, width]`, of all frames and channels.
    pub present: Vec<u64>,
    /// All values were 0 or 1.
    pub binary: bool,
    /// They were the same at every time step, and are counted once.
    pub constant: bool,
}

/// One forward pass: its settings, its random numbers and what it notes down.
#[derive(Debug)]
pub struct Pass<'a> {
    /// Batch norm uses the batch and updates its running values; dropout drops.
    pub training: bool,
    /// Without neurons, as a plain network of ReLUs.
    pub ann: bool,
    /// Source of dropout masks in training.
    pub rng: Option<&'a mut ChaCha8Rng>,
    /// Which samples these are of a batch that several processes share: masks are drawn for all of it.
    pub share: Option<Share>,
    /// What to note down.
    pub record: Record,
    /// What was noted down.
    pub recorded: Vec<Recorded>,
    pub(crate) non_finite: Option<NonFinite>,
    /// The density of each convolution's input, if asked for.
    pub densities: Vec<Density>,
    /// What reached the layers that have weights, if asked for.
    pub operands: Vec<Operands>,
    pub(crate) steps: usize,
    pub(crate) lif: Lif,
    pub(crate) norm: Norm,
    pub(crate) precision: Precision,
}

impl<'a> Pass<'a> {
    /// A pass in inference mode that notes nothing down.
    pub fn inference() -> Self {
        Self {
            training: false,
            ann: false,
            rng: None,
            share: None,
            record: Record::Nothing,
            recorded: Vec::new(),
            non_finite: None,
            densities: Vec::new(),
            operands: Vec::new(),
            steps: 0,
            lif: Lif::default(),
            norm: Norm::default(),
            precision: Precision::default(),
        }
    }

    /// A pass in training mode; `rng` draws the dropout masks. Without it nothing is dropped.
    pub fn training(rng: Option<&'a mut ChaCha8Rng>) -> Self {
        Self { training: true, rng, ..Self::inference() }
    }

    /// Of these samples of a larger batch.
    pub fn of_share(self, share: Share) -> Self {
        Self { share: Some(share), ..self }
    }

    /// How many samples a batch norm sees for each of this process's.
    pub(crate) fn all_samples(&self) -> f64 {
        match self.share {
            Some(share) if parallel::norms_are_shared() => share.of as f64 / share.places().len() as f64,
            _ => 1.0,
        }
    }

    /// Notes down what `record` says.
    pub fn recording(self, record: Record) -> Self {
        Self { record, ..self }
    }

    /// Without neurons.
    pub fn as_ann(self, ann: bool) -> Self {
        Self { ann, ..self }
    }

    /// The neuron layer called `module` behind `current`; in an ANN pass the current itself.
    pub(crate) fn neurons<const D: usize>(&mut self, current: Flow<D>, module: &str) -> Flow<D> {
        if self.ann {
            return current;
        }
        let shape = LifShape { steps: self.steps, constant: current.constant, lif: self.lif };
        let spikes = ops::lif(current.values, shape);
        if self.record != Record::Nothing {
            let dims = spikes.dims();
            let plain = spikes.clone().inner().reshape([dims[0], dims[1..].iter().product::<usize>()]);
            self.recorded.push(Recorded {
                module: module.to_string(),
                // In two stages: one f32 sum of all spikes would stay at 2^24.
                rate: plain.clone().mean_dim(1).mean(),
                spikes: (self.record == Record::Spikes).then_some(plain),
                shape: dims[1..].to_vec(),
            });
        }
        self.spikes(spikes)
    }

    /// What neurons fired at every time step, pooled or not.
    pub(crate) fn spikes<const D: usize>(&self, values: Tensor<D>) -> Flow<D> {
        Flow { values, constant: false, spikes: !self.lif.method.hears_silence() }
    }

    /// Notes down the firing rate of the neuron layer called `module`, if rates are wanted.
    pub(crate) fn note_rate(&mut self, module: &str, rate: Tensor<1>, shape: &[usize]) {
        if self.record != Record::Nothing {
            let (module, shape) = (module.to_string(), shape.to_vec());
            self.recorded.push(Recorded { module, rate, spikes: None, shape });
        }
    }

    /// Notes down what is wanted of the input of the convolution called `module`.
    pub(crate) fn note_input(&mut self, module: String, input: &Flow<4>, shape: &ConvShape) {
        match self.record {
            Record::Densities => {
                let (present, _) = present(&input.values, shape);
                let share = present.iter().sum::<u64>() as f64 / shape.input_len().max(1) as f64;
                // Where silence is heard too, all errors are wanted.
                let wanted = if input.spikes { share } else { 1.0 };
                self.densities.push(Density {
                    module,
                    share,
                    forward: shape.way(conv::Pass::Forward, share),
                    input_gradient: (!self.densities.is_empty())
                        .then(|| shape.way(conv::Pass::InputGrad, wanted)),
                    weight_gradient: shape.way(conv::Pass::WeightGrad, share),
                });
            }
            Record::Operations => self.note_operands(module, &input.values, shape, input.constant),
            _ => {}
        }
    }

    /// The same of the linear layer with so many outputs.
    pub(crate) fn note_row(&mut self, module: String, row: &Flow<2>, outputs: usize) {
        if self.record == Record::Operations {
            let [rows, inputs] = row.values.dims();
            self.note_operands(module, &row.values, &linear::shape(rows, inputs, outputs), row.constant);
        }
    }

    fn note_operands<const D: usize>(
        &mut self,
        module: String,
        values: &Tensor<D>,
        shape: &ConvShape,
        constant: bool,
    ) {
        let (present, binary) = present(values, shape);
        self.operands.push(Operands { module, shape: *shape, present, binary, constant });
    }

    /// Runs `f` with the ReLU of an ANN pass left to the caller.
    pub(crate) fn linear_only<T>(&mut self, f: impl FnOnce(&Self) -> T) -> T {
        let ann = std::mem::replace(&mut self.ann, false);
        let out = f(self);
        self.ann = ann;
        out
    }

    /// Drops values with `probability` and scales the rest up; the mask is drawn once for the batch and holds for
    /// all time steps.
    pub(crate) fn dropout<const D: usize>(&mut self, flow: Flow<D>, probability: f32) -> Flow<D> {
        let (true, Some(rng)) = (self.training, self.rng.as_mut()) else { return flow };
        let present = flow.steps_present(self.steps);
        let dims = flow.values.dims();
        let sample_rows = dims[0] / present;
        let width: usize = dims[1..].iter().product();
        let kept = 1.0 / (1.0 - probability);
        let (first, of) = self.share.map_or((0, sample_rows), |share| (share.first, share.of));
        let mut draw = || if rng.random::<f32>() < probability { 0.0 } else { kept };
        for _ in 0..first * width {
            draw();
        }
        let mask: Vec<f32> = (0..sample_rows * width).map(|_| draw()).collect();
        // What is drawn next does not depend on who has which samples.
        for _ in 0..(of - first - sample_rows) * width {
            draw();
        }
        let device = flow.values.device().inner();
        let mask = Tensor::<3>::from_data(TensorData::new(mask, [1, sample_rows, width]), &device);
        let values = (flow.values.clone().reshape([present, sample_rows, width]) * mask).reshape(dims);
        flow.with(values)
    }
}

/// How many of the values `[frames, height, width, channels]`, or of spikes as bits, are not 0 at each place, and whether all of them
/// are 0 or 1.
fn present<const D: usize>(values: &Tensor<D>, shape: &ConvShape) -> (Vec<u64>, bool) {
    let places = shape.height * shape.width;
    let mut present = vec![0; places];
    let data = values.clone().inner().into_data();
    // Spikes as bits.
    if let Ok(words) = data.as_slice::<f16>() {
        let each = (words.len() / (shape.frames * places).max(1)).max(1);
        for (i, words) in words.chunks_exact(each).enumerate() {
            present[i % places] +=
                words.iter().map(|word| u64::from(word.to_bits().count_ones())).sum::<u64>();
        }
        return (present, true);
    }
    let mut binary = true;
    for (i, value) in data.iter::<f32>().enumerate() {
        present[i / shape.in_channels % places] += u64::from(value != 0.0);
        binary &= value == 0.0 || value == 1.0;
    }
    (present, binary)
}
