//! The network at the machine's speed: weights packed once per load, comments of a turn sorted by length, each step
//! computed only for the rows that are still alive.
//!
//! Same answers as [`nunchi_model::rnn`] within 1e-4 (f32), whatever the neighbours in the batch. A kernel ([`kernels`]) is
//! chosen at start by what the CPU has.

pub mod backprop;
mod batch;
mod kernel;
mod packed;
mod pool;
pub mod score;
#[cfg(test)]
mod tests;

pub use packed::{Packed, Scratch};

use nunchi_model::Model;
use nunchi_model::rnn::HeadKind;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Why a model cannot be made warm.
#[derive(Debug, Error)]
pub enum EngineError {
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
}

/// The names of the kernels that this CPU can run, best first, as a list for people.
pub fn kernels() -> String {
    kernel::names()
}

/// The prediction of one comment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prediction {
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
pub struct LoadedModel {
    model: Model,
    packed: Packed,
}

impl LoadedModel {
    /// Packs `model` for the kernel named, or for the best one of this CPU whose precision the model allows
    /// ([`Model::allows`]) and with which its golden comments score as recorded.
    ///
    /// # Errors
    /// A kernel that is unknown or that the CPU lacks; golden comments that score otherwise.
    pub fn new(model: Model, kernel: Option<&str>) -> Result<Self, EngineError> {
        let kernels = match kernel {
            Some(_) => vec![kernel::choose(kernel)?],
            None => kernel::unasked(|precision| model.allows(precision)),
        };
        let mut warm = LoadedModel { packed: Packed::with(&model.network, kernels[0]), model };
        let mut checked = warm.check_golden();
        for kernel in &kernels[1..] {
            // A kernel that does not hold is not chosen: lower precisions may not, nor the 16-bit tables of the faster kernels for
            // networks whose weights lie far apart. The last one computes in full precision: what fails there is wrong.
            if checked.is_ok() {
                break;
            }
            warm.packed = Packed::with(&warm.model.network, *kernel);
            checked = warm.check_golden();
        }
        checked.map(|()| warm)
    }

    /// The model behind it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The packed network.
    pub fn packed(&self) -> &Packed {
        &self.packed
    }

    /// The name of the kernel in use (a label of `nunchi_build_info`): `avx512`, `avx2`, `portable`, …
    pub fn kernel(&self) -> &'static str {
        self.packed.kernel()
    }

    /// The precision of its products: `f32`, `bf16` or `int8`.
    pub fn precision(&self) -> &'static str {
        self.packed.precision()
    }

    /// Every golden comment must score as recorded within the precision's bound, and fall on the same side of 0.5
    /// unless the recorded score is within the bound of it.
    fn check_golden(&self) -> Result<(), EngineError> {
        let texts: Vec<&str> = self.model.golden.iter().map(|golden| golden.text.as_str()).collect();
        let (mut work, mut predictions) = (Work::default(), Vec::new());
        work.classify(self, &texts, &mut predictions);
        let bound = bound(self.precision());
        for (golden, prediction) in self.model.golden.iter().zip(predictions) {
            let (got, want) = (f64::from(prediction.score), golden.score);
            let sides = (got >= 0.5) == (want >= 0.5) || (want - 0.5).abs() <= bound;
            // Written so that a score that is not a number fails.
            if !((got - want).abs() <= bound && sides) {
                return Err(EngineError::Golden { text: golden.text.clone(), got, want });
            }
        }
        Ok(())
    }
}

/// How far a probability may be off in a precision.
pub fn bound(precision: &str) -> f64 {
    match precision {
        "int8" => 2e-2,
        "bf16" => 5e-3,
        _ => 1e-4,
    }
}

/// Where the time of a turn went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// From text to tokens.
    pub tokenise: Duration,
    /// From tokens to predictions.
    pub infer: Duration,
}

/// One worker's engine: a warm model and the scratch memory that is reused from turn to turn.
#[derive(Debug)]
pub struct Engine {
    warm: Arc<LoadedModel>,
    work: Work,
}

impl Engine {
    /// An engine for `warm`.
    pub fn new(warm: Arc<LoadedModel>) -> Self {
        Engine { warm, work: Work::default() }
    }

    /// Judges with `warm` from now on. Cheap: the scratch memory is kept.
    pub fn adopt(&mut self, warm: Arc<LoadedModel>) {
        self.warm = warm;
    }

    /// The model in use.
    pub fn warm(&self) -> &Arc<LoadedModel> {
        &self.warm
    }

    /// Judges `comments`; `out` is cleared and gets one prediction for each, in order.
    pub fn classify(&mut self, comments: &[&str], out: &mut Vec<Prediction>) {
        self.work.classify(&self.warm, comments, out);
    }

    /// Judges sequences of tokens: `tokens` holds them one after the other, `lengths` how many each has. `out` is cleared
    /// and gets each sequence's probabilities: one (of positive) for a sigmoid, one a class for a softmax.
    ///
    /// # Panics
    /// If a token is not in the vocabulary or the lengths do not add up to the tokens.
    pub fn score_tokens(&mut self, tokens: &[u32], lengths: &[u32], out: &mut Vec<f32>) {
        let warm = &self.warm;
        warm.packed.logits(tokens, lengths, &mut self.work.scratch, out);
        let shape = warm.packed.shape();
        for logits in out.chunks_exact_mut(shape.outputs) {
            probabilities(shape.head, warm.model.temperature, logits);
        }
    }

    /// Where the time of the last [`Engine::classify`] went.
    pub fn last_times(&self) -> Times {
        self.work.times
    }
}

/// What a thread needs to judge comments.
#[derive(Debug, Default)]
struct Work {
    text: nunchi_text::Scratch,
    scratch: Scratch,
    tokens: Vec<u32>,
    lengths: Vec<u32>,
    logits: Vec<f32>,
    times: Times,
}

impl Work {
    fn classify(&mut self, warm: &LoadedModel, comments: &[&str], out: &mut Vec<Prediction>) {
        let begin = Instant::now();
        out.clear();
        self.tokens.clear();
        self.lengths.clear();
        for comment in comments {
            let model = &warm.model;
            let encoded = model.tokenizer.encode(comment, model.max_tokens, &mut self.text, &mut self.tokens);
            self.lengths
                .push(u32::try_from(encoded.tokens).expect("a comment has at most max_tokens tokens"));
            out.push(Prediction {
                tokens: encoded.tokens,
                unknown: encoded.unknown,
                truncated: encoded.truncated,
                ..Prediction::default()
            });
        }
        let tokenised = Instant::now();
        warm.packed.logits(&self.tokens, &self.lengths, &mut self.scratch, &mut self.logits);
        let shape = warm.packed.shape();
        for (prediction, logits) in out.iter_mut().zip(self.logits.chunks_exact_mut(shape.outputs)) {
            probabilities(shape.head, warm.model.temperature, logits);
            judge(shape.head, logits, prediction);
        }
        self.times = Times { tokenise: tokenised - begin, infer: tokenised.elapsed() };
    }
}

/// Turns the head's outputs into probabilities, in place.
fn probabilities(head: HeadKind, temperature: f32, logits: &mut [f32]) {
    let temperature = f64::from(temperature);
    match head {
        HeadKind::Sigmoid => {
            for logit in logits {
                *logit = (1.0 / (1.0 + (-f64::from(*logit) / temperature).exp())) as f32;
            }
        }
        HeadKind::Softmax => {
            let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let power = |logit: f32| (f64::from(logit - most) / temperature).exp();
            let sum: f64 = logits.iter().map(|&logit| power(logit)).sum();
            for logit in logits {
                *logit = (power(*logit) / sum) as f32;
            }
        }
    }
}

/// Chooses the label: positive exactly when the score is at least 0.5; with a softmax the most probable class.
fn judge(head: HeadKind, probabilities: &[f32], prediction: &mut Prediction) {
    match head {
        HeadKind::Sigmoid => {
            prediction.score = probabilities[0];
            prediction.label = usize::from(probabilities[0] >= 0.5);
        }
        HeadKind::Softmax => {
            let best = (1..probabilities.len())
                .fold(0, |best, class| if probabilities[class] > probabilities[best] { class } else { best });
            prediction.label = best;
            prediction.score = probabilities[best];
            prediction.scores = probabilities.to_vec();
        }
    }
}
