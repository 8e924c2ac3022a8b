//! Corrections by people: a topic with the comment's id as key and `{"id","label"}` as value. The last one of an id
//! counts, null withdraws it.

use super::RetrainError;
use crate::kafka::history::{History, Record};
use crate::registry::TopicRange;
use nunchi_data::{class_of, without_lone_surrogates};
use serde::Serialize;
use std::collections::BTreeMap;

/// Most memory that corrections take, in bytes: a few million of them. A topic is as large as its writers make it, and its ids as
/// long.
const MAX_BYTES: usize = 256 << 20;
/// What a correction takes beside its id's bytes: the string, the class, and its share of a node that is half full.
const ENTRY_BYTES: usize = 2 * (size_of::<String>() + size_of::<usize>());

/// Corrections by the comment's id.
#[derive(Clone, Debug)]
pub struct Corrections {
    labels: BTreeMap<String, usize>,
    /// Memory that `labels` takes, and may take.
    bytes: usize,
    max_bytes: usize,
    /// Whether a correction exceeded the limit.
    full: bool,
    /// What was read.
    pub ranges: Vec<TopicRange>,
    /// How many records were usable.
    pub counts: Counts,
}

/// How many records of a topic of corrections were usable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Records that were read.
    pub records: usize,
    /// Corrections in effect.
    #[serde(rename = "standing")]
    pub active: usize,
    /// Records without a value: withdrawn.
    pub withdrawn: usize,
    /// Records that cannot be parsed, or have an unknown label.
    pub unreadable: usize,
}

#[derive(serde::Deserialize)]
struct Value {
    id: Option<serde_json::Value>,
    label: String,
}

impl Default for Corrections {
    fn default() -> Self {
        Corrections {
            labels: BTreeMap::new(),
            bytes: 0,
            max_bytes: MAX_BYTES,
            full: false,
            ranges: Vec::new(),
            counts: Counts::default(),
        }
    }
}

impl Corrections {
    /// Reads the whole topic as it is now. `labels` are the model's.
    ///
    /// # Errors
    /// A topic that does not exist, or holds more than fits; brokers that do not answer.
    pub fn read(history: &History, topic: &str, labels: &[String]) -> Result<Self, RetrainError> {
        let shares = history.range(topic, None, None, 0)?;
        let mut corrections = Corrections::default();
        history.read(topic, &shares, |record| corrections.take(record, labels))?;
        corrections.check_limit(topic)?;
        corrections.ranges = shares
            .iter()
            .map(|share| TopicRange {
                topic: topic.to_owned(),
                partition: share.partition,
                from: share.start,
                to: share.end,
            })
            .collect();
        corrections.counts.active = corrections.labels.len();
        Ok(corrections)
    }

    fn take(&mut self, record: &Record<'_>, labels: &[String]) {
        self.counts.records += 1;
        let key = record.key.and_then(|key| std::str::from_utf8(key).ok()).map(id);
        let Some(value) = record.value else {
            match key {
                Some(key) => {
                    self.counts.withdrawn += 1;
                    self.remove(&key);
                }
                None => self.counts.unreadable += 1,
            }
            return;
        };
        let value = serde_json::from_slice::<Value>(value).ok();
        let class = value.as_ref().and_then(|value| class_of(&value.label, labels));
        let named = value.and_then(|value| value.id).map(|named| id(&named.to_string()));
        // Key and value must name the same comment: otherwise the record is ambiguous.
        let agreed = match (key, named) {
            (Some(key), Some(named)) => (key == named).then_some(key),
            (key, named) => key.or(named),
        };
        match (agreed, class) {
            (Some(id), Some(class)) => self.insert(id, class),
            _ => self.counts.unreadable += 1,
        }
    }

    fn insert(&mut self, id: String, class: usize) {
        if let Some(known) = self.labels.get_mut(&id) {
            *known = class;
            return;
        }
        let bytes = id.len() + ENTRY_BYTES;
        if self.bytes + bytes > self.max_bytes {
            self.full = true;
            return;
        }
        self.bytes += bytes;
        self.labels.insert(id, class);
    }

    fn remove(&mut self, id: &str) {
        if self.labels.remove(id).is_some() {
            self.bytes -= id.len() + ENTRY_BYTES;
        }
    }

    /// Refuses incomplete corrections: which of them were left out would depend on the order.
    fn check_limit(&self, topic: &str) -> Result<(), RetrainError> {
        if !self.full {
            return Ok(());
        }
        Err(RetrainError::TooManyCorrections {
            topic: topic.to_owned(),
            corrections: self.labels.len(),
            megabytes: self.max_bytes >> 20,
        })
    }

    /// The class that a person gave to the comment of this id.
    pub fn class(&self, id: &str) -> Option<usize> {
        self.labels.get(id).copied()
    }

    /// How many are in effect.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// The id in the JSON of a string or a number; other text is taken literally, as in keys.
pub(super) fn id(json: &str) -> String {
    // Half an emoji in an id is what the verdict's id has in its place.
    let json = without_lone_surrogates(json);
    serde_json::from_str::<String>(&json).unwrap_or_else(|_| json.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(corrections: &mut Corrections, key: Option<&str>, value: Option<&str>) {
        let labels = ["negative", "positive"].map(str::to_owned);
        let record = Record {
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: key.map(str::as_bytes),
            value: value.map(str::as_bytes),
        };
        corrections.take(&record, &labels);
    }

    #[test]
    fn the_last_correction_counts_and_null_withdraws() {
        let mut all = Corrections::default();
        take(&mut all, Some("a"), Some(r#"{"id":"a","label":"positive"}"#));
        take(&mut all, Some("a"), Some(r#"{"id":"a","label":"negative"}"#));
        take(&mut all, Some("17"), Some(r#"{"id":17,"label":"positive"}"#));
        take(&mut all, Some("\"quoted\""), Some(r#"{"label":"positive"}"#));
        take(&mut all, None, Some(r#"{"id":"b","label":"positive"}"#));
        take(&mut all, Some("b"), None);
        assert_eq!(all.class("a"), Some(0));
        assert_eq!(all.class("17"), Some(1));
        assert_eq!(all.class("quoted"), Some(1));
        assert_eq!(all.class("b"), None);
        assert_eq!((all.counts.withdrawn, all.counts.unreadable, all.len()), (1, 0, 3));
    }

    #[test]
    fn memory_is_bounded_by_bytes_however_long_ids_are() {
        let long = |row: usize| format!("{row}{}", "x".repeat(100_000));
        let mut all = Corrections { max_bytes: 1 << 20, ..Corrections::default() };
        for row in 0..10 {
            take(&mut all, Some(&long(row)), Some(r#"{"label":"positive"}"#));
            // Again is not more.
            take(&mut all, Some(&long(row)), Some(r#"{"label":"negative"}"#));
        }
        all.check_limit("corrections").unwrap();
        take(&mut all, Some(&long(0)), None);
        take(&mut all, Some(&long(10)), Some(r#"{"label":"positive"}"#));
        all.check_limit("corrections").unwrap();

        (11..1_000).for_each(|row| take(&mut all, Some(&long(row)), Some(r#"{"label":"positive"}"#)));
        assert!(all.bytes <= all.max_bytes && all.len() == 10, "{} bytes of {}", all.bytes, all.len());
        let message = all.check_limit("corrections").unwrap_err().to_string();
        assert!(message.contains("`corrections`") && message.contains("more than 1 MiB"), "{message}");
        assert!(message.contains("withdraw"), "{message}");
    }

    #[test]
    fn records_that_cannot_be_parsed_change_nothing() {
        let mut all = Corrections::default();
        take(&mut all, Some("a"), Some(r#"{"id":"a","label":"positive"}"#));
        take(&mut all, Some("a"), Some(r#"{"id":"a","label":"great"}"#));
        take(&mut all, Some("a"), Some(r#"{"id":"b","label":"negative"}"#));
        take(&mut all, Some("a"), Some("negative"));
        take(&mut all, None, Some(r#"{"label":"negative"}"#));
        assert_eq!((all.class("a"), all.counts.unreadable), (Some(1), 4));
    }
}
