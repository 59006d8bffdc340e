//! Fused blocks against their parts, which have references of their own.

mod common;

use common::{assert_close, random, unwritten, wide};
use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use synfire_kernels::bf16::{Element, bf16};
use synfire_kernels::block::{BlockShape, Pool, block, block_backward};
use synfire_kernels::isa::Isa;
use synfire_kernels::neuron::{Lif, Method, lif, lif_backward};
use synfire_kernels::norm::{Normalisation, batch_norm, batch_norm_backward, statistics};
use synfire_kernels::pool::{PoolShape, avg_pool, avg_pool_backward, max_pool, max_pool_backward};
use synfire_kernels::source::{CHANNELS_PER_WORD, unpack};

const EPS: f32 = 1e-5;

/// Everything a block gives.
#[derive(Debug, PartialEq)]
struct Given {
    fired: u64,
    output: Vec<f32>,
    grad_z: Vec<f32>,
    grad_gamma: Vec<f32>,
    grad_beta: Vec<f32>,
}

struct Case {
    shape: BlockShape,
    lif: Lif,
    relu: bool,
    z: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    grad: Vec<f32>,
}

impl Case {
    fn new(shape: BlockShape, lif: Lif, relu: bool, seed: u64) -> Self {
        let c = shape.channels;
        Self {
            shape,
            lif,
            relu,
            z: random(seed, shape.input_len()),
            gamma: random(seed ^ 1, c).iter().map(|x| 1.0 + 0.5 * x).collect(),
            beta: random(seed ^ 2, c),
            grad: random(seed ^ 3, shape.output_len()),
        }
    }

    /// The block in memory of `E`.
    fn fused<E: Element>(&self, isa: Isa) -> Given {
        let Self { shape, lif, relu, gamma, beta, .. } = self;
        let elements = |values: &[f32]| values.iter().map(|x| E::narrow(*x)).collect::<Vec<E>>();
        let values = |elements: Vec<E>| elements.iter().map(|x| x.widen()).collect::<Vec<f32>>();
        let (mut z, grad) = (elements(&self.z), elements(&self.grad));
        let norm_shape = shape.norm();
        let (mut mean, mut var) = (unwritten(norm_shape.statistics()), unwritten(norm_shape.statistics()));
        statistics(isa, &norm_shape, &z, &mut mean, &mut var);
        let norm = Normalisation { mean: &mean, var: &var, gamma, beta, eps: EPS, relu: *relu, others: None };
        let mut output = elements(&unwritten(grad.len()));
        let fired = block(isa, shape, lif, &norm, &z, &mut output);
        if shape.fits_bits() {
            let mut words = vec![0xabcd; output.len() / CHANNELS_PER_WORD];
            assert_eq!(block(isa, shape, lif, &norm, &z, &mut words), fired);
            let mut spikes = elements(&unwritten(output.len()));
            unpack(isa, &words, &mut spikes);
            assert!(values(spikes) == values(output.clone()), "bits of {shape:?} on {isa}");
        }
        let (mut grad_gamma, mut grad_beta) = (unwritten(shape.channels), unwritten(shape.channels));
        block_backward(isa, shape, lif, &norm, &mut z, &grad, &mut grad_gamma, &mut grad_beta);
        Given { fired, output: values(output), grad_z: values(z), grad_gamma, grad_beta }
    }

    fn in_parts(&self, isa: Isa) -> Given {
        let Self { shape, lif: neuron, relu, z, gamma, beta, grad } = self;
        let (norm, c) = (shape.norm(), shape.channels);
        let neurons = shape.steps * shape.batch * shape.height * shape.width * c;
        let (mut mean, mut var) = (unwritten(norm.statistics()), unwritten(norm.statistics()));
        let mut current = unwritten(z.len());
        batch_norm(isa, &norm, z, gamma, beta, EPS, *relu, &mut mean, &mut var, &mut current);
        let (mut spikes, mut membrane) = (unwritten(neurons), unwritten(neurons));
        lif(isa, neuron, shape.steps, &current, &mut spikes, &mut membrane);
        let fired = spikes.iter().filter(|s| **s == 1.0).count() as u64;
        let side = shape.pool.side();
        let frames = shape.steps * shape.batch;
        let (height, width) = (shape.height, shape.width);
        let pool = PoolShape { frames, height, width, channels: c, kernel: side, stride: side };
        let (mut output, mut grad_spikes) = (unwritten(grad.len()), unwritten(neurons));
        match shape.pool {
            Pool::None => {
                output.copy_from_slice(&spikes);
                grad_spikes.copy_from_slice(grad);
            }
            Pool::Max(_) => {
                max_pool(isa, &pool, &spikes, &mut output);
                max_pool_backward(isa, &pool, &spikes, grad, &mut grad_spikes);
            }
            Pool::Average(_) => {
                avg_pool(isa, &pool, &spikes, &mut output);
                avg_pool_backward(isa, &pool, grad, &mut grad_spikes);
            }
        }
        let mut grad_current = unwritten(z.len());
        lif_backward(isa, neuron, shape.steps, &membrane, &grad_spikes, &mut grad_current);
        let (mut grad_z, mut grad_gamma, mut grad_beta) = (unwritten(z.len()), unwritten(c), unwritten(c));
        batch_norm_backward(
            isa,
            &norm,
            z,
            &mean,
            &var,
            gamma,
            beta,
            EPS,
            *relu,
            &grad_current,
            &mut grad_z,
            &mut grad_gamma,
            &mut grad_beta,
        );
        Given { fired, output, grad_z, grad_gamma, grad_beta }
    }

    #[track_caller]
    fn check(&self) {
        for isa in Isa::available() {
            let (fused, parts) = (self.fused::<f32>(isa), self.in_parts(isa));
            let what = |name: &str| {
                format!("{name} of {:?}, {:?}, relu {}, on {isa}", self.shape, self.lif, self.relu)
            };
            assert_eq!(fused.output, parts.output, "{}", what("output"));
            assert_eq!(fused.fired, parts.fired, "{}", what("spikes"));
            for (name, found, expected) in [
                ("grad_z", &fused.grad_z, &parts.grad_z),
                ("grad_gamma", &fused.grad_gamma, &parts.grad_gamma),
                ("grad_beta", &fused.grad_beta, &parts.grad_beta),
            ] {
                let largest = expected.iter().fold(1e-3, |largest: f32, x| largest.max(x.abs()));
                assert_close(
                    &what(name),
                    found,
                    &wide(expected),
                    2e-6 * f64::from(largest + self.steepest()),
                );
            }
        }
    }

    /// By how much the batch norm makes errors larger at most, before it takes their averages away: where few rows have
    /// statistics of their own, little is left of them but rounding.
    fn steepest(&self) -> f32 {
        let norm = self.shape.norm();
        let (mut mean, mut var) = (unwritten(norm.statistics()), unwritten(norm.statistics()));
        statistics(Isa::PORTABLE, &norm, &self.z, &mut mean, &mut var);
        let gamma = self.gamma.iter().fold(0.0, |largest: f32, gamma| largest.max(gamma.abs()));
        var.iter().fold(0.0, |steepest: f32, var| steepest.max(gamma / (var + EPS).sqrt()))
    }

    /// In memory of bf16 the same is computed; the errors are rounded in the end.
    #[track_caller]
    fn check_bf16(mut self) {
        for values in [&mut self.z, &mut self.grad] {
            values.iter_mut().for_each(|x| *x = bf16::narrow(*x).widen());
        }
        for isa in Isa::available() {
            let (narrow, full) = (self.fused::<bf16>(isa), self.fused::<f32>(isa));
            let largest = full.grad_z.iter().fold(1e-3, |largest: f32, x| largest.max(x.abs()));
            assert_close("grad_z", &narrow.grad_z, &wide(&full.grad_z), f64::from(largest) / 256.0);
            assert_eq!(Given { grad_z: Vec::new(), ..narrow }, Given { grad_z: Vec::new(), ..full }, "{isa}");
        }
    }
}

const SHAPE: BlockShape = BlockShape {
    steps: 3,
    batch: 2,
    height: 5,
    width: 7,
    channels: 6,
    constant: false,
    joint: false,
    pool: Pool::Max(2),
};

#[test]
fn every_method_pooling_and_kind_of_input() {
    for method in Method::ALL {
        for pool in [Pool::None, Pool::Max(2), Pool::Average(2), Pool::Max(3), Pool::Average(3), Pool::Max(5)]
        {
            for (constant, joint, relu) in
                [(false, false, true), (false, true, false), (true, false, true), (true, true, false)]
            {
                let shape = BlockShape { pool, constant, joint, ..SHAPE };
                let case = Case::new(shape, Lif { method, ..Lif::default() }, relu, 1);
                case.check();
                // Of windows of 3 x 3, averages are rounded.
                if pool != Pool::Average(3) {
                    case.check_bf16();
                }
            }
        }
    }
}

#[test]
fn strips_of_some_channels_and_many_windows() {
    for (height, width, channels, pool) in [
        (4, 4, 700, Pool::Average(4)),
        (17, 17, 128, Pool::Max(2)),
        (3, 80, 64, Pool::None),
        (2, 2, 2100, Pool::None),
        (6, 3, 240, Pool::Max(3)),
        (5, 10, 96, Pool::Max(5)),
    ] {
        let shape = BlockShape { height, width, channels, pool, ..SHAPE };
        Case::new(shape, Lif::default(), true, 2).check();
    }
}

#[test]
fn nothing_to_do() {
    for shape in [
        BlockShape { batch: 0, ..SHAPE },
        BlockShape { channels: 0, ..SHAPE },
        BlockShape { height: 0, pool: Pool::None, ..SHAPE },
    ] {
        Case::new(shape, Lif::default(), true, 2).check();
    }
}

#[test]
#[should_panic(expected = "larger than the frame")]
fn windows_that_do_not_fit_are_refused() {
    Case::new(BlockShape { pool: Pool::Max(6), ..SHAPE }, Lif::default(), true, 2)
        .fused::<f32>(Isa::PORTABLE);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let shape = BlockShape { steps: 4, batch: 3, height: 9, width: 12, channels: 70, ..SHAPE };
    let case = Case::new(shape, Lif::default(), true, 5);
    for isa in Isa::available() {
        let on = |threads| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| case.fused::<f32>(isa))
        };
        let one = on(1);
        assert_eq!(on(2), one);
        assert_eq!(on(5), one);
    }
}

#[test]
fn not_a_number_is_not_hidden() {
    let mut case = Case::new(BlockShape { pool: Pool::None, ..SHAPE }, Lif::default(), true, 5);
    case.z[17] = f32::NAN;
    let given = case.fused::<f32>(Isa::detect());
    assert!(given.grad_gamma.iter().any(|x| x.is_nan()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_shape(
        (steps, batch, height, width) in (1usize..6, 1usize..4, 1usize..14, 1usize..14),
        channels in prop_oneof![1usize..40, 60usize..140, (1usize..7).prop_map(|words| 16 * words)],
        pool in prop::sample::select(vec![Pool::None, Pool::Max(2), Pool::Average(2), Pool::Average(4), Pool::Max(5)]),
        (constant, joint, relu) in any::<(bool, bool, bool)>(),
        method in prop::sample::select(Method::ALL.to_vec()),
        (threshold, decay, alpha) in (0.1f32..1.5, 0.0f32..=1.0, 0.0f32..1.0),
        seed: u64,
    ) {
        prop_assume!(pool.side() <= height.min(width));
        let shape = BlockShape { steps, batch, height, width, channels, constant, joint, pool };
        let case = Case::new(shape, Lif { method, threshold, decay, alpha }, relu, seed);
        case.check();
        case.check_bf16();
    }
}
