//! Tests of the comparison that all other tests rely on.

mod common;

use common::{agree, assert_gradient};

#[test]
fn nan_agrees_with_nothing() {
    assert!(agree(&[f32::NAN], &[0.0], |_| 1.0).is_err());
    assert!(agree(&[0.0], &[f64::NAN], |_| 1.0).is_err());
    assert!(agree(&[f32::NAN], &[f64::NAN], |_| 1.0).is_err());
    assert!(agree(&[0.0], &[0.0], |_| f64::NAN).is_err());
    assert!(agree(&[f32::INFINITY], &[f64::INFINITY], |_| 1.0).is_err());
}

#[test]
fn differences_are_seen_also_at_zero() {
    assert!(agree(&[0.0], &[0.0], |_| 0.0).is_ok());
    assert!(agree(&[1e-3], &[0.0], |_| 1e-4).is_err());
    assert!(agree(&[0.0], &[1e-3], |_| 1e-4).is_err());
    assert!(agree(&[1.0, 2.0], &[1.0], |_| 1.0).is_err());
}

#[test]
#[should_panic(expected = "gradient 1 is 5")]
fn wrong_gradients_are_seen() {
    assert_gradient("x²", &[1.0, 2.0], &[2.0, 5.0], |x| x.iter().map(|x| x * x).sum());
}
