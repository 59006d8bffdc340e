//! Spans of time as people write them.

use std::fmt;
use std::str::FromStr;

use crate::EventError;

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Microseconds(pub u64);

/// Units, from the longest: how they are written and how many microseconds they are.
const UNITS: [(&str, u64); 3] = [("s", 1_000_000), ("ms", 1_000), ("us", 1)];
/// No longer span is read from text; `f64` has every whole number up to there.
const LONGEST: f64 = 1e15;

impl fmt::Display for Microseconds {
    /// In the longest unit of which it is a whole number: `10ms`, not `10000us`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, size)| self.0.is_multiple_of(*size));
        let (unit, size) = whole.expect("every span is whole microseconds");
        f.pad(&format!("{}{unit}", self.0 / size))
    }
}

impl FromStr for Microseconds {
    type Err = EventError;

    /// A number and a unit, such as `10ms`, `0.5s` and `300us`; whole microseconds.
    fn from_str(text: &str) -> Result<Self, EventError> {
        let span = || {
            let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
            let (number, unit) = text.split_at(digits);
            let (_, size) = UNITS.iter().find(|(known, _)| *known == unit)?;
            let microseconds = number.parse::<f64>().ok()? * *size as f64;
            let whole = microseconds.round();
            ((microseconds - whole).abs() < 1e-3 && whole <= LONGEST).then_some(Self(whole as u64))
        };
        span().ok_or_else(|| EventError::UnknownName {
            what: "span of time",
            name: text.to_owned(),
            known: "a number with s, ms or us, such as 10ms".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_they_are_written() {
        for (text, microseconds) in [("10ms", 10_000), ("1500us", 1_500), ("3s", 3_000_000), ("0s", 0)] {
            assert_eq!(text.parse::<Microseconds>().unwrap(), Microseconds(microseconds));
            assert_eq!(Microseconds(microseconds).to_string(), text);
        }
        assert_eq!("0.5s".parse::<Microseconds>().unwrap(), Microseconds(500_000));
        assert_eq!("1.001ms".parse::<Microseconds>().unwrap(), Microseconds(1_001));
        for wrong in ["", "10", "ms", ".ms", "-1ms", "1.5us", "1e3s", "1 s", "99999999999999999999s", "1h"] {
            let error = wrong.parse::<Microseconds>().unwrap_err().to_string();
            assert!(error.starts_with("unknown span of time") && error.ends_with("such as 10ms"), "{error}");
        }
    }
}
