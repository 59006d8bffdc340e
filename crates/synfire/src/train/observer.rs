//! What a run tells while it trains, and how it ends.

use super::checkpoint::Sums;
use super::run::{EpochRecord, Summary};
use std::time::Duration;

/// How much of an epoch is done.
#[derive(Debug, Clone, Copy)]
pub struct BatchReport<'a> {
    /// Epoch, from 0.
    pub epoch: usize,
    /// Batches done.
    pub batch: usize,
    /// Batches of an epoch.
    pub batches: usize,
    /// Sums so far.
    pub sums: &'a Sums,
    /// Samples of the last batch.
    pub samples: usize,
    /// Time it took.
    pub time: Duration,
}

/// Follows a run; every method may do nothing.
pub trait Observer {
    /// A line for the reader.
    fn note(&mut self, _text: &str) {}
    /// A line for the reader about what may spoil the run.
    fn warning(&mut self, _text: &str) {}
    /// Before the first batch: so many recordings of all of `part` were made frames for the cache. Answer whether to go on.
    fn framed(&mut self, _part: &str, _done: usize, _of: usize) -> bool {
        true
    }
    /// A batch was trained on. Answer whether to go on.
    fn batch(&mut self, _report: &BatchReport) -> bool {
        true
    }
    /// So many samples of the validation or test set were evaluated. Answer whether to go on.
    fn evaluated(&mut self, _samples: usize) -> bool {
        true
    }
    /// An epoch ended.
    fn epoch(&mut self, _record: &EpochRecord) {}
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is complete.
    Finished(Box<Summary>),
    /// The observer stopped it; the checkpoint holds all of it.
    Stopped {
        /// Epoch it stands in, from 0.
        epoch: usize,
        /// Batches of it that are done.
        batch: usize,
    },
}
