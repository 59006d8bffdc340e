//! The kernels on arrays, for modules of PyTorch: contiguous `float32`, channels last. Lengths are checked here, since the kernels
//! panic where they do not fit.

use crate::arrays::{In, InOut, Out, Typed};
use crate::error::{raise, value};
use crate::events::zeros;
use crate::threads::Work;
use numpy::{IntoPyArray, Ix1};
use pyo3::prelude::*;
use synfire_kernels::bf16::Precision;
use synfire_kernels::block::{self, BlockShape, Pool};
use synfire_kernels::conv::{self, ConvShape};
use synfire_kernels::isa::Isa;
use synfire_kernels::neuron::{self, Lif, Method};
use synfire_kernels::norm::{self, Normalisation};

type Floats<'py> = In<'py, f32, Ix1>;
type Made<'py> = Out<'py, f32, Ix1>;

/// Checks that so many values are there.
fn check(name: &str, found: usize, expected: usize) -> PyResult<()> {
    match found == expected {
        true => Ok(()),
        false => Err(value(format!("{name} has {found} values, expected {expected}"))),
    }
}

/// Checks that so many values are time steps of the same size.
fn check_steps(len: usize, steps: usize) -> PyResult<()> {
    match steps > 0 && len.is_multiple_of(steps) {
        true => Ok(()),
        false => Err(value(format!("{len} values are not {steps} time steps of the same size"))),
    }
}

/// A product of sizes that can be counted.
fn product(sizes: &[usize]) -> PyResult<usize> {
    let len = sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    len.filter(|len| *len <= isize::MAX as usize / 8)
        .ok_or_else(|| value(format!("sizes {sizes:?} are too large")))
}

/// A neuron's method, threshold, decay and alpha.
type Neuron<'a> = (&'a str, f32, f32, f32);

fn lif_of((method, threshold, decay, alpha): Neuron<'_>) -> PyResult<Lif> {
    let method = method.parse::<Method>().map_err(raise)?;
    let lif = Lif { method, threshold, decay, alpha };
    lif.validate().map_err(raise)?;
    Ok(lif)
}

/// Writes spikes and membrane potentials of all steps: where memory is all the work, it is not filled with zeros first.
#[pyfunction]
pub(crate) fn lif_forward(
    py: Python<'_>,
    current: Floats<'_>,
    mut spikes: InOut<'_, f32, Ix1>,
    mut membrane: InOut<'_, f32, Ix1>,
    steps: usize,
    neuron: Neuron<'_>,
) -> PyResult<()> {
    let (lif, current) = (lif_of(neuron)?, current.as_slice()?);
    let (spikes, membrane) = (spikes.as_slice_mut()?, membrane.as_slice_mut()?);
    check_steps(current.len(), steps)?;
    check("the spikes", spikes.len(), current.len())?;
    check("the membrane potential", membrane.len(), current.len())?;
    py.work(|| neuron::lif(Isa::detect(), &lif, steps, current, spikes, membrane));
    Ok(())
}

/// Writes the error of the current.
#[pyfunction]
pub(crate) fn lif_backward(
    py: Python<'_>,
    membrane: Floats<'_>,
    grad: Floats<'_>,
    mut out: InOut<'_, f32, Ix1>,
    steps: usize,
    neuron: Neuron<'_>,
) -> PyResult<()> {
    let (lif, membrane, grad) = (lif_of(neuron)?, membrane.as_slice()?, grad.as_slice()?);
    let out = out.as_slice_mut()?;
    check_steps(membrane.len(), steps)?;
    check("the error", grad.len(), membrane.len())?;
    check("the error of the current", out.len(), membrane.len())?;
    py.work(|| neuron::lif_backward(Isa::detect(), &lif, steps, membrane, grad, out));
    Ok(())
}

/// Frames, height, width, channels in and out, side of the kernel, stride, and whether values are rounded to bf16.
type Conv = (usize, usize, usize, usize, usize, usize, usize, bool);

fn conv_shape((frames, height, width, inputs, outputs, kernel, stride, bf16): Conv) -> PyResult<ConvShape> {
    if kernel.is_multiple_of(2) || stride == 0 {
        return Err(value(format!(
            "a kernel of {kernel} and a stride of {stride}; expected an odd kernel and a stride of 1 or more"
        )));
    }
    product(&[frames, height, width, inputs.max(outputs)])?;
    product(&[inputs, outputs, kernel, kernel])?;
    if [frames, height, width, inputs, outputs].contains(&0) {
        return Err(value("an empty convolution"));
    }
    Ok(ConvShape {
        frames,
        height,
        width,
        in_channels: inputs,
        out_channels: outputs,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 2],
        groups: 1,
        precision: if bf16 { Precision::Bf16 } else { Precision::F32 },
    })
}

#[pyfunction]
pub(crate) fn conv_forward<'py>(
    py: Python<'py>,
    x: Floats<'py>,
    weight: Floats<'py>,
    bias: Floats<'py>,
    shape: Conv,
) -> PyResult<Made<'py>> {
    let (s, x, weight, bias) = (conv_shape(shape)?, x.as_slice()?, weight.as_slice()?, bias.as_slice()?);
    check("the input", x.len(), s.input_len())?;
    check("the weight", weight.len(), s.weight_len())?;
    check("the bias", bias.len(), s.out_channels)?;
    let mut y = zeros(&[s.output_len()])?;
    py.work(|| conv::conv2d(Isa::detect(), &s, x, weight, Some(bias), &mut y));
    Ok(Typed(y.into_pyarray(py)))
}

/// The errors of the input, where wanted, of the weight and of the bias. Where the input is `spikes` of neurons that do not hear the
/// error of a spike that they did not fire, that is left out.
#[pyfunction]
pub(crate) fn conv_backward<'py>(
    py: Python<'py>,
    x: Floats<'py>,
    weight: Floats<'py>,
    grad: Floats<'py>,
    shape: Conv,
    input: bool,
    spikes: bool,
) -> PyResult<(Option<Made<'py>>, Made<'py>, Made<'py>)> {
    let (s, x, weight, grad) = (conv_shape(shape)?, x.as_slice()?, weight.as_slice()?, grad.as_slice()?);
    check("the input", x.len(), s.input_len())?;
    check("the weight", weight.len(), s.weight_len())?;
    check("the error", grad.len(), s.output_len())?;
    let mut grad_x = if input { Some(zeros(&[s.input_len()])?) } else { None };
    let (mut grad_weight, mut grad_bias) = (zeros(&[s.weight_len()])?, zeros(&[s.out_channels])?);
    py.work(|| {
        let isa = Isa::detect();
        if let Some(grad_x) = &mut grad_x {
            conv::conv2d_input_grad(isa, &s, grad, weight, spikes.then_some(x), grad_x);
        }
        conv::conv2d_weight_grad(isa, &s, x, grad, &mut grad_weight);
        conv::bias_grad(isa, s.out_channels, grad, &mut grad_bias);
    });
    Ok((
        grad_x.map(|grad| Typed(grad.into_pyarray(py))),
        Typed(grad_weight.into_pyarray(py)),
        Typed(grad_bias.into_pyarray(py)),
    ))
}

/// Steps, batch, height, width, channels, whether all steps are normalised together, and the pooling's kind and side.
type Block<'a> = (usize, usize, usize, usize, usize, bool, &'a str, usize);

fn block_shape(
    (steps, batch, height, width, channels, joint, pool, side): Block<'_>,
) -> PyResult<BlockShape> {
    let pool = match pool {
        "none" => Pool::None,
        "max" => Pool::Max(side),
        "average" => Pool::Average(side),
        other => return Err(value(format!("unknown pooling {other:?}, expected none, max or average"))),
    };
    product(&[steps, batch, height, width, channels])?;
    if [steps, batch, height, width, channels].contains(&0) {
        return Err(value("an empty block"));
    }
    if pool != Pool::None && !(1..=height.min(width)).contains(&side) {
        return Err(value(format!("a pooling window of {side}x{side} on frames of {height}x{width}")));
    }
    Ok(BlockShape { steps, batch, height, width, channels, constant: false, joint, pool })
}

/// Mean and biased variance of each channel, for each of the statistics that the block has.
#[pyfunction]
pub(crate) fn block_statistics<'py>(
    py: Python<'py>,
    z: Floats<'py>,
    shape: Block<'_>,
) -> PyResult<(Made<'py>, Made<'py>)> {
    let (s, z) = (block_shape(shape)?, z.as_slice()?);
    check("the input", z.len(), s.input_len())?;
    let n = s.norm().statistics();
    let (mut mean, mut variance) = (zeros(&[n])?, zeros(&[n])?);
    py.work(|| norm::statistics(Isa::detect(), &s.norm(), z, &mut mean, &mut variance));
    Ok((Typed(mean.into_pyarray(py)), Typed(variance.into_pyarray(py))))
}

/// Mean, variance, scale and shift of the batch norm, what is added to the variance, and whether a ReLU stands behind it.
type Norm<'py> = (Floats<'py>, Floats<'py>, Floats<'py>, Floats<'py>, f32, bool);

fn normalisation<'a>(
    (mean, var, gamma, beta, eps, relu): &'a Norm<'_>,
    s: &BlockShape,
) -> PyResult<Normalisation<'a>> {
    let (mean, var, gamma, beta) = (mean.as_slice()?, var.as_slice()?, gamma.as_slice()?, beta.as_slice()?);
    check("the mean", mean.len(), s.norm().statistics())?;
    check("the variance", var.len(), s.norm().statistics())?;
    check("the scale", gamma.len(), s.channels)?;
    check("the shift", beta.len(), s.channels)?;
    Ok(Normalisation { mean, var, gamma, beta, eps: *eps, relu: *relu, others: None })
}

/// Batch norm, ReLU, neurons and pooling.
#[pyfunction]
pub(crate) fn block_forward<'py>(
    py: Python<'py>,
    z: Floats<'py>,
    norm: Norm<'py>,
    shape: Block<'_>,
    neuron: Neuron<'_>,
) -> PyResult<Made<'py>> {
    let (s, lif, z) = (block_shape(shape)?, lif_of(neuron)?, z.as_slice()?);
    check("the input", z.len(), s.input_len())?;
    let norm = normalisation(&norm, &s)?;
    let mut y = zeros(&[s.output_len()])?;
    py.work(|| block::block(Isa::detect(), &s, &lif, &norm, z, &mut y));
    Ok(Typed(y.into_pyarray(py)))
}

/// The errors of the input, the scale and the shift.
#[pyfunction]
pub(crate) fn block_backward<'py>(
    py: Python<'py>,
    z: Floats<'py>,
    norm: Norm<'py>,
    grad: Floats<'py>,
    shape: Block<'_>,
    neuron: Neuron<'_>,
) -> PyResult<(Made<'py>, Made<'py>, Made<'py>)> {
    let (s, lif, z, grad) = (block_shape(shape)?, lif_of(neuron)?, z.as_slice()?, grad.as_slice()?);
    check("the input", z.len(), s.input_len())?;
    check("the error", grad.len(), s.output_len())?;
    let norm = normalisation(&norm, &s)?;
    let mut grad_z = z.to_vec();
    let (mut gamma, mut beta) = (zeros(&[s.channels])?, zeros(&[s.channels])?);
    py.work(|| {
        block::block_backward(Isa::detect(), &s, &lif, &norm, &mut grad_z, grad, &mut gamma, &mut beta);
    });
    Ok((Typed(grad_z.into_pyarray(py)), Typed(gamma.into_pyarray(py)), Typed(beta.into_pyarray(py))))
}
