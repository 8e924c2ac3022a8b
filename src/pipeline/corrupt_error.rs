//! Why the worker could not deal with batches that cannot be read.

use super::PipelineError;
use super::output::BatchError;
use crate::kafka::consumer::Unusable;

/// Why the batches that cannot be read could not be dealt with.
pub(super) enum Failed {
    /// The consumer must be replaced.
    Consumer(Unusable),
    /// The batch that passes over them was not committed.
    Batch(BatchError),
    /// The worker has to end.
    Worker(PipelineError),
}
