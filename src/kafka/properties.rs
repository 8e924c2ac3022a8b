//! librdkafka properties: which are reserved, and the resolution of values.

use crate::config::{ConfigErrors, Origins, Properties, Value, is_hidden};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use std::collections::BTreeMap;

/// Property names and values as librdkafka takes them.
pub(super) type Map = BTreeMap<String, String>;

/// Properties that no setting may change, each with the reason and what to do instead. Aliases included.
const REFUSED: &[(&[&str], &str)] = &[
    (&["bootstrap.servers", "metadata.broker.list"], "the brokers are the setting `kafka.brokers`"),
    (&["group.id"], "the group is the setting `kafka.group`, and transactional ids are built from it"),
    (
        &["auto.offset.reset"],
        "where a group without offsets begins is the setting `input.start` (`earliest` or `latest`)",
    ),
    (
        &["enable.auto.commit", "auto.commit.enable"],
        "offsets are committed with the verdicts that they cover; committed by a timer they could run ahead and lose records",
    ),
    (
        &["enable.auto.offset.store"],
        "offsets are stored with their verdicts; stored on reading they could run ahead and lose records",
    ),
    (&["isolation.level"], "comments are always read `read_committed`; aborted records were never written"),
    (
        &["transactional.id"],
        "it is always `{group}/{instance}/{worker}`; set `kafka.instance` to keep it over restarts",
    ),
    (
        &["enable.idempotence"],
        "it is always on; without it a retry could write a verdict twice or out of order",
    ),
    (&["enable.partition.eof"], "it is always on; the end of a partition shows that a worker has caught up"),
    (&["statistics.interval.ms"], "it is always one second; lag is read from the statistics"),
    (
        &["acks", "request.required.acks"],
        "it is always `all`; with less, an acknowledged verdict is lost with one broker",
    ),
];

/// Resolves the properties of one section; errors go to `errors`, and the valid ones are returned.
pub(crate) fn resolve(
    section: &str,
    properties: &Properties,
    origins: &Origins,
    errors: &mut ConfigErrors,
) -> Map {
    let mut resolved = Map::new();
    for (name, value) in properties {
        let key = format!("{section}.{name}");
        let origin = origins.get(&key).cloned().unwrap_or_default();
        match check(name, value) {
            Ok(text) => {
                resolved.insert(name.clone(), text);
            }
            Err(message) => errors.add(origin, format!("`{key}`: {message}")),
        }
    }
    resolved
}

fn check(name: &str, value: &Value) -> Result<String, String> {
    if let Some((_, why)) = REFUSED.iter().find(|(names, _)| names.contains(&name)) {
        return Err(format!("refused: {why}"));
    }
    let text = value.resolve()?;
    if matches!(name, "max.in.flight.requests.per.connection" | "max.in.flight")
        && text.parse::<u32>().is_ok_and(|requests| requests > 5)
    {
        return Err(
            "refused: more than 5 requests in flight break the order and idempotence of writes".to_owned()
        );
    }
    match ClientConfig::new().set(name, &text).create_native_config().err() {
        None => Ok(text),
        Some(KafkaError::ClientConfig(_, why, _, _)) if text.is_empty() || !is_hidden(name, value) => {
            Err(why)
        }
        Some(KafkaError::ClientConfig(_, why, _, _)) => Err(why.replace(&text, "***")),
        Some(_) => Err("contains a zero byte, which librdkafka does not accept".to_owned()),
    }
}
