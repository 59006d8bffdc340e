//! What is asked for of frames.

use std::fmt;
use std::str::FromStr;

use crate::{EventError, Microseconds, Sensor};

/// How a recording becomes frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameSpec {
    /// Frames a recording, T.
    pub steps: usize,
    /// Where a recording is cut.
    pub framing: Framing,
    /// Whether polarities are told apart.
    pub polarities: Polarities,
    /// What a value says.
    pub values: FrameValues,
    /// How large frames are.
    pub size: FrameSize,
    /// Which events a pixel of a smaller frame has.
    pub downsampling: Downsampling,
}

impl Default for FrameSpec {
    /// 16 frames by event count, as large as the sensor.
    fn default() -> Self {
        Self::new(16)
    }
}

impl FrameSpec {
    /// So many frames by event count, as large as the sensor: counts of both polarities, as in the paper.
    #[must_use]
    pub const fn new(steps: usize) -> Self {
        Self {
            steps,
            framing: Framing::Count,
            polarities: Polarities::Both,
            values: FrameValues::Counts,
            size: FrameSize::Sensor,
            downsampling: Downsampling::Nearest,
        }
    }

    /// The shape `[T, C, H, W]` of the frames of this sensor's recordings.
    #[must_use]
    pub fn shape(&self, sensor: Sensor) -> [usize; 4] {
        let Sensor { width, height } = match self.size {
            FrameSize::Sensor => sensor,
            FrameSize::Pixels(size) => size,
        };
        let channels = match self.polarities {
            Polarities::Both => 2,
            Polarities::Merged => 1,
        };
        [self.steps, channels, height.into(), width.into()]
    }
}

impl fmt::Display for FrameSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} frames by {}", self.steps, self.framing)?;
        if let FrameSize::Pixels(size) = self.size {
            write!(f, ", {size} by {}", self.downsampling)?;
        }
        if self.polarities == Polarities::Merged {
            f.write_str(", merged polarities")?;
        }
        if self.values == FrameValues::Binary {
            f.write_str(", binary")?;
        }
        Ok(())
    }
}

/// How a recording is cut into `T` frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Framing {
    /// The same number of events a frame: `N / T` rounded down, in file order; the last frame takes the rest too. A
    /// recording of fewer than `T` events falls into the last frame whole.
    #[default]
    Count,
    /// The same duration a frame: `(last - first) / T` rounded down to whole microseconds (but at least one), from the
    /// earliest event on; the last frame takes the rest too.
    Time,
    /// So many microseconds a frame, from the earliest event on, whatever the recording's length: what comes after `T` frames is
    /// left out, and frames after the last event are empty.
    Duration(u64),
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.pad("count"),
            Self::Time => f.pad("time"),
            Self::Duration(microseconds) => Microseconds(*microseconds).fmt(f),
        }
    }
}

impl FromStr for Framing {
    type Err = EventError;

    /// `count`, `time`, or a duration such as `10ms`, `500us` and `1s`.
    fn from_str(name: &str) -> Result<Self, EventError> {
        match (name, name.parse()) {
            ("count", _) => Ok(Self::Count),
            ("time", _) => Ok(Self::Time),
            (_, Ok(Microseconds(duration @ 1..))) => Ok(Self::Duration(duration)),
            _ => Err(EventError::UnknownName {
                what: "framing",
                name: name.to_owned(),
                known: "count, time, a duration such as 10ms".to_owned(),
            }),
        }
    }
}

/// How large frames are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum FrameSize {
    /// As the sensor.
    #[default]
    Sensor,
    /// So many columns and rows, at most those of the sensor.
    Pixels(Sensor),
}

impl fmt::Display for FrameSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sensor => f.pad("sensor"),
            Self::Pixels(size) => write!(f, "{size}"),
        }
    }
}

impl FromStr for FrameSize {
    type Err = EventError;

    /// `sensor`, or columns and rows such as `64x48`.
    fn from_str(name: &str) -> Result<Self, EventError> {
        let pixels = || {
            let (width, height) = name.split_once('x')?;
            let side = |text: &str| text.parse::<u16>().ok().filter(|&side| side > 0);
            Some(Self::Pixels(Sensor { width: side(width)?, height: side(height)? }))
        };
        match name {
            "sensor" => Ok(Self::Sensor),
            _ => pixels().ok_or_else(|| EventError::UnknownName {
                what: "size of frames",
                name: name.to_owned(),
                known: "sensor, WIDTHxHEIGHT such as 64x64".to_owned(),
            }),
        }
    }
}

/// Which events a pixel of a frame has that is smaller than the sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Downsampling {
    /// Those of one pixel of the sensor, the others are left out: what the paper does to 128x128 recordings.
    #[default]
    Nearest,
    /// The mean of the pixels of the sensor that it covers, also in part.
    Area,
    /// All events of the pixels of the sensor that it stands for; no event is lost.
    Sum,
}

/// Whether the polarities of events are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Polarities {
    /// A channel each: off events, on events.
    #[default]
    Both,
    /// One channel for all events.
    Merged,
}

/// What a value of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum FrameValues {
    /// How many events there were.
    #[default]
    Counts,
    /// Whether there was any: 1 or 0.
    Binary,
}

impl FrameValues {
    /// Makes of counts what is asked for.
    pub(super) fn finish(self, values: &mut [f32]) {
        if self == Self::Binary {
            values.iter_mut().for_each(|value| *value = f32::from(*value > 0.0));
        }
    }
}

/// Something that has a name.
trait Named: Copy + PartialEq + 'static {
    /// What it is.
    const WHAT: &'static str;
    /// All there are, and their names.
    const ALL: &'static [(Self, &'static str)];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(value, _)| *value == self).expect("every value has a name").1
    }

    fn of_name(name: &str) -> Result<Self, EventError> {
        let found = Self::ALL.iter().find(|(_, known)| *known == name);
        found.map(|(value, _)| *value).ok_or_else(|| {
            let known = Self::ALL.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
            EventError::UnknownName { what: Self::WHAT, name: name.to_owned(), known }
        })
    }
}

impl Named for Downsampling {
    const WHAT: &'static str = "downsampling";
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Nearest, "nearest"), (Self::Area, "area"), (Self::Sum, "sum")];
}

impl Named for Polarities {
    const WHAT: &'static str = "polarities";
    const ALL: &'static [(Self, &'static str)] = &[(Self::Both, "both"), (Self::Merged, "merged")];
}

impl Named for FrameValues {
    const WHAT: &'static str = "values of frames";
    const ALL: &'static [(Self, &'static str)] = &[(Self::Counts, "counts"), (Self::Binary, "binary")];
}

impl fmt::Display for Downsampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Polarities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for FrameValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Downsampling {
    type Err = EventError;

    fn from_str(name: &str) -> Result<Self, EventError> {
        Self::of_name(name)
    }
}

impl FromStr for Polarities {
    type Err = EventError;

    fn from_str(name: &str) -> Result<Self, EventError> {
        Self::of_name(name)
    }
}

impl FromStr for FrameValues {
    type Err = EventError;

    fn from_str(name: &str) -> Result<Self, EventError> {
        Self::of_name(name)
    }
}
