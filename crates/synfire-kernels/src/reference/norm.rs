//! Batch norm.

use crate::norm::NormShape;

/// See [`crate::norm::batch_norm`].
#[expect(clippy::too_many_arguments, reason = "the arguments of the kernel")]
pub fn batch_norm(
    shape: &NormShape,
    x: &[f64],
    gamma: &[f64],
    beta: &[f64],
    eps: f64,
    relu: bool,
    mean: &mut [f64],
    var: &mut [f64],
    y: &mut [f64],
) {
    let NormShape { steps, rows, channels } = *shape;
    for step in 0..steps {
        let values = step * rows * channels..(step + 1) * rows * channels;
        let statistics = step * channels..(step + 1) * channels;
        for c in 0..channels {
            let column = || x[values.clone()].iter().skip(c).step_by(channels);
            let m = column().sum::<f64>() / rows as f64;
            mean[step * channels + c] = m;
            var[step * channels + c] = column().map(|x| (x - m) * (x - m)).sum::<f64>() / rows as f64;
        }
        let (mean, var) = (&mean[statistics.clone()], &var[statistics]);
        for i in values {
            let c = i % channels;
            let value = (x[i] - mean[c]) / (var[c] + eps).sqrt() * gamma[c] + beta[c];
            y[i] = if relu && value < 0.0 { 0.0 } else { value };
        }
    }
}

/// See [`crate::norm::batch_norm_backward`].
#[expect(clippy::too_many_arguments, reason = "the arguments of the kernel")]
pub fn batch_norm_backward(
    shape: &NormShape,
    x: &[f64],
    mean: &[f64],
    var: &[f64],
    gamma: &[f64],
    beta: &[f64],
    eps: f64,
    relu: bool,
    grad_y: &[f64],
    grad_x: &mut [f64],
    grad_gamma: &mut [f64],
    grad_beta: &mut [f64],
) {
    let NormShape { steps, rows, channels } = *shape;
    grad_gamma.fill(0.0);
    grad_beta.fill(0.0);
    for step in 0..steps {
        for c in 0..channels {
            let (mean, var) = (mean[step * channels + c], var[step * channels + c]);
            let rstd = 1.0 / (var + eps).sqrt();
            let at = |row: usize| (step * rows + row) * channels + c;
            let hat = |row: usize| (x[at(row)] - mean) * rstd;
            let g = |row: usize| {
                if relu && hat(row) * gamma[c] + beta[c] <= 0.0 { 0.0 } else { grad_y[at(row)] }
            };
            let sum = (0..rows).map(g).sum::<f64>();
            let product = (0..rows).map(|row| g(row) * hat(row)).sum::<f64>();
            for row in 0..rows {
                let centred = g(row) - sum / rows as f64 - hat(row) * product / rows as f64;
                grad_x[at(row)] = gamma[c] * rstd * centred;
            }
            grad_gamma[c] += product;
            grad_beta[c] += sum;
        }
    }
}
