//! How a process starts and ends: clean stops, partitions handed over at once, messages for what is missing.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Process, Write, comment, kafka, wait_for};
use std::time::{Duration, Instant};

#[test]
fn sigterm_commits_the_turn_and_hands_the_partitions_over() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("sigterm", 2);
    kafka.write(
        &topics.input,
        (0..50_000)
            .map(|id| Write { partition: Some(id as i32 % 2), ..Write::value(comment(id, "좋아요")) }),
    );
    let (config, folder) = (kafka.config(&topics), tempfile::tempdir().unwrap());
    // Nobody waits for a time-out: this one is longer than the test's patience with the second process.
    let settings = ["worker.batch_records=500", "kafka.consumer.session.timeout.ms=45000"];
    let committed = || kafka.committed(&topics.group, &topics.input, 2).iter().sum::<i64>();
    let first = Process::start(&config, folder.path(), &settings);
    wait_for("some answers", || committed() > 0);
    first.signal("TERM");
    let (status, log) = first.end();
    assert_eq!(status, Some(0), "{log}");
    let after = committed();
    assert_eq!(kafka.read(&topics.output).len() as i64, after, "what is visible is what is committed");

    let start = Instant::now();
    let second = Process::start(&config, folder.path(), &settings);
    wait_for("the second process to go on", || committed() > after || after == 50_000);
    assert!(start.elapsed() < Duration::from_secs(30), "the partitions were not handed over");
    wait_for("the last record", || committed() == 50_000);
    second.signal("INT");
    assert_eq!(second.end().0, Some(0));
    assert_eq!(kafka.read(&topics.output).len(), 50_000);
}

#[test]
fn a_missing_topic_is_named() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("missing", 1);
    let folder = tempfile::tempdir().unwrap();
    for (setting, name) in [
        ("input.topic", "no-such-comments"),
        ("output.topic", "no-such-verdicts"),
        ("dead_letters.topic", "no-such-dead-letters"),
    ] {
        let mut config = kafka.config(&topics);
        match setting {
            "input.topic" => config.input.topic = name.into(),
            "output.topic" => config.output.topic = name.into(),
            _ => config.dead_letters.topic = name.into(),
        }
        let (status, log) = Process::start(&config, folder.path(), &[]).end();
        assert_eq!(status, Some(1), "{log}");
        assert!(log.contains(&format!("the topic `{name}` ({setting}) does not exist")), "{log}");
    }
}

#[test]
fn unreachable_brokers_are_waited_for() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("unreachable", 1);
    let folder = tempfile::tempdir().unwrap();
    let mut config = kafka.config(&topics);
    // Nobody listens there: the port was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    config.kafka.brokers = listener.local_addr().unwrap().to_string();
    drop(listener);
    let process = Process::start(&config, folder.path(), &[]);
    process.wait_for_line("the brokers do not answer");
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
}
