//! What a machine may lack. A test that needs such a thing says so with [`lacking`] and returns: loudly skipped by
//! hand, a failure where `NUNCHI_TEST_REQUIRE` (a comma-separated list; `make test` sets it) promises the thing.

use std::process::{Command, Stdio};

/// Skips the calling test: prints why, or panics where `what` was promised.
#[allow(dead_code)]
pub fn lacking(what: &str, why: &str) {
    let promised = std::env::var("NUNCHI_TEST_REQUIRE").unwrap_or_default();
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
