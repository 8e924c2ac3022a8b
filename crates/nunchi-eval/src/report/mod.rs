//! A report that says how good models are and where they fail: one page for people and the same as JSON.
//!
//! [`Report`] is what was measured, [`Report::html`] the page. The page is self-contained: its pictures are SVG inside,
//! it loads nothing and runs nothing, and what customers wrote cannot become markup. Pictures are drawn here, with a
//! few lines of their own, because their colours are the page's: light or dark, as the reader has it.
//!
//! - `measures`: what is counted, beside [`super::metrics`].
//! - `page`, `tables`, `pictures`: the page and its parts.
//! - [`fading`]: how long a network remembers, as a picture.
//! - `chart`: axes, lines, bars.
//! - `markup`: text that is no markup, numbers for people.

mod chart;
pub mod fading;
mod markup;
mod measures;
mod page;
mod pictures;
mod tables;

pub use markup::{escaped, grouped};
pub use measures::{LengthBin, Reliability, Scores};

use super::evaluation::{Case, Observations};
use super::history::History;
use super::metrics::{self, Metrics, Outcome};
use nunchi_model::Model;
use nunchi_model::rnn::Shape;
use serde::Serialize;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Longer comments are cut in a report, in characters.
const MAX_TEXT: usize = 600;

/// Why a report is not there.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The name has another ending.
    #[error("the report {0} must be named *.html; its figures are written beside it as *.json")]
    Name(PathBuf),
    /// A file cannot be written.
    #[error("cannot write the report {path}: {source}; name a folder that exists and can be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
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
    pub disagreements: Vec<Told>,
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
    /// What the network is made of.
    pub network: Shape,
    /// Its parameters, as Keras counts them.
    pub parameters: usize,
    /// Longer comments keep their first tokens.
    pub max_tokens: usize,
    /// Logits are divided by it.
    pub temperature: f32,
    /// The key figures over all files.
    pub metrics: Metrics,
    /// Where accuracy lies with 95 % certainty, given that so few comments were judged.
    pub accuracy_95: [f64; 2],
    /// The key figures of each file.
    pub files: Vec<Metrics>,
    /// `[class][chosen]`.
    pub confusion: Vec<Vec<usize>>,
    /// Points (false positive rate, true positive rate).
    pub roc: Vec<[f64; 2]>,
    /// Is it right as often as it is sure?
    pub reliability: Vec<Reliability>,
    /// Accuracy by the comments' lengths.
    pub lengths: Vec<LengthBin>,
    /// How its scores lie.
    pub scores: Scores,
    /// Its worst mistakes, the worst first.
    pub mistakes: Vec<Told>,
    /// How its training went, where that is known.
    pub history: Option<History>,
    /// What its training reported: data, settings.
    pub training: serde_json::Value,
}

/// A comment with the truth and what the models said.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// The comment, cut if it is very long.
    pub text: String,
    /// Its label.
    pub label: String,
    /// What each model said.
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
    /// How its training went; `None` takes what the model itself tells.
    pub history: Option<History>,
}

impl Report {
    /// Puts together what `seen` says of `subjects`: the models that were observed, in the same order.
    pub fn new(subjects: &[Subject<'_>], seen: &Observations) -> Self {
        let labels = subjects.first().map(|subject| subject.model.labels.clone()).unwrap_or_default();
        let confusion =
            seen.outcomes.first().map(|outcomes| metrics::confusion(outcomes)).unwrap_or_default();
        let files = seen.parts.iter().map(|(name, records)| File { name: name.clone(), records: *records });
        Report {
            made_by: concat!("nunchi ", env!("CARGO_PKG_VERSION")).to_owned(),
            data: Data {
                files: files.collect(),
                records: seen.lengths.len(),
                classes: confusion.iter().map(|row| row.iter().sum()).collect(),
                dropped: seen.left_out.0,
                unreadable: seen.left_out.1,
                labels: labels.clone(),
            },
            models: (subjects.iter().zip(&seen.outcomes).zip(&seen.mistakes))
                .map(|((subject, outcomes), mistakes)| judged(subject, outcomes, mistakes, seen))
                .collect(),
            disagreements: seen.disagreements.iter().map(|case| told(case, &labels)).collect(),
        }
    }

    /// The page.
    pub fn html(&self) -> String {
        page::page(self)
    }

    /// Writes the page to `html` and the figures beside it as `.json`, whose path is returned.
    ///
    /// # Errors
    /// A name that does not end in `.html`, and files that cannot be written.
    pub fn write(&self, html: &Path) -> Result<PathBuf, ReportError> {
        let json = json_beside(html)?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ReportError::Write { path, source }
        };
        std::fs::write(html, self.html()).map_err(failed(html))?;
        let figures = serde_json::to_string(self).expect("figures and texts can be written as JSON");
        std::fs::write(&json, figures + "\n").map_err(failed(&json))?;
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

fn judged(
    subject: &Subject<'_>,
    outcomes: &[Outcome],
    mistakes: &[Case],
    seen: &Observations,
) -> ModelResult {
    let model = subject.model;
    let metrics = Metrics::of(outcomes);
    let right = outcomes.iter().filter(|outcome| outcome.chosen() == outcome.class).count();
    let mut rest = outcomes;
    let mut files = Vec::with_capacity(seen.parts.len());
    for (_, records) in &seen.parts {
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
        lengths: measures::by_length(outcomes, &seen.lengths),
        scores: measures::scores(outcomes, &model.labels),
        mistakes: mistakes.iter().map(|case| told(case, &model.labels)).collect(),
        history: subject.history.clone().or_else(|| History::of_report(&model.report)),
        training: model.report.clone(),
    }
}

fn told(case: &Case, labels: &[String]) -> Told {
    let verdict = |outcome: &Outcome| {
        let chosen = outcome.chosen();
        let shown = if labels.len() == 2 { 1 } else { chosen };
        Verdict { label: labels[chosen].clone(), score: outcome.probabilities[shown] }
    };
    let text = crate::excerpt(&case.text, MAX_TEXT);
    Told { text, label: labels[case.class].clone(), verdicts: case.outcomes.iter().map(verdict).collect() }
}
