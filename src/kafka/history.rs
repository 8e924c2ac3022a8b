//! A bounded range of a topic, read once without a consumer group: no member, no committed offsets.

use super::ClientProperties;
use super::admin::Brokers;
use super::error::BrokerError;
use jiff::Timestamp;
use rdkafka::message::Message;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Offsets of one partition: start ≤ offset < end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionRange {
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub start: i64,
    /// The offset after the last one.
    pub end: i64,
}

impl PartitionRange {
    /// The offsets from `from` to `to` of a partition that holds those from `first` to `end`; all of them where a bound is
    /// not given.
    pub(crate) fn within(
        partition: i32,
        (first, end): (i64, i64),
        from: Option<i64>,
        to: Option<i64>,
    ) -> Self {
        // A range behind the end is empty, and where it is empty does not matter.
        let start = from.unwrap_or(first).max(first).min(end);
        PartitionRange { partition, start, end: to.unwrap_or(end).min(end).max(start) }
    }
}

/// A record as it lies in the topic.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, in milliseconds of Unix time.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

/// A client that reads bounded ranges of topics.
pub struct History {
    brokers: Brokers,
}

impl History {
    /// A client with the group and the properties of `clients`. Reads what is committed only.
    ///
    /// # Errors
    /// Properties that librdkafka refuses.
    pub fn connect(clients: &ClientProperties) -> Result<Self, BrokerError> {
        Ok(History { brokers: Brokers::connect(clients)? })
    }

    /// The offsets of every partition of `topic` that can hold records with from ≤ timestamp < to: from the brokers' index
    /// to the topic's current end. `late_ms` is how much later than `to` such a record may have been written.
    ///
    /// # Errors
    /// A topic that does not exist; brokers that do not answer.
    pub fn range(
        &self,
        topic: &str,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        late_ms: i64,
    ) -> Result<Vec<PartitionRange>, BrokerError> {
        let partitions = self.brokers.partitions(topic)?;
        let partitions = partitions.ok_or_else(|| BrokerError::NoTopic(topic.to_owned()))?;
        // Ends before times: a record that is written in between is outside of the range in any case.
        let mut ends = BTreeMap::new();
        for &partition in &partitions {
            ends.insert(partition, self.brokers.ends(topic, partition)?);
        }
        let offsets = |time: Option<Timestamp>, late_ms: i64| {
            let time_ms = time.map(|time| time.as_millisecond().saturating_add(late_ms));
            time_ms.map(|time_ms| self.brokers.at_time(topic, &partitions, time_ms)).transpose()
        };
        let (first, last) = (offsets(from, 0)?, offsets(to, late_ms)?);
        let range = |(&partition, &(first_left, end)): (&i32, &(i64, i64))| {
            // No record that is as late as the time: the bound is the end.
            let bound = |found: &Option<BTreeMap<i32, Option<i64>>>| {
                found.as_ref().map(|found| found.get(&partition).copied().flatten().unwrap_or(end))
            };
            PartitionRange::within(partition, (first_left, end), bound(&first), bound(&last))
        };
        Ok(ends.iter().map(range).collect())
    }

    /// Reads every record of `ranges`, each partition in its order.
    ///
    /// # Errors
    /// No broker answers for ten seconds.
    pub fn read(
        &self,
        topic: &str,
        ranges: &[PartitionRange],
        mut see: impl FnMut(&Record<'_>),
    ) -> Result<(), BrokerError> {
        let open = || ranges.iter().filter(|range| range.start < range.end);
        let starts: BTreeMap<i32, i64> = open().map(|range| (range.partition, range.start)).collect();
        let ends: BTreeMap<i32, i64> = open().map(|range| (range.partition, range.end)).collect();
        self.brokers.read(topic, &starts, |message| {
            let Some(message) = message else { return true };
            let Some(&end) = ends.get(&message.partition()) else { return false };
            if message.offset() < end {
                see(&Record {
                    partition: message.partition(),
                    offset: message.offset(),
                    timestamp_ms: message.timestamp().to_millis(),
                    key: message.key(),
                    value: message.payload(),
                });
            }
            message.offset() + 1 < end
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_lies_within_what_the_partition_holds() {
        let within = |from, to| {
            let range = PartitionRange::within(0, (10, 20), from, to);
            (range.start, range.end)
        };
        assert_eq!(within(None, None), (10, 20));
        assert_eq!(within(Some(12), Some(15)), (12, 15));
        assert_eq!(
            within(Some(3), Some(99)),
            (10, 20),
            "what is deleted and what is not there yet is left out"
        );
        assert_eq!(within(Some(30), None), (20, 20));
        assert_eq!(within(Some(15), Some(12)), (15, 15), "empty, never negative");
        assert_eq!(within(None, Some(5)), (10, 10));
    }
}
