//! Instruction sets: which ones this processor has, and which one to use.
//!
//! An [`Isa`] is a proof. Its field is private and only detection builds one, so holding the value for AVX-512
//! means that the processor has AVX-512, and the functions that take an `Isa` are safe to call.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// The environment variable that names the instruction set to use.
pub const ENV: &str = "SYNFIRE_ISA";

/// An instruction set that this processor is known to have.
///
/// Ordered from the slowest to the fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Isa(Kind);

/// The instruction sets that kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Portable,
    Neon,
    Avx2,
    Avx512,
    Avx512Bf16,
}

impl Kind {
    const ALL: [Kind; 5] = [Kind::Portable, Kind::Neon, Kind::Avx2, Kind::Avx512, Kind::Avx512Bf16];

    fn name(self) -> &'static str {
        match self {
            Kind::Portable => "portable",
            Kind::Neon => "neon",
            Kind::Avx2 => "avx2",
            Kind::Avx512 => "avx512",
            Kind::Avx512Bf16 => "avx512bf16",
        }
    }

    /// Asks the processor. The features named here are the ones the kernels are compiled with.
    fn is_available(self) -> bool {
        match self {
            Kind::Portable => true,
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => {
                Kind::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Bf16 => Kind::Avx512.is_available() && is_x86_feature_detected!("avx512bf16"),
            #[allow(unreachable_patterns, reason = "which patterns are left depends on the architecture")]
            _ => false,
        }
    }
}

impl Isa {
    /// Plain Rust without intrinsics: every processor has it.
    pub const PORTABLE: Isa = Isa(Kind::Portable);

    /// All instruction sets that this processor can run, the fastest last.
    pub fn available() -> Vec<Isa> {
        Kind::ALL.into_iter().filter(|kind| kind.is_available()).map(Isa).collect()
    }

    /// The fastest instruction set, or the one that the environment variable [`ENV`] names.
    ///
    /// A program calls this once at its start, to report a wrong name as its user's error.
    ///
    /// # Errors
    /// The variable names an instruction set that is unknown or that this processor lacks.
    pub fn from_env() -> Result<Isa, IsaError> {
        match std::env::var_os(ENV) {
            Some(name) if !name.is_empty() => name.to_string_lossy().parse(),
            _ => Ok(Self::available().pop().unwrap_or(Isa::PORTABLE)),
        }
    }

    /// What [`Isa::from_env`] answers, looked up once and kept.
    ///
    /// # Panics
    /// Where [`Isa::from_env`] is an error.
    pub fn detect() -> Isa {
        static DETECTED: OnceLock<Isa> = OnceLock::new();
        *DETECTED.get_or_init(|| Isa::from_env().unwrap_or_else(|error| panic!("{ENV}: {error}")))
    }

    /// The name, as [`FromStr`] reads it.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Whether bf16 products have an instruction of their own; elsewhere they are slower than those of `f32`.
    pub fn has_bf16(self) -> bool {
        self.0 == Kind::Avx512Bf16
    }

    pub(crate) fn kind(self) -> Kind {
        self.0
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Isa {
    type Err = IsaError;

    fn from_str(name: &str) -> Result<Self, IsaError> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        match kind {
            Some(kind) if kind.is_available() => Ok(Isa(kind)),
            Some(_) => Err(IsaError::Unavailable { name: name.to_owned(), available: Isa::available() }),
            None => Err(IsaError::Unknown { name: name.to_owned() }),
        }
    }
}

/// Why a name is not an instruction set to use here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IsaError {
    /// No instruction set has this name.
    Unknown {
        /// The name that was given.
        name: String,
    },
    /// The instruction set exists, but not on this processor.
    Unavailable {
        /// The name that was given.
        name: String,
        /// What the processor can run.
        available: Vec<Isa>,
    },
}

impl fmt::Display for IsaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IsaError::Unknown { name } => {
                let names = Kind::ALL.map(Kind::name).join(", ");
                write!(f, "there is no instruction set called {name:?}; expected one of {names}")
            }
            IsaError::Unavailable { name, available } => {
                let names = available.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ");
                write!(f, "this processor cannot run {name}; it can run {names}")
            }
        }
    }
}

impl std::error::Error for IsaError {}

/// Defines a function over plain loops that is compiled once per instruction set, so that the compiler can
/// vectorise it with what the processor has. The function takes an [`Isa`] before the listed arguments.
///
/// The loops neither fuse nor reorder floating-point operations: every instruction set gives the same bits.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident$(<$($E:ident: $bound:path),*>)?(
        $($arg:ident: $ty:ty),* $(,)?
    ) $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "an inner loop takes its slices one by one")]
        $vis fn $name$(<$($E: $bound),*>)?(isa: $crate::isa::Isa, $($arg: $ty),*) {
            #[inline(always)]
            fn portable$(<$($E: $bound),*>)?($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2$(<$($E: $bound),*>)?($($arg: $ty),*) {
                portable($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512$(<$($E: $bound),*>)?($($arg: $ty),*) {
                portable($($arg),*)
            }

            match isa.kind() {
                // SAFETY: an `Isa` of this kind is only built where detection found AVX2 and FMA.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Kind::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: an `Isa` of this kind is only built where detection found these features.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Kind::Avx512 | $crate::isa::Kind::Avx512Bf16 => unsafe { avx512($($arg),*) },
                // NEON is part of the aarch64 baseline, so the portable loops are already compiled for it.
                _ => portable($($arg),*),
            }
        }
    };
}
pub(crate) use multiversion;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let available = Isa::available();
        assert_eq!(available.first(), Some(&Isa::PORTABLE));
        assert!(available.is_sorted());
        for isa in available {
            assert_eq!(isa.to_string().parse(), Ok(isa));
        }
    }

    #[test]
    fn wrong_names_are_explained() {
        let unknown = "sse9".parse::<Isa>().unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "there is no instruction set called \"sse9\"; expected one of portable, neon, avx2, avx512, avx512bf16"
        );
        let foreign = if cfg!(target_arch = "x86_64") { "neon" } else { "avx2" };
        let unavailable = foreign.parse::<Isa>().unwrap_err();
        assert!(
            unavailable.to_string().starts_with(&format!("this processor cannot run {foreign}; it can run"))
        );
    }
}
