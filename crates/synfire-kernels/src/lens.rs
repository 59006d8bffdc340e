//! Lengths of slices.

use std::fmt::Debug;

/// The product of a shape's sides. Memory of that length is accessed without further checks, so it must not wrap.
pub(crate) fn product<const N: usize>(shape: &impl Debug, sides: [usize; N]) -> usize {
    // A side of 0 makes an end of the others.
    match sides.iter().try_fold(1, |product: usize, side| product.checked_mul(*side)) {
        Some(product) => product,
        None if sides.contains(&0) => 0,
        None => panic!("more values than can be counted: {shape:?}"),
    }
}
