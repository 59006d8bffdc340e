//! A device that runs out of memory.
//!
//! Burn's tensors panic where a device fails. That its memory does not suffice is no defect but an answer, and is told like any
//! error; other panics stay what they are.

use crate::commands::Error;
use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

/// How CubeCL says it, in front of the number of bytes.
const TOLD: &str = "out of device memory allocating ";

/// From now on nothing is printed where the panic says so: whoever calls [`told`] tells it.
pub(crate) fn quiet() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if missing(info.payload()).is_none() {
            before(info);
        }
    }));
}

/// Runs `work`; if a device's memory runs out in it, that is its error.
pub(crate) fn told<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| match missing(&*panic) {
        None => panic::resume_unwind(panic),
        Some(bytes) => Err(Error::failed(format!(
            "the device's memory is full: {bytes} bytes more were asked for. A smaller --batch-size or fewer --time-steps need less"
        ))),
    })
}

/// How many bytes the device did not have, if that is why there was a panic.
fn missing(panic: &(dyn Any + Send)) -> Option<&str> {
    let (_, rest) = panic.downcast_ref::<String>()?.split_once(TOLD)?;
    rest.split_whitespace().next()
}
