//! Ctrl-C and the end of a cluster job: a request to stop in order, and at once when it is repeated.

use crate::commands::Error;
use crate::console::Console;
use indicatif::ProgressBar;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// How long a request waits for its answer on the terminal at most.
const ANSWER_WITHIN: Duration = Duration::from_millis(100);

/// Whether a signal asked to stop.
#[derive(Clone)]
pub(crate) struct Stop {
    asked: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
    /// The reader knows that the work stops, or does not care.
    told: Arc<AtomicBool>,
}

impl Stop {
    /// Listens from now on, and tells the reader, beside `bar`, soon after the first request that it was heard, and `more`.
    pub(crate) fn beside(bar: &ProgressBar, console: &Console, more: Option<String>) -> Result<Self, Error> {
        let told = Arc::new(AtomicBool::new(!console.notes()));
        let stop = Self { asked: Arc::default(), signal: Arc::default(), told };
        let failed = |e| Error::failed(format!("cannot listen for Ctrl-C: {e}"));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the request that finds one before it ends the program.
            flag::register_conditional_shutdown(signal, 128 + signal, stop.asked.clone()).map_err(failed)?;
            flag::register_usize(signal, stop.signal.clone(), signal as usize).map_err(failed)?;
            flag::register(signal, stop.asked.clone()).map_err(failed)?;
        }
        let (waiting, bar, more) = (stop.clone(), bar.clone(), more.unwrap_or_default());
        // A handler of a signal must not print.
        thread::spawn(move || {
            while !waiting.asked() {
                thread::sleep(ANSWER_WITHIN);
            }
            if !waiting.told.swap(true, Ordering::SeqCst) {
                bar.suspend(|| eprintln!("stopping after this batch; once more stops at once{more}"));
            }
        });
        Ok(stop)
    }

    /// The work is over: what is asked from now on needs no answer.
    pub(crate) fn settle(&self) {
        self.told.store(true, Ordering::SeqCst);
    }

    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// The exit code that shells expect of a program that a signal ended: 130 after Ctrl-C.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.signal.load(Ordering::SeqCst) {
            // Another rank was asked.
            0 => 128 + SIGTERM as u8,
            signal => 128 + signal as u8,
        }
    }
}
