//! The differentiable operations: forward and backward of [`SpikeKernels`] joined for Burn's autodiff.

use super::{
    AdamWStep, BlockConfig, ConvConfig, IntegratorShape, LifShape, LinearShape, MeanShape, NormConfig,
    PoolShape, Pooling, RunningShape, SpikeKernels, SpikeOps, Stats, portable,
};
use crate::parallel;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{AutodiffBackend, TensorMetadata};
use burn::tensor::{Shape, TensorData};

/// Registers the error of a parameter, and gives it to the ranks that share the step.
fn give<B: SpikeKernels>(grads: &mut Gradients, node: NodeId, error: FloatTensor<B>) {
    parallel::gradient(node, || portable::host::<B>(error.clone()));
    grads.register::<B>(node, error);
}

/// Statistics of a batch norm over the rows of all ranks that share it.
fn of_all<B: SpikeKernels>(rows: usize, stats: Stats<FloatTensor<B>>) -> Stats<FloatTensor<B>> {
    let device = stats.mean.device();
    let (mut mean, mut variance) = (portable::host::<B>(stats.mean), portable::host::<B>(stats.variance));
    parallel::all_statistics(&mut mean, &mut variance, rows);
    let tensor = |values: Vec<f32>| {
        let n = values.len();
        B::float_from_data(TensorData::new(values, [n]), &device)
    };
    Stats { mean: tensor(mean), variance: tensor(variance) }
}

#[derive(Debug)]
struct Conv2d;
impl<B: SpikeKernels> Backward<B, 3> for Conv2d {
    type State = (FloatTensor<B>, FloatTensor<B>, ConvConfig);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, config) = ops.state;
        let shape = config.shape;
        let grad = grads.consume::<B>(&ops.node);
        let [for_x, for_weight, for_bias] = ops.parents;
        if let Some(node) = for_weight {
            give::<B>(grads, node.id, B::conv2d_weight_grad(shape, x.clone(), grad.clone()));
        }
        if let Some(node) = for_bias {
            give::<B>(grads, node.id, B::bias_grad(shape.out_channels, grad.clone()));
        }
        if let Some(node) = for_x {
            grads.register::<B>(node.id, B::conv2d_input_grad(config, x, weight, grad));
        }
    }
}

#[derive(Debug)]
struct Linear;
impl<B: SpikeKernels> Backward<B, 3> for Linear {
    type State = (FloatTensor<B>, FloatTensor<B>, LinearShape);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, shape) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let [for_x, for_weight, for_bias] = ops.parents;
        if let Some(node) = for_weight {
            give::<B>(grads, node.id, B::linear_weight_grad(shape, x, grad.clone()));
        }
        if let Some(node) = for_bias {
            give::<B>(grads, node.id, B::bias_grad(shape.outputs, grad.clone()));
        }
        if let Some(node) = for_x {
            grads.register::<B>(node.id, B::linear_input_grad(shape, grad, weight));
        }
    }
}

/// What a batch norm, alone or in a block, keeps for its backward pass.
#[derive(Debug, Clone)]
struct NormState<C, T> {
    config: C,
    x: T,
    stats: Stats<T>,
    gamma: T,
    beta: T,
}

#[derive(Debug)]
struct BatchNorm;
impl<B: SpikeKernels> Backward<B, 3> for BatchNorm {
    type State = NormState<NormConfig, FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let NormState { config, x, stats, gamma, beta } = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let parts = B::batch_norm_backward(config, x, stats, gamma, beta, grad);
        for (node, part) in ops.parents.into_iter().zip(parts) {
            if let Some(node) = node {
                give::<B>(grads, node.id, part);
            }
        }
    }
}

#[derive(Debug)]
struct Block;
impl<B: SpikeKernels> Backward<B, 3> for Block {
    type State = NormState<BlockConfig, FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let NormState { config, x, stats, gamma, beta } = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let parts = B::block_backward(config, x, stats, gamma, beta, grad);
        for (node, part) in ops.parents.into_iter().zip(parts) {
            if let Some(node) = node {
                give::<B>(grads, node.id, part);
            }
        }
    }
}

#[derive(Debug)]
struct Neuron;
impl<B: SpikeKernels> Backward<B, 1> for Neuron {
    type State = (FloatTensor<B>, LifShape);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (membrane, shape) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, B::lif_backward(shape, membrane, grad));
        }
    }
}

#[derive(Debug)]
struct Mean;
impl<B: SpikeKernels> Backward<B, 1> for Mean {
    /// With the shape of the values.
    type State = (Shape, MeanShape);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (values, shape) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, B::float_reshape(B::mean_backward(shape, grad), values));
        }
    }
}

#[derive(Debug)]
struct Integrator;
impl<B: SpikeKernels> Backward<B, 1> for Integrator {
    type State = IntegratorShape;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, B::integrate_backward(ops.state, grad));
        }
    }
}

#[derive(Debug)]
struct Pool;
impl<B: SpikeKernels> Backward<B, 1> for Pool {
    type State = (FloatTensor<B>, Pooling, PoolShape);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, kind, shape) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, B::pool_backward(kind, shape, x, grad));
        }
    }
}

impl<B: SpikeKernels, C: CheckpointStrategy> SpikeOps for Autodiff<B, C> {
    fn conv2d_op(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        config: ConvConfig,
    ) -> FloatTensor<Self> {
        let prep = Conv2d.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful();
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let y = B::conv2d_forward(config.shape, x.clone(), weight.clone(), bias.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => prep.finish((x, weight, config), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn linear_op(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shape: LinearShape,
    ) -> FloatTensor<Self> {
        let prep = Linear.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful();
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let y = B::linear_forward(shape, x.clone(), weight.clone(), bias.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => prep.finish((x, weight, shape), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn batch_norm_op(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        config: NormConfig,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let prep = BatchNorm.prepare::<C>([x.node(), gamma.node(), beta.node()]).compute_bound().stateful();
        let (x, gamma, beta) = (x.into_primitive(), gamma.into_primitive(), beta.into_primitive());
        let (y, stats) = if parallel::norms_are_shared() {
            let stats = of_all::<B>(config.shape.rows, B::norm_statistics(config.shape, x.clone()));
            (B::normalise(config, x.clone(), &stats, gamma.clone(), beta.clone()), stats)
        } else {
            B::batch_norm_forward(config, x.clone(), gamma.clone(), beta.clone())
        };
        let y = match prep {
            OpsKind::Tracked(prep) => {
                prep.finish(NormState { config, x, stats: stats.clone(), gamma, beta }, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        (y, Self::from_inner(stats.mean), Self::from_inner(stats.variance))
    }

    fn block_op(
        z: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        config: BlockConfig,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let prep = Block.prepare::<C>([z.node(), gamma.node(), beta.node()]).compute_bound().stateful();
        let (z, gamma, beta) = (z.into_primitive(), gamma.into_primitive(), beta.into_primitive());
        let mut stats = B::norm_statistics(config.shape.norm(), z.clone());
        if parallel::norms_are_shared() {
            stats = of_all::<B>(config.shape.norm().rows, stats);
        }
        let (y, rate) = B::block_forward(config, z.clone(), &stats, gamma.clone(), beta.clone());
        let y = match prep {
            OpsKind::Tracked(prep) => {
                prep.finish(NormState { config, x: z, stats: stats.clone(), gamma, beta }, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        let [mean, variance, rate] = [stats.mean, stats.variance, rate].map(Self::from_inner);
        (y, mean, variance, rate)
    }

    fn block_inference_op(
        z: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        config: BlockConfig,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [z, mean, variance, gamma, beta] = [z, mean, variance, gamma, beta].map(|x| x.into_primitive());
        let (y, rate) = B::block_forward(config, z, &Stats { mean, variance }, gamma, beta);
        (Self::from_inner(y), Self::from_inner(rate))
    }

    fn mark_op(x: FloatTensor<Self>, place: usize) -> FloatTensor<Self> {
        parallel::mark(x.node().id(), place);
        x
    }

    fn lif_op(current: FloatTensor<Self>, shape: LifShape) -> FloatTensor<Self> {
        let prep = Neuron.prepare::<C>([current.node()]).compute_bound().stateful();
        let (spikes, membrane) = B::lif_forward(shape, current.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => prep.finish((membrane, shape), spikes),
            OpsKind::UnTracked(prep) => prep.finish(spikes),
        }
    }

    fn mean_op(x: FloatTensor<Self>, shape: MeanShape) -> FloatTensor<Self> {
        let prep = Mean.prepare::<C>([x.node()]).compute_bound().stateful();
        let x = x.into_primitive();
        let values = x.shape();
        let y = B::mean_forward(shape, x);
        match prep {
            OpsKind::Tracked(prep) => prep.finish((values, shape), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn integrate_op(current: FloatTensor<Self>, shape: IntegratorShape) -> FloatTensor<Self> {
        let prep = Integrator.prepare::<C>([current.node()]).compute_bound().stateful();
        let y = B::integrate_forward(shape, current.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => prep.finish(shape, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn running_op(
        running: FloatTensor<Self>,
        new: FloatTensor<Self>,
        shape: RunningShape,
    ) -> FloatTensor<Self> {
        Self::from_inner(B::running(shape, running.into_primitive(), new.into_primitive()))
    }

    fn total_op(x: FloatTensor<Self>, squared: bool) -> FloatTensor<Self> {
        Self::from_inner(B::total(squared, x.into_primitive()))
    }

    fn adamw_op(
        value: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let tensors = [value, grad, moment_1, moment_2].map(|x| x.into_primitive());
        B::adamw(step, tensors).map(Self::from_inner).into()
    }

    fn pool_op(x: FloatTensor<Self>, kind: Pooling, shape: PoolShape) -> FloatTensor<Self> {
        let prep = Pool.prepare::<C>([x.node()]).compute_bound().stateful();
        let x = x.into_primitive();
        let y = B::pool_forward(kind, shape, x.clone());
        match prep {
            OpsKind::Tracked(prep) => prep.finish((x, kind, shape), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}
