//! The first copy of a request is kept by the network, the client repeats it, and the copy arrives in the next
//! transaction of the same producer.

use super::common::{Fake, Kafka, Running, Topics, kafka, wait_for};
use super::proxy::frames::api;
use super::proxy::{Held, Loss, Point, Proxy, within_a_minute};
use super::{Tally, committed, rounds, shared_broker, tally, write};
use nunchi::config::{Config, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Records of one batch.
const BATCH: usize = 256;

/// A case, and what became of its provocations.
struct Case {
    kafka: Kafka,
    topics: Topics,
    partitions: i32,
    proxy: Proxy,
    config: Config,
    running: Option<Running>,
    written: usize,
    /// What the broker said to the copies.
    answers: Vec<i16>,
    /// Why the pipeline ended by itself.
    ends: Vec<String>,
}

impl Case {
    fn new(name: &str, partitions: i32) -> Option<Self> {
        let kafka = kafka()?;
        let topics = kafka.topics(&format!("late-{name}"), partitions);
        let proxy = Proxy::start(&kafka.bootstrap);
        let mut config = kafka.config(&topics);
        config.kafka.brokers = proxy.address();
        config.worker.batch_records = BATCH;
        Some(Case {
            kafka,
            topics,
            partitions,
            proxy,
            config,
            running: None,
            written: 0,
            answers: Vec::new(),
            ends: Vec::new(),
        })
    }

    fn write(&mut self) {
        write(&self.kafka, &self.topics, self.partitions, BATCH);
        self.written += BATCH;
    }

    /// Starts the pipeline; again, if it has ended by itself.
    fn keep_running(&mut self) {
        if let Some(running) = self.running.take_if(|running| running.ended()) {
            self.ends.extend(running.end().err().map(|error| error.to_string()));
        }
        let config = &self.config;
        self.running.get_or_insert_with(|| Running::start(config, Fake::default()));
    }

    fn restart(&mut self) {
        if let Some(running) = self.running.take()
            && let Err(error) = running.stop()
        {
            self.ends.push(error.to_string());
        }
        self.keep_running();
    }

    /// Waits for `done`, while the pipeline is kept running.
    fn wait(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let came = within_a_minute(|| {
            self.keep_running();
            done(self)
        });
        assert!(came, "{what} did not come; the provocation is at {}", self.proxy.phase());
    }

    /// One batch whose request is kept, and one in which it arrives.
    fn provoke(&mut self, held: Held, loss: Loss, point: Point) {
        self.keep_running();
        self.wait("readiness", |case| {
            case.running.as_ref().is_some_and(|it| it.health.not_ready().is_empty())
        });
        self.proxy.provoke(held, loss, point);
        self.write();
        self.wait("the request to keep", |case| case.proxy.kept());
        self.write();
        self.wait("the copy's delivery", |case| case.proxy.answer().is_some());
        self.answers.extend(self.proxy.answer());
        if held == Held::Offsets {
            // Committed offsets are read when somebody starts.
            self.restart();
        }
    }

    /// Answers everything, and counts.
    fn finish(&mut self) -> Tally {
        self.restart();
        let written = self.written as i64;
        self.wait("the last record", |case| committed(&case.kafka, &case.topics, case.partitions) == written);
        self.restart();
        let running = self.running.take().expect("it was started");
        if let Err(error) = running.stop() {
            self.ends.push(error.to_string());
        }
        tally(self.written, &self.kafka.read(&self.topics.output))
    }

    /// Nothing was lost or doubled, the process went on, and no copy was accepted.
    fn verify(&mut self, name: &str) -> Result<(), String> {
        let tally = self.finish();
        let found =
            format!("{name}: answers to the copies {:?}, {tally:?}, ends {:?}", self.answers, self.ends);
        eprintln!("{found}");
        let accepted = self.answers.contains(&0);
        if tally == Tally::default() && self.ends.is_empty() && !accepted { Ok(()) } else { Err(found) }
    }
}

/// Provokes a case; what came of it, if anything did.
fn outcome(name: &str, held: Held, loss: Loss, point: Point) -> Result<(), String> {
    // One partition is one request, behind which nothing of the batch remains; several leave some to fall between.
    let partitions = if held == Held::Commit { 4 } else { 1 };
    let Some(mut case) = Case::new(name, partitions) else { return Ok(()) };
    for _ in 0..rounds() {
        case.provoke(held, loss, point);
    }
    case.verify(name)
}

fn check(name: &str, held: Held, loss: Loss, point: Point) {
    let _guard = shared_broker();
    outcome(name, held, loss, point).unwrap();
}

#[test]
fn an_abort_before_the_offsets_of_the_next_transaction() {
    check("abort-offsets", Held::Abort, Loss::Cut, Point::BeforeAddOffsets);
}

#[test]
fn an_abort_within_the_verdicts_of_the_next_transaction() {
    check("abort-produce", Held::Abort, Loss::Cut, Point::AfterFirstProduce);
}

#[test]
fn a_commit_within_the_verdicts_of_the_next_transaction() {
    check("commit-produce", Held::Commit, Loss::Cut, Point::AfterFirstProduce);
}

#[test]
fn a_commit_before_the_offsets_of_the_next_transaction() {
    check("commit-offsets", Held::Commit, Loss::Cut, Point::BeforeOffsets);
}

#[test]
fn a_commit_without_an_answer() {
    check("commit-silence", Held::Commit, Loss::Silence, Point::AfterFirstProduce);
}

#[test]
fn an_abort_without_an_answer() {
    check("abort-silence", Held::Abort, Loss::Silence, Point::BeforeAddOffsets);
}

#[test]
fn offsets_after_those_of_the_next_transaction() {
    check("offsets", Held::Offsets, Loss::Cut, Point::AfterOffsets);
}

#[test]
fn offsets_without_an_answer() {
    check("offsets-silence", Held::Offsets, Loss::Silence, Point::AfterOffsets);
}

#[test]
fn copies_at_other_points() {
    let _guard = shared_broker();
    let cases = [
        (Held::Commit, Point::BeforeAddOffsets),
        (Held::Commit, Point::AfterOffsets),
        (Held::Abort, Point::BeforeOffsets),
        (Held::Abort, Point::AfterOffsets),
        (Held::Offsets, Point::AfterFirstProduce),
        (Held::Offsets, Point::BeforeOffsets),
    ];
    let outcomes = cases
        .map(|(held, point)| outcome(&format!("{held:?}-{point:?}").to_lowercase(), held, Loss::Cut, point));
    assert_eq!(outcomes, cases.map(|_| Ok(())));
}

#[test]
fn the_abort_after_a_real_rebalance() {
    let _guard = shared_broker();
    let Some(mut case) = Case::new("rebalance", 4) else { return };
    for _ in 0..rounds() {
        let (held, release) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let holding = Fake {
            before: Arc::new({
                let (held, release) = (Arc::clone(&held), Arc::clone(&release));
                move |_| {
                    if !held.swap(true, Ordering::SeqCst) {
                        wait_for("release", || release.load(Ordering::SeqCst));
                    }
                }
            }),
            ..Fake::default()
        };
        // The first batch waits until another member has joined, so that its offsets are refused.
        case.running = Some(Running::start(&case.config, holding).ready());
        case.proxy.provoke(Held::AnyAbort, Loss::Cut, Point::BeforeAddOffsets);
        case.write();
        wait_for("the first batch", || held.load(Ordering::SeqCst));
        let mut direct = case.config.clone();
        direct.kafka.brokers = case.kafka.bootstrap.clone();
        let second = Running::start(&direct, Fake::default()).ready();
        release.store(true, Ordering::SeqCst);
        case.wait("the request to keep", |case| case.proxy.kept());
        case.write();
        case.wait("the copy's delivery", |case| case.proxy.answer().is_some());
        case.answers.extend(case.proxy.answer());
        second.stop().unwrap();
        case.running.take().expect("it was started").stop().unwrap();
    }
    case.verify("rebalance").unwrap();
}

/// The producer is replaced after calls that took long, and after those only.
#[test]
fn late_answers_replace_the_producer_and_nothing_else() {
    let _guard = shared_broker();
    let Some(mut case) = Case::new("answers", 1) else { return };
    // So that a slow machine's commits are not late.
    case.config
        .kafka
        .producer
        .insert("retry.backoff.ms".to_owned(), Value::Literal(toml::Value::Integer(900)));
    case.keep_running();
    case.wait("readiness", |case| case.running.as_ref().is_some_and(|it| it.health.not_ready().is_empty()));
    let rebuilds = |case: &Case| {
        let rebuilds = &case.running.as_ref().expect("it runs").metrics.producer_rebuilds;
        ["late_commit", "late_offsets", "aborted", "unknown", "fenced", "failed"]
            .map(|reason| rebuilds.with_label_values(&[reason]).get())
    };
    for (delay, expected) in [
        (None, [0, 0, 0, 0, 0, 0]),
        (Some((api::END_TXN, 1_000)), [1, 0, 0, 0, 0, 0]),
        (Some((api::TXN_OFFSET_COMMIT, 600)), [1, 1, 0, 0, 0, 0]),
    ] {
        if let Some((key, ms)) = delay {
            case.proxy.delay_next(key, Duration::from_millis(ms));
        }
        case.write();
        let written = case.written as u64;
        case.wait("the batch", |case| case.running.as_ref().is_some_and(|it| it.answered() == written));
        case.wait("the producer", |case| rebuilds(case).iter().sum::<u64>() == expected.iter().sum::<u64>());
        assert_eq!(rebuilds(&case), expected);
    }
    case.verify("answers").unwrap();
}
