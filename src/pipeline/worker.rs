//! The loop: poll, decode, classify, produce, commit.

use super::PipelineError;
use super::breaker::Breaker;
use crate::kafka::batch::Batch;
use crate::kafka::consumer::{ConsumerEvents, Drained, Source, Unusable};
use crate::kafka::lag::Lag;
use crate::kafka::producer::{Sink, TransactionError, WorkerContext};
use crate::record::Reader;
use crate::telemetry::{BatchStats, Metrics, WorkerMetrics};
use nunchi_engine::{Classifier, Prediction};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How long leaving the group may take.
const LEAVE: Duration = Duration::from_secs(10);
/// Added to the tolerance of timestamps after a broker refused one that should have been fine.
const CLOCK_STEP_MS: i64 = 300_000;
/// Longest pause between turns that fail.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// One worker, on its own thread.
pub(crate) struct Worker<'a, J> {
    pub(crate) place: WorkerContext<'a>,
    pub(crate) reader: Reader,
    pub(crate) judge: J,
    pub(crate) version: String,
    pub(crate) metrics: WorkerMetrics,
    pub(crate) breaker: Breaker,
    pub(crate) lag: Lag,
    pub(crate) turn: BatchStats,
    pub(crate) predictions: Vec<Prediction>,
    /// Times of records, for the time from end to end.
    pub(crate) timestamps: Vec<i64>,
    pub(crate) extra_skew_ms: i64,
    pub(crate) warned_of_retention: bool,
    pub(crate) records: u64,
}

/// Why a consumer's time is over.
enum Ended {
    /// A stop was asked for.
    Stopped,
    /// The consumer is of no use any more.
    Lost(String),
}

impl<'a, J: Classifier> Worker<'a, J> {
    pub(crate) fn new(place: WorkerContext<'a>, judge: J, metrics: &Metrics) -> Self {
        let config = place.config;
        Worker {
            reader: Reader::new(config),
            version: judge.version().to_owned(),
            metrics: WorkerMetrics::new(metrics, &config.input.topic, judge.labels(), judge.version()),
            breaker: Breaker::new(&config.dead_letters),
            lag: Lag::default(),
            turn: BatchStats::default(),
            predictions: Vec::new(),
            timestamps: Vec::new(),
            extra_skew_ms: 0,
            warned_of_retention: false,
            records: 0,
            place,
            judge,
        }
    }

    /// Works until a stop is asked for; how many records were answered.
    pub(crate) fn run(mut self) -> Result<u64, PipelineError> {
        let mut kept: Option<Sink<'a>> = None;
        loop {
            // Joining the group goes on behind the scenes while the producer meets its coordinator.
            let source = Source::open(
                self.place.config,
                self.place.clients,
                self.place.worker,
                self.place.scope.is_some(),
            )?;
            let sink = match kept.take() {
                Some(sink) => Some(sink),
                None => Sink::open(self.place)?,
            };
            let Some(sink) = sink else {
                source.close(LEAVE);
                return Ok(self.records);
            };
            let ended = self.consume(&source, sink);
            // First the transaction (`consume` has ended it), then the group: others wait for both.
            source.close(LEAVE);
            self.place.health.set_group_joined(self.place.worker, false);
            self.lag.forget(&self.metrics);
            match ended? {
                (Ended::Stopped, _) | (_, None) => return Ok(self.records),
                (Ended::Lost(reason), sink) => {
                    warn!(worker = self.place.worker, reason, "joining the group anew");
                    kept = sink;
                    self.place.stop.sleep(Duration::from_millis(500));
                }
            }
        }
    }

    /// BatchStats after turn, as long as this consumer lives. Hands the sink back for the next one; `None` if a stop was
    /// asked for while it was being built.
    fn consume<'s>(
        &mut self,
        source: &Source,
        mut sink: Sink<'s>,
    ) -> Result<(Ended, Option<Sink<'s>>), PipelineError>
    where
        'a: 's,
    {
        let mut batch = Batch::default();
        let mut failures: u32 = 0;
        while !self.place.stop.requested() {
            self.place.health.beat(self.place.worker);
            let start = Instant::now();
            self.refresh();
            let drained = source.drain(&mut batch, self.place.scope)?;
            if let Some(reason) = self.tell(source) {
                return Ok((Ended::Lost(reason), Some(sink)));
            }
            let setback = match drained {
                Drained::Nothing => continue,
                Drained::Rebalanced => TransactionError::Abort("the assignment changed".to_owned()),
                Drained::Records if self.wait_for_rate(&batch) => break,
                Drained::Records => match self.answer(source, &mut sink, &mut batch, start) {
                    Ok(()) => {
                        failures = 0;
                        continue;
                    }
                    Err(setback) => setback,
                },
            };
            sink = match self.recover(setback, sink, &mut failures)? {
                Some(sink) => sink,
                None => return Ok((Ended::Stopped, None)),
            };
            batch.release();
            if let Err(Unusable(reason)) = source.rewind(&batch) {
                return Ok((Ended::Lost(reason), Some(sink)));
            }
        }
        Ok((Ended::Stopped, Some(sink)))
    }

    /// Waits until the rate allows the turn; whether a stop was asked for meanwhile.
    fn wait_for_rate(&self, batch: &Batch<'_>) -> bool {
        let due = self.place.scope.and_then(|scope| scope.pacer.reserve(batch.messages.len()));
        while let Some(left) = due.and_then(|due| due.checked_duration_since(Instant::now())) {
            self.place.health.beat(self.place.worker);
            if self.place.stop.sleep(left.min(MAX_PAUSE)) {
                return true;
            }
        }
        false
    }

    /// From here to the next turn one and the same model judges.
    fn refresh(&mut self) {
        self.judge.refresh();
        if self.judge.version() != self.version {
            self.version = self.judge.version().to_owned();
            self.metrics.adopt(self.judge.labels(), &self.version);
            info!(worker = self.place.worker, model = self.version, "judging with another model");
        }
    }

    /// Tells metrics and probes what happened to the consumer; why it cannot go on, if so.
    fn tell(&mut self, source: &Source) -> Option<String> {
        let ConsumerEvents { failure, rebalanced, assigned, joined, statistics, errors } = source.news()?;
        self.place.health.set_group_joined(self.place.worker, joined);
        if rebalanced > 0 {
            self.metrics.rebalanced(assigned.len());
        }
        self.lag.keep_only(&assigned, &self.metrics);
        (0..errors).for_each(|_| self.metrics.client_error());
        if let Some((brokers_reached, partitions)) = statistics {
            self.place.health.set_brokers_reached(self.place.worker, brokers_reached);
            for partition in partitions.iter().filter(|partition| assigned.contains(&partition.partition)) {
                let partition = self.place.scope.map_or(*partition, |scope| scope.bound(partition));
                self.lag.observe(&partition, source.at_end(partition.partition), &self.metrics);
            }
        }
        failure
    }

    /// Undoes a turn that was not committed, so that its records can come again.
    fn recover<'s>(
        &mut self,
        setback: TransactionError,
        mut sink: Sink<'s>,
        failures: &mut u32,
    ) -> Result<Option<Sink<'s>>, PipelineError> {
        let worker = self.place.worker;
        let in_transaction = sink.is_open();
        let undone = match &setback {
            // What is unclear is left to the next producer to settle.
            TransactionError::Rebuild(_) => Ok(()),
            _ => sink.abort(),
        };
        self.metrics.abort(in_transaction);
        let setback = match (setback, undone) {
            (TransactionError::Fatal(error), _) | (_, Err(TransactionError::Fatal(error))) => {
                return Err(error);
            }
            (setback, Ok(())) => setback,
            (_, Err(worse)) => worse,
        };
        let start_over = matches!(setback, TransactionError::Rebuild(_));
        match setback {
            TransactionError::Clock => {
                self.extra_skew_ms += CLOCK_STEP_MS;
                warn!(
                    worker,
                    tolerance_ms = self.extra_skew_ms,
                    "a broker's clock differs: it refused a timestamp"
                );
            }
            TransactionError::Abort(reason) if *failures == 0 => {
                info!(worker, reason, "turn dropped, its records come again")
            }
            TransactionError::Abort(reason) | TransactionError::Rebuild(reason) => {
                warn!(worker, reason, "turn dropped, its records come again");
            }
            TransactionError::Fatal(error) => return Err(error),
        }
        // The first failure is everyday life (a rebalance); a row of them is a broker in need of time.
        if *failures > 0 {
            let pause = Duration::from_millis(10) * 2u32.saturating_pow((*failures).min(10));
            self.place.stop.sleep(pause.min(MAX_PAUSE));
        }
        *failures = failures.saturating_add(1);
        if start_over { sink.rebuild() } else { Ok(Some(sink)) }
    }
}
