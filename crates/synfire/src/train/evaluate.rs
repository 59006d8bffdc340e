//! Accuracy of a network on a part of a data set.

use super::config::TrainConfig;
use super::error::TrainError;
use crate::anytime::{Anytime, Certainty, Course};
use crate::encode::Encoding;
use crate::net::{Input, Net, NonFinite, Pass, Record};
use crate::parallel::{Group, Lost};
use burn::tensor::{Device, Tensor};
use serde::Serialize;
use std::collections::BTreeMap;
use synfire_data::{Batch, Loader, random};

/// Stream and epoch of the encoding's random numbers outside of training: always the same.
pub(crate) const EVALUATION: (&str, u64) = ("eval encoding", 0);

/// What a network got right.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Evaluation {
    /// Samples.
    pub samples: usize,
    /// Mean loss.
    pub loss: f64,
    /// Fraction of the samples whose class was right.
    pub accuracy: f64,
    /// `confusion[label][answer]`: samples.
    pub confusion: Vec<Vec<usize>>,
    /// Mean spikes per neuron and step of each neuron layer, by its module: `layers.3`.
    pub firing_rates: BTreeMap<String, f64>,
    /// What answers are worth that are taken before the last time step.
    pub anytime: Anytime,
}

impl Evaluation {
    /// That of the samples of all ranks, where this is of those of one.
    ///
    /// # Errors
    /// If a rank is lost.
    pub(crate) fn of_all(mut self, group: &dyn Group, time_steps: usize) -> Result<Self, Lost> {
        // A rank without a sample knows of no steps.
        let Anytime { accuracy, certainty, .. } = &mut self.anytime;
        [accuracy, certainty].into_iter().for_each(|values| values.resize(time_steps, 0.0));
        let own = self.samples as f64;
        // Counts are whole numbers, of which no digit is lost.
        let count = |share: f64| (share * own).round();
        let anytime = &self.anytime;
        let mut sums = vec![own, self.loss * own, count(self.accuracy)];
        sums.extend(self.confusion.iter().flatten().map(|&n| n as f64));
        sums.extend(self.firing_rates.values().map(|rate| rate * own));
        sums.extend(anytime.accuracy.iter().map(|share| count(*share)));
        sums.extend(anytime.certainty.iter().map(|mean| mean * own));
        sums.extend(anytime.exits.iter().flat_map(|exit| [count(exit.accuracy), count(exit.mean_steps)]));
        group.sum(&mut sums)?;
        let mut sums = sums.into_iter();
        let mut next = || sums.next().expect("as many as were given");
        let samples = next();
        let n = samples.max(1.0);
        self.samples = samples as usize;
        (self.loss, self.accuracy) = (next() / n, next() / n);
        self.confusion.iter_mut().flatten().for_each(|count| *count = next() as usize);
        let Anytime { accuracy, certainty, exits } = &mut self.anytime;
        let exits = exits.iter_mut().flat_map(|exit| [&mut exit.accuracy, &mut exit.mean_steps]);
        let means = self.firing_rates.values_mut().chain(accuracy).chain(certainty).chain(exits);
        means.for_each(|mean| *mean = next() / n);
        Ok(self)
    }

    /// Fraction right and number of samples of each class.
    pub fn per_class(&self) -> Vec<(f64, usize)> {
        let class = |(label, row): (usize, &Vec<usize>)| {
            let samples: usize = row.iter().sum();
            (row[label] as f64 / samples.max(1) as f64, samples)
        };
        self.confusion.iter().enumerate().map(class).collect()
    }
}

/// The network's input from a batch. Each sample's random numbers are its own, from the stream `purpose` of its
/// index in the data set: they depend neither on the batch it is in nor on its place there.
pub(crate) fn input(
    batch: &Batch,
    config: &TrainConfig,
    ann: bool,
    (purpose, epoch): (&'static str, u64),
    device: &Device,
) -> Input {
    let (encoding, steps) = if ann { (Encoding::Direct, 1) } else { (config.encoding, config.time_steps) };
    let rng = |i: usize| random::stream(purpose, config.seed, epoch, batch.indices[i] as u64);
    encoding.input(&batch.images, &batch.shape, steps, rng, device)
}

/// The rows of `output`, `[B, classes]`.
pub(crate) fn rows(output: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, classes] = output.dims();
    let values = output.inner().into_data().try_into_vec::<f32>().expect("f32 output");
    values.chunks(classes).map(<[f32]>::to_vec).collect()
}

/// Runs the network over all samples of `loader` in inference mode. `keep_going` is asked before each batch; once
/// it says no, there is no result.
///
/// # Errors
/// If a sample cannot be loaded, or a sample, a weight or what the network computes from them is NaN or infinite.
pub fn evaluate(
    net: &mut Net,
    loader: &Loader,
    config: &TrainConfig,
    ann: bool,
    keep_going: &mut dyn FnMut(usize) -> bool,
) -> Result<Option<Evaluation>, TrainError> {
    let classes = net.plan().classes;
    let mut total = Evaluation { confusion: vec![vec![0; classes]; classes], ..Evaluation::default() };
    let mut courses: Vec<(Course, usize)> = Vec::new();
    let certainty = Certainty::of(net, ann);
    let ended =
        each_batch(net, loader, config, ann, Record::Rates, keep_going, &mut |batch, readout, pass| {
            let (n, counted) = (batch.labels.len(), batch.share.counted);
            let loss = config.loss.of(readout.clone(), batch).into_scalar::<f32>();
            if !loss.is_finite() {
                return Err(NonFinite::Loss.into());
            }
            total.loss += counted as f64 * f64::from(loss);
            let readout = readout.inner().into_data().try_into_vec::<f32>().expect("f32 readout");
            for (sample, &label) in batch.labels.iter().enumerate().take(counted) {
                let course = Course::of(&readout, [n, classes], sample, certainty);
                total.confusion[label][course.class()] += 1;
                courses.push((course, label));
            }
            for layer in pass.recorded {
                let rate = counted as f64 * f64::from(layer.rate.into_scalar::<f32>());
                *total.firing_rates.entry(format!("layers.{}", layer.module)).or_default() += rate;
            }
            total.samples += counted;
            Ok(())
        })?;
    if !ended {
        return Ok(None);
    }
    let n = total.samples.max(1) as f64;
    total.loss /= n;
    total.anytime = Anytime::over(courses.iter().map(|(course, label)| (course, *label)));
    total.accuracy = total.anytime.accuracy.last().copied().unwrap_or(0.0);
    total.firing_rates.values_mut().for_each(|rate| *rate /= n);
    Ok(Some(total))
}

/// A sample and what a network says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Its index in the part of the data set.
    pub index: usize,
    /// Its class.
    pub label: usize,
    /// The answer after each time step.
    pub course: Course,
}

/// The answers for all samples of `loader`. `keep_going` is told how many are done, before each batch; once it says no, there is no
/// result.
///
/// # Errors
/// As [`evaluate`].
pub fn judge(
    net: &mut Net,
    loader: &Loader,
    config: &TrainConfig,
    keep_going: &mut dyn FnMut(usize) -> bool,
) -> Result<Option<Vec<Judged>>, TrainError> {
    let mut judged = Vec::new();
    let certainty = Certainty::of(net, config.is_ann());
    let classes = net.plan().classes;
    let mut visit = |batch: &Batch, readout: Tensor<3>, _: Pass<'static>| {
        let readout = readout.inner().into_data().try_into_vec::<f32>().expect("f32 readout");
        for (sample, (&index, &label)) in batch.indices.iter().zip(&batch.labels).enumerate() {
            let course = Course::of(&readout, [batch.labels.len(), classes], sample, certainty);
            judged.push(Judged { index, label, course });
        }
        Ok(())
    };
    let ended = each_batch(net, loader, config, config.is_ann(), Record::Nothing, keep_going, &mut visit)?;
    Ok(ended.then_some(judged))
}

/// What is made of a batch: its samples, their readout `[T, B, classes]` and what the pass noted down.
pub(crate) type Visit<'a> = dyn FnMut(&Batch, Tensor<3>, Pass<'static>) -> Result<(), TrainError> + 'a;

/// Runs the network over all samples of `loader` in inference mode, noting down what `record` says. `keep_going` is told how many
/// are done, before each batch; `false` once it says no.
///
/// # Errors
/// As [`evaluate`], and what `visit` ends with.
pub(crate) fn each_batch(
    net: &mut Net,
    loader: &Loader,
    config: &TrainConfig,
    ann: bool,
    record: Record,
    keep_going: &mut dyn FnMut(usize) -> bool,
    visit: &mut Visit,
) -> Result<bool, TrainError> {
    net.check()?;
    let device = net.device().clone();
    let mut samples = 0;
    for batch in loader.iter(&loader.file_order(), 0) {
        if !keep_going(samples) {
            return Ok(false);
        }
        let batch = batch?;
        let mut pass = Pass::inference().recording(record).as_ann(ann);
        let input = input(&batch, config, ann, EVALUATION, &device);
        input.check().map_err(|found| found.among(&batch.indices))?;
        let readout = net.forward(input, &mut pass);
        pass.check()?;
        samples += batch.labels.len();
        visit(&batch, readout, pass)?;
    }
    Ok(true)
}
