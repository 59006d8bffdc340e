//! Winograd's minimal filtering, F(2x2, 3x3): a tile of 2x2 outputs of a 3x3 kernel from 16 products where the sum over
//! the kernel has 36.
//!
//! ```text
//! Y  = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A        d: 4x4 inputs, g: 3x3 weights, Y: 2x2 outputs
//! dg = Gᵀ [(A e Aᵀ) ⊙ (Bᵀ d B)] G        e: errors of the outputs
//! ```
//!
//! (S. Winograd 1980; A. Lavin and S. Gray 2016, with the signs of one row of A and B turned.) Summed over channels, or
//! over tiles for the gradient of the weights, each of the 16 *places* is a product of matrices, for which the inner
//! loops of [`super::tile`] are used.
//!
//! Spikes make this safe in bf16, where it is otherwise avoided: `Bᵀ d B` of zeros and ones are whole numbers from −2 to
//! 4, which bf16 has. What is rounded is the transformed weights and errors, and values that are no spikes. Measured as root
//! mean squares, shares of the exact sums, beside a dense convolution whose operands are rounded to bf16:
//!
//! | pass | Winograd | dense |
//! |---|---|---|
//! | forward, of spikes, of any values | 0.23 %, 0.41 % | 0.13 %, 0.21 % |
//! | gradient of the input | 0.41 % | 0.21 % |
//! | gradient of the weight, of spikes, of any values | 0.24 %, 0.41 % | 0.15 %, 0.21 % |

mod product;
mod transform;
mod weight;

use std::ops::Range;

use crate::isa::multiversion;

use super::direction::Direction;
use super::gather::Layout;
use super::panels::Block;

pub(super) use product::{product, scratch};
pub(super) use weight::{scratch as weight_scratch, weight_grad, workspace};

/// Products of a tile.
pub(super) const PLACES: usize = LINE * LINE;
/// Of a line of them.
const LINE: usize = 4;
/// Side of a tile of outputs.
const SIDE: usize = 2;
/// With fewer channels, what is saved in products is lost in transforms.
const LEAST_CHANNELS: usize = 16;
/// With 128 tiles, of 512 and 1024 channels, a pass is faster by a fifth; with fewer, transforming the weights takes as long as what it
/// saves.
const LEAST_TILES: usize = 96;

/// Whether a convolution can be computed so, and is faster then than with dense tiles.
pub(super) fn pays(direction: &Direction) -> bool {
    let Direction { layout, channels, .. } = direction;
    let fits = layout.kernel == [3, 3] && layout.stride == [1, 1] && layout.dilation == [1, 1];
    fits && layout.group_channels.min(*channels) >= LEAST_CHANNELS && {
        let tiles = Tiles::new(layout);
        let outputs = layout.frames * layout.out[0] * layout.out[1];
        // With a margin of a quarter for the transforms: frames of one row or column are too far from whole tiles.
        tiles.len() >= LEAST_TILES && 5 * PLACES * tiles.len() <= 4 * 9 * outputs
    }
}

/// The tiles that cover the outputs of all frames, in rows.
#[derive(Clone, Copy, Debug)]
struct Tiles {
    frames: usize,
    down: usize,
    across: usize,
}

/// The first output pixel of a tile.
#[derive(Clone, Copy, Debug)]
struct Origin {
    frame: usize,
    y: usize,
    x: usize,
}

impl Tiles {
    fn new(layout: &Layout) -> Self {
        let [down, across] = layout.out.map(|len| len.div_ceil(SIDE));
        Tiles { frames: layout.frames, down, across }
    }

    fn len(&self) -> usize {
        self.frames * self.down * self.across
    }

    /// Where some tiles lie, one after the other.
    fn origins(&self, tiles: Range<usize>) -> impl Iterator<Item = Origin> + use<> {
        let Tiles { down, across, .. } = *self;
        tiles.map(move |i| {
            let (row, x) = (i / across, SIDE * (i % across));
            Origin { frame: row / down, y: SIDE * (row % down), x }
        })
    }
}

multiversion! {
    /// `G g Gᵀ`.
    pub(super) fn spread_kernel(taps: &[Block], places: &mut [Block]) {
        let (taps, _) = taps.as_chunks::<3>();
        let (places, _) = places.as_chunks_mut::<4>();
        let mut rows = [[Block::default(); 3]; 4];
        for x in 0..3 {
            let column = spread_taps(&[taps[0][x], taps[1][x], taps[2][x]]);
            rows.iter_mut().zip(column).for_each(|(row, value)| row[x] = value);
        }
        for (places, row) in places.iter_mut().zip(&rows) {
            *places = spread_taps(row);
        }
    }
}

/// `G g`.
#[inline(always)]
fn spread_taps([a, b, c]: &[Block; 3]) -> [Block; 4] {
    let mut places = [*a, *a, *a, *c];
    for i in 0..a.len() {
        places[1][i] = 0.5 * ((a[i] + c[i]) + b[i]);
        places[2][i] = 0.5 * ((a[i] + c[i]) - b[i]);
    }
    places
}

multiversion! {
    /// `Gᵀ m G`.
    pub(super) fn collect_kernel(places: &[Block], taps: &mut [Block]) {
        let (places, _) = places.as_chunks::<4>();
        let (taps, _) = taps.as_chunks_mut::<3>();
        let mut rows = [[Block::default(); 4]; 3];
        for x in 0..4 {
            let column = collect_taps(&[places[0][x], places[1][x], places[2][x], places[3][x]]);
            rows.iter_mut().zip(column).for_each(|(row, value)| row[x] = value);
        }
        for (taps, row) in taps.iter_mut().zip(&rows) {
            *taps = collect_taps(row);
        }
    }
}

/// `Gᵀ m`.
#[inline(always)]
fn collect_taps([a, b, c, d]: &[Block; 4]) -> [Block; 3] {
    let mut taps = [*a, *b, *d];
    for i in 0..a.len() {
        let half = 0.5 * (b[i] + c[i]);
        taps[0][i] = a[i] + half;
        taps[1][i] = 0.5 * (b[i] - c[i]);
        taps[2][i] = d[i] + half;
    }
    taps
}
