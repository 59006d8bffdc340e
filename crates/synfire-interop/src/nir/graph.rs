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
    /// How images become what the graph takes at each step; without it, by the image itself.
    pub encoding: Option<String>,
    /// By which method it learned: neurons of `stbp` fire above the threshold, of the others at it.
    pub method: Option<String>,
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

/// A node and its name.
pub(super) type Named<'a> = (&'a str, &'a Node);

/// What stands in a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part<'a> {
    /// A node.
    One(Named<'a>),
    /// Two ways from the part in front of it to the one behind it, which adds them up; one of them may have no nodes.
    Two([Vec<Named<'a>>; 2]),
}

impl Graph {
    /// The nodes from input to output, where they stand in one row but for ways that part and meet again.
    ///
    /// # Errors
    /// If there is not one input and one output, an edge names no node, or nodes branch or join otherwise, go in a circle or are reached
    /// by none.
    pub(super) fn in_a_row(&self) -> Result<Vec<Part<'_>>, String> {
        for (from, to) in &self.edges {
            if let Some(missing) = [from, to].into_iter().find(|name| !self.nodes.contains_key(*name)) {
                return Err(format!("the edge from `{from}` to `{to}`: there is no node `{missing}`"));
            }
        }
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
        let mut walk = Walk {
            graph: self,
            edges: self.edges.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect(),
            seen: BTreeSet::from([input]),
        };
        let mut row = vec![Part::One((input, &self.nodes[input]))];
        let mut last = input;
        while last != output {
            let (ways, next, meeting) = match walk.behind(last)?[..] {
                [next] => (None, next, 1),
                [a, b] => {
                    let ((left, next), (right, other)) = (walk.way(a)?, walk.way(b)?);
                    if next != other {
                        return Err(format!(
                            "node `{last}` leads to `{a}` and `{b}`, and on to `{next}` and `{other}`: ways that part have to meet \
                             in the same node"
                        ));
                    }
                    (Some([left, right]), next, 2)
                }
                _ => return Err(format!("node `{last}` leads to more than two nodes")),
            };
            let into = walk.arriving(next);
            if into != meeting {
                return Err(format!("{into} edges lead to node `{next}`, expected {meeting}"));
            }
            row.extend(ways.map(Part::Two));
            row.push(Part::One(walk.take(next)?));
            last = next;
        }
        if let Some(lost) = self.nodes.keys().find(|name| !walk.seen.contains(name.as_str())) {
            return Err(format!("node `{lost}` is not between input and output"));
        }
        Ok(row)
    }
}

/// A way through a graph.
struct Walk<'a> {
    graph: &'a Graph,
    edges: BTreeSet<(&'a str, &'a str)>,
    seen: BTreeSet<&'a str>,
}

impl<'a> Walk<'a> {
    /// The nodes that a node leads to, at least one.
    fn behind(&self, name: &str) -> Result<Vec<&'a str>, String> {
        let behind: Vec<&str> =
            self.edges.iter().filter(|(from, _)| *from == name).map(|(_, to)| *to).collect();
        if behind.is_empty() {
            return Err(format!("no edge leads from `{name}` to the output"));
        }
        Ok(behind)
    }

    /// How many edges lead to a node.
    fn arriving(&self, name: &str) -> usize {
        self.edges.iter().filter(|(_, to)| *to == name).count()
    }

    /// Goes to a node, for the first time.
    fn take(&mut self, name: &'a str) -> Result<Named<'a>, String> {
        match self.seen.insert(name) {
            true => Ok((name, &self.graph.nodes[name])),
            false => Err(format!("its nodes go in a circle, back to `{name}`")),
        }
    }

    /// The nodes from this one to where another way meets it, and that place.
    fn way(&mut self, first: &'a str) -> Result<(Vec<Named<'a>>, &'a str), String> {
        let (mut way, mut at) = (Vec::new(), first);
        while self.arriving(at) == 1 {
            way.push(self.take(at)?);
            at = match self.behind(at)?[..] {
                [next] => next,
                _ => return Err(format!("ways part at node `{at}`, which is on one of two ways itself")),
            };
        }
        Ok((way, at))
    }
}
