//! `synfire infer`.

use super::{DeviceArgument, Error, data_set, open_checkpoint, percent, read_image};
use crate::console::Console;
use clap::Args;
use image::imageops::FilterType;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use synfire::infer::{Answer, answer};
use synfire::train::{Header, check_inference};
use synfire_data::folder::kind_of;
use synfire_data::{Kind, Source};
use synfire_events::{EventError, Reader, to_frames};

/// Classify images or recordings with a trained network.
///
/// Prints for each the class, how certain the network is, from which time step on the answer no longer changed,
/// and the time it took. Images (PNG, JPEG, PNM, BMP, GIF) are scaled to the network's input; recordings are of any format that
/// `synfire data info` reads.
#[derive(Args)]
pub(crate) struct Infer {
    /// Run folder or checkpoint.
    #[arg(value_name = "RUN|CHECKPOINT")]
    checkpoint: PathBuf,
    /// Images or recordings.
    #[arg(value_name = "FILE", required_unless_present = "sample")]
    files: Vec<PathBuf>,
    /// Classify this sample of the data set's test part, counted from 0, instead of a file.
    #[arg(long, value_name = "N", conflicts_with = "files")]
    sample: Option<usize>,
    /// Folder of data sets, for --sample [default: that of the run].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgument,
}

#[derive(Serialize)]
struct Line<'a> {
    input: String,
    class: &'a str,
    #[serde(flatten)]
    answer: Answer,
    milliseconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// What the network is given of a file.
struct Input {
    values: Vec<f32>,
    /// Why the answer may be worth little.
    warning: Option<String>,
}

impl Infer {
    pub(crate) fn run(self, console: &Console) -> Result<ExitCode, Error> {
        let device = self.device.open()?;
        let (path, checkpoint, mut net) = open_checkpoint(&self.checkpoint, &device)?;
        let names = &checkpoint.header.class_names;
        let config = &checkpoint.header.config;
        check_inference(net.plan(), 1, config.time_steps, net.device())?;
        let mut classify = |input: String, given: Input, (sample, label): (usize, Option<usize>)| {
            let Input { values, warning } = given;
            if let Some(warning) = &warning {
                console.note(format!("warning: {input}: {warning}"));
            }
            let started = Instant::now();
            let answer = answer(&mut net, config, &values, sample)
                .map_err(|found| Error::failed(format!("{input}: {found}")))?;
            let milliseconds = started.elapsed().as_secs_f64() * 1e3;
            let truth = label.map(|label| format!(", labelled {}", names[label])).unwrap_or_default();
            console.say(format!(
                "{input}: {} (certainty {}, settled after step {} of {}, {milliseconds:.1} ms){truth}",
                names[answer.class],
                percent(answer.certainty.into()),
                answer.settled_after,
                config.time_steps,
            ));
            console.json(&Line { input, class: &names[answer.class], answer, milliseconds, warning });
            Ok::<(), Error>(())
        };
        if let Some(index) = self.sample {
            let data = data_set(&checkpoint, &path, self.data_dir)?;
            let test: &dyn Source = data.test.as_ref();
            if index >= test.len() {
                let text = format!(
                    "--sample {index}: {} has {} test samples, counted from 0",
                    data.name,
                    test.len()
                );
                return Err(Error::usage(text));
            }
            let mut values = vec![0.0; test.sample_len(&config.frames())];
            test.load(index, &config.frames(), &mut values)?;
            let name = format!("{} test sample {index}", data.name);
            classify(name, Input { values, warning: None }, (index, Some(test.label(index))))?;
        }
        for file in &self.files {
            let input = read(file, &checkpoint.header)?;
            classify(file.display().to_string(), input, (0, None))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// An image `[C, H, W]` in 0..=1 or a recording's frames `[T, C, H, W]`, by the file's content.
fn read(file: &Path, header: &Header) -> Result<Input, Error> {
    let [c, h, w] = header.input;
    let failed = |e: &dyn std::fmt::Display| Error::failed(format!("cannot read {}: {e}", file.display()));
    let image = match kind_of(file)? {
        Some(Kind::Still) => read_image(file)?,
        _ => None,
    };
    let Some(image) = image else { return read_recording(file, header) };
    let image = image.resize_exact(w as u32, h as u32, FilterType::Triangle);
    let planes: Vec<f32> = match c {
        1 => image.to_luma32f().into_raw(),
        3 => {
            let pixels = image.to_rgb32f().into_raw();
            (0..3)
                .flat_map(|channel| pixels.iter().skip(channel).step_by(3).copied().collect::<Vec<_>>())
                .collect()
        }
        2 => return Err(failed(&"this network was trained on recordings, this is an image")),
        _ => return Err(failed(&format!("the network takes {c} channels, an image has 1 or 3"))),
    };
    Ok(Input { values: planes, warning: None })
}

fn read_recording(file: &Path, header: &Header) -> Result<Input, Error> {
    let failed = |e: &dyn std::fmt::Display| Error::failed(format!("cannot read {}: {e}", file.display()));
    let mut reader = Reader::open(file).map_err(|error| match error {
        EventError::UnknownContent { .. } => {
            failed(&"expected an image (PNG, JPEG, PNM, BMP, GIF) or a recording")
        }
        other => other.into(),
    })?;
    let mut recording = reader.read_to_end()?;
    let mut warning = None;
    if let Some(trained) = header.sensor() {
        recording = recording.on(trained).map_err(|e| failed(&e))?;
        let other = reader.sensor().filter(|told| *told != trained);
        warning = other.map(|told| {
            format!("its sensor is {told}, the network was trained on {trained}; pixels stay where they are")
        });
    }
    let (frames, [c, h, w]) = (header.config.frames(), header.input);
    let [_, channels, height, width] = frames.shape(recording.sensor);
    if [channels, height, width] != [c, h, w] {
        return Err(failed(&format!(
            "the network takes {c}x{h}x{w}, the recording's frames are {channels}x{height}x{width}"
        )));
    }
    let mut values = vec![0.0; frames.steps * c * h * w];
    to_frames(&recording, &frames, &mut values).map_err(|e| failed(&e))?;
    Ok(Input { values, warning })
}
