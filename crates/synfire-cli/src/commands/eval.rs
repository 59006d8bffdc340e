//! `synfire eval`.

use super::{DeviceArgument, Error, check_steps, data_set, open_checkpoint, percent};
use crate::console::Console;
use clap::{Args, value_parser};
use std::path::PathBuf;
use std::process::ExitCode;
use synfire::anytime::Anytime;
use synfire::net::module_number;
use synfire::train::{MOST_STEPS, TrainConfig, check_inference, evaluate};
use synfire_data::Loader;

/// Test a trained network: accuracy, per class, against time steps.
///
/// Takes a run folder (its best checkpoint) or a checkpoint.
#[derive(Args)]
pub(crate) struct Eval {
    /// Run folder or checkpoint.
    #[arg(value_name = "RUN|CHECKPOINT")]
    path: PathBuf,
    /// Evaluate with these numbers of time steps [default: as in training]. Recordings are cut into as many
    /// frames; still images are shown for as long.
    #[arg(long, short = 'T', value_name = "T,…", value_delimiter = ',',
          value_parser = value_parser!(u16).range(1..=MOST_STEPS as i64))]
    time_steps: Vec<u16>,
    /// Which part of the data set: test, validation or train.
    #[arg(long, default_value = "test", value_name = "PART", value_parser = ["test", "validation", "train"])]
    part: String,
    /// Tell too how often the answer is right after each time step, and what comes of stopping once it is certain.
    #[arg(long)]
    anytime: bool,
    /// Folder of data sets [default: that of the run], searched before SYNFIRE_DATA and the user's cache folder.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgument,
}

impl Eval {
    pub(crate) fn run(self, console: &Console) -> Result<ExitCode, Error> {
        let device = self.device.open()?;
        let (path, checkpoint, mut net) = open_checkpoint(&self.path, &device)?;
        let trained = checkpoint.header.config.clone();
        let data = data_set(&checkpoint, &path, self.data_dir)?;
        data.notes.iter().for_each(|note| console.note(note));
        let (source, indices) = match self.part.as_str() {
            "test" => (data.test.clone(), (0..data.test.len()).collect()),
            part => {
                let split = checkpoint.header.split(&path, &data)?;
                (data.train.clone(), if part == "train" { split.train } else { split.validation })
            }
        };
        let mut steps: Vec<usize> = self.time_steps.into_iter().map(usize::from).collect();
        if steps.is_empty() {
            steps.push(trained.time_steps);
        }
        steps.iter().try_for_each(|&steps| check_steps(&trained, steps))?;
        let mut last = None;
        for &time_steps in &steps {
            let config = TrainConfig { time_steps, ..trained.clone() };
            let batch = config.batch_size.saturating_mul(2);
            check_inference(net.plan(), batch.min(indices.len()), time_steps, net.device())?;
            let loader = Loader::new(source.clone(), indices.clone(), config.frames(), batch)?;
            let bar =
                console.bar(indices.len() as u64, "T = {prefix} {bar:24} {pos}/{len} samples, {eta} left");
            bar.set_prefix(time_steps.to_string());
            let mut go_on = |samples| {
                bar.set_position(samples as u64);
                true
            };
            let result =
                evaluate(&mut net, &loader, &config, config.is_ann(), &mut go_on)?.expect("nothing stops it");
            bar.finish_and_clear();
            console.say(format!(
                "T = {time_steps}: {} accuracy {} ({} samples), loss {:.4}",
                self.part,
                percent(result.accuracy),
                result.samples,
                result.loss
            ));
            if self.anytime {
                tell_anytime(&result.anytime, console);
            }
            console
                .json(&serde_json::json!({ "part": self.part, "time_steps": time_steps, "result": result }));
            last = Some(result);
        }
        if let (Some(result), 1) = (last, steps.len()) {
            for ((accuracy, samples), name) in result.per_class().into_iter().zip(&data.class_names) {
                console.say(format!("  {name:<12} {:>9} of {samples}", percent(accuracy)));
            }
            let mut rates: Vec<_> = result.firing_rates.iter().collect();
            rates.sort_by_key(|(module, _)| module_number(module));
            for (module, rate) in rates {
                let layer = net.plan().layer_of(module.strip_prefix("layers.").unwrap_or(module));
                console.say(format!("  firing rate {:>8}  {module} ({layer})", percent(*rate)));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn tell_anytime(anytime: &Anytime, console: &Console) {
    for (step, (accuracy, certainty)) in anytime.accuracy.iter().zip(&anytime.certainty).enumerate() {
        let (accuracy, certainty) = (percent(*accuracy), percent(*certainty));
        console.say(format!("  after step {:>3}: {accuracy:>9}, certainty {certainty:>9}", step + 1));
    }
    let steps = anytime.accuracy.len();
    for exit in &anytime.exits {
        let (certainty, accuracy) = (100.0 * exit.certainty, percent(exit.accuracy));
        let mean = exit.mean_steps;
        console.say(format!(
            "  once certain to {certainty:>4.1} %: {accuracy:>9} after {mean:.2} of {steps} steps"
        ));
    }
}
