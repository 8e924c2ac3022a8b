//! A redrive: a chunk of dead letters and the state that covers it, in one transaction.

use super::record::DeadLetterRecord;
use super::redrive_state::RedriveState;
use super::{DeadLetterError, DeadLetterTopic, RedriveSummary};
use crate::kafka::compacted_log::{CompactedLog, Writer};
use crate::kafka::{BrokerError, now_ms};
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseRecord;
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
    pub(super) writer: &'a Writer,
    pub(super) to: Option<&'a str>,
    pub(super) state: RedriveState,
    /// Each dead letter and the record to send for it.
    pub(super) chunk: Vec<(DeadLetterRecord, DeadLetterRecord)>,
    pub(super) bytes: usize,
    pub(super) done: RedriveSummary,
    pub(super) failure: Option<DeadLetterError>,
}

impl Redrive<'_> {
    pub(super) fn add(&mut self, dead_letter: DeadLetterRecord) {
        if dead_letter.sent {
            self.done.before += 1;
            return;
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

    /// Commits the chunk and the state that covers it, or neither.
    pub(super) fn flush(&mut self) {
        if self.chunk.is_empty() || self.failure.is_some() {
            return;
        }
        let mut state = self.state.clone();
        for (dead_letter, _) in &self.chunk {
            state.add(dead_letter.at.partition, dead_letter.at.offset);
        }
        match self.transact(&state) {
            Ok(()) => {
                self.state = state;
                self.done.sent += self.chunk.len() as u64;
                info!(dead_letters = self.chunk.len(), "redriven");
            }
            Err(error) => {
                self.writer.abort(CALL_TIMEOUT);
                self.failure = Some(self.failed(&error));
            }
        }
        self.chunk.clear();
        self.bytes = 0;
    }

    fn transact(&self, state: &RedriveState) -> Result<(), KafkaError> {
        self.writer.begin()?;
        for (dead_letter, whole) in &self.chunk {
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
        self.log.put(self.writer, &self.dead_letters.key(), &value, None)?;
        self.writer.commit(CALL_TIMEOUT)
    }

    fn failed(&self, error: &KafkaError) -> DeadLetterError {
        if self.writer.is_fenced() {
            return DeadLetterError::State(format!(
                "another process redrives `{}` now and has fenced this one; {} were sent by this process, none twice",
                self.dead_letters.topic, self.done.sent
            ));
        }
        let doing = format!("redriving {} dead letters (none of them was sent)", self.chunk.len());
        BrokerError::request(doing, error).into()
    }
}
