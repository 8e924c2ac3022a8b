//! Why a model cannot be loaded, or cannot classify.

use nunchi_model::ModelError;
use thiserror::Error;

/// Why a model cannot be loaded for inference, or cannot classify.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The model file is refused.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A kernel was asked for that this CPU lacks.
    #[error("the kernel `{0}` needs instructions that this CPU lacks; there are: {1}")]
    KernelUnavailable(String, String),
    /// A kernel was asked for that does not exist.
    #[error("there is no kernel `{0}`; this CPU can run: {1}")]
    KernelUnknown(String, String),
    /// A golden comment does not score as recorded.
    #[error(
        "the golden comment {text:?} scores {got:.6} instead of {want:.6}: the model or the kernel is broken"
    )]
    Golden {
        /// The comment.
        text: String,
        /// The score of this engine.
        got: f64,
        /// The score on record.
        want: f64,
    },
    /// A precision is asked for of a model whose errors were never measured.
    #[error(
        "the model {version} has no coverage table, from which the scores follow that have a precision: measure one on labeled \
         comments (`nunchi models revise MODEL --dev FILE --out FILE`), or set decision.band = [LOW, HIGH] instead"
    )]
    NoCoverage {
        /// The model's VERSION.
        version: String,
    },
    /// A band of scores for a model whose score is not that of the second of two labels.
    #[error(
        "decision.band is a band of the score of two labels, and the model has {labels} labels: set decision.precision"
    )]
    BandLabels {
        /// How many labels it has.
        labels: usize,
    },
    /// A comment's score is NaN: the arithmetic of the network overflows, although every weight is finite.
    #[error(
        "the model {version} computes a score that is not a number (its arithmetic overflows): use another model"
    )]
    NotANumber {
        /// The model's VERSION; empty for a model that was never written to a file.
        version: String,
        /// Index of the first such comment or sequence in the batch.
        index: usize,
    },
}
