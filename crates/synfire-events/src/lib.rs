//! Event-camera recordings: their file formats, and the frames a network sees.
//!
//! An event camera reports, for single pixels and with microsecond resolution, that the brightness rose (*on*) or
//! fell (*off*). A [`Recording`] is a sensor size and a list of such [`Event`]s. A reader per file format makes one
//! from bytes ([`nmnist`]); [`frames`] counts its events into `T` frames of shape `[2, H, W]`.
//!
//! ```
//! use synfire_events::{Event, Framing, Recording, to_frames};
//!
//! let events = vec![Event { t: 0, x: 1, y: 0, on: true }, Event { t: 900, x: 0, y: 0, on: false }];
//! let recording = Recording { width: 2, height: 1, events };
//! let mut frames = vec![0.0; 2 * 2 * 1 * 2]; // [T, polarity, H, W]
//! to_frames(&recording, 2, Framing::Count, &mut frames)?;
//! assert_eq!(frames, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
//! # Ok::<(), synfire_events::EventError>(())
//! ```
//!
//! To add a format: a file with `parse` (bytes to recording), `read` (file to recording) and, if it is to be written,
//! `encode`; errors through [`EventError`]; a test per malformed input.

mod error;
pub mod frames;
pub mod nmnist;

pub use error::EventError;
pub use frames::{Framing, to_frames};

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

/// The events of one recording, in file order, and the size of the sensor that saw them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Columns of the sensor: every event has `x < width`.
    pub width: u16,
    /// Rows of the sensor: every event has `y < height`.
    pub height: u16,
    /// The events, in the order of the file; usually, but not necessarily, by rising time.
    pub events: Vec<Event>,
}
