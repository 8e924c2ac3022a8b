//! What a process knows of its topics while it runs: kept by the topic monitor and the workers, read by both.
//!
//! It outlives the consumers: what one of them saw of the input topic decides where its successor begins.

use super::error::ClientError;
use super::resume::{Position, Reset, Seen};
use nunchi_librdkafka::TopicId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The topics as they are now.
#[derive(Debug, Default)]
pub(crate) struct LiveTopics {
    input_partitions: AtomicI32,
    output_partitions: AtomicI32,
    /// Counts how often the monitor saw the input topic.
    looks: AtomicU64,
    /// Whether a worker wants the settings of the topics to be looked at now.
    settings_requested: AtomicBool,
    /// Counts changes of the topics' limits.
    settings_changes: AtomicU64,
    /// Whether the monitor looks.
    watched: AtomicBool,
    missing: AtomicBool,
    /// Whether the brokers can say which IDs topics have.
    has_ids: bool,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    input_id: Option<TopicId>,
    failure: Option<ClientError>,
    starts: (Option<TopicId>, BTreeMap<i32, i64>),
    seen: BTreeMap<i32, Seen>,
    resets: BTreeMap<i32, Reset>,
}

impl LiveTopics {
    /// With these numbers of partitions, of brokers that can say which IDs topics have, or cannot (librdkafka's own).
    pub(crate) fn new(input_partitions: i32, output_partitions: i32, has_ids: bool) -> Self {
        let live = LiveTopics { has_ids, ..LiveTopics::default() };
        live.set_partitions(input_partitions, output_partitions);
        live
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the brokers can be asked for the IDs of topics.
    pub(super) fn has_ids(&self) -> bool {
        self.has_ids
    }

    /// How many partitions the input topic has.
    pub(crate) fn input_partitions(&self) -> i32 {
        self.input_partitions.load(Ordering::Relaxed)
    }

    /// Whether a verdict goes into the partition of its comment: the input and the output topic have as many partitions.
    pub(crate) fn partitions_match(&self) -> bool {
        self.input_partitions() == self.output_partitions.load(Ordering::Relaxed)
    }

    pub(super) fn set_partitions(&self, input: i32, output: i32) {
        self.input_partitions.store(input, Ordering::Relaxed);
        self.output_partitions.store(output, Ordering::Relaxed);
    }

    /// The monitor saw the input topic under this ID.
    pub(super) fn set_input_id(&self, id: Option<TopicId>) {
        self.shared().input_id = id;
        self.looks.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the monitor has seen the input topic.
    pub(super) fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    /// Whether the monitor has seen the input topic under another ID than `id` since it had looked `looks` times. What it saw
    /// first after that may be older.
    pub(super) fn is_recreated(&self, id: TopicId, looks: u64) -> bool {
        self.looks() >= looks + 2 && self.shared().input_id.is_some_and(|now| now != id)
    }

    /// Whether the monitor looks at the topics: then it says how long a missing one is waited for.
    pub(super) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    pub(super) fn set_watched(&self) {
        self.watched.store(true, Ordering::Relaxed);
    }

    /// Whether one of the topics does not exist at the moment.
    pub(crate) fn is_any_missing(&self) -> bool {
        self.missing.load(Ordering::Relaxed)
    }

    pub(super) fn set_any_missing(&self, missing: bool) {
        self.missing.store(missing, Ordering::Relaxed);
    }

    /// The error that ends the process, once.
    pub(crate) fn take_failure(&self) -> Option<ClientError> {
        self.shared().failure.take()
    }

    pub(super) fn fail(&self, error: ClientError) {
        self.shared().failure = Some(error);
    }

    /// A record was refused: the settings of the topics may have changed.
    pub(crate) fn request_settings(&self) {
        self.settings_requested.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_settings_requested(&self) -> bool {
        self.settings_requested.load(Ordering::Relaxed)
    }

    pub(super) fn take_settings_request(&self) -> bool {
        self.settings_requested.swap(false, Ordering::Relaxed)
    }

    /// How often the limits of the topics have changed.
    pub(super) fn settings_changes(&self) -> u64 {
        self.settings_changes.load(Ordering::Relaxed)
    }

    pub(super) fn count_settings_change(&self) {
        self.settings_changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Where the partitions of a new group begin, while that is not committed.
    pub(super) fn set_starts(&self, topic_id: Option<TopicId>, starts: BTreeMap<i32, i64>) {
        self.shared().starts = (topic_id, starts);
    }

    /// Where `partition` of the topic with this ID begins, if its group is new and has not committed that.
    pub(super) fn start(&self, topic_id: Option<TopicId>, partition: i32) -> Option<i64> {
        let shared = self.shared();
        let (of_topic, starts) = &shared.starts;
        starts.get(&partition).copied().filter(|_| *of_topic == topic_id)
    }

    /// What was seen of the topic with the ID `seen.topic_id`: the next offset and the end of `partition`.
    pub(super) fn see(&self, partition: i32, seen: Seen) {
        self.shared().seen.insert(partition, seen);
    }

    pub(super) fn seen(&self, partition: i32) -> Option<Seen> {
        self.shared().seen.get(&partition).copied()
    }

    /// librdkafka refused to go on with `partition`.
    pub(super) fn note_reset(&self, partition: i32, reset: Reset) {
        self.shared().resets.insert(partition, reset);
    }

    /// Whether librdkafka refused to go on with `partition` at this position.
    pub(super) fn reset_at(&self, partition: i32, position: Position) -> Option<Reset> {
        self.shared().resets.get(&partition).copied().filter(|reset| reset.position == position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_id_counts_once_the_monitor_has_looked_since() {
        let live = LiveTopics::new(4, 4, true);
        let [old, new] = [1, 2].map(|number| TopicId::from_halves(7, number));
        live.set_input_id(old);
        let looks = live.looks();
        live.set_input_id(new);
        assert!(
            !live.is_recreated(old.unwrap(), looks),
            "it may have asked before the partitions were placed"
        );
        live.set_input_id(new);
        assert!(live.is_recreated(old.unwrap(), looks) && !live.is_recreated(new.unwrap(), looks));
        live.set_input_id(None);
        assert!(!live.is_recreated(old.unwrap(), looks), "a broker that knows no IDs");
    }

    #[test]
    fn the_begin_of_a_new_group_is_that_of_its_topic() {
        let live = LiveTopics::new(4, 3, true);
        let id = TopicId::from_halves(7, 1);
        live.set_starts(id, [(2, 90)].into());
        assert_eq!((live.start(id, 2), live.start(id, 3), live.start(None, 2)), (Some(90), None, None));
        assert!(!live.partitions_match());
    }
}
