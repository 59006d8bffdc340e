//! Layer strings: `128C3-MP2-512FC-VOTE10` as data.

use crate::ops::Pooling;
use std::fmt;
use std::str::FromStr;

/// One token of a layer string.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LayerSpec {
    /// `nCk`, `nCkSs`: convolution k x k to n channels (padding k/2, stride s), batch norm, ReLU, neuron.
    Conv {
        /// Output channels.
        channels: usize,
        /// Side of the kernel.
        kernel: usize,
        /// Step of the kernel.
        stride: usize,
    },
    /// `nRB`, `nRBSs`: a residual block of two 3x3 convolutions; the sum with the shortcut drives the last
    /// neuron. The shortcut is a 1x1 convolution with batch norm where the shape changes.
    Residual {
        /// Output channels.
        channels: usize,
        /// Stride of the first convolution and of the shortcut.
        stride: usize,
    },
    /// `MPk`, `APk`: pooling with a k x k window and stride k.
    Pool {
        /// Largest value or mean.
        kind: Pooling,
        /// Side of the window.
        size: usize,
    },
    /// `DP`, `DPp`: dropout with probability p (0.5), one mask a batch for all time steps.
    Dropout {
        /// Probability of dropping a value.
        probability: f32,
    },
    /// `nFC`: linear layer to n values, ReLU, neuron.
    Linear {
        /// Output values.
        outputs: usize,
    },
    /// `VOTEn`, `LIn`: the last layer.
    Readout {
        /// Firing voters or leaky integrators.
        kind: Readout,
        /// Units per class.
        voters: usize,
    },
}

impl fmt::Display for LayerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strided =
            |f: &mut fmt::Formatter<'_>, stride| if stride == 1 { Ok(()) } else { write!(f, "S{stride}") };
        match *self {
            Self::Conv { channels, kernel, stride } => {
                write!(f, "{channels}C{kernel}")?;
                strided(f, stride)
            }
            Self::Residual { channels, stride } => {
                write!(f, "{channels}RB")?;
                strided(f, stride)
            }
            Self::Pool { kind: Pooling::Max, size } => write!(f, "MP{size}"),
            Self::Pool { kind: Pooling::Average, size } => write!(f, "AP{size}"),
            Self::Dropout { probability: 0.5 } => write!(f, "DP"),
            Self::Dropout { probability } => write!(f, "DP{probability}"),
            Self::Linear { outputs } => write!(f, "{outputs}FC"),
            Self::Readout { kind: Readout::Vote, voters } => write!(f, "VOTE{voters}"),
            Self::Readout { kind: Readout::LeakyIntegrator, voters } => write!(f, "LI{voters}"),
        }
    }
}

/// How a network says what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readout {
    /// `VOTEn`: linear layer to n neurons per class; the mean of their spikes.
    Vote,
    /// `LIn`: linear layer to n leaky integrators per class, u\[t\] = λ·u\[t-1\] + I\[t\] without threshold or
    /// reset; the mean of their potentials.
    LeakyIntegrator,
}

/// A layer string, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct NetSpec {
    /// The layers in order; the last one is the only [`LayerSpec::Readout`].
    pub layers: Vec<LayerSpec>,
    text: String,
}

/// Why a layer string makes no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The string is empty.
    #[error(
        "the layer string is empty; expected layers such as \"32C3-MP2-LI10\" or one of the names {names}"
    )]
    Empty {
        /// The named networks.
        names: String,
    },
    /// A token says nothing known.
    #[error("layer {position} of \"{text}\", `{token}` at column {column}: {problem}")]
    Token {
        /// The layer string.
        text: String,
        /// Which layer, from 1.
        position: usize,
        /// Its first character, from 1.
        column: usize,
        /// The token.
        token: String,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// The input or the number of classes is none a network can have.
    #[error("an input of {input:?} (C, H, W) and {classes} classes: expected each to be from 1 to {most}")]
    Sizes {
        /// Channels, height and width.
        input: [usize; 3],
        /// Classes.
        classes: usize,
        /// The largest size.
        most: usize,
    },
}

impl fmt::Display for NetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl NetSpec {
    /// The error for layer `index` (from 0) of this string.
    pub(crate) fn error(&self, index: usize, problem: impl Into<String>) -> NetError {
        // A repeated block stands for several layers: find the token it came from.
        let mut first = 0;
        let mut column = 1;
        for (position, token) in self.text.split('-').enumerate() {
            first += repetitions(token).map_or(1, |(_, n)| n);
            if index < first {
                return NetError::Token {
                    text: self.text.clone(),
                    position: position + 1,
                    column,
                    token: token.to_string(),
                    problem: problem.into(),
                };
            }
            column += token.chars().count() + 1;
        }
        unreachable!("layer {index} is not in {}", self.text)
    }
}

impl FromStr for NetSpec {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NetError::Empty { names: super::named::list() });
        }
        let tokens: Vec<&str> = text.split('-').collect();
        let mut layers = Vec::new();
        let mut column = 1;
        for (i, token) in tokens.iter().enumerate() {
            let error = |problem: String| NetError::Token {
                text: text.to_string(),
                position: i + 1,
                column,
                token: token.to_string(),
                problem,
            };
            let (body, times) = repetitions(token).map_err(error)?;
            // A word alone was probably meant as a name.
            let hint = |problem| match tokens.len() {
                1 => format!("{problem}; or one of the names {}", super::named::list()),
                _ => problem,
            };
            let layer = parse_token(body).map_err(|problem| error(hint(problem)))?;
            let last = i + 1 == tokens.len();
            match (layer, last) {
                (LayerSpec::Readout { .. }, false) => {
                    return Err(error("the readout must be the last layer".into()));
                }
                (LayerSpec::Readout { .. }, true) => {}
                (_, true) => {
                    return Err(error(
                        "a network ends with a readout, VOTEn or LIn (n units per class)".into(),
                    ));
                }
                (_, false) => {}
            }
            layers.extend(std::iter::repeat_n(layer, times));
            column += token.chars().count() + 1;
        }
        Ok(Self { layers, text: text.to_string() })
    }
}

/// Splits `64RB*3` into `64RB` and 3.
fn repetitions(token: &str) -> Result<(&str, usize), String> {
    match token.split_once('*') {
        None => Ok((token, 1)),
        Some((body, n)) => Ok((body, number(n, 1..=1000, "the number of repetitions behind *")?)),
    }
}

fn number(text: &str, range: std::ops::RangeInclusive<usize>, what: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n) if range.contains(&n) => Ok(n),
        _ => Err(format!(
            "{what} must be a whole number from {} to {}, found `{text}`",
            range.start(),
            range.end()
        )),
    }
}

/// Largest number of channels, values or units per class; keeps a typing error from asking for terabytes.
const WIDEST: usize = 65_536;

fn parse_token(token: &str) -> Result<LayerSpec, String> {
    const KNOWN: &str = "expected nCk or nCkSs (convolution of stride s), nRB or nRBSs (residual block), MPk or \
                         APk (pooling), DP or DPp (dropout with probability p), nFC (linear), VOTEn or LIn (readout)";
    if let Some(n) = token.strip_prefix("MP") {
        return Ok(LayerSpec::Pool {
            kind: Pooling::Max,
            size: number(n, 1..=1024, "the window behind MP")?,
        });
    }
    if let Some(n) = token.strip_prefix("AP") {
        return Ok(LayerSpec::Pool {
            kind: Pooling::Average,
            size: number(n, 1..=1024, "the window behind AP")?,
        });
    }
    if let Some(p) = token.strip_prefix("DP") {
        let probability = if p.is_empty() { 0.5 } else { p.parse().unwrap_or(f32::NAN) };
        if !(0.0..1.0).contains(&probability) {
            return Err(format!("the probability behind DP must be from 0 to below 1, found `{p}`"));
        }
        return Ok(LayerSpec::Dropout { probability });
    }
    for (name, kind) in [("VOTE", Readout::Vote), ("LI", Readout::LeakyIntegrator)] {
        if let Some(n) = token.strip_prefix(name) {
            let voters = number(n, 1..=WIDEST, &format!("the units per class behind {name}"))?;
            return Ok(LayerSpec::Readout { kind, voters });
        }
    }
    let digits = token.find(|c: char| !c.is_ascii_digit()).unwrap_or(token.len());
    let (n, rest) = token.split_at(digits);
    if n.is_empty() || rest.is_empty() {
        return Err(format!("unknown layer; {KNOWN}"));
    }
    let width = |what: &str| number(n, 1..=WIDEST, what);
    if rest == "FC" {
        return Ok(LayerSpec::Linear { outputs: width("the values before FC")? });
    }
    let (rest, stride) = match rest.split_once('S') {
        None => (rest, 1),
        Some((rest, s)) => (rest, number(s, 1..=64, "the stride behind S")?),
    };
    if rest == "RB" {
        return Ok(LayerSpec::Residual { channels: width("the channels before RB")?, stride });
    }
    if let Some(k) = rest.strip_prefix('C') {
        let kernel = number(k, 1..=255, "the kernel behind C")?;
        if kernel % 2 == 0 {
            return Err(format!("the kernel behind C must be odd, found {kernel}"));
        }
        return Ok(LayerSpec::Conv { channels: width("the channels before C")?, kernel, stride });
    }
    Err(format!("unknown layer; {KNOWN}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        text.parse::<NetSpec>().unwrap_err().to_string()
    }

    #[test]
    fn every_token_parses() {
        let net: NetSpec = "8C3-16C5S2-MP2-16RB-32RBS2*2-AP4-DP-DP0.2-64FC-VOTE10".parse().unwrap();
        assert_eq!(net.layers.len(), 11);
        assert_eq!(net.layers[1], LayerSpec::Conv { channels: 16, kernel: 5, stride: 2 });
        assert_eq!(net.layers[5], LayerSpec::Residual { channels: 32, stride: 2 });
        assert_eq!(net.layers[8], LayerSpec::Dropout { probability: 0.2 });
        assert_eq!(net.layers[10], LayerSpec::Readout { kind: Readout::Vote, voters: 10 });
        assert_eq!("4C3-LI1".parse::<NetSpec>().unwrap().layers.len(), 2);
    }

    #[test]
    fn errors_name_the_layer_and_its_column() {
        let text = problem("128C3-MP2-12Q3-VOTE10");
        assert!(text.contains("layer 3") && text.contains("column 11") && text.contains("`12Q3`"), "{text}");
        assert!(problem("").contains("empty"));
        assert!(problem("8C4-LI1").contains("odd"));
        assert!(problem("0C3-LI1").contains("from 1 to"));
        assert!(problem("8C3").contains("ends with a readout"));
        assert!(problem("LI1-8C3").contains("must be the last"));
        assert!(problem("8C3--LI1").contains("unknown layer"));
        assert!(problem("8C3-DP1-LI1").contains("below 1"));
        assert!(problem("999999999999999999999C3-LI1").contains("from 1 to"));
        assert!(problem("8RB*0-LI1").contains("repetitions"));
        assert!(problem("VOTE").contains("units per class"));
    }

    #[test]
    fn an_error_in_a_repeated_block_names_its_token() {
        let net: NetSpec = "8C3-8RB*3-MP2-LI1".parse().unwrap();
        assert!(net.error(4, "x").to_string().contains("`MP2` at column 11"));
        assert!(net.error(3, "x").to_string().contains("`8RB*3` at column 5"));
    }

    proptest::proptest! {
        #[test]
        fn no_string_panics(text in "[0-9CMPADFVOTELIRBS*.\\-]{0,24}") {
            let _ = text.parse::<NetSpec>();
        }
    }
}
