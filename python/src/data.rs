//! Data sets.

use crate::arrays::{Out, Typed};
use crate::error::{raise, value};
use crate::threads::Work;
use numpy::{IntoPyArray, Ix1, IxDyn, PyArrayMethods};
use pyo3::exceptions::{PyIndexError, PyMemoryError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use synfire::train::{ConfigError, TrainConfig, available_memory};
use synfire_data::{Augment, Batches, DataSet, FrameSpec, Loader, Locations, Source};

/// A part of a data set, with how recordings become frames.
#[pyclass(frozen, module = "synfire._synfire")]
pub(crate) struct Samples {
    pub(crate) data: DataSet,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) frames: FrameSpec,
    augment: Augment,
}

#[pymethods]
impl Samples {
    /// Opens the `part` of a set; `settings` are those of a run, as JSON.
    #[new]
    fn open(
        py: Python<'_>,
        name: &str,
        part: &str,
        data_dir: Option<PathBuf>,
        settings: &str,
    ) -> PyResult<Self> {
        let config = config_of(settings)?;
        config.validate().map_err(crate::error::config)?;
        let data =
            py.work(|| synfire_data::open(name, &Locations::new(data_dir.as_deref())?)).map_err(raise)?;
        config.validate_for(&data).map_err(crate::error::config)?;
        let source = match part {
            "train" => data.train.clone(),
            "test" => data.test.clone(),
            other => return Err(value(format!("unknown part {other:?}, expected train or test"))),
        };
        Ok(Self { source, frames: config.frames(), augment: config.augment(), data })
    }

    fn __len__(&self) -> usize {
        self.source.len()
    }

    #[getter]
    fn name(&self) -> &str {
        &self.data.name
    }

    #[getter]
    fn class_names(&self) -> Vec<String> {
        self.data.class_names.clone()
    }

    #[getter]
    fn notes(&self) -> Vec<String> {
        self.data.notes.clone()
    }

    /// The shape of a sample: `(C, H, W)`, or `(T, C, H, W)` of recordings.
    #[getter]
    fn shape(&self) -> Vec<usize> {
        self.source.sample_shape(&self.frames)
    }

    fn labels<'py>(&self, py: Python<'py>) -> Out<'py, i64, Ix1> {
        let labels: Vec<i64> = self.source.labels().into_iter().map(|label| label as i64).collect();
        Typed(labels.into_pyarray(py))
    }

    /// A sample and its label.
    fn sample<'py>(&self, py: Python<'py>, i: usize) -> PyResult<(Out<'py, f32, IxDyn>, usize)> {
        if i >= self.source.len() {
            return Err(PyIndexError::new_err(format!("sample {i} of {}", self.source.len())));
        }
        let shape = self.source.sample_shape(&self.frames);
        let mut values = crate::events::zeros(&shape)?;
        py.work(|| self.source.load(i, &self.frames, &mut values)).map_err(raise)?;
        Ok((Typed(values.into_pyarray(py).reshape(shape)?), self.source.label(i)))
    }

    /// Batches of an epoch: shuffled by a seed and an epoch, and augmented, or in the order of the files.
    fn batches(
        &self,
        batch_size: usize,
        shuffle: Option<(u64, u64)>,
        indices: Option<Vec<usize>>,
    ) -> PyResult<BatchIterator> {
        let indices = indices.unwrap_or_else(|| (0..self.source.len()).collect());
        // One batch is used while another waits and a third is made.
        let needed = batch_size
            .min(indices.len())
            .saturating_mul(self.source.sample_len(&self.frames))
            .saturating_mul(12);
        if available_memory().is_some_and(|available| needed as u128 > available) {
            let text = format!(
                "batches of {batch_size} samples of shape {:?} need more memory than there is",
                self.shape()
            );
            return Err(PyMemoryError::new_err(text));
        }
        let loader = Loader::new(self.source.clone(), indices, self.frames, batch_size).map_err(raise)?;
        let loader = loader.with_augment(self.augment);
        let order = match shuffle {
            Some((seed, epoch)) => loader.epoch_order(seed, epoch),
            None => loader.file_order(),
        };
        Ok(BatchIterator { left: loader.batches(), batches: Mutex::new(loader.iter(&order, 0)) })
    }
}

/// Batches that are made ahead on other threads.
#[pyclass(frozen, module = "synfire._synfire")]
pub(crate) struct BatchIterator {
    left: usize,
    batches: Mutex<Batches>,
}

/// Samples and labels.
type Pair<'py> = (Out<'py, f32, IxDyn>, Out<'py, i64, Ix1>);

#[pymethods]
impl BatchIterator {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __length_hint__(&self) -> usize {
        self.left
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Pair<'py>>> {
        let next = py.work(|| {
            let mut batches =
                self.batches.lock().map_err(|_| PyRuntimeError::new_err("the loader has failed"))?;
            batches.next().transpose().map_err(raise)
        })?;
        next.map(|batch| {
            let labels: Vec<i64> = batch.labels.iter().map(|&label| label as i64).collect();
            Ok((Typed(batch.images.into_pyarray(py).reshape(batch.shape)?), Typed(labels.into_pyarray(py))))
        })
        .transpose()
    }
}

/// Settings given as JSON, over those of the recipe that they name. One of the wrong kind is a `TypeError`.
pub(crate) fn config_of(settings: &str) -> PyResult<TrainConfig> {
    let given: toml::Table = serde_json::from_str(settings).map_err(|e| value(format!("settings: {e}")))?;
    let resolved = TrainConfig::resolve(None, given.clone());
    resolved.map_err(|error| {
        // Which it is, is not said where all are read at once.
        let alone = |(key, found): (&String, &toml::Value)| {
            let table = toml::Table::from_iter([(key.clone(), found.clone())]);
            match table.try_into::<TrainConfig>() {
                Err(problem) => {
                    Some((key.replace('-', "_"), found.to_string(), problem.message().to_string()))
                }
                Ok(_) => None,
            }
        };
        match (&error, given.iter().find_map(alone)) {
            (ConfigError::File { .. }, Some((key, found, problem))) => {
                let text = format!("{key} = {found}: {problem}");
                if problem.starts_with("invalid type") { PyTypeError::new_err(text) } else { value(text) }
            }
            _ => crate::error::config(error),
        }
    })
}

/// The names of all data sets and what each is.
#[pyfunction]
pub(crate) fn data_sets() -> Vec<(String, String)> {
    synfire_data::names().iter().map(|set| (set.name.to_string(), set.description.to_string())).collect()
}
