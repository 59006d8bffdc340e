//! Writing recordings.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use crate::formats::{EncodeError, Encoder};
use crate::{Event, EventError, Format, NewFile, Origin, Reader, Recording, Sensor};

/// A recording that is written piece by piece. The file is there, whole, after [`Writer::finish`]; before, and if the
/// writer is dropped, what was there before stands.
pub struct Writer {
    path: PathBuf,
    format: Format,
    sensor: Sensor,
    encoder: Box<dyn Encoder>,
    output: NewFile,
    /// Events written.
    events: usize,
}

impl Writer {
    /// Begins a file in place of what is at `path`.
    ///
    /// # Errors
    /// When the folder cannot be written to, or the format has no room for the sensor.
    pub fn create(path: &Path, format: Format, origin: impl Into<Origin>) -> Result<Self, EventError> {
        let origin = origin.into();
        let output = NewFile::create(path);
        let mut output = output.map_err(|source| EventError::Write { file: path.to_owned(), source })?;
        let encoder = format.encoder(origin, &mut output).map_err(|error| failed(error, format, 0, path))?;
        Ok(Self { path: path.to_owned(), format, sensor: origin.sensor, encoder, output, events: 0 })
    }

    /// Writes events behind those that were written.
    ///
    /// # Errors
    /// When an event lies outside of the sensor or does not fit the format, or the file cannot be written.
    pub fn write(&mut self, events: &[Event]) -> Result<(), EventError> {
        check(events, self.sensor)
            .and_then(|()| self.encoder.encode(events, &mut self.output))
            .map_err(|error| failed(error, self.format, self.events, &self.path))?;
        self.events += events.len();
        Ok(())
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<(), EventError> {
        let finished = self.encoder.finish(&mut self.output);
        finished.map_err(|error| failed(error, self.format, self.events, &self.path))?;
        self.output.put_in_place().map_err(|source| EventError::Write { file: self.path, source })
    }
}

fn check(events: &[Event], sensor: Sensor) -> Result<(), EncodeError> {
    match events.iter().position(|event| !sensor.holds(event.x, event.y)) {
        None => Ok(()),
        Some(i) => {
            let found = format!("x {}, y {}", events[i].x, events[i].y);
            Err(EncodeError::unfit(i, format!("a pixel of the {sensor} sensor"), found))
        }
    }
}

fn failed(error: EncodeError, format: Format, written: usize, path: &Path) -> EventError {
    match error {
        EncodeError::Io(source) => EventError::Write { file: path.to_owned(), source },
        EncodeError::Unfit { index, expected, found } => {
            EventError::Unwritable { format: format.title(), index: written + index, expected, found }
        }
    }
}

/// Writes a whole recording in place of what is at `path`.
///
/// # Errors
/// As [`Writer`]'s.
pub fn write(path: &Path, format: Format, recording: &Recording) -> Result<(), EventError> {
    let mut writer = Writer::create(path, format, recording.sensor)?;
    writer.write(&recording.events)?;
    writer.finish()
}

/// The bytes of a whole recording.
///
/// # Errors
/// When an event lies outside of the sensor or does not fit the format.
pub fn to_bytes(format: Format, recording: &Recording) -> Result<Vec<u8>, EventError> {
    let mut output = Cursor::new(Vec::new());
    let mut encode = || {
        let mut encoder = format.encoder(recording.sensor, &mut output)?;
        check(&recording.events, recording.sensor)?;
        encoder.encode(&recording.events, &mut output)?;
        encoder.finish(&mut output)?;
        output.flush().map_err(EncodeError::from)
    };
    encode().map_err(|error| failed(error, format, 0, Path::new("the recording")))?;
    Ok(output.into_inner())
}

/// What a file that was written does not say of where its recording comes from; one sentence each.
///
/// # Errors
/// When it cannot be read again.
pub fn untold(path: &Path, format: Format, origin: impl Into<Origin>) -> Result<Vec<String>, EventError> {
    let origin = origin.into();
    let written = Reader::open_as(path, Some(format))?;
    let mut notes = Vec::new();
    if written.sensor() != Some(origin.sensor) {
        let taken = written.sensor().map_or("as much as the events need".into(), |sensor| sensor.to_string());
        notes.push(format!(
            "files of the format {format} do not tell the sensor: instead of {}, readers will take {taken}",
            origin.sensor
        ));
    }
    if origin.simulated && !written.simulated() {
        notes.push(format!("files of the format {format} do not tell that a recording is simulated"));
    }
    Ok(notes)
}
