//! The files of a folder store. Others may write there: what lies under a name may be anything.
//!
//! Not `LocalFileSystem`, which waits for a writer when it opens a FIFO, and whose listing fails for the whole folder where one
//! link leads to itself.

use nunchi_model::open_regular;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::SystemTime;

/// Levels below a folder that are listed: `versions/VERSION/FILE`.
const MAX_DEPTH: usize = 2;

/// Why a file cannot be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// What lies there is no file that was published, and never will be.
    Damaged(String),
    /// The system's error; later it may be gone.
    System(io::Error),
}

/// The content of the file at `path`, unless it is not there; more than `max_bytes` are refused unread.
pub(super) fn read(path: &Path, max_bytes: u64) -> Result<Option<Vec<u8>>, Unreadable> {
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return Err(Unreadable::Damaged(error.to_string()));
        }
        Err(error) => return Err(Unreadable::System(error)),
    };
    let bytes = file.metadata().map_err(Unreadable::System)?.len();
    if bytes > max_bytes {
        let reason = format!("it has {bytes} bytes, more than the limit of {max_bytes}");
        return Err(Unreadable::Damaged(reason));
    }
    let mut content = Vec::with_capacity(bytes as usize);
    file.take(bytes).read_to_end(&mut content).map_err(Unreadable::System)?;
    Ok(Some(content))
}

/// The regular files below `folder` by their names relative to it, with the time of their last change; at most `max_files`
/// and one more. Links to files and folders count as these; what cannot be looked at is passed over.
pub(super) fn list(folder: &Path, max_files: usize) -> io::Result<Vec<(String, SystemTime)>> {
    let mut found = Vec::new();
    add(folder, "", MAX_DEPTH, max_files, &mut found)?;
    Ok(found)
}

fn add(
    folder: &Path,
    prefix: &str,
    depth: usize,
    max_files: usize,
    found: &mut Vec<(String, SystemTime)>,
) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // Nothing was written yet, or it was removed meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if found.len() > max_files {
            return Ok(());
        }
        let name = entry.file_name();
        let (Some(name), Ok(metadata)) = (name.to_str(), std::fs::metadata(entry.path())) else { continue };
        if metadata.is_file() {
            found.push((format!("{prefix}{name}"), metadata.modified()?));
        } else if metadata.is_dir() && depth > 1 {
            add(&entry.path(), &format!("{prefix}{name}/"), depth - 1, max_files, found)?;
        }
    }
    Ok(())
}
