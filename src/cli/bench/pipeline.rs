//! `nunchi bench pipeline`: records a second through a real Kafka, and the CPU time that they cost this process.
//!
//! `run` is the whole, `replay` the same by `nunchi replay`; `copy` is the same consumer and producer code with a
//! classifier that does nothing; `text` is from text to label without Kafka. Every measurement has topics and a group of its own; it begins when the workers have joined
//! and all records are there, and ends with the last commit.

use super::super::model::ModelArgs;
use super::gate::{Gate, Gated, Inner};
use super::text;
use crate::cli::decision::precision;
use crate::cli::exit::ExitStatus;
use crate::cli::printer::{errln, outln};
use crate::config::{Config, Delivery};
use crate::kafka::{ClientProperties, Pace};
use crate::pipeline::{LabelFilter, ModelSlot, Pipeline, SlotClassifier};
use crate::replay::{Replay, ReplayContext, ReplaySpec, Request, Target};
use crate::samples;
use crate::telemetry::{Health, Metrics};
use anyhow::{Context, ensure};
use arc_swap::ArcSwap;
use nunchi_engine::{DecisionPolicy, Engine, LoadedModel};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After the workers have joined, time for the group's last rebalances.
const SETTLE: Duration = Duration::from_secs(2);
/// Longest time of a measurement.
const MEASUREMENT_TIMEOUT: Duration = Duration::from_secs(600);

/// Flags of `nunchi bench pipeline`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The Kafka to measure with; topics are made there and deleted again
    #[arg(long, env = "KAFKA_BOOTSTRAP", hide_env_values = true, value_name = "HOST:PORT,…")]
    brokers: String,
    /// What to measure
    #[arg(long, value_delimiter = ',', default_value = "run,copy,text")]
    what: Vec<What>,
    /// Guarantees to measure
    #[arg(long, value_delimiter = ',', default_value = "exactly_once,at_least_once")]
    delivery: Vec<Guarantee>,
    /// Numbers of workers to measure
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    workers: Vec<usize>,
    /// Largest batches to measure, in records
    #[arg(long, alias = "turns", value_delimiter = ',', default_value = "1000,8000,32000")]
    batches: Vec<usize>,
    /// Records of a measurement
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
    /// Partitions of the topics
    #[arg(long, default_value_t = 6)]
    partitions: i32,
    #[command(flatten)]
    model: ModelArgs,
    /// Kernel to use instead of the best one for this CPU
    #[arg(long)]
    kernel: Option<String>,
    /// Mark verdicts as unsure, as `decision.precision` does (needs the model's coverage table)
    #[arg(long, value_name = "P", value_parser = precision)]
    precision: Option<f64>,
    /// Classify each sentence and clause too, as `output.sentences` does
    #[arg(long)]
    sentences: bool,
    /// Comments: one a line, or the column `text` of a .tsv; gzip by name [default: the sample comments]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// A librdkafka property for both clients; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    property: Vec<String>,
    /// Print a JSON object for each measurement
    #[arg(long)]
    json: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Everything: comments from Kafka, verdicts to Kafka
    Run,
    /// The same without a network
    Copy,
    /// Everything once more: `nunchi replay` of the same topic
    Replay,
    /// From text to label without Kafka
    Text,
}

/// A guarantee, as the settings name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Guarantee {
    /// Transactions
    ExactlyOnce,
    /// Offsets after delivery
    AtLeastOnce,
}

impl From<Guarantee> for Delivery {
    fn from(guarantee: Guarantee) -> Self {
        match guarantee {
            Guarantee::ExactlyOnce => Delivery::ExactlyOnce,
            Guarantee::AtLeastOnce => Delivery::AtLeastOnce,
        }
    }
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let comments = match &args.data {
        Some(file) => text::read(file)?,
        None => samples::comments().into_iter().map(|comment| comment.text).collect(),
    };
    ensure!(!comments.is_empty(), "there are no comments to measure with");
    let classifies = args.what.iter().any(|what| *what != What::Copy);
    let loaded = classifies.then(|| args.model.load(args.kernel.as_deref())).transpose()?;
    let policy = args.precision.map(DecisionPolicy::Precision);
    let loaded = loaded.map(|loaded| loaded.with_decision(policy)).transpose()?;
    let bench = Bench { args: &args, comments, loaded: loaded.map(Arc::new) };
    for &workers in &args.workers {
        for &batch_records in &args.batches {
            for &what in &args.what {
                bench.measure_all(what, workers, batch_records)?;
            }
        }
    }
    Ok(ExitStatus::Done)
}

struct Bench<'a> {
    args: &'a Args,
    comments: Vec<String>,
    loaded: Option<Arc<LoadedModel>>,
}

/// One measurement's result.
struct Measured {
    seconds: f64,
    cpu_seconds: f64,
}

impl Bench<'_> {
    fn measure_all(&self, what: What, workers: usize, batch_records: usize) -> anyhow::Result<()> {
        if what == What::Text {
            let measured = self.text_to_label(workers, batch_records);
            self.print(what, None, workers, batch_records, &measured);
            return Ok(());
        }
        for &delivery in &self.args.delivery {
            // A replay has one guarantee only.
            if what == What::Replay && delivery == Guarantee::AtLeastOnce {
                continue;
            }
            let measured = self
                .through_kafka(what, delivery, workers, batch_records)
                .with_context(|| format!("measuring {what:?} {delivery:?} with {workers} workers"))?;
            self.print(what, Some(delivery), workers, batch_records, &measured);
        }
        Ok(())
    }

    fn print(
        &self,
        what: What,
        delivery: Option<Guarantee>,
        workers: usize,
        batch_records: usize,
        got: &Measured,
    ) {
        let name = |value: &dyn Display| value.to_string();
        let what = match what {
            What::Run => "run",
            What::Copy => "copy",
            What::Replay => "replay",
            What::Text => "text",
        };
        let delivery = delivery.map(|delivery| match delivery {
            Guarantee::ExactlyOnce => "exactly_once",
            Guarantee::AtLeastOnce => "at_least_once",
        });
        let records = self.args.records as f64;
        let (rate, cpu) = (records / got.seconds, got.cpu_seconds * 1e6 / records);
        if self.args.json {
            let line = serde_json::json!({
                "delivery": delivery, "workers": workers, "batch_records": batch_records, "what": what,
                "records_per_s": rate.round(), "cpu_s_per_million": (cpu * 1e3).round() / 1e3,
            });
            outln!("{line}");
        } else {
            let delivery = delivery.map_or_else(|| name(&"-"), |delivery| name(&delivery));
            outln!(
                "{what:<4} {delivery:<13} {workers} workers, batches of {batch_records:>6}: {rate:>9.0} records/s, \
                 {cpu:>6.2} CPU seconds a million"
            );
        }
    }

    /// Every comment through an engine, `batch_records` at a time, on `workers` threads.
    fn text_to_label(&self, workers: usize, batch_records: usize) -> Measured {
        let Some(loaded) = &self.loaded else {
            unreachable!("a model is loaded for every measurement that classifies")
        };
        let texts: Vec<&str> = self.comments.iter().map(String::as_str).collect();
        let share = self.args.records as usize / workers.max(1);
        let work = || {
            let mut engine = Engine::new(Arc::clone(loaded)).with_sentences(self.args.sentences);
            let (mut batch, mut predictions, mut left, mut next) = (Vec::new(), Vec::new(), share, 0);
            while left > 0 {
                batch.clear();
                batch.extend((0..left.min(batch_records)).map(|place| texts[(next + place) % texts.len()]));
                engine
                    .classify_into(&batch, &mut predictions)
                    .expect("the model has a score for every sample comment");
                next += batch.len();
                left -= batch.len();
            }
        };
        let begin = Begin::now();
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(work);
            }
        });
        begin.end()
    }

    fn through_kafka(
        &self,
        what: What,
        delivery: Guarantee,
        workers: usize,
        batch_records: usize,
    ) -> anyhow::Result<Measured> {
        let config = self.config(delivery, workers, batch_records)?;
        let clients = ClientProperties::resolve(&config)?;
        let topics = Topics::make(&clients.plain(), &config, self.args.partitions)?;
        let gate = Arc::new(Gate::default());
        let slot: Option<ModelSlot> =
            self.loaded.as_ref().map(|loaded| Arc::new(ArcSwap::from(Arc::clone(loaded))));
        let classifier = || Gated {
            gate: Arc::clone(&gate),
            inner: match (&slot, what) {
                (Some(slot), What::Run | What::Replay) => {
                    let classifier = SlotClassifier::new(Arc::clone(slot));
                    Inner::Network(Box::new(classifier.with_sentences(self.args.sentences)))
                }
                _ => Inner::Nothing(["negative", "positive"].map(String::from).to_vec()),
            },
        };
        let mut pipeline = Pipeline::new(config, clients);
        pipeline.health = Arc::new(Health::new(workers, MEASUREMENT_TIMEOUT));
        let Pipeline { config, clients, metrics, health, stop, .. } = &pipeline;
        health.set_model_loaded();
        if what == What::Replay {
            // The plan fixes its end offsets: the records have to be there before.
            self.fill(clients, config)?;
        }
        let work = || -> anyhow::Result<()> {
            match what {
                What::Replay => self.replay(&pipeline, &classifier),
                _ => Ok(pipeline.run(classifier).map(drop)?),
            }
        };
        let measured = std::thread::scope(|scope| {
            let working = scope.spawn(work);
            let filled = what == What::Replay;
            let fill = || if filled { Ok(()) } else { self.fill(clients, config) };
            let measured = self.measure(fill, metrics, health, &gate, || working.is_finished());
            gate.open();
            stop.request();
            working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            measured
        });
        topics.delete();
        measured
    }

    fn fill(&self, clients: &ClientProperties, config: &Config) -> anyhow::Result<()> {
        let Args { records, partitions, .. } = *self.args;
        fill(&clients.plain(), &config.input.topic, &self.comments, records, partitions)
    }

    /// Replays the input topic into the output topic.
    fn replay<C: nunchi_engine::Classifier + 'static>(
        &self,
        pipeline: &Pipeline,
        classifier: &(impl Fn() -> C + Sync),
    ) -> anyhow::Result<()> {
        let config = &pipeline.config;
        let request = Request {
            topic: config.input.topic.clone(),
            partitions: None,
            from: None,
            to: None,
            late_ms: 0,
            model: classifier().version().to_owned(),
            labels: None,
            target: Target::Topic {
                verdicts: config.output.topic.clone(),
                dead_letters: config.dead_letters.topic.clone(),
            },
        };
        let replay = Replay::prepare(config, &config.kafka.group, &ReplaySpec::Request(request))?;
        let context = ReplayContext {
            metrics: &pipeline.metrics,
            health: &pipeline.health,
            stop: &pipeline.stop,
            pace: Pace::Free,
            labels: LabelFilter::default(),
            observer: &|_| {},
        };
        Ok(replay.into_topic(&context, classifier).map(drop)?)
    }

    /// Fills the input topic once the workers wait for it, and measures until the last record.
    fn measure(
        &self,
        filling: impl Fn() -> anyhow::Result<()>,
        metrics: &Metrics,
        health: &Health,
        gate: &Gate,
        ended: impl Fn() -> bool,
    ) -> anyhow::Result<Measured> {
        let start = Instant::now();
        let wait = |what: &str, pause: Duration| {
            ensure!(!ended(), "the pipeline ended while waiting for {what}");
            ensure!(start.elapsed() < MEASUREMENT_TIMEOUT, "waited too long for {what}");
            std::thread::sleep(pause);
            Ok(())
        };
        while !health.not_ready().is_empty() {
            wait("the workers to join", Duration::from_millis(10))?;
        }
        std::thread::sleep(SETTLE);
        filling()?;
        let begin = Begin::now();
        gate.open();
        while metrics.batch_records.get_sample_sum() < self.args.records as f64 {
            wait("the last record", Duration::from_millis(1))?;
        }
        Ok(begin.end())
    }

    fn config(&self, delivery: Guarantee, workers: usize, batch_records: usize) -> anyhow::Result<Config> {
        let name = format!("nunchi-bench-{:08x}", rand::random::<u32>());
        let mut config = Config::default();
        config.kafka.brokers = self.args.brokers.clone();
        config.kafka.delivery = delivery.into();
        for property in &self.args.property {
            let (key, value) = property.split_once('=').context("--property must be NAME=VALUE")?;
            let value = crate::config::Value::Literal(toml::Value::String(value.to_owned()));
            config.kafka.properties.insert(key.to_owned(), value);
        }
        config.input.topic = format!("{name}-in");
        config.output.topic = format!("{name}-out");
        config.dead_letters.topic = format!("{name}-dead");
        config.kafka.group = name;
        config.worker.workers = workers;
        config.worker.batch_records = batch_records;
        Ok(config)
    }
}

/// Publishes `records` records: JSON of about 250 bytes.
pub(super) fn fill(
    client: &ClientConfig,
    topic: &str,
    comments: &[String],
    records: u64,
    partitions: i32,
) -> anyhow::Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> = client
        .clone()
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .set("queue.buffering.max.kbytes", "262144")
        .create()?;
    for number in 0..records {
        let text = &comments[number as usize % comments.len()];
        let value = serde_json::json!({
            "id": format!("review-{number:08}"), "text": text, "rating": 1 + number % 5,
            "created_at": "2026-03-01T09:30:00Z", "product_id": format!("P-{:05}", number % 1_000),
        })
        .to_string();
        let partition = (number % partitions as u64) as i32;
        let key = format!("P-{:05}", number % 1_000);
        let mut record = BaseRecord::to(topic).partition(partition).key(&key).payload(&value);
        while let Err((error, returned)) = producer.send(record) {
            ensure!(
                matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)),
                "cannot fill {topic}: {error}"
            );
            std::thread::sleep(Duration::from_millis(1));
            record = returned;
        }
    }
    producer.flush(MEASUREMENT_TIMEOUT).with_context(|| format!("cannot fill {topic}"))
}

/// The beginning of a measurement.
struct Begin {
    at: Instant,
    cpu_seconds: f64,
}

impl Begin {
    fn now() -> Self {
        Begin { at: Instant::now(), cpu_seconds: cpu_seconds() }
    }

    fn end(&self) -> Measured {
        Measured { seconds: self.at.elapsed().as_secs_f64(), cpu_seconds: cpu_seconds() - self.cpu_seconds }
    }
}

/// CPU seconds of this process and all its threads (`/proc/self/stat`, in ticks of 10 ms); 0 where there is no such file.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may hold spaces: state is field 3, user and system time are 14 and 15.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// The topics of one measurement.
pub(super) struct Topics {
    admin: AdminClient<DefaultClientContext>,
    names: [String; 3],
    runtime: tokio::runtime::Runtime,
}

impl Topics {
    pub(super) fn make(client: &ClientConfig, config: &Config, partitions: i32) -> anyhow::Result<Self> {
        let names =
            [config.input.topic.clone(), config.output.topic.clone(), config.dead_letters.topic.clone()];
        let admin: AdminClient<DefaultClientContext> = client.create()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let new: Vec<NewTopic<'_>> =
            names.iter().map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(-1))).collect();
        let made = runtime.block_on(admin.create_topics(&new, &AdminOptions::new()))?;
        for result in made {
            result.map_err(|(topic, code)| anyhow::anyhow!("cannot create {topic}: {code}"))?;
        }
        // The broker answers before the topics are in all metadata.
        std::thread::sleep(Duration::from_millis(500));
        Ok(Topics { admin, names, runtime })
    }

    pub(super) fn delete(&self) {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        if let Err(error) = self.runtime.block_on(self.admin.delete_topics(&names, &AdminOptions::new())) {
            errln!("nunchi: cannot delete the topics {names:?}: {error}");
        }
    }
}
