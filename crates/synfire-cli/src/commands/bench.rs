//! `synfire bench`.

use super::net::plan_of;
use super::{DeviceArgument, Error, checkpoint_path};
use crate::console::Console;
use clap::Args;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;
use synfire::net::{Net, Norm};
use synfire::ops::{Lif, Method};
use synfire::speed::{Load, measure, usual_loss};
use synfire::train::{Checkpoint, PrecisionChoice};

/// Measure how fast a network trains and infers on this machine.
///
/// Each case repeats training steps (forward, loss, backward, AdamW) and inference on one random batch: event frames
/// with 5 % of their values 1 where the input has two channels, uniform still images otherwise. Printed are the median
/// samples per second, the slowest and fastest step, and the peak memory of the process.
///
/// Without --net, the three networks of the paper's released code are measured, each in a process of its own.
#[derive(Args)]
pub(crate) struct Bench {
    /// Network: a name (`synfire net list` shows them) or a layer string.
    #[arg(long, value_name = "NAME|LAYERS")]
    net: Option<String>,
    /// Trained weights to measure with: a run folder or a checkpoint of the network.
    #[arg(long, value_name = "RUN|CHECKPOINT", conflicts_with = "net")]
    checkpoint: Option<PathBuf>,
    /// Channels, height and width of the input [default: what the named network was made for].
    #[arg(long, value_name = "C,H,W", value_delimiter = ',', num_args = 1, requires = "net")]
    input: Option<Vec<usize>>,
    /// Samples per batch [default: 16; without --net, 2 for dvs].
    #[arg(long, short, value_name = "B", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
    /// Time steps [default: 16; without --net, 8 for cifar10].
    #[arg(long, short = 'T', value_name = "T", value_parser = clap::value_parser!(u32).range(1..=4096))]
    time_steps: Option<u32>,
    /// Learning method: bpsta, bpsa or stbp.
    #[arg(long, value_name = "METHOD", default_value_t = Method::Bpsta)]
    method: Method,
    /// Statistics of batch norm: per-step (the paper's), joint (over all time steps together).
    #[arg(long, value_name = "OVER", default_value_t = Norm::PerStep)]
    norm: Norm,
    /// What convolutions multiply: f32, bf16 (sums stay f32), or auto (bf16 where the processor has instructions for it).
    #[arg(long, value_name = "PRECISION", default_value_t = PrecisionChoice::Auto)]
    precision: PrecisionChoice,
    /// Seconds to train and seconds to infer for; at least five steps of each are measured.
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    seconds: f64,
    #[command(flatten)]
    device: DeviceArgument,
}

/// Network, batch size and time steps of the cases measured without --net.
const CASES: &[[&str; 3]] = &[["nmnist", "16", "16"], ["cifar10", "16", "8"], ["dvs", "2", "16"]];

impl Bench {
    pub(crate) fn run(self, console: &Console) -> Result<ExitCode, Error> {
        let time = Duration::try_from_secs_f64(self.seconds).map_err(|_| {
            Error::usage(format!("--seconds {}: expected a number of at least 0", self.seconds))
        })?;
        let batch = self.batch_size.unwrap_or(16) as usize;
        let steps = self.time_steps.unwrap_or(16) as usize;
        let device = self.device.open()?;
        let (name, mut net) = match (&self.net, &self.checkpoint) {
            (Some(name), _) => {
                let plan = plan_of(name, self.input.as_deref(), None, true)?;
                let lif = Lif { method: self.method, ..Lif::default() };
                (name.clone(), Net::new(plan, lif, 0, &device))
            }
            (None, Some(path)) => {
                let path = checkpoint_path(path);
                let checkpoint = Checkpoint::read(&path)?;
                (checkpoint.header.config.net.clone(), checkpoint.net(&path, &device)?)
            }
            (None, None) => return self.each_case(),
        };
        net.norm = self.norm;
        net.precision = self.precision.here();
        let load = Load::synthetic(net.plan(), batch, steps, &device);
        let loss = usual_loss(net.plan().readout());
        let speed = measure(&mut net, &load, loss, time)?;
        let [train, train_least, train_most] = speed.train.samples_per_s();
        let [infer, infer_least, infer_most] = speed.infer.samples_per_s();
        let peak = peak_memory();
        console.say(format!(
            "{name}, B {batch}, T {steps}, {}: train {train:.1} samples/s ({train_least:.1}–{train_most:.1}, {} steps), \
             infer {infer:.1} ({infer_least:.1}–{infer_most:.1}){}",
            net.precision,
            speed.train.steps(),
            peak.map_or(String::new(), |peak| format!(", peak memory {peak:.0} MiB")),
        ));
        console.json(&serde_json::json!({
            "net": name, "batch_size": batch, "time_steps": steps, "method": net.lif.method.name(),
            "norm": net.norm.to_string(), "precision": net.precision.name(), "threads": rayon::current_num_threads(),
            "isa": synfire_kernels::isa::Isa::detect().name(),
            "train_samples_per_s": train, "train_slowest_fastest": [train_least, train_most],
            "train_steps": speed.train.steps(),
            "infer_samples_per_s": infer, "infer_slowest_fastest": [infer_least, infer_most],
            "first_loss": speed.first_loss, "peak_rss_mib": peak,
        }));
        Ok(ExitCode::SUCCESS)
    }

    /// Measures every case in a process of its own, so that the peak memory is that case's.
    fn each_case(&self) -> Result<ExitCode, Error> {
        let this =
            std::env::current_exe().map_err(|e| Error::failed(format!("cannot find this program: {e}")))?;
        for [net, batch, steps] in CASES {
            let mut case = Command::new(&this);
            case.args(std::env::args_os().skip(1)).args(["--net", net]);
            if self.batch_size.is_none() {
                case.args(["--batch-size", batch]);
            }
            if self.time_steps.is_none() {
                case.args(["--time-steps", steps]);
            }
            match case.status() {
                Ok(status) if status.success() => {}
                Ok(status) => return Err(Error::failed(format!("the case {net} ended with {status}"))),
                Err(e) => return Err(Error::failed(format!("cannot start {}: {e}", this.display()))),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The most memory this process has had so far, in MiB, where the system tells.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
