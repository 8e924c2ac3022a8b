//! A file in progress: `FILE.part`, and in `FILE.part.json` how much of it is valid. The file appears under its name when it
//! is complete.
//!
//! Invariant: the offsets in `FILE.part.json` cover nothing but bytes that were brought to the disk before.

use super::super::Plan;
use super::super::error::ReplayError;
use super::rows::FileFormat;
use nunchi_model::{atomic_write, rename_synced};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// What `FILE.part.json` holds.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// The replay's ID.
    id: String,
    /// So many bytes of `FILE.part` are valid.
    bytes: u64,
    /// By partition the offset up to which they hold records.
    offsets: BTreeMap<i32, i64>,
}

/// A file in progress, locked for this process.
pub(super) struct Part {
    path: PathBuf,
    part: PathBuf,
    state: PathBuf,
    id: String,
    file: File,
    format: FileFormat,
}

/// What exists at the file's path.
pub(super) enum Opened {
    /// The whole file; only its completion was not recorded.
    Complete,
    /// A part, perhaps empty.
    Begun {
        /// The file, cut to the valid bytes.
        part: Part,
        /// Where to continue.
        reached: BTreeMap<i32, i64>,
    },
}

/// Checks before a plan is written: the file must not exist, its folder must.
pub(in crate::replay) fn check_new(path: &Path) -> Result<(), ReplayError> {
    FileFormat::of(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(ReplayError::Usage(format!(
            "the folder {} (--to-file) does not exist",
            folder.display()
        )));
    }
    for there in [path, &beside(path, ".part"), &beside(path, ".part.json")] {
        if there.exists() {
            return Err(ReplayError::Usage(format!(
                "{} exists already; move it away, or name another file with --to-file",
                there.display()
            )));
        }
    }
    Ok(())
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

impl Part {
    /// Opens the file's beginning, or makes one. `new`: this process made the plan.
    pub(super) fn open(
        path: &Path,
        format: FileFormat,
        plan: &Plan,
        new: bool,
    ) -> Result<Opened, ReplayError> {
        let (part, state) = (beside(path, ".part"), beside(path, ".part.json"));
        let known = read(&state)?;
        if let Some(other) = known.as_ref().filter(|known| known.id != plan.id) {
            return Err(ReplayError::State(format!(
                "{} belongs to replay `{}`; finish that one, or name another file",
                state.display(),
                other.id
            )));
        }
        if path.exists() && !part.exists() && !new {
            // Killed between the file's appearance and the record of its completion.
            remove(&state)?;
            return Ok(Opened::Complete);
        }
        if path.exists() {
            return Err(ReplayError::State(format!(
                "{} exists, although its replay is not finished; move it away",
                path.display()
            )));
        }
        let failed = |error: std::io::Error| ReplayError::file(&part, error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&part)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(ReplayError::State(format!(
                    "another process writes {}; wait for it, or use another --id and file",
                    part.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let (bytes, reached) = match known.filter(|_| format.goes_on()) {
            Some(known) => (known.bytes, known.offsets),
            None => (0, plan.starts()),
        };
        let length = file.metadata().map_err(failed)?.len();
        if length < bytes {
            return Err(ReplayError::State(format!(
                "{} has {length} bytes, and {bytes} were written; remove it and {} to begin anew",
                part.display(),
                state.display()
            )));
        }
        file.set_len(bytes).map_err(failed)?;
        let part =
            Part { path: path.to_owned(), part: part.clone(), state, id: plan.id.clone(), file, format };
        // From now on the part records which replay it belongs to.
        part.save(bytes, &reached)?;
        Ok(Opened::Begun { part, reached })
    }

    /// The file, at its end.
    pub(super) fn file(&self) -> Result<File, ReplayError> {
        let mut file = self.file.try_clone().map_err(|error| self.failed(error))?;
        file.seek(SeekFrom::End(0)).map_err(|error| self.failed(error))?;
        Ok(file)
    }

    /// The error of a file that cannot be written.
    pub(super) fn failed(&self, error: impl std::fmt::Display) -> ReplayError {
        ReplayError::file(&self.part, error)
    }

    /// `bytes` bytes are on the disk, and hold the records up to `reached`.
    pub(super) fn commit(&self, bytes: u64, reached: &BTreeMap<i32, i64>) -> Result<(), ReplayError> {
        if self.format.goes_on() { self.save(bytes, reached) } else { Ok(()) }
    }

    fn save(&self, bytes: u64, reached: &BTreeMap<i32, i64>) -> Result<(), ReplayError> {
        let state = State { id: self.id.clone(), bytes, offsets: reached.clone() };
        let json = serde_json::to_vec(&state).expect("a part's state has a JSON form");
        atomic_write(&self.state, &json).map_err(|error| ReplayError::file(&self.state, error))
    }

    /// The file is complete and on the disk: it is renamed to its final name.
    pub(super) fn complete(&self) -> Result<(), ReplayError> {
        let named = self.file.sync_all().and_then(|()| rename_synced(&self.part, &self.path));
        named.map_err(|error| ReplayError::file(&self.path, error))?;
        remove(&self.state)
    }
}

fn read(state: &Path) -> Result<Option<State>, ReplayError> {
    match std::fs::read(state) {
        Ok(json) => serde_json::from_slice(&json).map(Some).map_err(|error| ReplayError::file(state, error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ReplayError::file(state, error)),
    }
}

fn remove(state: &Path) -> Result<(), ReplayError> {
    match std::fs::remove_file(state) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ReplayError::file(state, error)),
        _ => Ok(()),
    }
}
