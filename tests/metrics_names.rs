//! The names, labels and types of metrics are an API: dashboards and alerts rest on them. Whoever changes this list
//! changes `docs/METRICS.md` too.

use nunchi::telemetry::{BatchStats, Metrics, WorkerMetrics};
use prometheus::proto::MetricType;
use std::collections::BTreeSet;
use std::path::Path;

const NAMES: &[&str] = &[
    "nunchi_assigned_partitions gauge {}",
    "nunchi_batch_records histogram {}",
    "nunchi_build_info gauge {kernel,version}",
    "nunchi_bytes_in_total counter {}",
    "nunchi_bytes_out_total counter {}",
    "nunchi_client_errors_total counter {}",
    "nunchi_compared_agreed_total counter {model,role}",
    "nunchi_compared_comments_total counter {model,role}",
    "nunchi_compared_score_shift gauge {model,role}",
    "nunchi_compared_seconds_total counter {model,role}",
    "nunchi_dead_letters_total counter {class}",
    "nunchi_dead_letters_withheld_total counter {class}",
    "nunchi_end_to_end_seconds histogram {}",
    "nunchi_http_classify_seconds histogram {}",
    "nunchi_http_requests_total counter {code,path}",
    "nunchi_lag_records gauge {partition,topic}",
    "nunchi_log_lines_lost_total counter {}",
    "nunchi_lag_uncommitted_records gauge {partition,topic}",
    "nunchi_model_info gauge {model,precision}",
    "nunchi_model_loaded_timestamp_seconds gauge {}",
    "nunchi_model_swaps_total counter {result}",
    "nunchi_partition_halted gauge {partition,reason,topic}",
    "nunchi_position_age_seconds gauge {partition,topic}",
    "nunchi_producer_rebuilds_total counter {reason}",
    "nunchi_ready gauge {}",
    "nunchi_rebalances_total counter {}",
    "nunchi_records_in_total counter {partition,topic}",
    "nunchi_records_lost_total counter {partition,reason,topic}",
    "nunchi_records_out_total counter {label,model}",
    "nunchi_registry_asked_timestamp_seconds gauge {}",
    "nunchi_registry_stale gauge {}",
    "nunchi_score histogram {}",
    "nunchi_stage_seconds histogram {stage}",
    "nunchi_tokens_total counter {}",
    "nunchi_tombstones_total counter {}",
    "nunchi_transactions_total counter {result}",
    "nunchi_truncated_total counter {}",
    "nunchi_batch_seconds histogram {}",
    "nunchi_review_left_out_total counter {reason}",
    "nunchi_review_records_total counter {reason}",
    "nunchi_unsure_total counter {reason}",
    "nunchi_unknown_tokens_total counter {}",
    "nunchi_workers gauge {}",
];

/// Standard names, given by the client library.
#[cfg(target_os = "linux")]
const PROCESS: &[&str] = &[
    "process_cpu_seconds_total counter {}",
    "process_max_fds gauge {}",
    "process_open_fds gauge {}",
    "process_resident_memory_bytes gauge {}",
    "process_start_time_seconds gauge {}",
    "process_threads gauge {}",
    "process_virtual_memory_bytes gauge {}",
];
#[cfg(not(target_os = "linux"))]
const PROCESS: &[&str] = &[];

fn exported() -> BTreeSet<String> {
    let metrics = Metrics::new();
    // Series with labels that only work gives.
    let worker =
        WorkerMetrics::new(&metrics, "comments", &["negative".to_owned(), "positive".to_owned()], "abc");
    worker.set_lag(0, 1);
    worker.set_uncommitted_lag(0, 1);
    worker.set_position_age(0, 1);
    worker.lost(0, "corrupt", 1);
    worker.set_halted(0, "poison", true);
    worker.lost(0, "deleted", 1);
    worker.commit(&BatchStats { records_in: [(0, 1)].into(), ..BatchStats::default() }, true);
    metrics.set_model("abc", "f32", "avx2");
    metrics.http_requests.with_label_values(&["/metrics", "200"]).inc();
    let compared = ["candidate", "abc"];
    metrics.compared_comments.with_label_values(&compared).inc();
    metrics.compared_agreed.with_label_values(&compared).inc();
    metrics.compared_seconds.with_label_values(&compared).inc();
    metrics.compared_shift.with_label_values(&compared).set(0.1);
    let describe = |family: &prometheus::proto::MetricFamily| {
        let kind = match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            other => panic!("{other:?}"),
        };
        let labels: BTreeSet<String> = family
            .get_metric()
            .iter()
            .flat_map(|metric| metric.get_label().iter().map(|label| label.name().to_owned()))
            .collect();
        let labels: Vec<String> = labels.into_iter().collect();
        format!("{} {kind} {{{}}}", family.name(), labels.join(","))
    };
    metrics.registry.gather().iter().map(describe).collect()
}

#[test]
fn names_labels_and_types_stay() {
    let expected: BTreeSet<String> = NAMES.iter().chain(PROCESS).map(|name| (*name).to_owned()).collect();
    assert_eq!(exported(), expected);
}

#[test]
fn every_metric_is_described() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/METRICS.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    for metric in NAMES.iter().chain(PROCESS) {
        let name = metric.split(' ').next().unwrap();
        assert!(
            docs.contains(&format!("`{name}`")) || docs.contains(&format!("`{name}{{")),
            "{name} is not described"
        );
    }
    for word in docs.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        let exported = |suffix: &str| {
            word.strip_suffix(suffix)
                .is_some_and(|name| NAMES.iter().any(|metric| metric.split(' ').next() == Some(name)))
        };
        let known = ["", "_bucket", "_sum", "_count"].into_iter().any(exported);
        assert!(!word.starts_with("nunchi_") || known, "docs/METRICS.md names {word}, which is not exported");
    }
}
