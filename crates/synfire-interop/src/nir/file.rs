//! Graphs in files: HDF5, laid out as the Python package `nir` reads and writes it.
//!
//! `/version` is a text, `/node` a graph: `type`, `edges` of two names each, `nodes` with a group for each node, and `metadata`. A
//! node's group has its `type` and a data set for each of its values. Which values a type has is what the package's classes say
//! ([github.com/neuromorphs/NIR](https://github.com/neuromorphs/NIR), version 1.0.8).

use super::graph::{Graph, Metadata, Node, Pooling};
use hdf5_pure::{DType, Dataset, File, FileBuilder, Group, GroupBuilder, VlenStringReadOptions};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use synfire::file::{FileError, HostTensor, write_atomically};

/// The version of NIR that files are written in.
const VERSION: &str = "1.0.8";
/// Deflate makes a thousandth of what it is given at best; what a data set states beyond that is not in the file.
const MOST_DENSE: u64 = 1100;
/// A text is a name of a node, a type or a class.
const LONGEST_TEXTS: u64 = 16 << 20;

/// Reads a graph.
///
/// # Errors
/// If the file cannot be read, is no HDF5 file of a NIR graph, or has nodes of a type that is not known here.
pub fn read(path: &Path) -> Result<Graph, FileError> {
    let bytes = fs::read(path).map_err(FileError::io("read", path))?;
    parse(bytes).map_err(|problem| FileError::content(path, problem))
}

/// Writes a graph, whole or not at all.
///
/// # Errors
/// If the system refuses.
pub fn write(path: &Path, graph: &Graph) -> Result<(), FileError> {
    let bytes = bytes_of(graph).map_err(|problem| FileError::content(path, problem))?;
    write_atomically(path, &bytes)
}

fn parse(bytes: Vec<u8>) -> Result<Graph, String> {
    let size = bytes.len() as u64;
    let file = File::from_bytes(bytes).map_err(|e| format!("not a NIR graph: no sound HDF5 file: {e}"))?;
    let open = |path: &str| {
        let group = file.group(path).map_err(|e| format!("not a NIR graph: no group `{path}` in it: {e}"))?;
        Ok::<_, String>(Fields { group, place: path.to_string(), size })
    };
    let root = open("node")?;
    let kind = root.text("type")?;
    if kind != "NIRGraph" {
        return Err(format!("its node is of type {kind}, expected NIRGraph"));
    }
    let edges = root.texts("edges")?;
    if !edges.len().is_multiple_of(2) {
        return Err(format!("`node/edges` holds {} names, expected two for each edge", edges.len()));
    }
    let nodes = open("node/nodes")?;
    let names = nodes.group.groups().map_err(|e| format!("`node/nodes`: {e}"))?;
    let nodes = names.into_iter().map(|name| {
        let node = open(&format!("node/nodes/{name}"))?.node()?;
        Ok((name, node))
    });
    Ok(Graph {
        nodes: nodes.collect::<Result<BTreeMap<_, _>, String>>()?,
        edges: edges.chunks_exact(2).map(|edge| (edge[0].clone(), edge[1].clone())).collect(),
        metadata: open("node/metadata").ok().map(|fields| fields.metadata()).unwrap_or_default(),
    })
}

/// The data sets of a group.
struct Fields {
    group: Group,
    place: String,
    /// Bytes of the file.
    size: u64,
}

impl Fields {
    fn error(&self, name: &str, problem: &dyn std::fmt::Display) -> String {
        format!("`{}/{name}`: {problem}", self.place)
    }

    fn has(&self, name: &str) -> bool {
        self.group.dataset(name).is_ok()
    }

    /// A data set and its shape, if the file can hold so much.
    fn dataset(&self, name: &str) -> Result<(Dataset, Vec<usize>), String> {
        let dataset = self.group.dataset(name).map_err(|e| self.error(name, &e))?;
        let shape = dataset.shape().map_err(|e| self.error(name, &e))?;
        let bytes = shape.iter().try_fold(8u64, |product, &side| product.checked_mul(side));
        if bytes.is_none_or(|bytes| bytes > self.size.saturating_mul(MOST_DENSE)) {
            let problem =
                format!("it states a shape of {shape:?}, more than a file of {} bytes holds", self.size);
            return Err(self.error(name, &problem));
        }
        Ok((dataset, shape.into_iter().map(|side| side as usize).collect()))
    }

    fn tensor(&self, name: &str) -> Result<HostTensor, String> {
        let (dataset, shape) = self.dataset(name)?;
        let values = dataset.read_f64().map_err(|e| self.error(name, &e))?;
        Ok(HostTensor { shape, values: values.into_iter().map(|value| value as f32).collect() })
    }

    fn number(&self, name: &str) -> Result<f64, String> {
        let values = self.dataset(name)?.0.read_f64().map_err(|e| self.error(name, &e))?;
        values.first().copied().ok_or_else(|| self.error(name, &"it is empty"))
    }

    fn integers(&self, name: &str) -> Result<Vec<usize>, String> {
        let values = self.dataset(name)?.0.read_i64().map_err(|e| self.error(name, &e))?;
        let small = |value: i64| u32::try_from(value).map(|value| value as usize);
        values
            .into_iter()
            .map(|value| small(value).map_err(|_| self.error(name, &format!("{value} is no size"))))
            .collect()
    }

    /// One number for both sides, or one for each.
    fn pair(&self, name: &str) -> Result<[usize; 2], String> {
        match self.integers(name)?[..] {
            [both] => Ok([both; 2]),
            [height, width] => Ok([height, width]),
            ref other => {
                Err(self.error(name, &format!("expected one or two numbers, found {}", other.len())))
            }
        }
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let (dataset, _) = self.dataset(name)?;
        let most = LONGEST_TEXTS.min(self.size) as usize;
        let read = match dataset.dtype().map_err(|e| self.error(name, &e))? {
            DType::VariableLengthString => {
                dataset.read_vlen_strings(VlenStringReadOptions::new().with_max_payload_bytes(most))
            }
            DType::String => dataset.read_string(),
            other => return Err(self.error(name, &format!("expected a text, found {other}"))),
        };
        read.map_err(|e| self.error(name, &e))
    }

    fn text(&self, name: &str) -> Result<String, String> {
        let mut texts = self.texts(name)?;
        match texts.len() {
            1 => Ok(texts.remove(0)),
            n => Err(self.error(name, &format!("expected one text, found {n}"))),
        }
    }

    /// What a convolution adds around its input: numbers, or `same` or `valid`.
    fn padding(&self, kernel: [usize; 2], dilation: [usize; 2]) -> Result<[usize; 2], String> {
        let (dataset, _) = self.dataset("padding")?;
        if !matches!(dataset.dtype(), Ok(DType::String | DType::VariableLengthString)) {
            return self.pair("padding");
        }
        match self.text("padding")?.as_str() {
            "valid" => Ok([0, 0]),
            "same" => {
                Ok([0, 1].map(|side| dilation[side].saturating_mul(kernel[side].saturating_sub(1)) / 2))
            }
            other => Err(self.error("padding", &format!("expected numbers, same or valid, found {other}"))),
        }
    }

    fn pooling(&self) -> Result<Pooling, String> {
        Ok(Pooling {
            kernel: self.pair("kernel_size")?,
            stride: self.pair("stride")?,
            padding: self.pair("padding")?,
        })
    }

    fn optional(&self, name: &str) -> Result<Option<HostTensor>, String> {
        if self.has(name) { self.tensor(name).map(Some) } else { Ok(None) }
    }

    fn node(&self) -> Result<Node, String> {
        let tensor = |name| self.tensor(name);
        Ok(match self.text("type")?.as_str() {
            "Input" => Node::Input { shape: self.integers("shape")? },
            "Output" => Node::Output { shape: self.integers("shape")? },
            "Conv2d" => {
                let weight = tensor("weight")?;
                let [_, _, height, width] = weight.shape[..] else {
                    let problem = format!("expected four dimensions, found shape {:?}", weight.shape);
                    return Err(self.error("weight", &problem));
                };
                let dilation = self.pair("dilation")?;
                Node::Conv2d {
                    input: if self.has("input_shape") { Some(self.pair("input_shape")?) } else { None },
                    weight,
                    bias: tensor("bias")?,
                    stride: self.pair("stride")?,
                    padding: self.padding([height, width], dilation)?,
                    dilation,
                    groups: self.integers("groups")?.first().copied().unwrap_or(1),
                }
            }
            "Affine" => Node::Affine { weight: tensor("weight")?, bias: tensor("bias")? },
            "Linear" => Node::Linear { weight: tensor("weight")? },
            "LIF" => Node::Lif {
                tau: tensor("tau")?,
                r: tensor("r")?,
                v_leak: tensor("v_leak")?,
                v_threshold: tensor("v_threshold")?,
                v_reset: self.optional("v_reset")?,
            },
            "IF" => Node::If {
                r: tensor("r")?,
                v_threshold: tensor("v_threshold")?,
                v_reset: self.optional("v_reset")?,
            },
            "LI" => Node::Li { tau: tensor("tau")?, r: tensor("r")?, v_leak: tensor("v_leak")? },
            "AvgPool2d" => Node::AvgPool2d(self.pooling()?),
            "SumPool2d" => Node::SumPool2d(self.pooling()?),
            "Flatten" => Node::Flatten {
                input: if self.has("input_type") { Some(self.integers("input_type")?) } else { None },
            },
            other => {
                let known =
                    "Input, Output, Conv2d, Affine, Linear, LIF, IF, LI, AvgPool2d, SumPool2d and Flatten";
                return Err(format!(
                    "node `{}` is of type {other}; networks here are made of {known}",
                    self.name()
                ));
            }
        })
    }

    /// The node's own name.
    fn name(&self) -> &str {
        self.place.rsplit('/').next().unwrap_or(&self.place)
    }

    /// What can be read of it: anybody may note down anything there.
    fn metadata(&self) -> Metadata {
        Metadata {
            dt: self.number("dt").ok(),
            time_steps: self.integers("time_steps").ok().and_then(|steps| steps.first().copied()),
            class_names: self.texts("class_names").unwrap_or_default(),
            encoding: self.texts("encoding").ok().and_then(|texts| texts.into_iter().next()),
            method: self.texts("method").ok().and_then(|texts| texts.into_iter().next()),
        }
    }
}

fn bytes_of(graph: &Graph) -> Result<Vec<u8>, String> {
    let mut file = FileBuilder::new();
    file.create_dataset("version").with_vlen_strings(&[VERSION]).with_shape(&[]);
    let mut root = file.create_group("node");
    put_text(&mut root, "type", "NIRGraph");
    let edges: Vec<&str> = graph.edges.iter().flat_map(|(from, to)| [from.as_str(), to.as_str()]).collect();
    root.create_dataset("edges").with_vlen_strings(&edges).with_shape(&[graph.edges.len() as u64, 2]);
    let mut nodes = root.create_group("nodes");
    for (name, node) in &graph.nodes {
        let mut group = nodes.create_group(name);
        put_node(&mut group, node);
        nodes.add_group(group.finish());
    }
    root.add_group(nodes.finish());
    let Metadata { dt, time_steps, class_names, encoding, method } = &graph.metadata;
    let mut metadata = root.create_group("metadata");
    if let Some(dt) = dt {
        metadata.create_dataset("dt").with_f64_data(&[*dt]).with_shape(&[]);
    }
    if let Some(steps) = time_steps {
        metadata.create_dataset("time_steps").with_i64_data(&[*steps as i64]).with_shape(&[]);
    }
    if !class_names.is_empty() {
        let names: Vec<&str> = class_names.iter().map(String::as_str).collect();
        metadata.create_dataset("class_names").with_vlen_strings(&names);
    }
    for (name, text) in [("encoding", encoding), ("method", method)] {
        if let Some(text) = text {
            put_text(&mut metadata, name, text);
        }
    }
    root.add_group(metadata.finish());
    file.add_group(root.finish());
    file.finish().map_err(|e| e.to_string())
}

fn put_text(group: &mut GroupBuilder, name: &str, text: &str) {
    group.create_dataset(name).with_vlen_strings(&[text]).with_shape(&[]);
}

fn put_integers(group: &mut GroupBuilder, name: &str, values: &[usize]) {
    let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
    group.create_dataset(name).with_i64_data(&values);
}

fn put_tensor(group: &mut GroupBuilder, name: &str, tensor: &HostTensor) {
    let shape: Vec<u64> = tensor.shape.iter().map(|&side| side as u64).collect();
    let dataset = group.create_dataset(name).with_f32_data(&tensor.values).with_shape(&shape);
    if !tensor.values.is_empty() && !shape.is_empty() {
        dataset.with_chunks(&shape).with_deflate(4);
    }
}

fn put_pooling(group: &mut GroupBuilder, pooling: &Pooling) {
    put_integers(group, "kernel_size", &pooling.kernel);
    put_integers(group, "stride", &pooling.stride);
    put_integers(group, "padding", &pooling.padding);
}

fn put_node(group: &mut GroupBuilder, node: &Node) {
    put_text(group, "type", node.kind());
    let mut tensors: Vec<(&str, &HostTensor)> = Vec::new();
    match node {
        Node::Input { shape } | Node::Output { shape } => put_integers(group, "shape", shape),
        Node::Conv2d { input, weight, bias, stride, padding, dilation, groups } => {
            tensors.extend([("weight", weight), ("bias", bias)]);
            if let Some(input) = input {
                put_integers(group, "input_shape", input);
            }
            put_integers(group, "stride", stride);
            put_integers(group, "padding", padding);
            put_integers(group, "dilation", dilation);
            group.create_dataset("groups").with_i64_data(&[*groups as i64]).with_shape(&[]);
        }
        Node::Affine { weight, bias } => tensors.extend([("weight", weight), ("bias", bias)]),
        Node::Linear { weight } => tensors.push(("weight", weight)),
        Node::Lif { tau, r, v_leak, v_threshold, v_reset } => {
            tensors.extend([("tau", tau), ("r", r), ("v_leak", v_leak), ("v_threshold", v_threshold)]);
            tensors.extend(v_reset.iter().map(|v_reset| ("v_reset", v_reset)));
        }
        Node::If { r, v_threshold, v_reset } => {
            tensors.extend([("r", r), ("v_threshold", v_threshold)]);
            tensors.extend(v_reset.iter().map(|v_reset| ("v_reset", v_reset)));
        }
        Node::Li { tau, r, v_leak } => tensors.extend([("tau", tau), ("r", r), ("v_leak", v_leak)]),
        Node::AvgPool2d(pooling) | Node::SumPool2d(pooling) => put_pooling(group, pooling),
        Node::Flatten { input } => {
            if let Some(input) = input {
                put_integers(group, "input_type", input);
            }
            group.create_dataset("start_dim").with_i64_data(&[0]).with_shape(&[]);
            group.create_dataset("end_dim").with_i64_data(&[-1]).with_shape(&[]);
        }
    }
    for (name, tensor) in tensors {
        put_tensor(group, name, tensor);
    }
}
