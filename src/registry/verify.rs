//! Verification of a whole store: every version as for serving, and the log.

use super::log::{Entry, Log};
use super::store::entry_path;
use super::{RegistryError, Store, Version, log};
use nunchi_engine::LoadedModel;

/// The result for one version or entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationResult {
    /// What was verified: a version, an entry of the log.
    pub subject: String,
    /// What is wrong with it; `None` if nothing is.
    pub problem: Option<String>,
}

impl Store {
    /// Verifies a version as for serving: sizes, hashes, checksum, weights, golden comments, also with this machine's
    /// kernel.
    ///
    /// # Errors
    /// A store that does not answer. Problems of the version are part of the result.
    pub fn verify(&self, version: &Version) -> Result<VerificationResult, RegistryError> {
        // A log that cannot be read is a problem of its own: see [`Store::verify_log`].
        let log = match self.log() {
            Ok(log) => log,
            Err(error) if error.is_unavailable() => return Err(error),
            Err(_) => Log::default(),
        };
        let problem = match self.check(version, &log) {
            Ok(()) => None,
            Err(error) if error.is_unavailable() => return Err(error),
            Err(error) => Some(error.to_string()),
        };
        Ok(VerificationResult { subject: version.to_string(), problem })
    }

    fn check(&self, version: &Version, log: &Log) -> Result<(), RegistryError> {
        let model = self.read_verified(version, log)?.model;
        LoadedModel::new(model, None).map_err(RegistryError::NotServable).map(|_| ())
    }

    /// Reads the log entry by entry: each can be read, none is missing, and the current version is there.
    ///
    /// # Errors
    /// A store that does not answer. Problems of an entry are part of its result.
    pub fn verify_log(&self) -> Result<Vec<VerificationResult>, RegistryError> {
        let listed = self.objects.list(log::FOLDER)?;
        let mut numbers: Vec<u64> = listed.iter().filter_map(|listed| Entry::number(&listed.name)).collect();
        numbers.sort_unstable();
        let paths: Vec<String> = numbers.iter().map(|number| entry_path(*number)).collect();
        let contents = self.objects.get_all(&paths, log::MAX_BYTES)?;
        let (mut results, mut whole) = (Vec::new(), Log::default());
        for (number, json) in numbers.into_iter().zip(contents) {
            let mut problem = None;
            if number != whole.last() + 1 {
                problem = Some(format!("entries {} to {} are missing", whole.last() + 1, number - 1));
            }
            match Entry::parse(number, &json.unwrap_or_default()) {
                Ok(entry) => whole.add(entry),
                Err(error) => problem = Some(error.to_string()),
            }
            results.push(VerificationResult { subject: format!("entry {number} of the log"), problem });
        }
        if let Some(current) = whole.current() {
            let problem = match self.manifest(current) {
                Ok(_) => None,
                Err(error) if error.is_unavailable() => return Err(error),
                Err(error) => Some(error.to_string()),
            };
            results.push(VerificationResult { subject: format!("the current version {current}"), problem });
        }
        Ok(results)
    }
}
