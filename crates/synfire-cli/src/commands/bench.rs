//! `synfire bench`.

mod case;
mod report;

use super::net::shape;
use super::{DeviceArgument, Error};
use crate::console::Console;
use burn::tensor::Device;
use clap::Args;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;
use synfire::device::{description, is_cpu};
use synfire::net::Norm;
use synfire::ops::{Lif, Method};
use synfire::speed::{densities, measure, neurons, profile, save_step};
use synfire::train::{MOST_VALUES, PrecisionChoice, available_on};
use synfire_kernels::isa::Isa;

/// Measure how fast a network trains and infers on this machine.
///
/// Each case repeats training steps (forward, loss, backward, AdamW with a learning rate of 0, so that the weights stay)
/// and inference on one batch. It is random without --checkpoint: event frames with 5 % of their values 1 where the input
/// has two channels, uniform still images otherwise. With --checkpoint it is from the test set that the run was tested on.
/// Printed are the median samples per second, the slowest and fastest step, the peak memory of the process, and for each
/// convolution how much of its input is not 0, and how its forward pass, the gradient of its input and that of its weights
/// are computed therefore: dense, by Winograd's algorithm, or sparse, with zeros skipped.
///
/// Without --net and --checkpoint, the three networks of the paper's released code are measured, each in a process of its
/// own. With --neurons, a layer of neurons alone is: spikes of random currents, and the currents' gradient.
#[derive(Args)]
pub(crate) struct Bench {
    /// Network: a name (`synfire net list` shows them) or a layer string.
    #[arg(long, value_name = "NAME|LAYERS")]
    net: Option<String>,
    /// Trained weights to measure with: a run folder (its best checkpoint) or a checkpoint.
    #[arg(long, value_name = "RUN|CHECKPOINT", conflicts_with_all = ["net", "method", "norm"])]
    checkpoint: Option<PathBuf>,
    /// Measure a layer of so many neurons instead, N = B·C·H·W.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 26),
          conflicts_with_all = ["net", "checkpoint", "batch_size", "norm", "precision", "profile", "save_step"])]
    neurons: Option<u32>,
    /// Channels, height and width of the input [default: what the named network was made for].
    #[arg(long, value_name = "C,H,W", value_parser = shape, requires = "net", conflicts_with = "checkpoint")]
    input: Option<[usize; 3]>,
    /// Folder of data sets [default: that of the run], searched before SYNFIRE_DATA and the user's cache folder.
    #[arg(long, value_name = "DIR", requires = "checkpoint", conflicts_with = "net")]
    data_dir: Option<PathBuf>,
    /// Samples per batch [default: 16, of a checkpoint as in training; without --net, 2 for dvs].
    #[arg(long, short, value_name = "B", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
    /// Time steps [default: 16, of a checkpoint as in training; without --net, 8 for cifar10].
    #[arg(long, short = 'T', value_name = "T", value_parser = clap::value_parser!(u32).range(1..=4096))]
    time_steps: Option<u32>,
    /// Learning method: bpsta, bpsa or stbp.
    #[arg(long, value_name = "METHOD", default_value_t = Method::Bpsta)]
    method: Method,
    /// Statistics of batch norm: per-step (the paper's), joint (over all time steps together).
    #[arg(long, value_name = "MODE", default_value_t = Norm::PerStep)]
    norm: Norm,
    /// What convolutions multiply: f32, bf16 (sums stay f32), or auto (bf16 where the device has
    /// it) [default: auto, of a checkpoint as in training].
    #[arg(long, value_name = "PRECISION")]
    precision: Option<PrecisionChoice>,
    /// Seconds to train, to infer and to profile for; at least five steps of each are measured.
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    seconds: f64,
    /// Tell where the time of a training step goes, by kernel, and how much of the processor's peak that is.
    #[arg(long)]
    profile: bool,
    /// Instead of measuring, write weights and batch to this file (safetensors, as bench/torch_forms.py reads it).
    #[arg(long, value_name = "FILE", conflicts_with = "profile")]
    save_step: Option<PathBuf>,
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
        let device = self.device.open()?;
        if self.profile && !is_cpu(&device) {
            return Err(Error::usage("--profile: the kernels of the CPU alone are timed one by one"));
        }
        if let Some(units) = self.neurons {
            return self.of_neurons(units as usize, time, &device, console);
        }
        let mut case = match (&self.net, &self.checkpoint) {
            (Some(name), _) => self.untrained(name, &device)?,
            (None, Some(path)) => self.trained(path, console, &device)?,
            (None, None) if self.save_step.is_some() => {
                return Err(Error::usage("--save-step needs --net or --checkpoint"));
            }
            (None, None) => return self.each_case(),
        };
        if let Some(file) = &self.save_step {
            save_step(file, &mut case.net, &case.load, case.loss)?;
            console.say(file.display().to_string());
            console.json(&serde_json::json!({ "step": file.display().to_string() }));
            return Ok(ExitCode::SUCCESS);
        }
        // How they are computed is chosen by density on the CPU alone.
        let densities = if is_cpu(&device) { densities(&case.net, &case.load) } else { Vec::new() };
        let speed = measure(&mut case.net, &case.load, case.loss, time)?;
        let peak = report::peak_memory();
        let profile =
            self.profile.then(|| profile(&mut case.net, &case.load, case.loss, time)).transpose()?;
        report::print(console, &case, &densities, &speed, peak, profile.as_ref());
        Ok(ExitCode::SUCCESS)
    }

    /// Measures a layer of neurons.
    fn of_neurons(
        &self,
        units: usize,
        time: Duration,
        device: &Device,
        console: &Console,
    ) -> Result<ExitCode, Error> {
        let steps = self.time_steps.unwrap_or(16) as usize;
        if !is_cpu(device) && (units * steps) as u128 > MOST_VALUES {
            let problem = "on a GPU at most 2^32 neurons and steps";
            return Err(Error::usage(format!("--neurons: {units} of them over {steps} steps, {problem}")));
        }
        // Currents, spikes, potentials, errors, products and gradients.
        let needed = (units * steps * 6 * size_of::<f32>()) as u128;
        if let Some(available) = available_on(device).filter(|available| needed > *available) {
            let gib = |bytes: u128| bytes as f64 / f64::from(1 << 30);
            return Err(Error::usage(format!(
                "--neurons: {units} of them over {steps} steps need {:.1} GiB, there are {:.1} GiB",
                gib(needed),
                gib(available)
            )));
        }
        let times = neurons(units, steps, Lif { method: self.method, ..Lif::default() }, device, time);
        let [median, slowest, fastest] = times.milliseconds();
        let device = description(device);
        console.say(format!(
            "{units} neurons, T {steps}, {}{}: forward and backward {median:.3} ms ({fastest:.3}–{slowest:.3}, {} times)",
            self.method.name(),
            device.as_ref().map_or(String::new(), |device| format!(", {device}")),
            times.steps(),
        ));
        console.json(&serde_json::json!({
            "neurons": units, "time_steps": steps, "method": self.method.name(), "median_ms": median,
            "slowest_fastest_ms": [slowest, fastest], "times": times.steps(), "threads": rayon::current_num_threads(),
            "isa": Isa::detect().name(), "device": device.as_deref().unwrap_or("cpu"),
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
