//! The leaky integrate-and-fire neuron with hard reset, and the gradients of three training methods.
//!
//! One neuron, one time step, with current `I`, membrane potential `m` before reset and `v` after it, `v[-1] = 0`:
//!
//! ```text
//! m[t] = λ·v[t-1] + I[t]                         integrate
//! s[t] = 1 if m[t] ≥ th else 0                   fire (stbp: m[t] > th)
//! v[t] = 0 if s[t] = 1 else m[t]                 reset
//! ```
//!
//! With `g[t]` the error that arrives at spike `s[t]` and `e[t]` the error of the potential `m[t]`, which is also
//! that of the current `I[t]`, `e[T] = 0`:
//!
//! ```text
//! stbp    e[t] = h·g[t] + λ·e[t+1]·(1 − s[t] − m[t]·h)      h = 1 if |m[t] − th| < 1/2 else 0
//! bpsa    e[t] = g[t] / m[t]                 if s[t] = 1    λ·e[t+1]  if silent
//! bpsta   e[t] = (g[t] + λ·α·e[t+1]) / m[t]  if s[t] = 1    λ·e[t+1]  if silent
//! ```
//!
//! `stbp` is the baseline with a rectangular surrogate; `bpsa` (spatial adjustment) and `bpsta` (spatial and
//! temporal) are from G. Shen, D. Zhao, Y. Zeng, "Backpropagation with biologically plausible spatiotemporal
//! adjustment for training deep spiking neural networks", Patterns 3(6), 2022. `th` is [`Lif::threshold`], `λ`
//! [`Lif::decay`], `α` [`Lif::alpha`]; all are without unit.

use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;

use crate::disjoint::Disjoint;
use crate::isa::{Isa, multiversion};

/// How many neurons one task takes through all time steps: their state stays in the first-level cache.
const NEURONS: usize = 1024;

/// How the error passes a spike; the equations are in the [module's documentation](self).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// Spatio-temporal backpropagation with a rectangular surrogate of width 1: the baseline.
    Stbp,
    /// Biologically plausible spatial adjustment: no error passes back over a spike in time.
    Bpsa,
    /// Spatial and temporal adjustment: the error passes back over a spike with weight `α`.
    #[default]
    Bpsta,
}

impl Method {
    /// Every method.
    pub const ALL: [Method; 3] = [Method::Stbp, Method::Bpsa, Method::Bpsta];

    /// The name, as [`FromStr`] reads it.
    pub fn name(self) -> &'static str {
        match self {
            Method::Stbp => "stbp",
            Method::Bpsa => "bpsa",
            Method::Bpsta => "bpsta",
        }
    }

    /// Whether a neuron passes the error of a spike on that it did not fire. Where not, nobody needs that error.
    pub fn hears_silence(self) -> bool {
        self == Method::Stbp
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Self, UnknownMethod> {
        Method::ALL
            .into_iter()
            .find(|method| method.name() == name)
            .ok_or_else(|| UnknownMethod { name: name.to_owned() })
    }
}

/// No [`Method`] has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownMethod {
    name: String,
}

impl fmt::Display for UnknownMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Method::ALL.map(Method::name).join(", ");
        write!(f, "there is no training method called {:?}; expected one of {names}", self.name)
    }
}

impl std::error::Error for UnknownMethod {}

/// The parameters of a layer of leaky integrate-and-fire neurons.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lif {
    /// How the error passes a spike.
    pub method: Method,
    /// The potential `th` at which the neuron fires.
    pub threshold: f32,
    /// The part `λ` of the potential that is left at the next step.
    pub decay: f32,
    /// The weight `α` of the error that passes back over a spike; only `bpsta` uses it.
    pub alpha: f32,
}

impl Default for Lif {
    fn default() -> Self {
        Lif { method: Method::Bpsta, threshold: 0.5, decay: 0.9, alpha: 0.2 }
    }
}

impl Lif {
    /// Checks that the threshold is positive, the decay in `0..=1` and `α` not negative, all of them finite.
    ///
    /// # Errors
    /// Names the first parameter that is not.
    pub fn validate(&self) -> Result<(), LifError> {
        let check = |ok: bool, parameter, value, expected| {
            if ok { Ok(()) } else { Err(LifError { parameter, value, expected }) }
        };
        let Lif { threshold, decay, alpha, .. } = *self;
        check(threshold.is_finite() && threshold > 0.0, "threshold", threshold, "a finite number above 0")?;
        check((0.0..=1.0).contains(&decay), "decay", decay, "a number from 0 to 1")?;
        check(alpha.is_finite() && alpha >= 0.0, "alpha", alpha, "a finite number of at least 0")
    }

    /// The least potential at which the neuron fires: for floating-point numbers `m > th` is `m ≥ next(th)`.
    pub(crate) fn least_firing(&self) -> f32 {
        match self.method {
            Method::Stbp => self.threshold.next_up(),
            Method::Bpsa | Method::Bpsta => self.threshold,
        }
    }
}

/// A parameter of [`Lif`] is out of its range.
#[derive(Clone, Debug, PartialEq)]
pub struct LifError {
    parameter: &'static str,
    value: f32,
    expected: &'static str,
}

impl fmt::Display for LifError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the neuron's {} is {}; expected {}", self.parameter, self.value, self.expected)
    }
}

impl std::error::Error for LifError {}

/// Takes a layer of neurons through all time steps.
///
/// ```text
/// current  [steps, n], or [n] for a current that is the same at every step
/// spikes   [steps, n]  written: exactly 0 or 1
/// membrane [steps, n]  written: the potential before reset, which `lif_backward` needs
/// ```
///
/// # Panics
/// Where lengths do not fit.
pub fn lif(isa: Isa, lif: &Lif, steps: usize, current: &[f32], spikes: &mut [f32], membrane: &mut [f32]) {
    let n = neurons(steps, membrane.len());
    assert_eq!(spikes.len(), membrane.len(), "lif: the lengths of spikes and membrane differ");
    let still = is_static("current", current.len(), steps, n);
    let (least, decay) = (lif.least_firing(), lif.decay);
    let (spikes, membrane) = (Disjoint::new(spikes), Disjoint::new(membrane));
    (0..n.div_ceil(NEURONS)).into_par_iter().for_each(|task| {
        let start = task * NEURONS;
        let len = NEURONS.min(n - start);
        let mut state = [0.0; NEURONS];
        for t in 0..steps {
            let from = t * n + start;
            let input = if still { start } else { from };
            // SAFETY: tasks differ in `start` by whole multiples of `NEURONS`, so no two parts overlap.
            let (s, m) = unsafe { (spikes.part(from, len), membrane.part(from, len)) };
            forward_step(isa, decay, least, &current[input..input + len], &mut state[..len], s, m);
        }
    });
}

multiversion! {
    fn forward_step(decay: f32, least: f32, current: &[f32], v: &mut [f32], spikes: &mut [f32], membrane: &mut [f32]) {
        let n = v.len();
        let (current, spikes, membrane) = (&current[..n], &mut spikes[..n], &mut membrane[..n]);
        for i in 0..n {
            let m = decay * v[i] + current[i];
            let fired = m >= least;
            membrane[i] = m;
            spikes[i] = if fired { 1.0 } else { 0.0 };
            v[i] = if fired { 0.0 } else { m };
        }
    }
}

/// The error of the current, from that of the spikes.
///
/// ```text
/// membrane     [steps, n]  from `lif`
/// grad_spikes  [steps, n]
/// grad_current [steps, n]  written; or [n]: the sum over the steps, for a current that is the same at every step
/// ```
///
/// # Panics
/// Where lengths do not fit.
pub fn lif_backward(
    isa: Isa,
    lif: &Lif,
    steps: usize,
    membrane: &[f32],
    grad_spikes: &[f32],
    grad_current: &mut [f32],
) {
    let n = neurons(steps, membrane.len());
    assert_eq!(
        grad_spikes.len(),
        membrane.len(),
        "lif_backward: the lengths of grad_spikes and membrane differ"
    );
    let still = is_static("grad_current", grad_current.len(), steps, n);
    let grad_current = Disjoint::new(grad_current);
    (0..n.div_ceil(NEURONS)).into_par_iter().for_each(|task| {
        let start = task * NEURONS;
        let len = NEURONS.min(n - start);
        let mut error = [0.0; NEURONS];
        let error = &mut error[..len];
        let mut sum = [0.0; NEURONS];
        for t in (0..steps).rev() {
            let from = t * n + start;
            let (m, g) = (&membrane[from..from + len], &grad_spikes[from..from + len]);
            error_step(isa, lif, m, g, error);
            if still {
                sum.iter_mut().zip(&*error).for_each(|(sum, e)| *sum += e);
            } else {
                // SAFETY: tasks differ in `start` by whole multiples of `NEURONS`, so no two parts overlap.
                unsafe { grad_current.part(from, len) }.copy_from_slice(error);
            }
        }
        if still {
            // SAFETY: as above.
            unsafe { grad_current.part(start, len) }.copy_from_slice(&sum[..len]);
        }
    });
}

/// A time step back: `error` is `e[t+1]` on entry and `e[t]` on return.
pub(crate) fn error_step(isa: Isa, lif: &Lif, membrane: &[f32], grad_spikes: &[f32], error: &mut [f32]) {
    let (threshold, decay) = (lif.threshold, lif.decay);
    match lif.method {
        Method::Stbp => stbp_step(isa, threshold, decay, membrane, grad_spikes, error),
        Method::Bpsa => bpsta_step(isa, threshold, decay, 0.0, membrane, grad_spikes, error),
        Method::Bpsta => bpsta_step(isa, threshold, decay, decay * lif.alpha, membrane, grad_spikes, error),
    }
}

multiversion! {
    fn stbp_step(threshold: f32, decay: f32, membrane: &[f32], grad_spikes: &[f32], error: &mut [f32]) {
        let n = error.len();
        let (membrane, grad_spikes) = (&membrane[..n], &grad_spikes[..n]);
        for i in 0..n {
            let m = membrane[i];
            let h = if (m - threshold).abs() < 0.5 { 1.0 } else { 0.0 };
            let silent = if m > threshold { 0.0 } else { 1.0 };
            error[i] = h * grad_spikes[i] + decay * error[i] * (silent - m * h);
        }
    }
}

multiversion! {
    /// `across` is the weight of the error over a spike, `λ·α`.
    fn bpsta_step(
        threshold: f32,
        decay: f32,
        across: f32,
        membrane: &[f32],
        grad_spikes: &[f32],
        error: &mut [f32],
    ) {
        let n = error.len();
        let (membrane, grad_spikes) = (&membrane[..n], &grad_spikes[..n]);
        for i in 0..n {
            let (m, e) = (membrane[i], error[i]);
            // Both sides are computed, so that the loop vectorises; a silent neuron's quotient is thrown away.
            let fired = (grad_spikes[i] + across * e) / m;
            error[i] = if m >= threshold { fired } else { decay * e };
        }
    }
}

/// The number of neurons in a slice of `[steps, n]`.
fn neurons(steps: usize, len: usize) -> usize {
    assert!(steps > 0, "a neuron needs at least one time step");
    assert!(len.is_multiple_of(steps), "the membrane's length {len} is not a multiple of the {steps} steps");
    len / steps
}

/// Whether a slice is `[n]` (the same for all steps) and not `[steps, n]`.
fn is_static(name: &str, len: usize, steps: usize, n: usize) -> bool {
    assert!(
        len == n || len == steps * n,
        "the length of {name} is {len}; expected {n} neurons, or {steps} steps of them"
    );
    len == n && steps > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for method in Method::ALL {
            assert_eq!(method.to_string().parse(), Ok(method));
        }
        assert_eq!(
            "bptt".parse::<Method>().unwrap_err().to_string(),
            "there is no training method called \"bptt\"; expected one of stbp, bpsa, bpsta"
        );
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        assert_eq!(Lif::default().validate(), Ok(()));
        let message = |lif: Lif| lif.validate().unwrap_err().to_string();
        for threshold in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(message(Lif { threshold, ..Lif::default() }).contains("threshold"));
        }
        for decay in [-0.1, 1.1, f32::NAN] {
            assert!(message(Lif { decay, ..Lif::default() }).contains("decay"));
        }
        for alpha in [-0.1, f32::NAN, f32::INFINITY] {
            assert!(message(Lif { alpha, ..Lif::default() }).contains("alpha"));
        }
    }
}
