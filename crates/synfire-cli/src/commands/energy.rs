//! `synfire energy`.

use super::{DeviceArgument, Error, data_set, open_checkpoint, percent};
use crate::console::Console;
use clap::{Args, value_parser};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use synfire::energy::{Energy, FP32, INT8, Operations, count};
use synfire::train::{MOST_STEPS, TrainConfig, check_inference};
use synfire_data::{Loader, evenly_spaced};

/// Count the operations of a trained network on its test set, and what they would cost in energy.
///
/// Per sample, over all time steps: dense operations, as a processor does them that knows nothing of zeros; effective ones, whose
/// input is not 0, as MACs (multiply and add) where inputs are any numbers, such as images and averages of spikes, and as ACs (add)
/// where they are spikes. Energies are of arithmetic alone, at 45 nm (Horowitz, ISSCC 2014), beside a network of the same shape
/// without time, and by the formula of the BPSTA paper. Takes a run folder (its best checkpoint) or a checkpoint.
#[derive(Args)]
pub(crate) struct EnergyArguments {
    /// Run folder or checkpoint.
    #[arg(value_name = "RUN|CHECKPOINT")]
    path: PathBuf,
    /// Time steps [default: as in training].
    #[arg(long, short = 'T', value_name = "T", value_parser = value_parser!(u16).range(1..=MOST_STEPS as i64))]
    time_steps: Option<u16>,
    /// Count on so many samples of the test set, evenly spaced [default: all].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    samples: Option<u32>,
    /// Folder of data sets [default: that of the run], searched before SYNFIRE_DATA and the user's cache folder.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgument,
}

impl EnergyArguments {
    pub(crate) fn run(self, console: &Console) -> Result<ExitCode, Error> {
        let device = self.device.open()?;
        let (path, checkpoint, mut net) = open_checkpoint(&self.path, &device)?;
        let data = data_set(&checkpoint, &path, self.data_dir)?;
        data.notes.iter().for_each(|note| console.note(note));
        let trained = checkpoint.header.config;
        let time_steps = self.time_steps.map_or(trained.time_steps, usize::from);
        let config = TrainConfig { time_steps, ..trained };
        let available = data.test.len();
        let samples = self.samples.map_or(available, |samples| (samples as usize).min(available));
        check_inference(net.plan(), config.batch_size.min(samples), time_steps)?;
        let indices = evenly_spaced(samples, available);
        let loader = Loader::new(data.test.clone(), indices, config.frames(), config.batch_size)?;
        let bar = console.bar(samples as u64, "counting {bar:24} {pos}/{len} samples, {eta} left");
        let mut go_on = |samples| {
            bar.set_position(samples as u64);
            true
        };
        let counted = count(&mut net, &loader, &config, &mut go_on)?.expect("nothing stops it");
        bar.finish_and_clear();
        say(&counted, console);
        console.json(&json!({
            "operations": counted, "dense": counted.dense(), "effective_macs": counted.macs(), "effective_acs": counted.acs(),
            "firing_rate": counted.rate(),
            "energy_pj": energies(&counted).map(|(name, energy)| {
                json!({ "by": name, "ann": energy.ann, "snn": energy.snn, "neurons": energy.neurons, "ratio": energy.ratio() })
            }),
        }));
        Ok(ExitCode::SUCCESS)
    }
}

/// By whom they are counted, and what they are.
fn energies(counted: &Operations) -> [(&'static str, Energy); 3] {
    [
        (FP32.numbers, counted.energy(FP32)),
        (INT8.numbers, counted.energy(INT8)),
        ("the paper's formula", counted.paper_energy()),
    ]
}

fn say(counted: &Operations, console: &Console) {
    let Operations { samples, time_steps, layers, neurons, .. } = counted;
    console.say(format!("operations of a sample over {time_steps} time steps, mean of {samples} samples"));
    let row = |cells: [&str; 5]| {
        let [layer, dense, effective, kind, density] = cells;
        console.say(format!("  {layer:<22} {dense:>14} {effective:>14}  {kind:<5} {density:>9}"));
    };
    row(["layer", "dense", "effective", "as", "inputs"]);
    for layer in layers {
        let kind = if layer.binary { "ACs" } else { "MACs" };
        row([&layer.module, &rounded(layer.dense), &rounded(layer.effective), kind, &percent(layer.density)]);
    }
    let (macs, acs) = (rounded(counted.macs()), rounded(counted.acs()));
    row(["all", &rounded(counted.dense()), &macs, "MACs", ""]);
    row(["", "", &acs, "ACs", ""]);
    for layer in neurons {
        let (name, rate) = (&layer.module, percent(layer.rate));
        console.say(format!("  {name:<22} {:>14} neurons fire with a rate of {rate}", layer.neurons));
    }
    console.say(format!("  {:<37} firing rate {}", "all", percent(counted.rate())));
    console.say("energy of a sample in nJ, arithmetic alone:");
    console.say(format!(
        "  {:<20} {:>12} {:>12} {:>12} {:>8}",
        "", "without time", "spiking", "neurons", "ratio"
    ));
    for (name, energy) in energies(counted) {
        let [ann, snn, neurons] =
            [energy.ann, energy.snn, energy.neurons].map(|pj| format!("{:.1}", pj / 1e3));
        console.say(format!("  {name:<20} {ann:>12} {snn:>12} {neurons:>12} {:>8.2}", energy.ratio()));
    }
}

fn rounded(operations: f64) -> String {
    format!("{operations:.0}")
}
