//! `nunchi replay --compare A,B`: two models classify the same records; the report goes to the terminal, to a page, to JSON.

use super::progress::Shown;
use super::{Args, generated_id, html, print_plan, report};
use crate::cli::decision::policy;
use crate::cli::exit::ExitStatus;
use crate::cli::exit::UsageError;
use crate::cli::model::find_model;
use crate::cli::printer::{errln, out, outln};
use crate::cli::signals::{interrupted, stop_on_signals};
use crate::cli::whole_file::write_whole;
use crate::config::Config;
use crate::pipeline::{LabelFilter, ModelSlot, ParallelClassifier, worker_count};
use crate::replay::{Replay, ReplayContext, Request, Target};
use crate::stop::Stop;
use crate::telemetry::{Health, Metrics};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use nunchi_engine::LoadedModel;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Runs the comparison.
pub(super) fn run(args: &Args, config: Config, names: &[String]) -> anyhow::Result<ExitStatus> {
    let [first, second] = names else { unreachable!("the flags were checked") };
    let load = |name: &str| -> anyhow::Result<Arc<LoadedModel>> {
        let model = find_model(Some(name), config.registry.url.as_deref())
            .with_context(|| format!("--compare {name}"))?;
        let loaded = LoadedModel::new(model, config.engine.kernel.as_deref().map(str::parse).transpose()?)?;
        Ok(Arc::new(loaded.with_decision(policy(&config))?))
    };
    if let Some(page) = &args.html {
        // Checked before the work, not after it.
        let folder = page.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(
                UsageError::new(format!("the folder {} (--html) does not exist", folder.display())).into()
            );
        }
    }
    let loaded = [load(first)?, load(second)?];
    let stop = Stop::new();
    stop_on_signals(&stop)?;
    let request = Request {
        topic: config.input.topic.clone(),
        partitions: args.partition.clone(),
        from: args.begin(),
        to: args.end(),
        late_ms: args.late_ms(),
        model: format!("{} and {}", loaded[0].model().version, loaded[1].model().version),
        labels: None,
        target: Target::Report,
    };
    let id = args.id.clone().unwrap_or_else(generated_id);
    let begin = Instant::now();
    let replay = Replay::for_comparison(&config, &id, &request)?;
    if !args.json {
        print_plan(&replay, begin.elapsed(), false);
    }
    let health = Arc::new(Health::new(1, Duration::from_secs(config.worker.stall_seconds)));
    health.set_model_loaded();
    let metrics = Metrics::new();
    // No verdict is written, so none is counted by label.
    let shown = Shown::new(&id, &[], "", &metrics, false);
    let context = ReplayContext {
        metrics: &metrics,
        health: &health,
        stop: &stop,
        pace: args.pace(),
        labels: LabelFilter::default(),
        observer: &|progress| shown.show(progress),
    };
    let workers = worker_count(&config);
    let classifiers = [0, 1].map(|side: usize| {
        let slot: ModelSlot = Arc::new(ArcSwap::from(Arc::clone(&loaded[side])));
        ParallelClassifier::new(&slot, workers)
    });
    let compared = replay.compare(&context, short_names(first, second), classifiers);
    shown.clear();
    let compared = compared?;
    if args.json {
        outln!("{}", report::json(&compared));
    } else {
        out!("{}", report::terminal(&compared));
    }
    if let Some(page) = &args.html {
        write_whole(page, html::page(&compared))?;
        errln!("the report is in {}", page.display());
    }
    if !compared.complete {
        errln!("stopped before the end: the report covers what was classified until then");
    }
    Ok(if compared.complete { ExitStatus::Done } else { interrupted() })
}

/// The models' names in the report: a file's name without folders, if the two differ.
fn short_names(first: &str, second: &str) -> [String; 2] {
    let short = |name: &str| {
        let stem = Path::new(name).file_stem().filter(|_| Path::new(name).is_file());
        stem.map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned())
    };
    let names = [short(first), short(second)];
    if names[0] == names[1] { [first.to_owned(), second.to_owned()] } else { names }
}
