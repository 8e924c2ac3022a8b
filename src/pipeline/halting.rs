//! What the worker does about halted partitions: pauses them, tries them again, and ends when nothing else is left.

use super::PipelineError;
use super::context::WorkerContext;
use super::halts::HaltReason;
use super::model_pair::BatchClassifier;
use super::worker::Worker;
use crate::config::OnHalt;
use crate::kafka::batch::Batch;
use crate::kafka::consumer::Consumer;

impl<C: BatchClassifier> Worker<'_, C> {
    /// Halts `partition`. Its batch was aborted before.
    ///
    /// # Errors
    /// [`PipelineError::AllHalted`] if nothing is left to do, [`PipelineError::Halted`] if the settings say so.
    pub(super) fn halt(
        &mut self,
        consumer: &Consumer,
        partition: i32,
        reason: HaltReason,
        message: String,
    ) -> Result<(), PipelineError> {
        let config = self.context.config;
        let topic = config.input.topic.as_str();
        consumer.halt(partition);
        self.halts.halt((topic, partition), reason, &message, self.context.health, &self.metrics);
        if config.dead_letters.breaker == OnHalt::Exit {
            return Err(PipelineError::Halted {
                topic: topic.to_owned(),
                partition,
                reason: reason.name(),
                message,
            });
        }
        if self.is_all_halted(consumer) { Err(self.all_halted()) } else { Ok(()) }
    }

    /// A batch was committed: whether it was the last one of a scope in which other partitions are halted.
    ///
    /// # Errors
    /// [`PipelineError::AllHalted`] then: a replay has an end, and does not wait for a repair.
    pub(super) fn end_halted_scope(&self, consumer: &Consumer) -> Result<(), PipelineError> {
        let has_halts = self.context.scope.is_some() && !self.halts.is_empty();
        if has_halts && self.is_all_halted(consumer) { Err(self.all_halted()) } else { Ok(()) }
    }

    fn all_halted(&self) -> PipelineError {
        let topic = self.context.config.input.topic.clone();
        PipelineError::AllHalted { topic, halted: self.context.health.halted() }
    }

    /// Tries the partitions again whose interval is over.
    ///
    /// # Errors
    /// As [`Worker::halt`], for those that cannot be tried.
    pub(super) fn retry_halted(&mut self, consumer: &Consumer) -> Result<(), PipelineError> {
        for (partition, reason) in self.halts.take_due() {
            self.context.health.beat(self.context.worker);
            if let Err(error) = consumer.resume(partition) {
                self.halt(consumer, partition, reason, format!("it cannot be tried again now: {error}"))?;
            }
        }
        Ok(())
    }

    /// A batch was committed: partitions with records in it that were being tried again are well.
    pub(super) fn note_progress(&mut self, batch: &Batch<'_>) {
        if self.halts.is_empty() {
            return;
        }
        let WorkerContext { config, health, .. } = self.context;
        for &partition in batch.spans.keys() {
            self.halts.progressed((&config.input.topic, partition), health, &self.metrics);
        }
    }

    /// Whether no partition is left that could go on: of the whole topic, so that a process which owns a part of it leaves
    /// its halted partitions where they are visible; within a scope, which has an end, of this worker's unfinished ones.
    fn is_all_halted(&self, consumer: &Consumer) -> bool {
        match self.context.scope {
            None => {
                let halted = i32::try_from(self.context.health.halted().len()).unwrap_or(i32::MAX);
                self.context.live.is_some_and(|live| halted >= live.input_partitions())
            }
            Some(scope) => consumer
                .assigned()
                .into_iter()
                .all(|partition| self.halts.is_halted(partition) || scope.is_done(partition)),
        }
    }
}
