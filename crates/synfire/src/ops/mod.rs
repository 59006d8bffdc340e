//! The operations of a spiking network on Burn tensors, each with its own backward pass.
//!
//! An operation exists at three levels:
//!
//! 1. [`SpikeKernels`]: forward and backward as plain functions of a backend's tensors. Every method has a
//!    default body in Burn tensor operations ([`portable`]), so a new backend works with an empty `impl`;
//!    Burn's CPU backend Flex runs `synfire-kernels` instead (`flex.rs`), its GPU backend kernels in CubeCL (`cube`).
//! 2. [`SpikeOps`]: the differentiable operation, dispatched by Burn to the backend a tensor lives on
//!    (`autodiff.rs` joins forward and backward).
//! 3. The functions of this module: the same on [`Tensor`]s, for layers and for users.
//!
//! Activations are channels-last and time-major: `[T·B, H, W, C]`. Parameters are flat vectors in PyTorch's
//! order (`[out, in, kh, kw]`, `[out, in]`), whose shape the operation knows.

mod autodiff;
pub mod block;
pub mod clock;
#[cfg(feature = "gpu")]
mod cube;
mod flex;
mod plain;
pub mod portable;

pub use block::{BlockConfig, BlockShape, Pool, block_inference};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Tensor, Transaction};
pub use flex::{Implementation, implementation, set_implementation};
pub use synfire_kernels::bf16::Precision;
pub use synfire_kernels::conv::ConvShape;
pub use synfire_kernels::neuron::{Lif, LifError, Method};
pub use synfire_kernels::norm::NormShape;
pub use synfire_kernels::pool::PoolShape;
use synfire_kernels::source::CHANNELS_PER_WORD;

/// Sizes of a linear layer: `rows` input vectors of `inputs` values to `outputs` values each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearShape {
    /// Number of input vectors, T·B.
    pub rows: usize,
    /// Values of an input vector.
    pub inputs: usize,
    /// Values of an output vector.
    pub outputs: usize,
}

impl LinearShape {
    /// Multiplications of the forward pass.
    pub fn macs(&self) -> u64 {
        (self.rows * self.inputs * self.outputs) as u64
    }
}

/// A convolution in a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvConfig {
    /// Sizes and precision.
    pub shape: ConvShape,
    /// The input is spikes, pooled or not, of neurons that pass no error on of a spike that they did not fire
    /// ([`Method::hears_silence`]): the error of an input of 0 may be left out.
    pub spikes: bool,
}

impl From<ConvShape> for ConvConfig {
    fn from(shape: ConvShape) -> Self {
        Self { shape, spikes: false }
    }
}

/// Which pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The largest value of the window; of equal values the first in row-major order takes the error.
    Max,
    /// The mean of the window.
    Average,
}

impl Pooling {
    /// The same as part of a block, over windows of this side.
    pub fn in_block(self, side: usize) -> Pool {
        match self {
            Pooling::Max => Pool::Max(side),
            Pooling::Average => Pool::Average(side),
        }
    }
}

/// How a neuron layer meets its input current.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LifShape {
    /// Time steps T.
    pub steps: usize,
    /// The current is the same at every step and given once: `[N]` in place of `[T, N]`.
    pub constant: bool,
    /// The neuron.
    pub lif: Lif,
}

/// Batch norm of training: groups of rows, the smoothing constant and the ReLU behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormConfig {
    /// Groups (time steps), rows of a group (B·H·W) and channels.
    pub shape: NormShape,
    /// Added to the variance.
    pub eps: f32,
    /// Clip below at zero afterwards.
    pub relu: bool,
}

/// Statistics of a batch norm, `[steps·channels]` each; `variance` is the biased one.
#[derive(Debug, Clone)]
pub struct Stats<T> {
    /// Mean over the rows of a step.
    pub mean: T,
    /// Mean square distance from the mean.
    pub variance: T,
}

/// A mean over the middle axis of `[outer, among, inner]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeanShape {
    /// Groups of means.
    pub outer: usize,
    /// Values of a mean.
    pub among: usize,
    /// Means of a group.
    pub inner: usize,
}

/// A leaky integrator over all T steps: u\[t\] = λ·u\[t-1\] + I\[t\], without threshold or reset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IntegratorShape {
    /// Time steps T.
    pub steps: usize,
    /// The current is the same at every step and given once.
    pub constant: bool,
    /// λ.
    pub decay: f32,
}

/// How the running statistics of a batch norm move on by those of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunningShape {
    /// Time steps that have statistics of their own, in order.
    pub steps: usize,
    /// How often each is seen in turn.
    pub repeats: usize,
    /// Channels.
    pub channels: usize,
    /// What new values are multiplied with first.
    pub factor: f64,
    /// The weight of new values.
    pub momentum: f64,
}

/// What a step of AdamW needs beside its tensors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// The learning rate.
    pub rate: f32,
    /// What is left of a weight: one less the learning rate times the weight decay.
    pub keep: f32,
    /// How much of each moment is kept.
    pub betas: [f32; 2],
    /// Added to the root of the second moment.
    pub eps: f32,
    /// What each moment is divided by, since it began at zero: 1 - βᵗ.
    pub corrections: [f32; 2],
}

/// Forward and backward of every operation on the tensors of one backend. The default bodies are built from
/// Burn tensor operations.
pub trait SpikeKernels: Backend {
    /// Convolution: `[F, H, W, C]` to `[F, H', W', N]`, `weight` `[N·C/groups·kh·kw]`, `bias` `[N]`.
    fn conv2d_forward(
        shape: ConvShape,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        portable::conv2d::<Self>(shape, x, weight, bias)
    }

    /// Gradient of [`conv2d_forward`](Self::conv2d_forward) for `x`, in the dtype of its values.
    fn conv2d_input_grad(
        config: ConvConfig,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        portable::conv2d_input_grad::<Self>(config.shape, x, weight, grad)
    }

    /// Gradient of [`conv2d_forward`](Self::conv2d_forward) for `weight`, flat.
    fn conv2d_weight_grad(
        shape: ConvShape,
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        portable::conv2d_weight_grad::<Self>(shape, x, grad)
    }

    /// Sum over all rows of `grad` `[…, channels]`: the gradient of a bias.
    fn bias_grad(channels: usize, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        portable::bias_grad::<Self>(channels, grad)
    }

    /// Linear layer: `[rows, inputs]` to `[rows, outputs]`, `weight` `[outputs·inputs]`, `bias` `[outputs]`.
    fn linear_forward(
        shape: LinearShape,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        portable::linear::<Self>(shape, x, weight, bias)
    }

    /// Gradient of [`linear_forward`](Self::linear_forward) for `x`.
    fn linear_input_grad(
        shape: LinearShape,
        grad: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        portable::linear_input_grad::<Self>(shape, grad, weight)
    }

    /// Gradient of [`linear_forward`](Self::linear_forward) for `weight`, flat.
    fn linear_weight_grad(
        shape: LinearShape,
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        portable::linear_weight_grad::<Self>(shape, x, grad)
    }

    /// Batch norm with the statistics of each step's rows.
    fn batch_norm_forward(
        config: NormConfig,
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, Stats<FloatTensor<Self>>) {
        let stats = Self::norm_statistics(config.shape, x.clone());
        (Self::normalise(config, x, &stats, gamma, beta), stats)
    }

    /// Batch norm with the statistics given.
    fn normalise(
        config: NormConfig,
        x: FloatTensor<Self>,
        stats: &Stats<FloatTensor<Self>>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        portable::normalise::<Self>(&config, x, stats, gamma, beta)
    }

    /// Gradients of [`batch_norm_forward`](Self::batch_norm_forward) for `x`, `gamma` and `beta`, over the rows of all ranks that share them.
    fn batch_norm_backward(
        config: NormConfig,
        x: FloatTensor<Self>,
        stats: Stats<FloatTensor<Self>>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        portable::batch_norm_backward::<Self>(config, x, stats, gamma, beta, grad)
    }

    /// All T steps of a neuron layer: current to spikes and membrane potential before reset, `[T, N]` each.
    fn lif_forward(shape: LifShape, current: FloatTensor<Self>) -> (FloatTensor<Self>, FloatTensor<Self>) {
        portable::lif::<Self>(shape, current)
    }

    /// Gradient of [`lif_forward`](Self::lif_forward) for the current, by the table of gradients of
    /// [`synfire_kernels::neuron`].
    fn lif_backward(
        shape: LifShape,
        membrane: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        portable::lif_backward::<Self>(shape, membrane, grad)
    }

    /// Statistics of a batch norm.
    fn norm_statistics(shape: NormShape, x: FloatTensor<Self>) -> Stats<FloatTensor<Self>> {
        portable::statistics::<Self>(&shape, x)
    }

    /// Batch norm, ReLU, neurons and pooling, with the statistics given: pooled spikes and the mean firing rate `[1]`.
    fn block_forward(
        config: BlockConfig,
        z: FloatTensor<Self>,
        stats: &Stats<FloatTensor<Self>>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        block::forward::<Self>(config, z, stats, gamma, beta)
    }

    /// Gradients of [`block_forward`](Self::block_forward) for `z`, `gamma` and `beta`, where the statistics are those
    /// of `z`.
    fn block_backward(
        config: BlockConfig,
        z: FloatTensor<Self>,
        stats: Stats<FloatTensor<Self>>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        block::backward::<Self>(config, z, stats, gamma, beta, grad)
    }

    /// Means over the middle axis: `[outer·among·inner]` values in any shape to `[outer·inner]`.
    fn mean_forward(shape: MeanShape, x: FloatTensor<Self>) -> FloatTensor<Self> {
        portable::mean::<Self>(shape, x)
    }

    /// Gradient of [`mean_forward`](Self::mean_forward), `[outer·among·inner]`.
    fn mean_backward(shape: MeanShape, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        portable::mean_backward::<Self>(shape, grad)
    }

    /// All T steps of leaky integrators: `[T, N]`, or `[1, N]` of a constant current, to potentials `[T, N]`.
    fn integrate_forward(shape: IntegratorShape, current: FloatTensor<Self>) -> FloatTensor<Self> {
        portable::integrate::<Self>(shape, current)
    }

    /// Gradient of [`integrate_forward`](Self::integrate_forward) for the current.
    fn integrate_backward(shape: IntegratorShape, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        portable::integrate_backward::<Self>(shape, grad)
    }

    /// running ← (1-m)·running + m·factor·new, once for each time step in order: `[C]` and `[steps·C]` to `[C]`.
    fn running(s: RunningShape, running: FloatTensor<Self>, new: FloatTensor<Self>) -> FloatTensor<Self> {
        portable::running::<Self>(s, running, new)
    }

    /// The sum of all values or of their squares, `[1]`.
    fn total(squared: bool, x: FloatTensor<Self>) -> FloatTensor<Self> {
        portable::total::<Self>(squared, x)
    }

    /// A step of AdamW: a parameter, its gradient and its two moments, to the parameter and the moments after it.
    fn adamw(step: AdamWStep, tensors: [FloatTensor<Self>; 4]) -> [FloatTensor<Self>; 3] {
        portable::adamw::<Self>(step, tensors)
    }

    /// Pooling: `[F, H, W, C]` to `[F, H', W', C]`.
    fn pool_forward(kind: Pooling, shape: PoolShape, x: FloatTensor<Self>) -> FloatTensor<Self> {
        portable::pool::<Self>(kind, shape, x)
    }

    /// Gradient of [`pool_forward`](Self::pool_forward) for its input `x`.
    fn pool_backward(
        kind: Pooling,
        shape: PoolShape,
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        portable::pool_backward::<Self>(kind, shape, x, grad)
    }
}

/// The differentiable operations. Call the functions of this module rather than the trait.
#[backend_extension(Autodiff, Flex, Cube: cfg(feature = "gpu"))]
pub trait SpikeOps: Backend {
    /// See [`conv2d`].
    fn conv2d_op(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        config: ConvConfig,
    ) -> FloatTensor<Self>;
    /// See [`linear`].
    fn linear_op(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shape: LinearShape,
    ) -> FloatTensor<Self>;
    /// See [`batch_norm`]: the output, mean and variance.
    fn batch_norm_op(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        config: NormConfig,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// Notes down for [`parallel`](crate::parallel) that `x`, a leaf of the tape, is the parameter at `place`.
    fn mark_op(x: FloatTensor<Self>, place: usize) -> FloatTensor<Self>;
    /// See [`lif`].
    fn lif_op(current: FloatTensor<Self>, shape: LifShape) -> FloatTensor<Self>;
    /// See [`block::block`]: the output, mean, variance and firing rate.
    fn block_op(
        z: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        config: BlockConfig,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// See [`block_inference`]: the output and the firing rate.
    fn block_inference_op(
        z: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        config: BlockConfig,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// See [`mean`].
    fn mean_op(x: FloatTensor<Self>, shape: MeanShape) -> FloatTensor<Self>;
    /// See [`integrate`].
    fn integrate_op(current: FloatTensor<Self>, shape: IntegratorShape) -> FloatTensor<Self>;
    /// See [`running`].
    fn running_op(
        running: FloatTensor<Self>,
        new: FloatTensor<Self>,
        shape: RunningShape,
    ) -> FloatTensor<Self>;
    /// See [`totals`].
    fn total_op(x: FloatTensor<Self>, squared: bool) -> FloatTensor<Self>;
    /// See [`adamw`].
    fn adamw_op(
        value: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// See [`pool`].
    fn pool_op(x: FloatTensor<Self>, kind: Pooling, shape: PoolShape) -> FloatTensor<Self>;
}

/// What words of spikes as bits are carried as: Burn gives gradients to tensors of numbers alone, and nothing else here
/// is `f16`.
const BITS: DType = DType::F16;

/// Spikes in an element of a tensor: 16 where they are bits, 1 otherwise.
pub fn spikes_in_element<const D: usize>(spikes: &Tensor<D>) -> usize {
    if spikes.dtype() == BITS { CHANNELS_PER_WORD } else { 1 }
}

/// Convolution of frames `[F, H, W, C]`, or of [bits](BlockConfig::bits), to `[F, H', W', N]`; `weight` is flat
/// `[N, C/groups, kh, kw]`. In bf16 the output may be a tensor of bf16, which [`block::block`] and this function read.
///
/// # Panics
/// If a tensor's size does not fit the shape.
pub fn conv2d(x: Tensor<4>, weight: Tensor<1>, bias: Tensor<1>, config: impl Into<ConvConfig>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::conv2d_op(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        config.into(),
    ))
}

/// Linear layer `[R, inputs]` to `[R, outputs]`; `weight` is flat `[outputs, inputs]`.
///
/// # Panics
/// If a tensor's size does not fit the layer.
pub fn linear(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>) -> Tensor<2> {
    let [rows, inputs] = x.dims();
    let shape = LinearShape { rows, inputs, outputs: bias.dims()[0] };
    Tensor::from_dispatch(Dispatch::linear_op(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        shape,
    ))
}

/// Batch norm in training: `x` `[steps·B, H, W, C]` normalised with the statistics of each step's own rows,
/// then scaled by `gamma` and shifted by `beta` `[C]`. Returns the statistics, which carry no gradient.
pub fn batch_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    config: NormConfig,
) -> (Tensor<4>, Stats<Tensor<1>>) {
    let (y, mean, variance) =
        Dispatch::batch_norm_op(x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch(), config);
    let stats = Stats {
        mean: Tensor::<1>::from_dispatch(mean).inner(),
        variance: Tensor::<1>::from_dispatch(variance).inner(),
    };
    (Tensor::from_dispatch(y), stats)
}

/// A layer of leaky integrate-and-fire neurons over all T steps: `current` `[T·B, …]`, or `[B, …]` where the
/// same current is presented at every step, to spikes `[T·B, …]`, each exactly 0 or 1.
///
/// The membrane potential starts at zero and lives inside this call: no state can leak into the next batch.
///
/// # Panics
/// If the first dimension is not divisible by the number of steps.
pub fn lif<const D: usize>(current: Tensor<D>, shape: LifShape) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::lif_op(current.into_dispatch(), shape))
}

/// The means over the axis in the middle of `shape`: values in any shape to `[outer·inner]`.
///
/// # Panics
/// If their number is not that of the shape.
pub fn mean<const D: usize>(x: Tensor<D>, shape: MeanShape) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::mean_op(x.into_dispatch(), shape))
}

/// Leaky integrators over all T steps: current `[T, N]`, or `[1, N]` where it is constant, to potentials `[T, N]`.
///
/// # Panics
/// If the first dimension is another.
pub fn integrate(current: Tensor<2>, shape: IntegratorShape) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::integrate_op(current.into_dispatch(), shape))
}

/// Notes down for [`parallel`](crate::parallel) that `x`, a leaf of the tape, is the parameter at `place`.
pub(crate) fn mark(x: Tensor<1>, place: usize) {
    Dispatch::mark_op(x.into_dispatch(), place);
}

/// Running statistics `[C]` moved on by those of a batch, `[steps·C]`. No gradient passes.
pub fn running(running: Tensor<1>, new: Tensor<1>, shape: RunningShape) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::running_op(running.into_dispatch(), new.into_dispatch(), shape))
}

/// The sum of each tensor's values, or of their squares. They are fetched together, since each fetch waits for the device.
pub fn totals(squared: bool, tensors: impl IntoIterator<Item = Tensor<1>>) -> Vec<f32> {
    let total =
        |x: Tensor<1>| Tensor::<1>::from_dispatch(Dispatch::total_op(x.inner().into_dispatch(), squared));
    let all = tensors.into_iter().fold(Transaction::default(), |all, x| all.register(total(x)));
    all.execute().into_iter().flat_map(|data| data.iter::<f32>().collect::<Vec<_>>()).collect()
}

/// A step of AdamW of one parameter: `[value, gradient, first moment, second moment]` to value and moments after it, as one
/// operation. No gradient passes.
pub fn adamw(step: AdamWStep, tensors: [Tensor<1>; 4]) -> [Tensor<1>; 3] {
    let [value, grad, moment_1, moment_2] = tensors.map(Tensor::into_dispatch);
    let (value, moment_1, moment_2) = Dispatch::adamw_op(value, grad, moment_1, moment_2, step);
    [value, moment_1, moment_2].map(Tensor::from_dispatch)
}

/// Pooling of `[F, H, W, C]` with a square window, no padding, output sizes rounded down.
pub fn pool(x: Tensor<4>, kind: Pooling, kernel: usize, stride: usize) -> Tensor<4> {
    let [frames, height, width, channels] = x.dims();
    let shape = PoolShape { frames, height, width, channels, kernel, stride };
    Tensor::from_dispatch(Dispatch::pool_op(x.into_dispatch(), kind, shape))
}
