//! Two models on the same comments: how often their labels differ, where, by how much, and which model is right.
//!
//! - [`Agreement`]: a few counts. Enough for the canary, which classifies live comments a second time.
//! - [`Comparison`]: everything that `nunchi replay --compare` reports, of a stream of any length: products, times and
//!   examples are bounded.
//! - [`label_changes`]: the labels that change on a labelled set, and [`words`]: what changes for single words; for the
//!   report of `nunchi retrain`.
//!
//! The statistical test of who is right more often is [`crate::paired`].

mod counts;
mod examples;
mod groups;
mod labeled;
mod scores;
mod stars;
pub mod words;

pub use counts::{Agreement, Decided, Flips};
pub use examples::Example;
pub use groups::{Group, TimeBucket, TimeUnit};
pub use labeled::{LabelChange, label_changes};
pub use scores::{SCORE_BINS, ScoreChange};
pub use stars::Stars;

use examples::Examples;
use groups::{Lengths, Products, Times};
use nunchi_engine::Prediction;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Display;

/// One of the two models.
#[derive(Clone, Debug, Serialize)]
pub struct ComparedModel {
    /// As it was named on the command line.
    pub name: String,
    /// Its VERSION.
    #[serde(rename = "model")]
    pub version: String,
}

/// Flips from one label to another.
#[derive(Clone, Debug, Serialize)]
pub struct Way {
    /// The first model's label.
    pub from: String,
    /// The second model's label.
    pub to: String,
    /// How often.
    pub records: u64,
}

/// A comment that both models classified.
pub struct ComparedComment<'a> {
    /// The comment.
    pub text: &'a str,
    /// Its id's JSON.
    pub id: Option<&'a str>,
    /// Its stars, one to five.
    pub rating: Option<u8>,
    /// Its product.
    pub product: Option<&'a str>,
    /// When it was written, in milliseconds of Unix time.
    pub timestamp_ms: Option<i64>,
    /// Where it stands: `topic/partition/offset`.
    pub source: &'a dyn Display,
    /// Each model's prediction.
    pub predictions: [&'a Prediction; 2],
}

/// Two models on a stream of comments.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The two models.
    pub models: [ComparedModel; 2],
    /// Their labels.
    pub labels: Vec<String>,
    /// How far they agree.
    #[serde(flatten)]
    pub agreement: Agreement,
    /// Flips by way, the most frequent first.
    pub ways: Vec<Way>,
    /// Changes of the score.
    pub change: ScoreChange,
    /// The products with most flips.
    pub by_product: Vec<Group>,
    /// Products that were seen, 50,000 at most; the others are counted together.
    pub products: u64,
    /// What `by_time` counts.
    pub unit: TimeUnit,
    /// In order of time.
    pub by_time: Vec<TimeBucket>,
    /// By number of characters.
    pub by_length: Vec<Group>,
    /// The largest changes, those to a higher score first.
    pub examples: Vec<Example>,
    /// Where there are stars.
    pub stars: Stars,
    #[serde(skip)]
    collected: Collected,
}

/// What is still in the form in which it is counted.
#[derive(Clone, Debug, Default)]
struct Collected {
    ways: BTreeMap<[usize; 2], u64>,
    products: Products,
    lengths: Lengths,
    times: Times,
    examples: Examples,
}

impl Comparison {
    /// Nothing counted yet, for models with these labels.
    pub fn new(models: [ComparedModel; 2], labels: Vec<String>) -> Self {
        Comparison {
            models,
            agreement: Agreement::new(labels.len()),
            labels,
            ways: Vec::new(),
            change: ScoreChange::default(),
            by_product: Vec::new(),
            products: 0,
            unit: TimeUnit::default(),
            by_time: Vec::new(),
            by_length: Vec::new(),
            examples: Vec::new(),
            stars: Stars::default(),
            collected: Collected::default(),
        }
    }

    /// Counts unsure verdicts too: both models have a decision.
    #[must_use]
    pub fn with_decision(self, on: bool) -> Self {
        Comparison { agreement: self.agreement.with_decision(on), ..self }
    }

    /// Counts a comment.
    pub fn add(&mut self, comment: &ComparedComment<'_>) {
        let labels = comment.predictions.map(|prediction| prediction.label);
        self.agreement.add(comment.predictions);
        let change = self.change.add(comment.predictions);
        let collected = &mut self.collected;
        if labels[0] != labels[1] {
            *collected.ways.entry(labels).or_default() += 1;
        }
        collected.lengths.add(comment.text, labels);
        if let Some(product) = comment.product {
            collected.products.add(product, labels);
        }
        if let Some(ms) = comment.timestamp_ms.filter(|&ms| ms >= 0) {
            collected.times.add(ms, labels);
        }
        if let Some(rating) = comment.rating {
            self.stars.add(rating, self.labels.len(), labels);
        }
        collected.examples.offer(comment, &self.labels, change);
    }

    /// Brings what was counted into the form of a report.
    pub fn finish(&mut self) {
        let collected = std::mem::take(&mut self.collected);
        let label = |index: usize| self.labels.get(index).cloned().unwrap_or_default();
        let ways = collected.ways.iter();
        self.ways =
            ways.map(|(&[from, to], &records)| Way { from: label(from), to: label(to), records }).collect();
        self.ways.sort_by_key(|way| std::cmp::Reverse(way.records));
        self.by_product = collected.products.groups();
        self.products = collected.products.count;
        self.unit = collected.times.unit;
        self.by_time = collected.times.buckets();
        self.by_length = collected.lengths.groups();
        self.examples = collected.examples.finish();
        self.change.finish(self.agreement.all.records);
    }
}

#[cfg(test)]
mod tests;
