//! A store: its versions, by name.

use super::log::{Entry, Log};
use super::manifest::Manifest;
use super::objects::Objects;
use super::{Name, RegistryError, Version, log, manifest};
use nunchi_model::{MAX_BYTES, Model, hex};
use sha2::{Digest as _, Sha256};
use std::time::SystemTime;

/// A store of versions. Every call blocks: for plain threads, never for async tasks.
#[derive(Debug)]
pub struct Store {
    pub(super) objects: Objects,
}

/// A version's folder, as a listing finds it.
#[derive(Clone, Debug)]
pub struct VersionListing {
    /// The version.
    pub version: Version,
    /// Whether its manifest is written; otherwise it does not exist (yet).
    pub complete: bool,
    /// When the last of its objects was written.
    pub modified: SystemTime,
}

impl Store {
    /// Opens the store at `url`: the path of a folder, `file:///FOLDER`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or
    /// `az://CONTAINER/PREFIX`. Credentials come from the environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`).
    ///
    /// # Errors
    /// A URL that names no store, a folder that is not there. A cloud's store is first contacted by the first operation.
    pub fn open(url: &str) -> Result<Self, RegistryError> {
        Ok(Store { objects: Objects::open(url, false)? })
    }

    /// As [`Store::open`], but creates a missing folder.
    ///
    /// # Errors
    /// A URL that names no store, a folder that cannot be created.
    pub fn open_or_make(url: &str) -> Result<Self, RegistryError> {
        Ok(Store { objects: Objects::open(url, true)? })
    }

    /// The store's URL for display; without secrets.
    pub fn url(&self) -> &str {
        self.objects.url()
    }

    /// The version of that name: a VERSION, a whole checksum, an alias such as `v7`, or `current`. It has a manifest.
    ///
    /// # Errors
    /// A name that is none, a version or alias that is not there, a VERSION as which manifest and log mean two models, nothing
    /// promoted yet, a store that does not answer.
    pub fn resolve(&self, name: &str) -> Result<Version, RegistryError> {
        let mut whole = None;
        let (version, unknown) = match name.parse()? {
            Name::Version(version) => (version.clone(), Some(RegistryError::UnknownVersion(version))),
            Name::Checksum(version, checksum) => {
                whole = Some(checksum);
                (version.clone(), Some(RegistryError::UnknownVersion(version)))
            }
            Name::Alias(number) => {
                let unknown = || RegistryError::UnknownAlias(number);
                // The alias of a publisher that failed before the manifest stays.
                (self.alias(number)?.ok_or_else(unknown)?, Some(unknown()))
            }
            Name::Current => {
                let log = self.log()?;
                let current = log.current().cloned();
                (current.ok_or_else(|| RegistryError::NothingPromoted(self.url().to_owned()))?, None)
            }
        };
        match self.manifest(&version) {
            Ok(manifest) => {
                if let Some(checksum) = whole {
                    manifest.check(&checksum, "the name")?;
                }
                if let Some(checksum) = &manifest.checksum {
                    self.log()?.check(&version, checksum, "the manifest")?;
                }
                Ok(version)
            }
            // A name that the user gave is a usage error; a missing current version is a fault of the store.
            Err(error @ RegistryError::NoVersion(_)) => Err(unknown.unwrap_or(error)),
            Err(error) => Err(error),
        }
    }

    /// The manifest of a version.
    ///
    /// # Errors
    /// A version that is not there, a manifest that cannot be read, a store that does not answer.
    pub fn manifest(&self, version: &Version) -> Result<Manifest, RegistryError> {
        let json = self.objects.get(&manifest_path(version), manifest::MAX_BYTES)?;
        Manifest::parse(version, &json.ok_or_else(|| RegistryError::NoVersion(version.clone()))?)
    }

    /// The content of a version's model file: its size and SHA-256 are those of the manifest.
    ///
    /// # Errors
    /// A version that is not there or is damaged, a store that does not answer.
    pub fn fetch(&self, version: &Version) -> Result<(Manifest, Vec<u8>), RegistryError> {
        let manifest = self.manifest(version)?;
        let damaged =
            |reason: String| RegistryError::Damaged { what: format!("the model of {version}"), reason };
        if manifest.bytes > MAX_BYTES {
            return Err(damaged(format!(
                "its manifest states {} bytes, more than the limit of a model",
                manifest.bytes
            )));
        }
        let content = self.objects.get(&model_path(version), manifest.bytes)?;
        let content = content.ok_or_else(|| damaged("the model file is missing".to_owned()))?;
        if content.len() as u64 != manifest.bytes {
            return Err(damaged(format!("it has {} bytes instead of {}", content.len(), manifest.bytes)));
        }
        let found = hex(&Sha256::digest(&content));
        if found != manifest.sha256 {
            let recorded = super::name::shortened(&manifest.sha256);
            return Err(damaged(format!("its SHA-256 is {found} instead of {recorded}")));
        }
        Ok((manifest, content))
    }

    /// A version's model, verified: it is what was published and promoted, and it loads.
    ///
    /// # Errors
    /// A version that is not there, is damaged, is refused as a model or is another model than the log's; a store that does not
    /// answer.
    pub fn load(&self, version: &Version) -> Result<Model, RegistryError> {
        self.load_named(version, &self.log()?)
    }

    /// Every folder of a version, in the order of their VERSIONs; what is no version's folder is passed over.
    ///
    /// # Errors
    /// A store that does not answer.
    pub fn list_versions(&self) -> Result<Vec<VersionListing>, RegistryError> {
        let mut found: Vec<VersionListing> = Vec::new();
        for listed in self.objects.list(VERSIONS)? {
            let Some((folder, file)) = listed.name.split_once('/') else { continue };
            let Ok(version) = folder.parse::<Version>() else { continue };
            if found.last().is_none_or(|last| last.version != version) {
                found.push(VersionListing { version, complete: false, modified: listed.modified });
            }
            let last = found.last_mut().expect("one was pushed if there was none");
            last.complete |= file == MANIFEST;
            last.modified = last.modified.max(listed.modified);
        }
        Ok(found)
    }

    /// The manifests of all versions that are there, oldest first. A manifest that cannot be read is an error in its place.
    ///
    /// # Errors
    /// A store that does not answer.
    pub fn manifests(&self) -> Result<Vec<Result<Manifest, RegistryError>>, RegistryError> {
        let complete: Vec<Version> = self
            .list_versions()?
            .into_iter()
            .filter(|found| found.complete)
            .map(|found| found.version)
            .collect();
        let paths: Vec<String> = complete.iter().map(manifest_path).collect();
        let contents = self.objects.get_all(&paths, manifest::MAX_BYTES)?;
        let parse = |(version, json): (&Version, Option<Vec<u8>>)| {
            json.map(|json| Manifest::parse(version, &json)) // Pruned in between: not there.
        };
        let mut manifests: Vec<_> = complete.iter().zip(contents).filter_map(parse).collect();
        manifests.sort_by_key(|manifest| manifest.as_ref().map(|manifest| manifest.created_at).ok());
        Ok(manifests)
    }

    /// The whole promotion log.
    ///
    /// # Errors
    /// An entry that cannot be read, a store that does not answer.
    pub fn log(&self) -> Result<Log, RegistryError> {
        self.read_log()
    }

    /// Reads the entries after those of `log`, by requesting the next number; whether there were any. If the last
    /// entry of `log` has changed or is missing, the store was replaced, and the whole log is read. On an
    /// error `log` is unchanged.
    ///
    /// # Errors
    /// An entry that cannot be read, a store that does not answer.
    pub fn read_on(&self, log: &mut Log) -> Result<bool, RegistryError> {
        let known = match log.entries().last() {
            Some(last) => self.entry(last.number)?.as_ref() == Some(last),
            None => false,
        };
        if !known {
            let (before, anew) = (log.last(), self.read_log()?);
            *log = anew;
            return Ok(log.last() != before);
        }
        let mut next = Vec::new();
        while let Some(entry) = self.entry(log.last() + next.len() as u64 + 1)? {
            next.push(entry);
            if next.len() == MAX_SINGLE_READS {
                *log = self.read_log()?;
                return Ok(true);
            }
        }
        let any = !next.is_empty();
        next.into_iter().for_each(|entry| log.add(entry));
        Ok(any)
    }

    /// Every entry that a listing finds.
    fn read_log(&self) -> Result<Log, RegistryError> {
        let listed = self.objects.list(log::FOLDER)?;
        let mut numbers: Vec<u64> = listed.iter().filter_map(|listed| Entry::number(&listed.name)).collect();
        // Names of more than eight digits are not in the order of their numbers.
        numbers.sort_unstable();
        let paths: Vec<String> = numbers.iter().map(|number| entry_path(*number)).collect();
        let mut log = Log::default();
        for (number, json) in numbers.into_iter().zip(self.objects.get_all(&paths, log::MAX_BYTES)?) {
            if let Some(json) = json {
                log.add(Entry::parse(number, &json)?);
            }
        }
        Ok(log)
    }

    fn entry(&self, number: u64) -> Result<Option<Entry>, RegistryError> {
        let json = self.objects.get(&entry_path(number), log::MAX_BYTES)?;
        json.map(|json| Entry::parse(number, &json)).transpose()
    }

    /// The version that an alias names.
    fn alias(&self, number: u32) -> Result<Option<Version>, RegistryError> {
        let Some(json) = self.objects.get(&alias_path(number), MAX_ALIAS_BYTES)? else { return Ok(None) };
        let alias: Alias = serde_json::from_slice(&json).map_err(|error| RegistryError::Damaged {
            what: format!("the alias v{number}"),
            reason: format!("it cannot be read ({error})"),
        })?;
        Ok(Some(alias.version))
    }

    /// Assigns `version` the lowest number above all assigned ones. The number of a failed publisher is not reused.
    pub(super) fn assign_alias(&self, version: &Version) -> Result<u32, RegistryError> {
        let number = |name: &str| match name.strip_suffix(".json")?.parse() {
            Ok(Name::Alias(number)) => Some(number),
            _ => None,
        };
        let listed = self.objects.list(ALIASES)?;
        let mut next = listed.iter().filter_map(|listed| number(&listed.name)).max().unwrap_or(0) + 1;
        let content = serde_json::to_vec(&Alias { version: version.clone() }).expect("an alias is JSON");
        while !self.objects.create(&alias_path(next), content.clone())? {
            // Another publisher took this number.
            next += 1;
        }
        Ok(next)
    }
}

/// `aliases/v7.json`
#[derive(serde::Serialize, serde::Deserialize)]
struct Alias {
    version: Version,
}

/// New entries of the log that are read one by one. Of more, a listing finds all within its bounds, and reads them faster.
const MAX_SINGLE_READS: usize = 64;
/// Largest alias in bytes.
const MAX_ALIAS_BYTES: u64 = 1 << 12;
const VERSIONS: &str = "versions";
const ALIASES: &str = "aliases";
const MANIFEST: &str = "manifest.json";

pub(super) fn manifest_path(version: &Version) -> String {
    format!("{VERSIONS}/{version}/{MANIFEST}")
}

pub(super) fn model_path(version: &Version) -> String {
    format!("{VERSIONS}/{version}/model.safetensors")
}

pub(super) fn entry_path(number: u64) -> String {
    format!("{}/{}", log::FOLDER, Entry::name(number))
}

fn alias_path(number: u32) -> String {
    format!("{ALIASES}/v{number}.json")
}
