//! What can be changed about a recording on its way into another file.

use super::{Error, Pieces};
use clap::Args;
use std::path::Path;
use std::str::FromStr;
use synfire_events::{Edits, Microseconds, Sensor, Statistics};

/// Changes, made in this order: hot pixels, noise, time, space, clock.
#[derive(Args)]
#[command(next_help_heading = "Changes")]
pub(super) struct EditArguments {
    /// Leave out pixels that fire whatever is seen; `synfire data info` lists them.
    #[arg(long)]
    drop_hot_pixels: bool,
    /// Leave out events of which none of the eight pixels around has seen one in the last TIME, such as 5ms.
    #[arg(long, value_name = "TIME", value_parser = Microseconds::from_str)]
    denoise: Option<Microseconds>,
    /// Keep what is not before TIME, such as 1.5s, after the earliest event.
    #[arg(long, value_name = "TIME", value_parser = Microseconds::from_str)]
    from: Option<Microseconds>,
    /// Keep what is before TIME after the earliest event.
    #[arg(long, value_name = "TIME", value_parser = Microseconds::from_str)]
    to: Option<Microseconds>,
    /// Keep a rectangle, which begins at column X and row Y and becomes the sensor.
    #[arg(long, value_name = "X,Y,WIDTHxHEIGHT")]
    crop: Option<Crop>,
    /// Let time 0 be where --from is, or else the earliest event: some formats have no room for large times.
    #[arg(long)]
    pub(super) from_zero: bool,
}

#[derive(Clone, Copy)]
struct Crop {
    x: u16,
    y: u16,
    size: Sensor,
}

impl FromStr for Crop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let crop = || {
            let mut parts = text.splitn(3, ',');
            let (x, y) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let (width, height) = parts.next()?.split_once('x')?;
            Some(Self { x, y, size: Sensor { width: width.parse().ok()?, height: height.parse().ok()? } })
        };
        crop().ok_or_else(|| "expected X,Y,WIDTHxHEIGHT, such as 10,0,64x64".to_string())
    }
}

impl EditArguments {
    /// The changes to this file's recording. It is read for them where they depend on it.
    pub(super) fn of(&self, file: &Path, mut pieces: Pieces) -> Result<Edits, Error> {
        let in_time = self.from.is_some() || self.to.is_some();
        let by_content = in_time || self.drop_hot_pixels || self.from_zero;
        let mut statistics = Statistics::default();
        while by_content || pieces.reader.sensor().is_none() {
            let Some(events) = pieces.next_events()? else { break };
            statistics.add(events);
        }
        let sensor = pieces.reader.sensor().or(statistics.needed_sensor());
        if let (Some(sensor), false) = (sensor, by_content) {
            return self.in_space(Edits::new(sensor));
        }
        let (Some(sensor), Some([first, last])) = (sensor, statistics.span) else {
            return Err(Error::failed(format!("{}: there are no events", file.display())));
        };
        let mut edits = Edits::new(sensor);
        if self.drop_hot_pixels {
            let pixels = statistics.hot_pixels();
            edits = edits.without(pixels.iter().map(|pixel| [pixel.x, pixel.y]).collect());
        }
        let after = |time: Option<Microseconds>| time.map(|Microseconds(t)| first.saturating_add_unsigned(t));
        let (from, to) =
            (after(self.from).unwrap_or(first), after(self.to).unwrap_or(last.saturating_add(1)));
        if in_time {
            if from >= to {
                let length = last.abs_diff(first) as f64 / 1e6;
                return Err(Error::usage(format!(
                    "--from must be before --to and the recording's end, which is after {length:.6} s"
                )));
            }
            edits = edits.between(from..to);
        }
        if self.from_zero {
            edits = edits.zero_at(from);
        }
        self.in_space(edits)
    }

    fn in_space(&self, mut edits: Edits) -> Result<Edits, Error> {
        if let Some(Microseconds(time)) = self.denoise {
            edits = edits.denoised(time)?;
        }
        match self.crop {
            Some(Crop { x, y, size }) => {
                edits.cropped(x, y, size).map_err(|error| Error::usage(error.to_string()))
            }
            None => Ok(edits),
        }
    }
}
