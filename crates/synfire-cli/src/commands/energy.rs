//! `synfire energy`.

use super::{DeviceArgument, Error, check_steps, data_set, open_checkpoint, percent};
use crate::console::Console;
use clap::{Args, value_parser};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use synfire::energy::{Costs, Energy, FP32, INT8, Operations, count};
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
    /// Compare with this network of the same shape, trained with --method ann, on what it really multiplies.
    #[arg(long, value_name = "RUN|CHECKPOINT")]
    ann: Option<PathBuf>,
    /// Count the memory too, so many picojoules for each access: every product fetches its weight, every neuron reads and writes its
    /// potential. In 45 nm, 5 from a memory of 8 kB, 50 from 1 MB, 650 and more from DRAM.
    #[arg(long, value_name = "PJ", allow_negative_numbers = true, value_parser = picojoules)]
    memory: Option<f64>,
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
        let (counted, config) = self.count(&self.path, self.time_steps.map(usize::from), console)?;
        let with_memory =
            self.memory.map(|access| ("fp32 with memory", counted.energy_with_memory(FP32, access)));
        let energies: Vec<(&str, Energy)> = counted.energies().into_iter().chain(with_memory).collect();
        let ann = match &self.ann {
            None => None,
            Some(path) => Some(self.count_ann(path, &config, console)?),
        };
        say(&counted, &energies, console);
        if let Some(ann) = &ann {
            say_against(&counted, ann, console);
        }
        let against = ann.as_ref().map(|ann| {
            let energies = [FP32, INT8].map(|costs| {
                let (snn, ann) = (counted.energy(costs), ann.energy(costs).snn);
                json!({ "by": costs.numbers, "ann": ann, "ratio": ann / (snn.snn + snn.neurons) })
            });
            json!({ "operations": ann, "effective_macs": ann.macs(), "energy_pj": energies })
        });
        console.json(&json!({
            "operations": counted, "dense": counted.dense(), "effective_macs": counted.macs(), "effective_acs": counted.acs(),
            "firing_rate": counted.rate(),
            "energy_pj": energies.iter().map(|(name, energy)| {
                json!({ "by": name, "ann": energy.ann, "snn": energy.snn, "neurons": energy.neurons, "ratio": energy.ratio() })
            }).collect::<Vec<_>>(),
            "against_ann": against,
        }));
        Ok(ExitCode::SUCCESS)
    }

    /// Counts the operations of the network at `path`.
    fn count(
        &self,
        path: &Path,
        time_steps: Option<usize>,
        console: &Console,
    ) -> Result<(Operations, TrainConfig), Error> {
        let (path, checkpoint, mut net) = open_checkpoint(path, &self.device.open()?)?;
        let data = data_set(&checkpoint, &path, self.data_dir.clone())?;
        data.notes.iter().for_each(|note| console.note(note));
        let trained = checkpoint.header.config;
        let time_steps = time_steps.unwrap_or(trained.time_steps);
        check_steps(&trained, time_steps)?;
        let config = TrainConfig { time_steps, ..trained };
        let available = data.test.len();
        let samples = self.samples.map_or(available, |samples| (samples as usize).min(available));
        check_inference(net.plan(), config.batch_size.min(samples), time_steps, net.device())?;
        let indices = evenly_spaced(samples, available);
        let loader = Loader::new(data.test.clone(), indices, config.frames(), config.batch_size)?;
        let bar = console.bar(samples as u64, "counting {bar:24} {pos}/{len} samples, {eta} left");
        let mut go_on = |samples| {
            bar.set_position(samples as u64);
            true
        };
        let counted = count(&mut net, &loader, &config, &mut go_on)?.expect("nothing stops it");
        bar.finish_and_clear();
        Ok((counted, config))
    }

    /// The same of a network without neurons that `spiking` is compared with.
    fn count_ann(&self, path: &Path, spiking: &TrainConfig, console: &Console) -> Result<Operations, Error> {
        let (ann, config) = self.count(path, None, console)?;
        let problem = match () {
            () if ann.spikes() => "that network spikes; train one with --method ann".to_string(),
            () if (config.layers(), &config.dataset) != (spiking.layers(), &spiking.dataset) => {
                format!("that is {} on {}, another network or data set", config.layers(), config.dataset)
            }
            () => return Ok(ann),
        };
        Err(Error::usage(format!("--ann {}: {problem}", path.display())))
    }
}

/// Reads an energy.
fn picojoules(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("expected a number of at least 0".into()),
    }
}

fn say(counted: &Operations, energies: &[(&str, Energy)], console: &Console) {
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
    if !counted.spikes() {
        let energy = |costs: Costs| format!("{:.1} nJ in {}", counted.energy(costs).snn / 1e3, costs.numbers);
        console.say(format!(
            "energy of a sample, arithmetic alone, of what is not 0: {}, {}",
            energy(FP32),
            energy(INT8)
        ));
        return;
    }
    console.say(format!("  {:<37} firing rate {}", "all", percent(counted.rate())));
    console.say("energy of a sample in nJ, arithmetic alone:");
    let row = |cells: [&str; 5]| {
        let [name, ann, snn, neurons, ratio] = cells;
        console.say(format!("  {name:<20} {ann:>12} {snn:>12} {neurons:>12} {ratio:>8}"));
    };
    row(["", "without time", "spiking", "neurons", "ratio"]);
    for (name, energy) in energies {
        let [ann, snn, neurons] = [energy.ann, energy.snn, energy.neurons].map(nanojoules);
        row([name, &ann, &snn, &neurons, &format!("{:.2}", energy.ratio())]);
    }
}

/// Beside a network without neurons, of which what is 0 is skipped too.
fn say_against(counted: &Operations, ann: &Operations, console: &Console) {
    let share = ann.macs() / ann.dense();
    console.say(format!(
        "against the network trained without neurons, {} of whose products are of an input that is not 0:",
        percent(share)
    ));
    for costs in [FP32, INT8] {
        let (snn, ann) = (counted.energy(costs), ann.energy(costs).snn);
        let (snn, ratio) = (snn.snn + snn.neurons, ann / (snn.snn + snn.neurons));
        let (name, ann, snn) = (costs.numbers, nanojoules(ann), nanojoules(snn));
        console.say(format!("  {name:<20} {ann:>12} {snn:>12} with neurons {ratio:>8.2}"));
    }
}

fn nanojoules(picojoules: f64) -> String {
    format!("{:.1}", picojoules / 1e3)
}

fn rounded(operations: f64) -> String {
    format!("{operations:.0}")
}
