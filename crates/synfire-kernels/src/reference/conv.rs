//! Convolution and linear layers.

use crate::conv::ConvShape;

/// Calls `visit(input index, weight index, output index)` for every multiplication of a convolution.
fn for_each_product(shape: &ConvShape, mut visit: impl FnMut(usize, usize, usize)) {
    let (oh, ow) = (shape.out_height(), shape.out_width());
    let (in_group, out_group) = (shape.in_channels / shape.groups, shape.out_channels / shape.groups);
    let [kh, kw] = shape.kernel;
    for frame in 0..shape.frames {
        for oy in 0..oh {
            for ox in 0..ow {
                for ky in 0..kh {
                    for kx in 0..kw {
                        // Rows and columns of the padding are below 0 or past the end.
                        let y = (oy * shape.stride[0] + ky).wrapping_sub(shape.padding[0]);
                        let x = (ox * shape.stride[1] + kx).wrapping_sub(shape.padding[1]);
                        if y >= shape.height || x >= shape.width {
                            continue;
                        }
                        let input = ((frame * shape.height + y) * shape.width + x) * shape.in_channels;
                        let output = ((frame * oh + oy) * ow + ox) * shape.out_channels;
                        for o in 0..shape.out_channels {
                            for i in 0..in_group {
                                let weight = ((o * in_group + i) * kh + ky) * kw + kx;
                                visit(input + o / out_group * in_group + i, weight, output + o);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// See [`crate::conv::conv2d`].
pub fn conv2d(shape: &ConvShape, input: &[f64], weight: &[f64], bias: Option<&[f64]>, output: &mut [f64]) {
    for row in output.chunks_exact_mut(shape.out_channels.max(1)) {
        match bias {
            Some(bias) => row.copy_from_slice(bias),
            None => row.fill(0.0),
        }
    }
    for_each_product(shape, |i, w, o| output[o] += input[i] * weight[w]);
}

/// See [`crate::conv::conv2d_input_grad`].
pub fn conv2d_input_grad(shape: &ConvShape, grad_output: &[f64], weight: &[f64], grad_input: &mut [f64]) {
    grad_input.fill(0.0);
    for_each_product(shape, |i, w, o| grad_input[i] += grad_output[o] * weight[w]);
}

/// See [`crate::conv::conv2d_weight_grad`].
pub fn conv2d_weight_grad(shape: &ConvShape, input: &[f64], grad_output: &[f64], grad_weight: &mut [f64]) {
    grad_weight.fill(0.0);
    for_each_product(shape, |i, w, o| grad_weight[w] += input[i] * grad_output[o]);
}

/// See [`crate::conv::bias_grad`].
pub fn bias_grad(channels: usize, grad_output: &[f64], grad_bias: &mut [f64]) {
    grad_bias.fill(0.0);
    for row in grad_output.chunks_exact(channels) {
        row.iter().zip(&mut *grad_bias).for_each(|(g, sum)| *sum += g);
    }
}

/// See [`crate::linear::linear`].
pub fn linear(
    rows: usize,
    inputs: usize,
    outputs: usize,
    x: &[f64],
    weight: &[f64],
    bias: Option<&[f64]>,
    y: &mut [f64],
) {
    for r in 0..rows {
        for o in 0..outputs {
            let products = (0..inputs).map(|i| x[r * inputs + i] * weight[o * inputs + i]);
            y[r * outputs + o] = bias.map_or(0.0, |bias| bias[o]) + products.sum::<f64>();
        }
    }
}

/// See [`crate::linear::linear_input_grad`].
pub fn linear_input_grad(
    rows: usize,
    inputs: usize,
    outputs: usize,
    grad_y: &[f64],
    weight: &[f64],
    grad_x: &mut [f64],
) {
    for r in 0..rows {
        for i in 0..inputs {
            grad_x[r * inputs + i] =
                (0..outputs).map(|o| grad_y[r * outputs + o] * weight[o * inputs + i]).sum();
        }
    }
}

/// See [`crate::linear::linear_weight_grad`].
pub fn linear_weight_grad(
    rows: usize,
    inputs: usize,
    outputs: usize,
    x: &[f64],
    grad_y: &[f64],
    grad_w: &mut [f64],
) {
    for o in 0..outputs {
        for i in 0..inputs {
            grad_w[o * inputs + i] = (0..rows).map(|r| grad_y[r * outputs + o] * x[r * inputs + i]).sum();
        }
    }
}
