//! What a worker is given: settings, clients, where it counts and reports, when it stops.

use super::scope::Scope;
use crate::config::Config;
use crate::kafka::ClientProperties;
use crate::stop::Stop;
use crate::telemetry::{Health, Metrics};

/// What a worker is given.
#[derive(Clone, Copy)]
pub(crate) struct WorkerContext<'a> {
    /// The settings.
    pub(super) config: &'a Config,
    /// The properties of Kafka clients, resolved from the settings.
    pub(super) clients: &'a ClientProperties,
    /// Where it counts.
    pub(super) metrics: &'a Metrics,
    /// Where it shows that it lives.
    pub(super) health: &'a Health,
    /// The wish to stop.
    pub(super) stop: &'a Stop,
    /// The limits of the work, if it has any.
    pub(super) scope: Option<&'a Scope>,
    /// The worker's number.
    pub(super) worker: usize,
}
