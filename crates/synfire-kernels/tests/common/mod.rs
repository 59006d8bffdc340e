//! What the tests share: random numbers that are the same every time, and a comparison that NaN cannot pass.

#![allow(dead_code, reason = "every test file uses some of it")]

use synfire_kernels::bf16::Precision;
use synfire_kernels::conv::ConvShape;

/// A small convolution, no size of which divides another.
pub(crate) const SMALL: ConvShape = ConvShape {
    frames: 2,
    height: 3,
    width: 4,
    in_channels: 3,
    out_channels: 17,
    kernel: [3, 3],
    stride: [1, 1],
    padding: [1, 1],
    groups: 1,
    precision: Precision::F32,
};

/// Numbers from -1 to 1, a hash of seed and place.
pub(crate) fn random(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

pub(crate) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

pub(crate) fn magnitudes(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(x.abs())).collect()
}

/// Memory for a result, filled with something that no test accepts.
pub(crate) fn unwritten(n: usize) -> Vec<f32> {
    vec![f32::NAN; n]
}

/// Whether all values agree within `tolerance(i)`. NaN agrees with nothing.
pub(crate) fn agree(found: &[f32], expected: &[f64], tolerance: impl Fn(usize) -> f64) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!("found {} values, expected {}", found.len(), expected.len()));
    }
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(*found) - expected).abs();
        let tolerance = tolerance(i);
        let within = difference <= tolerance;
        if !within {
            return Err(format!("value {i}: found {found}, expected {expected} within {tolerance}"));
        }
    }
    Ok(())
}

/// Asserts that values agree within `tolerance·(1 + |expected|)`.
#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    if let Err(error) = agree(found, expected, |i| tolerance * (1.0 + expected[i].abs())) {
        panic!("{what}: {error}");
    }
}

/// Asserts that `gradient` is that of `loss` at `x`, by central differences.
#[track_caller]
pub(crate) fn assert_gradient(what: &str, x: &[f64], gradient: &[f64], loss: impl Fn(&[f64]) -> f64) {
    assert_eq!(x.len(), gradient.len(), "{what}");
    let mut at = x.to_vec();
    for i in 0..x.len() {
        let mut value = |d: f64| {
            at[i] = x[i] + d;
            let value = loss(&at);
            at[i] = x[i];
            value
        };
        let step = 1e-5;
        let slope = (value(step) - value(-step)) / (2.0 * step);
        let difference = (slope - gradient[i]).abs();
        assert!(
            difference <= 1e-6 * (1.0 + slope.abs()),
            "{what}: gradient {i} is {}, the slope is {slope}",
            gradient[i]
        );
    }
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
