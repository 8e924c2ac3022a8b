//! The model: one safetensors file that holds the network, its tokenizer, its labels and the proof that it loads right.
//!
//! Everything about a file is verified on load; what fails is refused with the reason. The layout is in `docs/MODEL.md`.
//!
//! - [`Model::load`], [`Model::save`]: the file.
//! - [`import`]: networks that PyTorch trained.
//! - [`Model::revised`]: the same weights behind another normalizer.
//! - [`Model::average`]: the mean of the weights of several models.
//! - [`Extension`]: what format 2 adds.
//! - [`onnx`]: a model for other people's engines.
//! - [`summary`]: layers, shapes and parameters as a table.
//! - [`testing`]: small random models for tests and benchmarks.

#![cfg_attr(not(test), warn(clippy::disallowed_macros))]
#![forbid(unsafe_code)]

mod atomic;
mod average;
mod checksum;
mod error;
mod extension;
mod file;
mod hex;
pub mod import;
pub mod onnx;
mod precision;
mod regular_file;
mod revise;
pub mod rnn;
pub mod summary;
pub mod testing;

pub use atomic::{atomic_write, atomic_write_private, rename_synced};
pub use average::AverageError;
pub use error::ModelError;
pub use extension::{ClassCoverage, Coverage, CoveragePoint, Extension, Histogram, Reference, Threshold};
pub use file::{MAX_BYTES, WeightFormat, read as read_file};
pub use hex::hex;
pub use precision::Precision;
pub use regular_file::open_regular;
pub use revise::Revision;

use crate::rnn::Network;
use nunchi_text::{EXAMPLES, Scratch, Tokenizer};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Class names of a network with one sigmoid neuron, unless it is trained with two others.
pub const SIGMOID_LABELS: [&str; 2] = ["negative", "positive"];
/// Golden comments with a score further off than this refuse a model (f32 arithmetic).
pub(crate) const GOLDEN_BOUND: f64 = 1e-4;
/// Longest name of a model and of a class, and longest report (as JSON), in bytes: they are shown, logged and written beside
/// verdicts.
const MAX_NAME: usize = 200;
const MAX_REPORT: usize = 1 << 20;
/// Largest `max_tokens`.
const MAX_TOKENS: usize = 65_536;
/// Most golden comments, and their longest text in bytes: verifying stays quick.
const MAX_GOLDEN: usize = 256;
const MAX_GOLDEN_BYTES: usize = 16_384;
/// Most numbers in the states of all golden comments together, which are scored as one batch: 1 GiB of memory. 256 comments
/// of 128 tokens through two LSTM layers of 512 units need 172 million.
const MAX_GOLDEN_NUMBERS: usize = 1 << 28;

/// A comment and the score that the stored weights give it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// The comment.
    pub text: String,
    /// The probability of positive (of the most probable class, where there are more than two).
    pub score: f64,
}

/// A loaded, verified model.
#[derive(Clone, Debug)]
pub struct Model {
    /// A name for people.
    pub name: String,
    /// The network with the stored (rounded) weights.
    pub network: Network<f32>,
    /// The tokenizer that it was trained with.
    pub tokenizer: Tokenizer,
    /// Class names, in the order of the head's outputs; two for a sigmoid: `negative`, `positive`.
    pub labels: Vec<String>,
    /// Longer comments keep their first `max_tokens` tokens.
    pub max_tokens: usize,
    /// Logits are divided by this before the sigmoid or softmax; calibrates scores.
    pub temperature: f32,
    /// Comments with known scores.
    pub golden: Vec<Golden>,
    /// What training reported, as JSON.
    pub report: serde_json::Value,
    /// What format 2 adds: the opinion output, the coverage table, the reference for drift.
    pub extension: Extension,
    /// The first 12 hex digits of the content's hash, for people; empty for a model that was never written.
    pub version: String,
    /// The content's whole SHA-256 in hex: what is compared where two models must not be confused. Empty for a model that
    /// was never written.
    pub checksum: String,
}

/// The entry of a report with the lower precisions that were measured on the model.
pub(crate) const PRECISIONS: &str = "precisions";

impl Model {
    /// Whether kernels whose products have this precision may be chosen by default: always `f32`; `bf16` and `int8` where
    /// that was measured on this model and recorded.
    pub fn allows(&self, precision: Precision) -> bool {
        precision == Precision::F32 || self.report[PRECISIONS].get(precision.name()).is_some()
    }

    /// Takes back that a precision is allowed, whatever the report says.
    pub fn forbid(&mut self, precision: Precision) {
        if let Some(measured) = self.report.get_mut(PRECISIONS).and_then(serde_json::Value::as_object_mut) {
            measured.remove(precision.name());
        }
    }

    /// Allows a precision, with what was measured.
    pub fn allow(&mut self, precision: Precision, measured: serde_json::Value) {
        if !self.report.is_object() {
            self.report = serde_json::json!({});
        }
        self.report[PRECISIONS][precision.name()] = measured;
    }

    /// Reads and verifies a model file.
    ///
    /// # Errors
    /// A file that cannot be read, and everything that [`Model::from_bytes`] refuses.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        Model::from_bytes(&file::read(path)?)
    }

    /// Reads and verifies the content of a model file: size, header, checksum, tensors, finite weights, tokenizer, labels,
    /// golden comments.
    ///
    /// # Errors
    /// An error that names the problem.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let model = file::parse(bytes)?;
        model.check()?;
        model.check_golden()?;
        Ok(model)
    }

    /// Writes the model with weights rounded to `format`, its golden comments scored anew with these, and returns its
    /// VERSION. The file appears under its name when it is complete.
    ///
    /// # Errors
    /// A model that [`Model::load`] would refuse, and files that cannot be written.
    pub fn save(&self, path: &Path, format: WeightFormat) -> Result<String, ModelError> {
        let (bytes, version) = self.to_bytes(format)?;
        file::write(path, &bytes)?;
        Ok(version)
    }

    /// The content of the file that [`Model::save`] writes, and its VERSION. The same model gives the same bytes.
    ///
    /// # Errors
    /// A model that [`Model::load`] would refuse.
    pub fn to_bytes(&self, format: WeightFormat) -> Result<(Vec<u8>, String), ModelError> {
        let mut rounded = self.clone();
        for (_, mut tensor) in rounded.network.tensors_mut() {
            tensor.mapv_inplace(|value| format.round(value));
        }
        rounded.extension.round(format);
        rounded.check()?;
        rounded.score_golden();
        Ok(file::compose(&rounded, format))
    }

    /// Scores every golden comment with the network as it is.
    pub(crate) fn score_golden(&mut self) {
        let texts: Vec<&str> = self.golden.iter().map(|golden| golden.text.as_str()).collect();
        let scores = self.reference_scores(&texts);
        for (golden, score) in self.golden.iter_mut().zip(scores) {
            golden.score = score;
        }
    }

    /// Golden comments for a model that has none yet: [`EXAMPLES`], to be scored when it is written.
    pub(crate) fn example_golden() -> Vec<Golden> {
        EXAMPLES.iter().map(|text| Golden { text: (*text).to_owned(), score: 0.0 }).collect()
    }

    /// The token ids of `text`: what every engine reads.
    pub fn tokens(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        self.tokenizer.encode(text, self.max_tokens, &mut Scratch::default(), &mut tokens);
        tokens
    }

    /// The score of each text by the readable mathematics of [`crate::rnn`]: the probability of positive, or with a softmax
    /// that of the most probable class.
    pub fn reference_scores(&self, texts: &[&str]) -> Vec<f64> {
        let tokens: Vec<Vec<u32>> = texts.iter().map(|text| self.tokens(text)).collect();
        let sequences: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
        let logits = self.network.logits(&sequences);
        logits.rows().into_iter().map(|row| self.score(row)).collect()
    }

    /// The probability that each text holds an opinion, by the readable mathematics of [`crate::rnn`]; `None` for a model
    /// without that output.
    pub fn reference_opinions(&self, texts: &[&str]) -> Option<Vec<f64>> {
        let opinion = self.extension.opinion.as_ref()?;
        let tokens: Vec<Vec<u32>> = texts.iter().map(|text| self.tokens(text)).collect();
        let sequences: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
        let logits = opinion.logits(self.network.features(&sequences).view());
        Some(logits.iter().map(|&logit| 1.0 / (1.0 + (-f64::from(logit)).exp())).collect())
    }

    /// The score of one row of logits.
    fn score(&self, logits: ndarray::ArrayView1<'_, f32>) -> f64 {
        let logits = logits.mapv(f64::from);
        let probabilities = self.network.shape.head.probabilities(logits.view(), f64::from(self.temperature));
        // A probability that is not a number stays one, so that no check passes by it.
        probabilities.fold(0.0, |most, &one| if one > most || f64::is_nan(one) { one } else { most })
    }

    /// Everything that must hold of a model, but for the golden scores.
    fn check(&self) -> Result<(), ModelError> {
        let wrong = |what: String| Err(ModelError::Inconsistent(what));
        let shape = &self.network.shape;
        for (name, tensor) in self.network.tensors() {
            if !tensor.iter().all(|value| value.is_finite()) {
                return Err(ModelError::NotFinite(name));
            }
        }
        let (ids, rows) = (self.tokenizer.vocabulary(), shape.vocabulary);
        if ids != rows {
            return wrong(format!("the tokenizer has {ids} tokens, but the embedding table has {rows} rows"));
        }
        let different: std::collections::HashSet<&str> = self.labels.iter().map(String::as_str).collect();
        if self.labels.len() != shape.classes()
            || different.len() != self.labels.len()
            || different.contains("")
        {
            let (labels, classes) = (listed(&self.labels), shape.classes());
            return wrong(format!("{classes} classes need as many different labels, but they are {labels}"));
        }
        for name in std::iter::once(&self.name).chain(&self.labels) {
            if name.len() > MAX_NAME || name.contains(nunchi_text::steers_display) {
                return wrong(format!(
                    "the name {:?} is longer than {MAX_NAME} bytes, or holds characters that steer a terminal",
                    file::shortened(name)
                ));
            }
        }
        let report = self.report.to_string().len();
        if report > MAX_REPORT {
            return wrong(format!("its report has {report} bytes, more than {MAX_REPORT}"));
        }
        if self.max_tokens == 0 || self.max_tokens > MAX_TOKENS {
            return wrong(format!("max_tokens is {}; it must be 1 to {MAX_TOKENS}", self.max_tokens));
        }
        if !self.temperature.is_finite() || self.temperature <= 0.0 {
            return wrong(format!("the temperature is {}; it must be a positive number", self.temperature));
        }
        let too_long = self.golden.iter().any(|golden| golden.text.len() > MAX_GOLDEN_BYTES);
        if self.golden.is_empty() || self.golden.len() > MAX_GOLDEN || too_long {
            return wrong(format!(
                "there must be 1 to {MAX_GOLDEN} golden comments of at most {MAX_GOLDEN_BYTES} bytes"
            ));
        }
        self.extension.check(shape, &self.labels)?;
        let tokens: usize = self.golden.iter().map(|golden| self.tokens(&golden.text).len()).sum();
        let states = shape.hidden * shape.directions() * (shape.cell.gates() + 1);
        let numbers = tokens.saturating_mul(shape.embedding + shape.layers * states);
        if numbers > MAX_GOLDEN_NUMBERS {
            return wrong(format!(
                "its golden comments need {numbers} numbers at once, more than {MAX_GOLDEN_NUMBERS}"
            ));
        }
        Ok(())
    }

    /// Scores the golden comments and compares.
    fn check_golden(&self) -> Result<(), ModelError> {
        let texts: Vec<&str> = self.golden.iter().map(|golden| golden.text.as_str()).collect();
        for (golden, got) in self.golden.iter().zip(self.reference_scores(&texts)) {
            let near = (golden.score - got).abs() <= GOLDEN_BOUND;
            if !near {
                let text = file::shortened(&golden.text);
                return Err(ModelError::Golden { text, want: golden.score, got });
            }
        }
        Ok(())
    }
}

/// The first labels, fit for a message.
fn listed(labels: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<String> = labels.iter().take(SHOWN).map(|label| file::shortened(label)).collect();
    match labels.len().saturating_sub(SHOWN) {
        0 => format!("{shown:?}"),
        more => format!("{shown:?} and {more} more"),
    }
}
