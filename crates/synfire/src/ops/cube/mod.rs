//! The operations on GPUs: kernels in CubeCL, written once and compiled for each device at run time, for CUDA, Vulkan, Metal
//! and WebGPU.

mod adamw;
mod batch_norm;
mod block;
mod conv;
mod neuron;
mod norm;
mod pool;
mod product;
mod readout;
mod tensor;
mod tensors;
mod total;

use super::{
    AdamWStep, BlockConfig, ConvConfig, ConvShape, IntegratorShape, LifShape, LinearShape, MeanShape,
    NormConfig, NormShape, PoolShape, Pooling, RunningShape, SpikeKernels, Stats,
};
use burn::backend::Cube;
use burn_cubecl::tensor::CubeTensor;

impl SpikeKernels for Cube {
    fn conv2d_forward(s: ConvShape, x: CubeTensor, weight: CubeTensor, bias: CubeTensor) -> CubeTensor {
        conv::forward(s, x, weight, bias)
    }

    fn conv2d_input_grad(
        config: ConvConfig,
        x: CubeTensor,
        weight: CubeTensor,
        grad: CubeTensor,
    ) -> CubeTensor {
        conv::input_grad(config, x, weight, grad)
    }

    fn conv2d_weight_grad(s: ConvShape, x: CubeTensor, grad: CubeTensor) -> CubeTensor {
        conv::weight_grad(s, x, grad)
    }

    fn bias_grad(channels: usize, grad: CubeTensor) -> CubeTensor {
        norm::column_sums(channels, grad)
    }

    fn linear_forward(s: LinearShape, x: CubeTensor, weight: CubeTensor, bias: CubeTensor) -> CubeTensor {
        conv::linear(s, x, weight, bias)
    }

    fn linear_input_grad(s: LinearShape, grad: CubeTensor, weight: CubeTensor) -> CubeTensor {
        conv::linear_input_grad(s, grad, weight)
    }

    fn linear_weight_grad(s: LinearShape, x: CubeTensor, grad: CubeTensor) -> CubeTensor {
        conv::linear_weight_grad(s, x, grad)
    }

    fn norm_statistics(shape: NormShape, x: CubeTensor) -> Stats<CubeTensor> {
        norm::statistics(shape, x)
    }

    fn normalise(
        config: NormConfig,
        x: CubeTensor,
        stats: &Stats<CubeTensor>,
        gamma: CubeTensor,
        beta: CubeTensor,
    ) -> CubeTensor {
        batch_norm::normalise(config, x, stats, gamma, beta)
    }

    fn batch_norm_backward(
        config: NormConfig,
        x: CubeTensor,
        stats: Stats<CubeTensor>,
        gamma: CubeTensor,
        beta: CubeTensor,
        grad: CubeTensor,
    ) -> [CubeTensor; 3] {
        batch_norm::backward(config, x, stats, gamma, beta, grad)
    }

    fn block_forward(
        config: BlockConfig,
        z: CubeTensor,
        stats: &Stats<CubeTensor>,
        gamma: CubeTensor,
        beta: CubeTensor,
    ) -> (CubeTensor, CubeTensor) {
        block::forward(config, z, stats, gamma, beta)
    }

    fn block_backward(
        config: BlockConfig,
        z: CubeTensor,
        stats: Stats<CubeTensor>,
        gamma: CubeTensor,
        beta: CubeTensor,
        grad: CubeTensor,
    ) -> [CubeTensor; 3] {
        block::backward(config, z, stats, gamma, beta, grad)
    }

    fn lif_forward(shape: LifShape, current: CubeTensor) -> (CubeTensor, CubeTensor) {
        neuron::forward(shape, current)
    }

    fn lif_backward(shape: LifShape, membrane: CubeTensor, grad: CubeTensor) -> CubeTensor {
        neuron::backward(shape, membrane, grad)
    }

    fn mean_forward(shape: MeanShape, x: CubeTensor) -> CubeTensor {
        readout::mean(shape, x)
    }

    fn mean_backward(shape: MeanShape, grad: CubeTensor) -> CubeTensor {
        readout::mean_backward(shape, grad)
    }

    fn integrate_forward(shape: IntegratorShape, current: CubeTensor) -> CubeTensor {
        readout::integrate(shape, current)
    }

    fn integrate_backward(shape: IntegratorShape, grad: CubeTensor) -> CubeTensor {
        readout::integrate_backward(shape, grad)
    }

    fn running(shape: RunningShape, running: CubeTensor, new: CubeTensor) -> CubeTensor {
        norm::running(shape, running, new)
    }

    fn total(squared: bool, x: CubeTensor) -> CubeTensor {
        total::total(squared, x)
    }

    fn adamw(step: AdamWStep, tensors: [CubeTensor; 4]) -> [CubeTensor; 3] {
        adamw::adamw(step, tensors)
    }

    fn pool_forward(kind: Pooling, shape: PoolShape, x: CubeTensor) -> CubeTensor {
        pool::forward(kind, shape, x)
    }

    fn pool_backward(kind: Pooling, shape: PoolShape, x: CubeTensor, grad: CubeTensor) -> CubeTensor {
        pool::backward(kind, shape, x, grad)
    }
}
