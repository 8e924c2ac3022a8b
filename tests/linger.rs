//! `worker.linger_ms`: fewer and larger transactions under little load, and never more than a batch may hold.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Fake, Running, Write, comment, kafka, wait_for};
use std::time::{Duration, Instant};

fn transactions(running: &Running) -> u64 {
    running.metrics.transactions.with_label_values(&["committed"]).get()
}

#[test]
fn a_batch_waits_for_more_records_until_its_time_is_over() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("linger", 1);
    let mut config = kafka.config(&topics);
    config.worker.linger_ms = 3_000;
    let running = Running::start(&config, Fake::default()).ready();
    let start = Instant::now();
    for id in 0..20 {
        kafka.write(&topics.input, [Write::value(comment(id, "좋아요"))]);
        std::thread::sleep(Duration::from_millis(20));
    }
    let written = start.elapsed();
    wait_for("the records", || running.answered() == 20);
    // A batch begins with a record and takes what comes within three seconds: one for each three seconds of writing.
    let most = written.as_secs() / 3 + 2;
    assert!(transactions(&running) <= most, "{} transactions, {written:?}", transactions(&running));
    assert_eq!(running.metrics.batch_records.get_sample_count(), transactions(&running));
    running.stop().unwrap();
    assert_eq!(kafka.read(&topics.output).len(), 20);
}

#[test]
fn a_full_batch_does_not_wait() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("linger-full", 1);
    kafka.write(&topics.input, (0..100).map(|id| Write::value(comment(id, "좋아요"))));
    let mut config = kafka.config(&topics);
    config.worker.linger_ms = 5_000;
    config.worker.batch_records = 10;
    let running = Running::start(&config, Fake::default()).ready();
    let start = Instant::now();
    wait_for("the records", || running.answered() == 100);
    // Ten batches that waited would take 50 seconds.
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
    assert_eq!(transactions(&running), 10);
    running.stop().unwrap();
}
