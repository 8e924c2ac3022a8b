//! Partitions that appear later, and numbers of partitions that differ.

use crate::common::{Fake, Process, Running, kafka, wait_for};
use crate::run_until;
use crate::situations::{add_partitions, to};
use nunchi::config::Start;
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[test]
fn a_partition_that_appears_while_running_is_read_from_its_beginning_within_seconds() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("resume-added", 1);
    let mut config = kafka.config(&topics);
    config.input.start = Start::Latest;
    let running = Running::start(&config, Fake::default()).ready();
    add_partitions(&kafka, &topics.input, 3);
    let start = Instant::now();
    wait_for("the new partitions at the writer", || {
        std::panic::catch_unwind(|| kafka.write(&topics.input, [to(2, 0)])).is_ok()
    });
    kafka.write(&topics.input, (1..20).map(|id| to(1 + (id % 2) as i32, id)));
    wait_for("the verdicts", || kafka.read(&topics.output).len() == 20);
    // Five seconds until it is noticed, and a rebalance; librdkafka's own interval is five minutes.
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    running.stop().unwrap();
}

#[test]
fn a_partition_that_appears_while_stopped_is_read_from_its_beginning() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("resume-added-stopped", 1);
    let mut config = kafka.config(&topics);
    config.input.start = Start::Latest;
    Running::start(&config, Fake::default()).ready().stop().unwrap();
    add_partitions(&kafka, &topics.input, 2);
    wait_for("the new partition at the writer", || {
        std::panic::catch_unwind(|| kafka.write(&topics.input, [to(1, 0)])).is_ok()
    });
    run_until(&kafka, &config, 1);
    assert_eq!(kafka.read(&topics.output).len(), 1);
}

#[test]
fn numbers_of_partitions_that_differ_or_change_are_said() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics_with("resume-counts", 2, 3, &[]);
    let folder = TempDir::new().unwrap();
    let process = Process::start(&kafka.config(&topics), folder.path(), &[]);
    let key = "the partition of a verdict follows from its key";
    process
        .wait_for_line(&format!("`{}` has 2 partitions and `{}` has 3: {key}", topics.input, topics.output));
    add_partitions(&kafka, &topics.input, 3);
    let same = "a verdict goes into the partition of its comment";
    process.wait_for_line(&format!(
        "`{}` has 3 (before: 2), `{}` has 3 (before: 3); from now on {same}",
        topics.input, topics.output
    ));
    wait_for("a verdict in the partition of its comment", || {
        kafka.write(&topics.input, [to(2, 7)]);
        kafka.read(&topics.output).iter().any(|verdict| verdict.partition == 2 && verdict.source().0 == 2)
    });
    add_partitions(&kafka, &topics.output, 4);
    process.wait_for_line(&format!("`{}` has 4 (before: 3); from now on {key}", topics.output));
}
