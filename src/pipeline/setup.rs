//! Setup of a pipeline: settings, clients, metrics, health, the model, and from them the workers.

use super::context::WorkerContext;
use super::model_pair::BatchClassifier;
use super::output::{AtLeastOnceTopic, Output, TransactionalTopic};
use super::scope::Scope;
use super::source::Source;
use super::supervisor::{Summary, supervise};
use super::worker::Worker;
use super::{ModelSlot, PipelineError};
use crate::config::{Config, ConfigErrors, Delivery};
use crate::kafka::live_topics::LiveTopics;
use crate::kafka::rights::lacking_now;
use crate::kafka::topic_monitor::Watch;
use crate::kafka::topics::{Topics, inspect};
use crate::kafka::{ClientError, ClientProperties, group_start, topic_monitor};
use crate::stop::Stop;
use crate::telemetry::{Health, Metrics};
use arc_swap::ArcSwap;
use nunchi_engine::{Classifier, LoadedModel, Prediction};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// How many workers `config` sets: `worker.workers`, or one a core if that is 0.
pub fn worker_count(config: &Config) -> usize {
    match config.worker.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    }
}

/// Everything that the workers of a process share, except the model. Clones share metrics, health and the stop token.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The settings.
    pub config: Config,
    /// The properties of Kafka clients, resolved from the settings.
    pub clients: ClientProperties,
    /// The metrics of the workers.
    pub metrics: Metrics,
    /// The heartbeats of the workers; created for [`worker_count`] workers.
    pub health: Arc<Health>,
    /// The stop token.
    pub stop: Stop,
    /// Whether the limits of the topics are requested from the brokers; otherwise Kafka's defaults apply. True by default.
    pub ask_limits: bool,
}

impl Pipeline {
    /// A pipeline of these settings, with metrics, health and a stop token of its own.
    pub fn new(config: Config, clients: ClientProperties) -> Self {
        let stall = Duration::from_secs(config.worker.stall_seconds);
        let health = Arc::new(Health::new(worker_count(&config), stall));
        Pipeline { config, clients, metrics: Metrics::new(), health, stop: Stop::new(), ask_limits: true }
    }

    /// As [`Pipeline::new`], with the clients that the settings describe.
    ///
    /// # Errors
    /// Properties that librdkafka refuses, secrets that cannot be resolved: all of them.
    pub fn resolve(config: Config) -> Result<Self, ConfigErrors> {
        let clients = ClientProperties::resolve(&config)?;
        Ok(Pipeline::new(config, clients))
    }

    /// A slot that holds `model`, for classifiers; metrics and health report it from now on.
    pub fn serve(&self, model: LoadedModel) -> ModelSlot {
        self.metrics.set_model(&model.model().version, model.precision().name(), model.kernel().name());
        self.health.set_model_loaded();
        Arc::new(ArcSwap::from_pointee(model))
    }

    /// Runs the workers until a stop is requested (then they finish their batch, commit it and leave the group) or one
    /// of them fails (then all end). Blocks; `classifier` is called once for each worker.
    ///
    /// # Errors
    /// The error of the first worker that failed and could not recover; a stop that takes longer than `worker.stop_seconds`.
    pub fn run<C: Classifier + 'static>(&self, classifier: impl Fn() -> C) -> Result<Summary, PipelineError> {
        self.run_within(None, classifier)
    }

    /// As [`Pipeline::run`], but records outside of `scope` are skipped. The group must have committed offsets for
    /// every partition already; the workers do not stop by themselves when all is done.
    ///
    /// # Errors
    /// As [`Pipeline::run`].
    pub(crate) fn run_within<C: Classifier + 'static>(
        &self,
        scope: Option<&Arc<Scope>>,
        classifier: impl Fn() -> C,
    ) -> Result<Summary, PipelineError> {
        let workers = worker_count(&self.config);
        let Pipeline { config, clients, health, stop, ask_limits, .. } = self;
        clients.warnings().iter().for_each(|warning| warn!("{warning}"));
        let Some(topics) = inspect(config, clients, health, stop, workers, *ask_limits)? else {
            return Ok(Summary::default());
        };
        if scope.is_none() && !group_start::begin(config, clients, &topics.live, health, stop, workers)? {
            return Ok(Summary::default());
        }
        if *ask_limits {
            let watch = if scope.is_none() { Watch::Stream } else { Watch::Range };
            topic_monitor::start(config, clients, &topics, watch, health, stop)?;
        }
        let shared = Arc::new(Shared { pipeline: self.clone(), topics, scope: scope.map(Arc::clone) });
        supervise(workers, stop, config.worker.stop_seconds, |worker, ended| {
            let (shared, classifier) = (Arc::clone(&shared), classifier());
            let thread = std::thread::Builder::new().name(format!("worker-{worker}"));
            let work = move || {
                // The receiver is closed if the deadline of a stop is over.
                let _ = ended.send((worker, shared.work(worker, classifier)));
            };
            thread.spawn(work).map(drop)
        })
    }

    /// Runs one worker on this thread, from the offsets `starts` (by partition) to the ends of `scope`, and returns `output`
    /// when all is written or a stop is requested. No group is used.
    ///
    /// # Errors
    /// Errors from which the worker cannot recover, and those of `output`.
    pub(crate) fn run_assigned<C: BatchClassifier, O: Output<C::Prediction>>(
        &self,
        scope: &Scope,
        starts: BTreeMap<i32, i64>,
        classifier: C,
        output: O,
    ) -> Result<O, PipelineError> {
        let context = self.context(0, Some(scope), None);
        let worker = Worker::new(context, Source::Partitions(starts), classifier);
        let (_, output) = worker.run(|| Ok(Some(output)))?;
        Ok(output.expect("only an output that waits for brokers is missing after a stop"))
    }

    fn context<'a>(
        &'a self,
        worker: usize,
        scope: Option<&'a Scope>,
        live: Option<&'a Arc<LiveTopics>>,
    ) -> WorkerContext<'a> {
        let Pipeline { config, clients, metrics, health, stop, .. } = self;
        WorkerContext { config, clients, metrics, health, stop, scope, live, worker }
    }
}

/// What the workers' threads share.
struct Shared {
    pipeline: Pipeline,
    topics: Topics,
    scope: Option<Arc<Scope>>,
}

impl Shared {
    /// Runs one worker; a panic is caught and reported, so that the process can end.
    fn work<C: Classifier>(&self, worker: usize, classifier: C) -> Result<u64, PipelineError> {
        let run = || self.run_worker(worker, classifier);
        let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(PipelineError::Panicked(worker)));
        match result {
            Ok(_) => self.pipeline.health.set_stopped(worker),
            Err(_) => self.pipeline.health.set_dead(worker),
        }
        result.map_err(|error| self.explain(error))
    }

    /// A right that was revoked while the process ran shows as a failure of the client; the brokers say which right.
    fn explain(&self, error: PipelineError) -> PipelineError {
        let is_unclear = matches!(
            error,
            PipelineError::Kafka(ClientError::Failed { .. } | ClientError::Authorization { .. })
        );
        let Pipeline { config, clients, .. } = &self.pipeline;
        let denied = is_unclear.then(|| lacking_now(config, clients)).flatten();
        denied.map_or(error, PipelineError::Kafka)
    }

    fn run_worker<C: BatchClassifier<Prediction = Prediction>>(
        &self,
        worker: usize,
        classifier: C,
    ) -> Result<u64, PipelineError> {
        let context = self.pipeline.context(worker, self.scope.as_deref(), Some(&self.topics.live));
        let worker = Worker::new(context, Source::Group, classifier);
        match self.pipeline.config.kafka.delivery {
            Delivery::ExactlyOnce => {
                worker.run(|| TransactionalTopic::open(context, &self.topics)).map(|(records, _)| records)
            }
            Delivery::AtLeastOnce => {
                worker.run(|| AtLeastOnceTopic::open(context, &self.topics)).map(|(records, _)| records)
            }
        }
    }
}
