//! Verdicts, tombstones and dead letters into topics: exactly once by a transaction a batch, or at least once.

use super::super::context::WorkerContext;
use super::super::scope::LabelFilter;
use super::refusals::{Lesson, Names, Refusals, Sent, keyless};
use super::{BatchCounts, BatchError, BatchModel, LostRecords, Output, PipelineError, RecordOutcome};
use crate::kafka::batch::Batch;
use crate::kafka::consumer::Consumer;
use crate::kafka::now_ms;
use crate::kafka::output::{OutputBuilder, OutputRecord, OutputValue, Reviewed};
use crate::kafka::producer::{Producer, Reports, TransactionError};
use crate::kafka::topics::Topics;
use crate::record::{Comment, DeadLetter, Verdict};
use crate::telemetry::ReviewLeftOut;
use nunchi_engine::Prediction;
use rdkafka::message::{BorrowedMessage, Message};
use tracing::warn;

/// A topic whose batches are transactions: verdicts and offsets become visible together.
pub(in crate::pipeline) struct TransactionalTopic<'a>(TopicWriter<'a>);

impl<'a> TransactionalTopic<'a> {
    /// An output that is ready to write; `None` if a stop was requested before.
    pub(in crate::pipeline) fn open(
        context: WorkerContext<'a>,
        topics: &'a Topics,
    ) -> Result<Option<Self>, PipelineError> {
        Ok(TopicWriter::open(context, topics)?.map(TransactionalTopic))
    }
}

impl Output<Prediction> for TransactionalTopic<'_> {
    const STOPS_AT_POISON: bool = true;

    fn in_transaction(&self) -> bool {
        self.0.producer.is_open()
    }

    fn refused(&self, message: &BorrowedMessage<'_>) -> Option<DeadLetter> {
        self.0.refused(message)
    }

    fn begin(&mut self, oldest_ms: Option<i64>) -> Result<(), BatchError> {
        self.0.begin(oldest_ms)
    }

    fn write(
        &mut self,
        message: &BorrowedMessage<'_>,
        outcome: RecordOutcome<'_, Prediction>,
        model: BatchModel<'_>,
        counts: &mut BatchCounts<'_>,
    ) -> Result<(), BatchError> {
        self.0.write(message, outcome, model, counts)
    }

    fn write_lost(&mut self, lost: &LostRecords<'_>, counts: &mut BatchCounts<'_>) -> Result<(), BatchError> {
        self.0.write_lost(lost, counts)
    }

    fn flush(&mut self) -> Result<(), BatchError> {
        self.0.flush()
    }

    fn commit(&mut self, _consumer: &Consumer, batch: &Batch<'_>) -> Result<(), BatchError> {
        let group =
            batch.group.as_ref().ok_or_else(|| BatchError::Retry("not a member of the group".to_owned()))?;
        let topic = &self.0.context.config.input.topic;
        self.0.producer.commit(topic, batch, group)?;
        self.0.refusals.committed(&batch.spans);
        Ok(())
    }

    fn abort(&mut self, cause: BatchError) -> BatchError {
        self.0.abort(cause)
    }

    fn rebuild(self) -> Result<Option<Self>, PipelineError> {
        Ok(self.0.rebuild()?.map(TransactionalTopic))
    }

    /// Not only at the next batch: where none comes, what arrives late must find nothing either.
    fn between_batches(&mut self) -> Result<(), PipelineError> {
        if self.0.producer.in_doubt() {
            self.0.producer.rebuild()?;
        }
        Ok(())
    }
}

/// A topic without transactions: offsets are committed after everything is delivered.
pub(in crate::pipeline) struct AtLeastOnceTopic<'a>(TopicWriter<'a>);

impl<'a> AtLeastOnceTopic<'a> {
    /// An output that is ready to write; `None` if a stop was requested before.
    pub(in crate::pipeline) fn open(
        context: WorkerContext<'a>,
        topics: &'a Topics,
    ) -> Result<Option<Self>, PipelineError> {
        Ok(TopicWriter::open(context, topics)?.map(AtLeastOnceTopic))
    }
}

impl Output<Prediction> for AtLeastOnceTopic<'_> {
    const STOPS_AT_POISON: bool = true;

    fn refused(&self, message: &BorrowedMessage<'_>) -> Option<DeadLetter> {
        self.0.refused(message)
    }

    fn begin(&mut self, oldest_ms: Option<i64>) -> Result<(), BatchError> {
        self.0.begin(oldest_ms)
    }

    fn write(
        &mut self,
        message: &BorrowedMessage<'_>,
        outcome: RecordOutcome<'_, Prediction>,
        model: BatchModel<'_>,
        counts: &mut BatchCounts<'_>,
    ) -> Result<(), BatchError> {
        self.0.write(message, outcome, model, counts)
    }

    fn write_lost(&mut self, lost: &LostRecords<'_>, counts: &mut BatchCounts<'_>) -> Result<(), BatchError> {
        self.0.write_lost(lost, counts)
    }

    fn flush(&mut self) -> Result<(), BatchError> {
        self.0.flush()
    }

    /// Everything is delivered: nothing is lost if the commit fails. If this worker is not a member any more, the new owner
    /// writes these records again.
    fn commit(&mut self, consumer: &Consumer, batch: &Batch<'_>) -> Result<(), BatchError> {
        self.0.refusals.committed(&batch.spans);
        if let Err(error) = consumer.commit(&batch.spans, batch.topic_id) {
            let worker = self.0.context.worker;
            warn!(worker, %error, "offsets were not committed; some records may be processed again");
        }
        Ok(())
    }

    fn abort(&mut self, cause: BatchError) -> BatchError {
        self.0.abort(cause)
    }

    fn rebuild(self) -> Result<Option<Self>, PipelineError> {
        Ok(self.0.rebuild()?.map(AtLeastOnceTopic))
    }
}

/// What both share: the producer, and the construction of records.
struct TopicWriter<'a> {
    context: WorkerContext<'a>,
    topics: &'a Topics,
    producer: Producer<'a>,
    builder: OutputBuilder<'a>,
    verdicts: VerdictBuffers,
    labels: LabelFilter,
    refusals: Refusals,
    /// What was sent since `begin`, by number.
    sent: Vec<Sent>,
    /// By topic the retention that was warned of.
    warned_of_retention: [Option<i64>; 3],
}

impl<'a> TopicWriter<'a> {
    fn open(context: WorkerContext<'a>, topics: &'a Topics) -> Result<Option<Self>, PipelineError> {
        let WorkerContext { config, clients, metrics, health, stop, scope, worker, .. } = context;
        let producer = Producer::open(config, clients, topics, Reports { health, metrics }, stop, worker)?;
        Ok(producer.map(|producer| TopicWriter {
            context,
            topics,
            producer,
            builder: OutputBuilder::new(topics, scope.map(|scope| scope.replay.as_str())),
            verdicts: VerdictBuffers::default(),
            labels: scope.map_or_else(LabelFilter::default, |scope| scope.labels.clone()),
            refusals: Refusals::default(),
            sent: Vec::new(),
            warned_of_retention: [None; 3],
        }))
    }

    fn begin(&mut self, oldest_ms: Option<i64>) -> Result<(), BatchError> {
        let now_ms = now_ms();
        self.builder.start(now_ms);
        self.refusals.begin();
        self.sent.clear();
        if let Some(oldest_ms) = oldest_ms {
            self.warn_of_retention(now_ms - oldest_ms);
        }
        Ok(self.producer.begin()?)
    }

    /// Retention counts from a record's timestamp: verdicts of old records may be deleted as soon as they are written.
    fn warn_of_retention(&mut self, age_ms: i64) {
        let targets = [&self.topics.output, &self.topics.dead_letters].into_iter().chain(&self.topics.review);
        for (target, warned) in targets.zip(&mut self.warned_of_retention) {
            let short = target.retention_ms().filter(|&retention_ms| retention_ms < age_ms);
            if let Some(retention_ms) = short.filter(|_| short != *warned) {
                *warned = short;
                warn!(
                    topic = target.topic,
                    retention_hours = retention_ms / 3_600_000,
                    record_age_hours = age_ms / 3_600_000,
                    "records are older than the topic's retention.ms, which counts from their timestamps: what is \
                     written may be deleted at once; set retention.ms=-1 on the topic"
                );
            }
        }
    }

    /// Hands the record for `message` to the producer.
    fn write(
        &mut self,
        message: &BorrowedMessage<'_>,
        outcome: RecordOutcome<'_, Prediction>,
        model: BatchModel<'_>,
        counts: &mut BatchCounts<'_>,
    ) -> Result<(), BatchError> {
        let (value, prediction) = match outcome {
            RecordOutcome::Tombstone if !self.labels.takes_tombstones() => {
                counts.left_out();
                return Ok(());
            }
            RecordOutcome::Classified { prediction, .. } if !self.labels.takes(prediction.label) => {
                counts.left_out();
                return Ok(());
            }
            RecordOutcome::Tombstone => (OutputValue::Tombstone, None),
            RecordOutcome::DeadLetter(dead_letter) if self.refusals.is_described(place(message)) => {
                (OutputValue::Described(dead_letter), None)
            }
            RecordOutcome::DeadLetter(dead_letter) => (OutputValue::DeadLetter(dead_letter), None),
            RecordOutcome::Classified { comment, prediction } => {
                let BatchModel { labels, version } = model;
                let verdict = Verdict { id: comment.id, prediction, labels, model: version };
                let echo = &self.context.config.output.echo;
                (self.verdicts.write(&verdict, echo, comment), Some(prediction))
            }
        };
        let OutputRecord { mut record, dead } = self.builder.build_for(message, value);
        let value_bytes = record.payload.map_or(0, <[u8]>::len);
        let bytes = value_bytes as u64;
        let sent = Sent {
            place: place(message),
            dead: dead.is_some(),
            keyed: message.key().is_some(),
            bytes: value_bytes + message.key_len(),
        };
        if self.refusals.must_deliver_before(sent.place, sent.bytes) {
            let delivered = self.producer.deliver();
            delivered.map_err(|error| learn_of_skew(&mut self.builder, &mut self.refusals, error))?;
        }
        record.delivery_opaque = self.sent.len();
        self.sent.push(sent);
        if self.producer.send(record)?.is_some() {
            return self.write_bare(message, counts);
        }
        match (dead, prediction) {
            (None, Some(prediction)) => {
                counts.verdict(prediction, bytes);
                return self.write_review(message, prediction, model, counts);
            }
            (None, None) => counts.tombstone(bytes),
            (Some(class), prediction) => {
                // A comment whose verdict exceeds all limits was classified nevertheless.
                prediction.into_iter().for_each(|prediction| counts.comment(prediction));
                counts.dead_letter(class, bytes);
            }
        }
        Ok(())
    }

    /// Writes the copy of a comment for people to label, if it is to have one.
    fn write_review(
        &mut self,
        message: &BorrowedMessage<'_>,
        prediction: &Prediction,
        model: BatchModel<'_>,
        counts: &mut BatchCounts<'_>,
    ) -> Result<(), BatchError> {
        let Some(topic) = &self.topics.review else { return Ok(()) };
        let unsure = prediction.unsure.is_some();
        let share = self.context.config.decision.review_share;
        let (partition, offset, _) = place(message);
        if !unsure && !is_sampled(&self.context.config.input.topic, partition, offset, share) {
            return Ok(());
        }
        let place = (partition, offset, true);
        let keyless = message.key().is_none() && topic.is_compacted();
        if keyless || self.refusals.is_left_out(place) {
            counts.review_left_out(ReviewLeftOut::Refused);
            return Ok(());
        }
        let reviewed = Reviewed { truncated: prediction.truncated, unsure, model: model.version };
        let Some(mut record) = self.builder.review(message, &self.verdicts.full, reviewed) else {
            counts.review_left_out(ReviewLeftOut::Oversize);
            return Ok(());
        };
        let bytes = record.payload.map_or(0, <[u8]>::len);
        let sent =
            Sent { place, dead: false, keyed: message.key().is_some(), bytes: bytes + message.key_len() };
        if self.refusals.must_deliver_before(place, sent.bytes) {
            let delivered = self.producer.deliver();
            delivered.map_err(|error| learn_of_skew(&mut self.builder, &mut self.refusals, error))?;
        }
        record.delivery_opaque = self.sent.len();
        self.sent.push(sent);
        if self.producer.send(record)?.is_some() {
            self.sent.pop();
            counts.review_left_out(ReviewLeftOut::Oversize);
        } else {
            counts.review(unsure, bytes as u64);
        }
        Ok(())
    }

    /// Writes the smallest possible record where the producer refused one that should have fit, because its headers could not
    /// be measured.
    #[cold]
    fn write_bare(
        &mut self,
        message: &BorrowedMessage<'_>,
        counts: &mut BatchCounts<'_>,
    ) -> Result<(), BatchError> {
        let (mut record, class) = self.builder.bare(message);
        record.delivery_opaque = self.sent.len() - 1;
        if let Some(sent) = self.sent.last_mut() {
            sent.dead = true;
        }
        if self.producer.send(record)?.is_some() {
            return Err(too_small());
        }
        counts.dead_letter(class, 0);
        Ok(())
    }

    fn write_lost(&mut self, lost: &LostRecords<'_>, counts: &mut BatchCounts<'_>) -> Result<(), BatchError> {
        let mut record = self.builder.build_for_lost(
            lost.topic,
            lost.partition,
            (lost.first, lost.last),
            &lost.dead_letter,
        );
        record.delivery_opaque = self.sent.len();
        self.sent.push(Sent {
            place: (lost.partition, lost.first, false),
            dead: true,
            keyed: false,
            bytes: 0,
        });
        if self.producer.send(record)?.is_some() {
            return Err(too_small());
        }
        counts.dead_letter(lost.dead_letter.class, 0);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BatchError> {
        let delivered = self.producer.deliver();
        delivered.map_err(|error| learn_of_skew(&mut self.builder, &mut self.refusals, error))
    }

    fn abort(&mut self, cause: BatchError) -> BatchError {
        if matches!(cause, BatchError::Rebuild(_)) {
            // The next producer resolves the transaction's outcome.
            return cause;
        }
        let aborted = self.producer.abort();
        // Complete only now, with the reports of what was sent last.
        let refused = self.producer.take_refused();
        match (cause, aborted) {
            (BatchError::Fatal(error), _) => BatchError::Fatal(error),
            (_, Err(worse)) => worse.into(),
            (cause, Ok(())) if refused.is_empty() => cause,
            (cause, Ok(())) => {
                // The answer may come from settings that are not known yet.
                self.topics.live.request_settings();
                match (self.refusals.learn(&refused, &self.sent, self.names()), cause) {
                    (Lesson::Halt(halt), _) => halt,
                    (Lesson::Changed, BatchError::Retry(reason)) => BatchError::RetryChanged(reason),
                    (Lesson::Changed | Lesson::Nothing, cause) => cause,
                }
            }
        }
    }

    fn names(&self) -> Names<'a> {
        let Topics { output, dead_letters, review, .. } = self.topics;
        Names {
            input: &self.context.config.input.topic,
            output: &output.topic,
            dead_letters: &dead_letters.topic,
            review: review.as_ref().map_or("", |review| &review.topic),
        }
    }

    /// The dead letter that `message` becomes instead of a verdict or a tombstone, if the brokers refuse these.
    fn refused(&self, message: &BorrowedMessage<'_>) -> Option<DeadLetter> {
        let output = &self.topics.output;
        if message.key().is_none() && output.is_compacted() && self.labels.takes_all() {
            return Some(keyless(&output.topic));
        }
        self.refusals.verdict(place(message)).cloned()
    }

    fn rebuild(mut self) -> Result<Option<Self>, PipelineError> {
        Ok(self.producer.rebuild()?.then_some(self))
    }
}

/// The place of `message`'s verdict, tombstone or dead letter.
fn place(message: &BorrowedMessage<'_>) -> (i32, i64, bool) {
    (message.partition(), message.offset(), false)
}

/// Whether the record at this place is in a sample of `share` of all. Its place decides, so that the sample does not depend on
/// what a comment says, and a batch that is read again has the same.
fn is_sampled(topic: &str, partition: i32, offset: i64, share: f64) -> bool {
    if share <= 0.0 {
        return false;
    }
    // FNV-1a for the name, then the finalizer of SplitMix64: offsets that follow each other become independent numbers.
    let name = topic.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut hash = name ^ ((partition as u64) << 48) ^ (offset as u64);
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        hash = (hash ^ (hash >> 30)).wrapping_mul(factor);
    }
    hash ^= hash >> 31;
    // 53 bits: every one of these numbers is exact.
    ((hash >> 11) as f64) < share * (1_u64 << 53) as f64
}

/// A delivery failed: if a broker refused a timestamp that should have been fine, more is tolerated from now on.
fn learn_of_skew(
    builder: &mut OutputBuilder<'_>,
    refusals: &mut Refusals,
    error: TransactionError,
) -> BatchError {
    if matches!(error, TransactionError::ClockSkew) {
        match builder.tolerate_skew() {
            Some(tolerance_ms) => {
                refusals.were_timestamps();
                warn!(
                    tolerance_ms,
                    "a broker refused a timestamp: its clock or the topic's limits differ from what is known"
                );
            }
            None => refusals.refuse_timestamps(),
        }
    }
    error.into()
}

fn too_small() -> BatchError {
    let message = "message.max.bytes is too small for the smallest dead letter".to_owned();
    BatchError::Fatal(PipelineError::Configuration(message))
}

/// The JSON of a verdict, with and without echoed fields. Reused from record to record.
#[derive(Default)]
struct VerdictBuffers {
    full: Vec<u8>,
    plain: Vec<u8>,
}

impl VerdictBuffers {
    fn write<'b>(
        &'b mut self,
        verdict: &Verdict<'b>,
        echo: &[String],
        comment: &Comment<'_>,
    ) -> OutputValue<'b> {
        self.full.clear();
        verdict.write(echo, &comment.fields, &mut self.full);
        let mut plain = None;
        if !echo.is_empty() {
            self.plain.clear();
            verdict.write(&[], &[], &mut self.plain);
            plain = Some(self.plain.as_slice());
        }
        OutputValue::Verdict {
            full: &self.full,
            plain,
            truncated: verdict.prediction.truncated,
            unsure: verdict.prediction.unsure.is_some(),
            model: verdict.model,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_as_large_as_asked_and_the_same_again() {
        let sampled = |share: f64, partition| {
            (0..100_000)
                .filter(|&offset| is_sampled("comments", partition, offset, share))
                .collect::<Vec<_>>()
        };
        for (share, least, most) in
            [(0.0, 0, 0), (0.01, 880, 1_120), (0.5, 49_300, 50_700), (1.0, 100_000, 100_000)]
        {
            let count = sampled(share, 3).len();
            assert!((least..=most).contains(&count), "{share}: {count}");
        }
        assert_eq!(sampled(0.01, 3), sampled(0.01, 3));
        let other = sampled(0.1, 4);
        let common = sampled(0.1, 3).iter().filter(|offset| other.binary_search(offset).is_ok()).count();
        assert!(
            (800..1_200).contains(&common),
            "other partitions have another sample: {common} of 10,000 in both"
        );
        // Neighbors are independent: of offsets that follow one of the sample a tenth is in it.
        let sample = sampled(0.1, 0);
        let follow = sample.windows(2).filter(|pair| pair[1] == pair[0] + 1).count();
        assert!((800..1_200).contains(&follow), "{follow}");
    }
}
