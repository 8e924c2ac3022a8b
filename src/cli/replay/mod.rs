//! `nunchi replay`: a range of history classified again, into a topic, into a file, or by two models for a report.

mod args;
mod compare;
mod html;
mod progress;
mod report;
mod values;

pub use args::Args;
pub(super) use progress::grouped;
pub(super) use values::{Moment, span, tell_zone, time, zone, zone_name};

use self::progress::{Shown, human_time};
use super::decision::policy;
use super::exit::UsageError;
use super::model;
use super::run::{Server, runtime};
use super::settings::Settings;
use super::signals::{interrupted, stop_on_signals};
use crate::cli::exit::ExitStatus;
use crate::cli::printer::{errln, outln};
use crate::config::{Config, Log};
use crate::http;
use crate::http::{Access, Admin, Tls};
use crate::pipeline::{LabelFilter, ModelSlot, ParallelClassifier, SlotClassifier, worker_count};
use crate::replay::{Outcome, Replay, ReplayContext, ReplaySpec, ReplayStatus, Request, Target};
use crate::stop::Stop;
use crate::telemetry::{Health, Metrics, init_logs};
use arc_swap::ArcSwap;
use nunchi_engine::LoadedModel;
use serde_json::{Value, json};
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// What every kind of replay needs.
struct Setup<'a> {
    args: &'a Args,
    config: Config,
    loaded: Arc<LoadedModel>,
    metrics: Metrics,
    stop: Stop,
}

/// Loads the settings and sets the logs up; all errors at once.
fn settings(args: &Args) -> anyhow::Result<Config> {
    let mut errors = args.errors();
    let loaded = Settings::load(args.config.as_deref(), &args.flags());
    let loaded = match loaded {
        Ok(loaded) if errors.is_empty() => loaded,
        Ok(_) => return Err(UsageError(errors).into()),
        Err(more) if errors.is_empty() => return Err(more.into()),
        Err(more) => {
            errors.push(more.to_string());
            return Err(UsageError(errors).into());
        }
    };
    args.tell_zone();
    let mut config = loaded.into_config();
    let quiet = !args.json && std::io::stderr().is_terminal();
    if quiet && config.log.level == Log::default().level {
        // Log lines would break the progress bar.
        "warn".clone_into(&mut config.log.level);
    }
    init_logs(&config.log)?;
    Ok(config)
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let args = &args;
    let config = settings(args)?;
    if let Some(models) = &args.compare {
        return compare::run(args, config, models);
    }
    let name = config.model.path.as_deref().map(|path| path.to_string_lossy());
    let model = model::find_model(name.as_deref(), config.registry.url.as_deref())?;
    let loaded = LoadedModel::new(model, config.engine.kernel.as_deref().map(str::parse).transpose()?)?;
    let loaded = Arc::new(loaded.with_decision(policy(&config))?);
    let metrics = Metrics::new();
    metrics.set_model(&loaded.model().version, loaded.precision().name(), loaded.kernel().name());
    let stop = Stop::new();
    stop_on_signals(&stop)?;
    Setup { args, config, loaded, metrics, stop }.run()
}

impl Setup<'_> {
    fn run(&self) -> anyhow::Result<ExitStatus> {
        let args = self.args;
        let id = args.id.clone().unwrap_or_else(generated_id);
        let labels = self.chosen_labels(args.where_label.as_deref())?;
        let model = self.loaded.model().version.clone();
        let spec = if args.is_as_planned() {
            ReplaySpec::AsPlanned { model }
        } else {
            ReplaySpec::Request(self.request(model))
        };
        let begin = Instant::now();
        let replay = Replay::prepare(&self.config, &id, &spec)?;
        print_plan(&replay, begin.elapsed(), args.json);
        if replay.status == ReplayStatus::Finished {
            self.print_finished_before(&replay);
            return Ok(ExitStatus::Done);
        }
        let labels = match labels {
            Some(labels) => Some(labels),
            None => self.chosen_labels(replay.plan.request.labels.as_deref())?,
        };
        self.answer(&replay, labels.unwrap_or_default())
    }

    fn request(&self, model: String) -> Request {
        let (args, config) = (self.args, &self.config);
        let target = match &args.to_file {
            Some(file) => {
                Target::File(std::path::absolute(file).unwrap_or_else(|_| file.clone()).display().to_string())
            }
            None => Target::Topic {
                verdicts: config.output.topic.clone(),
                dead_letters: config.dead_letters.topic.clone(),
            },
        };
        let labels = args.where_label.clone().map(|mut labels| {
            labels.sort();
            labels.dedup();
            labels
        });
        Request {
            topic: config.input.topic.clone(),
            partitions: args.partition.clone(),
            from: args.begin(),
            to: args.end(),
            late_ms: args.late_ms(),
            model,
            labels,
            target,
        }
    }

    /// The selected labels; `None` if the flag was not given.
    fn chosen_labels(&self, selected: Option<&[String]>) -> anyhow::Result<Option<LabelFilter>> {
        let Some(selected) = selected else { return Ok(None) };
        let labels = &self.loaded.model().labels;
        if let Some(unknown) = selected.iter().find(|label| !labels.contains(label)) {
            let message = format!(
                "the model has no label `{unknown}` (--where-label); its labels are {}",
                labels.join(", ")
            );
            return Err(UsageError::new(message).into());
        }
        Ok(Some(LabelFilter::only(labels.iter().map(|label| selected.contains(label)).collect())))
    }

    fn print_finished_before(&self, replay: &Replay) {
        let at = replay.plan.completed_at.map_or_else(String::new, |at| at.to_string());
        if self.args.json {
            outln!("{}", json!({"event": "already_finished", "id": replay.plan.id, "finished_at": at}));
        } else {
            errln!("replay {} was finished at {at}: nothing to do", replay.plan.id);
        }
    }

    /// Classifies the records of the plan into its target.
    fn answer(&self, replay: &Replay, labels: LabelFilter) -> anyhow::Result<ExitStatus> {
        let config = replay.config();
        let stall = Duration::from_secs(config.worker.stall_seconds);
        let workers = match replay.plan.request.target {
            Target::Topic { .. } => worker_count(config),
            Target::File(_) | Target::Report => 1,
        };
        let health = Arc::new(Health::new(workers, stall));
        health.set_model_loaded();
        let slot: ModelSlot = Arc::new(ArcSwap::from(Arc::clone(&self.loaded)));
        let shown = self.shown(replay);
        let begin = Instant::now();
        let (runtime, server) = self.serve(&health, &slot)?;
        let context = ReplayContext {
            metrics: &self.metrics,
            health: &health,
            stop: &self.stop,
            pace: self.args.pace(),
            labels,
            observer: &|progress| shown.show(progress),
        };
        let outcome = match &replay.plan.request.target {
            Target::Topic { .. } => replay.into_topic(&context, || {
                SlotClassifier::new(Arc::clone(&slot)).with_sentences(config.output.sentences)
            }),
            Target::File(path) => {
                let classifier = ParallelClassifier::new(&slot, worker_count(config))
                    .with_sentences(config.output.sentences);
                replay.into_file(Path::new(path), &context, classifier)
            }
            Target::Report => unreachable!("a comparison has no recorded plan"),
        };
        server.end(&runtime);
        shown.clear();
        Ok(self.print_end(replay, &shown, &outcome?, begin.elapsed()))
    }

    fn shown(&self, replay: &Replay) -> Shown {
        let model = self.loaded.model();
        Shown::new(&replay.plan.id, &model.labels, &model.version, &self.metrics, self.args.json)
    }

    /// The admin server, as `run` has one.
    fn serve(&self, health: &Arc<Health>, slot: &ModelSlot) -> anyhow::Result<(Runtime, Server)> {
        let runtime = runtime()?;
        let (access, tls) = (Access::resolve(&self.config.http)?, Tls::load(&self.config.http)?);
        let listener = runtime.block_on(http::bind(&self.config.http.address))?;
        let admin = Admin::new(self.metrics.clone(), Arc::clone(health), Arc::clone(slot))
            .with_access(access)
            .with_tls(tls);
        let server = Server::start(&runtime, listener, admin)?;
        Ok((runtime, server))
    }

    fn print_end(&self, replay: &Replay, shown: &Shown, outcome: &Outcome, time: Duration) -> ExitStatus {
        let (id, seconds) = (&replay.plan.id, time.as_secs_f64());
        match outcome {
            Outcome::Finished { at, progress } => {
                if self.args.json {
                    outln!("{}", shown.end("finished", progress, seconds, &[("finished_at", json!(at))]));
                } else {
                    let labels: Vec<String> = shown
                        .labels()
                        .iter()
                        .map(|(label, count)| format!("{label} {}", grouped(*count)))
                        .collect();
                    errln!(
                        "replay {id} is finished: this process answered {} records in {} ({:.1} k/s): {}; dead letters \
                         {}; outside of the range {}; labels not selected {}",
                        grouped(progress.answered),
                        human_time(seconds),
                        progress.answered as f64 / seconds.max(1e-3) / 1_000.0,
                        labels.join(", "),
                        grouped(progress.dead_letters),
                        grouped(progress.outside),
                        grouped(progress.left_out),
                    );
                }
                ExitStatus::Done
            }
            Outcome::Stopped { progress } => {
                let again = self.command_to_go_on(id);
                if self.args.json {
                    outln!("{}", shown.end("stopped", progress, seconds, &[("go_on", json!(again))]));
                } else {
                    errln!(
                        "replay {id} stopped at {:.1} %, and what was answered is committed; continue with\n  {again}",
                        progress.share() * 100.0
                    );
                }
                interrupted()
            }
        }
    }

    /// The command line that continues this one.
    fn command_to_go_on(&self, id: &str) -> String {
        let quoted = |word: String| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
            if !word.is_empty() && word.chars().all(plain) {
                word
            } else {
                format!("'{}'", word.replace('\'', "'\\''"))
            }
        };
        let mut words: Vec<String> = std::env::args().map(quoted).collect();
        if self.args.id.is_none() {
            words.extend(["--id".to_owned(), id.to_owned()]);
        }
        words.join(" ")
    }
}

/// Prints the plan, and the parts of the range beyond retention.
fn print_plan(replay: &Replay, took: Duration, json: bool) {
    let (plan, request) = (&replay.plan, &replay.plan.request);
    if json {
        let shares: Vec<Value> = plan.shares.iter().map(|share| json!(share)).collect();
        let event = json!({
            "event": "plan", "id": plan.id, "topic": request.topic, "from": request.from, "to": request.to,
            "late_ms": request.late_ms, "model": request.model, "labels": request.labels,
            "target": request.target, "shares": shares, "offsets": plan.offsets(), "gone": replay.retention_gaps,
            "planned_in_s": (took.as_secs_f64() * 1e3).round() / 1e3,
            "standing": match replay.status {
                ReplayStatus::New => "new",
                ReplayStatus::Planned => "planned",
                ReplayStatus::Finished => "finished",
            },
        });
        outln!("{event}");
        return;
    }
    let bound = |bound: &Option<crate::replay::Bound>, open: &str| {
        bound.as_ref().map_or_else(|| open.to_owned(), ToString::to_string)
    };
    errln!(
        "replay {}: `{}` from {} to {}, {} offsets in {} partitions, model {}, to {}{}",
        plan.id,
        request.topic,
        bound(&request.from, "the beginning"),
        bound(&request.to, "the end"),
        grouped(plan.offsets().unsigned_abs()),
        plan.shares.len(),
        request.model,
        request.target,
        if replay.status == ReplayStatus::Planned { "; continuing an existing plan" } else { "" },
    );
    for gap in &replay.retention_gaps {
        errln!("{gap}");
    }
}

/// A unique name: the time and a random number.
fn generated_id() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    format!("{now}-{:04x}", rand::random::<u16>())
}
