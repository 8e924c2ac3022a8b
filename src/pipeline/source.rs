//! Where a worker's records come from: partitions that the group assigns, or partitions that are named.

use super::context::WorkerContext;
use crate::kafka::ClientError;
use crate::kafka::batch::Span;
use crate::kafka::consumer::Consumer;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a worker's records come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// What the group assigns to this worker, from the committed offsets on. Never exhausted: whether all
    /// partitions are done is known only across all members.
    Group,
    /// These partitions, each with the next offset to read, and no group. Ends where the bounds do.
    Partitions(BTreeMap<i32, i64>),
}

impl Source {
    /// A consumer that starts at the source's position.
    pub(super) fn open(&self, context: WorkerContext<'_>) -> Result<Consumer, ClientError> {
        let WorkerContext { config, clients, health, scope, live, worker, .. } = context;
        match self {
            Source::Group => {
                let live = live.filter(|_| scope.is_none());
                Consumer::join(config, clients, worker, live.map(Arc::clone))
            }
            Source::Partitions(next) => {
                let consumer = Consumer::assign(config, clients, next)?;
                health.set_brokers_reached(worker, true);
                // There is no group to join.
                health.set_group_joined(worker, true);
                Ok(consumer)
            }
        }
    }

    /// A batch was committed.
    pub(super) fn advance(&mut self, spans: &BTreeMap<i32, Span>) {
        if let Source::Partitions(next) = self {
            next.extend(spans.iter().map(|(&partition, span)| (partition, span.next)));
        }
    }

    /// Whether all partitions have reached their ends.
    pub(super) fn is_exhausted(&self, context: WorkerContext<'_>) -> bool {
        match self {
            Source::Group => false,
            Source::Partitions(next) => context.scope.is_some_and(|scope| scope.bounds.are_reached(next)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_partitions_advance_with_what_is_committed() {
        let mut source = Source::Partitions([(0, 3), (1, 8)].into());
        source.advance(&[(1, Span { first: 8, next: 11, epoch: None })].into());
        assert!(matches!(&source, Source::Partitions(next) if *next == [(0, 3), (1, 11)].into()));
    }
}
