//! Several processes that train one network together.
//!
//! Each process (a *rank*) has the same network and a share of the samples of every batch. Gradients are added up over the ranks in
//! buckets, which are under way while the backward pass goes on; every rank takes the same step. Batch norm takes its statistics over
//! the samples of all ranks, so that a batch means the same however many share it.
//!
//! A [`Group`] is how ranks hear of each other: [`Threads`] of one process here, MPI in the command. Results of [`Group::sum`] have the
//! same bits on every rank, on which everything else rests.
//!
//! The operations find the group of the thread they run on ([`during`]): the way back through a network is Burn's, which hands nothing
//! down to them.

mod buckets;
mod threads;

use buckets::Buckets;
use burn::backend::autodiff::NodeId;
use std::cell::RefCell;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
pub use threads::Threads;

/// Another rank has left: nothing more can be added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another rank has failed or was lost; its own message says why")]
pub struct Lost;

/// Ranks that work together. All call the same functions in the same order.
pub trait Group: fmt::Debug + Send + Sync {
    /// Which this is, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Adds up the values of all, place by place. Every rank gets the same bits.
    ///
    /// # Errors
    /// If a rank is lost.
    fn sum(&self, values: &mut [f64]) -> Result<(), Lost>;

    /// Begins to add up gradients, and goes on; [`Group::sum`] may be called meanwhile.
    ///
    /// # Errors
    /// If a rank is lost.
    fn begin_sum(&self, values: Vec<f32>) -> Result<Box<dyn Pending>, Lost>;

    /// What this rank gives, for all.
    ///
    /// # Errors
    /// If a rank is lost.
    fn of(&self, rank: usize, bytes: &[u8]) -> Result<Vec<u8>, Lost>;

    /// Leaves for good; whoever waits for this rank hears of it. To be called by a rank whose work has failed, or the others wait for
    /// ever.
    fn leave(&self);
}

/// Values that are being added up.
pub trait Pending {
    /// Waits for the sums.
    ///
    /// # Errors
    /// If a rank is lost.
    fn wait(self: Box<Self>) -> Result<Vec<f32>, Lost>;
}

/// How the ranks of a group share a step.
#[derive(Debug, Clone)]
pub struct Team {
    /// The ranks.
    pub group: Arc<dyn Group>,
    /// Batch norm takes its statistics over the samples of all ranks, not of each.
    pub sync_norm: bool,
    /// Share of the whole batch's samples that this rank counts, which is its loss' weight.
    pub weight: f64,
}

/// A step under way.
struct Step {
    team: Team,
    buckets: Buckets,
}

thread_local! {
    static STEP: RefCell<Option<Step>> = const { RefCell::new(None) };
}

/// Runs a forward and backward pass on this thread as `team`'s, if there is one.
pub fn during<T>(team: Option<Team>, step: impl FnOnce() -> T) -> T {
    /// Whatever happens, the thread has no team afterwards.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            STEP.set(None);
        }
    }
    let _end = End;
    STEP.set(team.map(|team| Step { team, buckets: Buckets::default() }));
    step()
}

/// An operation cannot fail: its caller is told by a panic, which [`caught`] turns into an error.
fn or_unwind<T>(result: Result<T, Lost>) -> T {
    result.unwrap_or_else(|lost| resume_unwind(Box::new(lost)))
}

/// Runs what may find a rank lost.
///
/// # Errors
/// If it does.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Lost> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).map_err(|panic| {
        match panic.downcast::<Lost>() {
            Ok(lost) => *lost,
            Err(panic) => resume_unwind(panic),
        }
    })
}

/// The weight of this rank's loss in a step that others share.
pub(crate) fn weight() -> Option<f64> {
    STEP.with_borrow(|step| step.as_ref().map(|step| step.team.weight))
}

/// Whether statistics of a batch norm are taken over all ranks.
pub(crate) fn norms_are_shared() -> bool {
    STEP.with_borrow(|step| step.as_ref().is_some_and(|step| step.team.sync_norm))
}

/// Adds up over the ranks that share batch norms.
fn add_up(values: &mut [f64]) {
    let group = STEP.with_borrow(|step| step.as_ref().map(|step| step.team.group.clone()));
    if let Some(group) = group {
        or_unwind(group.sum(values));
    }
}

/// The other ranks' rows of a batch norm.
#[derive(Debug)]
pub(crate) struct Rows;

impl Rows {
    /// If they count.
    pub(crate) fn shared() -> Option<&'static Self> {
        norms_are_shared().then_some(&Self)
    }
}

impl synfire_kernels::norm::Others for Rows {
    fn add(&self, sums: &mut [f64], rows: usize) -> f64 {
        // Rows of a rank that counts no sample have no part in it.
        let counted = if weight() == Some(0.0) { 0.0 } else { 1.0 };
        let own = sums.iter().copied().chain([rows as f64]);
        let mut all: Vec<f64> = own.map(|sum| counted * sum).collect();
        add_up(&mut all);
        let rows = all.pop().expect("the rows");
        sums.copy_from_slice(&all);
        rows
    }
}

/// Mean and biased variance over the rows of all ranks from those over this rank's.
pub(crate) fn all_statistics(mean: &mut [f32], variance: &mut [f32], rows: usize) {
    use synfire_kernels::norm::Others;
    let own = rows as f64;
    let moments = mean.iter().zip(&*variance).flat_map(|(&mean, &variance)| {
        let (mean, variance) = (f64::from(mean), f64::from(variance));
        [own * mean, own * (variance + mean * mean)]
    });
    let mut moments: Vec<f64> = moments.collect();
    let rows = Rows.add(&mut moments, rows);
    for ((mean, variance), moments) in mean.iter_mut().zip(variance).zip(moments.chunks_exact(2)) {
        let (first, second) = (moments[0] / rows, moments[1] / rows);
        *mean = first as f32;
        // `max` would turn NaN into 0 and hide it.
        let spread = second - first * first;
        *variance = if spread < 0.0 { 0.0 } else { spread as f32 };
    }
}

/// Notes down which parameter (by its place among the network's) a node of the tape is.
pub(crate) fn mark(node: NodeId, place: usize) {
    STEP.with_borrow_mut(|step| {
        if let Some(step) = step {
            step.buckets.mark(node, place);
        }
    });
}

/// Takes up the gradient of the parameter that `node` is. Full buckets are sent on their way.
pub(crate) fn gradient(node: NodeId, values: impl FnOnce() -> Vec<f32>) {
    STEP.with_borrow_mut(|step| {
        if let Some(Step { team, buckets }) = step {
            // A rank that counts no sample has nothing to add, though the shared statistics gave its rows errors.
            let counted = || if team.weight == 0.0 { vec![0.0; values().len()] } else { values() };
            or_unwind(buckets.add(&*team.group, node, counted));
        }
    });
}

/// The sum of every parameter's gradient over the ranks, by its place.
pub(crate) fn gradients() -> Vec<(usize, Vec<f32>)> {
    STEP.with_borrow_mut(|step| match step {
        Some(Step { team, buckets }) => or_unwind(buckets.finish(&*team.group)),
        None => Vec::new(),
    })
}
