//! What is seen of a run while it trains.

use crate::commands::percent;
use crate::console::Console;
use crate::pace::Pace;
use crate::stop::Stop;
use indicatif::ProgressBar;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use synfire::net::{Plan, module_number};
use synfire::train::{BatchReport, EpochRecord, Observer, Trainer};
use synfire_report::text::duration;

/// How often a line is written where no bar is drawn.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Draws progress: a bar on a terminal, a line now and then elsewhere.
pub(super) struct Progress<'a> {
    console: &'a Console,
    stop: Stop,
    bar: ProgressBar,
    /// Tell of each layer too.
    verbose: bool,
    plan: Plan,
    work: Work,
    epochs: usize,
    /// Samples of the present evaluation that are done.
    evaluated: usize,
    /// When anything was last reported, and when a line was last written.
    last: Instant,
    line: Instant,
    speed: Pace,
}

impl<'a> Progress<'a> {
    pub(super) fn new(
        console: &'a Console,
        trainer: &Trainer,
        stop: Stop,
        bar: ProgressBar,
        verbose: bool,
    ) -> Self {
        let now = Instant::now();
        Self {
            console,
            stop,
            bar,
            verbose,
            plan: trainer.net().plan().clone(),
            work: Work::new(trainer),
            epochs: trainer.config().epochs,
            evaluated: 0,
            last: now,
            line: now,
            speed: Pace::new(5.0),
        }
    }

    /// Seconds since the last report.
    fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let seconds = (now - self.last).as_secs_f64();
        self.last = now;
        seconds
    }

    fn left(&self) -> String {
        self.work.seconds_left().map(|seconds| format!("  {} left", duration(seconds))).unwrap_or_default()
    }

    /// `epoch  3/20`, as wide for each epoch, which counts from 1.
    fn epoch_of(&self, epoch: usize) -> String {
        let width = self.epochs.to_string().len();
        format!("epoch {epoch:>width$}/{}", self.epochs)
    }
}

impl Observer for Progress<'_> {
    fn note(&mut self, text: &str) {
        self.bar.suspend(|| self.console.note(text));
        self.console.json(&serde_json::json!({ "event": "note", "text": text }));
    }

    fn warning(&mut self, text: &str) {
        self.bar.suspend(|| self.console.note(format!("warning: {text}")));
        self.console.json(&serde_json::json!({ "event": "warning", "text": text }));
    }

    fn framed(&mut self, part: &str, done: usize, of: usize) -> bool {
        if done == 0 && !self.console.draws_bars() {
            self.console.note(format!("framing  {of} recordings of {part}, once, for the cache"));
        }
        self.bar.set_length(of as u64);
        self.bar.set_position(done as u64);
        self.bar.set_prefix("framing");
        self.bar.set_message(format!("{done} of {of} recordings of {part}, once, for the cache"));
        // What is slow was not training.
        self.lap();
        !self.stop.asked()
    }

    fn batch(&mut self, report: &BatchReport) -> bool {
        let seconds = self.lap();
        self.speed.add(report.samples as f64, seconds);
        self.work.trained(report.epoch, report.samples, seconds);
        self.evaluated = 0;
        let samples = report.sums.samples.max(1) as f64;
        let text = format!(
            "loss {:.4}  train {}  {:.0} samples/s{}",
            report.sums.loss / samples,
            percent(report.sums.correct as f64 / samples),
            self.speed.rate(),
            self.left()
        );
        let epoch = self.epoch_of(report.epoch + 1);
        if self.console.draws_bars() {
            self.bar.set_length(report.batches as u64);
            self.bar.set_position(report.batch as u64);
            self.bar.set_prefix(epoch);
            self.bar.set_message(text);
        } else if self.line.elapsed() >= LINE_EVERY {
            self.console.note(format!("{epoch}  batch {}/{}  {text}", report.batch, report.batches));
            self.line = Instant::now();
        }
        !self.stop.asked()
    }

    fn evaluated(&mut self, samples: usize) -> bool {
        let seconds = self.lap();
        self.work.evaluated(samples.saturating_sub(self.evaluated), seconds);
        self.evaluated = samples;
        if self.console.draws_bars() {
            let what = if self.work.between { "testing" } else { "validating" };
            self.bar.set_message(format!("{what}, {samples} samples{}", self.left()));
        }
        !self.stop.asked()
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.work.epoch_done(record.epoch);
        self.evaluated = 0;
        let line = format!("{}  {}", self.epoch_of(record.epoch), epoch_line(record));
        self.bar.suspend(|| {
            self.console.note(line);
            if self.verbose {
                self.console.note(layer_table(&self.plan, record));
                if let Some(share) = record.silent_voters {
                    self.console.note(format!(
                        "    no voter of the right class fired: {} of the samples",
                        percent(share)
                    ));
                }
                self.console.note(format!("    waited for data: {} of the time", percent(record.data_wait)));
            }
        });
        self.console.json(&serde_json::json!({ "event": "epoch", "epoch": record }));
        self.line = Instant::now();
    }
}

/// An epoch in what fits a terminal; metrics.jsonl holds the rest.
fn epoch_line(record: &EpochRecord) -> String {
    let rates = || record.firing_rates.values().map(|rate| 100.0 * rate);
    let firing = if record.ann {
        "without neurons".to_string()
    } else {
        let (low, high) = (rates().fold(100.0, f64::min), rates().fold(0.0, f64::max));
        let (low, high) = (format!("{low:.0}"), format!("{high:.0}"));
        if low == high { format!("firing {low} %") } else { format!("firing {low}–{high} %") }
    };
    format!(
        "loss {:.4}  train {}  val {}  {firing}  {:.0} samples/s  {}{}",
        record.train_loss,
        percent(record.train_accuracy),
        percent(record.validation_accuracy),
        record.samples_per_s,
        duration(record.seconds),
        data_wait(record)
    )
}

/// That training waits for data is worth a word where it costs time.
fn data_wait(record: &EpochRecord) -> String {
    match 100.0 * record.data_wait {
        percent if percent >= 2.0 && record.seconds >= 1.0 => format!("  waiting {percent:.0} % for data"),
        _ => String::new(),
    }
}

/// A row for each layer that trains: the firing rates of its neurons, the gradient norms of its modules.
fn layer_table(plan: &Plan, record: &EpochRecord) -> String {
    let mut table =
        format!("    {:<8} {:<10} {:>16}  {}", "module", "layer", "firing rate", "gradient norms");
    for (i, layer) in plan.layers.iter().enumerate() {
        let next = plan.layers.get(i + 1).map_or(usize::MAX, |next| next.module);
        let within = |values: &BTreeMap<String, f64>, write: fn(f64) -> String| -> String {
            let of_layer = |name: &str| (layer.module..next).contains(&module_number(name));
            let mut found: Vec<_> = values.iter().filter(|(name, _)| of_layer(name)).collect();
            found.sort_by_key(|(name, _)| module_number(name));
            found.into_iter().map(|(_, value)| write(*value)).collect::<Vec<_>>().join(" ")
        };
        let rates = within(&record.firing_rates, percent);
        let norms = within(&record.gradient_norms, |norm| format!("{norm:.4}"));
        if !norms.is_empty() {
            let (module, layer) = (layer.module, layer.spec.to_string());
            table += &format!("\n    {module:<8} {layer:<10} {rates:>16}  {norms}");
        }
    }
    table
}

/// How much of a run is done, in forward and backward passes of one sample over all time steps.
struct Work {
    epochs: usize,
    ann_epochs: usize,
    /// What a sample of an epoch without neurons costs.
    ann: f64,
    train: f64,
    validation: f64,
    test: f64,
    epoch: usize,
    /// No epoch is under way: what is evaluated now is the test set.
    between: bool,
    done: f64,
    pace: Pace,
}

/// What a sample costs without the backward pass.
const FORWARD: f64 = 1.0 / 3.0;

impl Work {
    fn new(trainer: &Trainer) -> Self {
        let (config, split, position) = (trainer.config(), trainer.split(), trainer.position());
        let mut work = Self {
            epochs: config.epochs,
            ann_epochs: config.ann_epochs,
            ann: 1.0 / config.time_steps as f64,
            train: split.train.len() as f64,
            validation: split.validation.len() as f64,
            test: trainer.data().test.len() as f64,
            epoch: position.epoch,
            between: position.batch == 0,
            done: 0.0,
            pace: Pace::new(60.0),
        };
        work.done = work.until(position.epoch) + position.sums.samples as f64 * work.weight(position.epoch);
        work
    }

    fn weight(&self, epoch: usize) -> f64 {
        if epoch < self.ann_epochs { self.ann } else { 1.0 }
    }

    /// All work of the epochs before `epoch`.
    fn until(&self, epoch: usize) -> f64 {
        let ann = epoch.min(self.ann_epochs) as f64;
        let spiking = epoch as f64 - ann;
        (self.train + FORWARD * self.validation) * (ann * self.ann + spiking)
    }

    fn trained(&mut self, epoch: usize, samples: usize, seconds: f64) {
        self.epoch = epoch;
        self.between = false;
        self.add(samples as f64 * self.weight(epoch), seconds);
    }

    fn evaluated(&mut self, samples: usize, seconds: f64) {
        let weight = if self.between { 1.0 } else { self.weight(self.epoch) };
        self.add(FORWARD * samples as f64 * weight, seconds);
    }

    /// So many epochs are done.
    fn epoch_done(&mut self, epochs: usize) {
        self.epoch = epochs;
        self.between = true;
        self.done = self.until(self.epoch);
    }

    fn add(&mut self, work: f64, seconds: f64) {
        self.done += work;
        self.pace.add(work, seconds);
    }

    fn seconds_left(&self) -> Option<f64> {
        let left = self.until(self.epochs) + FORWARD * self.test - self.done;
        (self.pace.rate() > 0.0).then(|| left.max(0.0) / self.pace.rate())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> EpochRecord {
        let rates = [("layers.3", 0.371), ("layers.7", 0.178), ("layers.11", 0.2361)];
        let norms = [("layers.0", 2.5), ("layers.1", 0.25), ("layers.12", 1.0)];
        EpochRecord {
            epoch: 2,
            ann: false,
            learning_rate: 1e-3,
            train_loss: 12.3456,
            train_accuracy: 0.9999,
            validation_loss: 0.1,
            validation_accuracy: 1.0,
            firing_rates: rates.map(|(name, rate)| (name.to_string(), rate)).into(),
            silent_voters: None,
            gradient_norms: norms.map(|(name, norm)| (name.to_string(), norm)).into(),
            samples_per_s: 12_345.0,
            data_wait: 0.004,
            seconds: 754.0,
        }
    }

    #[test]
    fn an_epoch_fits_a_terminal_of_a_hundred_columns() {
        let line = epoch_line(&record());
        assert_eq!(
            line,
            "loss 12.3456  train 99.99 %  val 100.00 %  firing 18–37 %  12345 samples/s  12 min 34 s"
        );
        assert!(epoch_line(&EpochRecord { data_wait: 0.25, ..record() }).ends_with("waiting 25 % for data"));
        assert!(epoch_line(&EpochRecord { ann: true, ..record() }).contains("without neurons"));
        assert!("epoch 10/20  ".len() + line.chars().count() <= 100);
    }

    #[test]
    fn layers_are_told_in_their_order() {
        let plan = Plan::new(&"8C3-8C3-AP2-LI1".parse().unwrap(), [1, 8, 8], 10, true).unwrap();
        let table = layer_table(&plan, &record());
        let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["0", "8C3", "37.10", "%", "2.5000", "0.2500"]);
        assert_eq!(rows.last().unwrap()[..2], ["10", "LI1"]);
    }
}
