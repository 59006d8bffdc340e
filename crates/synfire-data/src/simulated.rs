//! Recordings that a simulated camera makes when they are asked for.

use std::path::PathBuf;

use rand_chacha::rand_core::RngCore;
use synfire_events::simulate::{CameraSettings, Scene, record};
use synfire_events::{Recording, Sensor};

use crate::recordings::Recordings;
use crate::{DataError, random};

/// The seed of all simulated sets: they are the same for everyone, whatever the user's seed.
const SEED: u64 = 0;

/// Is a part of every identity: raise it when scenes or cameras change.
const VERSION: u32 = 1;

/// Scenes, each seen by a camera of its own.
pub(crate) struct Simulated<S> {
    /// Set and part, such as `gestures train`: names the random streams.
    name: &'static str,
    sensor: Sensor,
    labels: Vec<u8>,
    settings: CameraSettings,
    /// What the scenes are made of, so that others have another identity.
    origin: String,
    /// Scene `i`, with a seed for what is drawn in it.
    scene: S,
}

impl<S> Simulated<S> {
    /// One scene for each label. `name` is at most 16 bytes of ASCII.
    pub(crate) fn new(
        name: &'static str,
        sensor: Sensor,
        settings: CameraSettings,
        labels: Vec<u8>,
        origin: String,
        scene: S,
    ) -> Self {
        Self { name, sensor, labels, settings, origin, scene }
    }
}

impl<S, T> Recordings for Simulated<S>
where
    S: Fn(usize, u64) -> T + Send + Sync,
    T: Scene,
{
    fn sensor(&self) -> Sensor {
        self.sensor
    }

    fn labels(&self) -> &[u8] {
        &self.labels
    }

    fn recording(&self, i: usize) -> Result<Recording, DataError> {
        let mut seeds = random::stream(self.name, SEED, 0, i as u64);
        let scene = (self.scene)(i, seeds.next_u64());
        Ok(record(&scene, &self.settings, seeds.next_u64())?)
    }

    fn identity(&self) -> Result<String, DataError> {
        let Self { name, settings, labels, origin, .. } = self;
        Ok(format!("simulated {VERSION}\n{name}\n{settings:?}\n{labels:?}\n{origin}"))
    }

    fn name(&self, i: usize) -> PathBuf {
        format!("{} recording {i} (simulated)", self.name).into()
    }
}
