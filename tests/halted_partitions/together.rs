//! Several faults at once, and faults together with what happens to groups and topics meanwhile.

use crate::common::{
    Fake, Kafka, Read, Running, Topics, Write, comment, damage, kafka, wait_for, wait_for_retry,
};
use crate::to;
use nunchi::config::Delivery;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;

const DELIVERIES: [Delivery; 2] = [Delivery::ExactlyOnce, Delivery::AtLeastOnce];

fn sound(partition: i32, ids: std::ops::Range<usize>) -> impl Iterator<Item = Write> {
    ids.map(move |id| Write {
        key: Some(format!("key-{id}").into_bytes()),
        ..to(partition, comment(id, "좋아요"))
    })
}

fn poison(partition: i32, count: usize) -> impl Iterator<Item = Write> {
    (0..count)
        .map(move |number| Write { key: Some(number.to_string().into_bytes()), ..to(partition, *b"poison") })
}

/// The ids of the verdicts by partition of their comments, sorted: where the numbers of partitions differ they are ordered by key
/// only. At least once some are there twice.
fn answered(kafka: &Kafka, topics: &Topics, delivery: Delivery) -> BTreeMap<i32, Vec<usize>> {
    let mut ids: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    let id = |verdict: &Read| verdict.json()["id"].as_u64().unwrap() as usize;
    for verdict in kafka.read(&topics.output) {
        ids.entry(verdict.source().0).or_default().push(id(&verdict));
    }
    for ids in ids.values_mut() {
        ids.sort_unstable();
        if delivery == Delivery::AtLeastOnce {
            ids.dedup();
        }
    }
    ids
}

/// Commits an offset for the group, which has no members.
fn commit(kafka: &Kafka, topics: &Topics, partition: i32, offset: i64) {
    let consumer: BaseConsumer = kafka.client().set("group.id", &topics.group).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topics.input, partition, Offset::Offset(offset)).unwrap();
    wait_for("the commit", || consumer.commit(&list, CommitMode::Sync).is_ok());
}

#[test]
fn four_partitions_with_four_faults_leave_the_fifth_alone_and_go_on_one_by_one() {
    let Some(kafka) = kafka() else { return };
    for delivery in DELIVERIES {
        let topics = kafka.topics("together-four", 5);
        kafka.configure(&topics.dead_letters, &[("cleanup.policy", "compact")]);
        kafka.write(&topics.input, poison(0, 1_500));
        kafka.write(&topics.input, sound(1, 0..30));
        commit(&kafka, &topics, 1, 40);
        let keyless = Write { key: None, ..to(2, *b"poison") };
        kafka.write(&topics.input, sound(2, 100..110).chain([keyless]).chain(sound(2, 110..120)));
        for first in [200, 210, 220] {
            kafka.write(&topics.input, sound(3, first..first + 10));
        }
        if !damage(&topics.input, 3, 10) {
            return;
        }
        kafka.write(&topics.input, sound(4, 300..350));
        let mut config = kafka.config(&topics);
        config.kafka.delivery = delivery;
        config.worker.batch_records = 300;
        let running = Running::start(&config, Fake::default());
        wait_for("the halts", || running.health.halted().len() == 4);
        let halted = running.health.halted();
        for (partition, reason) in ["poison", "beyond_end", "refused", "corrupt"].into_iter().enumerate() {
            let start = format!("{}/{partition}: {reason}: ", topics.input);
            assert!(halted[partition].starts_with(&start), "{start} in {halted:?}");
        }
        kafka.write(&topics.input, sound(4, 350..360));
        let of = |partition: i32| answered(&kafka, &topics, delivery).remove(&partition).unwrap_or_default();
        wait_for("the sound partition", || of(4).len() == 60);
        assert!(running.health.not_live().is_empty() && running.health.not_ready().is_empty());

        kafka.delete_records(&topics.input, 0, 1_500);
        kafka.write(&topics.input, sound(0, 400..410));
        wait_for_retry("the poisoned one", || of(0).len() == 10);
        kafka.write(&topics.input, sound(1, 30..45));
        wait_for_retry("the one beyond the end", || of(1).len() == 5);
        assert!(damage(&topics.input, 3, 10), "the same bit once more");
        wait_for_retry("the damaged one", || of(3).len() == 30);
        kafka.configure(&topics.dead_letters, &[("cleanup.policy", "delete")]);
        wait_for_retry("the refused one", || of(2).len() == 20);
        wait_for_retry("the ends of the halts", || running.health.halted().is_empty());
        running.stop().unwrap();
        let expected = [
            (0, (400..410).collect()),
            (1, (40..45).collect()),
            (2, (100..120).collect()),
            (3, (200..230).collect()),
            (4, (300..360).collect()),
        ];
        assert_eq!(answered(&kafka, &topics, delivery), expected.into(), "{delivery:?}");
    }
}

#[test]
fn a_halt_moves_with_its_partition_from_process_to_process() {
    let Some(kafka) = kafka() else { return };
    for delivery in DELIVERIES {
        let topics = kafka.topics("together-moves", 4);
        // Each owner takes up to a window of them before it halts the partition.
        kafka.write(
            &topics.input,
            poison(0, 6_000).chain((1..4).flat_map(|partition| {
                sound(partition, partition as usize * 1_000..partition as usize * 1_000 + 20)
            })),
        );
        let mut config = kafka.config(&topics);
        config.kafka.delivery = delivery;
        config.worker.batch_records = 300;
        config.worker.workers = 1;
        let first = Running::start(&config, Fake::default());
        wait_for("the halt", || first.health.halted().len() == 1);
        let second = Running::start(&config, Fake::default());
        let owns = |running: &Running| running.metrics.encode().unwrap().contains("nunchi_lag_records{");
        wait_for("the rebalance", || owns(&first) && owns(&second));
        wait_for("one halt", || first.health.halted().len() + second.health.halted().len() == 1);
        kafka.write(
            &topics.input,
            (1..4).flat_map(|partition| {
                sound(partition, partition as usize * 1_000 + 20..partition as usize * 1_000 + 40)
            }),
        );
        let sound_ones =
            |kafka: &Kafka| answered(kafka, &topics, delivery).values().map(Vec::len).sum::<usize>();
        wait_for("the sound partitions", || sound_ones(&kafka) == 120);

        let (owner, other) = if first.health.halted().is_empty() { (second, first) } else { (first, second) };
        owner.stop().unwrap();
        wait_for("the halt at the other", || other.health.halted().len() == 1);
        kafka.delete_records(&topics.input, 0, 6_000);
        kafka.write(&topics.input, sound(0, 0..10));
        wait_for_retry("the end of the halt", || other.health.halted().is_empty());
        wait_for("all", || sound_ones(&kafka) == 130);
        other.stop().unwrap();
        let of = |partition: i32| {
            let first = partition as usize * 1_000;
            (partition, (first..first + if partition == 0 { 10 } else { 40 }).collect())
        };
        assert_eq!(answered(&kafka, &topics, delivery), (0..4).map(of).collect(), "{delivery:?}");
    }
}

#[test]
fn a_topic_that_is_made_again_with_fewer_partitions_ends_the_halts_of_the_old_one() {
    let Some(kafka) = kafka() else { return };
    for delivery in DELIVERIES {
        let topics = kafka.topics("together-fewer", 3);
        kafka.write(&topics.input, poison(0, 1_500).chain(sound(1, 0..20)).chain(poison(2, 1_500)));
        let mut config = kafka.config(&topics);
        config.kafka.delivery = delivery;
        config.worker.batch_records = 300;
        let running = Running::start(&config, Fake::default());
        wait_for("the halts", || running.health.halted().len() == 2);
        wait_for("the sound partition", || answered(&kafka, &topics, delivery).len() == 1);
        kafka.delete(&topics.input);
        kafka.create(&topics.input, 1, &[]);
        kafka.write(&topics.input, sound(0, 100..120));
        wait_for("the new topic", || {
            answered(&kafka, &topics, delivery).get(&0).is_some_and(|ids| ids.len() == 20)
        });
        wait_for_retry("the ends of the halts", || running.health.halted().is_empty());
        // And with more.
        kafka.delete(&topics.input);
        kafka.create(&topics.input, 4, &[]);
        kafka.write(
            &topics.input,
            (0..4).flat_map(|partition| {
                sound(partition, 200 + partition as usize * 10..210 + partition as usize * 10)
            }),
        );
        let all = || answered(&kafka, &topics, delivery).values().map(Vec::len).sum::<usize>();
        wait_for("the third topic", || all() == 80);
        wait_for("readiness", || running.health.not_ready().is_empty());
        running.stop().unwrap();
        let expected = [
            (0, (100..120).chain(200..210).collect()),
            (1, (0..20).chain(210..220).collect()),
            (2, (220..230).collect()),
            (3, (230..240).collect()),
        ];
        assert_eq!(answered(&kafka, &topics, delivery), expected.into(), "{delivery:?}");
    }
}

#[test]
fn retention_that_overtakes_a_halted_partition_is_counted() {
    let Some(kafka) = kafka() else { return };
    for delivery in DELIVERIES {
        let topics = kafka.topics("together-retention", 2);
        kafka.write(&topics.input, poison(0, 1_500).chain(sound(1, 0..20)));
        let mut config = kafka.config(&topics);
        config.kafka.delivery = delivery;
        config.worker.batch_records = 300;
        let running = Running::start(&config, Fake::default());
        wait_for("the halt", || running.health.halted().len() == 1);
        wait_for("the sound partition", || answered(&kafka, &topics, delivery).len() == 1);
        let position = kafka.committed(&topics.group, &topics.input, 1)[0];
        kafka.write(&topics.input, sound(0, 100..110));
        // Into the sound records.
        kafka.delete_records(&topics.input, 0, 1_503);
        wait_for_retry("the end of the halt", || running.health.halted().is_empty());
        wait_for_retry("the rest", || {
            answered(&kafka, &topics, delivery).get(&0).is_some_and(|ids| ids.len() == 7)
        });
        let lost =
            running.metrics.records_lost.with_label_values(&[topics.input.as_str(), "0", "deleted"]).get();
        assert_eq!(lost as i64, 1_503 - position, "{delivery:?}");
        running.stop().unwrap();
        let expected = [(0, (103..110).collect()), (1, (0..20).collect())];
        assert_eq!(answered(&kafka, &topics, delivery), expected.into(), "{delivery:?}");
    }
}
