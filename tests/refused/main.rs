//! Records that a broker refuses: one of them becomes a dead letter, or halts its partition; its neighbors are answered.

#![allow(clippy::unwrap_used)]

mod answers;
#[path = "../common/mod.rs"]
mod common;
mod settings;
mod timestamps;

use common::{Fake, Kafka, Read, Running, Topics, Write, comment, kafka, wait_for};
use nunchi::config::Delivery;
use std::collections::BTreeSet;

const COMPACT: &[(&str, &str)] = &[("cleanup.policy", "compact")];

fn keyed(partition: i32, id: usize) -> Write {
    let key = Some(format!("key-{id}").into_bytes());
    Write { partition: Some(partition), key, ..Write::value(comment(id, "좋아요")) }
}

fn keyless(partition: i32, id: usize) -> Write {
    Write { key: None, ..keyed(partition, id) }
}

fn ids(records: &[Read]) -> Vec<u64> {
    let mut ids: Vec<u64> = records.iter().map(|record| record.json()["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

/// Offsets and messages of the dead letters, all of class `refused`.
fn refused(kafka: &Kafka, topics: &Topics) -> Vec<(i64, String)> {
    let dead_letters = kafka.read(&topics.dead_letters);
    let mut found: Vec<_> = dead_letters
        .iter()
        .map(|letter| {
            assert_eq!(letter.header("nunchi-error-class"), Some("refused"));
            let message = letter.header("nunchi-error").unwrap();
            assert!(message.chars().count() <= 200, "{message}");
            (letter.source().1, message.to_owned())
        })
        .collect();
    found.sort();
    found
}

#[test]
fn a_record_without_a_key_for_a_compacted_topic_becomes_a_dead_letter() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("refused-known", 1);
    kafka.configure(&topics.output, COMPACT);
    let mut records: Vec<Write> = (0..50).map(|id| keyed(0, id)).collect();
    records[20] = keyless(0, 20);
    records[30] = Write { value: None, ..keyless(0, 30) };
    kafka.write(&topics.input, records);
    let running = Running::start(&kafka.config(&topics), Fake::default());
    wait_for("the answers", || running.answered() == 50);
    let expected: Vec<u64> = (0..50).filter(|id| ![20, 30].contains(id)).collect();
    assert_eq!(ids(&kafka.read(&topics.output)), expected);
    let refused = refused(&kafka, &topics);
    assert_eq!(refused.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [20, 30]);
    assert!(refused[0].1.contains(&topics.output) && refused[0].1.contains("no key"), "{refused:?}");
    assert_eq!(running.metrics.dead_letters.with_label_values(&["refused"]).get(), 2);
    assert!(running.health.halted().is_empty());
    running.stop().unwrap();
}

#[test]
fn a_record_that_the_broker_refuses_while_running_becomes_a_dead_letter() {
    let Some(kafka) = kafka() else { return };
    for delivery in [Delivery::ExactlyOnce, Delivery::AtLeastOnce] {
        let topics = kafka.topics("refused-found", 1);
        let mut config = kafka.config(&topics);
        config.kafka.delivery = delivery;
        let running = Running::start(&config, Fake::default()).ready();
        kafka.write(&topics.input, [keyless(0, 0)]);
        wait_for("a verdict before", || running.answered() == 1);
        // No process is told: the broker's answer has to do.
        kafka.configure(&topics.output, COMPACT);
        kafka.write(
            &topics.input,
            (1..100).map(|id| if [33, 70].contains(&id) { keyless(0, id) } else { keyed(0, id) }),
        );
        wait_for("the answers", || running.answered() == 100);
        let answered: BTreeSet<u64> = ids(&kafka.read(&topics.output)).into_iter().collect();
        assert_eq!(answered, (0..100).filter(|id| ![33, 70].contains(id)).collect());
        if delivery == Delivery::ExactlyOnce {
            assert_eq!(kafka.read(&topics.output).len(), 98, "each once");
            let refused = refused(&kafka, &topics);
            assert_eq!(refused.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [33, 70]);
            assert!(refused[0].1.contains("cleanup.policy=compact"), "{refused:?}");
        }
        assert!(running.health.halted().is_empty());
        running.stop().unwrap();
    }
}

#[test]
fn a_dead_letter_that_is_refused_halts_its_partition_until_the_topic_is_repaired() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("refused-dead", 2);
    kafka.configure(&topics.dead_letters, COMPACT);
    let poison = |key: Option<&str>| Write {
        partition: Some(0),
        key: key.map(|key| key.as_bytes().to_vec()),
        ..Write::value("poison")
    };
    kafka.write(&topics.input, [keyed(0, 0), poison(Some("a key")), keyed(0, 1), poison(None), keyed(0, 2)]);
    kafka.write(&topics.input, (10..30).map(|id| keyless(1, id)));
    let mut config = kafka.config(&topics);
    config.worker.batch_records = 3;
    let running = Running::start(&config, Fake::default());
    wait_for("the other partition", || {
        kafka.read(&topics.output).iter().filter(|verdict| verdict.partition == 1).count() == 20
    });
    wait_for("the halt", || !running.health.halted().is_empty());
    let halted = running.health.halted().join("");
    let what = format!("offset 3 of partition 0 of `{}`", topics.input);
    for part in ["0: refused: ", &what, &topics.dead_letters, "it has no key", "cleanup.policy=compact"] {
        assert!(halted.contains(part), "{part} in {halted}");
    }
    assert!(running.health.not_live().is_empty());
    kafka.configure(&topics.dead_letters, &[("cleanup.policy", "delete")]);
    wait_for("the end of the halt", || running.answered() == 25);
    assert_eq!(kafka.read(&topics.dead_letters).len(), 2);
    assert_eq!(kafka.read(&topics.output).len(), 23, "each once");
    assert!(running.health.halted().is_empty());
    running.stop().unwrap();
}

#[test]
fn a_stream_of_refused_records_is_poison() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("refused-stream", 2);
    kafka.configure(&topics.output, COMPACT);
    kafka.write(&topics.input, (0..1_500).map(|id| keyless(0, id)).chain((0..20).map(|id| keyed(1, id))));
    let mut config = kafka.config(&topics);
    config.worker.batch_records = 300;
    let running = Running::start(&config, Fake::default());
    wait_for("the halt", || !running.health.halted().is_empty());
    assert!(running.health.halted()[0].contains("/0: poison: 1000 of the last 1000"));
    wait_for("the other partition", || kafka.read(&topics.output).len() == 20);
    assert!(running.metrics.dead_letters_withheld.with_label_values(&["refused"]).get() > 0);
    running.stop().unwrap();
}

#[test]
fn a_record_that_no_segment_holds_becomes_a_dead_letter_without_its_value() {
    let Some(kafka) = kafka() else { return };
    let settings = &[("segment.bytes", "1048576"), ("max.message.bytes", "9000000")];
    let topics = kafka.topics_with("refused-large", 1, 1, settings);
    let large = serde_json::json!({ "id": 7, "text": "좋아요", "more": "x".repeat(1_500_000) }).to_string();
    let records = (0..20).map(|id| {
        if id == 7 { Write { partition: Some(0), ..Write::value(large.clone()) } } else { keyed(0, id) }
    });
    kafka.write(&topics.input, records);
    let mut config = kafka.config(&topics);
    config.input.max_bytes = 5_000_000;
    config.output.echo = vec!["more".to_owned()];
    let running = Running::start(&config, Fake::default());
    wait_for("the answers", || running.answered() == 20);
    assert_eq!(ids(&kafka.read(&topics.output)), (0..20).filter(|&id| id != 7).collect::<Vec<_>>());
    let refused = refused(&kafka, &topics);
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].0, 7);
    let letter = &kafka.read(&topics.dead_letters)[0];
    assert_eq!(letter.header("nunchi-size"), Some(large.len().to_string().as_str()));
    running.stop().unwrap();
}

#[test]
fn a_limit_that_is_lowered_while_running_stops_nothing() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("refused-lowered", 1);
    let running = Running::start(&kafka.config(&topics), Fake::default()).ready();
    kafka.write(&topics.input, [keyed(0, 0)]);
    wait_for("a verdict before", || running.answered() == 1);
    kafka.configure(&topics.output, &[("max.message.bytes", "3000")]);
    let mut records: Vec<Write> = (1..300).map(|id| keyed(0, id)).collect();
    records[100].headers = vec![("long".to_owned(), Some(vec![b'x'; 5_000]))];
    kafka.write(&topics.input, records);
    wait_for("the answers", || running.answered() == 300);
    assert_eq!(ids(&kafka.read(&topics.output)), (0..300).filter(|&id| id != 101).collect::<Vec<_>>());
    let dead_letters = kafka.read(&topics.dead_letters);
    assert_eq!(dead_letters.iter().map(Read::source).collect::<Vec<_>>(), [(0, 101)]);
    // By the broker, or by us once the new limit is known.
    let class = dead_letters[0].header("nunchi-error-class").unwrap();
    assert!(["refused", "oversize"].contains(&class), "{class}");
    running.stop().unwrap();
}
