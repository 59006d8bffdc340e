//! Data sets for spiking networks: from files to batches.
//!
//! [`open`] finds a set by name and gives a [`DataSet`], whose two parts are [`Source`]s; [`validation_split`] holds
//! back a part of the training samples; a [`Loader`] turns samples into [`Batch`]es on other threads.
//!
//! ```
//! use synfire_data::{FrameSpec, Loader, Locations, open, validation_split};
//!
//! let set = open("digits", &Locations::new(None)?)?;
//! let split = validation_split(&set.train.labels(), 144, 1)?;
//! let loader = Loader::new(set.train.clone(), split.train, FrameSpec::default(), 64)?;
//! for epoch in 0..2 {
//!     for batch in loader.iter(&loader.epoch_order(1, epoch), 0) {
//!         let batch = batch?;
//!         assert_eq!(batch.shape[1..], [1, 8, 8]);
//!     }
//! }
//! # Ok::<(), synfire_data::DataError>(())
//! ```
//!
//! Whatever is drawn at random (splits, orders, augmentation) depends on seeds alone: not on the number of threads, or what was
//! drawn before. Nor on the machine, but for the last digits of logarithms and exponentials, which are those of its mathematical
//! library: simulated cameras and EventMix take some.
//!
//! # Adding a data set
//! 1. A file in `sets/` with a `RECIPE`: name, one-line description, the files it needs, and a function that opens it.
//!    Still images in memory are a `Stills`, recordings something that is `Recordings`.
//! 2. A line in the table of `registry.rs`.
//! 3. Where its files come from: a [`fetch::Remote`] in the recipe, with sizes and hashes that a source states.
//! 4. A test with real or written files, and one per malformed input the set's own code can meet.

mod arrays;
mod augment;
mod cache;
mod check;
mod error;
pub mod fetch;
pub mod folder;
mod idx;
mod loader;
mod locations;
pub mod random;
mod recordings;
mod registry;
mod set;
mod sets;
mod simulated;
mod split;
mod stills;

pub use arrays::Arrays;
pub use augment::Augment;
pub use cache::{Cache, CacheFile};
pub use check::{Checked, check};
pub use error::DataError;
pub use loader::{Batch, Batches, Loader, Order, Share};
pub use locations::Locations;
pub use registry::{Recipe, find, is_path, names, open};
pub use set::{DataSet, Kind, Source, thousands};
pub use sets::digits::digits_in_file_order;
pub use split::{Split, evenly_spaced, validation_split};
pub use synfire_events::{Downsampling, FrameSize, FrameSpec, FrameValues, Framing, Polarities, Sensor};
