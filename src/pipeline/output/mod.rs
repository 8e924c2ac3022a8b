//! Where the worker writes: one trait, four outputs. Two are here, a topic with transactions and one without; replays add a
//! file and a comparison of two models.

mod counts;
mod refusals;
mod topic;

pub(crate) use counts::BatchCounts;
pub(super) use topic::{AtLeastOnceTopic, TransactionalTopic};

use super::PipelineError;
use super::halts::HaltReason;
use crate::kafka::batch::Batch;
use crate::kafka::consumer::Consumer;
use crate::kafka::producer::TransactionError;
use crate::record::{Comment, DeadLetter};
use rdkafka::message::BorrowedMessage;

/// The outcome of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RecordOutcome<'r, P> {
    /// A comment and its prediction.
    Classified {
        /// The comment.
        comment: &'r Comment<'r>,
        /// The prediction.
        prediction: &'r P,
    },
    /// A null value.
    Tombstone,
    /// Something that cannot be classified.
    DeadLetter(&'r DeadLetter),
}

/// Records of a partition that cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct LostRecords<'r> {
    /// The input topic.
    pub(crate) topic: &'r str,
    /// The partition.
    pub(crate) partition: i32,
    /// The first offset.
    pub(crate) first: i64,
    /// The last offset.
    pub(crate) last: i64,
    /// What is written for all of them.
    pub(crate) dead_letter: DeadLetter,
}

/// Which model classified a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchModel<'m> {
    /// The model's class names.
    pub(crate) labels: &'m [String],
    /// The model's VERSION.
    pub(crate) version: &'m str,
}

/// Why a batch was not committed, and how to recover.
#[derive(Debug)]
pub(crate) enum BatchError {
    /// The batch is aborted; its records are read again.
    Retry(String),
    /// As [`BatchError::Retry`], at once: refused records are known now, and the next attempt writes them differently.
    RetryChanged(String),
    /// Whether the batch was committed is unknown: the output has to be rebuilt before its records are read again.
    Rebuild(String),
    /// Nothing of the batch stays, and this partition is halted; the records of the others come again.
    Halt {
        /// The partition.
        partition: i32,
        /// Why.
        reason: HaltReason,
        /// What is wrong, where, and what to do.
        message: String,
    },
    /// The worker has to end.
    Fatal(PipelineError),
}

impl From<TransactionError> for BatchError {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Abort(reason) => BatchError::Retry(reason),
            TransactionError::Rebuild(reason) => BatchError::Rebuild(reason),
            TransactionError::ClockSkew => BatchError::Retry("a broker refused a timestamp".to_owned()),
            TransactionError::Fatal(error) => BatchError::Fatal(error.into()),
        }
    }
}

/// Where one worker writes the outcomes of its records. `P` is the prediction of its classifier.
///
/// The worker calls, for each batch: [`begin`](Output::begin), [`write`](Output::write) for each record in order,
/// [`flush`](Output::flush), [`commit`](Output::commit); after an error of any of them [`abort`](Output::abort), and
/// [`rebuild`](Output::rebuild) if that is the recovery. Generic, not a trait object: `write` is called for each record.
pub(crate) trait Output<P>: Sized {
    /// Whether too many poisoned records end the worker (`dead_letters.breaker_share`). False for outputs without
    /// downstream consumers, such as a file.
    const STOPS_AT_POISON: bool;

    /// Whether a transaction is open now.
    fn in_transaction(&self) -> bool {
        false
    }

    /// The dead letter that `message` becomes because the brokers refuse its verdict or tombstone, if that is known.
    fn refused(&self, _message: &BorrowedMessage<'_>) -> Option<DeadLetter> {
        None
    }

    /// Begins a batch whose oldest record has the timestamp `oldest_ms` (milliseconds of Unix time), if any has one.
    fn begin(&mut self, oldest_ms: Option<i64>) -> Result<(), BatchError>;

    /// Writes the outcome of `message`, or buffers it, and counts it.
    fn write(
        &mut self,
        message: &BorrowedMessage<'_>,
        outcome: RecordOutcome<'_, P>,
        model: BatchModel<'_>,
        counts: &mut BatchCounts<'_>,
    ) -> Result<(), BatchError>;

    /// Writes a dead letter that stands for records that cannot be read, and counts it. Outputs without dead letters write
    /// nothing.
    fn write_lost(
        &mut self,
        _lost: &LostRecords<'_>,
        _counts: &mut BatchCounts<'_>,
    ) -> Result<(), BatchError> {
        Ok(())
    }

    /// Waits until everything that was written is delivered. The messages are already freed.
    fn flush(&mut self) -> Result<(), BatchError>;

    /// Commits everything that was written since `begin`, and the offsets of `batch` with it.
    fn commit(&mut self, consumer: &Consumer, batch: &Batch<'_>) -> Result<(), BatchError>;

    /// Aborts the batch after `cause`. Returns the recovery that is needed, which is a stronger one if the abort failed.
    fn abort(&mut self, cause: BatchError) -> BatchError {
        cause
    }

    /// Replaces the output by one whose state is known, after [`BatchError::Rebuild`]. `None` if a stop was requested
    /// meanwhile.
    fn rebuild(self) -> Result<Option<Self>, PipelineError> {
        Ok(Some(self))
    }

    /// Called between batches, also when no record arrives: for periodic work.
    fn between_batches(&mut self) -> Result<(), PipelineError> {
        Ok(())
    }
}
