//! The commands, a file each.

pub(crate) mod bench;
pub(crate) mod compare;
pub(crate) mod data;
pub(crate) mod devices;
pub(crate) mod energy;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod infer;
pub(crate) mod net;
pub(crate) mod report;
pub(crate) mod train;
pub(crate) mod verify;

use burn::tensor::Device;
use image::{DynamicImage, ImageReader};
use std::path::{Path, PathBuf};
use synfire::device::{DeviceError, DeviceName, named};
use synfire::file::FileError;
use synfire::net::{Net, NonFinite};
use synfire::ops::Precision;
use synfire::train::{Checkpoint, ConfigError, PrecisionChoice, RunFolder, TrainConfig, TrainError};
use synfire_data::fetch::FetchError;
use synfire_data::{DataError, DataSet, Locations};
use synfire_events::EventError;
pub(crate) use synfire_report::text::percent;

/// Why a command ended without its result.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Error {
    text: String,
    code: u8,
}

impl Error {
    /// The command was called wrongly.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: 2 }
    }

    /// The command could not do its work.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: 1 }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.code
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<TrainError> for Error {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Config(error) => error.into(),
            TrainError::Data(error) => error.into(),
            other => Self::failed(other.to_string()),
        }
    }
}

impl From<DataError> for Error {
    fn from(error: DataError) -> Self {
        match error {
            DataError::UnknownSet { .. } | DataError::NoFolder { .. } | DataError::BuiltIn { .. } => {
                Self::usage(error.to_string())
            }
            _ => Self::failed(error.to_string()),
        }
    }
}

impl From<FetchError> for Error {
    fn from(error: FetchError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<EventError> for Error {
    fn from(error: EventError) -> Self {
        match error {
            EventError::UnknownName { .. } | EventError::Simulation { .. } => Self::usage(error.to_string()),
            _ => Self::failed(error.to_string()),
        }
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<NonFinite> for Error {
    fn from(error: NonFinite) -> Self {
        Self::failed(error.to_string())
    }
}

/// Where to compute.
#[derive(clap::Args, Debug)]
pub(crate) struct DeviceArgument {
    /// Where to compute: cpu, cuda, vulkan, metal or webgpu, the latter with a number if wanted (cuda:1), without one the first, of
    /// a comparison's runs and of MPI's processes each the next. `synfire devices` lists what there is.
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    device: String,
}

impl DeviceArgument {
    pub(crate) fn open(&self) -> Result<Device, Error> {
        open_device("--device", &self.device)
    }

    /// As one of several processes of this machine: a way without a number gives each the next of its devices.
    pub(crate) fn open_in_turn(&self, place: usize) -> Result<Device, Error> {
        let names = self.names()?;
        self.open_one(names[place % names.len()])
    }

    /// The first `most` of all that the name stands for.
    pub(crate) fn open_some(&self, most: usize) -> Result<Vec<Device>, Error> {
        self.names()?.into_iter().take(most).map(|name| self.open_one(name)).collect()
    }

    fn names(&self) -> Result<Vec<DeviceName>, Error> {
        named(&self.device).map_err(|error| told("--device", &self.device, &error))
    }

    fn open_one(&self, name: DeviceName) -> Result<Device, Error> {
        name.open().map_err(|error| told("--device", &self.device, &error))
    }
}

/// The device of this name, which `option` gave.
pub(crate) fn open_device(option: &str, name: &str) -> Result<Device, Error> {
    name.parse::<DeviceName>().and_then(DeviceName::open).map_err(|error| told(option, name, &error))
}

/// What is wrong with a device that an option named.
fn told(option: &str, name: &str, error: &DeviceError) -> Error {
    let text = format!("{option} {name}: {error}");
    match error {
        DeviceError::Unknown(_) | DeviceError::NotBuiltIn { .. } => Error::usage(text),
        _ => Error::failed(text),
    }
}

/// The precision that `--precision` asks for, on this device.
pub(crate) fn precision_on(choice: PrecisionChoice, device: &Device) -> Result<Precision, Error> {
    match choice.fits(device) {
        true => Ok(choice.on(device)),
        false => Err(Error::usage(format!("--precision {choice}: the device has no {choice}"))),
    }
}

/// A checkpoint, or the best one of a run folder: where it lies, what it holds, and its network.
pub(crate) fn open_checkpoint(path: &Path, device: &Device) -> Result<(PathBuf, Checkpoint, Net), Error> {
    let path = if path.is_dir() { RunFolder::new(path).best() } else { path.to_path_buf() };
    let checkpoint = Checkpoint::read(&path)?;
    let net = checkpoint.net(&path, device)?;
    Ok((path, checkpoint, net))
}

/// The data set that `checkpoint` (read from `path`) was trained on: in the folder given, else in that of its run.
pub(crate) fn data_set(
    checkpoint: &Checkpoint,
    path: &Path,
    data_dir: Option<PathBuf>,
) -> Result<DataSet, Error> {
    let folder = match (data_dir, path.parent().and_then(Path::parent)) {
        (None, Some(run)) => RunFolder::new(run).config()?.and_then(|config| config.data_dir),
        (given, _) => given,
    };
    let name = &checkpoint.header.config.dataset;
    if name.is_empty() {
        let problem = "it was imported without the name of a data set; import it with one";
        return Err(Error::failed(format!("{}: {problem}", path.display())));
    }
    let data = synfire_data::open(name, &Locations::new(folder.as_deref())?)?;
    checkpoint.header.check_fits(path, &data)?;
    Ok(data)
}

/// Refuses another number of time steps where a network has no neurons to take them.
pub(crate) fn check_steps(trained: &TrainConfig, time_steps: usize) -> Result<(), Error> {
    match trained.is_ann() && time_steps != 1 {
        true => {
            let problem = "this network was trained without neurons (--method ann) and knows no time";
            Err(Error::usage(format!("--time-steps {time_steps}: {problem}")))
        }
        false => Ok(()),
    }
}

/// The image that `file` is; none if its content is that of no image.
pub(crate) fn read_image(file: &Path) -> Result<Option<DynamicImage>, Error> {
    let failed = |e: &dyn std::fmt::Display| Error::failed(format!("cannot read {}: {e}", file.display()));
    let reader =
        ImageReader::open(file).and_then(ImageReader::with_guessed_format).map_err(|e| failed(&e))?;
    match reader.format() {
        Some(_) => reader.decode().map(Some).map_err(|e| failed(&e)),
        None => Ok(None),
    }
}
