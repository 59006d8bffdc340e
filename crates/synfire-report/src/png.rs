//! Figures as PNG, for programs that take no SVG.

use crate::chart::Figure;
use crate::draw::Ground;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};
use std::sync::Arc;

/// Pixels for each unit of the drawing: two columns of a paper at 300 dots an inch.
const SCALE: f32 = 3.0;

/// Makes pixels of figures, with the fonts of this machine.
pub struct Painter {
    options: Options<'static>,
}

impl Painter {
    /// A painter; none where this machine has no font, as what it painted would be without words.
    pub fn of_system() -> Option<Self> {
        let mut fonts = fontdb::Database::new();
        fonts.load_system_fonts();
        // The drawings ask for any font without serifs; that is a name to be looked up, and it may be another one here.
        let any = fonts.faces().next()?.families.first()?.0.clone();
        let known = ["DejaVu Sans", "Liberation Sans", "Noto Sans", "Arial", "Helvetica"];
        let there =
            |name: &&&str| fonts.faces().any(|face| face.families.iter().any(|(family, _)| family == *name));
        let family = known.iter().find(there).map_or(any, |name| (*name).to_string());
        fonts.set_sans_serif_family(family.clone());
        Some(Self { options: Options { font_family: family, fontdb: Arc::new(fonts), ..Options::default() } })
    }

    /// The picture of `figure` on white, a PNG file.
    ///
    /// # Panics
    /// Never: every figure is a drawing of some size.
    pub fn png(&self, figure: &Figure) -> Vec<u8> {
        let tree =
            Tree::from_str(&figure.svg(Ground::Paper), &self.options).expect("a figure is a sound drawing");
        let size = tree.size();
        let [width, height] = [size.width(), size.height()].map(|length| (SCALE * length).ceil() as u32);
        let mut pixels = Pixmap::new(width, height).expect("a figure has a size");
        resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
        pixels.encode_png().expect("memory takes all")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Axis, Chart, Series};

    #[test]
    fn a_figure_with_words_has_more_ink_than_one_without() {
        // Without a font there is no painter, and nothing to test.
        let Some(painter) = Painter::of_system() else { return };
        let ink = |label: &str| {
            let series = vec![Series::new("", [(0.0, 0.0), (1.0, 1.0)])];
            let chart = Chart::Lines { x: Axis::of(label), y: Axis::of(""), series };
            let figure = Figure { name: String::new(), title: String::new(), caption: String::new(), chart };
            let picture = image::load_from_memory(&painter.png(&figure)).unwrap().to_luma8();
            assert_eq!(picture.width(), 3 * 480);
            picture.pixels().filter(|pixel| pixel.0[0] < 128).count()
        };
        assert!(ink("a long label of many letters") > ink("") + 500);
    }
}
