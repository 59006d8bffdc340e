//! The operations of a backend that keeps no gradients: its kernels, called forward.

/// Makes [`SpikeOps`](super::SpikeOps) of a backend's [`SpikeKernels`](super::SpikeKernels). A general implementation would
/// meet that of `Autodiff`.
macro_rules! plain {
    ($backend:ty) => {
        impl SpikeOps for $backend {
            fn conv2d_op(
                x: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                bias: FloatTensor<Self>,
                config: ConvConfig,
            ) -> FloatTensor<Self> {
                Self::conv2d_forward(config.shape, x, weight, bias)
            }

            fn linear_op(
                x: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                bias: FloatTensor<Self>,
                shape: LinearShape,
            ) -> FloatTensor<Self> {
                Self::linear_forward(shape, x, weight, bias)
            }

            fn batch_norm_op(
                x: FloatTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                config: NormConfig,
            ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
                let (y, stats) = Self::batch_norm_forward(config, x, gamma, beta);
                (y, stats.mean, stats.variance)
            }

            fn block_op(
                z: FloatTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                config: BlockConfig,
            ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
                let stats = Self::norm_statistics(config.shape.norm(), z.clone());
                let (y, rate) = Self::block_forward(config, z, &stats, gamma, beta);
                (y, stats.mean, stats.variance, rate)
            }

            fn block_inference_op(
                z: FloatTensor<Self>,
                mean: FloatTensor<Self>,
                variance: FloatTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                config: BlockConfig,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                Self::block_forward(config, z, &Stats { mean, variance }, gamma, beta)
            }

            fn mark_op(x: FloatTensor<Self>, _: usize) -> FloatTensor<Self> {
                x
            }

            fn lif_op(current: FloatTensor<Self>, shape: LifShape) -> FloatTensor<Self> {
                Self::lif_forward(shape, current).0
            }

            fn mean_op(x: FloatTensor<Self>, shape: MeanShape) -> FloatTensor<Self> {
                Self::mean_forward(shape, x)
            }

            fn integrate_op(current: FloatTensor<Self>, shape: IntegratorShape) -> FloatTensor<Self> {
                Self::integrate_forward(shape, current)
            }

            fn running_op(
                running: FloatTensor<Self>,
                new: FloatTensor<Self>,
                shape: RunningShape,
            ) -> FloatTensor<Self> {
                Self::running(shape, running, new)
            }

            fn total_op(x: FloatTensor<Self>, squared: bool) -> FloatTensor<Self> {
                Self::total(squared, x)
            }

            fn adamw_op(
                value: FloatTensor<Self>,
                grad: FloatTensor<Self>,
                moment_1: FloatTensor<Self>,
                moment_2: FloatTensor<Self>,
                step: AdamWStep,
            ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
                Self::adamw(step, [value, grad, moment_1, moment_2]).into()
            }

            fn pool_op(x: FloatTensor<Self>, kind: Pooling, shape: PoolShape) -> FloatTensor<Self> {
                Self::pool_forward(kind, shape, x)
            }
        }
    };
}

use super::{
    AdamWStep, BlockConfig, ConvConfig, IntegratorShape, LifShape, LinearShape, MeanShape, NormConfig,
    PoolShape, Pooling, RunningShape, SpikeKernels, SpikeOps, Stats,
};
use burn::backend::tensor::FloatTensor;

plain!(burn::backend::Flex);
#[cfg(feature = "gpu")]
plain!(burn::backend::Cube);
