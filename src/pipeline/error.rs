//! Why a pipeline ends, in sentences that say what to do.

use nunchi_engine::EngineError;
use thiserror::Error;

/// Why the pipeline cannot start or had to end.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// A setting that librdkafka or the pipeline refuses.
    #[error("{0}")]
    Configuration(String),
    /// A topic is missing.
    #[error("the topic `{topic}` ({setting}) does not exist on {brokers}; create it, or name another one")]
    MissingTopic {
        /// The topic's name.
        topic: String,
        /// The setting that names it.
        setting: &'static str,
        /// `kafka.brokers`.
        brokers: String,
    },
    /// The brokers refuse who we are.
    #[error(
        "the brokers at {brokers} refuse our credentials ({reason}); check security.protocol and sasl.* under \
         [kafka.properties]"
    )]
    Authentication {
        /// `kafka.brokers`.
        brokers: String,
        /// What the broker or librdkafka said.
        reason: String,
    },
    /// The brokers know who we are and forbid what we need.
    #[error("the brokers forbid what is needed ({what}): {reason}; grant it to this client's principal")]
    Authorization {
        /// What was asked for.
        what: String,
        /// What the broker said.
        reason: String,
    },
    /// Another process took this worker's place.
    #[error(
        "another process with the transactional id `{transactional_id}` took over, or a transaction outlived its \
         time-out ({reason}); every process needs a `kafka.instance` of its own"
    )]
    Fenced {
        /// The id.
        transactional_id: String,
        /// What librdkafka said.
        reason: String,
    },
    /// Too many poisoned records.
    #[error(
        "{poisoned} of the last {window} records are poisoned (the last one: {last}); nothing of this turn was \
         written and its offsets did not move: check what is written to `{topic}`, or raise dead_letters.breaker_share"
    )]
    Breaker {
        /// Poisoned records in the window.
        poisoned: usize,
        /// The window in records.
        window: usize,
        /// The last record's error.
        last: String,
        /// The input topic.
        topic: String,
    },
    /// The model cannot classify a batch.
    #[error(
        "the model {model} cannot classify a batch: {reason}; nothing of it was written and its offsets did not move: \
         promote or name another version of the model, and start again"
    )]
    Classify {
        /// The model's VERSION.
        model: String,
        /// Why.
        reason: EngineError,
    },
    /// Kafka failed in a way that trying again does not mend.
    #[error("worker {worker}: {doing} failed: {reason}")]
    Kafka {
        /// The worker's number.
        worker: usize,
        /// What was done.
        doing: &'static str,
        /// What librdkafka said.
        reason: String,
    },
    /// The consumer cannot go on, whatever is tried.
    #[error("the consumer failed for good: {0}; start the process again")]
    Consumer(String),
    /// A worker's thread panicked.
    #[error("worker {0} panicked; this is a bug, and the process ends so that another can take over")]
    Panicked(usize),
    /// A clean stop took too long.
    #[error(
        "the workers did not stop within {0} s (worker.stop_seconds); what they had not committed comes again"
    )]
    StopDeadline(u64),
}
