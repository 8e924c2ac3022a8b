//! What a thread needs to classify comments, reused from batch to batch.

use super::packed::{Packed, Scratch};
use super::prediction::{probabilities, sigmoid};
use super::{Decision, EngineError, Prediction, Times};
use nunchi_model::Model;
use std::time::Instant;

/// What a thread needs to classify comments.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    text: nunchi_text::Scratch,
    pub(crate) scratch: Scratch,
    tokens: Vec<u32>,
    lengths: Vec<u32>,
    logits: Vec<f32>,
    opinions: Vec<f32>,
    pub(crate) times: Times,
}

impl Buffers {
    /// Classifies `comments` with `model`, which `packed` is made of; `out` is cleared and gets one prediction for each.
    /// `decision` says which are unsure.
    pub(crate) fn classify(
        &mut self,
        model: &Model,
        packed: &Packed,
        decision: Option<&Decision>,
        comments: &[&str],
        out: &mut Vec<Prediction>,
    ) -> Result<(), EngineError> {
        let begin = Instant::now();
        out.clear();
        self.tokens.clear();
        self.lengths.clear();
        for comment in comments {
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
        let Buffers { tokens, lengths, scratch, logits, opinions, .. } = self;
        packed.logits_and_opinions(tokens, lengths, scratch, logits, opinions);
        let shape = packed.shape();
        let logits = self.logits.chunks_exact_mut(shape.outputs);
        for (index, (prediction, logits)) in out.iter_mut().zip(logits).enumerate() {
            probabilities(shape.head, model.temperature, logits);
            let decided = Prediction::of(shape.head, logits).ok_or_else(|| not_a_number(model, index))?;
            let Prediction { label, score, scores, .. } = decided;
            (prediction.label, prediction.score, prediction.scores) = (label, score, scores);
        }
        for (index, (prediction, &logit)) in out.iter_mut().zip(&self.opinions).enumerate() {
            if logit.is_nan() {
                return Err(not_a_number(model, index));
            }
            prediction.opinion = Some(sigmoid(logit));
        }
        if let Some(decision) = decision {
            for (prediction, comment) in out.iter_mut().zip(comments) {
                prediction.unsure = decision.decide(comment, prediction);
            }
        }
        self.times = Times { tokenise: tokenised - begin, infer: tokenised.elapsed() };
        Ok(())
    }
}

/// The error of a score that is not a number.
#[cold]
pub(crate) fn not_a_number(model: &Model, index: usize) -> EngineError {
    EngineError::NotANumber { version: model.version.clone(), index }
}
