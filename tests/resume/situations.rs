//! Situations that operators and brokers bring about, made by real means.

use crate::common::{Kafka, PATIENCE, Topics, Write, comment, wait_for};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::time::Duration;

/// A comment for `partition`.
pub fn to(partition: i32, id: usize) -> Write {
    Write { partition: Some(partition), ..Write::value(comment(id, "좋아요")) }
}

fn admin<T>(
    kafka: &Kafka,
    work: impl AsyncFnOnce(&AdminClient<DefaultClientContext>, &AdminOptions) -> T,
) -> T {
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    runtime.block_on(work(&admin, &options))
}

/// Deletes a topic, and waits until it is gone.
pub fn delete_topic(kafka: &Kafka, topic: &str) {
    admin(kafka, async |admin, options| {
        admin.delete_topics(&[topic], options).await.unwrap()[0].as_ref().unwrap();
    });
    let client: BaseConsumer = kafka.client().create().unwrap();
    wait_for("the end of the topic", || {
        let metadata = client.fetch_metadata(Some(topic), PATIENCE).unwrap();
        metadata.topics()[0].partitions().is_empty()
    });
}

/// Adds partitions, up to `count`.
pub fn add_partitions(kafka: &Kafka, topic: &str, count: usize) {
    admin(kafka, async |admin, options| {
        let done = admin.create_partitions(&[NewPartitions::new(topic, count)], options).await;
        done.unwrap()[0].as_ref().unwrap();
    });
}

/// Deletes what a group has committed, as the brokers do when it expires.
pub fn forget_offsets(kafka: &Kafka, group: &str) {
    let mut done = false;
    wait_for("an empty group", || {
        admin(kafka, async |admin, options| {
            done = admin.delete_groups(&[group], options).await.unwrap()[0].is_ok();
        });
        done
    });
}

/// An offset that another client commits for the group.
#[derive(Clone, Copy)]
pub struct Commit<'a> {
    pub partition: i32,
    pub offset: i64,
    pub epoch: Option<i32>,
    pub metadata: &'a str,
}

pub const COMMIT: Commit<'_> = Commit { partition: 0, offset: 0, epoch: None, metadata: "" };

/// Commits offsets of the group, which has no members: a mirror's checkpoints, `kafka-consumer-groups --reset-offsets`.
pub fn commit(kafka: &Kafka, topics: &Topics, commits: &[Commit<'_>]) {
    let consumer: BaseConsumer = kafka.client().set("group.id", &topics.group).create().unwrap();
    let mut list = TopicPartitionList::new();
    for commit in commits {
        let mut element = list.add_partition(&topics.input, commit.partition);
        element.set_offset(Offset::Offset(commit.offset)).unwrap();
        element.set_metadata(commit.metadata);
        nunchi_librdkafka::set_leader_epoch(&mut list, &topics.input, commit.partition, commit.epoch)
            .unwrap();
    }
    wait_for("the commit", || consumer.commit(&list, CommitMode::Sync).is_ok());
}

/// What the group has committed of a partition: offset, leader epoch, metadata.
pub fn committed(kafka: &Kafka, topics: &Topics, partition: i32) -> (Offset, Option<i32>, Option<String>) {
    let consumer: BaseConsumer = kafka.client().set("group.id", &topics.group).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition(&topics.input, partition);
    let list = consumer.committed_offsets(list, PATIENCE).unwrap();
    let offset = list.find_partition(&topics.input, partition).unwrap().offset();
    let epoch = nunchi_librdkafka::leader_epoch(&list, &topics.input, partition).unwrap();
    (offset, epoch, nunchi_librdkafka::commit_metadata(&list, &topics.input, partition).unwrap())
}

/// The end of a partition, whatever stands there.
pub fn end(kafka: &Kafka, topic: &str, partition: i32) -> i64 {
    let client: BaseConsumer = kafka.client().set("isolation.level", "read_uncommitted").create().unwrap();
    client.fetch_watermarks(topic, partition, PATIENCE).unwrap().1
}

/// Writes `committed` comments in one transaction, then `aborted` ones in another that is aborted.
pub fn write_and_abort(kafka: &Kafka, topics: &Topics, committed: usize, aborted: usize) {
    let producer: BaseProducer = kafka
        .client()
        .set("transactional.id", format!("{}-writer", topics.group))
        .set("queue.buffering.max.messages", "1000000")
        .create()
        .unwrap();
    wait_for("a transaction coordinator", || producer.init_transactions(PATIENCE).is_ok());
    for (count, is_committed) in [(committed, true), (aborted, false)] {
        producer.begin_transaction().unwrap();
        for id in 0..count {
            let value = comment(id, "별로예요");
            let record: BaseRecord<'_, [u8], [u8]> =
                BaseRecord::to(&topics.input).partition(0).payload(value.as_slice());
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
        if is_committed {
            producer.commit_transaction(PATIENCE).unwrap();
        } else {
            producer.abort_transaction(PATIENCE).unwrap();
        }
    }
}
