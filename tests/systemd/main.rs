//! The program runs under the system-call filters of its systemd unit: with a store, a loaded model and a swap.

#![allow(clippy::unwrap_used)] // Outside of `#[test]` too a failure fails the test.

#[path = "../common/mod.rs"]
mod common;

use common::{Process, Write, comment, kafka, needs, wait_for};
use nunchi::registry::{NewVersion, PromotionNote, Store, Version};
use nunchi_model::WeightFormat;
use nunchi_model::rnn::Cell;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The launcher of `under_unit.py`; `None`, said aloud, where the machine lacks what it needs.
fn under_unit() -> Option<[String; 3]> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
    let launcher =
        ["python3".to_owned(), path("tests/systemd/under_unit.py"), path("deploy/systemd/nunchi.service")];
    if !needs::runs("systemd-analyze", &["--version"]) {
        needs::lacking("systemd", "systemd-analyze is not installed");
        return None;
    }
    let [python, script, unit] = &launcher;
    if !needs::runs(python, &[script, unit, "/bin/true"]) {
        needs::lacking("systemd", "python3 cannot apply a seccomp filter here");
        return None;
    }
    Some(launcher)
}

fn publish(store: &Store, seed: u64) -> Version {
    let content = nunchi_model::testing::model(Cell::Gru, seed).to_bytes(WeightFormat::F32).unwrap().0;
    store.publish(content, NewVersion::default()).unwrap().manifest.version
}

#[test]
fn the_filters_are_applied() {
    use std::os::unix::process::ExitStatusExt as _;
    const SIGSYS: i32 = 31;
    let Some([python, script, unit]) = under_unit() else { return };
    // `chroot` is none of a service's system calls.
    let code = "import os; os.chroot('/')";
    let mut inner = Command::new(&python);
    let executable = inner.args(["-c", "import sys; print(sys.executable)"]).output().unwrap().stdout;
    let executable = String::from_utf8(executable).unwrap();
    let status =
        Command::new(&python).args([&script, &unit, executable.trim(), "-c", code]).status().unwrap();
    assert_eq!(status.signal(), Some(SIGSYS), "{status}");
}

#[test]
fn the_program_loads_and_swaps_models_of_a_store_under_the_unit_s_filters() {
    let (Some(kafka), Some(launcher)) = (kafka(), under_unit()) else { return };
    let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
    let folder = TempDir::new().unwrap();
    let url = folder.path().to_str().unwrap();
    let store = Store::open(url).unwrap();
    let [a, b] = [publish(&store, 1), publish(&store, 2)];
    store.promote(&a, PromotionNote::default(), false).unwrap();
    let topics = kafka.topics("unit", 1);
    let config = kafka.config(&topics);
    let arguments = ["--store", url];
    let process = Process::start_under(&launcher, &config, &arguments, &["registry.interval=0.1"]);
    let mut written = 0;
    let mut classify = |version: &Version| {
        kafka.write(&topics.input, [Write::value(comment(written, "배송이 빨라요"))]);
        written += 1;
        wait_for("a verdict", || kafka.read(&topics.output).len() == written);
        let answers = kafka.read(&topics.output);
        let newest = answers.iter().max_by_key(|answer| answer.json()["id"].as_u64()).unwrap();
        assert_eq!(newest.header("nunchi-model"), Some(version.as_str()));
    };
    process.wait_for_line("the admin server listens");
    classify(&a);
    store.promote(&b, PromotionNote::default(), false).unwrap();
    process.wait_for_line("another model takes over");
    classify(&b);
    assert!(!process.log().contains("keeps its priority"), "{}", process.log());
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
}
