//! The log is not what was committed: it ends before, or begins behind the committed offset, or was truncated.

use crate::common::{Fake, Running, Write, comment, kafka, wait_for};
use crate::situations::{COMMIT, Commit, commit, to};
use crate::{lost, run_until, stop_with};
use nunchi::config::{BeyondEnd, Delivery, Start, Value};
use nunchi::pipeline::PipelineError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_committed_offset_beyond_the_end_halts_its_partition_until_the_log_has_it() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("resume-beyond", 2);
    kafka.write(&topics.input, (0..50).map(|id| to(0, id)).chain((100..110).map(|id| to(1, id))));
    commit(&kafka, &topics, &[Commit { offset: 60, ..COMMIT }, Commit { partition: 1, offset: 0, ..COMMIT }]);
    let running = Running::start(&kafka.config(&topics), Fake::default());
    wait_for("the halt", || !running.health.halted().is_empty());
    let halted = running.health.halted();
    let expected =
        format!("{}/0: beyond_end: the committed offset 60 is beyond the end of the log, 50", topics.input);
    assert!(halted.len() == 1 && halted[0].starts_with(&expected), "{halted:?}");
    wait_for("the sound partition", || kafka.read(&topics.output).len() == 10);
    assert_eq!(kafka.committed(&topics.group, &topics.input, 2)[0], 60, "it did not move");
    assert!(running.health.not_live().is_empty() && running.health.not_ready().is_empty());

    // The mirror catches up.
    kafka.write(&topics.input, (50..65).map(|id| to(0, id)));
    wait_for("the end of the halt", || running.health.halted().is_empty());
    let expected = [(0, (60..65).collect()), (1, (100..110).collect())].into();
    stop_with(running, &kafka, &topics.output, &expected);
}

#[test]
fn beyond_the_end_a_setting_goes_to_the_end_and_counts() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("resume-end", 1);
    kafka.write(&topics.input, (0..50).map(|id| to(0, id)));
    commit(&kafka, &topics, &[Commit { offset: 80, ..COMMIT }]);
    let mut config = kafka.config(&topics);
    let error = Running::start(&config, Fake::default()).end().expect_err("all partitions are halted");
    assert!(matches!(&error, PipelineError::AllHalted { .. }), "{error}");
    config.input.beyond_end = BeyondEnd::End;
    let running = Running::start(&config, Fake::default());
    wait_for("the count", || lost(&running, 0, "truncated") == Some(30));
    wait_for("the commit", || kafka.committed(&topics.group, &topics.input, 1) == [50]);
    kafka.write(&topics.input, (50..55).map(|id| to(0, id)));
    stop_with(running, &kafka, &topics.output, &[(0, (50..55).collect())].into());
}

#[test]
fn beyond_the_end_of_one_of_many_partitions_the_others_stay_where_they_are() {
    let Some(kafka) = kafka() else { return };
    for delivery in [Delivery::ExactlyOnce, Delivery::AtLeastOnce] {
        let topics = kafka.topics("resume-end-many", 4);
        kafka.write(&topics.input, (0..200).map(|id| to((id % 4) as i32, id)));
        let at = |partition, offset| Commit { partition, offset, ..COMMIT };
        commit(&kafka, &topics, &[at(0, 80), at(1, 20), at(2, 50)]);
        let mut config = kafka.config(&topics);
        config.kafka.delivery = delivery;
        config.input.beyond_end = BeyondEnd::End;
        config.input.start = Start::Latest;
        let running = Running::start(&config, Fake::default());
        wait_for("the count", || lost(&running, 0, "truncated") == Some(30));
        // Partition 3 has no offset while others have: it was added.
        wait_for("the verdicts", || kafka.read(&topics.output).len() == 80);
        assert_eq!(kafka.committed(&topics.group, &topics.input, 4)[0], 50, "at once");
        kafka.write(&topics.input, (200..220).map(|id| to((id % 4) as i32, id)));
        let of = |partition: usize, first: usize| {
            let all = (0..220).filter(|id| id % 4 == partition);
            (partition as i32, all.skip(first).collect())
        };
        stop_with(running, &kafka, &topics.output, &[of(0, 50), of(1, 20), of(2, 50), of(3, 0)].into());
    }
}

#[test]
fn a_truncation_is_seen_by_the_leader_epoch() {
    let Some(kafka) = kafka() else { return };
    for beyond_end in [BeyondEnd::Fail, BeyondEnd::End] {
        let topics = kafka.topics("resume-epoch", 2);
        kafka.write(&topics.input, (0..50).map(|id| to(0, id)));
        // A leader of epoch 7 wrote up to 20; the log knows no such leader: what stands there now is something else.
        commit(
            &kafka,
            &topics,
            &[Commit { offset: 20, epoch: Some(7), ..COMMIT }, Commit { partition: 1, ..COMMIT }],
        );
        let mut config = kafka.config(&topics);
        config.input.beyond_end = beyond_end;
        let running = Running::start(&config, Fake::default());
        if beyond_end == BeyondEnd::Fail {
            wait_for("the halt", || !running.health.halted().is_empty());
            let halted = running.health.halted();
            let expected = format!(
                "{}/0: beyond_end: the log was truncated below the committed offset 20",
                topics.input
            );
            assert!(halted[0].starts_with(&expected), "{halted:?}");
            running.stop().unwrap();
            assert_eq!(kafka.read(&topics.output), []);
        } else {
            wait_for("the count", || lost(&running, 0, "truncated") == Some(1));
            kafka.write(&topics.input, (50..55).map(|id| to(0, id)));
            stop_with(running, &kafka, &topics.output, &[(0, (50..55).collect())].into());
        }
    }
}

#[test]
fn records_that_were_deleted_unread_are_counted_and_the_rest_is_read() {
    let Some(kafka) = kafka() else { return };
    for start in [Start::Earliest, Start::Latest] {
        let topics = kafka.topics("resume-deleted", 1);
        let mut config = kafka.config(&topics);
        config.input.start = start;
        let running = Running::start(&config, Fake::default()).ready();
        wait_for("the group's begin", || !kafka.committed(&topics.group, &topics.input, 1).is_empty());
        kafka.write(&topics.input, (0..10).map(|id| to(0, id)));
        wait_for("the verdicts", || kafka.read(&topics.output).len() == 10);
        running.stop().unwrap();
        kafka.write(&topics.input, (10..110).map(|id| to(0, id)));
        kafka.delete_records(&topics.input, 0, 60);
        let running = Running::start(&config, Fake::default());
        wait_for("the count", || lost(&running, 0, "deleted") == Some(50));
        stop_with(running, &kafka, &topics.output, &[(0, (0..10).chain(60..110).collect())].into());
    }
}

#[test]
fn retention_that_overtakes_a_running_worker_is_counted_too() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("resume-overtaken", 1);
    let mut config = kafka.config(&topics);
    config.worker.batch_records = 10;
    // Nearly nothing is fetched ahead.
    for (name, value) in [("queued.min.messages", 1), ("fetch.message.max.bytes", 2_000)] {
        config.kafka.consumer.insert(name.to_owned(), Value::Literal(toml::Value::Integer(value)));
    }
    let blocked = Arc::new(AtomicBool::new(true));
    let entered = Arc::new(AtomicBool::new(false));
    let classifier = Fake {
        before: Arc::new({
            let (blocked, entered) = (Arc::clone(&blocked), Arc::clone(&entered));
            move |_| {
                entered.store(true, Ordering::SeqCst);
                while blocked.load(Ordering::SeqCst) {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            }
        }),
        ..Fake::default()
    };
    // Batches of one record each: what was fetched ahead stays small.
    for id in 0..40 {
        kafka.write(
            &topics.input,
            [Write { partition: Some(0), ..Write::value(comment(id, &"가".repeat(600))) }],
        );
    }
    let running = Running::start(&config, classifier);
    wait_for("the first batch", || entered.load(Ordering::SeqCst));
    kafka.delete_records(&topics.input, 0, 35);
    blocked.store(false, Ordering::SeqCst);
    wait_for("the count", || lost(&running, 0, "deleted").is_some_and(|records| records > 0));
    wait_for("the rest", || kafka.read(&topics.output).iter().any(|verdict| crate::id(verdict) == 39));
    let lost = lost(&running, 0, "deleted").unwrap() as usize;
    let expected = (0..35 - lost).chain(35..40).collect();
    stop_with(running, &kafka, &topics.output, &[(0, expected)].into());
}

#[test]
fn a_halt_and_a_restart_do_not_forget_what_was_decided() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("resume-decided", 1);
    let config = kafka.config(&topics);
    kafka.write(&topics.input, (0..10).map(|id| to(0, id)));
    run_until(&kafka, &config, 10);
    kafka.write(&topics.input, (10..20).map(|id| to(0, id)));
    kafka.delete_records(&topics.input, 0, 20);
    let running = Running::start(&config, Fake::default());
    wait_for("the count", || lost(&running, 0, "deleted") == Some(10));
    running.stop().unwrap();
    assert_eq!(kafka.committed(&topics.group, &topics.input, 1), [20], "committed at once, without a record");
    let running = Running::start(&config, Fake::default()).ready();
    wait_for("the series", || lost(&running, 0, "deleted").is_some());
    assert_eq!(lost(&running, 0, "deleted"), Some(0), "counted once");
    running.stop().unwrap();
}
