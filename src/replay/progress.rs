//! The progress of a replay and how it ends; an observer is called a few times a second.

use super::Plan;
use crate::kafka::Pace;
use crate::pipeline::{LabelFilter, Scope};
use crate::stop::Stop;
use crate::telemetry::{Health, Metrics};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often progress is reported.
pub(super) const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// The progress of a replay.
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
    /// Verdicts whose label was not selected.
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
    pub(super) fn all(plan: &Plan) -> Self {
        Progress { passed: plan.offsets(), offsets: plan.offsets(), ..Progress::default() }
    }

    /// Of a replay whose partitions have come to `reached`.
    pub(super) fn of(plan: &Plan, reached: &BTreeMap<i32, i64>, scope: &Scope, lag: &LiveLag) -> Self {
        let counts = &scope.counts;
        Progress {
            passed: plan.passed(reached),
            offsets: plan.offsets(),
            answered: counts.records.load(Ordering::Relaxed),
            outside: counts.outside.load(Ordering::Relaxed),
            left_out: counts.left_out.load(Ordering::Relaxed),
            dead_letters: counts.dead_letters.load(Ordering::Relaxed),
            waits_for: lag.get(),
        }
    }
}

/// How a replay ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Every record is answered.
    Finished {
        /// When that was first recorded, by any process.
        at: Timestamp,
        /// What this process did.
        progress: Progress,
    },
    /// A stop was requested; what was answered is committed.
    Stopped {
        /// What this process did.
        progress: Progress,
    },
}

/// A callback for the progress.
pub type Observer<'o> = &'o (dyn Fn(&Progress) + Sync);

/// What the workers of a replay need besides the plan.
pub struct ReplayContext<'a> {
    /// Where the workers count.
    pub metrics: &'a Metrics,
    /// Where they report their liveness.
    pub health: &'a Arc<Health>,
    /// The request to stop.
    pub stop: &'a Stop,
    /// How fast.
    pub pace: Pace,
    /// Which verdicts are written.
    pub labels: LabelFilter,
    /// Called a few times a second.
    pub observer: Observer<'a>,
}

/// The live group's lag, while a replay waits for it.
#[derive(Debug, Default)]
pub(super) struct LiveLag(Mutex<Option<i64>>);

impl LiveLag {
    pub(super) fn set(&self, lag: Option<i64>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lag;
    }

    fn get(&self) -> Option<i64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
