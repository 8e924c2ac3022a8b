//! Partitions that end with offsets no consumer receives.

use crate::common::{Fake, Running, kafka, wait_for};
use crate::situations::{to, write_and_abort};
use crate::{run_until, stop_with};
use nunchi::config::Delivery;
use std::time::{Duration, Instant};

#[test]
fn the_position_behind_aborted_transactions_is_committed_when_it_is_quiet() {
    let Some(kafka) = kafka() else { return };
    for delivery in [Delivery::ExactlyOnce, Delivery::AtLeastOnce] {
        let topics = kafka.topics("resume-tail", 1);
        write_and_abort(&kafka, &topics, 20, 5_000);
        // With two control records, the last of which is written after the abort was answered.
        let end = 20 + 5_000 + 2;
        wait_for("the control records", || crate::situations::end(&kafka, &topics.input, 0) == end);
        let mut config = kafka.config(&topics);
        config.kafka.delivery = delivery;
        let running = Running::start(&config, Fake::default());
        wait_for("the verdicts", || kafka.read(&topics.output).len() == 20);
        let start = Instant::now();
        wait_for("the commit", || kafka.committed(&topics.group, &topics.input, 1) == [end]);
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
        // Reading goes on behind it.
        kafka.write(&topics.input, (20..25).map(|id| to(0, id)));
        stop_with(running, &kafka, &topics.output, &[(0, (0..25).collect())].into());
        run_until(&kafka, &config, 25);
        assert_eq!(kafka.committed(&topics.group, &topics.input, 1), [end + 5]);
    }
}
