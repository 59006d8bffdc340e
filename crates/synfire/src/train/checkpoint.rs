//! Checkpoints: one safetensors file with weights, optimiser, and where training stands.
//!
//! The parameters and running statistics carry the names of PyTorch's state dict; the optimiser's tensors stand
//! under `optimizer.`. One metadata key holds the rest as JSON. There is no clock and no path inside, so that equal
//! runs write equal bytes, and no membrane potential: a neuron's state ends with its forward pass. Random numbers
//! come from streams numbered by seed, epoch and batch, so that the position says where they stand.

use super::config::TrainConfig;
use super::error::TrainError;
use super::memory::check_held;
use crate::file::{FileError, HostTensor, TensorFile, write_atomically};
use crate::net::{Net, NonFinite, StateError};
use crate::optim::{Optimizer, OptimizerState};
use burn::tensor::{Device, TensorData};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use synfire_data::{DataSet, Sensor, Split};

/// The key of the metadata.
const KEY: &str = "synfire";
/// What the header's last field begins with, in front of its number.
const CHECKSUM: &str = "\"checksum\":";
/// Version of the layout.
const FORMAT: u32 = 2;
const OPTIMIZER: &str = "optimizer.";

/// What the network is and how it was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    format: u32,
    /// The settings of the run.
    pub config: TrainConfig,
    /// Channels, height and width of the input.
    pub input: [usize; 3],
    /// Width and height of the sensor whose recordings it was trained on; none for still images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sensor: Option<[u16; 2]>,
    /// Names of the classes.
    pub class_names: Vec<String>,
    /// By what its data are known again.
    pub data: DataMark,
    /// Where training stands.
    pub position: Position,
    counters: BTreeMap<String, u64>,
    /// CRC-32C over this header with a checksum of 0, and over names, shapes and values of the tensors.
    checksum: u32,
}

/// A network with what must be known to use it.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// Its settings.
    pub config: TrainConfig,
    /// Channels, height and width of the input.
    pub input: [usize; 3],
    /// The sensor whose recordings it was trained on, where samples are recordings.
    pub sensor: Option<Sensor>,
    /// Names of the classes.
    pub class_names: Vec<String>,
}

/// By what a data set and its split are known again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataMark {
    /// Training samples there are.
    pub train: usize,
    /// Test samples there are.
    pub test: usize,
    /// Checksum of the split into training and validation.
    pub split: String,
}

impl DataMark {
    /// That of `data`, split by `split`.
    pub fn of(data: &DataSet, split: &Split) -> Self {
        Self { train: data.train.len(), test: data.test.len(), split: split.checksum() }
    }
}

impl fmt::Display for DataMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} training and {} test samples, split {}", self.train, self.test, self.split)
    }
}

/// The part of a header that every version has.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// Where training stands: everything that the next batch depends on beside weights and optimiser.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Epoch, from 0.
    pub epoch: usize,
    /// Batches of it that are done.
    pub batch: usize,
    /// Optimiser steps since the start.
    pub steps: u64,
    /// Sums over the done batches of the epoch.
    pub sums: Sums,
    /// The best epoch so far.
    pub best: Option<Best>,
    /// Training is over.
    pub finished: bool,
}

/// Sums over the batches of an epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Samples seen.
    pub samples: usize,
    /// Loss times samples.
    pub loss: f64,
    /// Samples whose class was right.
    pub correct: usize,
    /// Samples for whose class the readout gave exactly 0.
    #[serde(default)]
    pub silent: usize,
    /// Gradient norm of each module, summed over batches.
    pub gradient_norms: BTreeMap<String, f64>,
}

/// The best epoch by validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Which epoch, from 0.
    pub epoch: usize,
    /// Its validation accuracy, a fraction.
    pub accuracy: f64,
    /// Its validation loss, which decides between equal accuracies.
    pub loss: f64,
}

impl Header {
    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a header is JSON")
    }

    /// The checksum of a file whose header is this text, in which it has a checksum of 0.
    fn checksum_of(header: &str, file: &TensorFile) -> u32 {
        file.tensors.iter().fold(crc32c::crc32c(header.as_bytes()), |crc, (name, tensor)| {
            let shape = tensor.shape.iter().flat_map(|&size| (size as u64).to_le_bytes());
            let values = tensor.values.iter().flat_map(|value| value.to_le_bytes());
            let bytes: Vec<u8> = name.bytes().chain(shape).chain(values).collect();
            crc32c::crc32c_append(crc, &bytes)
        })
    }

    /// Checks that the network can be run on `data`.
    ///
    /// # Errors
    /// If images, sensor or classes are others than those it was trained on; `path` is the checkpoint.
    pub fn check_fits(&self, path: &Path, data: &DataSet) -> Result<(), FileError> {
        let of = |[c, h, w]: [usize; 3], classes: usize| format!("{c}x{h}x{w} and {classes} classes");
        let (own, found) =
            (of(self.input, self.class_names.len()), of(data.shape(&self.config.frames()), data.classes));
        if own != found {
            let problem = format!("its network is for input of {own}, {} has {found}", data.name);
            return Err(FileError::content(path, problem));
        }
        match (self.sensor(), data.train.sensor()) {
            (Some(own), Some(found)) if own != found => {
                let problem = format!("it was trained on a {own} sensor, that of {} is {found}", data.name);
                Err(FileError::content(path, problem))
            }
            _ => Ok(()),
        }
    }

    /// The network with what must be known to use it.
    #[must_use]
    pub fn described(&self) -> Described {
        let (config, class_names) = (self.config.clone(), self.class_names.clone());
        Described { config, input: self.input, sensor: self.sensor(), class_names }
    }

    /// The sensor whose recordings it was trained on.
    #[must_use]
    pub fn sensor(&self) -> Option<Sensor> {
        self.sensor.map(|[width, height]| Sensor { width, height })
    }

    /// Checks that `data` are those it was trained on, and splits them as they were then.
    ///
    /// # Errors
    /// If they are others; `path` is the checkpoint.
    pub fn split(&self, path: &Path, data: &DataSet) -> Result<Split, TrainError> {
        self.check_fits(path, data)?;
        if self.data.split.is_empty() {
            let problem = "it was imported: nothing tells which samples it was trained on; its test samples can be used";
            return Err(FileError::content(path, problem).into());
        }
        let split = self.config.split(data)?;
        let found = DataMark::of(data, &split);
        if found == self.data {
            return Ok(split);
        }
        let place = data.folder.as_ref().map_or("built in".into(), |folder| folder.display().to_string());
        let name = &data.name;
        let problem =
            format!("it was trained on other data: {} of {name} then, {found} now ({place})", self.data);
        Err(FileError::content(path, problem).into())
    }

    /// What is impossible about where training stands.
    fn check_position(&self) -> Result<(), String> {
        let (position, epochs) = (&self.position, self.config.epochs);
        if position.epoch > epochs {
            return Err(format!("it stands in epoch {} of {epochs}", position.epoch + 1));
        }
        match &position.best {
            Some(best) if best.epoch >= position.epoch => {
                Err(format!("its best epoch, {}, is not over yet", best.epoch + 1))
            }
            _ => Ok(()),
        }
    }
}

/// Checks every value of `file`.
fn check_finite(file: &TensorFile) -> Result<(), NonFinite> {
    let sound = |tensor: &HostTensor| tensor.values.iter().all(|value| value.is_finite());
    match file.tensors.iter().find(|(_, tensor)| !sound(tensor)) {
        Some((name, _)) => Err(NonFinite::Tensor(name.clone())),
        None => Ok(()),
    }
}

/// A checkpoint in memory.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// What it is of.
    pub header: Header,
    file: TensorFile,
}

impl Checkpoint {
    /// What a run is now.
    ///
    /// # Errors
    /// If a weight, a running statistic or the optimiser's state is NaN or infinite.
    pub fn new(
        config: &TrainConfig,
        data: &DataSet,
        split: &Split,
        position: &Position,
        net: &mut Net,
        optimizer: Option<&Optimizer>,
    ) -> Result<Self, NonFinite> {
        let mut file = TensorFile { tensors: net.state(), ..TensorFile::default() };
        let mut counters = BTreeMap::new();
        if let Some(optimizer) = optimizer {
            let state = optimizer.state(net);
            counters = state.counters;
            for (name, data) in state.tensors {
                let shape = data.shape().to_vec();
                let values = data.try_into_vec::<f32>().expect("optimiser state is f32");
                file.tensors.insert(format!("{OPTIMIZER}{name}"), HostTensor { shape, values });
            }
        }
        let network = Described {
            config: config.clone(),
            input: net.plan().input,
            sensor: data.train.sensor(),
            class_names: data.class_names.clone(),
        };
        Self::sealed(network, DataMark::of(data, split), position.clone(), counters, file)
    }

    /// That of a network which was not trained here: there is nothing to resume, and no data are known that it was trained on.
    ///
    /// # Errors
    /// If a weight or a running statistic is NaN or infinite.
    pub fn imported(network: Described, net: &mut Net) -> Result<Self, NonFinite> {
        let file = TensorFile { tensors: net.state(), ..TensorFile::default() };
        let position = Position { finished: true, ..Position::default() };
        let unknown = DataMark { train: 0, test: 0, split: String::new() };
        Self::sealed(network, unknown, position, BTreeMap::new(), file)
    }

    fn sealed(
        network: Described,
        data: DataMark,
        position: Position,
        counters: BTreeMap<String, u64>,
        file: TensorFile,
    ) -> Result<Self, NonFinite> {
        check_finite(&file)?;
        let Described { config, input, sensor, class_names } = network;
        let mut header = Header {
            format: FORMAT,
            config: TrainConfig { data_dir: None, ..config },
            input,
            sensor: sensor.map(|sensor| [sensor.width, sensor.height]),
            class_names,
            data,
            position,
            counters,
            checksum: 0,
        };
        header.checksum = Header::checksum_of(&header.to_json(), &file);
        Ok(Self { header, file })
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let mut file = self.file.clone();
        file.metadata.insert(KEY.to_string(), self.header.to_json());
        let bytes = file.to_bytes().map_err(|problem| FileError::content(path, problem))?;
        write_atomically(path, &bytes)
    }

    /// Reads one.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, is no checkpoint of this version, or a value in it is NaN or infinite.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let file = TensorFile::read(path)?;
        let content = |problem: String| FileError::content(path, problem);
        let json = file.meta(KEY).map_err(|e| content(format!("not a Synfire checkpoint: {e}")))?;
        let unreadable = |e| content(format!("its metadata `{KEY}` cannot be read: {e}"));
        // The version first: the rest of another version's header need not be known.
        let Version { format } = serde_json::from_str(json).map_err(unreadable)?;
        if format != FORMAT {
            return Err(content(format!("checkpoint format {format}, this version reads {FORMAT}")));
        }
        let header: Header = serde_json::from_str(json).map_err(unreadable)?;
        // Of the text as it stands: an older version's has fewer settings. The checksum is its last field.
        let (before, _) = json.rsplit_once(CHECKSUM).ok_or_else(|| content("it has no checksum".into()))?;
        let found = Header::checksum_of(&format!("{before}{CHECKSUM}0}}"), &file);
        if header.checksum != found {
            let expected = header.checksum;
            return Err(content(format!("damaged: its checksum is {found:08x}, expected {expected:08x}")));
        }
        header.check_position().map_err(content)?;
        check_finite(&file).map_err(|found| content(found.to_string()))?;
        Ok(Self { header, file })
    }

    /// The network with these weights.
    ///
    /// # Errors
    /// If the tensors are not those of the network that the settings name.
    pub fn net(&self, path: &Path, device: &Device) -> Result<Net, FileError> {
        let content = |problem: String| FileError::content(path, problem);
        let header = &self.header;
        header.config.validate().map_err(|e| content(e.to_string()))?;
        let plan =
            header.config.plan(header.input, header.class_names.len()).map_err(|e| content(e.to_string()))?;
        let mut state = self.file.tensors.clone();
        state.retain(|name, _| !name.starts_with(OPTIMIZER));
        check_held(&plan, &state).map_err(content)?;
        let mut net = header.config.build(plan, 0, device);
        if let Some(name) = net.state().into_keys().find(|name| !state.contains_key(name)) {
            return Err(content(StateError::Missing(name).to_string()));
        }
        net.load_state(&state).map_err(|e| content(e.to_string()))?;
        Ok(net)
    }

    /// Gives `optimizer` the state of this checkpoint; before the first step there is none.
    ///
    /// # Errors
    /// If the checkpoint holds no state of this optimiser for `net`.
    pub fn restore_optimizer(
        &self,
        path: &Path,
        net: &mut Net,
        optimizer: &mut Optimizer,
    ) -> Result<(), FileError> {
        if self.header.position.steps == 0 {
            return Ok(());
        }
        let tensors = self.file.tensors.iter().filter_map(|(name, tensor)| {
            let data = TensorData::new(tensor.values.clone(), tensor.shape.clone());
            Some((name.strip_prefix(OPTIMIZER)?.to_string(), data))
        });
        let state = OptimizerState { tensors: tensors.collect(), counters: self.header.counters.clone() };
        optimizer.restore(net, state).map_err(|problem| FileError::content(path, problem))
    }
}
