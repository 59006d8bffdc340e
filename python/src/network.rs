//! Networks. Threads may share one; long work leaves the interpreter to others.

use crate::arrays::{Heard, In, Named, Out, Typed, Values};
use crate::data::{Samples, config_of};
use crate::device::open;
use crate::error::{config, non_finite, raise, train, value};
use crate::threads::Work;
use burn::tensor::Device;
use numpy::{IntoPyArray, Ix1, IxDyn, PyArrayMethods};
use pyo3::exceptions::{PyKeyError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use synfire::device;
use synfire::file::{HostTensor, TensorMap};
use synfire::infer;
use synfire::net::{LayerSpec, Net, Plan, PlannedLayer, Record, Recorded, StateError};
use synfire::train::{
    BatchReport, Checkpoint, Described, EpochRecord, Observer, Outcome, RunFolder, TrainConfig, Trainer,
    check_inference, evaluate,
};
use synfire_data::{Arrays, DataSet, FrameSpec, Kind, Loader};
use synfire_interop::nir::{self, Translation};
use synfire_interop::pytorch::{self, StateDict};

/// How often Python hears of batches, and may stop the work.
const OFTEN: Duration = Duration::from_millis(50);

/// A network and what must be known to use it.
#[derive(Clone)]
struct State {
    network: Described,
    net: Net,
    /// Where it is.
    on: Device,
    /// The checkpoint it comes from, by which its data are known again.
    checkpoint: Option<Arc<Checkpoint>>,
}

/// A network. Whoever works with it takes a copy, which shares the weights, so that the lock is never held for long, nor while Python
/// runs: a thread that waits for the interpreter would otherwise keep it from the one that waits for the lock.
#[pyclass(frozen, module = "synfire._synfire")]
pub(crate) struct Core(Box<Mutex<State>>);

// Devices are aligned to more than Python's allocator gives its objects, hence the box.
const _: () = assert!(align_of::<Core>() <= 16 && align_of::<Samples>() <= 16);

/// Samples given as arrays, or a part of a data set.
#[derive(FromPyObject)]
enum Given<'py> {
    Set(PyRef<'py, Samples>),
    Arrays(Values<'py>, In<'py, i64, Ix1>),
}

fn broken() -> PyErr {
    PyRuntimeError::new_err("an earlier call failed within the network")
}

impl Core {
    fn of(state: State) -> Self {
        Self(Box::new(Mutex::new(state)))
    }

    fn state(&self) -> PyResult<State> {
        Ok(self.0.lock().map_err(|_| broken())?.clone())
    }

    fn put(&self, state: State) -> PyResult<()> {
        *self.0.lock().map_err(|_| broken())? = state;
        Ok(())
    }

    fn read(path: &Path, on: Device) -> PyResult<Self> {
        let path = if path.is_dir() { RunFolder::new(path).best() } else { path.to_path_buf() };
        let checkpoint = Checkpoint::read(&path).map_err(raise)?;
        let net = checkpoint.net(&path, &on).map_err(raise)?;
        let network = checkpoint.header.described();
        Ok(Self::of(State { network, net, on, checkpoint: Some(Arc::new(checkpoint)) }))
    }
}

/// Puts what some of `n` samples have, `[T, B, each]`, in its place among all of them, `[T, n, each]`.
fn put(all: &mut [f32], some: &[f32], samples: Range<usize>, n: usize, each: usize) {
    for (t, step) in some.chunks_exact(samples.len() * each).enumerate() {
        all[(t * n + samples.start) * each..][..step.len()].copy_from_slice(step);
    }
}

/// How many neurons of a layer fire.
fn firing(layer: &PlannedLayer) -> usize {
    let outputs = layer.output.iter().product();
    match layer.spec {
        LayerSpec::Conv { .. } | LayerSpec::Linear { .. } => outputs,
        LayerSpec::Residual { .. } => 2 * outputs,
        LayerSpec::Readout { .. } => layer.units(),
        LayerSpec::Pool { .. } | LayerSpec::Dropout { .. } => 0,
    }
}

/// The spikes of a layer of neurons, `[T, N, …]`.
struct Layer {
    name: String,
    /// Of a sample at a time step.
    shape: Vec<usize>,
    spikes: Vec<f32>,
}

impl State {
    /// The checkpoint that it came from, or one of it as it is.
    fn checkpoint(&mut self) -> PyResult<Arc<Checkpoint>> {
        if self.checkpoint.is_none() {
            let made = Checkpoint::imported(self.network.clone(), &mut self.net).map_err(non_finite)?;
            self.checkpoint = Some(Arc::new(made));
        }
        Ok(self.checkpoint.clone().expect("just made"))
    }

    /// Runs batches of samples, and hands on which they were, what each class got, `[T, B, classes]`, and what the layers recorded.
    /// Ctrl-C is heard between them.
    fn each_batch(
        &mut self,
        values: &[f32],
        shape: &[usize],
        batch: usize,
        record: Record,
        mut done: impl FnMut(Range<usize>, Vec<f32>, Vec<Recorded>) -> PyResult<()>,
    ) -> PyResult<()> {
        let (n, size) = (shape[0], shape[1..].iter().product::<usize>());
        let mut asked = Instant::now();
        for first in (0..n).step_by(batch.max(1)) {
            let range = first..first + batch.min(n - first);
            let shape: Vec<usize> = std::iter::once(range.len()).chain(shape[1..].iter().copied()).collect();
            let samples: Vec<usize> = range.clone().collect();
            let given = (&values[first * size..][..range.len() * size], shape.as_slice());
            let Self { network, net, .. } = &mut *self;
            let (readout, recorded) =
                infer::batch(net, &network.config, given, &samples, record).map_err(non_finite)?;
            done(range, readout, recorded)?;
            if asked.elapsed() > OFTEN {
                Python::attach(|py| py.check_signals())?;
                asked = Instant::now();
            }
        }
        Ok(())
    }

    /// Checks the shape of samples, `[N, C, H, W]` or `[N, T, C, H, W]`.
    fn check(&self, shape: &[usize]) -> PyResult<()> {
        let [c, h, w] = self.network.input;
        let steps = self.network.config.time_steps;
        match *shape {
            [_, a, b, d] if [a, b, d] == [c, h, w] => Ok(()),
            [_, t, a, b, d] if [t, a, b, d] == [steps, c, h, w] && !self.network.config.is_ann() => Ok(()),
            _ => Err(value(format!(
                "samples of shape {shape:?}: this network takes [N, {c}, {h}, {w}], or frames of shape [N, {steps}, {c}, {h}, {w}]"
            ))),
        }
    }
}

#[pymethods]
impl Core {
    /// A fresh network; `settings` are those of a run, as JSON.
    #[new]
    fn new(
        py: Python<'_>,
        input: [usize; 3],
        class_names: Vec<String>,
        settings: &str,
        device: &str,
    ) -> PyResult<Self> {
        let settings = config_of(settings)?;
        settings.validate().map_err(config)?;
        let plan = settings.plan(input, class_names.len()).map_err(config)?;
        py.on_device(|| {
            let on = open(device)?;
            check_inference(&plan, 1, settings.time_steps, &on).map_err(config)?;
            let net = settings.build(plan, settings.seed, &on);
            let network = Described { config: settings, input, sensor: None, class_names };
            Ok(Self::of(State { network, net, on, checkpoint: None }))
        })
    }

    /// A run's best checkpoint, or a checkpoint.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf, device: &str) -> PyResult<Self> {
        py.on_device(|| Self::read(&path, open(device)?))
    }

    /// The name of the device that it is on.
    #[getter]
    fn device(&self) -> PyResult<String> {
        Ok(device::name(&self.state()?.on).to_string())
    }

    /// Moves it to another device.
    fn to(&self, py: Python<'_>, device: &str) -> PyResult<()> {
        py.on_device(|| {
            let on = open(device)?;
            let mut state = self.state()?;
            let (plan, settings) = (state.net.plan().clone(), &state.network.config);
            check_inference(&plan, 1, settings.time_steps, &on).map_err(config)?;
            let mut net = settings.build(plan, 0, &on);
            net.load_state(&state.net.state()).map_err(raise)?;
            self.put(State { net, on, ..state })
        })
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.work(|| self.state()?.checkpoint()?.write(&path).map_err(raise))
    }

    /// Settings, sizes and layers, as JSON.
    fn describe(&self) -> PyResult<String> {
        let state = self.state()?;
        let plan = state.net.plan();
        let layers = plan.layers.iter().map(|layer| {
            serde_json::json!({
                "module": layer.module, "layer": layer.spec.to_string(), "input": layer.input, "output": layer.output,
                "parameters": layer.parameters, "macs": layer.macs,
            })
        });
        // Through no `Value`, which would make 0.20000000298 of a single 0.2.
        #[derive(serde::Serialize)]
        struct Told<'a> {
            config: &'a TrainConfig,
            input: [usize; 3],
            class_names: &'a [String],
            layers: Vec<serde_json::Value>,
            net: String,
            parameters: u64,
        }
        let told = Told {
            config: &state.network.config,
            input: state.network.input,
            class_names: &state.network.class_names,
            layers: layers.collect(),
            net: plan.spec.to_string(),
            parameters: plan.parameters(),
        };
        Ok(serde_json::to_string(&told).expect("it is JSON"))
    }

    /// What each class gets at each time step, `[T, N, classes]`.
    fn forward<'py>(&self, py: Python<'py>, x: Values<'py>, batch: usize) -> PyResult<Out<'py, f32, IxDyn>> {
        let (values, shape) = (x.as_slice()?, x.as_array().shape().to_vec());
        let n = shape[0];
        let (out, steps, classes) = py.on_device(|| {
            let mut state = self.state()?;
            state.check(&shape)?;
            state.net.check().map_err(non_finite)?;
            let (steps, classes) = (state.network.config.time_steps, state.network.class_names.len());
            check_inference(state.net.plan(), batch.min(n), steps, &state.on).map_err(config)?;
            let mut out = crate::events::zeros(&[steps, n, classes])?;
            state.each_batch(values, &shape, batch, Record::Nothing, |samples, readout, _| {
                put(&mut out, &readout, samples, n, classes);
                Ok(())
            })?;
            Ok::<_, PyErr>((out, steps, classes))
        })?;
        Ok(Typed(out.into_pyarray(py).reshape(vec![steps, n, classes])?))
    }

    /// Spikes of every layer of neurons by its name, `[T, N, C, H, W]` or `[T, N, units]`, as 0 and 1.
    fn spikes<'py>(&self, py: Python<'py>, x: Values<'py>, batch: usize) -> PyResult<Named<'py>> {
        let (values, shape) = (x.as_slice()?, x.as_array().shape().to_vec());
        let n = shape[0];
        let (layers, steps) = py.on_device(|| {
            let mut state = self.state()?;
            state.check(&shape)?;
            state.net.check().map_err(non_finite)?;
            let steps = state.network.config.time_steps;
            check_inference(state.net.plan(), batch.min(n), steps, &state.on).map_err(config)?;
            // What is returned, and what a batch takes besides, is counted before the first of it takes room.
            let units: usize = state.net.plan().layers.iter().map(firing).sum();
            crate::events::room(&[units, steps, n.saturating_add(2 * batch.min(n))])?;
            let mut layers: Vec<Layer> = Vec::new();
            state.each_batch(values, &shape, batch, Record::Spikes, |samples, _, recorded| {
                let recorded: Vec<_> = recorded.into_iter().filter(|layer| layer.spikes.is_some()).collect();
                if layers.is_empty() {
                    for layer in &recorded {
                        let len = layer.shape.iter().product::<usize>();
                        let spikes = crate::events::zeros(&[steps, n, len])?;
                        let name = format!("layers.{}", layer.module);
                        layers.push(Layer { name, shape: layer.shape.clone(), spikes });
                    }
                }
                for (layer, found) in layers.iter_mut().zip(recorded) {
                    let found = found.spikes.expect("filtered").into_data();
                    let found = found.try_into_vec::<f32>().expect("f32 spikes");
                    put(&mut layer.spikes, &found, samples.clone(), n, layer.shape.iter().product());
                }
                Ok(())
            })?;
            Ok::<_, PyErr>((layers, steps))
        })?;
        let out = PyDict::new(py);
        for Layer { name, shape, spikes } in layers {
            let whole: Vec<usize> = [steps, n].into_iter().chain(shape.iter().copied()).collect();
            let array = spikes.into_pyarray(py).reshape(whole)?;
            let array = if shape.len() == 3 { array.permute(Some([0, 1, 4, 2, 3]))? } else { array };
            out.set_item(name, array)?;
        }
        Ok(Named(out))
    }

    /// Trains anew with these settings and keeps the epoch with the best validation. `heard` is called with the kind of what
    /// happened and a text of JSON; an exception in it ends the run. Returns the summary as JSON.
    fn fit(
        &self,
        py: Python<'_>,
        given: Given<'_>,
        settings: &str,
        heard: Heard,
        out: Option<PathBuf>,
    ) -> PyResult<String> {
        let State { network: Described { input, class_names, .. }, on, .. } = self.state()?;
        let settings = config_of(settings)?;
        let data = match given {
            Given::Set(samples) => {
                if samples.data.kind == Kind::Events {
                    same_frames(&samples.frames, &settings.frames())?;
                }
                samples.data.clone()
            }
            Given::Arrays(x, y) => data_of(&x, &y, &class_names)?,
        };
        let found = (data.shape(&settings.frames()), data.classes);
        if found != (input, class_names.len()) {
            let text = format!(
                "samples of shape {:?} and {} classes: this network is for {input:?} and {}",
                found.0,
                found.1,
                class_names.len()
            );
            return Err(value(text));
        }
        py.on_device(|| {
            let scratch = tempfile::tempdir().map_err(raise)?;
            let folder = out.unwrap_or_else(|| scratch.path().join("run"));
            let mut listener = Listener { heard: heard.0, asked: Instant::now(), failed: None };
            let mut trainer =
                Trainer::start_on(settings, data, RunFolder::new(&folder), &on).map_err(train)?;
            let outcome = trainer.run(&mut listener);
            if let Some(error) = listener.failed {
                return Err(error);
            }
            let Outcome::Finished(summary) = outcome.map_err(train)? else {
                return Err(PyRuntimeError::new_err("training was stopped"));
            };
            self.put(Self::read(&folder, on)?.state()?)?;
            Ok(serde_json::to_string(&summary).expect("a summary is JSON"))
        })
    }

    /// Accuracy, loss, confusion and firing rates, as JSON.
    fn evaluate(&self, py: Python<'_>, given: Given<'_>, batch: usize) -> PyResult<String> {
        let State { network, mut net, on, .. } = self.state()?;
        let (data, source, frames) = match given {
            Given::Set(samples) => (samples.data.clone(), samples.source.clone(), samples.frames),
            Given::Arrays(x, y) => {
                let data = data_of(&x, &y, &network.class_names)?;
                (data.clone(), data.train, network.config.frames())
            }
        };
        py.on_device(|| {
            let n = source.len();
            let found = (source.shape(&frames), data.classes);
            if found != (network.input, network.class_names.len()) {
                return Err(value(format!(
                    "samples of shape {:?} and {} classes do not fit this network",
                    found.0, found.1
                )));
            }
            if data.kind == Kind::Events && frames.steps != network.config.time_steps {
                let (found, own) = (frames.steps, network.config.time_steps);
                return Err(value(format!("samples of {found} time steps: this network takes {own}")));
            }
            check_inference(net.plan(), batch.min(n), network.config.time_steps, &on).map_err(config)?;
            let loader = Loader::new(source, (0..n).collect(), frames, batch).map_err(raise)?;
            let (mut failed, mut asked) = (None, Instant::now());
            let mut go_on = |_| {
                if asked.elapsed() > OFTEN {
                    asked = Instant::now();
                    failed = Python::attach(|py| py.check_signals()).err();
                }
                failed.is_none()
            };
            let ann = network.config.is_ann();
            let result = evaluate(&mut net, &loader, &network.config, ann, &mut go_on).map_err(train)?;
            match (failed, result) {
                (Some(error), _) => Err(error),
                (None, Some(result)) => Ok(serde_json::to_string(&result).expect("an evaluation is JSON")),
                (None, None) => Err(PyRuntimeError::new_err("evaluation was stopped")),
            }
        })
    }

    /// Parameters and running statistics, by PyTorch's names.
    fn state_dict<'py>(&self, py: Python<'py>) -> PyResult<Named<'py>> {
        let mut own = self.state()?;
        let state = py.work(|| own.net.state());
        let out = PyDict::new(py);
        for (name, tensor) in state {
            out.set_item(name, tensor.values.into_pyarray(py).reshape(tensor.shape)?)?;
        }
        Ok(Named(out))
    }

    fn load_state_dict(&self, py: Python<'_>, state: Named<'_>) -> PyResult<()> {
        let mut tensors = TensorMap::new();
        for (name, values) in &state.0 {
            let values: Values<'_> = values.extract()?;
            let shape = values.as_array().shape().to_vec();
            tensors.insert(name.extract()?, HostTensor { shape, values: values.as_slice()?.to_vec() });
        }
        let mut own = self.state()?;
        py.work(|| own.net.load_state(&tensors)).map_err(|e| match e {
            StateError::Shape { .. } => value(e.to_string()),
            _ => PyKeyError::new_err(e.to_string()),
        })?;
        own.net.check().map_err(|found| value(found.to_string()))?;
        own.checkpoint = None;
        self.put(own)
    }

    fn export_safetensors(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.work(|| {
            let mut state = self.state()?;
            let bytes = pytorch::export(&*state.checkpoint()?, &mut state.net).map_err(value)?;
            synfire::file::write_atomically(&path, &bytes).map_err(raise)
        })
    }

    /// Takes the weights of a state dict of PyTorch; returns which module came from which, and whether by shapes and numbers alone.
    fn import_pytorch(
        &self,
        py: Python<'_>,
        path: PathBuf,
        prefix: Option<&str>,
    ) -> PyResult<(Vec<(String, String)>, bool)> {
        py.work(|| {
            let file = StateDict::open(&path).map_err(raise)?;
            let mut state = self.state()?;
            let weights = file.weights_for(&mut state.net, prefix).map_err(raise)?;
            // Weights alone would make another network of it.
            let (lif, own) = (file.constants().map_err(raise)?, state.net.lif);
            for (name, found, expected) in
                [("threshold", lif.threshold, own.threshold), ("decay", lif.decay, own.decay)]
            {
                if let Some(found) = found.filter(|found| *found != expected) {
                    return Err(value(format!(
                        "{}: its {name} is {found}, this network's is {expected}",
                        path.display()
                    )));
                }
            }
            if let Some(exported) = file.exported() {
                let (theirs, own) = (&exported.config, &state.network.config);
                let told = |config: &TrainConfig, plan: &Plan| {
                    let Plan { spec, input: [c, h, w], classes, .. } = plan;
                    let TrainConfig { relu, threshold, decay, .. } = config;
                    format!(
                        "{spec} for {c}x{h}x{w} and {classes} classes, relu = {relu}, threshold = {threshold}, decay = {decay}"
                    )
                };
                let plan = theirs.plan(exported.input, exported.class_names.len()).map_err(config)?;
                let (theirs, own) = (told(theirs, &plan), told(own, state.net.plan()));
                if theirs != own {
                    return Err(value(format!("{}: its network is {theirs}; this one {own}", path.display())));
                }
            }
            state.net.load_state(&weights.tensors).map_err(raise)?;
            state.net.check().map_err(non_finite)?;
            state.checkpoint = None;
            self.put(state)?;
            Ok((weights.modules, weights.by_shape))
        })
    }

    /// Writes a NIR graph. Returns what is left to other programs.
    fn export_nir(
        &self,
        py: Python<'_>,
        path: PathBuf,
        dt: f64,
        fold_resistance: bool,
        sum_pool: bool,
    ) -> PyResult<Option<String>> {
        py.work(|| {
            let mut state = self.state()?;
            let State { network, net, .. } = &mut state;
            let translation = Translation::new(dt, fold_resistance, sum_pool);
            let graph = nir::export_described(network, net, translation).map_err(value)?;
            nir::write(&path, &graph).map_err(raise)?;
            Ok(nir::left_to_others(network))
        })
    }

    /// The network of a NIR graph, and notes about it.
    #[staticmethod]
    fn import_nir(
        py: Python<'_>,
        path: PathBuf,
        dt: Option<f64>,
        time_steps: Option<usize>,
        input: Option<[usize; 3]>,
    ) -> PyResult<(Self, Vec<String>)> {
        py.work(|| {
            let on = Device::flex();
            let graph = nir::read(&path).map_err(raise)?;
            let dt = dt.or(graph.metadata.dt).unwrap_or(nir::DT);
            let failed = |problem: String| value(format!("{}: {problem}", path.display()));
            let imported = nir::import(&graph, dt, input, &on).map_err(failed)?;
            let mut given = imported.settings();
            if let Some(steps) = time_steps.or(graph.metadata.time_steps) {
                given.insert("time-steps".into(), i64::try_from(steps).unwrap_or(i64::MAX).into());
            }
            let nir::Imported { net, class_names, notes, .. } = imported;
            let mut settings = TrainConfig::resolve(None, given).map_err(config)?;
            settings.dataset.clear();
            settings.validate().map_err(config)?;
            let network = Described { config: settings, input: net.plan().input, sensor: None, class_names };
            Ok((Self::of(State { network, net, on, checkpoint: None }), notes))
        })
    }
}

/// Refuses frames that are made in another way than the network is to be trained with.
fn same_frames(found: &FrameSpec, expected: &FrameSpec) -> PyResult<()> {
    let told = |spec: &FrameSpec| {
        [
            ("time_steps", spec.steps.to_string()),
            ("framing", spec.framing.to_string()),
            ("frame_size", spec.size.to_string()),
            ("downsampling", spec.downsampling.to_string()),
            ("polarities", spec.polarities.to_string()),
            ("frame_values", spec.values.to_string()),
        ]
    };
    for ((name, found), (_, expected)) in told(found).into_iter().zip(told(expected)) {
        if found != expected {
            let text = format!(
                "these samples have {name} = {found}, training is to have {expected}: load them with that"
            );
            return Err(value(text));
        }
    }
    Ok(())
}

/// A data set of arrays, all of them to train on.
fn data_of(x: &Values<'_>, y: &In<'_, i64, Ix1>, class_names: &[String]) -> PyResult<DataSet> {
    let shape = x.as_array().shape().to_vec();
    let classes = class_names.len();
    let label = |&label: &i64| match usize::try_from(label) {
        Ok(label) if label < classes => Ok(label),
        _ => Err(value(format!("a label of {label}, expected 0 to {}", classes - 1))),
    };
    let labels = y.as_slice()?.iter().map(label).collect::<PyResult<Vec<usize>>>()?;
    let source = Arrays::new(&shape, x.as_slice()?.to_vec(), labels).map_err(raise)?;
    let none: Vec<usize> = std::iter::once(0).chain(shape[1..].iter().copied()).collect();
    let empty = Arrays::new(&none, Vec::new(), Vec::new()).map_err(raise)?;
    Ok(DataSet::new("arrays", class_names.to_vec(), source, empty))
}

/// Tells Python how training goes.
struct Listener {
    heard: Py<PyAny>,
    asked: Instant,
    failed: Option<PyErr>,
}

impl Listener {
    /// Calls Python; `false` once it raised, or Ctrl-C was pressed.
    fn tell(&mut self, kind: &str, text: &str) -> bool {
        if self.failed.is_some() {
            return false;
        }
        let told = Python::attach(|py| {
            py.check_signals()?;
            self.heard.call1(py, (kind, text)).map(drop)
        });
        self.failed = told.err();
        self.failed.is_none()
    }

    /// The same, not more often than a person could see.
    fn tell_seldom(&mut self, kind: &str, text: impl FnOnce() -> String) -> bool {
        if self.failed.is_none() && self.asked.elapsed() < OFTEN {
            return true;
        }
        self.asked = Instant::now();
        self.tell(kind, &text())
    }
}

impl Observer for Listener {
    fn note(&mut self, text: &str) {
        self.tell("note", text);
    }

    fn warning(&mut self, text: &str) {
        self.tell("warning", text);
    }

    fn batch(&mut self, report: &BatchReport) -> bool {
        let samples = report.sums.samples.max(1) as f64;
        let (loss, accuracy) = (report.sums.loss / samples, report.sums.correct as f64 / samples);
        self.tell_seldom("batch", || {
            serde_json::json!({
                "epoch": report.epoch, "batch": report.batch, "batches": report.batches, "loss": loss, "accuracy": accuracy,
            })
            .to_string()
        })
    }

    fn evaluated(&mut self, _samples: usize) -> bool {
        self.tell_seldom("evaluated", String::new)
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.tell("epoch", &serde_json::to_string(record).expect("a record is JSON"));
    }
}
