//! Exactly once, whatever happens: processes that are killed, come, go and stall leave no gap, no double and no disorder
//! for `read_committed` readers.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Fake, Kafka, Process, Running, Topics, Write, assert_answered_once, comment, kafka, wait_for};
use nunchi::config::Delivery;
use nunchi::kafka::ClientError;
use nunchi::pipeline::PipelineError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const PARTITIONS: i32 = 6;

/// Writes `count` comments in turn to all partitions; which ids went where, in order.
fn fill(kafka: &Kafka, topics: &Topics, count: usize) -> BTreeMap<i32, Vec<usize>> {
    let partition = |id: usize| (id % PARTITIONS as usize) as i32;
    kafka.write(
        &topics.input,
        (0..count).map(|id| Write {
            partition: Some(partition(id)),
            ..Write::value(comment(id, &format!("{id}번째 구매인데 이번에도 만족해요")))
        }),
    );
    let mut written: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for id in 0..count {
        written.entry(partition(id)).or_default().push(id);
    }
    written
}

fn committed(kafka: &Kafka, topics: &Topics) -> i64 {
    kafka.committed(&topics.group, &topics.input, PARTITIONS).iter().sum()
}

#[test]
fn a_process_that_is_killed_ten_times_answers_every_record_once() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("killed", PARTITIONS);
    let written = fill(&kafka, &topics, 100_000);
    let (config, folder) = (kafka.config(&topics), tempfile::tempdir().unwrap());
    // Small batches, so that every process ends in the middle of one; the instance's name fences the process before.
    let settings = ["worker.batch_records=300", "kafka.instance=one"];
    let mut before = 0;
    for life in 0..10 {
        let mut process = Process::start(&config, folder.path(), &settings);
        wait_for("offsets that move", || committed(&kafka, &topics) > before);
        // Each time at another point of a batch.
        std::thread::sleep(Duration::from_millis(life * 3));
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        before = committed(&kafka, &topics);
        assert!(before < 100_000, "life {life} had nothing left to die in");
    }
    let last = Process::start(&config, folder.path(), &["kafka.instance=one"]);
    wait_for("the last record", || committed(&kafka, &topics) == 100_000);
    last.signal("TERM");
    let (status, log) = last.end();
    assert_eq!(status, Some(0), "{log}");
    assert_answered_once(&written, &kafka.read(&topics.output));
    assert_eq!(kafka.read(&topics.dead_letters), []);
}

#[test]
fn processes_that_join_and_leave_change_nothing() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("joining", PARTITIONS);
    let written = fill(&kafka, &topics, 100_000);
    let mut config = kafka.config(&topics);
    // Many small, slow batches: partitions are revoked while their records are being drained and classified.
    config.worker.batch_records = 200;
    let slow =
        Fake { before: Arc::new(|_| std::thread::sleep(Duration::from_millis(15))), ..Fake::default() };
    let first = Running::start(&config, slow.clone()).ready();
    for _ in 0..4 {
        let second = Running::start(&config, slow.clone());
        wait_for("the second process to answer", || second.answered() > 0 || first.answered() == 100_000);
        second.stop().unwrap();
    }
    let fast = Fake::default();
    let third = Running::start(&config, fast);
    wait_for("the last record", || committed(&kafka, &topics) == 100_000);
    first.stop().unwrap();
    third.stop().unwrap();
    assert_answered_once(&written, &kafka.read(&topics.output));
}

#[test]
fn a_turn_whose_partitions_were_taken_meanwhile_is_aborted() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("revoked", PARTITIONS);
    let written = fill(&kafka, &topics, 600);
    let mut config = kafka.config(&topics);
    config.worker.batch_records = 100;
    let (held, release) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let holding = Fake {
        before: Arc::new({
            let (held, release) = (Arc::clone(&held), Arc::clone(&release));
            move |_| {
                // The first batch waits until the group has rebalanced.
                if held.fetch_add(1, Ordering::SeqCst) == 0 {
                    wait_for("release", || release.load(Ordering::SeqCst));
                }
            }
        }),
        ..Fake::default()
    };
    let first = Running::start(&config, holding);
    wait_for("the first batch", || held.load(Ordering::SeqCst) == 1);
    let second = Running::start(&config, Fake::default()).ready();
    // The second is a member: the generation of the first batch is over.
    release.store(true, Ordering::SeqCst);
    wait_for("the last record", || committed(&kafka, &topics) == 600);
    let aborted = first.metrics.transactions.with_label_values(&["aborted"]).get();
    let answered = first.stop().unwrap().records + second.stop().unwrap().records;
    assert!(aborted >= 1, "the first batch was not fenced");
    assert_eq!(answered, 600, "aborted batches do not count");
    assert_answered_once(&written, &kafka.read(&topics.output));
}

#[test]
fn nothing_is_open_after_a_stop() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("stopped", PARTITIONS);
    let written = fill(&kafka, &topics, 20_000);
    let mut config = kafka.config(&topics);
    config.worker.batch_records = 500;
    config.worker.workers = 2;
    // Several lives, each stopped in the middle.
    for _ in 0..3 {
        let running = Running::start(&config, Fake::default());
        wait_for("some answers", || running.answered() > 0);
        running.stop().unwrap();
        let answers = kafka.read(&topics.output).len() as i64;
        assert_eq!(answers, committed(&kafka, &topics), "what is visible is what is committed");
    }
    let running = Running::start(&config, Fake::default());
    wait_for("the last record", || committed(&kafka, &topics) == 20_000);
    running.stop().unwrap();
    assert_answered_once(&written, &kafka.read(&topics.output));
}

#[test]
fn of_two_processes_with_one_name_one_is_fenced() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("fenced", PARTITIONS);
    let mut config = kafka.config(&topics);
    config.kafka.instance = Some("same".to_owned());
    let older = Running::start(&config, Fake::default()).ready();
    let younger = Running::start(&config, Fake::default()).ready();
    // They fence each other in turn, batch by batch, until one of them has been fenced too often.
    let mut written: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    wait_for("one of them to end", || {
        for (partition, ids) in fill(&kafka, &topics, 600) {
            written.entry(partition).or_default().extend(ids);
        }
        older.ended() || younger.ended()
    });
    let (ended, living) = if older.ended() { (older, younger) } else { (younger, older) };
    let error = ended.end().expect_err("it is fenced");
    assert!(matches!(error, PipelineError::Kafka(ClientError::Fenced { .. })), "{error}");
    assert!(error.to_string().contains("kafka.instance"), "{error}");
    // What it had not committed comes to the other one.
    let count = written.values().map(Vec::len).sum::<usize>() as i64;
    wait_for("the last record", || committed(&kafka, &topics) == count);
    living.stop().unwrap();
    assert_answered_once(&written, &kafka.read(&topics.output));
}

#[test]
fn a_model_that_cannot_classify_ends_the_worker_and_nothing_is_committed() {
    for delivery in [Delivery::ExactlyOnce, Delivery::AtLeastOnce] {
        let Some(kafka) = kafka() else { return };
        let topics = kafka.topics("not-a-number", 1);
        let texts = (0..50).map(|id| if id == 30 { "overflow" } else { "fine" });
        kafka.write(&topics.input, texts.enumerate().map(|(id, text)| Write::value(comment(id, text))));
        let mut config = kafka.config(&topics);
        config.kafka.delivery = delivery;
        let error =
            Running::start(&config, Fake { poison: Some("overflow"), ..Fake::default() }).end().unwrap_err();
        assert!(matches!(error, PipelineError::Classify { .. }), "{error}");
        let committed = kafka.committed(&topics.group, &topics.input, 1)[0];
        assert!(committed <= 30, "{committed} is behind the comment that has no score");
        assert_eq!(kafka.read(&topics.output).len() as i64, committed, "whole batches before it, or nothing");
    }
}
