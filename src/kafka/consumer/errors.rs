//! The consumer's errors: which of them librdkafka retries, which end the worker, and which need new credentials.

use super::{Consumer, REWIND_TIMEOUT};
use crate::kafka::batch::Batch;
use crate::kafka::bounds::Bounds;
use crate::kafka::error::ClientError;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tracing::debug;

impl Consumer {
    /// Classifies the consumer's errors: those that librdkafka retries are logged, the rest ends the worker.
    pub(super) fn absorb(
        &self,
        error: KafkaError,
        batch: &mut Batch<'_>,
        bounds: Option<&Bounds>,
    ) -> Result<(), ClientError> {
        match error {
            KafkaError::PartitionEOF(partition) => {
                self.positions.borrow_mut().reached_end(partition);
                if let Some(bounds) = bounds {
                    batch.reached_end(partition, bounds);
                }
            }
            KafkaError::MessageConsumptionFatal(code) => {
                return Err(ClientError::Consumer(code.to_string()));
            }
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) if bounds.is_some() => {
                if let Some(message) = bounds.and_then(|bounds| self.missing_record(bounds)) {
                    return Err(ClientError::Failed {
                        worker: self.worker,
                        doing: "reading the plan's records",
                        reason: message,
                    });
                }
                debug!("a partition that is not planned has no offset");
            }
            // The topic may come back; the topic monitor says how long that is waited for.
            KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition)
                if self.consumer.context().placer().is_some() =>
            {
                debug!("the input topic is missing");
            }
            KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                return Err(ClientError::MissingTopic {
                    topic: self.topic.clone(),
                    setting: "input.topic",
                    brokers: self.brokers.clone(),
                });
            }
            KafkaError::MessageConsumption(code) => {
                let refused =
                    ClientError::refusal(code, &self.brokers, "reading the input topic in this group");
                match refused {
                    // Credentials that were accepted before: a restarting broker may refuse them for a while.
                    Some(ClientError::Authentication { .. }) if self.consumer.context().joined() => {
                        self.credentials.borrow_mut().refused();
                    }
                    Some(error) => return Err(error),
                    None => {}
                }
                debug!(%code, "the consumer reports an error that librdkafka retries");
            }
            error => debug!(%error, "the consumer reports an error that librdkafka retries"),
        }
        Ok(())
    }

    /// While the brokers refuse: takes new credentials from their files.
    pub(super) fn renew_credentials(&self) -> Result<(), ClientError> {
        let mut credentials = self.credentials.borrow_mut();
        credentials.renew(self.consumer.client()).map_err(|refused| ClientError::Authentication {
            brokers: self.brokers.clone(),
            reason: format!("for {} s while this process was running", refused.as_secs()),
        })
    }

    /// Whether the brokers refuse the credentials of a process that they had accepted.
    pub(crate) fn is_refused(&self) -> bool {
        self.credentials.borrow().are_refused()
    }

    /// A message about the first planned partition whose next record was deleted; `None` if there is none.
    fn missing_record(&self, bounds: &Bounds) -> Option<String> {
        let assignment = self.consumer.assignment().ok()?;
        let mut planned = TopicPartitionList::new();
        for element in assignment.elements() {
            if bounds.ends.contains_key(&element.partition()) {
                planned.add_partition(&self.topic, element.partition());
            }
        }
        let committed = if self.grouped {
            self.consumer.committed_offsets(planned, REWIND_TIMEOUT).ok()?
        } else {
            assignment
        };
        committed.elements().iter().find_map(|element| {
            let (topic, partition) = (&self.topic, element.partition());
            let (first, end) = self.consumer.fetch_watermarks(topic, partition, REWIND_TIMEOUT).ok()?;
            let Offset::Offset(offset) = element.offset() else { return None };
            (offset < first || offset > end).then(|| {
                format!(
                    "the record at offset {offset} of partition {partition} of `{topic}` was deleted after the replay \
                     was planned: the topic holds {first} to {end}; plan a new replay under another --id"
                )
            })
        })
    }
}
