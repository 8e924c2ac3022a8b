//! Every setting, with its default. `config/nunchi.toml` lists them with explanations.

use super::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The brokers, the consumer group and librdkafka properties.
    pub kafka: Kafka,
    /// Where comments come from and what they look like.
    pub input: Input,
    /// Where verdicts go.
    pub output: Output,
    /// Where records go that cannot be classified.
    pub dead_letters: DeadLetters,
    /// The worker loop.
    pub worker: Worker,
    /// The engine.
    pub engine: Engine,
    /// The network.
    pub model: Model,
    /// Which verdicts are unsure.
    pub decision: Decision,
    /// The store of versions.
    pub registry: Registry,
    /// Replays.
    pub replay: Replay,
    /// The admin server.
    pub http: Http,
    /// Logs.
    pub log: Log,
}

/// Delivery guarantee.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Transactions: verdicts, dead letters and offsets become visible together or not at all.
    #[default]
    ExactlyOnce,
    /// Idempotent producer; offsets are committed after delivery. A crash repeats the records of a batch.
    AtLeastOnce,
}

/// librdkafka properties under their own names.
pub type Properties = BTreeMap<String, Value>;

impl Config {
    /// The topics, each with its setting: first that of the input, then those that are written to.
    pub fn topics(&self) -> Vec<(&str, &'static str)> {
        let mut topics = vec![
            (self.input.topic.as_str(), "input.topic"),
            (self.output.topic.as_str(), "output.topic"),
            (self.dead_letters.topic.as_str(), "dead_letters.topic"),
        ];
        topics.extend(self.decision.review_topic.as_deref().map(|topic| (topic, "decision.review_topic")));
        topics
    }
}

/// `[kafka]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kafka {
    /// `bootstrap.servers`.
    pub brokers: String,
    /// The consumer group.
    pub group: String,
    /// Delivery guarantee.
    pub delivery: Delivery,
    /// The name of this process within the group; `transactional.id` is `{group}/{instance}/{worker}`. Random unless set.
    pub instance: Option<String>,
    /// librdkafka properties for both clients.
    pub properties: Properties,
    /// librdkafka properties for the consumers only.
    pub consumer: Properties,
    /// librdkafka properties for the producers only.
    pub producer: Properties,
}

impl Default for Kafka {
    fn default() -> Self {
        Kafka {
            brokers: "localhost:9092".into(),
            group: "nunchi".into(),
            delivery: Delivery::default(),
            instance: None,
            properties: Properties::new(),
            consumer: Properties::new(),
            producer: Properties::new(),
        }
    }
}

/// The form of an input record's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputFormat {
    /// A JSON object with a text field.
    #[default]
    Json,
    /// The whole value is the comment.
    Text,
    /// JSON behind the five bytes that the serializers of Confluent's schema registry put before it, or without them.
    RawJson,
}

/// The names or paths of the fields whose texts make up a comment: in TOML a string, or a list of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFields(pub Vec<String>);

impl Serialize for TextFields {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for TextFields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            One(String),
            Several(Vec<String>),
        }
        Ok(TextFields(match Either::deserialize(deserializer)? {
            Either::One(name) => vec![name],
            Either::Several(names) => names,
        }))
    }
}

/// `[input]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Input {
    /// The topic of comments.
    pub topic: String,
    /// The form of a record's value.
    pub format: InputFormat,
    /// Records larger than this (bytes) are dead letters (`oversize`).
    pub max_bytes: usize,
    /// Where a group without offsets begins: `earliest` or `latest`.
    pub start: Start,
    /// What to do about records that cannot be read.
    pub on_corrupt: OnCorrupt,
    /// What happens to a partition whose committed offset is beyond the end of its log.
    pub beyond_end: BeyondEnd,
    /// Name or path (`payload.after.text`) of the text field, or those of several, whose texts are joined by line ends.
    pub text_field: TextFields,
    /// Name or path of the id field.
    pub id_field: String,
    /// Name or path of the field with 1-5 stars.
    pub rating_field: String,
    /// Name or path of the field with the product's id.
    pub product_id_field: String,
}

/// Where a group without committed offsets begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At the oldest record.
    #[default]
    Earliest,
    /// At the next record.
    Latest,
}

/// What to do about records that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCorrupt {
    /// Their partition is halted.
    #[default]
    Stop,
    /// A dead letter stands for them, and reading goes on behind them.
    Skip,
}

/// What happens to a partition whose position is beyond the end of its log, or in a part that was truncated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeyondEnd {
    /// It is halted: somebody has to decide.
    #[default]
    Fail,
    /// Reading goes on at the end of what the log still has.
    End,
}

impl Default for Input {
    fn default() -> Self {
        Input {
            topic: "comments".into(),
            format: InputFormat::default(),
            max_bytes: 900_000,
            start: Start::default(),
            on_corrupt: OnCorrupt::default(),
            beyond_end: BeyondEnd::default(),
            text_field: TextFields(vec!["text".into()]),
            id_field: "id".into(),
            rating_field: "rating".into(),
            product_id_field: "product_id".into(),
        }
    }
}

/// `[output]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// The topic of verdicts.
    pub topic: String,
    /// Fields of the incoming JSON object that a verdict repeats under `fields`.
    pub echo: Vec<String>,
    /// Whether each sentence and clause is classified too, and stands in the verdict.
    pub sentences: bool,
}

impl Default for Output {
    fn default() -> Self {
        Output { topic: "verdicts".into(), echo: Vec::new(), sentences: false }
    }
}

/// `[dead_letters]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetters {
    /// The topic of records that could not be classified.
    pub topic: String,
    /// The circuit breaker of a partition opens when more than this share of its last `breaker_window` records is poisoned.
    pub breaker_share: f64,
    /// The breaker's window in records; it never opens before it has seen as many.
    pub breaker_window: usize,
    /// What a halted partition means for the process, whatever the reason of the halt.
    pub breaker: OnHalt,
}

/// What a halted partition means for the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnHalt {
    /// The other partitions go on; the process ends when it owns all partitions and all are halted.
    #[default]
    Halt,
    /// The process ends at the first halted partition.
    Exit,
}

impl Default for DeadLetters {
    fn default() -> Self {
        DeadLetters {
            topic: "comments-dead-letters".into(),
            breaker_share: 0.5,
            breaker_window: 1_000,
            breaker: OnHalt::default(),
        }
    }
}

/// `[worker]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Worker {
    /// Worker threads; 0 is one a core.
    pub workers: usize,
    /// Most records of a batch.
    pub batch_records: usize,
    /// Most input bytes of a batch.
    pub batch_bytes: usize,
    /// Longest wait for the first record of a batch (milliseconds).
    pub poll_ms: u64,
    /// How long a batch waits for more records after its first one, up to its limits (milliseconds).
    pub linger_ms: u64,
    /// `/livez` fails when a worker's batch is older than this (seconds).
    pub stall_seconds: u64,
    /// Deadline of a clean stop (seconds).
    pub stop_seconds: u64,
}

impl Default for Worker {
    fn default() -> Self {
        Worker {
            workers: 1,
            batch_records: 16_384,
            batch_bytes: 16 << 20,
            poll_ms: 100,
            linger_ms: 0,
            stall_seconds: 60,
            stop_seconds: 25,
        }
    }
}

/// `[engine]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Engine {
    /// Forces a kernel; the best one for this CPU unless set.
    pub kernel: Option<String>,
}

/// `[model]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// A model file, or with `registry.url` a VERSION, an alias or `current` as it is at start. Unset: the store's current
    /// version, followed as it changes; without a store the shipped model.
    pub path: Option<PathBuf>,
}

/// `[decision]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Decision {
    /// So large a share of the verdicts that are not unsure is right, for each label, by the model's coverage table.
    pub precision: Option<f64>,
    /// Scores from the first to the second bound are unsure. Excludes `precision`.
    pub band: Option<[f64; 2]>,
    /// Comments with an unsure verdict are written to this topic too, for people to label.
    pub review_topic: Option<String>,
    /// Share of all other comments that is written to `review_topic`: a sample that does not depend on their text, score or
    /// label.
    pub review_share: f64,
}

/// `[registry]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registry {
    /// The store of versions, a folder or an object store's URL.
    pub url: Option<String>,
    /// How often the current version is read from the store (seconds).
    pub interval: f64,
    /// How long the canary phase after a promotion lasts (seconds); 0: there is none.
    pub watch_seconds: f64,
    /// Share of the comments that the previous model classifies too, during the canary phase.
    pub watch_share: f64,
    /// Comments that must have been compared before the canary may be rolled back.
    pub watch_comments: u64,
    /// Least share of compared comments with the same label.
    pub least_agreement: f64,
    /// Largest difference between the shares of a label.
    pub label_band: f64,
    /// Largest rise of the share of unknown tokens.
    pub unknown_band: f64,
    /// Largest rise of the share of dead letters.
    pub error_band: f64,
    /// A version that classifies a share of the comments beside the current one, without affecting the output.
    pub shadow: Option<String>,
    /// Share of the comments that the shadow version classifies.
    pub shadow_share: f64,
}

impl Default for Registry {
    fn default() -> Self {
        Registry {
            url: None,
            interval: 5.0,
            watch_seconds: 300.0,
            watch_share: 0.05,
            watch_comments: 500,
            least_agreement: 0.8,
            label_band: 0.15,
            unknown_band: 0.05,
            error_band: 0.05,
            shadow: None,
            shadow_share: 0.05,
        }
    }
}

/// `[replay]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Replay {
    /// The compacted topic that holds the plans of replays.
    pub topic: String,
    /// A replay pauses while the live group's lag (records) is above this and grows.
    pub live_lag_records: i64,
}

impl Default for Replay {
    fn default() -> Self {
        Replay { topic: "nunchi-replays".into(), live_lag_records: 10_000 }
    }
}

/// `[http]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address of the admin server; port 0 takes a free one, which is logged.
    pub address: String,
    /// Whether everybody who reaches the address may use the server: needed to listen elsewhere than on loopback without
    /// tokens.
    pub insecure: bool,
    /// Names by which clients may call the server in the header `host`, beside addresses and `localhost`.
    pub hosts: Vec<String>,
    /// The certificate chain (PEM) with which the server speaks TLS; read again when the file changes.
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's key (PEM).
    pub tls_key: Option<PathBuf>,
    /// Tokens that are accepted; if there are any, requests other than probes need one.
    pub tokens: Vec<Token>,
}

/// `[[http.tokens]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Who has it; in the log where it operates something.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The secret: `{ env = "NAME" }` or `{ file = "PATH" }`.
    pub token: Value,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Metrics and the model's description.
    Read,
    /// Classifying, and what `read` allows.
    Classify,
    /// Changing what serves, and what `classify` allows.
    Operate,
    /// Reviewing comments, and what `read` allows.
    Review,
}

impl Role {
    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Classify => "classify",
            Role::Operate => "operate",
            Role::Review => "review",
        }
    }

    /// Whether it allows what `needed` allows.
    pub fn includes(self, needed: Role) -> bool {
        self == needed || needed == Role::Read || self == Role::Operate && needed == Role::Classify
    }
}

impl Default for Http {
    fn default() -> Self {
        Http {
            address: "127.0.0.1:9600".into(),
            insecure: false,
            hosts: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            tokens: Vec::new(),
        }
    }
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A filter such as `info` or `nunchi=debug,warn`.
    pub level: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Log { level: "info".into(), format: LogFormat::default() }
    }
}
