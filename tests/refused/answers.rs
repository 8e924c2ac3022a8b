//! Whatever a broker answers to a write, it is not tried without end. The brokers here are librdkafka's own, which answer what a
//! test wants: a real one gives few of these answers on demand.

use crate::common::{Fake, Kafka, Running, Topics, wait_for};
use crate::keyed;
use nunchi::config::{Config, Delivery, Value};
use nunchi::kafka::ClientError;
use nunchi::pipeline::{Pipeline, PipelineError};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Code};

const RECORDS: usize = 20;

/// A broker with comments in one partition that answers the next `times` writes with `code`, and settings for a run.
fn broker(code: Code, times: usize) -> (MockCluster<'static, DefaultProducerContext>, Config) {
    let broker = MockCluster::new(1).unwrap();
    let topics = Topics {
        input: "comments".to_owned(),
        output: "verdicts".to_owned(),
        dead_letters: "dead".to_owned(),
        group: "answers".to_owned(),
    };
    for topic in [&topics.input, &topics.output, &topics.dead_letters] {
        broker.create_topic(topic, 1, 1).unwrap();
    }
    let kafka = Kafka { bootstrap: broker.bootstrap_servers() };
    kafka.write(&topics.input, (0..RECORDS).map(|id| keyed(0, id)));
    broker.request_errors(RDKafkaApiKey::Produce, &vec![code; times]);
    let mut config = kafka.config(&topics);
    // As the demo, on the same brokers.
    config.kafka.delivery = Delivery::AtLeastOnce;
    config.kafka.consumer.clear();
    config.kafka.consumer.insert("group.protocol".into(), Value::Literal("consumer".into()));
    config.worker.workers = 1;
    (broker, config)
}

fn start(config: Config) -> Running {
    let pipeline = Pipeline { ask_limits: false, ..Pipeline::resolve(config).unwrap() };
    Running::of(pipeline, Fake::default())
}

#[test]
fn no_answer_is_tried_without_end() {
    use Code::{
        RD_KAFKA_RESP_ERR_INVALID_CONFIG, RD_KAFKA_RESP_ERR_INVALID_RECORD,
        RD_KAFKA_RESP_ERR_INVALID_REQUEST, RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
        RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
        RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_UNKNOWN, RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE,
        RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
    };
    let halts = [
        RD_KAFKA_RESP_ERR_UNKNOWN,
        RD_KAFKA_RESP_ERR_INVALID_CONFIG,
        RD_KAFKA_RESP_ERR_INVALID_REQUEST,
        RD_KAFKA_RESP_ERR_INVALID_RECORD,
        RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
        RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
        RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
    ];
    let ends = [
        RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE,
        RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    ];
    for code in halts.into_iter().chain(ends) {
        // Each topic refuses: no dead letter helps.
        let (_broker, config) = broker(code, 10_000);
        let error = start(config).end().expect_err("nothing can be written");
        let message = error.to_string();
        let fits = match error {
            PipelineError::AllHalted { .. } => halts.contains(&code) && message.contains("refused: "),
            PipelineError::Kafka(ClientError::Configuration(_)) => message.contains("`verdicts`"),
            PipelineError::Kafka(ClientError::Authorization { .. }) => code == ends[2],
            _ => false,
        };
        assert!(fits, "{code:?}: {message}");
    }
}

#[test]
fn an_answer_that_explains_nothing_is_tried_again_first() {
    let (_broker, config) = broker(Code::RD_KAFKA_RESP_ERR_UNKNOWN, 9);
    let running = start(config);
    wait_for("the answers", || running.answered() == RECORDS as u64);
    assert!(running.health.halted().is_empty());
    let dead_letters = running.metrics.dead_letters.with_label_values(&["refused"]);
    assert_eq!(dead_letters.get(), 0, "nothing is known against any record");
    running.stop().unwrap();
}

/// Errors of replicas pass by themselves, so these are retried for as long as they last: the worker does not move, and says so.
#[test]
fn a_worker_whose_writes_never_succeed_fails_the_probe_with_the_reason() {
    let (broker, mut config) = broker(Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 100_000);
    config.worker.stall_seconds = 10;
    let running = start(config);
    let age = || running.metrics.position_age.with_label_values(&["comments", "0"]).get();
    wait_for("the age of a position", || age() > 0);
    wait_for("the probe", || !running.health.not_live().is_empty());
    let reason = running.health.not_live().join("");
    assert!(reason.starts_with("worker 0 has not moved for "), "{reason}");
    assert!(running.health.halted().is_empty(), "nothing is wrong with the records");

    broker.clear_request_errors(RDKafkaApiKey::Produce);
    wait_for("the answers", || running.answered() == RECORDS as u64);
    wait_for("the probe", || running.health.not_live().is_empty());
    wait_for("the age", || age() == 0);
    running.stop().unwrap();
}
