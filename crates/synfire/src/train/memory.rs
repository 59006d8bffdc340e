//! How much memory training takes, and whether a network fits in this machine's.
//!
//! A network that does not fit would end in the system's out-of-memory killer, after minutes of swapping and without a
//! word. Training is counted along a step: what the forward pass leaves, and what each layer's backward pass needs in
//! addition before it gives its part back.

use super::error::ConfigError;
use crate::device::{self, is_cpu};
use crate::file::TensorMap;
use crate::net::{LayerSpec, Plan, PlannedLayer};
use crate::ops::{BlockShape, ConvShape, Pool, Precision};
use crate::optim::OptimizerKind;
use burn::tensor::Device;
use synfire_kernels::conv::Pass;
use synfire_kernels::isa::Isa;
use synfire_kernels::linear;
use sysinfo::{MemoryRefreshKind, System};

/// Wide enough for what a layer string can ask for.
type Bytes = u128;

const VALUE: Bytes = size_of::<f32>() as Bytes;
/// Values of a tensor that the kernels of a GPU, which count with 32 bits, can reach.
pub const MOST_VALUES: Bytes = 1 << 32;
/// The program.
const PROGRAM: Bytes = 12 << 20;
/// Frames that no workspace depends on any more.
const MANY: usize = 1 << 20;
/// Parameters of a layer beside which its workspace, whose sizes could no longer be counted, is nothing.
const MANY_PARAMETERS: Bytes = 1 << 40;
/// Of the tensors' memory, what the allocator cannot use between them: one part in this many.
const UNUSED: Bytes = 7;

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Training {
    /// The optimiser, which keeps something for each weight.
    pub optimizer: OptimizerKind,
    /// Samples of a batch.
    pub batch: usize,
    /// Time steps.
    pub steps: usize,
    /// What convolutions multiply; activations are bf16 in memory where that is.
    pub precision: Precision,
    /// Every step sees the same still image.
    pub still: bool,
}

impl Training {
    fn frames(&self) -> usize {
        self.batch.saturating_mul(self.steps)
    }
}

/// Bytes that are taken at the moment of a training step when most are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Weights, and what the optimiser keeps of each.
    pub weights: Bytes,
    /// Gradients of the weights.
    pub gradients: Bytes,
    /// Activations and their errors.
    pub activations: Bytes,
    /// Packed weights and sums of one convolution.
    pub workspace: Bytes,
    /// The program, what its threads keep for themselves, and what lies unused between tensors.
    pub rest: Bytes,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> Bytes {
        self.tensors() + self.rest
    }

    fn tensors(&self) -> Bytes {
        self.weights + self.gradients + self.activations + self.workspace
    }

    /// The peak of training `plan`'s network. It was within 15 % of the process's resident memory, with a few threads on Linux,
    /// of the released networks, ResNets and most of a dozen odd layer strings, and within 25 % of all. What a data set keeps in
    /// memory comes on top.
    pub fn of_training(plan: &Plan, training: &Training) -> Self {
        let mut peak = Memory::default();
        let mut reach = |moment: Memory| {
            if moment.tensors() > peak.tensors() {
                peak = moment;
            }
        };
        let parameters = Bytes::from(plan.parameters());
        let each = match training.optimizer {
            OptimizerKind::AdamW => 3,
            // It may go without momentum.
            OptimizerKind::Sgd => 1,
        };
        let now = Memory { weights: VALUE * each * parameters, ..Memory::default() };

        let layers = stages(plan, training);
        let mut activations = input(plan, training);
        for stage in &layers {
            let moment = activations + stage.input + stage.kept + stage.copies + stage.output;
            reach(Memory { activations: moment, workspace: stage.forward, ..now });
            activations += stage.all_kept();
        }
        let mut gradients = 0;
        for stage in layers.iter().rev() {
            let moment = |more: Bytes, workspace: Bytes, gradients: Bytes| Memory {
                activations: activations + more,
                workspace,
                gradients,
                ..now
            };
            reach(moment(stage.error, 0, gradients));
            gradients += VALUE * stage.parameters;
            reach(moment(0, stage.weight_grad, gradients));
            reach(moment(stage.input_error, stage.input_grad, gradients));
            activations -= stage.all_kept();
        }
        // Some temporaries of the largest layer.
        let largest = layers.iter().map(|stage| stage.parameters).max().unwrap_or(0);
        reach(Memory { gradients: VALUE * (parameters + 3 * largest), activations, ..now });
        let unused = peak.tensors() / UNUSED;
        let scratch = layers.iter().fold(Scratch::default(), |most, stage| most.most(stage.scratch));
        let scratch = rayon::current_num_threads() as Bytes * scratch.total();
        Memory { rest: PROGRAM + scratch + unused, ..peak }
    }
}

/// Bytes of a layer, with the pooling that is one operation with it.
#[derive(Default)]
struct Stage {
    parameters: Bytes,
    /// Its input as the layer before gives it, and whether that is kept to the end of its backward pass.
    input: Bytes,
    keeps_input: bool,
    /// What else is kept so long, such as its output before the neurons.
    kept: Bytes,
    /// Copies of its input on the way forward.
    copies: Bytes,
    /// Its output.
    output: Bytes,
    /// The error of its output.
    error: Bytes,
    /// The error of its input.
    input_error: Bytes,
    /// Workspace of the forward pass, and of both gradients.
    forward: Bytes,
    weight_grad: Bytes,
    input_grad: Bytes,
    scratch: Scratch,
}

/// Bytes that each thread keeps for itself, of kernels that do not share them.
#[derive(Default, Clone, Copy)]
struct Scratch {
    products: Bytes,
    weights: Bytes,
    block: Bytes,
}

impl Scratch {
    fn most(self, other: Self) -> Self {
        Self {
            products: self.products.max(other.products),
            weights: self.weights.max(other.weights),
            block: self.block.max(other.block),
        }
    }

    fn total(self) -> Bytes {
        self.products + self.weights + self.block
    }
}

impl Stage {
    fn all_kept(&self) -> Bytes {
        self.kept + if self.keeps_input { self.input } else { 0 }
    }

    /// A convolution, whose input is the network's where it is the first.
    fn convolves(&mut self, shape: &ConvShape, first: bool) {
        if self.parameters > MANY_PARAMETERS {
            return;
        }
        let isa = Isa::detect();
        // Which of the ways it is computed depends on the number no further.
        let shape = ConvShape { frames: shape.frames.min(MANY), ..*shape };
        let most = |so_far: &mut Bytes, bytes: usize| *so_far = (*so_far).max(bytes as Bytes);
        most(&mut self.forward, shape.workspace(isa, Pass::Forward));
        most(&mut self.scratch.products, shape.scratch(isa, Pass::Forward));
        most(&mut self.weight_grad, shape.workspace(isa, Pass::WeightGrad));
        most(&mut self.scratch.weights, shape.scratch(isa, Pass::WeightGrad));
        if !first {
            most(&mut self.input_grad, shape.workspace(isa, Pass::InputGrad));
            most(&mut self.scratch.products, shape.scratch(isa, Pass::InputGrad));
        }
    }
}

/// The batch as loaded, two that wait, and the order the network reads.
fn input(plan: &Plan, training: &Training) -> Bytes {
    let frames = if training.still { training.batch } else { training.frames() };
    4 * VALUE * frames as Bytes * values(plan.input)
}

fn stages(plan: &Plan, training: &Training) -> Vec<Stage> {
    let activation = match training.precision {
        Precision::F32 => VALUE,
        Precision::Bf16 => VALUE / 2,
    };
    let all_frames = training.frames();
    // Frames of the input: a still image is one until the first neurons.
    let mut frames = if training.still { training.batch } else { all_frames };
    let mut first = true;
    // The last layer's output; the network's input is counted apart.
    let mut last = 0;
    let mut layers = plan.layers.iter().peekable();
    let mut stages = Vec::new();
    while let Some(layer) = layers.next() {
        let mut stage = Stage { parameters: layer.parameters.into(), input: last, ..Stage::default() };
        let convolution =
            |frames: usize, [channels, height, width]: [usize; 3], to, kernel, stride| ConvShape {
                frames,
                height,
                width,
                in_channels: channels,
                out_channels: to,
                kernel: [kernel; 2],
                stride: [stride; 2],
                padding: [kernel / 2; 2],
                groups: 1,
                precision: training.precision,
            };
        let before = |shape: &ConvShape| {
            shape.frames as Bytes * values([shape.out_channels, shape.out_height(), shape.out_width()])
        };
        let inputs = frames as Bytes * values(layer.input);
        let outputs = |layer: &PlannedLayer| all_frames as Bytes * values(layer.output);
        if layer.flatten {
            // Values and errors change their order, and those of bf16 their kind.
            let other_kind = activation != VALUE;
            stage.copies = if other_kind { VALUE * inputs } else { 0 };
            let errors = if other_kind { VALUE + activation } else { VALUE };
            stage.input_error = if first { 0 } else { errors * inputs };
        }
        match layer.spec {
            LayerSpec::Conv { channels, kernel, stride } => {
                let shape = convolution(frames, layer.input, channels, kernel, stride);
                let pooled = layers.next_if(|next| matches!(next.spec, LayerSpec::Pool { .. }));
                let pool = match pooled.map(|pool| pool.spec) {
                    Some(LayerSpec::Pool { kind, size }) => kind.in_block(size),
                    _ => Pool::None,
                };
                let spikes = outputs(pooled.unwrap_or(layer));
                let next = layers.peek().map(|next| next.spec);
                let bits = matches!(next, Some(LayerSpec::Conv { .. })) && pool.fits_bits(channels);
                stage.convolves(&shape, first);
                let block = BlockShape {
                    steps: training.steps,
                    batch: training.batch.min(MANY),
                    height: shape.out_height(),
                    width: shape.out_width(),
                    channels,
                    constant: training.still && first,
                    joint: false,
                    pool,
                };
                let [scratch, sums] = block.scratch();
                stage.scratch.block = scratch as Bytes;
                (stage.keeps_input, stage.kept) = (true, activation * before(&shape));
                stage.output = if bits { spikes / 8 } else { activation * spikes };
                stage.error = activation * spikes + sums as Bytes;
                stage.input_error = if first { 0 } else { activation * inputs };
            }
            LayerSpec::Residual { channels, stride } => {
                let shapes = [
                    convolution(frames, layer.input, channels, 3, stride),
                    convolution(all_frames, layer.output, channels, 3, 1),
                    convolution(frames, layer.input, channels, 1, stride),
                ];
                let changed = layer.input[0] != channels || stride != 1;
                let shapes = &shapes[..if changed { 3 } else { 2 }];
                shapes.iter().for_each(|shape| stage.convolves(shape, first));
                // The outputs of convolutions as f32, and potentials and spikes of two neuron layers, of which the last are its
                // output.
                stage.keeps_input = true;
                stage.kept = VALUE * (shapes.iter().map(before).sum::<Bytes>() + 3 * outputs(layer));
                stage.output = VALUE * outputs(layer);
                stage.error = 3 * VALUE * before(&shapes[1]);
                stage.input_error = if first { 0 } else { activation * inputs };
            }
            LayerSpec::Pool { .. } | LayerSpec::Dropout { .. } => {
                stage.kept = VALUE * inputs;
                stage.output = VALUE * frames as Bytes * values(layer.output);
                if !first {
                    stage.error = stage.output;
                    stage.input_error += VALUE * inputs;
                }
            }
            LayerSpec::Linear { .. } | LayerSpec::Readout { .. } => {
                let units = layer.units();
                let shape = linear::shape(frames, layer.input.iter().product(), units);
                stage.convolves(&shape, first);
                let outputs = all_frames as Bytes * units as Bytes;
                // Its input as one row, its output before the neurons, and potentials.
                stage.keeps_input = !layer.flatten;
                stage.kept = VALUE * (if layer.flatten { inputs } else { 0 } + 2 * outputs);
                stage.output = VALUE * outputs;
                stage.error = VALUE * outputs;
                stage.input_error += if first { 0 } else { VALUE * inputs };
            }
        }
        last = stage.output;
        stages.push(stage);
        // Neurons make steps of a still image.
        if !matches!(layer.spec, LayerSpec::Pool { .. } | LayerSpec::Dropout { .. }) {
            (frames, first) = (all_frames, false);
        }
    }
    stages
}

/// Bytes that inference needs at least: weights, and the output of the largest layer. Of a convolution that is bf16 before
/// it is spikes; what the first layer gives may be one frame for all time steps, and bits behind its neurons.
pub(crate) fn inference(plan: &Plan, batch: usize, steps: usize) -> Bytes {
    let frames = batch as Bytes * steps as Bytes;
    let output = |(i, layer): (usize, &PlannedLayer)| match layer.spec {
        LayerSpec::Conv { .. } | LayerSpec::Residual { .. } if i > 0 => {
            frames * values(layer.output) * VALUE / 2
        }
        _ => frames * values(layer.output) / 8,
    };
    let largest = plan.layers.iter().enumerate().map(output).max();
    VALUE * Bytes::from(plan.parameters()) + largest.unwrap_or(0)
}

fn values(shape: [usize; 3]) -> Bytes {
    shape.iter().map(|&n| n as Bytes).product()
}

/// Bytes of memory that this machine has, or that the group of processes (a container) may use; `None` if it is not known.
pub fn available() -> Option<Bytes> {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::everything());
    let whole = system.total_memory().saturating_add(system.total_swap());
    let group = system.cgroup_limits().map(|limits| limits.total_memory);
    Some(whole.min(group.unwrap_or(whole)).into()).filter(|&bytes| bytes > 0)
}

/// Bytes of memory that there are where `device` keeps its tensors; `None` if it is not known.
pub fn available_on(device: &Device) -> Option<Bytes> {
    Place::of(device).available
}

/// Bytes that are needed.
#[derive(Clone, Copy)]
struct Need {
    /// With less it cannot be done, as far as the count can err.
    least: Bytes,
    /// What was measured, compared with what is counted.
    usual: Bytes,
}

/// Where the tensors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    name: &'static str,
    /// Bytes that there are; `None` if it is not known.
    available: Option<Bytes>,
    /// How many have a share of every batch.
    ranks: usize,
}

impl Place {
    fn of(device: &Device) -> Self {
        if is_cpu(device) {
            Self { name: "this machine", available: available(), ranks: 1 }
        } else {
            let whole = device::memory(device).and_then(|memory| memory.whole);
            Self { name: "the device", available: whole.map(Bytes::from), ranks: 1 }
        }
    }

    /// Checks that there is as much as a rank needs at least for its share of `batch` samples.
    fn check(self, batch: usize, steps: usize, needed: impl Fn(usize) -> Need) -> Result<(), ConfigError> {
        let need = needed(batch.div_ceil(self.ranks));
        let Some(available) = self.available.filter(|available| need.least > *available) else {
            return Ok(());
        };
        Err(ConfigError::Memory {
            needed: gib(need.usual),
            place: self.name,
            available: gib(available),
            batch,
            steps,
            fits: self.fitting(batch, available, needed),
            ranks: self.ranks,
        })
    }

    /// The largest batch below `batch` that `available` bytes are usually enough for; 0 if none is.
    fn fitting(self, batch: usize, available: Bytes, needed: impl Fn(usize) -> Need) -> usize {
        // Less need less.
        let (mut fits, mut too_large) = (0, batch);
        while too_large - fits > 1 {
            let middle = fits + (too_large - fits) / 2;
            if needed(middle.div_ceil(self.ranks)).usual > available {
                too_large = middle
            } else {
                fits = middle
            }
        }
        // Whole shares: the last of them is what the others are.
        fits / self.ranks * self.ranks
    }
}

fn gib(bytes: Bytes) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// What a rank's training needs on `device`. A GPU keeps spikes and errors in other forms: three networks took 1.5 to 1.6 times as much of an
/// H200's memory as is counted here for the CPU (docs/gpu.md).
fn need(plan: &Plan, training: &Training, device: &Device) -> Need {
    let bytes = Memory::of_training(plan, training).tensors();
    let (least, usual) = if is_cpu(device) { (85, 100) } else { (125, 160) };
    Need { least: bytes * least / 100, usual: bytes * usual / 100 }
}

/// Bytes of `device`'s memory that training takes: on the CPU with the program and all.
pub(crate) fn training_memory(plan: &Plan, training: &Training, device: &Device) -> Bytes {
    if is_cpu(device) {
        Memory::of_training(plan, training).total()
    } else {
        need(plan, training, device).usual
    }
}

/// A batch of `plan`'s network that may fit where that of `training` has not; 0 if none does.
pub(super) fn smaller_batch(plan: &Plan, training: &Training, ranks: usize, device: &Device) -> usize {
    let place = Place { ranks, ..Place::of(device) };
    // Something else takes of the device's memory where the count says that it fits.
    let half = training.batch.div_ceil(ranks) / 2 * ranks;
    let needed = |batch| need(plan, &Training { batch, ..*training }, device);
    place.available.map_or(half, |available| half.min(place.fitting(training.batch, available, needed)))
}

/// Checks that `plan` can be trained on `device`, by one of so many ranks that share every batch.
///
/// # Errors
/// If its tensors need more memory than there is, even if they are counted too high by what measurements differ, or on a GPU one is larger than
/// its kernels count or the device gives.
pub fn check_training(
    plan: &Plan,
    training: &Training,
    ranks: usize,
    device: &Device,
) -> Result<(), ConfigError> {
    let &Training { batch, steps, precision, .. } = training;
    let largest = Largest { plan, batch, steps, ranks };
    largest.check_count(device)?;
    let needed = |batch| need(plan, &Training { batch, ..*training }, device);
    Place { ranks, ..Place::of(device) }.check(batch, steps, needed)?;
    largest.check_bytes(if precision == Precision::Bf16 { 2 } else { VALUE }, device)
}

/// Checks that `plan` can run batches of `batch` samples over `steps` time steps on `device`.
///
/// # Errors
/// If it needs more memory than there is, or on a GPU a tensor is larger than its kernels count or the device gives.
pub fn check_inference(plan: &Plan, batch: usize, steps: usize, device: &Device) -> Result<(), ConfigError> {
    let largest = Largest { plan, batch, steps, ranks: 1 };
    largest.check_count(device)?;
    let needed = |batch| {
        let bytes = inference(plan, batch, steps);
        Need { least: bytes, usual: bytes }
    };
    Place::of(device).check(batch, steps, needed)?;
    // In what precision is not said here.
    largest.check_bytes(2, device)
}

/// What a GPU has to say of the largest of a network's tensors, a layer's values over all time steps and samples.
struct Largest<'a> {
    plan: &'a Plan,
    batch: usize,
    steps: usize,
    ranks: usize,
}

impl Largest<'_> {
    /// Checks that the kernels, which count with 32 bits, can reach every value.
    fn check_count(&self, device: &Device) -> Result<(), ConfigError> {
        let why = "on a GPU, whose kernels count 2^32 values of a layer's";
        if is_cpu(device) { Ok(()) } else { self.check(MOST_VALUES, why) }
    }

    /// Checks that the device gives so much memory in one piece, of so many bytes a value.
    fn check_bytes(&self, value: Bytes, device: &Device) -> Result<(), ConfigError> {
        let Some(piece) = device::memory(device).map(|memory| Bytes::from(memory.piece)) else {
            return Ok(());
        };
        self.check(
            piece / value,
            &format!("on this device, which has {:.1} GiB in one piece for a layer's", gib(piece)),
        )
    }

    fn check(&self, most: Bytes, why: &str) -> Result<(), ConfigError> {
        let Self { plan, batch, steps, ranks } = *self;
        // Tensor cores take channels by eights.
        let of_sample =
            |[channels, height, width]: [usize; 3]| values([channels.next_multiple_of(8), height, width]);
        let of_layers = plan.layers.iter().flat_map(|layer| [layer.input, layer.output]).map(of_sample);
        let fits = most / (of_layers.max().unwrap_or(1) * steps as Bytes).max(1);
        if batch.div_ceil(ranks) as Bytes <= fits {
            return Ok(());
        }
        let expected = format!("at most {} {why} {steps} time steps", fits * ranks as Bytes);
        Err(ConfigError::Value { key: "batch_size", found: batch.to_string(), expected })
    }
}

/// Checks that `state` may be that of `plan`'s network, before the network is made: a layer string that was tampered
/// with must not ask for more memory than its file has values.
///
/// # Errors
/// If it holds fewer values than the network has parameters.
pub(crate) fn check_held(plan: &Plan, state: &TensorMap) -> Result<(), String> {
    let held: u64 = state.values().map(|tensor| tensor.values.len() as u64).sum();
    match held < plan.parameters() {
        true => Err(format!("it holds {held} values, its network has {} parameters", plan.parameters())),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(layers: &str) -> Plan {
        Plan::new(&layers.parse().unwrap(), [1, 8, 8], 10, true).unwrap()
    }

    const TRAINING: Training = Training {
        optimizer: OptimizerKind::AdamW,
        batch: 3,
        steps: 5,
        precision: Precision::Bf16,
        still: false,
    };

    #[test]
    fn needs_are_those_counted_by_hand() {
        let (net, dense) = (plan("2C3-LI1"), 1290);
        // 18 weights, 2 biases, 2 scales, 2 shifts; 1280 weights and 10 biases
        let parameters = 24 + dense;
        let memory = Memory::of_training(&net, &TRAINING);
        assert_eq!(memory.weights, 4 * 3 * parameters);
        assert_eq!(
            Memory::of_training(&net, &Training { optimizer: OptimizerKind::Sgd, ..TRAINING }).weights,
            4 * parameters
        );
        // The most are alive while the readout's input has its error: four times the input, 128 values before the
        // neurons, a row of 128 and two of 10; 128 errors, in order and as bf16 too.
        assert_eq!(memory.activations, 15 * (4 * 4 * 64 + 2 * 128 + 4 * (128 + 2 * 10) + 4 * 128 + 6 * 128));
        let packed = linear::shape(15, 128, 10).workspace(Isa::detect(), Pass::InputGrad);
        assert_eq!((memory.gradients, memory.workspace), (4 * dense, packed as Bytes));
        assert_eq!(inference(&net, 3, 5), 4 * parameters + 128 * 15 / 8);
    }

    #[test]
    fn bits_and_still_images_take_less() {
        let activations =
            |layers: &str, training: &Training| Memory::of_training(&plan(layers), training).activations;
        let many = Training { batch: 1000, ..TRAINING };
        assert!(activations("16C3-16C3-LI1", &many) < activations("15C3-16C3-LI1", &many));
        assert!(activations("16C3-LI1", &Training { still: true, ..many }) < activations("16C3-LI1", &many));
        // Nothing before the first neurons makes steps of a still image.
        let still = Training { still: true, steps: 100, ..many };
        assert!(
            5 * activations("AP2-DP-2C3-AP4-LI1", &still)
                < activations("AP2-DP-2C3-AP4-LI1", &Training { still: false, ..still })
        );
        let single = Training { precision: Precision::F32, ..many };
        assert!(activations("16C3-16C3-LI1", &many) < activations("16C3-16C3-LI1", &single));
    }

    #[test]
    fn tensors_that_no_gpu_takes_are_refused_with_what_fits() {
        let net = plan("128C3-LI1");
        let [c, h, w] = net.layers[0].output;
        let largest = |batch, ranks| Largest { plan: &net, batch, steps: 4, ranks };
        let most = (100 * c * h * w * 4) as Bytes;
        assert!(largest(100, 1).check(most, "").is_ok() && largest(300, 3).check(most, "").is_ok());
        let told = |largest: Largest<'_>| largest.check(most, "here").unwrap_err().to_string();
        assert!(told(largest(101, 1)).contains("at most 100 here"), "{}", told(largest(101, 1)));
        assert!(told(largest(301, 3)).contains("at most 300 here"), "{}", told(largest(301, 3)));
        let cpu = Device::flex();
        assert!(
            largest(usize::MAX, 1).check_count(&cpu).is_ok()
                && largest(usize::MAX, 1).check_bytes(4, &cpu).is_ok()
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_with_numbers() {
        let absurd = Training { batch: usize::MAX, steps: usize::MAX, ..TRAINING };
        assert!(check_training(&plan("65536C7-65536C7-65536RB-LI1"), &absurd, 1, &Device::flex()).is_err());
        let place = Place { name: "this machine", available: Some(64 << 30), ranks: 1 };
        let wide = |batch| {
            let net = plan("60000C3-60000C3-LI1");
            let bytes = Memory::of_training(&net, &Training { batch, ..TRAINING }).tensors();
            Need { least: bytes, usual: bytes }
        };
        let text = place.check(32, 4, wide).unwrap_err().to_string();
        assert!(
            text.contains("GiB of memory or more") && text.contains("this machine has 64.0 GiB"),
            "{text}"
        );
        assert!(text.contains("narrower layers"), "no batch fits: {text}");
        let each = |batch: usize| Need { least: (batch as Bytes) << 30, usual: (batch as Bytes) << 30 };
        for (batch, fitting) in [(65, "--batch-size 64 "), (usize::MAX >> 40, "--batch-size 64 ")] {
            let text = place.check(batch, 4, each).unwrap_err().to_string();
            assert!(text.contains(fitting), "{text}");
        }
        assert!(place.check(64, 4, each).is_ok());
        let of_three = Place { ranks: 3, ..place };
        assert!(of_three.check(192, 4, each).is_ok());
        let text = of_three.check(193, 4, each).unwrap_err().to_string();
        assert!(
            text.contains("65.0 GiB of memory or more for each of 3 ranks")
                && text.contains("--batch-size 192 "),
            "{text}"
        );
        // What may fit is tried; what is advised should.
        let usually = |batch: usize| Need { least: (batch as Bytes) << 29, usual: (batch as Bytes) << 30 };
        assert!(place.check(128, 4, usually).is_ok());
        let text = place.check(129, 4, usually).unwrap_err().to_string();
        assert!(text.contains("129.0 GiB") && text.contains("--batch-size 64 "), "{text}");
        let unknown = Place { available: None, ..place };
        let all = Need { least: 1 << 60, usual: 1 << 60 };
        assert!(unknown.check(1, 1, |_| all).is_ok(), "unknown memory refuses nothing");
        assert!(available().is_none_or(|bytes| bytes > 1 << 20));
    }
}
