//! Batches, made ahead of time on other threads.

use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use rayon::ThreadPool;
use rayon::prelude::*;

use crate::augment::Mix;
use crate::{Augment, DataError, FrameSpec, FrameValues, Kind, Source, random};

/// Some samples, ready for the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The samples' values, row-major.
    pub images: Vec<f32>,
    /// Their shape: `[B, C, H, W]` for stills, `[B, T, C, H, W]` for events.
    pub shape: Vec<usize>,
    /// The class of each sample.
    pub labels: Vec<usize>,
    /// For each sample that is mixed with another one, that one's class and share (see [`Augment::event_mix`]).
    pub mixed: Vec<Option<(usize, f32)>>,
    /// The number of each sample in its source.
    pub indices: Vec<usize>,
    /// Which part of a larger batch they are.
    pub share: Share,
}

/// A process's part of a batch that several work on together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Place of its first sample in the whole batch.
    pub first: usize,
    /// Samples of the whole batch.
    pub of: usize,
    /// How many of its samples count. Where there are fewer samples than processes, some run a sample of another along and count none.
    pub counted: usize,
}

impl Share {
    /// The part of process `rank` of `size` of a batch of `of` samples. Parts differ by at most one sample.
    #[must_use]
    pub fn new(of: usize, rank: usize, size: usize) -> Self {
        let bound = |rank: usize| rank * of / size;
        let (first, end) = (bound(rank), bound(rank + 1));
        Self { first: first.min(of.saturating_sub(1)), of, counted: end - first }
    }

    /// Its samples' places in the whole batch.
    #[must_use]
    pub fn places(&self) -> Range<usize> {
        self.first..self.of.min(self.first + self.counted.max(1))
    }
}

/// In which order an epoch goes through the samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    indices: Vec<usize>,
    /// Seed and epoch, by which samples are augmented; none for an order that is not of a training epoch.
    epoch: Option<(u64, u64)>,
}

impl Order {
    /// The samples' numbers in their source, in order.
    #[must_use]
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

/// Makes batches of some samples of a source.
#[derive(Clone)]
pub struct Loader {
    source: Arc<dyn Source>,
    indices: Vec<usize>,
    frames: FrameSpec,
    batch_size: usize,
    augment: Augment,
    pool: Arc<ThreadPool>,
    /// Which process this is, of how many.
    rank: usize,
    size: usize,
}

impl Loader {
    /// A loader of the samples `indices` of `source`, `batch_size` at a time, on as many threads as the current rayon
    /// pool has (at most eight).
    ///
    /// # Errors
    /// When the batch size or the number of frames is 0, an index is out of range, a batch would not fit the address
    /// space, or threads cannot be started.
    pub fn new(
        source: Arc<dyn Source>,
        indices: Vec<usize>,
        frames: FrameSpec,
        batch_size: usize,
    ) -> Result<Self, DataError> {
        const WHAT: &str = "load batches";
        if batch_size == 0 {
            return Err(DataError::usage(WHAT, "a batch size of at least 1", batch_size));
        }
        if frames.steps == 0 {
            return Err(DataError::usage(WHAT, "at least one time step", frames.steps));
        }
        if let Some(index) = indices.iter().find(|&&index| index >= source.len()) {
            return Err(DataError::usage(WHAT, format!("samples below {}", source.len()), index));
        }
        let largest = batch_size.min(indices.len()).saturating_mul(size_of::<f32>());
        if largest.checked_mul(source.sample_len(&frames)).is_none_or(|bytes| bytes > isize::MAX as usize) {
            let found = format!("{} samples of shape {:?}", batch_size, source.sample_shape(&frames));
            return Err(DataError::usage(WHAT, "batches that fit in memory", found));
        }
        let pool = start_pool(rayon::current_num_threads().min(8))?;
        Ok(Self { source, indices, frames, batch_size, augment: Augment::default(), pool, rank: 0, size: 1 })
    }

    /// The same loader with random changes to the samples of [`Loader::epoch_order`].
    #[must_use]
    pub fn with_augment(self, augment: Augment) -> Self {
        Self { augment, ..self }
    }

    /// The same loader of the parts that process `rank` of `size` has of the batches.
    ///
    /// # Panics
    /// If `rank` is not below `size`.
    #[must_use]
    pub fn of_process(self, rank: usize, size: usize) -> Self {
        assert!(rank < size, "process {rank} of {size}");
        Self { rank, size, ..self }
    }

    /// How many batches an epoch has; the last may be smaller.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.indices.len().div_ceil(self.batch_size)
    }

    /// The samples shuffled for a training epoch, from the stream `("order", seed, epoch, 0)` of [`random`].
    #[must_use]
    pub fn epoch_order(&self, seed: u64, epoch: u64) -> Order {
        let mut indices = self.indices.clone();
        random::shuffle(&mut random::stream("order", seed, epoch, 0), &mut indices);
        Order { indices, epoch: Some((seed, epoch)) }
    }

    /// The samples as they were given, never augmented: for validation and test.
    #[must_use]
    pub fn file_order(&self) -> Order {
        Order { indices: self.indices.clone(), epoch: None }
    }

    /// The batches of an epoch from `start_batch` on; a run resumed there gets the rest of the same epoch.
    ///
    /// A thread works ahead by two batches: one waits, one is in the making. Dropping the iterator ends it. After an
    /// error there are no more batches.
    #[must_use]
    pub fn iter(&self, order: &Order, start_batch: usize) -> Batches {
        let batches: Vec<Vec<usize>> =
            order.indices.chunks(self.batch_size).skip(start_batch).map(<[usize]>::to_vec).collect();
        let remaining = batches.len();
        let epoch = order.epoch;
        let loader = self.clone();
        let (sender, receiver) = sync_channel(1);
        let work = move || {
            for indices in batches {
                let batch = loader.batch(indices, epoch);
                let failed = batch.is_err();
                if sender.send(batch).is_err() || failed {
                    return;
                }
            }
        };
        Batches { receiver: Some(receiver), worker: Some(thread::spawn(work)), remaining }
    }

    /// Loads this process's part of one batch.
    fn batch(&self, whole: Vec<usize>, epoch: Option<(u64, u64)>) -> Result<Batch, DataError> {
        let share = Share::new(whole.len(), self.rank, self.size);
        let indices = whole[share.places()].to_vec();
        let sample_len = self.source.sample_len(&self.frames);
        let mut images = vec![0.0; indices.len() * sample_len];
        let load = |(out, &index): (&mut [f32], &usize)| match epoch {
            Some(epoch) => self.augmented(index, epoch, out),
            None => self.source.load(index, &self.frames, out).map(|()| None),
        };
        let results: Vec<Result<_, DataError>> =
            self.pool.install(|| images.par_chunks_mut(sample_len.max(1)).zip(&indices).map(load).collect());
        // Of several errors the first sample's, whichever thread was faster.
        let mixed = results.into_iter().collect::<Result<Vec<_>, _>>()?;
        let mut shape = self.source.sample_shape(&self.frames);
        shape.insert(0, indices.len());
        let labels = indices.iter().map(|&index| self.source.label(index)).collect();
        Ok(Batch { images, shape, labels, mixed, indices, share })
    }

    /// Loads a sample of a training epoch. If it is mixed with another, that one's class and share.
    fn augmented(
        &self,
        index: usize,
        (seed, epoch): (u64, u64),
        out: &mut [f32],
    ) -> Result<Option<(usize, f32)>, DataError> {
        let [channels, height, width] = self.source.shape(&self.frames);
        let steps = out.len() / (channels * height * width).max(1);
        let shape = [steps, channels, height, width];
        let load = |index: usize, out: &mut [f32]| {
            self.source.load(index, &self.frames, out)?;
            self.augment.apply((seed, epoch, index), shape, out);
            if self.source.kind() == Kind::Events && self.frames.values == FrameValues::Binary {
                // Several events may have been moved to one pixel.
                out.iter_mut().for_each(|value| *value = value.min(1.0));
            }
            Ok::<_, DataError>(())
        };
        load(index, out)?;
        let Some(mix) = Mix::draw((seed, epoch, index), self.augment.event_mix, self.indices.len()) else {
            return Ok(None);
        };
        let partner = self.indices[mix.partner];
        let mut other = vec![0.0; out.len()];
        load(partner, &mut other)?;
        Ok(Some((self.source.label(partner), mix.apply(shape, out, &other))))
    }
}

/// Threads of the loader's own: waiting for a batch inside the global pool must not keep that batch from being made.
fn start_pool(threads: usize) -> Result<Arc<ThreadPool>, DataError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("loader-{i}"));
    pool.build().map(Arc::new).map_err(|error| DataError::Threads(error.to_string()))
}

/// The batches of an epoch; made by [`Loader::iter`].
pub struct Batches {
    /// Dropped before the worker is waited for, so that it finds nobody listening.
    receiver: Option<Receiver<Result<Batch, DataError>>>,
    worker: Option<JoinHandle<()>>,
    remaining: usize,
}

impl Iterator for Batches {
    type Item = Result<Batch, DataError>;

    /// # Panics
    /// When the source panicked.
    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining == 0 {
            return None;
        }
        let Ok(batch) = self.receiver.as_ref()?.recv() else {
            // The worker ended before its last batch: it can only have panicked.
            self.remaining = 0;
            if let Some(Err(panic)) = self.worker.take().map(JoinHandle::join) {
                resume_unwind(panic);
            }
            return None;
        };
        self.remaining = if batch.is_err() { 0 } else { self.remaining - 1 };
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.remaining > 0), Some(self.remaining))
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.receiver = None;
        if let Some(worker) = self.worker.take() {
            // A panic of a source whose batch nobody took is nobody's concern.
            let _ = worker.join();
        }
    }
}
