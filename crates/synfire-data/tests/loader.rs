//! Splits, orders and batches: what is drawn, that nothing is lost, and that threads change nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use synfire_data::{
    Augment, Batch, DataError, FrameSpec, FrameValues, Kind, Loader, Locations, Source, open,
    validation_split,
};

/// Samples of 1x2x3 whose values are their number; some fail or panic.
#[derive(Default)]
struct Numbers {
    len: usize,
    fails: Vec<usize>,
    panics: Option<usize>,
    loads: AtomicUsize,
}

impl Numbers {
    fn of(len: usize) -> Arc<Self> {
        Arc::new(Self { len, ..Self::default() })
    }
}

impl Source for Numbers {
    fn len(&self) -> usize {
        self.len
    }
    fn kind(&self) -> Kind {
        Kind::Still
    }
    fn shape(&self, _: &FrameSpec) -> [usize; 3] {
        [1, 2, 3]
    }
    fn label(&self, i: usize) -> usize {
        i % 10
    }
    fn load(&self, i: usize, _: &FrameSpec, out: &mut [f32]) -> Result<(), DataError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        assert_ne!(Some(i), self.panics, "a source that panics");
        if self.fails.contains(&i) {
            return Err(DataError::Threads(format!("sample {i}")));
        }
        out.fill(i as f32);
        Ok(())
    }
}

fn loader(source: Arc<dyn Source>, batch_size: usize) -> Loader {
    let indices = (0..source.len()).collect();
    Loader::new(source, indices, FrameSpec::default(), batch_size).unwrap()
}

/// What `make` makes where rayon has so many threads.
fn on_threads<T: Send>(threads: usize, make: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(make)
}

fn batches(loader: &Loader, epoch: u64, start: usize) -> Vec<Batch> {
    loader.iter(&loader.epoch_order(7, epoch), start).map(Result::unwrap).collect()
}

#[test]
fn batches_hold_their_samples_and_the_last_may_be_smaller() {
    let loader = loader(Numbers::of(10), 4);
    assert_eq!(loader.batches(), 3);
    let all: Vec<Batch> = loader.iter(&loader.file_order(), 0).map(Result::unwrap).collect();
    assert_eq!(
        all.iter().map(|batch| batch.shape.clone()).collect::<Vec<_>>(),
        [[4, 1, 2, 3], [4, 1, 2, 3], [2, 1, 2, 3]]
    );
    assert_eq!(all[2].indices, [8, 9]);
    assert_eq!(all[2].labels, [8, 9]);
    assert_eq!(all[2].images, [[8.0; 6], [9.0; 6]].concat());
}

#[test]
fn a_run_resumed_within_an_epoch_gets_the_rest_of_it() {
    let loader = loader(Numbers::of(50), 8);
    let whole = batches(&loader, 3, 0);
    assert_eq!(batches(&loader, 3, 4), whole[4..]);
    assert!(batches(&loader, 3, 7).is_empty());
    assert_ne!(batches(&loader, 4, 0)[0].indices, whole[0].indices);
}

#[test]
fn threads_change_nothing() {
    let set = open("digits", &Locations::from_folders(Vec::new())).unwrap();
    let with = |threads| {
        let augment = Augment { shift: 2, flip: true, ..Augment::default() };
        let loader = on_threads(threads, || loader(set.test.clone(), 32)).with_augment(augment);
        batches(&loader, 0, 0)
    };
    let one = with(1);
    assert_eq!(one.len(), 12);
    assert!(one == with(2) && one == with(7));
}

#[test]
fn only_training_epochs_are_augmented() {
    let set = open("digits", &Locations::from_folders(Vec::new())).unwrap();
    let plain = loader(set.test.clone(), 32);
    let augmented = plain.clone().with_augment(Augment { shift: 1, ..Augment::default() });
    let first = |loader: &Loader, order| loader.iter(&order, 0).next().unwrap().unwrap();
    assert_eq!(first(&plain, plain.file_order()), first(&augmented, plain.file_order()));
    assert_ne!(first(&plain, plain.epoch_order(1, 1)), first(&augmented, plain.epoch_order(1, 1)));
}

#[test]
fn events_are_augmented_by_seed_and_epoch_whatever_the_threads() {
    let set = open("gestures", &Locations::from_folders(Vec::new())).unwrap();
    let augment =
        Augment { rotate: 10.0, event_drop: true, jitter: 0.7, event_mix: 0.5, ..Augment::default() };
    let with = |threads| {
        on_threads(threads, || {
            Loader::new(set.test.clone(), (0..12).collect(), FrameSpec::new(4), 12)
                .unwrap()
                .with_augment(augment)
        })
    };
    let first =
        |loader: &Loader, epoch| loader.iter(&loader.epoch_order(1, epoch), 0).next().unwrap().unwrap();
    let batch = first(&with(1), 0);
    assert!(batch == first(&with(3), 0));
    assert_ne!(batch.mixed, first(&with(3), 1).mixed);
    let mixed: Vec<_> = batch.mixed.iter().flatten().collect();
    assert!((1..12).contains(&mixed.len()), "{mixed:?}");
    assert!(mixed.iter().all(|(label, share)| *label < 11 && (0.0..=1.0).contains(share)));
    // What says only whether there was an event says so after events have moved, too.
    let binary = FrameSpec { values: FrameValues::Binary, ..FrameSpec::new(4) };
    let loader = Loader::new(set.test.clone(), (0..12).collect(), binary, 12).unwrap();
    let images = first(&loader.with_augment(Augment { event_mix: 0.0, ..augment }), 0).images;
    assert!(images.iter().all(|value| (0.0..=1.0).contains(value)) && images.contains(&1.0));
    let plain = with(1).with_augment(Augment::default());
    assert!(first(&plain, 0).mixed.iter().all(Option::is_none));
}

#[test]
fn dropping_the_iterator_early_ends_its_thread() {
    let source = Numbers::of(10_000);
    for taken in [0, 1, 5] {
        let loader = loader(source.clone(), 10);
        let mut iterator = loader.iter(&loader.file_order(), 0);
        for _ in 0..taken {
            iterator.next().unwrap().unwrap();
        }
        drop(iterator);
        // The thread is gone: it shares neither the source nor does it load any more.
        drop(loader);
        let before = source.loads.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(source.loads.load(Ordering::SeqCst), before);
    }
}

#[test]
fn no_more_than_two_batches_are_made_ahead() {
    let source = Numbers::of(1000);
    let loader = loader(source.clone(), 10);
    let mut iterator = loader.iter(&loader.file_order(), 0);
    iterator.next().unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(source.loads.load(Ordering::SeqCst) <= 30);
}

#[test]
fn the_first_failing_sample_is_reported_and_ends_the_epoch() {
    let source = Arc::new(Numbers { len: 100, fails: vec![17, 13, 19], ..Numbers::default() });
    for threads in [1, 4] {
        let loader = on_threads(threads, || loader(source.clone(), 10));
        let mut iterator = loader.iter(&loader.file_order(), 0);
        assert!(iterator.next().unwrap().is_ok());
        let error = iterator.next().unwrap().unwrap_err();
        assert!(error.to_string().contains("sample 13"), "{error}");
        assert!(iterator.next().is_none());
    }
}

#[test]
#[should_panic(expected = "a source that panics")]
fn a_panic_of_the_source_reaches_the_caller() {
    let loader = loader(Arc::new(Numbers { len: 100, panics: Some(33), ..Numbers::default() }), 10);
    loader.iter(&loader.file_order(), 0).for_each(|batch| drop(batch.unwrap()));
}

#[test]
fn batches_can_be_awaited_inside_a_full_thread_pool() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let loader = loader(Numbers::of(100), 10);
    assert_eq!(pool.install(|| batches(&loader, 0, 0).len()), 10);
}

#[test]
fn senseless_loaders_are_refused() {
    let new = |indices: Vec<usize>, steps, batch_size| {
        let frames = FrameSpec::new(steps);
        Loader::new(Numbers::of(5), indices, frames, batch_size).err().map(|error| error.to_string())
    };
    assert_eq!(
        new(vec![0], 1, 0).unwrap(),
        "cannot load batches: expected a batch size of at least 1, found 0"
    );
    assert_eq!(new(vec![0], 0, 1).unwrap(), "cannot load batches: expected at least one time step, found 0");
    assert_eq!(new(vec![0, 5], 1, 1).unwrap(), "cannot load batches: expected samples below 5, found 5");
    assert_eq!(new(vec![], 1, usize::MAX), None);
}

#[test]
fn frames_that_cannot_fit_in_memory_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["Train/0", "Test/0"] {
        let file = folder.path().join("nmnist").join(file);
        std::fs::create_dir_all(&file).unwrap();
        std::fs::write(file.join("1.bin"), [1, 1, 0, 0, 5]).unwrap();
    }
    let set = open("nmnist", &Locations::from_folders(vec![folder.path().to_owned()])).unwrap();
    let frames = FrameSpec { steps: usize::MAX, ..FrameSpec::default() };
    assert!(matches!(Loader::new(set.train, vec![0], frames, 1), Err(DataError::Usage { .. })));
}

#[test]
fn a_split_is_pinned() {
    let labels: Vec<usize> = (0..100).map(|i| i % 7).collect();
    let split = validation_split(&labels, 10, 1).unwrap();
    assert_eq!(split.validation, [9, 10, 15, 40, 50, 53, 63, 69, 77, 86]);
    assert_eq!(split.checksum(), "1368e5904836c595");
    assert_ne!(split, validation_split(&labels, 10, 2).unwrap());
}

#[test]
fn a_split_leaves_something_to_train_on() {
    assert!(validation_split(&[0, 1], 2, 0).is_err());
    assert!(validation_split(&[], 0, 0).is_err());
    assert!(validation_split(&[0, 1], 0, 0).unwrap().validation.is_empty());
}

proptest! {
    #[test]
    fn a_split_is_a_stratified_partition(
        labels in proptest::collection::vec(0..6_usize, 1..300),
        share in 0.0..1.0_f64,
        seed in any::<u64>(),
    ) {
        let count = (labels.len() as f64 * share) as usize;
        let split = validation_split(&labels, count, seed).unwrap();
        prop_assert_eq!(split.validation.len(), count);
        let mut all = [split.train.clone(), split.validation.clone()].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
        for class in 0..6 {
            let of_class = |list: &[usize]| list.iter().filter(|&&i| labels[i] == class).count() as f64;
            let total = labels.iter().filter(|&&label| label == class).count() as f64;
            let exact = total * count as f64 / labels.len() as f64;
            prop_assert!((of_class(&split.validation) - exact).abs() < 1.0);
        }
    }

    #[test]
    fn an_epoch_is_a_permutation_and_repeatable(
        len in 0..200_usize,
        seed in any::<u64>(),
        epoch in any::<u64>(),
    ) {
        let loader = loader(Numbers::of(len), 3);
        let order = loader.epoch_order(seed, epoch);
        prop_assert_eq!(&order, &loader.epoch_order(seed, epoch));
        let mut sorted = order.indices().to_vec();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..len).collect::<Vec<_>>());
    }
}
