//! Into a topic.

use super::common::{self, Process, Read, Write, comment, wait_for};
use super::{DAY, JANUARY, PARTITIONS, Place, assert_exactly, fill, ids, last, partition};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

#[test]
fn a_range_of_times_is_answered_and_nothing_else() {
    let Some(place) = Place::new("range") else { return };
    // Every hour for 90 days, in shuffled order (7 has no factor in common with 2160).
    let at = |id: usize| JANUARY + (id * 7 % 2160) as i64 * DAY / 24;
    fill(&place, 2160, at);
    let range = ["--from", "2026-01-01T00:00", "--to", "2026-02-01", "--id", "january"];
    let objects = place.finish(&[&range[..], &["--late", "90d", "--workers", "2"]].concat());
    let within = |id: &usize| at(*id) < JANUARY + 31 * DAY;
    assert_exactly((0..2160).filter(within), &place.output(), "january");
    let finished = last(&objects, "finished");
    assert_eq!(finished["records"], 31 * 24, "{finished}");
    assert_eq!(finished["outside"], 2160 - 31 * 24, "{finished}");
    let labels: u64 = finished["labels"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(labels, 31 * 24);
    let verdict = &place.output()[0];
    assert_eq!(verdict.timestamp, Some(at(ids(std::slice::from_ref(verdict))[0])), "timestamps are kept");
    assert_eq!(verdict.header("nunchi-source").unwrap().split('/').next(), Some(&place.topics.input[..]));

    // Finished and started again, it says so and writes nothing.
    let objects = place.finish(&[&range[..], &["--late", "90d"]].concat());
    assert!(last(&objects, "already_finished")["finished_at"].is_string(), "{objects:?}");
    // So it does where the id is all that is given.
    let (status, objects, log) = place.start(&["--id", "january"]).end_with_objects();
    assert_eq!(status, Some(0), "{log}");
    last(&objects, "already_finished");
    assert_eq!(place.output().len(), 31 * 24);

    // Another plan under the same id is refused, and what differs is said.
    let other = ["--from", "2026-01-02", "--to", "2026-02-01", "--id", "january", "--late", "90d"];
    let (status, log) = place.replay(&other).end();
    assert_eq!(status, Some(64), "{log}");
    assert!(log.contains("from: planned 2026-01-01T00:00:00Z, requested 2026-01-02T00:00:00Z"), "{log}");
    // The live group was never there.
    assert_eq!(place.kafka.committed(&place.topics.group, &place.topics.input, PARTITIONS), [0; 4]);
}

#[test]
fn offsets_partitions_labels_and_late_records() {
    let Some(place) = Place::new("offsets") else { return };
    // In order, but one January record came in March and one two hours late.
    let at = |id: usize| match id {
        396 => JANUARY + DAY,
        160 => JANUARY + 31 * DAY - 1,
        id => JANUARY + id as i64 * DAY / 5,
    };
    fill(&place, 400, at);
    // Five records a day: January is 0..155. Of partition 0 only, where both stragglers lie.
    let range = ["--from", "2026-01-01", "--to", "2026-02-01", "--partition", "0"];
    place.finish(&[&range[..], &["--id", "late-one"]].concat());
    let january = |id: &usize| *id < 155 && partition(*id) == 0;
    // Record 160 is 32 days after the first: within a day of the end; 396 is not.
    assert_exactly((0..155).filter(january).chain([160]), &place.output(), "late-one");
    place.finish(&[&range[..], &["--id", "late-all", "--late", "60d"]].concat());
    let all: Vec<Read> =
        place.output().into_iter().filter(|r| r.header("nunchi-replay") == Some("late-all")).collect();
    assert_exactly((0..155).filter(january).chain([160, 396]), &all, "late-all");

    // Offsets, one for all and one for each; only verdicts of one label.
    let bounds = ["--from-offset", "10", "--to-offset", "0:20,1:30,2:11,3:500"];
    let objects = place.finish(&[&bounds[..], &["--id", "offsets", "--where-label", "positive"]].concat());
    let finished = last(&objects, "finished");
    assert_eq!(finished["records"], 10 + 20 + 1 + 90, "{finished}");
    let written: Vec<Read> =
        place.output().into_iter().filter(|r| r.header("nunchi-replay") == Some("offsets")).collect();
    assert!(written.iter().all(|record| record.json()["label"] == "positive"));
    assert_eq!(finished["labels"]["positive"], written.len());
    assert_eq!(finished["left_out"], 121 - written.len());

    // A range without records is finished at once.
    let objects = place.finish(&["--from", "2027-01-01", "--id", "empty"]);
    assert_eq!(last(&objects, "finished")["records"], 0);
}

#[test]
fn the_end_is_fixed_at_the_start_and_control_records_do_not_hide_it() {
    let Some(place) = Place::new("fixed") else { return };
    // Written in transactions: control records lie in between and at the end.
    let transactional = |first: usize| {
        use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
        let producer: ThreadedProducer<DefaultProducerContext> =
            place.kafka.client().set("transactional.id", &place.topics.group).create().unwrap();
        producer.init_transactions(common::PATIENCE).unwrap();
        for ten in 0..10 {
            producer.begin_transaction().unwrap();
            for id in first + ten * 10..first + ten * 10 + 10 {
                let value = comment(id, "좋아요");
                let record: BaseRecord<'_, [u8], [u8]> =
                    BaseRecord::to(&place.topics.input).partition(partition(id)).payload(&value);
                producer.send(record).map_err(|(error, _)| error).unwrap();
            }
            producer.commit_transaction(common::PATIENCE).unwrap();
        }
    };
    transactional(0);
    // Slow enough that more comes while it runs.
    let process = place.replay(&["--id", "fixed", "--rate", "40/s"]);
    wait_for("the plan", || process.out().contains("\"plan\""));
    transactional(100);
    let (status, objects, log) = process.end_with_objects();
    assert_eq!(status, Some(0), "{log}");
    assert_exactly(0..100, &place.output(), "fixed");
    let finished = last(&objects, "finished");
    assert_eq!((&finished["records"], &finished["share"]), (&100.into(), &1.0.into()), "{finished}");
}

#[test]
fn two_processes_killed_ten_times_and_one_leaving_answer_every_record_once() {
    let Some(place) = Place::new("killed") else { return };
    const COUNT: usize = 60_000;
    fill(&place, COUNT, |id| JANUARY + id as i64 * 1_000);
    let small = ["--id", "killed", "--set", "worker.batch_records=250", "--rate", "1k/s"];
    let mut partner = place.replay(&small);
    wait_for("the plan", || partner.out().contains("\"plan\""));
    let mut before = 0;
    for life in 0..10 {
        let process = place.replay(&small);
        // Killed when offsets have moved since, at another point of a batch each time.
        wait_for("offsets that move", || place.committed("killed") > before);
        std::thread::sleep(Duration::from_millis(life * 3));
        if life % 2 == 0 {
            process.kill();
        } else {
            // The older one dies, the younger one is the next partner.
            std::mem::replace(&mut partner, process).kill();
        }
        before = place.committed("killed");
        assert!(before < COUNT as i64, "life {life} had nothing left to die in");
    }
    // One more helps for a while and leaves in good order.
    let leaving = place.replay(&small);
    wait_for("offsets that move", || place.committed("killed") > before);
    leaving.signal("INT");
    let (status, objects, log) = leaving.end_with_objects();
    assert_eq!(status, Some(130), "{log}");
    let go_on = last(&objects, "stopped")["go_on"].as_str().unwrap();
    assert!(go_on.contains("replay") && go_on.contains("--id killed"), "{go_on}");
    // The id is enough to go on; the partner ends with it.
    for process in [place.start(&["--id", "killed"]), partner] {
        let (status, objects, log) = process.end_with_objects();
        assert_eq!(status, Some(0), "{log}");
        last(&objects, "finished");
    }
    // What a killed process left open hides what was written behind it until the broker aborts it.
    wait_for("the last open transaction", || {
        std::thread::sleep(Duration::from_millis(300));
        place.output().len() >= COUNT
    });
    let killed = place.output();
    assert_exactly(0..COUNT, &killed, "killed");

    // An undisturbed replay into another topic gives the same.
    let undisturbed = format!("{}-undisturbed", place.topics.output);
    place.kafka.create(&undisturbed, PARTITIONS, &[]);
    let to = ["--topic", &place.topics.input, "--to-topic", &undisturbed, "--id", "undisturbed"];
    let (status, _, log) = place.start(&to).end_with_objects();
    assert_eq!(status, Some(0), "{log}");
    let undisturbed = place.kafka.read(&undisturbed);
    assert_eq!(undisturbed.len(), killed.len());
    assert!(undisturbed.iter().zip(&killed).all(|(one, other)| {
        (one.partition, &one.value, one.timestamp, one.header("nunchi-source"))
            == (other.partition, &other.value, other.timestamp, other.header("nunchi-source"))
    }));
}

#[test]
fn processes_that_start_together_agree_on_one_plan_and_all_end() {
    let Some(place) = Place::new("together") else { return };
    fill(&place, 4_000, |id| JANUARY + id as i64 * 1_000);
    let processes: Vec<Process> = (0..3).map(|_| place.replay(&["--id", "together"])).collect();
    let mut news = 0;
    for process in processes {
        let (status, objects, log) = process.end_with_objects();
        assert_eq!(status, Some(0), "{log}");
        news += usize::from(last(&objects, "plan")["standing"] == "new");
        // A late one may find everything done.
        assert!(objects.iter().any(|o| o["event"] == "finished" || o["event"] == "already_finished"));
    }
    assert_eq!(news, 1, "one process made the plan, the others read it");
    assert_exactly(0..4_000, &place.output(), "together");
}

#[test]
fn a_rate_and_a_speed_are_kept_within_five_per_cent() {
    let Some(place) = Place::new("rate") else { return };
    // A record every 20 ms, for 60 s.
    fill(&place, 3_000, |id| JANUARY + id as i64 * 20);
    // From the first commit that is seen to the last one: what starting and ending cost does not count.
    let measure = |arguments: &[&str]| {
        let process = place.replay(arguments);
        let id = arguments[1];
        wait_for("the first answer", || place.committed(id) > 0);
        let (begin, done) = (Instant::now(), place.committed(id));
        wait_for("the last answer", || place.committed(id) == 3_000);
        let seconds = begin.elapsed().as_secs_f64();
        let (status, _, log) = process.end_with_objects();
        assert_eq!(status, Some(0), "{log}");
        ((3_000 - done) as f64, seconds)
    };
    // Never more than 5 % too fast; a busy machine may be late by a batch besides.
    let holds = |got: f64, want: f64| (0.92..=1.05).contains(&(got / want));
    // 3,000 records at 250 a second: 12 s.
    let (records, seconds) = measure(&["--id", "rate", "--rate", "250/s"]);
    assert!(holds(records / seconds, 250.0), "{records} records in {seconds} s");
    // Sixty seconds at six times their speed: 10 s.
    let (records, seconds) = measure(&["--id", "speed", "--speed", "6x"]);
    assert!(holds(records * 0.02 / seconds, 6.0), "{records} records in {seconds} s");
    assert_eq!(place.output().len(), 6_000);
}

#[test]
fn what_is_gone_is_said() {
    let Some(place) = Place::new("gone") else { return };
    fill(&place, 400, |id| JANUARY + id as i64 * DAY);
    delete_before(&place, 0, 30);
    let gone = |arguments: &[&str]| {
        let objects = place.finish(arguments);
        last(&objects, "plan")["gone"].clone()
    };
    let by_offset = gone(&["--id", "a", "--from-offset", "10", "--to-offset", "40"]);
    // Partition 0 holds 0, 4, 8, …: its 30th record is of day 120.
    let expected = serde_json::json!([{"partition": 0, "first_left": "2026-05-01T00:00:00Z", "offsets": 20}]);
    assert_eq!(by_offset, expected);
    let by_time = gone(&["--id", "b", "--from", "2026-02-01", "--to", "2026-06-01"]);
    assert_eq!(by_time[0]["offsets"], serde_json::Value::Null, "how many is not known");
    assert_eq!(by_time[0]["first_left"], "2026-05-01T00:00:00Z");
    assert_eq!(gone(&["--id", "c", "--from", "2026-05-02"]), serde_json::json!([]));

    // As a person reads it: a line for the partition, each word behind one blank.
    let arguments = place.arguments(&["--topic", &place.topics.input, "--to-topic", &place.topics.output]);
    let words = |more: &[&'static str]| -> Vec<String> {
        let all = arguments.iter().map(String::as_str).filter(|word| *word != "--json");
        let (status, log) = Process::nunchi(&all.chain(more.iter().copied()).collect::<Vec<_>>()).end();
        assert_eq!(status, Some(0), "{log}");
        log.lines().filter(|line| line.contains("beyond retention")).map(str::to_owned).collect()
    };
    let first_left = "the first record that is left is of 2026-05-01T00:00:00Z";
    assert_eq!(
        words(&["--id", "d", "--from-offset", "10", "--to-offset", "40"]),
        [format!("partition 0: 20 offsets of the range are beyond retention; {first_left}")]
    );
    assert_eq!(
        words(&["--id", "e", "--from", "2026-02-01", "--to", "2026-06-01"]),
        [format!(
            "partition 0: what the range holds before its first record that is left is beyond retention; {first_left}"
        )]
    );
}

#[test]
fn what_is_deleted_after_the_plan_ends_the_replay_with_a_message() {
    let Some(place) = Place::new("deleted") else { return };
    fill(&place, 400, |id| JANUARY + id as i64);
    let slow = place.replay(&["--id", "deleted", "--rate", "20/s"]);
    wait_for("the first answer", || place.committed("deleted") > 0);
    slow.kill();
    delete_before(&place, 0, 90);
    let (status, log) = place.start(&["--id", "deleted"]).end();
    assert_eq!(status, Some(1), "{log}");
    assert!(log.contains("was deleted after the replay was planned") && log.contains("90 to 100"), "{log}");
}

#[test]
fn a_plan_behind_somebody_s_open_transaction_is_not_made_again() {
    use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
    let Some(place) = Place::new("hidden") else { return };
    fill(&place, 400, |id| JANUARY + id as i64);
    place.kafka.create(&place.ledger, 1, &[("cleanup.policy", "compact")]);
    let stranger: ThreadedProducer<DefaultProducerContext> =
        place.kafka.client().set("transactional.id", &place.ledger).create().unwrap();
    stranger.init_transactions(common::PATIENCE).unwrap();
    stranger.begin_transaction().unwrap();
    let record: BaseRecord<'_, str, str> = BaseRecord::to(&place.ledger).key("stranger").payload("{}");
    stranger.send(record).map_err(|(error, _)| error).unwrap();
    stranger.flush(common::PATIENCE).unwrap();
    // Neither could see what the other one writes: both wait.
    let both = [place.replay(&["--id", "hidden"]), place.replay(&["--id", "hidden"])];
    both.iter().for_each(|process| process.wait_for_line("a transaction is open there"));
    assert!(both.iter().all(|process| !process.out().contains("\"plan\"")));
    stranger.abort_transaction(common::PATIENCE).unwrap();
    let mut news = 0;
    for process in both {
        let (status, objects, log) = process.end_with_objects();
        assert_eq!(status, Some(0), "{log}");
        news += usize::from(last(&objects, "plan")["standing"] == "new");
    }
    assert_eq!(news, 1);
    assert_exactly(0..400, &place.output(), "hidden");
}

/// Deletes the records of a partition before an offset, as retention would.
fn delete_before(place: &Place, partition: i32, offset: i64) {
    use rdkafka::admin::{AdminClient, AdminOptions};
    let admin: AdminClient<rdkafka::client::DefaultClientContext> = place.kafka.client().create().unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(&place.topics.input, partition, rdkafka::Offset::Offset(offset)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
}

#[test]
fn the_live_group_has_the_right_of_way() {
    let Some(place) = Place::new("live") else { return };
    fill(&place, 2_000, |id| JANUARY + id as i64 * 1_000);
    // A live group that moves, and falls back faster than it moves.
    let commit = |offset: i64| {
        use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
        let consumer: BaseConsumer =
            place.kafka.client().set("group.id", &place.topics.group).create().unwrap();
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(&place.topics.input, 0, rdkafka::Offset::Offset(offset)).unwrap();
        consumer.commit(&list, CommitMode::Sync).unwrap();
    };
    commit(0);
    let bound = "replay.live_lag_records=100";
    let process = place.replay(&["--id", "live", "--to-offset", "500", "--rate", "100/s", "--set", bound]);
    let mut offset = 0;
    wait_for("the replay to wait", || {
        offset += 1;
        commit(offset);
        fill(&place, 40, |id| JANUARY + DAY + id as i64);
        std::thread::sleep(Duration::from_millis(300));
        process.objects().iter().any(|object| object["live_lag"].as_i64().is_some_and(|lag| lag > 100))
    });
    let waits_at = place.committed("live");
    assert!(waits_at < 2_000, "it was done before it could wait");
    // The live group catches up: the replay goes on and ends.
    commit(place.kafka.read(&place.topics.input).iter().filter(|record| record.partition == 0).count() as i64);
    let (status, _, log) = process.end_with_objects();
    assert_eq!(status, Some(0), "{log}");
    assert_exactly(0..2_000, &place.output(), "live");
}

/// Month and time (milliseconds) of each of 20,938 comments: 19 months from June 2014 on, the first and the last millisecond of
/// each among them.
fn months() -> Vec<(String, i64)> {
    let first = jiff::civil::date(2014, 6, 1);
    let begin = |month: i64| {
        let date = first + jiff::Span::new().months(month);
        date.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_millisecond()
    };
    let times = (0..19).flat_map(|month| {
        let (begin, end) = (begin(month), begin(month + 1));
        let name = jiff::Timestamp::from_millisecond(begin).unwrap().to_string()[..7].to_owned();
        let between = (1..=1_100).map(move |place| begin + (end - begin) * place / 1_101);
        [begin, end - 1].into_iter().chain(between).map(move |time| (name.clone(), time))
    });
    times.collect()
}

#[test]
fn a_month_is_that_month_although_the_topic_is_shuffled() {
    let Some(place) = Place::new("months") else { return };
    let rows = months();
    let count = rows.len();
    // Shuffled by a step that has no factor in common with their number.
    let order: Vec<usize> = (0..count).map(|place| place * 7_919 % count).collect();
    assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), count, "every comment once");
    place.kafka.write(
        &place.topics.input,
        order.iter().enumerate().map(|(place, &row)| Write {
            partition: Some(partition(place)),
            timestamp: Some(rows[row].1),
            ..Write::value(comment(row, "배송이 빨라요"))
        }),
    );
    let range = ["--from", "2015-01-01", "--to", "2015-02-01", "--late", "3650d", "--id", "january-2015"];
    place.finish(&range);
    let want: BTreeSet<usize> = (0..count).filter(|&row| rows[row].0 == "2015-01").collect();
    assert_eq!(want.len(), 1_102);
    let got = ids(&place.output());
    assert_eq!(got.len(), want.len());
    assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), want);
}

#[test]
fn a_halted_partition_ends_a_replay_once_the_others_are_done() {
    let Some(place) = Place::new("halted") else { return };
    let poison = |_| Write { partition: Some(0), timestamp: Some(JANUARY), ..Write::value(*b"poison") };
    place.kafka.write(&place.topics.input, (0..1_500).map(poison));
    fill(&place, 6_000, |id| JANUARY + id as i64);
    let start = Instant::now();
    // So slow that the others are done long after the halt.
    let small = ["--id", "halted", "--set", "worker.batch_records=500", "--rate", "1k/s"];
    let (status, log) = place.replay(&small).end();
    assert_eq!(status, Some(65), "{log}");
    assert!(log.contains("of the last 1000 records of partition 0 are poisoned"), "{log}");
    let answered = place.output();
    let of = |partition| answered.iter().filter(|record| record.source().0 == partition).count();
    assert_eq!([of(1), of(2), of(3)], [1_500; 3], "the others were not held up, {:?}", start.elapsed());
}
