//! The worker loop: poll, decode, classify, write, commit.

use super::PipelineError;
use super::breaker::Breakers;
use super::context::WorkerContext;
use super::corrupt_error::Failed;
use super::halts::Halts;
use super::model_pair::BatchClassifier;
use super::output::{BatchError, Output};
use super::progress::Progress;
use super::source::Source;
use crate::kafka::batch::Batch;
use crate::kafka::consumer::{Consumer, ConsumerEvents, Drained, Unusable};
use crate::kafka::lag::Lag;
use crate::kafka::resume::LossReason;
use crate::kafka::rights::lacking_now;
use crate::record::Reader;
use crate::telemetry::{BatchStats, WorkerMetrics};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How long leaving the group may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause before a lost consumer is replaced.
const REJOIN_PAUSE: Duration = Duration::from_millis(500);
/// Failures in a row after which the brokers are asked whether this process may still read and write.
const FAILURES_BEFORE_RIGHTS: u32 = 2;
/// Pause after the second failure in a row; doubles with each further one.
const MIN_RETRY_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause after a failed batch, and between two heartbeats while waiting for the rate.
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(2);

/// One worker, on its own thread.
pub(super) struct Worker<'a, C: BatchClassifier> {
    pub(super) context: WorkerContext<'a>,
    pub(super) source: Source,
    pub(super) reader: Reader,
    pub(super) classifier: C,
    /// VERSION of the model that classifies this batch.
    pub(super) version: String,
    pub(super) metrics: WorkerMetrics,
    pub(super) breakers: Breakers,
    pub(super) halts: Halts,
    pub(super) lag: Lag,
    pub(super) progress: Progress,
    pub(super) stats: BatchStats,
    pub(super) predictions: Vec<C::Prediction>,
    /// Timestamps of the batch's records, for the end-to-end latency.
    pub(super) timestamps: Vec<i64>,
    pub(super) records: u64,
}

/// Why a consumer was closed.
enum Ended {
    /// A stop was requested, or the source is exhausted.
    Done,
    /// The consumer has failed and must be replaced.
    Lost(String),
}

impl<'a, C: BatchClassifier> Worker<'a, C> {
    pub(super) fn new(context: WorkerContext<'a>, source: Source, classifier: C) -> Self {
        let config = context.config;
        let (labels, version) = (classifier.labels(), classifier.version());
        Worker {
            source,
            reader: Reader::new(config),
            version: version.to_owned(),
            metrics: WorkerMetrics::new(context.metrics, &config.input.topic, labels, version),
            breakers: Breakers::new(&config.dead_letters),
            halts: Halts::default(),
            lag: Lag::default(),
            progress: Progress::new(Duration::from_secs(config.worker.stall_seconds)),
            stats: BatchStats::default(),
            predictions: Vec::new(),
            timestamps: Vec::new(),
            records: 0,
            context,
            classifier,
        }
    }

    /// Runs until a stop is requested or the source is exhausted. Returns how many records were committed, and the output,
    /// which is missing only if a stop was requested while it was being opened or rebuilt.
    pub(super) fn run<O: Output<C::Prediction>>(
        mut self,
        open: impl FnOnce() -> Result<Option<O>, PipelineError>,
    ) -> Result<(u64, Option<O>), PipelineError> {
        // The consumer joins the group in the background while the output initializes its transactions.
        let mut consumer = self.source.open(self.context)?;
        let Some(mut output) = open()? else {
            consumer.close(CLOSE_TIMEOUT);
            return Ok((self.records, None));
        };
        loop {
            let ended = self.consume(&consumer, output);
            self.context.health.beat(self.context.worker);
            // The transaction ends first (in `consume`), then the membership: other members wait for both.
            consumer.close(CLOSE_TIMEOUT);
            self.context.health.set_group_joined(self.context.worker, false);
            self.lag.forget(&self.metrics);
            self.progress.keep_only(&BTreeSet::new(), &self.metrics);
            self.context.health.set_stalled(self.context.worker, None);
            // Its successor pauses nothing: every partition is tried again.
            let WorkerContext { config, health, .. } = self.context;
            self.halts.keep_only(&config.input.topic, &BTreeSet::new(), health, &self.metrics);
            output = match ended? {
                (Ended::Lost(reason), Some(output)) => {
                    warn!(worker = self.context.worker, reason, "the consumer failed; rejoining the group");
                    output
                }
                (_, output) => return Ok((self.records, output)),
            };
            self.context.stop.sleep(REJOIN_PAUSE);
            consumer = self.source.open(self.context)?;
        }
    }

    /// Processes batches until this consumer fails or the worker ends. Returns the output for the next consumer; `None` if a
    /// stop was requested while it was being rebuilt.
    fn consume<O: Output<C::Prediction>>(
        &mut self,
        consumer: &Consumer,
        mut output: O,
    ) -> Result<(Ended, Option<O>), PipelineError> {
        let bounds = self.context.scope.map(|scope| &scope.bounds);
        let mut batch = Batch::default();
        let mut failures: u32 = 0;
        while !self.context.stop.requested() && !self.source.is_exhausted(self.context) {
            self.context.health.beat(self.context.worker);
            output.between_batches()?;
            if self.context.stop.requested() {
                break;
            }
            let start = Instant::now();
            self.refresh();
            match self.handle_corrupt(consumer, &mut output) {
                Ok(false) => {}
                Ok(true) => continue,
                Err(Failed::Consumer(Unusable(reason))) => return Ok((Ended::Lost(reason), Some(output))),
                Err(Failed::Worker(error)) => return Err(error),
                Err(Failed::Batch(error)) => {
                    output = match self.recover(error, output, consumer, &mut failures)? {
                        Some(output) => output,
                        None => return Ok((Ended::Done, None)),
                    };
                    continue;
                }
            }
            self.retry_halted(consumer)?;
            let drained = consumer.drain(&mut batch, bounds)?;
            if let Some(reason) = self.report(consumer) {
                return Ok((Ended::Lost(reason), Some(output)));
            }
            self.report_partitions(consumer)?;
            let error = match drained {
                Drained::Nothing => match self.commit_quiet_tails(consumer) {
                    Ok(()) => continue,
                    Err(Unusable(reason)) => return Ok((Ended::Lost(reason), Some(output))),
                },
                Drained::Rebalanced => BatchError::Retry("the assignment changed".to_owned()),
                Drained::Records if self.wait_for_rate(&batch) => break,
                Drained::Records => match self.process(consumer, &mut output, &mut batch, start) {
                    Ok(()) => {
                        failures = 0;
                        self.end_halted_scope(consumer)?;
                        continue;
                    }
                    Err(error) => error,
                },
            };
            output = match self.recover(error, output, consumer, &mut failures)? {
                Some(output) => output,
                None => return Ok((Ended::Done, None)),
            };
            batch.release();
            self.context.health.beat(self.context.worker);
            if let Err(Unusable(reason)) = consumer.rewind(&batch) {
                return Ok((Ended::Lost(reason), Some(output)));
            }
        }
        Ok((Ended::Done, Some(output)))
    }

    /// Waits until the rate allows the batch; whether a stop was requested meanwhile.
    fn wait_for_rate(&self, batch: &Batch<'_>) -> bool {
        let due = self.context.scope.and_then(|scope| scope.bounds.pacer.reserve(batch.messages.len()));
        while let Some(left) = due.and_then(|due| due.checked_duration_since(Instant::now())) {
            self.context.health.beat(self.context.worker);
            if self.context.stop.sleep(left.min(MAX_RETRY_PAUSE)) {
                return true;
            }
        }
        false
    }

    /// Takes the current model from the slot; it classifies the whole batch.
    fn refresh(&mut self) {
        self.classifier.refresh();
        if self.classifier.version() != self.version {
            self.version = self.classifier.version().to_owned();
            self.metrics.adopt(self.classifier.labels(), &self.version);
            info!(worker = self.context.worker, model = self.version, "classifying with another model");
        }
    }

    /// Reports the events of the consumer to metrics and probes. Returns the reason if the consumer has failed.
    fn report(&mut self, consumer: &Consumer) -> Option<String> {
        let WorkerContext { health, worker, scope, live, .. } = self.context;
        health.set_refused(worker, consumer.is_refused());
        let ConsumerEvents { mut failure, rebalanced, assigned, joined, statistics, errors } =
            consumer.take_events()?;
        health.set_group_joined(worker, joined);
        if rebalanced > 0 {
            self.metrics.rebalanced(assigned.len());
            for &partition in &assigned {
                self.metrics.begin_lost(partition, LossReason::ALL.map(LossReason::name));
            }
        }
        self.lag.keep_only(&assigned, &self.metrics);
        self.breakers.keep_only(&assigned);
        self.progress.keep_only(&assigned, &self.metrics);
        let topic = &self.context.config.input.topic;
        self.halts.keep_only(topic, &assigned, health, &self.metrics);
        (0..errors).for_each(|_| self.metrics.client_error());
        if let Some((brokers_reached, partitions)) = statistics {
            health.set_brokers_reached(worker, brokers_reached);
            failure = failure.or_else(|| consumer.observe(&partitions));
            for partition in partitions.iter().filter(|partition| assigned.contains(&partition.partition)) {
                let partition = scope.map_or(*partition, |scope| scope.bounds.limit(partition));
                if let Some(begun) = consumer.begun(partition.partition) {
                    self.lag.begin(partition.partition, begun);
                }
                let is_done = consumer.is_done(partition.partition);
                let lag = self.lag.observe(&partition, is_done, &self.metrics);
                if is_done {
                    self.halts.progressed((topic, partition.partition), health, &self.metrics);
                }
                let explained = !partition.leader_reached
                    || live.is_some_and(|live| live.is_any_missing())
                    || self.halts.concerns(partition.partition)
                    || scope.is_some_and(|scope| scope.bounds.pacer.holds_back());
                self.progress.observe(&partition, is_done, lag, explained, &self.metrics);
            }
            health.set_stalled(worker, self.progress.stalled());
        }
        failure
    }

    /// Aborts a batch that was not committed, so that its records can be read again.
    fn recover<O: Output<C::Prediction>>(
        &mut self,
        cause: BatchError,
        mut output: O,
        consumer: &Consumer,
        failures: &mut u32,
    ) -> Result<Option<O>, PipelineError> {
        let worker = self.context.worker;
        let in_transaction = output.in_transaction();
        let error = output.abort(cause);
        self.metrics.abort(in_transaction);
        // After every abort too: what was sent in the transaction may still arrive in the next one.
        let rebuild = in_transaction || matches!(error, BatchError::Rebuild(_));
        match error {
            BatchError::Fatal(error) => return Err(error),
            BatchError::Halt { partition, reason, message } => {
                self.halt(consumer, partition, reason, message)?;
                return if rebuild { output.rebuild() } else { Ok(Some(output)) };
            }
            BatchError::RetryChanged(reason) => {
                self.progress.aborted(&reason);
                info!(worker, reason, "batch aborted; its records are read again, and written differently");
                return if rebuild { output.rebuild() } else { Ok(Some(output)) };
            }
            // A single failure is expected (a rebalance); several in a row mean that a broker is unavailable.
            BatchError::Retry(reason) if *failures == 0 => {
                self.progress.aborted(&reason);
                info!(worker, reason, "batch aborted; its records are read again");
            }
            BatchError::Retry(reason) | BatchError::Rebuild(reason) => {
                self.progress.aborted(&reason);
                warn!(worker, reason, "batch aborted; its records are read again");
            }
        }
        // No retry helps where a right was revoked.
        if *failures == FAILURES_BEFORE_RIGHTS
            && let Some(denied) = lacking_now(self.context.config, self.context.clients)
        {
            return Err(denied.into());
        }
        if *failures > 0 {
            let pause = MIN_RETRY_PAUSE * 2u32.saturating_pow((*failures - 1).min(9));
            self.context.stop.sleep(pause.min(MAX_RETRY_PAUSE));
        }
        *failures = failures.saturating_add(1);
        if !rebuild {
            return Ok(Some(output));
        }
        let start = Instant::now();
        let rebuilt = output.rebuild();
        // Waiting for the transaction's coordinator is no standstill.
        self.progress.waited(start.elapsed());
        rebuilt
    }
}
