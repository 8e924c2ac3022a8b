//! What a worker needs: settings, clients, metrics, health, and the stop token.

use super::scope::Scope;
use crate::config::Config;
use crate::kafka::ClientProperties;
use crate::kafka::live_topics::LiveTopics;
use crate::stop::Stop;
use crate::telemetry::{Health, Metrics};
use std::sync::Arc;

/// What a worker needs.
#[derive(Clone, Copy)]
pub(crate) struct WorkerContext<'a> {
    /// The settings.
    pub(super) config: &'a Config,
    /// The properties of Kafka clients, resolved from the settings.
    pub(super) clients: &'a ClientProperties,
    /// The metrics.
    pub(super) metrics: &'a Metrics,
    /// Where it sends heartbeats.
    pub(super) health: &'a Health,
    /// The stop token.
    pub(super) stop: &'a Stop,
    /// The limits of a replay, if this is one.
    pub(super) scope: Option<&'a Scope>,
    /// The topics as they are now, where they are monitored.
    pub(super) live: Option<&'a Arc<LiveTopics>>,
    /// The worker's number.
    pub(super) worker: usize,
}
