//! A device that runs out of memory is told like any error; other panics stay what they are.

use crate::commands::Error;
use std::panic;
use synfire::device::{memory_missing, unless_full};

/// From now on nothing is printed where the panic says so: whoever calls [`told`] tells it.
pub(crate) fn quiet() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if memory_missing(info.payload()).is_none() {
            before(info);
        }
    }));
}

/// Runs `work`; if a device's memory runs out in it, that is its error.
pub(crate) fn told<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    unless_full(work).unwrap_or_else(|full| {
        Err(Error::failed(format!("{full}. A smaller --batch-size or fewer --time-steps need less")))
    })
}
