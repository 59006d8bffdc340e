//! How long the kernels of the CPU take, by kind. The clock is one for the whole process, and stands still until it is
//! started.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What a kernel computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A convolution.
    ConvForward,
    /// Its gradient for its input.
    ConvInputGrad,
    /// Its gradient for its weight.
    ConvWeightGrad,
    /// The statistics of a block's batch norm.
    BlockStatistics,
    /// Batch norm, neurons and pooling.
    BlockForward,
    /// Their gradients.
    BlockBackward,
    /// A linear layer and its gradients.
    Linear,
}

impl Kind {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConvForward => "convolution, forward",
            Self::ConvInputGrad => "convolution, gradient of the input",
            Self::ConvWeightGrad => "convolution, gradient of the weight",
            Self::BlockStatistics => "block, statistics",
            Self::BlockForward => "block, forward",
            Self::BlockBackward => "block, backward",
            Self::Linear => "linear layers",
        }
    }
}

/// What the calls of a kind took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// How often it was called.
    pub calls: u64,
    /// Time of all calls.
    pub time: Duration,
    /// Multiplications of all calls; 0 for kernels that are not made of them.
    pub macs: u64,
}

/// What was spent since the start, if the clock runs.
static SPENT: Mutex<Option<BTreeMap<Kind, Spent>>> = Mutex::new(None);

fn with_spent<T>(f: impl FnOnce(&mut Option<BTreeMap<Kind, Spent>>) -> T) -> T {
    // The map is whole whatever a thread died of.
    f(&mut SPENT.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

/// Starts the clock from zero.
pub fn start() {
    with_spent(|spent| *spent = Some(BTreeMap::new()));
}

/// Stops the clock: what was spent since the start.
pub fn stop() -> BTreeMap<Kind, Spent> {
    with_spent(|spent| spent.take()).unwrap_or_default()
}

/// A call in progress; it ends when this is dropped.
pub(super) struct Call {
    kind: Kind,
    macs: u64,
    start: Instant,
}

/// Times a call with so many multiplications, if the clock runs.
pub(super) fn call(kind: Kind, macs: u64) -> Option<Call> {
    with_spent(|spent| spent.is_some()).then(|| Call { kind, macs, start: Instant::now() })
}

impl Drop for Call {
    fn drop(&mut self) {
        let time = self.start.elapsed();
        with_spent(|spent| {
            let Some(spent) = spent else { return };
            let of_kind = spent.entry(self.kind).or_default();
            of_kind.calls += 1;
            of_kind.time += time;
            of_kind.macs += self.macs;
        });
    }
}
