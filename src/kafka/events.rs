//! A consumer's events besides records: rebalances, statistics, errors.
//!
//! All callbacks run on the worker's own thread, within `poll` (or, at the end, on the thread that closes the
//! consumer); the locks here are never contended.

use super::corruption::Corruption;
use super::placement::{Notice, NoticeKind, Placement, Placer};
use super::resume::Position;
use super::statistics::{PartitionStats, Statistics};
use super::warnings::Warnings;
use nunchi_librdkafka::TopicId;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::{debug, error, info, warn};

/// The consumer's context: keeps events until the worker takes them.
#[derive(Debug, Default)]
pub(super) struct EventContext {
    topic: String,
    /// Places assigned partitions; without it they begin at their committed offsets.
    placer: Option<Placer>,
    /// The most verbose level that is forwarded; `None` for all.
    log_level: Option<RDKafkaLogLevel>,
    /// Counts how often librdkafka saw the topic under another ID.
    id_changes: AtomicU64,
    /// Counts changes of the assignment.
    epoch: AtomicU64,
    /// Counts callbacks of any kind.
    events: AtomicU64,
    pending: AtomicBool,
    joined: AtomicBool,
    /// Whether a batch could not be read.
    corrupt: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    assigned: BTreeSet<i32>,
    /// Assigned since the consumer asked last.
    newly_assigned: BTreeSet<i32>,
    rebalanced: usize,
    failure: Option<String>,
    statistics: Option<(bool, Vec<PartitionStats>)>,
    errors: u64,
    corrupt: Vec<Corruption>,
    warnings: Warnings,
    /// The ID of the topic that the partitions are from.
    topic_id: Option<TopicId>,
    /// When all partitions were placed: librdkafka's changes of the ID, and how often the monitor had looked.
    known_changes: (u64, u64),
    /// Placed since the consumer asked last.
    placed: Placed,
    /// What librdkafka said when it refused to go on.
    resets: Vec<String>,
}

/// Partitions that were placed.
#[derive(Debug, Default)]
pub(super) struct Placed {
    pub(super) positions: BTreeMap<i32, Position>,
    pub(super) moved: BTreeSet<i32>,
    pub(super) notices: Vec<Notice>,
}

impl Placed {
    pub(super) fn extend(&mut self, placement: Placement) {
        self.positions.extend(placement.positions);
        self.moved.extend(placement.moved);
        self.notices.extend(placement.notices);
    }

    /// Forgets partitions that are not `owned` any more.
    pub(super) fn keep_only(&mut self, owned: &BTreeSet<i32>) {
        self.positions.retain(|partition, _| owned.contains(partition));
        self.moved.retain(|partition| owned.contains(partition));
        self.notices.retain(|notice| owned.contains(&notice.partition));
    }

    /// The partitions that cannot be read.
    pub(super) fn unreadable(&self) -> impl Iterator<Item = i32> {
        let notices = self.notices.iter();
        notices.filter(|notice| notice.kind == NoticeKind::BeyondEnd).map(|notice| notice.partition)
    }
}

impl EventContext {
    /// Of a consumer of `topic`. `log_level` is the most verbose level that is forwarded; `None` for all.
    pub(super) fn new(topic: &str, placer: Option<Placer>, log_level: Option<RDKafkaLogLevel>) -> Self {
        EventContext { topic: topic.to_owned(), placer, log_level, ..EventContext::default() }
    }

    pub(super) fn placer(&self) -> Option<&Placer> {
        self.placer.as_ref()
    }

    /// The ID of the topic that the partitions are from.
    pub(super) fn topic_id(&self) -> Option<TopicId> {
        self.state().topic_id
    }

    /// Whether the topic was made again since the partitions were placed. Exact where brokers fetch by topic ID (Kafka 3.1):
    /// librdkafka tells of another ID before it fetches anything from that topic.
    pub(super) fn is_recreated(&self) -> bool {
        let Some(placer) = &self.placer else { return false };
        let state = self.state();
        let (changes, looks) = state.known_changes;
        state.topic_id.is_some_and(|id| {
            self.id_changes.load(Ordering::Acquire) != changes || placer.live.is_recreated(id, looks)
        })
    }

    /// The consumer cannot go on.
    pub(super) fn fail(&self, reason: String) {
        self.state().failure.get_or_insert(reason);
        self.happened();
    }

    /// Partitions that were placed since the last call.
    pub(super) fn take_placed(&self) -> Placed {
        std::mem::take(&mut self.state().placed)
    }

    /// What librdkafka said when it refused to go on with partitions, since the last call.
    pub(super) fn take_resets(&self) -> Vec<String> {
        std::mem::take(&mut self.state().resets)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes with every change of the assignment.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Changes with every callback.
    pub(super) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    fn happened(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.pending.store(true, Ordering::Relaxed);
    }

    /// Whether anything happened since the last call.
    pub(super) fn take_pending(&self) -> bool {
        self.pending.swap(false, Ordering::Relaxed)
    }

    pub(super) fn take_rebalanced(&self) -> usize {
        std::mem::take(&mut self.state().rebalanced)
    }

    pub(super) fn take_statistics(&self) -> Option<(bool, Vec<PartitionStats>)> {
        self.state().statistics.take()
    }

    pub(super) fn take_errors(&self) -> u64 {
        std::mem::take(&mut self.state().errors)
    }

    /// Whether a batch could not be read since the last call of [`EventContext::take_corrupt`].
    pub(super) fn has_corrupt(&self) -> bool {
        self.corrupt.load(Ordering::Relaxed)
    }

    pub(super) fn take_corrupt(&self) -> Vec<Corruption> {
        if !self.corrupt.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        std::mem::take(&mut self.state().corrupt)
    }

    pub(super) fn put_back_corrupt(&self, corrupt: &[Corruption]) {
        self.state().corrupt.extend_from_slice(corrupt);
        self.corrupt.fetch_or(!corrupt.is_empty(), Ordering::Relaxed);
    }

    pub(super) fn assigned(&self) -> BTreeSet<i32> {
        self.state().assigned.clone()
    }

    /// These partitions are read without a group.
    pub(super) fn assign(&self, partitions: BTreeSet<i32>) {
        self.state().assigned = partitions;
    }

    /// The partitions that were assigned since the last call.
    pub(super) fn take_newly_assigned(&self) -> BTreeSet<i32> {
        std::mem::take(&mut self.state().newly_assigned)
    }

    pub(super) fn joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed)
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    fn changes(&self) -> (u64, u64) {
        let looks = self.placer.as_ref().map_or(0, |placer| placer.live.looks());
        (self.id_changes.load(Ordering::Acquire), looks)
    }

    /// Carries out a rebalance, and compares the resulting assignment with the expected one.
    fn carry_out(
        &self,
        consumer: &BaseConsumer<Self>,
        assign: bool,
        list: &mut TopicPartitionList,
    ) -> Result<(), String> {
        let changes = self.changes();
        let placement = match &self.placer {
            Some(placer) if assign && list.count() > 0 => Some(placer.place(consumer, list)?),
            _ => None,
        };
        let cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let done: KafkaResult<()> = match (assign, cooperative) {
            (true, true) => consumer.incremental_assign(list),
            (true, false) => consumer.assign(list),
            (false, true) => consumer.incremental_unassign(list),
            (false, false) => consumer.unassign(),
        };
        done.map_err(|error| error.to_string())?;
        let partitions = list.elements().iter().map(|element| element.partition()).collect::<BTreeSet<_>>();
        let mut expected = self.assigned();
        match (assign, cooperative) {
            (true, true) => expected.extend(&partitions),
            (true, false) => expected = partitions.clone(),
            (false, true) => expected.retain(|partition| !partitions.contains(partition)),
            (false, false) => expected.clear(),
        }
        let assignment = consumer.assignment().map_err(|error| error.to_string())?;
        let actual = assignment.elements().iter().map(|element| element.partition()).collect::<BTreeSet<_>>();
        let mut state = self.state();
        state.assigned = actual.clone();
        if assign {
            state.newly_assigned.extend(&partitions);
        }
        if let Some(placement) = placement {
            let is_all = actual == partitions;
            if !is_all && placement.topic_id != state.topic_id {
                return Err("the input topic was created again".to_owned());
            }
            if is_all {
                (state.topic_id, state.known_changes) = (placement.topic_id, changes);
            }
            state.placed.extend(placement);
        }
        if actual == expected {
            Ok(())
        } else {
            Err(format!("partitions {expected:?} were expected, {actual:?} are assigned"))
        }
    }
}

/// Runs the work of a callback of librdkafka; whether it came to its end. A panic must not go on through C: Rust ends the
/// process there, without a status or a message that says why.
pub(super) fn guarded(callback: &str, work: impl FnOnce()) -> bool {
    let done = catch_unwind(AssertUnwindSafe(work)).is_ok();
    if !done {
        error!(callback, "a callback of librdkafka panicked; this is a bug");
    }
    done
}

impl EventContext {
    fn rebalanced(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let assign = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => true,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => false,
            other => {
                self.state().failure = Some(RDKafkaErrorCode::from(other).to_string());
                return self.happened();
            }
        };
        self.epoch.fetch_add(1, Ordering::Relaxed);
        if let Err(reason) = self.carry_out(consumer, assign, list) {
            warn!(reason, "a rebalance could not be carried out");
            self.state().failure = Some(format!("a rebalance could not be carried out: {reason}"));
        }
        let partitions: Vec<i32> = list.elements().iter().map(|element| element.partition()).collect();
        if assign {
            self.joined.store(true, Ordering::Relaxed);
        }
        if !partitions.is_empty() {
            self.state().rebalanced += 1;
            let verb = if assign { "assigned" } else { "revoked" };
            info!(topic = self.topic, ?partitions, "partitions {verb}");
        }
        self.happened();
    }
}

impl ConsumerContext for EventContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if !guarded("rebalance", || self.rebalanced(consumer, err, list)) {
            self.state().failure = Some("the callback of a rebalance panicked".to_owned());
            self.happened();
        }
    }

    fn commit_callback(&self, _result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        self.happened();
    }
}

impl ClientContext for EventContext {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        if self.placer.is_some() && is_id_change(message, &self.topic) {
            self.id_changes.fetch_add(1, Ordering::Release);
            self.happened();
        }
        if self.log_level.is_some_and(|most| level as i32 > most as i32) {
            return;
        }
        self.events.fetch_add(1, Ordering::Relaxed);
        log(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        guarded("stats", || match serde_json::from_slice::<Statistics>(statistics) {
            Ok(statistics) => self.state().statistics = Some(statistics.digest(&self.topic)),
            Err(error) => debug!(%error, "librdkafka's statistics cannot be read"),
        });
        self.happened();
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // Poll reports it too, and there it is classified.
        if matches!(error, KafkaError::Global(RDKafkaErrorCode::PartitionEOF)) {
            // Not an error: librdkafka reports the end of a partition this way.
            return;
        }
        guarded("error", || {
            let corruption = Corruption::of(&error, reason);
            let mut state = self.state();
            if matches!(error, KafkaError::Global(RDKafkaErrorCode::AutoOffsetReset)) {
                // Not a fault: the worker decides where reading goes on, and says so.
                debug!(%error, reason, "the position is to be decided");
                state.resets.push(reason.to_owned());
            } else if corruption.is_none() {
                state.warnings.warn(&self.topic, &error, reason);
            }
            self.corrupt.fetch_or(corruption.is_some(), Ordering::Relaxed);
            state.corrupt.extend(corruption);
            state.errors += 1;
        });
        self.happened();
    }
}

/// Whether `message`, a line of librdkafka's log, says that `topic` has another ID than before. librdkafka 2.12 knows the IDs and
/// fetches by them, but tells of a change only here (`rd_kafka_topic_metadata_update`, `debug=metadata`); it goes on at the
/// old offset. The first ID of a topic replaces zero.
fn is_id_change(message: &str, topic: &str) -> bool {
    let Some((before, ids)) = message.split_once(" changed id from ") else { return false };
    before.ends_with(&format!("Topic {topic}")) && !ids.starts_with("AAAAAAAAAAAAAAAAAAAAAA")
}

/// Forwards librdkafka's log. Its errors about lost connections repeat often and are retried: warnings here.
pub(super) fn log(level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
    use rdkafka::config::RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
    guarded("log", || match level {
        Emerg | Alert | Critical => error!(target: "librdkafka", facility, "{message}"),
        Error | Warning => warn!(target: "librdkafka", facility, "{message}"),
        Notice | Info => info!(target: "librdkafka", facility, "{message}"),
        Debug => debug!(target: "librdkafka", facility, "{message}"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_at_the_callback() {
        assert!(guarded("test", || {}));
        assert!(!guarded("test", || panic!("of a callback")));
    }

    #[test]
    fn another_id_of_the_topic_is_found_in_librdkafkas_log() {
        let line = |ids| format!("[thrd:main]: Topic comments changed id from {ids}");
        let changed = line("YLjNW9q7QTqTGQmGmfWFvw to 9d6C3C9MQ0yvTBsHLqNy6g");
        assert!(is_id_change(&changed, "comments"));
        assert!(!is_id_change(&changed, "other"));
        assert!(!is_id_change(&line("AAAAAAAAAAAAAAAAAAAAAA to 9d6C3C9MQ0yvTBsHLqNy6g"), "comments"));
        assert!(!is_id_change("[thrd:main]: Topic comments [0] Leader 1 Epoch 0", "comments"));
    }
}
