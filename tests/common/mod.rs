//! What the integration tests share: a real Kafka, topics of their own, records written and read back.
#![allow(dead_code, unused_imports, reason = "every test uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod damage;
#[path = "../needs/mod.rs"]
pub mod needs;
mod process;

pub use damage::damage;
pub use process::{Process, random_model};

use nunchi::config::Config;
use nunchi::kafka::ClientProperties;
use nunchi::pipeline::{Pipeline, PipelineError, Summary, worker_count};
use nunchi::stop::Stop;
use nunchi::telemetry::{Health, Metrics};
use nunchi_engine::{Classifier, EngineError, Prediction, Times, Unsure};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything may take before a test fails; ample, for slow machines.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A real Kafka.
pub struct Kafka {
    pub bootstrap: String,
}

/// The Kafka of `KAFKA_BOOTSTRAP`; `None`, said aloud, where there is none and none is required.
pub fn kafka() -> Option<Kafka> {
    match std::env::var("KAFKA_BOOTSTRAP") {
        Ok(bootstrap) if !bootstrap.is_empty() => Some(Kafka { bootstrap }),
        _ => {
            needs::lacking("kafka", "KAFKA_BOOTSTRAP is not set; run scripts/kafka/with-kafka cargo test");
            None
        }
    }
}

/// A record to write.
#[derive(Clone, Debug, Default)]
pub struct Write {
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub timestamp: Option<i64>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Write {
    pub fn value(value: impl Into<Vec<u8>>) -> Self {
        Write { value: Some(value.into()), ..Write::default() }
    }
}

/// A record read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub timestamp: Option<i64>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Read {
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.value.as_deref().expect("a value")).expect("JSON")
    }

    /// Partition and offset of the record that this one answers.
    pub fn source(&self) -> (i32, i64) {
        let source = self.header("nunchi-source").expect("nunchi-source");
        let mut parts = source.rsplit('/');
        let mut next = || parts.next().expect("topic/partition/offset");
        let offset = next().parse().expect("an offset");
        (next().parse().expect("a partition"), offset)
    }
}

/// The topics of one test, and settings that use them.
pub struct Topics {
    pub input: String,
    pub output: String,
    pub dead_letters: String,
    pub group: String,
}

impl Kafka {
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    /// Topics named after `test`, of `partitions` partitions each (dead letters: one).
    pub fn topics(&self, test: &str, partitions: i32) -> Topics {
        self.topics_with(test, partitions, partitions, &[])
    }

    /// As [`Kafka::topics`], with a number of its own for the output topic, and settings for what is written.
    pub fn topics_with(&self, test: &str, input: i32, output: i32, settings: &[(&str, &str)]) -> Topics {
        let name = format!("{test}-{:08x}", rand::random::<u32>());
        let topics = Topics {
            input: format!("{name}-in"),
            output: format!("{name}-out"),
            dead_letters: format!("{name}-dead"),
            group: name,
        };
        // Whatever a test writes is taken: it is the answers that have to respect limits.
        let input_settings =
            [("message.timestamp.after.max.ms", "9223372036854775807"), ("max.message.bytes", "9000000")];
        self.create(&topics.input, input, &input_settings);
        self.create(&topics.output, output, settings);
        self.create(&topics.dead_letters, 1, settings);
        topics
    }

    pub fn create(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        for (name, value) in settings {
            new = new.set(name, value);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let made = runtime.block_on(admin.create_topics([&new], &AdminOptions::new())).unwrap();
        made[0].as_ref().unwrap_or_else(|error| panic!("{topic}: {error:?}"));
        // The broker answers before everybody can see the topic.
        let start = Instant::now();
        let probe: BaseConsumer = self.client().create().unwrap();
        loop {
            let metadata = probe.fetch_metadata(Some(topic), Duration::from_secs(5)).unwrap();
            let found = &metadata.topics()[0];
            if found.error().is_none() && found.partitions().len() == partitions as usize {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{topic} does not appear");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Replaces the settings of `topic` by these.
    pub fn configure(&self, topic: &str, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let mut config = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (name, value) in settings {
            config = config.set(name, value);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let done = runtime.block_on(admin.alter_configs([&config], &AdminOptions::new())).unwrap();
        done[0].as_ref().unwrap_or_else(|error| panic!("{topic}: {error:?}"));
    }

    /// Deletes the records of `partition` before `offset`, as an operator does with `kafka-delete-records`.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let done = runtime.block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
        done.elements()[0].error().unwrap();
    }

    /// Deletes a topic, and waits until it is gone.
    pub fn delete(&self, topic: &str) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let gone = runtime.block_on(admin.delete_topics(&[topic], &AdminOptions::new())).unwrap();
        gone[0].as_ref().unwrap_or_else(|error| panic!("{topic}: {error:?}"));
        let probe: BaseConsumer = self.client().create().unwrap();
        wait_for("the end of a topic", || {
            let metadata = probe.fetch_metadata(Some(topic), Duration::from_secs(5)).unwrap();
            metadata.topics()[0].error().is_some()
        });
    }

    /// Sets a topic's only setting.
    pub fn alter(&self, topic: &str, name: &str, value: &str) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let made = runtime.block_on(admin.alter_configs([&change], &AdminOptions::new())).unwrap();
        made[0].as_ref().unwrap_or_else(|error| panic!("{topic}: {error:?}"));
    }

    /// Writes records and waits until they are there.
    pub fn write(&self, topic: &str, records: impl IntoIterator<Item = Write>) {
        let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> = self
            .client()
            .set("linger.ms", "20")
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("message.max.bytes", "10000000")
            .set("queue.buffering.max.messages", "1000000")
            .create()
            .unwrap();
        for write in records {
            let headers = write.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: value.as_deref() })
            });
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).headers(headers);
            record.key = write.key.as_deref();
            record.payload = write.value.as_deref();
            record.partition = write.partition;
            record.timestamp = write.timestamp;
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// Everything that a `read_committed` reader sees in `topic` now, partition by partition.
    pub fn read(&self, topic: &str) -> Vec<Read> {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", "reader")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed")
            .set("receive.message.max.bytes", "100000000")
            .create()
            .unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
        let partitions = metadata.topics()[0].partitions().len();
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions as i32 {
            list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let (mut records, mut ended, start) = (Vec::new(), 0, Instant::now());
        while ended < partitions {
            assert!(start.elapsed() < PATIENCE, "{topic} cannot be read");
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => records.push(read(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
                Some(Err(error)) => eprintln!("reading {topic}: {error}"),
                None => {}
            }
        }
        records.sort_by_key(|record| (record.partition, record.offset));
        records
    }

    /// The committed offsets of `group` on `topic`; 0 where there is none.
    pub fn committed(&self, group: &str, topic: &str, partitions: i32) -> Vec<i64> {
        let consumer: BaseConsumer = self.client().set("group.id", group).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions - 1);
        let deadline = Instant::now() + PATIENCE;
        let committed = loop {
            // A group's coordinator needs a moment to take the group over.
            match consumer.committed_offsets(list.clone(), PATIENCE) {
                Ok(committed) => break committed,
                Err(error) => assert!(Instant::now() < deadline, "offsets of {group}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let offset = |offset| if let Offset::Offset(offset) = offset { offset } else { 0 };
        committed.elements().iter().map(|element| offset(element.offset())).collect()
    }

    /// The settings of a run on `topics`.
    pub fn config(&self, topics: &Topics) -> Config {
        let mut config = Config::default();
        config.kafka.brokers = self.bootstrap.clone();
        config.kafka.group = topics.group.clone();
        config.input.topic = topics.input.clone();
        config.output.topic = topics.output.clone();
        config.dead_letters.topic = topics.dead_letters.clone();
        // A lost worker's partitions move soon.
        for (name, value) in [("session.timeout.ms", 3000), ("heartbeat.interval.ms", 300)] {
            let value = nunchi::config::Value::Literal(toml::Value::Integer(value));
            config.kafka.consumer.insert(name.to_owned(), value);
        }
        config
    }
}

fn read(message: &rdkafka::message::BorrowedMessage<'_>) -> Read {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
    });
    Read {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        timestamp: message.timestamp().to_millis(),
        headers,
    }
}

/// Waits until `done` says so.
pub fn wait_for(what: &str, done: impl FnMut() -> bool) {
    wait_up_to(PATIENCE, what, done);
}

/// Waits for what follows the next attempt of a halted partition, which is due after up to five minutes.
pub fn wait_for_retry(what: &str, done: impl FnMut() -> bool) {
    wait_up_to(Duration::from_secs(300) + PATIENCE, what, done);
}

fn wait_up_to(limit: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A classifier without a network: the score follows from the text alone.
#[derive(Clone)]
pub struct Fake {
    pub labels: Vec<String>,
    /// Called with the number of comments, before they are classified.
    pub before: Arc<dyn Fn(usize) + Send + Sync>,
    /// A comment with this text has no score.
    pub poison: Option<&'static str>,
}

impl Default for Fake {
    fn default() -> Self {
        Fake {
            labels: ["negative", "positive"].map(String::from).to_vec(),
            before: Arc::new(|_| {}),
            poison: None,
        }
    }
}

/// The fake classifier's version.
pub const FAKE_VERSION: &str = "fake00000000";

/// The fake classifier's score of `text`.
pub fn fake_score(text: &str) -> f32 {
    let hash =
        text.bytes().fold(2_166_136_261u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    (hash >> 8) as f32 / (1u32 << 24) as f32
}

impl Classifier for Fake {
    fn classify(&mut self, comments: &[&str], out: &mut Vec<Prediction>) -> Result<(), EngineError> {
        (self.before)(comments.len());
        if let Some(index) = comments.iter().position(|text| Some(*text) == self.poison) {
            return Err(EngineError::NotANumber { version: FAKE_VERSION.to_owned(), index });
        }
        out.clear();
        out.extend(comments.iter().map(|text| Prediction {
            tokens: 1,
            // So that a test can ask for a comment that was cut.
            truncated: text.starts_with("long"),
            // Or that is unsure.
            unsure: match *text {
                "unsure: foreign" => Some(Unsure::Language),
                text if text.starts_with("unsure") => Some(Unsure::Band),
                _ => None,
            },
            ..Prediction::of_two(fake_score(text))
        }));
        Ok(())
    }

    fn version(&self) -> &str {
        FAKE_VERSION
    }

    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn last_times(&self) -> Times {
        Times::default()
    }
}

/// A pipeline on threads of this process.
pub struct Running {
    pub stop: Stop,
    pub metrics: Metrics,
    pub health: Arc<Health>,
    thread: JoinHandle<Result<Summary, PipelineError>>,
}

impl Running {
    pub fn start(config: &Config, classifier: Fake) -> Self {
        Running::of(Pipeline::resolve(config.clone()).expect("the settings are right"), classifier)
    }

    pub fn of(pipeline: Pipeline, classifier: Fake) -> Self {
        pipeline.health.set_model_loaded();
        let Pipeline { stop, metrics, health, .. } = pipeline.clone();
        let thread = std::thread::spawn(move || pipeline.run(|| classifier.clone()));
        Running { stop, metrics, health, thread }
    }

    /// Waits until every worker is a member of the group.
    pub fn ready(self) -> Self {
        wait_for("readiness", || self.health.not_ready().is_empty());
        self
    }

    /// Verdicts, tombstones and dead letters so far.
    pub fn answered(&self) -> u64 {
        let metrics = self.metrics.registry.gather();
        let of = |name: &str| -> f64 {
            let family = metrics.iter().find(|family| family.name() == name);
            family.map_or(0.0, |family| family.get_metric().iter().map(|m| m.get_counter().get_value()).sum())
        };
        (of("nunchi_records_in_total")) as u64
    }

    /// Whether the pipeline has ended by itself.
    pub fn ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Asks for a stop and waits for the end.
    pub fn stop(self) -> Result<Summary, PipelineError> {
        self.stop.request();
        self.end()
    }

    /// Waits for the end.
    pub fn end(self) -> Result<Summary, PipelineError> {
        wait_for("the end of the pipeline", || self.thread.is_finished());
        self.thread.join().expect("no panic")
    }
}

/// A comment's JSON.
pub fn comment(id: usize, text: &str) -> Vec<u8> {
    serde_json::json!({ "id": id, "text": text }).to_string().into_bytes()
}

/// Checks that every one of `written` (partition by partition, in order) was answered exactly once, in order, with
/// nothing in between; `answers` are records of the output topic.
pub fn assert_answered_once(written: &BTreeMap<i32, Vec<usize>>, answers: &[Read]) {
    let mut got: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for answer in answers {
        let (partition, _) = answer.source();
        assert_eq!(partition, answer.partition, "answers stay in their partition");
        got.entry(partition).or_default().push(answer.json()["id"].as_u64().expect("an id") as usize);
    }
    for (partition, ids) in written {
        let got = got.get(partition).map_or(&[][..], Vec::as_slice);
        assert_eq!(got.len(), ids.len(), "partition {partition}: answers and records");
        let wrong = ids.iter().zip(got).position(|(want, got)| want != got);
        assert_eq!(wrong, None, "partition {partition}: the answers are in the order of the records");
    }
}
