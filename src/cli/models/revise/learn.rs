//! What is learned from texts and measured on them, beside a network that stays as it is.

use super::texts::{Labeled, keys, names, read_texts};
use crate::cli::columns::ColumnArgs;
use crate::cli::exit::UsageError;
use crate::cli::printer::errln;
use nunchi_engine::{Engine, EngineError, LoadedModel, Prediction};
use nunchi_eval::coverage;
use nunchi_eval::evaluation::classify;
use nunchi_model::rnn::Dense;
use nunchi_model::{Coverage, Model, WeightFormat};
use nunchi_train::opinion::{self, Lessons};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Most comments with an opinion of a file: there are always enough of them, and texts without one are few.
const MAX_OPINIONS: usize = 5_000;
/// Most comments of a file that the reference is measured on.
const MAX_REFERENCE: usize = 50_000;
/// Every so many texts are held out.
const HELD_OUT: usize = 5;
/// The precisions that are stated.
const PRECISIONS: [f64; 3] = [0.95, 0.97, 0.99];
/// Fewer comments make no table: a per cent of them is one comment.
const MIN_DEV: usize = 100;

/// The files, and how to read them.
pub(super) struct Files<'a> {
    pub(super) no_opinion: &'a [PathBuf],
    pub(super) opinions: &'a [PathBuf],
    /// The share of the development data that may be taken for texts without an opinion.
    pub(super) opinion_cost: f64,
    pub(super) dev: &'a [PathBuf],
    pub(super) reference: &'a [PathBuf],
    pub(super) columns: &'a ColumnArgs,
}

/// Adds to `model`, whose weights are stored as `format`, what the files teach.
pub(super) fn extend(model: &mut Model, format: WeightFormat, files: &Files<'_>) -> anyhow::Result<()> {
    let dev = Labeled::read(files.dev, files.columns, &model.labels)?;
    if !files.dev.is_empty() && dev.texts.len() < MIN_DEV {
        let found = dev.texts.len();
        return Err(UsageError::new(format!(
            "--dev has {found} labeled comments; a coverage table needs {MIN_DEV}, and thousands to be exact"
        ))
        .into());
    }
    let mut held_out = Vec::new();
    if !files.no_opinion.is_empty() {
        let (opinion, held) = learn(model, format, files, &dev)?;
        model.extension.opinion = Some(opinion);
        held_out = held;
    }
    if !files.dev.is_empty() {
        measure(model, format, files, &dev, &held_out)?;
    } else if model.extension.coverage.is_some() {
        // It was measured with another opinion output.
        model.extension.coverage = None;
        errln!(
            "the coverage table was measured without this output and is left out: name the data again with --dev"
        );
    }
    Ok(())
}

/// Learns the opinion output as it will be stored; also returns the texts without an opinion that it did not learn from.
fn learn(
    model: &mut Model,
    format: WeightFormat,
    files: &Files<'_>,
    dev: &Labeled,
) -> anyhow::Result<(Dense<f32>, Vec<String>)> {
    // Nothing is learned from what is measured on.
    let mut seen = keys(&dev.texts);
    let without = read_texts(files.no_opinion, files.columns, usize::MAX, &mut seen)?;
    let with = read_texts(files.opinions, files.columns, MAX_OPINIONS, &mut seen)?;
    let ([without, without_held], [with, with_held]) = (parts(without), parts(with));
    if without.len() < HELD_OUT || with.len() < HELD_OUT {
        let (none, some) = (without.len() + without_held.len(), with.len() + with_held.len());
        return Err(UsageError::new(format!(
            "there are {none} texts without and {some} with an opinion, besides those of --dev: too few to learn from"
        ))
        .into());
    }
    let states = |texts: &[String]| opinion::states(model, &views(texts));
    let lessons = Lessons::of_two(&states(&without)?, &states(&with)?);
    let mut learned = opinion::learn(&lessons, None);
    if !dev.texts.is_empty() {
        let mut logits = opinion::logits(&learned, &states(&dev.texts)?);
        logits.sort_by(f64::total_cmp);
        let most = ((logits.len() as f64 * files.opinion_cost) as usize).min(logits.len() - 1);
        // From here on that many of them lie below zero.
        learned.bias[0] -= logits[most] as f32;
    }
    learned.weight.mapv_inplace(|value| format.round(value));
    learned.bias.mapv_inplace(|value| format.round(value));
    let below = |texts: &[String]| -> Result<f64, EngineError> {
        let logits = opinion::logits(&learned, &states(texts)?);
        Ok(logits.iter().filter(|&&logit| logit < 0.0).count() as f64 / logits.len().max(1) as f64)
    };
    let (found, mistaken) = (below(&without_held)?, below(&with_held)?);
    errln!(
        "opinion: learned from {} texts without and {} with one; of {} and {} others it says of {:.1} % and {:.1} % that they \
         hold none",
        without.len(),
        with.len(),
        without_held.len(),
        with_held.len(),
        found * 100.0,
        mistaken * 100.0
    );
    let report = serde_json::json!({
        "no_opinion": { "data": names(files.no_opinion), "learned": without.len(), "held_out": without_held.len(),
            "found": rounded(found) },
        "opinions": { "data": names(files.opinions), "learned": with.len(), "held_out": with_held.len(),
            "mistaken": rounded(mistaken) },
        "opinion_cost": files.opinion_cost,
    });
    if model.report.is_object() {
        model.report["opinion"] = report;
    }
    Ok((learned, without_held))
}

/// Measures the coverage table and the reference.
fn measure(
    model: &mut Model,
    format: WeightFormat,
    files: &Files<'_>,
    dev: &Labeled,
    without: &[String],
) -> anyhow::Result<()> {
    // As it will be read back: golden comments and weights are those of the stored file.
    let stored = Model::from_bytes(&model.to_bytes(format)?.0)?;
    let mut engine = Engine::new(Arc::new(LoadedModel::new(stored, None)?));
    let mut classify = |texts: &[String]| classify(&mut engine, &views(texts));
    let predictions = classify(&dev.texts)?;
    let table = coverage::coverage(dev.names.clone(), &model.labels, &predictions, &dev.classes);
    let others = classify(without)?;
    print_table(&table, &model.labels, &others);
    let (data, texts, predictions) = match files.reference {
        [] => (dev.names.clone(), dev.texts.clone(), predictions),
        reference => {
            let texts = read_texts(reference, files.columns, MAX_REFERENCE, &mut HashSet::new())?;
            let predictions = classify(&texts)?;
            (names(reference), texts, predictions)
        }
    };
    let reference = coverage::reference(data, model, &views(&texts), &predictions);
    model.extension.coverage = Some(table);
    model.extension.reference = Some(reference);
    Ok(())
}

/// What a precision costs: the share that is answered and how many of these are right, and how many texts without an opinion
/// are unsure.
fn print_table(table: &Coverage, labels: &[String], without: &[Prediction]) {
    errln!(
        "coverage on {}: {} comments, of which {:.1} % hold no opinion by the model",
        table.data.join(", "),
        table.comments,
        table.no_opinion as f64 / table.comments.max(1) as f64 * 100.0
    );
    for precision in PRECISIONS {
        let thresholds = table.thresholds(precision);
        let sides = labels.iter().zip(&thresholds).map(|(label, threshold)| match threshold.confidence {
            Some(confidence) => format!("{label} from {confidence:.3}"),
            None => format!("{label} never"),
        });
        let sides: Vec<String> = sides.collect();
        let answered: u64 = thresholds.iter().map(|threshold| threshold.answered).sum();
        let right: u64 = thresholds.iter().map(|threshold| threshold.right).sum();
        let mut line = format!(
            "  precision {precision}: {}; {:.1} % answered, {:.1} % of them right",
            sides.join(", "),
            (1.0 - table.unsure(&thresholds)) * 100.0,
            right as f64 / answered.max(1) as f64 * 100.0
        );
        if !without.is_empty() {
            let in_band = |one: &Prediction| {
                thresholds[one.label].confidence.is_none_or(|least| one.confidence().value() < least)
            };
            let share = |unsure: &dyn Fn(&Prediction) -> bool| {
                without.iter().filter(|one| unsure(one)).count() as f64 / without.len() as f64 * 100.0
            };
            line += &format!(
                "; {:.1} % of the held out texts without an opinion unsure ({:.1} % by their score alone)",
                share(&|one| one.is_without_opinion() || in_band(one)),
                share(&in_band)
            );
        }
        errln!("{line}");
    }
}

/// The texts to learn from, and every fifth, which is held out.
fn parts(texts: Vec<String>) -> [Vec<String>; 2] {
    let (mut learned, mut held) = (Vec::new(), Vec::new());
    for (number, text) in (1..).zip(texts) {
        let part = if number % HELD_OUT == 0 { &mut held } else { &mut learned };
        part.push(text);
    }
    [learned, held]
}

fn views(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn rounded(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}

/// Reads `--opinion-cost`.
pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=0.5).contains(&share) => Ok(share),
        _ => Err("it must be a share from 0 to 0.5".to_owned()),
    }
}
