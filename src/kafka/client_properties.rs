//! From settings to librdkafka properties: one map for consumers, one for producers, secrets resolved.
//!
//! Always holds: no property that a guarantee depends on can be overridden, names and values were accepted by librdkafka, and
//! no `Debug` or error shows a value that may be secret.

use super::library;
use super::properties::{self, Map};
use crate::config::{Config, ConfigErrors, Delivery, Origin, Origins, Properties, Value, is_hidden};
use rdkafka::ClientConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The librdkafka properties of every client of this process, resolved once at start.
#[derive(Clone)]
pub struct ClientProperties {
    group: String,
    instance: String,
    delivery: Delivery,
    common: Map,
    consumer: Map,
    producer: Map,
    hidden: BTreeSet<String>,
    /// By role, properties whose values are read from files, again for each new client: secrets rotate.
    files: [BTreeMap<String, Value>; 3],
}

/// Which of the process's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Without a group and without transactions.
    Plain,
    /// A member of the group.
    Consumer,
    /// A writer.
    Producer,
}

impl ClientProperties {
    /// Resolves secrets, and has librdkafka check every name and value. `kafka.instance` becomes random unless set.
    ///
    /// # Errors
    /// All errors at once: a librdkafka of the system that cannot be used, refused properties, unknown names, refused values, missing variables and files.
    pub fn resolve(config: &Config) -> Result<Self, ConfigErrors> {
        let (resolved, errors) = Self::resolve_with(config, &Origins::default());
        errors.none_or(resolved)
    }

    /// As [`ClientProperties::resolve`], and errors name where the property was set.
    pub(crate) fn resolve_with(config: &Config, origins: &Origins) -> (Self, ConfigErrors) {
        let mut errors = ConfigErrors::default();
        library::check(&mut errors);
        let kafka = &config.kafka;
        let mut read = |section: &str, properties| {
            properties::resolve(&format!("kafka.{section}"), properties, origins, &mut errors)
        };
        let resolved = ClientProperties {
            group: kafka.group.clone(),
            instance: kafka.instance.clone().unwrap_or_else(random_instance),
            delivery: kafka.delivery,
            common: read("properties", &kafka.properties),
            consumer: read("consumer", &kafka.consumer),
            producer: read("producer", &kafka.producer),
            hidden: hidden_names(config),
            files: [
                files(&kafka.properties, &Properties::default()),
                files(&kafka.properties, &kafka.consumer),
                files(&kafka.properties, &kafka.producer),
            ],
        }
        .with_ours(config);
        if errors.0.is_empty() {
            resolved.try_clients(&mut errors);
        }
        (resolved, errors)
    }

    /// Adds what nunchi sets: defaults below the user's properties, and the properties that the guarantees depend on above them.
    fn with_ours(mut self, config: &Config) -> Self {
        self.common.insert("bootstrap.servers".to_owned(), config.kafka.brokers.clone());
        defaults(&mut self.common, &[("client.id", "nunchi")]);
        self.consumer = layered(&self.common, &self.consumer);
        self.producer = layered(&self.common, &self.producer);
        let modern =
            self.consumer.get("group.protocol").is_some_and(|protocol| library::is_new_protocol(protocol));
        if !modern {
            // KIP-848 leaves these to the broker and librdkafka refuses them there.
            defaults(
                &mut self.consumer,
                &[
                    ("session.timeout.ms", "10000"),
                    ("heartbeat.interval.ms", "1000"),
                    ("partition.assignment.strategy", "cooperative-sticky"),
                ],
            );
        }
        defaults(&mut self.consumer, CONSUMER_DEFAULTS);
        always(&mut self.consumer, CONSUMER_OURS);
        always(&mut self.consumer, &[("group.id", &self.group), ("auto.offset.reset", "error")]);
        defaults(&mut self.producer, PRODUCER_DEFAULTS);
        always(&mut self.producer, PRODUCER_OURS);
        self
    }

    /// Builds one client of each kind, without brokers, since some errors show in combinations only.
    fn try_clients(&self, errors: &mut ConfigErrors) {
        let mut consumer = self.consumer(0);
        consumer.remove("bootstrap.servers").set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
        if let Err(error) = consumer.create::<rdkafka::consumer::BaseConsumer>() {
            errors.add(Origin::Together("[kafka.properties] with [kafka.consumer]"), self.describe(&error));
        }
        let mut producer = self.producer(0);
        producer.remove("bootstrap.servers").set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
        if let Err(error) = producer.create::<rdkafka::producer::BaseProducer>() {
            errors.add(Origin::Together("[kafka.properties] with [kafka.producer]"), self.describe(&error));
        }
    }

    fn describe(&self, error: &rdkafka::error::KafkaError) -> String {
        let mut message = format!("librdkafka refuses this combination: {error}");
        for (name, value) in self.consumer.iter().chain(&self.producer) {
            if self.hidden.contains(name) && !value.is_empty() {
                message = message.replace(value.as_str(), "***");
            }
        }
        message
    }

    /// The configuration of worker `worker`'s consumer.
    pub fn consumer(&self, worker: usize) -> ClientConfig {
        let mut config = self.config(Role::Consumer);
        if let Some(member) = self.consumer.get("group.instance.id") {
            // Each worker is a separate member; two with the same static id would fence each other.
            config.set("group.instance.id", format!("{member}-{worker}"));
        }
        config
    }

    /// The configuration of worker `worker`'s producer; transactional with `exactly_once`.
    pub fn producer(&self, worker: usize) -> ClientConfig {
        let mut config = self.config(Role::Producer);
        match self.delivery {
            Delivery::ExactlyOnce => {
                request_timeout(&mut config);
                config.set("transactional.id", self.transactional_id(worker));
            }
            // Known to the transactional producer only.
            Delivery::AtLeastOnce => {
                config.remove("transaction.timeout.ms");
            }
        }
        config
    }

    /// The configuration of a client for metadata or plain publishing: no group, no transactions.
    pub fn plain(&self) -> ClientConfig {
        self.config(Role::Plain)
    }

    /// The properties of a role, with what the files of secrets hold now; what was read at start where they cannot be read.
    fn config(&self, role: Role) -> ClientConfig {
        let mut config = client_config(self.properties(role));
        for (name, value) in &self.files[role as usize] {
            if let Ok(text) = value.resolve() {
                config.set(name, text);
            }
        }
        config
    }

    fn properties(&self, role: Role) -> &Map {
        match role {
            Role::Plain => &self.common,
            Role::Consumer => &self.consumer,
            Role::Producer => &self.producer,
        }
    }

    /// User name and password as the files hold them now; `None` where they are not read from files.
    pub(super) fn credentials(&self, role: Role) -> Option<(String, String)> {
        let names = ["sasl.username", "sasl.password"];
        if !names.iter().any(|name| self.files[role as usize].contains_key(*name)) {
            return None;
        }
        let config = self.config(role);
        let [username, password] = names.map(|name| config.get(name).map(str::to_owned));
        Some((username?, password?))
    }

    /// Whom the brokers take this process for, as far as the settings say.
    pub(crate) fn principal(&self) -> String {
        let has = |name: &str| self.common.contains_key(name);
        match self.common.get("sasl.username") {
            Some(_) if self.hidden.contains("sasl.username") => "the principal of sasl.username".to_owned(),
            Some(username) => format!("the principal of sasl.username `{username}`"),
            None if has("sasl.mechanism") || has("sasl.mechanisms") => "the principal of sasl.*".to_owned(),
            None if ["ssl.certificate.location", "ssl.certificate.pem", "ssl.keystore.location"]
                .into_iter()
                .any(has) =>
            {
                "the principal of the client certificate".to_owned()
            }
            None => "the anonymous principal (neither sasl.* nor a client certificate is set)".to_owned(),
        }
    }

    /// `{group}/{instance}/{worker}`: two live producers must never share it, or they fence each other in a loop.
    pub fn transactional_id(&self, worker: usize) -> String {
        // Not with `-`, which names contain: group `a-b` with instance `c` and group `a` with `b-c` would fence each other.
        format!("{}/{}/{worker}", self.group, self.instance)
    }

    /// What is allowed and not recommended, each a sentence.
    pub fn warnings(&self) -> Vec<String> {
        let protocol = self.consumer.get("group.protocol").map(String::as_str);
        library::protocol_warning(protocol).into_iter().collect()
    }

    /// This process's name within its group.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Delivery guarantee.
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }
}

impl fmt::Debug for ClientProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientProperties")
            .field("group", &self.group)
            .field("instance", &self.instance)
            .field("delivery", &self.delivery)
            .field("consumer", &self.consumer.keys())
            .field("producer", &self.producer.keys())
            .finish_non_exhaustive()
    }
}

/// Defaults that can be overridden. Fetched bytes are bounded: the queue is the only buffer of records.
const CONSUMER_DEFAULTS: &[(&str, &str)] = &[
    ("queued.max.messages.kbytes", "16384"),
    ("queued.min.messages", "100000"),
    ("fetch.wait.max.ms", "50"),
    // A fetch response is not counted before it is parsed into records.
    ("fetch.max.bytes", "16777216"),
    // A full queue is checked again soon: with the default of a second a fast worker would run out of records.
    ("fetch.queue.backoff.ms", "10"),
    // As in Java's consumer, and unlike librdkafka's default.
    ("check.crcs", "true"),
    // New partitions are noticed within it; the default is five minutes.
    ("topic.metadata.refresh.interval.ms", "5000"),
];

/// Properties that no setting may change: offsets are committed with the verdicts only, and aborted records are not read.
/// `auto.offset.reset` is `error`: where reading goes on is decided in `resume.rs`.
const CONSUMER_OURS: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("isolation.level", "read_committed"),
];

/// A request without an answer times out after half of the transaction's time-out, unless the user sets something else:
/// librdkafka's default is 100 ms less than the whole of it, so that after one lost request no time is left to repeat it,
/// and the broker aborts the transaction and fences its producer.
fn request_timeout(config: &mut ClientConfig) {
    let transaction: Option<u64> = config.get("transaction.timeout.ms").and_then(|ms| ms.parse().ok());
    if let (None, Some(ms)) = (config.get("socket.timeout.ms"), transaction) {
        config.set("socket.timeout.ms", (ms / 2).max(500).to_string());
    }
}

/// Defaults that can be overridden. An open transaction blocks every `read_committed` reader until its time-out: 10 s,
/// not 60. A shorter one would abort batches during an ordinary election of a leader, which takes a few seconds.
const PRODUCER_DEFAULTS: &[(&str, &str)] = &[
    ("transaction.timeout.ms", "10000"),
    ("queue.buffering.max.messages", "200000"),
    ("queue.buffering.max.kbytes", "65536"),
    ("linger.ms", "5"),
    ("topic.metadata.refresh.interval.ms", "5000"),
    ("partitioner", "murmur2_random"),
];

/// Properties that no setting may change.
const PRODUCER_OURS: &[(&str, &str)] = &[("enable.idempotence", "true"), ("acks", "all")];

fn defaults(map: &mut Map, values: &[(&str, &str)]) {
    for (name, value) in values {
        map.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
    }
}

fn always(map: &mut Map, values: &[(&str, &str)]) {
    map.extend(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
}

fn layered(below: &Map, above: &Map) -> Map {
    let mut map = below.clone();
    map.extend(above.iter().map(|(name, value)| (name.clone(), value.clone())));
    map
}

fn client_config(map: &Map) -> ClientConfig {
    map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The properties of a role whose values come from files; what is set for the role alone hides what is set for all.
fn files(common: &Properties, own: &Properties) -> BTreeMap<String, Value> {
    let all = common.iter().filter(|(name, _)| !own.contains_key(*name)).chain(own);
    let from_files = all.filter(|(_, value)| matches!(value, Value::File { .. }));
    from_files.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Names of properties whose values are never shown: secrets by name, and whatever came from a variable or a file.
fn hidden_names(config: &Config) -> BTreeSet<String> {
    let kafka = &config.kafka;
    let all = kafka.properties.iter().chain(&kafka.consumer).chain(&kafka.producer);
    let hidden = all.filter(|(name, value)| is_hidden(name, value));
    hidden.map(|(name, _)| name.clone()).collect()
}

fn random_instance() -> String {
    format!("{:08x}", rand::random::<u32>())
}
