//! A redrive: some dead letters and the state that remembers them in one transaction, or neither.

use super::record::DeadLetterRecord;
use super::redrive_state::RedriveState;
use super::{DeadLetterError, DeadLetterTopic, RedriveSummary};
use crate::kafka::compacted_log::{CompactedLog, Writer};
use crate::kafka::{BrokerError, now_ms};
use nunchi_librdkafka::HeadersBuilder;
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseRecord;
use std::time::Duration;
use tracing::info;

/// Records of one transaction at most, and their bytes.
const MAX_CHUNK_RECORDS: usize = 500;
const MAX_CHUNK_BYTES: usize = 16 << 20;
/// Longest wait for a transaction's call.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Brokers refuse timestamps an hour ahead by default; what is this far ahead is sent with the time of now.
const MAX_AHEAD_MS: i64 = 50 * 60 * 1_000;

/// A redrive that goes on.
pub(super) struct Redrive<'a> {
    pub(super) dead_letters: &'a DeadLetterTopic,
    pub(super) log: &'a CompactedLog<'a>,
    pub(super) writer: &'a Writer,
    pub(super) to: Option<&'a str>,
    pub(super) state: RedriveState,
    /// Each letter and the record to send for it.
    pub(super) chunk: Vec<(DeadLetterRecord, DeadLetterRecord)>,
    pub(super) bytes: usize,
    pub(super) done: RedriveSummary,
    pub(super) failure: Option<DeadLetterError>,
}

impl Redrive<'_> {
    pub(super) fn take(&mut self, letter: DeadLetterRecord) {
        if letter.sent {
            self.done.before += 1;
            return;
        }
        match self.dead_letters.original_or_self(&letter) {
            Ok(whole) => {
                self.bytes += whole.value.len() + whole.key.as_ref().map_or(0, Vec::len);
                self.chunk.push((letter, whole));
            }
            // The others do not suffer from it.
            Err(DeadLetterError::State(why)) => self.done.lost.push(why),
            Err(error) => self.failure = Some(error),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.chunk.len() >= MAX_CHUNK_RECORDS || self.bytes >= MAX_CHUNK_BYTES
    }

    /// Sends and remembers the chunk, or neither.
    pub(super) fn flush(&mut self) {
        if self.chunk.is_empty() || self.failure.is_some() {
            return;
        }
        let mut state = self.state.clone();
        for (letter, _) in &self.chunk {
            state.add(letter.at.partition, letter.at.offset);
        }
        match self.transact(&state) {
            Ok(()) => {
                self.state = state;
                self.done.sent += self.chunk.len() as u64;
                info!(letters = self.chunk.len(), "sent again");
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
        for (letter, whole) in &self.chunk {
            let Some(source) = letter.source() else { continue };
            let mut headers = HeadersBuilder::with_capacity(whole.headers.len() + 1);
            for (name, value) in whole.headers.iter().filter(|(name, _)| !name.starts_with(b"nunchi-")) {
                headers.add(name, value.as_deref());
            }
            headers.add("nunchi-resent", Some(letter.at.to_string().as_bytes()));
            let now_ms = now_ms();
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(self.to.unwrap_or(&source.topic))
                .payload(whole.value.as_slice())
                .headers(headers.build())
                .timestamp(
                    whole.original_ms().filter(|&ms| ms > 0 && ms < now_ms + MAX_AHEAD_MS).unwrap_or(now_ms),
                );
            // Back where it was: its key's other records are there.
            record.partition = self.to.is_none().then_some(source.partition);
            record.key = whole.key.as_deref();
            self.writer.send(record)?;
        }
        let value = serde_json::to_vec(state).expect("numbers");
        self.log.put(self.writer, &self.dead_letters.key(), &value, None)?;
        self.writer.commit(CALL_TIMEOUT)
    }

    fn failed(&self, error: &KafkaError) -> DeadLetterError {
        if self.writer.is_fenced() {
            return DeadLetterError::State(format!(
                "another process sends the dead letters of `{}` now; {} were sent by this one, none twice",
                self.dead_letters.topic, self.done.sent
            ));
        }
        let doing = format!("sending {} dead letters again (none of them was sent)", self.chunk.len());
        BrokerError::request(doing, error).into()
    }
}
