//! How fast a network trains and infers on this machine, and where the time of a training step goes.

mod profile;
mod step_file;

pub use profile::{Profile, profile};
pub use step_file::save_step;

use crate::loss::Loss;
use crate::net::{Density, Input, Net, NonFinite, Pass, Plan, Readout, Record};
use crate::ops::{self, Lif, LifShape};
use crate::optim::{Optimizer, OptimizerKind};
use crate::train::{self, ConfigError, Step, TrainConfig, TrainError};
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::time::{Duration, Instant};
use synfire_data::{Loader, Source, evenly_spaced, random};

/// Share of the values of synthetic event frames that are 1; the others are 0.
pub const EVENT_DENSITY: f64 = 0.05;
/// Steps measured at least, after one that is not.
const LEAST_STEPS: usize = 5;

/// A batch to measure with.
#[derive(Debug, Clone)]
pub struct Load {
    /// What the network sees.
    pub input: Input,
    /// The class of each sample.
    pub labels: Vec<usize>,
}

impl Load {
    /// Random samples for `plan`, the same for the same sizes: where the input has two channels, event frames whose
    /// values are 1 with probability [`EVENT_DENSITY`] and else 0, otherwise still images, uniform from 0 to 1.
    pub fn synthetic(plan: &Plan, batch: usize, steps: usize, device: &Device) -> Self {
        let mut rng = random::stream("speed", 0, 0, 0);
        let [c, h, w] = plan.input;
        let input = if c == 2 {
            let event = |_| f32::from(u8::from(rng.random_bool(EVENT_DENSITY)));
            let frames: Vec<f32> = (0..steps * batch * c * h * w).map(event).collect();
            Input::frames(Tensor::from_data(TensorData::new(frames, [steps, batch, c, h, w]), device))
        } else {
            let images: Vec<f32> = (0..batch * c * h * w).map(|_| rng.random()).collect();
            Input::constant(Tensor::from_data(TensorData::new(images, [batch, c, h, w]), device), steps)
        };
        let labels = (0..batch).map(|_| rng.random_range(0..plan.classes)).collect();
        Self { input, labels }
    }

    /// A batch of `source` as the run of `config` would test with it, evenly spaced over the order of the files.
    ///
    /// # Errors
    /// If there are fewer samples than a batch has, or one cannot be loaded.
    pub fn real(source: &Arc<dyn Source>, config: &TrainConfig, device: &Device) -> Result<Self, TrainError> {
        let (batch, available) = (config.batch_size, source.len());
        if batch > available {
            let (key, found) = ("batch-size", batch.to_string());
            let expected = format!("at most {available}, the samples there are");
            return Err(ConfigError::Value { key, found, expected }.into());
        }
        let loader = Loader::new(source.clone(), evenly_spaced(batch, available), config.frames(), batch)?;
        let batch = loader.iter(&loader.file_order(), 0).next().expect("a batch has samples")?;
        let input = train::input(&batch, config, false, train::EVALUATION, device);
        Ok(Self { input, labels: batch.labels })
    }
}

/// How dense the input of each convolution of `net` is in a training step on `load`.
pub fn densities(net: &Net, load: &Load) -> Vec<Density> {
    let mut pass = Pass::training(None).recording(Record::Densities);
    // The running statistics that change are the copy's.
    net.clone().forward(load.input.clone(), &mut pass);
    pass.densities
}

/// The loss that the published recipes train a readout with.
pub fn usual_loss(readout: Readout) -> Loss {
    match readout {
        Readout::Vote => Loss::Mse,
        Readout::LeakyIntegrator => Loss::CrossEntropy,
    }
}

/// Times of some steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    /// Seconds of each step, sorted.
    seconds: Vec<f64>,
    batch: usize,
}

impl Times {
    /// Repeats `step` for `time`, and at least [`LEAST_STEPS`] times, after once to warm up.
    fn measure<E>(batch: usize, time: Duration, mut step: impl FnMut() -> Result<(), E>) -> Result<Self, E> {
        step()?;
        let end = Instant::now() + time;
        let mut seconds = Vec::new();
        while seconds.len() < LEAST_STEPS || Instant::now() < end {
            let start = Instant::now();
            step()?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        Ok(Self { seconds, batch })
    }

    /// How many steps were measured.
    pub fn steps(&self) -> usize {
        self.seconds.len()
    }

    /// Samples per second of the median step, and of the slowest and the fastest.
    pub fn samples_per_s(&self) -> [f64; 3] {
        let n = self.seconds.len();
        [n / 2, n - 1, 0].map(|i| self.batch as f64 / self.seconds[i].max(1e-9))
    }

    /// Milliseconds of the median step, and of the slowest and the fastest.
    pub fn milliseconds(&self) -> [f64; 3] {
        let n = self.seconds.len();
        [n / 2, n - 1, 0].map(|i| self.seconds[i] * 1e3)
    }
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Speed {
    /// Training: forward, loss, backward, AdamW.
    pub train: Times,
    /// Inference: forward without gradients, with running statistics in the same kernel as the neurons.
    pub infer: Times,
    /// The loss of the first step.
    pub first_loss: f64,
}

/// Training steps on the same batch again and again.
struct Training<'a> {
    load: &'a Load,
    loss: Loss,
    optimizer: Optimizer,
    dropout: ChaCha8Rng,
}

impl<'a> Training<'a> {
    fn new(load: &'a Load, loss: Loss) -> Self {
        let optimizer = Optimizer::new(OptimizerKind::AdamW, 1e-4, 0.0);
        Self { load, loss, optimizer, dropout: random::stream("dropout", 0, 0, 0) }
    }

    /// One step, and its loss. The learning rate is 0: the same work, but the weights stay, and with them the spikes.
    fn step(&mut self, net: &mut Net) -> Result<f64, NonFinite> {
        let mut pass = Pass::training(Some(&mut self.dropout));
        let Step { loss, gradients, .. } =
            Step::run(net, self.load.input.clone(), &self.load.labels, self.loss, &mut pass)?;
        self.optimizer.step(net, gradients, 0.0);
        Ok(loss)
    }
}

/// Measures `net` on the same batch again and again, each of training and inference for `time`. The weights stay, the
/// running statistics change.
///
/// # Errors
/// If a value becomes NaN or infinite.
///
/// # Panics
/// If the load's shape is not the network's.
pub fn measure(net: &mut Net, load: &Load, loss: Loss, time: Duration) -> Result<Speed, NonFinite> {
    let batch = load.labels.len();
    let infer = Times::measure(batch, time, || {
        let mut pass = Pass::inference();
        let readout = net.forward(load.input.clone(), &mut pass);
        readout.into_data();
        pass.check()
    })?;
    let mut training = Training::new(load, loss);
    let mut first_loss = None;
    let train = Times::measure(batch, time, || {
        let loss = training.step(net)?;
        first_loss.get_or_insert(loss);
        // A GPU may still be at the optimiser; what goes wrong there shows when values are read.
        let _ = net.device().sync();
        Ok(())
    })?;
    Ok(Speed { train, infer, first_loss: first_loss.expect("a step ran") })
}

/// Measures a layer of `units` neurons alone for `time`: spikes of random currents, and the currents' gradient from a random error of
/// every spike.
pub fn neurons(units: usize, steps: usize, lif: Lif, device: &Device, time: Duration) -> Times {
    let mut rng = random::stream("speed", 0, 0, 0);
    let mut values = |low: f32, high: f32| {
        let values: Vec<f32> = (0..steps * units).map(|_| rng.random_range(low..high)).collect();
        Tensor::<2>::from_data(TensorData::new(values, [steps, units]), device)
    };
    let (current, error) = (values(0.0, 0.5).autodiff().require_grad(), values(-1.0, 1.0));
    let shape = LifShape { steps, constant: false, lif };
    let times = Times::measure(units, time, || {
        let gradients = (ops::lif(current.clone(), shape) * error.clone()).sum().backward();
        let _gradient = current.grad(&gradients).expect("the current's");
        let _ = device.sync();
        Ok::<_, std::convert::Infallible>(())
    });
    times.unwrap_or_else(|never| match never {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_input_are_measured() {
        let device = Device::flex();
        for channels in [1, 2] {
            let plan = Plan::new(&"4C3-AP2-LI1".parse().unwrap(), [channels, 6, 6], 10, true).unwrap();
            let load = Load::synthetic(&plan, 3, 2, &device);
            assert_eq!((load.input.batch(), load.labels.len()), (3, 3));
            let mut net = Net::new(plan, Lif::default(), 0, &device);
            let [density] = &densities(&net, &load)[..] else { panic!("there is one convolution") };
            // 216 values, of which 1 in 20 is an event; or pixels, of which hardly any is 0.
            let expected = if channels == 2 { 0.005..0.15 } else { 0.9..1.01 };
            assert!(density.module == "layers.0" && expected.contains(&density.share), "{density:?}");
            let of_neurons = neurons(5, 3, Lif::default(), &device, Duration::ZERO);
            let [median, most, least] = of_neurons.milliseconds();
            assert!(of_neurons.steps() == LEAST_STEPS && 0.0 < least && least <= median && median <= most);
            let before = net.state();
            let speed = measure(&mut net, &load, Loss::CrossEntropy, Duration::ZERO).unwrap();
            assert_eq!((speed.train.steps(), speed.infer.steps()), (LEAST_STEPS, LEAST_STEPS));
            let [median, least, most] = speed.train.samples_per_s();
            assert!(0.0 < least && least <= median && median <= most);
            assert!(speed.first_loss > 0.0);
            for parameter in net.parameters() {
                let name = &parameter.name;
                let values = parameter.value().into_data().try_into_vec::<f32>().unwrap();
                assert_eq!(before[name].values, values, "{name} stays");
            }
        }
    }
}
