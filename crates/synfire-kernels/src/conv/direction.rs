//! A convolution seen from the side that is computed.

use crate::bf16::Precision;

use super::ConvShape;
use super::gather::{Elements, Gather, Layout};
use super::panels::Order;

/// Which values of which source an output is summed over, and with which weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direction {
    pub(super) precision: Precision,
    pub(super) layout: Layout,
    pub(super) order: Order,
    /// Output channels of a group.
    pub(super) channels: usize,
}

impl Direction {
    /// Outputs from inputs.
    pub(super) fn forward(shape: &ConvShape) -> Self {
        // Checks the groups, too.
        let weights = shape.weight_len();
        let taps = shape.kernel[0] * shape.kernel[1];
        let channels = shape.in_channels / shape.groups;
        Direction {
            precision: shape.precision,
            layout: Layout {
                frames: shape.frames,
                source: [shape.height, shape.width],
                channels: shape.in_channels,
                group_channels: channels,
                out: [shape.out_height(), shape.out_width()],
                kernel: shape.kernel,
                stride: shape.stride,
                before: shape.padding.map(|padding| padding as isize),
                dilation: [1, 1],
                elements: Elements::Values,
            },
            order: Order {
                groups: shape.groups,
                group: weights / shape.groups,
                outer: channels * taps,
                inner: taps,
                taps,
                channels,
                turned: false,
            },
            channels: shape.out_channels / shape.groups,
        }
    }

    /// Errors of inputs from those of outputs: a convolution of these, spread out by the stride, with the turned kernel.
    pub(super) fn back(shape: &ConvShape) -> Self {
        let Direction { precision, layout, order, channels } = Direction::forward(shape);
        let before = |axis: usize| shape.kernel[axis] as isize - 1 - layout.before[axis];
        Direction {
            precision,
            layout: Layout {
                source: layout.out,
                channels: shape.out_channels,
                group_channels: channels,
                out: layout.source,
                stride: [1, 1],
                before: [before(0), before(1)],
                dilation: shape.stride,
                ..layout
            },
            order: Order { outer: order.inner, inner: order.outer, channels, turned: true, ..order },
            channels: layout.group_channels,
        }
    }

    /// How outputs find their source, laid out in these elements.
    pub(super) fn gather(&self, elements: Elements) -> Gather {
        Gather::new(Layout { elements, ..self.layout })
    }
}
