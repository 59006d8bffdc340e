//! `synfire data simulate`.

use super::camera::CameraArguments;
use super::{Error, FormatArgument, must_be_new, names_set, open, tell_untold, thousands, write_failed};
use crate::commands::read_image;
use crate::console::Console;
use clap::{Args, ValueEnum};
use image::GrayImage;
use image::imageops::FilterType;
use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use synfire_data::folder::SIMULATED;
use synfire_data::{Source, is_path};
use synfire_events::formats::nmnist::SENSOR;
use synfire_events::simulate::{Camera, Image, Moving, record};
use synfire_events::{Format, Origin, Recording, Sensor, Writer};

/// Make recordings with a simulated event camera.
///
/// INPUT is an image, which then moves in front of the camera; or a folder of images, which are the frames of a video in the order
/// of their names; or the name of a simulated data set, of which samples are written as OUTPUT/PART/CLASS/NUMBER (a folder with a
/// set's name is written ./NAME). The same seed gives the same events. Files tell that they are simulated where their format has
/// room for it, and sets in OUTPUT/simulated.txt.
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
    /// How an image moves [default: saccades].
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Option<Protocol>,
    /// Frames of a video in a second [default: 100].
    #[arg(long, value_name = "RATE")]
    fps: Option<f64>,
    /// Of a set, so many samples of each part [default: all].
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Of a set, the folder of data sets, searched before SYNFIRE_DATA and the user's cache folder.
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

impl Simulate {
    pub(super) fn run(self, console: &Console) -> Result<(), Error> {
        if names_set(&self.input) {
            let camera = self.camera.given();
            let image = [("--protocol", self.protocol.is_some()), ("--fps", self.fps.is_some())];
            self.refuse("a set", &[&camera[..], &image].concat())?;
            must_be_new(&self.output, self.force)?;
            return self.set(console);
        }
        let of_set = [("--samples", self.samples.is_some()), ("--data-dir", self.data_dir.is_some())];
        let (is_video, fps, protocol) = (self.input.is_dir(), self.fps.is_some(), self.protocol.is_some());
        self.refuse("an image or a video", &of_set)?;
        match is_video {
            true => self.refuse("a video", &[("--protocol", protocol)])?,
            false => self.refuse("an image", &[("--fps", fps)])?,
        }
        let name = self.input.to_string_lossy();
        if !self.input.exists() && !is_path(&name) && self.input.extension().is_none() {
            // Perhaps a misspelt set.
            synfire_data::find(&name)?;
        }
        must_be_new(&self.output, self.force)?;
        let format = self.format.of(&self.output)?;
        let (sensor, events) = if is_video { self.video(format)? } else { self.image(format)? };
        let notes = tell_untold(&self.output, format, Origin { sensor, simulated: true }, console)?;
        console.say(format!(
            "{} simulated events of a {sensor} sensor: {}",
            thousands(events as u64),
            self.output.display()
        ));
        console.json(&serde_json::json!({
            "simulated": true, "events": events, "width": sensor.width, "height": sensor.height,
            "format": format.name(), "output": self.output, "notes": notes,
        }));
        Ok(())
    }

    /// Refuses options that mean nothing for what is simulated.
    fn refuse(&self, what: &str, options: &[(&str, bool)]) -> Result<(), Error> {
        let given: Vec<&str> = options.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        if given.is_empty() {
            return Ok(());
        }
        let text = format!("{}: {} means nothing for {what}", self.input.display(), given.join(", "));
        Err(Error::usage(text))
    }

    fn image(&self, format: Format) -> Result<(Sensor, usize), Error> {
        let image = read(&self.input)?;
        let protocol = self.protocol.unwrap_or(Protocol::Saccades);
        let side = match protocol {
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
        let scene = match protocol {
            Protocol::Saccades => Moving::saccades(image),
            Protocol::Loop => Moving::closed_loop(image),
        };
        let recording = record(&scene, &self.camera.settings(), self.camera.seed())?;
        self.some(recording.events.len())?;
        write(&self.output, format, &recording)?;
        Ok((recording.sensor, recording.events.len()))
    }

    /// Writes the events of each frame before the next one is read.
    fn video(&self, format: Format) -> Result<(Sensor, usize), Error> {
        let fps = self.fps.unwrap_or(100.0);
        if !(fps > 0.0 && fps <= 1e6) {
            return Err(Error::usage(format!("--fps {fps}: expected a rate up to 1000000")));
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
        let mut camera = Camera::new(sensor, self.camera.settings(), self.camera.seed())?;
        let mut writer = Writer::create(&self.output, format, Origin { sensor, simulated: true })?;
        let (mut events, mut written) = (Vec::new(), 0);
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
            camera.see((i as f64 * 1e6 / fps) as i64, &brightness(&image), &mut events)?;
            writer.write(&events)?;
            written += events.len();
            events.clear();
        }
        self.some(written)?;
        writer.finish()?;
        Ok((sensor, written))
    }

    /// Asks for events.
    fn some(&self, events: usize) -> Result<(), Error> {
        match events {
            0 => Err(Error::failed(format!("{}: the camera saw no change", self.input.display()))),
            _ => Ok(()),
        }
    }

    fn set(&self, console: &Console) -> Result<(), Error> {
        let set = open(&self.input, self.data_dir.as_deref())?;
        if !set.simulated {
            let name = &set.name;
            let text = format!("{name} is no simulated set; a folder of that name is written ./{name}");
            return Err(Error::usage(text));
        }
        // The format of N-MNIST does not tell the sensor; readers know N-MNIST's.
        let usual = if set.train.sensor() == Some(SENSOR) { Format::Nmnist } else { Format::Aedat4 };
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
        write(&file, format, &recording)
    }
}

/// Writes a recording that no camera made.
fn write(file: &Path, format: Format, recording: &Recording) -> Result<(), Error> {
    let mut writer = Writer::create(file, format, Origin { sensor: recording.sensor, simulated: true })?;
    writer.write(&recording.events)?;
    Ok(writer.finish()?)
}

fn read(file: &Path) -> Result<GrayImage, Error> {
    let expected = "expected an image (PNG, JPEG, PNM, BMP, GIF), a folder of them, or a simulated data set";
    let other = || Error::failed(format!("cannot read {}: {expected}", file.display()));
    Ok(read_image(file)?.ok_or_else(other)?.into_luma8())
}

fn brightness(image: &GrayImage) -> Vec<f32> {
    image.as_raw().iter().map(|pixel| f32::from(*pixel) / 255.0).collect()
}
