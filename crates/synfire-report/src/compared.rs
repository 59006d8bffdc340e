//! The page of a comparison.

use crate::Report;
use crate::chart::{Axis, Chart, Figure, Point, Row, Series};
use crate::page;
use crate::text::{self, duration, percent, spread};
use maud::{Markup, html};
use std::collections::BTreeMap;
use synfire::compare::{Comparison, Difference, Finding, Group, RunResult, Spread, differences, groups};
use synfire::energy::{FP32, Operations};
use synfire::train::EpochRecord;

/// What is known of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// What it is called: the name of its folder.
    pub name: String,
    /// What is compared.
    pub comparison: Comparison,
    /// How many runs there are in all.
    pub runs: usize,
    /// What came of those that ended.
    pub results: Vec<RunResult>,
    /// The epochs of the finished runs, by the name of the run.
    pub records: BTreeMap<String, Vec<EpochRecord>>,
    /// What the reader should know, such as that data are simulated.
    pub notes: Vec<String>,
}

impl Compared {
    /// The page.
    pub fn report(&self) -> Report {
        let findings: Vec<Finding> = self.results.iter().filter_map(RunResult::finding).cloned().collect();
        let groups = groups(&findings);
        let axes = &self.comparison.vary;
        let accuracy = [vec![self.accuracies(&groups)], self.over_axes(&groups)].concat();
        let time = self.over_time(&groups);
        let learning = self.learning(&groups);
        let energy = self.energy(&groups);
        let differences = differences(axes, &findings);
        let dataset =
            self.comparison.settings.get("dataset").and_then(toml::Value::as_str).unwrap_or("digits");
        let keys = axes.iter().map(|axis| axis.key.as_str()).collect::<Vec<_>>().join(", ");
        let title = match axes.iter().any(|axis| axis.key == "dataset") {
            true => format!("{keys} compared"),
            false => format!("{dataset}: {keys} compared"),
        };
        let done =
            format!("{} of {} runs, {} seeds", self.results.len(), self.runs, self.comparison.seeds.len());
        let diverged: Vec<String> = self
            .results
            .iter()
            .filter_map(|result| match result {
                RunResult::Diverged { values, seed, error } => {
                    Some(format!("{}, seed {seed}, diverged: {error}", values.join(" ")))
                }
                RunResult::Finished(_) => None,
            })
            .collect();
        let body = html! {
            @if !self.notes.is_empty() || !diverged.is_empty() {
                ul.about { @for note in self.notes.iter().chain(&diverged) { li { (note) } } }
            }
            (page::section("accuracy", "Accuracy", "Of the test set, at the epoch that validation chose; mean ± standard deviation over the seeds.",
                &html! { (self.table(&groups)) (page::figures(&accuracy)) }))
            (page::section("differences", "Differences", "Between runs with the same seed, in percentage points: what is common to both, such as the order of samples, does not blur them.", &table_of(&differences)))
            (page::section("time", "Time steps", "", &page::figures(&time)))
            (page::section("learning", "Learning", "", &page::figures(&learning)))
            (page::section("energy", "Energy", "Of arithmetic alone, in a 45 nm process, beside a network of the same shape without time that skips no zeros.", &html! { (page::figures(&energy)) (energy_table(&groups)) }))
            (page::section("runs", "Runs", "", &runs_table(&self.comparison, &findings)))
            (page::section("again", "How to reproduce", "Save this as compare.toml in a folder and run the command there.", &html! {
                pre tabindex="0" { "synfire compare --resume ." }
                details open { summary { "compare.toml" } pre tabindex="0" { (toml::to_string(&self.comparison).unwrap_or_default()) } }
            }))
        };
        let html = page::page(&title, &format!("{} · {done}", self.name), &body, "{}");
        Report { html, figures: [accuracy, time, learning, energy].concat() }
    }

    fn table(&self, groups: &[Group]) -> Markup {
        let keys = self.comparison.vary.iter().map(|axis| axis.key.clone());
        let head = ["test accuracy", "validation", "runs", "firing rate", "training"].map(str::to_string);
        let head: Vec<String> = keys.chain(head).collect();
        let row = |group: &Group| {
            let cells = [
                spread(&group.test_accuracy) + " %",
                spread(&group.validation_accuracy) + " %",
                group.test_accuracy.n.to_string(),
                firing(&group.runs[0].operations, group.firing_rate.mean),
                duration(group.train_seconds.mean),
            ];
            [&group.values[..], &cells].concat()
        };
        page::table("means", &head, &groups.iter().map(row).collect::<Vec<_>>())
    }

    fn accuracies(&self, groups: &[Group]) -> Figure {
        let row = |group: &Group| Row {
            name: group.values.join(" "),
            value: group.test_accuracy.mean,
            spread: group.test_accuracy.deviation,
            single: group.runs.iter().map(|run| run.summary.test_accuracy).collect(),
            kind: groups.iter().position(|other| other.values == group.values).unwrap_or(0),
        };
        Figure {
            name: "accuracies".into(),
            title: "Test accuracy".into(),
            caption: "A point for each seed; the line is one standard deviation about the mean.".into(),
            chart: Chart::Rows {
                axis: Axis::percent("test accuracy, %"),
                rows: groups.iter().map(row).collect(),
                bars: false,
            },
        }
    }

    /// Accuracy against each axis that is a number, a curve for each combination of the others.
    fn over_axes(&self, groups: &[Group]) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (i, axis) in self.comparison.vary.iter().enumerate() {
            let number = |group: &Group| group.values[i].parse::<f64>().ok();
            if axis.values.len() < 2
                || axis.values.iter().any(|value| synfire::compare::text(value).parse::<f64>().is_err())
            {
                continue;
            }
            let mut series: Vec<Series> = Vec::new();
            for group in groups {
                let others = group.values.iter().enumerate().filter(|(other, _)| *other != i);
                let name = others.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ");
                let Some(x) = number(group) else { continue };
                let point = Point { x, y: group.test_accuracy.mean, spread: group.test_accuracy.deviation };
                match series.iter_mut().find(|series| series.name == name) {
                    Some(series) => series.points.push(point),
                    None => series.push(Series { name, points: vec![point] }),
                }
            }
            series.iter_mut().for_each(|series| series.points.sort_by(|a, b| a.x.total_cmp(&b.x)));
            figures.push(Figure {
                name: format!("accuracy-over-{}", axis.key),
                title: format!("Test accuracy against {}", axis.key),
                caption: "Mean and standard deviation over the seeds.".into(),
                chart: Chart::Lines {
                    x: Axis { whole: axis.values.iter().all(toml::Value::is_integer), ..Axis::of(&axis.key) },
                    y: Axis::percent("test accuracy, %"),
                    series,
                },
            });
        }
        figures
    }

    fn over_time(&self, groups: &[Group]) -> Vec<Figure> {
        let spiking = || groups.iter().filter(|group| group.runs[0].summary.time_steps > 1);
        let curve = |group: &Group, of: &dyn Fn(&Finding) -> Vec<(f64, f64)>| {
            let runs: Vec<Vec<(f64, f64)>> = group.runs.iter().map(|run| of(run)).collect();
            let point = |i: usize| {
                let values: Vec<f64> =
                    runs.iter().filter_map(|run| run.get(i)).map(|point| point.1).collect();
                let spread = Spread::of(&values)?;
                let x = Spread::of(
                    &runs.iter().filter_map(|run| run.get(i)).map(|point| point.0).collect::<Vec<_>>(),
                )?;
                Some(Point { x: x.mean, y: spread.mean, spread: spread.deviation })
            };
            let points = (0..runs[0].len()).filter_map(point).collect();
            Series { name: group.values.join(" "), points }
        };
        let after_steps = |run: &Finding| {
            run.summary
                .test_anytime
                .accuracy
                .iter()
                .enumerate()
                .map(|(t, value)| (t as f64 + 1.0, *value))
                .collect()
        };
        let exits = |run: &Finding| {
            run.summary.test_anytime.exits.iter().map(|exit| (exit.mean_steps, exit.accuracy)).collect()
        };
        let other_steps =
            |run: &Finding| run.inference.iter().map(|at| (at.time_steps as f64, at.accuracy)).collect();
        let figure =
            |name: &str, title: &str, caption: &str, x: Axis, of: &dyn Fn(&Finding) -> Vec<(f64, f64)>| {
                Figure {
                    name: name.into(),
                    title: title.into(),
                    caption: caption.into(),
                    chart: Chart::Lines {
                        x,
                        y: Axis::percent("test accuracy, %"),
                        series: spiking().map(|group| curve(group, of)).collect(),
                    },
                }
            };
        if spiking().next().is_none() {
            return Vec::new();
        }
        let mut figures = vec![
            figure(
                "anytime",
                "Asked after each step",
                "The trained networks, asked before their last time step.",
                Axis::whole("time steps"),
                &after_steps,
            ),
            figure(
                "exits",
                "Stopped once certain",
                "Each sample is stopped at the first step whose answer is certain enough; steps in the mean.",
                Axis::of("mean time steps"),
                &exits,
            ),
        ];
        if !self.comparison.inference_steps.is_empty() {
            let caption =
                "The trained networks, run with other numbers of time steps than they were trained with.";
            figures.push(figure(
                "inference-steps",
                "Run with other time steps",
                caption,
                Axis::whole("time steps"),
                &other_steps,
            ));
        }
        figures
    }

    fn learning(&self, groups: &[Group]) -> Vec<Figure> {
        let over = |group: &Group, of: &dyn Fn(&EpochRecord) -> Option<f64>| {
            let records: Vec<&Vec<EpochRecord>> =
                group.runs.iter().filter_map(|run| self.records.get(&run.name)).collect();
            let longest = records.iter().map(|records| records.len()).max().unwrap_or(0);
            let point = |epoch: usize| {
                let values: Vec<f64> = records.iter().filter_map(|records| of(records.get(epoch)?)).collect();
                let spread = Spread::of(&values)?;
                Some(Point { x: epoch as f64 + 1.0, y: spread.mean, spread: 0.0 })
            };
            Series { name: group.values.join(" "), points: (0..longest).filter_map(point).collect() }
        };
        let figure =
            |name: &str, title: &str, caption: &str, y: Axis, of: &dyn Fn(&EpochRecord) -> Option<f64>| {
                let series: Vec<Series> = groups
                    .iter()
                    .map(|group| over(group, of))
                    .filter(|series| !series.points.is_empty())
                    .collect();
                let chart = Chart::Lines { x: Axis::whole("epoch"), y, series: series.clone() };
                (!series.is_empty()).then(|| Figure {
                    name: name.into(),
                    title: title.into(),
                    caption: caption.into(),
                    chart,
                })
            };
        let all = [
            figure("loss", "Training loss", "Mean over the seeds.", Axis::of("loss"), &|record| {
                Some(record.train_loss)
            }),
            figure(
                "validation",
                "Validation accuracy",
                "Mean over the seeds.",
                Axis::percent("accuracy, %"),
                &|record| Some(record.validation_accuracy),
            ),
            figure(
                "silent-voters",
                "Silent voters",
                "Training samples of whose class no voting neuron fired, mean over the seeds.",
                Axis::percent("samples, %"),
                &|record| record.silent_voters,
            ),
        ];
        all.into_iter().flatten().collect()
    }

    fn energy(&self, groups: &[Group]) -> Vec<Figure> {
        let row = |group: &Group| {
            let joules = group.spread(|run| {
                let energy = run.operations.energy(FP32);
                (energy.snn + energy.neurons) / 1e3
            });
            Row {
                name: group.values.join(" "),
                value: joules.mean,
                spread: joules.deviation,
                single: Vec::new(),
                kind: groups.iter().position(|other| other.values == group.values).unwrap_or(0),
            }
        };
        let rows: Vec<Row> = groups.iter().map(row).collect();
        if rows.is_empty() {
            return Vec::new();
        }
        vec![Figure {
            name: "energy".into(),
            title: "Energy of a sample".into(),
            caption: "Arithmetic in fp32 of what is not 0, neurons included; mean over the seeds.".into(),
            chart: Chart::Rows { axis: Axis::of("energy, nJ"), rows, bars: true },
        }]
    }
}

/// A firing rate; none without neurons.
fn firing(operations: &Operations, rate: f64) -> String {
    if operations.spikes() { percent(rate) } else { "–".into() }
}

fn table_of(differences: &[Difference]) -> Markup {
    let head = ["what", "against", "others", "difference", "better"].map(str::to_string);
    let row = |difference: &Difference| {
        let others =
            difference.others.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
        vec![
            format!("{}={}", difference.key, difference.value),
            difference.against.clone(),
            others.join(" "),
            text::difference(&difference.difference),
            format!("{} of {} seeds", difference.better, difference.difference.n),
        ]
    };
    page::table("table of differences", &head, &differences.iter().map(row).collect::<Vec<_>>())
}

fn energy_table(groups: &[Group]) -> Markup {
    let spiking: Vec<&Group> = groups.iter().filter(|group| group.runs[0].operations.spikes()).collect();
    let Some(first) = spiking.first() else { return html! {} };
    let names = first.runs[0].operations.energies().into_iter().map(|(by, _)| format!("ratio, {by}"));
    let head: Vec<String> = ["".to_string(), "firing rate".to_string()].into_iter().chain(names).collect();
    let row = |group: &&Group| {
        let ratios =
            (0..3).map(|i| format!("{:.2}", group.spread(|run| run.operations.energies()[i].1.ratio()).mean));
        [group.values.join(" "), percent(group.firing_rate.mean)].into_iter().chain(ratios).collect()
    };
    page::table("energy ratios", &head, &spiking.iter().map(row).collect::<Vec<_>>())
}

fn runs_table(comparison: &Comparison, findings: &[Finding]) -> Markup {
    let keys = comparison.vary.iter().map(|axis| axis.key.clone());
    let head = ["seed", "test accuracy", "validation", "epoch", "firing rate", "training", "folder"]
        .map(str::to_string);
    let row = |run: &Finding| {
        let summary = &run.summary;
        let cells = [
            run.seed.to_string(),
            percent(summary.test_accuracy),
            percent(summary.validation_accuracy),
            format!("{} of {}", summary.best_epoch, summary.epochs),
            firing(&run.operations, run.operations.rate()),
            duration(summary.train_seconds),
            format!("runs/{}", run.name),
        ];
        [&run.values[..], &cells].concat()
    };
    page::table(
        "table of runs",
        &keys.chain(head).collect::<Vec<_>>(),
        &findings.iter().map(row).collect::<Vec<_>>(),
    )
}
