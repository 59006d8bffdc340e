//! Pooling: a unit is a value of the output forward, of the input backward.

use super::tensors::{contiguous, converted, cubes, element, empty, len};
use crate::ops::{PoolShape, Pooling, portable};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Sizes of frames before and behind.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Frames {
    height: usize,
    width: usize,
    channels: usize,
    out_height: usize,
    out_width: usize,
}

/// What does not change from call to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Window {
    side: usize,
    stride: usize,
    max: bool,
}

#[cube(launch)]
fn pool_kernel<F: Float>(
    x: &[F],
    out: &mut [F],
    values: usize,
    s: Frames,
    #[comptime] window: Window,
    #[define(F)] _element: ElemType,
) {
    let place = ABSOLUTE_POS;
    if place < values {
        let channel = place % s.channels;
        let pixel = place / s.channels;
        let left = pixel % s.out_width * window.stride;
        let row = pixel / s.out_width;
        let top = row % s.out_height * window.stride;
        let frame = row / s.out_height;
        let first = ((frame * s.height + top) * s.width + left) * s.channels + channel;
        let mut found = 0.0f32;
        if comptime!(window.max) {
            found = f32::cast_from(x[first]);
        }
        for dy in 0..window.side {
            for dx in 0..window.side {
                let value = f32::cast_from(x[first + (dy * s.width + dx) * s.channels]);
                if comptime!(window.max) {
                    found = select(value > found, value, found);
                } else {
                    found += value;
                }
            }
        }
        if comptime!(!window.max) {
            found /= comptime!((window.side * window.side) as f32);
        }
        out[place] = F::cast_from(found);
    }
}

/// Whether of all values of the window of frame `frame` at `top`, `left`, that at `y`, `x` is the first largest.
#[cube]
fn is_first_largest<F: Float>(
    values: &[F],
    s: &Frames,
    first: usize,
    place: usize,
    #[comptime] window: Window,
) -> bool {
    let own = f32::cast_from(values[place]);
    let mut largest = true;
    for dy in 0..window.side {
        for dx in 0..window.side {
            let other = first + (dy * s.width + dx) * s.channels;
            let value = f32::cast_from(values[other]);
            if value > own || (value == own && other < place) {
                largest = false;
            }
        }
    }
    largest
}

#[cube(launch)]
fn pool_backward_kernel<F: Float>(
    x: &[F],
    grad: &[F],
    out: &mut [F],
    values: usize,
    s: Frames,
    #[comptime] window: Window,
    #[define(F)] _element: ElemType,
) {
    let place = ABSOLUTE_POS;
    if place < values {
        let channel = place % s.channels;
        let pixel = place / s.channels;
        let column = pixel % s.width;
        let rest = pixel / s.width;
        let row = rest % s.height;
        let frame = rest / s.height;
        let mut sum = 0.0f32;
        // The windows that this value is in begin at most a side before it.
        let last_y = row / window.stride;
        let last_x = column / window.stride;
        let each = comptime!(window.side.div_ceil(window.stride));
        for back_y in 0..each {
            for back_x in 0..each {
                if back_y <= last_y && back_x <= last_x {
                    let oy = last_y - back_y;
                    let ox = last_x - back_x;
                    let top = oy * window.stride;
                    let left = ox * window.stride;
                    let inside = row < top + window.side && column < left + window.side;
                    if inside && oy < s.out_height && ox < s.out_width {
                        let of = ((frame * s.out_height + oy) * s.out_width + ox) * s.channels + channel;
                        let error = f32::cast_from(grad[of]);
                        if comptime!(window.max) {
                            let first = ((frame * s.height + top) * s.width + left) * s.channels + channel;
                            if is_first_largest::<F>(x, &s, first, place, window) {
                                sum += error;
                            }
                        } else {
                            sum += error / comptime!((window.side * window.side) as f32);
                        }
                    }
                }
            }
        }
        out[place] = F::cast_from(sum);
    }
}

fn sizes(kind: Pooling, s: &PoolShape) -> (FramesLaunch, Window) {
    let [out_height, out_width] = portable::pooled(s);
    let window = Window { side: s.kernel, stride: s.stride, max: kind == Pooling::Max };
    (FramesLaunch::new(s.height, s.width, s.channels, out_height, out_width), window)
}

/// [`SpikeKernels::pool_forward`](crate::ops::SpikeKernels::pool_forward).
pub(super) fn forward(kind: Pooling, s: PoolShape, x: CubeTensor) -> CubeTensor {
    let x = contiguous(x);
    let [h, w] = portable::pooled(&s);
    let out = empty(&x, [s.frames, h, w, s.channels], x.dtype);
    let (frames, window) = sizes(kind, &s);
    let (count, dim) = cubes(&out, len(&out));
    let (client, of) = (x.client.clone(), element(&x));
    pool_kernel::launch(
        &client,
        count,
        dim,
        x.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        len(&out),
        frames,
        window,
        of,
    );
    out
}

/// [`SpikeKernels::pool_backward`](crate::ops::SpikeKernels::pool_backward).
pub(super) fn backward(kind: Pooling, s: PoolShape, x: CubeTensor, grad: CubeTensor) -> CubeTensor {
    let grad = contiguous(converted(grad, x.dtype));
    let x = contiguous(x);
    let out = empty(&x, [s.frames, s.height, s.width, s.channels], x.dtype);
    let (frames, window) = sizes(kind, &s);
    let (count, dim) = cubes(&out, len(&out));
    let (client, of) = (x.client.clone(), element(&x));
    pool_backward_kernel::launch(
        &client,
        count,
        dim,
        x.into_buffer_arg(),
        grad.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        len(&out),
        frames,
        window,
        of,
    );
    out
}
