//! `nunchi evaluate`

use super::columns::ColumnArgs;
use super::model::{StoreArgs, find_model};
use crate::training::evaluation::{self, Judge};
use crate::training::metrics::Metrics;
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::Path;
use std::process::ExitCode;

/// Flags of `nunchi evaluate`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "nunchi evaluate [OPTIONS] <MODEL>... <DATA>")]
pub struct Args {
    /// One or more models (files; with a store also VERSIONs, aliases or current), then the data to measure them on: TSV,
    /// CSV or JSONL (.gz too) with a header
    #[arg(value_name = "MODEL… DATA", required = true, num_args = 2..)]
    paths: Vec<String>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    columns: ColumnArgs,
    /// Print a JSON object a model: records, accuracy, f1, auc, log_loss, ece (fractions)
    #[arg(long)]
    json: bool,
    /// Judge with the readable reference mathematics instead of the engine
    #[arg(long)]
    reference: bool,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (data, models) = args.paths.split_last().context("name a model and a data file")?;
    let mut judges = Vec::with_capacity(models.len());
    let store = args.store.url()?;
    for name in models {
        let model = find_model(Some(name), store.as_deref())?;
        judges.push(if args.reference { Judge::reference(model) } else { Judge::engine(model)? });
    }
    let labels = judges[0].model().labels.clone();
    for (judge, name) in judges.iter().zip(models) {
        if judge.model().labels != labels {
            bail!(
                "{} tells {} apart and {name} tells {}: they cannot be measured side by side",
                models[0],
                labels.join(", "),
                judge.model().labels.join(", ")
            );
        }
    }
    if args.columns.stars() && labels.len() != 2 {
        bail!("stars give two classes, and {} has {}", models[0], labels.len());
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} comments judged, {per_sec}")
        .expect("the template is valid");
    let bar = ProgressBar::new_spinner().with_style(style);
    let columns = args.columns.columns(Path::new(data), &labels)?;
    let (metrics, counts) =
        evaluation::evaluate(&mut judges, Path::new(data), &columns, |judged| bar.inc(judged as u64))?;
    bar.finish_and_clear();
    if counts.dropped + counts.bad > 0 {
        eprintln!("left out: {} rows of no class, {} unreadable", counts.dropped, counts.bad);
    }
    if args.json {
        for (judge, metrics) in judges.iter().zip(&metrics) {
            let mut object = serde_json::to_value(metrics)?;
            object["model"] = judge.model().version.as_str().into();
            println!("{object}");
        }
    } else {
        print_table(&judges, &metrics);
    }
    Ok(ExitCode::SUCCESS)
}

/// One row a model, best accuracy marked where there are several.
fn print_table(judges: &[Judge], metrics: &[Metrics]) {
    let widest = judges.iter().map(|judge| judge.model().name.chars().count()).max().unwrap_or(0).max(5);
    println!(
        "{:widest$}  {:12}  {:>9}  {:>9}  {:>7}  {:>7}  {:>8}  {:>7}",
        "model", "version", "records", "accuracy", "F1", "AUC", "log loss", "ECE"
    );
    let best = metrics.iter().map(|metrics| metrics.accuracy).fold(0.0, f64::max);
    for (judge, metrics) in judges.iter().zip(metrics) {
        let mark = if judges.len() > 1 && metrics.accuracy == best { "  *" } else { "" };
        println!(
            "{:widest$}  {:12}  {:>9}  {:>7.2} %  {:>7.4}  {:>7.4}  {:>8.4}  {:>7.4}{mark}",
            judge.model().name,
            judge.model().version,
            metrics.records,
            metrics.accuracy * 100.0,
            metrics.f1,
            metrics.auc,
            metrics.log_loss,
            metrics.ece
        );
    }
}
