//! What the tests share: reproducible numbers, comparisons that NaN cannot pass, tensors, and real files.

#![allow(dead_code, reason = "every test file uses some of it")]

pub(crate) mod runs;

use burn::tensor::{Device, Tensor, TensorData};
use synfire::net::{Input, Net, Pass, Plan};
use synfire::ops::{Lif, Method};

/// Numbers from -1 to 1, a hash of seed and place.
pub(crate) fn random(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    // The first numbers still show the seed.
    for _ in 0..8 {
        step(&mut state);
    }
    (0..n).map(|_| (step(&mut state) >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn step(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Zeros and ones, about one in `one_in` a one.
pub(crate) fn spikes(seed: u64, n: usize, one_in: u32) -> Vec<f32> {
    let least = 1.0 - 2.0 / one_in as f32;
    random(seed, n).into_iter().map(|x| if x >= least { 1.0 } else { 0.0 }).collect()
}

pub(crate) fn tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.inner().into_data().try_into_vec::<f32>().unwrap()
}

/// The largest absolute value.
pub(crate) fn largest(x: &[f32]) -> f64 {
    x.iter().fold(0.0, |m, v| f64::max(m, f64::from(v.abs())))
}

/// Whether the largest difference is at most `tolerance`. NaN agrees with nothing.
pub(crate) fn within(found: &[f32], expected: &[f32], tolerance: f64) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!("found {} values, expected {}", found.len(), expected.len()));
    }
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let close = f64::from((found - expected).abs()) <= tolerance;
        if !close {
            return Err(format!("value {i}: found {found}, expected {expected} within {tolerance:e}"));
        }
    }
    Ok(())
}

/// Asserts that values agree within `tolerance` of the largest expected one.
#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f64) {
    if let Err(error) = within(found, expected, tolerance * largest(expected)) {
        panic!("{what}: {error}");
    }
}

/// Asserts that `gradient` is the slope of `loss` at `x`, by central differences of width `step`, within
/// `tolerance` of the largest slope.
#[track_caller]
pub(crate) fn assert_slopes(
    what: &str,
    x: &[f32],
    gradient: &[f32],
    (step, tolerance): (f32, f64),
    mut loss: impl FnMut(&[f32]) -> f64,
) {
    let mut at = x.to_vec();
    let slopes: Vec<f32> = (0..x.len())
        .map(|i| {
            let (above, below) = (x[i] + step, x[i] - step);
            at[i] = above;
            let up = loss(&at);
            at[i] = below;
            let down = loss(&at);
            at[i] = x[i];
            ((up - down) / f64::from(above - below)) as f32
        })
        .collect();
    assert_close(what, gradient, &slopes, tolerance);
}

/// Σ a·b in double precision.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

pub(crate) fn lif(method: Method, threshold: f32) -> Lif {
    Lif { method, threshold, ..Lif::default() }
}

/// A network from a layer string.
pub(crate) fn net(layers: &str, input: [usize; 3], classes: usize, relu: bool, lif: Lif, seed: u64) -> Net {
    let plan = Plan::new(&layers.parse().unwrap(), input, classes, relu).unwrap();
    Net::new(plan, lif, seed, &Device::flex())
}

/// Readout `[T·B·classes]` and the gradient of `Σ readout·error` for each parameter.
pub(crate) fn gradients(
    net: &mut Net,
    input: Input,
    error: &[f32],
    pass: &mut Pass,
) -> (Vec<f32>, Vec<Vec<f32>>) {
    net.track();
    let readout = net.forward(input, pass);
    let error = tensor(error, readout.dims());
    let found = (readout.clone() * error).sum().backward();
    (values(readout), net.take_gradients(&found).into_iter().map(values).collect())
}

/// Channels, height and width of a small image.
pub(crate) const INPUT: [usize; 3] = [2, 7, 6];
/// Time steps.
pub(crate) const STEPS: usize = 4;
/// Samples.
pub(crate) const BATCH: usize = 3;

/// Images without negative values, `[B, C, H, W]`.
pub(crate) fn images(seed: u64) -> Tensor<4> {
    tensor(&random(seed, BATCH * 84), [BATCH, 2, 7, 6]).abs()
}

/// Frames `[T, B, C, H, W]`.
pub(crate) fn frames(seed: u64) -> Tensor<5> {
    tensor(&random(seed, STEPS * BATCH * 84), [STEPS, BATCH, 2, 7, 6])
}
