//! Checks of this build against golden files: exact expectations computed in double precision.
//!
//! A golden file is safetensors with `kind` in its metadata: `neuron` (layers of neurons alone), `network`
//! (forward, loss, every gradient, running statistics, AdamW steps) or `trajectory` (the losses of a training
//! run). `tests/golden` holds the project's own set and its generator; its README states the layout.

use crate::file::{FileError, HostTensor, TensorFile, TensorMap};
use crate::loss::{Loss, mean_over_time};
use crate::net::{Input, Net, Pass, Plan, Record, Recorded};
use crate::ops::{self, Lif, LifShape, Precision};
use crate::optim::{Optimizer, OptimizerKind};
use crate::train::{MOST_STEPS, Step, Training, check_held, check_training};
use burn::tensor::{Device, Tensor, TensorData};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use synfire_data::{FrameSpec, Kind, Locations};

/// One comparison with a golden value.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The golden file.
    pub file: String,
    /// What was compared.
    pub name: String,
    /// How far it is off, in the measure the tolerance is in.
    pub difference: f64,
    /// What is allowed.
    pub tolerance: f64,
}

impl Check {
    /// Whether the difference is within the tolerance; never if it is not a number.
    pub fn passed(&self) -> bool {
        self.difference <= self.tolerance
    }
}

/// The project's own golden files.
pub const OWN: &[(&str, &[u8])] = &[
    ("neuron", include_bytes!("../../../tests/golden/neuron.safetensors")),
    ("net_vote", include_bytes!("../../../tests/golden/net_vote.safetensors")),
    ("net_readout", include_bytes!("../../../tests/golden/net_readout.safetensors")),
    ("net_stbp", include_bytes!("../../../tests/golden/net_stbp.safetensors")),
    ("net_fc_bpsa", include_bytes!("../../../tests/golden/net_fc_bpsa.safetensors")),
    ("digits_trajectory", include_bytes!("../../../tests/golden/digits_trajectory.safetensors")),
];

/// Checks the project's own golden set on `device`, with convolutions that multiply in `precision`.
///
/// # Errors
/// If a file of the set is damaged.
pub fn verify_own(device: &Device, precision: Precision) -> Result<Vec<Check>, FileError> {
    let mut checks = Vec::new();
    for (name, bytes) in OWN {
        let path = Path::new("tests/golden").join(format!("{name}.safetensors"));
        let file = TensorFile::parse(bytes).map_err(|problem| FileError::content(&path, problem))?;
        let found = verify(name, &file, device, &Locations::from_folders(Vec::new()), precision);
        checks.extend(found.map_err(|problem| FileError::content(&path, problem))?);
    }
    Ok(checks)
}

/// Checks one golden file on `device`; `data` is where a trajectory finds its data set, and convolutions multiply in
/// `precision`.
///
/// # Errors
/// If the file is damaged, of an unknown kind, or its data set is missing.
pub fn verify_file(
    path: &Path,
    device: &Device,
    data: &Locations,
    precision: Precision,
) -> Result<Vec<Check>, FileError> {
    let file = TensorFile::read(path)?;
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    verify(&name, &file, device, data, precision).map_err(|problem| FileError::content(path, problem))
}

fn verify(
    name: &str,
    file: &TensorFile,
    device: &Device,
    data: &Locations,
    precision: Precision,
) -> Result<Vec<Check>, String> {
    let mut report = Report { file: name.to_string(), checks: Vec::new() };
    match file.meta("kind")? {
        "neuron" => neuron(file, device, &mut report)?,
        "network" => network(file, device, precision, &mut report)?,
        "trajectory" => trajectory(file, device, data, precision, &mut report)?,
        kind => return Err(format!("unknown kind `{kind}`, expected neuron, network or trajectory")),
    }
    Ok(report.checks)
}

struct Report {
    file: String,
    checks: Vec<Check>,
}

impl Report {
    fn add(&mut self, name: impl Into<String>, difference: f64, tolerance: f64) {
        self.checks.push(Check { file: self.file.clone(), name: name.into(), difference, tolerance });
    }
}

/// Largest difference of two tensors; NaN if a difference is.
fn largest(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::NAN;
    }
    worst(found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()))
}

/// The largest of `differences`; NaN if one is.
fn worst(differences: impl Iterator<Item = f64>) -> f64 {
    differences.fold(0.0, |m: f64, d| if m.is_nan() || d <= m { m } else { d })
}

/// Largest difference in units of the largest expected entry.
fn relative(found: &[f32], expected: &[f32]) -> f64 {
    let scale = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
    let difference = largest(found, expected);
    if scale == 0.0 { difference } else { difference / f64::from(scale) }
}

/// 1 - cosine of the angle between two tensors.
fn angle(found: &[f32], expected: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let (aa, bb) = (dot(found, found), dot(expected, expected));
    if aa == 0.0 && bb == 0.0 { 0.0 } else { 1.0 - dot(found, expected) / (aa * bb).sqrt() }
}

/// Number of values that differ.
fn unequal(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::NAN;
    }
    found.iter().zip(expected).filter(|(a, b)| a != b).count() as f64
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.inner().into_data().try_into_vec::<f32>().expect("f32 tensors")
}

fn tensor<const D: usize>(host: &HostTensor, device: &Device) -> Result<Tensor<D>, String> {
    if host.shape.len() != D {
        return Err(format!("a tensor of shape {:?} where {D} dimensions were expected", host.shape));
    }
    if host.shape.contains(&0) {
        return Err(format!("a tensor of shape {:?}, which holds nothing", host.shape));
    }
    Ok(Tensor::from_data(TensorData::new(host.values.clone(), host.shape.clone()), device))
}

#[derive(Deserialize)]
struct Neuron {
    method: String,
    threshold: f32,
    decay: f32,
    alpha: f32,
}

impl Neuron {
    fn lif(&self) -> Result<Lif, String> {
        let method = self.method.parse().map_err(|e| format!("{e}"))?;
        let lif = Lif { method, threshold: self.threshold, decay: self.decay, alpha: self.alpha };
        lif.validate().map_err(|e| e.to_string())?;
        Ok(lif)
    }
}

fn neuron(file: &TensorFile, device: &Device, report: &mut Report) -> Result<(), String> {
    let cases: BTreeMap<String, Neuron> =
        serde_json::from_str(file.meta("cases")?).map_err(|e| format!("metadata `cases`: {e}"))?;
    for (case, constants) in cases {
        let of = |name: &str| file.get(&format!("{case}.{name}"));
        let current = tensor::<2>(of("current")?, device)?.autodiff().require_grad();
        let error = tensor::<2>(of("grad_spikes")?, device)?;
        if error.dims() != current.dims() {
            return Err(format!("{case}: `current` {:?}, `grad_spikes` {:?}", current.dims(), error.dims()));
        }
        let shape = LifShape { steps: current.dims()[0], constant: false, lif: constants.lif()? };
        let spikes = ops::lif(current.clone(), shape);
        let gradients = (spikes.clone() * error).sum().backward();
        let gradient = current.grad(&gradients).ok_or("no gradient reached the current")?;
        let named = |what: &str| format!("{case} {} {what}", constants.method);
        report.add(named("spikes that differ"), unequal(&values(spikes), &of("spikes")?.values), 0.0);
        report.add(named("gradient"), relative(&values(gradient), &of("grad_current")?.values), 1e-5);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Config {
    layers: String,
    shape: [usize; 3],
    classes: usize,
    time_steps: usize,
    #[serde(flatten)]
    neuron: Neuron,
    /// Over which values batch norm takes its statistics: per-step where nothing is said.
    norm: Option<String>,
    /// What is minimised: mse where nothing is said.
    loss: Option<String>,
    lr: f64,
    weight_decay: f64,
    #[serde(default)]
    adamw_steps: usize,
    /// How close a potential of the golden pass comes to a threshold.
    #[serde(default)]
    min_margin: f64,
    #[serde(default)]
    batch: usize,
    #[serde(default)]
    batches: usize,
    #[serde(default)]
    data: String,
    /// Relative tolerance of the mean loss of the last third of a trajectory.
    #[serde(default = "tail_tolerance")]
    tail_tolerance: f64,
}

fn tail_tolerance() -> f64 {
    0.05
}

/// How far loss and running statistics of a step in bf16 may be from the exact ones, relative.
const BF16: f64 = 0.05;
/// The share of a layer's spikes that may be other ones: one that rounding flips flips others behind it.
const BF16_SPIKES: f64 = 0.2;
/// Where no layer has a larger share of other spikes, gradients are compared; where more are others, gradients are too.
const BF16_ALIKE: f64 = 2e-3;
/// How far the gradients' angles may be off then (1 - cosine).
const BF16_ANGLE: f64 = 2e-3;
/// How far the losses of a trajectory's first steps may be off, relative.
const BF16_FIRST: f64 = 0.05;

/// Below this margin another order of summation may flip a spike, and only loss and directions are compared.
const SAFE_MARGIN: f64 = 1e-5;

impl Config {
    fn read(file: &TensorFile) -> Result<Self, String> {
        let config: Self =
            serde_json::from_str(file.meta("config")?).map_err(|e| format!("metadata `config`: {e}"))?;
        if !(1..=MOST_STEPS).contains(&config.time_steps) {
            let found = config.time_steps;
            return Err(format!("metadata `config`: time_steps {found}, expected 1 to {MOST_STEPS}"));
        }
        Ok(config)
    }

    /// Samples of a trajectory.
    fn samples(&self) -> Result<usize, String> {
        let samples = self.batch.checked_mul(self.batches).filter(|&samples| samples > 0);
        samples
            .ok_or_else(|| format!("metadata `config`: {} batches of {} samples", self.batches, self.batch))
    }

    /// Checks that `labels` are classes of this network, one for each of `samples`.
    fn check_labels(&self, labels: &[usize], samples: usize) -> Result<(), String> {
        if labels.len() != samples {
            return Err(format!("{} labels for {samples} samples", labels.len()));
        }
        match labels.iter().find(|&&label| label >= self.classes) {
            Some(label) => Err(format!("label {label} of {} classes", self.classes)),
            None => Ok(()),
        }
    }

    /// The network, to be trained on batches of `batch` samples.
    fn net(
        &self,
        file: &TensorFile,
        batch: usize,
        precision: Precision,
        device: &Device,
    ) -> Result<Net, String> {
        let spec = self.layers.parse().map_err(|e| format!("{e}"))?;
        let plan = Plan::new(&spec, self.shape, self.classes, true).map_err(|e| e.to_string())?;
        let state = with_prefix(file, "param.");
        check_held(&plan, &state)?;
        let training = Training {
            optimizer: OptimizerKind::AdamW,
            batch,
            steps: self.time_steps,
            precision,
            // At least.
            still: true,
        };
        check_training(&plan, &training, 1, device).map_err(|e| e.to_string())?;
        let mut net = Net::new(plan, self.neuron.lif()?, 0, device);
        if let Some(norm) = &self.norm {
            net.norm = norm.parse()?;
        }
        net.precision = precision;
        net.load_state(&state).map_err(|e| e.to_string())?;
        Ok(net)
    }

    fn loss(&self) -> Result<Loss, String> {
        self.loss.as_deref().map_or(Ok(Loss::Mse), str::parse)
    }

    fn optimizer(&self) -> Optimizer {
        Optimizer::new(OptimizerKind::AdamW, self.weight_decay, 0.0)
    }
}

fn with_prefix(file: &TensorFile, prefix: &str) -> TensorMap {
    file.tensors
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_string(), tensor.clone())))
        .collect()
}

/// Spikes in the golden order `[T, B, C, H, W]`.
fn channels_first(recorded: &Recorded) -> Vec<f32> {
    let spikes = recorded.spikes.clone().expect("spikes were recorded");
    let rows = spikes.dims()[0];
    match recorded.shape[..] {
        [h, w, c] => values(spikes.reshape([rows, h, w, c]).permute([0, 3, 1, 2])),
        _ => values(spikes),
    }
}

fn network(
    file: &TensorFile,
    device: &Device,
    precision: Precision,
    report: &mut Report,
) -> Result<(), String> {
    let config = Config::read(file)?;
    let objective = config.loss()?;
    let labels: Vec<usize> = file.get("label")?.values.iter().map(|&v| v as usize).collect();
    let host = file.get("input")?;
    let (steps, shape) = (config.time_steps, config.shape);
    let frames = host.shape.len() == 5 && host.shape[1] == steps && host.shape[2..] == shape;
    let still = host.shape.len() == 4 && host.shape[1..] == shape;
    if !frames && !still {
        let found = &host.shape;
        return Err(format!("`input` {found:?}, expected images of {shape:?} or {steps} frames of them"));
    }
    config.check_labels(&labels, host.shape[0])?;
    let mut net = config.net(file, host.shape[0], precision, device)?;
    let input = match frames {
        true => Input::frames(tensor::<5>(host, device)?.permute([1, 0, 2, 3, 4])),
        false => Input::constant(tensor(host, device)?, steps),
    };
    let bf16 = precision == Precision::Bf16;
    let exact = config.min_margin >= SAFE_MARGIN;
    // Of bf16, whether few spikes are other ones.
    let mut alike = exact;
    if exact {
        // Spikes are seen where every layer is an operation of its own; training takes other kernels.
        let mut pass = Pass::training(None).recording(Record::Spikes);
        net.clone().forward(input.clone(), &mut pass);
        for recorded in &pass.recorded {
            let name = format!("spikes.{}", recorded.module);
            let (found, expected) = (channels_first(recorded), &file.get(&name)?.values);
            let differ = unequal(&found, expected);
            let share = differ / found.len() as f64;
            alike &= share <= BF16_ALIKE;
            match bf16 {
                false => report.add(format!("{name} that differ"), differ, 0.0),
                true => report.add(format!("{name} that differ, share"), share, BF16_SPIKES),
            }
        }
    }
    let step = Step::run(&mut net, input.clone(), &labels, objective, &mut Pass::training(None));
    let Step { readout, loss, gradients, .. } = step.map_err(|e| e.to_string())?;
    let expected = f64::from(file.get("loss")?.values.first().copied().unwrap_or(f32::NAN));
    let tolerance = match (bf16, exact) {
        (true, _) => BF16,
        (false, true) => 1e-5,
        (false, false) => 1e-4,
    };
    report.add("loss, relative", (loss - expected).abs() / expected.abs(), tolerance);
    if exact && !bf16 {
        let output = values(mean_over_time(readout));
        report.add("output", relative(&output, &file.get("output")?.values), tolerance);
    }
    for (parameter, gradient) in net.parameters().into_iter().zip(&gradients) {
        let name = format!("grad.{}", parameter.name);
        let (found, expected) = (values(gradient.clone()), &file.get(&name)?.values);
        match bf16 {
            false if exact => report.add(name, relative(&found, expected), tolerance),
            false => report.add(format!("{name}, 1 - cosine"), angle(&found, expected), tolerance),
            true if !alike => {}
            true => report.add(format!("{name}, 1 - cosine"), angle(&found, expected), BF16_ANGLE),
        }
    }
    for buffer in net.buffers() {
        let name = format!("buffer_after_forward.{}", buffer.name);
        report.add(
            name.clone(),
            relative(&values(buffer.value.clone()), &file.get(&name)?.values),
            tolerance,
        );
    }
    // Of weights after steps of AdamW, which divides gradients by their size, a small difference is one as large as any.
    if config.adamw_steps == 0 || bf16 {
        return Ok(());
    }

    let mut optimizer = config.optimizer();
    let losses = &file.get("adamw_losses")?.values;
    for (i, expected) in losses.iter().enumerate() {
        let pass = &mut Pass::training(None);
        let step = Step::run(&mut net, input.clone(), &labels, objective, pass);
        let Step { loss, gradients, .. } = step.map_err(|e| e.to_string())?;
        optimizer.step(&mut net, gradients, config.lr);
        report.add(format!("AdamW step {}, loss", i + 1), relative(&[loss as f32], &[*expected]), 1e-5);
    }
    for parameter in net.parameters() {
        let name = format!("param_after_adamw.{}", parameter.name);
        report.add(name.clone(), largest(&values(parameter.value()), &file.get(&name)?.values), 1e-5);
    }
    let output = values(mean_over_time(net.forward(input, &mut Pass::inference())));
    report.add("inference after AdamW", largest(&output, &file.get("eval_output_after_adamw")?.values), 1e-5);
    Ok(())
}

fn trajectory(
    file: &TensorFile,
    device: &Device,
    data: &Locations,
    precision: Precision,
    report: &mut Report,
) -> Result<(), String> {
    let config = Config::read(file)?;
    let samples = config.samples()?;
    let objective = config.loss()?;
    let mut net = config.net(file, config.batch, precision, device)?;
    let (images, labels) = training_file_order(&config, samples, data)?;
    config.check_labels(&labels, samples)?;
    let pixels: usize = config.shape.iter().product();
    let losses: Vec<f64> = file.get("losses")?.values.iter().map(|&v| f64::from(v)).collect();
    if losses.len() != config.batches {
        let (found, expected) = (losses.len(), config.batches);
        return Err(format!("`losses` holds {found} values, `config` says {expected} batches"));
    }
    let mut optimizer = config.optimizer();
    let [c, h, w] = config.shape;
    let mut found = Vec::with_capacity(config.batches);
    for i in 0..config.batches {
        let rows = i * config.batch..(i + 1) * config.batch;
        let batch = images[rows.start * pixels..rows.end * pixels].to_vec();
        let batch = Tensor::from_data(TensorData::new(batch, [config.batch, c, h, w]), device);
        let input = Input::constant(batch, config.time_steps);
        let pass = &mut Pass::training(None);
        let step = Step::run(&mut net, input, &labels[rows], objective, pass);
        let Step { loss, gradients, .. } = step.map_err(|e| format!("batch {}: {e}", i + 1))?;
        optimizer.step(&mut net, gradients, config.lr);
        found.push(loss);
    }
    let off = |(a, b): (&f64, &f64)| (a - b).abs() / b;
    report.add(
        "losses of the first 10 steps, relative",
        worst(found.iter().zip(&losses).take(10).map(off)),
        if precision == Precision::Bf16 { BF16_FIRST } else { 0.02 },
    );
    let tail = losses.len() / 3;
    let mean = |v: &[f64]| v[v.len() - tail..].iter().sum::<f64>() / tail as f64;
    let difference = off((&mean(&found), &mean(&losses)));
    report.add(format!("mean loss of the last {tail} steps, relative"), difference, config.tail_tolerance);
    Ok(())
}

/// The first `n` images and labels of the data set a trajectory names, in file order.
fn training_file_order(
    config: &Config,
    n: usize,
    data: &Locations,
) -> Result<(Vec<f32>, Vec<usize>), String> {
    let pixels: usize = config.shape.iter().product();
    let name = config.data.split_whitespace().next().unwrap_or_default();
    let source = match name {
        "digits" => synfire_data::digits_in_file_order(),
        _ => synfire_data::open(name, data).map(|set| set.train),
    };
    let source = source.map_err(|e| e.to_string())?;
    if source.len() < n {
        return Err(format!("{n} training samples of {name} are needed, there are {}", source.len()));
    }
    let shape = source.shape(&FrameSpec::default());
    if (source.kind(), shape) != (Kind::Still, config.shape) {
        let (kind, found, expected) = (source.kind(), shape, config.shape);
        return Err(format!(
            "{name} holds {kind:?} samples of {found:?}, expected still images of {expected:?}"
        ));
    }
    let mut images = vec![0.0; n * pixels];
    for (i, image) in images.chunks_mut(pixels).enumerate() {
        source.load(i, &FrameSpec::default(), image).map_err(|e| e.to_string())?;
    }
    Ok((images, (0..n).map(|i| source.label(i)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_that_is_no_number_fails() {
        let check =
            |difference| Check { file: String::new(), name: String::new(), difference, tolerance: 1e-5 };
        assert!(check(0.0).passed() && check(1e-5).passed());
        assert!(!check(1.1e-5).passed() && !check(f64::NAN).passed() && !check(f64::INFINITY).passed());
        assert!(largest(&[1.0, f32::NAN], &[1.0, 1.0]).is_nan());
        assert!(largest(&[f32::NAN, 1.0], &[1.0, 1.0]).is_nan());
        assert!(relative(&[f32::NAN], &[0.0]).is_nan());
        assert!(angle(&[f32::NAN], &[1.0]).is_nan());
        assert!(largest(&[1.0], &[1.0, 2.0]).is_nan());
        assert_eq!(unequal(&[f32::NAN, 1.0], &[1.0, 1.0]), 1.0);
    }
}
