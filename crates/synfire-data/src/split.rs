//! Holding back a part of the training samples for validation.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::recordings::LabelledFiles;
use crate::set::{hex, thousands};
use crate::{DataError, random};

/// The seed of splits that are the same for everyone.
pub(crate) const PUBLISHED_SEED: u64 = 0;

/// Labelled files of a set that came without a split, in two parts.
pub(crate) struct Parts {
    name: String,
    pub(crate) train: LabelledFiles,
    pub(crate) test: LabelledFiles,
}

impl Parts {
    /// The first nine tenths of each class train, in the order of `files`, which are sorted by class.
    pub(crate) fn first_nine_tenths(files: LabelledFiles) -> Result<Self, DataError> {
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for class in files.chunk_by(|a, b| a.1 == b.1) {
            let (first, last) = class.split_at(class.len() * 9 / 10);
            train.extend_from_slice(first);
            test.extend_from_slice(last);
        }
        Self::of("first-90", train, test)
    }

    /// One of `of` samples of each class tests, drawn by a seed.
    pub(crate) fn stratified(files: LabelledFiles, of: usize, seed: u64) -> Result<Self, DataError> {
        let labels: Vec<usize> = files.iter().map(|(_, label)| usize::from(*label)).collect();
        let split = validation_split(&labels, labels.len() / of, seed)?;
        let those = |samples: Vec<usize>| samples.into_iter().map(|i| files[i].clone()).collect();
        Self::of(&format!("stratified, seed {seed}"), those(split.train), those(split.validation))
    }

    fn of(name: &str, train: LabelledFiles, test: LabelledFiles) -> Result<Self, DataError> {
        match (train.is_empty(), test.is_empty()) {
            (false, false) => Ok(Self { name: name.to_owned(), train, test }),
            _ => {
                let found = train.len() + test.len();
                Err(DataError::usage("split samples", "enough of them for both parts", found))
            }
        }
    }

    /// What the user is told: the split's name, and a checksum of the list of files.
    pub(crate) fn note(&self) -> String {
        let Self { name, train, test } = self;
        let (train_count, test_count) = (thousands(train.len() as u64), thousands(test.len() as u64));
        let checksum = list_checksum(train, test);
        format!("split {name}: {train_count} training and {test_count} test samples, checksum {checksum}")
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of a text with a line `PART CLASS/NAME` for each file, with the part `train` or
/// `test`: anybody can compare them.
fn list_checksum(train: &[(PathBuf, u8)], test: &[(PathBuf, u8)]) -> String {
    let name = |path: Option<&Path>| {
        path.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
    };
    let mut hash = Sha256::new();
    for (part, files) in [("train", train), ("test", test)] {
        for (file, _) in files {
            hash.update(format!("{part} {}/{}\n", name(file.parent()), name(Some(file))));
        }
    }
    hex(&hash.finalize()[..8])
}

/// `n` of `all` numbers from 0 on, evenly spaced: not the first ones, because files are often ordered by class.
#[must_use]
pub fn evenly_spaced(n: usize, all: usize) -> Vec<usize> {
    (0..n).map(|i| i * all / n).collect()
}

/// Two disjoint lists of sample numbers, each rising, that together are all samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The samples to train on.
    pub train: Vec<usize>,
    /// The samples to choose a model by.
    pub validation: Vec<usize>,
}

impl Split {
    /// A checksum of both lists, 16 hexadecimal digits to print and compare: FNV-1a over the 64-bit little-endian
    /// numbers: length of `train`, its items, length of `validation`, its items.
    #[must_use]
    pub fn checksum(&self) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for list in [&self.train, &self.validation] {
            for value in std::iter::once(list.len()).chain(list.iter().copied()) {
                for byte in (value as u64).to_le_bytes() {
                    hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
                }
            }
        }
        format!("{hash:016x}")
    }
}

/// Draws `validation_count` samples for validation, stratified: each class gives its share of them, rounded down or up
/// to a whole number.
///
/// Shares are rounded down first; the classes with the largest remainders (of equal ones the lower label) give one
/// more until the count is reached. Which samples of a class are held back is drawn from the stream
/// `("validation", seed, 0, class)` of [`random`]: it depends on the seed and on that class's samples alone.
///
/// # Errors
/// When no sample would be left to train on.
pub fn validation_split(labels: &[usize], validation_count: usize, seed: u64) -> Result<Split, DataError> {
    if validation_count >= labels.len() {
        return Err(DataError::usage(
            "split off validation samples",
            format!("fewer than the {} samples there are", labels.len()),
            validation_count,
        ));
    }
    let mut classes = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for (sample, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(sample);
    }
    // In u128 the product cannot overflow.
    let (count, total) = (validation_count as u128, labels.len() as u128);
    let mut quotas: Vec<(u128, usize, usize)> = classes // (remainder, label, quota)
        .iter()
        .map(|(&label, samples)| {
            let share = count * samples.len() as u128;
            (share % total, label, (share / total) as usize)
        })
        .collect();
    let missing = validation_count - quotas.iter().map(|quota| quota.2).sum::<usize>();
    quotas.sort_by_key(|&(remainder, label, _)| (std::cmp::Reverse(remainder), label));
    quotas.iter_mut().take(missing).for_each(|quota| quota.2 += 1);

    let mut split = Split { train: Vec::new(), validation: Vec::new() };
    for (_, label, quota) in quotas {
        let mut samples = classes.remove(&label).unwrap_or_default();
        random::shuffle(&mut random::stream("validation", seed, 0, label as u64), &mut samples);
        split.train.extend(samples.split_off(quota));
        split.validation.extend(samples);
    }
    split.train.sort_unstable();
    split.validation.sort_unstable();
    Ok(split)
}
