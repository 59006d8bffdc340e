//! A graph in memory.

use std::collections::{BTreeMap, BTreeSet};
use synfire::file::HostTensor;

/// Nodes and edges. What several edges bring to a node is added.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// The nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// From node to node.
    pub edges: Vec<(String, String)>,
    /// What Synfire notes down beside it.
    pub metadata: Metadata,
}

/// What is known of the network beyond the graph.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// Time step that the neurons' constants were made for, in seconds.
    pub dt: Option<f64>,
    /// For how many time steps the network sees a sample.
    pub time_steps: Option<usize>,
    /// The names of the classes.
    pub class_names: Vec<String>,
}

/// A window that goes over images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pooling {
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Its steps.
    pub stride: [usize; 2],
    /// Zeros around the image.
    pub padding: [usize; 2],
}

/// A node. Neurons have one value for each, or one for all.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Where values come in.
    Input {
        /// Their shape at one time step of one sample.
        shape: Vec<usize>,
    },
    /// Where they go out.
    Output {
        /// Their shape.
        shape: Vec<usize>,
    },
    /// A convolution.
    Conv2d {
        /// Height and width of its input, where that was noted down.
        input: Option<[usize; 2]>,
        /// `[out, in / groups, kh, kw]`.
        weight: HostTensor,
        /// `[out]`.
        bias: HostTensor,
        /// Steps of the kernel.
        stride: [usize; 2],
        /// Zeros around the image.
        padding: [usize; 2],
        /// Distance of the kernel's taps.
        dilation: [usize; 2],
        /// Groups of channels.
        groups: usize,
    },
    /// A linear layer.
    Affine {
        /// `[out, in]`.
        weight: HostTensor,
        /// `[out]`.
        bias: HostTensor,
    },
    /// A linear layer without a bias.
    Linear {
        /// `[out, in]`.
        weight: HostTensor,
    },
    /// Leaky integrate-and-fire neurons.
    Lif {
        /// Time constant τ, seconds.
        tau: HostTensor,
        /// Resistance R.
        r: HostTensor,
        /// Potential without input.
        v_leak: HostTensor,
        /// Threshold.
        v_threshold: HostTensor,
        /// Potential after a spike; files of old versions have none.
        v_reset: Option<HostTensor>,
    },
    /// Integrate-and-fire neurons, without leak.
    If {
        /// Resistance R, per second.
        r: HostTensor,
        /// Threshold.
        v_threshold: HostTensor,
        /// Potential after a spike; files of old versions have none.
        v_reset: Option<HostTensor>,
    },
    /// Leaky integrators, which do not fire.
    Li {
        /// Time constant τ, seconds.
        tau: HostTensor,
        /// Resistance R.
        r: HostTensor,
        /// Potential without input.
        v_leak: HostTensor,
    },
    /// Means of windows.
    AvgPool2d(Pooling),
    /// Sums of windows.
    SumPool2d(Pooling),
    /// All values in one row.
    Flatten {
        /// The shape of what comes in, where that was noted down.
        input: Option<Vec<usize>>,
    },
}

impl Node {
    /// The name of its kind, as files have it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Input { .. } => "Input",
            Self::Output { .. } => "Output",
            Self::Conv2d { .. } => "Conv2d",
            Self::Affine { .. } => "Affine",
            Self::Linear { .. } => "Linear",
            Self::Lif { .. } => "LIF",
            Self::If { .. } => "IF",
            Self::Li { .. } => "LI",
            Self::AvgPool2d(_) => "AvgPool2d",
            Self::SumPool2d(_) => "SumPool2d",
            Self::Flatten { .. } => "Flatten",
        }
    }
}

impl Graph {
    /// The nodes from input to output, where they stand in one row.
    ///
    /// # Errors
    /// If there is not one input and one output, an edge names no node, or nodes branch, join, go in a circle or are reached by none.
    pub fn in_a_row(&self) -> Result<Vec<(&str, &Node)>, String> {
        for (from, to) in &self.edges {
            if let Some(missing) = [from, to].into_iter().find(|name| !self.nodes.contains_key(*name)) {
                return Err(format!("the edge from `{from}` to `{to}`: there is no node `{missing}`"));
            }
        }
        let edges: BTreeSet<(&str, &str)> =
            self.edges.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let only = |kind: &str| {
            let mut of_kind = self.nodes.iter().filter(|(_, node)| node.kind() == kind);
            match (of_kind.next(), of_kind.next()) {
                (Some((name, _)), None) => Ok(name.as_str()),
                (None, _) => Err(format!("it has no node of type {kind}")),
                (Some((first, _)), Some((second, _))) => Err(format!(
                    "it has several nodes of type {kind}, `{first}` and `{second}`; expected one"
                )),
            }
        };
        let (input, output) = (only("Input")?, only("Output")?);
        let mut row = vec![input];
        let mut seen = BTreeSet::from([input]);
        while let Some(&last) = row.last().filter(|last| **last != output) {
            let follow: Vec<&str> =
                edges.iter().filter(|(from, _)| *from == last).map(|(_, to)| *to).collect();
            let [next] = follow[..] else {
                let to = follow.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
                return Err(match follow.len() {
                    0 => format!("no edge leads from `{last}` to the output"),
                    _ => format!("node `{last}` leads to {to}: only nodes in one row can be read"),
                });
            };
            let into = edges.iter().filter(|(_, to)| *to == next).count();
            if into > 1 {
                return Err(format!("{into} edges lead to node `{next}`: only nodes in one row can be read"));
            }
            if !seen.insert(next) {
                return Err(format!("its nodes go in a circle, back to `{next}`"));
            }
            row.push(next);
        }
        if let Some(lost) = self.nodes.keys().find(|name| !seen.contains(name.as_str())) {
            return Err(format!("node `{lost}` is not between input and output"));
        }
        Ok(row.into_iter().map(|name| (name, &self.nodes[name])).collect())
    }
}
