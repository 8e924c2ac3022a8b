//! Why a pipeline cannot start or had to end, and what to do.

use crate::kafka::ClientError;
use nunchi_engine::EngineError;
use std::error::Error;
use thiserror::Error;

/// Why the pipeline cannot start or had to end.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// A setting that the pipeline refuses.
    #[error("{0}")]
    Configuration(String),
    /// A Kafka client cannot start, or cannot go on.
    #[error(transparent)]
    Kafka(#[from] ClientError),
    /// A partition is halted, and `dead_letters.breaker = "exit"`.
    #[error(
        "partition {partition} of `{topic}` is halted ({reason}), and dead_letters.breaker is `exit`: {message}"
    )]
    Halted {
        /// The input topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Why, as in the metric's label.
        reason: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// Every partition is halted.
    #[error("all partitions of `{topic}` are halted:{}", list(.halted))]
    AllHalted {
        /// The input topic.
        topic: String,
        /// The partitions, each with the reason and what to do.
        halted: Vec<String>,
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
    /// An output other than Kafka failed.
    #[error(transparent)]
    Output(Box<dyn Error + Send + Sync>),
    /// A worker's thread cannot be started.
    #[error("cannot start the thread of worker {worker}: {reason}")]
    Thread {
        /// The worker's number.
        worker: usize,
        /// The system's error.
        reason: std::io::Error,
    },
    /// A worker's thread panicked.
    #[error("worker {0} panicked; this is a bug, and the process ends so that another can take over")]
    Panicked(usize),
    /// A clean stop took too long.
    #[error(
        "the workers did not stop within {0} s (worker.stop_seconds); what they had not committed is read again at the next start"
    )]
    StopDeadline(u64),
}

/// Each on a line of its own.
fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  {line}")).collect()
}
