//! Errors as Python exceptions.

use pyo3::PyErr;
use pyo3::exceptions::{
    PyFileNotFoundError, PyFloatingPointError, PyIsADirectoryError, PyMemoryError, PyOSError,
    PyPermissionError, PyValueError,
};
use std::error::Error;
use std::io;
use synfire::net::NonFinite;
use synfire::train::{ConfigError, TrainError};

/// What an error advises, in Python's terms: `clip_norm` where the command has `--clip-norm`.
fn here(text: String) -> String {
    let word = |word: &str| match word.trim_start_matches(['(', '`', '"']).strip_prefix("--") {
        Some(option) if option.starts_with(|c: char| c.is_ascii_lowercase()) => {
            word.replacen("--", "", 1).replace('-', "_")
        }
        _ => word.to_string(),
    };
    if text.contains("--") { text.split(' ').map(word).collect::<Vec<_>>().join(" ") } else { text }
}

/// An error of the system is an `OSError`, everything else that a value or a file is to blame for a `ValueError`.
pub(crate) fn raise<E: Error + 'static>(error: E) -> PyErr {
    let text = here(error.to_string());
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(found) = cause {
        if let Some(system) = found.downcast_ref::<io::Error>() {
            return match system.kind() {
                io::ErrorKind::NotFound => PyFileNotFoundError::new_err(text),
                io::ErrorKind::PermissionDenied => PyPermissionError::new_err(text),
                io::ErrorKind::IsADirectory => PyIsADirectoryError::new_err(text),
                // What a file holds, not how it was read.
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
                    PyValueError::new_err(text)
                }
                _ => PyOSError::new_err(text),
            };
        }
        cause = found.source();
    }
    PyValueError::new_err(text)
}

/// What a text says.
pub(crate) fn value(text: impl Into<String>) -> PyErr {
    PyValueError::new_err(here(text.into()))
}

/// A value that is NaN or infinite: in the input it is the caller's, else what came of the numbers.
pub(crate) fn non_finite(found: NonFinite) -> PyErr {
    match found {
        NonFinite::Input { .. } => value(found.to_string()),
        _ => PyFloatingPointError::new_err(here(found.to_string())),
    }
}

pub(crate) fn config(error: ConfigError) -> PyErr {
    match error {
        ConfigError::Memory { .. } => PyMemoryError::new_err(here(error.to_string())),
        other => raise(other),
    }
}

pub(crate) fn train(error: TrainError) -> PyErr {
    match error {
        TrainError::Config(error) => config(error),
        TrainError::Full { .. } => PyMemoryError::new_err(here(error.to_string())),
        TrainError::NonFinite(found)
        | TrainError::NonFiniteAt { found: found @ NonFinite::Input { .. }, .. } => non_finite(found),
        TrainError::NonFiniteAt { .. } => PyFloatingPointError::new_err(here(error.to_string())),
        other => raise(other),
    }
}
