//! The kernels and the portable operations agree: forward and every gradient, over drawn shapes.

mod common;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{TensorData, f16};
use common::{largest, random, spikes, within};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use synfire::ops::{
    self, BlockConfig, BlockShape, ConvShape, Lif, LifShape, LinearShape, Method, NormConfig, NormShape,
    Pool, PoolShape, Pooling, Precision, SpikeKernels, Stats, portable,
};
use synfire_kernels::isa::Isa;
use synfire_kernels::source::unpack;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn flex(values: &[f32], shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values.to_vec(), shape.to_vec()))
}

fn host(tensor: &FlexTensor) -> (Vec<usize>, Vec<f32>) {
    let tensor = tensor.to_contiguous();
    let shape = tensor.layout().shape().to_vec();
    let start = tensor.layout().start_offset();
    let n: usize = shape.iter().product();
    (shape, tensor.storage::<f32>()[start..start + n].to_vec())
}

/// Same shape, and values within 1e-5 of the largest entry, or of `floor` where the true values cancel to less.
fn agree(what: &str, kernels: &FlexTensor, portable: &FlexTensor, floor: f64) -> Result<(), TestCaseError> {
    let ((shape, found), (expected_shape, expected)) = (host(kernels), host(portable));
    prop_assert_eq!(shape, expected_shape, "{}", what);
    let tolerance = 1e-5 * largest(&expected).max(floor);
    within(&found, &expected, tolerance).map_err(|error| TestCaseError::fail(format!("{what}: {error}")))
}

/// A layer's input: any numbers, or spikes.
fn activations(spiking: bool, seed: u64, n: usize) -> Vec<f32> {
    if spiking { spikes(seed, n, 4) } else { random(seed, n) }
}

proptest! {
    #![proptest_config(cases(160))]

    #[test]
    fn convolutions(
        (frames, height, width) in (1usize..4, 1usize..12, 1usize..12),
        (in_channels, out_channels) in (1usize..24, prop_oneof![1usize..24, 60usize..70]),
        kernel in prop::sample::select(vec![1usize, 3, 5]),
        stride in 1usize..3,
        spiking: bool,
        seed: u64,
    ) {
        let shape = ConvShape {
            frames, height, width, in_channels, out_channels,
            kernel: [kernel; 2], stride: [stride; 2], padding: [kernel / 2; 2], groups: 1,
 precision: Precision::F32,
        };
        let x = flex(&activations(spiking, seed, shape.input_len()), &[frames, height, width, in_channels]);
        let weight = flex(&random(seed ^ 1, shape.weight_len()), &[shape.weight_len()]);
        let bias = flex(&random(seed ^ 2, out_channels), &[out_channels]);
        let out = [frames, shape.out_height(), shape.out_width(), out_channels];
        let grad = flex(&random(seed ^ 3, shape.output_len()), &out);

        let found = Flex::conv2d_forward(shape, x.clone(), weight.clone(), bias.clone());
        agree("forward", &found, &portable::conv2d::<Flex>(shape, x.clone(), weight.clone(), bias), 0.0)?;
        let found = Flex::conv2d_input_grad(shape.into(), x.clone(), weight.clone(), grad.clone());
        agree("input", &found, &portable::conv2d_input_grad::<Flex>(shape, x.clone(), weight, grad.clone()), 0.0)?;
        let found = Flex::conv2d_weight_grad(shape, x.clone(), grad.clone());
        agree("weight", &found, &portable::conv2d_weight_grad::<Flex>(shape, x, grad.clone()), 0.0)?;
        let found = Flex::bias_grad(out_channels, grad.clone());
        agree("bias", &found, &portable::bias_grad::<Flex>(out_channels, grad), 1.0)?;
    }

    #[test]
    fn linear_layers(
        (rows, inputs, outputs) in (1usize..40, 1usize..70, 1usize..70),
        spiking: bool,
        seed: u64,
    ) {
        let shape = LinearShape { rows, inputs, outputs };
        let x = flex(&activations(spiking, seed, rows * inputs), &[rows, inputs]);
        let weight = flex(&random(seed ^ 1, inputs * outputs), &[inputs * outputs]);
        let bias = flex(&random(seed ^ 2, outputs), &[outputs]);
        let grad = flex(&random(seed ^ 3, rows * outputs), &[rows, outputs]);

        let found = Flex::linear_forward(shape, x.clone(), weight.clone(), bias.clone());
        agree("forward", &found, &portable::linear::<Flex>(shape, x.clone(), weight.clone(), bias), 0.0)?;
        let found = Flex::linear_input_grad(shape, grad.clone(), weight.clone());
        agree("input", &found, &portable::linear_input_grad::<Flex>(shape, grad.clone(), weight), 0.0)?;
        let found = Flex::linear_weight_grad(shape, x.clone(), grad.clone());
        agree("weight", &found, &portable::linear_weight_grad::<Flex>(shape, x, grad), 0.0)?;
    }

    #[test]
    fn batch_norms(
        (steps, batch) in (1usize..5, 1usize..4),
        (height, width, channels) in (1usize..9, 1usize..9, 1usize..40),
        relu: bool,
        seed: u64,
    ) {
        let rows = batch * height * width;
        let config = NormConfig { shape: NormShape { steps, rows, channels }, eps: 1e-5, relu };
        let dims = [steps * batch, height, width, channels];
        let n = dims.iter().product();
        // Means and spreads that differ from step to step.
        let x: Vec<f32> = random(seed, n).iter().enumerate().map(|(i, x)| {
            let step = (i / (rows * channels)) as f32;
            x * (1.0 + step) + 3.0 * step
        }).collect();
        let x = flex(&x, &dims);
        let gamma: Vec<f32> = random(seed ^ 1, channels).iter().map(|x| x + 1.5).collect();
        let gamma = flex(&gamma, &[channels]);
        let beta = flex(&random(seed ^ 2, channels), &[channels]);
        let grad = flex(&random(seed ^ 3, n), &dims);

        // At the ReLU's kink either side is right.
        let plain = NormConfig { relu: false, ..config };
        let (before_relu, _) = portable::batch_norm::<Flex>(plain, x.clone(), gamma.clone(), beta.clone());
        prop_assume!(host(&before_relu).1.iter().all(|y| y.abs() > 1e-5));

        let (y, stats) = Flex::batch_norm_forward(config, x.clone(), gamma.clone(), beta.clone());
        let (expected, expected_stats) = portable::batch_norm::<Flex>(config, x.clone(), gamma.clone(), beta.clone());
        agree("forward", &y, &expected, 1.0)?;
        agree("mean", &stats.mean, &expected_stats.mean, 1.0)?;
        agree("variance", &stats.variance, &expected_stats.variance, 0.1)?;

        let Stats { mean, variance } = expected_stats;
        let narrowest = host(&variance).1.into_iter().fold(f32::INFINITY, f32::min);
        // Few rows cancel: the true gradient is far smaller than its terms.
        let term = 2.5 / f64::from(narrowest + config.eps).sqrt();
        let stats = Stats { mean, variance };
        let found =
            Flex::batch_norm_backward(config, x.clone(), stats.clone(), gamma.clone(), beta.clone(), grad.clone());
        let expected = portable::batch_norm_backward::<Flex>(config, x, stats, gamma, beta, grad);
        let floors = [term, 1.0, 1.0];
        for (i, what) in ["input", "gamma", "beta"].into_iter().enumerate() {
            agree(what, &found[i], &expected[i], floors[i])?;
        }
    }

    #[test]
    fn neurons(
        (steps, neurons) in (1usize..7, 1usize..80),
        method in prop::sample::select(Method::ALL.to_vec()),
        (threshold, decay, alpha) in (0.1f32..1.0, 0.0f32..1.0, 0.0f32..1.0),
        constant: bool,
        seed: u64,
    ) {
        let shape = LifShape { steps, constant, lif: Lif { method, threshold, decay, alpha } };
        let rows = if constant { 1 } else { steps };
        let current = flex(&random(seed, rows * neurons), &[rows, neurons]);
        let grad = flex(&random(seed ^ 1, steps * neurons), &[steps, neurons]);

        let (expected_spikes, expected) = portable::lif::<Flex>(shape, current.clone());
        // At the threshold and at the edge of stbp's window either side is right.
        let edge = |m: f32| [threshold, threshold - 0.5, threshold + 0.5].iter().any(|e| (m - e).abs() < 1e-5);
        prop_assume!(!host(&expected).1.into_iter().any(edge));

        let (spikes, membrane) = Flex::lif_forward(shape, current);
        prop_assert_eq!(host(&spikes), host(&expected_spikes));
        agree("membrane", &membrane, &expected, 0.0)?;
        let found = Flex::lif_backward(shape, expected.clone(), grad.clone());
        agree("current", &found, &portable::lif_backward::<Flex>(shape, expected, grad), 0.0)?;
    }

    #[test]
    fn blocks(
        (steps, batch, height, width) in (1usize..4, 1usize..3, 4usize..8, 4usize..8),
        channels in prop_oneof![1usize..9, Just(16), Just(32)],
        pool in prop::sample::select(vec![Pool::None, Pool::Max(2), Pool::Average(2), Pool::Max(3)]),
        method in prop::sample::select(Method::ALL.to_vec()),
        (constant, joint, relu) in any::<(bool, bool, bool)>(),
        seed: u64,
    ) {
        let shape = BlockShape { steps, batch, height, width, channels, constant, joint, pool };
        let config = BlockConfig { shape, lif: Lif { method, ..Lif::default() }, eps: 1e-5, relu, bits: false };
        let frames = if constant { batch } else { steps * batch };
        let z = flex(&random(seed, shape.input_len()), &[frames, height, width, channels]);
        let gamma: Vec<f32> = random(seed ^ 1, channels).iter().map(|x| x + 1.5).collect();
        let gamma = flex(&gamma, &[channels]);
        let beta = flex(&random(seed ^ 2, channels), &[channels]);
        let out = [steps * batch, shape.out_height(), shape.out_width(), channels];
        let grad = flex(&random(seed ^ 3, shape.output_len()), &out);
        let stats = Flex::norm_statistics(shape.norm(), z.clone());
        let expected = portable::statistics::<Flex>(&shape.norm(), z.clone());
        agree("mean", &stats.mean, &expected.mean, 1.0)?;
        agree("variance", &stats.variance, &expected.variance, 0.1)?;

        // At the ReLU's kink, at the threshold and at the edge of stbp's window either side is right.
        let plain = NormConfig { relu: false, ..config.norm() };
        let before_relu = portable::normalise::<Flex>(&plain, z.clone(), &stats, gamma.clone(), beta.clone());
        prop_assume!(host(&before_relu).1.iter().all(|y| y.abs() > 1e-5));
        let current = portable::normalise::<Flex>(&config.norm(), z.clone(), &stats, gamma.clone(), beta.clone());
        let (_, membrane) = portable::lif::<Flex>(config.neurons(), current);
        let edge = |m: f32| [0.0, 0.5, 1.0].iter().any(|e| (m - e).abs() < 1e-5 && m != 0.0);
        prop_assume!(!host(&membrane).1.into_iter().any(edge));

        let (y, rate) = Flex::block_forward(config, z.clone(), &stats, gamma.clone(), beta.clone());
        let (expected, expected_rate) =
            ops::block::forward::<Flex>(config, z.clone(), &stats, gamma.clone(), beta.clone());
        agree("forward", &y, &expected, 0.0)?;
        agree("rate", &rate, &expected_rate, 0.1)?;
        let (bits, _) = Flex::block_forward(
            BlockConfig { bits: true, ..config }, z.clone(), &stats, gamma.clone(), beta.clone()
        );
        let words = bits.into_data();
        if let Ok(words) = words.as_slice::<f16>() {
            let words: Vec<u16> = words.iter().map(|word| word.to_bits()).collect();
            let mut spikes = vec![f32::NAN; 16 * words.len()];
            unpack(Isa::detect(), &words, &mut spikes);
            prop_assert_eq!(spikes, host(&y).1);
        } else {
            prop_assert!(!config.shape.fits_bits());
        }
        let found =
            Flex::block_backward(config, z.clone(), stats.clone(), gamma.clone(), beta.clone(), grad.clone());
        let expected = ops::block::backward::<Flex>(config, z, stats, gamma, beta, grad);
        for (i, what) in ["input", "gamma", "beta"].into_iter().enumerate() {
            agree(what, &found[i], &expected[i], 10.0)?;
        }
    }

    #[test]
    fn poolings(
        (frames, height, width, channels) in (1usize..4, 4usize..12, 4usize..12, 1usize..70),
        (kernel, stride) in (1usize..5, 1usize..5),
        kind in prop::sample::select(vec![Pooling::Max, Pooling::Average]),
        spiking: bool,
        seed: u64,
    ) {
        let shape = PoolShape { frames, height, width, channels, kernel, stride };
        // Spikes make ties in every window.
        let x = flex(&activations(spiking, seed, shape.input_len()), &[frames, height, width, channels]);
        let out = [frames, shape.out_height(), shape.out_width(), channels];
        let grad = flex(&random(seed ^ 1, shape.output_len()), &out);
        let found = Flex::pool_forward(kind, shape, x.clone());
        agree("forward", &found, &portable::pool::<Flex>(kind, shape, x.clone()), 0.0)?;
        let found = Flex::pool_backward(kind, shape, x.clone(), grad.clone());
        agree("input", &found, &portable::pool_backward::<Flex>(kind, shape, x, grad), 0.0)?;
    }
}

/// Of equal values in a window the first in row-major order takes the error, and windows cover what they cover.
#[test]
fn the_first_of_equal_values_takes_the_error() {
    let shape = PoolShape { frames: 1, height: 5, width: 5, channels: 2, kernel: 2, stride: 2 };
    // Channel 0: all equal. Channel 1: ones, but the first of each window is zero.
    let x: Vec<f32> =
        (0..25).flat_map(|i| [1.0, if i / 5 % 2 == 0 && i % 5 % 2 == 0 { 0.0 } else { 1.0 }]).collect();
    let x = flex(&x, &[1, 5, 5, 2]);
    let grad = flex(&[1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0], &[1, 2, 2, 2]);
    let mut expected = vec![0.0; 50];
    for (window, place) in [0, 2, 10, 12].into_iter().enumerate() {
        expected[place * 2] = (window + 1) as f32;
        expected[(place + 1) * 2 + 1] = 10.0 * (window + 1) as f32;
    }
    let kernels = Flex::pool_backward(Pooling::Max, shape, x.clone(), grad.clone());
    let portable = portable::pool_backward::<Flex>(Pooling::Max, shape, x, grad);
    assert_eq!(host(&kernels).1, expected);
    assert_eq!(host(&portable).1, expected);
}

/// At the threshold itself bpsa and bpsta fire, the baseline does not.
#[test]
fn a_potential_at_the_threshold() {
    for method in Method::ALL {
        let lif = Lif { method, threshold: 0.5, decay: 0.5, alpha: 0.25 };
        let shape = LifShape { steps: 2, constant: false, lif };
        let current = flex(&[0.5, 0.25], &[2, 1]);
        let expected = match method {
            // 0.25 is left of 0.5, so that 0.5 is reached again
            Method::Stbp => (vec![0.0, 0.0], vec![0.5, 0.5]),
            Method::Bpsa | Method::Bpsta => (vec![1.0, 0.0], vec![0.5, 0.25]),
        };
        for (spikes, membrane) in
            [Flex::lif_forward(shape, current.clone()), portable::lif::<Flex>(shape, current)]
        {
            assert_eq!((host(&spikes).1, host(&membrane).1), expected, "{method}");
        }
    }
}
