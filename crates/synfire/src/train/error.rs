//! Why a run cannot be.

use crate::device::Full;
use crate::file::FileError;
use crate::net::{NetError, NonFinite};
use crate::parallel::Lost;
use std::path::PathBuf;
use synfire_data::DataError;

/// Why a configuration makes no run.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text of a configuration file is wrong.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Line, column and problem.
        problem: String,
    },
    /// There is no such recipe.
    #[error("there is no recipe `{recipe}` for {dataset}; there are: {known}")]
    Recipe {
        /// What was asked for.
        recipe: String,
        /// For which data set.
        dataset: String,
        /// What there is.
        known: String,
    },
    /// A value is out of range.
    #[error("{key} = {found}: expected {expected}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A setting for still images on a set of recordings, or the reverse.
    #[error("{key} = {found} works on {}", if *events { format!("still images alone; {set} holds event recordings") }
        else { format!("event recordings alone; {set} holds still images") })]
    WrongKind {
        /// Which key.
        key: &'static str,
        /// What was found.
        found: String,
        /// The data set holds event recordings.
        events: bool,
        /// The data set.
        set: String,
    },
    /// The memory is too small for the run.
    #[error(
        "batches of {batch} samples over {steps} time steps of this network need {needed:.1} GiB of memory or more{}, \
         {place} has {available:.1} GiB: {}",
        if *ranks > 1 { format!(" for each of {ranks} ranks") } else { String::new() },
        match fits {
            0 => "choose narrower layers or fewer --time-steps".to_string(),
            fits => format!("--batch-size {fits} may fit, as may fewer --time-steps"),
        }
    )]
    Memory {
        /// Whose it is.
        place: &'static str,
        /// The largest batch that is not too large; 0 if none.
        fits: usize,
        /// GiB that are needed.
        needed: f64,
        /// GiB that there are.
        available: f64,
        /// Samples of a batch.
        batch: usize,
        /// Time steps.
        steps: usize,
        /// How many share every batch.
        ranks: usize,
    },
    /// Threads cannot be started.
    #[error("cannot start {threads} threads: {problem}")]
    Threads {
        /// How many.
        threads: usize,
        /// Why not.
        problem: String,
    },
    /// The network cannot be built.
    #[error(transparent)]
    Net(#[from] NetError),
}

impl ConfigError {
    /// The setting that is wrong, where it is a single one.
    pub(super) fn key(&self) -> Option<&'static str> {
        match self {
            Self::Value { key, .. } | Self::WrongKind { key, .. } => Some(key),
            Self::Net(_) => Some("net"),
            Self::File { .. } | Self::Recipe { .. } | Self::Memory { .. } | Self::Threads { .. } => None,
        }
    }
}

/// Why training or evaluation ended early.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The settings make no run.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A sample or a set cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file of the run cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A sample or the network is not finite.
    #[error(transparent)]
    NonFinite(#[from] NonFinite),
    /// A rank that trains the same network is lost, or says something else.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The device's memory was full in a step, which was thought to fit.
    #[error("{full}, in batches of {batch} samples over {steps} time steps: {}", match fits {
        0 => "choose narrower layers or fewer --time-steps".to_string(),
        fits => format!("a run with --batch-size {fits} may fit, as may one with fewer --time-steps"),
    })]
    Full {
        /// What did not fit.
        full: Full,
        /// Samples of a batch.
        batch: usize,
        /// Time steps.
        steps: usize,
        /// A batch that may fit; 0 if none does.
        fits: usize,
    },
    /// The ranks of a group were not given the same, or did not compute the same.
    #[error("rank {rank} is not at one with rank 0: {difference}")]
    Ranks {
        /// Which rank.
        rank: usize,
        /// What differs.
        difference: String,
    },
    /// A run met a value that is not finite. It has learnt nothing from that batch and written nothing down.
    #[error(
        "{} epoch {epoch}: {found}. {}; {}",
        batch.map_or("at the end of".into(), |batch| format!("batch {batch} of")),
        match checkpoint {
            Some(path) => format!("The last checkpoint, {}, is intact", path.display()),
            None => "No checkpoint was written yet".into(),
        },
        way_on(found)
    )]
    NonFiniteAt {
        /// What it is.
        found: NonFinite,
        /// Epoch, from 1.
        epoch: usize,
        /// Batch, from 1; none if it was met after the last one.
        batch: Option<usize>,
        /// The checkpoint from before, where there is one.
        checkpoint: Option<PathBuf>,
    },
}

/// The usual cause of `found`, and what to do.
fn way_on(found: &NonFinite) -> &'static str {
    match found {
        NonFinite::Input { .. } => {
            "the usual cause is a damaged file of the data set: mend it, and resume the run"
        }
        _ => {
            "the usual cause is a learning rate that is too high, and a run that is resumed comes here again: begin \
             anew with a smaller --lr, or with --clip-norm 1"
        }
    }
}
