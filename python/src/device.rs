//! Where networks are.

use crate::error::value;
use crate::threads::Work;
use burn::tensor::Device;
use pyo3::exceptions::{PyMemoryError, PyRuntimeError};
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
            DeviceError::NotBuiltIn { name, feature } => value(format!(
                "device = {name}: this package was built without it; from the sources\n  \
                 MATURIN_PEP517_ARGS=\"--features {feature}\" pip install .\nbuilds it in"
            )),
            DeviceError::Unknown(_) => value(error.to_string()),
            _ => PyRuntimeError::new_err(error.to_string()),
        };
        let name: DeviceName = name.parse().map_err(failed)?;
        Ok(Self { name, device: name.open().map_err(failed)? })
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
    all.into_iter().map(|one| (one.name, one.description, one.problem.map(|p| p.to_string()))).collect()
}
