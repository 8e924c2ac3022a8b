//! The request of a replay: the part of a plan that two processes with one id must agree on.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One end of a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// A record's timestamp.
    Time(Timestamp),
    /// The same offset in every partition.
    Offset(i64),
    /// An offset for each of these partitions.
    Offsets(BTreeMap<i32, i64>),
}

impl Bound {
    /// The time in milliseconds of Unix time, if it is one.
    pub fn time_ms(&self) -> Option<i64> {
        match self {
            Bound::Time(time) => Some(time.as_millisecond()),
            Bound::Offset(_) | Bound::Offsets(_) => None,
        }
    }

    /// The offset in `partition`, if there is one.
    pub fn offset(&self, partition: i32) -> Option<i64> {
        match self {
            Bound::Time(_) => None,
            Bound::Offset(offset) => Some(*offset),
            Bound::Offsets(offsets) => offsets.get(&partition).copied(),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Time(time) => write!(f, "{time}"),
            Bound::Offset(offset) => write!(f, "offset {offset}"),
            Bound::Offsets(offsets) => {
                let pairs: Vec<String> =
                    offsets.iter().map(|(partition, offset)| format!("{partition}:{offset}")).collect();
                write!(f, "offsets {}", pairs.join(","))
            }
        }
    }
}

/// Where verdicts go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A topic, and another one for records that cannot be classified.
    Topic {
        /// For verdicts and tombstones.
        verdicts: String,
        /// For dead letters.
        dead_letters: String,
    },
    /// A file on the machine of the one process that writes it.
    File(String),
    /// Nowhere: two models are compared.
    Report,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Topic { verdicts, dead_letters } => {
                write!(f, "topic `{verdicts}` (dead letters: `{dead_letters}`)")
            }
            Target::File(path) => write!(f, "file {path}"),
            Target::Report => f.write_str("a report"),
        }
    }
}

/// The request of a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The topic of comments.
    pub topic: String,
    /// Only these partitions, in order; all unless given.
    pub partitions: Option<Vec<i32>>,
    /// Where the range begins; with the first record that is left unless given.
    pub from: Option<Bound>,
    /// Where it ends; with the last record at the start unless given.
    pub to: Option<Bound>,
    /// How much later than `to` a record of the range may have been written, in milliseconds.
    pub late_ms: i64,
    /// VERSION of the model that classifies.
    pub model: String,
    /// Only verdicts with these labels; all unless given.
    pub labels: Option<Vec<String>>,
    /// Where verdicts go.
    pub target: Target,
}

impl Request {
    /// What differs between the plan on record (`self`) and another request, in words; empty if nothing does.
    pub fn differences(&self, other: &Request) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |name: &str, planned: String, requested: String| {
            if planned != requested {
                differences.push(format!("{name}: planned {planned}, requested {requested}"));
            }
        };
        let list =
            |items: Option<Vec<String>>| items.map_or_else(|| "all".to_owned(), |items| items.join(","));
        let partitions = |request: &Request| {
            list(request.partitions.as_ref().map(|all| all.iter().map(i32::to_string).collect()))
        };
        let bound = |bound: &Option<Bound>, open: &str| {
            bound.as_ref().map_or_else(|| open.to_owned(), Bound::to_string)
        };
        compare("topic", self.topic.clone(), other.topic.clone());
        compare("partitions", partitions(self), partitions(other));
        compare("from", bound(&self.from, "the beginning"), bound(&other.from, "the beginning"));
        compare("to", bound(&self.to, "the end"), bound(&other.to, "the end"));
        compare("late", milliseconds(self.late_ms), milliseconds(other.late_ms));
        compare("model", self.model.clone(), other.model.clone());
        compare("labels", list(self.labels.clone()), list(other.labels.clone()));
        compare("target", self.target.to_string(), other.target.to_string());
        differences
    }
}

fn milliseconds(time: i64) -> String {
    let day = 86_400_000;
    if time % day == 0 { format!("{} d", time / day) } else { format!("{} s", time as f64 / 1_000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            topic: "comments".to_owned(),
            partitions: None,
            from: Some(Bound::Time(Timestamp::from_millisecond(0).unwrap())),
            to: None,
            late_ms: 86_400_000,
            model: "3f9c0a1be44d".to_owned(),
            labels: None,
            target: Target::Topic { verdicts: "again".to_owned(), dead_letters: "dead".to_owned() },
        }
    }

    #[test]
    fn what_differs_is_named() {
        assert_eq!(request().differences(&request()), Vec::<String>::new());
        let other = Request {
            partitions: Some(vec![0, 2]),
            from: Some(Bound::Offset(7)),
            late_ms: 1_500,
            target: Target::File("out.jsonl".to_owned()),
            ..request()
        };
        assert_eq!(
            request().differences(&other),
            [
                "partitions: planned all, requested 0,2",
                "from: planned 1970-01-01T00:00:00Z, requested offset 7",
                "late: planned 1 d, requested 1.5 s",
                "target: planned topic `again` (dead letters: `dead`), requested file out.jsonl",
            ]
        );
    }

    #[test]
    fn a_request_survives_its_record() {
        let json = serde_json::to_string(&request()).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&json).unwrap(), request());
    }
}
