//! Objects by path: a folder, S3, Google Cloud Storage or Azure behind one small blocking interface.
//!
//! Every call blocks its thread; an own runtime of one thread drives the clients, so that plain threads can call. Never
//! call from inside an async task. Credentials come from the environment, as the clouds' own tools read them, and are never
//! part of the URL.

use super::RegistryError;
use super::folder::{self, Unreadable};
use super::name::shortened;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientConfigKey, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, RetryConfig};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tokio::runtime::Runtime;
use url::Url;

/// Concurrent reads.
const MAX_CONCURRENT_READS: usize = 16;
/// Longest time for one request with its body; enough for a large model on a slow connection.
const REQUEST_TIMEOUT: &str = "600 seconds";
/// Longest time without a byte from the server.
const READ_TIMEOUT: &str = "20 seconds";
/// Longest time for a connection.
const CONNECT_TIMEOUT: &str = "5 seconds";
/// How long a failed request is retried.
const RETRY_TIMEOUT: Duration = Duration::from_secs(15);
/// Most objects of one listing, and most bytes of several objects together. A store is shared and its writers may be
/// malicious or faulty: reading it must not exhaust memory.
const LIMITS: Limits = Limits { objects: 1_000_000, bytes: 1 << 30 };

#[derive(Clone, Copy, Debug)]
struct Limits {
    objects: usize,
    bytes: u64,
}

/// A store of objects below a prefix.
#[derive(Debug)]
pub(super) struct Objects {
    store: Box<dyn ObjectStore>,
    prefix: Path,
    url: String,
    /// Of a folder: it must be there, or the store is unavailable (an empty listing would look like an empty store).
    folder: Option<PathBuf>,
    runtime: Runtime,
    limits: Limits,
}

/// An object of a listing.
#[derive(Clone, Debug)]
pub(super) struct ObjectInfo {
    /// The name below the folder that was listed.
    pub name: String,
    /// When it was written.
    pub modified: SystemTime,
}

impl Objects {
    /// The store at `url`: a folder's path, `file://`, `s3://`, `gs://` or `az://`. A folder that is missing is made if
    /// `create`.
    pub(super) fn open(url: &str, create: bool) -> Result<Self, RegistryError> {
        let unusable = |reason: String| RegistryError::Url { url: redacted(url), reason };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(2)
            .thread_keep_alive(Duration::from_millis(200))
            .thread_name("nunchi-store")
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        if let Some(folder) = folder(url).map_err(unusable)? {
            return Objects::open_folder(folder, create, runtime);
        }
        let parsed = Url::parse(url).map_err(|error| unusable(error.to_string()))?;
        if !parsed.username().is_empty() && parsed.scheme() != "abfss" && parsed.scheme() != "abfs"
            || parsed.password().is_some()
            || parsed.query().is_some()
        {
            return Err(unusable("the URL contains credentials; set them in the environment".to_owned()));
        }
        let prefix = Path::from_url_path(parsed.path()).map_err(|error| unusable(error.to_string()))?;
        let store = cloud(&parsed).map_err(unusable)?;
        Ok(Objects { store, prefix, url: redacted(url), folder: None, runtime, limits: LIMITS })
    }

    fn open_folder(folder: PathBuf, create: bool, runtime: Runtime) -> Result<Self, RegistryError> {
        let shown = folder.display().to_string();
        let refused = |reason: String| RegistryError::Url { url: shown.clone(), reason };
        if create {
            std::fs::create_dir_all(&folder).map_err(|error| refused(error.to_string()))?;
        }
        if !folder.is_dir() {
            return Err(RegistryError::NoFolder(shown));
        }
        // Written files and their folders reach the disk before a write counts; creation is a hard link, which fails if
        // the name is taken (POSIX `link`).
        let store = LocalFileSystem::new_with_prefix(&folder)
            .map_err(|error| refused(error.to_string()))?
            .with_fsync(true);
        Ok(Objects {
            store: Box::new(store),
            prefix: Path::default(),
            url: shown,
            folder: Some(folder),
            runtime,
            limits: LIMITS,
        })
    }

    /// The store's URL for display.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The whole object, unless it is not there; more than `max_bytes` are refused unread.
    pub(super) fn get(&self, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, RegistryError> {
        self.check_folder()?;
        self.runtime.block_on(self.fetch(path, max_bytes))
    }

    /// Several objects, in order. All of them are in memory at once: together they are bounded, too.
    pub(super) fn get_all(
        &self,
        paths: &[String],
        max_bytes: u64,
    ) -> Result<Vec<Option<Vec<u8>>>, RegistryError> {
        self.check_folder()?;
        let fetches = futures_util::stream::iter(paths)
            .map(|path| self.fetch(path, max_bytes))
            .buffered(MAX_CONCURRENT_READS);
        let Limits { bytes: max_total, .. } = self.limits;
        let add = |(mut contents, total): (Vec<Option<Vec<u8>>>, u64), content: Option<Vec<u8>>| {
            let total = total + content.as_ref().map_or(0, |content| content.len() as u64);
            contents.push(content);
            std::future::ready(if total > max_total {
                let reason = format!("together they have more than the limit of {max_total} bytes");
                Err(RegistryError::Damaged {
                    what: format!("the {} objects of this read", paths.len()),
                    reason,
                })
            } else {
                Ok((contents, total))
            })
        };
        self.runtime.block_on(fetches.try_fold((Vec::new(), 0), add)).map(|(contents, _)| contents)
    }

    async fn fetch(&self, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, RegistryError> {
        if let Some(folder) = &self.folder {
            return folder::read(&folder.join(path), max_bytes).map_err(|error| match error {
                Unreadable::Damaged(reason) => RegistryError::Damaged { what: path.to_owned(), reason },
                Unreadable::System(error) => self.unreachable(&format!("reading {path}"), &error),
            });
        }
        let found = match self.store.get(&self.path(path)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.unavailable(&format!("reading {path}"), &error)),
        };
        let bytes = found.meta.size;
        if bytes > max_bytes {
            let reason = format!("it has {bytes} bytes, more than the limit of {max_bytes}");
            return Err(RegistryError::Damaged { what: path.to_owned(), reason });
        }
        let content =
            found.bytes().await.map_err(|error| self.unavailable(&format!("reading {path}"), &error))?;
        if content.len() as u64 != bytes {
            let reason = format!("{bytes} bytes were announced, {} were received", content.len());
            return Err(RegistryError::Damaged { what: path.to_owned(), reason });
        }
        Ok(Some(content.into()))
    }

    /// Creates an object; false if it exists already. Durable when this returns.
    pub(super) fn create(&self, path: &str, content: Vec<u8>) -> Result<bool, RegistryError> {
        self.put(path, content, PutMode::Create)
    }

    /// Writes an object, replacing an existing one.
    pub(super) fn replace(&self, path: &str, content: Vec<u8>) -> Result<(), RegistryError> {
        self.put(path, content, PutMode::Overwrite).map(|_| ())
    }

    fn put(&self, path: &str, content: Vec<u8>, mode: PutMode) -> Result<bool, RegistryError> {
        self.check_folder()?;
        let options = PutOptions { mode, ..PutOptions::default() };
        let location = self.path(path);
        match self.runtime.block_on(self.store.put_opts(&location, content.into(), options)) {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(false)
            }
            Err(error) => Err(self.unavailable(&format!("writing {path}"), &error)),
        }
    }

    /// Removes an object; a missing one is not an error.
    pub(super) fn delete(&self, path: &str) -> Result<(), RegistryError> {
        self.check_folder()?;
        match self.runtime.block_on(self.store.delete(&self.path(path))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.unavailable(&format!("removing {path}"), &error)),
        }
    }

    /// Every object below `folder`, in the order of names.
    pub(super) fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, RegistryError> {
        self.check_folder()?;
        let Limits { objects: max_objects, .. } = self.limits;
        let mut listed = match &self.folder {
            Some(root) => folder::list(&root.join(folder), max_objects)
                .map_err(|error| self.unreachable(&format!("listing {folder}"), &error))?,
            None => self.list_cloud(folder, max_objects)?,
        };
        if listed.len() > max_objects {
            let reason = format!("it has more than the limit of {max_objects} objects");
            return Err(RegistryError::Damaged { what: format!("the folder {folder}"), reason });
        }
        listed.sort();
        Ok(listed.into_iter().map(|(name, modified)| ObjectInfo { name, modified }).collect())
    }

    /// Names below `folder` and when they were written; at most `max_objects` and one more.
    fn list_cloud(
        &self,
        folder: &str,
        max_objects: usize,
    ) -> Result<Vec<(String, SystemTime)>, RegistryError> {
        let below = self.path(folder);
        let found = self.store.list(Some(&below)).take(max_objects + 1);
        let found: Vec<object_store::ObjectMeta> = self
            .runtime
            .block_on(found.try_collect())
            .map_err(|error| self.unavailable(&format!("listing {folder}"), &error))?;
        let name = |meta: object_store::ObjectMeta| {
            let name = meta.location.prefix_match(&below)?.map(|part| part.as_ref().to_owned());
            Some((name.collect::<Vec<_>>().join("/"), meta.last_modified.into()))
        };
        Ok(found.into_iter().filter_map(name).collect())
    }

    /// A missing folder (an unmounted disk) must not look like an empty store.
    fn check_folder(&self) -> Result<(), RegistryError> {
        match &self.folder {
            Some(folder) if !folder.is_dir() => Err(RegistryError::NoFolder(self.url.clone())),
            _ => Ok(()),
        }
    }

    fn path(&self, path: &str) -> Path {
        path.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn unreachable(&self, doing: &str, error: &std::io::Error) -> RegistryError {
        RegistryError::Unavailable {
            url: self.url.clone(),
            doing: doing.to_owned(),
            reason: error.to_string(),
        }
    }

    fn unavailable(&self, doing: &str, error: &object_store::Error) -> RegistryError {
        RegistryError::Unavailable { url: self.url.clone(), doing: doing.to_owned(), reason: reason(error) }
    }
}

/// The folder that `url` names, if it names one.
fn folder(url: &str) -> Result<Option<PathBuf>, String> {
    if url.trim().is_empty() {
        return Err(format!("it is empty; {SCHEMES}"));
    }
    match url.split_once("://") {
        None => Ok(Some(PathBuf::from(url))),
        Some(("file", _)) => {
            let parsed = Url::parse(url).map_err(|error| error.to_string())?;
            parsed.to_file_path().map(Some).map_err(|()| {
                "a file URL has three slashes and an absolute path, such as file:///var/lib/nunchi/models"
                    .to_owned()
            })
        }
        Some(_) => Ok(None),
    }
}

const SCHEMES: &str =
    "a store is a folder, file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX";

/// The client of a cloud's store, with credentials from the environment.
fn cloud(url: &Url) -> Result<Box<dyn ObjectStore>, String> {
    let retry = RetryConfig { max_retries: 4, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
    let limits = [
        (ClientConfigKey::Timeout, REQUEST_TIMEOUT),
        (ClientConfigKey::ReadTimeout, READ_TIMEOUT),
        (ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT),
    ];
    let failed = |error: object_store::Error| reason(&error);
    match url.scheme() {
        "s3" | "s3a" => {
            let mut builder = AmazonS3Builder::from_env().with_url(url.as_str()).with_retry(retry);
            for (key, value) in limits {
                builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
            }
            Ok(Box::new(builder.build().map_err(failed)?))
        }
        "gs" => {
            let mut builder = GoogleCloudStorageBuilder::from_env().with_url(url.as_str()).with_retry(retry);
            for (key, value) in limits {
                builder = builder.with_config(GoogleConfigKey::Client(key), value);
            }
            Ok(Box::new(builder.build().map_err(failed)?))
        }
        "az" | "azure" | "adl" | "abfs" | "abfss" => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_url(url.as_str()).with_retry(retry);
            for (key, value) in limits {
                builder = builder.with_config(AzureConfigKey::Client(key), value);
            }
            Ok(Box::new(builder.build().map_err(failed)?))
        }
        other => Err(format!("unsupported scheme {other}://; {SCHEMES}")),
    }
}

/// The URL for display: without parts that may be secret.
fn redacted(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if parsed.has_host() => {
            // Neither fails for a URL that has a host.
            let _ = parsed.set_password(None);
            parsed.set_query(None);
            shortened(parsed.as_str())
        }
        _ => shortened(url),
    }
}

/// The error with its sources, in one line of at most 400 characters.
fn reason(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = inner.source();
    }
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        Objects::open(url, false).unwrap_err().to_string()
    }

    #[test]
    fn urls_that_name_no_store_are_refused_with_the_supported_forms() {
        assert!(refusal("").contains("a store is a folder"), "{}", refusal(""));
        assert!(refusal("ftp://host/x").contains("s3://BUCKET/PREFIX"), "{}", refusal("ftp://host/x"));
        assert!(refusal("file://host").contains("three slashes"), "{}", refusal("file://host"));
        assert!(refusal("/no/such/folder").contains("there is no folder /no/such/folder"));
    }

    #[test]
    fn secrets_in_urls_are_refused_and_not_shown() {
        for url in ["s3://key:secret@bucket/x", "az://container/x?sig=secret"] {
            let message = refusal(url);
            assert!(message.contains("environment") && !message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn created_objects_are_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::open(folder.path().to_str().unwrap(), false).unwrap();
        assert!(objects.create("a/b.json", b"first".to_vec()).unwrap());
        assert!(!objects.create("a/b.json", b"second".to_vec()).unwrap());
        assert_eq!(objects.get("a/b.json", 10).unwrap().unwrap(), b"first");
        assert!(objects.get("a/c.json", 10).unwrap().is_none());
        assert!(objects.get("a/b.json", 4).unwrap_err().to_string().contains("5 bytes"));
        objects.create("a/c/d.json", b"third".to_vec()).unwrap();
        let names: Vec<String> = objects.list("a").unwrap().into_iter().map(|listed| listed.name).collect();
        assert_eq!(names, ["b.json", "c/d.json"]);
        objects.delete("a/b.json").unwrap();
        objects.delete("a/b.json").unwrap();
        drop(folder);
        assert!(objects.list("a").unwrap_err().is_unavailable());
    }

    #[test]
    fn reads_from_a_store_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut objects = Objects::open(folder.path().to_str().unwrap(), false).unwrap();
        let paths: Vec<String> = (0..4).map(|number| format!("a/{number}")).collect();
        for path in &paths {
            objects.create(path, b"1234".to_vec()).unwrap();
        }
        objects.limits = Limits { objects: 4, bytes: 16 };
        assert_eq!(objects.list("a").unwrap().len(), 4);
        assert_eq!(objects.get_all(&paths, 4).unwrap().len(), 4);
        objects.limits = Limits { objects: 3, bytes: 15 };
        let error = objects.list("a").unwrap_err();
        assert!(
            error.to_string().contains("more than the limit of 3 objects") && !error.is_unavailable(),
            "{error}"
        );
        let error = objects.get_all(&paths, 4).unwrap_err();
        assert!(
            error.to_string().contains("more than the limit of 15 bytes") && !error.is_unavailable(),
            "{error}"
        );
    }
}
