//! Processes that stand still and brokers that do: what has timed out meanwhile is begun anew, and the process goes on.

use super::common::{Fake, Kafka, Process, Running, Topics, Write, comment, kafka, wait_for};
use super::proxy::frames::api;
use super::proxy::{Held, Loss, Point, Proxy};
use super::{BROKER, Tally, committed, is_full, shared_broker, tally, write};
use nunchi::config::{Config, Value};
use std::process::Command;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PARTITIONS: i32 = 2;
const RECORDS: usize = 600;

/// Time-outs of a session and of a transaction, and how long things stand still: the defaults, or all of it shorter.
fn scale() -> (u64, u64) {
    if is_full() { (10_000, 15_000) } else { (2_000, 4_000) }
}

struct Place {
    kafka: Kafka,
    topics: Topics,
    proxy: Proxy,
    config: Config,
}

impl Place {
    fn new(name: &str) -> Option<Self> {
        let kafka = kafka()?;
        let topics = kafka.topics(&format!("frozen-{name}"), PARTITIONS);
        let proxy = Proxy::start(&kafka.bootstrap);
        let mut config = kafka.config(&topics);
        config.kafka.brokers = proxy.address();
        config.worker.batch_records = 100;
        let timeout = i64::try_from(scale().0).unwrap();
        let value = |ms| Value::Literal(toml::Value::Integer(ms));
        config.kafka.producer.insert("transaction.timeout.ms".to_owned(), value(timeout));
        config.kafka.consumer.insert("session.timeout.ms".to_owned(), value(timeout));
        Some(Place { kafka, topics, proxy, config })
    }

    fn write(&self) {
        write(&self.kafka, &self.topics, PARTITIONS, RECORDS);
    }

    fn wait_until_answered(&self, records: usize) {
        wait_for("the last record", || committed(&self.kafka, &self.topics, PARTITIONS) == records as i64);
    }

    fn tally(&self, written: usize) -> Tally {
        tally(written, &self.kafka.read(&self.topics.output))
    }
}

fn signal(name: &str, process: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), process]).status().unwrap().success());
}

#[test]
fn a_process_that_was_frozen_in_a_transaction_goes_on() {
    let _guard = shared_broker();
    let (timeout, freeze) = scale();
    // A paused machine, a laptop that was closed.
    let freezes = if is_full() { vec![freeze, 25_000, 40_000] } else { vec![freeze] };
    let Some(place) = Place::new("process") else { return };
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        format!("kafka.producer.transaction.timeout.ms={timeout}"),
        format!("kafka.consumer.session.timeout.ms={timeout}"),
        "worker.batch_records=100".to_owned(),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let process = Process::start(&place.config, folder.path(), &settings);
    let mut written = 0;
    for freeze in freezes {
        // The transaction waits for this answer when the process is stopped.
        place.proxy.delay_next(api::TXN_OFFSET_COMMIT, Duration::from_millis(500));
        place.write();
        written += RECORDS;
        wait_for("a transaction", || place.proxy.delay_began());
        process.signal("STOP");
        std::thread::sleep(Duration::from_millis(freeze));
        process.signal("CONT");
        place.wait_until_answered(written);
    }
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
    assert!(!log.contains("another process with the transactional id"), "{log}");
    assert_eq!(place.tally(written), Tally::default(), "{log}");
}

#[test]
fn offsets_that_are_answered_after_the_time_outs() {
    let _guard = shared_broker();
    let Some(place) = Place::new("offsets") else { return };
    let running = Running::start(&place.config, Fake::default()).ready();
    place.proxy.delay_next(api::TXN_OFFSET_COMMIT, Duration::from_millis(scale().0 + 1_000));
    place.write();
    place.wait_until_answered(RECORDS);
    running.stop().unwrap();
    assert_eq!(place.tally(RECORDS), Tally::default());
}

#[test]
fn a_commit_that_is_answered_after_the_time_outs() {
    let _guard = shared_broker();
    let Some(place) = Place::new("commit") else { return };
    let running = Running::start(&place.config, Fake::default()).ready();
    place.proxy.delay_next(api::END_TXN, Duration::from_millis(scale().0 + 1_000));
    place.write();
    place.wait_until_answered(RECORDS);
    let unknown = running.metrics.producer_rebuilds.with_label_values(&["unknown"]).get();
    assert!(unknown >= 1, "the call was given up, and the next producer found out what became of it");
    running.stop().unwrap();
    assert_eq!(place.tally(RECORDS), Tally::default());
}

#[test]
fn an_outage_that_is_longer_than_the_time_outs() {
    let _guard = BROKER.write().unwrap_or_else(PoisonError::into_inner);
    let Some(place) = Place::new("outage") else { return };
    let Ok(broker) = std::env::var("KAFKA_PID") else {
        crate::common::needs::lacking("kafka", "KAFKA_PID is not set; this broker cannot be stopped");
        return;
    };
    let running = Running::start(&place.config, Fake::default()).ready();
    place.proxy.delay_next(api::TXN_OFFSET_COMMIT, Duration::from_millis(500));
    place.write();
    wait_for("a transaction", || place.proxy.delay_began());
    signal("STOP", &broker);
    std::thread::sleep(Duration::from_millis(if is_full() { 20_000 } else { scale().1 }));
    signal("CONT", &broker);
    place.wait_until_answered(RECORDS);
    running.stop().unwrap();
    assert_eq!(place.tally(RECORDS), Tally::default());
}

#[test]
fn a_consumer_that_cannot_rewind_is_replaced() {
    let _guard = shared_broker();
    let Some(place) = Place::new("rewind") else { return };
    let running = Running::start(&place.config, Fake::default()).ready();
    // A batch is aborted, and the committed offsets cannot be read.
    place.proxy.mute(api::OFFSET_FETCH, true);
    place.proxy.provoke(Held::Abort, Loss::Cut, Point::BeforeAddOffsets);
    let joined = place.proxy.requests(api::JOIN_GROUP);
    place.write();
    wait_for("another consumer", || place.proxy.requests(api::JOIN_GROUP) > joined);
    place.proxy.mute(api::OFFSET_FETCH, false);
    place.wait_until_answered(RECORDS);
    running.stop().unwrap();
    assert_eq!(place.tally(RECORDS), Tally::default());
}

#[test]
fn timestamps_that_a_broker_refuses_unexpectedly_are_replaced() {
    let _guard = shared_broker();
    let Some(kafka) = kafka() else { return };
    let minute = 60_000;
    let before = |ms: i64| ms.to_string();
    let topics =
        kafka.topics_with("skew", 1, 1, &[("message.timestamp.before.max.ms", &before(120 * minute))]);
    let mut config = kafka.config(&topics);
    config.worker.batch_records = 10;
    let running = Running::start(&config, Fake::default()).ready();
    // The limit that was read at start is not the broker's any more, as with a clock that is ahead.
    kafka.alter(&topics.output, "message.timestamp.before.max.ms", &before(116 * minute));
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let old = now - 118 * minute;
    kafka.write(
        &topics.input,
        (0..20).map(|id| Write { timestamp: Some(old), ..Write::value(comment(id, "보통이에요")) }),
    );
    wait_for("the last record", || committed(&kafka, &topics, 1) == 20);
    // Once to learn it, and not until the records are too old for the first limit, too.
    let aborted = running.metrics.transactions.with_label_values(&["aborted"]).get();
    running.stop().unwrap();
    assert!((1..=3).contains(&aborted), "{aborted} batches were aborted");
    let answers = kafka.read(&topics.output);
    assert_eq!(tally(20, &answers), Tally::default());
    let old = old.to_string();
    assert!(answers.iter().all(|answer| answer.header("nunchi-timestamp") == Some(&old)), "{answers:?}");
}
