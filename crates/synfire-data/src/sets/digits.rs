//! Digits: 1,797 handwritten digits of 8x8 pixels, built in (`assets/README.md` names authors and licence).
//!
//! The set comes without a split. Ours is stratified, 1,437 to train and 360 to test, and the same for everyone: its
//! seed is fixed, whatever the user's.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use flate2::read::GzDecoder;

use crate::set::digit_names;
use crate::stills::Stills;
use crate::{DataError, DataSet, Locations, Recipe, Source, validation_split};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "digits",
    description: "1,797 handwritten digits, 8x8 grey; built in, 1,437 train and 360 test",
    files: "",
    folder: None,
    remote: None,
    open,
};

const FILE: &[u8] = include_bytes!("../../assets/digits.csv.gz");
const PIXELS: usize = 64;
/// The largest value of a pixel.
const WHITE: u8 = 16;
const TEST_COUNT: usize = 360;
const SPLIT_SEED: u64 = 0;

fn open(_: &Locations) -> Result<DataSet, DataError> {
    let (all, labels) = read()?;
    let split = validation_split(&labels, TEST_COUNT, SPLIT_SEED)?;
    Ok(DataSet::new(RECIPE.name, digit_names(), all.subset(&split.train), all.subset(&split.validation)))
}

/// All 1,797 digits in the order of the file, for comparisons with other programs.
///
/// # Errors
/// None on a sound build: the file is part of it.
pub fn digits_in_file_order() -> Result<Arc<dyn Source>, DataError> {
    let (all, labels) = read()?;
    Ok(Arc::new(all.subset(&(0..labels.len()).collect::<Vec<_>>())))
}

fn read() -> Result<(Stills, Vec<usize>), DataError> {
    let file = Path::new("digits.csv.gz (built in)");
    let mut text = String::new();
    GzDecoder::new(FILE).read_to_string(&mut text).map_err(|source| DataError::Gzip {
        file: file.to_owned(),
        offset: 0,
        source,
    })?;
    let (pixels, labels) = parse(file, &text)?;
    let all = Stills::new([1, 8, 8], WHITE, pixels, labels.clone());
    Ok((all, labels.into_iter().map(usize::from).collect()))
}

/// Lines of 64 pixels and a label.
fn parse(file: &Path, text: &str) -> Result<(Vec<u8>, Vec<u8>), DataError> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let values: Option<Vec<u8>> = line.trim_end().split(',').map(|value| value.parse().ok()).collect();
        match values.as_deref() {
            Some([image @ .., label])
                if image.len() == PIXELS && *label < 10 && image.iter().all(|&pixel| pixel <= WHITE) =>
            {
                pixels.extend_from_slice(image);
                labels.push(*label);
            }
            _ => {
                return Err(DataError::Malformed {
                    file: file.to_owned(),
                    format: "CSV",
                    offset,
                    expected: format!("{PIXELS} pixels from 0 to {WHITE} and a label from 0 to 9"),
                    found: format!("{:?}", line.trim_end()),
                });
            }
        }
        offset += line.len() as u64;
    }
    Ok((pixels, labels))
}
