//! One turn: a batch of records becomes answers, and both become visible together.

use super::PipelineError;
use super::decoded::Decoded;
use super::worker::Worker;
use crate::kafka::batch::Batch;
use crate::kafka::consumer::Source;
use crate::kafka::output::{Output, OutputBuilder, OutputRecord};
use crate::kafka::producer::{Sink, TransactionError};
use crate::record::{Comment, DeadLetterClass, Verdict};
use crate::telemetry::{BatchStats, WorkerMetrics};
use nunchi_engine::score::WrittenScore;
use nunchi_engine::{Classifier, Prediction};
use rdkafka::Timestamp;
use rdkafka::message::Message;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tracing::warn;

/// Places of a turn's stages in [`crate::telemetry::BatchStats::stage_seconds`].
mod stage {
    pub(crate) const POLL: usize = 0;
    pub(crate) const DECODE: usize = 1;
    pub(crate) const TOKENISE: usize = 2;
    pub(crate) const INFER: usize = 3;
    pub(crate) const PRODUCE: usize = 4;
    pub(crate) const COMMIT: usize = 5;
}

impl<J: Classifier> Worker<'_, J> {
    /// Answers `batch`, whose drain began at `start`. After an error nothing of it counts.
    pub(crate) fn answer(
        &mut self,
        source: &Source,
        sink: &mut Sink<'_>,
        batch: &mut Batch<'_>,
        start: Instant,
    ) -> Result<(), TransactionError> {
        self.turn.clear();
        self.turn.verdicts.resize(self.judge.labels().len(), 0);
        let mut clock = Clock { last: start };
        self.turn.stage_seconds[stage::POLL] = clock.lap();

        let breaker = self.breaker.clone();
        let done = self.write(sink, batch, &mut clock);
        // The messages' memory is given back while the brokers work.
        batch.messages.clear();
        let done = done.and_then(|()| sink.deliver());
        self.turn.stage_seconds[stage::PRODUCE] = clock.lap();
        let done = done.and_then(|()| self.commit(source, sink, batch));
        self.turn.stage_seconds[stage::COMMIT] = clock.lap();
        if let Err(setback) = done {
            // The records come again, and must not count twice.
            self.breaker = breaker;
            return Err(setback);
        }

        self.turn.seconds = start.elapsed().as_secs_f64();
        let now_ms = now_ms();
        for timestamp in &self.timestamps {
            self.metrics.observe_end_to_end((now_ms - timestamp) as f64 / 1_000.0);
        }
        self.metrics.commit(&self.turn, sink.transactional());
        self.records += self.turn.records();
        self.lag.advance(&batch.spans);
        source.moved(&batch.spans);
        if let Some(scope) = self.place.scope {
            scope.count(&self.turn, batch.outside);
            source.retire(&batch.finished);
        }
        Ok(())
    }

    /// Decodes, judges and hands the answers to the producer.
    fn write(
        &mut self,
        sink: &mut Sink<'_>,
        batch: &Batch<'_>,
        clock: &mut Clock,
    ) -> Result<(), TransactionError> {
        let decoded = self.decode(batch)?;
        self.turn.stage_seconds[stage::DECODE] = clock.lap();

        let texts: Vec<&str> = decoded.iter().filter_map(Decoded::text).collect();
        if let Err(reason) = self.judge.classify(&texts, &mut self.predictions) {
            let model = self.judge.version().to_owned();
            return Err(TransactionError::Fatal(PipelineError::Classify { model, reason }));
        }
        let times = self.judge.last_times();
        self.turn.stage_seconds[stage::TOKENISE] = times.tokenise.as_secs_f64();
        self.turn.stage_seconds[stage::INFER] = times.infer.as_secs_f64();
        clock.lap();

        sink.begin()?;
        self.produce(sink, batch, &decoded)
    }

    /// Reads every record; trips the breaker before anything is written.
    fn decode<'m>(&mut self, batch: &'m Batch<'_>) -> Result<Vec<Decoded<'m>>, TransactionError> {
        let mut decoded = Vec::with_capacity(batch.messages.len());
        self.timestamps.clear();
        for message in &batch.messages {
            let value = message.payload();
            let found = Decoded::read(&self.reader, value);
            let poisoned = match &found {
                Decoded::Poisoned(letter) => Some(letter),
                _ => None,
            };
            if self.breaker.record(poisoned.is_some()) {
                return Err(TransactionError::Fatal(PipelineError::Breaker {
                    poisoned: self.breaker.poisoned(),
                    window: self.breaker.window(),
                    last: poisoned.map_or_else(String::new, |letter| letter.sentence.clone()),
                    topic: self.place.config.input.topic.clone(),
                }));
            }
            decoded.push(found);
            self.turn.bytes_in += value.map_or(0, <[u8]>::len) as u64;
            if let Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) = message.timestamp() {
                self.timestamps.push(ms);
            }
        }
        self.count_in(batch);
        Ok(decoded)
    }

    fn count_in(&mut self, batch: &Batch<'_>) {
        for run in batch.messages.chunk_by(|left, right| left.partition() == right.partition()) {
            *self.turn.records_in.entry(run[0].partition()).or_default() += run.len() as u64;
        }
        self.warn_of_retention();
    }

    /// Retention counts from a record's timestamp: answers to old records may vanish as soon as they are written.
    fn warn_of_retention(&mut self) {
        if self.warned_of_retention {
            return;
        }
        let Some(oldest) = self.timestamps.iter().copied().filter(|&ms| ms > 0).min() else { return };
        let age_ms = now_ms() - oldest;
        for target in [&self.place.topics.output, &self.place.topics.dead_letters] {
            if target.retention_ms.is_some_and(|retention_ms| retention_ms < age_ms) {
                self.warned_of_retention = true;
                warn!(
                    topic = target.topic,
                    retention_hours = target.retention_ms.unwrap_or_default() / 3_600_000,
                    record_age_hours = age_ms / 3_600_000,
                    "records are older than the topic's retention.ms, which counts from their timestamps: what is \
                     written may be deleted at once; set retention.ms=-1 on the topic"
                );
            }
        }
    }

    /// Hands an answer to every record to the producer, in order.
    fn produce(
        &mut self,
        sink: &Sink<'_>,
        batch: &Batch<'_>,
        decoded: &[Decoded<'_>],
    ) -> Result<(), TransactionError> {
        let mut answerer = OutputBuilder::new(
            self.place.topics,
            now_ms(),
            self.extra_skew_ms,
            self.place.scope.map(|scope| scope.replay.as_str()),
        );
        let mut verdicts = VerdictBuffers::default();
        let mut predictions = self.predictions.iter();
        for (message, decoded) in batch.messages.iter().zip(decoded) {
            let (answer, prediction) = match decoded {
                // Who asks for verdicts of one kind asks for no tombstones.
                Decoded::Tombstone if self.place.scope.is_some_and(|scope| scope.labels.is_some()) => {
                    self.turn.left_out += 1;
                    continue;
                }
                Decoded::Tombstone => (Output::Tombstone, None),
                Decoded::Poisoned(letter) => (Output::DeadLetter(letter), None),
                Decoded::Comment(comment) => {
                    let prediction = predictions.next().expect("a prediction for every comment");
                    if self.place.scope.is_some_and(|scope| !scope.writes(prediction.label)) {
                        self.turn.left_out += 1;
                        continue;
                    }
                    let labels = self.judge.labels();
                    let verdict = Verdict { id: comment.id, prediction, labels, model: &self.version };
                    (verdicts.write(&verdict, self.reader.echo(), comment), Some(prediction))
                }
            };
            let OutputRecord { record, dead } = answerer.answer(message, answer);
            let mut fate = RecordOutcome { prediction, dead, bytes: record.payload.map_or(0, <[u8]>::len) };
            if sink.send(record)?.is_some() {
                // It seemed to fit and does not: headers that cannot be measured.
                let OutputRecord { record, dead } = answerer.bare(message);
                fate = RecordOutcome { prediction: None, dead, bytes: 0 };
                if sink.send(record)?.is_some() {
                    return Err(TransactionError::Fatal(PipelineError::Configuration(
                        "message.max.bytes is too small for the smallest dead letter".to_owned(),
                    )));
                }
            }
            fate.count(&mut self.turn, &self.metrics);
        }
        Ok(())
    }

    /// Commits the offsets: in the transaction, or after delivery.
    fn commit(
        &mut self,
        source: &Source,
        sink: &mut Sink<'_>,
        batch: &Batch<'_>,
    ) -> Result<(), TransactionError> {
        if sink.transactional() {
            let group = batch
                .group
                .as_ref()
                .ok_or_else(|| TransactionError::Abort("not a member of the group".to_owned()))?;
            return sink.commit(&self.place.config.input.topic, &batch.spans, group);
        }
        // All is delivered: whatever becomes of the commit, nothing is lost. If we are not a member any more, somebody
        // else answers these records once more.
        if let Err(error) = source.commit(&batch.spans) {
            warn!(worker = self.place.worker, %error, "offsets were not committed; some records may be answered again");
        }
        Ok(())
    }
}

/// The JSON of a verdict, with and without echoed fields. Reused from record to record.
#[derive(Default)]
struct VerdictBuffers {
    full: Vec<u8>,
    plain: Vec<u8>,
}

impl VerdictBuffers {
    fn write<'b>(&'b mut self, verdict: &Verdict<'b>, echo: &[String], comment: &Comment<'_>) -> Output<'b> {
        self.full.clear();
        verdict.write(echo, &comment.fields, &mut self.full);
        let mut plain = None;
        if !echo.is_empty() {
            self.plain.clear();
            verdict.write(&[], &[], &mut self.plain);
            plain = Some(self.plain.as_slice());
        }
        Output::Verdict {
            full: &self.full,
            plain,
            truncated: verdict.prediction.truncated,
            model: verdict.model,
        }
    }
}

/// What was written for a record.
struct RecordOutcome<'j> {
    /// Of a comment.
    prediction: Option<&'j Prediction>,
    /// Of a dead letter (a comment becomes one if its verdict fits nowhere).
    dead: Option<DeadLetterClass>,
    /// Of the value.
    bytes: usize,
}

impl RecordOutcome<'_> {
    fn count(&self, turn: &mut BatchStats, metrics: &WorkerMetrics) {
        turn.bytes_out += self.bytes as u64;
        if let Some(prediction) = self.prediction {
            turn.tokens += prediction.tokens as u64;
            turn.unknown_tokens += prediction.unknown as u64;
            turn.truncated += u64::from(prediction.truncated);
        }
        match (self.dead, self.prediction) {
            (Some(class), _) => turn.dead_letters[class as usize] += 1,
            (None, Some(prediction)) => {
                if let Some(count) = turn.verdicts.get_mut(prediction.label) {
                    *count += 1;
                }
                metrics.observe_score(WrittenScore::new(prediction.score).value());
            }
            (None, None) => turn.tombstones += 1,
        }
    }
}

/// Measures stages that follow each other.
struct Clock {
    last: Instant,
}

impl Clock {
    /// Seconds since the last call.
    fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let seconds = now.duration_since(self.last).as_secs_f64();
        self.last = now;
        seconds
    }
}

/// Unix time in milliseconds.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
