//! Where a group begins, and what its committed offsets carry.

use crate::common::{Fake, Process, Running, kafka, wait_for};
use crate::situations::{COMMIT, Commit, commit, committed, forget_offsets, to};
use crate::{answered, run_until, stop_with};
use nunchi::config::{Delivery, Start};
use rdkafka::Offset;
use tempfile::TempDir;

#[test]
fn a_group_that_begins_at_the_end_goes_on_there_after_a_restart() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("resume-latest", 2);
    kafka.write(&topics.input, (0..20).map(|id| to((id % 2) as i32, id)));
    let mut config = kafka.config(&topics);
    config.input.start = Start::Latest;
    Running::start(&config, Fake::default()).ready().stop().unwrap();
    assert_eq!(kafka.committed(&topics.group, &topics.input, 2), [10, 10], "committed at once");
    // It is not running.
    kafka.write(&topics.input, (20..30).map(|id| to(0, id)));
    let running = Running::start(&config, Fake::default());
    stop_with(running, &kafka, &topics.output, &[(0, (20..30).collect())].into());
}

#[test]
fn processes_that_begin_a_group_together_read_everything_once() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("resume-together", 4);
    kafka.write(&topics.input, (0..400).map(|id| to((id % 4) as i32, id)));
    let config = kafka.config(&topics);
    let first = Running::start(&config, Fake::default());
    let second = Running::start(&config, Fake::default());
    let expected =
        (0..4).map(|partition| (partition as i32, (partition..400).step_by(4).collect())).collect();
    wait_for("the verdicts", || kafka.read(&topics.output).len() >= 400);
    second.stop().unwrap();
    stop_with(first, &kafka, &topics.output, &expected);
}

#[test]
fn expired_offsets_are_said() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("resume-expired", 2);
    let config = kafka.config(&topics);
    kafka.write(&topics.input, (0..10).map(|id| to(0, id)));
    run_until(&kafka, &config, 10);
    forget_offsets(&kafka, &topics.group);
    let folder = TempDir::new().unwrap();
    let process = Process::start(&config, folder.path(), &[]);
    process
        .wait_for_line("no committed offsets: begins at earliest (input.start) in 2 partitions, 10 records");
    wait_for("the verdicts", || kafka.read(&topics.output).len() == 20);
}

#[test]
fn an_offset_of_an_earlier_topic_is_not_taken_for_one_of_this() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("resume-earlier", 1);
    kafka.write(&topics.input, (0..25).map(|id| to(0, id)));
    commit(&kafka, &topics, &[Commit { offset: 10, metadata: "topic-id=YLjNW9q7QTqTGQmGmfWFvw", ..COMMIT }]);
    let running = Running::start(&kafka.config(&topics), Fake::default());
    stop_with(running, &kafka, &topics.output, &[(0, (0..25).collect())].into());
    // What another client wrote there says nothing about the topic.
    let topics = kafka.topics("resume-foreign", 1);
    kafka.write(&topics.input, (0..25).map(|id| to(0, id)));
    commit(&kafka, &topics, &[Commit { offset: 10, metadata: "by hand", ..COMMIT }]);
    let running = Running::start(&kafka.config(&topics), Fake::default());
    stop_with(running, &kafka, &topics.output, &[(0, (10..25).collect())].into());
}

#[test]
fn committed_offsets_carry_the_leader_epoch_and_the_topics_id() {
    let Some(kafka) = kafka() else { return };
    for delivery in [Delivery::ExactlyOnce, Delivery::AtLeastOnce] {
        let topics = kafka.topics("resume-carried", 1);
        kafka.write(&topics.input, (0..10).map(|id| to(0, id)));
        let mut config = kafka.config(&topics);
        config.kafka.delivery = delivery;
        run_until(&kafka, &config, 10);
        let (offset, epoch, metadata) = committed(&kafka, &topics, 0);
        assert_eq!((offset, epoch), (Offset::Offset(10), Some(0)), "{delivery:?}");
        assert!(metadata.as_deref().is_some_and(|text| text.starts_with("topic-id=")), "{metadata:?}");
        // They are validated and right: the next run goes on there.
        kafka.write(&topics.input, (10..12).map(|id| to(0, id)));
        run_until(&kafka, &config, 12);
        assert_eq!(answered(&kafka, &topics.output), [(0, (0..12).collect())].into(), "{delivery:?}");
    }
}
