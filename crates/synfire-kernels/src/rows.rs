//! How rows of channels are cut into blocks for the sums over rows. The cut depends on the shape alone, so the
//! sums do not depend on the number of threads.

/// About how many values a block has: enough to hide the cost of a task, few enough to stay in the second cache.
const VALUES: usize = 1 << 14;

/// The number of rows in a block, for rows of `channels` values.
pub(crate) fn block(channels: usize) -> usize {
    (VALUES / channels.max(1)).max(1)
}
