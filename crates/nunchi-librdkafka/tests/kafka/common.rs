//! A real Kafka, and topics in it.

#[path = "../../../../tests/needs/mod.rs"]
pub mod needs;

use nunchi_librdkafka::{DescribeOptions, TopicDescription, describe_topics};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// How long anything may take before a test fails; ample, for slow machines.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// Options of the requests.
pub const OPTIONS: DescribeOptions = DescribeOptions { timeout: TIMEOUT, authorized_operations: true };

pub struct Kafka {
    bootstrap: String,
}

/// The Kafka of `KAFKA_BOOTSTRAP`; `None`, said aloud, where there is none and none is required.
pub fn kafka() -> Option<Kafka> {
    let bootstrap = std::env::var("KAFKA_BOOTSTRAP").ok().filter(|bootstrap| !bootstrap.is_empty());
    if bootstrap.is_none() {
        needs::lacking("kafka", "KAFKA_BOOTSTRAP is not set; run scripts/kafka/with-kafka cargo test");
    }
    Some(Kafka { bootstrap: bootstrap? })
}

/// A name that no other run uses.
pub fn unique(test: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{test}-{}-{}", std::process::id(), now.as_nanos())
}

impl Kafka {
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    /// A client for questions.
    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    /// Makes a topic of two partitions and waits until it can be described.
    pub fn create(&self, topic: &str) -> TopicDescription {
        let admin = self.admin();
        let new = NewTopic::new(topic, 2, TopicReplication::Fixed(1));
        let made = block_on(admin.create_topics([&new], &AdminOptions::new())).unwrap();
        made[0].as_ref().unwrap_or_else(|error| panic!("{topic}: {error:?}"));
        let mut described = None;
        wait_for("the topic", || {
            let answer = describe_topics(admin.inner(), &[topic], &OPTIONS).unwrap().remove(0);
            described = answer.ok().filter(|topic| topic.partitions.iter().all(|part| part.leader.is_some()));
            described.is_some()
        });
        described.unwrap()
    }

    /// Deletes a topic and waits until no broker has it.
    pub fn delete(&self, topic: &str) {
        let admin = self.admin();
        block_on(admin.delete_topics(&[topic], &AdminOptions::new())).unwrap()[0].as_ref().unwrap();
        wait_for("the topic to go", || {
            describe_topics(admin.inner(), &[topic], &OPTIONS).unwrap()[0].is_err()
        });
    }

    /// A consumer at the beginning of partition 0 of `topic`.
    pub fn consumer(&self, group: &str, topic: &str) -> BaseConsumer {
        let mut client = self.client();
        let client = client.set("group.id", group).set("enable.auto.commit", "false");
        let consumer: BaseConsumer = client.set("auto.offset.reset", "earliest").create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        consumer
    }
}

pub fn next(consumer: &BaseConsumer) -> BorrowedMessage<'_> {
    consumer.poll(TIMEOUT).expect("a record").unwrap()
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Waits until `done` says so.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
