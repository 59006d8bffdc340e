//! An event camera in software, and what it looks at. Everything made here is simulated data and must be called so.
//!
//! A [`Scene`] says how bright every pixel is at any time; a [`Camera`] watches it and reports changes. Scenes are a still
//! [`Image`] that moves as in the recordings of N-MNIST and CIFAR10-DVS ([`Moving`]), and the moving shapes of [`gestures`].
//! Frames of a video are given to a camera one by one ([`Camera::see`]).
//!
//! ```
//! use synfire_events::simulate::{CameraSettings, Image, Moving, record};
//!
//! let disc = Image::from_fn(28, 28, |x, y| if (x - 14.0).hypot(y - 14.0) < 8.0 { 1.0 } else { 0.0 });
//! let recording = record(&Moving::saccades(disc), &CameraSettings::default(), 7)?;
//! assert_eq!(recording.sensor.to_string(), "34x34");
//! assert!(recording.events.len() > 1000);
//! # Ok::<(), synfire_events::EventError>(())
//! ```

mod camera;
pub mod gestures;
mod image;

pub use camera::{Camera, CameraSettings};
pub use image::{Image, Moving};

use crate::{EventError, Recording, Sensor};

/// What a camera looks at.
pub trait Scene {
    /// The sensor it is looked at with.
    fn sensor(&self) -> Sensor;

    /// How long there is something to see, in microseconds.
    fn duration_us(&self) -> i64;

    /// How often it must be looked at, in microseconds, so that nothing moves much farther than half a pixel in between.
    fn interval_us(&self) -> i64;

    /// Writes how bright each pixel is at a time, `[height, width]`, from 0 (black) to 1 (white).
    fn render(&self, t_us: i64, brightness: &mut [f32]);
}

/// What a camera reports of a scene, by rising time. The same seed gives the same events.
///
/// # Errors
/// When the settings make no camera.
pub fn record(scene: &dyn Scene, settings: &CameraSettings, seed: u64) -> Result<Recording, EventError> {
    let sensor = scene.sensor();
    let mut camera = Camera::new(sensor, settings.clone(), seed)?;
    let mut brightness = vec![0.0; usize::from(sensor.width) * usize::from(sensor.height)];
    let mut events = Vec::new();
    let (duration, interval) = (scene.duration_us(), scene.interval_us().max(1));
    let mut t = 0;
    loop {
        scene.render(t, &mut brightness);
        camera.see(t, &brightness, &mut events)?;
        if t == duration {
            return Ok(Recording { sensor, events });
        }
        t = (t + interval).min(duration);
    }
}
