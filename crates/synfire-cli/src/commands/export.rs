//! `synfire export`.

use super::{Error, open_checkpoint};
use crate::console::Console;
use burn::tensor::Device;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use synfire::file::{FileError, write_atomically};
use synfire_interop::nir::{self, Translation};
use synfire_interop::pytorch;

/// Write a trained network for other programs.
#[derive(Args)]
pub(crate) struct Export {
    #[command(subcommand)]
    format: Format,
}

#[derive(Subcommand)]
enum Format {
    /// Weights for PyTorch, as a safetensors file.
    ///
    /// Tensors are called as in a module whose `layers` is the Sequential of the network's modules (`synfire net describe` shows their
    /// numbers): layers.0.weight. `synfire import pytorch` takes the file up again, with all its settings.
    Safetensors(Source),
    /// A graph of the Neuromorphic Intermediate Representation (NIR), for simulators and chips.
    ///
    /// Batch norms are folded into weights. NIR has neither a ReLU in front of neurons nor maxima over windows: train with
    /// --relu false, and with AP in place of MP. The network's answer is the class with the largest mean over time of what the graph
    /// puts out.
    Nir {
        #[command(flatten)]
        source: Source,
        /// Time step of the simulator, in seconds: neurons keep the decay of the network for this one alone.
        #[arg(long, value_name = "SECONDS", default_value_t = nir::DT, allow_negative_numbers = true, value_parser = seconds)]
        dt: f64,
        /// Put the neurons' resistance into the weights, for simulators that know no other than 1, such as Norse.
        #[arg(long)]
        fold_resistance: bool,
        /// Write means over windows as sums, for simulators that have no means, such as Norse and Sinabs.
        #[arg(long)]
        sum_pool: bool,
    },
}

#[derive(Args)]
struct Source {
    /// Run folder (its best checkpoint) or checkpoint.
    #[arg(value_name = "RUN|CHECKPOINT")]
    path: PathBuf,
    /// The file to write.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

impl Export {
    pub(crate) fn run(self, console: &Console) -> Result<ExitCode, Error> {
        let device = Device::flex();
        let (Format::Safetensors(Source { path, out }) | Format::Nir { source: Source { path, out }, .. }) =
            &self.format;
        let (path, checkpoint, mut net) = open_checkpoint(path, &device)?;
        let failed = |problem: String| Error::failed(format!("cannot export {}: {problem}", path.display()));
        match self.format {
            Format::Safetensors(_) => {
                let bytes = pytorch::export(&checkpoint, &mut net).map_err(failed)?;
                write_atomically(out, &bytes)?;
            }
            Format::Nir { dt, fold_resistance, sum_pool, .. } => {
                let translation = Translation::new(dt, fold_resistance, sum_pool);
                let network = checkpoint.header.described();
                let graph = nir::export_described(&network, &mut net, translation).map_err(failed)?;
                nir::write(out, &graph)?;
                if let Some(note) = nir::left_to_others(&network) {
                    console.note(format!("note: {note}"));
                }
            }
        }
        told(out, console)
    }
}

fn told(out: &Path, console: &Console) -> Result<ExitCode, Error> {
    let bytes = std::fs::metadata(out).map_err(FileError::io("look at", out))?.len();
    console.say(out.display().to_string());
    console.json(&serde_json::json!({ "file": out.display().to_string(), "bytes": bytes }));
    Ok(ExitCode::SUCCESS)
}

/// Reads a time step.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err("expected a number above 0".into()),
    }
}
