//! The first copy of a request is kept by the network, the client repeats it, and the copy arrives in the next
//! transaction of the same producer.

use super::common::{Fake, Kafka, Running, Topics, kafka, wait_for};
use super::proxy::{Held, Loss, Point, Proxy, within_a_minute};
use super::{Tally, committed, rounds, tally, write};
use nunchi::config::{Config, Value};

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
    fn new(name: &str, partitions: i32, settings: &[(&str, i64)]) -> Option<Self> {
        let kafka = kafka()?;
        let topics = kafka.topics(&format!("late-{name}"), partitions);
        let proxy = Proxy::start(&kafka.bootstrap);
        let mut config = kafka.config(&topics);
        config.kafka.brokers = proxy.address();
        config.worker.batch_records = BATCH;
        for (name, value) in settings {
            config.kafka.producer.insert((*name).to_owned(), Value::Literal(toml::Value::Integer(*value)));
        }
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
        self.wait("readiness", |case| case.running.as_ref().is_some_and(|it| it.health.not_ready().is_empty()));
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
        self.wait("the last record", |case| {
            committed(&case.kafka, &case.topics, case.partitions) == written
        });
        self.restart();
        let running = self.running.take().expect("it was started");
        if let Err(error) = running.stop() {
            self.ends.push(error.to_string());
        }
        tally(self.written, &self.kafka.read(&self.topics.output))
    }
}

/// Provokes a case and checks that nothing comes of it.
fn check(name: &str, held: Held, loss: Loss, point: Point) {
    // Where offsets go back, one partition shows it surest; several have several requests to fall between.
    let partitions = if held == Held::Offsets { 1 } else { 4 };
    let Some(mut case) = Case::new(name, partitions, &[]) else { return };
    for _ in 0..rounds() {
        case.provoke(held, loss, point);
    }
    let tally = case.finish();
    eprintln!("{name}: answers to the copies {:?}, {tally:?}, ends {:?}", case.answers, case.ends);
    assert_eq!(tally, Tally::default(), "{name}");
    assert_eq!(case.ends, [""; 0], "{name}: the process goes on");
    assert!(case.answers.iter().all(|&code| code != 0), "{name}: a copy was accepted: {:?}", case.answers);
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
    for (index, (held, point)) in [
        (Held::Commit, Point::BeforeAddOffsets),
        (Held::Commit, Point::AfterOffsets),
        (Held::Abort, Point::BeforeOffsets),
        (Held::Abort, Point::AfterOffsets),
        (Held::Offsets, Point::AfterFirstProduce),
        (Held::Offsets, Point::BeforeOffsets),
    ]
    .into_iter()
    .enumerate()
    {
        check(&format!("other-{index}"), held, Loss::Cut, point);
    }
}
