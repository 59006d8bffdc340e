//! State dicts of PyTorch.
//!
//! What comes in are tensors by name. They are found in a network [by name](StateDict::weights_for) where they are called as
//! the released BPSTA networks call theirs, `fun.5.weight`, or as Synfire does, `layers.5.weight`, whatever stands in front of the
//! number; else by their shapes, and by the numbers in their names where shapes are the same. What goes out carries Synfire's names, which `Sequential` called `layers` has.

mod export;
mod source;

pub use export::{Exported, export};

use source::Entry;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use synfire::file::{FileError, HostTensor, TensorMap};
use synfire::net::Net;

/// What networks call their layers, in front of a module's number.
const OWN_PREFIX: &str = "layers.";

/// Named tensors of a file, whose values are read when they are asked for.
pub struct StateDict {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
    exported: Option<Exported>,
}

/// Weights for a network, and where they come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// By the names of the network.
    pub tensors: TensorMap,
    /// The network's module and the one in the file, in the order of the network.
    pub modules: Vec<(String, String)>,
    /// They were told apart by shapes and numbers, not by their names.
    pub by_shape: bool,
}

/// Constants of the neurons that a state dict holds, as those of the released BPSTA networks do.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Constants {
    /// Threshold of all neurons.
    pub threshold: Option<f32>,
    /// Their decay.
    pub decay: Option<f32>,
}

impl StateDict {
    /// Opens a file of PyTorch (any layout that `torch.save` has written) or safetensors, told apart by their content.
    ///
    /// # Errors
    /// If it cannot be read, is damaged or is neither.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let (entries, exported) = source::open(path)?;
        Ok(Self { path: path.to_path_buf(), entries, exported })
    }

    /// What Synfire wrote about the network, if the file comes from [`export`].
    pub fn exported(&self) -> Option<&Exported> {
        self.exported.as_ref()
    }

    /// Threshold and decay, where tensors of one value are called so.
    ///
    /// # Errors
    /// If neurons have different ones, which networks here cannot have, or they cannot be read.
    pub fn constants(&self) -> Result<Constants, FileError> {
        Ok(Constants { threshold: self.constant("threshold")?, decay: self.constant("decay")? })
    }

    fn constant(&self, called: &str) -> Result<Option<f32>, FileError> {
        let mut found: Option<(&str, f32)> = None;
        for (name, entry) in &self.entries {
            if module_and_leaf(name).1 != called || entry.len() != 1 {
                continue;
            }
            let value = self.read(name, entry)?.values[0];
            match found {
                Some((first, other)) if other != value => {
                    return Err(self.error(format!(
                        "its neurons differ: `{first}` is {other}, `{name}` is {value}; expected one {called} for all"
                    )));
                }
                _ => found = Some((name, value)),
            }
        }
        Ok(found.map(|(_, value)| value))
    }

    /// The weights of `net`, from the tensors whose names begin with `prefix` where that is given.
    ///
    /// A bias that is absent is 0.
    ///
    /// # Errors
    /// If the tensors are not those of such a network, or cannot be read.
    pub fn weights_for(&self, net: &mut Net, prefix: Option<&str>) -> Result<Weights, FileError> {
        let expected = Expected::of(net);
        let entries: BTreeMap<&str, &Entry> = self
            .entries
            .iter()
            .filter(|(name, _)| prefix.is_none_or(|prefix| name.starts_with(prefix)))
            .map(|(name, entry)| (name.as_str(), entry))
            .collect();
        if let Some(prefix) = prefix.filter(|_| entries.is_empty()) {
            return Err(self.error(format!("no tensor's name begins with `{prefix}`")));
        }
        let found = Found::of(&entries);
        let (modules, by_shape) = match expected.by_name(&found) {
            Prefixes::One(modules) => (modules, false),
            Prefixes::More(module) => {
                return Err(self.error(format!(
                    "its tensors are not those of this network: it holds `{module}` too, which this network does not have"
                )));
            }
            Prefixes::Several(names) => {
                let names = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                return Err(self.error(format!(
                    "it holds such a network more than once, under {names}: choose one of these prefixes"
                )));
            }
            Prefixes::None => (expected.by_shape(&found).map_err(|problem| self.error(problem))?, true),
        };
        let mut tensors = TensorMap::new();
        for (own, other) in &modules {
            for (leaf, shape) in &expected.0[own] {
                let (name, from) = (format!("{own}.{leaf}"), join(other, leaf));
                let tensor = match entries.get(from.as_str()) {
                    // The shape first: a view may state far more values than the file holds.
                    Some(entry) if entry.shape != *shape => {
                        let found = &entry.shape;
                        return Err(self.error(format!("`{from}` has shape {found:?}, expected {shape:?}")));
                    }
                    Some(entry) => self.read(&from, entry)?,
                    None if leaf == "bias" => {
                        HostTensor { shape: shape.clone(), values: vec![0.0; shape.iter().product()] }
                    }
                    None => return Err(self.error(format!("the tensor `{from}` is missing"))),
                };
                tensors.insert(name, tensor);
            }
        }
        Ok(Weights { tensors, modules, by_shape })
    }

    fn read(&self, name: &str, entry: &Entry) -> Result<HostTensor, FileError> {
        let values = entry.values().map_err(|problem| self.error(format!("`{name}`: {problem}")))?;
        Ok(HostTensor { shape: entry.shape.clone(), values })
    }

    fn error(&self, problem: impl Into<String>) -> FileError {
        FileError::content(&self.path, problem)
    }
}

/// A module and the shapes of its tensors.
type Modules = BTreeMap<String, Vec<(String, Vec<usize>)>>;

/// The modules of a network.
struct Expected(Modules);

/// The modules of a file that have a weight, with its shape, and whether they are batch norms.
struct Found<'a>(BTreeMap<&'a str, (&'a [usize], bool)>);

/// Under which prefixes a file holds a network.
enum Prefixes<'a> {
    None,
    One(Vec<(String, String)>),
    /// Under one, with a module that the network does not have.
    More(&'a str),
    Several(Vec<&'a str>),
}

impl<'a> Found<'a> {
    fn of(entries: &BTreeMap<&'a str, &'a Entry>) -> Self {
        let weights = entries.iter().filter_map(|(name, entry)| match module_and_leaf(name) {
            (module, "weight") => {
                let norm = entries.contains_key(join(module, "running_mean").as_str());
                Some((module, (entry.shape.as_slice(), norm)))
            }
            _ => None,
        });
        Self(weights.collect())
    }

    fn in_order(&self) -> Vec<(&'a str, &'a [usize], bool)> {
        let mut modules: Vec<_> = self.0.iter().map(|(name, (shape, norm))| (*name, *shape, *norm)).collect();
        modules.sort_by(|a, b| natural(a.0, b.0));
        modules
    }
}

impl Expected {
    fn of(net: &mut Net) -> Self {
        let mut modules = Modules::new();
        for (name, tensor) in net.state() {
            let (module, leaf) = module_and_leaf(&name);
            modules.entry(module.to_string()).or_default().push((leaf.to_string(), tensor.shape));
        }
        Self(modules)
    }

    /// Each module, the shape of its weight and whether it is a batch norm.
    fn in_order(&self) -> Vec<(&str, &[usize], bool)> {
        let mut modules: Vec<_> = self
            .0
            .iter()
            .map(|(name, tensors)| {
                let of = |wanted: &str| tensors.iter().find(|(leaf, _)| leaf == wanted);
                let (_, shape) = of("weight").expect("modules have a weight");
                (name.as_str(), shape.as_slice(), of("running_mean").is_some())
            })
            .collect();
        modules.sort_by(|a, b| natural(a.0, b.0));
        modules
    }

    /// Looks for a prefix in front of all numbers.
    fn by_name<'a>(&self, found: &Found<'a>) -> Prefixes<'a> {
        let own = self.in_order();
        let (first, ..) = own[0];
        let number = first.strip_prefix(OWN_PREFIX).unwrap_or(first);
        let mut complete: Vec<(&str, Vec<(String, String)>)> = Vec::new();
        for &module in found.0.keys() {
            let Some(prefix) = module.strip_suffix(number) else { continue };
            if !(prefix.is_empty() || prefix.ends_with('.')) {
                continue;
            }
            let pairs: Option<Vec<_>> = own
                .iter()
                .map(|&(name, shape, norm)| {
                    let other = format!("{prefix}{}", name.strip_prefix(OWN_PREFIX).unwrap_or(name));
                    let same = found.0.get(other.as_str()) == Some(&(shape, norm));
                    same.then(|| (name.to_string(), other))
                })
                .collect();
            complete.extend(pairs.map(|pairs| (prefix, pairs)));
        }
        match &complete[..] {
            [] => Prefixes::None,
            [(prefix, pairs)] => {
                let numbered = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
                let more = found.0.keys().copied().find(|module| {
                    module.strip_prefix(prefix).is_some_and(numbered)
                        && pairs.iter().all(|(_, other)| other != module)
                });
                match more {
                    Some(module) => Prefixes::More(module),
                    None => Prefixes::One(complete.remove(0).1),
                }
            }
            _ => Prefixes::Several(complete.into_iter().map(|(prefix, _)| prefix).collect()),
        }
    }

    /// Tells modules apart by their shapes, and those of the same shape by the numbers in their names.
    fn by_shape(&self, found: &Found) -> Result<Vec<(String, String)>, String> {
        let not_those = "its tensors are not those of this network";
        let (own, other) = (self.in_order(), found.in_order());
        let mut taken = BTreeMap::new();
        for &(_, shape, norm) in &own {
            let like = |modules: &[(&str, &[usize], bool)]| -> Vec<String> {
                let alike = modules.iter().filter(|module| (module.1, module.2) == (shape, norm));
                alike.map(|module| module.0.to_string()).collect()
            };
            let (expected, found) = (like(&own), like(&other));
            if expected.len() != found.len() {
                let kind = if norm { "batch norm" } else { "layer" };
                return Err(format!(
                    "{not_those}: it holds {} of a {kind} whose weight has shape {shape:?}, expected {} ({})",
                    found.len(),
                    expected.len(),
                    expected.join(", "),
                ));
            }
            // Numbers alone may differ: in words, such as `one` and `two`, there is no order.
            let text = |name: &str| name.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
            if let Some(name) = found.iter().find(|name| text(name) != text(&found[0])) {
                return Err(format!(
                    "cannot tell which of `{}` and `{name}` is {} of this network: both have a weight of shape {shape:?}; call modules \
                     by the network's numbers, such as {}",
                    found[0], expected[0], expected[0],
                ));
            }
            taken.extend(expected.into_iter().zip(found));
        }
        if other.len() > own.len() {
            return Err(format!(
                "{not_those}: it holds {} modules with a weight, expected {}",
                other.len(),
                own.len()
            ));
        }
        Ok(own.iter().map(|(name, ..)| (name.to_string(), taken[*name].clone())).collect())
    }
}

/// `fun.5` and `weight` of `fun.5.weight`.
fn module_and_leaf(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}

/// The reverse of [`module_and_leaf`].
fn join(module: &str, leaf: &str) -> String {
    if module.is_empty() { leaf.to_string() } else { format!("{module}.{leaf}") }
}

/// The order of names in which `conv9` stands before `conv10`.
fn natural(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(String, u64)> {
        let mut parts = vec![(String::new(), 0u64)];
        let mut digits = false;
        for c in text.chars() {
            if digits && !c.is_ascii_digit() {
                parts.push((String::new(), 0));
            }
            digits = c.is_ascii_digit();
            let (words, number) = parts.last_mut().expect("never empty");
            match c.to_digit(10) {
                Some(digit) => *number = number.saturating_mul(10).saturating_add(digit.into()),
                None => words.push(c),
            }
        }
        parts
    };
    parts(a).cmp(&parts(b))
}
