//! The report on one or more models, measured on the same data: how good they are and where they fail.
//!
//! [`Report`] is what was measured, as JSON; [`Report::html`] is the page.
//!
//! - `measures`: what is counted, beside [`crate::metrics`].
//! - `page`, `tables`, `charts`: the page and its parts.

mod charts;
mod measures;
mod page;
mod tables;

pub use crate::breakdown::LengthBin;
pub use measures::{Reliability, ScoreGroup, Scores};

use crate::breakdown::{self, Coverage, Group, Recall};
use crate::evaluation::{Case, Observations};
use crate::history::History;
use crate::metrics::{self, Metrics, Outcome};
use nunchi_model::rnn::Shape;
use nunchi_model::{Model, atomic_write_private};
use serde::Serialize;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Longer comments are cut in a report, in characters.
const MAX_TEXT: usize = 600;

/// Why a report cannot be written.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The name has another ending.
    #[error("the report {0} must be named *.html; its figures are written beside it as *.json")]
    Name(PathBuf),
    /// A file cannot be written.
    #[error("cannot write the report {path}: {reason}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
}

/// Models, measured on the same data.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The program that measured.
    pub made_by: String,
    /// What was measured on.
    pub data: Data,
    /// The models, in the order in which they were named.
    pub models: Vec<ModelResult>,
    /// Where some models are right and others wrong, the furthest apart first; empty for one model.
    pub disagreements: Vec<ReportedCase>,
}

/// What was measured on.
#[derive(Clone, Debug, Serialize)]
pub struct Data {
    /// The files.
    pub files: Vec<File>,
    /// Comments in all.
    pub records: usize,
    /// The classes' names.
    pub labels: Vec<String>,
    /// Comments of each class.
    pub classes: Vec<usize>,
    /// The column that `groups` of the models are by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Rows of no class, which were left out.
    pub dropped: usize,
    /// Rows that could not be read, which were left out.
    pub unreadable: usize,
}

/// One file.
#[derive(Clone, Debug, Serialize)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its comments.
    pub records: usize,
}

/// One model, measured.
#[derive(Clone, Debug, Serialize)]
pub struct ModelResult {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The network's shape.
    pub network: Shape,
    /// Its parameters, as Keras counts them.
    pub parameters: usize,
    /// Longer comments keep their first tokens.
    pub max_tokens: usize,
    /// Logits are divided by it.
    pub temperature: f32,
    /// The key figures over all files.
    pub metrics: Metrics,
    /// Where accuracy lies with 95 % certainty, given the number of comments.
    pub accuracy_95: [f64; 2],
    /// The key figures of each file.
    pub files: Vec<Metrics>,
    /// `[class][chosen]`.
    pub confusion: Vec<Vec<usize>>,
    /// Points (false positive rate, true positive rate).
    pub roc: Vec<[f64; 2]>,
    /// Confidence against accuracy.
    pub reliability: Vec<Reliability>,
    /// Accuracy by the comments' lengths.
    pub lengths: Vec<LengthBin>,
    /// How much of each class is found.
    pub recall: Vec<Recall>,
    /// Accuracy by the column that was asked for; empty if none was.
    pub groups: Vec<Group>,
    /// Risk if only the most confident verdicts count.
    pub coverage: Vec<Coverage>,
    /// How its scores are distributed.
    pub scores: Scores,
    /// Its worst mistakes, the worst first.
    pub mistakes: Vec<ReportedCase>,
    /// How its training went, where that is known.
    pub history: Option<History>,
    /// The report of its training: data, settings.
    pub training: serde_json::Value,
}

/// A comment with its label and each model's verdict.
#[derive(Clone, Debug, Serialize)]
pub struct ReportedCase {
    /// The comment, cut if it is very long.
    pub text: String,
    /// Its label.
    pub label: String,
    /// Each model's verdict.
    pub verdicts: Vec<Verdict>,
}

/// A verdict: label and score as `nunchi classify` gives them.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The label.
    pub label: String,
    /// The probability of `positive`; with more than two classes that of the label.
    pub score: f64,
}

/// A model to report on.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// It.
    pub model: &'a Model,
    /// How its training went; `None` takes what the model's own report states.
    pub history: Option<History>,
}

impl Report {
    /// Puts together what was observed of `subjects`, in the order in which they were observed.
    pub fn new(subjects: &[Subject<'_>], observations: &Observations) -> Self {
        let labels = subjects.first().map(|subject| subject.model.labels.clone()).unwrap_or_default();
        let confusion =
            observations.outcomes.first().map(|outcomes| metrics::confusion(outcomes)).unwrap_or_default();
        let files =
            observations.parts.iter().map(|(name, records)| File { name: name.clone(), records: *records });
        Report {
            made_by: concat!("nunchi ", env!("CARGO_PKG_VERSION")).to_owned(),
            data: Data {
                files: files.collect(),
                records: observations.lengths.len(),
                classes: confusion.iter().map(|row| row.iter().sum()).collect(),
                dropped: observations.dropped,
                unreadable: observations.left_out.count(nunchi_data::Reason::Bad) as usize,
                by: observations.groups.as_ref().map(|groups| groups.column.clone()),
                labels: labels.clone(),
            },
            models: (subjects.iter().zip(&observations.outcomes).zip(&observations.mistakes))
                .map(|((subject, outcomes), mistakes)| measured(subject, outcomes, mistakes, observations))
                .collect(),
            disagreements: observations.disagreements.iter().map(|case| reported(case, &labels)).collect(),
        }
    }

    /// The page.
    pub fn html(&self) -> String {
        page::page(self)
    }

    /// Writes the page to `html` and the figures beside it as `.json`, whose path is returned; each whole or not at all.
    ///
    /// # Errors
    /// A name that does not end in `.html`, and files that cannot be written.
    pub fn write(&self, html: &Path) -> Result<PathBuf, ReportError> {
        let json = json_beside(html)?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |reason| ReportError::Write { path, reason }
        };
        atomic_write_private(html, self.html().as_bytes()).map_err(failed(html))?;
        let figures = serde_json::to_string(self).expect("figures and texts can be written as JSON");
        atomic_write_private(&json, (figures + "\n").as_bytes()).map_err(failed(&json))?;
        Ok(json)
    }
}

/// Where the figures of the page `html` go.
///
/// # Errors
/// A name that does not end in `.html`.
pub fn json_beside(html: &Path) -> Result<PathBuf, ReportError> {
    match html.extension() {
        Some(extension) if extension == "html" => Ok(html.with_extension("json")),
        _ => Err(ReportError::Name(html.to_owned())),
    }
}

fn measured(
    subject: &Subject<'_>,
    outcomes: &[Outcome],
    mistakes: &[Case],
    observations: &Observations,
) -> ModelResult {
    let model = subject.model;
    let metrics = Metrics::of(outcomes);
    let right = outcomes.iter().filter(|outcome| outcome.is_right()).count();
    let mut rest = outcomes;
    let mut files = Vec::with_capacity(observations.parts.len());
    for (_, records) in &observations.parts {
        let (part, after) = rest.split_at(*records);
        files.push(Metrics::of(part));
        rest = after;
    }
    ModelResult {
        name: model.name.clone(),
        version: model.version.clone(),
        network: model.network.shape,
        parameters: model.network.shape.parameters(),
        max_tokens: model.max_tokens,
        temperature: model.temperature,
        metrics,
        accuracy_95: metrics::interval_95(right, outcomes.len()),
        files,
        confusion: metrics::confusion(outcomes),
        roc: metrics::roc(outcomes),
        reliability: measures::reliability(outcomes),
        lengths: breakdown::by_length(outcomes, &observations.lengths),
        recall: breakdown::recall(outcomes, &model.labels),
        groups: observations
            .groups
            .as_ref()
            .map_or_else(Vec::new, |groups| breakdown::by_group(outcomes, groups)),
        coverage: breakdown::risk_coverage(outcomes),
        scores: measures::scores(outcomes, &model.labels),
        mistakes: mistakes.iter().map(|case| reported(case, &model.labels)).collect(),
        history: subject.history.clone().or_else(|| History::of_report(&model.report)),
        training: model.report.clone(),
    }
}

fn reported(case: &Case, labels: &[String]) -> ReportedCase {
    let verdict = |outcome: &Outcome| {
        let chosen = outcome.chosen();
        let shown = if labels.len() == 2 { 1 } else { chosen };
        Verdict { label: labels[chosen].clone(), score: outcome.probabilities[shown] }
    };
    let text = crate::excerpt(&case.text, MAX_TEXT);
    ReportedCase {
        text,
        label: labels[case.class].clone(),
        verdicts: case.outcomes.iter().map(verdict).collect(),
    }
}

#[cfg(test)]
mod tests;
