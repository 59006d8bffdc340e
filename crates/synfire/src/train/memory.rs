//! How much memory training takes, and whether a network fits in this machine's.
//!
//! A network that does not fit would end in the system's out-of-memory killer, after minutes of swapping and without a
//! word. Training is counted along a step: what the forward pass leaves, and what each layer's backward pass needs in
//! addition before it gives its part back.

use super::error::ConfigError;
use crate::file::TensorMap;
use crate::net::{LayerSpec, Plan, PlannedLayer};
use crate::ops::{ConvShape, Pool, Precision};
use crate::optim::OptimizerKind;
use synfire_kernels::conv::Pass;
use synfire_kernels::isa::Isa;
use sysinfo::{MemoryRefreshKind, System};

/// Wide enough for what a layer string can ask for.
type Bytes = u128;

const VALUE: Bytes = size_of::<f32>() as Bytes;
/// The program.
const PROGRAM: Bytes = 12 << 20;
/// What a thread keeps for itself at most.
const SCRATCH: Bytes = 4 << 20;
/// Frames that no workspace depends on any more.
const MANY: usize = 1 << 20;
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

    /// The peak of training `plan`'s network. Of those measured, the released networks and ResNets, it was within 15 % of
    /// the process's resident memory, with a few threads on Linux.
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
            activations += stage.kept;
            reach(Memory { activations, workspace: stage.forward, ..now });
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
            activations -= stage.kept;
        }
        // Some temporaries of the largest layer.
        let largest = layers.iter().map(|stage| stage.parameters).max().unwrap_or(0);
        reach(Memory { gradients: VALUE * (parameters + 3 * largest), activations, ..now });
        let unused = peak.tensors() / UNUSED;
        let scratch = rayon::current_num_threads() as Bytes * SCRATCH.min(unused);
        Memory { rest: PROGRAM + scratch + unused, ..peak }
    }
}

/// Bytes of a layer, with the pooling that is one operation with it.
#[derive(Default)]
struct Stage {
    parameters: Bytes,
    /// From the forward pass to the end of its backward pass: its output before the neurons, the input of the next.
    kept: Bytes,
    /// The error of its output.
    error: Bytes,
    /// The error of its input.
    input_error: Bytes,
    /// Workspace of the forward pass, and of both gradients.
    forward: Bytes,
    weight_grad: Bytes,
    input_grad: Bytes,
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
    let mut layers = plan.layers.iter().peekable();
    let mut stages = Vec::new();
    while let Some(layer) = layers.next() {
        let mut stage = Stage { parameters: layer.parameters.into(), ..Stage::default() };
        let mut convolution = |frames: usize,
                               [channels, height, width]: [usize; 3],
                               to: usize,
                               kernel: usize,
                               stride: usize| {
            let shape = ConvShape {
                // Which of the ways it is computed depends on the number no further.
                frames: frames.min(MANY),
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
            let workspace = |pass| shape.workspace(Isa::detect(), pass) as Bytes;
            stage.forward = stage.forward.max(workspace(Pass::Forward));
            stage.weight_grad = stage.weight_grad.max(workspace(Pass::WeightGrad));
            if !first {
                stage.input_grad = stage.input_grad.max(workspace(Pass::InputGrad));
                stage.input_error = activation * frames as Bytes * values([channels, height, width]);
            }
            frames as Bytes * values([to, shape.out_height(), shape.out_width()])
        };
        let outputs = |layer: &PlannedLayer| all_frames as Bytes * values(layer.output);
        match layer.spec {
            LayerSpec::Conv { channels, kernel, stride } => {
                let z = convolution(frames, layer.input, channels, kernel, stride);
                let pooled = layers.next_if(|next| matches!(next.spec, LayerSpec::Pool { .. }));
                let pool = match pooled.map(|pool| pool.spec) {
                    Some(LayerSpec::Pool { kind, size }) => kind.in_block(size),
                    _ => Pool::None,
                };
                let spikes = outputs(pooled.unwrap_or(layer));
                let convolved = layers.peek().is_some_and(|next| matches!(next.spec, LayerSpec::Conv { .. }));
                let bits = convolved && pool.fits_bits(channels);
                stage.kept = activation * z + if bits { spikes / 8 } else { activation * spikes };
                stage.error = activation * spikes;
            }
            LayerSpec::Residual { channels, stride } => {
                let changed = layer.input[0] != channels || stride != 1;
                let shortcut =
                    if changed { convolution(frames, layer.input, channels, 1, stride) } else { 0 };
                let first = convolution(frames, layer.input, channels, 3, stride);
                let second = convolution(all_frames, layer.output, channels, 3, 1);
                // The outputs of convolutions as f32, and potentials and spikes of two neuron layers.
                stage.kept = VALUE * (first + second + shortcut + 4 * outputs(layer));
                stage.error = 3 * VALUE * second;
            }
            LayerSpec::Pool { .. } | LayerSpec::Dropout { .. } => {
                let of = |shape| VALUE * frames as Bytes * values(shape);
                stage.kept = of(layer.input) + of(layer.output);
                if !first {
                    (stage.error, stage.input_error) = (of(layer.output), of(layer.input));
                }
                stages.push(stage);
                continue;
            }
            LayerSpec::Linear { .. } | LayerSpec::Readout { .. } => {
                // Its input as one row, its output, potentials and spikes.
                stage.kept = VALUE * (frames as Bytes * values(layer.input) + 3 * outputs(layer));
                stage.error = VALUE * outputs(layer);
                stage.input_error = VALUE * frames as Bytes * values(layer.input);
            }
        }
        stages.push(stage);
        // Its neurons have made steps of a still image.
        (frames, first) = (all_frames, false);
    }
    stages
}

/// Bytes that inference needs at least: weights, and the output of the largest layer. Of a convolution that is bf16 before
/// it is spikes; what the first layer gives may be one frame for all time steps, and bits behind its neurons.
fn inference(plan: &Plan, batch: usize, steps: usize) -> Bytes {
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

/// The memory of this machine, or of the group of processes (a container) it lets us use; `None` if it is not known.
fn available() -> Option<Bytes> {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::everything());
    let whole = system.total_memory().saturating_add(system.total_swap());
    let group = system.cgroup_limits().map(|limits| limits.total_memory);
    Some(whole.min(group.unwrap_or(whole)).into()).filter(|&bytes| bytes > 0)
}

fn check(needed: Bytes, available: Option<Bytes>, batch: usize, steps: usize) -> Result<(), ConfigError> {
    match available {
        Some(available) if needed > available => {
            Err(ConfigError::Memory { needed: gib(needed), available: gib(available), batch, steps })
        }
        _ => Ok(()),
    }
}

fn gib(bytes: Bytes) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// Checks that `plan` can be trained.
///
/// # Errors
/// If its tensors need more memory than there is, even if they are counted too high by what measurements differ.
pub(crate) fn check_training(plan: &Plan, training: &Training) -> Result<(), ConfigError> {
    let needed = Memory::of_training(plan, training).tensors() * 17 / 20;
    check(needed, available(), training.batch, training.steps)
}

/// Checks that `plan` can run batches of `batch` samples over `steps` time steps.
///
/// # Errors
/// If it needs more memory than there is.
pub fn check_inference(plan: &Plan, batch: usize, steps: usize) -> Result<(), ConfigError> {
    check(inference(plan, batch, steps), available(), batch, steps)
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
        // neurons and as many behind them, a row of 128 and three of 10; 128 errors.
        assert_eq!(memory.activations, 15 * (4 * 4 * 64 + 2 * 128 + 2 * 128 + 4 * (128 + 3 * 10) + 4 * 128));
        assert_eq!((memory.gradients, memory.workspace), (4 * dense, 0));
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
    fn what_does_not_fit_is_refused_with_numbers() {
        let absurd = Training { batch: usize::MAX, steps: usize::MAX, ..TRAINING };
        assert!(check_training(&plan("65536C7-65536C7-65536RB-LI1"), &absurd).is_err());
        let wide = Memory::of_training(&plan("60000C3-60000C3-LI1"), &TRAINING).tensors();
        let text = check(wide, Some(64 << 30), 32, 4).unwrap_err().to_string();
        assert!(text.contains("at least") && text.contains("64.0 GiB"), "{text}");
        assert!(check(1 << 60, None, 1, 1).is_ok(), "unknown memory refuses nothing");
        assert!(available().is_none_or(|bytes| bytes > 1 << 20));
    }
}
