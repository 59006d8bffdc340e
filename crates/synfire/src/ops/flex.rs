//! The operations on Burn's CPU backend, by `synfire-kernels`.

mod tensors;

use super::clock::{self, Kind};
use super::{
    BlockConfig, ConvConfig, ConvShape, LifShape, LinearShape, NormConfig, NormShape, PoolShape, Pooling,
    SpikeKernels, Stats, portable,
};
use crate::parallel::Rows;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::f16;
use std::sync::atomic::{AtomicBool, Ordering};
use synfire_kernels::isa::Isa;
use synfire_kernels::norm::{Normalisation, Others};
use synfire_kernels::source::CHANNELS_PER_WORD;
use synfire_kernels::{block, conv, linear, neuron, norm, pool};
use tensors::{
    contiguous, dims, dtype, into_contiguous, slice, slice_mut, tensor, with_element, with_source, words,
    zeros,
};

/// Which code runs the operations on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation {
    /// The kernels of `synfire-kernels`.
    Kernels,
    /// The default bodies in Burn tensor operations, which every other backend runs.
    Portable,
}

static PORTABLE: AtomicBool = AtomicBool::new(false);

/// Chooses what runs the operations on the CPU in this process, so that the code meant for other backends can
/// be checked where there is none.
pub fn set_implementation(implementation: Implementation) {
    PORTABLE.store(implementation == Implementation::Portable, Ordering::Relaxed);
}

/// What runs the operations on the CPU.
pub fn implementation() -> Implementation {
    if PORTABLE.load(Ordering::Relaxed) { Implementation::Portable } else { Implementation::Kernels }
}

fn is_portable() -> bool {
    implementation() == Implementation::Portable
}

/// What a block's input is normalised with, as slices can be taken of it.
struct BlockInputs {
    stats: Stats<FlexTensor>,
    gamma: FlexTensor,
    beta: FlexTensor,
}

impl BlockInputs {
    fn new(stats: Stats<FlexTensor>, gamma: FlexTensor, beta: FlexTensor) -> Self {
        let stats = Stats { mean: contiguous(&stats.mean), variance: contiguous(&stats.variance) };
        Self { stats, gamma: contiguous(&gamma), beta: contiguous(&beta) }
    }

    fn norm(&self, config: &BlockConfig) -> Normalisation<'_> {
        Normalisation {
            mean: slice(&self.stats.mean),
            var: slice(&self.stats.variance),
            gamma: slice(&self.gamma),
            beta: slice(&self.beta),
            eps: config.eps,
            relu: config.relu,
            others: Rows::shared().map(|rows| rows as &dyn Others),
        }
    }
}

impl SpikeKernels for Flex {
    fn conv2d_forward(s: ConvShape, x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        if is_portable() {
            return portable::conv2d::<Self>(s, x, weight, bias);
        }
        let (x, weight, bias) = (contiguous(&x), contiguous(&weight), contiguous(&bias));
        let _call = clock::call(Kind::ConvForward, s.macs());
        let out = [s.frames, s.out_height(), s.out_width(), s.out_channels];
        with_source!(&x, s.precision, source => with_element!(dtype(s.precision), Y => {
            let mut y = zeros::<Y>(s.output_len());
            conv::conv2d(Isa::detect(), &s, source, slice(&weight), Some(slice(&bias)), &mut y);
            tensor(y, &out)
        }))
    }

    fn conv2d_input_grad(
        config: ConvConfig,
        x: FlexTensor,
        weight: FlexTensor,
        grad: FlexTensor,
    ) -> FlexTensor {
        let s = config.shape;
        if is_portable() {
            return portable::conv2d_input_grad::<Self>(s, x, weight, grad);
        }
        let _call = clock::call(Kind::ConvInputGrad, s.macs());
        let (x, grad, weight) = (contiguous(&x), contiguous(&grad), contiguous(&weight));
        with_source!(&x, s.precision, source => with_element!(grad.dtype(), Y => {
            let mut out = vec![Default::default(); s.input_len()];
            let fired = config.spikes.then_some(source);
            conv::conv2d_input_grad(Isa::detect(), &s, slice::<Y>(&grad), slice(&weight), fired, &mut out);
            tensor(out, &[s.frames, s.height, s.width, s.in_channels])
        }))
    }

    fn conv2d_weight_grad(s: ConvShape, x: FlexTensor, grad: FlexTensor) -> FlexTensor {
        if is_portable() {
            return portable::conv2d_weight_grad::<Self>(s, x, grad);
        }
        let (x, grad) = (contiguous(&x), contiguous(&grad));
        let mut out = vec![0.0; s.weight_len()];
        let _call = clock::call(Kind::ConvWeightGrad, s.macs());
        with_source!(&x, s.precision, source => with_element!(grad.dtype(), Y => {
            conv::conv2d_weight_grad(Isa::detect(), &s, source, slice::<Y>(&grad), &mut out);
        }));
        let n = out.len();
        tensor(out, &[n])
    }

    fn bias_grad(channels: usize, grad: FlexTensor) -> FlexTensor {
        if is_portable() {
            return portable::bias_grad::<Self>(channels, grad);
        }
        let grad = contiguous(&grad);
        let mut out = vec![0.0; channels];
        with_element!(grad.dtype(), E => conv::bias_grad(Isa::detect(), channels, slice::<E>(&grad), &mut out));
        tensor(out, &[channels])
    }

    fn linear_forward(s: LinearShape, x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        if is_portable() {
            return portable::linear::<Self>(s, x, weight, bias);
        }
        let (x, weight, bias) = (contiguous(&x), contiguous(&weight), contiguous(&bias));
        let mut y = vec![0.0; s.rows * s.outputs];
        let _call = clock::call(Kind::Linear, s.macs());
        linear::linear(
            Isa::detect(),
            s.rows,
            s.inputs,
            s.outputs,
            slice(&x),
            slice(&weight),
            Some(slice(&bias)),
            &mut y,
        );
        tensor(y, &[s.rows, s.outputs])
    }

    fn linear_input_grad(s: LinearShape, grad: FlexTensor, weight: FlexTensor) -> FlexTensor {
        if is_portable() {
            return portable::linear_input_grad::<Self>(s, grad, weight);
        }
        let (grad, weight) = (contiguous(&grad), contiguous(&weight));
        let mut out = vec![0.0; s.rows * s.inputs];
        let _call = clock::call(Kind::Linear, s.macs());
        linear::linear_input_grad(
            Isa::detect(),
            s.rows,
            s.inputs,
            s.outputs,
            slice(&grad),
            slice(&weight),
            &mut out,
        );
        tensor(out, &[s.rows, s.inputs])
    }

    fn linear_weight_grad(s: LinearShape, x: FlexTensor, grad: FlexTensor) -> FlexTensor {
        if is_portable() {
            return portable::linear_weight_grad::<Self>(s, x, grad);
        }
        let (x, grad) = (contiguous(&x), contiguous(&grad));
        let mut out = vec![0.0; s.outputs * s.inputs];
        let _call = clock::call(Kind::Linear, s.macs());
        linear::linear_weight_grad(
            Isa::detect(),
            s.rows,
            s.inputs,
            s.outputs,
            slice(&x),
            slice(&grad),
            &mut out,
        );
        let n = out.len();
        tensor(out, &[n])
    }

    fn batch_norm_forward(
        config: NormConfig,
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
    ) -> (FlexTensor, Stats<FlexTensor>) {
        if is_portable() {
            return portable::batch_norm::<Self>(config, x, gamma, beta);
        }
        let NormConfig { shape, eps, relu } = config;
        let (x, gamma, beta) = (contiguous(&x), contiguous(&gamma), contiguous(&beta));
        let groups = shape.steps * shape.channels;
        let (mut mean, mut variance) = (vec![0.0; groups], vec![0.0; groups]);
        let mut y = vec![0.0; shape.steps * shape.rows * shape.channels];
        norm::batch_norm(
            Isa::detect(),
            &shape,
            slice(&x),
            slice(&gamma),
            slice(&beta),
            eps,
            relu,
            &mut mean,
            &mut variance,
            &mut y,
        );
        let stats = Stats { mean: tensor(mean, &[groups]), variance: tensor(variance, &[groups]) };
        (tensor(y, &dims(&x)), stats)
    }

    fn batch_norm_backward(
        config: NormConfig,
        x: FlexTensor,
        stats: Stats<FlexTensor>,
        gamma: FlexTensor,
        beta: FlexTensor,
        grad: FlexTensor,
    ) -> [FlexTensor; 3] {
        if is_portable() || Rows::shared().is_some() {
            return portable::batch_norm_backward::<Self>(config, x, stats, gamma, beta, grad);
        }
        let NormConfig { shape, eps, relu } = config;
        let (x, gamma, beta, grad) =
            (contiguous(&x), contiguous(&gamma), contiguous(&beta), contiguous(&grad));
        let mut for_x = vec![0.0; shape.steps * shape.rows * shape.channels];
        let (mut for_gamma, mut for_beta) = (vec![0.0; shape.channels], vec![0.0; shape.channels]);
        norm::batch_norm_backward(
            Isa::detect(),
            &shape,
            slice(&x),
            slice(&stats.mean),
            slice(&stats.variance),
            slice(&gamma),
            slice(&beta),
            eps,
            relu,
            slice(&grad),
            &mut for_x,
            &mut for_gamma,
            &mut for_beta,
        );
        let c = [shape.channels];
        [tensor(for_x, &dims(&x)), tensor(for_gamma, &c), tensor(for_beta, &c)]
    }

    fn norm_statistics(shape: NormShape, x: FlexTensor) -> Stats<FlexTensor> {
        if is_portable() {
            return portable::statistics::<Self>(&shape, x);
        }
        let groups = shape.statistics();
        let (mut mean, mut variance) = (vec![0.0; groups], vec![0.0; groups]);
        let _call = clock::call(Kind::BlockStatistics, 0);
        let x = contiguous(&x);
        with_element!(x.dtype(), E => {
            norm::statistics(Isa::detect(), &shape, slice::<E>(&x), &mut mean, &mut variance);
        });
        Stats { mean: tensor(mean, &[groups]), variance: tensor(variance, &[groups]) }
    }

    fn block_forward(
        config: BlockConfig,
        z: FlexTensor,
        stats: &Stats<FlexTensor>,
        gamma: FlexTensor,
        beta: FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        if is_portable() {
            return super::block::forward::<Self>(config, z, stats, gamma, beta);
        }
        let BlockConfig { shape, lif, .. } = config;
        let (z, inputs) = (contiguous(&z), BlockInputs::new(stats.clone(), gamma, beta));
        let _call = clock::call(Kind::BlockForward, 0);
        let norm = inputs.norm(&config);
        let mut out = [shape.steps * shape.batch, shape.out_height(), shape.out_width(), shape.channels];
        let (y, fired) = with_element!(z.dtype(), E => if config.bits && shape.fits_bits() {
            out[3] /= CHANNELS_PER_WORD;
            let mut words = zeros::<f16>(shape.output_len() / CHANNELS_PER_WORD);
            let to = bytemuck::cast_slice_mut::<f16, u16>(&mut words);
            let fired = block::block(Isa::detect(), &shape, &lif, &norm, slice::<E>(&z), to);
            (tensor(words, &out), fired)
        } else {
            let mut y = zeros::<E>(shape.output_len());
            let fired = block::block(Isa::detect(), &shape, &lif, &norm, slice::<E>(&z), &mut y);
            (tensor(y, &out), fired)
        });
        let neurons = shape.steps * shape.batch * shape.height * shape.width * shape.channels;
        (y, tensor(vec![(fired as f64 / neurons.max(1) as f64) as f32], &[1]))
    }

    fn block_backward(
        config: BlockConfig,
        z: FlexTensor,
        stats: Stats<FlexTensor>,
        gamma: FlexTensor,
        beta: FlexTensor,
        grad: FlexTensor,
    ) -> [FlexTensor; 3] {
        if is_portable() {
            return super::block::backward::<Self>(config, z, stats, gamma, beta, grad);
        }
        let BlockConfig { shape, lif, .. } = config;
        let (inputs, grad) = (BlockInputs::new(stats, gamma, beta), contiguous(&grad));
        let (mut for_gamma, mut for_beta) = (vec![0.0; shape.channels], vec![0.0; shape.channels]);
        let _call = clock::call(Kind::BlockBackward, 0);
        // The errors take the place of the input, which nobody else should hold any more: it is copied otherwise.
        let mut for_z = into_contiguous(z);
        with_element!(for_z.dtype(), E => block::block_backward(
            Isa::detect(),
            &shape,
            &lif,
            &inputs.norm(&config),
            slice_mut::<E>(&mut for_z),
            slice(&grad),
            &mut for_gamma,
            &mut for_beta,
        ));
        let c = [shape.channels];
        [for_z, tensor(for_gamma, &c), tensor(for_beta, &c)]
    }

    fn lif_forward(shape: LifShape, current: FlexTensor) -> (FlexTensor, FlexTensor) {
        if is_portable() {
            return portable::lif::<Self>(shape, current);
        }
        let current = contiguous(&current);
        let mut out = dims(&current);
        if shape.constant {
            out[0] *= shape.steps;
        }
        let n = out.iter().product();
        let (mut spikes, mut membrane) = (vec![0.0; n], vec![0.0; n]);
        neuron::lif(Isa::detect(), &shape.lif, shape.steps, slice(&current), &mut spikes, &mut membrane);
        (tensor(spikes, &out), tensor(membrane, &out))
    }

    fn lif_backward(shape: LifShape, membrane: FlexTensor, grad: FlexTensor) -> FlexTensor {
        if is_portable() {
            return portable::lif_backward::<Self>(shape, membrane, grad);
        }
        let (membrane, grad) = (contiguous(&membrane), contiguous(&grad));
        let mut out = dims(&membrane);
        if shape.constant {
            out[0] /= shape.steps;
        }
        let mut for_current = vec![0.0; out.iter().product()];
        neuron::lif_backward(
            Isa::detect(),
            &shape.lif,
            shape.steps,
            slice(&membrane),
            slice(&grad),
            &mut for_current,
        );
        tensor(for_current, &out)
    }

    fn pool_forward(kind: Pooling, s: PoolShape, x: FlexTensor) -> FlexTensor {
        if is_portable() {
            return portable::pool::<Self>(kind, s, x);
        }
        let x = contiguous(&x);
        let [h, w] = portable::pooled(&s);
        let mut y = vec![0.0; s.frames * h * w * s.channels];
        match kind {
            Pooling::Max => pool::max_pool(Isa::detect(), &s, slice(&x), &mut y),
            Pooling::Average => pool::avg_pool(Isa::detect(), &s, slice(&x), &mut y),
        }
        tensor(y, &[s.frames, h, w, s.channels])
    }

    fn pool_backward(kind: Pooling, s: PoolShape, x: FlexTensor, grad: FlexTensor) -> FlexTensor {
        if is_portable() {
            return portable::pool_backward::<Self>(kind, s, x, grad);
        }
        let (x, grad) = (contiguous(&x), contiguous(&grad));
        let mut out = vec![0.0; s.frames * s.height * s.width * s.channels];
        match kind {
            Pooling::Max => pool::max_pool_backward(Isa::detect(), &s, slice(&x), slice(&grad), &mut out),
            Pooling::Average => pool::avg_pool_backward(Isa::detect(), &s, slice(&grad), &mut out),
        }
        tensor(out, &[s.frames, s.height, s.width, s.channels])
    }
}
