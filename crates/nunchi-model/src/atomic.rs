//! Files that appear whole or not at all. The one implementation in the workspace.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// Writes `content` to `path` with `.part` at the end and renames: whoever looks, also after a crash, sees the old file or the
/// whole new one.
///
/// The file is synced before it gets its name, because a file system may write a new name before the content that it names; the
/// folder is synced after it, because only then the name is on the disk. The temporary name is always the same, so that what a
/// killed process left is written over and does not take room for ever; a lock on the folder keeps writers apart.
///
/// # Errors
/// What the system reports; nothing is left beside `path` then.
pub fn atomic_write(path: &Path, content: &[u8]) -> io::Result<()> {
    write(path, content, false)
}

/// As [`atomic_write`], readable and writable by the owner only (mode 0600), also where a file of another mode is replaced:
/// for what quotes comments.
///
/// # Errors
/// What the system reports; nothing is left beside `path` then.
pub fn atomic_write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    write(path, content, true)
}

fn write(path: &Path, content: &[u8], private: bool) -> io::Result<()> {
    let mut part = path.file_name().ok_or_else(|| io::Error::other("this names no file"))?.to_owned();
    part.push(".part");
    let part = path.with_file_name(part);
    let folder = File::open(folder(path))?;
    // Not every file system locks folders; then nothing but the caller keeps two writers of one file apart.
    let _ = folder.lock();
    let opened = if private { create_private(&part) } else { File::create(&part) };
    let written = opened.and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.and_then(|()| rename_synced(&part, path)).inspect_err(|_| {
        // The room it took is needed; if this fails too, the first error says more.
        let _ = std::fs::remove_file(&part);
    })
}

/// Creates or empties `path`, with mode 0600 from the beginning: a `.part` file that a killed process left may have another.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    if file.metadata()?.is_file() {
        // One that was there keeps its mode otherwise; before the first byte is in it.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
        file.set_len(0)?;
    }
    Ok(file)
}

/// Gives the file `from`, whose content is synced, the name `to` in the same folder, and syncs the folder.
///
/// # Errors
/// What the system reports.
pub fn rename_synced(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    File::open(folder(to))?.sync_all()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_of_one_file_do_not_mix() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("file");
        std::thread::scope(|threads| {
            for writer in 0..4u8 {
                let path = &path;
                threads.spawn(move || {
                    for _ in 0..20 {
                        atomic_write(path, &[writer; 70_000]).expect("the folder can be written");
                        let found = std::fs::read(path).expect("it is there");
                        assert!(found.len() == 70_000 && found.iter().all(|byte| *byte == found[0]));
                    }
                });
            }
        });
    }

    #[cfg(unix)]
    #[test]
    fn private_files_are_the_owners_alone_also_where_others_were() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        let path = folder.path().join("report.html");
        for left in [&path, &folder.path().join("report.html.part")] {
            std::fs::write(left, "an older and longer one, for everybody").expect("it can be written");
            std::fs::set_permissions(left, std::fs::Permissions::from_mode(0o666)).expect("it is ours");
        }
        atomic_write_private(&path, b"content").expect("the folder can be written");
        assert_eq!((mode(&path), std::fs::read(&path).expect("it is there")), (0o600, b"content".to_vec()));
        std::fs::remove_file(&path).expect("it is there");
        atomic_write_private(&path, b"content").expect("the folder can be written");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("file");
        for content in [&b"old"[..], b"newer content"] {
            atomic_write(&path, content).expect("the folder can be written");
            assert_eq!(std::fs::read(&path).expect("it is there"), content);
        }
        std::fs::write(folder.path().join("file.part"), "left by a killed process")
            .expect("it can be written");
        atomic_write(&path, b"new").expect("the folder can be written");
        assert_eq!(std::fs::read(&path).expect("it is there"), b"new");
        assert!(atomic_write(&folder.path().join("no/such/folder"), b"").is_err());
        // A folder cannot be replaced by a file.
        std::fs::create_dir(folder.path().join("taken")).expect("a folder can be made");
        assert!(atomic_write(&folder.path().join("taken"), b"content").is_err());
        let names = std::fs::read_dir(folder.path()).expect("it is there").count();
        assert_eq!(names, 2, "what failed is taken away");
    }
}
