//! What a network is trained as.

use crate::ops::Method;
use std::fmt;
use std::str::FromStr;

/// Spiking, by one of the methods, or without neurons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learning {
    /// A spiking network, whose errors pass spikes by this method.
    Spiking(Method),
    /// A network of the same shape with ReLUs in place of neurons and no time: what the energy of a spiking one is compared with.
    Ann,
}

const ANN: &str = "ann";

impl fmt::Display for Learning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spiking(method) => method.fmt(f),
            Self::Ann => f.pad(ANN),
        }
    }
}

impl FromStr for Learning {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            ANN => Ok(Self::Ann),
            _ => name
                .parse()
                .map(Self::Spiking)
                .map_err(|e| format!("{e}; or {ANN}, a network without neurons")),
        }
    }
}

/// By which method errors pass the spikes of voting neurons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Voters {
    /// That of the hidden neurons.
    #[default]
    Same,
    /// One of their own: voters that never fire learn by the surrogate of stbp alone.
    By(Method),
}

const SAME: &str = "same";

impl fmt::Display for Voters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.pad(SAME),
            Self::By(method) => method.fmt(f),
        }
    }
}

impl FromStr for Voters {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            SAME => Ok(Self::Same),
            _ => {
                name.parse().map(Self::By).map_err(|e| format!("{e}; or {SAME}, that of the hidden neurons"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for learning in Method::ALL.map(Learning::Spiking).into_iter().chain([Learning::Ann]) {
            assert_eq!(learning.to_string().parse(), Ok(learning));
        }
        for voters in Method::ALL.map(Voters::By).into_iter().chain([Voters::Same]) {
            assert_eq!(voters.to_string().parse(), Ok(voters));
        }
        assert!("bptt".parse::<Voters>().unwrap_err().contains("bpsta; or same"));
        assert!("bptt".parse::<Learning>().unwrap_err().contains("bpsta; or ann"));
    }
}
