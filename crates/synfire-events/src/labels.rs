//! What is seen when in a recording: the label tables of DVS128 Gesture (Amir et al., *A low power, fully event-based gesture
//! recognition system*, CVPR 2017), in which one recording holds all gestures of a person, one behind the other.
//!
//! A table is the CSV file beside a recording, `user01_led_labels.csv` beside `user01_led.aedat`:
//!
//! ```text
//! class,startTime_usec,endTime_usec
//! 1,80048239,85092709
//! 2,89431170,95231007
//! ```
//!
//! A gesture is of a class from 1 to 11, and of the events from its start, that time included, to its end, that time not
//! included, in microseconds of the recording's clock; so SpikingJelly cuts (`DVS128Gesture`), which gives 1176 gestures to train with
//! and 288 to test. Published tables have intervals that overlap (class 9 and 10 of `user22_led`): the events in both belong to both.
//!
//! ```
//! use synfire_events::{Event, Recording, Sensor, labels};
//!
//! let gestures = labels::parse("class,startTime_usec,endTime_usec\n1,10,20\n2,20,30\n")?;
//! let events = [10, 19, 20].map(|t| Event { t, x: 0, y: 0, on: true }).to_vec();
//! let recording = Recording { sensor: Sensor { width: 128, height: 128 }, events };
//! let cut = labels::cut(&recording, &gestures);
//! assert_eq!((cut[0].events.len(), cut[1].events.len()), (2, 1));
//! # Ok::<(), synfire_events::EventError>(())
//! ```

use std::path::Path;

use crate::{EventError, Recording};

/// The line of names.
const NAMES: &str = "class,startTime_usec,endTime_usec";
/// Classes of gestures.
const CLASSES: u8 = 11;

/// A line of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    /// The class, from 1 to 11.
    pub class: u8,
    /// When it begins, in microseconds.
    pub start: i64,
    /// When it is over, in microseconds: the first time that does not belong to it.
    pub end: i64,
}

impl Interval {
    /// Whether a time belongs to it.
    #[must_use]
    pub fn holds(&self, t: i64) -> bool {
        (self.start..self.end).contains(&t)
    }
}

/// Reads a table.
///
/// # Errors
/// When the file cannot be read, or as [`parse`]; the message names the file.
pub fn read(path: &Path) -> Result<Vec<Interval>, EventError> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| EventError::Io { file: path.to_owned(), source })?;
    parse(&text).map_err(|error| error.in_file(path))
}

/// The intervals of a table, in its order. Empty lines are none.
///
/// # Errors
/// When the line of names is missing, a line has other than three numbers, a class is not one of 1 to 11, or an interval ends before
/// it starts; the message tells the line.
pub fn parse(table: &str) -> Result<Vec<Interval>, EventError> {
    let mut lines = table.lines().map(str::trim).zip(1..).filter(|(line, _)| !line.is_empty());
    match lines.next() {
        Some((NAMES, _)) => {}
        Some((line, number)) => return Err(fault(number, format!("the names {NAMES}"), line)),
        None => return Err(fault(1, format!("the names {NAMES}"), "")),
    }
    lines.map(|(line, number)| interval(line, number)).collect()
}

/// The interval of a line.
fn interval(line: &str, number: usize) -> Result<Interval, EventError> {
    let mut fields = line.split(',').map(str::trim);
    let (Some(class), Some(start), Some(end), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(fault(number, "three numbers", line));
    };
    let class = class.parse().ok().filter(|class| (1..=CLASSES).contains(class));
    let class = class.ok_or_else(|| fault(number, format!("a class from 1 to {CLASSES}"), line))?;
    let time = |field: &str| field.parse().map_err(|_| fault(number, "a time in microseconds", line));
    let (start, end) = (time(start)?, time(end)?);
    if end < start {
        return Err(fault(number, "an end that is not before the start", line));
    }
    Ok(Interval { class, start, end })
}

fn fault(line: usize, expected: impl Into<String>, found: &str) -> EventError {
    EventError::Labels { file: None, line, expected: expected.into(), found: format!("{found:?}") }
}

/// The part of a recording in each of the intervals, with times as they were; it may be empty.
#[must_use]
pub fn cut(recording: &Recording, intervals: &[Interval]) -> Vec<Recording> {
    let part = |interval: &Interval| {
        let events = recording.events.iter().filter(|event| interval.holds(event.t));
        Recording { sensor: recording.sensor, events: events.copied().collect() }
    };
    intervals.iter().map(part).collect()
}
