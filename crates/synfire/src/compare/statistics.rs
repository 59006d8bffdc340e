//! Means over seeds, and differences between runs that share one.

use super::{Axis, Finding, NOT_VARIED, text};
use serde::Serialize;

/// Mean and sample standard deviation of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, of n - 1; 0 of a single one.
    pub deviation: f64,
}

impl Spread {
    /// Of these numbers; none of none.
    pub fn of(numbers: &[f64]) -> Option<Self> {
        let n = numbers.len();
        if n == 0 {
            return None;
        }
        let mean = numbers.iter().sum::<f64>() / n as f64;
        let squares: f64 = numbers.iter().map(|x| (x - mean) * (x - mean)).sum();
        Some(Self { n, mean, deviation: (squares / (n.max(2) - 1) as f64).sqrt() })
    }
}

/// Runs that differ in the seed alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group<'a> {
    /// The value of each axis.
    pub values: Vec<String>,
    /// The runs.
    #[serde(skip)]
    pub runs: Vec<&'a Finding>,
    /// Accuracy on the test set.
    pub test_accuracy: Spread,
    /// Accuracy on the validation samples, of the chosen epoch.
    pub validation_accuracy: Spread,
    /// Spikes per neuron and step.
    pub firing_rate: Spread,
    /// Seconds of training.
    pub train_seconds: Spread,
}

impl<'a> Group<'a> {
    /// Of at least one run.
    fn of(runs: Vec<&'a Finding>) -> Self {
        Self {
            values: runs[0].values.clone(),
            test_accuracy: spread(&runs, |run| run.summary.test_accuracy),
            validation_accuracy: spread(&runs, |run| run.summary.validation_accuracy),
            firing_rate: spread(&runs, |run| run.operations.rate()),
            train_seconds: spread(&runs, |run| run.summary.train_seconds),
            runs,
        }
    }

    /// Of a number of each run.
    pub fn spread(&self, number: impl Fn(&Finding) -> f64) -> Spread {
        spread(&self.runs, number)
    }
}

fn spread(runs: &[&Finding], number: impl Fn(&Finding) -> f64) -> Spread {
    Spread::of(&runs.iter().map(|run| number(run)).collect::<Vec<_>>()).expect("a group has a run")
}

/// The findings of each combination of values, in the order in which they come up.
pub fn groups(findings: &[Finding]) -> Vec<Group<'_>> {
    let mut gathered: Vec<Vec<&Finding>> = Vec::new();
    for finding in findings {
        match gathered.iter_mut().find(|runs| runs[0].values == finding.values) {
            Some(runs) => runs.push(finding),
            None => gathered.push(vec![finding]),
        }
    }
    gathered.into_iter().map(Group::of).collect()
}

/// What a value of an axis does to the test accuracy, all else and the seed being equal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The axis.
    pub key: String,
    /// The value.
    pub value: String,
    /// The axis's first value, which it is compared with.
    pub against: String,
    /// The other axes and their values.
    pub others: Vec<(String, String)>,
    /// Differences of the accuracies, as fractions, over the seeds that both were run with.
    pub difference: Spread,
    /// In how many of them the value was better.
    pub better: usize,
}

/// The differences of every axis's values from its first one. A run that knows nothing of another axis, as one without neurons of time
/// steps, is paired with every value of it.
pub fn differences(axes: &[Axis], findings: &[Finding]) -> Vec<Difference> {
    let mut found = Vec::new();
    let groups = groups(findings);
    for (i, axis) in axes.iter().enumerate() {
        let Some((against, values)) = axis.values.split_first() else { continue };
        let against = text(against);
        for value in values.iter().map(text) {
            for group in groups.iter().filter(|group| group.values[i] == value) {
                let partners = groups.iter().filter(|partner| partner.values[i] == against);
                found.extend(partners.filter_map(|partner| of_pair(axes, i, group, partner)));
            }
        }
    }
    found
}

/// What parts `group` from `partner`, if it is axis `i` alone and there are runs with the same seeds.
fn of_pair(axes: &[Axis], i: usize, group: &Group, partner: &Group) -> Option<Difference> {
    let mut others = Vec::new();
    for (j, (own, other)) in group.values.iter().zip(&partner.values).enumerate().filter(|(j, _)| *j != i) {
        let known = if own == NOT_VARIED { other } else { own };
        if own != other && own != NOT_VARIED && other != NOT_VARIED {
            return None;
        }
        others.push((axes[j].key.clone(), known.clone()));
    }
    let pair = |run: &&Finding| {
        let other = partner.runs.iter().find(|other| other.seed == run.seed)?;
        Some(run.summary.test_accuracy - other.summary.test_accuracy)
    };
    let pairs: Vec<f64> = group.runs.iter().filter_map(pair).collect();
    Some(Difference {
        key: axes[i].key.clone(),
        value: group.values[i].clone(),
        against: partner.values[i].clone(),
        others,
        difference: Spread::of(&pairs)?,
        better: pairs.iter().filter(|&&pair| pair > 0.0).count(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anytime::Anytime;
    use crate::energy::Operations;
    use crate::train::Summary;

    fn finding(values: [&str; 2], seed: u64, test_accuracy: f64) -> Finding {
        let operations =
            Operations { samples: 1, time_steps: 4, dense_step: 1.0, layers: vec![], neurons: vec![] };
        let summary = Summary {
            dataset: String::new(),
            net: String::new(),
            method: values[0].into(),
            time_steps: 4,
            seed,
            parameters: 1,
            train_samples: 1,
            validation_samples: 1,
            test_samples: 1,
            split: String::new(),
            epochs: 1,
            best_epoch: 1,
            validation_accuracy: 0.5,
            test_accuracy,
            test_loss: 0.0,
            test_firing_rates: [].into(),
            test_confusion: vec![],
            test_anytime: Anytime::default(),
            train_seconds: 1.0,
            version: String::new(),
        };
        let values = values.map(str::to_string).into();
        Finding { values, seed, name: String::new(), summary, operations, inference: vec![] }
    }

    #[test]
    fn spreads_by_hand() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[0.3]), Some(Spread { n: 1, mean: 0.3, deviation: 0.0 }));
        let found = Spread::of(&[1.0, 2.0, 6.0]).unwrap();
        assert!(
            (found.mean - 3.0).abs() <= 1e-12 && (found.deviation - 7f64.sqrt()).abs() <= 1e-12,
            "{found:?}"
        );
    }

    #[test]
    fn runs_are_compared_seed_by_seed() {
        let axis = |key: &str, values: [&str; 2]| Axis {
            key: key.into(),
            values: values.map(toml::Value::from).into(),
        };
        let axes = [axis("method", ["stbp", "bpsta"]), axis("net", ["a", "b"])];
        let findings = [
            finding(["stbp", "a"], 0, 0.5),
            finding(["bpsta", "a"], 0, 0.75),
            finding(["stbp", "a"], 1, 0.25),
            finding(["bpsta", "a"], 1, 0.25),
            // Of this one there is no partner.
            finding(["bpsta", "a"], 2, 0.0),
            finding(["stbp", "b"], 0, 1.0),
        ];
        let groups = groups(&findings);
        let counts: Vec<usize> = groups.iter().map(|group| group.test_accuracy.n).collect();
        assert_eq!(counts, [2, 3, 1]);
        let found = differences(&axes, &findings);
        assert_eq!(found.len(), 2);
        let method = &found[0];
        assert_eq!((&*method.value, &*method.against, &method.others[0].1[..]), ("bpsta", "stbp", "a"));
        assert_eq!((method.difference.n, method.difference.mean, method.better), (2, 0.125, 1));
        assert_eq!((&*found[1].value, found[1].difference.mean), ("b", 0.5));
    }

    #[test]
    fn what_knows_nothing_of_an_axis_is_compared_with_all_of_it() {
        let axis = |key: &str, values: &[&str]| Axis {
            key: key.into(),
            values: values.iter().map(|value| toml::Value::from(*value)).collect(),
        };
        let axes = [axis("method", &["stbp", "ann"]), axis("time-steps", &["2", "4"])];
        let steps = |method, steps, accuracy| finding([method, steps], 0, accuracy);
        let findings = [steps("stbp", "2", 0.5), steps("stbp", "4", 0.75), steps("ann", NOT_VARIED, 1.0)];
        let found = differences(&axes, &findings);
        let told: Vec<(&str, &str, f64)> =
            found.iter().map(|d| (&*d.value, &*d.others[0].1, d.difference.mean)).collect();
        assert_eq!(told, [("ann", "2", 0.5), ("ann", "4", 0.25), ("4", "stbp", 0.25)]);
    }
}
