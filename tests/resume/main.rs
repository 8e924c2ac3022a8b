//! Where consumption resumes: every situation of the table in `docs/GUARANTEES.md`, on a real Kafka.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod log;
mod offsets;
mod partitions;
mod situations;
mod tails;
mod topics;

use common::{Fake, Kafka, Read, Running, wait_for};
use nunchi::config::Config;
use std::collections::BTreeMap;

/// The ids of the verdicts by partition of their comments, in order.
fn answered(kafka: &Kafka, output: &str) -> BTreeMap<i32, Vec<usize>> {
    let mut ids: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for verdict in kafka.read(output) {
        ids.entry(verdict.source().0).or_default().push(id(&verdict));
    }
    ids
}

fn id(verdict: &Read) -> usize {
    verdict.json()["id"].as_u64().unwrap() as usize
}

/// All verdicts are there, and no others come while the process stops.
fn stop_with(running: Running, kafka: &Kafka, output: &str, expected: &BTreeMap<i32, Vec<usize>>) {
    let count: usize = expected.values().map(Vec::len).sum();
    wait_for("the verdicts", || kafka.read(output).len() >= count);
    running.stop().unwrap();
    assert_eq!(&answered(kafka, output), expected);
}

/// Runs until `count` verdicts are there.
fn run_until(kafka: &Kafka, config: &Config, count: usize) {
    let running = Running::start(config, Fake::default());
    wait_for("the verdicts", || kafka.read(&config.output.topic).len() >= count);
    running.stop().unwrap();
}

/// `nunchi_records_lost_total` of a partition; `None` if there is no such series.
fn lost(running: &Running, partition: i32, reason: &str) -> Option<u64> {
    let text = running.metrics.encode().unwrap();
    let labels = format!("partition=\"{partition}\",reason=\"{reason}\"");
    let line =
        text.lines().find(|line| line.starts_with("nunchi_records_lost_total{") && line.contains(&labels))?;
    line.rsplit(' ').next()?.parse().ok()
}
