//! Timestamps that the topics do not take: replaced where that helps, refused where it does not.

use crate::common::{Fake, Running, Write, kafka, wait_for};
use crate::{ids, keyed, refused};
use nunchi::config::Delivery;
use std::time::{SystemTime, UNIX_EPOCH};

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// The ids of verdicts whose timestamp was replaced.
fn replaced(verdicts: &[crate::common::Read]) -> Vec<u64> {
    let replaced: Vec<_> =
        verdicts.iter().filter(|verdict| verdict.header("nunchi-timestamp").is_some()).cloned().collect();
    ids(&replaced)
}

#[test]
fn several_timestamps_out_of_range_are_replaced_and_not_refused() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("refused-times", 1);
    let running = Running::start(&kafka.config(&topics), Fake::default()).ready();
    kafka.configure(&topics.output, &[("message.timestamp.after.max.ms", "600000")]);
    let ahead = |id| Write { timestamp: Some(now_ms() + 1_800_000), ..keyed(0, id) };
    kafka.write(&topics.input, [keyed(0, 0), ahead(1), ahead(2), keyed(0, 3)]);
    wait_for("the answers", || running.answered() == 4);
    let verdicts = kafka.read(&topics.output);
    assert_eq!(ids(&verdicts), [0, 1, 2, 3]);
    assert_eq!(replaced(&verdicts), [1, 2]);
    running.stop().unwrap();
}

#[test]
fn a_limit_of_age_that_is_set_while_running_is_followed() {
    let Some(kafka) = kafka() else { return };
    for delivery in [Delivery::ExactlyOnce, Delivery::AtLeastOnce] {
        let topics = kafka.topics("refused-ages", 1);
        let mut config = kafka.config(&topics);
        config.kafka.delivery = delivery;
        let running = Running::start(&config, Fake::default()).ready();
        kafka.write(&topics.input, [keyed(0, 0)]);
        wait_for("a verdict before", || running.answered() == 1);
        // Until now every age was fine.
        kafka.configure(&topics.output, &[("message.timestamp.before.max.ms", "3600000")]);
        let old = |id| Write { timestamp: Some(now_ms() - 40 * 86_400_000), ..keyed(0, id) };
        kafka.write(&topics.input, (1..50).map(|id| if id % 10 == 3 { old(id) } else { keyed(0, id) }));
        wait_for("the answers", || running.answered() == 50);
        let mut verdicts = kafka.read(&topics.output);
        if delivery == Delivery::AtLeastOnce {
            // Neighbors of what was refused may be there twice.
            verdicts.sort_by_key(|verdict| verdict.source());
            verdicts.dedup_by_key(|verdict| verdict.source());
        }
        assert_eq!(ids(&verdicts), (0..50).collect::<Vec<_>>());
        assert_eq!(replaced(&verdicts), [3, 13, 23, 33, 43]);
        assert_eq!(kafka.read(&topics.dead_letters), []);
        running.stop().unwrap();
    }
}

#[test]
fn where_the_present_is_out_of_range_too_records_become_dead_letters() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("refused-present", 2);
    let mut config = kafka.config(&topics);
    // Such a topic takes not even the brokers' own markers of transactions.
    config.kafka.delivery = Delivery::AtLeastOnce;
    let running = Running::start(&config, Fake::default()).ready();
    // As with a broker whose clock is wrong: whatever is written is too old when it arrives.
    let nothing = &[("message.timestamp.before.max.ms", "0")];
    kafka.configure(&topics.output, nothing);
    kafka.write(&topics.input, (0..20).map(|id| keyed(0, id)));
    wait_for("the answers", || running.answered() == 20);
    let dead = refused(&kafka, &topics);
    // One that arrives within the millisecond is taken.
    let mut offsets: Vec<i64> = dead.iter().map(|(offset, _)| *offset).collect();
    offsets.extend(kafka.read(&topics.output).iter().map(|verdict| verdict.source().1));
    offsets.sort_unstable();
    offsets.dedup();
    assert_eq!(offsets, (0..20).collect::<Vec<_>>());
    assert!(dead.len() > 10 && dead[0].1.contains("message.timestamp.before.max.ms"), "{dead:?}");
    assert!(running.health.halted().is_empty());

    kafka.configure(&topics.dead_letters, nothing);
    kafka.write(&topics.input, (20..40).map(|id| keyed(0, id)));
    wait_for("the halt", || !running.health.halted().is_empty());
    let halted = running.health.halted().join("");
    assert!(
        halted.contains("0: refused: ") && halted.contains("message.timestamp.before.max.ms"),
        "{halted}"
    );
    for topic in [&topics.output, &topics.dead_letters] {
        kafka.configure(topic, &[]);
    }
    wait_for("the rest", || running.answered() == 40);
    assert!(running.health.halted().is_empty());
    running.stop().unwrap();
}
