//! `nunchi run`: settings, model, admin server, signals, and the workers until a stop is requested.

use super::decision::policy;
use super::settings::Settings;
use super::signals::on_signals;
use crate::cli::exit::ExitStatus;
use crate::config::{Config, Flag};
use crate::http;
use crate::http::{Access, Admin, Tls};
use crate::kafka::library;
use crate::pipeline::{Pipeline, SlotClassifier, worker_count};
use crate::registry::{CanaryThresholds, FollowSettings, Follower, Log, actor, load_current};
use crate::stop::Stop;
use crate::telemetry::{Health, Metrics, init_logs};
use anyhow::Context;
use nunchi_engine::LoadedModel;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Flags of `nunchi run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Settings come from defaults, then the file, then the environment (NUNCHI__SECTION__KEY), then flags; config/nunchi.toml
lists them all. The first SIGTERM or SIGINT finishes the batch, commits it and leaves the group; a second one aborts.

Examples:
  nunchi run --brokers localhost:9092 --input comments --output verdicts --dead-letters comments-dead-letters
  nunchi run --config nunchi.toml --workers 4 --set worker.batch_records=8192
  nunchi run --set kafka.properties.security.protocol=SASL_SSL --set 'kafka.properties.sasl.password={ env = \"PASSWORD\" }'

Exit status: 0 stopped cleanly, 1 failed, 64 wrong usage or configuration")]
pub struct Args {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Bootstrap brokers [default: localhost:9092]
    #[arg(long, value_name = "HOST:PORT,…")]
    brokers: Option<String>,
    /// The topic of comments [default: comments]
    #[arg(long, value_name = "TOPIC")]
    input: Option<String>,
    /// The topic of verdicts [default: verdicts]
    #[arg(long, value_name = "TOPIC")]
    output: Option<String>,
    /// The topic of dead letters, records that cannot be classified [default: comments-dead-letters]
    #[arg(long, value_name = "TOPIC")]
    dead_letters: Option<String>,
    /// The consumer group; its processes share the partitions [default: nunchi]
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    /// The guarantee [default: exactly_once]
    #[arg(long, value_name = "exactly_once|at_least_once")]
    delivery: Option<String>,
    /// Worker threads; 0 is one a core [default: 1]
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    /// A model file; with a store a VERSION, an alias such as v7, or current as it is at start [default: the store's
    /// current version, followed as it changes; without a store the shipped model]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// The store of model versions: a folder, file://, s3://, gs:// or az://
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Force a kernel [default: the best one for this CPU]
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Address of the admin server; port 0 takes a free one [default: 127.0.0.1:9600]
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    /// Any other setting; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

impl Args {
    /// The settings that were given as flags; dedicated flags win over `--set`.
    fn flags(&self) -> Vec<Flag> {
        let dedicated = [
            ("--brokers", "kafka.brokers", &self.brokers),
            ("--input", "input.topic", &self.input),
            ("--output", "output.topic", &self.output),
            ("--dead-letters", "dead_letters.topic", &self.dead_letters),
            ("--group", "kafka.group", &self.group),
            ("--delivery", "kafka.delivery", &self.delivery),
            ("--workers", "worker.workers", &self.workers),
            ("--model", "model.path", &self.model),
            ("--store", "registry.url", &self.store),
            ("--kernel", "engine.kernel", &self.kernel),
            ("--http", "http.address", &self.http),
        ];
        let given =
            dedicated.into_iter().filter_map(|(flag, key, value)| Some(Flag::new(flag, key, value.clone()?)));
        self.set.iter().map(|assignment| Flag::set(assignment)).chain(given).collect()
    }
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let settings = Settings::load(args.config.as_deref(), &args.flags())?;
    init_logs(&settings.config().log)?;
    let pipeline = Pipeline::new(settings.config().clone(), settings.clients);
    let Pipeline { config, metrics, health, .. } = &pipeline;
    let (loaded, follow) = model(config, metrics)?;
    log_configuration(config, &loaded);
    let slot = pipeline.serve(loaded);

    let runtime = runtime()?;
    drain_on_signals(pipeline.stop.clone(), Arc::clone(health))?;
    let (access, tls) = (Access::resolve(&config.http)?, Tls::load(&config.http)?);
    let listener = runtime.block_on(http::bind(&config.http.address))?;
    let follower = follow
        .map(|(follow, log)| Follower::start(follow, Arc::clone(&slot), log))
        .transpose()
        .context("cannot start the thread that follows the store")?;
    let admin = Admin::new(metrics.clone(), Arc::clone(health), Arc::clone(&slot))
        .with_sentences(config.output.sentences)
        .with_access(access)
        .with_tls(tls)
        .with_reload(follower.as_ref().map(Follower::reload));
    let server = Server::start(&runtime, listener, admin)?;

    let mirror = follower.as_ref().map(Follower::mirror);
    let result = pipeline.run(|| {
        SlotClassifier::new(Arc::clone(&slot))
            .with_sentences(config.output.sentences)
            .with_mirror(mirror.clone())
    });
    server.end(&runtime);
    drop(follower);
    let summary = result?;
    tracing::info!(records = summary.records, "stopped cleanly");
    Ok(ExitStatus::Done)
}

/// The first model; and, where none is named but a store is, the settings to follow the store.
fn model(config: &Config, metrics: &Metrics) -> anyhow::Result<(LoadedModel, Option<(FollowSettings, Log)>)> {
    let kernel = config.engine.kernel.clone();
    let (name, url) = (config.model.path.as_deref(), config.registry.url.as_deref());
    let Some(url) = url.filter(|_| name.is_none()) else {
        let name = name.map(|path| path.to_string_lossy());
        let model = super::model::find_model(name.as_deref(), url)?;
        let loaded = LoadedModel::new(model, kernel.as_deref().map(str::parse).transpose()?)?;
        return Ok((loaded.with_decision(policy(config))?, None));
    };
    let interval = Duration::from_secs_f64(config.registry.interval);
    let settings = &config.registry;
    let follow = FollowSettings {
        url: url.to_owned(),
        interval,
        kernel,
        decision: policy(config),
        metrics: metrics.clone(),
        thresholds: CanaryThresholds::from(settings),
        shadow: settings.shadow.clone().map(|name| (name, settings.shadow_share)),
        actor: format!("nunchi run, {}, group {}", actor(), config.kafka.group),
    };
    let (loaded, log) = load_current(&follow)?;
    tracing::info!(store = url, interval = config.registry.interval, "following the store of models");
    Ok((loaded, Some((follow, log))))
}

fn log_configuration(config: &Config, loaded: &LoadedModel) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        model = loaded.model().version,
        name = loaded.model().name,
        kernel = loaded.kernel().name(),
        precision = loaded.precision().name(),
        "the model is loaded"
    );
    if let Some(decision) = loaded.decision() {
        tracing::info!("{decision}");
    }
    tracing::info!(
        brokers = config.kafka.brokers,
        librdkafka = library(),
        group = config.kafka.group,
        delivery = ?config.kafka.delivery,
        workers = worker_count(config),
        input = config.input.topic,
        output = config.output.topic,
        dead_letters = config.dead_letters.topic,
        "classifying"
    );
}

/// Everything asynchronous: the admin server. Two threads, since workers have the cores.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(2)
        .thread_name("nunchi-admin")
        .enable_all()
        .build()
        .context("cannot start the threads of the admin server")
}

/// The running admin server.
pub(super) struct Server {
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(super) fn start(runtime: &Runtime, listener: TcpListener, admin: Admin) -> anyhow::Result<Self> {
        let address = listener.local_addr().context("the admin server's address is unknown")?;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = runtime.spawn(http::serve(listener, admin, async {
            // Also done if the sender was dropped.
            let _ = stopped.await;
        }));
        tracing::info!(%address, "the admin server listens");
        Ok(Server { stop, task })
    }

    pub(super) fn end(self, runtime: &Runtime) {
        // It may have ended before.
        let _ = self.stop.send(());
        match runtime.block_on(self.task) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the admin server ended with an error"),
            Err(error) => tracing::warn!(%error, "the admin server ended with a panic"),
        }
    }
}

/// The first SIGTERM or SIGINT requests a stop of all workers, the second ends the process at once.
fn drain_on_signals(stop: Stop, health: Arc<Health>) -> anyhow::Result<()> {
    let first = move |signal| {
        tracing::info!(%signal, "stopping: the batch is finished and committed first; a second signal aborts");
        health.set_stopping();
        stop.request();
    };
    let second = |signal| {
        tracing::warn!(%signal, "aborted; what was not committed is processed again after a restart");
        // Not the status of interrupted work: a service never finishes by itself.
        ExitStatus::Failed
    };
    on_signals(first, second).context("cannot wait for SIGTERM and SIGINT")
}
