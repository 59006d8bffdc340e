//! Ranks that are threads of one process.

use super::{Group, Lost, Pending};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A rank among threads, each of which runs a network of its own, on the same device or each on another.
pub struct Threads {
    rank: usize,
    size: usize,
    shared: Arc<Shared>,
    /// How many sums of each kind this rank has begun.
    begun: Mutex<[u64; 2]>,
}

/// What ranks give to be added up.
#[derive(Default)]
struct Shared {
    meetings: Mutex<Meetings>,
    changed: Condvar,
}

#[derive(Default)]
struct Meetings {
    /// By kind and number: what each rank gave, and how many have taken the sum.
    open: HashMap<(usize, u64), Meeting>,
    left: bool,
}

#[derive(Default)]
struct Meeting {
    given: Vec<Option<Vec<f64>>>,
    taken: usize,
}

/// Sums that are waited for, and those that are not. Each kind is numbered for itself, as a rank may be ahead in one of them.
const NOW: usize = 0;
const LATER: usize = 1;

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {} of {}", self.rank, self.size)
    }
}

impl Threads {
    /// So many ranks.
    pub fn ranks(size: usize) -> Vec<Arc<dyn Group>> {
        let shared = Arc::new(Shared::default());
        let rank = |rank| Self { rank, size, shared: shared.clone(), begun: Mutex::default() };
        (0..size).map(|i| Arc::new(rank(i)) as Arc<dyn Group>).collect()
    }

    /// Gives values to the next sum of a kind; its number.
    fn give(&self, kind: usize, values: Vec<f64>) -> u64 {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let number = begun[kind];
        begun[kind] += 1;
        let mut meetings = self.shared.lock();
        let meeting = meetings.open.entry((kind, number)).or_default();
        meeting.given.resize(self.size, None);
        meeting.given[self.rank] = Some(values);
        self.shared.changed.notify_all();
        number
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Meetings> {
        self.meetings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What all ranks gave to a sum, once they have, in their order.
    fn take(&self, key: (usize, u64)) -> Result<Vec<Vec<f64>>, Lost> {
        let mut meetings = self.lock();
        loop {
            let meeting = meetings.open.get_mut(&key).expect("this rank gave to it");
            if meeting.given.iter().all(Option::is_some) {
                let all = meeting.given.iter().flatten().cloned().collect();
                meeting.taken += 1;
                if meeting.taken == meeting.given.len() {
                    meetings.open.remove(&key);
                }
                return Ok(all);
            }
            // Who left may have given its part before.
            if meetings.left {
                return Err(Lost);
            }
            meetings = self.changed.wait(meetings).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The sum in the ranks' order.
    fn sum(&self, key: (usize, u64)) -> Result<Vec<f64>, Lost> {
        let mut all = self.take(key)?.into_iter();
        let mut sum = all.next().unwrap_or_default();
        all.for_each(|values| sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value));
        Ok(sum)
    }
}

impl Group for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn sum(&self, values: &mut [f64]) -> Result<(), Lost> {
        let number = self.give(NOW, values.to_vec());
        values.copy_from_slice(&self.shared.sum((NOW, number))?);
        Ok(())
    }

    fn begin_sum(&self, values: Vec<f32>) -> Result<Box<dyn Pending>, Lost> {
        let number = self.give(LATER, values.into_iter().map(f64::from).collect());
        Ok(Box::new(Waiting { shared: self.shared.clone(), number }))
    }

    fn of(&self, rank: usize, bytes: &[u8]) -> Result<Vec<u8>, Lost> {
        let number = self.give(NOW, bytes.iter().map(|&byte| f64::from(byte)).collect());
        let given = self.shared.take((NOW, number))?.swap_remove(rank);
        Ok(given.into_iter().map(|byte| byte as u8).collect())
    }

    fn leave(&self) {
        self.shared.lock().left = true;
        self.shared.changed.notify_all();
    }
}

struct Waiting {
    shared: Arc<Shared>,
    number: u64,
}

impl Pending for Waiting {
    fn wait(self: Box<Self>) -> Result<Vec<f32>, Lost> {
        Ok(self.shared.sum((LATER, self.number))?.into_iter().map(|value| value as f32).collect())
    }
}
