//! Opening what may be no file: a FIFO would block the open until somebody writes, a device would never end.

use std::fs::{File, FileType};
use std::io;
use std::path::Path;

/// Opens the regular file at `path` for reading. Never waits: a FIFO that nobody writes to is refused as any other.
///
/// # Errors
/// What the system reports; [`io::ErrorKind::InvalidInput`] for what is no regular file, with what it is.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // First by name: opening a device can have effects. Then by the handle: the name may mean something else by then.
    check(std::fs::metadata(path).map_err(named)?.file_type())?;
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Has no effect on regular files (open(2)).
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    let file = options.open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

/// A loop of links is no file either.
fn named(error: io::Error) -> io::Error {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a loop of symbolic links, not a regular file",
        );
    }
    error
}

fn check(kind: FileType) -> io::Result<()> {
    if kind.is_file() {
        return Ok(());
    }
    let what = name(kind);
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a regular file")))
}

fn name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_fifo() {
            return "a FIFO";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    "a device"
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let at = |name: &str| folder.path().join(name);
        let message = |name: &str| open_regular(&at(name)).expect_err("it is no file").to_string();
        std::fs::write(at("file"), "content").expect("it can be written");
        std::os::unix::fs::symlink(at("file"), at("link")).expect("links are there");
        std::os::unix::fs::symlink(at("loop"), at("loop")).expect("links are there");
        std::os::unix::fs::symlink("/dev/zero", at("zero")).expect("links are there");
        let fifo = std::process::Command::new("mkfifo").arg(at("fifo")).status().expect("mkfifo is there");
        assert!(fifo.success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("a socket can be made");
        assert!(open_regular(&at("file")).is_ok() && open_regular(&at("link")).is_ok());
        assert_eq!(message("fifo"), "it is a FIFO, not a regular file");
        assert_eq!(message("socket"), "it is a socket, not a regular file");
        assert_eq!(message("zero"), "it is a device, not a regular file");
        assert_eq!(message("."), "it is a folder, not a regular file");
        assert!(message("loop").contains("symbolic links"), "{}", message("loop"));
    }
}
