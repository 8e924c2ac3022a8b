//! Pages and figures that commands write: whole or not at all.

use anyhow::Context as _;
use nunchi_model::atomic_write_private;
use std::path::Path;

/// Writes `content` to `path`. A full disk leaves the file as it was, or absent; what is no regular file, such as
/// `/dev/stdout` or a pipe, is written as it is.
///
/// # Errors
/// What the system reports, with the path.
pub(super) fn write_whole(path: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    // A link stays: what it points to is written anew.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let is_special = target.metadata().is_ok_and(|there| !there.is_file());
    let written = if is_special {
        std::fs::write(&target, content)
    } else {
        atomic_write_private(&target, content.as_ref())
    };
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_and_a_device_is_no_file_to_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (page, link) = (folder.path().join("page"), folder.path().join("link"));
        write_whole(&page, "first").unwrap();
        std::os::unix::fs::symlink(&page, &link).unwrap();
        write_whole(&link, "second").unwrap();
        assert_eq!(std::fs::read_to_string(&page).unwrap(), "second");
        assert!(link.symlink_metadata().unwrap().is_symlink());
        write_whole(Path::new("/dev/null"), "nothing").unwrap();
        let error = write_whole(&folder.path().join("no/page"), "").unwrap_err();
        assert!(format!("{error:#}").starts_with("cannot write "), "{error:#}");
    }
}
