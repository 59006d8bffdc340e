//! What came of training, to be looked at: a page in one file, and its figures.
//!
//! [`Run`] and [`Compared`] gather what is known, [`Report`] shows it: [`Report::html`] loads nothing from elsewhere, and
//! [`Report::figures`] are the same pictures for papers. [`chart`] says what a figure shows, `draw` makes it SVG (with
//! [plotters]), [`samples`] looks at samples of the test set.

pub mod chart;
mod compared;
mod draw;
mod page;
mod png;
mod run;
pub mod samples;
pub mod text;

pub use compared::Compared;
pub use draw::Ground;
pub use png::Painter;
pub use run::Run;

use chart::Figure;

/// A page and its figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The page: HTML that needs no other file.
    pub html: String,
    /// Its figures.
    pub figures: Vec<Figure>,
}
