//! Dead letters, listed, shown and redriven: each is sent at most once, however often and by however many processes a
//! redrive is run.
//!
//! Invariant: a record and the redrive state that covers it are written in the same transaction. The state is a record of
//! the topic of replays, with ranges of offsets under one key for each topic of dead letters; its one transactional id
//! fences a redrive that runs at the same time.

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

/// Why a record of the topic cannot be redriven that is no dead letter of nunchi.
const NO_SOURCE: &str = "it has no valid header `nunchi-source`, which nunchi writes to every dead letter";

/// The result of a redrive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RedriveSummary {
    /// Dead letters that were sent now.
    pub sent: u64,
    /// Dead letters that were sent before.
    pub before: u64,
    /// Dead letters whose original cannot be had, and why.
    pub lost: Vec<String>,
    /// Dead letters that the brokers do not take, and why. The same redrive tries them again.
    pub refused: Vec<String>,
    /// Whether a stop was requested before the last one.
    pub stopped: bool,
}

/// A topic of dead letters.
pub struct DeadLetterTopic {
    topic: String,
    state_topic: String,
    clients: ClientProperties,
    brokers: Brokers,
    /// Reads original records while `brokers` reads dead letters.
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

    fn transactional_id(&self) -> String {
        format!("nunchi-dead-letters-{}", self.topic)
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

    /// The redrive state; empty if it belongs to an earlier topic of the same name.
    fn state(&self, log: &CompactedLog<'_>) -> Result<RedriveState, DeadLetterError> {
        let topic_id = self.brokers.topic_id(&self.topic).map(|id| id.to_string());
        let empty = RedriveState { topic_id: topic_id.clone(), ..RedriveState::default() };
        let Some(value) = log.read(&self.key())? else { return Ok(empty) };
        let state: RedriveState = serde_json::from_slice(&value).map_err(|error| {
            DeadLetterError::State(format!(
                "the redrive state of `{}` cannot be parsed ({error}); it is in topic `{}` under key `{}`",
                self.topic,
                self.state_topic,
                self.key()
            ))
        })?;
        let ends = self.ends()?.into_iter().map(|(partition, (_, end))| (partition, end)).collect();
        if state.is_of_another(topic_id.as_deref(), &ends) {
            warn!(
                topic = self.topic,
                "the topic was recreated since the last redrive: the redrive state starts empty"
            );
            return Ok(empty);
        }
        Ok(RedriveState { topic_id: topic_id.or(state.topic_id), ..state })
    }

    /// Calls `visit` with the selected records, partition by partition.
    ///
    /// # Errors
    /// Brokers that do not answer.
    pub fn each(
        &self,
        selection: &Selection,
        mut visit: impl FnMut(&DeadLetterRecord),
    ) -> Result<(), DeadLetterError> {
        let state = match self.brokers.partitions(&self.state_topic)? {
            Some(_) => self.state(&CompactedLog::open(&self.clients, &self.brokers, &self.state_topic)?)?,
            None => RedriveState::default(),
        };
        self.read(selection, &state, |dead_letter| {
            visit(&dead_letter);
            true
        })
    }

    /// Reads the selected records up to the current end of the topic, or until `visit` returns false.
    fn read(
        &self,
        selection: &Selection,
        state: &RedriveState,
        mut visit: impl FnMut(DeadLetterRecord) -> bool,
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
                let dead_letter = DeadLetterRecord::read(message, state.holds(partition, message.offset()));
                if selection.takes(&dead_letter) {
                    goes_on = visit(dead_letter);
                }
                goes_on && message.offset() + 1 < end
            })?;
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    /// The dead letter at a partition and offset.
    ///
    /// # Errors
    /// There is none; brokers that do not answer.
    pub fn at(&self, partition: i32, offset: i64) -> Result<DeadLetterRecord, DeadLetterError> {
        let mut found = None;
        let selection = Selection { places: [(partition, offset)].into(), ..Selection::default() };
        self.each(&selection, |dead_letter| found = Some(dead_letter.clone()))?;
        found.ok_or_else(|| {
            DeadLetterError::Usage(format!(
                "there is no dead letter {partition}/{offset} in `{}`; `nunchi dead-letters list` prints those that exist",
                self.topic
            ))
        })
    }

    /// The original record of a dead letter, read from its source.
    ///
    /// # Errors
    /// It does not exist any more; brokers that do not answer.
    pub fn original(&self, dead_letter: &DeadLetterRecord) -> Result<DeadLetterRecord, DeadLetterError> {
        let lost = |why: String| DeadLetterError::State(format!("{}: {why}", dead_letter.at));
        let source = dead_letter.source().ok_or_else(|| lost(NO_SOURCE.to_owned()))?;
        let known = self.second.partitions(&source.topic)?;
        if !known.is_some_and(|partitions| partitions.contains(&source.partition)) {
            return Err(lost(format!("its source {source} does not exist any more")));
        }
        let (first, end) = self.second.ends(&source.topic, source.partition)?;
        let mut original = None;
        if (first..end).contains(&source.offset) {
            self.second.read(&source.topic, &[(source.partition, source.offset)].into(), |message| {
                original = message
                    .filter(|message| message.offset() == source.offset)
                    .map(|message| DeadLetterRecord::read(message, dead_letter.sent));
                false
            })?;
        }
        let original = original.ok_or_else(|| lost(format!("its source {source} is beyond retention")))?;
        let digest = nunchi_model::hex(&Sha256::digest(&original.value));
        if dead_letter.header("nunchi-sha256").is_some_and(|expected| expected != digest) {
            return Err(lost(format!("its source {source} holds another record now (SHA-256 differs)")));
        }
        Ok(original)
    }

    /// Sends the selected records that were never sent to their source topic and partition, or to `to`. `progress` is called
    /// after every transaction with the number of records sent.
    ///
    /// # Errors
    /// Brokers that fail; another process that redrives the same topic. What `progress` reported is committed.
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
        // Not the client that reads the dead letters: the state may be read again while that goes on.
        let log = CompactedLog::open(&self.clients, &self.second, &self.state_topic)?;
        // This fences an earlier redrive: the state that is read now is final.
        let writer = log.writer(&self.transactional_id())?;
        let state = self.state(&log)?;
        let redrive = RefCell::new(Redrive {
            dead_letters: self,
            log: &log,
            writer,
            to,
            state: state.clone(),
            chunk: Vec::new(),
            bytes: 0,
            done: RedriveSummary::default(),
            targets: BTreeMap::new(),
            failure: None,
        });
        self.read(selection, &state, |dead_letter| {
            let mut redrive = redrive.borrow_mut();
            redrive.add(dead_letter);
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

    /// Counts the selected records that would be sent, and sends none.
    ///
    /// # Errors
    /// Brokers that do not answer.
    pub fn dry_run(&self, selection: &Selection) -> Result<RedriveSummary, DeadLetterError> {
        let mut done = RedriveSummary::default();
        let lost = RefCell::new(Vec::new());
        self.each(selection, |dead_letter| {
            if dead_letter.sent {
                done.before += 1;
            } else if let Err(error) = self.original_or_self(dead_letter) {
                lost.borrow_mut().push(error.to_string());
            } else {
                done.sent += 1;
            }
        })?;
        done.lost = lost.into_inner();
        Ok(done)
    }

    /// The record to send for a dead letter.
    fn original_or_self(&self, dead_letter: &DeadLetterRecord) -> Result<DeadLetterRecord, DeadLetterError> {
        if let Some(offsets) = dead_letter.unreadable() {
            return Err(DeadLetterError::State(format!(
                "{}: it stands for the offsets {offsets} of {}, which cannot be read: there is nothing to send",
                dead_letter.at,
                dead_letter.source().map_or_else(|| "its source".to_owned(), |source| source.topic),
            )));
        }
        if dead_letter.is_described() {
            return self.original(dead_letter);
        }
        if dead_letter.source().is_none() {
            return Err(DeadLetterError::State(format!("{}: {NO_SOURCE}", dead_letter.at)));
        }
        Ok(dead_letter.clone())
    }
}
