//! Processes that MPI has started to train one network.

use crate::commands::Error;
use std::sync::Arc;
use synfire::parallel::Group;

/// Environment variables in which launchers say how many processes there are.
const SIZES: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// The number in an environment variable.
fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

/// How many processes a launcher has started, if one has.
fn launched() -> Option<usize> {
    // `srun --mpi=pmix` names the tasks, and that it started them for MPI.
    let by_slurm = || std::env::var_os("PMIX_RANK").and_then(|_| number("SLURM_STEP_NUM_TASKS"));
    SIZES.iter().find_map(|name| number(name)).or_else(by_slurm)
}

/// What to tell of tasks that `srun` has started without MPI, the first of them.
pub(crate) fn apart() -> Option<String> {
    let tasks = number("SLURM_STEP_NUM_TASKS").filter(|tasks| *tasks > 1 && launched().is_none())?;
    let first = number("SLURM_PROCID") == Some(0);
    first.then(|| {
        format!("srun has started {tasks} tasks, each of which trains for itself; together: srun --mpi=pmix")
    })
}

/// Which of the processes of this machine this one is, where the launcher says so.
pub(crate) fn here() -> Option<usize> {
    let places = ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"];
    places.iter().find_map(|name| number(name))
}

/// Whether this process is one of several.
pub(crate) fn by_mpi() -> bool {
    launched().is_some_and(|size| size > 1)
}

/// This process among those that MPI has started; none if it was started alone.
#[cfg(not(feature = "mpi"))]
pub(crate) fn of_mpi() -> Result<Option<Arc<dyn Group>>, Error> {
    match launched() {
        Some(size) if size > 1 => {
            let problem = "but this synfire was built without MPI, and each would train alone: build it with --features mpi";
            Err(Error::usage(format!("{size} processes were started together, {problem}")))
        }
        _ => Ok(None),
    }
}

/// This process among those that MPI has started; none if it was started alone.
#[cfg(feature = "mpi")]
pub(crate) fn of_mpi() -> Result<Option<Arc<dyn Group>>, Error> {
    if !by_mpi() {
        return Ok(None);
    }
    Ok(Some(Arc::new(mpi::Mpi::begin()?)))
}

#[cfg(feature = "mpi")]
mod mpi {
    use crate::commands::Error;
    use ::mpi::collective::SystemOperation;
    use ::mpi::environment::Universe;
    use ::mpi::topology::SimpleCommunicator;
    use ::mpi::traits::{Communicator, CommunicatorCollectives, Equivalence, Root};
    use ::mpi::{Threading, initialize_with_threading};
    use std::fmt;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread::{self, JoinHandle};
    use synfire::parallel::{Group, Lost, Pending};

    /// Gradients, and who waits for their sum.
    type Given = (Vec<f32>, Sender<Vec<f32>>);

    /// A communicator, of which one thread at a time makes use.
    struct Handle(SimpleCommunicator);

    // SAFETY: the handle is a pointer into MPI, which was asked for calls from any thread (MPI_THREAD_MULTIPLE).
    unsafe impl Send for Handle {}
    // SAFETY: as above; `sum` and `of` of a group are called by one thread at a time, the communicator of gradients by its own thread.
    unsafe impl Sync for Handle {}

    impl Handle {
        fn sum<T: Equivalence>(&self, values: &[T], sums: &mut [T]) {
            self.0.all_reduce_into(values, sums, SystemOperation::sum());
        }
    }

    /// A rank of MPI's. Sums that are waited for and gradients under way each have a communicator of their own, the latter on a thread
    /// of their own.
    ///
    /// MPI ends all ranks when one fails, so that no call here has an error to tell.
    pub(super) struct Mpi {
        rank: usize,
        size: usize,
        world: Handle,
        /// To the thread that adds them up; none once this rank has left.
        gradients: Mutex<Option<Sender<Given>>>,
        worker: Option<JoinHandle<()>>,
        /// Ends MPI, after everything else.
        _universe: Universe,
    }

    impl fmt::Debug for Mpi {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "rank {} of {}", self.rank, self.size)
        }
    }

    impl Mpi {
        pub(super) fn begin() -> Result<Self, Error> {
            let begun = initialize_with_threading(Threading::Multiple);
            let (universe, threading) = begun.ok_or_else(|| Error::failed("MPI was begun before"))?;
            if threading < Threading::Multiple {
                let problem = "this MPI allows calls from one thread alone; expected MPI_THREAD_MULTIPLE";
                return Err(Error::failed(problem));
            }
            let world = universe.world();
            let communicator = Handle(world.duplicate());
            let (gradients, given) = channel::<Given>();
            let worker = thread::spawn(move || {
                for (values, to) in given {
                    let mut sums = vec![0.0; values.len()];
                    communicator.sum(&values, &mut sums);
                    // Who no longer waits has failed.
                    let _ = to.send(sums);
                }
            });
            let (rank, size) = (world.rank() as usize, world.size() as usize);
            if let Some(started) = super::launched().filter(|started| *started != size) {
                return Err(Error::failed(format!(
                    "{started} processes were started together, but MPI knows of {size}: each would train alone. The launcher belongs to another MPI \
                     than this synfire was built with; with Slurm: srun --mpi=pmix"
                )));
            }
            let (gradients, worker) = (Mutex::new(Some(gradients)), Some(worker));
            Ok(Self { rank, size, world: Handle(world), gradients, worker, _universe: universe })
        }
    }

    impl Drop for Mpi {
        fn drop(&mut self) {
            self.gradients.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            if let Some(worker) = self.worker.take() {
                let _ = worker.join();
            }
        }
    }

    impl Group for Mpi {
        fn rank(&self) -> usize {
            self.rank
        }

        fn size(&self) -> usize {
            self.size
        }

        fn sum(&self, values: &mut [f64]) -> Result<(), Lost> {
            let own = values.to_vec();
            match own.is_empty() {
                true => self.world.0.barrier(),
                false => self.world.sum(&own, values),
            }
            Ok(())
        }

        fn begin_sum(&self, values: Vec<f32>) -> Result<Box<dyn Pending>, Lost> {
            let (to, sums) = channel();
            let gradients = self.gradients.lock().map_err(|_| Lost)?;
            gradients.as_ref().ok_or(Lost)?.send((values, to)).map_err(|_| Lost)?;
            Ok(Box::new(Waiting(sums)))
        }

        fn of(&self, rank: usize, bytes: &[u8]) -> Result<Vec<u8>, Lost> {
            let giver = self.world.0.process_at_rank(rank as i32);
            let mut len = bytes.len() as u64;
            giver.broadcast_into(&mut len);
            let mut all = if self.rank == rank { bytes.to_vec() } else { vec![0; len as usize] };
            giver.broadcast_into(&mut all[..]);
            Ok(all)
        }

        fn leave(&self) {
            self.world.0.abort(1)
        }
    }

    struct Waiting(Receiver<Vec<f32>>);

    impl Pending for Waiting {
        fn wait(self: Box<Self>) -> Result<Vec<f32>, Lost> {
            self.0.recv().map_err(|_| Lost)
        }
    }
}
