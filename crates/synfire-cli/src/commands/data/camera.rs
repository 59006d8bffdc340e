//! The simulated camera of `synfire data simulate`.

use clap::Args;
use std::fmt::Display;
use synfire_events::simulate::CameraSettings;

/// The camera that looks at an image or a video; a set has its own.
#[derive(Args)]
#[command(next_help_heading = "Camera")]
pub(super) struct CameraArguments {
    #[arg(long, value_name = "C", help = with_default(
        "Change of the natural logarithm of the brightness that makes an on event", CameraSettings::default().threshold_on))]
    threshold_on: Option<f32>,
    #[arg(long, value_name = "C", help = with_default(
        "Change of it that makes an off event", CameraSettings::default().threshold_off))]
    threshold_off: Option<f32>,
    #[arg(long, value_name = "SHARE", help = with_default(
        "Standard deviation of the thresholds over pixels, as a share of them", CameraSettings::default().mismatch))]
    mismatch: Option<f32>,
    #[arg(long, value_name = "US", help = with_default(
        "For how long a pixel is blind after an event, in microseconds", CameraSettings::default().refractory_us))]
    refractory_us: Option<i64>,
    #[arg(long, value_name = "HZ", help = with_default(
        "Events of a pixel for no reason, in a second", CameraSettings::default().noise_hz))]
    noise_hz: Option<f32>,
    #[arg(long, value_name = "SHARE", help = with_default(
        "How bright black is, as a share of white", CameraSettings::default().dark))]
    dark: Option<f32>,
    #[arg(long, value_name = "SEED", help = with_default("Seed of mismatch and noise", 0))]
    seed: Option<u64>,
}

/// The help of an option that is not given its default, so that one which means nothing for an input is seen to be given.
fn with_default(help: &str, default: impl Display) -> String {
    format!("{help} [default: {default}]")
}

impl CameraArguments {
    pub(super) fn settings(&self) -> CameraSettings {
        let default = CameraSettings::default();
        CameraSettings {
            threshold_on: self.threshold_on.unwrap_or(default.threshold_on),
            threshold_off: self.threshold_off.unwrap_or(default.threshold_off),
            mismatch: self.mismatch.unwrap_or(default.mismatch),
            refractory_us: self.refractory_us.unwrap_or(default.refractory_us),
            noise_hz: self.noise_hz.unwrap_or(default.noise_hz),
            dark: self.dark.unwrap_or(default.dark),
        }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed.unwrap_or(0)
    }

    /// The options that were given, by name.
    pub(super) fn given(&self) -> [(&'static str, bool); 7] {
        [
            ("--threshold-on", self.threshold_on.is_some()),
            ("--threshold-off", self.threshold_off.is_some()),
            ("--mismatch", self.mismatch.is_some()),
            ("--refractory-us", self.refractory_us.is_some()),
            ("--noise-hz", self.noise_hz.is_some()),
            ("--dark", self.dark.is_some()),
            ("--seed", self.seed.is_some()),
        ]
    }
}
