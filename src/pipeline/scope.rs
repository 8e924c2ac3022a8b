//! The limits of a replay: its range, and which verdicts are written.

use crate::kafka::batch::Span;
use crate::kafka::bounds::Bounds;
use crate::telemetry::BatchStats;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The limits of a replay, and the counts of this process. Shared by its workers.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// The replay's ID, which verdicts carry in `nunchi-replay`.
    pub(crate) replay: String,
    /// Which records are read, and how fast.
    pub(crate) bounds: Bounds,
    /// Which verdicts are written.
    pub(crate) labels: LabelFilter,
    /// What was committed.
    pub(crate) counts: Counts,
    /// By partition the offset up to which this process has committed.
    positions: Mutex<BTreeMap<i32, i64>>,
}

/// What this process committed.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Records within the range.
    pub(crate) records: AtomicU64,
    /// Records between the offsets whose time is outside of the range.
    pub(crate) outside: AtomicU64,
    /// Verdicts that the filter left out.
    pub(crate) left_out: AtomicU64,
    /// Dead letters.
    pub(crate) dead_letters: AtomicU64,
}

impl Scope {
    /// The limits of replay `replay`.
    pub(crate) fn new(replay: String, bounds: Bounds, labels: LabelFilter) -> Self {
        Scope { replay, bounds, labels, ..Scope::default() }
    }

    /// A batch was committed; `outside` is how many skipped records are outside of the range.
    pub(super) fn count(&self, stats: &BatchStats, outside: u64, spans: &BTreeMap<i32, Span>) {
        let add = |counter: &AtomicU64, count: u64| counter.fetch_add(count, Ordering::Relaxed);
        add(&self.counts.records, stats.records());
        add(&self.counts.outside, outside);
        add(&self.counts.left_out, stats.left_out);
        add(&self.counts.dead_letters, stats.dead_letters.iter().sum());
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        positions.extend(spans.iter().map(|(&partition, span)| (partition, span.next)));
    }

    /// Whether this process has committed `partition` up to its end, or is to read nothing of it.
    pub(super) fn is_done(&self, partition: i32) -> bool {
        let positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        match self.bounds.ends.get(&partition) {
            Some(end) => positions.get(&partition).is_some_and(|position| position >= end),
            None => true,
        }
    }

    /// By partition the offset up to which this process has committed; partitions of which it has committed nothing are
    /// missing.
    pub(crate) fn positions(&self) -> BTreeMap<i32, i64> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Which verdicts are written: all, or those with some labels. With a filter tombstones are not written; dead letters
/// always are.
#[derive(Clone, Debug, Default)]
pub struct LabelFilter(Option<Vec<bool>>);

impl LabelFilter {
    /// Only verdicts whose label, by index of the model's labels, is wanted.
    pub fn only(wanted: Vec<bool>) -> Self {
        LabelFilter(Some(wanted))
    }

    /// Whether a verdict with the label of this index is written.
    pub(crate) fn takes(&self, label: usize) -> bool {
        self.0.as_ref().is_none_or(|wanted| wanted.get(label).copied().unwrap_or(false))
    }

    /// Whether every verdict and tombstone is written.
    pub(crate) fn takes_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether tombstones are written.
    pub(crate) fn takes_tombstones(&self) -> bool {
        self.0.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_takes_its_labels_and_no_tombstones() {
        let all = LabelFilter::default();
        assert!(all.takes(0) && all.takes(7) && all.takes_tombstones());
        let one = LabelFilter::only(vec![false, true]);
        assert_eq!([0, 1, 2].map(|label| one.takes(label)), [false, true, false]);
        assert!(!one.takes_tombstones());
    }

    #[test]
    fn positions_follow_what_is_committed() {
        let scope = Scope::default();
        scope.count(&BatchStats::default(), 3, &[(2, Span { first: 5, next: 9, epoch: None })].into());
        scope.count(&BatchStats::default(), 1, &[(2, Span { first: 9, next: 12, epoch: None })].into());
        assert_eq!(scope.positions(), [(2, 12)].into());
        assert_eq!(scope.counts.outside.load(Ordering::Relaxed), 4);
    }
}
