//! The metrics of `run`, each described in `docs/METRICS.md`. Names are an API: `tests/metrics_names.rs` holds them.

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

/// Error classes of dead letters, in the order of [`super::BatchStats::dead_letters`].
pub const ERROR_CLASSES: [&str; 7] =
    ["invalid_utf8", "invalid_json", "missing_text", "text_not_string", "oversize", "refused", "corrupt"];

/// Every metric of the process. Cheap to share; label look-ups hash and lock, so workers keep their children in
/// [`super::WorkerMetrics`].
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Where all of them are registered.
    pub registry: Registry,
    /// `nunchi_records_in_total{topic,partition}`
    pub records_in: IntCounterVec,
    /// `nunchi_records_out_total{label,model}`
    pub records_out: IntCounterVec,
    /// `nunchi_unsure_total{reason}`: band, no_opinion, language
    pub unsure: IntCounterVec,
    /// `nunchi_review_records_total{reason}`: unsure, sample
    pub review: IntCounterVec,
    /// `nunchi_review_left_out_total{reason}`: oversize, refused
    pub review_left_out: IntCounterVec,
    /// `nunchi_dead_letters_total{class}`
    pub dead_letters: IntCounterVec,
    /// `nunchi_dead_letters_withheld_total{class}`
    pub dead_letters_withheld: IntCounterVec,
    /// `nunchi_tombstones_total`
    pub tombstones: IntCounter,
    /// `nunchi_truncated_total`
    pub truncated: IntCounter,
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
    /// `nunchi_batch_seconds`
    pub batch_seconds: Histogram,
    /// `nunchi_end_to_end_seconds`: from a record's timestamp to its verdict's commit
    pub end_to_end_seconds: Histogram,
    /// `nunchi_lag_records{topic,partition}`
    pub lag_records: IntGaugeVec,
    /// `nunchi_lag_uncommitted_records{topic,partition}`
    pub lag_uncommitted_records: IntGaugeVec,
    /// `nunchi_position_age_seconds{topic,partition}`
    pub position_age: IntGaugeVec,
    /// `nunchi_partition_halted{topic,partition,reason}`: poison, beyond_end, corrupt, refused
    pub partition_halted: IntGaugeVec,
    /// `nunchi_records_lost_total{topic,partition,reason}`: deleted, truncated, recreated, corrupt
    pub records_lost: IntCounterVec,
    /// `nunchi_assigned_partitions`
    pub assigned_partitions: IntGauge,
    /// `nunchi_rebalances_total`
    pub rebalances: IntCounter,
    /// `nunchi_transactions_total{result}`: committed, aborted
    pub transactions: IntCounterVec,
    /// `nunchi_producer_rebuilds_total{reason}`
    pub producer_rebuilds: IntCounterVec,
    /// `nunchi_client_errors_total`
    pub client_errors: IntCounter,
    /// `nunchi_workers`
    pub workers: IntGauge,
    /// `nunchi_ready`
    pub ready: IntGauge,
    /// `nunchi_score`
    pub score: Histogram,
    /// `nunchi_model_info{model,precision}`
    pub model_info: GaugeVec,
    /// `nunchi_build_info{version,kernel}`
    pub build_info: GaugeVec,
    /// `nunchi_model_swaps_total{result}`: succeeded, refused, rolled_back
    pub model_swaps: IntCounterVec,
    /// `nunchi_model_loaded_timestamp_seconds`
    pub model_loaded: Gauge,
    /// `nunchi_compared_comments_total{role,model}`: previous, candidate
    pub compared_comments: IntCounterVec,
    /// `nunchi_compared_agreed_total{role,model}`
    pub compared_agreed: IntCounterVec,
    /// `nunchi_compared_seconds_total{role,model}`
    pub compared_seconds: CounterVec,
    /// `nunchi_compared_score_shift{role,model}`
    pub compared_shift: GaugeVec,
    /// `nunchi_registry_stale`
    pub registry_stale: IntGauge,
    /// `nunchi_registry_asked_timestamp_seconds`
    pub registry_asked: Gauge,
    /// `nunchi_http_requests_total{path,code}`
    pub http_requests: IntCounterVec,
    /// `nunchi_http_classify_seconds`
    pub http_classify_seconds: Histogram,
    /// `nunchi_log_lines_lost_total`
    pub log_lines_lost: IntCounter,
}

impl Metrics {
    /// Registers every metric in a registry of its own, and the process's own metrics (CPU, memory, descriptors).
    ///
    /// # Panics
    /// Never: the names and options are constants, and a test builds them all.
    pub fn new() -> Self {
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        add(&registry, prometheus::process_collector::ProcessCollector::for_self());
        let make = Maker(&registry);
        let metrics = Metrics {
            records_in: make.counters(
                "nunchi_records_in_total",
                "Records read and processed.",
                &["topic", "partition"],
            ),
            records_out: make.counters(
                "nunchi_records_out_total",
                "Verdicts committed.",
                &["label", "model"],
            ),
            dead_letters: make.counters("nunchi_dead_letters_total", "Dead letters committed.", &["class"]),
            dead_letters_withheld: make.counters(
                "nunchi_dead_letters_withheld_total",
                "Dead letters of batches that were aborted because their partition is halted.",
                &["class"],
            ),
            unsure: make.counters(
                "nunchi_unsure_total",
                "Verdicts that are unsure, by the reason.",
                &["reason"],
            ),
            review: make.counters(
                "nunchi_review_records_total",
                "Comments written to the review topic: those with an unsure verdict, and the sample of the others.",
                &["reason"],
            ),
            review_left_out: make.counters(
                "nunchi_review_left_out_total",
                "Comments that are not in the review topic because they are too large or refused.",
                &["reason"],
            ),
            tombstones: make
                .counter("nunchi_tombstones_total", "Records without a value, written as tombstones."),
            truncated: make
                .counter("nunchi_truncated_total", "Comments truncated to the model's maximum length."),
            bytes_in: make.counter("nunchi_bytes_in_total", "Bytes of values read."),
            bytes_out: make.counter("nunchi_bytes_out_total", "Bytes of values written."),
            tokens: make.counter("nunchi_tokens_total", "Tokens classified."),
            unknown_tokens: make.counter("nunchi_unknown_tokens_total", "Unknown tokens among them."),
            batch_records: make.histogram(
                "nunchi_batch_records",
                "Records of a batch.",
                powers(1.0, 2.0, 18),
            ),
            stage_seconds: make.stages(),
            batch_seconds: make.histogram(
                "nunchi_batch_seconds",
                "Time of a batch with records, from its first poll to its commit.",
                powers(0.000_1, 2.0, 18),
            ),
            end_to_end_seconds: make.histogram(
                "nunchi_end_to_end_seconds",
                "From a record's timestamp to its verdict's commit.",
                powers(0.001, 2.0, 22),
            ),
            lag_records: make.gauges("nunchi_lag_records", "Records not read yet.", &["topic", "partition"]),
            lag_uncommitted_records: make.gauges(
                "nunchi_lag_uncommitted_records",
                "Records behind the last stable offset: a writer's transaction is open.",
                &["topic", "partition"],
            ),
            records_lost: make.counters(
                "nunchi_records_lost_total",
                "Offsets of the input topic that were passed over unread.",
                &["topic", "partition", "reason"],
            ),
            position_age: make.gauges(
                "nunchi_position_age_seconds",
                "How long a partition with lag has not moved.",
                &["topic", "partition"],
            ),
            partition_halted: make.gauges(
                "nunchi_partition_halted",
                "1 for a partition that is halted; the others go on.",
                &["topic", "partition", "reason"],
            ),
            assigned_partitions: make
                .gauge("nunchi_assigned_partitions", "Partitions that this process owns."),
            rebalances: make.counter("nunchi_rebalances_total", "Rebalances that changed the assignment."),
            transactions: make.counters("nunchi_transactions_total", "Transactions by result.", &["result"]),
            producer_rebuilds: make.counters(
                "nunchi_producer_rebuilds_total",
                "Producers that were replaced, so that late requests of the old one are refused.",
                &["reason"],
            ),
            client_errors: make
                .counter("nunchi_client_errors_total", "Errors that the Kafka clients reported."),
            workers: make.gauge("nunchi_workers", "Running workers."),
            ready: make.gauge("nunchi_ready", "1 if /readyz reports ready."),
            score: make.histogram(
                "nunchi_score",
                "Scores of verdicts.",
                (1..=20).map(|n| f64::from(n) / 20.0).collect(),
            ),
            model_info: make.infos("nunchi_model_info", "1 for the serving model.", &["model", "precision"]),
            build_info: make.infos(
                "nunchi_build_info",
                "1, with the version and the kernel in use.",
                &["version", "kernel"],
            ),
            model_swaps: make.counters("nunchi_model_swaps_total", "Model swaps by result.", &["result"]),
            model_loaded: make.unix_time(
                "nunchi_model_loaded_timestamp_seconds",
                "When the serving model was loaded, in Unix time.",
            ),
            compared_comments: make.counters(
                "nunchi_compared_comments_total",
                "Comments that a second model classified for comparison.",
                &["role", "model"],
            ),
            compared_agreed: make.counters(
                "nunchi_compared_agreed_total",
                "Compared comments with the same label from both models.",
                &["role", "model"],
            ),
            compared_seconds: make.float_counters(
                "nunchi_compared_seconds_total",
                "Time spent on classification by the second model.",
                &["role", "model"],
            ),
            compared_shift: make.infos(
                "nunchi_compared_score_shift",
                "Mean of the second model's score minus the serving model's, since the comparison began.",
                &["role", "model"],
            ),
            registry_stale: make.gauge(
                "nunchi_registry_stale",
                "1 while the model store cannot be read: the serving model may be outdated.",
            ),
            registry_asked: make.unix_time(
                "nunchi_registry_asked_timestamp_seconds",
                "When the model store was last read, in Unix time; 0 without a store.",
            ),
            http_requests: make.counters(
                "nunchi_http_requests_total",
                "Requests to the admin server.",
                &["path", "code"],
            ),
            http_classify_seconds: make.histogram(
                "nunchi_http_classify_seconds",
                "Time of a classification request.",
                powers(0.000_1, 2.0, 18),
            ),
            log_lines_lost: make.counter(
                "nunchi_log_lines_lost_total",
                "Log lines that could not be written to standard error.",
            ),
            registry,
        };
        metrics.begin_at_zero();
        metrics
    }

    /// Series whose labels are known from the start begin at 0, so that their first increase is seen as one.
    fn begin_at_zero(&self) {
        for class in ERROR_CLASSES {
            self.dead_letters.with_label_values(&[class]);
            self.dead_letters_withheld.with_label_values(&[class]);
        }
        for stage in super::Stage::ALL {
            self.stage_seconds.with_label_values(&[stage.name()]);
        }
        for result in ["committed", "aborted"] {
            self.transactions.with_label_values(&[result]);
        }
        for reason in ["late_commit", "late_offsets", "aborted", "unknown", "fenced", "failed"] {
            self.producer_rebuilds.with_label_values(&[reason]);
        }
        for result in ["succeeded", "refused", "rolled_back"] {
            self.model_swaps.with_label_values(&[result]);
        }
    }

    /// Sets the serving model and its kernel, loaded now; replaces the series of the previous model.
    pub fn set_model(&self, version: &str, precision: &str, kernel: &str) {
        self.model_info.reset();
        self.model_info.with_label_values(&[version, precision]).set(1.0);
        self.build_info.reset();
        self.build_info.with_label_values(&[env!("CARGO_PKG_VERSION"), kernel]).set(1.0);
        self.model_loaded.set(unix_time());
    }

    /// Records processed so far.
    pub fn records_processed(&self) -> u64 {
        self.batch_records.get_sample_sum() as u64
    }

    /// Dead letters so far.
    pub fn dead_letters_total(&self) -> u64 {
        ERROR_CLASSES.iter().map(|class| self.dead_letters.with_label_values(&[class]).get()).sum()
    }

    /// Whether the model store could be read just now.
    pub fn set_store_available(&self, available: bool) {
        self.registry_stale.set(i64::from(!available));
        if available {
            self.registry_asked.set(unix_time());
        }
    }

    /// Everything in Prometheus's text format.
    ///
    /// # Errors
    /// A metric that cannot be encoded.
    pub fn encode(&self) -> prometheus::Result<String> {
        // Counted where lines are written, which knows of no metrics.
        self.log_lines_lost.inc_by(super::lost_log_lines().saturating_sub(self.log_lines_lost.get()));
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Seconds since 1970.
fn unix_time() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

const VALID: &str = "the options are constants; a test builds them";

fn add(registry: &Registry, collector: impl Collector + 'static) {
    registry.register(Box::new(collector)).expect("the names are unique; a test checks it");
}

fn powers(first: f64, factor: f64, count: usize) -> Vec<f64> {
    prometheus::exponential_buckets(first, factor, count).expect(VALID)
}

/// Creates and registers metrics.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn keep<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect(VALID);
        add(self.0, metric.clone());
        metric
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.keep(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.keep(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn float_counters(&self, name: &str, help: &str, labels: &[&str]) -> CounterVec {
        self.keep(CounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.keep(IntGauge::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.keep(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn infos(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.keep(GaugeVec::new(Opts::new(name, help), labels))
    }

    fn unix_time(&self, name: &str, help: &str) -> Gauge {
        self.keep(Gauge::new(name, help))
    }

    fn histogram(&self, name: &str, help: &str, buckets: Vec<f64>) -> Histogram {
        self.keep(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets)))
    }

    fn stages(&self) -> HistogramVec {
        let options = HistogramOpts::new("nunchi_stage_seconds", "Time of a stage of a batch.");
        self.keep(HistogramVec::new(options.buckets(powers(0.000_01, 2.0, 22)), &["stage"]))
    }
}
