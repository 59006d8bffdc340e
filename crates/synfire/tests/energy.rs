//! Operations against counts made one by one.

mod common;

use burn::tensor::Device;
use std::sync::Arc;
use synfire::energy::{FP32, INT8, count};
use synfire::net::{Input, Net, Pass, Plan, Record};
use synfire::ops::Lif;
use synfire::train::{Learning, TrainConfig};
use synfire_data::{Loader, Locations, Source, open};

/// `[steps][channels][height][width]` of one sample, and whether a product of it is more than an addition.
struct Layer {
    values: Vec<f32>,
    sizes: [usize; 3],
}

/// Products whose input is not 0 of a convolution, one by one.
fn products(layer: &Layer, steps: usize, outputs: usize, kernel: usize, stride: usize) -> u64 {
    let [channels, height, width] = layer.sizes;
    let mut count = 0;
    for step in 0..steps {
        for oy in 0..(height - 1) / stride + 1 {
            for ox in 0..(width - 1) / stride + 1 {
                for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
                    let (y, x) = (oy * stride + ky, ox * stride + kx);
                    let inside = |at: usize, len: usize| (kernel / 2..len + kernel / 2).contains(&at);
                    if !inside(y, height) || !inside(x, width) {
                        continue;
                    }
                    let (y, x) = (y - kernel / 2, x - kernel / 2);
                    for c in 0..channels {
                        let at = ((step * channels + c) * height + y) * width + x;
                        count += if layer.values[at] != 0.0 { outputs as u64 } else { 0 };
                    }
                }
            }
        }
    }
    count
}

/// A layer pooled by windows of two, by their largest value or their mean.
fn pooled(layer: &Layer, largest: bool) -> Layer {
    let [channels, height, width] = layer.sizes;
    let planes = layer.values.chunks_exact(height * width).flat_map(|plane| {
        (0..height / 2 * (width / 2)).map(move |i| {
            let (y, x) = (i / (width / 2) * 2, i % (width / 2) * 2);
            let four = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(dy, dx)| plane[(y + dy) * width + x + dx]);
            if largest {
                four.iter().fold(0.0, |m: f32, v| m.max(*v))
            } else {
                four.iter().sum::<f32>() / 4.0
            }
        })
    });
    Layer { values: planes.collect(), sizes: [channels, height / 2, width / 2] }
}

#[test]
fn operations_are_those_counted_one_by_one() {
    const STEPS: usize = 3;
    let device = Device::flex();
    let set = open("digits", &Locations::from_folders(Vec::new())).unwrap();
    let plan = Plan::new(&"4C3S2-MP2-5C3-AP2-6FC-VOTE2".parse().unwrap(), [1, 8, 8], 10, true).unwrap();
    let mut net = Net::new(plan, Lif { threshold: 0.2, ..Lif::default() }, 3, &device);
    let config = TrainConfig { time_steps: STEPS, batch_size: 4, ..TrainConfig::default() };
    let samples: Vec<usize> = (0..7).collect();
    let test: Arc<dyn Source> = set.test.clone();
    let loader = Loader::new(test.clone(), samples.clone(), config.frames(), 4).unwrap();
    let counted = count(&mut net, &loader, &config, &mut |_| true).unwrap().unwrap();

    let mut expected = [0_u64; 4];
    let mut spikes_of = [0.0_f64; 4];
    for &i in &samples {
        let mut image = vec![0.0; 64];
        test.load(i, &config.frames(), &mut image).unwrap();
        let input = common::tensor(&image, [1, 1, 8, 8]);
        let mut pass = Pass::inference().recording(Record::Spikes);
        net.forward(Input::constant(input, STEPS), &mut pass);
        // Channels last as they are recorded, channels first as they are counted here.
        let layers: Vec<Layer> = pass
            .recorded
            .iter()
            .map(|recorded| {
                let flat = common::values(recorded.spikes.clone().unwrap());
                let [h, w, c] = match recorded.shape[..] {
                    [h, w, c] => [h, w, c],
                    _ => [1, 1, recorded.shape.iter().product()],
                };
                let mut values = vec![0.0; flat.len()];
                for (i, value) in flat.iter().enumerate() {
                    let (step, place, channel) = (i / (h * w * c), i / c % (h * w), i % c);
                    values[(step * c + channel) * h * w + place] = *value;
                }
                Layer { values, sizes: [c, h, w] }
            })
            .collect();
        for (sum, layer) in spikes_of.iter_mut().zip(&layers) {
            *sum += f64::from(layer.values.iter().sum::<f32>());
        }
        let first = Layer { values: image.repeat(STEPS), sizes: [1, 8, 8] };
        let row = |layer: &Layer| {
            let n = layer.sizes.iter().product();
            Layer { values: layer.values.clone(), sizes: [n, 1, 1] }
        };
        expected[0] += products(&first, STEPS, 4, 3, 2);
        expected[1] += products(&pooled(&layers[0], true), STEPS, 5, 3, 1);
        expected[2] += products(&row(&pooled(&layers[1], false)), STEPS, 6, 1, 1);
        expected[3] += products(&row(&layers[2]), STEPS, 20, 1, 1);
    }
    assert!(expected.iter().all(|&n| n > 0) && spikes_of.iter().all(|&n| n > 0.0), "{expected:?}");
    let found: Vec<u64> = counted.layers.iter().map(|layer| (7.0 * layer.effective).round() as u64).collect();
    assert_eq!(found, expected);
    let names: Vec<&str> = counted.layers.iter().map(|layer| &*layer.module).collect();
    assert_eq!(names, ["layers.0", "layers.5", "layers.11", "layers.14"]);
    // Images and averages are numbers, what neurons fire and its maximum are not.
    assert_eq!(
        counted.layers.iter().map(|layer| layer.binary).collect::<Vec<_>>(),
        [false, true, false, true]
    );
    let dense = [9 * 4 * 16, 36 * 5 * 4, 5 * 6, 6 * 20].map(|macs| f64::from(STEPS as u32 * macs));
    assert_eq!(counted.layers.iter().map(|layer| layer.dense).collect::<Vec<_>>(), dense);
    for (layer, spikes) in counted.neurons.iter().zip(spikes_of) {
        let rate = spikes / (7 * STEPS * layer.neurons) as f64;
        assert!((layer.rate - rate).abs() <= 1e-6, "{layer:?}, expected {rate}");
    }

    let (macs, acs) = ((expected[0] + expected[2]) as f64 / 7.0, (expected[1] + expected[3]) as f64 / 7.0);
    let (without, with) = (counted.energy(FP32), counted.energy_with_memory(FP32, 5.0));
    assert!((with.snn - without.snn - 5.0 * (macs + acs)).abs() <= 1e-6 * with.snn);
    let potentials: usize = counted.neurons.iter().map(|layer| 2 * STEPS * layer.neurons).sum();
    assert!((with.neurons - without.neurons - 5.0 * potentials as f64).abs() <= 1e-6 * with.neurons);
    assert!((with.ann - without.ann - 5.0 * counted.dense_step).abs() <= 1e-6 * with.ann);
    let neurons = counted.neurons.iter().map(|layer| layer.neurons).sum::<usize>();
    assert_eq!(neurons, 64 + 20 + 6 + 20);
    for (costs, [mac, ac]) in [(FP32, [4.6, 0.9]), (INT8, [0.23, 0.03])] {
        let energy = counted.energy(costs);
        assert!((energy.snn - (mac * macs + ac * acs)).abs() <= 1e-6 * energy.snn);
        let near = |found: f64, expected: f64| (found - expected).abs() <= 1e-9 * expected;
        assert!(near(energy.neurons, mac * (neurons * STEPS) as f64), "{energy:?}");
        assert!(near(energy.ann, mac * dense.iter().sum::<f64>() / STEPS as f64), "{energy:?}");
    }
    // The paper's table: a rate of 0.097 over 16 steps is a ratio of 29.6, one of 0.176 is 16.3.
    let ratio = counted.paper_energy().ratio();
    assert!((ratio - 46.0 / (STEPS as f64 * counted.rate())).abs() <= 1e-6 * ratio);
    let published = |rate: f64| synfire::energy::paper_ratio(16, rate);
    assert!((published(0.097) - 29.6).abs() < 0.05 && (published(0.176) - 16.3).abs() < 0.05);
}

#[test]
fn counting_can_be_stopped() {
    let set = open("digits", &Locations::from_folders(Vec::new())).unwrap();
    let plan = Plan::new(&"2C3-LI1".parse().unwrap(), [1, 8, 8], 10, true).unwrap();
    let mut net = Net::new(plan, Lif::default(), 0, &Device::flex());
    let config = TrainConfig { time_steps: 2, batch_size: 2, ..TrainConfig::default() };
    let loader = Loader::new(set.test.clone(), (0..6).collect(), config.frames(), 2).unwrap();
    let mut told = Vec::new();
    let stopped = count(&mut net, &loader, &config, &mut |samples| {
        told.push(samples);
        samples < 4
    });
    assert_eq!((stopped.unwrap(), told), (None, vec![0, 2, 4]));
}

/// A convolution of 3 by 3 with its bias, a batch norm that has seen nothing yet, and ReLU, one by one.
fn convolved(layer: &Layer, weights: &[f32], bias: &[f32]) -> Layer {
    let [channels, height, width] = layer.sizes;
    let mut values = Vec::new();
    for (o, bias) in bias.iter().enumerate() {
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let mut sum = f64::from(*bias);
            for (c, (ky, kx)) in (0..channels).flat_map(|c| (0..9).map(move |k| (c, (k / 3, k % 3)))) {
                if (1..=height).contains(&(y + ky)) && (1..=width).contains(&(x + kx)) {
                    let value = layer.values[(c * height + y + ky - 1) * width + x + kx - 1];
                    sum += f64::from(value * weights[((o * channels + c) * 3 + ky) * 3 + kx]);
                }
            }
            values.push((sum / (1.0 + 1e-5_f64).sqrt()).max(0.0) as f32);
        }
    }
    Layer { values, sizes: [bias.len(), height, width] }
}

#[test]
fn operations_of_a_network_without_time_are_those_counted_one_by_one() {
    let device = Device::flex();
    let set = open("digits", &Locations::from_folders(Vec::new())).unwrap();
    let plan = Plan::new(&"4C3-MP2-5C3-AP2-LI1".parse().unwrap(), [1, 8, 8], 10, true).unwrap();
    let mut net = Net::new(plan, Lif::default(), 3, &device);
    let config =
        TrainConfig { method: Learning::Ann, time_steps: 1, batch_size: 4, ..TrainConfig::default() };
    let test: Arc<dyn Source> = set.test.clone();
    let loader = Loader::new(test.clone(), (0..7).collect(), config.frames(), 4).unwrap();
    let counted = count(&mut net, &loader, &config, &mut |_| true).unwrap().unwrap();

    let state = net.state();
    let of = |name: &str| state[name].values.as_slice();
    let mut expected = [0_u64; 3];
    for i in 0..7 {
        let mut image = vec![0.0; 64];
        test.load(i, &config.frames(), &mut image).unwrap();
        let image = Layer { values: image, sizes: [1, 8, 8] };
        let first = pooled(&convolved(&image, of("layers.0.weight"), of("layers.0.bias")), true);
        let second = pooled(&convolved(&first, of("layers.5.weight"), of("layers.5.bias")), false);
        let flat = Layer { sizes: [second.values.len(), 1, 1], values: second.values };
        expected[0] += products(&image, 1, 4, 3, 1);
        expected[1] += products(&first, 1, 5, 3, 1);
        expected[2] += products(&flat, 1, 10, 1, 1);
    }
    let found: Vec<u64> = counted.layers.iter().map(|layer| (7.0 * layer.effective).round() as u64).collect();
    assert_eq!(found, expected);
    // ReLU leaves zeros, but no ones: each product is a multiplication, and there are no neurons.
    assert!(counted.layers.iter().all(|layer| !layer.binary) && !counted.spikes(), "{counted:?}");
    assert!(counted.layers[1].effective < counted.layers[1].dense && counted.layers[1].effective > 0.0);
    let dense = [9 * 4 * 64, 36 * 5 * 16, 20 * 10].map(f64::from);
    assert_eq!(counted.layers.iter().map(|layer| layer.dense).collect::<Vec<_>>(), dense);
    for (costs, mac) in [(FP32, 4.6), (INT8, 0.23)] {
        let energy = counted.energy(costs);
        let products = expected.iter().sum::<u64>() as f64 / 7.0;
        assert!((energy.snn - mac * products).abs() <= 1e-6 * energy.snn && energy.neurons == 0.0);
        assert!((energy.ann - mac * dense.iter().sum::<f64>()).abs() <= 1e-9 * energy.ann);
    }
    assert!(counted.energies().iter().all(|(by, _)| *by != "paper's formula"));
}
