//! Where networks are.

use crate::threads::Work;
use burn::tensor::Device;
use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use synfire::device::{DeviceError, DeviceName, list, memory_missing};

/// A device that is there.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) name: DeviceName,
    pub(crate) device: Device,
}

impl Opened {
    /// The device of this name.
    pub(crate) fn by_name(name: &str) -> PyResult<Self> {
        let failed = |error: DeviceError| match error {
            DeviceError::NotBuiltIn { .. } | DeviceError::Unknown(_) => PyValueError::new_err(told(&error)),
            _ => PyRuntimeError::new_err(told(&error)),
        };
        let name: DeviceName = name.parse().map_err(failed)?;
        Ok(Self { name, device: name.open().map_err(failed)? })
    }
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

/// Work with a device, whose memory may be full.
pub(crate) trait OnDevice {
    /// Runs `work` as [`Work::work`] does.
    fn on_device<T: Send>(self, work: impl FnOnce() -> PyResult<T> + Send) -> PyResult<T>;
}

impl OnDevice for Python<'_> {
    fn on_device<T: Send>(self, work: impl FnOnce() -> PyResult<T> + Send) -> PyResult<T> {
        catch_unwind(AssertUnwindSafe(|| self.work(work))).unwrap_or_else(|panic| {
            let Some(bytes) = memory_missing(&*panic) else { resume_unwind(panic) };
            let text = format!("the device's memory is full: {bytes} bytes more were asked for");
            Err(PyMemoryError::new_err(text))
        })
    }
}

/// Names of devices, what they call themselves, and why one cannot be used.
#[pyfunction]
pub(crate) fn devices(py: Python<'_>) -> Vec<(String, Option<String>, Option<String>)> {
    let all = py.work(list);
    all.into_iter().map(|one| (one.name, one.description, one.problem.as_ref().map(told))).collect()
}
