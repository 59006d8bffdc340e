//! What a data set is: two parts of labelled samples.

use std::path::PathBuf;
use std::sync::Arc;

use synfire_events::{FrameSpec, Recording, Sensor};

use crate::DataError;

/// What the samples of a data set are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Still images, shown to the network at every time step.
    Still,
    /// Event-camera recordings, cut into one frame a time step.
    Events,
}

/// One part (train or test) of a data set.
pub trait Source: Send + Sync {
    /// How many samples there are; samples are numbered from 0 in the order of the files.
    fn len(&self) -> usize;

    /// What the samples are.
    fn kind(&self) -> Kind;

    /// Shape `[C, H, W]` of an image or a frame; still images are what they are, whatever `frames` says.
    fn shape(&self, frames: &FrameSpec) -> [usize; 3];

    /// The class of sample `i`.
    ///
    /// # Panics
    /// When there is no sample `i`.
    fn label(&self, i: usize) -> usize;

    /// Writes sample `i` over `out`: for [`Kind::Still`] `[C, H, W]` values from 0 to 1; for [`Kind::Events`]
    /// `[T, C, H, W]` event counts.
    ///
    /// # Errors
    /// When there is no sample `i`, `out` has another length than [`Source::sample_len`], or the sample's file cannot
    /// be read.
    fn load(&self, i: usize, frames: &FrameSpec, out: &mut [f32]) -> Result<(), DataError>;

    /// The recording of sample `i`, where samples are recordings.
    ///
    /// # Errors
    /// When there is no sample `i`, or its file cannot be read.
    fn recording(&self, _i: usize) -> Result<Option<Recording>, DataError> {
        Ok(None)
    }

    /// The sensor of all recordings, where samples are recordings.
    fn sensor(&self) -> Option<Sensor> {
        None
    }

    /// A text that is another one whenever samples would be: files with their sizes and times of change, or what is simulated.
    /// None where samples need no [`Cache`](crate::Cache).
    ///
    /// # Errors
    /// When a file cannot be looked at.
    fn identity(&self) -> Result<Option<String>, DataError> {
        Ok(None)
    }

    /// Whether there is no sample.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The classes of all samples.
    fn labels(&self) -> Vec<usize> {
        (0..self.len()).map(|i| self.label(i)).collect()
    }

    /// The shape [`Source::load`] writes: `[C, H, W]` for stills, `[T, C, H, W]` for events.
    fn sample_shape(&self, frames: &FrameSpec) -> Vec<usize> {
        let [c, h, w] = self.shape(frames);
        match self.kind() {
            Kind::Still => vec![c, h, w],
            Kind::Events => vec![frames.steps, c, h, w],
        }
    }

    /// How many values [`Source::load`] writes.
    fn sample_len(&self, frames: &FrameSpec) -> usize {
        self.sample_shape(frames).into_iter().fold(1, usize::saturating_mul)
    }
}

/// A data set: its parts and what is known about them.
#[derive(Clone)]
pub struct DataSet {
    /// Its name, as [`crate::open`] takes it.
    pub name: String,
    /// What the samples are.
    pub kind: Kind,
    /// How many classes there are.
    pub classes: usize,
    /// Their names, in the order of the labels.
    pub class_names: Vec<String>,
    /// The samples to train on.
    pub train: Arc<dyn Source>,
    /// The samples to test on, once, at the end.
    pub test: Arc<dyn Source>,
    /// What the user should know, such as `partial: 850 of 60,000 training samples`; one sentence each.
    pub notes: Vec<String>,
    /// No camera made its recordings.
    pub simulated: bool,
    /// The folder its files are in; none for a set that is built in.
    pub folder: Option<PathBuf>,
}

impl DataSet {
    /// A set of two parts of the same kind and shape.
    pub fn new(
        name: &str,
        class_names: Vec<String>,
        train: impl Source + 'static,
        test: impl Source + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            kind: train.kind(),
            classes: class_names.len(),
            class_names,
            train: Arc::new(train),
            test: Arc::new(test),
            notes: Vec::new(),
            simulated: false,
            folder: None,
        }
    }

    /// Shape `[C, H, W]` of an image or a frame.
    #[must_use]
    pub fn shape(&self, frames: &FrameSpec) -> [usize; 3] {
        self.train.shape(frames)
    }

    /// The same set, which says that no camera made it.
    pub(crate) fn simulated(mut self) -> Self {
        self.notes.push("simulated: no camera made these recordings".into());
        Self { simulated: true, ..self }
    }

    /// The same set, from files in `folder`.
    pub(crate) fn in_folder(self, folder: PathBuf) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// Notes which parts do not have their published number of samples.
    pub(crate) fn note_partial(mut self, full_train: usize, full_test: usize) -> Self {
        for (part, found, full) in
            [("training", self.train.len(), full_train), ("test", self.test.len(), full_test)]
        {
            if found != full {
                let (found, full) = (thousands(found as u64), thousands(full as u64));
                self.notes.push(format!("partial: {found} of {full} {part} samples"));
            }
        }
        self
    }
}

/// The names of classes that are digits.
pub(crate) fn digit_names() -> Vec<String> {
    (0..10).map(|digit| digit.to_string()).collect()
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `60000` as `60,000`.
#[must_use]
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn numbers_are_grouped_by_threes() {
        assert_eq!(
            [0, 850, 1_000, 60_000, 1_234_567].map(thousands),
            ["0", "850", "1,000", "60,000", "1,234,567"]
        );
    }
}
