//! Neurons against the reference, on every instruction set.

mod common;

use common::{assert_close, random, unwritten, wide};
use proptest::prelude::*;
use synfire_kernels::isa::Isa;
use synfire_kernels::neuron::{Lif, Method, lif, lif_backward};
use synfire_kernels::reference;

/// Currents from -0.25 to 0.75, in steps of 1/256. With a decay of 1/2 every potential is exact in `f32`, so that kernel
/// and reference must agree on every spike, those with `m = th` included.
fn currents(seed: u64, n: usize) -> Vec<f32> {
    random(seed, n).iter().map(|x| ((x * 0.5 + 0.25) * 256.0).round() / 256.0).collect()
}

#[track_caller]
fn check(neuron: Lif, steps: usize, n: usize, still: bool, tolerance: f64) {
    let len = if still { n } else { steps * n };
    let current = currents(steps as u64, len);
    let grad = random(7, steps * n);
    let (mut spikes64, mut membrane64) = (vec![f64::NAN; steps * n], vec![f64::NAN; steps * n]);
    reference::lif(&neuron, steps, &wide(&current), &mut spikes64, &mut membrane64);
    for isa in Isa::available() {
        let what =
            |name: &str| format!("{name} of {neuron:?}, {steps} steps of {n}, still {still}, on {isa}");
        let (mut spikes, mut membrane) = (unwritten(steps * n), unwritten(steps * n));
        lif(isa, &neuron, steps, &current, &mut spikes, &mut membrane);
        assert!(spikes.iter().all(|s| *s == 0.0 || *s == 1.0), "{}", what("spikes"));
        assert_close(&what("spikes"), &spikes, &spikes64, tolerance);
        assert_close(&what("membrane"), &membrane, &membrane64, tolerance);

        // From the potentials that the kernel found, so that a threshold is crossed in both or in neither.
        let mut expected = vec![f64::NAN; len];
        reference::lif_backward(&neuron, steps, &wide(&membrane), &wide(&grad), &mut expected);
        let mut grad_current = unwritten(len);
        lif_backward(isa, &neuron, steps, &membrane, &grad, &mut grad_current);
        assert_close(&what("grad_current"), &grad_current, &expected, 1e-5);
    }
}

#[test]
fn all_methods_and_steps() {
    for method in Method::ALL {
        for steps in 1..=9 {
            for n in [1, 3, 17, 100] {
                for still in [false, true] {
                    check(Lif { method, decay: 0.5, ..Lif::default() }, steps, n, still, 0.0);
                }
            }
        }
        // Several tasks, the last one shorter.
        check(Lif { method, decay: 0.5, ..Lif::default() }, 3, 5000, false, 0.0);
        check(Lif { method, decay: 0.5, ..Lif::default() }, 3, 5000, true, 0.0);
    }
}

#[test]
fn the_threshold_itself_fires_but_for_stbp() {
    for isa in Isa::available() {
        for (method, expected) in [(Method::Stbp, 0.0), (Method::Bpsa, 1.0), (Method::Bpsta, 1.0)] {
            let neuron = Lif { method, ..Lif::default() };
            let (mut spikes, mut membrane) = ([f32::NAN], [f32::NAN]);
            lif(isa, &neuron, 1, &[0.5], &mut spikes, &mut membrane);
            assert_eq!((spikes, membrane), ([expected], [0.5]), "{method} on {isa}");
            lif(isa, &neuron, 1, &[0.5f32.next_up()], &mut spikes, &mut membrane);
            assert_eq!(spikes, [1.0], "{method} on {isa}");
        }
    }
}

/// The table of gradients, by hand: fires at the first step and the last, silent between.
#[test]
fn gradients_by_hand() {
    let (membrane, grad) = ([1.25, 0.25, 0.5], [1.0, 2.0, 4.0]);
    for isa in Isa::available() {
        let error = |method| {
            let neuron = Lif { method, threshold: 0.5, decay: 0.5, alpha: 0.25 };
            let mut error = [f32::NAN; 3];
            lif_backward(isa, &neuron, 3, &membrane, &grad, &mut error);
            error
        };
        assert_eq!(error(Method::Bpsa), [1.0 / 1.25, 4.0, 8.0]);
        assert_eq!(error(Method::Bpsta), [(1.0 + 0.5 * 0.25 * 4.0) / 1.25, 4.0, 8.0]);
        // m = th does not fire with stbp; h is 0, 1, 1.
        let last = 4.0;
        let middle = 2.0 + 0.5 * last * (1.0 - 0.25);
        assert_eq!(error(Method::Stbp), [0.0, middle, last]);
    }
}

#[test]
fn a_silent_neuron_ignores_the_error_of_its_spikes() {
    for isa in Isa::available() {
        for method in [Method::Bpsa, Method::Bpsta] {
            let mut error = [f32::NAN; 2];
            // A potential of 0 must not make a NaN either.
            lif_backward(
                isa,
                &Lif { method, ..Lif::default() },
                2,
                &[0.0, 0.1],
                &[3.0, f32::NAN],
                &mut error,
            );
            assert_eq!(error, [0.0, 0.0]);
        }
    }
}

#[test]
#[should_panic(expected = "the length of current is 5")]
fn wrong_lengths_are_refused() {
    let (mut spikes, mut membrane) = ([0.0; 8], [0.0; 8]);
    lif(Isa::PORTABLE, &Lif::default(), 2, &[0.0; 5], &mut spikes, &mut membrane);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// With any decay, rounding may turn a spike; then all that follows differs. So the reference starts every step
    /// from the potential that the kernel found.
    #[test]
    fn any_neuron(
        method in prop::sample::select(Method::ALL.to_vec()),
        threshold in 0.05..2f32,
        decay in 0..=1000u32,
        alpha in 0.0..2f32,
        steps in 1..10usize,
        n in 1..300usize,
        seed: u64,
    ) {
        let neuron = Lif { method, threshold, decay: decay as f32 / 1000.0, alpha };
        prop_assert_eq!(neuron.validate(), Ok(()));
        let current: Vec<f32> = random(seed, steps * n).iter().map(|x| 2.0 * x * threshold).collect();
        let grad = random(seed ^ 1, steps * n);
        for isa in Isa::available() {
            let (mut spikes, mut membrane) = (unwritten(steps * n), unwritten(steps * n));
            lif(isa, &neuron, steps, &current, &mut spikes, &mut membrane);
            for i in 0..steps * n {
                let before = if i < n || spikes[i - n] == 1.0 { 0.0 } else { f64::from(membrane[i - n]) };
                let m = f64::from(neuron.decay) * before + f64::from(current[i]);
                let difference = (f64::from(membrane[i]) - m).abs();
                prop_assert!(difference <= 1e-6 * (1.0 + m.abs()), "potential {} on {isa}: {} and not {m}", i, membrane[i]);
                let fires = if method == Method::Stbp { membrane[i] > threshold } else { membrane[i] >= threshold };
                prop_assert_eq!(spikes[i], if fires { 1.0 } else { 0.0 });
            }
            let mut expected = vec![f64::NAN; steps * n];
            reference::lif_backward(&neuron, steps, &wide(&membrane), &wide(&grad), &mut expected);
            let mut grad_current = unwritten(steps * n);
            lif_backward(isa, &neuron, steps, &membrane, &grad, &mut grad_current);
            let largest = expected.iter().fold(1.0, |largest: f64, x| largest.max(x.abs()));
            assert_close("grad_current", &grad_current, &expected, 1e-5 * largest);
        }
    }
}
