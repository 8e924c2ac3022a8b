//! Requests of a transaction that arrive in the next one (KAFKA-17754), brokers that answer late or not at all, and
//! processes that were frozen: nothing is lost, nothing is doubled, and the process goes on.
//!
//! `make test-full` provokes each case five times as often.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod frozen;
#[path = "../common/proxy/mod.rs"]
mod proxy;
mod stale;

use common::{Kafka, Read, Topics, Write, comment};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// Held for writing by who stops the broker.
static BROKER: RwLock<()> = RwLock::new(());

/// The broker is not stopped meanwhile.
fn shared_broker() -> RwLockReadGuard<'static, ()> {
    BROKER.read().unwrap_or_else(PoisonError::into_inner)
}

fn is_full() -> bool {
    std::env::var_os("NUNCHI_TEST_FULL").is_some()
}

/// How often a case is provoked.
fn rounds() -> usize {
    if is_full() { 5 } else { 1 }
}

/// What a `read_committed` reader finds of `written` records.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    lost: usize,
    doubled: usize,
}

/// Counts answers by the record that they answer.
fn tally(written: usize, answers: &[Read]) -> Tally {
    let mut times: BTreeMap<(i32, i64), usize> = BTreeMap::new();
    for answer in answers {
        *times.entry(answer.source()).or_default() += 1;
    }
    Tally { lost: written - times.len(), doubled: answers.len() - times.len() }
}

/// Writes `count` comments, in turn to all `partitions`.
fn write(kafka: &Kafka, topics: &Topics, partitions: i32, count: usize) {
    kafka.write(
        &topics.input,
        (0..count).map(|id| Write {
            partition: Some(id as i32 % partitions),
            ..Write::value(comment(id, "배송이 빨라요"))
        }),
    );
}

fn committed(kafka: &Kafka, topics: &Topics, partitions: i32) -> i64 {
    kafka.committed(&topics.group, &topics.input, partitions).iter().sum()
}
