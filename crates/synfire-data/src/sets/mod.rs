//! The recipes, a file each.

pub(crate) mod cifar10;
pub(crate) mod digits;
pub(crate) mod mnist;
pub(crate) mod nmnist;
