//! Which model a VERSION means: the one whose whole hashes the manifest and the promotion log record.
//!
//! A VERSION is 48 bits of a hash: two models that share one are made in a minute. So whatever decides (publishing, repairing,
//! promoting, serving) compares the whole SHA-256: the checksum of the model's content, and the SHA-256 of the file.

use super::log::Log;
use super::manifest::Manifest;
use super::{RegistryError, Store, Version};
use nunchi_model::Model;

/// A version as it was read: its file is the manifest's, and its model is the one that manifest and log name.
pub(super) struct Verified {
    pub(super) manifest: Manifest,
    pub(super) model: Model,
}

impl Log {
    /// Checks that no entry names another model with this VERSION than that of `checksum`, which was found `here`. Entries of
    /// older versions of nunchi name none.
    pub(super) fn check(&self, version: &Version, checksum: &str, here: &str) -> Result<(), RegistryError> {
        let named = self.entries().iter().filter(|entry| entry.version == *version);
        for entry in named {
            if let Some(other) = &entry.checksum
                && other != checksum
            {
                return Err(RegistryError::Ambiguous {
                    version: version.clone(),
                    found: checksum.to_owned(),
                    here: here.to_owned(),
                    other: other.clone(),
                    there: format!("entry {} of the promotion log", entry.number),
                });
            }
        }
        Ok(())
    }

    /// Whether an entry names the model of `checksum` as `version`; `None` if none says which model it means.
    pub(super) fn names(&self, version: &Version, checksum: &str) -> Option<bool> {
        let of_version = || self.entries().iter().filter(|entry| entry.version == *version);
        if of_version().next().is_none() {
            return Some(true);
        }
        let whole = of_version().find_map(|entry| entry.checksum.as_deref())?;
        Some(whole == checksum)
    }
}

impl Manifest {
    /// Checks that `checksum`, that of the model `here`, is the recorded one.
    pub(super) fn check(&self, checksum: &str, here: &str) -> Result<(), RegistryError> {
        match &self.checksum {
            Some(recorded) if recorded != checksum => Err(RegistryError::Ambiguous {
                version: self.version.clone(),
                found: checksum.to_owned(),
                here: here.to_owned(),
                other: recorded.clone(),
                there: "the manifest".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

impl Store {
    /// Reads and verifies `version`, as which `log` must not name another model.
    pub(super) fn read_verified(&self, version: &Version, log: &Log) -> Result<Verified, RegistryError> {
        const HERE: &str = "the model in the store";
        let (manifest, content) = self.fetch(version)?;
        let model = Model::from_bytes(&content)
            .map_err(|error| RegistryError::Model { version: version.clone(), error })?;
        if model.version != version.as_str() {
            let reason = format!("its content is that of version {}", model.version);
            return Err(RegistryError::Damaged { what: format!("the model of {version}"), reason });
        }
        manifest.check(&model.checksum, HERE)?;
        log.check(version, &model.checksum, HERE)?;
        Ok(Verified { manifest, model })
    }

    /// As [`Store::load`], for callers that have read the log.
    pub(super) fn load_named(&self, version: &Version, log: &Log) -> Result<Model, RegistryError> {
        let Verified { manifest, mut model } = self.read_verified(version, log)?;
        // What was measured when it was published counts, not what the file says of itself.
        for measured in manifest.precisions.iter().filter(|measured| !measured.holds()) {
            if let Ok(precision) = measured.precision.parse() {
                model.forbid(precision);
            }
        }
        for measured in &manifest.precisions {
            if let Some(precision) = measured.allows() {
                let found = serde_json::to_value(measured).expect("a measurement is plain JSON");
                model.allow(precision, found);
            }
        }
        Ok(model)
    }
}
