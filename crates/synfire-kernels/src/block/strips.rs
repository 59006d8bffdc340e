//! Cutting a block's neurons into strips that stay in the cache, and strips into tasks. The cut depends on the shape
//! alone.

use std::ops::Range;

use super::BlockShape;
use crate::source::CHANNELS_PER_WORD;

/// About how many neurons a strip has: with 16 time steps, their potentials take 128 KiB, a part of the second cache.
const NEURONS: usize = 2048;
/// A strip has no fewer channels than this where there are as many.
const LEAST_CHANNELS: usize = 64;

/// Some pooling windows side by side in one sample, and some channels of them; or, with no windows, pixels that no
/// window reaches.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Strip {
    sample: usize,
    /// First row and pixel of the frame.
    first: [usize; 2],
    rows: usize,
    pixels: usize,
    pub(super) channels: Range<usize>,
    /// Windows across.
    pub(super) windows: usize,
}

/// A contiguous run of a strip's values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    /// Where it is in the block's input.
    pub(super) input: Range<usize>,
    /// Where it is in the strip, whose values are `[rows][pixels][channels]`.
    pub(super) strip: Range<usize>,
}

impl Strip {
    pub(super) fn neurons(&self) -> usize {
        self.rows * self.row()
    }

    /// Values of a row of the strip.
    pub(super) fn row(&self) -> usize {
        self.pixels * self.channels.len()
    }

    /// The runs of time step `t`: rows, or pixels where the strip does not have all channels.
    pub(super) fn runs(&self, shape: &BlockShape, t: usize) -> impl Iterator<Item = Run> {
        let channels = self.channels.len();
        let per_row = if channels == shape.channels { 1 } else { self.pixels };
        let (len, across) = (self.row() / per_row.max(1), self.pixels / per_row.max(1) * shape.channels);
        let frame = if shape.constant { self.sample } else { t * shape.batch + self.sample };
        let [y, x] = self.first;
        let start = ((frame * shape.height + y) * shape.width + x) * shape.channels + self.channels.start;
        let down = shape.width * shape.channels;
        (0..self.rows * per_row).map(move |i| {
            let input = start + i / per_row * down + i % per_row * across;
            Run { input: input..input + len, strip: i * len..(i + 1) * len }
        })
    }

    /// Where the strip's channels of window `window` are in the block's output at time step `t`.
    pub(super) fn output(&self, shape: &BlockShape, t: usize, window: usize) -> Range<usize> {
        let (side, [y, x]) = (shape.side(), self.first);
        let frame = t * shape.batch + self.sample;
        let place = (frame * shape.out_height() + y / side) * shape.out_width() + x / side + window;
        let start = place * shape.channels + self.channels.start;
        start..start + self.channels.len()
    }
}

/// The strips of some channels of one row of windows of one sample, with the pixels at its end that no window reaches.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) channels: Range<usize>,
    pub(super) strips: Vec<Strip>,
}

/// Channels and windows of a strip.
fn sizes(shape: &BlockShape) -> [usize; 2] {
    let area = shape.side().saturating_mul(shape.side());
    // Whole words of channels, in case the output is bits.
    let channels = (NEURONS / area).max(LEAST_CHANNELS) / CHANNELS_PER_WORD * CHANNELS_PER_WORD;
    let channels = channels.min(shape.channels);
    [channels, (NEURONS / area.saturating_mul(channels.max(1))).max(1)]
}

/// The most neurons of a strip; no strip may have quite as many.
pub(super) fn largest(shape: &BlockShape) -> usize {
    let [channels, windows] = sizes(shape);
    let across = windows.saturating_mul(shape.side()).min(shape.width);
    shape.side().min(shape.height).saturating_mul(across).saturating_mul(channels)
}

/// Cuts a block. Every neuron is in one strip.
pub(super) fn tasks(shape: &BlockShape) -> Vec<Task> {
    let side = shape.side();
    let (down, across) = (shape.out_height(), shape.out_width());
    let [channels, windows] = sizes(shape);
    let row_of_windows = |sample: usize, row: usize, channels: Range<usize>| {
        let strip = |windows: usize, x: usize, pixels: usize| Strip {
            sample,
            first: [row * side, x],
            rows: side.min(shape.height - row * side),
            pixels,
            channels: channels.clone(),
            windows,
        };
        let mut strips = Vec::new();
        let reached = if row < down { across } else { 0 };
        for first in (0..reached).step_by(windows) {
            let windows = windows.min(reached - first);
            strips.push(strip(windows, first * side, windows * side));
        }
        // In pieces of a strip's usual size, as all of them share the scratch memory.
        for x in (reached * side..shape.width).step_by(windows * side) {
            strips.push(strip(0, x, (windows * side).min(shape.width - x)));
        }
        Task { channels: channels.clone(), strips }
    };
    let rows = if down * side < shape.height { down + 1 } else { down };
    let mut tasks = Vec::new();
    for sample in 0..shape.batch {
        for row in 0..rows {
            for first in (0..shape.channels).step_by(channels.max(1)) {
                tasks.push(row_of_windows(sample, row, first..shape.channels.min(first + channels)));
            }
        }
    }
    tasks
}

#[cfg(test)]
mod tests {
    use super::super::Pool;
    use super::*;

    fn shape(height: usize, width: usize, channels: usize, pool: Pool) -> BlockShape {
        BlockShape { steps: 2, batch: 3, height, width, channels, constant: false, joint: false, pool }
    }

    #[test]
    fn every_neuron_and_window_is_in_one_strip() {
        for pool in [Pool::None, Pool::Max(2), Pool::Average(3), Pool::Max(4)] {
            for (height, width, channels) in [(7, 5, 3), (4, 4, 700), (17, 9, 128), (12, 70, 64), (3, 3, 5)] {
                let shape = shape(height, width, channels, pool);
                let (mut input, mut output) = (vec![0; shape.input_len()], vec![0; shape.output_len()]);
                let mut most = 0;
                for task in tasks(&shape) {
                    for strip in &task.strips {
                        assert_eq!(strip.channels, task.channels);
                        most = most.max(strip.neurons());
                        for t in 0..2 {
                            let mut seen = 0;
                            for run in strip.runs(&shape, t) {
                                assert_eq!((run.strip.start, run.input.len()), (seen, run.strip.len()));
                                seen = run.strip.end;
                                input[run.input].iter_mut().for_each(|n| *n += 1);
                            }
                            assert_eq!(seen, strip.neurons());
                            for window in 0..strip.windows {
                                output[strip.output(&shape, t, window)].iter_mut().for_each(|n| *n += 1);
                            }
                        }
                    }
                }
                assert!((most..2 * most).contains(&largest(&shape)), "{shape:?}");
                assert!(input.iter().all(|n| *n == 1), "{shape:?}");
                assert!(output.iter().all(|n| *n == 1), "{shape:?}");
            }
        }
    }
}
