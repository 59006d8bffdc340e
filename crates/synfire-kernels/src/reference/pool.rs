//! Pooling.

use crate::pool::{PoolShape, beats};

/// Calls `visit(output index, input indices of its window in row-major order)` for every output.
fn for_each_window(shape: &PoolShape, mut visit: impl FnMut(usize, &[usize])) {
    let PoolShape { frames, height, width, channels, kernel, stride } = *shape;
    let mut output = 0;
    let mut window = Vec::with_capacity(kernel * kernel);
    for frame in 0..frames {
        for oy in 0..shape.out_height() {
            for ox in 0..shape.out_width() {
                for c in 0..channels {
                    window.clear();
                    for ky in 0..kernel {
                        for kx in 0..kernel {
                            let (y, x) = (oy * stride + ky, ox * stride + kx);
                            window.push(((frame * height + y) * width + x) * channels + c);
                        }
                    }
                    visit(output, &window);
                    output += 1;
                }
            }
        }
    }
}

/// The index of the largest value of a window, of equal ones the first; NaN counts as larger than all.
fn largest(input: &[f64], window: &[usize]) -> usize {
    window[1..].iter().fold(window[0], |best, &i| if beats(input[i], input[best]) { i } else { best })
}

/// See [`crate::pool::max_pool`].
pub fn max_pool(shape: &PoolShape, input: &[f64], output: &mut [f64]) {
    for_each_window(shape, |o, window| output[o] = input[largest(input, window)]);
}

/// See [`crate::pool::max_pool_backward`].
pub fn max_pool_backward(shape: &PoolShape, input: &[f64], grad_output: &[f64], grad_input: &mut [f64]) {
    grad_input.fill(0.0);
    for_each_window(shape, |o, window| grad_input[largest(input, window)] += grad_output[o]);
}

/// See [`crate::pool::avg_pool`].
pub fn avg_pool(shape: &PoolShape, input: &[f64], output: &mut [f64]) {
    for_each_window(shape, |o, window| {
        output[o] = window.iter().map(|&i| input[i]).sum::<f64>() / window.len() as f64;
    });
}

/// See [`crate::pool::avg_pool_backward`].
pub fn avg_pool_backward(shape: &PoolShape, grad_output: &[f64], grad_input: &mut [f64]) {
    grad_input.fill(0.0);
    for_each_window(shape, |o, window| {
        for &i in window {
            grad_input[i] += grad_output[o] / window.len() as f64;
        }
    });
}
