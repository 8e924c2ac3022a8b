//! Pruning: removes old versions, keeps those that may be needed.

use super::store::{manifest_path, model_path};
use super::{RegistryError, Store, Version};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

/// A version without a manifest is kept this long: it may be being published.
const UNFINISHED: Duration = Duration::from_secs(24 * 3600);

/// A version that was pruned, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// The version.
    pub version: Version,
    /// Its alias; `None` if its publisher failed before the manifest.
    pub alias: Option<String>,
}

impl Store {
    /// Removes all versions but the `keep` newest, the current one, the previous one, and those that the last `entries`
    /// entries of the log name; and incomplete versions that are older than a day. With `dry_run` nothing is removed. Aliases are
    /// never reused.
    ///
    /// A version that is promoted while it is pruned may be removed: then the promotion fails, or running processes
    /// refuse the version and keep their model.
    ///
    /// # Errors
    /// A log that cannot be read; a store that does not answer.
    pub fn prune(&self, keep: usize, entries: usize, dry_run: bool) -> Result<Vec<Pruned>, RegistryError> {
        let log = self.log()?;
        let mut kept: BTreeSet<Version> = log.current().into_iter().chain(log.previous()).cloned().collect();
        for entry in log.entries().iter().rev().take(entries) {
            kept.insert(entry.version.clone());
            kept.extend(entry.previous.clone());
        }
        let manifests: Vec<_> = self.manifests()?.into_iter().filter_map(Result::ok).collect();
        kept.extend(manifests.iter().rev().take(keep).map(|manifest| manifest.version.clone()));

        let mut pruned = Vec::new();
        for manifest in manifests.into_iter().filter(|manifest| !kept.contains(&manifest.version)) {
            pruned.push(Pruned { version: manifest.version, alias: Some(manifest.alias) });
        }
        let old = |modified: SystemTime| modified.elapsed().is_ok_and(|age| age > UNFINISHED);
        for found in self.list_versions()?.into_iter().filter(|found| !found.complete && old(found.modified))
        {
            pruned.push(Pruned { version: found.version, alias: None });
        }
        if !dry_run {
            for Pruned { version, .. } in &pruned {
                // The manifest first: without it the version does not exist.
                self.objects.delete(&manifest_path(version))?;
                self.objects.delete(&model_path(version))?;
            }
        }
        Ok(pruned)
    }
}
