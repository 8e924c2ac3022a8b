//! What the worker does about partitions whose reading does not go on where it was.

use super::PipelineError;
use super::halts::HaltReason;
use super::model_pair::BatchClassifier;
use super::worker::Worker;
use crate::kafka::consumer::{Consumer, Unusable};
use crate::kafka::placement::{Notice, NoticeKind};
use crate::kafka::resume::LossReason;
use tracing::{info, warn};

impl<C: BatchClassifier> Worker<'_, C> {
    /// Reports what happened to partitions, and halts those that cannot be read.
    ///
    /// # Errors
    /// As [`Worker::halt`]; the input topic has been missing for too long.
    pub(super) fn report_partitions(&mut self, consumer: &Consumer) -> Result<(), PipelineError> {
        if let Some(error) = self.context.live.and_then(|live| live.take_failure()) {
            return Err(error.into());
        }
        let topic = self.context.config.input.topic.as_str();
        for Notice { partition, kind, message } in consumer.take_notices() {
            self.metrics.begin_lost(partition, LossReason::ALL.map(LossReason::name));
            match kind {
                NoticeKind::Begins => info!(topic, partition, "{message}"),
                NoticeKind::Lost(reason, records) => {
                    warn!(topic, partition, reason = reason.name(), records, "{message}");
                    self.metrics.lost(partition, reason.name(), records);
                }
                NoticeKind::BeyondEnd => self.halt(consumer, partition, HaltReason::BeyondEnd, message)?,
            }
        }
        Ok(())
    }

    /// No record came: commits the positions of partitions that end with offsets no consumer receives.
    pub(super) fn commit_quiet_tails(&self, consumer: &Consumer) -> Result<(), Unusable> {
        if self.context.scope.is_some() {
            return Ok(());
        }
        consumer.commit_quiet_tails()
    }
}
