//! Dead letters, looked at and sent again: each at most once, whoever asks how often.
//!
//! Always holds: a letter is sent and remembered in the same transaction. What was sent stands in the topic of replays,
//! as ranges of offsets under one key for each topic of dead letters; its one transactional id fences whoever sends at the
//! same time.

mod letter;
mod memory;
mod sending;

pub use letter::{Choice, Letter, Position};

use self::memory::Memory;
use self::sending::Sending;
use crate::config::Config;
use crate::kafka::ClientProperties;
use crate::kafka::admin::Brokers;
use crate::replay::error::ReplayError;
use crate::replay::ledger::Ledger;
use crate::replay::plan::unknown_topic;
use crate::replay::resolve;
use crate::stop::Stop;
use rdkafka::message::Message;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use tracing::warn;

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
        let digest = nunchi_model::hex(&Sha256::digest(&original.value));
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
