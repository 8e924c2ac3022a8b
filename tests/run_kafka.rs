//! `nunchi run` against a real Kafka: soon ready, classifying, with correct metrics.

#![allow(clippy::unwrap_used)] // Outside of `#[test]` functions too a failure fails the test.

mod admin;
mod binary;
mod common;

use admin::request;
use binary::{Run, ends, model_file, nunchi};
use common::{Write, comment, kafka, wait_for};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The sum of all series of `metric` whose labels hold `label`.
fn sum(metrics: &str, metric: &str, label: &str) -> f64 {
    metrics
        .lines()
        .filter_map(|line| line.strip_prefix(metric))
        .filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
        .map(|rest| rest.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

#[test]
fn it_classifies_and_its_metrics_add_up() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("run-metrics", 3);
    let comments = (0..300).map(|id| Write::value(comment(id, "배송이 빨라서 좋아요")));
    let broken = ["{", "{}", "{\"text\": 5}"].map(|text| Write::value(text.as_bytes()));
    let tombstone = Write { key: Some(b"k".to_vec()), ..Write::default() };
    kafka.write(&topics.input, comments.chain(broken).chain([tombstone]));

    let folder = TempDir::new().unwrap();
    let model = model_file(folder.path());
    let arguments = [
        "--brokers",
        &kafka.bootstrap,
        "--input",
        &topics.input,
        "--output",
        &topics.output,
        "--dead-letters",
        &topics.dead_letters,
        "--group",
        &topics.group,
        "--workers",
        "2",
        "--model",
        &model,
    ];
    let start = Instant::now();
    let run = Run::start(nunchi(&arguments));
    let get = |path: &str| request("GET", &format!("{}{path}", run.url), "");
    wait_for("readiness", || get("/readyz").status == 200);
    eprintln!("ready {:?} after its start", start.elapsed());
    wait_for("304 records", || sum(&get("/metrics").text, "nunchi_records_in_total", &topics.input) >= 304.0);

    let metrics = get("/metrics").text;
    let is = |metric: &str, label: &str, value: f64| {
        assert_eq!(sum(&metrics, metric, label), value, "{metric} {label} in {metrics}");
    };
    is("nunchi_records_in_total", "", 304.0);
    is("nunchi_records_out_total", "", 300.0);
    is("nunchi_dead_letters_total", "", 3.0);
    is("nunchi_dead_letters_total", "missing_text", 1.0);
    is("nunchi_tombstones_total", "", 1.0);
    is("nunchi_score_count", "", 300.0);
    is("nunchi_unknown_tokens_total", "", 0.0);
    is("nunchi_workers", "", 2.0);
    is("nunchi_ready", "", 1.0);
    assert!(sum(&metrics, "nunchi_tokens_total", "") >= 300.0, "{metrics}");
    assert!(sum(&metrics, "nunchi_transactions_total", "committed") >= 1.0, "{metrics}");
    assert!(sum(&metrics, "nunchi_end_to_end_seconds_count", "") >= 300.0, "{metrics}");
    // While workers join, a partition may be between two of them.
    wait_for("all partitions", || sum(&get("/metrics").text, "nunchi_assigned_partitions", "") == 3.0);
    wait_for("a lag of each partition", || get("/metrics").text.matches("nunchi_lag_records{").count() == 3);

    let answers = kafka.read(&topics.output);
    let version = get("/v1/model").json()["version"].as_str().unwrap().to_owned();
    let verdicts =
        answers.iter().filter(|answer| answer.header("nunchi-model") == Some(version.as_str())).count();
    assert_eq!((answers.len(), verdicts), (301, 300));
    run.signal("TERM");
    let (status, log) = run.end();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("stopped cleanly"), "{log}");
}

#[test]
fn a_second_process_takes_over_partitions_and_their_lag() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("run-lag", 2);
    let folder = TempDir::new().unwrap();
    let model = model_file(folder.path());
    let arguments = [
        "--brokers",
        &kafka.bootstrap,
        "--input",
        &topics.input,
        "--output",
        &topics.output,
        "--dead-letters",
        &topics.dead_letters,
        "--group",
        &topics.group,
        "--model",
        &model,
    ];
    let lags = |run: &Run| {
        request("GET", &format!("{}/metrics", run.url), "").text.matches("nunchi_lag_records{").count()
    };
    let first = Run::start(nunchi(&arguments));
    wait_for("two partitions", || lags(&first) == 2);
    let second = Run::start(nunchi(&arguments));
    wait_for("one partition each", || lags(&first) == 1 && lags(&second) == 1);
    second.signal("TERM");
    let (status, log) = second.end();
    assert_eq!(status, Some(0), "{log}");
    wait_for("both partitions again", || lags(&first) == 2);
}

#[test]
fn a_missing_topic_ends_it_with_a_message() {
    let Some(kafka) = kafka() else { return };
    let folder = TempDir::new().unwrap();
    let model = model_file(folder.path());
    let start = Instant::now();
    let (status, said) = ends(&[
        "--brokers",
        &kafka.bootstrap,
        "--input",
        "there-is-no-such-topic",
        "--model",
        &model,
        "--http",
        "127.0.0.1:0",
    ]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("the topic `there-is-no-such-topic`"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(60));
}
