//! Batch norm, ReLU, neurons and pooling as one operation: what stands between two convolutions. It keeps its input
//! alone for the backward pass.

use super::{LifShape, NormConfig, PoolShape, Pooling, SpikeKernels, SpikeOps, Stats, portable};
use burn::backend::Dispatch;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;
pub use synfire_kernels::block::{BlockShape, Pool};
use synfire_kernels::neuron::Lif;

/// A block's sizes and constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockConfig {
    /// Sizes, pooling, and over which values the batch norm takes its statistics.
    pub shape: BlockShape,
    /// The neuron.
    pub lif: Lif,
    /// Added to the variance.
    pub eps: f32,
    /// A ReLU stands before the neurons.
    pub relu: bool,
    /// Spikes may leave as bits, which take a sixteenth of the memory and which [`conv2d`](super::conv2d) alone reads:
    /// see [`block`].
    pub bits: bool,
}

impl BlockConfig {
    /// Its batch norm and ReLU.
    pub fn norm(&self) -> NormConfig {
        NormConfig { shape: self.shape.norm(), eps: self.eps, relu: self.relu }
    }

    /// Its neurons.
    pub fn neurons(&self) -> LifShape {
        LifShape { steps: self.shape.steps, constant: self.shape.constant, lif: self.lif }
    }

    /// Its pooling.
    pub fn pooling(&self) -> Option<(Pooling, PoolShape)> {
        let (kind, side) = match self.shape.pool {
            Pool::None => return None,
            Pool::Max(side) => (Pooling::Max, side),
            Pool::Average(side) => (Pooling::Average, side),
        };
        let BlockShape { steps, batch, height, width, channels, .. } = self.shape;
        Some((kind, PoolShape { frames: steps * batch, height, width, channels, kernel: side, stride: side }))
    }
}

/// The current, the spikes and the membrane potential inside a block.
fn inside<B: SpikeKernels>(
    config: &BlockConfig,
    z: FloatTensor<B>,
    stats: &Stats<FloatTensor<B>>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let current = portable::normalise::<B>(&config.norm(), z, stats, gamma, beta);
    B::lif_forward(config.neurons(), current)
}

/// [`SpikeKernels::block_forward`] in parts.
pub fn forward<B: SpikeKernels>(
    config: BlockConfig,
    z: FloatTensor<B>,
    stats: &Stats<FloatTensor<B>>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (spikes, _) = inside::<B>(&config, z, stats, gamma, beta);
    // In two stages: a single f32 sum of spikes would stay at 2^24.
    let rate = B::float_mean(B::float_mean_dim(spikes.clone(), 2));
    let output = match config.pooling() {
        Some((kind, shape)) => B::pool_forward(kind, shape, spikes),
        None => spikes,
    };
    (output, rate)
}

/// [`SpikeKernels::block_backward`] in parts.
pub fn backward<B: SpikeKernels>(
    config: BlockConfig,
    z: FloatTensor<B>,
    stats: Stats<FloatTensor<B>>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> [FloatTensor<B>; 3] {
    let (spikes, membrane) = inside::<B>(&config, z.clone(), &stats, gamma.clone(), beta.clone());
    let grad = match config.pooling() {
        Some((kind, shape)) => B::pool_backward(kind, shape, spikes, grad),
        None => grad,
    };
    let grad = B::lif_backward(config.neurons(), membrane, grad);
    B::batch_norm_backward(config.norm(), z, stats, gamma, beta, grad)
}

/// In training: `z` `[T·B, H, W, C]`, or `[B, H, W, C]` where it is the same at every step, to pooled spikes
/// `[T·B, H', W', C]`. Returns the statistics and the neurons' mean firing rate `[1]` too, which carry no gradient.
///
/// Where bits are asked for, and the backend and the shape can
/// ([`BlockShape::fits_bits`]), the spikes are a tensor `[T·B, H', W', C/16]` whose elements are
/// words of bits, not numbers; see [`spikes_in_element`](super::spikes_in_element).
/// Its gradient is that of the spikes.
///
/// # Panics
/// If a tensor's size does not fit the shape.
pub fn block(
    z: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    config: BlockConfig,
) -> (Tensor<4>, Stats<Tensor<1>>, Tensor<1>) {
    let (y, mean, variance, rate) =
        Dispatch::block_op(z.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch(), config);
    let plain = |x| Tensor::<1>::from_dispatch(x).inner();
    (Tensor::from_dispatch(y), Stats { mean: plain(mean), variance: plain(variance) }, plain(rate))
}

/// In inference, with running statistics `[C]`: the pooled spikes and the neurons' mean firing rate. No gradient passes.
///
/// # Panics
/// If a tensor's size does not fit the shape.
pub fn block_inference(
    z: Tensor<4>,
    stats: Stats<Tensor<1>>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    config: BlockConfig,
) -> (Tensor<4>, Tensor<1>) {
    let (y, rate) = Dispatch::block_inference_op(
        z.into_dispatch(),
        stats.mean.into_dispatch(),
        stats.variance.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        config,
    );
    (Tensor::from_dispatch(y), Tensor::<1>::from_dispatch(rate).inner())
}
