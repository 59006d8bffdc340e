//! What is seen of a comparison while it trains.

use super::line;
use crate::commands::percent;
use crate::console::Console;
use crate::pace::Pace;
use crate::stop::Stop;
use indicatif::ProgressBar;
use serde_json::json;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use synfire::compare::{Comparison, PlannedRun, RunResult, Watcher};
use synfire_report::text::duration;

/// How often a line is written where no bar is drawn.
const LINE_EVERY: Duration = Duration::from_secs(60);
/// Steps of the bar.
const BAR: f64 = 1000.0;

/// Draws the progress of a comparison.
pub(super) struct Follow<'a> {
    console: &'a Console,
    stop: Stop,
    bar: ProgressBar,
    runs: Vec<Run>,
    state: Mutex<State>,
}

struct Run {
    /// What it is.
    text: String,
    /// What it takes beside the others.
    work: f64,
}

struct State {
    /// Share that is done of each run, and what it does now.
    share: Vec<f64>,
    place: Vec<Option<String>>,
    ended: usize,
    pace: Pace,
    last: Instant,
    line: Instant,
}

impl<'a> Follow<'a> {
    pub(super) fn new(
        console: &'a Console,
        comparison: &Comparison,
        runs: &[PlannedRun],
        stop: Stop,
        bar: ProgressBar,
    ) -> Self {
        let run = |run: &PlannedRun| Run { text: line(comparison, run), work: work(&run.config) };
        let runs: Vec<Run> = runs.iter().map(run).collect();
        let now = Instant::now();
        let state = State {
            share: vec![0.0; runs.len()],
            place: vec![None; runs.len()],
            ended: 0,
            pace: Pace::new(60.0),
            last: now,
            line: now,
        };
        Self { console, stop, bar, runs, state: Mutex::new(state) }
    }

    fn left(&self, state: &State) -> String {
        let left: f64 = self.runs.iter().zip(&state.share).map(|(run, share)| run.work * (1.0 - share)).sum();
        match state.pace.rate() {
            rate if rate > 0.0 => format!(", {} left", duration(left / rate)),
            _ => String::new(),
        }
    }

    fn share(&self, state: &State) -> f64 {
        let whole: f64 = self.runs.iter().map(|run| run.work).sum();
        self.runs.iter().zip(&state.share).map(|(run, share)| run.work * share).sum::<f64>() / whole
    }
}

/// Work of a run beside other runs: it grows with epochs, steps and samples.
fn work(config: &synfire::train::TrainConfig) -> f64 {
    (config.epochs * config.time_steps * config.train_samples.max(1)) as f64
}

impl Watcher for Follow<'_> {
    fn note(&self, run: usize, text: &str) {
        let text = format!("{}: {text}", self.runs[run].text);
        self.bar.suspend(|| self.console.note(text));
    }

    fn working(&self, run: usize, share: f64, place: &str) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let now = Instant::now();
        // What was trained in an earlier process says nothing about the pace.
        if state.place[run].is_some() {
            let done = (share - state.share[run]).max(0.0) * self.runs[run].work;
            state.pace.add(done, (now - state.last).as_secs_f64());
        }
        state.last = now;
        state.share[run] = share;
        state.place[run] = Some(place.to_string());
        let lists = !self.console.draws_bars() && now - state.line >= LINE_EVERY;
        if lists || self.console.draws_bars() {
            let at_work = state.place.iter().zip(&self.runs);
            let at_work =
                at_work.filter_map(|(place, run)| Some(format!("{} {}", run.text, place.as_ref()?)));
            let at_work = at_work.collect::<Vec<_>>().join("; ");
            let runs = format!("{} of {} runs", state.ended, self.runs.len());
            if lists {
                self.console.note(format!("{runs}{}: {at_work}", self.left(state)));
                state.line = now;
            }
            self.bar.set_position((BAR * self.share(state)) as u64);
            self.bar.set_prefix(runs);
            self.bar.set_message(format!("{at_work}{}", self.left(state)));
        }
        !self.stop.asked()
    }

    fn ended(&self, run: usize, result: &RunResult, before: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.share[run] = 1.0;
        state.place[run] = None;
        state.ended += 1;
        let text = match result {
            RunResult::Finished(finding) => format!(
                "test {}  val {}  firing {}  {}",
                percent(finding.summary.test_accuracy),
                percent(finding.summary.validation_accuracy),
                percent(finding.operations.rate()),
                duration(finding.summary.train_seconds)
            ),
            RunResult::Diverged { error, .. } => format!("diverged: {error}"),
        };
        if !before {
            let runs = format!("{} of {} runs{}", state.ended, self.runs.len(), self.left(&state));
            let text = format!("{}  {text}  ({runs})", self.runs[run].text);
            self.bar.suspend(|| self.console.note(text));
            self.console.json(&json!({ "event": "run", "result": result }));
        }
        state.line = Instant::now();
    }
}
