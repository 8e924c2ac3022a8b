//! Verifying a whole store: every version as if it were to serve, and the log.

use super::log::{Entry, Log};
use super::store::{entry_path, read};
use super::{RegistryError, Store, Version, log};
use nunchi_engine::LoadedModel;

/// What was found of one thing in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: a version, an entry of the log.
    pub what: String,
    /// What is wrong with it; `None` if nothing is.
    pub wrong: Option<String>,
}

impl Store {
    /// Reads a version as if it were to serve: sizes, hashes, checksum, weights, golden comments, also with this machine's
    /// kernel.
    ///
    /// # Errors
    /// A store that does not answer. What is wrong with the version stands in the finding.
    pub fn verify(&self, version: &Version) -> Result<Finding, RegistryError> {
        let wrong = match self.check(version) {
            Ok(()) => None,
            Err(error) if error.is_away() => return Err(error),
            Err(error) => Some(error.to_string()),
        };
        Ok(Finding { what: version.to_string(), wrong })
    }

    fn check(&self, version: &Version) -> Result<(), RegistryError> {
        let (_, content) = self.fetch(version)?;
        LoadedModel::new(read(version, &content)?, None).map_err(RegistryError::Unfit).map(|_| ())
    }

    /// Reads the log entry by entry: each can be read, none is missing, and the current version is there.
    ///
    /// # Errors
    /// A store that does not answer. What is wrong with an entry stands in its finding.
    pub fn verify_log(&self) -> Result<Vec<Finding>, RegistryError> {
        let listed = self.objects.list(log::FOLDER)?;
        let numbers: Vec<u64> = listed.iter().filter_map(|listed| Entry::number(&listed.name)).collect();
        let paths: Vec<String> = numbers.iter().map(|number| entry_path(*number)).collect();
        let contents = self.objects.get_all(&paths, log::MAX_BYTES)?;
        let (mut findings, mut whole) = (Vec::new(), Log::default());
        for (number, json) in numbers.into_iter().zip(contents) {
            let mut wrong = None;
            if number != whole.last() + 1 {
                wrong = Some(format!("entries {} to {} are missing", whole.last() + 1, number - 1));
            }
            match Entry::parse(number, &json.unwrap_or_default()) {
                Ok(entry) => whole.add(entry),
                Err(error) => wrong = Some(error.to_string()),
            }
            findings.push(Finding { what: format!("entry {number} of the log"), wrong });
        }
        if let Some(current) = whole.current() {
            let wrong = self.manifest(current).err();
            if wrong.as_ref().is_some_and(RegistryError::is_away) {
                return Err(wrong.expect("it was just looked at"));
            }
            findings.push(Finding {
                what: format!("the current version {current}"),
                wrong: wrong.map(|error| error.to_string()),
            });
        }
        Ok(findings)
    }
}
