//! The model: one safetensors file that holds the network, its tokenizer, its labels and the proof that it loads right.
//!
//! Everything about a file is verified on load; what fails is refused with a sentence. The layout is in `docs/MODEL.md`.

use crate::rnn::Network;
use crate::text::Tokenizer;
use serde::{Deserialize, Serialize};

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
    /// The first 12 hex digits of the content's hash; empty for a model that was never written.
    pub version: String,
}
