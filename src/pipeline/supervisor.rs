//! Starts the workers, and ends all of them when one ends.

use super::PipelineError;
use super::scope::Scope;
use super::worker::Worker;
use crate::config::Config;
use crate::kafka::producer::WorkerContext;
use crate::kafka::topics::Topics;
use crate::kafka::{ClientProperties, topics};
use crate::stop::Stop;
use crate::telemetry::{Health, Metrics};
use nunchi_engine::Classifier;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tracing::{error, info};

/// How often the supervisor looks whether a stop was asked for.
const GLANCE: Duration = Duration::from_millis(100);

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
    pub health: &'a Arc<Health>,
    /// The wish to stop.
    pub stop: &'a Stop,
    /// Whether the brokers can say what they would refuse; else Kafka's defaults count.
    pub ask_limits: bool,
}

/// What a worker's thread owns of the pipeline.
struct Shared {
    config: Config,
    clients: ClientProperties,
    metrics: Metrics,
    health: Arc<Health>,
    stop: Stop,
    topics: Topics,
    scope: Option<Arc<Scope>>,
}

/// How a worker ended.
type Outcome = (usize, Result<u64, PipelineError>);

impl Pipeline<'_> {
    /// Runs the workers until a stop is requested (then they finish their turn, commit it and leave the group) or one
    /// of them fails (then all end). Blocks; `judge` is called once for each worker.
    ///
    /// # Errors
    /// What the first worker to fail could not mend by trying again; a stop that outlives `worker.stop_seconds`.
    pub fn run<J: Classifier + 'static>(&self, judge: impl Fn() -> J) -> Result<Summary, PipelineError> {
        self.run_within(None, judge)
    }

    /// As [`Pipeline::run`], but what lies outside of `scope` is passed over. The group must have committed offsets for
    /// every partition already; the workers do not stop by themselves when all is done.
    ///
    /// # Errors
    /// As [`Pipeline::run`].
    pub fn run_within<J: Classifier + 'static>(
        &self,
        scope: Option<&Arc<Scope>>,
        judge: impl Fn() -> J,
    ) -> Result<Summary, PipelineError> {
        let workers = worker_count(self.config);
        let Some(topics) = topics::look(self, workers)? else {
            return Ok(Summary::default());
        };
        let shared = Arc::new(Shared {
            config: self.config.clone(),
            clients: self.clients.clone(),
            metrics: self.metrics.clone(),
            health: Arc::clone(self.health),
            stop: self.stop.clone(),
            topics,
            scope: scope.map(Arc::clone),
        });
        let (ended, endings) = mpsc::channel();
        for worker in 0..workers {
            let (shared, ended, judge) = (Arc::clone(&shared), ended.clone(), judge());
            std::thread::Builder::new()
                .name(format!("worker-{worker}"))
                .spawn(move || {
                    // Nobody listens if the deadline of a stop is over.
                    let _ = ended.send((worker, work(&shared, worker, judge)));
                })
                .map_err(|error| {
                    PipelineError::Configuration(format!("cannot start worker {worker}: {error}"))
                })?;
        }
        drop(ended);
        self.watch(workers, &endings)
    }

    /// Waits for every worker to end; the first one to fail stops the others.
    fn watch(&self, workers: usize, endings: &mpsc::Receiver<Outcome>) -> Result<Summary, PipelineError> {
        let limit = self.config.worker.stop_seconds;
        let mut summary = Summary::default();
        let mut failure = None;
        let mut deadline: Option<Instant> = None;
        let mut left = workers;
        while left > 0 {
            if self.stop.requested() && deadline.is_none() {
                deadline = Some(Instant::now() + Duration::from_secs(limit));
            }
            match endings.recv_timeout(GLANCE) {
                Ok((_, Ok(records))) => {
                    summary.records += records;
                    left -= 1;
                }
                Ok((worker, Err(error))) => {
                    error!(worker, %error, "a worker ended; the process follows");
                    failure.get_or_insert(error);
                    left -= 1;
                    self.stop.request();
                }
                Err(_) if deadline.is_some_and(|deadline| Instant::now() > deadline) => {
                    return Err(failure.unwrap_or(PipelineError::StopDeadline(limit)));
                }
                Err(_) => {}
            }
        }
        match failure {
            Some(failure) => Err(failure),
            None => {
                info!(records = summary.records, "all workers stopped");
                Ok(summary)
            }
        }
    }
}

/// One worker's life; a panic is an ending like others, so that the process can end.
fn work<J: Classifier>(shared: &Shared, worker: usize, judge: J) -> Result<u64, PipelineError> {
    let place = WorkerContext {
        config: &shared.config,
        clients: &shared.clients,
        topics: &shared.topics,
        health: &shared.health,
        stop: &shared.stop,
        scope: shared.scope.as_deref(),
        worker,
    };
    let run = || Worker::new(place, judge, &shared.metrics).run();
    let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(PipelineError::Panicked(worker)));
    match result {
        Ok(_) => shared.health.set_stopped(worker),
        Err(_) => shared.health.set_dead(worker),
    }
    result
}
