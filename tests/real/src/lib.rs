//! Tests of Synfire on published data sets, which are not part of the repository.
//!
//! They are looked for in the folder that `SYNFIRE_DATA` names when this crate is built, else in `../shared/data` beside
//! the project. The test of a set that is not there counts as ignored.

use std::path::PathBuf;
use synfire_data::{DataSet, Locations, open};

/// The folder of the published data sets.
#[must_use]
pub fn folder() -> PathBuf {
    env!("SYNFIRE_REAL_DATA").into()
}

/// Opens a published data set.
///
/// # Panics
/// If it is not there or damaged.
#[must_use]
pub fn real(set: &str) -> DataSet {
    open(set, &Locations::from_folders(vec![folder()])).unwrap_or_else(|error| panic!("{error}"))
}
