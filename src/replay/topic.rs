//! A replay into a topic: the workers of `run` in a group of the replay's own, and an overseer that knows from the group's
//! committed offsets how far all processes together have come.

use super::error::ReplayError;
use super::{Plan, Replay, live};
use crate::kafka::admin::Brokers;
use crate::pipeline::{Pace, Pacer, Pipeline, Scope, worker_count};
use crate::stop::Stop;
use crate::telemetry::{Health, Metrics};
use jiff::Timestamp;
use nunchi_engine::Classifier;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::{debug, warn};

/// How often the overseer looks at the committed offsets.
const LOOK: Duration = Duration::from_millis(250);
/// How long one answer may take: a killed process's open transaction hides offsets for up to its time-out.
const ASK: Duration = Duration::from_secs(3);

/// How far a replay has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Offsets that all processes have passed.
    pub passed: i64,
    /// Offsets of the plan.
    pub offsets: i64,
    /// Records that this process has answered.
    pub answered: u64,
    /// Records between the plan's offsets whose time is outside of the range.
    pub outside: u64,
    /// Verdicts that were not asked for.
    pub left_out: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// The live group's lag, while the replay waits for it.
    pub waits_for: Option<i64>,
}

impl Progress {
    /// The share done, 0 to 1.
    pub fn share(&self) -> f64 {
        if self.offsets == 0 { 1.0 } else { self.passed as f64 / self.offsets as f64 }
    }

    /// Of a replay that is finished.
    pub(crate) fn all(plan: &Plan) -> Self {
        Progress { passed: plan.offsets(), offsets: plan.offsets(), ..Progress::default() }
    }

    pub(crate) fn of(
        plan: &Plan,
        reached: &BTreeMap<i32, i64>,
        scope: &Scope,
        waits_for: Option<i64>,
    ) -> Self {
        let counts = &scope.counts;
        Progress {
            passed: plan.passed(reached),
            offsets: plan.offsets(),
            answered: counts.answered.load(Ordering::Relaxed),
            outside: counts.outside.load(Ordering::Relaxed),
            left_out: counts.left_out.load(Ordering::Relaxed),
            dead_letters: counts.dead_letters.load(Ordering::Relaxed),
            waits_for,
        }
    }
}

/// How a replay ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Every record is answered.
    Finished {
        /// When that was written down first, by whichever process.
        at: Timestamp,
        /// What this process did.
        progress: Progress,
    },
    /// A stop was asked for; what was answered is committed.
    Stopped {
        /// What this process did.
        progress: Progress,
    },
}

/// Who wants to know how far it is.
pub type Observer<'o> = &'o (dyn Fn(&Progress) + Sync);

/// What the workers of a replay need besides the plan.
pub struct ReplayContext<'a> {
    /// Where the workers count.
    pub metrics: &'a Metrics,
    /// Where they say how they are.
    pub health: &'a Arc<Health>,
    /// The wish to stop.
    pub stop: &'a Stop,
    /// How fast.
    pub pace: Pace,
    /// By index of the model's labels which verdicts are written; all unless given.
    pub labels: Option<Vec<bool>>,
    /// Told a few times a second.
    pub observer: Observer<'a>,
}

impl Replay {
    /// Answers this process's share of the plan and waits until every process is done.
    ///
    /// # Errors
    /// What the workers could not mend; offsets of the group that have expired.
    pub fn into_topic<J: Classifier + 'static>(
        &self,
        with: &ReplayContext<'_>,
        judge: impl Fn() -> J + Sync,
    ) -> Result<Outcome, ReplayError> {
        let reached = self.reached(Duration::from_secs(30))?;
        let pace = with.pace;
        let first_ms = match pace {
            Pace::Speed(_) => self.first_timestamp(&reached)?,
            Pace::Free | Pace::Rate(_) => None,
        };
        let scope =
            Arc::new(self.scope(Pacer::new(pace, worker_count(&self.config), first_ms), with.labels.clone()));
        // The workers' own: the process goes on when they have stopped.
        let workers_stop = Stop::new();
        let pipeline = Pipeline {
            config: &self.config,
            clients: &self.clients,
            metrics: with.metrics,
            health: with.health,
            stop: &workers_stop,
            ask_limits: true,
        };
        if !self.plan.is_done(&reached) {
            self.beside_live(&scope, |waits_for| {
                std::thread::scope(|threads| {
                    threads.spawn(|| self.oversee(with, &scope, waits_for, &workers_stop));
                    let result = pipeline.run_within(Some(&scope), &judge);
                    workers_stop.request();
                    result.map(drop)
                })
            })?;
        }
        let reached = self.reached(Duration::from_secs(30))?;
        let progress = Progress::of(&self.plan, &reached, &scope, None);
        (with.observer)(&progress);
        if self.plan.is_done(&reached) {
            Ok(Outcome::Finished { at: self.complete()?, progress })
        } else {
            Ok(Outcome::Stopped { progress })
        }
    }

    /// Does `work` with an eye on the live group, which closes the scope's gate while it needs the cluster. `work` gets
    /// the live group's lag while it is closed.
    pub(crate) fn beside_live<T>(&self, scope: &Scope, work: impl FnOnce(&Mutex<Option<i64>>) -> T) -> T {
        let (waits_for, over) = (Mutex::new(None), Stop::new());
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let (topic, bound) = (&self.config.input.topic, self.config.replay.live_lag_records);
                live::watch(&self.live, topic, bound, &scope.pacer, &waits_for, &over);
            });
            // Also if the work panics: the thread beside it has to end.
            let _over = OnDrop(&over);
            work(&waits_for)
        })
    }

    /// The bounds of the work.
    pub(crate) fn scope(&self, pacer: Pacer, labels: Option<Vec<bool>>) -> Scope {
        let request = &self.plan.request;
        let time = |bound: &Option<super::Bound>| bound.as_ref().and_then(super::Bound::time_ms);
        Scope {
            replay: self.plan.id.clone(),
            ends: self.plan.ends(),
            from_ms: time(&request.from),
            to_ms: time(&request.to),
            labels,
            pacer,
            ..Scope::default()
        }
    }

    /// Where the group stands in every partition.
    fn reached(&self, limit: Duration) -> Result<BTreeMap<i32, i64>, ReplayError> {
        let committed = self.brokers.committed(&self.config.input.topic, &self.plan.partitions(), limit)?;
        let known: BTreeMap<i32, i64> =
            committed.iter().filter_map(|(&partition, &offset)| Some((partition, offset?))).collect();
        if known.len() < self.plan.shares.len() {
            return Err(ReplayError::State(format!(
                "the offsets of group `{}` have expired (offsets.retention.minutes), so it is not known any more how far \
                 replay `{}` came; begin it again under another --id and into an empty topic",
                self.config.kafka.group, self.plan.id
            )));
        }
        Ok(known)
    }

    /// The oldest timestamp among the next records of all partitions.
    pub(crate) fn first_timestamp(&self, reached: &BTreeMap<i32, i64>) -> Result<Option<i64>, ReplayError> {
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

    /// Watches the committed offsets; stops the workers when all is done, or when the process is to stop.
    fn oversee(
        &self,
        with: &ReplayContext<'_>,
        scope: &Scope,
        waits_for: &Mutex<Option<i64>>,
        workers_stop: &Stop,
    ) {
        // A client of its own: the answers of the other one are not to wait for this one's.
        let brokers = match Brokers::connect(&self.clients) {
            Ok(brokers) => brokers,
            Err(error) => {
                warn!(%error, "the replay cannot be watched");
                return workers_stop.request();
            }
        };
        let partitions = self.plan.partitions();
        loop {
            match brokers.committed(&self.config.input.topic, &partitions, ASK) {
                Ok(committed) => {
                    let reached = committed
                        .into_iter()
                        .filter_map(|(partition, offset)| Some((partition, offset?)))
                        .collect();
                    let waiting = *waits_for.lock().unwrap_or_else(PoisonError::into_inner);
                    (with.observer)(&Progress::of(&self.plan, &reached, scope, waiting));
                    if self.plan.is_done(&reached) {
                        return workers_stop.request();
                    }
                }
                Err(error) => debug!(%error, "the group's offsets are not known at the moment"),
            }
            if with.stop.sleep(LOOK) {
                return workers_stop.request();
            }
            if workers_stop.requested() {
                return;
            }
        }
    }
}

/// Requests a stop when it goes.
struct OnDrop<'s>(&'s Stop);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}
