//! Leader epochs of messages, and of offsets that are committed with them.

use crate::common::{TIMEOUT, kafka, next, unique, wait_for};
use nunchi_librdkafka::{leader_epoch, message_leader_epoch, set_leader_epoch};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

/// Offset and leader epoch that the group has committed for partition 0.
fn committed(consumer: &BaseConsumer, topic: &str) -> (Offset, Option<i32>) {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, 0);
    let list = consumer.committed_offsets(list, TIMEOUT).unwrap();
    let offset = list.find_partition(topic, 0).unwrap().offset();
    (offset, leader_epoch(&list, topic, 0).unwrap())
}

#[test]
fn a_committed_offset_carries_the_epoch_of_its_message() {
    let Some(kafka) = kafka() else { return };
    let (topic, group) = (unique("epochs"), unique("epochs"));
    kafka.create(&topic);
    let producer: BaseProducer =
        kafka.client().set("transactional.id", &group).set("linger.ms", "0").create().unwrap();
    wait_for("a transaction coordinator", || producer.init_transactions(TIMEOUT).is_ok());
    let record = || BaseRecord::<str, str>::to(&topic).payload("{}").partition(0);
    producer.begin_transaction().unwrap();
    producer.send(record()).map_err(|(error, _)| error).unwrap();
    producer.commit_transaction(TIMEOUT).unwrap();

    let consumer = kafka.consumer(&group, &topic);
    let message = next(&consumer);
    let epoch = message_leader_epoch(&message).expect("current brokers send it");
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&topic, 0, Offset::Offset(message.offset() + 1)).unwrap();

    // Without an epoch none is committed: the wrapper is what makes the difference.
    wait_for("a coordinator", || consumer.commit(&offsets, CommitMode::Sync).is_ok());
    assert_eq!(committed(&consumer, &topic), (Offset::Offset(1), None));
    set_leader_epoch(&mut offsets, &topic, 0, Some(epoch)).unwrap();
    consumer.commit(&offsets, CommitMode::Sync).unwrap();
    assert_eq!(committed(&consumer, &topic), (Offset::Offset(1), Some(epoch)));

    // The same in a transaction. Brokers keep whatever epoch they are given, so another one shows that it is this commit's.
    offsets.set_partition_offset(&topic, 0, Offset::Offset(2)).unwrap();
    set_leader_epoch(&mut offsets, &topic, 0, Some(epoch + 5)).unwrap();
    producer.begin_transaction().unwrap();
    let group = consumer.group_metadata().unwrap();
    producer.send_offsets_to_transaction(&offsets, &group, TIMEOUT).unwrap();
    producer.commit_transaction(TIMEOUT).unwrap();
    // A commit is answered before its markers are written everywhere.
    wait_for("the transaction's offsets", || committed(&consumer, &topic).0 == Offset::Offset(2));
    assert_eq!(committed(&consumer, &topic), (Offset::Offset(2), Some(epoch + 5)));
}
