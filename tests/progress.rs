//! A worker whose loop turns without moving is not alive, unless the reason is known.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Fake, Running, comment, kafka, wait_for};

/// A topic that takes no record: even the time of now is too old when it arrives.
const UNWRITABLE: &[(&str, &str)] =
    &[("message.timestamp.before.max.ms", "0"), ("message.timestamp.after.max.ms", "0")];

#[test]
fn a_worker_that_does_not_move_fails_the_probe_with_the_reason() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics_with("stalled", 2, 2, UNWRITABLE);
    kafka.write(&topics.input, (0..20).map(|id| common::Write::value(comment(id, "좋아요"))));
    let mut config = kafka.config(&topics);
    config.worker.stall_seconds = 20;
    // No transactions: the brokers could not write the markers of their ends either.
    config.kafka.delivery = nunchi::config::Delivery::AtLeastOnce;
    let running = Running::start(&config, Fake::default());
    let age = |partition: &str| {
        running.metrics.position_age.with_label_values(&[topics.input.as_str(), partition]).get()
    };
    wait_for("the age of a position", || age("0") + age("1") > 0);
    wait_for("the probe", || !running.health.not_live().is_empty());
    let reason = running.health.not_live().join("");
    assert!(reason.starts_with("worker 0 has not moved for "), "{reason}");
    assert!(reason.contains("refused a timestamp"), "the last failure says why: {reason}");

    kafka.configure(&topics.output, &[]);
    wait_for("the answers", || running.answered() == 20);
    wait_for("the probe", || running.health.not_live().is_empty());
    wait_for("the ages", || age("0") + age("1") == 0);
    running.stop().unwrap();
}

#[test]
fn a_halted_partition_and_a_quiet_topic_are_no_stall() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("halted-alive", 2);
    kafka.configure(&topics.dead_letters, &[("cleanup.policy", "compact")]);
    let poison = common::Write { partition: Some(0), ..common::Write::value("poison") };
    kafka.write(&topics.input, [poison]);
    let mut config = kafka.config(&topics);
    config.worker.stall_seconds = 3;
    let running = Running::start(&config, Fake::default());
    let age = |partition: &str| {
        running.metrics.position_age.with_label_values(&[topics.input.as_str(), partition]).get()
    };
    wait_for("the halt", || !running.health.halted().is_empty());
    wait_for("more than the stall time", || {
        assert_eq!(running.health.not_live(), Vec::<String>::new());
        age("0") > 6
    });
    assert_eq!(age("1"), 0, "nothing to read is no standstill");
    running.stop().unwrap();
}
