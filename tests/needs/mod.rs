//! What a machine may lack: the one list of it is [`NEEDS`]. A test that needs such a thing says so with [`lacking`] and
//! returns: loudly skipped by hand, a failure where `NUNCHI_TEST_REQUIRE` (a comma-separated list) promises the thing.
//! `scripts/test` promises all of them.

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
