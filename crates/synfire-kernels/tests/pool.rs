//! Pooling against the reference, on every instruction set.

mod common;

use common::{assert_close, random, unwritten, wide};
use proptest::prelude::*;
use synfire_kernels::isa::Isa;
use synfire_kernels::pool::{PoolShape, avg_pool, avg_pool_backward, max_pool, max_pool_backward};
use synfire_kernels::reference;

#[track_caller]
fn check(shape: PoolShape) {
    let grad = random(1, shape.output_len());
    let values = random(2, shape.input_len());
    // Spikes have many equal values in a window.
    let spikes: Vec<f32> = values.iter().map(|x| if *x > 0.0 { 1.0 } else { 0.0 }).collect();
    for input in [values, spikes] {
        let (n, m) = (input.len(), grad.len());
        let (mut max, mut max_grad) = (vec![f64::NAN; m], vec![f64::NAN; n]);
        let (mut avg, mut avg_grad) = (vec![f64::NAN; m], vec![f64::NAN; n]);
        reference::max_pool(&shape, &wide(&input), &mut max);
        reference::max_pool_backward(&shape, &wide(&input), &wide(&grad), &mut max_grad);
        reference::avg_pool(&shape, &wide(&input), &mut avg);
        reference::avg_pool_backward(&shape, &wide(&grad), &mut avg_grad);
        for isa in Isa::available() {
            let what = |name: &str| format!("{name} of {shape:?} on {isa}");
            let (mut output, mut grad_input) = (unwritten(m), unwritten(n));
            max_pool(isa, &shape, &input, &mut output);
            assert_close(&what("max_pool"), &output, &max, 0.0);
            max_pool_backward(isa, &shape, &input, &grad, &mut grad_input);
            assert_close(&what("max_pool_backward"), &grad_input, &max_grad, 1e-6);

            let (mut output, mut grad_input) = (unwritten(m), unwritten(n));
            avg_pool(isa, &shape, &input, &mut output);
            assert_close(&what("avg_pool"), &output, &avg, 1e-6);
            avg_pool_backward(isa, &shape, &grad, &mut grad_input);
            assert_close(&what("avg_pool_backward"), &grad_input, &avg_grad, 1e-6);
        }
    }
}

#[test]
fn channels_sizes_and_windows() {
    for channels in [1, 2, 3, 5, 16, 17, 64, 65, 130] {
        for (kernel, stride) in [(1, 1), (2, 2), (3, 2), (3, 1), (2, 3), (4, 4)] {
            for width in 4..=9 {
                check(PoolShape { frames: 2, height: 13 - width, width, channels, kernel, stride });
            }
        }
    }
    check(PoolShape { frames: 0, height: 2, width: 2, channels: 1, kernel: 2, stride: 2 });
    check(PoolShape { frames: 2, height: 2, width: 2, channels: 0, kernel: 2, stride: 2 });
}

const WINDOW: PoolShape = PoolShape { frames: 1, height: 2, width: 2, channels: 1, kernel: 2, stride: 2 };

#[test]
fn of_equal_values_the_first_takes_the_error() {
    for isa in Isa::available() {
        for (input, place) in [([0.0, 1.0, 1.0, 1.0], 1), ([0.0; 4], 0), ([0.0, 0.0, 1.0, 1.0], 2)] {
            let mut grad = [f32::NAN; 4];
            max_pool_backward(isa, &WINDOW, &input, &[3.0], &mut grad);
            let mut expected = [0.0; 4];
            expected[place] = 3.0;
            assert_eq!(grad, expected, "{input:?} on {isa}");
        }
    }
}

#[test]
fn nan_passes_through_and_takes_the_error() {
    for isa in Isa::available() {
        for place in 0..4 {
            let mut input = [1.0, 2.0, 3.0, 4.0];
            input[place] = f32::NAN;
            let (mut output, mut grad) = ([0.0], [f32::NAN; 4]);
            max_pool(isa, &WINDOW, &input, &mut output);
            assert!(output[0].is_nan(), "NaN at {place} on {isa}");
            max_pool_backward(isa, &WINDOW, &input, &[3.0], &mut grad);
            let mut expected = [0.0; 4];
            expected[place] = 3.0;
            assert_eq!(grad, expected, "NaN at {place} on {isa}");
        }
    }
}

#[test]
#[should_panic(expected = "window is larger than the frame")]
fn windows_that_do_not_fit_are_refused() {
    PoolShape { kernel: 3, ..WINDOW }.output_len();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_shape(
        (frames, channels) in (1..4usize, 1..80usize),
        (kernel, stride) in (1..5usize, 1..5usize),
        (height, width) in (0..6usize, 0..6usize),
    ) {
        check(PoolShape { frames, height: height + kernel, width: width + kernel, channels, kernel, stride });
    }
}
