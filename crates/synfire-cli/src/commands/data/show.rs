//! `synfire data show`.

use super::{Error, RecordingArgument, must_be_new, thousands, write_failed};
use crate::console::Console;
use clap::{Args, value_parser};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, RgbImage, RgbaImage};
use std::path::{Path, PathBuf};
use std::time::Duration;
use synfire::file::write_atomically;
use synfire_events::Recording;
use synfire_events::picture::{MOST_IN_SHEET, Picture, film, sheet};

/// Draw a recording: a picture (PNG) or a film (GIF), as the output's name ends.
///
/// On events are blue, off events orange. The picture shows frames of equally many events, in rows, and under them all events in
/// space and time: time runs to the right, the sensor is seen at a slant. The film shows frame after frame, and beside it where in
/// space and time that is.
#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    recording: RecordingArgument,
    /// The picture, .png or .gif.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Frames [default: 16 of a picture, 48 of a film].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=512))]
    frames: Option<u16>,
    /// Replace what is at the picture's place.
    #[arg(long)]
    force: bool,
}

/// How long a film takes.
const SECONDS: f64 = 4.0;

impl Show {
    pub(super) fn run(self, console: &Console) -> Result<(), Error> {
        let ending = self.output.extension().unwrap_or_default().to_ascii_lowercase();
        let is_film = match ending.to_str() {
            Some("png") => false,
            Some("gif") => true,
            _ => return Err(Error::usage(format!("{}: expected .png or .gif", self.output.display()))),
        };
        if let Some(frames) = self.frames.filter(|frames| !is_film && usize::from(*frames) > MOST_IN_SHEET) {
            let text =
                format!("--frames {frames}: a picture shows {MOST_IN_SHEET} at most, a film (.gif) 512");
            return Err(Error::usage(text));
        }
        must_be_new(&self.output, self.force)?;
        let recording = self.recording.read(console)?;
        let frames = self.frames.map_or(if is_film { 48 } else { 16 }, usize::from);
        let bytes = match is_film {
            true => gif(&recording, frames, &self.output, console)?,
            false => png(&sheet(&recording, frames), &self.output)?,
        };
        write_atomically(&self.output, &bytes)?;
        let (events, sensor) = (recording.events.len() as u64, recording.sensor);
        console.say(format!(
            "{} events of a {sensor} sensor (on blue, off orange): {}",
            thousands(events),
            self.output.display()
        ));
        console.json(&serde_json::json!({ "events": events, "frames": frames, "output": self.output }));
        Ok(())
    }
}

fn image(picture: Picture) -> RgbImage {
    let (width, height) = (picture.width as u32, picture.height as u32);
    RgbImage::from_raw(width, height, picture.rgb).expect("a picture has all its pixels")
}

fn png(picture: &Picture, path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image(picture.clone())
        .write_to(&mut bytes, image::ImageFormat::Png)
        .map_err(|error| write_failed(path, error))?;
    Ok(bytes.into_inner())
}

fn gif(recording: &Recording, frames: usize, path: &Path, console: &Console) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
    encoder.set_repeat(Repeat::Infinite).map_err(|error| write_failed(path, error))?;
    let delay = Duration::from_secs_f64((SECONDS / frames as f64).clamp(0.02, 0.5));
    let bar = console.bar(frames as u64, "drawing {bar:40} {pos}/{len}");
    for picture in film(recording, frames) {
        let opaque: RgbaImage = image::DynamicImage::ImageRgb8(image(picture)).into_rgba8();
        let frame = Frame::from_parts(opaque, 0, 0, Delay::from_saturating_duration(delay));
        encoder.encode_frame(frame).map_err(|error| write_failed(path, error))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    drop(encoder);
    Ok(bytes)
}
