//! What the worker does about batches that cannot be read: it halts their partition, or passes over them.

use super::corrupt_error::Failed;
use super::halts::HaltReason;
use super::model_pair::BatchClassifier;
use super::output::{BatchCounts, LostRecords, Output};
use super::worker::Worker;
use crate::config::OnCorrupt;
use crate::kafka::consumer::CorruptBatch;
use crate::kafka::consumer::{Consumer, Unusable};
use crate::kafka::probe::Probe;
use crate::record::{DeadLetter, DeadLetterClass};
use std::time::Instant;
use tracing::warn;

impl<C: BatchClassifier> Worker<'_, C> {
    /// Deals with the batches that could not be read; whether there were any.
    pub(super) fn handle_corrupt<O: Output<C::Prediction>>(
        &mut self,
        consumer: &Consumer,
        output: &mut O,
    ) -> Result<bool, Failed> {
        let reported = consumer.take_corrupt();
        if reported.is_empty() {
            return Ok(false);
        }
        let (health, worker) = (self.context.health, self.context.worker);
        let beat = || health.beat(worker);
        let topic = self.context.config.input.topic.as_str();
        let probe =
            Probe::open(self.context.clients, topic).map_err(|reason| Failed::Consumer(Unusable(reason)))?;
        let mut found = Vec::new();
        for (number, corruption) in reported.iter().enumerate() {
            let corrupt = consumer.locate(&probe, corruption, &found, &beat).map_err(Failed::Consumer)?;
            found.push(corrupt.partition);
            if self.halts.is_halted(corrupt.partition) {
                continue;
            }
            let done = self.deal_with(consumer, output, &probe, corrupt);
            if let Err(Failed::Batch(_)) = &done {
                // The consumer's position is in front of it, but librdkafka's is behind it.
                consumer.put_back_corrupt(&reported[number..]);
            }
            done?;
        }
        Ok(true)
    }

    /// Halts the partition of `corrupt`, or passes over it.
    fn deal_with<O: Output<C::Prediction>>(
        &mut self,
        consumer: &Consumer,
        output: &mut O,
        probe: &Probe,
        corrupt: CorruptBatch,
    ) -> Result<(), Failed> {
        let topic = self.context.config.input.topic.as_str();
        let CorruptBatch { partition, first, reason } = &corrupt;
        let bounds = self.context.scope.map(|scope| &scope.bounds);
        let end = bounds.and_then(|bounds| bounds.ends.get(partition)).copied();
        if end.is_some_and(|end| *first >= end) {
            return self.pass_over(consumer, output, &corrupt, *first, true);
        }
        if self.context.config.input.on_corrupt == OnCorrupt::Skip {
            let (health, worker) = (self.context.health, self.context.worker);
            let last = probe
                .last_unreadable(*partition, *first, &|| health.beat(worker))
                .map_err(|reason| Failed::Consumer(Unusable(reason)))?;
            return self.pass_over(consumer, output, &corrupt, last, false);
        }
        let message = format!(
            "partition {partition} of `{topic}` cannot be read at offset {first}: {reason}; restore the partition from \
             another replica or a backup, or set input.on_corrupt = \"skip\" to go on behind what cannot be read"
        );
        self.halt(consumer, *partition, HaltReason::Corrupt, message).map_err(Failed::Worker)
    }

    /// Commits an offset behind what cannot be read, with a dead letter that stands for it unless it is beyond the plan.
    fn pass_over<O: Output<C::Prediction>>(
        &mut self,
        consumer: &Consumer,
        output: &mut O,
        corrupt: &CorruptBatch,
        last: i64,
        is_beyond: bool,
    ) -> Result<(), Failed> {
        // The commit of another one may have left the producer in doubt.
        output.between_batches().map_err(Failed::Worker)?;
        let start = Instant::now();
        let CorruptBatch { partition, first, reason } = corrupt;
        let bounds = self.context.scope.map(|scope| &scope.bounds);
        let batch = consumer.passing_over(*partition, *first, last, bounds);
        let next = batch.spans[partition].next;
        let offsets = next - first;
        self.stats.clear();
        self.stats.verdicts.resize(self.classifier.labels().len(), 0);
        self.timestamps.clear();
        let topic = self.context.config.input.topic.as_str();
        let mut write = || {
            output.begin(None)?;
            if !is_beyond {
                let message = format!("offsets {first} to {} cannot be read: {reason}", next - 1);
                let dead_letter = DeadLetter { class: DeadLetterClass::Corrupt, message };
                let lost =
                    LostRecords { topic, partition: *partition, first: *first, last: next - 1, dead_letter };
                output.write_lost(&lost, &mut BatchCounts::new(&mut self.stats, &self.metrics))?;
            }
            output.flush()?;
            let in_transaction = output.in_transaction();
            output.commit(consumer, &batch).map(|()| in_transaction)
        };
        let in_transaction = write().map_err(Failed::Batch)?;
        self.committed(consumer, &batch, start, in_transaction);
        if !is_beyond {
            self.metrics.lost(*partition, "corrupt", u64::try_from(offsets).unwrap_or(0));
            warn!(
                topic,
                partition,
                first,
                last = next - 1,
                reason,
                "passed over what cannot be read (input.on_corrupt); a dead letter of class corrupt stands for it"
            );
        }
        consumer.go_on_at(*partition, next).map_err(Failed::Consumer)
    }
}
