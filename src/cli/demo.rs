//! `nunchi demo`: the pipeline in one process, no Kafka needed. librdkafka's mock cluster is the broker, sample comments
//! are the stream, and the workers are those of `nunchi run`, at least once (the mock cluster has no transactions).

use crate::cli::exit::{ExitStatus, InternalError, UsageError};
use crate::cli::model::ModelArgs;
use crate::cli::printer::{errln, out};
use crate::cli::publish::{Limit, Publisher};
use crate::cli::run::{Server, runtime};
use crate::cli::signals::stop_on_signals;
use crate::config::{Config, Delivery, Log, Value};
use crate::http;
use crate::http::{Access, Admin};
use crate::kafka::ClientProperties;
use crate::pipeline::{ModelSlot, Pipeline, SlotClassifier, worker_count};
use crate::samples::Stream;
use crate::stop::Stop;
use crate::telemetry::init_logs;
use anyhow::{Context, bail};
use nunchi_engine::LoadedModel;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

mod lines;
mod results;
mod screen;
mod stats;
mod terminal;

use results::ResultReader;
use screen::About;
use stats::Stats;

/// Partitions of the comments and of the verdicts.
const PARTITIONS: i32 = 4;
/// One record in fifty is broken.
const BROKEN_SHARE: f64 = 0.02;
/// Records in flight at most, about 2 MB: the embedded broker deletes what is older than 5 MiB or 100,000 records of a
/// partition.
const MAX_IN_FLIGHT: u64 = 4_000;
/// Wait before the first comment: consumers request the first offsets of their partitions, and retry after 500 ms if
/// their connection was not up yet.
const SETTLE: Duration = Duration::from_millis(600);
/// Wait of a fetch without records (milliseconds).
const FETCH_WAIT_MS: i64 = 5;
/// How long a demo without a terminal and without `--seconds` lasts.
const SECONDS_WITHOUT_A_TERMINAL: u64 = 20;
/// Longest wait for the workers to join.
const JOIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Flags of `nunchi demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End after so many seconds [default: with `q` in a terminal, after 20 s without one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Comments a second
    #[arg(long, value_name = "N", default_value_t = 100.0, value_parser = super::generate::rate)]
    rate: f64,
    /// Address of the admin server with /metrics [default: 127.0.0.1:9600, or a free port if that is taken]
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    #[command(flatten)]
    model: ModelArgs,
    /// Worker threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Print lines even if there is a terminal
    #[arg(long)]
    plain: bool,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let in_terminal = !args.plain && terminal::usable();
    let seconds = args.seconds.or((!in_terminal).then_some(SECONDS_WITHOUT_A_TERMINAL));
    let limit = Limit { records: None, time: seconds.map(Duration::from_secs) };
    let broker = MockCluster::new(1).context("starting the embedded broker")?;
    let config = settings(&args, &broker)?;
    let clients = ClientProperties::resolve(&config)?;
    let loaded = args.model.load(None)?;
    let demo = Demo::new(config, clients, loaded);
    stop_on_signals(&demo.pipeline.stop)?;
    let runtime = runtime()?;
    let access =
        Access::resolve(&demo.pipeline.config.http).map_err(|error| UsageError::new(error.to_string()))?;
    let listener = runtime.block_on(listen(args.http.as_deref(), &demo.pipeline.config.http.address))?;
    let metrics_url = format!("http://{}/metrics", listener.local_addr()?);
    if !in_terminal {
        init_logs(&Log { level: "warn".into(), ..Log::default() })?;
        errln!("the metrics of this demo are at {metrics_url}");
    }
    let admin =
        Admin::new(demo.pipeline.metrics.clone(), Arc::clone(&demo.pipeline.health), Arc::clone(&demo.slot))
            .with_access(access);
    let server = Server::start(&runtime, listener, admin)?;
    let about = demo.about(metrics_url, limit.time);
    let played = demo.play(args.rate, limit, about, in_terminal);
    server.end(&runtime);
    let (stats, published) = played?;
    out!("{}", lines::summary(&stats, published, Instant::now()));
    Ok(ExitStatus::Done)
}

/// The settings of the demo's workers. The topics are created here, since the embedded broker belongs to the demo.
fn settings(args: &Args, broker: &MockCluster<'static, DefaultProducerContext>) -> anyhow::Result<Config> {
    let mut config = Config::default();
    config.kafka.brokers = broker.bootstrap_servers();
    config.kafka.group = "nunchi-demo".into();
    config.kafka.delivery = Delivery::AtLeastOnce;
    // The embedded broker answers a fetch without records only after this time, even if one comes meanwhile.
    config.kafka.consumer.insert("fetch.wait.max.ms".into(), Value::Literal(FETCH_WAIT_MS.into()));
    // The embedded broker holds the first member of a group of the classic protocol back for seconds.
    config.kafka.consumer.insert("group.protocol".into(), Value::Literal("consumer".into()));
    config.output.echo = vec!["text".into(), "rating".into()];
    config.worker.workers = args.workers.into();
    if let Some(address) = &args.http {
        config.http.address.clone_from(address);
    }
    let topics = [
        (&config.input.topic, PARTITIONS),
        (&config.output.topic, PARTITIONS),
        (&config.dead_letters.topic, 1),
    ];
    for (topic, partitions) in topics {
        broker.create_topic(topic, partitions, 1).with_context(|| format!("creating the topic `{topic}`"))?;
    }
    Ok(config)
}

/// Binds the address of `--http`; without the flag `default`, or a free port if that is taken.
async fn listen(given: Option<&str>, default: &str) -> anyhow::Result<TcpListener> {
    let bound = http::bind(default).await;
    if bound.is_err() && given.is_none() {
        return Ok(http::bind("127.0.0.1:0").await?);
    }
    Ok(bound?)
}

/// A running demo: what its threads share.
struct Demo {
    /// The workers; its `stop` ends the publisher too.
    pipeline: Pipeline,
    slot: ModelSlot,
    /// Ends the reader of the verdicts, after them.
    stop_reading: Stop,
    /// Records handed to the broker so far.
    published: AtomicU64,
    /// Verdicts and dead letters read so far.
    answered: AtomicU64,
    /// The publisher has ended.
    published_all: AtomicBool,
}

impl Demo {
    fn new(config: Config, clients: ClientProperties, loaded: LoadedModel) -> Self {
        // The embedded broker reports no controller, and librdkafka would wait for one.
        let pipeline = Pipeline { ask_limits: false, ..Pipeline::new(config, clients) };
        let slot = pipeline.serve(loaded);
        Demo {
            pipeline,
            slot,
            stop_reading: Stop::new(),
            published: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            published_all: AtomicBool::new(false),
        }
    }

    fn about(&self, metrics_url: String, ends_after: Option<Duration>) -> About {
        let loaded = self.slot.load();
        About {
            model: loaded.model().name.clone(),
            version: loaded.model().version.clone(),
            kernel: loaded.kernel().name().to_owned(),
            workers: worker_count(&self.pipeline.config),
            metrics_url,
            ends_after,
        }
    }

    /// Starts all threads, shows their results until the end, and stops them; the statistics, and the number of records
    /// published.
    fn play(&self, rate: f64, limit: Limit, about: About, in_terminal: bool) -> anyhow::Result<(Stats, u64)> {
        let reader = self.result_reader()?;
        let (sender, events) = sync_channel(4_096);
        std::thread::scope(|scope| {
            let working = scope.spawn(|| self.or_stop(self.work()));
            let publishing = scope.spawn(|| self.or_stop(self.publish(rate, limit)));
            let reading =
                scope.spawn(|| self.or_stop(reader.run(&sender, &self.answered, &self.stop_reading)));
            let stats = if in_terminal {
                terminal::show(about, &events, || self.done())
            } else {
                Ok(lines::show(&events, || self.done()))
            };
            self.pipeline.stop.request();
            let published = joined(publishing.join());
            let worked = joined(working.join());
            self.stop_reading.request();
            // A reader that waits for room in the channel ends when the receiver is dropped.
            drop(events);
            let read = joined(reading.join());
            worked?;
            read?;
            Ok((stats?, published?))
        })
    }

    /// The workers of `nunchi run`.
    fn work(&self) -> anyhow::Result<()> {
        self.pipeline.run(|| SlotClassifier::new(Arc::clone(&self.slot)))?;
        Ok(())
    }

    /// Publishes once the workers have joined, and returns how many records.
    fn publish(&self, rate: f64, limit: Limit) -> anyhow::Result<u64> {
        let deadline = Instant::now() + JOIN_TIMEOUT;
        while !self.pipeline.health.not_ready().is_empty()
            && !self.pipeline.stop.sleep(Duration::from_millis(20))
        {
            if Instant::now() > deadline {
                bail!(
                    "the workers did not become ready within 20 s: {}",
                    self.pipeline.health.not_ready().join("; ")
                );
            }
        }
        self.pipeline.stop.sleep(SETTLE);
        let publisher =
            Publisher::connect(&self.pipeline.clients.plain(), &self.pipeline.config.input.topic)?;
        let mut stream = Stream::new(rand::random(), "demo", BROKEN_SHARE);
        let published = publisher.publish(&mut stream, rate, limit, &self.pipeline.stop, |published| {
            self.published.store(published, Ordering::Relaxed);
            let in_flight = published.saturating_sub(self.answered.load(Ordering::Relaxed));
            MAX_IN_FLIGHT.saturating_sub(in_flight)
        })?;
        self.published.store(published, Ordering::Relaxed);
        self.published_all.store(true, Ordering::Release);
        Ok(published)
    }

    /// A reader of verdicts and dead letters.
    fn result_reader(&self) -> anyhow::Result<ResultReader> {
        let mut client = self.pipeline.clients.plain();
        client.set("fetch.wait.max.ms", FETCH_WAIT_MS.to_string());
        ResultReader::new(
            &client,
            &self.pipeline.config.output.topic,
            &self.pipeline.config.dead_letters.topic,
        )
    }

    /// Whether everything that was published is answered, or a stop was requested.
    fn done(&self) -> bool {
        let answered = self.answered.load(Ordering::Relaxed) >= self.published.load(Ordering::Relaxed);
        self.pipeline.stop.requested() || (self.published_all.load(Ordering::Acquire) && answered)
    }

    /// A thread that fails ends the demo.
    fn or_stop<T>(&self, result: anyhow::Result<T>) -> anyhow::Result<T> {
        if result.is_err() {
            self.pipeline.stop.request();
        }
        result
    }
}

/// What a thread returned, or that it panicked.
fn joined<T>(result: std::thread::Result<anyhow::Result<T>>) -> anyhow::Result<T> {
    result.unwrap_or_else(|_| Err(InternalError("a thread of the demo panicked").into()))
}
