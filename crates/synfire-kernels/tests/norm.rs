//! Batch norm against the reference, on every instruction set.

mod common;

use common::{assert_close, random, unwritten, wide};
use proptest::prelude::*;
use synfire_kernels::isa::Isa;
use synfire_kernels::norm::{NormShape, batch_norm, batch_norm_backward};
use synfire_kernels::reference;

const EPS: f32 = 1e-5;

/// Input whose channels have different means, up to `offset`, and scales.
fn input(shape: &NormShape, offset: f32) -> Vec<f32> {
    let spread = random(2, shape.channels);
    random(1, shape.values())
        .iter()
        .enumerate()
        .map(|(i, x)| x * (1.0 + spread[i % shape.channels]) + offset * spread[i % shape.channels])
        .collect()
}

#[track_caller]
fn check(shape: NormShape, offset: f32, tolerance: f64) {
    let x = input(&shape, offset);
    let (gamma, beta) = (random(3, shape.channels), random(4, shape.channels));
    let (statistics, values) = (shape.statistics(), shape.values());
    let (x64, gamma64, beta64) = (wide(&x), wide(&gamma), wide(&beta));
    for relu in [false, true] {
        let eps = f64::from(EPS);
        let (mut mean64, mut var64, mut y64) =
            (vec![0.0; statistics], vec![0.0; statistics], vec![0.0; values]);
        reference::batch_norm(&shape, &x64, &gamma64, &beta64, eps, relu, &mut mean64, &mut var64, &mut y64);
        for isa in Isa::available() {
            let what = |name: &str| format!("{name} of {shape:?}, relu {relu}, on {isa}");
            let (mut mean, mut var, mut y) =
                (unwritten(statistics), unwritten(statistics), unwritten(values));
            batch_norm(isa, &shape, &x, &gamma, &beta, EPS, relu, &mut mean, &mut var, &mut y);
            assert_close(&what("mean"), &mean, &mean64, 1e-6);
            assert_close(&what("var"), &var, &var64, 1e-6);
            assert_close(&what("y"), &y, &y64, tolerance);

            check_backward(isa, &shape, &x, &mean, &var, &gamma, &beta, relu, &y, tolerance);
        }
    }
}

/// The reference sees the statistics that the kernel found. Where ReLU's input is so near 0 that rounding decides its
/// sign, the error is 0, so that both agree on what passes.
#[expect(clippy::too_many_arguments, reason = "the arguments of the kernel")]
#[track_caller]
fn check_backward(
    isa: Isa,
    shape: &NormShape,
    x: &[f32],
    mean: &[f32],
    var: &[f32],
    gamma: &[f32],
    beta: &[f32],
    relu: bool,
    y: &[f32],
    tolerance: f64,
) {
    let c = shape.channels;
    let mut plain = unwritten(x.len());
    for (i, y) in plain.iter_mut().enumerate() {
        let at = i / (shape.rows * c) * c + i % c;
        *y = (x[i] - mean[at]) / (var[at] + EPS).sqrt() * gamma[i % c] + beta[i % c];
    }
    let grad_y: Vec<f32> = random(5, x.len())
        .iter()
        .zip(&plain)
        .map(|(g, y)| if relu && f64::from(y.abs()) <= 4.0 * tolerance { 0.0 } else { *g })
        .collect();
    let (mut dx64, mut dgamma64, mut dbeta64) = (vec![0.0; x.len()], vec![0.0; c], vec![0.0; c]);
    reference::batch_norm_backward(
        shape,
        &wide(x),
        &wide(mean),
        &wide(var),
        &wide(gamma),
        &wide(beta),
        f64::from(EPS),
        relu,
        &wide(&grad_y),
        &mut dx64,
        &mut dgamma64,
        &mut dbeta64,
    );
    let (mut dx, mut dgamma, mut dbeta) = (unwritten(x.len()), unwritten(c), unwritten(c));
    batch_norm_backward(
        isa,
        shape,
        x,
        mean,
        var,
        gamma,
        beta,
        EPS,
        relu,
        &grad_y,
        &mut dx,
        &mut dgamma,
        &mut dbeta,
    );
    let what = |name: &str| format!("{name} of {shape:?}, relu {relu}, on {isa}");
    // Few rows may have a tiny variance, which makes the errors large and their rounding too.
    let largest = dx64.iter().fold(1.0, |largest: f64, x| largest.max(x.abs()));
    assert_close(&what("grad_x"), &dx, &dx64, tolerance * largest);
    assert_close(&what("grad_gamma"), &dgamma, &dgamma64, tolerance);
    assert_close(&what("grad_beta"), &dbeta, &dbeta64, 1e-6);

    if relu {
        // Backward cuts off exactly what forward did: errors that are only where y is 0 change nothing at all.
        let cut_off: Vec<f32> = y.iter().map(|y| if *y > 0.0 { 0.0 } else { 1.0 }).collect();
        batch_norm_backward(
            isa,
            shape,
            x,
            mean,
            var,
            gamma,
            beta,
            EPS,
            relu,
            &cut_off,
            &mut dx,
            &mut dgamma,
            &mut dbeta,
        );
        assert!(dx.iter().chain(&dgamma).chain(&dbeta).all(|x| *x == 0.0), "{}", what("errors cut off"));
    }
}

#[test]
fn sizes_and_tails() {
    for channels in [1, 2, 3, 5, 16, 17, 64, 65, 130] {
        for (steps, rows) in [(1, 2), (3, 7), (2, 300)] {
            check(NormShape { steps, rows, channels }, 1.0, 1e-4);
        }
    }
    // Several blocks of rows, the last one shorter.
    check(NormShape { steps: 2, rows: 20_000, channels: 2 }, 1.0, 1e-5);
}

#[test]
fn a_large_mean_costs_no_precision_in_the_variance() {
    // f32 itself leaves an error of 1000·2⁻²⁴ in the mean.
    check(NormShape { steps: 2, rows: 500, channels: 5 }, 1000.0, 1e-3);
}

#[test]
fn a_constant_has_no_variance() {
    for isa in Isa::available() {
        let shape = NormShape { steps: 1, rows: 1000, channels: 3 };
        let x = vec![0.1; shape.values()];
        let (mut mean, mut var, mut y) = (unwritten(3), unwritten(3), unwritten(x.len()));
        batch_norm(isa, &shape, &x, &[1.0; 3], &[0.25; 3], EPS, false, &mut mean, &mut var, &mut y);
        assert_eq!((mean, var), (vec![0.1; 3], vec![0.0; 3]));
        assert!(y.iter().all(|y| *y == 0.25));
    }
}

#[test]
fn nan_is_not_hidden() {
    for isa in Isa::available() {
        let shape = NormShape { steps: 1, rows: 4, channels: 1 };
        let x = [1.0, f32::NAN, 2.0, 3.0];
        let (mut mean, mut var, mut y) = ([0.0], [0.0], [0.0; 4]);
        batch_norm(isa, &shape, &x, &[1.0], &[0.0], EPS, true, &mut mean, &mut var, &mut y);
        assert!(mean[0].is_nan() && var[0].is_nan() && y.iter().all(|y| y.is_nan()));
    }
}

#[test]
#[should_panic(expected = "the length of gamma")]
fn wrong_lengths_are_refused() {
    let shape = NormShape { steps: 1, rows: 1, channels: 2 };
    let (mut mean, mut var, mut y) = ([0.0; 2], [0.0; 2], [0.0; 2]);
    batch_norm(Isa::PORTABLE, &shape, &[0.0; 2], &[1.0], &[0.0; 2], EPS, false, &mut mean, &mut var, &mut y);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_shape(steps in 1..5usize, rows in 2..200usize, channels in 1..100usize) {
        check(NormShape { steps, rows, channels }, 2.0, 1e-4);
    }
}
