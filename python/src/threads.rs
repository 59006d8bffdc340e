//! Threads that the kernels run on. A process that was forked has none of its parent's: whoever waits for these waits for ever.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use rayon::ThreadPool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use synfire::device::unless_full;

/// The process that worked first. Its kernels run on rayon's own threads.
static PARENT: OnceLock<u32> = OnceLock::new();
/// Of a process that was forked: which it is, and its threads.
static FORKED: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

/// The threads of this process, if it was forked.
fn forked() -> Option<Arc<ThreadPool>> {
    let own = std::process::id();
    if *PARENT.get_or_init(|| own) == own {
        return None;
    }
    let mut forked = FORKED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, pool)) = forked.as_ref().filter(|(process, _)| *process == own) {
        return Some(pool.clone());
    }
    let pool = Arc::new(rayon::ThreadPoolBuilder::new().build().ok()?);
    // The threads of what was forked before are not there to be ended.
    std::mem::forget(forked.replace((own, pool.clone())));
    Some(pool)
}

/// Long work, and all that may use the kernels' threads, which leaves the interpreter to others. In a process that was forked Ctrl-C ends it no sooner than it is done.
pub(crate) trait Work {
    /// Runs `work`.
    fn work<T: Send>(self, work: impl FnOnce() -> T + Send) -> T;

    /// Runs work with a device, whose memory may be full.
    fn on_device<T: Send>(self, work: impl FnOnce() -> PyResult<T> + Send) -> PyResult<T>
    where
        Self: Sized,
    {
        unless_full(|| self.work(work)).unwrap_or_else(|full| Err(PyMemoryError::new_err(full.to_string())))
    }
}

impl Work for Python<'_> {
    fn work<T: Send>(self, work: impl FnOnce() -> T + Send) -> T {
        self.detach(|| match forked() {
            Some(pool) => pool.install(work),
            None => work(),
        })
    }
}
