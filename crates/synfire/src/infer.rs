//! What a network says of one sample.

use crate::net::{Net, NonFinite, Pass};
use crate::train::{EVALUATION, TrainConfig};
use serde::Serialize;
use synfire_data::random;

/// The answer for one sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The class with the largest output.
    #[serde(rename = "class_index")]
    pub class: usize,
    /// Softmax of the time-mean of the readout, for its class.
    pub certainty: f32,
    /// The first time step (from 1) from which on the class of the running mean stayed the same.
    pub settled_after: usize,
    /// The time-mean of the readout, one value per class.
    pub output: Vec<f32>,
}

/// Runs one sample: `values` of a still image `[C, H, W]` or of frames `[T, C, H, W]`. `sample` is its index in its
/// data set, from which rate coding draws.
///
/// # Errors
/// If a value, a weight or what the network computes from them is NaN or infinite.
///
/// # Panics
/// If the number of values is neither the image's nor the frames'.
pub fn answer(
    net: &mut Net,
    config: &TrainConfig,
    values: &[f32],
    sample: usize,
) -> Result<Answer, NonFinite> {
    net.check()?;
    let [c, h, w] = net.plan().input;
    let shape =
        if values.len() == c * h * w { vec![1, c, h, w] } else { vec![1, config.time_steps, c, h, w] };
    let (purpose, epoch) = EVALUATION;
    let rng = |_| random::stream(purpose, config.seed, epoch, sample as u64);
    let input = config.encoding.input(values, &shape, config.time_steps, rng, net.device());
    input.check().map_err(|found| found.among(&[sample]))?;
    let mut pass = Pass::inference();
    let readout = net.forward(input, &mut pass);
    pass.check()?;
    let [steps, _, classes] = readout.dims();
    let readout = readout.into_data().try_into_vec::<f32>().expect("f32 readout");
    Ok(from_readout(&readout, steps, classes))
}

fn from_readout(readout: &[f32], steps: usize, classes: usize) -> Answer {
    let mut sum = vec![0.0f32; classes];
    let mut answers = Vec::with_capacity(steps);
    for step in readout.chunks(classes) {
        sum.iter_mut().zip(step).for_each(|(s, v)| *s += v);
        answers.push((1..classes).fold(0, |best, i| if sum[i] > sum[best] { i } else { best }));
    }
    let class = *answers.last().expect("at least one time step");
    let settled_after = answers.iter().rposition(|&a| a != class).map_or(1, |last_other| last_other + 2);
    let output: Vec<f32> = sum.iter().map(|s| s / steps as f32).collect();
    let certainty = 1.0 / output.iter().map(|v| (v - output[class]).exp()).sum::<f32>();
    Answer { class, certainty, settled_after, output }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_settles_where_the_running_mean_stops_changing() {
        // the running mean favours 1, then 0, then 0
        let answer = from_readout(&[0.0, 1.0, 3.0, 1.0, 0.0, 0.5], 3, 2);
        assert_eq!((answer.class, answer.settled_after), (0, 2));
        assert!((answer.output[0] - 1.0).abs() <= 1e-6);
        assert!((answer.certainty - 1.0 / (1.0 + (2.5f32 / 3.0 - 1.0).exp())).abs() <= 1e-6);
        assert_eq!(from_readout(&[1.0, 0.0], 1, 2).settled_after, 1);
    }
}
