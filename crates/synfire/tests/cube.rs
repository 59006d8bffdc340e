//! The kernels for GPUs agree with the portable operations on the CPU: forward and every gradient, over shapes, tails and
//! methods.
//!
//! A program of its own instead of the usual harness, so that a machine without a GPU says so. SYNFIRE_TEST_DEVICE names the
//! device (`webgpu`, `cuda:1`), which has to be there then; without it the first one that can be used is taken.

mod common;

use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Cube, CubeDevice, DispatchDevice, Flex};
use burn::tensor::{DType, Device, TensorData};
use burn_cubecl::tensor::CubeTensor;
use common::{largest, random, spikes, within};
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use synfire::device::{DeviceName, description, list};
use synfire::ops::{
    self, AdamWStep, BlockConfig, BlockShape, ConvShape, IntegratorShape, Lif, LifShape, LinearShape,
    MeanShape, Method, NormConfig, NormShape, Pool, PoolShape, Pooling, Precision, RunningShape,
    SpikeKernels, portable,
};
use synfire::parallel::{Group, Team, Threads, during};
use synfire_data::Share;

/// The device under test, or why there is none.
fn device() -> Result<Device, String> {
    if let Ok(name) = std::env::var("SYNFIRE_TEST_DEVICE") {
        let opened = name.parse::<DeviceName>().and_then(DeviceName::open);
        return Ok(opened.unwrap_or_else(|error| panic!("SYNFIRE_TEST_DEVICE={name}: {error}")));
    }
    let listed = list();
    let usable = listed.iter().find(|one| one.name != "cpu" && one.problem.is_none());
    match usable {
        Some(one) => one.name.parse::<DeviceName>().and_then(DeviceName::open).map_err(|e| e.to_string()),
        None => {
            Err(listed.iter().filter_map(|one| one.problem.as_ref()).map(|p| format!("\n  {p}")).collect())
        }
    }
}

fn main() {
    // The test runner asks what there is to run.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let device = match device() {
        Ok(device) => device,
        Err(problem) => return println!("test cube ... ignored, no GPU:{problem}"),
    };
    let DispatchDevice::Cube(cube) = device.as_dispatch().clone() else { panic!("{device:?} is no GPU") };
    println!("on {}", description(&device).unwrap_or_default());
    let gpu = Gpu(cube);
    let tests: [(&str, Test); 10] = [
        ("readouts", readouts),
        ("sums_over_steps_and_values", sums_over_steps_and_values),
        ("adamw", adamw),
        ("neurons", neurons),
        ("poolings", poolings),
        ("convolutions", convolutions),
        ("linear_layers", linear_layers),
        ("batch_norms", batch_norms),
        ("blocks", blocks),
        ("statistics_far_from_zero", statistics_far_from_zero),
    ];
    for (name, test) in tests {
        test(&gpu);
        println!("test {name} ... ok");
    }
    if device.supports_dtype(DType::BF16) {
        half_precision(&gpu);
        println!("test half_precision ... ok");
    } else {
        println!("test half_precision ... ignored, the device has no bf16");
    }
}

type Test = fn(&Gpu);

/// The same values on the CPU and on the GPU.
#[derive(Clone)]
struct Both {
    cpu: FlexTensor,
    gpu: CubeTensor,
}

struct Gpu(CubeDevice);

impl Gpu {
    fn tensor(&self, values: &[f32], shape: &[usize]) -> Both {
        let data = TensorData::new(values.to_vec(), shape.to_vec());
        Both { cpu: FlexTensor::from_data(data.clone()), gpu: Cube::float_from_data(data, &self.0) }
    }

    fn random(&self, seed: u64, shape: &[usize]) -> Both {
        self.tensor(&random(seed, shape.iter().product()), shape)
    }

    /// What a batch norm scales channels with: values away from 0.
    fn scales(&self, seed: u64, channels: usize) -> Both {
        let values: Vec<f32> = random(seed, channels).iter().map(|x| x + 1.5).collect();
        self.tensor(&values, &[channels])
    }

    /// Values that `dtype` holds, in it on the GPU.
    fn rounded(&self, seed: u64, shape: &[usize], dtype: DType) -> Both {
        let both = self.random(seed, shape);
        let gpu = Cube::float_cast(both.gpu, dtype.into());
        let (_, values) = fetched(&gpu);
        Both { cpu: self.tensor(&values, shape).cpu, gpu }
    }
}

fn host(tensor: &FlexTensor) -> (Vec<usize>, Vec<f32>) {
    let data = tensor.clone().into_data();
    (data.shape().to_vec(), data.try_into_vec::<f32>().unwrap())
}

fn fetched(tensor: &CubeTensor) -> (Vec<usize>, Vec<f32>) {
    let data = burn_cubecl::ops::into_data_sync(tensor.clone());
    (data.shape().to_vec(), data.convert::<f32>().try_into_vec::<f32>().unwrap())
}

/// Same shape, and values within `tolerance` of the largest entry, or of `floor` where the true values cancel to less.
fn agree_within(what: &str, gpu: &CubeTensor, cpu: &FlexTensor, floor: f64, tolerance: f64) {
    let ((shape, found), (expected_shape, expected)) = (fetched(gpu), host(cpu));
    assert_eq!(shape, expected_shape, "{what}");
    if let Err(error) = within(&found, &expected, tolerance * largest(&expected).max(floor)) {
        panic!("{what}: {error}");
    }
}

fn agree(what: &str, gpu: &CubeTensor, cpu: &FlexTensor, floor: f64) {
    agree_within(what, gpu, cpu, floor, 2e-5);
}

fn adamw(gpu: &Gpu) {
    let rule =
        AdamWStep { rate: 1e-2, keep: 0.999, betas: [0.9, 0.99], eps: 1e-8, corrections: [0.271, 0.0297] };
    for n in [1, 300, 70_000] {
        let [value, grad, first] = [1, 2, 3].map(|seed| gpu.random(seed, &[n]));
        let second: Vec<f32> = random(4, n).iter().map(|x| x * x).collect();
        let second = gpu.tensor(&second, &[n]);
        let all = [&value, &grad, &first, &second];
        let found = Cube::adamw(rule, all.map(|x| x.gpu.clone()));
        let expected = portable::adamw::<Flex>(rule, all.map(|x| x.cpu.clone()));
        for (found, expected) in found.iter().zip(&expected) {
            agree(&format!("{n} weights"), found, expected, 0.0);
        }
    }
}

fn readouts(gpu: &Gpu) {
    for (outer, among, inner) in [(1, 1, 1), (70, 10, 1), (1, 16, 300), (3, 5, 7)] {
        let shape = MeanShape { outer, among, inner };
        let x = gpu.random(1, &[outer * among, inner]);
        let grad = gpu.random(2, &[outer * inner]);
        let what = format!("{shape:?}");
        agree(&what, &Cube::mean_forward(shape, x.gpu), &portable::mean::<Flex>(shape, x.cpu), 0.1);
        let found = Cube::mean_backward(shape, grad.gpu);
        agree(&what, &found, &portable::mean_backward::<Flex>(shape, grad.cpu), 0.0);
    }
    for (steps, units, constant) in [(1, 1, false), (6, 33, false), (16, 300, true)] {
        let shape = IntegratorShape { steps, constant, decay: 0.9 };
        let current = gpu.random(3, &[if constant { 1 } else { steps }, units]);
        let grad = gpu.random(4, &[steps, units]);
        let what = format!("{shape:?}");
        let found = Cube::integrate_forward(shape, current.gpu);
        agree(&what, &found, &portable::integrate::<Flex>(shape, current.cpu), 0.0);
        let found = Cube::integrate_backward(shape, grad.gpu);
        agree(&what, &found, &portable::integrate_backward::<Flex>(shape, grad.cpu), 0.0);
    }
}

fn sums_over_steps_and_values(gpu: &Gpu) {
    for (steps, repeats, channels) in [(1, 1, 3), (16, 1, 40), (1, 5, 300)] {
        let shape = RunningShape { steps, repeats, channels, factor: 1.01, momentum: 0.1 };
        let (before, new) = (gpu.random(5, &[channels]), gpu.random(6, &[steps * channels]));
        let found = Cube::running(shape, before.gpu, new.gpu);
        agree(&format!("{shape:?}"), &found, &portable::running::<Flex>(shape, before.cpu, new.cpu), 0.0);
    }
    for n in [1, 255, 9000, 100_001] {
        for squared in [false, true] {
            let x = gpu.random(7, &[n]);
            let found = Cube::total(squared, x.gpu);
            // A sum of so many values, of which each is at most 1.
            let floor = (n as f64).sqrt();
            agree(&format!("{n} values"), &found, &portable::total::<Flex>(squared, x.cpu), floor);
        }
    }
}

fn neurons(gpu: &Gpu) {
    for method in Method::ALL {
        for (steps, neurons, constant) in [(1, 1, false), (4, 257, false), (7, 80, true), (33, 600, false)] {
            let what = format!("{method}, T {steps}, N {neurons}, constant {constant}");
            let lif = Lif { method, threshold: 0.4, decay: 0.8, alpha: 0.3 };
            let shape = LifShape { steps, constant, lif };
            let current = gpu.random(3, &[if constant { 1 } else { steps }, neurons]);
            let grad = gpu.random(4, &[steps, neurons]);
            let (expected_spikes, expected) = portable::lif::<Flex>(shape, current.cpu);
            let (spikes, membrane) = Cube::lif_forward(shape, current.gpu);
            agree(&format!("{what}: spikes"), &spikes, &expected_spikes, 0.0);
            agree(&format!("{what}: membrane"), &membrane, &expected, 0.0);
            // From the same potentials: at the edges of the rules either side is right.
            let same = gpu.tensor(&host(&expected).1, &[steps, neurons]);
            let found = Cube::lif_backward(shape, same.gpu, grad.gpu);
            agree(
                &format!("{what}: current"),
                &found,
                &portable::lif_backward::<Flex>(shape, expected, grad.cpu),
                0.0,
            );
        }
    }
}

fn poolings(gpu: &Gpu) {
    for kind in [Pooling::Max, Pooling::Average] {
        for (frames, height, width, channels, kernel, stride) in [
            (1, 4, 4, 1, 2, 2),
            (3, 9, 7, 5, 2, 2),
            (2, 8, 11, 33, 3, 2),
            (2, 7, 7, 4, 2, 3),
            (1, 6, 6, 70, 4, 1),
        ] {
            let shape = PoolShape { frames, height, width, channels, kernel, stride };
            // Spikes make ties in every window.
            for x in [spikes(5, shape.input_len(), 4), random(6, shape.input_len())] {
                let x = gpu.tensor(&x, &[frames, height, width, channels]);
                let out = [frames, shape.out_height(), shape.out_width(), channels];
                let grad = gpu.random(7, &out);
                let what = format!("{kind:?} {shape:?}");
                let found = Cube::pool_forward(kind, shape, x.gpu.clone());
                agree(&what, &found, &portable::pool::<Flex>(kind, shape, x.cpu.clone()), 0.0);
                let found = Cube::pool_backward(kind, shape, x.gpu, grad.gpu);
                agree(&what, &found, &portable::pool_backward::<Flex>(kind, shape, x.cpu, grad.cpu), 0.0);
            }
        }
    }
}

fn conv_shape(
    [frames, height, width]: [usize; 3],
    [in_channels, out_channels]: [usize; 2],
    [kernel, stride, groups]: [usize; 3],
) -> ConvShape {
    ConvShape {
        frames,
        height,
        width,
        in_channels,
        out_channels,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 2],
        groups,
        precision: Precision::F32,
    }
}

/// Compares the three passes of a convolution of values that its precision holds, so that sums differ in their order alone, and
/// bf16 results by their rounding.
fn convolution(gpu: &Gpu, shape: ConvShape) {
    let what = format!("{shape:?}");
    let (dtype, rounded) = match shape.precision {
        Precision::F32 => (DType::F32, 2e-5),
        Precision::Bf16 => (DType::BF16, 4e-3),
    };
    let x = gpu.rounded(8, &[shape.frames, shape.height, shape.width, shape.in_channels], dtype);
    let weight =
        gpu.tensor(&fetched(&gpu.rounded(9, &[shape.weight_len()], dtype).gpu).1, &[shape.weight_len()]);
    let bias = gpu.random(10, &[shape.out_channels]);
    let out = [shape.frames, shape.out_height(), shape.out_width(), shape.out_channels];
    let grad = gpu.rounded(11, &out, dtype);
    let plain = ConvShape { precision: Precision::F32, ..shape };
    let found = Cube::conv2d_forward(shape, x.gpu.clone(), weight.gpu.clone(), bias.gpu);
    let expected = portable::conv2d::<Flex>(plain, x.cpu.clone(), weight.cpu.clone(), bias.cpu);
    agree_within(&format!("{what}: forward"), &found, &expected, 0.0, rounded);
    let found = Cube::conv2d_input_grad(shape.into(), x.gpu.clone(), weight.gpu, grad.gpu.clone());
    let expected = portable::conv2d_input_grad::<Flex>(plain, x.cpu.clone(), weight.cpu, grad.cpu.clone());
    agree_within(&format!("{what}: input"), &found, &expected, 0.0, rounded);
    let found = Cube::conv2d_weight_grad(shape, x.gpu, grad.gpu.clone());
    let expected = portable::conv2d_weight_grad::<Flex>(plain, x.cpu, grad.cpu.clone());
    agree(&format!("{what}: weight"), &found, &expected, 0.0);
    let found = Cube::bias_grad(shape.out_channels, grad.gpu);
    agree(&what, &found, &portable::bias_grad::<Flex>(shape.out_channels, grad.cpu), 1.0);
}

fn convolutions(gpu: &Gpu) {
    for (frames, channels, window) in [
        ([1, 1, 1], [1, 1], [1, 1, 1]),
        ([2, 5, 7], [3, 5], [3, 1, 1]),
        ([3, 8, 8], [16, 65], [3, 1, 1]),
        ([2, 9, 6], [17, 20], [3, 2, 1]),
        ([5, 11, 10], [2, 8], [5, 1, 1]),
        ([2, 7, 7], [33, 12], [1, 2, 1]),
        ([9, 16, 16], [20, 24], [3, 1, 1]),
        ([2, 6, 6], [4, 6], [3, 1, 2]),
    ] {
        convolution(gpu, conv_shape(frames, channels, window));
    }
}

/// Convolutions by tensor cores, and blocks.
fn half_precision(gpu: &Gpu) {
    for (frames, channels, window) in [
        ([4, 8, 8], [32, 64], [3, 1, 1]),
        ([50, 3, 3], [16, 24], [3, 1, 1]),
        ([90, 1, 1], [8, 16], [1, 1, 1]),
        ([3, 9, 8], [136, 144], [1, 2, 1]),
        ([2, 9, 9], [2, 16], [3, 1, 1]),
        ([6, 17, 17], [128, 128], [3, 1, 1]),
        ([3, 50, 3], [24, 40], [5, 1, 1]),
        ([2, 13, 11], [40, 136], [3, 2, 1]),
        ([1, 1, 1], [8, 8], [1, 1, 1]),
    ] {
        let shape = conv_shape(frames, channels, window);
        convolution(gpu, ConvShape { precision: Precision::Bf16, ..shape });
    }
    for (steps, channels, pool, joint) in [(4, 16, Pool::Max(2), true), (5, 20, Pool::Average(2), false)] {
        let shape =
            BlockShape { steps, batch: 2, height: 6, width: 5, channels, constant: false, joint, pool };
        for method in Method::ALL {
            block(gpu, block_config(shape, method, true), DType::BF16);
        }
    }
}

fn linear_layers(gpu: &Gpu) {
    for (rows, inputs, outputs) in [(1, 1, 1), (5, 70, 3), (130, 64, 100), (7, 1000, 10)] {
        let shape = LinearShape { rows, inputs, outputs };
        let x = gpu.random(12, &[rows, inputs]);
        let weight = gpu.random(13, &[outputs * inputs]);
        let bias = gpu.random(14, &[outputs]);
        let grad = gpu.random(15, &[rows, outputs]);
        let what = format!("{shape:?}");
        let found = Cube::linear_forward(shape, x.gpu.clone(), weight.gpu.clone(), bias.gpu);
        agree(
            &what,
            &found,
            &portable::linear::<Flex>(shape, x.cpu.clone(), weight.cpu.clone(), bias.cpu),
            0.0,
        );
        let found = Cube::linear_input_grad(shape, grad.gpu.clone(), weight.gpu);
        agree(&what, &found, &portable::linear_input_grad::<Flex>(shape, grad.cpu.clone(), weight.cpu), 0.0);
        let found = Cube::linear_weight_grad(shape, x.gpu, grad.gpu);
        agree(&what, &found, &portable::linear_weight_grad::<Flex>(shape, x.cpu, grad.cpu), 0.0);
    }
}

fn batch_norms(gpu: &Gpu) {
    for (steps, batch, channels) in
        [(1, 300, 1), (3, 37, 5), (4, 64, 8), (16, 9, 33), (1, 5000, 130), (2, 17, 64)]
    {
        for relu in [false, true] {
            batch_norm(gpu, steps, batch, channels, relu);
        }
    }
}

/// Compares a batch norm of drawn values, two for each sample and channel, drawn again while one stands at the ReLU's edge.
fn batch_norm(gpu: &Gpu, steps: usize, batch: usize, channels: usize, relu: bool) {
    let what = format!("batch norm of {steps} steps, {batch} samples, {channels} channels, relu {relu}");
    let config = |batch| {
        let shape = NormShape { steps, rows: 2 * batch, channels };
        NormConfig { shape, eps: 1e-5, relu }
    };
    let plain = NormConfig { relu: false, ..config(batch) };
    for seed in 0..100 {
        let shape = [steps * batch, 2, 1, channels];
        let x = gpu.random(seed, &shape);
        let (gamma, beta) = (gpu.scales(seed ^ 1, channels), gpu.random(seed ^ 2, &[channels]));
        let (before, _) =
            portable::batch_norm::<Flex>(plain, x.cpu.clone(), gamma.cpu.clone(), beta.cpu.clone());
        if host(&before).1.iter().any(|y| y.abs() < 1e-6) {
            continue;
        }
        let (expected, stats) =
            portable::batch_norm::<Flex>(config(batch), x.cpu.clone(), gamma.cpu.clone(), beta.cpu.clone());
        let grad = gpu.random(seed ^ 3, &shape);
        let gradients = portable::batch_norm_backward::<Flex>(
            config(batch),
            x.cpu,
            stats.clone(),
            gamma.cpu,
            beta.cpu,
            grad.cpu,
        );
        let (x, gamma, beta) = (x.gpu, gamma.gpu, beta.gpu);
        let (y, found) = Cube::batch_norm_forward(config(batch), x.clone(), gamma.clone(), beta.clone());
        agree(&format!("{what}: forward"), &y, &expected, 1.0);
        agree(&format!("{what}: mean"), &found.mean, &stats.mean, 1.0);
        agree(&format!("{what}: variance"), &found.variance, &stats.variance, 0.1);
        let of_batch = [x, gamma, beta, grad.gpu];
        let backward = |batch, [x, gamma, beta, grad]: [CubeTensor; 4]| {
            Cube::batch_norm_backward(config(batch), x, found.clone(), gamma, beta, grad)
        };
        let alone = backward(batch, of_batch.clone());
        for (i, part) in ["input", "gamma", "beta"].into_iter().enumerate() {
            agree(&format!("{what}: {part}"), &alone[i], &gradients[i], 10.0);
        }
        by_two_ranks(gpu, &what, batch, &of_batch, &gradients, &backward);
        // What is no number stays none.
        let [_, gamma, beta, _] = of_batch;
        let bad = gpu.tensor(&vec![f32::NAN; shape.iter().product()], &shape).gpu;
        let y = Cube::normalise(config(batch), bad, &found, gamma, beta);
        assert!(fetched(&y).1.iter().all(|y| y.is_nan()), "{what}: NaN is lost");
        return;
    }
    panic!("{what}: no values away from the edge");
}

fn blocks(gpu: &Gpu) {
    let shapes = [
        (1, 1, 4, 4, 1, Pool::None, false, true),
        (3, 2, 6, 6, 8, Pool::Max(2), false, false),
        (4, 2, 7, 5, 33, Pool::Max(2), false, true),
        (5, 1, 9, 8, 40, Pool::Average(2), false, false),
        (4, 3, 8, 8, 6, Pool::Average(4), true, false),
        (4, 2, 7, 7, 20, Pool::Max(3), true, true),
        (16, 1, 4, 6, 9, Pool::Max(2), false, false),
        (17, 2, 6, 7, 5, Pool::Max(2), false, false),
        (35, 1, 5, 5, 3, Pool::Max(2), false, true),
    ];
    for method in Method::ALL {
        for (i, (steps, batch, height, width, channels, pool, constant, joint)) in
            shapes.into_iter().enumerate()
        {
            let shape = BlockShape { steps, batch, height, width, channels, constant, joint, pool };
            let relu = i % 3 != 2;
            block(gpu, block_config(shape, method, relu), DType::F32);
        }
    }
}

fn block_config(shape: BlockShape, method: Method, relu: bool) -> BlockConfig {
    BlockConfig { shape, lif: Lif { method, ..Lif::default() }, eps: 1e-5, relu, bits: true }
}

/// Compares a block of drawn values, drawn again while one of them stands at a threshold, where either side is right. Frames and
/// errors are in `dtype` on the GPU; in bf16 the errors that it finds are rounded twice.
fn block(gpu: &Gpu, config: BlockConfig, dtype: DType) {
    let shape = config.shape;
    let what = format!("{config:?}");
    let frames = if shape.constant { shape.batch } else { shape.steps * shape.batch };
    for seed in 0..100 {
        let z = gpu.rounded(seed, &[frames, shape.height, shape.width, shape.channels], dtype);
        let gamma = gpu.scales(seed ^ 1, shape.channels);
        let beta = gpu.random(seed ^ 2, &[shape.channels]);
        let stats = portable::statistics::<Flex>(&shape.norm(), z.cpu.clone());
        let plain = NormConfig { relu: false, ..config.norm() };
        let before =
            portable::normalise::<Flex>(&plain, z.cpu.clone(), &stats, gamma.cpu.clone(), beta.cpu.clone());
        let current = portable::normalise::<Flex>(
            &config.norm(),
            z.cpu.clone(),
            &stats,
            gamma.cpu.clone(),
            beta.cpu.clone(),
        );
        let (_, membrane) = portable::lif::<Flex>(config.neurons(), current);
        let edge = |m: f32| [0.0, 0.5, 1.0].iter().any(|e| (m - e).abs() < 1e-5 && m != 0.0);
        if host(&before).1.iter().any(|y| y.abs() < 1e-5) || host(&membrane).1.into_iter().any(edge) {
            continue;
        }
        let found = Cube::norm_statistics(shape.norm(), z.gpu.clone());
        agree(&format!("{what}: mean"), &found.mean, &stats.mean, 1.0);
        agree(&format!("{what}: variance"), &found.variance, &stats.variance, 0.1);

        let (y, rate) =
            Cube::block_forward(config, z.gpu.clone(), &found, gamma.gpu.clone(), beta.gpu.clone());
        let (expected, expected_rate) =
            ops::block::forward::<Flex>(config, z.cpu.clone(), &stats, gamma.cpu.clone(), beta.cpu.clone());
        agree(&format!("{what}: forward"), &y, &expected, 0.0);
        agree(&format!("{what}: rate"), &rate, &expected_rate, 0.1);

        let out = [shape.steps * shape.batch, shape.out_height(), shape.out_width(), shape.channels];
        let grad = gpu.rounded(seed ^ 3, &out, dtype);
        let expected = ops::block::backward::<Flex>(config, z.cpu, stats, gamma.cpu, beta.cpu, grad.cpu);
        let of_batch = [z.gpu, gamma.gpu, beta.gpu, grad.gpu];
        let [z, gamma, beta, grad] = of_batch.clone();
        let alone = Cube::block_backward(config, z, found.clone(), gamma, beta, grad);
        for (i, part) in ["input", "gamma", "beta"].into_iter().enumerate() {
            let tolerance = if dtype == DType::F32 { 2e-5 } else { 1e-2 };
            agree_within(&format!("{what}: {part}"), &alone[i], &expected[i], 10.0, tolerance);
        }
        if dtype == DType::F32 {
            by_two_ranks(gpu, &what, shape.batch, &of_batch, &expected, &|batch, [z, gamma, beta, grad]| {
                let config = BlockConfig { shape: BlockShape { batch, ..shape }, ..config };
                Cube::block_backward(config, z, found.clone(), gamma, beta, grad)
            });
        }
        return;
    }
    panic!("{what}: no values away from every threshold");
}

/// Gradients by two ranks that share a batch norm's statistics: each has those of its samples, and parts of those of gamma and beta that make
/// up the whole. `backward` takes a share of so many samples: input, gamma, beta and errors.
fn by_two_ranks(
    gpu: &Gpu,
    what: &str,
    batch: usize,
    of_batch: &[CubeTensor; 4],
    expected: &[FlexTensor; 3],
    backward: &(dyn Fn(usize, [CubeTensor; 4]) -> [CubeTensor; 3] + Sync),
) {
    let [z, gamma, beta, grad] = of_batch.each_ref().map(fetched);
    let rank = |group: Arc<dyn Group>| {
        let share = Share::new(batch, group.rank(), group.size());
        let places = share.places();
        let [gamma, beta] = [&gamma, &beta].map(|(shape, values)| gpu.tensor(values, shape).gpu);
        let [z, grad] = [&z, &grad].map(|x| {
            let (shape, values) = samples(x, batch, places.clone());
            gpu.tensor(&values, &shape).gpu
        });
        let weight = share.counted as f64 / batch as f64;
        let team = Team { group, sync_norm: true, weight };
        let found = during(Some(team), || backward(places.len(), [z, gamma, beta, grad]));
        (share.counted, places, found)
    };
    let rank = &rank;
    let ranks: Vec<_> = thread::scope(|scope| {
        let begun = Threads::ranks(2).into_iter().map(|group| scope.spawn(move || rank(group)));
        let begun: Vec<_> = begun.collect();
        begun.into_iter().map(|rank| rank.join().unwrap()).collect()
    });
    for (counted, places, [for_z, ..]) in &ranks {
        // What a rank without a sample of its own finds is not looked at.
        if *counted > 0 {
            let (shape, values) = samples(&host(&expected[0]), batch, places.clone());
            let own = FlexTensor::from_data(TensorData::new(values, shape));
            agree(&format!("{what}: input of samples {places:?}"), for_z, &own, 10.0);
        }
    }
    for (i, part) in [(1, "gamma"), (2, "beta")] {
        let counted = ranks.iter().filter(|(counted, ..)| *counted > 0);
        let parts = counted.map(|(.., found)| found[i].clone()).reduce(Cube::float_add);
        agree(&format!("{what}: {part} by two ranks"), &parts.unwrap(), &expected[i], 10.0);
    }
}

/// Some samples of `[steps·batch, …]`.
fn samples(
    (shape, values): &(Vec<usize>, Vec<f32>),
    batch: usize,
    places: Range<usize>,
) -> (Vec<usize>, Vec<f32>) {
    let sample = values.len() / shape[0];
    let of_step = places.start * sample..places.end * sample;
    let own = values.chunks_exact(batch * sample).flat_map(|step| &step[of_step.clone()]).copied().collect();
    let mut shape = shape.clone();
    shape[0] = shape[0] / batch * places.len();
    (shape, own)
}

/// Values far from zero keep their variance.
fn statistics_far_from_zero(gpu: &Gpu) {
    let rows = 5000;
    let x: Vec<f32> = random(20, rows * 3).iter().map(|x| 1000.0 + x).collect();
    let shape = BlockShape {
        steps: 1,
        batch: rows,
        height: 1,
        width: 1,
        channels: 3,
        constant: false,
        joint: true,
        pool: Pool::None,
    };
    let found = Cube::norm_statistics(shape.norm(), gpu.tensor(&x, &[rows, 1, 1, 3]).gpu);
    let variance = fetched(&found.variance).1;
    for (channel, &found) in variance.iter().enumerate() {
        let values = || x.iter().skip(channel).step_by(3).map(|&v| f64::from(v));
        let mean = values().sum::<f64>() / rows as f64;
        let exact = values().map(|v| (v - mean).powi(2)).sum::<f64>() / rows as f64;
        let off = (f64::from(found) - exact).abs() / exact;
        assert!(off <= 1e-3, "channel {channel}: {found} for {exact}");
    }
}
