//! Laying out input frames so that the inner loops of a convolution need no tests.
//!
//! A *unit* is a band of output rows of one frame, or several whole frames where frames are small. Its input is
//! copied to a scratch `[frames, rows, width, channels]` with the padding's zeros in place. There, the values under
//! the kernel row `ky` of an output pixel are one contiguous run of `kw·channels` values that begins at the pixel's
//! *base* plus `ky` rows: nothing like an im2col copy is needed.

use std::ops::Range;

use crate::bf16::{Element, Precision, convert, pair_neighbours, pair_partners};
use crate::isa::Isa;
use crate::source::Source;

/// About how many values the scratch of a unit may have: 256 KiB, a part of the second cache.
const SCRATCH: usize = 1 << 16;
/// A unit has at least this many output pixels where there are as many, so that streaming the weights pays.
const LEAST_PIXELS: usize = 96;
/// Frames are not put together for that beyond this many values, 2 MiB: those of linear layers may have any number of channels.
const MOST_TOGETHER: usize = 1 << 19;
/// A unit of several rows has at most about this many output pixels.
const MOST_PIXELS: usize = 1024;
/// Small frames are put together so that about this many units are left for the threads.
const UNITS: usize = 16;
/// Values past the end of the scratch that a tile may read, and then ignores.
pub(super) const SLACK: usize = 16;

/// How output pixels find their input.
///
/// The pixel `(oy, ox)` and the kernel's `(ky, kx)` meet the source pixel at `(oy·stride + ky − before) / dilation`,
/// where that is a whole number inside the source, and zeros elsewhere. (`before` is the padding, and `dilation` 1,
/// but for the gradient of the input.)
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) frames: usize,
    /// Height and width of the source.
    pub(super) source: [usize; 2],
    /// Channels of the source.
    pub(super) channels: usize,
    /// Channels of one group, which are what is copied.
    pub(super) group_channels: usize,
    /// Height and width of the output.
    pub(super) out: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) before: [isize; 2],
    pub(super) dilation: [usize; 2],
    pub(super) elements: Elements,
}

/// What an element of the scratch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elements {
    /// A value.
    Values,
    /// Two neighbouring channels as bf16, the last one's neighbour 0 where the number is odd: for sums over channels.
    ChannelPairs,
    /// The same value of two successive frames as bf16, the last one's partner 0 where the number is odd: for sums
    /// over frames.
    FramePairs,
}

impl Elements {
    pub(super) fn for_sums_over_channels(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Elements::Values,
            Precision::Bf16 => Elements::ChannelPairs,
        }
    }
}

impl Layout {
    /// Elements of a pixel in the scratch.
    fn width(&self) -> usize {
        match self.elements {
            Elements::ChannelPairs => self.group_channels.div_ceil(2),
            Elements::Values | Elements::FramePairs => self.group_channels,
        }
    }

    /// Frames that an element is made of.
    pub(super) fn frames_per_element(&self) -> usize {
        if self.elements == Elements::FramePairs { 2 } else { 1 }
    }
}

/// A [`Layout`] cut into units.
#[derive(Debug)]
pub(super) struct Gather {
    layout: Layout,
    /// Frames and output rows of a unit; more than one frame only where a unit has all rows.
    frames: usize,
    rows: usize,
    /// Width of the scratch in pixels.
    width: usize,
    /// Where each output pixel of a unit begins in the scratch.
    bases: Vec<usize>,
    /// The contiguous runs of values under the kernel, relative to a base.
    runs: Vec<Range<usize>>,
}

/// Some frames times some output rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    /// Counted as the scratch has them: pairs of frames are one.
    frame: usize,
    frames: usize,
    row: usize,
    rows: usize,
}

impl Gather {
    pub(super) fn new(layout: Layout) -> Self {
        let Layout { out: [oh, ow], kernel: [kh, kw], stride: [sy, sx], .. } = layout;
        let frames = layout.frames.div_ceil(layout.frames_per_element());
        let width = (ow - 1) * sx + kw;
        let pixel = layout.width();
        let scratch_row = width * pixel;

        let fitting = (SCRATCH / scratch_row).saturating_sub(kh) / sy + 1;
        let rows = fitting
            .clamp(LEAST_PIXELS.div_ceil(ow), (MOST_PIXELS / ow).max(1).max(LEAST_PIXELS.div_ceil(ow)));
        // Bands of equal height, as far as that goes.
        let rows = oh.div_ceil(oh.div_ceil(rows.min(oh)));
        let frame = ((oh - 1) * sy + kh) * scratch_row;
        let together = if rows < oh {
            1
        } else {
            let least = LEAST_PIXELS.div_ceil(oh * ow).min(MOST_TOGETHER / frame);
            (SCRATCH / frame)
                .min(MOST_PIXELS / (oh * ow))
                .min(frames / UNITS)
                .max(least)
                .clamp(1, frames.max(1))
        };

        let band = (rows - 1) * sy + kh;
        let mut bases = Vec::with_capacity(together * rows * ow);
        for frame in 0..together {
            for oy in 0..rows {
                for ox in 0..ow {
                    bases.push(((frame * band + oy * sy) * width + ox * sx) * pixel);
                }
            }
        }
        let runs = (0..kh).map(|ky| ky * scratch_row..ky * scratch_row + kw * pixel).collect();
        Gather { layout, frames: together, rows, width, bases, runs }
    }

    /// Frames, or pairs of them.
    fn scratch_frames(&self) -> usize {
        self.layout.frames.div_ceil(self.layout.frames_per_element())
    }

    pub(super) fn units(&self) -> usize {
        self.scratch_frames().div_ceil(self.frames) * self.bands()
    }

    pub(super) fn unit(&self, i: usize) -> Unit {
        let (frame, row) = (i / self.bands() * self.frames, i % self.bands() * self.rows);
        Unit {
            frame,
            frames: self.frames.min(self.scratch_frames() - frame),
            row,
            rows: self.rows.min(self.layout.out[0] - row),
        }
    }

    /// Output pixels of a unit; those of a pair of frames count once.
    pub(super) fn pixels(&self, unit: Unit) -> usize {
        unit.frames * unit.rows * self.layout.out[1]
    }

    /// The first output pixel of a unit, counted over all frames; the others follow where no frames are paired.
    pub(super) fn first_pixel(&self, unit: Unit) -> usize {
        let [oh, ow] = self.layout.out;
        (unit.frame * oh + unit.row) * ow
    }

    /// Each output pixel of a unit of paired frames, counted over all frames, and its partner if there is one.
    pub(super) fn pixel_pairs(&self, unit: Unit) -> impl Iterator<Item = (usize, Option<usize>)> {
        let [oh, ow] = self.layout.out;
        let (frames, size, of_frame) = (self.layout.frames, oh * ow, unit.rows * ow);
        (0..unit.frames * of_frame).map(move |i| {
            let frame = 2 * (unit.frame + i / of_frame);
            let first = frame * size + unit.row * ow + i % of_frame;
            (first, (frame + 1 < frames).then_some(first + size))
        })
    }

    /// Where the output pixels of a unit begin in the scratch.
    pub(super) fn bases(&self, unit: Unit) -> &[usize] {
        &self.bases[..self.pixels(unit)]
    }

    /// The runs of values under the kernel, `kh` of `kw·channels` values each, relative to a base.
    pub(super) fn runs(&self) -> &[Range<usize>] {
        &self.runs
    }

    /// Pixels of a row of the scratch.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Elements of a pixel of the scratch.
    pub(super) fn pixel(&self) -> usize {
        self.layout.width()
    }

    /// Elements that a unit fills of its scratch.
    pub(super) fn filled(&self, unit: Unit) -> usize {
        unit.frames * self.band(unit.rows) * self.width * self.pixel()
    }

    /// How many values a scratch needs. Every base plus every run lies [`SLACK`] values before its end.
    pub(super) fn scratch_len(&self) -> usize {
        self.frames * self.band(self.rows) * self.width * self.layout.width() + SLACK
    }

    /// Bytes that a thread keeps for itself: a scratch, and a row of `width` values for each output pixel of a unit.
    pub(super) fn thread_bytes(&self, width: usize) -> usize {
        (self.scratch_len() + self.bases.len() * width) * size_of::<f32>()
    }

    /// Copies the source of a unit, `group`'s channels of it, and the zeros around.
    pub(super) fn fill<X: Source>(&self, isa: Isa, unit: Unit, group: usize, source: X, scratch: &mut [f32]) {
        let Layout { frames, source: [height, width], channels, stride, before, dilation, .. } = self.layout;
        let mut buffers = [Vec::new(), Vec::new()];
        let (band, step) = (self.band(unit.rows), self.layout.frames_per_element());
        let (scratch, slack) = scratch.split_at_mut(self.filled(unit));
        // What a vector reads past the end must be a number, as it is multiplied by 0.
        slack[..SLACK].fill(0.0);
        for (i, to) in scratch.chunks_exact_mut(self.width * self.pixel()).enumerate() {
            let frame = step * (unit.frame + i / band);
            let y = (unit.row * stride[0] + i % band) as isize - before[0];
            match source_index(y, dilation[0], height) {
                Some(y) => {
                    let row = |frame| {
                        let first = (frame * height + y) * width * channels;
                        first..first + width * channels
                    };
                    let [first, second] = &mut buffers;
                    let partner =
                        (step == 2 && frame + 1 < frames).then(|| source.read(isa, row(frame + 1), second));
                    self.fill_row(isa, group, source.read(isa, row(frame), first), partner, to);
                }
                None => to.fill(0.0),
            }
        }
    }

    /// One row of the scratch from one of the source, and from its partner in the next frame where frames are paired.
    fn fill_row<X: Element>(
        &self,
        isa: Isa,
        group: usize,
        from: &[X],
        partner: Option<&[X]>,
        to: &mut [f32],
    ) {
        let Layout { source: [_, width], channels, group_channels, before, dilation, elements, .. } =
            self.layout;
        let pixel = self.layout.width();
        let copy_pixels = |x: usize, count: usize, to: &mut [f32]| {
            let start = x * channels + group * group_channels;
            let values = start..start + (count - 1) * channels + group_channels;
            copy(isa, elements, &from[values.clone()], partner.map(|row| &row[values]), to);
        };
        if dilation[1] > 1 {
            for (x, to) in to.chunks_exact_mut(pixel).enumerate() {
                match source_index(x as isize - before[1], dilation[1], width) {
                    Some(x) => copy_pixels(x, 1, to),
                    None => to.fill(0.0),
                }
            }
            return;
        }
        let left = before[1].max(0).unsigned_abs().min(self.width);
        let first = before[1].min(0).unsigned_abs().min(width);
        let count = (width - first).min(self.width - left);
        let (zeros, to) = to.split_at_mut(left * pixel);
        let (middle, right) = to.split_at_mut(count * pixel);
        zeros.fill(0.0);
        right.fill(0.0);
        let whole =
            channels == group_channels && (elements != Elements::ChannelPairs || channels.is_multiple_of(2));
        if whole && count > 0 {
            copy_pixels(first, count, middle);
        } else {
            for (x, to) in middle.chunks_exact_mut(pixel).enumerate() {
                copy_pixels(first + x, 1, to);
            }
        }
    }

    /// Rows of the scratch that one frame takes for `rows` output rows.
    fn band(&self, rows: usize) -> usize {
        (rows - 1) * self.layout.stride[0] + self.layout.kernel[0]
    }

    /// Units that a frame is cut into.
    fn bands(&self) -> usize {
        self.layout.out[0].div_ceil(self.rows)
    }
}

/// The elements of `from`, which are whole pixels, and their partners.
fn copy<X: Element>(isa: Isa, elements: Elements, from: &[X], partner: Option<&[X]>, to: &mut [f32]) {
    match elements {
        Elements::Values => convert(isa, from, to),
        Elements::ChannelPairs => {
            pair_neighbours(isa, from, to);
            if let (&[last], Some(to)) = (from.chunks_exact(2).remainder(), to.last_mut()) {
                *to = X::pair(last, X::default());
            }
        }
        Elements::FramePairs => pair_partners(isa, from, partner, to),
    }
}

/// The source row or column at `at` of the dilated source, if there is one.
fn source_index(at: isize, dilation: usize, len: usize) -> Option<usize> {
    let at = usize::try_from(at).ok()?;
    (at.is_multiple_of(dilation) && at / dilation < len).then_some(at / dilation)
}
