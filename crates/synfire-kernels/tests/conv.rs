//! Convolutions and linear layers against the reference, on every instruction set.

mod common;

use common::{SMALL, agree, magnitudes, random, unwritten, wide};
use proptest::prelude::*;
use synfire_kernels::bf16::{Element, Precision, bf16, rounded};
use synfire_kernels::conv::{ConvShape, Pass, bias_grad, conv2d, conv2d_input_grad, conv2d_weight_grad};
use synfire_kernels::isa::Isa;
use synfire_kernels::linear::{linear, linear_input_grad, linear_weight_grad};
use synfire_kernels::reference::{self, winograd::Sums};
use synfire_kernels::source::{Bits, Source, unpack};

/// Rounding error allowed for a sum of products, as a part of the sum of their magnitudes.
const TOLERANCE: f64 = 1e-6;
const CHANNELS: [usize; 9] = [1, 2, 3, 5, 16, 17, 64, 65, 130];

/// The sums that a reference gives, and the sums of magnitudes that set the tolerance.
fn sums_of(n: usize, a: &[f32], b: &[f32], sum: impl Fn(&[f64], &[f64], &mut [f64])) -> Sums {
    let mut sums = Sums { values: vec![f64::NAN; n], magnitudes: vec![f64::NAN; n] };
    sum(&wide(a), &wide(b), &mut sums.values);
    sum(&magnitudes(a), &magnitudes(b), &mut sums.magnitudes);
    sums
}

#[track_caller]
fn check_sums(sums: &Sums, what: impl std::fmt::Debug, isa: Isa, found: &[f32]) {
    if let Err(error) = agree(found, &sums.values, |i| TOLERANCE * sums.magnitudes[i]) {
        panic!("{what:?} on {isa}: {error}");
    }
}

#[track_caller]
fn check(shape: ConvShape) {
    let dense = random(1, shape.input_len());
    // Few enough values that zeros are skipped; where Winograd's algorithm is the other choice, still fewer.
    let fewer = |least: f32| dense.iter().map(|x| if *x > least { *x } else { 0.0 }).collect::<Vec<f32>>();
    let mut inputs = vec![dense.clone(), fewer(0.6)];
    if (1..20_000_000).contains(&shape.macs()) && shape.winograd(Pass::Forward, 1.0) {
        inputs.push(fewer(0.8));
    }
    for precision in [Precision::F32, Precision::Bf16] {
        for input in &inputs {
            check_input(ConvShape { precision, ..shape }, input);
        }
    }
}

#[track_caller]
fn check_input(shape: ConvShape, input: &[f32]) {
    let bias = random(3, shape.out_channels);
    let [weight, grad] = [(2, shape.weight_len()), (4, shape.output_len())].map(|(seed, n)| random(seed, n));
    // What the reference multiplies; the kernels round by themselves.
    let operands = |values: &[f32]| match shape.precision {
        Precision::F32 => values.to_vec(),
        Precision::Bf16 => values.iter().map(|x| rounded(*x)).collect(),
    };
    let [exact_input, exact_weight, exact_grad] = [input, &weight, &grad].map(operands);

    let share = input.density(Isa::PORTABLE);
    let [wide_input, wide_weight, wide_grad] = [input, &weight, &grad].map(wide);
    let plain = if shape.winograd(Pass::Forward, share) {
        reference::winograd::conv2d(&shape, &wide_input, &wide_weight)
    } else {
        sums_of(grad.len(), &exact_input, &exact_weight, |x, w, y| {
            reference::conv2d(&shape, x, w, None, y);
        })
    };
    let mut biased = Sums { values: plain.values.clone(), magnitudes: plain.magnitudes.clone() };
    for (i, (value, magnitude)) in biased.values.iter_mut().zip(&mut biased.magnitudes).enumerate() {
        let bias = f64::from(bias[i % shape.out_channels]);
        *value += bias;
        *magnitude += bias.abs();
    }
    let of_input_where = |density| {
        if shape.winograd(Pass::InputGrad, density) {
            reference::winograd::conv2d_input_grad(&shape, &wide_grad, &wide_weight)
        } else {
            sums_of(input.len(), &exact_grad, &exact_weight, |g, w, x| {
                reference::conv2d_input_grad(&shape, g, w, x);
            })
        }
    };
    let of_input = of_input_where(1.0);
    let of_weight = if shape.winograd(Pass::WeightGrad, share) {
        reference::winograd::conv2d_weight_grad(&shape, &wide_input, &wide_grad)
    } else {
        sums_of(weight.len(), &exact_input, &exact_grad, |x, g, w| {
            reference::conv2d_weight_grad(&shape, x, g, w);
        })
    };

    let fired =
        |sums: Vec<f64>| sums.iter().zip(input).map(|(sum, x)| if *x == 0.0 { 0.0 } else { *sum }).collect();
    let of_fired = of_input_where(share);
    let of_fired = Sums { values: fired(of_fired.values), magnitudes: fired(of_fired.magnitudes) };

    for isa in Isa::available() {
        let mut y = unwritten(grad.len());
        conv2d(isa, &shape, input, &weight, None, &mut y);
        check_sums(&plain, ("conv2d", shape), isa, &y);
        conv2d(isa, &shape, input, &weight, Some(&bias), &mut y);
        check_sums(&biased, ("conv2d with bias", shape), isa, &y);

        let mut grad_input = unwritten(input.len());
        conv2d_input_grad(isa, &shape, &grad, &weight, None::<&[f32]>, &mut grad_input);
        check_sums(&of_input, ("conv2d_input_grad", shape), isa, &grad_input);

        let mut grad_weight = unwritten(weight.len());
        conv2d_weight_grad(isa, &shape, input, &grad, &mut grad_weight);
        check_sums(&of_weight, ("conv2d_weight_grad", shape), isa, &grad_weight);

        let mut where_fired = unwritten(input.len());
        conv2d_input_grad(isa, &shape, &grad, &weight, Some(input), &mut where_fired);
        let written = where_fired.iter().zip(input).map(|(x, input)| if *input == 0.0 { 0.0 } else { *x });
        check_sums(&of_fired, ("conv2d_input_grad where fired", shape), isa, &written.collect::<Vec<f32>>());
        assert!(where_fired.iter().all(|x| x.is_finite()), "{shape:?} on {isa}");

        // In bf16, memory of bf16 changes what is written, and nothing else.
        if shape.precision == Precision::Bf16 {
            let [narrow_input, narrow_grad] = [input, &grad].map(narrow);
            let same = |what: &str, found: &[bf16], expected: &[f32]| {
                assert!(found == narrow(expected), "{what} of {shape:?} on {isa}");
            };
            let mut narrow_y = narrow(&unwritten(y.len()));
            conv2d(isa, &shape, &narrow_input[..], &weight, Some(&bias), &mut narrow_y);
            conv2d(isa, &shape, &exact_input[..], &weight, Some(&bias), &mut y);
            same("conv2d", &narrow_y, &y);
            let mut narrow_grad_input = narrow(&unwritten(grad_input.len()));
            conv2d_input_grad(isa, &shape, &narrow_grad, &weight, None::<&[bf16]>, &mut narrow_grad_input);
            conv2d_input_grad(isa, &shape, &exact_grad, &weight, None::<&[f32]>, &mut grad_input);
            same("conv2d_input_grad", &narrow_grad_input, &grad_input);
            let mut narrow_grad_weight = unwritten(grad_weight.len());
            conv2d_weight_grad(isa, &shape, &narrow_input[..], &narrow_grad, &mut narrow_grad_weight);
            conv2d_weight_grad(isa, &shape, &exact_input[..], &exact_grad, &mut grad_weight);
            assert!(narrow_grad_weight == grad_weight, "conv2d_weight_grad of {shape:?} on {isa}");
        }
    }
}

fn narrow(values: &[f32]) -> Vec<bf16> {
    values.iter().map(|x| bf16::narrow(*x)).collect()
}

#[test]
fn channels_and_their_tails() {
    for in_channels in CHANNELS {
        for out_channels in CHANNELS {
            check(ConvShape { in_channels, out_channels, ..SMALL });
        }
    }
}

#[test]
fn widths_kernels_strides_and_padding() {
    for width in 1..=9 {
        let height = width * 3 % 7 + 1;
        for kernel in [[1, 1], [3, 3], [5, 5], [1, 3], [3, 2]] {
            for stride in [[1, 1], [2, 2], [2, 1], [1, 3]] {
                for padding in [[0, 0], [1, 1], [2, 2], [0, 1]] {
                    if kernel[0] <= height + 2 * padding[0] && kernel[1] <= width + 2 * padding[1] {
                        check(ConvShape { height, width, kernel, stride, padding, ..SMALL });
                    }
                }
            }
        }
    }
}

#[test]
fn groups() {
    for (groups, in_channels, out_channels) in [(2, 2, 4), (3, 9, 51), (2, 34, 130), (8, 8, 8), (5, 5, 10)] {
        for stride in [[1, 1], [2, 2]] {
            for kernel in [[1, 1], [3, 3]] {
                check(ConvShape { groups, in_channels, out_channels, stride, kernel, ..SMALL });
            }
        }
    }
}

#[test]
fn frames_put_together_and_cut_in_bands() {
    // Many small frames, so that several make a unit and the last unit has fewer.
    check(ConvShape { frames: 101, height: 2, width: 2, ..SMALL });
    check(ConvShape { frames: 37, height: 4, width: 4, in_channels: 16, ..SMALL });
    // Large frames, so that a unit is a band of rows and the last band has fewer.
    check(ConvShape { frames: 1, height: 71, width: 33, in_channels: 5, ..SMALL });
    check(ConvShape { frames: 2, height: 41, width: 70, stride: [2, 2], ..SMALL });
    // So many values under the kernel that they are summed in blocks, with and without lanes left over.
    for out_channels in [20, 64] {
        check(ConvShape { frames: 1, in_channels: 200, out_channels, ..SMALL });
        check(ConvShape {
            frames: 1,
            in_channels: 3100,
            out_channels,
            kernel: [1, 1],
            padding: [0, 0],
            ..SMALL
        });
    }
}

/// A shape that Winograd's algorithm is chosen for.
const TILED: ConvShape = ConvShape { frames: 48, height: 4, width: 4, in_channels: 16, ..SMALL };

#[test]
fn winograd() {
    let chosen = |shape: ConvShape| {
        [Pass::Forward, Pass::InputGrad, Pass::WeightGrad].map(|pass| shape.winograd(pass, 1.0))
    };
    assert_eq!(chosen(TILED), [true; 3]);
    assert_eq!(chosen(ConvShape { stride: [1, 2], width: 8, ..TILED }), [false; 3]);
    assert_eq!(chosen(ConvShape { kernel: [3, 5], padding: [1, 2], ..TILED }), [false; 3]);
    assert!(!TILED.winograd(Pass::Forward, 0.05) && !TILED.winograd(Pass::InputGrad, 0.05));

    for (in_channels, out_channels) in [(16, 16), (17, 64), (30, 17), (65, 130), (64, 33)] {
        check(ConvShape { in_channels, out_channels, ..TILED });
    }
    // Tiles that reach over the edge, padding at which windows lie outside, and a last pair of tiles without a partner.
    for (height, width) in [(3, 4), (5, 3), (9, 7), (17, 2), (4, 18)] {
        for padding in [[0, 0], [1, 1], [2, 0], [3, 4]] {
            if height + 2 * padding[0] >= 3 && width + 2 * padding[1] >= 3 {
                check(ConvShape { frames: 51, height, width, padding, ..TILED });
            }
        }
    }
    check(ConvShape { groups: 2, in_channels: 34, out_channels: 40, ..TILED });
    // Several units, parts of panels, and rounds of the gradient of the weights.
    check(ConvShape { frames: 9, height: 19, width: 23, in_channels: 32, out_channels: 70, ..TILED });
    check(ConvShape { frames: 26, height: 8, width: 8, in_channels: 200, out_channels: 260, ..TILED });
}

#[test]
fn winograd_is_the_convolution() {
    for shape in [
        TILED,
        ConvShape { height: 5, width: 7, padding: [0, 2], ..TILED },
        ConvShape { groups: 2, in_channels: 32, out_channels: 34, ..TILED },
    ] {
        let [input, weight, grad] =
            [(1, shape.input_len()), (2, shape.weight_len()), (3, shape.output_len())]
                .map(|(seed, n)| wide(&random(seed, n)));
        let check = |what: &str, found: Sums, sum: &dyn Fn(&mut [f64])| {
            let mut expected = vec![f64::NAN; found.values.len()];
            sum(&mut expected);
            for (i, ((found, expected), magnitude)) in
                found.values.iter().zip(&expected).zip(&found.magnitudes).enumerate()
            {
                // Single precision is what transforms are rounded to.
                let close = (found - expected).abs() <= 1e-7 * magnitude;
                assert!(close, "{what} of {shape:?}, {i}: {found}, expected {expected}");
            }
        };
        check("conv2d", reference::winograd::conv2d(&shape, &input, &weight), &|y| {
            reference::conv2d(&shape, &input, &weight, None, y);
        });
        check("input_grad", reference::winograd::conv2d_input_grad(&shape, &grad, &weight), &|x| {
            reference::conv2d_input_grad(&shape, &grad, &weight, x);
        });
        check("weight_grad", reference::winograd::conv2d_weight_grad(&shape, &input, &grad), &|w| {
            reference::conv2d_weight_grad(&shape, &input, &grad, w);
        });
    }
}

/// How far a kernel is from the sums without any rounding, as a share of them: root mean squares.
fn deviation(found: &[f32], exact: &[f64]) -> f64 {
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let off = squares(&mut found.iter().zip(exact).map(|(found, exact)| f64::from(*found) - exact));
    off / squares(&mut exact.iter().copied())
}

/// What `conv::winograd` states: in bf16 it deviates twice as far from the convolution as rounded operands do.
#[test]
fn winograd_in_bf16_is_nearly_the_convolution() {
    let shape = ConvShape { frames: 64, height: 8, width: 8, in_channels: 64, out_channels: 64, ..TILED };
    let shape = ConvShape { precision: Precision::Bf16, ..shape };
    assert!(shape.winograd(Pass::Forward, 0.5) && shape.winograd(Pass::WeightGrad, 0.5));
    let of = |seed, n| random(seed, n).into_iter();
    let values: Vec<f32> = of(1, shape.input_len()).collect();
    let spikes: Vec<f32> = values.iter().map(|x| f32::from(u8::from(*x > 0.0))).collect();
    let [weight, grad] = [(2, shape.weight_len()), (3, shape.output_len())].map(|(seed, n)| random(seed, n));
    let mut input_grad = vec![f64::NAN; shape.input_len()];
    reference::conv2d_input_grad(&shape, &wide(&grad), &wide(&weight), &mut input_grad);
    for (input, [forward, weights]) in [(&values, [4.3e-3, 4.3e-3]), (&spikes, [2.5e-3, 2.6e-3])] {
        let (mut output, mut weight_grad) = (vec![f64::NAN; grad.len()], vec![f64::NAN; weight.len()]);
        reference::conv2d(&shape, &wide(input), &wide(&weight), None, &mut output);
        reference::conv2d_weight_grad(&shape, &wide(input), &wide(&grad), &mut weight_grad);
        for isa in Isa::available() {
            let within = |what: &str, found: &[f32], exact: &[f64], most: f64| {
                let off = deviation(found, exact);
                assert!(off <= most, "{what} on {isa}: {off}, at most {most}");
            };
            let mut y = unwritten(output.len());
            conv2d(isa, &shape, &input[..], &weight, None, &mut y[..]);
            within("forward", &y, &output, forward);
            let mut dx = unwritten(input.len());
            conv2d_input_grad(isa, &shape, &grad[..], &weight, None::<&[f32]>, &mut dx[..]);
            within("gradient of the input", &dx, &input_grad, 4.3e-3);
            let mut dw = unwritten(weight.len());
            conv2d_weight_grad(isa, &shape, &input[..], &grad[..], &mut dw);
            within("gradient of the weight", &dw, &weight_grad, weights);
        }
    }
}

#[test]
fn densities() {
    for isa in Isa::available() {
        let none: &[f32] = &[];
        assert_eq!(none.density(isa), 0.0);
        assert_eq!([0.0, 1.0, -0.0, f32::NAN][..].density(isa), 0.5);
        let words = vec![0b1000_0000_1000_0000; 12_500];
        assert_eq!(Bits::<f32>::new(&words).density(isa), 0.125);
        let mut spikes = vec![bf16::from_f32(f32::NAN); 200_000];
        unpack(isa, &words, &mut spikes);
        assert_eq!(spikes.density(isa), 0.125);
        assert!(spikes.iter().enumerate().all(|(i, x)| x.to_f32() == f32::from(u8::from(i % 8 == 7))));
    }
}

/// Spikes as bits give what the same spikes as values give.
#[test]
fn bits() {
    let shapes = [
        ConvShape { in_channels: 16, ..SMALL },
        ConvShape { in_channels: 48, groups: 2, out_channels: 34, height: 7, stride: [2, 1], ..SMALL },
        ConvShape { frames: 41, in_channels: 32, ..SMALL },
        ConvShape { in_channels: 48, groups: 2, out_channels: 34, ..TILED },
        ConvShape { in_channels: 80, height: 5, frames: 49, ..TILED },
    ];
    for shape in shapes
        .into_iter()
        .flat_map(|shape| [Precision::F32, Precision::Bf16].map(|precision| ConvShape { precision, ..shape }))
    {
        for threshold in [-0.2, 0.4, 0.9] {
            let spikes: Vec<f32> =
                random(1, shape.input_len()).iter().map(|x| f32::from(u8::from(*x > threshold))).collect();
            let words: Vec<u16> = spikes
                .chunks_exact(16)
                .map(|spikes| spikes.iter().rev().fold(0, |word, x| 2 * word + u16::from(*x == 1.0)))
                .collect();
            let [weight, grad] =
                [(2, shape.weight_len()), (3, shape.output_len())].map(|(seed, n)| random(seed, n));
            let narrow_spikes = narrow(&spikes);
            for isa in Isa::available() {
                let what = format!("{shape:?} on {isa}");
                let values = convolved(isa, &shape, &spikes[..], &weight, &grad);
                let bits = convolved(isa, &shape, Bits::<f32>::new(&words), &weight, &grad);
                assert!(values == bits, "{what}");
                let values = convolved(isa, &shape, &narrow_spikes[..], &weight, &grad);
                let bits = convolved(isa, &shape, Bits::<bf16>::new(&words), &weight, &grad);
                assert!(values == bits, "{what}, in memory of bf16");
            }
        }
    }
}

/// The output and both gradients, that of the input where it is not 0.
fn convolved<X: Source>(isa: Isa, shape: &ConvShape, x: X, weight: &[f32], grad: &[f32]) -> [Vec<f32>; 3] {
    let (mut y, mut dw) = (unwritten(grad.len()), unwritten(weight.len()));
    let mut dx = vec![X::Element::default(); shape.input_len()];
    conv2d(isa, shape, x, weight, None, &mut y);
    conv2d_input_grad(isa, shape, grad, weight, Some(x), &mut dx);
    conv2d_weight_grad(isa, shape, x, grad, &mut dw);
    [y, dx.into_iter().map(Element::widen).collect(), dw]
}

#[test]
fn nothing_to_do() {
    check(ConvShape { frames: 0, ..SMALL });
    check(ConvShape { in_channels: 0, ..SMALL });
    check(ConvShape { out_channels: 0, ..SMALL });
    check(ConvShape { height: 0, padding: [2, 1], ..SMALL });
}

#[test]
fn sizes() {
    let shape = ConvShape { height: 9, width: 8, stride: [2, 3], groups: 1, ..SMALL };
    assert_eq!((shape.out_height(), shape.out_width()), (5, 3));
    assert_eq!(shape.macs(), 2 * 5 * 3 * 17 * 3 * 9);
}

#[test]
#[should_panic(expected = "length of the weight")]
fn wrong_lengths_are_refused() {
    let shape = SMALL;
    let (input, mut output) = (random(1, shape.input_len()), unwritten(shape.output_len()));
    conv2d(Isa::PORTABLE, &shape, &input[..], &random(2, shape.weight_len() - 1), None, &mut output);
}

#[test]
#[should_panic(expected = "kernel is larger than the padded frame")]
fn kernels_that_do_not_fit_are_refused() {
    ConvShape { height: 1, padding: [0, 0], ..SMALL }.output_len();
}

#[track_caller]
fn check_linear(rows: usize, inputs: usize, outputs: usize) {
    let what = |name| (name, rows, inputs, outputs);
    let x = random(1, rows * inputs);
    let weight = random(2, outputs * inputs);
    let grad = random(3, rows * outputs);
    let bias = random(4, outputs);
    let of_output = sums_of(grad.len(), &x, &weight, |x, w, y| {
        reference::linear(rows, inputs, outputs, x, w, Some(&wide(&bias)), y);
        // The second call, for magnitudes, must not see a negative bias.
        if x.iter().chain(w).all(|x| *x >= 0.0) {
            reference::linear(rows, inputs, outputs, x, w, Some(&magnitudes(&bias)), y);
        }
    });
    let of_x = sums_of(x.len(), &grad, &weight, |g, w, x| {
        reference::linear_input_grad(rows, inputs, outputs, g, w, x);
    });
    let of_weight = sums_of(weight.len(), &x, &grad, |x, g, w| {
        reference::linear_weight_grad(rows, inputs, outputs, x, g, w);
    });
    for isa in Isa::available() {
        let mut y = unwritten(grad.len());
        linear(isa, rows, inputs, outputs, &x, &weight, Some(&bias), &mut y);
        check_sums(&of_output, what("linear"), isa, &y);
        let mut grad_x = unwritten(x.len());
        linear_input_grad(isa, rows, inputs, outputs, &grad, &weight, &mut grad_x);
        check_sums(&of_x, what("linear_input_grad"), isa, &grad_x);
        let mut grad_w = unwritten(weight.len());
        linear_weight_grad(isa, rows, inputs, outputs, &x, &grad, &mut grad_w);
        check_sums(&of_weight, what("linear_weight_grad"), isa, &grad_w);
    }
}

#[test]
fn linear_layers() {
    for rows in [1, 7, 97] {
        for inputs in CHANNELS {
            check_linear(rows, inputs, 100);
        }
        for outputs in CHANNELS {
            check_linear(rows, 20, outputs);
        }
    }
    check_linear(300, 2000, 10);
    check_linear(0, 3, 5);
}

#[test]
fn bias_gradients() {
    for channels in CHANNELS {
        for rows in [0, 1, 5, 1000] {
            let grad = random(5, rows * channels);
            let sums = sums_of(channels, &grad, &[], |g, _, b| reference::bias_grad(channels, g, b));
            for isa in Isa::available() {
                let mut grad_bias = unwritten(channels);
                bias_grad(isa, channels, &grad, &mut grad_bias);
                check_sums(&sums, ("bias_grad", channels, rows), isa, &grad_bias);
            }
        }
    }
}

/// A value that is no number shows in what it enters, in each way of convolution, and nowhere else.
#[test]
fn what_is_no_number_stays_visible() {
    let ways = [
        (SMALL, 0.0, false),
        (ConvShape { in_channels: 16, ..SMALL }, 0.97, false),
        (TILED, 0.0, true),
        (TILED, 0.97, false),
    ];
    for (shape, zeros, tiled) in ways {
        for precision in [Precision::F32, Precision::Bf16] {
            let shape = ConvShape { precision, ..shape };
            assert_eq!(shape.winograd(Pass::Forward, 1.0 - zeros), tiled);
            let [weight, grad] =
                [(2, shape.weight_len()), (3, shape.output_len())].map(|(seed, n)| random(seed, n));
            let mut x = random(1, shape.input_len());
            x.iter_mut().filter(|x| x.abs() < zeros as f32).for_each(|x| *x = 0.0);
            for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                // The last pixel's first channel, of the first frame.
                let at = (shape.height * shape.width - 1) * shape.in_channels;
                let mut x = x.clone();
                x[at] = wrong;
                for isa in Isa::available() {
                    let what = format!("{shape:?}, {wrong}, {isa}");
                    let [y, _, dw] = convolved(isa, &shape, &x[..], &weight, &grad);
                    let (first, others) = y.split_at(shape.output_len() / shape.frames);
                    assert!(!first[first.len() - 1].is_finite(), "{what}: output");
                    assert!(others.iter().all(|y| y.is_finite()), "{what}: other frames");
                    // Every output channel has a weight of the input channel in the kernel's middle.
                    let of_kernel = dw.chunks_exact(shape.weight_len() / shape.out_channels);
                    assert!(
                        of_kernel.into_iter().all(|dw| !dw[4].is_finite()),
                        "{what}: gradient of weights"
                    );

                    let mut grad = grad.clone();
                    grad[0] = wrong;
                    let mut dx = unwritten(x.len());
                    conv2d_input_grad(isa, &shape, &grad, &weight, None::<&[f32]>, &mut dx);
                    assert!(!dx[0].is_finite(), "{what}: gradient of input");
                }
            }
        }
    }
}

fn shapes() -> impl Strategy<Value = ConvShape> {
    let pair = |range: std::ops::Range<usize>| (range.clone(), range).prop_map(|(a, b)| [a, b]);
    let channels = (1..4usize, 1..30usize, 1..80usize);
    (1..8usize, 1..12usize, 1..12usize, channels, pair(1..5), pair(1..4), pair(0..4)).prop_filter_map(
        "the kernel fits in the padded frame",
        |(frames, height, width, (groups, cin, cout), kernel, stride, padding)| {
            let fits = kernel[0] <= height + 2 * padding[0] && kernel[1] <= width + 2 * padding[1];
            let (in_channels, out_channels) = (groups * cin, groups * cout);
            let shape = ConvShape {
                frames,
                height,
                width,
                in_channels,
                out_channels,
                kernel,
                stride,
                padding,
                groups,
                precision: Precision::F32,
            };
            fits.then_some(shape)
        },
    )
}

/// Shapes that Winograd's algorithm is chosen for.
fn tiled_shapes() -> impl Strategy<Value = ConvShape> {
    let sizes = (2..10usize, 2..10usize, 0..4usize, 0..4usize);
    (sizes, 1..3usize, 16..40usize, 16..80usize, 0..20usize).prop_filter_map(
        "most of the tiles is output",
        |((height, width, down, across), groups, cin, cout, more)| {
            let shape = ConvShape {
                height,
                width,
                padding: [down, across],
                groups,
                in_channels: groups * cin,
                out_channels: groups * cout,
                ..TILED
            };
            if height + 2 * down < 3 || width + 2 * across < 3 {
                return None;
            }
            let tiles = shape.out_height().div_ceil(2) * shape.out_width().div_ceil(2);
            let shape = ConvShape { frames: 192usize.div_ceil(tiles) + more, ..shape };
            shape.winograd(Pass::Forward, 1.0).then_some(shape)
        },
    )
}

#[test]
#[should_panic(expected = "more values than can be counted")]
fn shapes_that_wrap_are_refused() {
    let shape = ConvShape { frames: 1 << 32, height: 1 << 16, width: 1 << 16, in_channels: 1, ..SMALL };
    conv2d(Isa::PORTABLE, &shape, &[0.0][..], &random(2, 9 * 17), None, &mut [0.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_shape(shape in shapes()) {
        check(shape);
    }

    #[test]
    fn any_shape_for_winograd(shape in tiled_shapes()) {
        check(shape);
    }
}
