//! A dead letter as it is read from its topic, and the selection of some.

use crate::record::DeadLetterClass;
use nunchi_librdkafka::{HeadersBuilder, RawHeaders};
use rdkafka::message::{BorrowedMessage, Message};
use std::collections::BTreeSet;
use std::fmt;

/// The position of a record: `topic/partition/offset`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl Position {
    /// Reads `topic/partition/offset` as it is written here; `None` for what Kafka could not have. It stands in a header,
    /// which anybody may write: librdkafka takes -1 for "any partition", and a topic's name is shown in a terminal.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, '/');
        let (offset, partition, topic) = (parts.next()?, parts.next()?, parts.next()?);
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=249).contains(&topic.len()) || !topic.bytes().all(legal) {
            return None;
        }
        let position = Position {
            topic: topic.to_owned(),
            partition: partition.parse().ok().filter(|&partition: &i32| partition >= 0)?,
            offset: offset.parse().ok().filter(|&offset: &i64| offset >= 0)?,
        };
        // Signs and leading zeros are nobody's: an offset is one text.
        (position.to_string() == text).then_some(position)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// A dead letter.
#[derive(Clone, Debug)]
pub struct DeadLetterRecord {
    /// Its position.
    pub at: Position,
    /// Its timestamp, in milliseconds of Unix time.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value: the original bytes, or none where they did not fit.
    pub value: Vec<u8>,
    /// All headers, in order. A name is any bytes: brokers do not check that it is UTF-8.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Whether it was sent again.
    pub sent: bool,
}

impl DeadLetterRecord {
    pub(super) fn read(message: &BorrowedMessage<'_>, sent: bool) -> Self {
        // Headers that librdkafka cannot parse are lost to every reader.
        let headers = RawHeaders::of_message(message).map(|headers| {
            headers.iter().map(|header| (header.name.to_vec(), header.value.map(<[u8]>::to_vec))).collect()
        });
        DeadLetterRecord {
            at: Position {
                topic: message.topic().to_owned(),
                partition: message.partition(),
                offset: message.offset(),
            },
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().unwrap_or_default().to_vec(),
            headers: headers.unwrap_or_default(),
            sent,
        }
    }

    /// The text of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name.as_bytes())?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    /// The class of its error: `nunchi-error-class`.
    pub fn class(&self) -> &str {
        self.header("nunchi-error-class").unwrap_or("unknown")
    }

    /// The error message: `nunchi-error`.
    pub fn error(&self) -> &str {
        self.header("nunchi-error").unwrap_or_default()
    }

    /// The position of the original record.
    pub fn source(&self) -> Option<Position> {
        Position::parse(self.header("nunchi-source")?)
    }

    /// Whether the original bytes did not fit and are at the source only.
    pub fn is_described(&self) -> bool {
        self.value.is_empty() && self.header("nunchi-size").is_some()
    }

    /// The headers of this record when it is sent again for the dead letter at `dead_letter`: its own without ours, and
    /// `nunchi-resent`.
    pub fn redriven_headers(&self, dead_letter: &Position) -> HeadersBuilder {
        let mut headers = HeadersBuilder::with_capacity(self.headers.len() + 1);
        for (name, value) in self.headers.iter().filter(|(name, _)| !name.starts_with(b"nunchi-")) {
            headers.add(name, value.as_deref());
        }
        headers.add("nunchi-resent", Some(dead_letter.to_string().as_bytes()));
        headers
    }

    /// The offsets that it stands for, if it stands for records that cannot be read: there is nothing to send then.
    pub fn unreadable(&self) -> Option<&str> {
        self.header("nunchi-offsets").filter(|_| self.class() == DeadLetterClass::Corrupt.name())
    }

    /// The timestamp that the original had.
    pub(super) fn original_ms(&self) -> Option<i64> {
        self.header("nunchi-timestamp").and_then(|ms| ms.parse().ok()).or(self.timestamp_ms)
    }
}

/// Which dead letters.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only these classes, if there are any.
    pub classes: BTreeSet<String>,
    /// Only these positions (partition and offset), if there are any.
    pub places: BTreeSet<(i32, i64)>,
    /// Only those with this timestamp or a later one, in milliseconds of Unix time.
    pub from_ms: Option<i64>,
    /// Only those with an earlier timestamp.
    pub to_ms: Option<i64>,
}

impl Selection {
    pub(super) fn takes(&self, dead_letter: &DeadLetterRecord) -> bool {
        let place = (dead_letter.at.partition, dead_letter.at.offset);
        let time = dead_letter.timestamp_ms;
        (self.classes.is_empty() || self.classes.contains(dead_letter.class()))
            && (self.places.is_empty() || self.places.contains(&place))
            && self.from_ms.is_none_or(|from| time.is_some_and(|time| time >= from))
            && self.to_ms.is_none_or(|to| time.is_some_and(|time| time < to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_what_kafka_could_have() {
        let position = Position::parse("a.b-c_9/3/17").unwrap();
        assert_eq!((position.topic.as_str(), position.partition, position.offset), ("a.b-c_9", 3, 17));
        assert_eq!(position.to_string(), "a.b-c_9/3/17");
        for wrong in [
            "",
            "3/17",
            "a/x/1",
            "a/1/x",
            "a/-1/1",
            "a/1/-1",
            "/1/1",
            "a/b/1/1",
            "a/+1/1",
            "a/01/1",
            "\x1b[2J/1/1",
        ] {
            assert_eq!(Position::parse(wrong), None, "{wrong}");
        }
    }
}
