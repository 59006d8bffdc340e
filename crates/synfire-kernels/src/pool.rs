//! Max and average pooling over square windows, without padding; an incomplete window at the edge is left out, as in
//! PyTorch.

use rayon::prelude::*;

use crate::isa::{Isa, multiversion};
use crate::lens;

/// How many channels of a window are looked at together when the place of the maximum is needed.
const LANES: usize = 64;

/// The shape of a pooling layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolShape {
    /// Frames, `T·B`.
    pub frames: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Channels of input and output.
    pub channels: usize,
    /// Side of the window.
    pub kernel: usize,
    /// Distance between windows; may be smaller than the side, so that windows overlap.
    pub stride: usize,
}

impl PoolShape {
    /// Height of the output.
    ///
    /// # Panics
    /// Where the window is empty or larger than the frame, or the stride is 0.
    pub fn out_height(&self) -> usize {
        self.out_len(self.height)
    }

    /// Width of the output.
    ///
    /// # Panics
    /// Where the window is empty or larger than the frame, or the stride is 0.
    pub fn out_width(&self) -> usize {
        self.out_len(self.width)
    }

    /// Values in the input.
    ///
    /// # Panics
    /// Where there are more than can be counted.
    pub fn input_len(&self) -> usize {
        lens::product(self, [self.frames, self.height, self.width, self.channels])
    }

    /// Values in the output.
    ///
    /// # Panics
    /// Where the window is empty or larger than the frame, the stride is 0, or there are more than can be counted.
    pub fn output_len(&self) -> usize {
        lens::product(self, [self.frames, self.out_height(), self.out_width(), self.channels])
    }

    fn out_len(&self, len: usize) -> usize {
        assert!(
            self.kernel > 0 && self.stride > 0,
            "pooling needs a window and a stride of at least 1: {self:?}"
        );
        assert!(self.kernel <= len, "the pooling window is larger than the frame: {self:?}");
        (len - self.kernel) / self.stride + 1
    }

    pub(crate) fn check(&self, input: usize, output: usize) {
        assert_eq!(input, self.input_len(), "pooling: length of the input side of {self:?}");
        assert_eq!(output, self.output_len(), "pooling: length of the output side of {self:?}");
    }

    /// Where the pixel `(y, x)` of a frame begins.
    fn at(&self, y: usize, x: usize) -> usize {
        (y * self.width + x) * self.channels
    }

    /// Calls `kernel(isa, self, input frame, output frame)` for every frame, in parallel.
    fn forward(
        &self,
        isa: Isa,
        kernel: fn(Isa, &PoolShape, &[f32], &mut [f32]),
        input: &[f32],
        output: &mut [f32],
    ) {
        self.check(input.len(), output.len());
        if output.is_empty() {
            return;
        }
        let (in_frame, out_frame) = (input.len() / self.frames, output.len() / self.frames);
        output
            .par_chunks_mut(out_frame)
            .zip(input.par_chunks(in_frame))
            .for_each(|(output, input)| kernel(isa, self, input, output));
    }
}

/// The largest value of each window.
///
/// ```text
/// input  [frames, height, width, channels]
/// output [frames, out_height, out_width, channels]
/// ```
///
/// A NaN in a window makes its output NaN.
///
/// # Panics
/// Where lengths do not fit the shape.
pub fn max_pool(isa: Isa, shape: &PoolShape, input: &[f32], output: &mut [f32]) {
    shape.forward(isa, max_frame, input, output);
}

multiversion! {
    fn max_frame(shape: &PoolShape, input: &[f32], output: &mut [f32]) {
        let c = shape.channels;
        let mut windows = output.chunks_exact_mut(c);
        for oy in 0..shape.out_height() {
            for (ox, out) in (0..shape.out_width()).zip(&mut windows) {
                for ky in 0..shape.kernel {
                    for kx in 0..shape.kernel {
                        let at = shape.at(oy * shape.stride + ky, ox * shape.stride + kx);
                        let values = &input[at..at + c];
                        if ky == 0 && kx == 0 {
                            out.copy_from_slice(values);
                        } else {
                            for (best, &x) in out.iter_mut().zip(values) {
                                *best = if beats(x, *best) { x } else { *best };
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Whether `x`, later in the window, replaces the best value so far. NaN replaces all, as in PyTorch.
#[inline(always)]
pub(crate) fn beats<T: PartialOrd>(x: T, best: T) -> bool {
    #[expect(clippy::eq_op, reason = "only NaN differs from itself")]
    let nan = x != x;
    (x > best) | nan
}

/// The error of the input of [`max_pool`]: each window's error goes to its largest value, of equal values to the
/// first in row-major order; where windows overlap, errors add up.
///
/// ```text
/// input       [frames, height, width, channels]
/// grad_output [frames, out_height, out_width, channels]
/// grad_input  [frames, height, width, channels]  written
/// ```
///
/// # Panics
/// Where lengths do not fit the shape.
pub fn max_pool_backward(
    isa: Isa,
    shape: &PoolShape,
    input: &[f32],
    grad_output: &[f32],
    grad_input: &mut [f32],
) {
    shape.check(input.len(), grad_output.len());
    shape.check(grad_input.len(), grad_output.len());
    if grad_output.is_empty() {
        grad_input.fill(0.0);
        return;
    }
    let (in_frame, out_frame) = (input.len() / shape.frames, grad_output.len() / shape.frames);
    grad_input
        .par_chunks_mut(in_frame)
        .zip(input.par_chunks(in_frame))
        .zip(grad_output.par_chunks(out_frame))
        .for_each(|((grad_input, input), grad_output)| {
            max_frame_backward(isa, shape, input, grad_output, grad_input);
        });
}

multiversion! {
    fn max_frame_backward(shape: &PoolShape, input: &[f32], grad_output: &[f32], grad_input: &mut [f32]) {
        let c = shape.channels;
        let k = shape.kernel;
        let mut windows = grad_output.chunks_exact(c);
        grad_input.fill(0.0);
        for oy in 0..shape.out_height() {
            for (ox, grads) in (0..shape.out_width()).zip(&mut windows) {
                for (block, grads) in grads.chunks(LANES).enumerate() {
                    let n = grads.len();
                    let at = |ky: usize, kx: usize| {
                        shape.at(oy * shape.stride + ky, ox * shape.stride + kx) + block * LANES
                    };
                    let mut best = [0.0; LANES];
                    let mut place = [0; LANES];
                    let (best, place) = (&mut best[..n], &mut place[..n]);
                    best.copy_from_slice(&input[at(0, 0)..at(0, 0) + n]);
                    for j in 1..k * k {
                        let from = at(j / k, j % k);
                        let values = &input[from..from + n];
                        for i in 0..n {
                            let wins = beats(values[i], best[i]);
                            best[i] = if wins { values[i] } else { best[i] };
                            place[i] = if wins { j as u32 } else { place[i] };
                        }
                    }
                    for j in 0..k * k {
                        let from = at(j / k, j % k);
                        let errors = &mut grad_input[from..from + n];
                        for i in 0..n {
                            errors[i] += if place[i] == j as u32 { grads[i] } else { 0.0 };
                        }
                    }
                }
            }
        }
    }
}

/// The mean of each window.
///
/// ```text
/// input  [frames, height, width, channels]
/// output [frames, out_height, out_width, channels]
/// ```
///
/// # Panics
/// Where lengths do not fit the shape.
pub fn avg_pool(isa: Isa, shape: &PoolShape, input: &[f32], output: &mut [f32]) {
    shape.forward(isa, avg_frame, input, output);
}

multiversion! {
    fn avg_frame(shape: &PoolShape, input: &[f32], output: &mut [f32]) {
        let c = shape.channels;
        let area = (shape.kernel * shape.kernel) as f32;
        let mut windows = output.chunks_exact_mut(c);
        for oy in 0..shape.out_height() {
            for (ox, out) in (0..shape.out_width()).zip(&mut windows) {
                out.fill(0.0);
                for ky in 0..shape.kernel {
                    for kx in 0..shape.kernel {
                        let at = shape.at(oy * shape.stride + ky, ox * shape.stride + kx);
                        for (sum, x) in out.iter_mut().zip(&input[at..at + c]) {
                            *sum += x;
                        }
                    }
                }
                for sum in out {
                    *sum /= area;
                }
            }
        }
    }
}

/// The error of the input of [`avg_pool`]: each window's error is shared equally; where windows overlap, shares add
/// up.
///
/// ```text
/// grad_output [frames, out_height, out_width, channels]
/// grad_input  [frames, height, width, channels]  written
/// ```
///
/// # Panics
/// Where lengths do not fit the shape.
pub fn avg_pool_backward(isa: Isa, shape: &PoolShape, grad_output: &[f32], grad_input: &mut [f32]) {
    shape.check(grad_input.len(), grad_output.len());
    if grad_output.is_empty() {
        grad_input.fill(0.0);
        return;
    }
    let (in_frame, out_frame) = (grad_input.len() / shape.frames, grad_output.len() / shape.frames);
    grad_input
        .par_chunks_mut(in_frame)
        .zip(grad_output.par_chunks(out_frame))
        .for_each(|(grad_input, grad_output)| avg_frame_backward(isa, shape, grad_output, grad_input));
}

multiversion! {
    fn avg_frame_backward(shape: &PoolShape, grad_output: &[f32], grad_input: &mut [f32]) {
        let c = shape.channels;
        let area = (shape.kernel * shape.kernel) as f32;
        let mut windows = grad_output.chunks_exact(c);
        grad_input.fill(0.0);
        for oy in 0..shape.out_height() {
            for (ox, grads) in (0..shape.out_width()).zip(&mut windows) {
                for ky in 0..shape.kernel {
                    for kx in 0..shape.kernel {
                        let at = shape.at(oy * shape.stride + ky, ox * shape.stride + kx);
                        for (error, g) in grad_input[at..at + c].iter_mut().zip(grads) {
                            *error += g / area;
                        }
                    }
                }
            }
        }
    }
}
