//! What a machine may lack: the one list of it is [`NEEDS`]. A test that needs such a thing says so with [`lacking`] and
//! returns: loudly skipped by hand, a failure where `NUNCHI_TEST_REQUIRE` (a comma-separated list) promises the thing.
//! `scripts/test` promises all of them.

use std::path::Path;
use std::process::{Command, Stdio};

/// Everything that a test may lack; `tests/habits.rs` compares it with `scripts/test`.
#[allow(dead_code)]
pub const NEEDS: [&str; 10] =
    ["kafka", "sasl", "openssl", "prometheus", "compose", "onnxruntime", "s3", "systemd", "script", "mounts"];

/// Skips the calling test: prints why, or panics where `what` was promised.
#[allow(dead_code)]
pub fn lacking(what: &str, why: &str) {
    assert!(NEEDS.contains(&what), "`{what}` is not in the list of needs");
    let promised = std::env::var("NUNCHI_TEST_REQUIRE").unwrap_or_default();
    let unknown = promised.split(',').find(|item| !item.is_empty() && !NEEDS.contains(item));
    assert!(unknown.is_none(), "NUNCHI_TEST_REQUIRE promises `{unknown:?}`; there are {NEEDS:?}");
    assert!(!promised.split(',').any(|item| item == what), "`{what}` was promised, but {why}");
    eprintln!("skipped: {why}");
}

/// Whether `program` can be started with `args` and ends well.
#[allow(dead_code)]
pub fn runs(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Arguments of `unshare` for a command that may mount file systems, which are gone when it ends. `None` where the system
/// allows none: the calling test is skipped.
#[allow(dead_code)]
pub fn own_mounts() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] = [&["-m"], &["-r", "-m"]];
    let works = |way: &&&[&str]| {
        let probe = "mount -t tmpfs -o size=64k tmpfs /mnt";
        runs("unshare", &[**way, &["sh", "-c", probe]].concat())
    };
    let found = WAYS.iter().find(works).copied();
    if found.is_none() {
        lacking("mounts", "a small file system cannot be mounted here (`unshare -m` and `unshare -rm` fail)");
    }
    found
}

/// `command` beside a file system that is full: a tmpfs of 8 MB at `folder`, which must exist, with the empty files `out` and
/// `err`. A shell runs `line`, in which `"$0" "$@"` is the command and `$full` the folder.
#[allow(dead_code)]
pub fn on_a_full_tmpfs(way: &[&str], folder: &Path, command: &Command, line: &str) -> Command {
    let folder = folder.display();
    let script = format!(
        "mount -t tmpfs -o size=8m tmpfs {folder} && cd {folder} && : >out && : >err && cd - >/dev/null || exit 99
        cat /dev/zero >{folder}/filling 2>/dev/null
        full={folder}
        {line}"
    );
    let mut outer = Command::new("unshare");
    outer.args(way).args(["sh", "-c", &script]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}
