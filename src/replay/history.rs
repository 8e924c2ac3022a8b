//! A range of a topic read once, for whoever learns from it: no member of a group, no offsets committed.

use super::error::ReplayError;
use super::plan::{Plan, Share};
use super::request::{Bound, Request, Target};
use crate::kafka::ClientProperties;
use crate::kafka::admin::Brokers;
use jiff::Timestamp;
use rdkafka::message::Message;
use std::collections::BTreeMap;

/// A record as it lies in the topic.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, in milliseconds of Unix time.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

/// A client that reads history.
pub struct History {
    brokers: Brokers,
}

impl History {
    /// A client with the group and the properties of `clients`. Reads what is committed only.
    ///
    /// # Errors
    /// Properties that librdkafka refuses.
    pub fn connect(clients: &ClientProperties) -> Result<Self, ReplayError> {
        Ok(History { brokers: Brokers::connect(clients)? })
    }

    /// The offsets of every partition of `topic` that can hold records with from ≤ timestamp < to: from the brokers' index
    /// to the topic's end of now. `late_ms` says how much later than `to` such a record may have been written.
    ///
    /// # Errors
    /// A topic that does not exist; brokers that do not answer.
    pub fn range(
        &self,
        topic: &str,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        late_ms: i64,
    ) -> Result<Vec<Share>, ReplayError> {
        if self.brokers.partitions(topic)?.is_none() {
            return Err(ReplayError::State(format!(
                "the topic `{topic}` does not exist; create it, or name another one"
            )));
        }
        let request = Request {
            topic: topic.to_owned(),
            partitions: None,
            from: from.map(Bound::Time),
            to: to.map(Bound::Time),
            late_ms,
            model: String::new(),
            labels: None,
            target: Target::Report,
        };
        Ok(Plan::make("", &request, &self.brokers)?.0.shares)
    }

    /// Reads every record between the offsets of `shares`, each partition in its order.
    ///
    /// # Errors
    /// No broker answers for ten seconds.
    pub fn read(
        &self,
        topic: &str,
        shares: &[Share],
        mut see: impl FnMut(&Record<'_>),
    ) -> Result<(), ReplayError> {
        let open = || shares.iter().filter(|share| share.start < share.end);
        let starts: BTreeMap<i32, i64> = open().map(|share| (share.partition, share.start)).collect();
        let ends: BTreeMap<i32, i64> = open().map(|share| (share.partition, share.end)).collect();
        self.brokers.read(topic, &starts, |message| {
            let Some(message) = message else { return true };
            let Some(&end) = ends.get(&message.partition()) else { return false };
            if message.offset() < end {
                see(&Record {
                    partition: message.partition(),
                    offset: message.offset(),
                    timestamp_ms: message.timestamp().to_millis(),
                    key: message.key(),
                    value: message.payload(),
                });
            }
            message.offset() + 1 < end
        })
    }
}
