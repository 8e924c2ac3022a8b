//! One batch: decoded, classified, written and committed, so that all of it becomes visible together or nothing.

use super::PipelineError;
use super::decoded::Decoded;
use super::halts::HaltReason;
use super::model_pair::BatchClassifier;
use super::output::{BatchCounts, BatchError, BatchModel, Output, RecordOutcome};
use super::worker::Worker;
use crate::kafka::batch::Batch;
use crate::kafka::consumer::Consumer;
use crate::kafka::now_ms;
use crate::telemetry::{Stage, latency_seconds};
use rdkafka::Timestamp;
use rdkafka::message::Message;
use std::time::Instant;

impl<C: BatchClassifier> Worker<'_, C> {
    /// Processes `batch`, whose drain began at `start`. After an error none of its records count.
    pub(super) fn process<O: Output<C::Prediction>>(
        &mut self,
        consumer: &Consumer,
        output: &mut O,
        batch: &mut Batch<'_>,
        start: Instant,
    ) -> Result<(), BatchError> {
        self.progress.attempt();
        self.stats.clear();
        self.stats.verdicts.resize(self.classifier.labels().len(), 0);
        let mut clock = Clock { last: start };
        self.stats.set_stage(Stage::Poll, clock.lap());

        let done = self.write(output, batch, &mut clock);
        // The messages are freed while the brokers acknowledge.
        batch.messages.clear();
        let done = done.and_then(|()| output.flush());
        self.stats.set_stage(Stage::Produce, clock.lap());
        let in_transaction = output.in_transaction();
        let done = done.and_then(|()| output.commit(consumer, batch));
        self.stats.set_stage(Stage::Commit, clock.lap());
        if let Err(error) = done {
            // The records are read again, and must not count twice.
            self.breakers.abort();
            return Err(error);
        }

        self.committed(consumer, batch, start, in_transaction);
        Ok(())
    }

    /// `batch`, which began at `start`, is committed: its records count.
    pub(super) fn committed(
        &mut self,
        consumer: &Consumer,
        batch: &Batch<'_>,
        start: Instant,
        in_transaction: bool,
    ) {
        self.breakers.commit();
        self.stats.seconds = start.elapsed().as_secs_f64();
        let now_ms = now_ms();
        let latencies = self.timestamps.iter().filter_map(|&timestamp| latency_seconds(timestamp, now_ms));
        latencies.for_each(|seconds| self.metrics.observe_end_to_end(seconds));
        self.metrics.commit(&self.stats, in_transaction);
        self.records += self.stats.records();
        self.lag.advance(&batch.spans);
        self.source.advance(&batch.spans);
        self.progress.moved(&batch.spans);
        self.context.health.set_stalled(self.context.worker, None);
        consumer.committed(&batch.spans);
        self.note_progress(batch);
        if let Some(scope) = self.context.scope {
            scope.count(&self.stats, batch.outside, &batch.spans);
            consumer.retire(&batch.finished);
        }
    }

    /// Decodes, classifies and hands the outcome of every record to the output, in order.
    fn write<O: Output<C::Prediction>>(
        &mut self,
        output: &mut O,
        batch: &Batch<'_>,
        clock: &mut Clock,
    ) -> Result<(), BatchError> {
        let decoded = self.decode(output, batch)?;
        self.stats.set_stage(Stage::Decode, clock.lap());

        self.classify(&decoded)?;
        clock.lap();

        output.begin(self.timestamps.iter().copied().filter(|&ms| ms > 0).min())?;
        let model = BatchModel { labels: self.classifier.labels(), version: &self.version };
        let mut counts = BatchCounts::new(&mut self.stats, &self.metrics);
        let mut predictions = self.predictions.iter();
        for (message, decoded) in batch.messages.iter().zip(&decoded) {
            let outcome = match decoded {
                Decoded::Tombstone => RecordOutcome::Tombstone,
                Decoded::Poisoned(dead_letter) => RecordOutcome::DeadLetter(dead_letter),
                Decoded::Comment(comment) => {
                    let prediction = predictions.next().expect("a prediction for every comment");
                    RecordOutcome::Classified { comment, prediction }
                }
            };
            output.write(message, outcome, model, &mut counts)?;
        }
        Ok(())
    }

    /// Reads every record; trips the breaker before anything is written.
    fn decode<'m, O: Output<C::Prediction>>(
        &mut self,
        output: &O,
        batch: &'m Batch<'_>,
    ) -> Result<Vec<Decoded<'m>>, BatchError> {
        let mut decoded = Vec::with_capacity(batch.messages.len());
        self.timestamps.clear();
        for message in &batch.messages {
            let value = message.payload();
            let found = Decoded::read(&self.reader, value).or_refused(|| output.refused(message));
            let is_poisoned = matches!(found, Decoded::Poisoned(_));
            decoded.push(found);
            if O::STOPS_AT_POISON && self.breakers.of(message.partition()).record(is_poisoned) {
                return Err(self.poisoned(message.partition(), batch, &decoded));
            }
            self.stats.bytes_in += value.map_or(0, <[u8]>::len) as u64;
            if let Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) = message.timestamp() {
                self.timestamps.push(ms);
            }
        }
        for run in batch.messages.chunk_by(|left, right| left.partition() == right.partition()) {
            *self.stats.records_in.entry(run[0].partition()).or_default() += run.len() as u64;
        }
        Ok(decoded)
    }

    /// The breaker of `partition` opened at the last record that is `decoded`.
    #[cold]
    fn poisoned(&mut self, partition: i32, batch: &Batch<'_>, decoded: &[Decoded<'_>]) -> BatchError {
        let mut last = "";
        for (message, found) in batch.messages.iter().zip(decoded) {
            if let Decoded::Poisoned(dead_letter) = found
                && message.partition() == partition
            {
                // In no topic, since the batch is aborted: counted apart, so that an alert can see them.
                self.metrics.withheld(dead_letter.class.name());
                last = &dead_letter.message;
            }
        }
        let breaker = self.breakers.of(partition);
        let message = format!(
            "{} of the last {} records of partition {partition} are poisoned (the last one: {last}); none of this batch \
             was written and the offsets did not move: repair what is written to `{}`, or raise \
             dead_letters.breaker_share and start again",
            breaker.poisoned(),
            breaker.window(),
            self.context.config.input.topic,
        );
        BatchError::Halt { partition, reason: HaltReason::Poison, message }
    }

    /// Fills `self.predictions`: one for each comment among `decoded`.
    fn classify(&mut self, decoded: &[Decoded<'_>]) -> Result<(), BatchError> {
        let texts: Vec<&str> = decoded.iter().filter_map(Decoded::text).collect();
        self.classifier.classify(&texts, &mut self.predictions).map_err(|reason| {
            BatchError::Fatal(PipelineError::Classify { model: self.version.clone(), reason })
        })?;
        let times = self.classifier.last_times();
        self.stats.set_stage(Stage::Tokenize, times.tokenise.as_secs_f64());
        self.stats.set_stage(Stage::Infer, times.infer.as_secs_f64());
        Ok(())
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
