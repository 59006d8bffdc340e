//! Named settings per data set: Synfire's defaults and the paper's.

use super::config::TrainConfig;
use super::error::ConfigError;
use super::learning::{Learning, Voters};
use super::precision::PrecisionChoice;
use crate::encode::Encoding;
use crate::loss::Loss;
use crate::net::Norm;
use crate::ops::{Lif, Method, Precision};
use crate::optim::{OptimizerKind, Schedule};
use synfire_data::{Downsampling, FrameSize, FrameValues, Framing, Polarities, Sensor};

/// Recipes and what they are.
pub const RECIPES: &[(&str, &str)] = &[
    (
        "default",
        "a readout that does not fire (LIn) with cross-entropy, a network and epochs that two cores bear",
    ),
    (
        "paper",
        "voting neurons (VOTEn) with mean square error, the released network, T and epochs of the paper",
    ),
];

/// What the paper makes of a sensor of 128x128 pixels.
const HALF_OF_128: FrameSize = FrameSize::Pixels(Sensor { width: 64, height: 64 });

/// The settings of `recipe` for `dataset`; a set without its own gets those of its nearest kin.
///
/// # Errors
/// If there is no such recipe.
pub fn recipe(recipe: &str, dataset: &str) -> Result<TrainConfig, ConfigError> {
    // A set that does not exist is told when it is opened.
    let dataset = synfire_data::find(dataset).map_or(dataset, |set| set.name);
    let mut config = match recipe {
        "default" => default_for(dataset),
        "paper" => paper_for(dataset),
        _ => {
            let known = RECIPES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            return Err(ConfigError::Recipe { recipe: recipe.into(), dataset: dataset.into(), known });
        }
    };
    config.dataset = dataset.to_string();
    config.recipe = recipe.to_string();
    Ok(config)
}

/// The paper's: AdamW, 1e-3 with its schedule, weight decay 1e-4, mean square error of the voters' rate.
fn paper_for(dataset: &str) -> TrainConfig {
    let common = TrainConfig {
        dataset: String::new(),
        recipe: String::new(),
        net: "mnist-paper".into(),
        method: Learning::Spiking(Method::Bpsta),
        threshold: Lif::default().threshold,
        decay: Lif::default().decay,
        alpha: Lif::default().alpha,
        voter_method: Voters::Same,
        relu: true,
        norm: Norm::PerStep,
        precision: PrecisionChoice::Fixed(Precision::F32),
        time_steps: 16,
        framing: Framing::Count,
        frame_size: FrameSize::Sensor,
        downsampling: Downsampling::Nearest,
        polarities: Polarities::Both,
        frame_values: FrameValues::Counts,
        encoding: Encoding::Direct,
        loss: Loss::Mse,
        optimizer: OptimizerKind::AdamW,
        lr: 1e-3,
        weight_decay: 1e-4,
        momentum: 0.9,
        schedule: Schedule::WarmupCosine,
        epochs: 300,
        ann_epochs: 0,
        batch_size: 64,
        seed: 0,
        validation: 0,
        train_samples: 0,
        clip_norm: 0.0,
        sync_norm: true,
        patience: 0,
        shift: 0,
        flip: false,
        rotate: 0.0,
        event_drop: false,
        jitter: 0.0,
        event_mix: 0.0,
        data_dir: None,
    };
    match dataset {
        "digits" => TrainConfig { net: "32C3-64C3-MP2-128C3-AP2-VOTE10".into(), ..common },
        "cifar-10" | "cifar-100" => TrainConfig {
            net: "cifar10".into(),
            time_steps: 8,
            epochs: 500,
            ann_epochs: 80,
            batch_size: 128,
            ..common
        },
        "nmnist" | "nmnist-simulated" => TrainConfig { net: "nmnist".into(), ..common },
        "gestures" => TrainConfig { net: "dvs".into(), batch_size: 16, ..common },
        "dvs128-gesture" => TrainConfig {
            net: "dvs".into(),
            frame_size: HALF_OF_128,
            batch_size: 16,
            shift: 16,
            rotate: 5.0,
            ..common
        },
        "cifar10-dvs" | "cifar10-dvs-stratified" | "cifar10-dvs-simulated" => TrainConfig {
            net: "dvs".into(),
            frame_size: HALF_OF_128,
            shift: 16,
            flip: true,
            rotate: 15.0,
            ..common
        },
        _ => common,
    }
}

fn default_for(dataset: &str) -> TrainConfig {
    let common = TrainConfig {
        loss: Loss::CrossEntropy,
        norm: Norm::Joint,
        precision: PrecisionChoice::Auto,
        schedule: Schedule::Cosine,
        batch_size: 32,
        ann_epochs: 0,
        ..paper_for(dataset)
    };
    match dataset {
        "digits" => TrainConfig {
            net: "32C3-64C3-MP2-128C3-AP2-LI10".into(),
            time_steps: 4,
            epochs: 30,
            shift: 1,
            ..common
        },
        "cifar-10" | "cifar-100" => TrainConfig {
            net: "64C3-64C3-MP2-128C3-128C3-MP2-256C3-AP2-LI10".into(),
            time_steps: 4,
            epochs: 40,
            batch_size: 64,
            flip: true,
            shift: 4,
            ..common
        },
        "gestures" => TrainConfig {
            net: "16C3-MP2-32C3-MP2-64C3-MP2-64C3-AP2-LI10".into(),
            time_steps: 16,
            epochs: 20,
            batch_size: 16,
            ..common
        },
        "dvs128-gesture" | "cifar10-dvs" | "cifar10-dvs-stratified" | "cifar10-dvs-simulated" => {
            TrainConfig {
                net: "32C3-MP2-64C3-MP2-128C3-MP2-128C3-AP2-LI10".into(),
                time_steps: 8,
                epochs: 30,
                batch_size: 16,
                shift: 4,
                ..common
            }
        }
        "nmnist" | "nmnist-simulated" => TrainConfig {
            net: "32C3-MP2-64C3-MP2-128C3-AP2-LI10".into(),
            time_steps: 8,
            epochs: 30,
            ..common
        },
        _ => TrainConfig {
            net: "48C3-MP2-96C3-MP2-192C3-AP2-LI10".into(),
            time_steps: 4,
            epochs: 15,
            batch_size: 64,
            shift: 2,
            ..common
        },
    }
}
