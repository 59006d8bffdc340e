//! `synfire import`.

use super::export::seconds;
use super::net::shape;
use super::{Error, train::network};
use crate::console::Console;
use burn::tensor::Device;
use clap::{Args, Subcommand, value_parser};
use std::path::PathBuf;
use std::process::ExitCode;
use synfire::net::{Net, named};
use synfire::train::{Checkpoint, Described, MOST_STEPS, TrainConfig};
use synfire_data::{DataError, Locations, Sensor};
use synfire_interop::pytorch::{Exported, StateDict};
use synfire_interop::{decimal, nir, numbers};

/// Make a checkpoint of a network from another program.
///
/// `synfire eval`, `infer`, `energy` and `export` take it as they take one of their own.
#[derive(Args)]
pub(crate) struct Import {
    #[command(subcommand)]
    format: Format,
}

const TORCH: &str = "\
Examples:
  synfire import pytorch nmnist.pt nmnist -o nmnist.safetensors      a checkpoint of the released code
  synfire import pytorch own.pt mnist --net 16C3-MP2-LI10 -T 4 -o own.safetensors
  synfire import pytorch exported.safetensors -o again.safetensors   what `synfire export safetensors` wrote";

#[derive(Subcommand)]
enum Format {
    /// Weights from PyTorch: .pt, .pth or .safetensors.
    ///
    /// Which layers there are is not in such a file: name the network, or the data set whose network of the paper it is. Its tensors are
    /// found by their names where these are those of the released BPSTA networks (fun.0.weight) or of Synfire (layers.0.weight), whatever
    /// stands in front; else by their shapes, and by numbers in their names. Files are read as data, no code in them is run.
    #[command(after_help = TORCH)]
    Pytorch {
        #[command(flatten)]
        source: Source,
        /// Network: a name or a layer string [default: that of the recipe for the data set].
        #[arg(long, value_name = "NAME|LAYERS", value_parser = network)]
        net: Option<String>,
        /// Number of classes [default: those of the data set].
        #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
        classes: Option<u32>,
        /// Membrane potential at which a neuron fires [default: as in the file, else that of the recipe].
        #[arg(long, value_name = "U")]
        threshold: Option<f64>,
        /// Share of the membrane potential that a neuron keeps from step to step [default: as in the file, else that of the recipe].
        #[arg(long, value_name = "LAMBDA")]
        decay: Option<f64>,
        /// Whether a ReLU stands before each hidden neuron.
        #[arg(long, value_name = "BOOL")]
        relu: Option<bool>,
        /// Of several networks in the file, take the one whose tensors' names begin so.
        #[arg(long, value_name = "TEXT")]
        prefix: Option<String>,
    },
    /// A graph of the Neuromorphic Intermediate Representation (NIR).
    ///
    /// Its nodes have to stand in a row: convolutions or linear layers with neurons (LIF, IF) behind each, means or sums over windows,
    /// and neurons or integrators (LI) at the end, with means over several for each class if wanted. Other constants of single neurons are
    /// brought into their weights; all neurons need the same decay.
    Nir {
        #[command(flatten)]
        source: Source,
        /// Time step that the graph was made for, in seconds [default: as it says itself, else 0.0001].
        #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = seconds)]
        dt: Option<f64>,
    },
}

/// What both formats need.
#[derive(Args)]
struct Source {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Data set that the network is for, so that `synfire eval` can test it: its name, or the path of a folder of your own.
    #[arg(value_name = "DATASET")]
    dataset: Option<String>,
    /// The checkpoint to write.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Time steps for which the network sees a sample [default: as the file says, else those of the recipe].
    #[arg(long, short = 'T', value_name = "T", value_parser = value_parser!(u16).range(1..=MOST_STEPS as i64))]
    time_steps: Option<u16>,
    /// Channels, height and width of the input [default: those of the data set].
    #[arg(long, value_name = "C,H,W", value_parser = shape)]
    input: Option<[usize; 3]>,
    /// Where settings that are not given come from, paper or default [default: paper for weights of PyTorch].
    #[arg(long, value_name = "NAME")]
    recipe: Option<String>,
    /// Further settings, such as how recordings become frames: a file as a run's config.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of data sets, searched before SYNFIRE_DATA and the user's cache folder.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// What is known of the samples that a network is for.
struct Samples {
    input: Option<[usize; 3]>,
    sensor: Option<Sensor>,
    class_names: Option<Vec<String>>,
}

impl Import {
    pub(crate) fn run(self, console: &Console) -> Result<ExitCode, Error> {
        let device = Device::flex();
        match self.format {
            Format::Pytorch { source, net, classes, threshold, decay, relu, prefix } => {
                let mut given = source.given();
                if source.config.is_none() {
                    given.entry("recipe").or_insert("paper".into());
                }
                let mut put = |key: &str, value: Option<toml::Value>| {
                    given.extend(value.map(|value| (key.to_string(), value)));
                };
                put("net", net.map(Into::into));
                put("threshold", threshold.map(Into::into));
                put("decay", decay.map(Into::into));
                put("relu", relu.map(Into::into));
                torch(&source, given, classes.map(|n| n as usize), prefix.as_deref(), &device, console)
            }
            Format::Nir { source, dt } => from_nir(&source, dt, &device, console),
        }
    }
}

impl Source {
    /// The settings given.
    fn given(&self) -> toml::Table {
        let mut given = toml::Table::new();
        given.extend(self.recipe.clone().map(|name| ("recipe".to_string(), name.into())));
        given.extend(self.dataset.clone().map(|name| ("dataset".to_string(), name.into())));
        given.extend(self.time_steps.map(|steps| ("time-steps".to_string(), i64::from(steps).into())));
        given
    }

    /// The settings, those in `given` above all others.
    fn resolve(&self, given: toml::Table) -> Result<TrainConfig, Error> {
        let mut config = TrainConfig::resolve(self.config.as_deref(), given)?;
        if self.dataset.is_none() && self.config.is_none() {
            // The recipe's, of which nobody said that the network is for it.
            config.dataset.clear();
        }
        config.validate()?;
        Ok(config)
    }

    /// What the data set says of its samples, where its files are here.
    fn samples(&self, config: &TrainConfig, console: &Console) -> Result<Samples, Error> {
        let mut samples = Samples { input: self.input, sensor: None, class_names: None };
        if config.dataset.is_empty() {
            return Ok(samples);
        }
        let data = match synfire_data::open(&config.dataset, &Locations::new(self.data_dir.as_deref())?) {
            Ok(data) => data,
            Err(error @ (DataError::UnknownSet { .. } | DataError::NoFolder { .. })) => {
                return Err(error.into());
            }
            Err(error) => {
                console.note(format!("goes on without the data set: {error}"));
                return Ok(samples);
            }
        };
        config.validate_for(&data)?;
        let input = data.shape(&config.frames());
        if let Some(given) = self.input.filter(|given| *given != input) {
            return Err(Error::usage(format!("--input {given:?}: samples of {} are {input:?}", data.name)));
        }
        samples.input = Some(input);
        samples.sensor = data.train.sensor();
        samples.class_names = Some(data.class_names);
        Ok(samples)
    }

    /// Writes the checkpoint and tells of it.
    fn finish(
        &self,
        network: Described,
        net: &mut Net,
        modules: &[(String, String)],
        notes: &[String],
        console: &Console,
    ) -> Result<ExitCode, Error> {
        let config = network.config.clone();
        let checkpoint = Checkpoint::imported(network, net)
            .map_err(|found| Error::failed(format!("{}: {found}", self.file.display())))?;
        checkpoint.write(&self.out)?;
        notes.iter().for_each(|note| console.note(note));
        for (own, other) in modules {
            console.say(format!("{own:<28} from {other}"));
        }
        console.say(format!(
            "{}: {}, {} parameters, {} time steps, threshold {}, decay {}",
            self.out.display(),
            net.plan().spec,
            net.plan().parameters(),
            config.time_steps,
            net.lif.threshold,
            net.lif.decay,
        ));
        console.json(&serde_json::json!({
            "checkpoint": self.out.display().to_string(), "net": net.plan().spec.to_string(), "parameters": net.plan().parameters(),
            "time_steps": config.time_steps, "threshold": net.lif.threshold, "decay": net.lif.decay,
            "modules": modules.iter().map(|(own, other)| [own, other]).collect::<Vec<_>>(), "notes": notes,
        }));
        Ok(ExitCode::SUCCESS)
    }
}

fn torch(
    source: &Source,
    mut given: toml::Table,
    classes: Option<usize>,
    prefix: Option<&str>,
    device: &Device,
    console: &Console,
) -> Result<ExitCode, Error> {
    let file = StateDict::open(&source.file)?;
    let constants = file.constants()?;
    for (key, constant) in [("threshold", constants.threshold), ("decay", constants.decay)] {
        if let Some(constant) = constant {
            given.entry(key).or_insert(decimal(constant).into());
        }
    }
    let (config, samples) = match file.exported() {
        Some(exported) => taken_up(source, exported, given, classes)?,
        None => {
            let config = source.resolve(given)?;
            let samples = source.samples(&config, console)?;
            (config, samples)
        }
    };
    let known = named(&config.net);
    let (Some(input), Some(classes)) = (
        samples.input.or(known.map(|net| net.input)),
        samples.class_names.as_ref().map(Vec::len).or(classes).or(known.map(|net| net.classes)),
    ) else {
        return Err(Error::usage("--input and --classes are needed where no data set tells them"));
    };
    let class_names = samples.class_names.unwrap_or_else(|| numbers(classes));
    let plan = config.plan(input, classes)?;
    let mut net = config.build(plan, 0, device);
    let weights = file.weights_for(&mut net, prefix)?;
    net.load_state(&weights.tensors).map_err(|e| Error::failed(format!("{}: {e}", source.file.display())))?;
    let mut notes = Vec::new();
    if weights.by_shape {
        notes.push("its modules were told apart by their shapes, and by numbers in their names".to_string());
    }
    let network = Described { config, input, sensor: samples.sensor, class_names };
    source.finish(network, &mut net, &weights.modules, &notes, console)
}

/// What a file of ours says of its network, under what was given.
fn taken_up(
    source: &Source,
    exported: &Exported,
    given: toml::Table,
    classes: Option<usize>,
) -> Result<(TrainConfig, Samples), Error> {
    let useless = [
        ("--config", source.config.is_some()),
        ("--recipe", source.recipe.is_some()),
        ("--data-dir", source.data_dir.is_some()),
        ("--classes", classes.is_some_and(|n| n != exported.class_names.len())),
    ];
    if let Some((option, _)) = useless.into_iter().find(|(_, given)| *given) {
        let text = "was exported by Synfire and says what its network is: leave this out";
        return Err(Error::usage(format!("{option}: {} {text}", source.file.display())));
    }
    let mut table = toml::Table::try_from(&exported.config).map_err(|e| Error::failed(e.to_string()))?;
    table.extend(given.into_iter().filter(|(key, _)| key != "recipe"));
    let config: TrainConfig =
        table.try_into().map_err(|e: toml::de::Error| Error::usage(e.message().to_string()))?;
    config.validate()?;
    let sensor = exported.sensor.map(|[width, height]| Sensor { width, height });
    let input = source.input.unwrap_or(exported.input);
    Ok((config, Samples { input: Some(input), sensor, class_names: Some(exported.class_names.clone()) }))
}

fn from_nir(source: &Source, dt: Option<f64>, device: &Device, console: &Console) -> Result<ExitCode, Error> {
    let graph = nir::read(&source.file)?;
    let mut given = source.given();
    if let Some(steps) = graph.metadata.time_steps {
        given.entry("time-steps").or_insert(i64::try_from(steps).unwrap_or(i64::MAX).into());
    }
    let dt = dt.or(graph.metadata.dt).unwrap_or(nir::DT);
    let failed = |problem: String| Error::failed(format!("{}: {problem}", source.file.display()));
    // The settings are those of the network as it is read; a name in the recipe's is of another one.
    let imported = nir::import(&graph, dt, source.input, device).map_err(failed)?;
    given.extend(imported.settings());
    let mut net = imported.net;
    let (input, classes) = (net.plan().input, net.plan().classes);
    let config = source.resolve(given)?;
    let samples = source.samples(&config, console)?;
    if let Some(own) = samples.input.filter(|own| *own != input) {
        return Err(failed(format!(
            "it takes input of {input:?}, samples of {} are {own:?}",
            config.dataset
        )));
    }
    let class_names = samples.class_names.unwrap_or(imported.class_names);
    if class_names.len() != classes {
        return Err(failed(format!(
            "it tells {classes} classes apart, {} has {}",
            config.dataset,
            class_names.len()
        )));
    }
    let network = Described { config, input, sensor: samples.sensor, class_names };
    source.finish(network, &mut net, &[], &imported.notes, console)
}
