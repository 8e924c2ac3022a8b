//! Where the loop writes: one trait, four outputs. Two are here, a topic with transactions and one without; replays add a
//! file and a comparison of two models.

mod counts;
mod topic;

pub(crate) use counts::BatchCounts;
pub(super) use topic::{AtLeastOnceTopic, TransactionalTopic};

use super::PipelineError;
use crate::kafka::batch::Batch;
use crate::kafka::consumer::Consumer;
use crate::kafka::producer::TransactionError;
use crate::record::{Comment, DeadLetter};
use rdkafka::message::BorrowedMessage;

/// What became of a record.
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

/// Which model classified a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchModel<'m> {
    /// The model's class names.
    pub(crate) labels: &'m [String],
    /// The model's VERSION.
    pub(crate) version: &'m str,
}

/// Why a batch was not committed, and so what follows.
#[derive(Debug)]
pub(crate) enum BatchError {
    /// Nothing of the batch stays; its records come again.
    Retry(String),
    /// Whether the batch was committed is unknown: the output has to be rebuilt before its records come again.
    Rebuild(String),
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

/// Where one worker writes what became of its records. `P` is what its classifier says of a comment.
///
/// The worker calls, for each batch: [`begin`](Output::begin), [`write`](Output::write) for each record in order,
/// [`flush`](Output::flush), [`commit`](Output::commit); after an error of any of them [`abort`](Output::abort), and
/// [`rebuild`](Output::rebuild) if that is what follows. Generic, and not an object: `write` is called for each record.
pub(crate) trait Output<P>: Sized {
    /// Whether a stream that is mostly poison ends the worker (`dead_letters.breaker_share`). Not where nobody but the one
    /// who asked reads what is written.
    const STOPS_AT_POISON: bool;

    /// Whether a transaction is open now.
    fn in_transaction(&self) -> bool {
        false
    }

    /// Begins a batch whose oldest record has the timestamp `oldest_ms` (milliseconds of Unix time), if any has one.
    fn begin(&mut self, oldest_ms: Option<i64>) -> Result<(), BatchError>;

    /// Writes what became of `message`, or keeps it to write it later, and counts it.
    fn write(
        &mut self,
        message: &BorrowedMessage<'_>,
        outcome: RecordOutcome<'_, P>,
        model: BatchModel<'_>,
        counts: &mut BatchCounts<'_>,
    ) -> Result<(), BatchError>;

    /// Waits until all that was written is where it is to be. The messages are gone by then.
    fn flush(&mut self) -> Result<(), BatchError>;

    /// What was written since `begin` counts from now on, and the offsets of `batch` with it.
    fn commit(&mut self, consumer: &Consumer, batch: &Batch<'_>) -> Result<(), BatchError>;

    /// Undoes the batch after `cause`; what follows, which is worse than `cause` where that did not work.
    fn abort(&mut self, cause: BatchError) -> BatchError {
        cause
    }

    /// Replaces the output by one whose state is known, after [`BatchError::Rebuild`]. `None` if a stop was asked for
    /// meanwhile.
    fn rebuild(self) -> Result<Option<Self>, PipelineError> {
        Ok(Some(self))
    }

    /// Called between batches, also when no record comes: for what has to happen from time to time.
    fn between_batches(&mut self) -> Result<(), PipelineError> {
        Ok(())
    }
}
