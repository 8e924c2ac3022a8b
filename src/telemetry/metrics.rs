//! The metrics of `run`, each described in `docs/METRICS.md`. Names are an API.

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts,
    Registry,
};

/// Every metric of the process. Cheap to share; label look-ups hash and lock, so keep the children.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Where all of them are registered.
    pub registry: Registry,
    /// `nunchi_records_in_total{topic,partition}`
    pub records_in: IntCounterVec,
    /// `nunchi_records_out_total{label,model}`
    pub records_out: IntCounterVec,
    /// `nunchi_dead_letters_total{class}`
    pub dead_letters: IntCounterVec,
    /// `nunchi_bytes_in_total`
    pub bytes_in: IntCounter,
    /// `nunchi_bytes_out_total`
    pub bytes_out: IntCounter,
    /// `nunchi_tokens_total`
    pub tokens: IntCounter,
    /// `nunchi_unknown_tokens_total`
    pub unknown_tokens: IntCounter,
    /// `nunchi_batch_records`
    pub batch_records: Histogram,
    /// `nunchi_stage_seconds{stage}`: poll, decode, tokenise, infer, produce, commit
    pub stage_seconds: HistogramVec,
    /// `nunchi_turn_seconds`
    pub turn_seconds: Histogram,
    /// `nunchi_end_to_end_seconds`: from a record's timestamp to its verdict's commit
    pub end_to_end_seconds: Histogram,
    /// `nunchi_lag_records{topic,partition}`
    pub lag_records: IntGaugeVec,
    /// `nunchi_rebalances_total`
    pub rebalances: IntCounter,
    /// `nunchi_transactions_total{result}`: committed, aborted
    pub transactions: IntCounterVec,
    /// `nunchi_score`
    pub score: Histogram,
    /// `nunchi_model_info{model,precision}`
    pub model_info: GaugeVec,
    /// `nunchi_build_info{version,kernel}`
    pub build_info: GaugeVec,
    /// `nunchi_model_swaps_total{result}`
    pub model_swaps: IntCounterVec,
    /// `nunchi_model_loaded_timestamp_seconds`
    pub model_loaded: Gauge,
}

impl Metrics {
    /// Registers every metric in a registry of its own.
    ///
    /// # Panics
    /// Never: the names below are valid and different (a test builds them all).
    pub fn new() -> Self {
        let registry = Registry::new();
        macro_rules! register {
            ($metric:expr) => {{
                let metric = $metric.expect("the options are valid");
                registry.register(Box::new(metric.clone())).expect("the names are different");
                metric
            }};
        }
        let seconds = prometheus::exponential_buckets(0.000_1, 2.0, 18).expect("a positive start");
        let labelled =
            |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))
        };
        Metrics {
            records_in: register!(labelled(
                "nunchi_records_in_total",
                "Records read.",
                &["topic", "partition"]
            )),
            records_out: register!(labelled(
                "nunchi_records_out_total",
                "Verdicts committed.",
                &["label", "model"]
            )),
            dead_letters: register!(labelled(
                "nunchi_dead_letters_total",
                "Dead letters committed.",
                &["class"]
            )),
            bytes_in: register!(IntCounter::new("nunchi_bytes_in_total", "Bytes of values read.")),
            bytes_out: register!(IntCounter::new("nunchi_bytes_out_total", "Bytes of values written.")),
            tokens: register!(IntCounter::new("nunchi_tokens_total", "Tokens judged.")),
            unknown_tokens: register!(IntCounter::new(
                "nunchi_unknown_tokens_total",
                "Unknown tokens among them."
            )),
            batch_records: register!(histogram(
                "nunchi_batch_records",
                "Records of a turn.",
                prometheus::exponential_buckets(1.0, 2.0, 16).expect("a positive start")
            )),
            stage_seconds: register!(HistogramVec::new(
                HistogramOpts::new("nunchi_stage_seconds", "Time of a turn's stage.")
                    .buckets(seconds.clone()),
                &["stage"]
            )),
            turn_seconds: register!(histogram(
                "nunchi_turn_seconds",
                "Time of a turn with records.",
                seconds.clone()
            )),
            end_to_end_seconds: register!(histogram(
                "nunchi_end_to_end_seconds",
                "From a record's timestamp to the commit of its verdict.",
                prometheus::exponential_buckets(0.001, 2.0, 20).expect("a positive start")
            )),
            lag_records: register!(IntGaugeVec::new(
                Opts::new("nunchi_lag_records", "Records between the position and the last stable offset."),
                &["topic", "partition"]
            )),
            rebalances: register!(IntCounter::new(
                "nunchi_rebalances_total",
                "Rebalances that changed the assignment."
            )),
            transactions: register!(labelled(
                "nunchi_transactions_total",
                "Transactions by result.",
                &["result"]
            )),
            score: register!(histogram(
                "nunchi_score",
                "Scores of verdicts.",
                prometheus::linear_buckets(0.05, 0.05, 20).expect("a positive width")
            )),
            model_info: register!(GaugeVec::new(
                Opts::new("nunchi_model_info", "1 for the model that serves."),
                &["model", "precision"]
            )),
            build_info: register!(GaugeVec::new(
                Opts::new("nunchi_build_info", "1, with the version and the kernel in use."),
                &["version", "kernel"]
            )),
            model_swaps: register!(labelled(
                "nunchi_model_swaps_total",
                "Changes of the model by result.",
                &["result"]
            )),
            model_loaded: register!(Gauge::new(
                "nunchi_model_loaded_timestamp_seconds",
                "When the serving model was loaded, in Unix time."
            )),
            registry,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
