//! Halted partitions: a fault of one partition stops that partition alone, is visible, and is tried again.

#![allow(clippy::unwrap_used)]

#[path = "../admin/mod.rs"]
mod admin;
#[path = "../common/mod.rs"]
mod common;
mod together;

use admin::request;
use common::{Fake, Kafka, Process, Running, Topics, Write, comment, kafka, wait_for, wait_for_retry};
use nunchi::config::OnHalt;
use nunchi::pipeline::PipelineError;
use std::collections::BTreeSet;
use tempfile::TempDir;

fn to(partition: i32, value: impl Into<Vec<u8>>) -> Write {
    Write { partition: Some(partition), ..Write::value(value) }
}

/// 1,500 records that are no JSON in partition 0, and 200 comments in each of the partitions 1 to 3, in turns.
fn write_one_poisoned_partition(kafka: &Kafka, topics: &Topics) {
    let poison = (0..1_500).map(|_| to(0, *b"poison"));
    let comments = (0..600).map(|id| to(1 + (id % 3) as i32, comment(id, "좋아요")));
    let mut comments = comments.peekable();
    let mixed = poison.enumerate().flat_map(move |(number, poison)| {
        let sound = if number % 2 == 0 { comments.next() } else { None };
        [Some(poison), sound].into_iter().flatten()
    });
    kafka.write(&topics.input, mixed);
}

#[test]
fn a_poisoned_partition_is_halted_and_the_others_go_on() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("halt-poison", 4);
    write_one_poisoned_partition(&kafka, &topics);
    let mut config = kafka.config(&topics);
    config.worker.batch_records = 300;
    let running = Running::start(&config, Fake::default());
    wait_for("the sound partitions", || {
        let verdicts = kafka.read(&topics.output);
        verdicts.iter().map(|verdict| verdict.json()["id"].as_u64().unwrap()).collect::<BTreeSet<_>>().len()
            == 600
    });
    wait_for("the halt", || !running.health.halted().is_empty());
    let halted = running.health.halted();
    assert_eq!(halted.len(), 1, "{halted:?}");
    assert!(
        halted[0].starts_with(&format!("{}/0: poison: 1000 of the last 1000", topics.input)),
        "{halted:?}"
    );
    assert!(running.health.not_live().is_empty() && running.health.not_ready().is_empty());
    let gauge = running.metrics.partition_halted.with_label_values(&[topics.input.as_str(), "0", "poison"]);
    assert_eq!(gauge.get(), 1);
    let withheld = running.metrics.dead_letters_withheld.with_label_values(&["invalid_json"]);
    assert!(withheld.get() > 0, "what was found in the aborted batch is counted");

    // Tried again: the same records trip it again, and none of them reaches the dead letters.
    let dead_letters = kafka.read(&topics.dead_letters).len();
    let before = withheld.get();
    wait_for_retry("the next trial", || withheld.get() > before);
    assert_eq!(kafka.read(&topics.dead_letters).len(), dead_letters);
    assert_eq!(
        kafka.committed(&topics.group, &topics.input, 1),
        [dead_letters as i64],
        "the offsets did not move"
    );

    // New comments of sound partitions are still answered, once.
    kafka.write(&topics.input, (600..660).map(|id| to(1 + (id % 3) as i32, comment(id, "별로예요"))));
    wait_for("the new comments", || kafka.read(&topics.output).len() == 660);
    assert_eq!(running.health.halted().len(), 1);
    running.stop().unwrap();
}

#[test]
fn a_halted_partition_goes_on_once_its_fault_is_repaired() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("halt-repaired", 2);
    write_one_poisoned_partition_of_two(&kafka, &topics);
    let mut config = kafka.config(&topics);
    config.worker.batch_records = 300;
    let running = Running::start(&config, Fake::default());
    wait_for("the halt", || running.health.halted().len() == 1);
    // The operator deletes what was written by mistake.
    kafka.delete_records(&topics.input, 0, 1_500);
    kafka.write(&topics.input, (100..110).map(|id| to(0, comment(id, "좋아요"))));
    wait_for_retry("the end of the halt", || running.health.halted().is_empty());
    wait_for_retry("the comments behind the poison", || kafka.read(&topics.output).len() == 60);
    assert!(!running.metrics.encode().unwrap().contains("nunchi_partition_halted{"));
    running.stop().unwrap();
}

fn write_one_poisoned_partition_of_two(kafka: &Kafka, topics: &Topics) {
    kafka.write(&topics.input, (0..1_500).map(|_| to(0, *b"poison")));
    kafka.write(&topics.input, (0..50).map(|id| to(1, comment(id, "좋아요"))));
}

#[test]
fn two_supervised_processes_leave_a_poisoned_partition_alone_and_answer_the_rest() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("halt-fleet", 4);
    write_one_poisoned_partition(&kafka, &topics);
    let folder = TempDir::new().unwrap();
    let config = kafka.config(&topics);
    let processes = [(), ()].map(|()| Process::start(&config, folder.path(), &[]));
    wait_for("the sound partitions", || kafka.read(&topics.output).len() == 600);
    let url = |process: &Process| {
        process.wait_for_line("the admin server listens");
        let log = process.log();
        let line = log.lines().find(|line| line.contains("the admin server listens")).unwrap();
        format!("http://{}", line.rsplit("address=").next().unwrap().trim())
    };
    let urls = processes.each_ref().map(url);
    wait_for("the halt in /readyz of one of them", || {
        urls.iter().any(|url| {
            let ready = request("GET", &format!("{url}/readyz"), "");
            ready.status == 200 && ready.text.contains(&format!("{}/0: poison", topics.input))
        })
    });
    for process in processes {
        process.signal("TERM");
        let (status, log) = process.end();
        assert_eq!(status, Some(0), "it was never a reason to end:\n{log}");
    }
}

#[test]
fn the_process_ends_when_all_partitions_are_halted_or_at_the_first_if_asked() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("halt-all", 2);
    kafka.write(&topics.input, (0..3_000).map(|number| to(number % 2, *b"poison")));
    let running = Running::start(&kafka.config(&topics), Fake::default());
    let error = running.end().expect_err("nothing is left to do");
    assert!(matches!(&error, PipelineError::AllHalted { halted, .. } if halted.len() == 2), "{error}");

    let topics = kafka.topics("halt-exit", 2);
    write_one_poisoned_partition_of_two(&kafka, &topics);
    let mut config = kafka.config(&topics);
    config.dead_letters.breaker = OnHalt::Exit;
    let error = Running::start(&config, Fake::default()).end().expect_err("the first halt ends it");
    assert!(matches!(&error, PipelineError::Halted { partition: 0, reason: "poison", .. }), "{error}");

    let folder = TempDir::new().unwrap();
    let process = Process::start(&config, folder.path(), &["dead_letters.breaker=exit"]);
    let (status, log) = process.end();
    assert_eq!(status, Some(65), "{log}");
}
