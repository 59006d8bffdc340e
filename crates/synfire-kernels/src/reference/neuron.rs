//! Leaky integrate-and-fire neurons.

use crate::neuron::{Lif, Method};

/// See [`crate::neuron::lif`].
pub fn lif(lif: &Lif, steps: usize, current: &[f64], spikes: &mut [f64], membrane: &mut [f64]) {
    let n = membrane.len() / steps;
    for i in 0..n {
        let mut v = 0.0;
        for t in 0..steps {
            let input = if current.len() == n { current[i] } else { current[t * n + i] };
            let m = f64::from(lif.decay) * v + input;
            membrane[t * n + i] = m;
            spikes[t * n + i] = if fires(lif, m) { 1.0 } else { 0.0 };
            v = if fires(lif, m) { 0.0 } else { m };
        }
    }
}

/// See [`crate::neuron::lif_backward`].
pub fn lif_backward(
    lif: &Lif,
    steps: usize,
    membrane: &[f64],
    grad_spikes: &[f64],
    grad_current: &mut [f64],
) {
    let n = membrane.len() / steps;
    let (threshold, decay, alpha) = (f64::from(lif.threshold), f64::from(lif.decay), f64::from(lif.alpha));
    grad_current.fill(0.0);
    for i in 0..n {
        let mut e = 0.0;
        for t in (0..steps).rev() {
            let (m, g) = (membrane[t * n + i], grad_spikes[t * n + i]);
            let fired = fires(lif, m);
            e = match lif.method {
                Method::Stbp => {
                    let h = if (m - threshold).abs() < 0.5 { 1.0 } else { 0.0 };
                    let s = if fired { 1.0 } else { 0.0 };
                    h * g + decay * e * (1.0 - s - m * h)
                }
                Method::Bpsa if fired => g / m,
                Method::Bpsta if fired => (g + decay * alpha * e) / m,
                Method::Bpsa | Method::Bpsta => decay * e,
            };
            let to = if grad_current.len() == n { i } else { t * n + i };
            grad_current[to] += e;
        }
    }
}

fn fires(lif: &Lif, m: f64) -> bool {
    match lif.method {
        Method::Stbp => m > f64::from(lif.threshold),
        Method::Bpsa | Method::Bpsta => m >= f64::from(lif.threshold),
    }
}
