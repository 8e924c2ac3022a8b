//! From a record and its outcome to the output record: headers, timestamp, partition, size.
//!
//! Always holds: for every input record there is an output record. One that exceeds the limit loses its echoed fields, then
//! its value, then its headers, then its key, and its headers describe that.

use super::target::Target;
use super::topics::Topics;
use crate::record::{DeadLetter, DeadLetterClass};
use nunchi_librdkafka::{HeadersBuilder, RawHeaders};
use rdkafka::Timestamp;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::BaseRecord;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Kafka's own bytes of a batch of one record: the batch's header (61), then lengths and deltas as varints.
const RECORD_OVERHEAD: usize = 61 + 36;
/// Lengths of a header's key and value as varints.
const HEADER_OVERHEAD: usize = 10;
/// Tolerance for clock skew: a timestamp this close to the broker's limit counts as refused.
const SKEW_MS: i64 = 5_000;
/// Added to the tolerance when a broker refuses a timestamp that should have been fine; four times as much each further time.
const SKEW_STEP_MS: i64 = 300_000;
/// After so many steps every timestamp is replaced by the present.
const MAX_SKEW_STEPS: u32 = 5;

/// The value of an output record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OutputValue<'a> {
    /// A verdict, with and without the echoed fields.
    Verdict {
        /// The verdict's JSON.
        full: &'a [u8],
        /// Without echoed fields, where `full` has some.
        plain: Option<&'a [u8]>,
        /// Whether the comment was truncated.
        truncated: bool,
        /// Whether the verdict is unsure.
        unsure: bool,
        /// VERSION of the model.
        model: &'a str,
    },
    /// A null value.
    Tombstone,
    /// A record that cannot be classified.
    DeadLetter(&'a DeadLetter),
    /// The same; its value is described by headers, since the topic of dead letters refused it.
    Described(&'a DeadLetter),
}

/// What a copy for review says of its verdict in headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reviewed<'a> {
    /// Whether the comment was truncated.
    pub(crate) truncated: bool,
    /// Whether the verdict is unsure.
    pub(crate) unsure: bool,
    /// VERSION of the model.
    pub(crate) model: &'a str,
}

/// A record to be written; its opaque is its number within the batch.
pub(crate) type Outgoing<'a> = BaseRecord<'a, [u8], [u8], usize>;

/// Builds output records; [`OutputBuilder::start`] begins a batch.
#[derive(Debug)]
pub(crate) struct OutputBuilder<'t> {
    topics: &'t Topics,
    now_ms: i64,
    skew_ms: i64,
    /// How often the tolerance was raised, and of which limits that is.
    skew_steps: u32,
    settings_changes: u64,
    replay: Option<&'t str>,
    source: String,
}

/// The result of [`OutputBuilder::build_for`].
#[derive(Debug)]
pub(crate) struct OutputRecord<'a> {
    pub(crate) record: Outgoing<'a>,
    /// The class, if it became a dead letter (also a verdict that exceeds the limit).
    pub(crate) dead: Option<DeadLetterClass>,
}

impl<'t> OutputBuilder<'t> {
    /// `replay` is the ID of the replay that writes, if one does.
    pub(crate) fn new(topics: &'t Topics, replay: Option<&'t str>) -> Self {
        OutputBuilder {
            topics,
            now_ms: 0,
            skew_ms: SKEW_MS,
            skew_steps: 0,
            settings_changes: topics.live.settings_changes(),
            replay,
            source: String::new(),
        }
    }

    /// A batch begins at `now_ms`.
    pub(crate) fn start(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
        let changes = self.topics.live.settings_changes();
        if changes != self.settings_changes {
            // What was refused, was refused because of limits that were not known.
            self.settings_changes = changes;
            (self.skew_ms, self.skew_steps) = (SKEW_MS, 0);
        }
    }

    /// A broker refused a timestamp that should have been fine: from now on clocks may differ by more. Returns by how much
    /// (milliseconds), beyond what is always tolerated; `None` if every timestamp is replaced by the present already.
    pub(crate) fn tolerate_skew(&mut self) -> Option<i64> {
        if self.skew_ms == i64::MAX {
            return None;
        }
        self.skew_steps += 1;
        self.skew_ms = match self.skew_steps {
            steps @ 1..=MAX_SKEW_STEPS => self.skew_ms + (SKEW_STEP_MS << (2 * (steps - 1))),
            _ => i64::MAX,
        };
        Some(self.skew_ms.saturating_sub(SKEW_MS))
    }

    fn set_source(&mut self, message: &BorrowedMessage<'_>) {
        self.source.clear();
        // Writing to a string does not fail.
        let _ = write!(self.source, "{}/{}/{}", message.topic(), message.partition(), message.offset());
    }

    /// The record to write for `message`.
    pub(crate) fn build_for<'a>(
        &mut self,
        message: &'a BorrowedMessage<'_>,
        value: OutputValue<'a>,
    ) -> OutputRecord<'a>
    where
        't: 'a,
    {
        self.set_source(message);
        let output = &self.topics.output;
        match value {
            OutputValue::DeadLetter(dead_letter) => self.dead_letter(message, dead_letter, true),
            OutputValue::Described(dead_letter) => self.dead_letter(message, dead_letter, false),
            OutputValue::Tombstone => {
                let headers = self.headers(message, output, true, 1);
                match self.fit(output, message, message.key(), None, headers) {
                    Some(record) => OutputRecord { record, dead: None },
                    None => self.no_room(message),
                }
            }
            OutputValue::Verdict { full, plain, truncated, unsure, model } => {
                for value in std::iter::once(full).chain(plain) {
                    let mut headers = self.headers(message, output, true, 4);
                    headers.add("nunchi-model", Some(model.as_bytes()));
                    if truncated {
                        headers.add("nunchi-truncated", Some(b"true"));
                    }
                    if unsure {
                        headers.add("nunchi-unsure", Some(b"true"));
                    }
                    if let Some(record) = self.fit(output, message, message.key(), Some(value), headers) {
                        return OutputRecord { record, dead: None };
                    }
                }
                self.no_room(message)
            }
        }
    }

    /// The copy of `message` for people to label, with its verdict in a header. `None` if the topic of these takes no record
    /// of that size, or none without a key: the verdict is written anyway.
    pub(crate) fn review<'a>(
        &mut self,
        message: &'a BorrowedMessage<'_>,
        verdict: &[u8],
        prediction: Reviewed<'_>,
    ) -> Option<Outgoing<'a>>
    where
        't: 'a,
    {
        let target = self.topics.review.as_ref()?;
        if message.key().is_none() && target.is_compacted() {
            return None;
        }
        self.set_source(message);
        [true, false].into_iter().find_map(|kept| {
            let mut headers = self.headers(message, target, kept, 4);
            headers.add("nunchi-model", Some(prediction.model.as_bytes()));
            headers.add("nunchi-verdict", Some(verdict));
            if prediction.truncated {
                headers.add("nunchi-truncated", Some(b"true"));
            }
            if prediction.unsure {
                headers.add("nunchi-unsure", Some(b"true"));
            }
            let value = message.payload().unwrap_or_default();
            self.fit(target, message, message.key(), Some(value), headers)
        })
    }

    /// A record whose key and headers leave no room for the output value.
    fn no_room<'a>(&self, message: &'a BorrowedMessage<'_>) -> OutputRecord<'a>
    where
        't: 'a,
    {
        let topic = &self.topics.output.topic;
        let text = format!(
            "with the record's key and headers the verdict exceeds max.message.bytes of topic `{topic}`"
        );
        let dead_letter = DeadLetter::new(DeadLetterClass::Oversize, text);
        self.dead_letter(message, &dead_letter, true)
    }

    /// The smallest dead letter: only the source of the record. For a record whose output the producer refused although it
    /// should have fit.
    pub(crate) fn bare<'a>(&mut self, message: &'a BorrowedMessage<'_>) -> (Outgoing<'a>, DeadLetterClass)
    where
        't: 'a,
    {
        let dead_letter = DeadLetter {
            class: DeadLetterClass::Oversize,
            message: "the output record exceeds the limit of the producer or the topic".to_owned(),
        };
        let value = message.payload().unwrap_or_default();
        let record = self.build(
            &self.topics.dead_letters,
            message,
            None,
            Some(&[]),
            self.described(message, &dead_letter, value, false),
        );
        (record, dead_letter.class)
    }

    /// The dead letter that stands for the records of `partition` from the first to the last of `offsets`, which cannot be
    /// read.
    pub(crate) fn build_for_lost<'a>(
        &self,
        topic: &str,
        partition: i32,
        offsets: (i64, i64),
        dead_letter: &DeadLetter,
    ) -> Outgoing<'a>
    where
        't: 'a,
    {
        let (first, last) = offsets;
        let mut headers = HeadersBuilder::with_capacity(5);
        headers.add("nunchi-source", Some(format!("{topic}/{partition}/{first}").as_bytes()));
        if let Some(replay) = self.replay {
            headers.add("nunchi-replay", Some(replay.as_bytes()));
        }
        headers.add("nunchi-error-class", Some(dead_letter.class.name().as_bytes()));
        headers.add("nunchi-error", Some(dead_letter.message.as_bytes()));
        headers.add("nunchi-offsets", Some(format!("{first}-{last}").as_bytes()));
        BaseRecord {
            topic: &self.topics.dead_letters.topic,
            partition: None,
            payload: Some(&[]),
            key: None,
            timestamp: Some(self.now_ms),
            headers: Some(headers.build()),
            delivery_opaque: 0,
        }
    }

    /// A dead letter, `whole` if it may hold the original value.
    fn dead_letter<'a>(
        &self,
        message: &'a BorrowedMessage<'_>,
        dead_letter: &DeadLetter,
        whole: bool,
    ) -> OutputRecord<'a>
    where
        't: 'a,
    {
        let target = &self.topics.dead_letters;
        let value = message.payload().unwrap_or_default();
        let dead = Some(dead_letter.class);
        if whole {
            let headers = self.classified(message, dead_letter, true);
            if let Some(record) = self.fit(target, message, message.key(), Some(value), headers) {
                return OutputRecord { record, dead };
            }
        }
        for (kept, key) in [(true, message.key()), (false, message.key())] {
            let described = self.described(message, dead_letter, value, kept);
            if let Some(record) = self.fit(target, message, key, Some(&[]), described) {
                return OutputRecord { record, dead };
            }
        }
        // Small enough for every topic that can hold records at all.
        let record =
            self.build(target, message, None, Some(&[]), self.described(message, dead_letter, value, false));
        OutputRecord { record, dead }
    }

    fn classified(
        &self,
        message: &BorrowedMessage<'_>,
        dead_letter: &DeadLetter,
        kept: bool,
    ) -> HeadersBuilder {
        let mut headers = self.headers(message, &self.topics.dead_letters, kept, 4);
        headers.add("nunchi-error-class", Some(dead_letter.class.name().as_bytes()));
        headers.add("nunchi-error", Some(dead_letter.message.as_bytes()));
        headers
    }

    /// Headers of a dead letter that describes its value instead of holding it.
    fn described(
        &self,
        message: &BorrowedMessage<'_>,
        dead_letter: &DeadLetter,
        value: &[u8],
        kept: bool,
    ) -> HeadersBuilder {
        let mut headers = self.classified(message, dead_letter, kept);
        headers.add("nunchi-size", Some(value.len().to_string().as_bytes()));
        headers.add("nunchi-sha256", Some(nunchi_model::hex(&Sha256::digest(value)).as_bytes()));
        headers
    }

    /// The headers of every output record: those of the input record, unless `kept` is false, without `nunchi-` headers. The
    /// names of a record's headers are any bytes, so they are not read through rdkafka, which takes only UTF-8. Headers
    /// that librdkafka cannot read are lost.
    fn headers(
        &self,
        message: &BorrowedMessage<'_>,
        target: &Target,
        kept: bool,
        more: usize,
    ) -> HeadersBuilder {
        let more = more + 3;
        let original = kept.then(|| RawHeaders::of_message(message).ok()).flatten();
        let mut headers = match original {
            Some(original) => original.without(|name| name.starts_with(b"nunchi-"), more),
            None => HeadersBuilder::with_capacity(more),
        };
        headers.add("nunchi-source", Some(self.source.as_bytes()));
        if let Some(replay) = self.replay {
            headers.add("nunchi-replay", Some(replay.as_bytes()));
        }
        if let Some(refused) = self.timestamp(message, target).original {
            headers.add("nunchi-timestamp", Some(refused.to_string().as_bytes()));
        }
        headers
    }

    /// The timestamp to write: the record's own, or now where a broker would refuse it.
    fn timestamp(&self, message: &BorrowedMessage<'_>, target: &Target) -> Stamp {
        let original = match message.timestamp() {
            Timestamp::NotAvailable => return Stamp { written: self.now_ms, original: None },
            Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) => ms,
        };
        let oldest = self.now_ms.saturating_sub(target.before_ms()).saturating_add(self.skew_ms);
        let newest = self.now_ms.saturating_add(target.after_ms()).saturating_sub(self.skew_ms);
        // librdkafka takes 0 for "now".
        if original > 0 && original >= oldest && original <= newest {
            Stamp { written: original, original: None }
        } else {
            Stamp { written: self.now_ms, original: Some(original) }
        }
    }

    /// The record, if the topic takes one of its size.
    fn fit<'a>(
        &self,
        target: &'t Target,
        message: &BorrowedMessage<'_>,
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        headers: HeadersBuilder,
    ) -> Option<Outgoing<'a>>
    where
        't: 'a,
    {
        let bytes = RECORD_OVERHEAD
            + key.map_or(0, <[u8]>::len)
            + value.map_or(0, <[u8]>::len)
            + headers.bytes()
            + headers.len() * HEADER_OVERHEAD;
        (bytes <= target.max_bytes()).then(|| self.build(target, message, key, value, headers))
    }

    fn build<'a>(
        &self,
        target: &'t Target,
        message: &BorrowedMessage<'_>,
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        headers: HeadersBuilder,
    ) -> Outgoing<'a>
    where
        't: 'a,
    {
        // Dead letters are partitioned by key; other records keep their partition if both topics have as many.
        let same_partition = std::ptr::eq(target, &self.topics.output)
            && self.topics.live.partitions_match()
            && message.partition() < self.topics.live.input_partitions();
        BaseRecord {
            topic: &target.topic,
            partition: same_partition.then(|| message.partition()),
            payload: value,
            key,
            timestamp: Some(self.timestamp(message, target).written),
            headers: Some(headers.build()),
            delivery_opaque: 0,
        }
    }
}

/// A timestamp to write, and the one that would have been refused.
struct Stamp {
    written: i64,
    original: Option<i64>,
}
