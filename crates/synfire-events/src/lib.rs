//! Event-camera recordings: their file formats, and the frames a network sees.
//!
//! An event camera reports, for single pixels and with microsecond resolution, that the brightness rose (*on*) or
//! fell (*off*). A [`Recording`] is a [`Sensor`] and a list of such [`Event`]s; [`frames`] counts them into `T` frames of
//! shape `[2, H, W]`.
//!
//! ```
//! use synfire_events::{Event, FrameSpec, Recording, Sensor, to_frames};
//!
//! let events = vec![Event { t: 0, x: 1, y: 0, on: true }, Event { t: 900, x: 0, y: 0, on: false }];
//! let recording = Recording { sensor: Sensor { width: 2, height: 1 }, events };
//! let mut frames = vec![0.0; 2 * 2 * 1 * 2]; // [T, polarity, H, W]
//! to_frames(&recording, &FrameSpec::new(2), &mut frames)?;
//! assert_eq!(frames, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
//! # Ok::<(), synfire_events::EventError>(())
//! ```
//!
//! # Files
//! [`read`] reads a whole recording, [`Reader`] one of any size piece by piece; [`Writer`] writes one. What [`Format`] a file
//! has is seen from its content. A format is a file in `formats`: a [`Decoder`](formats::Decoder), which makes events of
//! bytes, and an [`Encoder`](formats::Encoder), which makes bytes of events.

mod edits;
mod error;
mod format;
pub mod formats;
pub mod frames;
pub mod labels;
mod new_file;
pub mod picture;
mod reader;
pub mod simulate;
mod statistics;
mod time;
mod writer;

use std::fmt;

pub use edits::Edits;
pub use error::EventError;
pub use format::Format;
pub use frames::{Downsampling, FrameSize, FrameSpec, FrameValues, Framing, Polarities, to_frames};
pub use new_file::NewFile;
pub use reader::{Reader, read};
pub use statistics::{Pixel, Problem, Statistics};
pub use time::Microseconds;
pub use writer::{Writer, to_bytes, untold, write};

/// A change of brightness seen by one pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// Time in microseconds, from the recording's own zero.
    pub t: i64,
    /// Column, from the left.
    pub x: u16,
    /// Row, from the top.
    pub y: u16,
    /// Polarity: `true` when the brightness rose (on), `false` when it fell (off).
    pub on: bool,
}

/// The size of an event camera's sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sensor {
    /// Columns: every event has `x < width`.
    pub width: u16,
    /// Rows: every event has `y < height`.
    pub height: u16,
}

impl Sensor {
    /// A single pixel.
    const ONE: Self = Self { width: 1, height: 1 };

    /// As large as this one and the pixels of `events` need.
    fn covering(self, events: &[Event]) -> Self {
        events.iter().fold(self, |Self { width, height }, event| Self {
            width: width.max(event.x.saturating_add(1)),
            height: height.max(event.y.saturating_add(1)),
        })
    }

    /// Whether there is a pixel at this column and row.
    #[inline]
    pub fn holds(self, x: u16, y: u16) -> bool {
        x < self.width && y < self.height
    }
}

impl fmt::Display for Sensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Where a recording comes from, as far as files have room to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The sensor.
    pub sensor: Sensor,
    /// No camera made it.
    pub simulated: bool,
}

impl From<Sensor> for Origin {
    /// A camera's.
    fn from(sensor: Sensor) -> Self {
        Self { sensor, simulated: false }
    }
}

/// The events of one recording, in file order, and the sensor that saw them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The sensor.
    pub sensor: Sensor,
    /// The events, in the order of the file; usually, but not necessarily, by rising time.
    pub events: Vec<Event>,
}

impl Recording {
    /// The same events on the sensor that other recordings have: a file may tell none, but as much of it as its events need.
    ///
    /// # Errors
    /// When the sensor is too small.
    pub fn on(self, sensor: Sensor) -> Result<Self, EventError> {
        let found = self.sensor;
        if found.width > sensor.width || found.height > sensor.height {
            let expected = format!("a recording of the {sensor} sensor");
            return Err(EventError::Frames { expected, found: format!("one of {found}") });
        }
        Ok(Self { sensor, ..self })
    }
}
