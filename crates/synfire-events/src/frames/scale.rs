//! Where the pixels of a row or a column go when frames are smaller than the sensor.

use std::ops::Range;

use super::Downsampling;

/// Along one side of the sensor: which pixels of the frame a pixel of the sensor belongs to.
pub(super) struct Scale {
    /// For each pixel of the sensor the pixels of the frame: none, one, or two neighbours.
    targets: Vec<Range<u16>>,
    /// For each pixel of the frame how many of the sensor belong to it.
    sources: Vec<u16>,
}

impl Scale {
    /// From a side of `from` pixels to one of `to`, which are at least one and no more.
    pub(super) fn new(from: usize, to: usize, how: Downsampling) -> Self {
        let window = |i: usize| match how {
            // As PyTorch's `interpolate` takes them: `nearest` the pixel at the window's start, `area` all that it touches.
            Downsampling::Nearest => i * from / to..i * from / to + 1,
            Downsampling::Area => i * from / to..((i + 1) * from).div_ceil(to),
            // Each pixel belongs to one window alone.
            Downsampling::Sum => (i * from).div_ceil(to)..((i + 1) * from).div_ceil(to),
        };
        let mut targets = vec![0..0; from];
        for i in 0..to {
            for target in &mut targets[window(i)] {
                let start = if target.end == 0 { i as u16 } else { target.start };
                *target = start..i as u16 + 1;
            }
        }
        Self { targets, sources: (0..to).map(|i| window(i).len() as u16).collect() }
    }

    /// The pixels of the frame that this one of the sensor belongs to.
    #[inline]
    pub(super) fn targets(&self, at: u16) -> Range<usize> {
        let Range { start, end } = self.targets[usize::from(at)];
        start.into()..end.into()
    }

    /// How many pixels of the sensor belong to this one of the frame.
    pub(super) fn sources(&self, at: usize) -> usize {
        self.sources[at].into()
    }
}
