//! Records that were damaged in the broker's log: their partition is halted, or they are passed over.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Fake, Kafka, Process, Read, Running, Topics, Write, comment, damage, kafka, wait_for};
use nunchi::config::{Config, OnCorrupt};
use std::collections::BTreeSet;

/// Comments `ids` into partition 0, as one record batch.
fn write_batch(kafka: &Kafka, topics: &Topics, ids: std::ops::Range<usize>) {
    kafka.write(
        &topics.input,
        ids.map(|id| Write { partition: Some(0), ..Write::value(comment(id, "좋아요")) }),
    );
}

/// Offsets 10 to 19 and 20 to 29 in batches that cannot be read, sound ones around them; 40 comments in partition 1.
fn write_damaged(kafka: &Kafka, topics: &Topics) -> bool {
    for first in [0, 10, 20, 30] {
        write_batch(kafka, topics, first..first + 10);
    }
    kafka.write(
        &topics.input,
        (100..140).map(|id| Write { partition: Some(1), ..Write::value(comment(id, "별로예요")) }),
    );
    damage(&topics.input, 0, 10) && damage(&topics.input, 0, 20)
}

fn answers(records: &[Read]) -> (Vec<u64>, Vec<u64>) {
    let of = |partition| {
        let records = records.iter().filter(|record| record.partition == partition);
        records.map(|record| record.json()["id"].as_u64().unwrap()).collect()
    };
    (of(0), of(1))
}

#[test]
fn a_damaged_batch_halts_its_partition_and_nothing_is_answered_twice() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("corrupt-stop", 2);
    if !write_damaged(&kafka, &topics) {
        return;
    }
    let running = Running::start(&kafka.config(&topics), Fake::default());
    wait_for("the halt", || !running.health.halted().is_empty());
    wait_for("the sound records", || kafka.read(&topics.output).len() == 50);
    let halted = running.health.halted().join("");
    for part in ["/0: corrupt: partition 0 of", "offset 10:", "CRC32C", "input.on_corrupt"] {
        assert!(halted.contains(part), "{part} in {halted}");
    }
    let gauge = running.metrics.partition_halted.with_label_values(&[topics.input.as_str(), "0", "corrupt"]);
    assert_eq!(gauge.get(), 1);
    // Tried again, with growing intervals, and new records of the other partition go on meanwhile.
    kafka.write(
        &topics.input,
        (140..150).map(|id| Write { partition: Some(1), ..Write::value(comment(id, "좋아요")) }),
    );
    wait_for("the new records", || running.answered() == 60);
    let errors = running.metrics.client_errors.get();
    wait_for("another trial", || running.metrics.client_errors.get() > errors);
    let (first, second) = answers(&kafka.read(&topics.output));
    assert_eq!(first, (0..10).collect::<Vec<_>>(), "once, and nothing from behind the damage");
    assert_eq!(second, (100..150).collect::<Vec<_>>());
    assert_eq!(kafka.committed(&topics.group, &topics.input, 2)[0], 10);
    assert!(running.health.not_live().is_empty() && running.health.not_ready().is_empty());

    // Restored from a backup.
    assert!(damage(&topics.input, 0, 10) && damage(&topics.input, 0, 20), "the same bits once more");
    wait_for("the rest", || running.answered() == 90);
    assert_eq!(answers(&kafka.read(&topics.output)).0, (0..40).collect::<Vec<_>>());
    assert!(running.health.halted().is_empty());
    running.stop().unwrap();
}

#[test]
fn a_damaged_region_is_passed_over_with_one_dead_letter_if_asked() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("corrupt-skip", 2);
    if !write_damaged(&kafka, &topics) {
        return;
    }
    let mut config = kafka.config(&topics);
    config.input.on_corrupt = OnCorrupt::Skip;
    let running = Running::start(&config, Fake::default());
    wait_for("the answers", || running.answered() == 60);
    let (first, second) = answers(&kafka.read(&topics.output));
    assert_eq!(first, (0..10).chain(30..40).collect::<Vec<_>>());
    assert_eq!(second, (100..140).collect::<Vec<_>>());
    let letters = kafka.read(&topics.dead_letters);
    assert_eq!(letters.len(), 1, "one for both batches: {letters:?}");
    let letter = &letters[0];
    assert_eq!(letter.header("nunchi-error-class"), Some("corrupt"));
    assert_eq!(letter.header("nunchi-offsets"), Some("10-29"));
    assert_eq!(letter.header("nunchi-source"), Some(format!("{}/0/10", topics.input).as_str()));
    assert_eq!(letter.value.as_deref(), Some(&b""[..]));
    let lost = running.metrics.records_lost.with_label_values(&[topics.input.as_str(), "0", "corrupt"]);
    assert_eq!(lost.get(), 20);
    assert!(running.health.halted().is_empty());
    // At the end of the log, and one batch that is alone.
    write_batch(&kafka, &topics, 40..45);
    wait_for("the answers", || running.answered() == 65);
    running.stop().unwrap();
    write_batch(&kafka, &topics, 45..50);
    assert!(damage(&topics.input, 0, 45));
    let running = Running::start(&config, Fake::default());
    wait_for("the second letter", || kafka.read(&topics.dead_letters).len() == 2);
    write_batch(&kafka, &topics, 50..55);
    wait_for("the answers", || kafka.read(&topics.output).len() == 70);
    let offsets: BTreeSet<String> = kafka
        .read(&topics.dead_letters)
        .iter()
        .map(|letter| letter.header("nunchi-offsets").unwrap().to_owned())
        .collect();
    assert_eq!(offsets, BTreeSet::from(["10-29".to_owned(), "45-49".to_owned()]));
    running.stop().unwrap();
    redrive_passes_over(&config);
}

fn redrive_passes_over(config: &Config) {
    let arguments =
        ["dead-letters", "replay", "--brokers", &config.kafka.brokers, "--topic", &config.dead_letters.topic];
    let (status, _, log) = Process::nunchi(&arguments).end_with_out();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("0 redriven"), "{log}");
    assert!(log.contains("offsets 10-29") && log.contains("cannot be read"), "{log}");
}

#[test]
fn reading_a_damaged_topic_is_an_error_that_says_where() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("corrupt-read", 2);
    if !write_damaged(&kafka, &topics) {
        return;
    }
    // Whatever reads a range of a topic reads it like this: retrain, the plans of replays.
    let arguments = ["dead-letters", "list", "--brokers", &kafka.bootstrap, "--topic", &topics.input];
    let (status, out, log) = Process::nunchi(&arguments).end_with_out();
    assert_eq!(status, Some(1), "{out}{log}");
    let what = format!("partition 0 of `{}` cannot be read at offset 10", topics.input);
    assert!(log.contains(&what) && log.contains("CRC32C") && log.contains("input.on_corrupt"), "{log}");
}
