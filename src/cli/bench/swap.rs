//! `nunchi bench swap`: batch times while the model is swapped, and while it is not.
//!
//! Workers classify a backlog through a real Kafka in batches of a fixed size. Meanwhile two versions are promoted
//! alternately in a store in a temporary folder, which the process follows as `nunchi run` does. A batch counts as
//! *swapping* if it overlaps the time from a promotion to the swap, and as *steady* otherwise; the two alternate, so that
//! measurement noise affects both.

use super::super::model::ModelArgs;
use super::pipeline::{Topics, fill};
use super::text;
use crate::cli::exit::ExitStatus;
use crate::cli::printer::{errln, outln};
use crate::config::Config;
use crate::kafka::ClientProperties;
use crate::pipeline::{Pipeline, SlotClassifier};
use crate::registry::{
    CanaryThresholds, FollowSettings, Follower, Log, NewVersion, RefreshOutcome, Store, Version, load_current,
};
use crate::samples;
use crate::telemetry::{Health, Metrics};
use anyhow::{Context, bail, ensure};
use nunchi_engine::{Classifier, EngineError, Prediction, Times};
use nunchi_model::{Model, WeightFormat};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait of the measurement for anything.
const MEASUREMENT_TIMEOUT: Duration = Duration::from_secs(1_200);
/// Shortest steady time between two swaps.
const MIN_STEADY_TIME: Duration = Duration::from_millis(1_500);

/// Flags of `nunchi bench swap`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The Kafka to measure with; topics are made there and deleted again
    #[arg(long, env = "KAFKA_BOOTSTRAP", hide_env_values = true, value_name = "HOST:PORT,…")]
    brokers: String,
    #[command(flatten)]
    model: ModelArgs,
    /// The other model [default: the same with a slightly different temperature]
    #[arg(long, value_name = "FILE")]
    other: Option<PathBuf>,
    /// Kernel to use instead of the best one for this CPU
    #[arg(long)]
    kernel: Option<String>,
    /// Worker threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// Records of a batch
    #[arg(long = "batches", aliases = ["turn", "turns"], value_name = "RECORDS", default_value_t = 8_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    batch_records: u64,
    /// Records of the backlog
    #[arg(long, default_value_t = 4_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
    /// Partitions of the topics
    #[arg(long, default_value_t = 6)]
    partitions: i32,
    /// Comments: one a line, or the column `text` of a .tsv; gzip by name [default: the sample comments]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// One batch of a worker.
#[derive(Clone, Copy)]
struct BatchTime {
    begin: Instant,
    end: Instant,
    comments: usize,
}

/// A classifier that records when its batches begin and end.
struct Timed {
    classifier: SlotClassifier,
    begin: Option<Instant>,
    comments: usize,
    batches: Arc<Mutex<Vec<BatchTime>>>,
}

impl Classifier for Timed {
    fn refresh(&mut self) {
        let end = Instant::now();
        if let Some(begin) = self.begin.replace(end)
            && self.comments > 0
        {
            let batch = BatchTime { begin, end, comments: self.comments };
            self.batches.lock().unwrap_or_else(PoisonError::into_inner).push(batch);
        }
        self.comments = 0;
        self.classifier.refresh();
    }

    fn classify(&mut self, comments: &[&str], predictions: &mut Vec<Prediction>) -> Result<(), EngineError> {
        self.comments = comments.len();
        self.classifier.classify(comments, predictions)
    }

    fn version(&self) -> &str {
        self.classifier.version()
    }

    fn labels(&self) -> &[String] {
        self.classifier.labels()
    }

    fn last_times(&self) -> Times {
        self.classifier.last_times()
    }
}

/// A store in a temporary folder with two versions.
struct Versions {
    folder: PathBuf,
    store: Store,
    log: Log,
    versions: [Version; 2],
}

impl Versions {
    fn make(args: &Args) -> anyhow::Result<Self> {
        let model = args.model.find()?;
        let other = match &args.other {
            Some(path) => Model::load(path)?,
            None => Model { temperature: model.temperature * 1.01, ..model.clone() },
        };
        let folder = std::env::temp_dir().join(format!("nunchi-bench-{:08x}", rand::random::<u32>()));
        let store = Store::open_or_make(&folder.to_string_lossy())?;
        let publish = |model: &Model| -> anyhow::Result<Version> {
            let content = model.to_bytes(WeightFormat::F32)?.0;
            Ok(store.publish(content, NewVersion::default())?.manifest.version)
        };
        let versions = [publish(&model)?, publish(&other)?];
        ensure!(
            versions[0] != versions[1],
            "both models are the same version; name another one with --other"
        );
        let mut log = Log::default();
        store.promote_verified(&mut log, &versions[0])?;
        Ok(Versions { folder, store, log, versions })
    }

    /// Promotes the version that is not current.
    fn promote_other(&mut self) -> anyhow::Result<()> {
        let current = self.log.current();
        let other = self.versions.iter().find(|version| Some(*version) != current).cloned();
        Ok(self.store.promote_verified(&mut self.log, &other.context("there are two versions")?)?)
    }
}

impl Drop for Versions {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let comments = match &args.data {
        Some(file) => text::read(file)?,
        None => samples::comments().into_iter().map(|comment| comment.text).collect(),
    };
    ensure!(!comments.is_empty(), "there are no comments to measure with");
    let mut versions = Versions::make(&args)?;
    let config = settings(&args);
    let clients = ClientProperties::resolve(&config)?;
    let topics = Topics::make(&clients.plain(), &config, args.partitions)?;
    errln!("filling {} with {} records", config.input.topic, args.records);
    fill(&clients.plain(), &config.input.topic, &comments, args.records, args.partitions)?;
    let measured = measure(&args, &config, &clients, &mut versions);
    topics.delete();
    print(&args, &measured?)
}

fn settings(args: &Args) -> Config {
    let name = format!("nunchi-bench-{:08x}", rand::random::<u32>());
    let mut config = Config::default();
    config.kafka.brokers = args.brokers.clone();
    config.input.topic = format!("{name}-in");
    config.output.topic = format!("{name}-out");
    config.dead_letters.topic = format!("{name}-dead");
    config.kafka.group = name;
    config.worker.workers = usize::from(args.workers);
    config.worker.batch_records = args.batch_records as usize;
    config
}

/// What was measured.
struct Measured {
    batches: Vec<BatchTime>,
    /// From each promotion to its swap.
    swaps: Vec<(Instant, Instant)>,
    kernel: &'static str,
    /// Threads and descriptors after the first swap, and at the end.
    flat: [[usize; 2]; 2],
}

fn measure(
    args: &Args,
    config: &Config,
    clients: &ClientProperties,
    versions: &mut Versions,
) -> anyhow::Result<Measured> {
    let mut pipeline = Pipeline::new(config.clone(), clients.clone());
    pipeline.health = Arc::new(Health::new(config.worker.workers, MEASUREMENT_TIMEOUT));
    let Pipeline { metrics, stop, .. } = &pipeline;
    let url = versions.folder.to_string_lossy().into_owned();
    // Refreshes are requested, so that their times are known.
    let follow = FollowSettings {
        url,
        interval: MEASUREMENT_TIMEOUT,
        kernel: args.kernel.clone(),
        decision: None,
        metrics: metrics.clone(),
        thresholds: CanaryThresholds { duration: Duration::ZERO, ..CanaryThresholds::from(&config.registry) },
        shadow: None,
        actor: "nunchi bench swap".to_owned(),
    };
    let (loaded, log) = load_current(&follow)?;
    let kernel = loaded.kernel().name();
    let slot = pipeline.serve(loaded);
    let follower = Follower::start(follow, Arc::clone(&slot), log)?;
    let batches = Arc::new(Mutex::new(Vec::new()));
    let classifier = || Timed {
        classifier: SlotClassifier::new(Arc::clone(&slot)),
        begin: None,
        comments: 0,
        batches: Arc::clone(&batches),
    };
    let (swaps, flat) = std::thread::scope(|scope| {
        let working = scope.spawn(|| pipeline.run(classifier));
        let left = || metrics.batch_records.get_sample_sum() < args.records as f64 && !working.is_finished();
        let swapped = swap_while(left, metrics, versions, &follower);
        stop.request();
        working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        swapped
    })?;
    let batches = std::mem::take(&mut *batches.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Measured { batches, swaps, kernel, flat })
}

/// Times of swaps, and what the process holds at the beginning and at the end.
type Swapped = (Vec<(Instant, Instant)>, [[usize; 2]; 2]);

/// Swaps, and waits between swaps, as long as there are records.
fn swap_while(
    left: impl Fn() -> bool,
    metrics: &Metrics,
    versions: &mut Versions,
    follower: &Follower,
) -> anyhow::Result<Swapped> {
    let (reload, start) = (follower.reload(), Instant::now());
    while metrics.batch_records.get_sample_count() == 0 {
        ensure!(left() && start.elapsed() < MEASUREMENT_TIMEOUT, "the workers do not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    let (mut swaps, mut flat): (Vec<(Instant, Instant)>, _) = (Vec::new(), [[0; 2]; 2]);
    while left() {
        let rest = swaps.last().map_or(MIN_STEADY_TIME, |(begin, end)| (*end - *begin).max(MIN_STEADY_TIME));
        let until = Instant::now() + rest;
        while Instant::now() < until && left() {
            std::thread::sleep(Duration::from_millis(5));
        }
        if !left() {
            break;
        }
        let begin = Instant::now();
        versions.promote_other()?;
        match reload.now_blocking() {
            Some(RefreshOutcome::Swapped { .. }) => {}
            other => bail!("the swap failed: {other:?}"),
        }
        if left() {
            // A swap that outlived the backlog was not under load.
            swaps.push((begin, Instant::now()));
        }
        if flat[0] == [0; 2] {
            flat[0] = held();
        }
        flat[1] = held();
    }
    Ok((swaps, flat))
}

/// Threads and descriptors of this process.
fn held() -> [usize; 2] {
    ["/proc/self/task", "/proc/self/fd"]
        .map(|folder| std::fs::read_dir(Path::new(folder)).map_or(0, Iterator::count))
}

/// Median, 99th percentile and maximum in milliseconds, and how many.
struct Percentiles {
    count: usize,
    median: f64,
    p99: f64,
    most: f64,
}

impl Percentiles {
    fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        let count = seconds.len();
        let at = |share: f64| seconds[((count as f64 * share).ceil() as usize).clamp(1, count) - 1] * 1e3;
        if count == 0 {
            return Percentiles { count, median: f64::NAN, p99: f64::NAN, most: f64::NAN };
        }
        Percentiles { count, median: at(0.5), p99: at(0.99), most: at(1.0) }
    }
}

fn print(args: &Args, measured: &Measured) -> anyhow::Result<ExitStatus> {
    let full = measured.batches.iter().filter(|batch| batch.comments as u64 == args.batch_records);
    // The first batches fill caches and buffers.
    let first = measured.batches.iter().map(|batch| batch.begin).min();
    let full = full.filter(|batch| first.is_some_and(|first| batch.begin > first + MIN_STEADY_TIME / 2));
    let overlaps = |batch: &&BatchTime| {
        measured.swaps.iter().any(|(begin, end)| batch.begin <= *end && batch.end >= *begin)
    };
    let (swapping, steady): (Vec<&BatchTime>, Vec<&BatchTime>) = full.partition(overlaps);
    let times = |batches: Vec<&BatchTime>| {
        Percentiles::of(batches.iter().map(|batch| (batch.end - batch.begin).as_secs_f64()).collect())
    };
    let (steady, swapping) = (times(steady), times(swapping));
    ensure!(
        steady.count > 0 && swapping.count > 0,
        "too few batches of {} records: {} steady, {} while swapping; raise --records",
        args.batch_records,
        steady.count,
        swapping.count
    );
    let swap_seconds =
        Percentiles::of(measured.swaps.iter().map(|(begin, end)| (*end - *begin).as_secs_f64()).collect());
    if args.json {
        let object = |times: &Percentiles| serde_json::json!({ "count": times.count, "median_ms": times.median, "p99_ms": times.p99, "max_ms": times.most });
        outln!(
            "{}",
            serde_json::json!({ "kernel": measured.kernel, "workers": args.workers, "batch_records": args.batch_records,
                "swaps": object(&swap_seconds), "steady": object(&steady), "swapping": object(&swapping),
                "p99_ratio": swapping.p99 / steady.p99, "max_ratio": swapping.most / steady.p99,
                "threads_descriptors": measured.flat })
        );
        return Ok(ExitStatus::Done);
    }
    outln!("{} workers, batches of {} records, kernel {}", args.workers, args.batch_records, measured.kernel);
    outln!(
        "{} swaps, median {:.0} ms from promotion to swap; threads and descriptors {:?} -> {:?}",
        swap_seconds.count,
        swap_seconds.median,
        measured.flat[0],
        measured.flat[1]
    );
    for (name, times) in [("steady", &steady), ("swapping", &swapping)] {
        outln!(
            "{name:<9} {:>6} batches: median {:>7.1} ms, p99 {:>7.1} ms, max {:>7.1} ms",
            times.count,
            times.median,
            times.p99,
            times.most
        );
    }
    outln!(
        "p99 while swapping {:.2} x steady, max {:.2} x the steady p99",
        swapping.p99 / steady.p99,
        swapping.most / steady.p99
    );
    Ok(ExitStatus::Done)
}
