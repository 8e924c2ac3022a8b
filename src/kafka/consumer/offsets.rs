//! Committed offsets: written where no transaction carries them, and gone back to after an abort.

use super::{Consumer, REWIND_TIMEOUT, Unusable};
use crate::kafka::batch::{Batch, Span};
use crate::kafka::resume::metadata;
use nunchi_librdkafka::{TopicId, set_leader_epoch};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;

impl Consumer {
    /// Goes back, in the partitions of `batch` that are still owned, to the committed offsets; to the first record of
    /// `batch` where nothing was ever committed, or where no group is used.
    pub(crate) fn rewind(&self, batch: &Batch<'_>) -> Result<(), Unusable> {
        let unusable = |doing: &str, error: KafkaError| Unusable(format!("{doing}: {error}"));
        let assignment =
            self.consumer.assignment().map_err(|error| unusable("reading the assignment", error))?;
        let mut wanted = TopicPartitionList::new();
        for &partition in batch.spans.keys() {
            if assignment.find_partition(&self.topic, partition).is_some() {
                wanted.add_partition(&self.topic, partition);
            }
        }
        if wanted.count() == 0 {
            return Ok(());
        }
        let committed = if self.grouped {
            self.consumer
                .committed_offsets(wanted, REWIND_TIMEOUT)
                .map_err(|error| unusable("reading committed offsets", error))?
        } else {
            wanted
        };
        let mut targets = TopicPartitionList::new();
        for element in committed.elements() {
            element.error().map_err(|error| unusable("reading committed offsets", error))?;
            let moved = self.positions.borrow().moved_to(element.partition());
            let offset = match element.offset() {
                _ if let Some(moved) = moved => moved,
                Offset::Offset(offset) => offset,
                _ => batch.spans[&element.partition()].first,
            };
            self.positions.borrow_mut().seek(element.partition(), offset);
            targets
                .add_partition_offset(&self.topic, element.partition(), Offset::Offset(offset))
                .map_err(|error| unusable("setting an offset", error))?;
        }
        let sought = self
            .consumer
            .seek_partitions(targets, REWIND_TIMEOUT)
            .map_err(|error| unusable("seeking", error))?;
        for element in sought.elements() {
            element.error().map_err(|error| unusable("seeking", error))?;
        }
        self.tails.borrow_mut().disturb();
        Ok(())
    }

    /// Commits a batch's offsets, where no transaction carries them.
    pub(crate) fn commit(
        &self,
        spans: &BTreeMap<i32, Span>,
        topic_id: Option<TopicId>,
    ) -> Result<(), KafkaError> {
        let offsets = offsets(&self.topic, spans, topic_id);
        self.consumer.commit(&offsets, rdkafka::consumer::CommitMode::Sync)
    }
}

/// The offsets to commit for `spans`, which are from the topic with this ID.
pub(in crate::kafka) fn offsets(
    topic: &str,
    spans: &BTreeMap<i32, Span>,
    topic_id: Option<TopicId>,
) -> TopicPartitionList {
    let mut offsets = TopicPartitionList::with_capacity(spans.len());
    let text = topic_id.map(metadata);
    for (&partition, span) in spans {
        let mut element = offsets.add_partition(topic, partition);
        element.set_offset(Offset::Offset(span.next)).expect("a record's offset is not negative");
        if let Some(text) = &text {
            element.set_metadata(text);
        }
        set_leader_epoch(&mut offsets, topic, partition, span.epoch).expect("it was added just now");
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_committed_with_its_epoch_and_topic() {
        let spans =
            [(1, Span { first: 3, next: 9, epoch: Some(4) }), (2, Span { first: 0, next: 1, epoch: None })];
        let id = TopicId::from_halves(1, 2).unwrap();
        let offsets = offsets("comments", &spans.into(), Some(id));
        let epoch = |partition| nunchi_librdkafka::leader_epoch(&offsets, "comments", partition).unwrap();
        assert_eq!((epoch(1), epoch(2)), (Some(4), None));
        let first = offsets.find_partition("comments", 1).unwrap();
        assert_eq!((first.offset(), first.metadata()), (Offset::Offset(9), metadata(id).as_str()));
    }
}
