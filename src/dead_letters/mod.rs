//! Dead letters, listed, shown and redriven: each is sent at most once, whoever asks how often.
//!
//! Always holds: a record is sent and remembered in the same transaction. What was sent stands in the topic of replays,
//! as ranges of offsets under one key for each topic of dead letters; its one transactional id fences whoever sends at the
//! same time.

mod error;
mod record;
mod redrive;
mod redrive_state;

pub use error::DeadLetterError;
pub use record::{DeadLetterRecord, Position, Selection};

use self::redrive::Redrive;
use self::redrive_state::RedriveState;
use crate::config::Config;
use crate::kafka::ClientProperties;
use crate::kafka::admin::Brokers;
use crate::kafka::compacted_log::CompactedLog;
use crate::stop::Stop;
use rdkafka::message::Message;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use tracing::warn;

/// What a redrive came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RedriveSummary {
    /// DeadLetterTopic that were sent now.
    pub sent: u64,
    /// DeadLetterTopic that were sent before.
    pub before: u64,
    /// DeadLetterTopic whose original cannot be had, and why.
    pub lost: Vec<String>,
    /// Whether a stop was asked for before the last one.
    pub stopped: bool,
}

/// A topic of dead letters.
pub struct DeadLetterTopic {
    topic: String,
    state_topic: String,
    clients: ClientProperties,
    brokers: Brokers,
    /// For originals, while the other one reads.
    second: Brokers,
    partitions: Vec<i32>,
}

impl DeadLetterTopic {
    /// The topic of dead letters of these settings.
    ///
    /// # Errors
    /// There is no such topic; brokers that do not answer.
    pub fn open(config: &Config) -> Result<Self, DeadLetterError> {
        let topic = config.dead_letters.topic.clone();
        let mut config = config.clone();
        config.kafka.group = format!("nunchi-dead-letters-{topic}");
        let clients = ClientProperties::resolve(&config)?;
        let (brokers, second) = (Brokers::connect(&clients)?, Brokers::connect(&clients)?);
        let partitions =
            brokers.partitions(&topic)?.ok_or_else(|| DeadLetterError::unknown_topic(&topic, "--topic"))?;
        Ok(DeadLetterTopic { topic, state_topic: config.replay.topic, clients, brokers, second, partitions })
    }

    fn key(&self) -> String {
        format!("dead-letters/{}", self.topic)
    }

    /// First and last offsets of partitions that hold something.
    fn ends(&self) -> Result<BTreeMap<i32, (i64, i64)>, DeadLetterError> {
        let mut ends = BTreeMap::new();
        for &partition in &self.partitions {
            let (first, end) = self.brokers.ends(&self.topic, partition)?;
            ends.insert(partition, (first, end));
        }
        Ok(ends)
    }

    /// What was sent before; empty if that was another topic of the same name.
    fn state(&self, log: &CompactedLog<'_>) -> Result<RedriveState, DeadLetterError> {
        let Some(value) = log.read(&self.key())? else { return Ok(RedriveState::default()) };
        let state: RedriveState = serde_json::from_slice(&value).map_err(|error| {
            DeadLetterError::State(format!(
                "what was sent of `{}` cannot be read ({error}) in topic `{}`, key `{}`",
                self.topic,
                self.state_topic,
                self.key()
            ))
        })?;
        let ends = self.ends()?;
        let last = |partition: &i32| ends.get(partition).map_or(0, |&(_, end)| end);
        let is_other = state
            .sent
            .iter()
            .any(|(partition, ranges)| ranges.last().is_some_and(|range| range[1] > last(partition)));
        if is_other {
            warn!(
                topic = self.topic,
                "more was sent than the topic ever held: it was made anew, and so is the memory"
            );
            return Ok(RedriveState::default());
        }
        Ok(state)
    }

    /// Shows the selected records, partition by partition.
    ///
    /// # Errors
    /// Brokers that do not answer.
    pub fn each(
        &self,
        selection: &Selection,
        mut see: impl FnMut(&DeadLetterRecord),
    ) -> Result<(), DeadLetterError> {
        let state = match self.brokers.partitions(&self.state_topic)? {
            Some(_) => self.state(&CompactedLog::open(&self.clients, &self.brokers, &self.state_topic)?)?,
            None => RedriveState::default(),
        };
        self.read(selection, &state, |letter| {
            see(&letter);
            true
        })
    }

    /// Reads the selected records up to where the topic ends now; `see` says whether to go on.
    fn read(
        &self,
        selection: &Selection,
        state: &RedriveState,
        mut see: impl FnMut(DeadLetterRecord) -> bool,
    ) -> Result<(), DeadLetterError> {
        for (partition, (first, end)) in self.ends()? {
            let first = selection
                .places
                .iter()
                .filter(|place| place.0 == partition)
                .map(|place| place.1)
                .min()
                .unwrap_or(if selection.places.is_empty() { first } else { end })
                .max(first);
            if first >= end {
                continue;
            }
            let mut goes_on = true;
            self.brokers.read(&self.topic, &[(partition, first)].into(), |message| {
                let Some(message) = message.filter(|message| message.offset() < end) else { return false };
                let letter = DeadLetterRecord::read(message, state.holds(partition, message.offset()));
                if selection.takes(&letter) {
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

    /// The dead letter at a place.
    ///
    /// # Errors
    /// There is none; brokers that do not answer.
    pub fn at(&self, partition: i32, offset: i64) -> Result<DeadLetterRecord, DeadLetterError> {
        let mut found = None;
        let selection = Selection { places: [(partition, offset)].into(), ..Selection::default() };
        self.each(&selection, |letter| found = Some(letter.clone()))?;
        found.ok_or_else(|| {
            DeadLetterError::Usage(format!(
                "there is no dead letter {partition}/{offset} in `{}`; `nunchi dead-letters list` says which there are",
                self.topic
            ))
        })
    }

    /// The record that a dead letter was, from the topic that it came from.
    ///
    /// # Errors
    /// It is not there any more; brokers that do not answer.
    pub fn original(&self, letter: &DeadLetterRecord) -> Result<DeadLetterRecord, DeadLetterError> {
        let lost = |why: String| DeadLetterError::State(format!("{}: {why}", letter.at));
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
                    .map(|message| DeadLetterRecord::read(message, letter.sent));
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

    /// Sends the selected records that were never sent to where they came from, or to `to`. `progress` is told how many were
    /// sent, after every transaction.
    ///
    /// # Errors
    /// Brokers that fail; another process that sends the same ones. What `progress` was told is sent and remembered.
    pub fn redrive(
        &self,
        selection: &Selection,
        to: Option<&str>,
        stop: &Stop,
        mut progress: impl FnMut(u64),
    ) -> Result<RedriveSummary, DeadLetterError> {
        if let Some(to) = to {
            self.brokers.partitions(to)?.ok_or_else(|| DeadLetterError::unknown_topic(to, "--to-topic"))?;
        }
        let log = CompactedLog::open(&self.clients, &self.brokers, &self.state_topic)?;
        // From here on whoever sent before us cannot any more: what is remembered now is all there is.
        let writer = log.writer(&format!("nunchi-dead-letters-{}", self.topic))?;
        let state = self.state(&log)?;
        let redrive = RefCell::new(Redrive {
            dead_letters: self,
            log: &log,
            writer: &writer,
            to,
            state: state.clone(),
            chunk: Vec::new(),
            bytes: 0,
            done: RedriveSummary::default(),
            failure: None,
        });
        self.read(selection, &state, |letter| {
            let mut redrive = redrive.borrow_mut();
            redrive.take(letter);
            if redrive.is_full() {
                redrive.flush();
                progress(redrive.done.sent);
            }
            redrive.done.stopped = stop.requested();
            redrive.failure.is_none() && !redrive.done.stopped
        })?;
        let mut redrive = redrive.into_inner();
        redrive.flush();
        progress(redrive.done.sent);
        match redrive.failure {
            Some(failure) => Err(failure),
            None => Ok(redrive.done),
        }
    }

    /// How many of the selected records would be sent.
    ///
    /// # Errors
    /// Brokers that do not answer.
    pub fn rehearse(&self, selection: &Selection) -> Result<RedriveSummary, DeadLetterError> {
        let mut done = RedriveSummary::default();
        let lost = RefCell::new(Vec::new());
        self.each(selection, |letter| {
            if letter.sent {
                done.before += 1;
            } else if let Err(error) = self.original_or_self(letter) {
                lost.borrow_mut().push(error.to_string());
            } else {
                done.sent += 1;
            }
        })?;
        done.lost = lost.into_inner();
        Ok(done)
    }

    /// The record to send for a dead letter.
    fn original_or_self(&self, letter: &DeadLetterRecord) -> Result<DeadLetterRecord, DeadLetterError> {
        if letter.is_described() {
            return self.original(letter);
        }
        if letter.source().is_none() {
            return Err(DeadLetterError::State(format!("{}: it does not say where it came from", letter.at)));
        }
        Ok(letter.clone())
    }
}
