//! What a network says after each of its time steps, so that its answer can be taken before the last one.
//!
//! After t steps the answer is the class with the largest mean of the readout over them. How certain it is depends on what the readout
//! is ([`Certainty`]).

use crate::net::{LayerSpec, Net, Readout};
use serde::{Deserialize, Serialize};

/// The certainties at which an early exit is told.
pub const CERTAINTIES: [f64; 7] = [0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999];

/// How certain an answer is that the mean of the readout gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// The class's softmax: of potentials, which are as large as training makes them.
    Softmax,
    /// The class's share of the votes that so many voters of each class gave up to then, with one more for every class: the few of the
    /// first steps make no certainty (Laplace's rule of succession). A softmax of rates from 0 to 1 would never come near 1.
    Votes(usize),
}

impl Certainty {
    /// That of `net`, which is run without neurons or with them.
    pub fn of(net: &Net, ann: bool) -> Self {
        match net.plan().spec.layers.last() {
            Some(LayerSpec::Readout { kind: Readout::Vote, voters }) if !ann => Self::Votes(*voters),
            _ => Self::Softmax,
        }
    }

    /// Of the class `answer`, whose sum of the readout over `steps` steps is the largest.
    fn in_answer(self, sums: &[f32], steps: usize, answer: usize) -> f32 {
        match self {
            Self::Softmax => {
                let exponential = |sum: &f32| ((sum - sums[answer]) / steps as f32).exp();
                1.0 / sums.iter().map(exponential).sum::<f32>()
            }
            Self::Votes(voters) => {
                let votes = |sum: f32| voters as f32 * sum + 1.0;
                votes(sums[answer]) / sums.iter().map(|sum| votes(*sum)).sum::<f32>()
            }
        }
    }
}

/// The answers about one sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// The class after each step; of equal ones the first.
    pub answers: Vec<usize>,
    /// How certain it is, above 0 and at most 1.
    pub certainties: Vec<f32>,
    /// The mean of the readout over all steps, one value per class.
    pub output: Vec<f32>,
}

impl Course {
    /// Of sample `sample` in a readout `[T, B, classes]`, whose answers are so certain.
    ///
    /// # Panics
    /// If there is no such sample, or no time step.
    pub fn of(readout: &[f32], [batch, classes]: [usize; 2], sample: usize, certainty: Certainty) -> Self {
        assert!(sample < batch && readout.len() >= batch * classes, "sample {sample} of {batch}");
        let (mut sum, mut output) = (vec![0.0_f32; classes], vec![0.0; classes]);
        let (mut answers, mut certainties) = (Vec::new(), Vec::new());
        for (t, step) in readout.chunks_exact(batch * classes).enumerate() {
            let step = &step[sample * classes..][..classes];
            sum.iter_mut().zip(step).for_each(|(sum, value)| *sum += value);
            output.iter_mut().zip(&sum).for_each(|(mean, sum)| *mean = sum / (t + 1) as f32);
            let answer = first_largest(&sum);
            answers.push(answer);
            certainties.push(certainty.in_answer(&sum, t + 1, answer));
        }
        Self { answers, certainties, output }
    }

    /// The answer after all steps.
    pub fn class(&self) -> usize {
        *self.answers.last().expect("at least one time step")
    }

    /// The first step, from 1, from which on the answer stayed the same.
    pub fn settled_after(&self) -> usize {
        let class = self.class();
        self.answers.iter().rposition(|&answer| answer != class).map_or(1, |last_other| last_other + 2)
    }

    /// The first step, from 1, at which the answer is at least as certain as this; the last one if none is.
    pub fn certain_after(&self, certainty: f64) -> usize {
        let first = self.certainties.iter().position(|&found| f64::from(found) >= certainty);
        first.map_or(self.answers.len(), |step| step + 1)
    }
}

/// Where the largest value is; of equal ones the first.
pub(crate) fn first_largest(values: &[f32]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// How often answers are right that are taken early.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Anytime {
    /// Fraction of the samples whose class is right after 1, 2, … T steps.
    pub accuracy: Vec<f64>,
    /// Mean certainty after as many.
    pub certainty: Vec<f64>,
    /// What comes of stopping early, for each of [`CERTAINTIES`].
    pub exits: Vec<Exit>,
}

/// What comes of stopping at the first step whose answer is certain enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// How certain that is.
    pub certainty: f64,
    /// Fraction of the samples whose class is right then.
    pub accuracy: f64,
    /// Steps that are taken, in the mean over the samples.
    pub mean_steps: f64,
}

impl Anytime {
    /// Over these samples, each with its class. All have as many steps.
    pub fn over<'a>(samples: impl IntoIterator<Item = (&'a Course, usize)>) -> Self {
        let exit = |certainty| Exit { certainty, accuracy: 0.0, mean_steps: 0.0 };
        let mut total = Self { exits: CERTAINTIES.map(exit).into(), ..Self::default() };
        let mut count = 0.0_f64;
        for (course, label) in samples {
            total.accuracy.resize(course.answers.len(), 0.0);
            total.certainty.resize(course.answers.len(), 0.0);
            let right = |step: usize| f64::from(u8::from(course.answers[step] == label));
            for (step, certainty) in course.certainties.iter().enumerate() {
                total.accuracy[step] += right(step);
                total.certainty[step] += f64::from(*certainty);
            }
            for exit in &mut total.exits {
                let steps = course.certain_after(exit.certainty);
                exit.accuracy += right(steps - 1);
                exit.mean_steps += steps as f64;
            }
            count += 1.0;
        }
        let exits = total.exits.iter_mut().flat_map(|exit| [&mut exit.accuracy, &mut exit.mean_steps]);
        total
            .accuracy
            .iter_mut()
            .chain(&mut total.certainty)
            .chain(exits)
            .for_each(|sum| *sum /= count.max(1.0));
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A readout of two samples and two classes over three steps.
    const READOUT: [f32; 12] = [
        0.0, 1.0, 5.0, 0.0, // step 1: sample 0, sample 1
        3.0, 1.0, 5.0, 0.0, // step 2
        0.0, 0.5, 5.0, 0.0,
    ];

    #[test]
    fn answers_follow_the_running_mean() {
        let course = Course::of(&READOUT, [2, 2], 0, Certainty::Softmax);
        // The sums are 0 and 1, 3 and 2, 3 and 2.5.
        assert_eq!((&course.answers[..], course.class(), course.settled_after()), (&[1, 0, 0][..], 0, 2));
        assert_eq!(course.output, [1.0, 2.5 / 3.0]);
        let certainty = |difference: f64| 1.0 / (1.0 + (-difference).exp());
        for (found, difference) in course.certainties.iter().zip([1.0, 0.5, 0.5 / 3.0]) {
            assert!((f64::from(*found) - certainty(difference)).abs() <= 1e-6);
        }
        // 0.73, then less: at 0.7 the wrong answer of the first step is taken, at 0.8 the last one.
        assert_eq!([0.5, 0.7, 0.8].map(|least| course.certain_after(least)), [1, 1, 3]);
        let one = Course::of(&[2.0, 2.0], [1, 2], 0, Certainty::Softmax);
        assert_eq!((one.class(), one.settled_after()), (0, 1));
    }

    #[test]
    fn votes_are_certain_once_they_are_many() {
        // Four voters each: none, then three and one, then four and none.
        let course = Course::of(&[0.0, 0.0, 0.75, 0.25, 1.0, 0.0], [1, 2], 0, Certainty::Votes(4));
        assert_eq!((course.certainties, course.answers), (vec![0.5, 4.0 / 6.0, 0.8], vec![0, 0, 0]));
    }

    #[test]
    fn accuracies_are_means_over_samples() {
        let courses = [0, 1].map(|sample| Course::of(&READOUT, [2, 2], sample, Certainty::Softmax));
        let found = Anytime::over(courses.iter().zip([0, 0]));
        assert_eq!(found.accuracy, [0.5, 1.0, 1.0]);
        assert!((found.certainty[0] - 0.862).abs() <= 1e-3, "{found:?}");
        let at = |certainty: f64| found.exits.iter().find(|exit| exit.certainty == certainty).unwrap();
        assert_eq!((at(0.7).accuracy, at(0.7).mean_steps), (0.5, 1.0));
        assert_eq!((at(0.99).accuracy, at(0.99).mean_steps), (1.0, 2.0));
        assert_eq!(Anytime::over([]).accuracy, [0.0; 0]);
    }
}
