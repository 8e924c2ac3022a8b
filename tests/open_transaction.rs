//! A transaction that a producer of the input topic holds open is visible, although the lag is 0.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Fake, PATIENCE, Running, comment, kafka, wait_for};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

#[test]
fn an_open_transaction_shows_as_lag_to_the_high_watermark() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("open-transaction", 2);
    let running = Running::start(&kafka.config(&topics), Fake::default()).ready();
    let producer: ThreadedProducer<DefaultProducerContext> =
        kafka.client().set("transactional.id", format!("{}-writer", topics.group)).create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    for id in 0..30 {
        let value = comment(id, "좋아요");
        let record = BaseRecord::<(), _>::to(&topics.input).partition(1).payload(&value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();

    let lag = |partition: &str| {
        let labels = [topics.input.as_str(), partition];
        let uncommitted = running.metrics.lag_uncommitted_records.with_label_values(&labels).get();
        (running.metrics.lag_records.with_label_values(&labels).get(), uncommitted)
    };
    wait_for("the records of the open transaction", || lag("1") == (0, 30));
    assert_eq!(lag("0"), (0, 0), "the other partition has none");
    assert_eq!(running.answered(), 0, "nobody may read them");
    assert!(running.health.not_ready().is_empty() && running.health.not_live().is_empty());

    producer.commit_transaction(PATIENCE).unwrap();
    wait_for("the answers", || running.answered() == 30);
    wait_for("an end of the lag", || lag("1") == (0, 0));
    running.stop().unwrap();
}
