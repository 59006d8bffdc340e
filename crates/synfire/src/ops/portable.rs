//! The operations in Burn tensor operations: what a backend without kernels of its own runs.
//!
//! Shapes and formulas are those of [`SpikeKernels`](super::SpikeKernels).

use super::{
    AdamWStep, ConvShape, IntegratorShape, LifShape, LinearShape, MeanShape, Method, NormConfig, NormShape,
    PoolShape, Pooling, RunningShape, Stats,
};
use crate::parallel::Rows;
use burn::backend::ops::ConvOptions;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata, get_device_settings};
use burn::tensor::{FloatDType, Shape, Slice, TensorData, read_sync};
use synfire_kernels::norm::Others;

/// Frames `[F, H, W, C]` seen as `[F, C, H, W]`.
fn channels_first<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_permute(x, &[0, 3, 1, 2])
}

/// `[F, C, H, W]` seen as `[F, H, W, C]`.
fn channels_last<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_permute(x, &[0, 2, 3, 1])
}

fn reshape<B: Backend, const D: usize>(x: FloatTensor<B>, shape: [usize; D]) -> FloatTensor<B> {
    B::float_reshape(x, Shape::from(shape))
}

fn options(s: &ConvShape) -> ConvOptions<2> {
    ConvOptions::new(s.stride, s.padding, [1, 1], s.groups)
}

fn weight_shape(s: &ConvShape) -> [usize; 4] {
    [s.out_channels, s.in_channels / s.groups, s.kernel[0], s.kernel[1]]
}

fn zeros<B: Backend, const D: usize>(like: &FloatTensor<B>, shape: [usize; D]) -> FloatTensor<B> {
    B::float_zeros(Shape::from(shape), &like.device(), FloatDType::F32)
}

/// Convolution.
pub fn conv2d<B: Backend>(
    s: ConvShape,
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
) -> FloatTensor<B> {
    let weight = reshape::<B, 4>(weight, weight_shape(&s));
    channels_last::<B>(B::conv2d(channels_first::<B>(x), weight, Some(bias), options(&s)))
}

/// Gradient of [`conv2d`] for its input.
pub fn conv2d_input_grad<B: Backend>(
    s: ConvShape,
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    let weight = reshape::<B, 4>(weight, weight_shape(&s));
    channels_last::<B>(B::conv2d_x_backward(
        channels_first::<B>(x),
        weight,
        channels_first::<B>(grad),
        options(&s),
    ))
}

/// Gradient of [`conv2d`] for its weight, flat.
pub fn conv2d_weight_grad<B: Backend>(
    s: ConvShape,
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    let weight = zeros::<B, 4>(&grad, weight_shape(&s));
    let out =
        B::conv2d_weight_backward(channels_first::<B>(x), weight, channels_first::<B>(grad), options(&s));
    reshape::<B, 1>(out, [s.weight_len()])
}

/// Sum over rows of `[…, channels]`.
pub fn bias_grad<B: Backend>(channels: usize, grad: FloatTensor<B>) -> FloatTensor<B> {
    let rows = grad.shape().num_elements() / channels;
    let sum = B::float_sum_dim(reshape::<B, 2>(grad, [rows, channels]), 0);
    reshape::<B, 1>(sum, [channels])
}

/// Linear layer.
pub fn linear<B: Backend>(
    s: LinearShape,
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
) -> FloatTensor<B> {
    let weight = B::float_permute(reshape::<B, 2>(weight, [s.outputs, s.inputs]), &[1, 0]);
    B::float_add(B::float_matmul(x, weight), reshape::<B, 2>(bias, [1, s.outputs]))
}

/// Gradient of [`linear`] for its input.
pub fn linear_input_grad<B: Backend>(
    s: LinearShape,
    grad: FloatTensor<B>,
    weight: FloatTensor<B>,
) -> FloatTensor<B> {
    B::float_matmul(grad, reshape::<B, 2>(weight, [s.outputs, s.inputs]))
}

/// Gradient of [`linear`] for its weight, flat.
pub fn linear_weight_grad<B: Backend>(
    s: LinearShape,
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    reshape::<B, 1>(B::float_matmul(B::float_permute(grad, &[1, 0]), x), [s.outputs * s.inputs])
}

/// Sum over the rows of `[steps, rows, channels]`, in two stages of about √rows: a backend that adds up one by one in
/// single precision would lose digits over tens of thousands of rows, and the statistics of a batch norm decide
/// over the spikes of whole areas of equal pixels.
fn sum_rows<B: Backend>(s: &NormShape, x: FloatTensor<B>) -> FloatTensor<B> {
    let root = s.rows.isqrt().max(1);
    let group = (1..=root).rev().find(|n| s.rows.is_multiple_of(*n)).unwrap_or(1);
    let x = reshape::<B, 4>(x, [s.steps, s.rows / group, group, s.channels]);
    reshape::<B, 3>(B::float_sum_dim(B::float_sum_dim(x, 2), 1), [s.steps, 1, s.channels])
}

/// `x` seen as `[steps, rows, channels]`, and each step's mean and biased variance spread to that shape's rank.
fn centred<B: Backend>(
    config: &NormConfig,
    x: FloatTensor<B>,
    stats: &Stats<FloatTensor<B>>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let s = config.shape;
    let x = reshape::<B, 3>(x, [s.steps, s.rows, s.channels]);
    let mean = reshape::<B, 3>(stats.mean.clone(), [s.steps, 1, s.channels]);
    let variance = reshape::<B, 3>(stats.variance.clone(), [s.steps, 1, s.channels]);
    let rstd = B::float_recip(B::float_sqrt(B::float_add_scalar(variance, config.eps.into())));
    (B::float_sub(x, mean), rstd)
}

fn channel_vector<B: Backend>(config: &NormConfig, v: FloatTensor<B>) -> FloatTensor<B> {
    reshape::<B, 3>(v, [1, 1, config.shape.channels])
}

/// Batch norm of training.
pub fn batch_norm<B: Backend>(
    config: NormConfig,
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
) -> (FloatTensor<B>, Stats<FloatTensor<B>>) {
    let stats = statistics::<B>(&config.shape, x.clone());
    (normalise::<B>(&config, x, &stats, gamma, beta), stats)
}

/// Mean and biased variance of each step's rows.
pub fn statistics<B: Backend>(s: &NormShape, x: FloatTensor<B>) -> Stats<FloatTensor<B>> {
    let grouped = reshape::<B, 3>(x, [s.steps, s.rows, s.channels]);
    let share = 1.0 / s.rows as f32;
    let mean = B::float_mul_scalar(sum_rows::<B>(s, grouped.clone()), share.into());
    let d = B::float_sub(grouped, mean.clone());
    let variance = B::float_mul_scalar(sum_rows::<B>(s, B::float_mul(d.clone(), d)), share.into());
    let flat = s.steps * s.channels;
    Stats { mean: reshape::<B, 1>(mean, [flat]), variance: reshape::<B, 1>(variance, [flat]) }
}

/// Batch norm with given statistics, and its ReLU.
pub fn normalise<B: Backend>(
    config: &NormConfig,
    x: FloatTensor<B>,
    stats: &Stats<FloatTensor<B>>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
) -> FloatTensor<B> {
    let out = x.shape();
    let (d, rstd) = centred::<B>(config, x, stats);
    let scaled = B::float_mul(B::float_mul(d, rstd), channel_vector::<B>(config, gamma));
    let y = B::float_add(scaled, channel_vector::<B>(config, beta));
    let y = if config.relu { B::float_clamp_min(y, 0.0.into()) } else { y };
    B::float_reshape(y, out)
}

/// Gradients of [`batch_norm`] for `x`, `gamma` and `beta`. With x̂ = (x-mean)·rstd over n rows:
/// dx = gamma·rstd/n · (n·g - Σg - x̂·Σ(g·x̂)).
pub fn batch_norm_backward<B: Backend>(
    config: NormConfig,
    x: FloatTensor<B>,
    stats: Stats<FloatTensor<B>>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> [FloatTensor<B>; 3] {
    let s = config.shape;
    let out = x.shape();
    let bools = get_device_settings::<B>(&x.device()).bool_dtype;
    let (d, rstd) = centred::<B>(&config, x, &stats);
    let normalised = B::float_mul(d, rstd.clone());
    let gamma = channel_vector::<B>(&config, gamma);
    let mut grad = reshape::<B, 3>(grad, [s.steps, s.rows, s.channels]);
    if config.relu {
        let y =
            B::float_add(B::float_mul(normalised.clone(), gamma.clone()), channel_vector::<B>(&config, beta));
        grad = B::float_mask_fill(grad, B::float_lower_equal_elem(y, 0.0.into(), bools), 0.0.into());
    }
    let sum = sum_rows::<B>(&s, grad.clone());
    let product = sum_rows::<B>(&s, B::float_mul(grad.clone(), normalised.clone()));
    let over_steps = |v: FloatTensor<B>| reshape::<B, 1>(B::float_sum_dim(v, 0), [s.channels]);
    let for_gamma = over_steps(product.clone());
    let for_beta = over_steps(sum.clone());
    let (sum, product, rows) = of_all_rows::<B>(&s, sum, product);
    let n = (1.0 / rows) as f32;
    let spread = B::float_add(
        B::float_mul_scalar(sum, n.into()),
        B::float_mul(normalised, B::float_mul_scalar(product, n.into())),
    );
    let for_x = B::float_mul(B::float_sub(grad, spread), B::float_mul(rstd, gamma));
    [B::float_reshape(for_x, out), for_gamma, for_beta]
}

/// A tensor's values.
pub(super) fn host<B: Backend>(tensor: FloatTensor<B>) -> Vec<f32> {
    let data = read_sync(B::float_into_data(tensor)).expect("a tensor can be read");
    data.try_into_vec::<f32>().expect("f32 values")
}

/// Sums over the rows of this rank, of any shape, to those over the rows of all ranks that share them, and how many rows these are.
pub(super) fn of_all_rows<B: Backend>(
    s: &NormShape,
    sum: FloatTensor<B>,
    product: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>, f64) {
    let Some(others) = Rows::shared() else { return (sum, product, s.rows as f64) };
    let (shape, device) = (sum.shape(), sum.device());
    let own = [host::<B>(sum), host::<B>(product)].concat();
    let mut sums: Vec<f64> = own.into_iter().map(f64::from).collect();
    let rows = others.add(&mut sums, s.rows);
    let tensor = |values: &[f64]| {
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        B::float_from_data(TensorData::new(values, shape.clone()), &device)
    };
    let (sum, product) = sums.split_at(s.statistics());
    (tensor(sum), tensor(product), rows)
}

/// Row `t` of `[T, N]` as `[1, N]`.
fn row<B: Backend>(x: &FloatTensor<B>, t: usize) -> FloatTensor<B> {
    B::float_slice(x.clone(), &[Slice::from(t..t + 1), Slice::from(..)])
}

/// All T steps of a neuron layer: spikes and membrane potential before reset.
pub fn lif<B: Backend>(shape: LifShape, current: FloatTensor<B>) -> (FloatTensor<B>, FloatTensor<B>) {
    let LifShape { steps, constant, lif } = shape;
    let mut out = current.shape();
    let n = out.num_elements() / if constant { 1 } else { steps };
    if constant {
        out[0] *= steps;
    }
    let current = reshape::<B, 2>(current, [if constant { 1 } else { steps }, n]);
    let bools = get_device_settings::<B>(&current.device()).bool_dtype;
    let silent = zeros::<B, 2>(&current, [1, n]);
    let mut held = silent.clone();
    let (mut spikes, mut membrane) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
    for t in 0..steps {
        let input = row::<B>(&current, if constant { 0 } else { t });
        let m = B::float_add(B::float_mul_scalar(held, lif.decay.into()), input);
        let fired = match lif.method {
            Method::Stbp => B::float_greater_elem(m.clone(), lif.threshold.into(), bools),
            Method::Bpsa | Method::Bpsta => {
                B::float_greater_equal_elem(m.clone(), lif.threshold.into(), bools)
            }
        };
        spikes.push(B::float_mask_fill(silent.clone(), fired.clone(), 1.0.into()));
        held = B::float_mask_fill(m.clone(), fired, 0.0.into());
        membrane.push(m);
    }
    let whole = |rows| B::float_reshape(B::float_cat(rows, 0), out.clone());
    (whole(spikes), whole(membrane))
}

/// Gradient of [`lif`] for the current.
pub fn lif_backward<B: Backend>(
    shape: LifShape,
    membrane: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    let LifShape { steps, constant, lif } = shape;
    let mut out = membrane.shape();
    let n = out.num_elements() / steps;
    let membrane = reshape::<B, 2>(membrane, [steps, n]);
    let grad = reshape::<B, 2>(grad, [steps, n]);
    let bools = get_device_settings::<B>(&membrane.device()).bool_dtype;
    let alpha = if lif.method == Method::Bpsta { lif.alpha } else { 0.0 };
    let mut next = zeros::<B, 2>(&grad, [1, n]);
    let mut rows = Vec::with_capacity(steps);
    for t in (0..steps).rev() {
        let (m, g) = (row::<B>(&membrane, t), row::<B>(&grad, t));
        let carried = B::float_mul_scalar(next, lif.decay.into());
        next = match lif.method {
            // h·g + λ·next·(1 - s - m·h), h the rectangle around the threshold
            Method::Stbp => {
                let distance = B::float_abs(B::float_sub_scalar(m.clone(), lif.threshold.into()));
                let far = B::float_greater_equal_elem(distance, 0.5.into(), bools);
                let fired = B::float_greater_elem(m.clone(), lif.threshold.into(), bools);
                let held = B::float_mask_fill(carried.clone(), fired, 0.0.into());
                let through = B::float_sub(g, B::float_mul(carried, m));
                B::float_add(held, B::float_mask_fill(through, far, 0.0.into()))
            }
            // fired: (g + λ·α·next)/m, silent: λ·next
            Method::Bpsa | Method::Bpsta => {
                let fired = B::float_greater_equal_elem(m.clone(), lif.threshold.into(), bools);
                let crossing = B::float_add(g, B::float_mul_scalar(carried.clone(), alpha.into()));
                B::float_mask_where(carried, fired, B::float_div(crossing, m))
            }
        };
        rows.push(next.clone());
    }
    rows.reverse();
    let all = B::float_cat(rows, 0);
    if constant {
        out[0] /= steps;
        return B::float_reshape(B::float_sum_dim(all, 0), out);
    }
    B::float_reshape(all, out)
}

/// Means over the middle axis.
pub fn mean<B: Backend>(s: MeanShape, x: FloatTensor<B>) -> FloatTensor<B> {
    let means = B::float_mean_dim(reshape::<B, 3>(x, [s.outer, s.among, s.inner]), 1);
    reshape::<B, 1>(means, [s.outer * s.inner])
}

/// Gradient of [`mean`].
pub fn mean_backward<B: Backend>(s: MeanShape, grad: FloatTensor<B>) -> FloatTensor<B> {
    let share = B::float_mul_scalar(grad, (1.0 / s.among as f64).into());
    let share = reshape::<B, 3>(share, [s.outer, 1, s.inner]);
    let all = B::float_expand(share, Shape::from([s.outer, s.among, s.inner]));
    reshape::<B, 1>(all, [s.outer * s.among * s.inner])
}

/// The weights of the currents of all steps in the potentials of all steps, `[T, T]`, or `[T, 1]` of a constant current: the
/// triangle of powers of λ.
fn triangle<B: Backend>(s: &IntegratorShape, device: &B::Device) -> FloatTensor<B> {
    let decay = f64::from(s.decay);
    let power = |t: usize, k: usize| if k <= t { decay.powi((t - k) as i32) } else { 0.0 };
    let present = if s.constant { 1 } else { s.steps };
    let weights: Vec<f32> = (0..s.steps)
        .flat_map(|t| {
            (0..present).map(move |k| {
                // A constant current enters at every step up to t.
                let sum: f64 =
                    if present == s.steps { power(t, k) } else { (0..=t).map(|k| power(t, k)).sum() };
                sum as f32
            })
        })
        .collect();
    B::float_from_data(TensorData::new(weights, [s.steps, present]), device)
}

/// Leaky integrators over all steps: a product with the triangle of powers of λ.
pub fn integrate<B: Backend>(s: IntegratorShape, current: FloatTensor<B>) -> FloatTensor<B> {
    B::float_matmul(triangle::<B>(&s, &current.device()), current)
}

/// Gradient of [`integrate`].
pub fn integrate_backward<B: Backend>(s: IntegratorShape, grad: FloatTensor<B>) -> FloatTensor<B> {
    B::float_matmul(B::float_permute(triangle::<B>(&s, &grad.device()), &[1, 0]), grad)
}

/// Running statistics moved on.
pub fn running<B: Backend>(s: RunningShape, running: FloatTensor<B>, new: FloatTensor<B>) -> FloatTensor<B> {
    let keep = 1.0 - s.momentum;
    let n = s.steps * s.repeats;
    // The last step weighs m, the one before m·(1-m), …; a repeated step carries the weights of all its turns.
    let weight_of_turn = |k: usize| s.momentum * keep.powi((n - 1 - k) as i32) * s.factor;
    let weights: Vec<f32> = (0..s.steps)
        .map(|t| (t * s.repeats..(t + 1) * s.repeats).map(weight_of_turn).sum::<f64>() as f32)
        .collect();
    let weights = B::float_from_data(TensorData::new(weights, [s.steps, 1]), &new.device());
    let seen = B::float_mul(reshape::<B, 2>(new, [s.steps, s.channels]), weights);
    let seen = reshape::<B, 1>(B::float_sum_dim(seen, 0), [s.channels]);
    B::float_add(B::float_mul_scalar(running, (keep.powi(n as i32) as f32).into()), seen)
}

/// The sum of all values or of their squares.
pub fn total<B: Backend>(squared: bool, x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_sum(if squared { B::float_mul(x.clone(), x) } else { x })
}

/// A step of AdamW.
pub fn adamw<B: Backend>(s: AdamWStep, tensors: [FloatTensor<B>; 4]) -> [FloatTensor<B>; 3] {
    let [value, grad, moment_1, moment_2] = tensors;
    let mixed = |moment, beta: f32, new| {
        let new = B::float_mul_scalar(new, (1.0 - beta).into());
        B::float_add(B::float_mul_scalar(moment, beta.into()), new)
    };
    let moment_1 = mixed(moment_1, s.betas[0], grad.clone());
    let moment_2 = mixed(moment_2, s.betas[1], B::float_mul(grad.clone(), grad));
    let size = B::float_sqrt(B::float_div_scalar(moment_2.clone(), s.corrections[1].into()));
    let towards = B::float_div_scalar(moment_1.clone(), s.corrections[0].into());
    let change = B::float_div(towards, B::float_add_scalar(size, s.eps.into()));
    let kept = B::float_mul_scalar(value, s.keep.into());
    [B::float_sub(kept, B::float_mul_scalar(change, s.rate.into())), moment_1, moment_2]
}

/// Height and width behind a pooling.
pub(super) fn pooled(s: &PoolShape) -> [usize; 2] {
    [s.height, s.width].map(|n| (n - s.kernel) / s.stride + 1)
}

/// Pooling.
pub fn pool<B: Backend>(kind: Pooling, s: PoolShape, x: FloatTensor<B>) -> FloatTensor<B> {
    let (kernel, stride) = ([s.kernel; 2], [s.stride; 2]);
    let x = channels_first::<B>(x);
    channels_last::<B>(match kind {
        Pooling::Max => B::max_pool2d(x, kernel, stride, [0, 0], [1, 1], false),
        Pooling::Average => B::avg_pool2d(x, kernel, stride, [0, 0], true, false),
    })
}

/// Gradient of [`pool`] for its input.
pub fn pool_backward<B: Backend>(
    kind: Pooling,
    s: PoolShape,
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    let (kernel, stride) = ([s.kernel; 2], [s.stride; 2]);
    let ints = get_device_settings::<B>(&x.device()).int_dtype;
    let (x, grad) = (channels_first::<B>(x), channels_first::<B>(grad));
    channels_last::<B>(match kind {
        Pooling::Max => {
            let of = B::max_pool2d_with_indices(x.clone(), kernel, stride, [0, 0], [1, 1], false, ints);
            B::max_pool2d_with_indices_backward(x, kernel, stride, [0, 0], [1, 1], false, grad, of.indices)
                .x_grad
        }
        Pooling::Average => B::avg_pool2d_backward(x, grad, kernel, stride, [0, 0], true, false),
    })
}
