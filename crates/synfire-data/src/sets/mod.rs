//! The recipes, a file each.

pub(crate) mod cifar10;
pub(crate) mod digits;
pub(crate) mod gestures;
pub(crate) mod mnist;
pub(crate) mod nmnist;
pub(crate) mod nmnist_simulated;
