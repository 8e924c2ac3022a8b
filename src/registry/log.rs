//! The promotion log: numbered entries, each written once, create-if-absent. They alone determine the current version.
//!
//! `current` is the version of the highest `promote` or `rollback` whose version was not blocked afterwards. So blocking
//! the current version also rolls it back.

use super::name::is_checksum_of;
use super::{RegistryError, Version};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The folder of the log.
pub(super) const FOLDER: &str = "promotions";
/// Largest number of an entry: so that the next number does not overflow, whatever files are in the folder.
const MAX_NUMBER: u64 = 999_999_999_999;
/// Largest entry in bytes.
pub(super) const MAX_BYTES: u64 = 1 << 16;

/// What an entry does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The version serves from now on. Of a blocked one (by force): it is not blocked any more.
    Promote,
    /// The version serves again, instead of `previous`.
    Rollback,
    /// The version never serves again by itself.
    Block,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Action::Promote => "promote",
            Action::Rollback => "rollback",
            Action::Block => "block",
        })
    }
}

/// One entry: `promotions/00000042.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its position in the log, from 1.
    pub number: u64,
    /// What it does.
    pub action: Action,
    /// The version that it is about.
    pub version: Version,
    /// The whole checksum of that version's model; absent in a block and in what older versions of nunchi wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// The version that was current before it.
    pub previous: Option<Version>,
    /// Who wrote it.
    pub who: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: jiff::Timestamp,
    /// Random: distinguishes two writers of equal entries.
    #[serde(default)]
    pub nonce: String,
}

impl Entry {
    /// The name of entry `number` in the log's folder.
    pub(super) fn name(number: u64) -> String {
        format!("{number:08}.json")
    }

    /// The number in an entry's name, if it is one.
    pub(super) fn number(name: &str) -> Option<u64> {
        let digits = name.strip_suffix(".json")?;
        let number = digits.parse().ok()?;
        ((1..=MAX_NUMBER).contains(&number) && Entry::name(number) == name).then_some(number)
    }

    /// Reads entry `number`.
    pub(super) fn parse(number: u64, json: &[u8]) -> Result<Self, RegistryError> {
        let damaged =
            |reason: String| RegistryError::Damaged { what: format!("entry {number} of the log"), reason };
        let entry: Entry =
            serde_json::from_slice(json).map_err(|error| damaged(format!("it cannot be read ({error})")))?;
        if entry.number != number {
            return Err(damaged(format!("its number field is {}", entry.number)));
        }
        if entry.checksum.as_ref().is_some_and(|checksum| !is_checksum_of(checksum, &entry.version)) {
            return Err(damaged(format!("its checksum is none of version {}", entry.version)));
        }
        Ok(entry)
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("an entry has a JSON form");
        json.push(b'\n');
        json
    }
}

/// Why a version is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The entry that blocked it.
    pub number: u64,
    /// The reason in that entry.
    pub why: String,
}

/// The log as far as it was read.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: Vec<Entry>,
    blocked: BTreeMap<Version, Block>,
}

impl Log {
    /// Adds an entry; they come in the order of their numbers.
    pub(super) fn add(&mut self, entry: Entry) {
        match entry.action {
            Action::Block => {
                let block = Block { number: entry.number, why: entry.why.clone() };
                self.blocked.insert(entry.version.clone(), block);
            }
            Action::Promote | Action::Rollback => {
                self.blocked.remove(&entry.version);
            }
        }
        self.entries.push(entry);
    }

    /// All entries, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The number of the highest entry; 0 of an empty log.
    pub fn last(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.number)
    }

    /// The version that serves.
    pub fn current(&self) -> Option<&Version> {
        self.served().next()
    }

    /// The version to roll back to: the latest one that served before the current one and is not blocked.
    pub fn previous(&self) -> Option<&Version> {
        let current = self.current()?;
        self.served().find(|version| *version != current)
    }

    /// The versions that served before the current one and are not blocked, each once, latest first.
    pub(super) fn served_before(&self) -> Vec<&Version> {
        let mut before: Vec<&Version> = Vec::new();
        for version in self.served().skip(1).filter(|version| self.current() != Some(*version)) {
            if !before.contains(&version) {
                before.push(version);
            }
        }
        before
    }

    /// Why `version` is blocked, if it is.
    pub fn blocked(&self, version: &Version) -> Option<&Block> {
        self.blocked.get(version)
    }

    /// Whether the current version was promoted by its latest entry, without having been blocked before: a forced
    /// promotion of a blocked version and a rollback have no canary phase.
    pub(super) fn is_plain_promotion(&self) -> bool {
        let Some(current) = self.current() else { return false };
        let of_it = || self.entries.iter().rev().filter(|entry| entry.version == *current);
        of_it().next().is_some_and(|entry| entry.action == Action::Promote)
            && of_it().all(|entry| entry.action != Action::Block)
    }

    /// Whether an entry above `number` promotes `version`.
    pub(super) fn promoted_after(&self, version: &str, number: u64) -> bool {
        self.entries.iter().any(|entry| {
            entry.number > number && entry.action == Action::Promote && entry.version.as_str() == version
        })
    }

    /// Versions that were promoted or rolled back to and are not blocked, latest first.
    fn served(&self) -> impl Iterator<Item = &Version> {
        let serving = self.entries.iter().rev().filter(|entry| entry.action != Action::Block);
        serving.map(|entry| &entry.version).filter(|version| !self.blocked.contains_key(*version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(digit: char) -> Version {
        digit.to_string().repeat(12).parse().unwrap()
    }

    fn log(steps: &[(Action, char)]) -> Log {
        let mut log = Log::default();
        for (place, (action, digit)) in steps.iter().enumerate() {
            log.add(Entry {
                number: place as u64 + 1,
                action: *action,
                version: version(*digit),
                checksum: None,
                previous: log.current().cloned(),
                who: "test".to_owned(),
                why: format!("step {place}"),
                at: jiff::Timestamp::UNIX_EPOCH,
                nonce: String::new(),
            });
        }
        log
    }

    #[test]
    fn the_latest_promotion_is_current_and_the_one_before_is_previous() {
        use Action::{Promote, Rollback};
        assert_eq!(log(&[]).current(), None);
        let two = log(&[(Promote, 'a'), (Promote, 'b')]);
        assert_eq!((two.current(), two.previous()), (Some(&version('b')), Some(&version('a'))));
        let back = log(&[(Promote, 'a'), (Promote, 'b'), (Rollback, 'a')]);
        assert_eq!((back.current(), back.previous()), (Some(&version('a')), Some(&version('b'))));
        let often = log(&[(Promote, 'a'), (Promote, 'b'), (Promote, 'a'), (Promote, 'c'), (Promote, 'b')]);
        assert_eq!(often.served_before(), [&version('c'), &version('a')]);
    }

    #[test]
    fn a_blocked_version_does_not_serve_until_it_is_promoted_again() {
        use Action::{Block, Promote, Rollback};
        let blocked = log(&[(Promote, 'a'), (Promote, 'b'), (Block, 'b')]);
        assert_eq!(blocked.current(), Some(&version('a')), "blocking the current version rolls it back");
        assert_eq!(blocked.previous(), None);
        assert_eq!(blocked.blocked(&version('b')).unwrap().why, "step 2");
        let settled = log(&[(Promote, 'a'), (Promote, 'b'), (Block, 'b'), (Rollback, 'a')]);
        assert_eq!(settled.current(), Some(&version('a')));
        let forced = log(&[(Promote, 'a'), (Promote, 'b'), (Block, 'b'), (Promote, 'b')]);
        assert_eq!(forced.current(), Some(&version('b')));
        assert_eq!(forced.blocked(&version('b')), None);
        let nothing = log(&[(Promote, 'a'), (Block, 'a')]);
        assert_eq!(nothing.current(), None);
    }

    #[test]
    fn names_of_entries_are_exact() {
        assert_eq!(Entry::name(42), "00000042.json");
        assert_eq!(Entry::number("00000042.json"), Some(42));
        assert_eq!(Entry::number(&Entry::name(123_456_789)), Some(123_456_789));
        for name in
            ["42.json", "00000042.jso", "00000042.json~", "0000004x.json", "+0000042.json", "x/00000042.json"]
        {
            assert_eq!(Entry::number(name), None, "{name}");
        }
        // There is no entry before the first one, and always a number after the last one.
        for number in [0, u64::MAX] {
            assert_eq!(Entry::number(&Entry::name(number)), None, "{number}");
        }
    }
}
