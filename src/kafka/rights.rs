//! What the principal of this process may do with the topics (KIP-430): asked before the first record, and when a write
//! failed. Without that question a missing right shows at the first record only, and librdkafka then reports the state that
//! the refusal left its producer in.

use super::ClientProperties;
use super::error::ClientError;
use crate::config::Config;
use nunchi_librdkafka::{DescribeOptions, Operation, describe_topics};
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::time::Duration;
use tracing::debug;

/// How long the answer may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The first right that is missing, as the error that ends the process. `None` if all are there or the brokers do not say.
pub(super) fn lacking<C: ClientContext>(
    config: &Config,
    clients: &ClientProperties,
    client: &Client<C>,
) -> Option<ClientError> {
    let options = DescribeOptions { timeout: REQUEST_TIMEOUT, authorized_operations: true };
    config.topics().into_iter().enumerate().find_map(|(place, (topic, setting))| {
        let operation = if place == 0 { Operation::Read } else { Operation::Write };
        // One question for each: a replay may read and write one topic, and a list must not name it twice.
        let described = describe_topics(client, &[topic], &options);
        let answer = match described.map(|mut all| all.pop()) {
            Ok(Some(Ok(description))) => description.authorized_operations?,
            Ok(answer) => {
                debug!(topic, ?answer, "the brokers do not say what may be done with the topic");
                return None;
            }
            Err(error) => {
                debug!(topic, %error, "the brokers do not say what may be done with the topic");
                return None;
            }
        };
        (!answer.contains(operation)).then(|| ClientError::Authorization {
            what: denied(operation, topic, Some(setting), &clients.principal()),
            reason: "Topic authorization failed".to_owned(),
        })
    })
}

/// As [`lacking`], with a client of its own.
pub(crate) fn lacking_now(config: &Config, clients: &ClientProperties) -> Option<ClientError> {
    let client: BaseConsumer = clients.plain().create().ok()?;
    lacking(config, clients, client.client())
}

/// `Write on topic … by …`: what is denied.
pub(super) fn denied(operation: Operation, topic: &str, setting: Option<&str>, principal: &str) -> String {
    let setting = setting.map_or_else(String::new, |setting| format!(" ({setting})"));
    format!("{operation} on topic `{topic}`{setting} by {principal}")
}
