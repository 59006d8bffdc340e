//! Where networks are.

use crate::threads::Work;
use burn::tensor::Device;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use synfire::device::{DeviceError, DeviceName, list};

/// The device of this name.
pub(crate) fn open(name: &str) -> PyResult<Device> {
    name.parse::<DeviceName>().and_then(DeviceName::open).map_err(|error| match error {
        DeviceError::NotBuiltIn { .. } | DeviceError::Unknown(_) => PyValueError::new_err(told(&error)),
        _ => PyRuntimeError::new_err(told(&error)),
    })
}

/// What an error says, in Python's terms.
fn told(error: &DeviceError) -> String {
    match error {
        DeviceError::NotBuiltIn { name, feature } => format!(
            "this package has no {name}; from the sources it is built in with\n  MATURIN_PEP517_ARGS=\"--features {feature}\" pip install ."
        ),
        other => other.to_string(),
    }
}

/// Names of devices, what they call themselves, and why one cannot be used.
#[pyfunction]
pub(crate) fn devices(py: Python<'_>) -> Vec<(String, Option<String>, Option<String>)> {
    let all = py.work(list);
    all.into_iter().map(|one| (one.name, one.description, one.problem.as_ref().map(told))).collect()
}
