//! Topic IDs, leaders, authorized operations, and refusals.

use crate::common::{OPTIONS, kafka, next, unique, wait_for};
use nunchi_librdkafka::{
    DescribeOptions, Error, GroupState, Operation, describe_cluster, describe_consumer_group, describe_topics,
};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

#[test]
fn a_topic_that_is_made_again_has_another_id() {
    let Some(kafka) = kafka() else { return };
    let (topic, other) = (unique("again"), unique("other"));
    let first = kafka.create(&topic);
    let other_id = kafka.create(&other).id;
    let admin = kafka.admin();
    let ids = |topics: &[&String]| -> Vec<_> {
        let described = describe_topics(admin.inner(), topics, &OPTIONS).unwrap();
        described.into_iter().map(|topic| topic.unwrap().id).collect()
    };
    assert!(first.id.is_some() && first.id != other_id);
    assert_eq!(ids(&[&other, &topic]), [other_id, first.id], "in the requested order, and always the same");
    kafka.delete(&topic);
    let second = kafka.create(&topic);
    assert!(second.id.is_some() && second.id != first.id, "{first:?} {second:?}");
    assert_eq!(ids(&[&topic, &other]), [second.id, other_id]);
}

#[test]
fn a_description_tells_partitions_and_leaders() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.create(&unique("partitions"));
    assert!(!topic.internal);
    assert_eq!(topic.partitions.iter().map(|part| part.partition).collect::<Vec<_>>(), [0, 1]);
    for partition in &topic.partitions {
        let leader = partition.leader.as_ref().unwrap();
        assert!(leader.id >= 0 && leader.port > 0 && !leader.host.is_empty(), "{leader:?}");
        assert_eq!(partition.replicas, std::slice::from_ref(leader));
        assert_eq!(partition.in_sync_replicas, std::slice::from_ref(leader));
    }
    let admin = kafka.admin();
    let cluster = describe_cluster(admin.inner(), &OPTIONS).unwrap();
    assert_eq!(cluster.nodes, topic.partitions[0].replicas);
    assert!(cluster.id.is_some_and(|id| !id.is_empty()) && cluster.controller.is_some());
}

/// The tests' broker has no authorizer: everything is allowed, and it says so.
#[test]
fn a_broker_without_authorizer_allows_everything() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.create(&unique("allowed"));
    let wanted = [
        Operation::Read,
        Operation::Write,
        Operation::Describe,
        Operation::DescribeConfigs,
        Operation::Alter,
    ];
    let allowed = topic.authorized_operations.expect("requested");
    assert_eq!(allowed.lacking(&wanted), [], "{allowed}");
    assert!(!allowed.contains(Operation::ClusterAction), "not a matter of topics: {allowed}");
    let admin = kafka.admin();
    let cluster = describe_cluster(admin.inner(), &OPTIONS).unwrap();
    let allowed = cluster.authorized_operations.expect("requested");
    assert_eq!(allowed.lacking(&[Operation::Create, Operation::ClusterAction]), [], "{allowed}");

    let without_operations = DescribeOptions { authorized_operations: false, ..OPTIONS };
    let topic =
        describe_topics(admin.inner(), &[&topic.name], &without_operations).unwrap().remove(0).unwrap();
    assert_eq!(topic.authorized_operations, None);
    assert_eq!(describe_cluster(admin.inner(), &without_operations).unwrap().authorized_operations, None);
}

#[test]
fn a_group_tells_its_state_and_what_we_may_do() {
    let Some(kafka) = kafka() else { return };
    let (topic, group) = (unique("group"), unique("group"));
    kafka.create(&topic);
    let producer: BaseProducer = kafka.client().create().unwrap();
    producer.send(BaseRecord::<str, str>::to(&topic).payload("{}").partition(0)).map_err(|(e, _)| e).unwrap();
    producer.flush(OPTIONS.timeout).unwrap();
    // A group of committed offsets alone, then one with a member. Any client can describe them.
    let consumer = kafka.consumer(&group, &topic);
    let message = next(&consumer);
    // The coordinator's topic may still be in the making.
    wait_for("a coordinator", || consumer.commit_message(&message, CommitMode::Sync).is_ok());
    drop(message);
    let empty = describe_consumer_group(consumer.client(), &group, &OPTIONS).unwrap();
    assert_eq!((empty.state, empty.members), (GroupState::Empty, 0));
    let allowed = empty.authorized_operations.expect("requested");
    assert_eq!(allowed.lacking(&[Operation::Read, Operation::Describe, Operation::Delete]), [], "{allowed}");
    assert!(!allowed.contains(Operation::Write), "not a matter of groups: {allowed}");

    consumer.unassign().unwrap();
    consumer.subscribe(&[&topic]).unwrap();
    wait_for("the group to be stable", || {
        let _ = consumer.poll(std::time::Duration::from_millis(100));
        let group = describe_consumer_group(producer.client(), &group, &OPTIONS).unwrap();
        group.state == GroupState::Stable && group.members == 1 && group.coordinator.is_some()
    });
    // What we may do is known before the group exists: at a first start, for instance.
    let absent = describe_consumer_group(producer.client(), &unique("absent"), &OPTIONS).unwrap();
    assert_eq!((absent.state, absent.members), (GroupState::Dead, 0));
    assert!(absent.authorized_operations.expect("requested").contains(Operation::Read));
}

#[test]
fn what_cannot_be_described_is_told_by_its_code() {
    let Some(kafka) = kafka() else { return };
    let (topic, absent) = (unique("there"), unique("absent"));
    kafka.create(&topic);
    let admin = kafka.admin();
    let described = describe_topics(admin.inner(), &[&absent, &topic], &OPTIONS).unwrap();
    let error = described[0].as_ref().unwrap_err();
    assert_eq!(
        (&error.topic, error.response.code()),
        (&absent, RDKafkaErrorCode::UnknownTopicOrPartition),
        "{error}"
    );
    assert_eq!(described[1].as_ref().unwrap().name, topic);
    assert_eq!(describe_topics(admin.inner(), &[] as &[&str], &OPTIONS).unwrap(), []);
    let twice = describe_topics(admin.inner(), &[&topic, &topic], &OPTIONS).unwrap_err();
    assert_eq!(twice.code(), Some(RDKafkaErrorCode::InvalidArgument), "{twice}");
    let empty = describe_topics(admin.inner(), &[""], &OPTIONS).unwrap_err();
    assert_eq!(empty.code(), Some(RDKafkaErrorCode::InvalidArgument), "{empty}");
    let nul = describe_topics(admin.inner(), &["a\0b"], &OPTIONS).unwrap_err();
    assert_eq!(nul, Error::Nul { what: "topic name" });
}
