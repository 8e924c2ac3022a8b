//! Looks at single offsets of single partitions: whether they can be read, and where what cannot be read ends.
//!
//! librdkafka reports a batch that cannot be read, skips it, and delivers what follows. The report names the offset, but
//! rust-rdkafka does not pass the partition on: a probe tells which one it is.

use super::ClientProperties;
use super::corruption::{Corruption, is_corruption};
use super::events;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait within a probe, between two heartbeats.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// What was found at an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The next record, or the end of what may be read, is at this offset.
    Readable(i64),
    /// A batch that cannot be read.
    Corrupt(Corruption),
    /// The partition does not hold the offset.
    Absent,
}

/// A consumer of single partitions, from single offsets, in no group.
pub(crate) struct Probe {
    consumer: BaseConsumer<ProbeContext>,
    topic: String,
}

#[derive(Default)]
struct ProbeContext(Mutex<VecDeque<Corruption>>);

impl ProbeContext {
    fn found(&self) -> MutexGuard<'_, VecDeque<Corruption>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for ProbeContext {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        events::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.found().extend(Corruption::of(&error, reason));
    }
}

impl ConsumerContext for ProbeContext {}

impl Probe {
    /// A probe of `topic`. It checks what the consumers of `clients` check.
    pub(crate) fn open(clients: &ClientProperties, topic: &str) -> Result<Self, String> {
        Self::with(clients.consumer(0), topic)
    }

    /// A probe of `topic` with these properties of a consumer.
    pub(super) fn with(mut properties: ClientConfig, topic: &str) -> Result<Self, String> {
        properties.remove("group.instance.id");
        properties
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("statistics.interval.ms", "0")
            .set("queued.min.messages", "1");
        let consumer =
            properties.create_with_context(ProbeContext::default()).map_err(|error| error.to_string())?;
        Ok(Probe { consumer, topic: topic.to_owned() })
    }

    /// What is at `offset` of `partition`. `beat` is called while it waits.
    ///
    /// # Errors
    /// Nothing is known within ten seconds.
    pub(crate) fn look(&self, partition: i32, offset: i64, beat: &dyn Fn()) -> Result<Found, String> {
        let mut list = TopicPartitionList::new();
        let place = || format!("offset {offset} of partition {partition} of `{}`", self.topic);
        // Behind the last stable offset nothing is delivered, not even an end.
        if offset >= self.end(partition)? {
            return Ok(Found::Absent);
        }
        list.add_partition_offset(&self.topic, partition, Offset::Offset(offset))
            .and_then(|()| self.consumer.assign(&list))
            .map_err(|error| format!("{} cannot be read: {error}", place()))?;
        self.consumer.context().found().clear();
        let deadline = Instant::now() + PROBE_TIMEOUT;
        let found = loop {
            beat();
            match self.consumer.poll(POLL_INTERVAL) {
                // What was fetched for an earlier probe has another partition, or a smaller offset.
                Some(Ok(message)) if message.partition() == partition && message.offset() >= offset => {
                    break Ok(Found::Readable(message.offset()));
                }
                Some(Err(KafkaError::PartitionEOF(ended))) if ended == partition => {
                    break self.end(partition).map(Found::Readable);
                }
                Some(Err(error)) if error.rdkafka_error_code().is_some_and(is_corruption) => {
                    if let Some(corruption) = self.consumer.context().found().pop_front() {
                        break Ok(Found::Corrupt(corruption));
                    }
                }
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                        break Ok(Found::Absent);
                    }
                    _ if Instant::now() > deadline => break Err(format!("{}: {error}", place())),
                    _ => {}
                },
                _ if Instant::now() > deadline => break Err(format!("{}: no broker answers", place())),
                _ => {}
            }
        };
        if let Err(error) = self.consumer.unassign() {
            return Err(format!("{}: {error}", place()));
        }
        found
    }

    /// The last stable offset of `partition`.
    fn end(&self, partition: i32) -> Result<i64, String> {
        let ends = self.consumer.fetch_watermarks(&self.topic, partition, PROBE_TIMEOUT);
        ends.map(|(_, end)| end).map_err(|error| error.to_string())
    }

    /// The last offset of the unreadable region that begins at `first` of `partition`: of all batches that cannot be read
    /// without a readable one in between.
    ///
    /// # Errors
    /// The brokers do not answer in time.
    pub(crate) fn last_unreadable(&self, partition: i32, first: i64, beat: &dyn Fn()) -> Result<i64, String> {
        last_unreadable(first, |offset| {
            Ok(match self.look(partition, offset, beat)? {
                Found::Corrupt(corruption) => {
                    Some(if corruption.is_first { corruption.offset } else { UNKNOWN })
                }
                Found::Readable(_) | Found::Absent => None,
            })
        })
    }
}

/// Stands for the first offset of a batch of which only the broker knows where it begins.
const UNKNOWN: i64 = -1;

/// The last offset of the unreadable region at `first`. `look` returns the first offset of the batch that cannot be read at
/// an offset, or `None` if it can be.
///
/// Batch by batch: first in steps that double, then by halves. All offsets of one batch have the same answer.
fn last_unreadable<E>(first: i64, mut look: impl FnMut(i64) -> Result<Option<i64>, E>) -> Result<i64, E> {
    let mut last = first;
    let mut base = look(first)?;
    while let Some(batch) = base {
        let (mut inside, mut step) = (last, 1);
        let mut outside = loop {
            let offset = inside + step;
            if look(offset)? == Some(batch) {
                (inside, step) = (offset, step * 2);
            } else {
                break offset;
            }
        };
        while outside - inside > 1 {
            let middle = inside + (outside - inside) / 2;
            if look(middle)? == Some(batch) {
                inside = middle;
            } else {
                outside = middle;
            }
        }
        last = inside;
        base = look(outside)?;
        if base.is_some() {
            last = outside;
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks into a log of batches: first offset, last offset, readable.
    fn search(batches: &[(i64, i64, bool)], first: i64) -> (i64, usize) {
        let mut looks = 0;
        let last = last_unreadable::<()>(first, |offset| {
            looks += 1;
            let batch = batches.iter().find(|(_, last, _)| offset <= *last);
            Ok(batch.filter(|(_, _, readable)| !readable).map(|(base, ..)| *base))
        });
        (last.unwrap(), looks)
    }

    #[test]
    fn an_unreadable_region_ends_before_the_next_readable_batch() {
        let log = [(0, 9, true), (10, 19, false), (20, 29, true), (30, 39, false), (40, 49, true)];
        assert_eq!(search(&log, 10).0, 19, "the batch at 30 is another region");
        assert_eq!(search(&log, 13).0, 19, "from within a batch");
        let far = [(0, 100, false), (101, 126, true), (127, 130, false), (131, 140, true)];
        assert_eq!(search(&far, 0).0, 100, "no readable batch is passed over");
        let adjacent = [(0, 9, true), (10, 19, false), (20, 20, false), (21, 39, false), (40, 49, true)];
        assert_eq!(search(&adjacent, 10).0, 39);
        let single = [(0, 0, false), (1, 9, true)];
        assert_eq!(search(&single, 0).0, 0);
        let (last, looks) = search(&[(0, 999_999, false), (1_000_000, 1_000_001, true)], 0);
        assert_eq!(last, 999_999);
        assert!(looks < 50, "{looks}");
    }
}
