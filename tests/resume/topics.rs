//! The input topic is deleted, and created again.

use crate::common::{Fake, Kafka, Process, Running, Topics, Write, kafka, wait_for};
use crate::situations::{delete_topic, to};
use crate::{answered, lost, stop_with};
use nunchi::config::Delivery;
use tempfile::TempDir;

fn create_again(kafka: &Kafka, topics: &Topics, partitions: i32, records: std::ops::Range<usize>) {
    delete_topic(kafka, &topics.input);
    kafka.create(&topics.input, partitions, &[]);
    kafka.write(&topics.input, records.map(|id| to(0, id)));
}

#[test]
fn an_input_topic_that_is_created_again_is_read_from_its_beginning_once() {
    let Some(kafka) = kafka() else { return };
    for delivery in [Delivery::ExactlyOnce, Delivery::AtLeastOnce] {
        let topics = kafka.topics("resume-again", 1);
        let mut config = kafka.config(&topics);
        config.kafka.delivery = delivery;
        kafka.write(&topics.input, (0..10).map(|id| to(0, id)));
        let running = Running::start(&config, Fake::default());
        wait_for("the old topic", || kafka.read(&topics.output).len() == 10);
        create_again(&kafka, &topics, 1, 100..125);
        wait_for("the new topic", || kafka.read(&topics.output).len() >= 35);
        // A second time, and with fewer records than the position.
        create_again(&kafka, &topics, 1, 200..205);
        let expected = [(0, (0..10).chain(100..125).chain(200..205).collect())].into();
        wait_for("the series", || lost(&running, 0, "recreated").is_some());
        stop_with(running, &kafka, &topics.output, &expected);
    }
}

#[test]
fn a_topic_that_is_created_again_while_stopped_is_read_from_its_beginning() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("resume-again-stopped", 1);
    let config = kafka.config(&topics);
    kafka.write(&topics.input, (0..10).map(|id| to(0, id)));
    crate::run_until(&kafka, &config, 10);
    create_again(&kafka, &topics, 1, 100..125);
    crate::run_until(&kafka, &config, 35);
    assert_eq!(answered(&kafka, &topics.output), [(0, (0..10).chain(100..125).collect())].into());
}

#[test]
fn a_missing_input_topic_is_waited_for() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("resume-missing", 1);
    let config = kafka.config(&topics);
    let folder = TempDir::new().unwrap();
    let process = Process::start(&config, folder.path(), &[]);
    process.wait_for_line("partitions assigned");
    delete_topic(&kafka, &topics.input);
    process.wait_for_line("the input topic does not exist any more");
    kafka.create(&topics.input, 2, &[]);
    kafka.write(&topics.input, (0..10).map(|id| to((id % 2) as i32, id)));
    wait_for("the verdicts", || kafka.read(&topics.output).len() == 10);
    process.wait_for_line("the input topic exists again");
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
}

#[test]
fn output_and_dead_letter_topics_that_are_created_again_are_written_to() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("resume-output", 1);
    kafka.write(&topics.input, (0..10).map(|id| to(0, id)));
    let running = Running::start(&kafka.config(&topics), Fake::default());
    wait_for("the old topic", || kafka.read(&topics.output).len() == 10);
    for topic in [&topics.output, &topics.dead_letters] {
        delete_topic(&kafka, topic);
        kafka.create(topic, 1, &[]);
    }
    kafka.write(&topics.input, (10..15).map(|id| to(0, id)).chain([Write::value(*b"poison")]));
    wait_for("the dead letter", || kafka.read(&topics.dead_letters).len() == 1);
    stop_with(running, &kafka, &topics.output, &[(0, (10..15).collect())].into());
}
