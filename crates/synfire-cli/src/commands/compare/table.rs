//! What came of a comparison, as text, JSON and CSV.

use crate::commands::{Error, percent};
use crate::console::Console;
use serde_json::json;
use std::path::Path;
use synfire::anytime::Exit;
use synfire::compare::{Comparison, Difference, Finding, Group, RunResult, Spread, differences, groups};
use synfire::energy::{FP32, Operations};
use synfire::file::write_atomically;
use synfire_report::text::{self, duration, quoted, spread};

/// What a column of the file of results says of a run.
type Column = (String, fn(&Finding) -> String);

/// Writes `results.csv`: a line for each finished run.
fn write_csv(comparison: &Comparison, findings: &[Finding], folder: &Path) -> Result<(), Error> {
    let columns: [Column; 13] = [
        ("seed".into(), |run| run.seed.to_string()),
        ("test_accuracy".into(), |run| run.summary.test_accuracy.to_string()),
        ("validation_accuracy".into(), |run| run.summary.validation_accuracy.to_string()),
        ("best_epoch".into(), |run| run.summary.best_epoch.to_string()),
        ("epochs".into(), |run| run.summary.epochs.to_string()),
        ("firing_rate".into(), |run| run.operations.rate().to_string()),
        ("dense_macs_per_step".into(), |run| run.operations.dense_step.to_string()),
        ("effective_macs".into(), |run| run.operations.macs().to_string()),
        ("effective_acs".into(), |run| run.operations.acs().to_string()),
        ("fp32_energy_ratio".into(), |run| run.operations.energy(FP32).ratio().to_string()),
        ("paper_energy_ratio".into(), |run| {
            by_paper(&run.operations).map_or(String::new(), |r| r.to_string())
        }),
        ("train_seconds".into(), |run| run.summary.train_seconds.to_string()),
        ("run".into(), |run| run.name.clone()),
    ];
    let axes = comparison.vary.iter().map(|axis| axis.key.clone());
    let steps = comparison.inference_steps.iter().map(|steps| format!("test_accuracy_at_{steps}"));
    let head: Vec<String> = axes.chain(columns.iter().map(|(name, _)| name.clone())).chain(steps).collect();
    let mut text = head.join(",") + "\n";
    for finding in findings {
        let at = |&steps: &usize| {
            let found = finding.inference.iter().find(|at| at.time_steps == steps);
            found.map_or(String::new(), |at| at.accuracy.to_string())
        };
        let values = finding.values.iter().cloned();
        let cells = values
            .chain(columns.iter().map(|(_, cell)| cell(finding)))
            .chain(comparison.inference_steps.iter().map(at));
        text += &(cells.map(|cell| quoted(&cell)).collect::<Vec<_>>().join(",") + "\n");
    }
    Ok(write_atomically(&folder.join("results.csv"), text.as_bytes())?)
}

/// The paper's ratio of energies; none without neurons.
fn by_paper(operations: &Operations) -> Option<f64> {
    operations.spikes().then(|| operations.paper_energy().ratio())
}

pub(super) fn show(
    comparison: &Comparison,
    results: &[RunResult],
    folder: &Path,
    console: &Console,
) -> Result<(), Error> {
    let findings: Vec<Finding> = results.iter().filter_map(RunResult::finding).cloned().collect();
    write_csv(comparison, &findings, folder)?;
    let groups = groups(&findings);
    let differences = differences(&comparison.vary, &findings);
    let keys: Vec<String> = comparison.vary.iter().map(|axis| axis.key.clone()).collect();
    let head = ["runs", "test accuracy, %", "validation, %", "firing", "energy ratio", "paper's", "training"];
    let mut rows = vec![[&keys[..], &head.map(str::to_string)].concat()];
    for group in &groups {
        let spiking = group.runs.iter().all(|run| by_paper(&run.operations).is_some());
        let if_spiking = |text: String| if spiking { text } else { "–".to_string() };
        let ratio =
            |of: fn(&Operations) -> f64| format!("{:.2}", group.spread(|run| of(&run.operations)).mean);
        let cells = [
            group.test_accuracy.n.to_string(),
            spread(&group.test_accuracy),
            spread(&group.validation_accuracy),
            if_spiking(percent(group.firing_rate.mean)),
            ratio(|operations| operations.energy(FP32).ratio()),
            if_spiking(ratio(|operations| by_paper(operations).unwrap_or(f64::NAN))),
            duration(group.train_seconds.mean),
        ];
        rows.push([&group.values[..], &cells].concat());
    }
    if !findings.is_empty() {
        aligned(&rows).iter().for_each(|line| console.say(line));
    }
    let in_time = over_time(comparison, &groups);
    if in_time.len() > 1 {
        console.say(
            "test accuracy, %, asked after so many steps; stopped at the first whose answer is certain enough, and the steps that takes \
             in the mean; run with other time steps:",
        );
        aligned(&in_time).iter().for_each(|line| console.say(line));
    }
    if !differences.is_empty() {
        console.say("differences of test accuracy between runs of the same seed, in percentage points:");
        differences.iter().for_each(|difference| console.say(format!("  {}", in_words(difference))));
    }
    for result in results {
        if let RunResult::Diverged { values, seed, error } = result {
            console.say(format!("diverged: {} seed {seed}: {error}", values.join(" ")));
        }
    }
    console.say(format!("{}", folder.join("results.csv").display()));
    console.json(&json!({
        "event": "finished", "folder": folder.display().to_string(), "axes": keys, "groups": groups, "differences": differences,
        "results": results,
    }));
    Ok(())
}

/// Certainties of the table at which a network is stopped; the page has more.
const CERTAIN: [f64; 2] = [0.9, 0.99];

/// What trained networks answer early, and with other time steps: a row for each group that has steps, under a head.
fn over_time(comparison: &Comparison, groups: &[Group]) -> Vec<Vec<String>> {
    let groups: Vec<&Group> =
        groups.iter().filter(|group| group.runs.iter().all(|run| run.summary.time_steps > 1)).collect();
    let longest = groups.iter().map(|group| group.runs[0].summary.time_steps).max().unwrap_or(0);
    let asked: Vec<usize> = (0..).map(|i| 1 << i).take_while(|&steps| steps < longest).collect();
    let keys = comparison.vary.iter().map(|axis| axis.key.clone());
    let head = keys
        .chain(asked.iter().map(|steps| format!("after {steps}")))
        .chain(CERTAIN.iter().map(|certain| format!("certain to {} %", 100.0 * certain)))
        .chain(comparison.inference_steps.iter().map(|steps| format!("T = {steps}")));
    let mean = |group: &Group, of: &dyn Fn(&Finding) -> Option<f64>| {
        let found: Option<Vec<f64>> = group.runs.iter().map(|run| of(run)).collect();
        found.and_then(|found| Spread::of(&found)).map(|found| found.mean)
    };
    let accuracy = |group: &Group, of: &dyn Fn(&Finding) -> Option<f64>| {
        mean(group, of).map_or("–".into(), |mean| format!("{:.2}", 100.0 * mean))
    };
    let row = |group: &&Group| {
        let after = |&steps: &usize| {
            accuracy(group, &|run| {
                let early = run.summary.test_anytime.accuracy.get(steps - 1);
                early.filter(|_| steps < run.summary.time_steps).copied()
            })
        };
        let stopped = |certain: &f64| {
            let of = |number: fn(&Exit) -> f64| {
                move |run: &Finding| {
                    run.summary.test_anytime.exits.iter().find(|exit| exit.certainty == *certain).map(number)
                }
            };
            let steps = mean(group, &of(|exit| exit.mean_steps)).map(|steps| format!(" at {steps:.2}"));
            accuracy(group, &of(|exit| exit.accuracy)) + &steps.unwrap_or_default()
        };
        let run_with = |&steps: &usize| {
            accuracy(group, &|run| {
                run.inference.iter().find(|at| at.time_steps == steps).map(|at| at.accuracy)
            })
        };
        let values = group.values.iter().cloned();
        values
            .chain(asked.iter().map(after))
            .chain(CERTAIN.iter().map(stopped))
            .chain(comparison.inference_steps.iter().map(run_with))
            .collect()
    };
    std::iter::once(head.collect()).chain(groups.iter().map(row)).collect()
}

fn in_words(difference: &Difference) -> String {
    let Difference { key, value, against, others, difference: spread, better } = difference;
    let others: String = others.iter().map(|(key, value)| format!(", {key}={value}")).collect();
    let (difference, n) = (text::difference(spread), spread.n);
    format!("{key}={value} against {against}{others}: {difference}, better with {better} of {n} seeds")
}

/// Rows whose columns stand under each other.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let cell = |(cell, &width): (&String, &usize)| format!("{cell:<width$}");
    let line = |row: &Vec<String>| row.iter().zip(&widths).map(cell).collect::<Vec<_>>().join("  ");
    rows.iter().map(|row| line(row).trim_end().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["a", "bb"], ["ccc", "±"]].map(|row| row.map(str::to_string).to_vec());
        assert_eq!(aligned(&rows), ["a    bb", "ccc  ±"]);
    }
}
