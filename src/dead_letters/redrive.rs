//! A redrive: a chunk of dead letters and the state that covers it, in one transaction.

use super::record::DeadLetterRecord;
use super::redrive_state::RedriveState;
use super::{DeadLetterError, DeadLetterTopic, RedriveSummary};
use crate::kafka::compacted_log::{CompactedLog, Writer};
use crate::kafka::error::code;
use crate::kafka::write_failures::is_refused_record;
use crate::kafka::{BrokerError, now_ms};
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseRecord;
use std::collections::BTreeMap;
use std::time::Duration;
use tracing::info;

/// Records of one transaction at most, and their bytes.
const MAX_CHUNK_RECORDS: usize = 500;
const MAX_CHUNK_BYTES: usize = 16 << 20;
/// Longest wait for a call of the transactional producer.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Brokers refuse timestamps an hour ahead by default; what is this far ahead is sent with the current time.
const MAX_AHEAD_MS: i64 = 50 * 60 * 1_000;

/// A redrive in progress.
pub(super) struct Redrive<'a> {
    pub(super) dead_letters: &'a DeadLetterTopic,
    pub(super) log: &'a CompactedLog<'a>,
    pub(super) writer: Writer,
    pub(super) to: Option<&'a str>,
    pub(super) state: RedriveState,
    /// Each dead letter and the record to send for it.
    pub(super) chunk: Vec<(DeadLetterRecord, DeadLetterRecord)>,
    pub(super) bytes: usize,
    pub(super) done: RedriveSummary,
    /// Partitions of the topics that dead letters go back to; `None` where there is no such topic.
    pub(super) targets: BTreeMap<String, Option<Vec<i32>>>,
    pub(super) failure: Option<DeadLetterError>,
}

impl Redrive<'_> {
    pub(super) fn add(&mut self, dead_letter: DeadLetterRecord) {
        if dead_letter.sent {
            self.done.before += 1;
            return;
        }
        match self.is_without_target(&dead_letter) {
            Ok(None) => {}
            Ok(Some(why)) => return self.done.refused.push(why),
            Err(error) => return self.failure = Some(error),
        }
        match self.dead_letters.original_or_self(&dead_letter) {
            Ok(whole) => {
                self.bytes += whole.value.len() + whole.key.as_ref().map_or(0, Vec::len);
                self.chunk.push((dead_letter, whole));
            }
            // The other dead letters are sent all the same.
            Err(DeadLetterError::State(why)) => self.done.lost.push(why),
            Err(error) => self.failure = Some(error),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.chunk.len() >= MAX_CHUNK_RECORDS || self.bytes >= MAX_CHUNK_BYTES
    }

    /// Sends the chunk, as far as the brokers take it.
    pub(super) fn flush(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        self.bytes = 0;
        self.commit(&chunk);
    }

    /// Commits `chunk` and the state that covers it, or neither. If a record is refused, both halves are tried: one that no
    /// topic takes must not block those behind it.
    fn commit(&mut self, chunk: &[(DeadLetterRecord, DeadLetterRecord)]) {
        if chunk.is_empty() || self.failure.is_some() {
            return;
        }
        if self.writer.in_doubt()
            && let Err(error) = self.replace_writer()
        {
            self.failure = Some(error);
            return;
        }
        let mut state = self.state.clone();
        for (dead_letter, _) in chunk {
            state.add(dead_letter.at.partition, dead_letter.at.offset);
        }
        let error = match self.transact(chunk, &state) {
            Ok(()) => {
                self.state = state;
                self.done.sent += chunk.len() as u64;
                info!(dead_letters = chunk.len(), "redriven");
                return;
            }
            Err(error) => error,
        };
        self.writer.abort(CALL_TIMEOUT);
        // After the abort, which waits for every delivery report: a commit fails as soon as one record did.
        let cause = self.writer.first_failure();
        let refused = match (&error, cause) {
            (NotCommitted::Before(error), None) if is_refused_record(error) => Some(error.clone()),
            (NotCommitted::Before(_), cause) => cause.filter(is_refused_record),
            (NotCommitted::Unknown(_), _) => None,
        };
        if self.writer.is_fenced() {
            self.failure = Some(self.overtaken());
            return;
        }
        if refused.is_some()
            && let Err(error) = self.replace_writer()
        {
            self.failure = Some(error);
            return;
        }
        match (refused, chunk) {
            (Some(error), [(dead_letter, _)]) => {
                let reason = code(&error).map_or_else(|| error.to_string(), |code| code.to_string());
                self.done.refused.push(format!("{}: {reason}", dead_letter.at));
            }
            (Some(_), chunk) => {
                let (first, second) = chunk.split_at(chunk.len() / 2);
                self.commit(first);
                self.commit(second);
            }
            (None, chunk) => self.failure = Some(self.failed(chunk.len(), &error)),
        }
    }

    /// Replaces the writer after a refused record or a commit that may have been sent twice. After a refused record the next
    /// transaction of the same writer fails too ("skipped sequence numbers"), since an idempotent producer had numbered the
    /// records. Another process may have taken over before, and the new writer would fence it: the state shows that, before
    /// and, for what it wrote meanwhile, after.
    fn replace_writer(&mut self) -> Result<(), DeadLetterError> {
        if self.dead_letters.state(self.log)? != self.state {
            return Err(self.overtaken());
        }
        self.writer = self.log.writer(self.writer.id())?;
        if self.dead_letters.state(self.log)? == self.state { Ok(()) } else { Err(self.overtaken()) }
    }

    fn transact(
        &self,
        chunk: &[(DeadLetterRecord, DeadLetterRecord)],
        state: &RedriveState,
    ) -> Result<(), NotCommitted> {
        self.write(chunk, state).map_err(NotCommitted::Before)?;
        self.writer.commit(CALL_TIMEOUT).map_err(|error| match error {
            KafkaError::Transaction(ref failed) if failed.txn_requires_abort() => NotCommitted::Before(error),
            error => NotCommitted::Unknown(error),
        })
    }

    fn write(
        &self,
        chunk: &[(DeadLetterRecord, DeadLetterRecord)],
        state: &RedriveState,
    ) -> Result<(), KafkaError> {
        self.writer.begin()?;
        for (dead_letter, whole) in chunk {
            let Some(source) = dead_letter.source() else { continue };
            let now_ms = now_ms();
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(self.to.unwrap_or(&source.topic))
                .payload(whole.value.as_slice())
                .headers(whole.redriven_headers(&dead_letter.at).build())
                .timestamp(
                    whole.original_ms().filter(|&ms| ms > 0 && ms < now_ms + MAX_AHEAD_MS).unwrap_or(now_ms),
                );
            // The partition of its source: the other records of its key are there.
            record.partition = self.to.is_none().then_some(source.partition);
            record.key = whole.key.as_deref();
            self.writer.send(record)?;
        }
        let value = serde_json::to_vec(state).expect("a map of integers has a JSON form");
        self.log.put(&self.writer, &self.dead_letters.key(), &value, None)
    }

    /// Why a dead letter has nowhere to go, if so: its topic or its partition is gone. Asked before it is sent, since a
    /// producer waits half a minute for a topic that does not exist.
    fn is_without_target(
        &mut self,
        dead_letter: &DeadLetterRecord,
    ) -> Result<Option<String>, DeadLetterError> {
        let (Some(source), None) = (dead_letter.source(), self.to) else { return Ok(None) };
        let partitions = match self.targets.get(&source.topic) {
            Some(partitions) => partitions,
            None => {
                let partitions = self.dead_letters.second.partitions(&source.topic)?;
                self.targets.entry(source.topic.clone()).or_insert(partitions)
            }
        };
        let at = &dead_letter.at;
        Ok(match partitions {
            None => {
                Some(format!("{at}: its source topic does not exist any more; --to-topic names another one"))
            }
            Some(partitions) if !partitions.contains(&source.partition) => Some(format!(
                "{at}: its source topic has no partition {} any more; --to-topic names another one",
                source.partition
            )),
            Some(_) => None,
        })
    }

    fn overtaken(&self) -> DeadLetterError {
        DeadLetterError::State(format!(
            "another process redrives `{}` now and has fenced this one; {} were sent by this process, none twice",
            self.dead_letters.topic, self.done.sent
        ))
    }

    fn failed(&self, count: usize, error: &NotCommitted) -> DeadLetterError {
        let brokers = self.dead_letters.brokers.addresses();
        let (doing, error) = match error {
            NotCommitted::Before(error) => {
                (format!("redriving {count} dead letters (none of them was sent)"), error)
            }
            NotCommitted::Unknown(error) => (
                format!(
                    "redriving {count} dead letters (whether they were sent is not known; the same command sends those \
                     that were not, and none twice)"
                ),
                error,
            ),
        };
        BrokerError::client(doing, error, brokers).into()
    }
}

/// Why a chunk may not be committed.
enum NotCommitted {
    /// It is not: something failed before the commit.
    Before(KafkaError),
    /// The commit failed, and the brokers may have carried it out.
    Unknown(KafkaError),
}
