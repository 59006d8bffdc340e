//! What is in a recording, and what may be wrong with it.

use std::fmt;

use crate::{Event, Recording, Sensor};

/// More pixels than this are not counted one by one: damaged files must not take all memory.
const MOST_PIXELS: usize = 1 << 24;

/// Counts the events of a recording, which are given piece by piece.
///
/// ```
/// use synfire_events::{Event, Statistics};
///
/// let mut statistics = Statistics::default();
/// statistics.add(&[Event { t: 500, x: 3, y: 0, on: true }, Event { t: 400, x: 4, y: 1, on: true }]);
/// assert_eq!((statistics.events, statistics.on, statistics.duration()), (2, 2, 100));
/// assert_eq!(statistics.problems()[0].to_string(), "times run backwards, once, by 100 µs");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Events.
    pub events: u64,
    /// Of these, on events.
    pub on: u64,
    /// The earliest and the latest time, in microseconds; none without events.
    pub span: Option<[i64; 2]>,
    /// Events before the time of the event in front of them, and by how many microseconds at most.
    pub backwards: (u64, u64),
    /// Events that are equal to the one in front of them.
    pub repeated: u64,
    /// The longest time between an event and the next, in microseconds.
    pub longest_pause: u64,
    previous: Option<Event>,
    /// Events of each pixel, by row and column, as far as there were any; none once there are too many pixels.
    pixels: Pixels,
}

#[derive(Clone, Debug, Default)]
struct Pixels {
    rows: Vec<Vec<u32>>,
    /// How many there are in all rows.
    count: usize,
    /// There were too many, so that they are not counted.
    too_many: bool,
}

impl Pixels {
    fn add(&mut self, x: usize, y: usize) {
        if self.too_many {
            return;
        }
        if self.rows.len() <= y {
            self.rows.resize(y + 1, Vec::new());
        }
        let row = &mut self.rows[y];
        if row.len() <= x {
            self.count += x + 1 - row.len();
            if self.count > MOST_PIXELS {
                *self = Self { too_many: true, ..Self::default() };
                return;
            }
            row.resize(x + 1, 0);
        }
        row[x] = row[x].saturating_add(1);
    }

    fn at(&self, x: usize, y: usize) -> u32 {
        self.rows.get(y).and_then(|row| row.get(x)).copied().unwrap_or(0)
    }

    /// Pixels with events: column, row, how many.
    fn active(&self) -> impl Iterator<Item = (usize, usize, u32)> {
        let row = |(y, row): (usize, &Vec<u32>)| {
            row.iter().enumerate().map(|(x, &n)| (x, y, n)).collect::<Vec<_>>()
        };
        self.rows.iter().enumerate().flat_map(row).filter(|(_, _, n)| *n > 0)
    }
}

/// A pixel and how many events it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pixel {
    /// Column.
    pub x: u16,
    /// Row.
    pub y: u16,
    /// Events.
    pub events: u32,
}

impl fmt::Display for Pixel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x {}, y {} ({} events)", self.x, self.y, self.events)
    }
}

/// Fewer events of a pixel say nothing.
const HOT_AT_LEAST: u32 = 50;
/// A hot pixel has so many times the events of what is around it.
const HOT_TIMES: u32 = 10;
/// A pause that is told is at least as long, in microseconds, and this share of the recording.
const PAUSE: (u64, f64) = (1_000_000, 0.3);
/// A share of repeated events that is told.
const REPEATED: f64 = 0.001;

impl Statistics {
    /// Those of a whole recording.
    #[must_use]
    pub fn of(recording: &Recording) -> Self {
        let mut statistics = Self::default();
        statistics.add(&recording.events);
        statistics
    }

    /// Counts the next events.
    pub fn add(&mut self, events: &[Event]) {
        for event in events {
            self.events += 1;
            self.on += u64::from(event.on);
            self.pixels.add(event.x.into(), event.y.into());
            let [first, last] = self.span.unwrap_or([event.t; 2]);
            self.span = Some([first.min(event.t), last.max(event.t)]);
            if let Some(previous) = self.previous.replace(*event) {
                let step = event.t.abs_diff(previous.t);
                if event.t < previous.t {
                    self.backwards = (self.backwards.0 + 1, self.backwards.1.max(step));
                } else {
                    self.longest_pause = self.longest_pause.max(step);
                }
                self.repeated += u64::from(*event == previous);
            }
        }
    }

    /// Microseconds from the earliest event to the latest.
    #[must_use]
    pub fn duration(&self) -> u64 {
        self.span.map_or(0, |[first, last]| last.abs_diff(first))
    }

    /// Events a second; none where all have the same time.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        let duration = self.duration();
        (duration > 0).then(|| self.events as f64 / (duration as f64 / 1e6))
    }

    /// How many pixels had events; none where they were too many to count.
    #[must_use]
    pub fn active_pixels(&self) -> Option<usize> {
        (!self.pixels.too_many).then(|| self.pixels.active().count())
    }

    /// The pixel with the most events.
    #[must_use]
    pub fn busiest(&self) -> Option<Pixel> {
        let most = self.pixels.active().max_by_key(|&(x, y, n)| (n, std::cmp::Reverse((y, x))));
        most.map(|(x, y, events)| Pixel { x: x as u16, y: y as u16, events })
    }

    /// The smallest sensor that has all pixels that had events.
    #[must_use]
    pub fn needed_sensor(&self) -> Option<Sensor> {
        let width = self.pixels.rows.iter().map(Vec::len).max()?;
        let side = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        Some(Sensor { width: side(width), height: side(self.pixels.rows.len()) })
    }

    /// Pixels that fire whatever is seen: with at least 50 events, and more than ten times as many (and ten more) as half of the 24
    /// pixels around them have, or of as many as there are within [`Statistics::needed_sensor`]. The busiest come first.
    #[must_use]
    pub fn hot_pixels(&self) -> Vec<Pixel> {
        let Some(sensor) = self.needed_sensor() else { return Vec::new() };
        let hot = |&(x, y, n): &(usize, usize, u32)| {
            n >= HOT_AT_LEAST && n / HOT_TIMES > self.median_around(x, y, sensor)
        };
        let as_pixel = |(x, y, events): (usize, usize, u32)| Pixel { x: x as u16, y: y as u16, events };
        let mut pixels: Vec<Pixel> = self.pixels.active().filter(hot).map(as_pixel).collect();
        pixels.sort_by_key(|pixel| std::cmp::Reverse(pixel.events));
        pixels
    }

    /// The median of the events of the pixels around one, at most two away; 0 where there are none. Where no event ever was, the
    /// sensor may have ended.
    fn median_around(&self, x: usize, y: usize, sensor: Sensor) -> u32 {
        let sides = |at: usize, end: u16| at.saturating_sub(2)..(at + 3).min(end.into());
        let around =
            sides(y, sensor.height).flat_map(|row| sides(x, sensor.width).map(move |column| (column, row)));
        let mut counts: Vec<u32> =
            around.filter(|&other| other != (x, y)).map(|(x, y)| self.pixels.at(x, y)).collect();
        if counts.is_empty() {
            return 0;
        }
        let middle = counts.len() / 2;
        *counts.select_nth_unstable(middle).1
    }

    /// What may be wrong with the recording.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.backwards.0 > 0 {
            problems.push(Problem::Backwards { times: self.backwards.0, most: self.backwards.1 });
        }
        if self.events > 1 && self.duration() == 0 {
            problems.push(Problem::NoTime);
        }
        if self.events > 1 && (self.on == 0 || self.on == self.events) {
            problems.push(Problem::OnePolarity { on: self.on > 0 });
        }
        let (at_least, share) = PAUSE;
        if self.longest_pause >= at_least && self.longest_pause as f64 > share * self.duration() as f64 {
            problems.push(Problem::Pause { microseconds: self.longest_pause });
        }
        if self.repeated as f64 > REPEATED * self.events as f64 {
            problems.push(Problem::Repeated { events: self.repeated });
        }
        let hot = self.hot_pixels();
        if !hot.is_empty() {
            problems.push(Problem::HotPixels(hot));
        }
        problems
    }
}

/// Something that may be wrong with a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Times run backwards.
    Backwards {
        /// How often.
        times: u64,
        /// By how many microseconds at most.
        most: u64,
    },
    /// All events have the same time.
    NoTime,
    /// All events have the same polarity.
    OnePolarity {
        /// They are on events.
        on: bool,
    },
    /// A long time without events.
    Pause {
        /// How long.
        microseconds: u64,
    },
    /// Events are there twice.
    Repeated {
        /// How many are equal to the one in front of them.
        events: u64,
    },
    /// Pixels that fire whatever is seen.
    HotPixels(Vec<Pixel>),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backwards { times: 1, most } => write!(f, "times run backwards, once, by {most} µs"),
            Self::Backwards { times, most } => {
                write!(f, "times run backwards, {times} times, by up to {most} µs")
            }
            Self::NoTime => f.write_str("all events have the same time"),
            Self::OnePolarity { on } => {
                write!(f, "there are {} events alone", if *on { "on" } else { "off" })
            }
            Self::Pause { microseconds } => {
                write!(f, "no event for {:.1} s", *microseconds as f64 / 1e6)
            }
            Self::Repeated { events: 1 } => f.write_str("one event is equal to the one in front of it"),
            Self::Repeated { events } => write!(f, "{events} events are equal to the one in front of them"),
            Self::HotPixels(pixels) => {
                let count = pixels.len();
                write!(f, "{count} hot pixel{}: ", if count == 1 { "" } else { "s" })?;
                let shown: Vec<String> = pixels.iter().take(3).map(ToString::to_string).collect();
                write!(f, "{}{}", shown.join("; "), if count > 3 { "; …" } else { "" })
            }
        }
    }
}
