//! `synfire data simulate`.

use super::{Error, FormatArgument, grouped, must_be_new, open, write_failed};
use crate::commands::read_image;
use crate::console::Console;
use clap::{Args, ValueEnum};
use image::GrayImage;
use image::imageops::FilterType;
use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use synfire_data::folder::SIMULATED;
use synfire_data::{FrameSpec, Source};
use synfire_events::formats::nmnist::SENSOR;
use synfire_events::simulate::{Camera, CameraSettings, Image, Moving, record};
use synfire_events::{Format, Recording, Sensor};

/// Make recordings with a simulated event camera.
///
/// INPUT is an image, which then moves in front of the camera; or a folder of images, which are the frames of a video in the order
/// of their names; or the name of a simulated data set, of which samples are written as OUTPUT/PART/CLASS/NUMBER. The same seed
/// gives the same events.
#[derive(Args)]
pub(super) struct Simulate {
    /// Image, folder of images, or data set.
    #[arg(value_name = "INPUT")]
    input: PathBuf,
    /// The recording, or the folder of a set's recordings.
    #[arg(short, long, value_name = "FILE|FOLDER")]
    output: PathBuf,
    #[command(flatten)]
    format: FormatArgument,
    /// How an image moves.
    #[arg(long, value_name = "PROTOCOL", default_value = "saccades")]
    protocol: Protocol,
    /// Frames of a video in a second.
    #[arg(long, value_name = "RATE", default_value_t = 100.0)]
    fps: f64,
    /// Of a set, so many samples of each part [default: all].
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Folder of data sets, searched before SYNFIRE_DATA and the user's cache folder.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Replace what is at the output's place.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    camera: CameraArguments,
}

#[derive(Clone, Copy, ValueEnum)]
enum Protocol {
    /// As N-MNIST was recorded: 28x28 pixels on a 34x34 sensor, three saccades of 100 ms.
    Saccades,
    /// As CIFAR10-DVS was recorded: enlarged on a 128x128 sensor, six closed loops of 200 ms.
    Loop,
}

/// The camera that looks at an image or a video; a set has its own.
#[derive(Args)]
#[command(next_help_heading = "Camera")]
struct CameraArguments {
    /// Change of the natural logarithm of the brightness that makes an on event.
    #[arg(long, value_name = "C", default_value_t = CameraSettings::default().threshold_on)]
    threshold_on: f32,
    /// Change of it that makes an off event.
    #[arg(long, value_name = "C", default_value_t = CameraSettings::default().threshold_off)]
    threshold_off: f32,
    /// Standard deviation of the thresholds over pixels, as a share of them.
    #[arg(long, value_name = "SHARE", default_value_t = CameraSettings::default().mismatch)]
    mismatch: f32,
    /// For how long a pixel is blind after an event, in microseconds.
    #[arg(long, value_name = "US", default_value_t = CameraSettings::default().refractory_us)]
    refractory_us: i64,
    /// Events of a pixel for no reason, in a second.
    #[arg(long, value_name = "HZ", default_value_t = CameraSettings::default().noise_hz)]
    noise_hz: f32,
    /// How bright black is, as a share of white.
    #[arg(long, value_name = "SHARE", default_value_t = CameraSettings::default().dark)]
    dark: f32,
    /// Seed of mismatch and noise.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
}

impl CameraArguments {
    fn settings(&self) -> CameraSettings {
        CameraSettings {
            threshold_on: self.threshold_on,
            threshold_off: self.threshold_off,
            mismatch: self.mismatch,
            refractory_us: self.refractory_us,
            noise_hz: self.noise_hz,
            dark: self.dark,
        }
    }
}

impl Simulate {
    pub(super) fn run(self, console: &Console) -> Result<(), Error> {
        must_be_new(&self.output, self.force)?;
        if !self.input.exists() && synfire_data::find(&self.input.to_string_lossy()).is_ok() {
            return self.set(console);
        }
        let format = self.format.of(&self.output)?;
        let recording = if self.input.is_dir() { self.video()? } else { self.image()? };
        if recording.events.is_empty() {
            let text = format!("{}: the camera saw no change", self.input.display());
            return Err(Error::failed(text));
        }
        synfire_events::write(&self.output, format, &recording)?;
        console.say(format!(
            "{} simulated events of a {} sensor: {}",
            grouped(recording.events.len() as u64),
            recording.sensor,
            self.output.display()
        ));
        console.json(&serde_json::json!({
            "simulated": true, "events": recording.events.len(), "width": recording.sensor.width,
            "height": recording.sensor.height, "format": format.name(), "output": self.output,
        }));
        Ok(())
    }

    fn image(&self) -> Result<Recording, Error> {
        let image = read(&self.input)?;
        let side = match self.protocol {
            Protocol::Saccades => 28,
            Protocol::Loop => 128,
        };
        // As large as the sensor shows it, and no larger.
        let image = match image.width().max(image.height()) {
            large if large > side => {
                let fitted = |len: u32| (len * side).div_ceil(large).max(1);
                image::imageops::resize(
                    &image,
                    fitted(image.width()),
                    fitted(image.height()),
                    FilterType::Triangle,
                )
            }
            _ => image,
        };
        let (width, height) = (image.width() as usize, image.height() as usize);
        let image = Image::new(width, height, brightness(&image));
        let scene = match self.protocol {
            Protocol::Saccades => Moving::saccades(image),
            Protocol::Loop => Moving::closed_loop(image),
        };
        Ok(record(&scene, &self.camera.settings(), self.camera.seed)?)
    }

    fn video(&self) -> Result<Recording, Error> {
        if !(self.fps > 0.0 && self.fps <= 1e6) {
            return Err(Error::usage(format!("--fps {}: expected a rate up to 1000000", self.fps)));
        }
        let io = |e| Error::failed(format!("cannot read {}: {e}", self.input.display()));
        let entries = fs::read_dir(&self.input).map_err(io)?;
        let mut files =
            entries.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(io)?;
        files.retain(|file| image::ImageFormat::from_path(file).is_ok());
        files.sort();
        let [first, _, ..] = &files[..] else {
            let text =
                format!("{}: expected two images at least, found {}", self.input.display(), files.len());
            return Err(Error::failed(text));
        };
        let size = read(first)?.dimensions();
        let (Ok(width), Ok(height)) = (u16::try_from(size.0), u16::try_from(size.1)) else {
            return Err(Error::failed(format!("{} is larger than 65535 pixels", first.display())));
        };
        let sensor = Sensor { width, height };
        let mut camera = Camera::new(sensor, self.camera.settings(), self.camera.seed)?;
        let mut events = Vec::new();
        for (i, file) in files.iter().enumerate() {
            let image = read(file)?;
            if image.dimensions() != size {
                let found = format!("{}x{}", image.width(), image.height());
                let text = format!(
                    "{}: expected {sensor} pixels as in {}, found {found}",
                    file.display(),
                    first.display()
                );
                return Err(Error::failed(text));
            }
            camera.see((i as f64 * 1e6 / self.fps) as i64, &brightness(&image), &mut events)?;
        }
        Ok(Recording { sensor, events })
    }

    fn set(&self, console: &Console) -> Result<(), Error> {
        let set = open(&self.input, self.data_dir.as_deref())?;
        if !set.simulated {
            return Err(Error::usage(format!("{} is no simulated set", set.name)));
        }
        let [_, height, width] = set.shape(&FrameSpec::default());
        // The format of N-MNIST does not tell the sensor; readers know N-MNIST's.
        let of_nmnist = [SENSOR.height, SENSOR.width].map(usize::from) == [height, width];
        let usual = if of_nmnist { Format::Nmnist } else { Format::Aedat4 };
        let format = self.format.format.as_deref().map_or(Ok(usual), str::parse)?;
        fs::create_dir_all(&self.output).map_err(|error| write_failed(&self.output, error))?;
        let note = self.output.join(SIMULATED);
        let text = format!("Simulated: no camera made these recordings. They are samples of {}.\n", set.name);
        fs::write(&note, text).map_err(|error| write_failed(&note, error))?;
        let mut written = 0;
        for (name, part) in [("train", &set.train), ("test", &set.test)] {
            let count = self.samples.unwrap_or(part.len()).min(part.len());
            let bar = console.bar(count as u64, &format!("{name} {{bar:40}} {{pos}}/{{len}}"));
            (0..count).into_par_iter().try_for_each(|i| {
                self.write_sample(&**part, name, &set.class_names, i, format)?;
                bar.inc(1);
                Ok::<(), Error>(())
            })?;
            bar.finish_and_clear();
            written += count;
        }
        console.say(format!("{written} simulated recordings: {}", self.output.display()));
        console.json(&serde_json::json!({
            "simulated": true, "recordings": written, "format": format.name(), "output": self.output,
        }));
        Ok(())
    }

    fn write_sample(
        &self,
        part: &dyn Source,
        name: &str,
        classes: &[String],
        i: usize,
        format: Format,
    ) -> Result<(), Error> {
        let folder = self.output.join(name).join(&classes[part.label(i)]);
        fs::create_dir_all(&folder).map_err(|error| write_failed(&folder, error))?;
        let Some(recording) = part.recording(i)? else {
            return Err(Error::usage("the samples of this set are no recordings"));
        };
        let file = folder.join(format!("{i:05}.{}", format.extension()));
        Ok(synfire_events::write(&file, format, &recording)?)
    }
}

fn read(file: &Path) -> Result<GrayImage, Error> {
    let expected = "expected an image (PNG, JPEG, PNM, BMP, GIF), a folder of them, or a simulated data set";
    let other = || Error::failed(format!("cannot read {}: {expected}", file.display()));
    Ok(read_image(file)?.ok_or_else(other)?.into_luma8())
}

fn brightness(image: &GrayImage) -> Vec<f32> {
    image.as_raw().iter().map(|pixel| f32::from(*pixel) / 255.0).collect()
}
