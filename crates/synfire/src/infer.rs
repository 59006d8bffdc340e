//! What a network says of one sample.

use crate::anytime::{Certainty, Course};
use crate::net::{Net, NonFinite, Pass, Record, Recorded};
use crate::train::{EVALUATION, TrainConfig};
use serde::Serialize;
use synfire_data::random;

/// The answer for one sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The class with the largest output.
    #[serde(rename = "class_index")]
    pub class: usize,
    /// How certain it is, above 0 and at most 1: see [`Certainty`].
    pub certainty: f32,
    /// The first time step (from 1) from which on the class of the running mean stayed the same.
    pub settled_after: usize,
    /// The time-mean of the readout, one value per class.
    pub output: Vec<f32>,
}

/// What a network does with one sample, step by step.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// The answer after each step.
    pub course: Course,
    /// What each class got, `[T, classes]`.
    pub readout: Vec<f32>,
    /// The layers of neurons.
    pub layers: Vec<WatchedLayer>,
}

/// The spikes of a layer of neurons.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchedLayer {
    /// `layers.3`, or `layers.9.1` within a residual block.
    pub module: String,
    /// 0 or 1, `[T, neurons]`; the neurons in the order of height, width and channels.
    pub spikes: Vec<f32>,
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
    let Watched { course, .. } = run(net, config, values, sample, Record::Nothing)?;
    Ok(Answer {
        class: course.class(),
        certainty: *course.certainties.last().expect("at least one time step"),
        settled_after: course.settled_after(),
        output: course.output,
    })
}

/// The same with every spike.
///
/// # Errors
/// As [`answer`].
///
/// # Panics
/// As [`answer`].
pub fn watch(
    net: &mut Net,
    config: &TrainConfig,
    values: &[f32],
    sample: usize,
) -> Result<Watched, NonFinite> {
    run(net, config, values, sample, Record::Spikes)
}

/// Runs a batch of values and their shape, `[N, C, H, W]` or `[N, T, C, H, W]`, whose indices in their data set are `samples`: what each
/// class got, `[T, N, classes]`, and what was to be noted down. Weights are taken for sound ([`Net::check`]).
///
/// # Errors
/// If a value or what the network computes from it is NaN or infinite.
///
/// # Panics
/// If the values do not fit their shape, or that the network.
pub fn batch(
    net: &mut Net,
    config: &TrainConfig,
    (values, shape): (&[f32], &[usize]),
    samples: &[usize],
    record: Record,
) -> Result<(Vec<f32>, Vec<Recorded>), NonFinite> {
    let (purpose, epoch) = EVALUATION;
    let rng = |i: usize| random::stream(purpose, config.seed, epoch, samples[i] as u64);
    let input = config.encoding.input(values, shape, config.time_steps, rng, net.device());
    input.check().map_err(|found| found.among(samples))?;
    let mut pass = Pass::inference().recording(record).as_ann(config.is_ann());
    let readout = net.forward(input, &mut pass);
    pass.check()?;
    Ok((readout.into_data().try_into_vec::<f32>().expect("f32 readout"), pass.recorded))
}

fn run(
    net: &mut Net,
    config: &TrainConfig,
    values: &[f32],
    sample: usize,
    record: Record,
) -> Result<Watched, NonFinite> {
    net.check()?;
    let [c, h, w] = net.plan().input;
    let shape =
        if values.len() == c * h * w { vec![1, c, h, w] } else { vec![1, config.time_steps, c, h, w] };
    let (readout, recorded) = batch(net, config, (values, &shape), &[sample], record)?;
    let course = Course::of(&readout, [1, net.plan().classes], 0, Certainty::of(net, config.is_ann()));
    let layers = recorded.into_iter().filter_map(|layer| {
        let spikes = layer.spikes?.into_data().try_into_vec::<f32>().expect("f32 spikes");
        Some(WatchedLayer { module: format!("layers.{}", layer.module), spikes })
    });
    Ok(Watched { course, readout, layers: layers.collect() })
}
