//! What both benchmarks need.

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Numbers of threads that are measured.
pub(crate) const THREADS: [usize; 2] = [1, 2];

pub(crate) fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start")
}

/// Values from -0.5 to 0.5, the same every time.
pub(crate) fn noise(n: usize) -> Vec<f32> {
    (0..n as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 2f32.powi(24) - 0.5).collect()
}
