//! The plan: from a range of times or offsets to one start and one end offset a partition, fixed once and for all.

use super::error::ReplayError;
use super::request::{Bound, Request};
use crate::kafka::admin::{Brokers, First};
use crate::kafka::history::PartitionRange;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;
use tracing::debug;

/// The format of a plan's record.
pub const FORMAT: u32 = 1;

/// A replay's plan, as it is recorded in the topic of replays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The format of this record: 1.
    pub format: u32,
    /// The replay's ID.
    pub id: String,
    /// The request.
    pub request: Request,
    /// Its start and end offsets by partition.
    pub shares: Vec<PartitionRange>,
    /// When it was made.
    pub planned_at: Timestamp,
    /// When the last record was answered; absent until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
}

/// A part of a range that the brokers have deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RetentionGap {
    /// The partition.
    pub partition: i32,
    /// The first record that is left, if there is any.
    pub first_left: Option<Timestamp>,
    /// How many offsets are missing; known only where the range begins at an offset.
    pub offsets: Option<i64>,
}

impl Plan {
    /// Resolves `request` to offsets with the brokers' index, as it is now.
    ///
    /// # Errors
    /// Topics or partitions that do not exist; brokers that do not answer.
    pub(super) fn make(
        id: &str,
        request: &Request,
        brokers: &Brokers,
    ) -> Result<(Self, Vec<RetentionGap>), ReplayError> {
        let topic = &request.topic;
        let all = brokers.partitions(topic)?.ok_or_else(|| ReplayError::unknown_topic(topic, "--topic"))?;
        let partitions = chosen(request, &all)?;
        let mut ends = BTreeMap::new();
        for &partition in &partitions {
            ends.insert(partition, brokers.ends(topic, partition)?);
        }
        let begin = Instant::now();
        let time = |bound: &Option<Bound>, late_ms: i64| match bound.as_ref().and_then(Bound::time_ms) {
            Some(time_ms) => brokers.at_time(topic, &partitions, time_ms.saturating_add(late_ms)).map(Some),
            None => Ok(None),
        };
        let first_by_time = time(&request.from, 0)?;
        let last_by_time = time(&request.to, request.late_ms)?;
        debug!(milliseconds = begin.elapsed().as_millis(), "the brokers' index resolved the range");
        let shares: Vec<PartitionRange> = ends
            .iter()
            .map(|(&partition, &(first, end))| {
                let by_offset = |bound: &Option<Bound>| bound.as_ref().and_then(|b| b.offset(partition));
                let by_time = |found: &Option<BTreeMap<i32, Option<i64>>>| {
                    found.as_ref().map(|found| found.get(&partition).copied().flatten().unwrap_or(end))
                };
                let bound = |bound, found| by_offset(bound).or(by_time(found));
                PartitionRange::within(
                    partition,
                    (first, end),
                    bound(&request.from, &first_by_time),
                    bound(&request.to, &last_by_time),
                )
            })
            .collect();
        let gaps = retention_gaps(request, brokers, &ends)?;
        let plan = Plan {
            format: FORMAT,
            id: id.to_owned(),
            request: request.clone(),
            shares,
            planned_at: Timestamp::now(),
            completed_at: None,
        };
        Ok((plan, gaps))
    }

    /// The plan in a record's value.
    ///
    /// # Errors
    /// The value is no plan, or one of another format.
    pub fn read(id: &str, value: &[u8]) -> Result<Self, ReplayError> {
        let broken = |reason: String| {
            ReplayError::State(format!(
                "the record of replay `{id}` cannot be read ({reason}); use another --id"
            ))
        };
        let plan: Plan = serde_json::from_slice(value).map_err(|error| broken(error.to_string()))?;
        if plan.format != FORMAT {
            return Err(broken(format!("its format is {}, this version reads format {FORMAT}", plan.format)));
        }
        Ok(plan)
    }

    /// The record's value.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a plan has a JSON form")
    }

    /// How many offsets there are to pass, answered or not.
    pub fn offsets(&self) -> i64 {
        self.shares.iter().map(|share| share.end - share.start).sum()
    }

    /// How many of them lie behind `reached`.
    pub fn passed(&self, reached: &BTreeMap<i32, i64>) -> i64 {
        let passed = |share: &PartitionRange| {
            let reached = reached.get(&share.partition).copied().unwrap_or(share.start);
            reached.clamp(share.start, share.end) - share.start
        };
        self.shares.iter().map(passed).sum()
    }

    /// Whether every partition has reached its end.
    pub fn is_done(&self, reached: &BTreeMap<i32, i64>) -> bool {
        self.shares
            .iter()
            .all(|share| reached.get(&share.partition).copied().unwrap_or(share.start) >= share.end)
    }

    /// The planned partitions.
    pub fn partitions(&self) -> Vec<i32> {
        self.shares.iter().map(|share| share.partition).collect()
    }

    /// Where they begin.
    pub fn starts(&self) -> BTreeMap<i32, i64> {
        self.shares.iter().map(|share| (share.partition, share.start)).collect()
    }

    /// Where they end.
    pub fn ends(&self) -> BTreeMap<i32, i64> {
        self.shares.iter().map(|share| (share.partition, share.end)).collect()
    }
}

fn chosen(request: &Request, all: &[i32]) -> Result<Vec<i32>, ReplayError> {
    let Some(chosen) = &request.partitions else { return Ok(all.to_vec()) };
    match chosen.iter().find(|partition| !all.contains(partition)) {
        Some(missing) => Err(ReplayError::Usage(format!(
            "the topic `{}` has no partition {missing} (--partition); it has 0 to {}",
            request.topic,
            all.len() - 1
        ))),
        None => Ok(chosen.clone()),
    }
}

/// The deleted parts of the range: one for each partition in which the brokers have deleted records and the range begins
/// before the first record that is left.
fn retention_gaps(
    request: &Request,
    brokers: &Brokers,
    ends: &BTreeMap<i32, (i64, i64)>,
) -> Result<Vec<RetentionGap>, ReplayError> {
    let begun: BTreeMap<i32, i64> =
        ends.iter().filter(|(_, (first, _))| *first > 0).map(|(&p, &(first, _))| (p, first)).collect();
    let left =
        if begun.is_empty() { BTreeMap::new() } else { brokers.first_records(&request.topic, &begun)? };
    let mut gaps = Vec::new();
    for (&partition, &first) in &begun {
        let first_left = left.get(&partition).and_then(|first: &First| first.timestamp_ms);
        let offsets = match &request.from {
            Some(bound @ (Bound::Offset(_) | Bound::Offsets(_))) => {
                let Some(from) = bound.offset(partition).filter(|&from| from < first) else { continue };
                Some(first - from)
            }
            Some(Bound::Time(from)) if first_left.is_some_and(|left| left <= from.as_millisecond()) => {
                continue;
            }
            Some(Bound::Time(_)) | None => None,
        };
        let first_left = first_left.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        gaps.push(RetentionGap { partition, first_left, offsets });
    }
    Ok(gaps)
}

impl std::fmt::Display for RetentionGap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "partition {}: ", self.partition)?;
        match self.offsets {
            Some(1) => f.write_str("1 offset of the range is beyond retention")?,
            Some(offsets) => write!(f, "{offsets} offsets of the range are beyond retention")?,
            None => {
                f.write_str("what the range holds before its first record that is left is beyond retention")?
            }
        }
        match self.first_left {
            Some(first) => write!(f, "; the first record that is left is of {first}"),
            None => f.write_str("; no record is left"),
        }
    }
}
