//! The options of `synfire train` that are settings of a run.

use crate::commands::Error;
use clap::{Args, value_parser};
use serde::Serialize;
use std::fmt::Display;
use std::str::FromStr;
use synfire::encode::Encoding;
use synfire::loss::Loss;
use synfire::net::{NetSpec, Norm, named};
use synfire::optim::{OptimizerKind, Schedule};
use synfire::train::{Learning, PrecisionChoice, Voters};
use synfire_data::{Downsampling, FrameSize, FrameValues, Framing, Polarities};

const MODEL: &str = "Model";
const TRAINING: &str = "Training";
const DATA: &str = "Data";

/// What can be set, under the names of `TrainConfig`; what is absent keeps the recipe's value.
#[derive(Args, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Settings {
    /// Data set: digits (built in), mnist, nmnist or another one that `synfire data list` names; or the path of a folder of
    /// your own, such as ./my-set, with a subfolder for each class.
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset: Option<String>,
    /// Where settings that are not given come from: default (Synfire's choice for the data set), or paper (the
    /// paper's, unchanged) [default: default]. `--print-config` shows them.
    #[arg(long, value_name = "NAME", help_heading = MODEL)]
    #[serde(skip_serializing_if = "Option::is_none")]
    recipe: Option<String>,
    /// Network: a name (`synfire net list` shows them) or a layer string such as 32C3-MP2-64C3-AP2-LI10.
    #[arg(long, value_name = "NAME|LAYERS", help_heading = MODEL, value_parser = network)]
    #[serde(skip_serializing_if = "Option::is_none")]
    net: Option<String>,
    /// Learning method: bpsta, bpsa (its spatial part alone), stbp (rectangular surrogate, the baseline), or ann (ReLUs in place of
    /// neurons, one time step: for comparison).
    #[arg(long, value_name = "METHOD", help_heading = MODEL, value_parser = word::<Learning>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// Time steps for which the network sees a sample.
    #[arg(long, short = 'T', value_name = "T", help_heading = MODEL)]
    #[serde(skip_serializing_if = "Option::is_none")]
    time_steps: Option<u32>,
    /// Membrane potential at which a neuron fires.
    #[arg(long, value_name = "U", help_heading = MODEL)]
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    /// Share of the membrane potential that a neuron keeps from step to step, 0 to 1.
    #[arg(long, value_name = "LAMBDA", help_heading = MODEL)]
    #[serde(skip_serializing_if = "Option::is_none")]
    decay: Option<f64>,
    /// Weight of the error that passes back in time through a spike (bpsta).
    #[arg(long, value_name = "ALPHA", help_heading = MODEL)]
    #[serde(skip_serializing_if = "Option::is_none")]
    alpha: Option<f64>,
    /// Learning method of voting neurons (VOTEn): same (as the others), stbp, bpsa or bpsta. Under bpsa and bpsta no error passes
    /// to voters that never fire.
    #[arg(long, value_name = "METHOD", help_heading = MODEL, value_parser = word::<Voters>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    voter_method: Option<String>,
    /// Whether a ReLU stands before each hidden neuron.
    #[arg(long, value_name = "BOOL", help_heading = MODEL)]
    #[serde(skip_serializing_if = "Option::is_none")]
    relu: Option<bool>,
    /// Statistics of batch norm: joint (over all time steps together), per-step (the paper's).
    #[arg(long, value_name = "MODE", help_heading = MODEL, value_parser = word::<Norm>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    norm: Option<String>,
    /// What convolutions multiply: f32, bf16 (sums stay f32), or auto (bf16 where the device has
    /// it).
    #[arg(long, value_name = "NUMBERS", help_heading = MODEL, value_parser = word::<PrecisionChoice>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<String>,
    /// Number of epochs.
    #[arg(long, value_name = "N", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    epochs: Option<u32>,
    /// Train the first N of the epochs as a plain network without neurons (still images).
    #[arg(long, value_name = "N", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ann_epochs: Option<u32>,
    /// Samples per batch.
    #[arg(long, short, value_name = "B", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_size: Option<u32>,
    /// Loss: cross-entropy (of the mean output), mse (of the mean output; the paper's) or tet (mean of each step's
    /// cross-entropy).
    #[arg(long, value_name = "LOSS", help_heading = TRAINING, value_parser = word::<Loss>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    loss: Option<String>,
    /// Optimizer: adamw or sgd.
    #[arg(long, value_name = "NAME", help_heading = TRAINING, value_parser = word::<OptimizerKind>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    optimizer: Option<String>,
    /// Peak learning rate.
    #[arg(long, value_name = "RATE", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    lr: Option<f64>,
    /// Learning rate over the epochs: cosine, warmup-cosine (the paper's, five epochs of warm-up) or constant.
    #[arg(long, value_name = "NAME", help_heading = TRAINING, value_parser = word::<Schedule>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    /// Weight decay.
    #[arg(long, value_name = "W", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_decay: Option<f64>,
    /// Momentum (sgd).
    #[arg(long, value_name = "M", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    momentum: Option<f64>,
    /// Where several ranks train the network, take batch norm's statistics over the samples of all, not of each.
    #[arg(long, value_name = "BOOL", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_norm: Option<bool>,
    /// Scale gradients down to this norm, taken over all of them, where they exceed it; 0 for never.
    #[arg(long, value_name = "NORM", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    clip_norm: Option<f64>,
    /// Stop after N epochs without a better validation accuracy; 0 for never.
    #[arg(long, value_name = "N", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    patience: Option<u32>,
    /// Seed of everything random: initial weights, split, order, augmentation, dropout.
    #[arg(long, value_name = "S", help_heading = TRAINING,
          value_parser = value_parser!(u64).range(0..=LARGEST_SEED))]
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// How event recordings become frames: count (equally many events each), time (equally long each), or a duration such as
    /// 10ms (so long each; what comes after T of them is left out).
    #[arg(long, value_name = "MODE", help_heading = DATA, value_parser = word::<Framing>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    framing: Option<String>,
    /// How large frames of events are: sensor (as it is), or smaller, such as 64x64.
    #[arg(long, value_name = "SIZE", help_heading = DATA, value_parser = word::<FrameSize>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_size: Option<String>,
    /// What smaller frames are made of: nearest (one pixel of several), area (their mean) or sum (all their events).
    #[arg(long, value_name = "MODE", help_heading = DATA, value_parser = word::<Downsampling>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    downsampling: Option<String>,
    /// Whether frames tell the polarities of events apart: both (a channel each) or merged (one channel).
    #[arg(long, value_name = "MODE", help_heading = DATA, value_parser = word::<Polarities>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    polarities: Option<String>,
    /// What frames of events say: counts (how many events) or binary (whether any).
    #[arg(long, value_name = "MODE", help_heading = DATA, value_parser = word::<FrameValues>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_values: Option<String>,
    /// How still images become frames: direct (the image at each step), rate, latency or phase.
    #[arg(long, value_name = "MODE", help_heading = DATA, value_parser = word::<Encoding>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<String>,
    /// Hold back N training samples to choose the best epoch by; 0 for a tenth of them, at most 5000.
    #[arg(long, value_name = "N", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<u32>,
    /// Use only N training samples, evenly spaced over the order of the files; 0 for all.
    #[arg(long, value_name = "N", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    train_samples: Option<u32>,
    /// Augmentation: shift at random by up to so many pixels.
    #[arg(long, value_name = "PIXELS", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    shift: Option<u16>,
    /// Augmentation: whether to mirror at random left to right.
    #[arg(long, value_name = "BOOL", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    flip: Option<bool>,
    /// Augmentation: turn at random by up to so many degrees, either way.
    #[arg(long, value_name = "DEGREES", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    rotate: Option<f64>,
    /// Augmentation of events: whether to leave out some, by chance, for a while or in a part of the sensor (EventDrop).
    #[arg(long, value_name = "BOOL", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    event_drop: Option<bool>,
    /// Augmentation of events: move each by a random distance of so many pixels (one standard deviation).
    #[arg(long, value_name = "PIXELS", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter: Option<f64>,
    /// Augmentation of events: mix this share of the samples with another one, labels too (EventMix).
    #[arg(long, value_name = "SHARE", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    event_mix: Option<f64>,
}

impl Settings {
    /// What was given.
    pub(crate) fn table(&self) -> Result<toml::Table, Error> {
        toml::Table::try_from(self).map_err(|e| Error::usage(e.to_string()))
    }

    /// Refuses settings beside --resume, for this reason.
    pub(crate) fn refuse(given: &toml::Table, reason: &str) -> Result<(), Error> {
        let Some(key) = given.keys().next() else { return Ok(()) };
        let name = if key == "dataset" { "DATASET".to_string() } else { format!("--{key}") };
        Err(Error::usage(format!("{name} cannot be given with --resume: {reason}")))
    }
}

/// TOML, in which a run keeps its settings, has no larger integer.
const LARGEST_SEED: u64 = i64::MAX as u64;

/// Checks a name here, where the error can say which option it was given for.
fn word<T: FromStr<Err: Display>>(text: &str) -> Result<String, String> {
    text.parse::<T>().map(|_| text.to_string()).map_err(|e| e.to_string())
}

/// Checks the name of a network or a layer string.
pub(crate) fn network(text: &str) -> Result<String, String> {
    if named(text).is_some() { Ok(text.to_string()) } else { word::<NetSpec>(text) }
}
