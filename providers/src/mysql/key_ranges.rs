//! Which part of an integer key is still to be read, handed out in ranges.

use std::sync::atomic::{AtomicU64, Ordering};

/// The source sends about so many bytes of a table for one range, so that the way there is not what takes time.
const RANGE_BYTES: u64 = 2 << 20;
/// A table is read in no more ranges than this.
const MOST_RANGES: u64 = 1024;

/// The ranges of a key that nobody has taken yet.
///
/// All have the same width and there are many more than readers: keys have gaps, so one range has few rows and the next one many. What is
/// below the smallest known key and beyond the largest is in the first range and in the last.
#[derive(Debug)]
pub(super) struct KeyRanges {
    first: i128,
    width: i128,
    count: u64,
    next: AtomicU64,
}

/// Keys from one to before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyRange {
    from: Option<i128>,
    to: Option<i128>,
}

impl KeyRanges {
    /// The ranges of a table of about `bytes` whose keys are `smallest` to `largest`.
    pub(super) fn new(smallest: i128, largest: i128, bytes: u64) -> Self {
        let span = (largest - smallest + 1).max(1);
        let width = divided_up(span, i128::from((bytes / RANGE_BYTES).clamp(1, MOST_RANGES)));
        // As many as were wanted at most, so it fits.
        let count = u64::try_from(divided_up(span, width)).unwrap_or(MOST_RANGES);
        Self { first: smallest, width, count, next: AtomicU64::new(0) }
    }

    /// One range of all there is.
    pub(super) fn whole() -> Self {
        Self::new(0, 0, 0)
    }

    /// The next range, if there is one.
    pub(super) fn take(&self) -> Option<KeyRange> {
        let taken = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| (next < self.count).then_some(next + 1));
        let place = taken.ok()?;
        let start = |place: u64| self.first + self.width * i128::from(place);
        Some(KeyRange { from: (place > 0).then(|| start(place)), to: (place + 1 < self.count).then(|| start(place + 1)) })
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.count
    }
}

fn divided_up(whole: i128, parts: i128) -> i128 {
    (whole + parts - 1) / parts
}

impl KeyRange {
    /// The condition on `key`; `None` when there is none.
    pub(super) fn condition(self, key: &str) -> Option<String> {
        match (self.from, self.to) {
            (Some(from), Some(to)) => Some(format!("{key} >= {from} AND {key} < {to}")),
            (Some(from), None) => Some(format!("{key} >= {from}")),
            // Once it was NOT NULL, and then the server leaves the second part out. Should it be no more, no row is lost.
            (None, Some(to)) => Some(format!("({key} < {to} OR {key} IS NULL)")),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(smallest: i128, largest: i128, bytes: u64) -> Vec<KeyRange> {
        let ranges = KeyRanges::new(smallest, largest, bytes);
        std::iter::from_fn(|| ranges.take()).collect()
    }

    #[test]
    fn ranges_meet_and_both_ends_are_open() {
        let (smallest, largest) = (i128::from(i64::MIN), i128::from(u64::MAX));
        for (from, to) in [(0, 0), (1, 2), (-5, 5), (1, 1_000_000), (smallest, i128::from(i64::MAX)), (0, largest), (largest, largest)] {
            for bytes in [0, 1, 5 << 20, 32 << 20, 1 << 40, u64::MAX] {
                let ranges = all(from, to, bytes);
                assert_eq!(ranges.first().map(|range| range.from), Some(None));
                assert_eq!(ranges.last().map(|range| range.to), Some(None));
                for pair in ranges.windows(2) {
                    assert_eq!(pair[0].to, pair[1].from);
                    assert!(pair[0].from < pair[0].to);
                    assert!(pair[1].from.is_some_and(|start| start > from && start <= to), "{pair:?} of {from} to {to}");
                }
                assert!(ranges.len() <= 1024);
            }
        }
        assert_eq!(all(1, 1_000_000, 32 << 20).len(), 16);
        assert_eq!(all(1, 3, 32 << 20).len(), 3);
        assert_eq!(all(0, largest, 1 << 40).len(), 1024);
    }

    #[test]
    fn taking_past_the_end_stays_at_the_end() {
        let ranges = KeyRanges::whole();
        assert!(!ranges.is_empty());
        assert_eq!(ranges.take().unwrap().condition("`id`"), None);
        assert!(ranges.is_empty());
        assert_eq!((ranges.take(), ranges.take()), (None, None));
    }

    #[test]
    fn conditions_are_half_open_and_lose_no_row() {
        let range = |from, to| KeyRange { from, to }.condition("`id`");
        assert_eq!(range(None, Some(7)).as_deref(), Some("(`id` < 7 OR `id` IS NULL)"));
        assert_eq!(range(Some(-7), None).as_deref(), Some("`id` >= -7"));
        let largest = i128::from(u64::MAX);
        assert_eq!(range(Some(-7), Some(largest)).as_deref(), Some("`id` >= -7 AND `id` < 18446744073709551615"));
    }
}
