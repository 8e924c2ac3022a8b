//! With the feature `dynamic-librdkafka`: a library of the system that cannot be used is refused, with the reason, before
//! anything is read. A small library that is loaded first answers for the real one.
#![cfg(feature = "dynamic-librdkafka")]
#![allow(clippy::unwrap_used)] // Outside of `#[test]` functions too a failure fails the test.

use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Says version 2.8.0 where OLD is set, and features without zstd where POOR is.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

int rd_kafka_version(void) {
    int (*real)(void) = (int (*)(void))dlsym(RTLD_NEXT, "rd_kafka_version");
    return getenv("OLD") ? 0x020800ff : real();
}

int rd_kafka_conf_get(const void *conf, const char *name, char *dest, size_t *size) {
    int (*real)(const void *, const char *, char *, size_t *) =
        (int (*)(const void *, const char *, char *, size_t *))dlsym(RTLD_NEXT, "rd_kafka_conf_get");
    static const char poor[] = "gzip,snappy,ssl,sasl,regex,lz4";
    if (!getenv("POOR") || strcmp(name, "builtin.features")) return real(conf, name, dest, size);
    if (dest) memcpy(dest, poor, sizeof(poor));
    *size = sizeof(poor);
    return 0;
}
"#;

struct Shim(TempDir);

impl Shim {
    fn new() -> Self {
        let shim = Shim(TempDir::new().unwrap());
        let source = shim.0.path().join("shim.c");
        std::fs::write(&source, SHIM).unwrap();
        let compiler = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(shim.path())
            .arg(&source)
            .arg("-ldl")
            .output()
            .unwrap();
        assert!(compiler.status.success(), "{}", String::from_utf8_lossy(&compiler.stderr));
        shim
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("shim.so")
    }

    fn nunchi(&self, what: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NUNCHI__"))
        {
            command.env_remove(name);
        }
        let Output { status, stdout, stderr } =
            command.env("LD_PRELOAD", self.path()).env(what, "1").args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }
}

#[test]
fn a_library_that_is_too_old_is_refused() {
    let shim = Shim::new();
    for arguments in [&["config", "check"][..], &["run"]] {
        let (status, _, errors) = shim.nunchi("OLD", arguments);
        assert_eq!(status, Some(64), "{errors}");
        let line = "librdkafka: version 2.8.0 is too old: 2.12.1 or newer is needed";
        assert!(errors.lines().any(|found| found.trim() == line), "{errors}");
    }
    // What needs no Kafka works.
    let (status, out, errors) = shim.nunchi("OLD", &["--version"]);
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    assert_eq!(out.lines().nth(1), Some("librdkafka 2.8.0 (system)"));
    assert_eq!(shim.nunchi("OLD", &["summary"]).0, Some(0));
}

#[test]
fn a_library_without_a_codec_is_refused() {
    let shim = Shim::new();
    let (status, _, errors) = shim.nunchi("POOR", &["config", "check"]);
    assert_eq!(status, Some(64), "{errors}");
    assert!(errors.contains(" was compiled without zstd, so that it cannot read every topic"), "{errors}");
}

#[test]
fn any_other_library_passes() {
    let (status, _, errors) = Shim::new().nunchi("NOTHING", &["config", "check"]);
    assert_eq!(status, Some(0), "{errors}");
}
