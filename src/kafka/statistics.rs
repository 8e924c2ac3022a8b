//! librdkafka's statistics: the part that we read (its `STATISTICS.md`).

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The statistics of a partition that is owned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartitionStats {
    pub(crate) partition: i32,
    /// The last stable offset: where `read_committed` readers end.
    pub(crate) last_stable: i64,
    /// The high watermark: behind the last record, of open transactions too.
    pub(crate) high: i64,
    /// The next offset to fetch.
    pub(crate) next: i64,
    /// The committed offset when the partition was assigned; negative if there was none.
    pub(crate) committed: i64,
    /// The first offset that is left.
    pub(crate) first: i64,
    /// Whether its leader answers.
    pub(crate) leader_reached: bool,
    /// The epoch of the partition's leader.
    pub(crate) leader_epoch: Option<i32>,
    /// Whether librdkafka does not fetch it, nor prepares to: it refused to go on (`auto.offset.reset=error`).
    pub(crate) stopped: bool,
}

/// The part of librdkafka's statistics that we read.
#[derive(Deserialize)]
pub(super) struct Statistics {
    #[serde(default)]
    brokers: BTreeMap<String, BrokerStatistics>,
    #[serde(default)]
    topics: BTreeMap<String, TopicStatistics>,
}

#[derive(Deserialize)]
struct BrokerStatistics {
    nodeid: i64,
    state: String,
}

#[derive(Deserialize)]
struct TopicStatistics {
    #[serde(default)]
    partitions: BTreeMap<String, PartitionStatistics>,
}

#[derive(Deserialize)]
struct PartitionStatistics {
    partition: i32,
    leader: i64,
    desired: bool,
    ls_offset: i64,
    hi_offset: i64,
    lo_offset: i64,
    #[serde(default)]
    fetch_state: String,
    #[serde(default = "unknown_epoch")]
    leader_epoch: i32,
    next_offset: i64,
    committed_offset: i64,
}

fn unknown_epoch() -> i32 {
    -1
}

impl Statistics {
    /// Whether a broker answers, and the partitions that are owned.
    pub(super) fn digest(self, topic: &str) -> (bool, Vec<PartitionStats>) {
        let is_up = |broker: &&BrokerStatistics| broker.nodeid >= 0 && broker.state == "UP";
        let up: BTreeSet<i64> = self.brokers.values().filter(is_up).map(|broker| broker.nodeid).collect();
        let partitions = self.topics.get(topic).into_iter().flat_map(|topic| topic.partitions.values());
        let owned = partitions.filter(|partition| partition.partition >= 0 && partition.desired);
        let digest = |partition: &PartitionStatistics| PartitionStats {
            partition: partition.partition,
            last_stable: partition.ls_offset,
            high: partition.hi_offset,
            next: partition.next_offset,
            committed: partition.committed_offset,
            first: partition.lo_offset,
            leader_reached: up.contains(&partition.leader),
            leader_epoch: (partition.leader_epoch >= 0).then_some(partition.leader_epoch),
            stopped: partition.fetch_state == "none",
        };
        (!up.is_empty(), owned.map(digest).collect())
    }
}
