//! From a graph to a network.

mod constants;

use super::graph::{Graph, Metadata, Named, Node, Part, Pooling};
use crate::{decimal, numbers};
use burn::tensor::Device;
use constants::{Cells, Weighted};
use synfire::encode::Encoding;
use synfire::file::HostTensor;
use synfire::net::{LayerSpec, Net, Readout};
use synfire::ops::{self, Method};

/// How far two constants may be apart that are meant to be the same: a few roundings.
const CLOSE: f64 = 1e-6;

/// Largest side of an input: products of three stay far from overflow.
const LARGEST: usize = 65_536;

/// A network from a graph.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The network, without ReLUs in front of its neurons.
    pub net: Net,
    /// The names of its classes: those of the graph, else numbers.
    pub class_names: Vec<String>,
    /// What the user should know; one sentence each.
    pub notes: Vec<String>,
    /// How images become what it takes at each step, where the graph's metadata say.
    pub encoding: Option<Encoding>,
    /// By which method it learned, where they say.
    pub method: Option<Method>,
}

impl Imported {
    /// The settings of a run that make it what it is.
    pub fn settings(&self) -> toml::Table {
        let lif = self.net.lif;
        let mut settings = toml::Table::from_iter([
            ("net".to_string(), self.net.plan().spec.to_string().into()),
            ("relu".to_string(), false.into()),
            ("threshold".to_string(), decimal(lif.threshold).into()),
            ("decay".to_string(), decimal(lif.decay).into()),
            // What was never rounded to bf16 stays as it is.
            ("precision".to_string(), "f32".into()),
        ]);
        settings.extend(self.method.map(|method| ("method".to_string(), method.name().into())));
        settings.extend(self.encoding.map(|encoding| ("encoding".to_string(), encoding.to_string().into())));
        settings
    }
}

/// The network that a graph is, with neurons of the time step `dt` in seconds. `input` is the shape `[C, H, W]` of its input where the
/// graph has a row of values there.
///
/// # Errors
/// If the graph is none that a layer string could say; the error names the node.
pub fn import(
    graph: &Graph,
    dt: f64,
    input: Option<[usize; 3]>,
    device: &Device,
) -> Result<Imported, String> {
    if !(dt.is_finite() && dt > 0.0) {
        return Err(format!("a time step of {dt} seconds: expected a number above 0"));
    }
    let row = graph.in_a_row()?;
    let mut reader = Reader::new(&row, dt, input)?;
    reader.read(&row[1..row.len() - 1])?;
    let Part::One((_, Node::Output { shape })) = row[row.len() - 1] else {
        unreachable!("a row ends at the output")
    };
    let (mut net, notes) = reader.finish(shape, device)?;
    let Metadata { encoding, method, class_names, .. } = &graph.metadata;
    let method: Option<Method> =
        method.as_ref().map(|text| text.parse()).transpose().map_err(|e| format!("its metadata: {e}"))?;
    if let Some(method) = method {
        net.lif.method = method;
        net.voters = net.lif;
    }
    let encoding =
        encoding.as_ref().map(|text| text.parse()).transpose().map_err(|e| format!("its metadata: {e}"))?;
    let classes = net.plan().classes;
    let own = Some(class_names.clone()).filter(|names| names.len() == classes);
    Ok(Imported { net, class_names: own.unwrap_or_else(|| numbers(classes)), notes, encoding, method })
}

struct Reader<'a> {
    dt: f64,
    input: [usize; 3],
    /// The shape of what the last node gives.
    shape: [usize; 3],
    /// Values stand in a row.
    flat: bool,
    specs: Vec<LayerSpec>,
    layers: Vec<Weighted>,
    cells: Vec<Cells<'a>>,
    /// What the next weights are multiplied with.
    factor: f64,
    voters: usize,
    notes: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(row: &[Part<'a>], dt: f64, input: Option<[usize; 3]>) -> Result<Self, String> {
        let Part::One((name, Node::Input { shape })) = row[0] else {
            unreachable!("a row begins at the input")
        };
        let own = match shape[..] {
            [c, h, w] => [c, h, w],
            [n] => [n, 1, 1],
            _ => {
                return Err(format!(
                    "node `{name}` has shape {shape:?}; expected channels, height and width, or one number"
                ));
            }
        };
        let size = |shape: &[usize]| shape.iter().fold(1usize, |product, &side| product.saturating_mul(side));
        if own.iter().any(|side| !(1..=LARGEST).contains(side)) {
            return Err(format!("node `{name}` has shape {shape:?}; expected sides from 1 to {LARGEST}"));
        }
        let input = match input {
            Some(given) if given == own => own,
            Some(given) if shape.len() == 1 && size(&given) == size(&own) => given,
            Some(given) => return Err(format!("an input of {given:?}: node `{name}` takes {shape:?}")),
            None => own,
        };
        let (specs, layers, cells, notes) = Default::default();
        Ok(Self { dt, input, shape: input, flat: false, specs, layers, cells, factor: 1.0, voters: 1, notes })
    }

    fn read(&mut self, row: &[Part<'a>]) -> Result<(), String> {
        let mut parts = row.iter().peekable();
        while let Some(part) = parts.next() {
            let (name, node) = match part {
                Part::One(named) => *named,
                Part::Two(ways) => {
                    self.residual(ways, parts.next())?;
                    continue;
                }
            };
            match node {
                Node::Conv2d { .. } => {
                    let spec = self.convolution((name, node))?;
                    self.specs.push(spec);
                    self.neurons(name, parts.next())?;
                }
                Node::Affine { weight, bias } => self.linear(name, weight, Some(bias), &mut parts)?,
                Node::Linear { weight } => self.linear(name, weight, None, &mut parts)?,
                Node::AvgPool2d(pooling) => self.pool(name, pooling)?,
                Node::SumPool2d(pooling) => {
                    self.pool(name, pooling)?;
                    self.factor *= (pooling.kernel[0] * pooling.kernel[1]) as f64;
                }
                // The row of values is in the order of channels, height and width however many of them are joined.
                Node::Flatten { input } => {
                    let found = self.shape;
                    if let Some(input) = input.as_ref().filter(|input| !input.iter().eq(found.iter())) {
                        return Err(format!(
                            "node `{name}` (Flatten): its input_type is {input:?}, what reaches it is {found:?}"
                        ));
                    }
                    self.shape = [found.iter().product(), 1, 1];
                    self.flat = true;
                }
                Node::Lif { .. } | Node::If { .. } | Node::Li { .. } => {
                    return Err(format!("node `{name}` ({}): expected weights in front of it", node.kind()));
                }
                Node::Input { .. } | Node::Output { .. } => unreachable!("they stand at the ends of a row"),
            }
        }
        Ok(())
    }

    /// Neurons behind a convolution.
    fn neurons(&mut self, convolution: &str, part: Option<&Part<'a>>) -> Result<(), String> {
        match part {
            Some(Part::One((name, node @ (Node::Lif { .. } | Node::If { .. })))) => self.cells(name, node),
            part => Err(behind(convolution, part, "neurons (LIF or IF)")),
        }
    }

    /// Two ways that meet in neurons: two convolutions with neurons between them, and one or none.
    fn residual(&mut self, ways: &[Vec<Named<'a>>; 2], meeting: Option<&Part<'a>>) -> Result<(), String> {
        let (way, shortcut) = match ways {
            [a, b] if a.len() > b.len() => (a, b),
            [a, b] => (b, a),
        };
        let names = |way: &[Named<'_>]| match way {
            [] => "nothing".to_string(),
            way => way.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        };
        let refuse = |problem: &str| {
            Err(format!("of two ways that meet, {} and {}: {problem}", names(way), names(shortcut)))
        };
        let &[first @ (_, Node::Conv2d { .. }), (inner, between), second @ (_, Node::Conv2d { .. })] =
            &way[..]
        else {
            return refuse("expected a convolution, neurons and a convolution on one of them");
        };
        let (from, factor) = (self.shape, self.factor);
        let stride = match first.1 {
            Node::Conv2d { weight, stride, .. } if weight.shape.get(2..) == Some(&[3, 3]) => stride[0],
            _ => return refuse("expected a first convolution of 3x3"),
        };
        self.convolution(first)?;
        self.neurons(first.0, Some(&Part::One((inner, between))))?;
        let spec = self.convolution(second)?;
        let out = std::mem::replace(&mut self.shape, from);
        let channels = out[0];
        if spec != (LayerSpec::Conv { channels, kernel: 3, stride: 1 }) {
            return refuse("expected a second convolution of 3x3 in steps of 1");
        }
        let changes = stride != 1 || from[0] != channels;
        match shortcut[..] {
            [] if changes => return refuse("they end in different shapes"),
            [] if factor != 1.0 => return refuse("sums of windows reach the one without weights"),
            [] => {}
            [convolution @ (_, Node::Conv2d { .. })] if changes => {
                self.factor = factor;
                if self.convolution(convolution)? != (LayerSpec::Conv { channels, kernel: 1, stride }) {
                    return refuse("expected a shortcut of 1x1 to the same shape");
                }
            }
            [(_, Node::Conv2d { .. })] => {
                return refuse("expected no weights where the shape stays the same");
            }
            _ => return refuse("expected one convolution or nothing on the shorter one"),
        }
        self.shape = out;
        self.neurons(second.0, meeting)?;
        self.cells.last_mut().expect("just added").bare = shortcut.is_empty();
        self.specs.push(LayerSpec::Residual { channels, stride });
        Ok(())
    }

    /// A convolution, and what it is in a layer string.
    fn convolution(&mut self, (name, node): Named<'a>) -> Result<LayerSpec, String> {
        let Node::Conv2d { input, weight, bias, stride, padding, dilation, groups } = node else {
            unreachable!("the caller looks")
        };
        let refuse = |problem: String| Err(format!("node `{name}` (Conv2d): {problem}"));
        let [_, height, width] = self.shape;
        if self.flat {
            return refuse("it stands behind a row of values; expected images".into());
        }
        if let Some(input) = input.filter(|input| *input != [height, width]) {
            return refuse(format!("its input_shape is {input:?}, what reaches it is {height}x{width}"));
        }
        let [out, from, kh, kw] = weight.shape[..] else {
            return refuse(format!("a weight of shape {:?}, expected four dimensions", weight.shape));
        };
        if *groups != 1 || *dilation != [1, 1] {
            return refuse(format!(
                "{groups} groups and a dilation of {dilation:?}; expected one group and no dilation"
            ));
        }
        if kh != kw || kh % 2 == 0 {
            return refuse(format!("a kernel of {kh}x{kw}, expected an odd square one"));
        }
        if *padding != [kh / 2; 2] {
            return refuse(format!("a padding of {padding:?}, expected {} on each side", kh / 2));
        }
        if stride[0] != stride[1] || stride[0] == 0 {
            return refuse(format!("steps of {stride:?}, expected the same both ways"));
        }
        if from != self.shape[0] || out == 0 {
            return refuse(format!(
                "it takes {from} channels to {out}, what reaches it has {}",
                self.shape[0]
            ));
        }
        let stride = stride[0];
        self.shape = [out, height.saturating_sub(1) / stride + 1, width.saturating_sub(1) / stride + 1];
        self.weights(name, weight, Some(bias))?;
        Ok(LayerSpec::Conv { channels: out, kernel: kh, stride })
    }

    fn linear(
        &mut self,
        name: &str,
        weight: &HostTensor,
        bias: Option<&HostTensor>,
        parts: &mut std::iter::Peekable<std::slice::Iter<'_, Part<'a>>>,
    ) -> Result<(), String> {
        let [out, from] = weight.shape[..] else {
            return Err(format!(
                "node `{name}`: a weight of shape {:?}, expected two dimensions",
                weight.shape
            ));
        };
        let reaching: usize = self.shape.iter().product();
        if from != reaching || out == 0 {
            return Err(format!(
                "node `{name}` takes {from} values to {out}, what reaches it has {reaching}"
            ));
        }
        self.shape = [out, 1, 1];
        self.flat = true;
        self.weights(name, weight, bias)?;
        let next = parts.next();
        let Some(Part::One((cells, node @ (Node::Lif { .. } | Node::If { .. } | Node::Li { .. })))) = next
        else {
            return Err(behind(name, next, "neurons (LIF or IF) or integrators (LI)"));
        };
        self.cells(cells, node)?;
        let integrates = matches!(node, Node::Li { .. });
        let mean = match parts.peek() {
            Some(Part::One((_, Node::Linear { weight }))) => {
                voters(weight).filter(|_| integrates || parts.len() == 1)
            }
            _ => None,
        };
        if let Some(voters) = mean {
            parts.next();
            self.voters = voters;
            self.shape = [out / voters, 1, 1];
        }
        if let Some(after) = parts.peek() {
            if integrates || mean.is_some() {
                return Err(format!("{} stands behind the readout; expected the output", told(after)));
            }
            self.specs.push(LayerSpec::Linear { outputs: out });
        } else {
            let kind = if integrates { Readout::LeakyIntegrator } else { Readout::Vote };
            self.specs.push(LayerSpec::Readout { kind, voters: self.voters });
        }
        Ok(())
    }

    fn pool(&mut self, name: &str, pooling: &Pooling) -> Result<(), String> {
        let Pooling { kernel: [k, other], stride, padding } = *pooling;
        if k != other || stride != [k; 2] || padding != [0; 2] || k == 0 {
            return Err(format!(
                "node `{name}`: windows of {k}x{other}, steps of {stride:?} and padding of {padding:?}; expected square windows side \
                 by side"
            ));
        }
        self.specs.push(LayerSpec::Pool { kind: ops::Pooling::Average, size: k });
        let [channels, height, width] = self.shape;
        self.shape = [channels, height / k, width / k];
        Ok(())
    }

    fn weights(&mut self, name: &str, weight: &HostTensor, bias: Option<&HostTensor>) -> Result<(), String> {
        let outputs = weight.shape[0];
        let bias = match bias {
            Some(bias) if bias.values.len() == outputs => bias.values.clone(),
            Some(bias) => {
                return Err(format!(
                    "node `{name}`: a bias of {} values, expected {outputs}",
                    bias.values.len()
                ));
            }
            None => vec![0.0; outputs],
        };
        if let Some(value) = weight.values.iter().chain(&bias).find(|value| !value.is_finite()) {
            return Err(format!("node `{name}`: {value} among its weights, expected finite numbers"));
        }
        let factor = std::mem::replace(&mut self.factor, 1.0);
        let mut weight = weight.clone();
        if factor != 1.0 {
            weight.values.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
        }
        self.layers.push(Weighted { weight, bias, cells: self.cells.len() });
        Ok(())
    }
}

/// What stands where something else was expected.
fn behind(name: &str, next: Option<&Part<'_>>, expected: &str) -> String {
    let found = next.map_or("the output".into(), told);
    format!("behind node `{name}`: {found} stands there; expected {expected}")
}

fn told(part: &Part<'_>) -> String {
    match part {
        Part::One((name, node)) => format!("node `{name}` ({})", node.kind()),
        Part::Two(ways) => {
            let first = ways.iter().flatten().next().map_or("", |(name, _)| name);
            format!("a fork of two ways, one by node `{first}`,")
        }
    }
}

/// How many neighbours these weights take the mean of, if that is what they do.
fn voters(weight: &HostTensor) -> Option<usize> {
    let [classes, units] = weight.shape[..] else { return None };
    if classes == 0 || units == 0 || !units.is_multiple_of(classes) {
        return None;
    }
    let each = units / classes;
    let is = |(i, &value): (usize, &f32)| {
        let wanted = if i % units / each == i / units { 1.0 / each as f64 } else { 0.0 };
        (f64::from(value) - wanted).abs() <= CLOSE
    };
    weight.values.iter().enumerate().all(is).then_some(each)
}
