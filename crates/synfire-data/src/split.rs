//! Holding back a part of the training samples for validation.

use crate::{DataError, random};

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
