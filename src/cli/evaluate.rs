//! `nunchi evaluate`

mod decided;
mod pairs;
mod tables;

use super::columns::{ColumnArgs, tell_left_out, trimmed};
use super::decision::precision;
use super::exit::UsageError;
use super::model::{StoreArgs, find_model};
use super::whole_file::write_whole;
use crate::cli::exit::ExitStatus;
use crate::cli::printer::{errln, outln};
use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use nunchi_data::Columns;
use nunchi_engine::DecisionPolicy;
use nunchi_eval::evaluation::{self, ModelUnderTest, Observations, Part};
use nunchi_eval::influence_decay;
use nunchi_eval::metrics::Metrics;
use nunchi_eval::report::models::{Report, Subject, json_beside};
use nunchi_eval::spacing::Spacing;
use nunchi_model::Model;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Flags of `nunchi evaluate`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "nunchi evaluate [OPTIONS] <MODEL>... <DATA>\n       nunchi evaluate [OPTIONS] --pairs <FILE> <MODEL>..."
)]
pub struct Args {
    /// One or more models (files; with a store also VERSIONs, aliases or current), then the data to measure them on: CSV,
    /// TSV, JSON, Excel or Parquet, compressed or not, in any encoding. With --pairs only models
    #[arg(value_name = "MODEL… DATA", required = true, num_args = 1..)]
    paths: Vec<String>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    columns: ColumnArgs,
    /// What DATA calls the model's classes, in the model's order (default: as the model does)
    #[arg(
        long,
        value_name = "A,B,…",
        value_delimiter = ',',
        help_heading = "Data",
        conflicts_with = "pairs"
    )]
    labels: Option<Vec<String>>,
    /// Print a JSON object a model: records, accuracy, f1, auc, log_loss, ece (fractions); recall by class, accuracy by
    /// length (`lengths`), risk against coverage (`coverage`), and with --by `groups`
    #[arg(long)]
    json: bool,
    /// Also show accuracy and recall by the values of this column of DATA (a domain, a product)
    #[arg(long, value_name = "COLUMN", conflicts_with = "pairs")]
    by: Option<String>,
    /// Also show what `decision.precision = P` leaves: the share that is answered and how many of these are right, by label and
    /// by the values of --by
    #[arg(long, value_name = "P", value_parser = precision, conflicts_with_all = ["pairs", "reference"])]
    precision: Option<f64>,
    /// Measure on pairs of comments instead, of which the first must have the lower score (see samples/README.md)
    #[arg(long, value_name = "FILE")]
    pairs: Option<PathBuf>,
    /// Print the pairs that a model orders wrongly, with their scores
    #[arg(long, requires = "pairs")]
    wrong: bool,
    /// Classify every comment with changed spaces
    #[arg(long, value_enum, value_name = "HOW")]
    spacing: Option<Spacing>,
    /// Classify with the reference implementation instead of the engine
    #[arg(long)]
    reference: bool,
    /// Write a report as one HTML page, and its figures beside it as FILE.json: ROC, calibration, confusion, length
    /// against accuracy, the largest errors with their texts
    #[arg(long, value_name = "FILE.html", value_parser = page_name)]
    report: Option<PathBuf>,
    /// Draw the influence decay of a comment's first token by distance, on DATA's long comments; for unidirectional
    /// networks
    #[arg(long, value_name = "FILE.svg")]
    fading: Option<PathBuf>,
}

fn page_name(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    json_beside(&path).map(|_| path).map_err(|error| error.to_string())
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    if let Some(pairs) = &args.pairs {
        let mut models = find_models(&args, &args.paths)?;
        return pairs::run(&mut models, pairs, args.json, args.wrong);
    }
    let [names @ .., data] = args.paths.as_slice() else { return Err(usage().into()) };
    if names.is_empty() {
        return Err(usage().into());
    }
    let mut models = find_models(&args, names)?;
    let labels = models[0].model().labels.clone();
    for (model, name) in models.iter().zip(names) {
        if model.model().labels != labels {
            bail!(
                "{} has the labels {} and {name} has {}: models with different labels cannot be measured together",
                names[0],
                labels.join(", "),
                model.model().labels.join(", ")
            );
        }
    }
    if args.columns.stars() && labels.len() != 2 {
        bail!("stars give two classes, and {} has {} labels; use --label-column", names[0], labels.len());
    }
    let columns = args.columns.columns(Path::new(data), &labels_of_data(&args, &labels)?)?;
    let seen = observe(&mut models, Path::new(data), &columns, args.by.as_deref())?;
    let metrics: Vec<Metrics> = seen.outcomes.iter().map(|outcomes| Metrics::of(outcomes)).collect();
    if args.json {
        for ((model, metrics), outcomes) in models.iter().zip(&metrics).zip(&seen.outcomes) {
            let mut object = serde_json::to_value(metrics)?;
            tables::add_json(&mut object, outcomes, &labels, &seen)?;
            if let Some(precision) = args.precision {
                object["precision"] = decided::json(precision, outcomes, &labels, &seen)?;
            }
            object["model"] = model.model().version.as_str().into();
            if let Some(spacing) = args.spacing {
                object["spacing"] = spacing.name().into();
            }
            outln!("{object}");
        }
    } else {
        print_table(&models, &metrics);
        tables::print(&columns_of(&models), &labels, &seen, args.precision);
    }
    if let Some(page) = &args.report {
        let subjects: Vec<Subject<'_>> =
            models.iter().map(|model| Subject { model: model.model(), history: None }).collect();
        let figures = Report::new(&subjects, &seen).write(page)?;
        errln!("wrote {} and {}", page.display(), figures.display());
    }
    if let Some(file) = &args.fading {
        draw_influence_decay(&models, Path::new(data), &columns, file)?;
    }
    Ok(ExitStatus::Done)
}

/// What the data calls the model's classes.
fn labels_of_data(args: &Args, labels: &[String]) -> Result<Vec<String>, UsageError> {
    let Some(named) = args.labels.as_deref().map(trimmed) else { return Ok(labels.to_vec()) };
    let different: HashSet<&str> = named.iter().map(String::as_str).collect();
    if named.len() != labels.len() || different.len() < named.len() {
        return Err(UsageError::new(format!(
            "--labels needs {} different names, one for each label of the model: {}",
            labels.len(),
            labels.join(", ")
        )));
    }
    Ok(named)
}

fn usage() -> UsageError {
    UsageError::new(
        "name one or more models and then the DATA to measure them on; or models and --pairs FILE",
    )
}

fn find_models(args: &Args, names: &[String]) -> anyhow::Result<Vec<ModelUnderTest>> {
    let store = args.store.url()?;
    let mut models = Vec::with_capacity(names.len());
    for name in names {
        let model = find_model(Some(name), store.as_deref())?;
        let policy = args.precision.map(DecisionPolicy::Precision);
        let model = match args.reference {
            true => ModelUnderTest::reference(model),
            false => ModelUnderTest::deciding(model, policy)?,
        };
        models.push(match args.spacing {
            Some(spacing) => model.respaced(spacing),
            None => model,
        });
    }
    Ok(models)
}

/// Draws how the influence of a first token decays, and states it at some distances.
fn draw_influence_decay(
    models: &[ModelUnderTest],
    data: &Path,
    columns: &Columns,
    file: &Path,
) -> anyhow::Result<()> {
    let models: Vec<&Model> = models.iter().map(ModelUnderTest::model).collect();
    let measured = influence_decay::measure(&models, data, columns)?;
    write_whole(file, influence_decay::chart(&measured))?;
    let places = [10, 20, influence_decay::TOKENS - 1];
    for one in &measured {
        let left = |shares: &[f64]| places.map(|at| format!("{:.0}", shares[at] * 100.0)).join(", ");
        errln!(
            "{}: of a first token's influence on the state {} % are left after {}, {} and {} further tokens, of that on \
             the verdict {} % ({} comments)",
            one.model,
            left(&one.left),
            places[0],
            places[1],
            places[2],
            left(&one.left_in_verdict),
            one.comments
        );
    }
    errln!("wrote {}", file.display());
    Ok(())
}

/// Classifies the file's comments with all models, and prints the number of rows that were left out.
fn observe(
    models: &mut [ModelUnderTest],
    data: &Path,
    columns: &Columns,
    by: Option<&str>,
) -> anyhow::Result<Observations> {
    let style = ProgressStyle::with_template("{spinner} {human_pos} comments classified, {per_sec}")
        .expect("the template is valid");
    let bar = ProgressBar::new_spinner().with_style(style);
    let seen = evaluation::observe(models, &[Part::whole(data)], columns, by, |classified| {
        bar.inc(classified as u64)
    })?;
    bar.finish_and_clear();
    if seen.dropped > 0 {
        errln!("{}: {} rows of no class: their stars are in the middle", data.display(), seen.dropped);
    }
    tell_left_out(data, &seen.left_out);
    Ok(seen)
}

/// The models' names; their versions where names occur twice.
fn columns_of(models: &[ModelUnderTest]) -> Vec<&str> {
    let names: Vec<&str> = models.iter().map(|model| model.model().name.as_str()).collect();
    let different: HashSet<&str> = names.iter().copied().collect();
    match different.len() == names.len() {
        true => names,
        false => models.iter().map(|model| model.model().version.as_str()).collect(),
    }
}

/// One row a model, best accuracy marked where there are several.
fn print_table(models: &[ModelUnderTest], metrics: &[Metrics]) {
    let widest = models.iter().map(|model| model.model().name.chars().count()).max().unwrap_or(0).max(5);
    outln!(
        "{:widest$}  {:12}  {:>9}  {:>9}  {:>7}  {:>7}  {:>8}  {:>7}",
        "model",
        "version",
        "records",
        "accuracy",
        "F1",
        "AUC",
        "log loss",
        "ECE"
    );
    let best = metrics.iter().map(|metrics| metrics.accuracy).fold(0.0, f64::max);
    for (model, metrics) in models.iter().zip(metrics) {
        let mark = if models.len() > 1 && metrics.accuracy == best { "  *" } else { "" };
        outln!(
            "{:widest$}  {:12}  {:>9}  {:>7.2} %  {:>7.4}  {:>7.4}  {:>8.4}  {:>7.4}{mark}",
            model.model().name,
            model.model().version,
            metrics.records,
            metrics.accuracy * 100.0,
            metrics.f1,
            metrics.auc,
            metrics.log_loss,
            metrics.ece
        );
    }
}
