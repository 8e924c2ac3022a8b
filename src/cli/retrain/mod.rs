//! `nunchi retrain`: one run, or one at every time of a schedule.

mod args;

pub use args::Args;

use super::exit::UsageError;
use super::progress::TrainingBar;
use super::settings::Settings;
use super::signals::{interrupted, stop_on_signals};
use super::whole_file::write_whole;
use crate::cli::exit::ExitStatus;
use crate::cli::printer::{errln, outln};
use crate::config::{Config, Log};
use crate::registry::{RegistryError, Store};
use crate::retraining::report::Ending;
use crate::retraining::schedule::Schedule;
use crate::retraining::{RetrainError, RetrainOutcome, page, retrain};
use crate::stop::Stop;
use crate::telemetry::init_logs;
use anyhow::Context as _;
use jiff::{Timestamp, Unit};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    if let Some(error) = args.error() {
        return Err(UsageError::new(error).into());
    }
    let schedule = args.schedule().map_err(UsageError::new)?;
    let mut config = Settings::load(args.config.as_deref(), &args.flags())?.into_config();
    if config.log.level == Log::default().level {
        // A run prints its own progress.
        "warn".clone_into(&mut config.log.level);
    }
    init_logs(&config.log)?;
    args.tell_zone();
    let url = config.registry.url.clone().ok_or(RegistryError::NoStore)?;
    if let Some(folder) = &args.run.report {
        // Checked before an hour of training, not after it.
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    lower_priority(args.run.nice);
    let stop = Stop::new();
    stop_on_signals(&stop)?;
    match schedule {
        None => match once(&args, &config, &url, &stop) {
            Err(error) if is_stopped(&error) => {
                errln!("nunchi: {error:#}");
                Ok(interrupted())
            }
            other => other,
        },
        Some(schedule) => again_and_again(&args, &config, &url, &stop, &schedule),
    }
}

/// Whether a run ended because a stop was requested.
fn is_stopped(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(RetrainError::Stopped))
}

/// Lowers the priority of this process; threads that are started from here on inherit it.
fn lower_priority(nicer: i32) {
    if let Err(error) = rustix::process::nice(nicer) {
        errln!("nunchi: cannot lower the priority (--nice): {error}");
    }
}

/// One run.
fn once(args: &Args, config: &Config, url: &str, stop: &Stop) -> anyhow::Result<ExitStatus> {
    let request = args.request(config, Timestamp::now());
    let store = Store::open(url)?;
    let epochs = request.recipe.settings.epochs;
    let progress = Box::new(TrainingBar::new(epochs));
    let finished = retrain(&request, &store, stop, progress, &|line| errln!("{line}"))?;
    let files = args.run.report.as_deref().map(|folder| write(folder, &finished));
    let files = match files.transpose() {
        Ok(files) => files,
        Err(error) => {
            // No failure of the run: the manifest holds the report, too.
            errln!("nunchi: the report cannot be written: {error:#}");
            None
        }
    };
    print_outcome(&finished, files.as_ref(), args.run.json);
    Ok(match finished.report.ending {
        Ending::Promoted => ExitStatus::Done,
        Ending::Published => ExitStatus::PublishedOnly,
        Ending::Rejected => ExitStatus::Rejected,
        Ending::NotEnoughData => ExitStatus::NotEnoughData,
    })
}

/// A run at every time of the schedule, until a stop is requested. A failed run is reported, and the next one starts all
/// the same; a time that passes while a run lasts is left out.
fn again_and_again(
    args: &Args,
    config: &Config,
    url: &str,
    stop: &Stop,
    schedule: &Schedule,
) -> anyhow::Result<ExitStatus> {
    // A store that cannot be opened is an error now, not at the first run.
    Store::open(url)?;
    while let Some(next) = schedule.next(Timestamp::now()) {
        errln!("the next run is at {next}");
        if sleep_until(next, stop) {
            return Ok(ExitStatus::Done);
        }
        match once(args, config, url, stop) {
            Ok(_) => {}
            Err(error) if is_stopped(&error) => return Ok(ExitStatus::Done),
            Err(error) if ExitStatus::of(&error) == ExitStatus::Usage => return Err(error),
            Err(error) => {
                errln!("nunchi: this run failed: {error:#}");
                if args.run.json {
                    outln!("{}", json!({ "result": "failed", "why": format!("{error:#}") }));
                }
            }
        }
    }
    anyhow::bail!("the schedule has no time in the future")
}

/// Sleeps until `time`, by the system clock; whether a stop was requested.
fn sleep_until(time: Timestamp, stop: &Stop) -> bool {
    loop {
        let left = time.duration_since(Timestamp::now());
        if left.is_zero() || left.is_negative() {
            return stop.requested();
        }
        // In steps: clocks are adjusted, machines are suspended.
        let step = Duration::try_from(left).unwrap_or_default().min(Duration::from_secs(30));
        if stop.sleep(step) {
            return true;
        }
    }
}

/// Writes the report's JSON and its page; their paths.
fn write(folder: &Path, finished: &RetrainOutcome) -> anyhow::Result<[PathBuf; 2]> {
    let report = &finished.report;
    let [json, html] = ["json", "html"].map(|extension| folder.join(format!("{}.{extension}", report.run)));
    let content = serde_json::to_vec_pretty(&report.to_value())?;
    for (path, content) in [(&json, content), (&html, page::page(report).into_bytes())] {
        write_whole(path, content)?;
    }
    Ok([json, html])
}

/// Prints the outcome: a few lines on standard error, and one JSON object on request.
fn print_outcome(finished: &RetrainOutcome, files: Option<&[PathBuf; 2]>, as_json: bool) {
    let report = &finished.report;
    let version = finished.manifest.as_ref().map(|manifest| &manifest.version);
    let alias = finished.manifest.as_ref().map(|manifest| &manifest.alias);
    for check in &report.verdict.checks {
        let mark = if check.passed { "passed" } else { "FAILED" };
        errln!("gate: {}: {mark}: {}", check.name, check.finding);
    }
    if let Some([_, html]) = files {
        errln!("the report is in {}", html.display());
    }
    let named = match (version, alias) {
        (Some(version), Some(alias)) => format!("{version} ({alias})"),
        _ => "nothing".to_owned(),
    };
    match report.ending {
        Ending::Promoted => errln!("{named} is current now: {}", report.why),
        Ending::Published => errln!("{named} is published, not promoted: {}", report.why),
        Ending::Rejected if version.is_none() => errln!("the candidate {}", report.why),
        Ending::Rejected => errln!("{named} is published as rejected: it {}", report.why),
        Ending::NotEnoughData => errln!("nothing was trained: {}", report.why),
    }
    if as_json {
        let sets: serde_json::Map<String, serde_json::Value> = report
            .sets
            .iter()
            .map(|set| {
                let figures = json!({
                    "records": set.candidate.records,
                    "current": set.current.accuracy,
                    "candidate": set.candidate.accuracy,
                });
                (set.name.clone(), figures)
            })
            .collect();
        let finished_at = Timestamp::now().round(Unit::Second).unwrap_or_default();
        outln!(
            "{}",
            json!({
                "result": report.ending.name(), "run": report.run, "version": version, "alias": alias,
                "parent": report.parent, "entry": finished.entry.as_ref().map(|entry| entry.number),
                "why": report.why, "accuracy": sets, "seconds": report.seconds, "finished_at": finished_at,
                "report": files.map(|[json, _]| json), "page": files.map(|[_, html]| html),
            })
        );
    }
}
