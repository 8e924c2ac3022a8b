//! Sending: some letters and the memory of them in one transaction, or neither.

use super::letter::Letter;
use super::memory::Memory;
use super::{Letters, Sent};
use crate::pipeline::process::now_ms;
use crate::replay::error::ReplayError;
use crate::replay::ledger::{Ledger, Writer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use std::time::Duration;
use tracing::info;

/// Letters of one transaction at most, and their bytes.
const CHUNK: usize = 500;
const CHUNK_BYTES: usize = 16 << 20;
/// Longest wait for a transaction's call.
const CALL: Duration = Duration::from_secs(30);
/// Brokers refuse timestamps an hour ahead by default; what is this far ahead is sent with the time of now.
const AHEAD_MS: i64 = 50 * 60 * 1_000;

/// Letters on their way.
pub(crate) struct Sending<'a> {
    pub(crate) letters: &'a Letters,
    pub(crate) ledger: &'a Ledger<'a>,
    pub(crate) writer: &'a Writer,
    pub(crate) to: Option<&'a str>,
    pub(crate) memory: Memory,
    /// Each letter and the record to send for it.
    pub(crate) chunk: Vec<(Letter, Letter)>,
    pub(crate) bytes: usize,
    pub(crate) done: Sent,
    pub(crate) failure: Option<ReplayError>,
}

impl Sending<'_> {
    pub(crate) fn take(&mut self, letter: Letter) {
        if letter.sent {
            self.done.before += 1;
            return;
        }
        match self.letters.whole(&letter) {
            Ok(whole) => {
                self.bytes += whole.value.len() + whole.key.as_ref().map_or(0, Vec::len);
                self.chunk.push((letter, whole));
            }
            // The others do not suffer from it.
            Err(ReplayError::State(why)) => self.done.lost.push(why),
            Err(error) => self.failure = Some(error),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.chunk.len() >= CHUNK || self.bytes >= CHUNK_BYTES
    }

    /// Sends and remembers the chunk, or neither.
    pub(crate) fn flush(&mut self) {
        if self.chunk.is_empty() || self.failure.is_some() {
            return;
        }
        let mut memory = self.memory.clone();
        for (letter, _) in &self.chunk {
            memory.add(letter.at.partition, letter.at.offset);
        }
        match self.transact(&memory) {
            Ok(()) => {
                self.memory = memory;
                self.done.sent += self.chunk.len() as u64;
                info!(letters = self.chunk.len(), "sent again");
            }
            Err(error) => {
                // It may be fenced; then there is nothing to abort.
                let _ = self.writer.abort_transaction(CALL);
                self.failure = Some(self.failed(&error));
            }
        }
        self.chunk.clear();
        self.bytes = 0;
    }

    fn transact(&self, memory: &Memory) -> Result<(), KafkaError> {
        self.writer.begin_transaction()?;
        for (letter, whole) in &self.chunk {
            let Some(source) = letter.source() else { continue };
            let mut headers = OwnedHeaders::new();
            let theirs = whole.headers.iter().filter(|(name, _)| !name.starts_with("nunchi-"));
            for (name, value) in theirs {
                headers = headers.insert(Header { key: name, value: value.as_deref() });
            }
            let at = letter.at.to_string();
            headers = headers.insert(Header { key: "nunchi-resent", value: Some(&at) });
            let now_ms = now_ms();
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(self.to.unwrap_or(&source.topic))
                .payload(whole.value.as_slice())
                .headers(headers)
                .timestamp(
                    whole.original_ms().filter(|&ms| ms > 0 && ms < now_ms + AHEAD_MS).unwrap_or(now_ms),
                );
            // Back where it was: its key's other records are there.
            record.partition = self.to.is_none().then_some(source.partition);
            record.key = whole.key.as_deref();
            self.writer.send(record).map_err(|(error, _)| error)?;
        }
        let value = serde_json::to_vec(memory).expect("numbers");
        self.ledger.put(self.writer, &self.letters.key(), &value, None)?;
        self.writer.commit_transaction(CALL)
    }

    fn failed(&self, error: &KafkaError) -> ReplayError {
        let fenced = self.writer.client().fatal_error().is_some_and(|(code, _)| {
            matches!(
                code,
                RDKafkaErrorCode::Fenced
                    | RDKafkaErrorCode::ProducerFenced
                    | RDKafkaErrorCode::InvalidProducerEpoch
            )
        });
        if fenced {
            return ReplayError::State(format!(
                "another process sends the dead letters of `{}` now; {} were sent by this one, none twice",
                self.letters.topic, self.done.sent
            ));
        }
        ReplayError::kafka(
            format!("sending {} dead letters again (none of them was sent)", self.chunk.len()),
            error,
        )
    }
}
