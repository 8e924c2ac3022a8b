//! The work of a replay: the pipeline's loop on a bounded source. Into a topic the workers of `run` in a group of the
//! replay's own; into a file or a report one worker on assigned partitions.

use super::error::ReplayError;
use super::progress::{LiveLag, Outcome, PROGRESS_INTERVAL, Progress, ReplayContext};
use super::{Replay, live};
use crate::kafka::admin::Brokers;
use crate::kafka::bounds::Bounds;
use crate::kafka::{Pace, Pacer};
use crate::pipeline::output::Output;
use crate::pipeline::{BatchClassifier, Pipeline, Scope, worker_count};
use crate::stop::Stop;
use nunchi_engine::Classifier;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, warn};

/// Timeout of a request for the group's offsets while the replay runs: the open transaction of a killed process hides
/// offsets for up to its time-out.
const COMMITTED_TIMEOUT: Duration = Duration::from_secs(3);
/// Timeout of a request for the group's offsets before and after the work, which depends on them.
const REACHED_TIMEOUT: Duration = Duration::from_secs(30);

impl Replay {
    /// Writes this process's share of the plan and waits until every process is done.
    ///
    /// # Errors
    /// Errors from which the workers could not recover; offsets of the group that have expired.
    pub fn into_topic<C: Classifier + 'static>(
        &self,
        context: &ReplayContext<'_>,
        classifier: impl Fn() -> C + Sync,
    ) -> Result<Outcome, ReplayError> {
        let reached = self.reached()?;
        let scope = Arc::new(self.scope(context, worker_count(&self.config), &reached)?);
        if !self.plan.is_done(&reached) {
            // A stop of their own: the process continues when the workers have stopped.
            let pipeline = self.pipeline(context, Stop::new());
            self.beside_live(&scope, |lag| {
                std::thread::scope(|threads| {
                    threads.spawn(|| self.oversee(context, &scope, lag, &pipeline.stop));
                    // Also if the workers panic: the thread beside them has to end.
                    let _end = OnDrop(&pipeline.stop);
                    pipeline.run_within(Some(&scope), &classifier)
                })
            })?;
        }
        let reached = self.reached()?;
        let progress = Progress::of(&self.plan, &reached, &scope, &LiveLag::default());
        (context.observer)(&progress);
        if self.plan.is_done(&reached) {
            Ok(Outcome::Finished { at: self.complete()?, progress })
        } else {
            Ok(Outcome::Stopped { progress })
        }
    }

    /// Runs one worker over the plan's partitions, from the offsets `starts` on. Hands `output` back, with the offsets that
    /// were reached and what was done, when all is written or a stop is requested.
    pub(super) fn write_to<C: BatchClassifier, O: Output<C::Prediction>>(
        &self,
        context: &ReplayContext<'_>,
        starts: BTreeMap<i32, i64>,
        classifier: C,
        output: O,
    ) -> Result<Worked<O>, ReplayError> {
        let scope = self.scope(context, 1, &starts)?;
        let pipeline = self.pipeline(context, context.stop.clone());
        let reached = || {
            let mut reached = starts.clone();
            reached.extend(scope.positions());
            reached
        };
        let output = self.beside_live(&scope, |lag| {
            let over = Stop::new();
            std::thread::scope(|threads| {
                threads.spawn(|| {
                    while !over.sleep(PROGRESS_INTERVAL) {
                        (context.observer)(&Progress::of(&self.plan, &reached(), &scope, lag));
                    }
                });
                let _end = OnDrop(&over);
                pipeline.run_assigned(&scope, starts.clone(), classifier, output)
            })
        })?;
        let reached = reached();
        let progress = Progress::of(&self.plan, &reached, &scope, &LiveLag::default());
        Ok(Worked { output, done: self.plan.is_done(&reached), progress })
    }

    fn pipeline(&self, context: &ReplayContext<'_>, stop: Stop) -> Pipeline {
        Pipeline {
            config: self.config.clone(),
            clients: self.clients.clone(),
            metrics: context.metrics.clone(),
            health: Arc::clone(context.health),
            stop,
            ask_limits: true,
        }
    }

    /// The limits of the work of `workers` workers that begin at `reached`.
    fn scope(
        &self,
        context: &ReplayContext<'_>,
        workers: usize,
        reached: &BTreeMap<i32, i64>,
    ) -> Result<Scope, ReplayError> {
        let first_ms = match context.pace {
            Pace::Speed(_) => self.first_timestamp(reached)?,
            Pace::Free | Pace::Rate(_) => None,
        };
        let request = &self.plan.request;
        let time = |bound: &Option<super::Bound>| bound.as_ref().and_then(super::Bound::time_ms);
        let bounds = Bounds {
            ends: self.plan.ends(),
            from_ms: time(&request.from),
            to_ms: time(&request.to),
            pacer: Pacer::new(context.pace, workers, first_ms),
        };
        Ok(Scope::new(self.plan.id.clone(), bounds, context.labels.clone()))
    }

    /// Runs `work` beside the throttle, which closes the pacer while the live group falls behind. `work` gets the live
    /// group's lag while it is closed.
    fn beside_live<T>(&self, scope: &Scope, work: impl FnOnce(&LiveLag) -> T) -> T {
        let (lag, over) = (LiveLag::default(), Stop::new());
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let (topic, bound) = (&self.config.input.topic, self.config.replay.live_lag_records);
                live::throttle(&self.live, topic, bound, &scope.bounds.pacer, &lag, &over);
            });
            // Also if the work panics: the thread beside it has to end.
            let _end = OnDrop(&over);
            work(&lag)
        })
    }

    /// The group's committed offset in every partition.
    fn reached(&self) -> Result<BTreeMap<i32, i64>, ReplayError> {
        let (topic, partitions) = (&self.config.input.topic, self.plan.partitions());
        let committed = self.brokers.committed(topic, &partitions, REACHED_TIMEOUT)?;
        let known: BTreeMap<i32, i64> =
            committed.iter().filter_map(|(&partition, &offset)| Some((partition, offset?))).collect();
        if known.len() < self.plan.shares.len() {
            return Err(ReplayError::State(format!(
                "the offsets of group `{}` have expired (offsets.retention.minutes), so the progress of replay `{}` is \
                 lost; start it again under another --id and into an empty topic",
                self.config.kafka.group, self.plan.id
            )));
        }
        Ok(known)
    }

    /// The oldest timestamp among the next records of all partitions.
    fn first_timestamp(&self, reached: &BTreeMap<i32, i64>) -> Result<Option<i64>, ReplayError> {
        let open: BTreeMap<i32, i64> = self
            .plan
            .shares
            .iter()
            .filter_map(|share| {
                Some((share.partition, *reached.get(&share.partition)?)).filter(|&(_, at)| at < share.end)
            })
            .collect();
        let records = self.brokers.first_records(&self.config.input.topic, &open)?;
        let from = self.plan.request.from.as_ref().and_then(super::Bound::time_ms).unwrap_or(i64::MIN);
        Ok(records.values().filter_map(|first| first.timestamp_ms).min().map(|first_ms| first_ms.max(from)))
    }

    /// Polls the group's committed offsets, the progress of all processes together; stops the workers when all is done, or
    /// when the process is to stop.
    fn oversee(&self, context: &ReplayContext<'_>, scope: &Scope, lag: &LiveLag, workers_stop: &Stop) {
        // A client of its own, so that requests of the other client do not wait for this one's responses.
        let brokers = match Brokers::connect(&self.clients) {
            Ok(brokers) => brokers,
            Err(error) => {
                warn!(%error, "the progress of the replay cannot be read: its workers are stopped");
                return workers_stop.request();
            }
        };
        let partitions = self.plan.partitions();
        loop {
            match brokers.committed(&self.config.input.topic, &partitions, COMMITTED_TIMEOUT) {
                Ok(committed) => {
                    let reached = committed
                        .into_iter()
                        .filter_map(|(partition, offset)| Some((partition, offset?)))
                        .collect();
                    (context.observer)(&Progress::of(&self.plan, &reached, scope, lag));
                    if self.plan.is_done(&reached) {
                        return workers_stop.request();
                    }
                }
                Err(error) => debug!(%error, "the group's offsets could not be read; trying again"),
            }
            if context.stop.sleep(PROGRESS_INTERVAL) {
                return workers_stop.request();
            }
            if workers_stop.requested() {
                return;
            }
        }
    }
}

/// What one worker did.
pub(super) struct Worked<O> {
    /// The output, with everything written.
    pub(super) output: O,
    /// Whether that is all of the plan.
    pub(super) done: bool,
    /// What was done.
    pub(super) progress: Progress,
}

/// Requests a stop when it is dropped.
struct OnDrop<'s>(&'s Stop);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}
