//! The pixels of an event camera.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::{Event, EventError, Sensor};

/// How a camera responds.
///
/// A pixel remembers the logarithm of the brightness at its last event. Where the present one differs by the threshold, it
/// reports an event and remembers that level (P. Lichtsteiner, C. Posch and T. Delbruck 2008). Between two looks the
/// logarithm is taken to change at constant speed, so that times are known to the microsecond however seldom one looks.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraSettings {
    /// Rise of the natural logarithm of the brightness that makes an on event.
    pub threshold_on: f32,
    /// Fall of it that makes an off event.
    pub threshold_off: f32,
    /// Standard deviation of the thresholds over pixels, as a share of them.
    pub mismatch: f32,
    /// After an event a pixel is blind for so long, in microseconds; changes in this time are seen but not reported.
    pub refractory_us: i64,
    /// Events that a pixel reports for no reason, in a second.
    pub noise_hz: f32,
    /// Added to the brightness in front of the logarithm, as if black were this share of white.
    pub dark: f32,
}

impl Default for CameraSettings {
    /// Thresholds of 0.25 with 4 % mismatch, 1 ms of refractory period, 0.1 noise events a pixel and second.
    fn default() -> Self {
        Self {
            threshold_on: 0.25,
            threshold_off: 0.25,
            mismatch: 0.04,
            refractory_us: 1000,
            noise_hz: 0.1,
            dark: 0.1,
        }
    }
}

impl CameraSettings {
    fn check(&self) -> Result<(), EventError> {
        let positive = |name, value: f32| match value > 0.0 && value.is_finite() {
            true => Ok(()),
            false => Err(unusable(name, "a number above 0", value)),
        };
        let share = |name, value: f32, most: f32| match (0.0..=most).contains(&value) {
            true => Ok(()),
            false => Err(unusable(name, &format!("a number from 0 to {most}"), value)),
        };
        // Below it, a step from black to white would be thousands of events of a pixel.
        let threshold = |name, value: f32| match value >= 0.001 && value.is_finite() {
            true => Ok(()),
            false => Err(unusable(name, "a number of at least 0.001", value)),
        };
        threshold("the on threshold", self.threshold_on)?;
        threshold("the off threshold", self.threshold_off)?;
        positive("the dark level", self.dark)?;
        share("the mismatch of thresholds", self.mismatch, 0.3)?;
        share("the noise", self.noise_hz, 1e5)?;
        match self.refractory_us >= 0 {
            true => Ok(()),
            false => Err(unusable("the refractory period", "0 µs or more", self.refractory_us)),
        }
    }
}

fn unusable(name: &'static str, expected: &str, found: impl ToString) -> EventError {
    let (expected, found) = (format!("{name} to be {expected}"), found.to_string());
    EventError::Simulation { expected, found }
}

/// A camera that looks at one picture after the other.
pub struct Camera {
    sensor: Sensor,
    settings: CameraSettings,
    pixels: Vec<Pixel>,
    /// When it looked last; nothing before the first look.
    looked: Option<i64>,
    /// When the next noise event comes.
    next_noise: f64,
    rng: ChaCha8Rng,
}

struct Pixel {
    threshold_on: f32,
    threshold_off: f32,
    /// The logarithm of the brightness when it was looked at last, and at the last event.
    level: f32,
    reference: f32,
    /// Blind until then.
    blind_until: i64,
}

impl Camera {
    /// A camera, whose mismatch and noise depend on the seed.
    ///
    /// # Errors
    /// When the sensor has no pixels, or settings are out of range.
    pub fn new(sensor: Sensor, settings: CameraSettings, seed: u64) -> Result<Self, EventError> {
        settings.check()?;
        if sensor.width == 0 || sensor.height == 0 {
            return Err(unusable("the sensor", "one with pixels", sensor));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut pixel = || {
            // Three standard deviations at most, so that no threshold comes near 0.
            let mut threshold =
                |mean: f32| mean * (1.0 + settings.mismatch * normal(&mut rng).clamp(-3.0, 3.0) as f32);
            let (threshold_on, threshold_off) =
                (threshold(settings.threshold_on), threshold(settings.threshold_off));
            Pixel { threshold_on, threshold_off, level: 0.0, reference: 0.0, blind_until: i64::MIN }
        };
        let pixels = (0..usize::from(sensor.width) * usize::from(sensor.height)).map(|_| pixel()).collect();
        Ok(Self { sensor, settings, pixels, looked: None, next_noise: 0.0, rng })
    }

    /// Looks at a picture, `[height, width]` from 0 to 1, at a time in microseconds, and appends the events since the last
    /// look, by rising time. The first look makes none.
    ///
    /// # Errors
    /// When the picture has another size than the sensor, or the time is not behind that of the last look.
    pub fn see(&mut self, t: i64, brightness: &[f32], events: &mut Vec<Event>) -> Result<(), EventError> {
        if brightness.len() != self.pixels.len() {
            let expected = format!("a picture to have the {} pixels of the sensor", self.pixels.len());
            return Err(EventError::Simulation { expected, found: brightness.len().to_string() });
        }
        let dark = self.settings.dark;
        // Brightness is clipped, so that every logarithm is a number.
        let level = |brightness: f32| (brightness.clamp(0.0, 1.0) + dark).ln();
        let Some(before) = self.looked.replace(t) else {
            for (pixel, brightness) in self.pixels.iter_mut().zip(brightness) {
                pixel.level = level(*brightness);
                pixel.reference = pixel.level;
            }
            self.next_noise = t as f64 + self.noise_pause();
            return Ok(());
        };
        if t <= before {
            let expected = format!("a time behind the {before} µs of the last picture");
            return Err(EventError::Simulation { expected, found: format!("{t} µs") });
        }
        let first = events.len();
        let width = usize::from(self.sensor.width);
        let refractory = self.settings.refractory_us;
        for (i, (pixel, brightness)) in self.pixels.iter_mut().zip(brightness).enumerate() {
            let (x, y) = ((i % width) as u16, (i / width) as u16);
            pixel.change([before, t], level(*brightness), refractory, |t, on| {
                events.push(Event { t, x, y, on });
            });
        }
        while self.next_noise < t as f64 {
            let random = self.rng.next_u64();
            let pixel = ((u128::from(random) * self.pixels.len() as u128) >> 64) as usize;
            let (x, y) = ((pixel % width) as u16, (pixel / width) as u16);
            events.push(Event { t: self.next_noise as i64, x, y, on: random & 1 == 1 });
            self.next_noise += self.noise_pause();
        }
        events[first..].sort_by_key(|event| event.t);
        Ok(())
    }

    /// The time to the next noise event of any pixel, in microseconds: these are a Poisson process.
    fn noise_pause(&mut self) -> f64 {
        let rate = f64::from(self.settings.noise_hz) * self.pixels.len() as f64;
        -uniform(&mut self.rng).ln() / rate * 1e6
    }
}

impl Pixel {
    /// Goes to a new level at constant speed, and reports the events on the way.
    #[inline]
    fn change(
        &mut self,
        [from, to]: [i64; 2],
        level: f32,
        refractory: i64,
        mut report: impl FnMut(i64, bool),
    ) {
        let before = self.level;
        self.level = level;
        let on = level > self.reference;
        let step = if on { self.threshold_on } else { -self.threshold_off };
        // How often the threshold is reached.
        let times = ((level - self.reference) / step) as u32;
        for _ in 0..times {
            self.reference += step;
            let share = ((self.reference - before) / (level - before)).clamp(0.0, 1.0);
            let t = from + (f64::from(share) * (to - from) as f64) as i64;
            if t >= self.blind_until {
                self.blind_until = t.saturating_add(refractory);
                report(t, on);
            }
        }
    }
}

/// A number above 0 and up to 1.
pub(super) fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    ((rng.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

/// A number of the standard normal distribution (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (radius, angle) = (uniform(rng), uniform(rng));
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}
