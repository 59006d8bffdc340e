//! Optimisers (Burn's arithmetic, per flat parameter), gradient clipping and learning-rate schedules.

use crate::device::is_cpu;
use crate::net::Net;
use crate::ops::{self, AdamWStep};
use burn::optim::{
    AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, RecordState, Sgd, SgdConfig, StateSink,
    StateSource, decay::WeightDecayConfig, momentum::MomentumConfig,
};
use burn::tensor::{Tensor, TensorData};
use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

/// Which optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OptimizerKind {
    /// AdamW: betas 0.9 and 0.999, eps 1e-8, decoupled weight decay on every parameter.
    #[default]
    AdamW,
    /// Stochastic gradient descent with momentum and weight decay in the gradient.
    Sgd,
}

impl fmt::Display for OptimizerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AdamW => "adamw",
            Self::Sgd => "sgd",
        })
    }
}

impl FromStr for OptimizerKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "adamw" => Ok(Self::AdamW),
            "sgd" => Ok(Self::Sgd),
            _ => Err(format!("unknown optimizer `{text}`, expected adamw or sgd")),
        }
    }
}

/// How the learning rate goes over the epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Schedule {
    /// The paper's: peak/(5-e) in the first five epochs e = 0 … 4, then a half cosine to zero.
    #[default]
    WarmupCosine,
    /// A half cosine from the peak to zero.
    Cosine,
    /// The peak throughout.
    Constant,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WarmupCosine => "warmup-cosine",
            Self::Cosine => "cosine",
            Self::Constant => "constant",
        })
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "warmup-cosine" => Ok(Self::WarmupCosine),
            "cosine" => Ok(Self::Cosine),
            "constant" => Ok(Self::Constant),
            _ => Err(format!("unknown schedule `{text}`, expected warmup-cosine, cosine or constant")),
        }
    }
}

/// Epochs over which the paper's schedule warms up.
const WARMUP: usize = 5;

impl Schedule {
    /// The learning rate of epoch `epoch` (from 0) of `epochs`.
    pub fn rate(self, peak: f64, epoch: usize, epochs: usize) -> f64 {
        let cosine =
            |epoch: usize, epochs: usize| 0.5 * (1.0 + (PI * epoch as f64 / epochs.max(1) as f64).cos());
        peak * match self {
            Self::Constant => 1.0,
            Self::Cosine => cosine(epoch, epochs),
            Self::WarmupCosine if epoch < WARMUP => 1.0 / (WARMUP - epoch) as f64,
            Self::WarmupCosine => cosine(epoch - WARMUP, epochs.saturating_sub(WARMUP)),
        }
    }
}

/// An optimiser with the state of every parameter of a network.
#[derive(Clone)]
pub struct Optimizer {
    rule: Rule,
}

#[derive(Clone)]
enum Rule {
    /// With the weight decay.
    AdamW(AdamW, f64, States<AdamW>),
    Sgd(Sgd, States<Sgd>),
}

type States<O> = Vec<Option<<O as burn::optim::Optimizer>::State<1>>>;

/// Optimiser state as named values, for checkpoints.
#[derive(Debug, Default)]
pub struct OptimizerState {
    /// Name and values of each state tensor.
    pub tensors: BTreeMap<String, TensorData>,
    /// Name and value of each counter.
    pub counters: BTreeMap<String, u64>,
}

impl OptimizerState {
    /// Whether `found` has the same names and shapes as `self`.
    fn compare(&self, found: &Self) -> Result<(), String> {
        for (name, tensor) in &self.tensors {
            let Some(other) = found.tensors.get(name) else {
                return Err(format!("the optimizer's tensor `{name}` is missing"));
            };
            if other.shape() != tensor.shape() {
                let (expected, found) = (tensor.shape().to_vec(), other.shape().to_vec());
                return Err(format!(
                    "the optimizer's tensor `{name}` has shape {found:?}, expected {expected:?}"
                ));
            }
        }
        if let Some(name) = found.tensors.keys().find(|name| !self.tensors.contains_key(*name)) {
            return Err(format!("the optimizer has no use for the tensor `{name}`"));
        }
        if !self.counters.keys().eq(found.counters.keys()) {
            return Err("the optimizer's counters are those of another network or optimizer".into());
        }
        Ok(())
    }
}

impl Optimizer {
    /// A fresh optimiser. `momentum` is for SGD.
    pub fn new(kind: OptimizerKind, weight_decay: f64, momentum: f64) -> Self {
        let rule = match kind {
            OptimizerKind::AdamW => {
                let config = AdamWConfig::new().with_epsilon(EPS).with_weight_decay(weight_decay as f32);
                Rule::AdamW(config.build(), weight_decay, Vec::new())
            }
            OptimizerKind::Sgd => {
                let config = SgdConfig::new()
                    .with_weight_decay(
                        (weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay as f32)),
                    )
                    .with_momentum(
                        (momentum > 0.0)
                            .then(|| MomentumConfig::new().with_momentum(momentum).with_dampening(0.0)),
                    );
                Rule::Sgd(config.build(), Vec::new())
            }
        };
        Self { rule }
    }

    /// One step: `gradients` in the order of the network's parameters.
    pub fn step(&mut self, net: &mut Net, gradients: Vec<Tensor<1>>, rate: f64) {
        match &mut self.rule {
            Rule::AdamW(_, decay, states) if !is_cpu(net.device()) => {
                adamw_steps(*decay, states, net, gradients, rate);
            }
            Rule::AdamW(rule, _, states) => step(rule, states, net, gradients, rate),
            Rule::Sgd(rule, states) => step(rule, states, net, gradients, rate),
        }
    }

    /// The state of every parameter by name.
    pub fn state(&self, net: &mut Net) -> OptimizerState {
        match &self.rule {
            Rule::AdamW(_, _, states) => flatten::<AdamW>(states, net),
            Rule::Sgd(_, states) => flatten::<Sgd>(states, net),
        }
    }

    /// Takes up a state written by [`state`](Self::state) after at least one step.
    ///
    /// # Errors
    /// If it is not the state of this optimiser for these parameters; the answer says what is amiss.
    pub fn restore(&mut self, net: &mut Net, state: OptimizerState) -> Result<(), String> {
        self.state_after_a_step(net).compare(&state)?;
        match &mut self.rule {
            Rule::AdamW(_, _, states) => *states = unflatten::<AdamW>(net, state),
            Rule::Sgd(_, states) => *states = unflatten::<Sgd>(net, state),
        }
        Ok(())
    }

    /// The names and shapes that any state has, with values that mean nothing.
    fn state_after_a_step(&self, net: &mut Net) -> OptimizerState {
        let mut trial = net.clone();
        let zeros = trial.parameters().into_iter().map(|p| p.value().zeros_like()).collect();
        let mut optimizer = self.clone();
        optimizer.step(&mut trial, zeros, 0.0);
        optimizer.state(net)
    }
}

fn step<O: burn::optim::Optimizer>(
    rule: &O,
    states: &mut States<O>,
    net: &mut Net,
    gradients: Vec<Tensor<1>>,
    rate: f64,
) {
    states.resize(gradients.len(), None);
    for ((parameter, gradient), state) in net.parameters().into_iter().zip(gradients).zip(states) {
        let (value, new) = rule.step(rate, parameter.value(), gradient, state.take());
        parameter.set(value);
        *state = new;
    }
}

/// Burn's defaults, which are PyTorch's.
const BETAS: [f32; 2] = [0.9, 0.999];
/// PyTorch's.
const EPS: f32 = 1e-8;

/// The same step as Burn's, as one operation for each parameter: on a GPU the launches of a dozen would take longer than the
/// work.
fn adamw_steps(decay: f64, states: &mut States<AdamW>, net: &mut Net, gradients: Vec<Tensor<1>>, rate: f64) {
    states.resize(gradients.len(), None);
    for ((parameter, gradient), state) in net.parameters().into_iter().zip(gradients).zip(states) {
        let (time, moments) = match state.take() {
            Some(AdamWState { momentum }) => (momentum.time + 1, [momentum.moment_1, momentum.moment_2]),
            None => (1, [gradient.zeros_like(), gradient.zeros_like()]),
        };
        let rule = AdamWStep {
            rate: rate as f32,
            keep: (1.0 - rate * f64::from(decay as f32)) as f32,
            betas: BETAS,
            eps: EPS,
            corrections: BETAS.map(|beta| 1.0 - beta.powi(time as i32)),
        };
        let [first, second] = moments;
        let [value, moment_1, moment_2] = ops::adamw(rule, [parameter.value(), gradient, first, second]);
        parameter.set(value);
        let momentum = AdaptiveMomentumState { time, moment_1, moment_2, max_moment_2: None };
        *state = Some(AdamWState { momentum });
    }
}

fn flatten<O: burn::optim::Optimizer>(states: &States<O>, net: &mut Net) -> OptimizerState {
    let mut sink = StateSink::default();
    for (parameter, state) in net.parameters().into_iter().zip(states) {
        if let Some(state) = state {
            state.state_flatten(&parameter.name, &mut sink);
        }
    }
    let counters =
        sink.scalars.into_iter().filter_map(|(name, value)| Some((name, u64::try_from(value).ok()?)));
    OptimizerState { counters: counters.collect(), tensors: sink.tensors.into_iter().collect() }
}

fn unflatten<O: burn::optim::Optimizer>(net: &mut Net, state: OptimizerState) -> States<O> {
    let scalars = state.counters.into_iter().map(|(name, value)| (name, value.into())).collect();
    let mut source = StateSource::new(scalars);
    for (name, values) in state.tensors {
        source.insert_tensor(name, values);
    }
    let device = net.device().clone();
    net.parameters()
        .into_iter()
        .map(|parameter| RecordState::state_unflatten(&parameter.name, &mut source, &device))
        .collect()
}

/// The Euclidean norm of each gradient: on the CPU summed in `f64`, on other devices where the gradients are, in `f32`.
pub fn norms(gradients: &[Tensor<1>]) -> Vec<f64> {
    if gradients.first().is_some_and(|gradient| !is_cpu(&gradient.device())) {
        let squares = ops::totals(true, gradients.iter().cloned());
        return squares.into_iter().map(|square| f64::from(square).sqrt()).collect();
    }
    let norm = |gradient: &Tensor<1>| {
        let data = gradient.to_data();
        let values = data.as_slice::<f32>().expect("f32 gradients");
        values.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt()
    };
    gradients.iter().map(norm).collect()
}

/// Scales all gradients so that their common norm is at most `limit`.
pub fn clip(gradients: Vec<Tensor<1>>, norms: &[f64], limit: f64) -> Vec<Tensor<1>> {
    let norm = norms.iter().map(|n| n * n).sum::<f64>().sqrt();
    if norm <= limit {
        return gradients;
    }
    let factor = (limit / norm) as f32;
    gradients.into_iter().map(|g| g * factor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn schedule_is_the_papers() {
        let rate = |e| Schedule::WarmupCosine.rate(1e-3, e, 300);
        assert!((rate(0) - 2e-4).abs() <= 1e-12);
        assert!((rate(4) - 1e-3).abs() <= 1e-12);
        assert!((rate(5) - 1e-3).abs() <= 1e-12);
        assert!(rate(299) > 0.0 && rate(299) < 1e-7);
        assert_eq!(Schedule::Constant.rate(0.1, 7, 10), 0.1);
        assert_eq!(Schedule::Cosine.rate(0.1, 0, 10), 0.1);
        assert!((Schedule::Cosine.rate(0.1, 5, 10) - 0.05).abs() <= 1e-12);
    }

    #[test]
    fn clipping_bounds_the_common_norm() {
        let g = |v: [f32; 2]| Tensor::<1>::from_floats(v, &Device::flex());
        let all = vec![g([3.0, 0.0]), g([0.0, 4.0])];
        let before = norms(&all);
        assert_eq!(before, [3.0, 4.0]);
        let after = norms(&clip(all.clone(), &before, 1.0));
        assert!((after[0] - 0.6).abs() <= 1e-6 && (after[1] - 0.8).abs() <= 1e-6);
        assert_eq!(norms(&clip(all, &before, 5.0)), before);
    }
}
