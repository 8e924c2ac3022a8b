//! A worker that does not advance is alive where the reason is known. (`tests/refused/answers.rs` has one that is not: Kafka 4.2
//! gives no answer to a write that never passes and concerns neither the record nor the rights.)

#![allow(clippy::unwrap_used)]

mod common;

use common::{Fake, Running, kafka, wait_for};

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
