//! Changes to recordings: cut in time and space, freed of noise and of broken pixels.

use std::ops::Range;

use crate::{Event, EventError, Sensor};

/// The largest sensor of which something is kept for every pixel: damaged files must not take all memory.
const MOST_PIXELS: usize = 1 << 24;

/// What is done to the events of a recording, which are given piece by piece. In this order: broken pixels are silenced, noise is
/// taken away, then it is cut in time and in space, and its clock set.
///
/// ```
/// use synfire_events::{Event, Edits, Sensor};
///
/// let mut edits = Edits::new(Sensor { width: 4, height: 2 }).between(10..20).cropped(1, 0, Sensor { width: 2, height: 2 })?;
/// let mut events = vec![Event { t: 9, x: 1, y: 0, on: true }, Event { t: 10, x: 2, y: 1, on: true }];
/// edits.apply(&mut events);
/// assert_eq!(events, [Event { t: 10, x: 1, y: 1, on: true }]);
/// assert_eq!(edits.sensor(), Sensor { width: 2, height: 2 });
/// # Ok::<(), synfire_events::EventError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Edits {
    /// The sensor of the events that are given.
    given: Sensor,
    /// Silenced pixels, sorted.
    without: Vec<[u16; 2]>,
    denoise: Option<Denoise>,
    time: Option<Range<i64>>,
    crop: Option<Crop>,
    /// The time that becomes 0.
    zero: i64,
}

#[derive(Clone, Copy, Debug)]
struct Crop {
    x: u16,
    y: u16,
    size: Sensor,
}

impl Edits {
    /// No change to recordings of this sensor.
    #[must_use]
    pub fn new(sensor: Sensor) -> Self {
        Self { given: sensor, without: Vec::new(), denoise: None, time: None, crop: None, zero: 0 }
    }

    /// Leaves out the events of these pixels `[x, y]`, such as those of [`Statistics::hot_pixels`](crate::Statistics::hot_pixels).
    #[must_use]
    pub fn without(mut self, mut pixels: Vec<[u16; 2]>) -> Self {
        pixels.sort_unstable();
        self.without = pixels;
        self
    }

    /// Keeps an event only where one of the eight pixels around it had one in the last `microseconds`: the background activity
    /// filter (Delbruck, *Frame-free dynamic digital vision*, 2008). What moves is seen by neighbours, noise is not.
    ///
    /// # Errors
    /// When the sensor has more than 2^24 pixels.
    pub fn denoised(mut self, microseconds: u64) -> Result<Self, EventError> {
        let Sensor { width, height } = self.given;
        let pixels = usize::from(width) * usize::from(height);
        if pixels > MOST_PIXELS {
            let (expected, found) =
                (format!("a sensor of at most {MOST_PIXELS} pixels"), self.given.to_string());
            return Err(EventError::Edit { action: "take noise away", expected, found });
        }
        self.denoise = Some(Denoise::new(self.given, microseconds));
        Ok(self)
    }

    /// Keeps events of these times, in microseconds. Times stay as they are.
    #[must_use]
    pub fn between(mut self, times: Range<i64>) -> Self {
        self.time = Some(times);
        self
    }

    /// Keeps a rectangle of the sensor; its first pixel becomes x 0, y 0.
    ///
    /// # Errors
    /// When it is empty or reaches out of the sensor.
    pub fn cropped(mut self, x: u16, y: u16, size: Sensor) -> Result<Self, EventError> {
        let inside =
            |from: u16, len: u16, side: u16| len > 0 && from.checked_add(len).is_some_and(|end| end <= side);
        if !inside(x, size.width, self.given.width) || !inside(y, size.height, self.given.height) {
            let expected = format!("a part of the {} sensor", self.given);
            return Err(EventError::Edit {
                action: "crop",
                expected,
                found: format!("{size} at x {x}, y {y}"),
            });
        }
        self.crop = Some(Crop { x, y, size });
        Ok(self)
    }

    /// Makes this time, in microseconds, time 0.
    #[must_use]
    pub fn zero_at(mut self, time: i64) -> Self {
        self.zero = time;
        self
    }

    /// The sensor of the events that are left.
    #[must_use]
    pub fn sensor(&self) -> Sensor {
        self.crop.map_or(self.given, |crop| crop.size)
    }

    /// Changes the next events of the recording. Those outside of the sensor are left out.
    pub fn apply(&mut self, events: &mut Vec<Event>) {
        let Self { given, without, denoise, time, crop, zero } = self;
        events.retain_mut(|event| {
            if !given.holds(event.x, event.y) || without.binary_search(&[event.x, event.y]).is_ok() {
                return false;
            }
            // Before it is cut, so that what is kept does not depend on where.
            if denoise.as_mut().is_some_and(|denoise| !denoise.keeps(event))
                || time.as_ref().is_some_and(|times| !times.contains(&event.t))
            {
                return false;
            }
            event.t = event.t.saturating_sub(*zero);
            let Some(Crop { x, y, size }) = *crop else { return true };
            // What lies before the first pixel becomes larger than any.
            (event.x, event.y) = (event.x.wrapping_sub(x), event.y.wrapping_sub(y));
            size.holds(event.x, event.y)
        });
    }
}

/// The background activity filter.
#[derive(Clone, Debug)]
struct Denoise {
    within: u64,
    /// Pixels of a row, with one more at each end, as there is a row more above and below: no pixel lacks neighbours.
    stride: usize,
    /// The time of each pixel's last event.
    last: Vec<Option<i64>>,
}

impl Denoise {
    fn new(sensor: Sensor, within: u64) -> Self {
        let (stride, rows) = (usize::from(sensor.width) + 2, usize::from(sensor.height) + 2);
        Self { within, stride, last: vec![None; stride * rows] }
    }

    fn keeps(&mut self, event: &Event) -> bool {
        let at = (usize::from(event.y) + 1) * self.stride + usize::from(event.x) + 1;
        self.last[at] = Some(event.t);
        // Where times run backwards, an event shortly after this one is a neighbour too.
        let recent = |pixel: &Option<i64>| pixel.is_some_and(|t| event.t.abs_diff(t) <= self.within);
        let row = |from: usize| &self.last[from..from + 3];
        let (above, below) = (row(at - self.stride - 1), row(at + self.stride - 1));
        let beside = [&self.last[at - 1], &self.last[at + 1]];
        above.iter().chain(below).chain(beside).any(recent)
    }
}
