//! The topic of comments that people are to label: unsure ones and a sample of the others, in the transaction of their verdicts.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Kafka, Process, Read, Topics, Write, kafka, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const PARTITIONS: i32 = 3;
const COMMENTS: usize = 30_000;
/// Of two labels the first is never sure.
const BAND: &str = "decision.band=[0.0, 0.5]";

/// Texts on which a random model gives both labels.
const TEXTS: [&str; 6] = [
    "좋아요",
    "별로지만 추천해요",
    "정말 최악이에요",
    "배송이 빨라요",
    "다시는 안 사요",
    "가격 대비 괜찮아요",
];

fn comments(count: usize, key: bool) -> impl Iterator<Item = Write> {
    (0..count).map(move |id| Write {
        partition: Some((id % PARTITIONS as usize) as i32),
        key: key.then(|| format!("key-{id}").into_bytes()),
        headers: vec![
            ("shop".to_owned(), Some(b"a".to_vec())),
            ("nunchi-verdict".to_owned(), Some(b"forged".to_vec())),
        ],
        ..Write::value(common::comment(id, TEXTS[id * 7 % TEXTS.len()]))
    })
}

fn review_topic(kafka: &Kafka, topics: &Topics, settings: &[(&str, &str)]) -> String {
    let name = format!("{}-review", topics.group);
    kafka.create(&name, 2, settings);
    name
}

/// The records by the place of the comment that they answer.
fn by_source(records: &[Read]) -> BTreeMap<(i32, i64), &Read> {
    let found: BTreeMap<_, _> = records.iter().map(|record| (record.source(), record)).collect();
    assert_eq!(found.len(), records.len(), "every record is there once");
    found
}

fn is_unsure(verdict: &Read) -> bool {
    verdict.json().get("unsure") == Some(&Value::Bool(true))
}

fn committed(kafka: &Kafka, topics: &Topics) -> i64 {
    kafka.committed(&topics.group, &topics.input, PARTITIONS).iter().sum()
}

/// Waits until all is answered, and ends the process.
fn finish(kafka: &Kafka, topics: &Topics, process: Process, count: usize) -> String {
    wait_for("the last record", || committed(kafka, topics) == count as i64);
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
    log
}

#[test]
fn unsure_comments_and_a_sample_are_there_exactly_once_whatever_is_killed() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("review", PARTITIONS);
    let review = review_topic(&kafka, &topics, &[]);
    kafka.write(&topics.input, comments(COMMENTS, true));
    let (config, folder) = (kafka.config(&topics), tempfile::tempdir().unwrap());
    let set = format!("decision.review_topic={review}");
    let settings =
        [BAND, &set, "decision.review_share=0.1", "worker.batch_records=200", "kafka.instance=one"];
    let mut before = 0;
    for life in 0..5 {
        let mut process = Process::start(&config, folder.path(), &settings);
        wait_for("offsets that move", || committed(&kafka, &topics) > before);
        std::thread::sleep(Duration::from_millis(life * 5));
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        before = committed(&kafka, &topics);
        assert!(before < COMMENTS as i64, "life {life} had nothing left to die in");
    }
    finish(&kafka, &topics, Process::start(&config, folder.path(), &settings), COMMENTS);

    let (verdicts, copies) = (kafka.read(&topics.output), kafka.read(&review));
    let (verdicts, copies) = (by_source(&verdicts), by_source(&copies));
    assert_eq!(verdicts.len(), COMMENTS);
    let originals = kafka.read(&topics.input);
    let originals: BTreeMap<_, _> =
        originals.iter().map(|read| ((read.partition, read.offset), read)).collect();
    let (mut unsure, mut sampled, mut sure) = (0, 0, 0);
    for (place, verdict) in &verdicts {
        let copy = copies.get(place);
        match (is_unsure(verdict), copy) {
            (true, None) => panic!("{place:?}: an unsure comment is missing"),
            (true, Some(_)) => unsure += 1,
            (false, Some(_)) => sampled += 1,
            (false, None) => sure += 1,
        }
        let Some(copy) = copy else { continue };
        let original = originals[place];
        assert_eq!((&copy.key, &copy.value), (&original.key, &original.value), "as it came");
        assert_eq!(copy.timestamp, original.timestamp);
        let said: Value = serde_json::from_str(copy.header("nunchi-verdict").unwrap()).unwrap();
        assert_eq!(said, verdict.json());
        assert_eq!(copy.header("nunchi-unsure"), is_unsure(verdict).then_some("true"));
        assert_eq!(
            (copy.header("shop"), copy.header("nunchi-model")),
            (Some("a"), verdict.header("nunchi-model"))
        );
    }
    assert_eq!(copies.len(), unsure + sampled, "nothing else is there");
    assert!(unsure > 1_000 && sure > 1_000, "both kinds: {unsure}, {sampled}, {sure}");
    let share = sampled as f64 / (sampled + sure) as f64;
    assert!((0.08..0.12).contains(&share), "a tenth of the others: {sampled} of {}", sampled + sure);
    assert_eq!(kafka.read(&topics.dead_letters), []);
}

/// The copy is an extra: what the topic does not take is counted, and every verdict is written.
#[test]
fn a_review_topic_that_refuses_records_costs_no_verdict() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("review-refused", PARTITIONS);
    let review = review_topic(&kafka, &topics, &[("cleanup.policy", "compact")]);
    kafka.write(&topics.input, comments(90, true).chain(comments(90, false)));
    let (config, folder) = (kafka.config(&topics), tempfile::tempdir().unwrap());
    let set = format!("decision.review_topic={review}");
    let process = Process::start(&config, folder.path(), &[&set, "decision.review_share=1"]);
    let log = finish(&kafka, &topics, process, 180);
    assert!(log.contains("the topic of comments to review is compacted"), "{log}");
    assert_eq!(kafka.read(&topics.output).len(), 180);
    let copies = kafka.read(&review);
    assert_eq!(copies.len(), 90, "those with a key");
    assert!(copies.iter().all(|copy| copy.key.is_some()));
    assert_eq!(kafka.read(&topics.dead_letters), []);
}

#[test]
fn a_comment_too_large_for_the_review_topic_is_left_out() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("review-large", PARTITIONS);
    let review = review_topic(&kafka, &topics, &[("max.message.bytes", "1000")]);
    let long = common::comment(1, &"이 제품 정말 마음에 들어요 ".repeat(100));
    let short = common::comment(2, "좋아요");
    kafka.write(&topics.input, [Write::value(long), Write::value(short)]);
    let (config, folder) = (kafka.config(&topics), tempfile::tempdir().unwrap());
    let set = format!("decision.review_topic={review}");
    let process = Process::start(&config, folder.path(), &[&set, "decision.review_share=1.0"]);
    finish(&kafka, &topics, process, 2);
    assert_eq!(kafka.read(&topics.output).len(), 2);
    let copies = kafka.read(&review);
    assert_eq!(copies.iter().map(|copy| copy.json()["id"].clone()).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_review_topic_that_does_not_exist_is_named() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("review-missing", PARTITIONS);
    let (config, folder) = (kafka.config(&topics), tempfile::tempdir().unwrap());
    let process = Process::start(&config, folder.path(), &["decision.review_topic=nobody-made-it", BAND]);
    let (status, log) = process.end();
    assert_eq!(status, Some(1), "{log}");
    assert!(log.contains("nobody-made-it") && log.contains("decision.review_topic"), "{log}");
}
