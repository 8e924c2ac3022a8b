//! `log.format = "json"`: every line of standard error is a JSON object, to the last one.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Process, Write, comment, kafka, random_model, wait_for};
use serde_json::Value;
use std::process::{Command, Output};

fn objects(log: &str) -> Vec<Value> {
    let object = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(value["timestamp"].is_string() && value["level"].is_string(), "{line}");
        value
    };
    log.lines().map(object).collect()
}

fn nunchi(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
    command.args(arguments).envs(environment.iter().copied());
    command.output().unwrap()
}

fn last(output: &Output) -> Value {
    objects(std::str::from_utf8(&output.stderr).unwrap()).pop().unwrap()
}

#[test]
fn errors_before_the_log_begins_are_lines_of_it() {
    let wrong = nunchi(&["run", "--set", "log.format=json", "--set", "kafka.group=a/b"], &[]);
    assert_eq!(wrong.status.code(), Some(64));
    let line = last(&wrong);
    assert_eq!(line["level"], "ERROR");
    assert!(line["message"].as_str().unwrap().contains("`kafka.group` must be"), "{line}");

    let usage = nunchi(&["run", "--no-such-flag"], &[("NUNCHI__LOG__FORMAT", "json")]);
    assert_eq!(usage.status.code(), Some(64));
    assert!(last(&usage)["message"].as_str().unwrap().contains("--no-such-flag"));

    let missing = nunchi(
        &["replay", "--set", "log.format=json", "--model", "no-such-model.safetensors", "--to-topic", "x"],
        &[],
    );
    assert_eq!(missing.status.code(), Some(64));
    assert!(last(&missing)["message"].as_str().unwrap().contains("`model.path` must be"));

    // For the eyes of who checks.
    let check = nunchi(&["config", "check", "--set", "log.format=json", "--set", "kafka.group=a/b"], &[]);
    assert!(String::from_utf8(check.stderr).unwrap().contains("in the configuration:\n"));
}

#[test]
fn a_run_that_ends_with_an_error_ends_with_a_json_line() {
    let Some(kafka) = kafka() else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = random_model(folder.path(), 7);
    let arguments =
        ["run", "--set", "log.format=json", "--http", "127.0.0.1:0", "--brokers", &kafka.bootstrap];
    let rest = ["--input", "there-is-no-such-topic", "--model", model.to_str().unwrap()];
    let output = nunchi(&[&arguments[..], &rest].concat(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(last(&output)["message"].as_str().unwrap().contains("`there-is-no-such-topic`"));
}

#[test]
fn lists_are_arrays_and_two_sigterms_are_one() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("json-log", 2);
    kafka.write(&topics.input, (0..100).map(|id| Write::value(comment(id, "좋아요"))));
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&kafka.config(&topics), folder.path(), &["log.format=json"]);
    wait_for("the records", || kafka.committed(&topics.group, &topics.input, 2).iter().sum::<i64>() == 100);
    // As a shell and an orchestrator both pass it on.
    process.signal("TERM");
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
    let lines = objects(&log);
    let assigned = lines.iter().find(|line| line["message"] == "partitions assigned").unwrap();
    assert!(assigned["partitions"].is_array(), "{assigned}");
    assert!(lines.iter().any(|line| line["message"].as_str().unwrap().contains("stopped cleanly")), "{log}");
}
