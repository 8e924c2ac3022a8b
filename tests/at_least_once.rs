//! At least once: nothing is lost, whatever happens, and nothing is repeated without a reason.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Fake, Process, Running, Write, assert_answered_once, comment, kafka, wait_for};
use nunchi::config::Delivery;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn a_run_without_accidents_answers_every_record_once() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("alo", 2);
    kafka.write(
        &topics.input,
        (0..5_000)
            .map(|id| Write { partition: Some(id as i32 % 2), ..Write::value(comment(id, "좋아요")) }),
    );
    let mut config = kafka.config(&topics);
    config.kafka.delivery = Delivery::AtLeastOnce;
    let running = Running::start(&config, Fake::default());
    wait_for("the last record", || running.answered() == 5_000);
    assert_eq!(running.stop().unwrap().records, 5_000);
    assert_eq!(kafka.committed(&topics.group, &topics.input, 2), [2_500, 2_500]);
    let written = BTreeMap::from([0, 1].map(|partition| {
        (partition, (0..5_000).filter(|id| *id as i32 % 2 == partition).collect::<Vec<usize>>())
    }));
    assert_answered_once(&written, &kafka.read(&topics.output));
}

#[test]
fn a_process_that_is_killed_loses_nothing() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("alo-killed", 1);
    kafka.write(&topics.input, (0..30_000).map(|id| Write::value(comment(id, "그저 그래요"))));
    let (config, folder) = (kafka.config(&topics), tempfile::tempdir().unwrap());
    let settings = ["kafka.delivery=at_least_once", "worker.batch_records=300"];
    let committed = || kafka.committed(&topics.group, &topics.input, 1)[0];
    let mut before = 0;
    for _ in 0..3 {
        let mut process = Process::start(&config, folder.path(), &settings);
        wait_for("offsets that move", || committed() > before);
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        before = committed();
    }
    let last = Process::start(&config, folder.path(), &settings);
    wait_for("the last record", || committed() == 30_000);
    last.signal("TERM");
    let (status, log) = last.end();
    assert_eq!(status, Some(0), "{log}");
    let answers = kafka.read(&topics.output);
    let ids: BTreeSet<u64> = answers.iter().map(|answer| answer.json()["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), 30_000, "every record has an answer");
    // Repeated batches begin at the committed offset: outputs go back, and then on without a gap.
    let mut highest = None;
    for (_, offset) in answers.iter().map(common::Read::source) {
        assert!(offset <= highest.map_or(0, |highest: i64| highest + 1), "a gap before offset {offset}");
        highest = highest.max(Some(offset));
    }
}
