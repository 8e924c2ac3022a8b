//! A version that this process has rolled back, until the rollback is recorded in the promotion log.

use super::log::Log;
use super::promote::PromotionNote;
use super::{RegistryError, Store, Version};
use tracing::{error, info};

/// A rollback that is not in the log yet: the store is unavailable, or another writer was first.
#[derive(Debug)]
pub(super) struct PendingRollback {
    version: String,
    reason: String,
    /// The log's end when it was decided: a later promotion of the version counts again.
    entry: u64,
}

impl PendingRollback {
    /// `version` was rolled back for `reason` while the log ended as `log` does.
    pub(super) fn new(version: String, reason: String, log: &Log) -> Self {
        PendingRollback { version, reason, entry: log.last() }
    }

    /// Whether `version` is the one that was rolled back, and was not promoted since.
    pub(super) fn withholds(&self, version: &Version, log: &Log) -> bool {
        self.version == version.as_str() && !log.promoted_after(&self.version, self.entry)
    }

    /// Records the rollback in the log, so that other processes follow: the version is blocked, and `serving` is the version
    /// that was rolled back to. Returns whether it is recorded.
    pub(super) fn record(
        &self,
        store: &Store,
        log: &mut Log,
        serving: &Version,
        actor: &str,
    ) -> Result<bool, RegistryError> {
        let Some(bad) = log.current().filter(|current| self.withholds(current, log)).cloned() else {
            return Ok(true);
        };
        match self.write(store, log, &bad, serving, actor) {
            Ok(entry) => {
                info!(withdrawn = %bad, entry, "the rollback is recorded in the promotion log");
                Ok(true)
            }
            // The winner's entry may do the same, or be about another version: the next refresh decides.
            Err(RegistryError::LostRace(_)) => {
                store.read_on(log)?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The number of the last entry that was written.
    fn write(
        &self,
        store: &Store,
        log: &mut Log,
        bad: &Version,
        serving: &Version,
        actor: &str,
    ) -> Result<u64, RegistryError> {
        let note = PromotionNote { actor: actor.to_owned(), reason: self.reason.clone() };
        match store.block_and_roll_back(log, Some(serving), note.clone()) {
            Ok((entry, _)) => Ok(entry.number),
            Err(error @ RegistryError::LostRace(_)) => Err(error),
            Err(error) if error.is_unavailable() => Err(error),
            // `serving` is in memory here; only its copy in the store is unusable. A block needs no version to roll back to.
            Err(error) => {
                error!(version = %serving, %error, "the version to roll back to cannot be loaded from the store; only the block is recorded");
                let entry = store.block_after(log, bad, note)?;
                let number = entry.number;
                log.add(entry);
                Ok(number)
            }
        }
    }
}
