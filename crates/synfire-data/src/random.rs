//! Random numbers that depend on what they are for, not on what was drawn before.
//!
//! Every use has a ChaCha8 stream of its own, keyed by purpose, seed and epoch, with the sample (or class) as the
//! stream number. So a resumed run, or one with more threads, draws the same numbers. What is drawn from a stream is
//! written out here instead of left to a library, so that it stays the same across versions.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The stream for one purpose, at most 16 bytes of ASCII, and one item.
#[must_use]
pub fn stream(purpose: &'static str, seed: u64, epoch: u64, item: u64) -> ChaCha8Rng {
    debug_assert!(purpose.len() <= 16, "purposes that agree in 16 bytes would share a stream");
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&epoch.to_le_bytes());
    for (to, from) in key[16..].iter_mut().zip(purpose.bytes()) {
        *to = from;
    }
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(item);
    rng
}

/// A whole number from 0 to `bound - 1`, each equally likely (Lemire, *Fast random integer generation in an interval*,
/// 2019); 0 for a bound of 0.
pub fn below(rng: &mut impl RngCore, bound: u64) -> u64 {
    loop {
        let product = u128::from(rng.next_u64()) * u128::from(bound);
        let low = product as u64;
        if low >= bound || low >= bound.wrapping_neg().checked_rem(bound).unwrap_or(0) {
            return (product >> 64) as u64;
        }
    }
}

/// Puts the items in a random order, each equally likely (Fisher and Yates).
pub fn shuffle<T>(rng: &mut impl RngCore, items: &mut [T]) {
    for i in (1..items.len()).rev() {
        items.swap(i, below(rng, i as u64 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_pinned() {
        let mut rng = stream("test", 1, 2, 3);
        let draws: Vec<u64> = (0..6).map(|_| below(&mut rng, 1000)).collect();
        assert_eq!(draws, [725, 609, 614, 480, 733, 789]);
        let mut items: Vec<u8> = (0..8).collect();
        shuffle(&mut stream("test", 1, 2, 4), &mut items);
        assert_eq!(items, [0, 7, 5, 4, 6, 3, 1, 2]);
    }

    #[test]
    fn bounds_hold_and_every_value_is_drawn() {
        let mut rng = stream("test", 0, 0, 0);
        let mut counts = [0_u32; 7];
        for _ in 0..7000 {
            counts[below(&mut rng, 7) as usize] += 1;
        }
        assert!(counts.iter().all(|&count| (900..1100).contains(&count)), "{counts:?}");
        assert_eq!(below(&mut rng, 0), 0);
        assert_eq!(below(&mut rng, 1), 0);
    }
}
