//! Consumes the output topics and sends their records to the display as events.

use super::stats::{DeadLetter, Event, Verdict};
use crate::cli::publish::SENT_HEADER;
use crate::stop::Stop;
use anyhow::Context;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// A verdict of the demo, with the echoed fields of its comment.
#[derive(Debug, Deserialize)]
struct Value {
    label: String,
    score: f64,
    model: String,
    #[serde(default)]
    fields: Fields,
}

/// `output.echo` of the demo.
#[derive(Debug, Default, Deserialize)]
struct Fields {
    #[serde(default)]
    text: String,
    rating: Option<u8>,
}

/// A reader of two topics.
pub struct ResultReader {
    consumer: BaseConsumer,
    dead_letters: String,
}

impl ResultReader {
    /// Reads all partitions of `verdicts` and `dead_letters` from offset 0: they are new, and asking the broker where
    /// they begin takes half a second while it is being connected to.
    ///
    /// # Errors
    /// The broker does not answer.
    pub fn new(config: &ClientConfig, verdicts: &str, dead_letters: &str) -> anyhow::Result<Self> {
        let mut config = config.clone();
        config.set("group.id", "nunchi-demo-results").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().context("creating the consumer of verdicts")?;
        let mut partitions = TopicPartitionList::new();
        for topic in [verdicts, dead_letters] {
            let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
            let count = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
            for partition in 0..count {
                partitions.add_partition_offset(topic, i32::try_from(partition)?, Offset::Offset(0))?;
            }
        }
        consumer.assign(&partitions)?;
        Ok(ResultReader { consumer, dead_letters: dead_letters.to_owned() })
    }

    /// Sends every record's event to `events` and counts it in `answered` until `stop`, or until the receiver is dropped.
    ///
    /// # Errors
    /// Kafka fails, or a verdict is not valid JSON.
    pub fn run(&self, events: &SyncSender<Event>, answered: &AtomicU64, stop: &Stop) -> anyhow::Result<()> {
        while !stop.requested() {
            let Some(message) = self.consumer.poll(Duration::from_millis(50)) else {
                continue;
            };
            let message = message.context("reading verdicts")?;
            if events.send(self.event(&message)?).is_err() {
                break;
            }
            answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn event(&self, message: &BorrowedMessage<'_>) -> anyhow::Result<Event> {
        if message.topic() == self.dead_letters {
            let text = |name| header(message, name).map_or_else(|| "?".to_owned(), str::to_owned);
            return Ok(Event::DeadLetter(DeadLetter {
                class: text("nunchi-error-class"),
                error: text("nunchi-error"),
            }));
        }
        let value: Value = serde_json::from_slice(message.payload().unwrap_or_default())
            .context("the value of a verdict is not the expected JSON object")?;
        let sent = header(message, SENT_HEADER).and_then(|sent| sent.parse::<i128>().ok());
        let latency = sent.and_then(|sent| {
            let now = jiff::Timestamp::now().as_nanosecond();
            u64::try_from(now - sent).ok().map(Duration::from_nanos)
        });
        Ok(Event::Verdict(Verdict {
            text: value.fields.text,
            rating: value.fields.rating,
            positive: value.label == "positive",
            score: value.score,
            model: value.model,
            latency,
        }))
    }
}

fn header<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a str> {
    message
        .headers()?
        .iter()
        .find(|header| header.key == name)
        .and_then(|header| std::str::from_utf8(header.value?).ok())
}
