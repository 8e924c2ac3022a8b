//! The input topic is deleted, and created again.

use crate::common::{Fake, Kafka, Process, Running, Topics, Write, kafka, wait_for};
use crate::situations::{delete_topic, to};
use crate::{answered, lost, stop_with};
use nunchi::config::Delivery;
use std::time::{Duration, Instant};
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
    process.wait_for_line("the topic does not exist any more");
    kafka.create(&topics.input, 2, &[]);
    kafka.write(&topics.input, (0..10).map(|id| to((id % 2) as i32, id)));
    wait_for("the verdicts", || kafka.read(&topics.output).len() == 10);
    process.wait_for_line("the topic exists again");
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
}

#[test]
fn a_topic_that_stays_missing_ends_the_process_after_a_minute() {
    let Some(kafka) = kafka() else { return };
    let start = |(setting, delivery): (&'static str, &str)| {
        let topics = kafka.topics("resume-gone", 1);
        let folder = TempDir::new().unwrap();
        let delivery = format!("kafka.delivery={delivery}");
        let process = Process::start(&kafka.config(&topics), folder.path(), &[&delivery]);
        kafka.write(&topics.input, [to(0, 0)]);
        wait_for("a verdict", || kafka.read(&topics.output).len() == 1);
        let topic = match setting {
            "input.topic" => &topics.input,
            "output.topic" => &topics.output,
            _ => &topics.dead_letters,
        };
        delete_topic(&kafka, topic);
        if setting != "input.topic" {
            // Something that cannot be written.
            kafka.write(&topics.input, [to(0, 1), Write::value(*b"poison"), to(0, 2)]);
        }
        (process, topic.clone(), setting, Instant::now(), folder)
    };
    let settings = ["input.topic", "output.topic", "dead_letters.topic"];
    let all = ["exactly_once", "at_least_once"].map(|delivery| settings.map(|setting| (setting, delivery)));
    // All at once: each takes a minute.
    let started: Vec<_> = all.into_iter().flatten().map(start).collect();
    for (process, topic, setting, deleted, _folder) in started {
        process.wait_for_line(
            "the topic does not exist any more; the process ends if it is not created again within 60 s",
        );
        let (status, log) = process.end();
        assert_eq!(status, Some(1), "{setting}: {log}");
        let last = log.lines().last().unwrap();
        assert!(last.contains(&format!("`{topic}` ({setting}) does not exist")), "{setting}: {log}");
        assert!(deleted.elapsed() > Duration::from_secs(50), "{setting}: it was waited for");
    }
}

#[test]
fn an_output_topic_that_is_created_again_under_load_gets_the_rest_once() {
    let Some(kafka) = kafka() else { return };
    for delivery in [Delivery::ExactlyOnce, Delivery::AtLeastOnce] {
        let topics = kafka.topics("resume-output-load", 2);
        let mut config = kafka.config(&topics);
        config.kafka.delivery = delivery;
        config.worker.batch_records = 50;
        let running = Running::start(&config, Fake::default());
        kafka.write(&topics.input, (0..1_000).map(|id| to((id % 2) as i32, id)));
        wait_for("some verdicts", || running.answered() > 200);
        delete_topic(&kafka, &topics.output);
        kafka.write(&topics.input, (1_000..2_000).map(|id| to((id % 2) as i32, id)));
        wait_for("the lack", || running.health.not_ready().join("").contains("does not exist"));
        // With fewer partitions.
        kafka.create(&topics.output, 1, &[]);
        wait_for("the answers", || running.answered() >= 2_000);
        let verdicts = kafka.read(&topics.output);
        // What was written before the deletion is gone.
        let ids: Vec<_> = verdicts.iter().map(crate::id).collect();
        let mut once = ids.clone();
        once.sort_unstable();
        once.dedup();
        assert!((1_000..2_000).all(|id| once.binary_search(&id).is_ok()), "{delivery:?}");
        if delivery == Delivery::ExactlyOnce {
            assert_eq!(once.len(), ids.len(), "each once");
        }
        wait_for("readiness", || running.health.not_ready().is_empty());
        running.stop().unwrap();
    }
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
