//! `nunchi generate` publishes the sample comments: as many as asked for, keyed by product, at the rate that was asked
//! for; and says clearly why it cannot. The broker is librdkafka's mock cluster: no transaction plays a part. With
//! `--contrast` it writes sentences to train on.

#![allow(clippy::unwrap_used)]

use nunchi::samples::{Comment, comments};
use nunchi_data::Columns;
use nunchi_data::Target;
use nunchi_train::contrast;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::HashSet;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn generate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
    command.arg("generate").args(arguments).stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> Output {
    generate(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Key and comment of the first `count` records of `topic`'s three partitions.
fn read(brokers: &str, topic: &str, count: usize) -> Vec<(String, Comment)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "test")
        .set("fetch.wait.max.ms", "10")
        .create()
        .unwrap();
    let mut partitions = TopicPartitionList::new();
    for partition in 0..3 {
        partitions.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&partitions).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut records = Vec::new();
    while records.len() < count && Instant::now() < deadline {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.unwrap();
            let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
            records.push((key, serde_json::from_slice(message.payload().unwrap()).unwrap()));
        }
    }
    records
}

#[test]
fn publishes_the_samples_keyed_by_product_under_ids_of_their_own() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("comments", 3, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let output = output(&["--brokers", &brokers, "--rate", "5000", "--records", "900"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("900 records published"), "{}", stderr(&output));

    let records = read(&brokers, "comments", 900);
    assert_eq!(records.len(), 900);
    let ids: HashSet<_> = records.iter().map(|(_, comment)| &comment.id).collect();
    assert_eq!(ids.len(), 900);
    let texts: HashSet<_> = records.iter().map(|(_, comment)| comment.text.clone()).collect();
    assert_eq!(texts, comments().into_iter().map(|comment| comment.text).collect());
    assert!(records.iter().all(|(key, comment)| *key == comment.product_id));
}

#[test]
fn keeps_to_its_rate_and_time() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("elsewhere", 3, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let output = output(&["--brokers", &brokers, "--topic", "elsewhere", "--rate", "200", "--seconds", "2"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    let published: u64 = said
        .lines()
        .find_map(|line| line.split_once(" records published"))
        .and_then(|(count, _)| count.parse().ok())
        .unwrap_or_else(|| panic!("{said}"));
    // Never more than are due; fewer only on a machine that stalls.
    assert!((1..=401).contains(&published), "{published}");
}

#[test]
fn an_interrupt_ends_it_well() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("comments", 3, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let child = generate(&["--brokers", &brokers, "--rate", "1000"]).stderr(Stdio::piped()).spawn().unwrap();
    assert!(!read(&brokers, "comments", 20).is_empty());
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("records published"), "{}", stderr(&output));
}

#[test]
fn says_when_no_broker_answers() {
    let output = output(&["--brokers", "127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no broker answers at 127.0.0.1:1"), "{}", stderr(&output));
}

#[test]
fn writes_sentences_to_train_on_without_a_broker() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("contrast.tsv");
    let write = |more: &[&str]| {
        let mut arguments = vec!["--contrast", "500", "--seed", "3"];
        arguments.extend(more);
        let output = output(&arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(write(&["--out", file.to_str().unwrap()]), "");
    assert_eq!(write(&[]), std::fs::read_to_string(&file).unwrap());
    let labels = ["negative", "positive"].map(str::to_owned).to_vec();
    let columns = Columns {
        text: "text".to_owned(),
        target: Target::Label { column: "label".to_owned(), labels },
        skip_bad_rows: false,
        encoding: None,
        remarks: None,
    };
    let mut read = Vec::new();
    nunchi_data::read(&file, &columns, |example| read.push((example.text.to_owned(), example.class == 1)))
        .unwrap();
    assert_eq!(read, contrast::sentences(3, 500).collect::<Vec<_>>());
}

#[test]
fn wrong_usage_is_64() {
    for arguments in [
        &["--rate", "0"][..],
        &["--rate", "fast"],
        &["--broken", "2"],
        &["--set", "kafka.nonsense=1"],
        &["--set", "kafka.properties.acks=0"],
        &["--contrast", "5", "--topic", "comments"],
        &["--out", "contrast.tsv"],
    ] {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", stderr(&output));
    }
}
