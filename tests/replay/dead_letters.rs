//! `nunchi dead-letters`: dead letters are listed with their errors, and redriven once each, whatever is killed meanwhile.

use super::Place;
use super::common::{self, Fake, Process, Running, Write, comment, wait_for};
use nunchi_librdkafka::{HeadersBuilder, RawHeaders};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

fn start(place: &Place, words: &[&str]) -> Process {
    let ledger = format!("replay.topic={}", place.ledger);
    let common =
        ["--brokers", &place.kafka.bootstrap, "--topic", &place.topics.dead_letters, "--set", &ledger];
    Process::nunchi(&[&["dead-letters"], words, &common].concat())
}

fn objects(place: &Place, words: &[&str]) -> Vec<Value> {
    let (status, objects, log) = start(place, &[words, &["--json"]].concat()).end_with_objects();
    assert_eq!(status, Some(0), "{log}");
    objects
}

fn redrive(place: &Place, words: &[&str]) -> Value {
    objects(place, &[&["replay"], words].concat()).remove(0)
}

#[test]
fn dead_letters_are_listed_shown_and_redriven_once() {
    let Some(mut place) = Place::new("dead-letters") else { return };
    // A topic of dead letters that takes small records only.
    place.topics = place.kafka.topics_with(
        "dead-letters",
        super::PARTITIONS,
        super::PARTITIONS,
        &[("max.message.bytes", "20000")],
    );
    let renamed = |id: usize| serde_json::json!({"id": id, "review": "배송이 빨라요"}).to_string();
    let large = "x".repeat(50_000);
    let write = |value: &[u8]| Write {
        partition: Some(2),
        key: Some(b"p-1".to_vec()),
        timestamp: Some(super::JANUARY),
        headers: vec![("shop".to_owned(), Some(b"seoul".to_vec()))],
        ..Write::value(value)
    };
    let records = [
        renamed(1).into_bytes(),
        comment(2, "좋아요"),
        large.clone().into_bytes(),
        renamed(3).into_bytes(),
        b"\xff".to_vec(),
    ];
    place.kafka.write(&place.topics.input, records.iter().map(|value| write(value)));
    let mut config = place.kafka.config(&place.topics);
    let running = Running::start(&config, Fake::default());
    wait_for("the last record", || running.answered() == 5);
    running.stop().unwrap();

    let listed = objects(&place, &["list"]);
    let classes: Vec<&str> =
        listed.iter().map(|dead_letter| dead_letter["class"].as_str().unwrap()).collect();
    assert_eq!(classes, ["missing_text", "invalid_json", "missing_text", "invalid_utf8"]);
    assert_eq!(listed[0]["source"], format!("{}/2/0", place.topics.input));
    assert!(listed[0]["error"].as_str().unwrap().contains("no field `text`"));
    assert_eq!((&listed[1]["size"], &listed[1]["key"]), (&50_000.into(), &"p-1".into()));
    assert!(listed.iter().all(
        |dead_letter| dead_letter["sent"] == false && dead_letter["timestamp"] == "2026-01-01T00:00:00Z"
    ));
    assert_eq!(objects(&place, &["list", "--class", "invalid_utf8"]).len(), 1);
    assert_eq!(objects(&place, &["list", "--from", "2026-01-02"]).len(), 0);
    assert_eq!(objects(&place, &["list", "--limit", "2"]).len(), 2);

    let at = |dead_letter: &Value| dead_letter["place"].as_str().unwrap().to_owned();
    let shown = &objects(&place, &["show", &at(&listed[0])])[0];
    assert_eq!(shown["value"], renamed(1));
    assert_eq!(shown["headers"][0], serde_json::json!({"name": "shop", "value": "seoul"}));
    // Its value did not fit: it is fetched from where it came from.
    let shown = &objects(&place, &["show", &at(&listed[1])])[0];
    assert_eq!(shown["value"], large);
    let (status, raw, log) = start(&place, &["show", &at(&listed[1]), "--raw"]).end_with_out();
    assert_eq!((status, raw.trim_end()), (Some(0), &large[..]), "{log}");

    let dry_run = redrive(&place, &["--dry-run"]);
    assert_eq!((&dry_run["sent"], &dry_run["before"]), (&4.into(), &0.into()));
    let sent = redrive(&place, &["--class", "missing_text"]);
    assert_eq!(
        (&sent["sent"], &sent["before"], &sent["lost"]),
        (&2.into(), &0.into(), &serde_json::json!([]))
    );
    let again = redrive(&place, &["--class", "missing_text"]);
    assert_eq!((&again["sent"], &again["before"]), (&0.into(), &2.into()));
    let others = redrive(&place, &["--only", &at(&listed[1])]);
    assert_eq!((&others["sent"], &others["before"]), (&1.into(), &0.into()));
    let rest = redrive(&place, &[]);
    assert_eq!((&rest["sent"], &rest["before"]), (&1.into(), &3.into()));
    assert!(objects(&place, &["list"]).iter().all(|dead_letter| dead_letter["sent"] == true));

    // They came back as they were: bytes, key, time, partition and headers.
    let back: Vec<_> = place.kafka.read(&place.topics.input).into_iter().skip(5).collect();
    let values: Vec<&[u8]> = back.iter().map(|record| record.value.as_deref().unwrap()).collect();
    assert_eq!(values, [&records[0][..], &records[3], &records[2], &records[4]]);
    for record in &back {
        assert_eq!((record.partition, record.timestamp), (2, Some(super::JANUARY)));
        assert_eq!((record.key.as_deref(), record.header("shop")), (Some(&b"p-1"[..]), Some("seoul")));
        assert!(record.header("nunchi-resent").unwrap().starts_with(&place.topics.dead_letters));
        assert_eq!(record.header("nunchi-error"), None);
    }
    // After the fix they are classified; what is still broken is a dead letter again, and may be redriven again, once.
    config.input.text_field = nunchi::config::TextFields(vec!["review".to_owned()]);
    let running = Running::start(&config, Fake::default());
    wait_for("the last record", || running.answered() == 4);
    running.stop().unwrap();
    assert_eq!(place.output().len(), 1 + 2);
    assert_eq!(redrive(&place, &["--dry-run"])["sent"], 2);
}

/// A dead letter as a run would have written it.
fn dead_letter(source: &str, value: impl Into<Vec<u8>>) -> Write {
    Write {
        headers: vec![
            ("nunchi-source".to_owned(), Some(source.as_bytes().to_vec())),
            ("nunchi-error-class".to_owned(), Some(b"missing_text".to_vec())),
        ],
        ..Write::value(value)
    }
}

#[test]
fn one_that_cannot_be_delivered_is_named_and_blocks_no_other() {
    let Some(place) = Place::new("undeliverable") else { return };
    let small = format!("{}-small", place.topics.input);
    place.kafka.create(&small, 1, &[("max.message.bytes", "20000")]);
    let secret = "a comment that no message may show ".repeat(1_000);
    let source = format!("{small}/0/0");
    let mut writes: Vec<Write> = (0..20).map(|id| dead_letter(&source, id.to_string())).collect();
    // Too large for its topic; a partition and a topic that are gone.
    writes.insert(3, dead_letter(&source, secret.as_bytes()));
    writes.insert(5, dead_letter(&format!("{small}/7/0"), "x"));
    writes.insert(9, dead_letter(&format!("{small}-gone/0/0"), "x"));
    writes.push(dead_letter(&source, secret.as_bytes()));
    place.kafka.write(&place.topics.dead_letters, writes);

    for (sent, before) in [(20, 0), (0, 20)] {
        let (status, objects, log) = start(&place, &["replay", "--json"]).end_with_objects();
        assert_eq!(status, Some(1), "{log}");
        let summary = objects.first().unwrap_or_else(|| panic!("no summary: {log}"));
        assert_eq!((&summary["sent"], &summary["before"]), (&sent.into(), &before.into()), "{summary}");
        let refused: Vec<&str> =
            summary["refused"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        assert_eq!(refused.len(), 4, "{refused:?}");
        for offset in [3, 5, 9, 23] {
            let named = format!("{}/0/{offset}: ", place.topics.dead_letters);
            assert!(refused.iter().any(|line| line.starts_with(&named)), "{offset}: {refused:?}");
        }
        assert!(refused.iter().any(|line| line.contains("too large")), "{refused:?}");
        assert!(refused.iter().any(|line| line.contains("no partition 7")), "{refused:?}");
        assert!(!format!("{refused:?}{log}").contains("no message may show"), "{log}");
    }
    let back: Vec<_> = place.kafka.read(&small).into_iter().map(|record| record.value.unwrap()).collect();
    let expected: Vec<_> = (0..20).map(|id| id.to_string().into_bytes()).collect();
    assert_eq!(back, expected, "each once, in their order");
    let (status, log) = start(&place, &["replay"]).end();
    assert_eq!(status, Some(1), "{log}");
    assert!(log.contains("4 dead letters could not be delivered"), "{log}");
}

#[test]
fn a_recreated_topic_is_redriven_from_its_beginning_even_if_it_is_longer() {
    let Some(place) = Place::new("recreated") else { return };
    let source = format!("{}/0/0", place.topics.input);
    let write = |count: usize| {
        let letters = (0..count).map(|id| dead_letter(&source, id.to_string()));
        place.kafka.write(&place.topics.dead_letters, letters);
    };
    write(5);
    assert_eq!(redrive(&place, &[])["sent"], 5);
    place.kafka.delete(&place.topics.dead_letters);
    place.kafka.create(&place.topics.dead_letters, 1, &[]);
    write(8);
    let again = redrive(&place, &[]);
    assert_eq!((&again["sent"], &again["before"]), (&8.into(), &0.into()), "the new topic holds others");
    assert_eq!(redrive(&place, &[])["before"], 8);
}

#[test]
fn killed_in_the_middle_none_is_sent_twice_or_never() {
    let Some(place) = Place::new("resent") else { return };
    const COUNT: usize = 20_000;
    let source = format!("{}/1/0", place.topics.input);
    // As a run would have written them.
    place.kafka.write(
        &place.topics.dead_letters,
        (0..COUNT).map(|id| Write {
            headers: vec![
                ("nunchi-source".to_owned(), Some(source.clone().into_bytes())),
                ("nunchi-error-class".to_owned(), Some(b"missing_text".to_vec())),
            ],
            ..Write::value(id.to_string())
        }),
    );
    let back = || place.kafka.read(&place.topics.input);
    // Uncommitted records count here too: the process is killed in the middle of transactions.
    let consumer: BaseConsumer = place.kafka.client().create().unwrap();
    let written = || consumer.fetch_watermarks(&place.topics.input, 1, common::PATIENCE).unwrap().1;
    for _ in 0..5 {
        let (before, process) = (written(), start(&place, &["replay"]));
        wait_for("dead letters that are redriven", || written() > before);
        process.kill();
    }
    assert!(back().len() < COUNT, "all was redriven before the last kill");
    // Two at a time: one of them is fenced, or finds nothing left.
    let (first, second) = (start(&place, &["replay"]), start(&place, &["replay"]));
    let (_, _) = (first.end(), second.end());
    redrive(&place, &[]);
    wait_for("the last open transaction", || back().len() >= COUNT);
    let mut ids: Vec<usize> = back()
        .iter()
        .map(|record| std::str::from_utf8(record.value.as_deref().unwrap()).unwrap().parse().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..COUNT).collect::<Vec<_>>());
}

/// As [`killed_in_the_middle_none_is_sent_twice_or_never`], where every commit may have been sent twice.
#[test]
fn late_commits_replace_the_producer_of_a_redrive() {
    let Some(place) = Place::new("resent-late") else { return };
    const COUNT: usize = 2_600;
    let source = format!("{}/1/0", place.topics.input);
    place.kafka.write(
        &place.topics.dead_letters,
        (0..COUNT).map(|id| Write {
            headers: vec![("nunchi-source".to_owned(), Some(source.clone().into_bytes()))],
            ..Write::value(id.to_string())
        }),
    );
    let done = redrive(&place, &["--set", "kafka.producer.retry.backoff.ms=1"]);
    assert_eq!(done["sent"], COUNT, "{done}");
    assert_eq!(place.kafka.read(&place.topics.input).len(), COUNT);
}

#[test]
fn what_cannot_be_is_refused() {
    let Some(place) = Place::new("dead-letters-refused") else { return };
    place.kafka.write(&place.topics.dead_letters, [Write::value(*b"no headers")]);
    let cases: &[(&[&str], i32, &str)] = &[
        (&["show", "first"], 64, "PARTITION/OFFSET"),
        (&["show", "0/99"], 64, "no dead letter 0/99"),
        (&["list", "--class", "angry"], 64, "invalid_json"),
        (&["list", "--from", "2026-02-01", "--to", "2026-01-01"], 64, "must be before"),
        (&["replay", "--to-topic", "nowhere-to-be-found"], 64, "nowhere-to-be-found"),
        (&["replay", "--to-topic", &place.topics.dead_letters], 64, "dead letters itself"),
        // A record without nunchi's headers is left alone.
        (&["replay"], 0, "no valid header `nunchi-source`"),
    ];
    for (words, code, message) in cases {
        let (status, log) = start(&place, words).end();
        assert_eq!(status, Some(*code), "{words:?}: {log}");
        assert!(log.contains(message), "{words:?}: {log}");
    }
    let missing =
        ["dead-letters", "list", "--brokers", &place.kafka.bootstrap, "--topic", "nowhere-to-be-found"];
    let (status, log) = Process::nunchi(&missing).end();
    assert_eq!(status, Some(64), "{log}");
}

#[test]
fn a_header_name_that_is_not_utf8_comes_back_with_a_redriven_record() {
    let Some(place) = Place::new("dead-letters-header-names") else { return };
    let strange: (&[u8], &[u8]) = (&[0xff, 0xfe], &[0xff, 0]);
    let mut headers = HeadersBuilder::with_capacity(1);
    headers.add(strange.0, Some(strange.1));
    let producer: BaseProducer = place.kafka.client().create().unwrap();
    let record = BaseRecord::<[u8], [u8]>::to(&place.topics.input).payload(b"{}").partition(0);
    producer.send(record.headers(headers.build())).map_err(|(error, _)| error).unwrap();
    producer.flush(common::PATIENCE).unwrap();
    let running = Running::start(&place.kafka.config(&place.topics), Fake::default());
    wait_for("the record", || running.answered() == 1);
    running.stop().unwrap();

    let listed = objects(&place, &["list"]);
    assert_eq!((listed.len(), &listed[0]["class"]), (1, &Value::from("missing_text")));
    assert_eq!(redrive(&place, &[])["sent"], 1);
    let consumer: BaseConsumer = place
        .kafka
        .client()
        .set("group.id", "raw")
        .set("isolation.level", "read_committed")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&place.topics.input, 0, Offset::Offset(1)).unwrap();
    consumer.assign(&list).unwrap();
    let message = consumer.poll(common::PATIENCE).expect("the redriven record").unwrap();
    let headers = RawHeaders::of_message(&message).unwrap();
    let read: Vec<_> = headers.iter().map(|header| (header.name, header.value)).collect();
    assert_eq!(read[0], (strange.0, Some(strange.1)));
    assert_eq!((read.len(), read[1].0), (2, &b"nunchi-resent"[..]));
}
