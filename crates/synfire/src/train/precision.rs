//! Which numbers convolutions multiply, as a setting.

use crate::device::is_cpu;
use crate::ops::Precision;
use burn::tensor::{DType, Device};
use std::fmt;
use std::str::FromStr;
use synfire_kernels::isa::Isa;

/// A precision, or that the device decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrecisionChoice {
    /// bf16 where the processor has instructions for it or the GPU has it, f32 elsewhere.
    #[default]
    Auto,
    /// This one, on any processor.
    Fixed(Precision),
}

impl PrecisionChoice {
    /// The precision on this processor.
    pub fn here(self) -> Precision {
        match self {
            Self::Fixed(precision) => precision,
            Self::Auto if Isa::detect().has_bf16() => Precision::Bf16,
            Self::Auto => Precision::F32,
        }
    }

    /// The precision on `device`: bf16 where it is asked for, or left to the device, and the device has it; f32 elsewhere.
    pub fn on(self, device: &Device) -> Precision {
        match self {
            _ if is_cpu(device) => self.here(),
            Self::Fixed(Precision::F32) => Precision::F32,
            _ if device.supports_dtype(DType::BF16) => Precision::Bf16,
            _ => Precision::F32,
        }
    }

    /// Whether `device` has the precision that is asked for.
    pub fn fits(self, device: &Device) -> bool {
        self != Self::Fixed(Precision::Bf16) || self.on(device) == Precision::Bf16
    }
}

impl fmt::Display for PrecisionChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(precision) => precision.fmt(f),
        }
    }
}

impl FromStr for PrecisionChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "auto" => Ok(Self::Auto),
            Ok(precision) => Ok(Self::Fixed(precision)),
            Err(_) => Err(format!("unknown precision `{text}`, expected f32, bf16 or auto")),
        }
    }
}
