//! Training: settings, the loop, checkpoints and the folder of a run.

mod checkpoint;
mod config;
mod error;
mod evaluate;
mod learning;
mod memory;
mod observer;
mod precision;
mod recipes;
mod run;
mod step;
mod tensorboard;
mod trainer;

pub use checkpoint::{Best, Checkpoint, DataMark, Described, Header, Position, Sums};
pub use config::{MOST_STEPS, TrainConfig};
pub use error::{ConfigError, TrainError};
pub(crate) use evaluate::{EVALUATION, each_batch, input};
pub use evaluate::{Evaluation, Judged, evaluate, judge};
pub use learning::{Learning, Voters};
pub use memory::{
    MOST_VALUES, Memory, Training, available as available_memory, available_on, check_inference,
    check_training,
};
pub(crate) use memory::{check_held, inference as inference_memory, training_memory};
pub use observer::{BatchReport, Observer, Outcome};
pub use precision::PrecisionChoice;
pub use recipes::{RECIPES, recipe};
pub use run::{EpochRecord, RunFolder, Summary};
pub use step::Step;
pub use tensorboard::EventFile;
pub use trainer::Trainer;
pub(crate) use trainer::training_of;
