//! Dead letters, looked at and sent again: each at most once, whoever asks how often.
//!
//! Always holds: a letter is sent and remembered in the same transaction. What was sent stands in the topic of replays,
//! as ranges of offsets under one key for each topic of dead letters; its one transactional id fences whoever sends at the
//! same time.

use super::brokers::Brokers;
use super::error::ReplayError;
use super::ledger::{Ledger, Writer};
use super::plan::unknown_topic;
use super::resolve;
use crate::config::{ClientProperties, Config};
use crate::pipeline::Stop;
use crate::pipeline::turn::now_ms;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tracing::{info, warn};

/// Letters of one transaction at most, and their bytes.
const CHUNK: usize = 500;
const CHUNK_BYTES: usize = 16 << 20;
/// Longest wait for a transaction's call.
const CALL: Duration = Duration::from_secs(30);
/// Brokers refuse timestamps an hour ahead by default; what is this far ahead is sent with the time of now.
const AHEAD_MS: i64 = 50 * 60 * 1_000;

/// A record's place: `topic/partition/offset`.
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
    /// Reads `topic/partition/offset`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, '/');
        let (offset, partition, topic) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Position {
            topic: topic.to_owned(),
            partition: partition.parse().ok()?,
            offset: offset.parse().ok()?,
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// A dead letter.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Where it lies.
    pub at: Position,
    /// Its timestamp, in milliseconds of Unix time.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value: the original bytes, or none where they did not fit.
    pub value: Vec<u8>,
    /// All headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Whether it was sent again.
    pub sent: bool,
}

impl Letter {
    fn read(message: &BorrowedMessage<'_>, sent: bool) -> Self {
        // A header's name that is not UTF-8 makes the reading of headers panic.
        let headers = message.headers().and_then(|headers| {
            catch_unwind(AssertUnwindSafe(|| {
                headers
                    .iter()
                    .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                    .collect()
            }))
            .ok()
        });
        Letter {
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
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    /// Why it is one: `nunchi-error-class`.
    pub fn class(&self) -> &str {
        self.header("nunchi-error-class").unwrap_or("unknown")
    }

    /// Why, in words.
    pub fn error(&self) -> &str {
        self.header("nunchi-error").unwrap_or_default()
    }

    /// The record that it was.
    pub fn source(&self) -> Option<Position> {
        Position::parse(self.header("nunchi-source")?)
    }

    /// Whether the original bytes did not fit and lie at the source only.
    pub fn is_described(&self) -> bool {
        self.value.is_empty() && self.header("nunchi-size").is_some()
    }

    /// The timestamp that the original had.
    fn original_ms(&self) -> Option<i64> {
        self.header("nunchi-timestamp").and_then(|ms| ms.parse().ok()).or(self.timestamp_ms)
    }
}

/// Which letters.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Only these classes, if there are any.
    pub classes: BTreeSet<String>,
    /// Only these places (partition and offset), if there are any.
    pub places: BTreeSet<(i32, i64)>,
    /// Only letters of this time and later, in milliseconds of Unix time.
    pub from_ms: Option<i64>,
    /// Only letters before this time.
    pub to_ms: Option<i64>,
}

impl Choice {
    fn takes(&self, letter: &Letter) -> bool {
        let place = (letter.at.partition, letter.at.offset);
        let time = letter.timestamp_ms;
        (self.classes.is_empty() || self.classes.contains(letter.class()))
            && (self.places.is_empty() || self.places.contains(&place))
            && self.from_ms.is_none_or(|from| time.is_some_and(|time| time >= from))
            && self.to_ms.is_none_or(|to| time.is_some_and(|time| time < to))
    }
}

/// What sending again came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Letters that were sent now.
    pub sent: u64,
    /// Letters that were sent before.
    pub before: u64,
    /// Letters whose original cannot be had, and why.
    pub lost: Vec<String>,
    /// Whether a stop was asked for before the last one.
    pub stopped: bool,
}

/// Offsets that were sent, by partition, as ranges from the first to behind the last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    sent: BTreeMap<i32, Vec<[i64; 2]>>,
}

impl Memory {
    fn holds(&self, partition: i32, offset: i64) -> bool {
        let Some(ranges) = self.sent.get(&partition) else { return false };
        let behind = ranges.partition_point(|range| range[0] <= offset);
        behind > 0 && offset < ranges[behind - 1][1]
    }

    fn add(&mut self, partition: i32, offset: i64) {
        if self.holds(partition, offset) {
            return;
        }
        let ranges = self.sent.entry(partition).or_default();
        let place = ranges.partition_point(|range| range[0] <= offset);
        let joins_before = place > 0 && ranges[place - 1][1] == offset;
        let joins_after = place < ranges.len() && ranges[place][0] == offset + 1;
        match (joins_before, joins_after) {
            (true, true) => {
                ranges[place - 1][1] = ranges[place][1];
                ranges.remove(place);
            }
            (true, false) => ranges[place - 1][1] = offset + 1,
            (false, true) => ranges[place][0] = offset,
            (false, false) => ranges.insert(place, [offset, offset + 1]),
        }
    }
}

/// A topic of dead letters.
pub struct Letters {
    topic: String,
    ledger_topic: String,
    clients: ClientProperties,
    brokers: Brokers,
    /// For originals, while the other one reads.
    second: Brokers,
    partitions: Vec<i32>,
}

impl Letters {
    /// The topic of dead letters of these settings.
    ///
    /// # Errors
    /// There is no such topic; brokers that do not answer.
    pub fn open(config: &Config) -> Result<Self, ReplayError> {
        let topic = config.dead_letters.topic.clone();
        let mut config = config.clone();
        config.kafka.group = format!("nunchi-dead-letters-{topic}");
        let clients = resolve(&config)?;
        let (brokers, second) = (Brokers::connect(&clients)?, Brokers::connect(&clients)?);
        let partitions = brokers.partitions(&topic)?.ok_or_else(|| unknown_topic(&topic, "--topic"))?;
        Ok(Letters { topic, ledger_topic: config.replay.topic, clients, brokers, second, partitions })
    }

    fn key(&self) -> String {
        format!("dead-letters/{}", self.topic)
    }

    /// First and last offsets of partitions that hold something.
    fn ends(&self) -> Result<BTreeMap<i32, (i64, i64)>, ReplayError> {
        let mut ends = BTreeMap::new();
        for &partition in &self.partitions {
            let (first, end) = self.brokers.ends(&self.topic, partition)?;
            ends.insert(partition, (first, end));
        }
        Ok(ends)
    }

    /// What was sent before; empty if that was another topic of the same name.
    fn memory(&self, ledger: &Ledger<'_>) -> Result<Memory, ReplayError> {
        let Some(value) = ledger.read(&self.key())? else { return Ok(Memory::default()) };
        let memory: Memory = serde_json::from_slice(&value).map_err(|error| {
            ReplayError::State(format!(
                "what was sent of `{}` cannot be read ({error}) in topic `{}`, key `{}`",
                self.topic,
                self.ledger_topic,
                self.key()
            ))
        })?;
        let ends = self.ends()?;
        let last = |partition: &i32| ends.get(partition).map_or(0, |&(_, end)| end);
        let is_other = memory
            .sent
            .iter()
            .any(|(partition, ranges)| ranges.last().is_some_and(|range| range[1] > last(partition)));
        if is_other {
            warn!(
                topic = self.topic,
                "more was sent than the topic ever held: it was made anew, and so is the memory"
            );
            return Ok(Memory::default());
        }
        Ok(memory)
    }

    /// Shows the chosen letters, partition by partition.
    ///
    /// # Errors
    /// Brokers that do not answer.
    pub fn each(&self, choice: &Choice, mut see: impl FnMut(&Letter)) -> Result<(), ReplayError> {
        let memory = match self.brokers.partitions(&self.ledger_topic)? {
            Some(_) => self.memory(&Ledger::open(&self.clients, &self.brokers, &self.ledger_topic)?)?,
            None => Memory::default(),
        };
        self.read(choice, &memory, |letter| {
            see(&letter);
            true
        })
    }

    /// Reads the chosen letters up to where the topic ends now; `see` says whether to go on.
    fn read(
        &self,
        choice: &Choice,
        memory: &Memory,
        mut see: impl FnMut(Letter) -> bool,
    ) -> Result<(), ReplayError> {
        for (partition, (first, end)) in self.ends()? {
            let first = choice
                .places
                .iter()
                .filter(|place| place.0 == partition)
                .map(|place| place.1)
                .min()
                .unwrap_or(if choice.places.is_empty() { first } else { end })
                .max(first);
            if first >= end {
                continue;
            }
            let mut goes_on = true;
            self.brokers.read(&self.topic, &[(partition, first)].into(), |message| {
                let Some(message) = message.filter(|message| message.offset() < end) else { return false };
                let letter = Letter::read(message, memory.holds(partition, message.offset()));
                if choice.takes(&letter) {
                    goes_on = see(letter);
                }
                goes_on && message.offset() + 1 < end
            })?;
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    /// The letter at a place.
    ///
    /// # Errors
    /// There is none; brokers that do not answer.
    pub fn at(&self, partition: i32, offset: i64) -> Result<Letter, ReplayError> {
        let mut found = None;
        let choice = Choice { places: [(partition, offset)].into(), ..Choice::default() };
        self.each(&choice, |letter| found = Some(letter.clone()))?;
        found.ok_or_else(|| {
            ReplayError::Usage(format!(
                "there is no dead letter {partition}/{offset} in `{}`; `nunchi dead-letters list` says which there are",
                self.topic
            ))
        })
    }

    /// The record that a letter was, from the topic that it came from.
    ///
    /// # Errors
    /// It is not there any more; brokers that do not answer.
    pub fn original(&self, letter: &Letter) -> Result<Letter, ReplayError> {
        let lost = |why: String| ReplayError::State(format!("{}: {why}", letter.at));
        let source = letter.source().ok_or_else(|| lost("it does not say where it came from".to_owned()))?;
        let known = self.second.partitions(&source.topic)?;
        if !known.is_some_and(|partitions| partitions.contains(&source.partition)) {
            return Err(lost(format!("{source}, where it came from, is not there any more")));
        }
        let (first, end) = self.second.ends(&source.topic, source.partition)?;
        let mut original = None;
        if (first..end).contains(&source.offset) {
            self.second.read(&source.topic, &[(source.partition, source.offset)].into(), |message| {
                original = message
                    .filter(|message| message.offset() == source.offset)
                    .map(|message| Letter::read(message, letter.sent));
                false
            })?;
        }
        let original =
            original.ok_or_else(|| lost(format!("{source}, where it came from, is beyond retention")))?;
        let digest: String =
            Sha256::digest(&original.value).iter().map(|byte| format!("{byte:02x}")).collect();
        if letter.header("nunchi-sha256").is_some_and(|expected| expected != digest) {
            return Err(lost(format!("at {source} lies another record now")));
        }
        Ok(original)
    }

    /// Sends the chosen letters that were never sent to where they came from, or to `to`. `told` hears how many it were
    /// after every transaction.
    ///
    /// # Errors
    /// Brokers that fail; another process that sends the same letters. What was told is sent and remembered.
    pub fn send(
        &self,
        choice: &Choice,
        to: Option<&str>,
        stop: &Stop,
        mut told: impl FnMut(u64),
    ) -> Result<Sent, ReplayError> {
        if let Some(to) = to {
            self.brokers.partitions(to)?.ok_or_else(|| unknown_topic(to, "--to-topic"))?;
        }
        let ledger = Ledger::open(&self.clients, &self.brokers, &self.ledger_topic)?;
        // From here on whoever sent before us cannot any more: what is remembered now is all there is.
        let writer = ledger.writer(&format!("nunchi-dead-letters-{}", self.topic))?;
        let memory = self.memory(&ledger)?;
        let sending = RefCell::new(Sending {
            letters: self,
            ledger: &ledger,
            writer: &writer,
            to,
            memory: memory.clone(),
            chunk: Vec::new(),
            bytes: 0,
            done: Sent::default(),
            failure: None,
        });
        self.read(choice, &memory, |letter| {
            let mut sending = sending.borrow_mut();
            sending.take(letter);
            if sending.is_full() {
                sending.flush();
                told(sending.done.sent);
            }
            sending.done.stopped = stop.requested();
            sending.failure.is_none() && !sending.done.stopped
        })?;
        let mut sending = sending.into_inner();
        sending.flush();
        told(sending.done.sent);
        match sending.failure {
            Some(failure) => Err(failure),
            None => Ok(sending.done),
        }
    }

    /// How many of the chosen letters would be sent.
    ///
    /// # Errors
    /// Brokers that do not answer.
    pub fn rehearse(&self, choice: &Choice) -> Result<Sent, ReplayError> {
        let mut done = Sent::default();
        let lost = RefCell::new(Vec::new());
        self.each(choice, |letter| {
            if letter.sent {
                done.before += 1;
            } else if let Err(error) = self.whole(letter) {
                lost.borrow_mut().push(error.to_string());
            } else {
                done.sent += 1;
            }
        })?;
        done.lost = lost.into_inner();
        Ok(done)
    }

    /// The record to send for a letter.
    fn whole(&self, letter: &Letter) -> Result<Letter, ReplayError> {
        if letter.is_described() {
            return self.original(letter);
        }
        if letter.source().is_none() {
            return Err(ReplayError::State(format!("{}: it does not say where it came from", letter.at)));
        }
        Ok(letter.clone())
    }
}

/// Letters on their way.
struct Sending<'a> {
    letters: &'a Letters,
    ledger: &'a Ledger<'a>,
    writer: &'a Writer,
    to: Option<&'a str>,
    memory: Memory,
    /// Each letter and the record to send for it.
    chunk: Vec<(Letter, Letter)>,
    bytes: usize,
    done: Sent,
    failure: Option<ReplayError>,
}

impl Sending<'_> {
    fn take(&mut self, letter: Letter) {
        if letter.sent {
            self.done.before += 1;
            return;
        }
        match self.letters.whole(&letter) {
            Ok(whole) => {
                self.bytes += whole.value.len() + whole.key.as_ref().map_or(0, Vec::len);
                self.chunk.push((letter, whole));
            }
            // The others do not suffer from it.
            Err(ReplayError::State(why)) => self.done.lost.push(why),
            Err(error) => self.failure = Some(error),
        }
    }

    fn is_full(&self) -> bool {
        self.chunk.len() >= CHUNK || self.bytes >= CHUNK_BYTES
    }

    /// Sends and remembers the chunk, or neither.
    fn flush(&mut self) {
        if self.chunk.is_empty() || self.failure.is_some() {
            return;
        }
        let mut memory = self.memory.clone();
        for (letter, _) in &self.chunk {
            memory.add(letter.at.partition, letter.at.offset);
        }
        match self.transact(&memory) {
            Ok(()) => {
                self.memory = memory;
                self.done.sent += self.chunk.len() as u64;
                info!(letters = self.chunk.len(), "sent again");
            }
            Err(error) => {
                // It may be fenced; then there is nothing to abort.
                let _ = self.writer.abort_transaction(CALL);
                self.failure = Some(self.failed(&error));
            }
        }
        self.chunk.clear();
        self.bytes = 0;
    }

    fn transact(&self, memory: &Memory) -> Result<(), KafkaError> {
        self.writer.begin_transaction()?;
        for (letter, whole) in &self.chunk {
            let Some(source) = letter.source() else { continue };
            let mut headers = OwnedHeaders::new();
            let theirs = whole.headers.iter().filter(|(name, _)| !name.starts_with("nunchi-"));
            for (name, value) in theirs {
                headers = headers.insert(Header { key: name, value: value.as_deref() });
            }
            let at = letter.at.to_string();
            headers = headers.insert(Header { key: "nunchi-resent", value: Some(&at) });
            let now_ms = now_ms();
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(self.to.unwrap_or(&source.topic))
                .payload(whole.value.as_slice())
                .headers(headers)
                .timestamp(
                    whole.original_ms().filter(|&ms| ms > 0 && ms < now_ms + AHEAD_MS).unwrap_or(now_ms),
                );
            // Back where it was: its key's other records are there.
            record.partition = self.to.is_none().then_some(source.partition);
            record.key = whole.key.as_deref();
            self.writer.send(record).map_err(|(error, _)| error)?;
        }
        let value = serde_json::to_vec(memory).expect("numbers");
        self.ledger.put(self.writer, &self.letters.key(), &value, None)?;
        self.writer.commit_transaction(CALL)
    }

    fn failed(&self, error: &KafkaError) -> ReplayError {
        let fenced = self.writer.client().fatal_error().is_some_and(|(code, _)| {
            matches!(
                code,
                RDKafkaErrorCode::Fenced
                    | RDKafkaErrorCode::ProducerFenced
                    | RDKafkaErrorCode::InvalidProducerEpoch
            )
        });
        if fenced {
            return ReplayError::State(format!(
                "another process sends the dead letters of `{}` now; {} were sent by this one, none twice",
                self.letters.topic, self.done.sent
            ));
        }
        ReplayError::kafka(
            format!("sending {} dead letters again (none of them was sent)", self.chunk.len()),
            error,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn positions_are_read_from_the_end() {
        let position = Position::parse("a/b/3/17").unwrap();
        assert_eq!((position.topic.as_str(), position.partition, position.offset), ("a/b", 3, 17));
        assert_eq!(position.to_string(), "a/b/3/17");
        assert!(["", "3/17", "a/x/1", "a/1/x"].iter().all(|text| Position::parse(text).is_none()));
    }

    proptest! {
        #[test]
        fn memory_is_a_set(offsets in proptest::collection::vec((0..2i32, 0..60i64), 0..200)) {
            let (mut memory, mut set) = (Memory::default(), BTreeSet::new());
            for (partition, offset) in offsets {
                memory.add(partition, offset);
                set.insert((partition, offset));
            }
            for partition in 0..3 {
                for offset in -1..61 {
                    prop_assert_eq!(memory.holds(partition, offset), set.contains(&(partition, offset)));
                }
            }
            // Neighbours are one range.
            for ranges in memory.sent.values() {
                prop_assert!(ranges.iter().all(|range| range[0] < range[1]));
                prop_assert!(ranges.windows(2).all(|pair| pair[0][1] < pair[1][0]));
            }
        }
    }
}
