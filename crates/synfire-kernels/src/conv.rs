//! 2-D convolution, its gradients, and the sum over rows that is the gradient of a bias.
//!
//! ```text
//! y[f, oy, ox, o] = bias[o] + Σ_{ky,kx,i} x[f, oy·sy + ky − py, ox·sx + kx − px, i]·weight[o, i, ky, kx]
//! ```
//!
//! The products are computed as a matrix product without writing its left side down: see the comments in the private
//! modules `gather` (how pixels find their input), `panels` (how weights are packed) and `tile` (the inner loops).

mod direction;
mod fired;
mod forward;
mod gather;
mod panels;
mod skip;
mod tile;
mod weight;
mod winograd;

use rayon::prelude::*;

use crate::bf16::{Element, Precision, convert};
use crate::isa::{Isa, multiversion};
use crate::lens;
use crate::rows;
use crate::source::Source;

use direction::Direction;
use gather::Elements;
use panels::{Cut, Form};

/// The shape of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Frames, `T·B`.
    pub frames: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Distance between windows, down and across.
    pub stride: [usize; 2],
    /// Zeros added above and below, and at the left and the right.
    pub padding: [usize; 2],
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// What is multiplied: values as they are, or rounded to bf16.
    pub precision: Precision,
}

impl ConvShape {
    /// Height of the output.
    ///
    /// # Panics
    /// Where the kernel is empty or larger than the padded frame, or the stride is 0.
    pub fn out_height(&self) -> usize {
        self.out_len(self.height, 0)
    }

    /// Width of the output.
    ///
    /// # Panics
    /// Where the kernel is empty or larger than the padded frame, or the stride is 0.
    pub fn out_width(&self) -> usize {
        self.out_len(self.width, 1)
    }

    fn out_len(&self, len: usize, axis: usize) -> usize {
        let (kernel, stride) = (self.kernel[axis], self.stride[axis]);
        let padded = self.padding[axis].checked_mul(2).and_then(|both| both.checked_add(len));
        let padded = padded.unwrap_or_else(|| panic!("the padding is too large to be counted: {self:?}"));
        assert!(
            kernel > 0 && stride > 0,
            "a convolution needs a kernel and a stride of at least 1: {self:?}"
        );
        assert!(kernel <= padded, "the kernel is larger than the padded frame: {self:?}");
        (padded - kernel) / stride + 1
    }

    /// Values in the input.
    ///
    /// # Panics
    /// Where there are more than can be counted.
    pub fn input_len(&self) -> usize {
        lens::product(self, [self.frames, self.height, self.width, self.in_channels])
    }

    /// Values in the output.
    ///
    /// # Panics
    /// As [`ConvShape::out_height`], and where there are more than can be counted.
    pub fn output_len(&self) -> usize {
        lens::product(self, [self.frames, self.out_height(), self.out_width(), self.out_channels])
    }

    /// Values in the weight.
    ///
    /// # Panics
    /// Where the channels cannot be divided by the groups, or there are more than can be counted.
    pub fn weight_len(&self) -> usize {
        let groups = self.groups;
        assert!(
            groups > 0 && self.in_channels.is_multiple_of(groups) && self.out_channels.is_multiple_of(groups),
            "the channels cannot be divided into the groups: {self:?}"
        );
        lens::product(self, [self.out_channels, self.in_channels / groups, self.kernel[0], self.kernel[1]])
    }

    /// Multiplications of the forward pass, those with the padding's zeros included.
    ///
    /// # Panics
    /// As [`ConvShape::out_height`] and [`ConvShape::weight_len`].
    pub fn macs(&self) -> u64 {
        let pixels = lens::product(self, [self.frames, self.out_height(), self.out_width()]);
        (pixels as u64).saturating_mul(self.weight_len() as u64)
    }

    /// Whether a pass over an input of which a share of `density` is not 0 is computed by Winograd's algorithm, which
    /// needs half of the multiplications, but rounds transformed values and weights to bf16 where that is the precision.
    ///
    /// It is chosen for kernels of 3x3 without a stride and with enough channels and frames, unless skipping zeros is
    /// faster still; by measurement, on any processor alike, so that all give alike results. For the gradient of the
    /// input `density` is the share of neurons that fired, or 1 where the errors of all are wanted.
    ///
    /// # Panics
    /// As [`ConvShape::out_height`] and [`ConvShape::weight_len`].
    pub fn winograd(&self, pass: Pass, density: f64) -> bool {
        pass.by_winograd(&self.direction(pass), || density)
    }

    /// How a pass is computed over an input of which a share of `density` is not 0, as [`ConvShape::winograd`] counts it.
    /// Zeros are skipped or not by parts of the input; this is what is done where they are spread evenly.
    ///
    /// # Panics
    /// As [`ConvShape::out_height`] and [`ConvShape::weight_len`].
    pub fn way(&self, pass: Pass, density: f64) -> Way {
        // Of elements: a pair is skipped where both of its values are 0.
        let share = match self.precision {
            Precision::F32 => density,
            Precision::Bf16 => 1.0 - (1.0 - density).powi(2),
        };
        let sparse = match pass {
            Pass::Forward => {
                let gather =
                    Direction::forward(self).gather(Elements::for_sums_over_channels(self.precision));
                skip::pays_for_pixels(share, &gather, self.kernel)
            }
            Pass::InputGrad => density <= FIRED,
            Pass::WeightGrad => skip::pays_for_weights(share),
        };
        match self.winograd(pass, density) {
            true => Way::Winograd,
            false if sparse => Way::Sparse,
            false => Way::Dense,
        }
    }

    /// Bytes that a pass over a dense input allocates beside what it is given: packed weights, or sums. Each thread has
    /// some hundred KiB more.
    ///
    /// # Panics
    /// As [`ConvShape::out_height`] and [`ConvShape::weight_len`].
    pub fn workspace(&self, isa: Isa, pass: Pass) -> usize {
        let direction = self.direction(pass);
        let form = if self.winograd(pass, 1.0) { Form::Winograd } else { Form::Plain };
        let values = match (pass, form) {
            (Pass::WeightGrad, Form::Winograd) => winograd::workspace(isa, &direction),
            (Pass::WeightGrad, Form::Plain) => weight::workspace(isa, &direction),
            (Pass::Forward | Pass::InputGrad, _) => {
                direction.order.packed_len(form, &Cut::new(isa, direction.channels), self.precision)
            }
        };
        values * size_of::<f32>()
    }

    /// Bytes that each thread keeps for itself when `pass` is computed, where the inputs are not mostly zeros.
    ///
    /// # Panics
    /// As [`ConvShape::workspace`].
    pub fn scratch(&self, isa: Isa, pass: Pass) -> usize {
        let direction = self.direction(pass);
        match (pass, self.winograd(pass, 1.0)) {
            (Pass::WeightGrad, true) => winograd::weight_scratch(isa, &direction),
            (Pass::WeightGrad, false) => weight::scratch(isa, &direction),
            (Pass::Forward | Pass::InputGrad, true) => winograd::scratch(isa, &direction),
            (Pass::Forward | Pass::InputGrad, false) => forward::scratch(isa, &direction),
        }
    }

    fn check(&self, input: usize, weight: usize, output: usize) {
        assert_eq!(input, self.input_len(), "convolution: length of the input side of {self:?}");
        assert_eq!(weight, self.weight_len(), "convolution: length of the weight of {self:?}");
        assert_eq!(output, self.output_len(), "convolution: length of the output side of {self:?}");
    }

    /// The side that a pass computes.
    fn direction(&self, pass: Pass) -> Direction {
        match pass {
            Pass::Forward | Pass::WeightGrad => Direction::forward(self),
            Pass::InputGrad => Direction::back(self),
        }
    }
}

/// How a pass of a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// All products.
    Dense,
    /// All products, fewer of them: see [`ConvShape::winograd`].
    Winograd,
    /// Products of what is not 0, or for what fired.
    Sparse,
}

impl Way {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Way::Dense => "dense",
            Way::Winograd => "winograd",
            Way::Sparse => "sparse",
        }
    }
}

/// What is computed of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    /// [`conv2d`].
    Forward,
    /// [`conv2d_input_grad`].
    InputGrad,
    /// [`conv2d_weight_grad`].
    WeightGrad,
}

impl Pass {
    /// See [`ConvShape::winograd`]; the density is asked for where it matters.
    fn by_winograd(self, direction: &Direction, density: impl FnOnce() -> f64) -> bool {
        // Densities below which skipping zeros was measured to be faster, at the layers of `benches/conv.rs` in bf16.
        let skipped = match self {
            // 0.16 to 0.21.
            Pass::Forward => 0.18,
            // 0.28 to 0.33.
            Pass::InputGrad => 0.3,
            // Below 0.13 where frames are small and weights many, 0.22 to 0.34 where frames are large.
            Pass::WeightGrad => 0.15,
        };
        winograd::pays(direction) && density() > skipped
    }
}

/// The convolution.
///
/// ```text
/// input  [frames, height, width, in_channels]
/// weight [out_channels, in_channels / groups, kernel height, kernel width]
/// bias   [out_channels]
/// output [frames, out_height, out_width, out_channels]  written
/// ```
///
/// # Panics
/// Where lengths do not fit the shape, or the shape is none.
pub fn conv2d<X: Source, Y: Element>(
    isa: Isa,
    shape: &ConvShape,
    input: X,
    weight: &[f32],
    bias: Option<&[f32]>,
    output: &mut [Y],
) {
    shape.check(input.len(), weight.len(), output.len());
    if let Some(bias) = bias {
        assert_eq!(bias.len(), shape.out_channels, "convolution: length of the bias of {shape:?}");
    }
    if output.is_empty() {
        return;
    }
    if weight.is_empty() {
        output.chunks_exact_mut(shape.out_channels).for_each(|row| match bias {
            Some(bias) => convert(isa, bias, row),
            None => row.fill(Y::default()),
        });
        return;
    }
    let direction = Direction::forward(shape);
    let product = match Pass::Forward.by_winograd(&direction, || input.density(isa)) {
        true => winograd::product,
        false => forward::product,
    };
    product(isa, &direction, input, weight, bias, output);
}

/// Where more of the input than this share is not 0, all errors of the input are computed: dot products one by one are
/// slower than tiles then.
const FIRED: f64 = 0.5;

/// The error of the input of [`conv2d`].
///
/// ```text
/// grad_output [frames, out_height, out_width, out_channels]
/// weight      [out_channels, in_channels / groups, kernel height, kernel width]
/// fired       [frames, height, width, in_channels]
/// grad_input  [frames, height, width, in_channels]  written
/// ```
///
/// Given `fired`, the error is needed only where it is not 0, and elsewhere 0 may be written in place of it: so it is
/// for spikes, pooled or not, of neurons that learn by bpsa or bpsta, as a silent one passes no error of its spike on.
///
/// # Panics
/// Where lengths do not fit the shape, or the shape is none.
pub fn conv2d_input_grad<Y: Element, X: Source>(
    isa: Isa,
    shape: &ConvShape,
    grad_output: &[Y],
    weight: &[f32],
    fired: Option<X>,
    grad_input: &mut [X::Element],
) {
    shape.check(grad_input.len(), weight.len(), grad_output.len());
    if let Some(fired) = fired {
        assert_eq!(fired.len(), grad_input.len(), "convolution: length of the fired input of {shape:?}");
    }
    if grad_output.is_empty() || grad_input.is_empty() {
        grad_input.fill(X::Element::default());
        return;
    }
    let direction = Direction::back(shape);
    let share = fired.map_or(1.0, |fired| fired.density(isa));
    match fired {
        _ if Pass::InputGrad.by_winograd(&direction, || share) => {
            winograd::product(isa, &direction, grad_output, weight, None, grad_input);
        }
        Some(fired) if share <= FIRED => {
            fired::product(isa, &direction, grad_output, weight, fired, grad_input);
        }
        _ => forward::product(isa, &direction, grad_output, weight, None, grad_input),
    }
}

/// The error of the weight of [`conv2d`]; that of the bias is [`bias_grad`].
///
/// ```text
/// input       [frames, height, width, in_channels]
/// grad_output [frames, out_height, out_width, out_channels]
/// grad_weight [out_channels, in_channels / groups, kernel height, kernel width]  written
/// ```
///
/// # Panics
/// Where lengths do not fit the shape, or the shape is none.
pub fn conv2d_weight_grad<X: Source, Y: Element>(
    isa: Isa,
    shape: &ConvShape,
    input: X,
    grad_output: &[Y],
    grad_weight: &mut [f32],
) {
    shape.check(input.len(), grad_weight.len(), grad_output.len());
    if grad_output.is_empty() || grad_weight.is_empty() {
        grad_weight.fill(0.0);
        return;
    }
    let direction = Direction::forward(shape);
    let gradient = match Pass::WeightGrad.by_winograd(&direction, || input.density(isa)) {
        true => winograd::weight_grad,
        false => weight::weight_grad,
    };
    gradient(isa, &direction, input, grad_output, grad_weight);
}

/// The error of a bias: the sum over rows, taken in `f64`.
///
/// ```text
/// grad_output [rows, channels]
/// grad_bias   [channels]  written
/// ```
///
/// # Panics
/// Where lengths do not fit.
pub fn bias_grad<E: Element>(isa: Isa, channels: usize, grad_output: &[E], grad_bias: &mut [f32]) {
    assert_eq!(grad_bias.len(), channels, "bias_grad: length of grad_bias for {channels} channels");
    if grad_output.is_empty() {
        grad_bias.fill(0.0);
        return;
    }
    assert!(
        channels > 0 && grad_output.len().is_multiple_of(channels),
        "bias_grad: {} values are not rows of {channels} channels",
        grad_output.len()
    );
    let block = rows::block(channels) * channels;
    let mut partial = vec![0.0; grad_output.len().div_ceil(block) * channels];
    partial
        .par_chunks_mut(channels)
        .zip(grad_output.par_chunks(block))
        .for_each(|(sums, rows)| column_sums(isa, rows, sums));
    let (sums, others) = partial.split_at_mut(channels);
    for other in others.chunks_exact(channels) {
        sums.iter_mut().zip(other).for_each(|(sum, x)| *sum += x);
    }
    grad_bias.iter_mut().zip(sums).for_each(|(grad, sum)| *grad = *sum as f32);
}

multiversion! {
    fn column_sums<E: Element>(rows: &[E], sums: &mut [f64]) {
        for row in rows.chunks_exact(sums.len()) {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += f64::from(x.widen());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What [`ConvShape::way`] says of a density is what the kernels do with an input of it.
    #[test]
    fn ways_are_those_of_the_kernels() {
        for (precision, stride) in
            [(Precision::F32, [2, 2]), (Precision::Bf16, [2, 2]), (Precision::Bf16, [1, 1])]
        {
            let shape = ConvShape {
                frames: 40,
                height: 8,
                width: 8,
                in_channels: 64,
                out_channels: 64,
                kernel: [3, 3],
                stride,
                padding: [0, 0],
                groups: 1,
                precision,
            };
            let direction = Direction::forward(&shape);
            let pairs = if precision == Precision::F32 { Elements::Values } else { Elements::FramePairs };
            for (pass, elements) in
                [(Pass::Forward, Elements::for_sums_over_channels(precision)), (Pass::WeightGrad, pairs)]
            {
                let gather = direction.gather(elements);
                for percent in [5, 25, 35, 45, 70] {
                    let hash = |i: u32| i.wrapping_mul(2_654_435_761) >> 8;
                    let spikes = (0..shape.input_len() as u32).map(|i| hash(hash(i) ^ 9) % 100 < percent);
                    let input: Vec<f32> = spikes.map(|fires| f32::from(u8::from(fires))).collect();
                    let isa = Isa::PORTABLE;
                    let unit = gather.unit(0);
                    let mut scratch = vec![0.0; gather.scratch_len()];
                    gather.fill(isa, unit, 0, &input[..], &mut scratch);
                    let share = skip::share(isa, &scratch[..gather.filled(unit)]);
                    let sparse = match pass {
                        Pass::Forward => skip::pays_for_pixels(share, &gather, shape.kernel),
                        _ => skip::pays_for_weights(share),
                    };
                    let density = (&input[..]).density(isa);
                    let expected = match shape.winograd(pass, density) {
                        true => Way::Winograd,
                        false if sparse => Way::Sparse,
                        false => Way::Dense,
                    };
                    assert_eq!(shape.way(pass, density), expected, "{pass:?}, {precision}, {density}");
                }
            }
        }
    }
}
