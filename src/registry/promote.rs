//! Promoting, rolling back, blocking: the next entry of the log, written create-if-absent.

use super::identity::Verified;
use super::log::{Action, Entry, Log, MAX_BYTES};
use super::store::entry_path;
use super::{RegistryError, Store, Version, actor};

/// The actor and the reason of an entry of the log.
#[derive(Clone, Debug, Default)]
pub struct PromotionNote {
    /// The entry's `who`; empty: [`actor`].
    pub actor: String,
    /// The entry's `why`.
    pub reason: String,
}

impl Store {
    /// Makes `version` current. It is read and verified first, so that a damaged version is not promoted.
    ///
    /// # Errors
    /// A version that is not there, is damaged, is current already, or (unless forced) is blocked or was published as
    /// rejected; another writer that was first; a store that does not answer.
    pub fn promote(
        &self,
        version: &Version,
        note: PromotionNote,
        force: bool,
    ) -> Result<Entry, RegistryError> {
        let log = self.log()?;
        self.promote_after(&log, version, note, force)
    }

    /// As [`Store::promote`], provided that the log ends as `log` does: a decision based on `log` does not overwrite one
    /// that was made meanwhile.
    ///
    /// # Errors
    /// As [`Store::promote`]; an entry after those of `log` is a lost race.
    pub fn promote_after(
        &self,
        log: &Log,
        version: &Version,
        note: PromotionNote,
        force: bool,
    ) -> Result<Entry, RegistryError> {
        if !force && let Some(block) = log.blocked(version) {
            let (why, number) = (block.why.clone(), block.number);
            return Err(RegistryError::Blocked { version: version.clone(), why, number });
        }
        if log.current() == Some(version) {
            return Err(RegistryError::AlreadyCurrent(version.clone()));
        }
        let Verified { manifest, model } = self.read_verified(version, log)?;
        if manifest.is_rejected() && !force {
            return Err(RegistryError::Rejected(version.clone()));
        }
        self.append(log, (Action::Promote, version, Some(model.checksum)), log.current(), note)
    }

    /// As [`Store::promote`], without reading the version again: for callers that have verified it.
    pub(crate) fn promote_verified(&self, log: &mut Log, version: &Version) -> Result<(), RegistryError> {
        let note = PromotionNote { actor: String::new(), reason: "measuring".to_owned() };
        log.add(self.append(log, (Action::Promote, version, None), log.current(), note)?);
        Ok(())
    }

    /// Rolls back to `to`, or else to the version that served before the current one.
    ///
    /// # Errors
    /// No version to roll back to; a version that is damaged, blocked or current already; another writer that was first; a store
    /// that does not answer.
    pub fn roll_back(&self, to: Option<&Version>, note: PromotionNote) -> Result<Entry, RegistryError> {
        let log = self.log()?;
        self.roll_back_after(&log, to, note)
    }

    /// As [`Store::roll_back`], provided that the log ends as `log` does.
    ///
    /// # Errors
    /// As [`Store::roll_back`]; an entry after those of `log` is a lost race.
    pub fn roll_back_after(
        &self,
        log: &Log,
        to: Option<&Version>,
        note: PromotionNote,
    ) -> Result<Entry, RegistryError> {
        let current = log.current().ok_or_else(|| RegistryError::NothingPromoted(self.url().to_owned()))?;
        let to = match to {
            Some(to) => to,
            None => log.previous().ok_or_else(|| RegistryError::NothingBefore(current.clone()))?,
        };
        if to == current {
            return Err(RegistryError::AlreadyCurrent(to.clone()));
        }
        if let Some(block) = log.blocked(to) {
            let (why, number) = (block.why.clone(), block.number);
            return Err(RegistryError::Blocked { version: to.clone(), why, number });
        }
        let model = self.read_verified(to, log)?.model;
        self.append(log, (Action::Rollback, to, Some(model.checksum)), log.current(), note)
    }

    /// Blocks `version`: it never serves again unless it is promoted by force. Blocking the current one makes the version before it
    /// current.
    ///
    /// # Errors
    /// A version that is blocked already; another writer that was first; a store that does not answer.
    pub fn block(&self, version: &Version, note: PromotionNote) -> Result<Entry, RegistryError> {
        let log = self.log()?;
        self.block_after(&log, version, note)
    }

    /// As [`Store::block`], provided that the log ends as `log` does.
    ///
    /// # Errors
    /// As [`Store::block`]; an entry after those of `log` is a lost race.
    pub fn block_after(
        &self,
        log: &Log,
        version: &Version,
        note: PromotionNote,
    ) -> Result<Entry, RegistryError> {
        if let Some(block) = log.blocked(version) {
            let (why, number) = (block.why.clone(), block.number);
            return Err(RegistryError::Blocked { version: version.clone(), why, number });
        }
        self.append(log, (Action::Block, version, None), log.current(), note)
    }

    /// Blocks the current version, then rolls back to `to`, or else to the version before. Two entries; a reader between
    /// them sees the previous version as current already. Both are added to `log`.
    ///
    /// # Errors
    /// As [`Store::roll_back`]; nothing is written if there is no version to roll back to.
    pub fn block_and_roll_back(
        &self,
        log: &mut Log,
        to: Option<&Version>,
        note: PromotionNote,
    ) -> Result<(Entry, Version), RegistryError> {
        let nothing = || RegistryError::NothingPromoted(self.url().to_owned());
        let bad = log.current().cloned().ok_or_else(nothing)?;
        let to = match to {
            Some(to) => to.clone(),
            None => log.previous().cloned().ok_or_else(|| RegistryError::NothingBefore(bad.clone()))?,
        };
        if to == bad {
            return Err(RegistryError::AlreadyCurrent(to));
        }
        if let Some(block) = log.blocked(&to) {
            let (why, number) = (block.why.clone(), block.number);
            return Err(RegistryError::Blocked { version: to, why, number });
        }
        let model = self.read_verified(&to, log)?.model;
        log.add(self.append(log, (Action::Block, &bad, None), Some(&bad), note.clone())?);
        let entry = self.append(log, (Action::Rollback, &to, Some(model.checksum)), Some(&bad), note)?;
        log.add(entry.clone());
        Ok((entry, bad))
    }

    /// Writes the entry after the last one of `log`. A block names no checksum: it is about whatever has that VERSION.
    fn append(
        &self,
        log: &Log,
        (action, version, checksum): (Action, &Version, Option<String>),
        previous: Option<&Version>,
        note: PromotionNote,
    ) -> Result<Entry, RegistryError> {
        let number = log.last() + 1;
        let entry = Entry {
            number,
            action,
            version: version.clone(),
            checksum,
            previous: previous.cloned(),
            who: if note.actor.is_empty() { actor() } else { note.actor },
            why: note.reason,
            at: jiff::Timestamp::now(),
            nonce: format!("{:016x}", rand::random::<u64>()),
        };
        let path = entry_path(number);
        if self.objects.create(&path, entry.to_json())? {
            return Ok(entry);
        }
        let json = self.objects.get(&path, MAX_BYTES)?;
        let winner = Entry::parse(number, &json.unwrap_or_default())?;
        // A first attempt may have reached the store although its response was lost: then the entry is this writer's.
        if winner == entry { Ok(entry) } else { Err(RegistryError::LostRace(Box::new(winner))) }
    }
}
