//! Short training runs.

use burn::tensor::Device;
use std::path::Path;
use synfire::train::{BatchReport, Observer, RunFolder, TrainConfig, TrainError, Trainer};

/// 160 digits to train on in five batches, 40 to choose by.
pub(crate) fn config() -> TrainConfig {
    TrainConfig {
        net: "4C3-MP2-6C3-AP2-DP-LI1".into(),
        time_steps: 2,
        epochs: 3,
        batch_size: 32,
        train_samples: 200,
        validation: 40,
        seed: 7,
        lr: 5e-3,
        ..TrainConfig::default()
    }
}

/// Goes on for so many batches, or calls of any kind.
pub(crate) struct Patience {
    batches: usize,
    calls: usize,
}

impl Patience {
    pub(crate) fn endless() -> Self {
        Self { batches: usize::MAX, calls: usize::MAX }
    }

    pub(crate) fn calls(calls: usize) -> Self {
        Self { calls, ..Self::endless() }
    }

    pub(crate) fn batches(batches: usize) -> Self {
        Self { batches, ..Self::endless() }
    }

    fn call(&mut self) -> bool {
        self.calls -= 1;
        self.calls > 0
    }
}

impl Observer for Patience {
    fn batch(&mut self, _: &BatchReport) -> bool {
        self.batches -= 1;
        self.call() && self.batches > 0
    }

    fn evaluated(&mut self, _: usize) -> bool {
        self.call()
    }
}

pub(crate) fn start(config: &TrainConfig, folder: &Path) -> Result<Trainer, TrainError> {
    Trainer::start(config.clone(), RunFolder::new(folder), &Device::flex())
}

pub(crate) fn resume(folder: &Path) -> Result<Trainer, TrainError> {
    Trainer::resume(RunFolder::new(folder), None, &Device::flex())
}
