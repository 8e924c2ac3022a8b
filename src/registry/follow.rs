//! Following a store: the settings, the outcome of a refresh, and the version that a process starts with.

use super::canary::CanaryThresholds;
use super::log::Log;
use super::{RegistryError, Store, Version};
use crate::telemetry::Metrics;
use arc_swap::ArcSwap;
use nunchi_engine::{DecisionPolicy, LoadedModel};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tracing::error;

/// The model that serves. Storing another one here changes the model of every worker's next batch.
pub type ModelSlot = Arc<ArcSwap<LoadedModel>>;

/// Versions that are tried at a start: the current one, and those that served before it.
const MAX_START_ATTEMPTS: usize = 4;

/// How to follow a store.
#[derive(Debug)]
pub struct FollowSettings {
    /// The store's URL.
    pub url: String,
    /// How often it is read.
    pub interval: Duration,
    /// The kernel to pack for; the best one of this CPU unless named.
    pub kernel: Option<String>,
    /// What says which verdicts are unsure, if anything does: a version that lacks what it needs is refused.
    pub decision: Option<DecisionPolicy>,
    /// Where swaps are counted.
    pub metrics: Metrics,
    /// The canary phase after a promotion.
    pub thresholds: CanaryThresholds,
    /// A candidate that classifies a share of the comments beside the current version: its name, and the share.
    pub shadow: Option<(String, f64)>,
    /// The actor in the log when this process rolls a version back.
    pub actor: String,
}

/// The outcome of a refresh. Its JSON is the response of `POST /v1/model/reload`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum RefreshOutcome {
    /// The current version serves already.
    Unchanged {
        /// The version that serves.
        model: String,
    },
    /// Another version serves now.
    Swapped {
        /// The version that serves.
        model: String,
        /// The version that served until now.
        previous: String,
        /// The highest entry of the log.
        entry: u64,
        /// From the first byte that was requested to the swap.
        seconds: f64,
    },
    /// The current version failed a check; the serving model stays.
    Refused {
        /// The version that serves.
        model: String,
        /// The version that was refused.
        refused: String,
        /// Why.
        reason: String,
    },
    /// The store cannot be reached, or its log cannot be read; the serving model stays.
    #[serde(rename = "away")]
    Unavailable {
        /// The version that serves.
        model: String,
        /// Why.
        reason: String,
    },
}

/// The current version of the store that `settings` name, loaded, and the log: how a process starts. If the
/// current version is refused, a running process keeps its model; one that starts takes the latest valid version that
/// served before, logs that, and tries the current one again as a running process does.
///
/// # Errors
/// A store that cannot be used or reached, a store where nothing was promoted, a version that is refused while none before
/// it is valid.
pub fn load_current(settings: &FollowSettings) -> Result<(LoadedModel, Log), RegistryError> {
    let store = Store::open(&settings.url)?;
    let log = store.log()?;
    let current = log.current().ok_or_else(|| RegistryError::NothingPromoted(store.url().to_owned()))?;
    let (kernel, decision) = (settings.kernel.as_deref(), settings.decision);
    let refused = match load(&store, current, &log, kernel, decision) {
        Ok(loaded) => return Ok((loaded, log)),
        Err(error) if error.is_unavailable() || error.is_usage() => return Err(error),
        Err(error) => error,
    };
    settings.metrics.model_swaps.with_label_values(&["refused"]).inc();
    for before in log.served_before().into_iter().take(MAX_START_ATTEMPTS - 1) {
        if let Ok(loaded) = load(&store, before, &log, kernel, decision) {
            let (model, refused) = (before.as_str(), refused.to_string());
            error!(model, %current, refused, "the store's current version is refused; starting with the version that served before");
            return Ok((loaded, log));
        }
    }
    Err(refused)
}

/// Reads `version`, verifies that it is the one of `log`, packs it for `kernel` and computes `decision` for it.
pub(super) fn load(
    store: &Store,
    version: &Version,
    log: &Log,
    kernel: Option<&str>,
    decision: Option<DecisionPolicy>,
) -> Result<LoadedModel, RegistryError> {
    let model = store.load_named(version, log)?;
    let kernel = kernel.map(str::parse).transpose();
    let loaded = kernel.and_then(|kernel| LoadedModel::new(model, kernel)?.with_decision(decision));
    loaded.map_err(|error| RegistryError::NotLoadable { version: version.clone(), error })
}
