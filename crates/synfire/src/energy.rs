//! How many operations a network does on real samples, and what they would cost in energy.
//!
//! Counted are the products of a layer's inputs and weights, in NeuroBench's terms (J. Yik et al., *The NeuroBench framework for
//! benchmarking neuromorphic computing algorithms and systems*, 2023): *dense*, as a processor does them that knows nothing of
//! zeros; of these the *effective* ones, whose input is not 0: *MACs*, multiplications and additions, where inputs are any numbers, and
//! *ACs*, additions alone, where all inputs are 0 or 1. Spikes are, averages of them are not, nor are images; weights of 0 count as
//! others do. Batch norm is taken to be folded into the weights.
//!
//! Energies are those of arithmetic alone in a 45 nm process (M. Horowitz, *Computing's energy problem*, ISSCC 2014). Moving data costs
//! more than computing on most machines: they compare algorithms, not devices. [`Operations::energy_with_memory`] adds it, for a machine
//! that keeps nothing at hand.

use crate::net::{Net, Operands, Record};
use crate::train::{TrainConfig, TrainError, each_batch};
use serde::{Deserialize, Serialize};
use synfire_data::Loader;

/// Energy of operations, in picojoules.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Costs {
    /// What numbers are.
    pub numbers: &'static str,
    /// A multiplication and an addition.
    pub mac: f64,
    /// An addition.
    pub ac: f64,
}

/// Single precision: 3.7 and 0.9 pJ.
pub const FP32: Costs = Costs { numbers: "fp32", mac: 4.6, ac: 0.9 };
/// Bytes: 0.2 and 0.03 pJ.
pub const INT8: Costs = Costs { numbers: "int8", mac: 0.23, ac: 0.03 };
/// What the BPSTA paper counts a spike with: an addition of 32-bit integers.
const PAPER_AC: f64 = 0.1;

/// Operations of one layer for one sample, over all time steps, in the mean over the samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerOperations {
    /// `layers.5`, or `layers.9.conv1` within a residual block.
    pub module: String,
    /// As a dense network does them at every time step.
    pub dense: f64,
    /// Those whose input is not 0.
    pub effective: f64,
    /// All inputs were 0 or 1: the effective operations are ACs, else MACs.
    pub binary: bool,
    /// Share of the inputs that were not 0.
    pub density: f64,
}

/// A layer of neurons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NeuronLayer {
    /// `layers.3`, or `layers.9.1` within a residual block.
    pub module: String,
    /// Neurons.
    pub neurons: usize,
    /// Mean spikes per neuron and step.
    pub rate: f64,
}

/// Operations of a network for one sample, in the mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operations {
    /// Samples counted.
    pub samples: usize,
    /// Time steps.
    pub time_steps: usize,
    /// MACs of one time step of a dense network of this shape: what a network without time does in all.
    pub dense_step: f64,
    /// The layers with weights.
    pub layers: Vec<LayerOperations>,
    /// The layers of neurons.
    pub neurons: Vec<NeuronLayer>,
}

/// What a sample costs, in picojoules.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Energy {
    /// A network of the same shape without time, dense.
    pub ann: f64,
    /// The spiking network: products of inputs and weights.
    pub snn: f64,
    /// Beside them, a multiplication and an addition for each neuron at each step; the paper counts none.
    pub neurons: f64,
}

impl Energy {
    /// How many times as much the network without time takes.
    pub fn ratio(&self) -> f64 {
        self.ann / (self.snn + self.neurons)
    }
}

impl Operations {
    /// Effective operations of layers whose inputs are spikes, or are not.
    fn effective(&self, binary: bool) -> f64 {
        // From 0: the sum of no number is -0.
        self.layers
            .iter()
            .filter(|layer| layer.binary == binary)
            .fold(0.0, |sum, layer| sum + layer.effective)
    }

    /// Additions alone.
    pub fn acs(&self) -> f64 {
        self.effective(true)
    }

    /// Multiplications and additions.
    pub fn macs(&self) -> f64 {
        self.effective(false)
    }

    /// Of a dense network at every time step.
    pub fn dense(&self) -> f64 {
        self.layers.iter().map(|layer| layer.dense).sum()
    }

    /// Mean spikes per neuron and step of all neurons.
    pub fn rate(&self) -> f64 {
        let spikes = self.neurons.iter().fold(0.0, |sum, layer| sum + layer.rate * layer.neurons as f64);
        spikes / self.neurons().max(1) as f64
    }

    /// All neurons.
    fn neurons(&self) -> usize {
        self.neurons.iter().map(|layer| layer.neurons).sum()
    }

    /// What the effective operations cost.
    pub fn energy(&self, costs: Costs) -> Energy {
        Energy {
            ann: self.dense_step * costs.mac,
            snn: self.macs() * costs.mac + self.acs() * costs.ac,
            neurons: (self.neurons() * self.time_steps) as f64 * costs.mac,
        }
    }

    /// By the formula of the BPSTA paper: every MAC of a dense network costs 4.6 pJ; in the spiking one it is an integer addition
    /// of 0.1 pJ, done as often as the mean neuron fires. Their ratio is 46/(T·rate).
    pub fn paper_energy(&self) -> Energy {
        let adds = self.dense_step * self.rate() * self.time_steps as f64;
        Energy { ann: self.dense_step * FP32.mac, snn: adds * PAPER_AC, neurons: 0.0 }
    }

    /// The same with memory, of which each access to a number costs `access` picojoules: every product fetches its weight, as if none
    /// were kept at hand, and every neuron reads its potential and writes it at each step. In 45 nm, of 32 bits: 5 pJ from a memory of
    /// 8 kB, 50 pJ from one of 1 MB, 650 pJ and more from DRAM (Horowitz, half of what he gives for 64 bits).
    pub fn energy_with_memory(&self, costs: Costs, access: f64) -> Energy {
        let Energy { ann, snn, neurons } = self.energy(costs);
        Energy {
            ann: ann + access * self.dense_step,
            snn: snn + access * (self.macs() + self.acs()),
            neurons: neurons + access * (2 * self.neurons() * self.time_steps) as f64,
        }
    }

    /// There are neurons.
    pub fn spikes(&self) -> bool {
        !self.neurons.is_empty()
    }

    /// By whom a sample's energy is counted, and what it is. The paper's formula is of firing rates alone.
    pub fn energies(&self) -> Vec<(&'static str, Energy)> {
        let ours = [FP32, INT8].map(|costs| (costs.numbers, self.energy(costs)));
        let by_paper = self.spikes().then(|| ("paper's formula", self.paper_energy()));
        ours.into_iter().chain(by_paper).collect()
    }
}

/// How many times as much energy a network without time takes by the paper's formula: 46/(T·rate).
pub fn paper_ratio(time_steps: usize, rate: f64) -> f64 {
    FP32.mac / (PAPER_AC * time_steps as f64 * rate)
}

/// Sums of one layer.
#[derive(Default)]
struct Sums {
    dense: u128,
    effective: u128,
    present: u128,
    values: u128,
    graded: bool,
}

/// Counts the operations of `net` on all samples of `loader`. `keep_going` is told how many are done, before each batch; once it
/// says no, there is no result.
///
/// # Errors
/// If a sample cannot be loaded, or a sample, a weight or what the network computes from them is NaN or infinite.
pub fn count(
    net: &mut Net,
    loader: &Loader,
    config: &TrainConfig,
    keep_going: &mut dyn FnMut(usize) -> bool,
) -> Result<Option<Operations>, TrainError> {
    let mut layers: Vec<(String, Sums)> = Vec::new();
    let mut neurons: Vec<NeuronLayer> = Vec::new();
    let mut samples = 0;
    let ended = each_batch(
        net,
        loader,
        config,
        config.is_ann(),
        Record::Operations,
        keep_going,
        &mut |batch, _, pass| {
            // The layers of every batch come in the same order.
            for (i, operands) in pass.operands.into_iter().enumerate() {
                let turns = if operands.constant { config.time_steps as u128 } else { 1 };
                if layers.len() == i {
                    layers.push((operands.module.clone(), Sums::default()));
                }
                let sums = &mut layers[i].1;
                sums.dense += turns * u128::from(operands.shape.macs());
                sums.effective += turns * effective(&operands);
                sums.present += operands.present.iter().map(|&n| u128::from(n)).sum::<u128>();
                sums.values += operands.shape.input_len() as u128;
                sums.graded |= !operands.binary;
            }
            let n = batch.labels.len();
            for (i, layer) in pass.recorded.into_iter().enumerate() {
                if neurons.len() == i {
                    let module = format!("layers.{}", layer.module);
                    neurons.push(NeuronLayer { module, neurons: layer.shape.iter().product(), rate: 0.0 });
                }
                neurons[i].rate += n as f64 * f64::from(layer.rate.into_scalar::<f32>());
            }
            samples += n;
            Ok(())
        },
    )?;
    if !ended {
        return Ok(None);
    }
    let each = samples.max(1) as f64;
    neurons.iter_mut().for_each(|layer| layer.rate /= each);
    let of_sample = |(module, sums): (String, Sums)| LayerOperations {
        module,
        dense: sums.dense as f64 / each,
        effective: sums.effective as f64 / each,
        binary: !sums.graded,
        density: sums.present as f64 / sums.values.max(1) as f64,
    };
    let layers = layers.into_iter().map(of_sample).collect();
    let dense_step = net.plan().macs() as f64;
    Ok(Some(Operations { samples, time_steps: config.time_steps, dense_step, layers, neurons }))
}

/// Products of inputs that are not 0: at each place, as many for each of them as there are outputs that it reaches.
fn effective(operands: &Operands) -> u128 {
    let shape = &operands.shape;
    let reach = |axis: usize, len: usize, out: usize| -> Vec<u128> {
        let (kernel, stride, padding) = (shape.kernel[axis], shape.stride[axis], shape.padding[axis]);
        let reaches = |at: usize, o: usize| (o * stride..o * stride + kernel).contains(&(at + padding));
        (0..len).map(|at| (0..out).filter(|&o| reaches(at, o)).count() as u128).collect()
    };
    let rows = reach(0, shape.height, shape.out_height());
    let columns = reach(1, shape.width, shape.out_width());
    let places = operands.present.chunks_exact(shape.width.max(1)).zip(&rows);
    let reached = places.map(|(present, row)| {
        row * present.iter().zip(&columns).map(|(&n, column)| u128::from(n) * column).sum::<u128>()
    });
    reached.sum::<u128>() * shape.out_channels as u128
}
