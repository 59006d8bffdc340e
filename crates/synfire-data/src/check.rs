//! Whether all samples of a data set can be read, and what is in them.

use rayon::prelude::*;
use synfire_events::Statistics;

use crate::{DataError, FrameSpec, Kind, Source};

/// Samples that are read before progress is told.
const AT_ONCE: usize = 64;

/// What was found in a part of a data set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// Samples of each class.
    pub of_class: Vec<usize>,
    /// Events of all recordings.
    pub events: u64,
    /// The fewest and the most events of a recording, of those that could be read; none of images.
    pub events_each: Option<[u64; 2]>,
    /// Microseconds that the shortest and the longest recording last.
    pub duration_each: Option<[u64; 2]>,
    /// Samples that cannot be read, and why.
    pub damaged: Vec<(usize, String)>,
    /// Recordings that may have a problem, and which, as `synfire data info` tells them.
    pub doubtful: Vec<(usize, String)>,
}

/// Reads every sample. `progress` is told how many are done.
pub fn check(source: &dyn Source, classes: usize, progress: &mut dyn FnMut(usize)) -> Checked {
    let mut checked = Checked { of_class: vec![0; classes], ..Checked::default() };
    let samples: Vec<usize> = (0..source.len()).collect();
    for some in samples.chunks(AT_ONCE) {
        progress(some[0]);
        let found: Vec<Result<Option<Statistics>, DataError>> =
            some.par_iter().map(|&i| read(source, i)).collect();
        for (&i, found) in some.iter().zip(found) {
            checked.add(source.label(i), i, found);
        }
    }
    progress(samples.len());
    checked
}

/// Reads a sample; what is in its recording.
fn read(source: &dyn Source, i: usize) -> Result<Option<Statistics>, DataError> {
    if source.kind() == Kind::Events {
        return Ok(source.recording(i)?.map(|recording| Statistics::of(&recording)));
    }
    let frames = FrameSpec::default();
    source.load(i, &frames, &mut vec![0.0; source.sample_len(&frames)]).map(|()| None)
}

impl Checked {
    fn add(&mut self, label: usize, i: usize, found: Result<Option<Statistics>, DataError>) {
        self.of_class[label] += 1;
        let statistics = match found {
            Ok(Some(statistics)) => statistics,
            Ok(None) => return,
            Err(error) => return self.damaged.push((i, error.to_string())),
        };
        let widened = |range: Option<[u64; 2]>, value: u64| {
            let [least, most] = range.unwrap_or([value; 2]);
            Some([least.min(value), most.max(value)])
        };
        self.events += statistics.events;
        self.events_each = widened(self.events_each, statistics.events);
        self.duration_each = widened(self.duration_each, statistics.duration());
        let problems: Vec<String> = statistics.problems().iter().map(ToString::to_string).collect();
        if !problems.is_empty() {
            self.doubtful.push((i, problems.join("; ")));
        }
    }
}
