//! What the command prints: results to standard output, progress and notes to standard error.

use crate::commands::Error;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// How to print.
pub(crate) struct Console {
    json: bool,
    quiet: bool,
    terminal: bool,
    /// Of several processes that do the same together, this one is not the first, and speaks of errors alone.
    rank: Option<usize>,
    /// The work is worth doing though nobody reads the results.
    outlives_reader: bool,
    reader_gone: AtomicBool,
}

impl Console {
    pub(crate) fn new(json: bool, quiet: bool, outlives_reader: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { json, quiet, terminal, rank: None, outlives_reader, reader_gone: AtomicBool::new(false) }
    }

    /// That of another process than the first of several.
    pub(crate) fn of_rank(rank: usize) -> Self {
        Self { rank: Some(rank), ..Self::new(false, true, true) }
    }

    /// A result for people.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        if !self.json && self.rank.is_none() {
            self.print_line(text.as_ref());
        }
    }

    /// A result for machines: one line of JSON.
    pub(crate) fn json(&self, value: &impl Serialize) {
        if self.json {
            self.print_line(&serde_json::to_string(value).expect("results are JSON"));
        }
    }

    /// A note on the way.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        if self.notes() {
            complain(text.as_ref());
        }
    }

    /// Notes and progress are wanted.
    pub(crate) fn notes(&self) -> bool {
        !self.quiet && !self.json
    }

    /// Progress is drawn as a bar; else it is written in lines.
    pub(crate) fn draws_bars(&self) -> bool {
        self.terminal && self.notes()
    }

    /// A bar of `length` steps on a terminal, nothing elsewhere.
    pub(crate) fn bar(&self, length: u64, template: &str) -> ProgressBar {
        let target =
            if self.draws_bars() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template(template).expect("a sound template").progress_chars("━╸─");
        ProgressBar::with_draw_target(Some(length), target).with_style(style)
    }

    /// A closed pipe (`synfire … | head`) ends the program without a complaint, or training's output alone.
    fn print_line(&self, text: &str) {
        if self.reader_gone.load(Ordering::Relaxed) {
            return;
        }
        match writeln!(std::io::stdout(), "{text}") {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.reader_gone.store(true, Ordering::Relaxed);
                if !self.outlives_reader {
                    std::process::exit(0);
                }
            }
            Err(error) => {
                complain(&format!("error: cannot write to standard output: {error}"));
                std::process::exit(1);
            }
        }
    }

    pub(crate) fn error(&self, error: &Error) {
        self.json(&serde_json::json!({ "error": error.to_string() }));
        let rank = self.rank.map_or(String::new(), |rank| format!("rank {rank}: "));
        complain(&format!("error: {rank}{error}"));
    }
}

/// Standard error may be closed too; then there is nobody to tell.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
