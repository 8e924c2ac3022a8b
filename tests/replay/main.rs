//! `nunchi replay`: exactly the range, exactly once, whatever happens; and what it refuses.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod compare;
mod corrupt;
mod dead_letters;
mod files;
mod refused;
mod targets;
mod topic;

use common::{Kafka, Process, Read, Topics, Write, comment, kafka, random_model};

const PARTITIONS: i32 = 4;
/// 2026-01-01T00:00:00Z.
const JANUARY: i64 = 1_767_225_600_000;
const DAY: i64 = 86_400_000;

/// A place for one test's replays.
struct Place {
    kafka: Kafka,
    topics: Topics,
    folder: tempfile::TempDir,
    ledger: String,
}

impl Place {
    fn new(test: &str) -> Option<Self> {
        let kafka = kafka()?;
        let topics = kafka.topics(test, PARTITIONS);
        let ledger = format!("ledger-{}", topics.group);
        Some(Place { kafka, topics, folder: tempfile::tempdir().unwrap(), ledger })
    }

    fn model(&self) -> String {
        random_model(self.folder.path(), 7).display().to_string()
    }

    /// What every replay of the test has in common.
    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let model = self.model();
        let ledger = format!("replay.topic={}", self.ledger);
        let mut arguments: Vec<String> = [
            "replay",
            "--json",
            "--brokers",
            &self.kafka.bootstrap,
            "--model",
            &model,
            "--dead-letters",
            &self.topics.dead_letters,
            "--set",
            &ledger,
            "--set",
            "kafka.consumer.session.timeout.ms=1500",
            "--set",
            "kafka.consumer.heartbeat.interval.ms=300",
            "--group",
            &self.topics.group,
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        arguments
    }

    fn start(&self, more: &[&str]) -> Process {
        let arguments = self.arguments(more);
        Process::nunchi(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Starts a replay of the input topic into the output topic.
    fn replay(&self, more: &[&str]) -> Process {
        let to = ["--topic", &self.topics.input, "--to-topic", &self.topics.output];
        self.start(&[&to, more].concat())
    }

    /// Runs one to its end, which is good.
    fn finish(&self, more: &[&str]) -> Vec<serde_json::Value> {
        let (status, objects, log) = self.replay(more).end_with_objects();
        assert_eq!(status, Some(0), "{log}");
        objects
    }

    fn output(&self) -> Vec<Read> {
        self.kafka.read(&self.topics.output)
    }

    /// The sum of what a replay's group has committed.
    fn committed(&self, id: &str) -> i64 {
        self.kafka.committed(&format!("nunchi-replay-{id}"), &self.topics.input, PARTITIONS).iter().sum()
    }
}

fn partition(id: usize) -> i32 {
    (id % PARTITIONS as usize) as i32
}

/// `count` comments in turn to all partitions, each with the timestamp that `at` gives it.
fn fill(place: &Place, count: usize, at: impl Fn(usize) -> i64) {
    place.kafka.write(
        &place.topics.input,
        (0..count).map(|id| Write {
            partition: Some(partition(id)),
            timestamp: Some(at(id)),
            ..Write::value(comment(id, &format!("{id}번째 구매인데 이번에도 만족해요")))
        }),
    );
}

fn ids(records: &[Read]) -> Vec<usize> {
    records.iter().map(|record| record.json()["id"].as_u64().unwrap() as usize).collect()
}

fn last<'o>(objects: &'o [serde_json::Value], event: &str) -> &'o serde_json::Value {
    objects
        .iter()
        .rfind(|object| object["event"] == event)
        .unwrap_or_else(|| panic!("no {event}: {objects:?}"))
}

/// Checks that the records of `want` were answered, once each, in the order of their partitions.
fn assert_exactly(want: impl Iterator<Item = usize>, output: &[Read], id: &str) {
    let mut want: Vec<usize> = want.collect();
    want.sort_by_key(|&id| (partition(id), id));
    let got = ids(output);
    assert_eq!(got.len(), want.len(), "answers and records of the range");
    let wrong = want.iter().zip(&got).position(|(want, got)| want != got);
    assert_eq!(wrong, None, "the answers are those of the range, in order");
    assert!(output.iter().all(|record| record.header("nunchi-replay") == Some(id)));
}
