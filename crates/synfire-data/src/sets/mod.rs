//! The recipes, a file each.

use synfire_events::Sensor;

/// That of the camera DVS128, with which several sets were recorded.
const DVS128: Sensor = Sensor { width: 128, height: 128 };

mod cifar;
pub(crate) mod cifar10;
pub(crate) mod cifar100;
pub(crate) mod cifar10_dvs;
pub(crate) mod cifar10_dvs_simulated;
pub(crate) mod digits;
pub(crate) mod dvs128_gesture;
pub(crate) mod fashion_mnist;
pub(crate) mod gestures;
pub(crate) mod mnist;
pub(crate) mod nmnist;
pub(crate) mod nmnist_simulated;
