//! Which blocks of a table are still to be read, handed out in ranges.

use std::sync::atomic::{AtomicU64, Ordering};

/// A range has no fewer blocks than this, so that a statement reads 8 MiB at least and the way there is not what takes time.
pub(super) const SMALLEST_RANGE: u64 = 1024;
/// A table with fewer blocks is read in one stream.
pub(super) const SMALLEST_SPLIT: u64 = 4 * SMALLEST_RANGE;

/// The blocks of a table that nobody has taken yet.
///
/// Ranges shrink towards the end: the first ones make few statements, the last ones let all readers end at about the same time.
#[derive(Debug)]
pub(super) struct BlockRanges {
    next: AtomicU64,
    blocks: u64,
    readers: u64,
}

/// Blocks from one to before another. Rows that come to lie beyond the last known block are in the last range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockRange {
    from: u64,
    to: Option<u64>,
}

impl BlockRanges {
    /// The ranges of a table of about `blocks` for so many `readers`.
    pub(super) fn new(blocks: u64, readers: usize) -> Self {
        let blocks = if blocks < SMALLEST_SPLIT { 0 } else { blocks };
        Self { next: AtomicU64::new(0), blocks, readers: readers.max(1) as u64 }
    }

    /// One range of all there is.
    pub(super) fn whole() -> Self {
        Self::new(0, 1)
    }

    /// The next range, if there is one.
    pub(super) fn take(&self) -> Option<BlockRange> {
        let taken = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |from| (from != DONE).then(|| self.end(from)));
        let from = taken.ok()?;
        let to = self.end(from);
        Some(BlockRange { from, to: (to != DONE).then_some(to) })
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.next.load(Ordering::Relaxed) == DONE
    }

    /// Where the range that begins at `from` ends.
    fn end(&self, from: u64) -> u64 {
        let left = self.blocks.saturating_sub(from);
        let size = (left / (2 * self.readers)).max(SMALLEST_RANGE);
        if left <= size + SMALLEST_RANGE / 2 { DONE } else { from + size }
    }
}

/// Beyond any block.
const DONE: u64 = u64::MAX;

impl BlockRange {
    /// The condition on a row's place; `None` when there is none.
    pub(super) fn condition(self) -> Option<String> {
        let from = (self.from > 0).then(|| format!("ctid >= '({},0)'::pg_catalog.tid", self.from));
        let to = self.to.map(|to| format!("ctid < '({to},0)'::pg_catalog.tid"));
        match (from, to) {
            (Some(from), Some(to)) => Some(format!("{from} AND {to}")),
            (from, to) => from.or(to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(blocks: u64, readers: usize) -> Vec<BlockRange> {
        let ranges = BlockRanges::new(blocks, readers);
        std::iter::from_fn(|| ranges.take()).collect()
    }

    #[test]
    fn ranges_meet_and_the_last_is_open() {
        for blocks in [0, 1, 4095, 4096, 5000, 100_000, 12_345_678] {
            for readers in [1, 2, 3, 16] {
                let ranges = all(blocks, readers);
                assert_eq!(ranges.first().map(|range| range.from), Some(0));
                assert_eq!(ranges.last().map(|range| range.to), Some(None));
                for pair in ranges.windows(2) {
                    assert_eq!(pair[0].to, Some(pair[1].from));
                    assert!(pair[1].from - pair[0].from >= SMALLEST_RANGE);
                }
                assert!(ranges.last().unwrap().from <= blocks);
                assert!(ranges.len() < 40 * readers, "{} ranges of {blocks} blocks for {readers}", ranges.len());
            }
        }
        assert_eq!(all(4095, 4).len(), 1);
        assert!(all(4096, 4).len() > 1);
    }

    #[test]
    fn taking_past_the_end_stays_at_the_end() {
        let ranges = BlockRanges::whole();
        assert!(!ranges.is_empty());
        assert_eq!(ranges.take().unwrap().condition(), None);
        assert!(ranges.is_empty());
        assert_eq!((ranges.take(), ranges.take()), (None, None));
    }

    #[test]
    fn conditions_name_the_first_row_of_a_block() {
        let range = |from, to| BlockRange { from, to }.condition();
        assert_eq!(range(0, Some(7)).as_deref(), Some("ctid < '(7,0)'::pg_catalog.tid"));
        assert_eq!(range(7, None).as_deref(), Some("ctid >= '(7,0)'::pg_catalog.tid"));
        let both = "ctid >= '(7,0)'::pg_catalog.tid AND ctid < '(9,0)'::pg_catalog.tid";
        assert_eq!(range(7, Some(9)).as_deref(), Some(both));
    }
}
