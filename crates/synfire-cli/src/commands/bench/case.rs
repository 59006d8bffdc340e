//! What is measured: a network and a batch.

use super::Bench;
use crate::commands::net::plan_of;
use crate::commands::{Error, data_set, open_checkpoint, precision_on};
use crate::console::Console;
use burn::tensor::Device;
use std::path::{Path, PathBuf};
use synfire::loss::Loss;
use synfire::net::{Net, Plan};
use synfire::ops::{Lif, Precision};
use synfire::optim::OptimizerKind;
use synfire::speed::{Load, usual_loss};
use synfire::train::{RunFolder, Summary, Training, check_inference, check_training};

/// A network, a batch, and what is minimised.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) net: Net,
    pub(super) load: Load,
    pub(super) loss: Loss,
    pub(super) trained: Option<Trained>,
}

/// Where trained weights are from.
pub(super) struct Trained {
    pub(super) checkpoint: PathBuf,
    pub(super) dataset: String,
    /// The run's summary and its file, where the checkpoint lies in a finished run and is its best.
    pub(super) summary: Option<(PathBuf, Summary)>,
}

impl Bench {
    /// Random weights and a random batch.
    pub(super) fn untrained(&self, name: &str, device: &Device) -> Result<Case, Error> {
        let plan = plan_of(name, self.input, None, true)?;
        let (batch, steps) = (self.batch_size.unwrap_or(16) as usize, self.time_steps.unwrap_or(16) as usize);
        let precision = precision_on(self.precision.unwrap_or_default(), device)?;
        check(&plan, batch, steps, precision, device)?;
        let mut net = Net::new(plan, Lif { method: self.method, ..Lif::default() }, 0, device);
        net.norm = self.norm;
        net.precision = precision;
        let load = Load::synthetic(net.plan(), batch, steps, device);
        let loss = usual_loss(net.plan().readout());
        Ok(Case { name: name.to_string(), net, load, loss, trained: None })
    }

    /// Trained weights and a batch of the test set, as the run has it where nothing else was said.
    pub(super) fn trained(&self, path: &Path, console: &Console, device: &Device) -> Result<Case, Error> {
        let (path, checkpoint, mut net) = open_checkpoint(path, device)?;
        if let Some(precision) = self.precision {
            net.precision = precision_on(precision, device)?;
        }
        let data = data_set(&checkpoint, &path, self.data_dir.clone())?;
        data.notes.iter().for_each(|note| console.note(note));
        let mut config = checkpoint.header.config;
        config.batch_size = self.batch_size.map_or(config.batch_size, |batch| batch as usize);
        config.time_steps = self.time_steps.map_or(config.time_steps, |steps| steps as usize);
        check(net.plan(), config.batch_size, config.time_steps, net.precision, device)?;
        let load = Load::real(&data.test, &config, device)?;
        let summary = summary_of(&path);
        let trained = Trained { checkpoint: path, dataset: config.dataset, summary };
        Ok(Case { name: config.net, net, load, loss: config.loss, trained: Some(trained) })
    }
}

/// Checks that there is enough memory.
fn check(
    plan: &Plan,
    batch: usize,
    steps: usize,
    precision: Precision,
    device: &Device,
) -> Result<(), Error> {
    let (optimizer, still) = (OptimizerKind::AdamW, plan.input[0] != 2);
    check_training(plan, &Training { optimizer, batch, steps, precision, still }, 1, device)?;
    Ok(check_inference(plan, batch, steps, device)?)
}

/// The summary of the run whose best checkpoint `path` is.
fn summary_of(path: &Path) -> Option<(PathBuf, Summary)> {
    let run = RunFolder::new(path.parent()?.parent()?);
    let summary = run.summary().ok().filter(|_| run.best() == path)?;
    Some((run.path().join("summary.json"), summary))
}
