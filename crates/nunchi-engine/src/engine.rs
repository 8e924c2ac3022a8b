//! One thread's engine: a loaded model and the memory that is reused from batch to batch.

use super::buffers::{Buffers, not_a_number};
use super::prediction::probabilities;
use super::{Classifier, EngineError, LoadedModel, Prediction, Times};
use nunchi_model::Model;
use std::path::Path;
use std::sync::Arc;

/// One thread's engine: a loaded model and the memory that is reused from batch to batch.
///
/// Threads have an engine each and share the [`LoadedModel`]. [`Engine::classify`] is the simplest call; who classifies batch
/// after batch takes [`Engine::classify_into`].
#[derive(Debug)]
pub struct Engine {
    loaded: Arc<LoadedModel>,
    buffers: Buffers,
}

impl Engine {
    /// Reads a model file, verifies it, and packs it for the best kernel of this CPU.
    ///
    /// # Errors
    /// A file that is no sound model ([`EngineError::Model`]); golden comments that score otherwise.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, EngineError> {
        let model = Model::load(path.as_ref())?;
        Ok(Engine::new(Arc::new(LoadedModel::new(model, None)?)))
    }

    /// An engine for `loaded`.
    pub fn new(loaded: Arc<LoadedModel>) -> Self {
        Engine { loaded, buffers: Buffers::default() }
    }

    /// Classifies with `loaded` from now on. Cheap: the memory is kept.
    pub fn adopt(&mut self, loaded: Arc<LoadedModel>) {
        self.loaded = loaded;
    }

    /// The model in use.
    pub fn loaded(&self) -> &Arc<LoadedModel> {
        &self.loaded
    }

    /// The predictions of `comments`, in their order.
    ///
    /// # Errors
    /// A comment whose score is not a number ([`EngineError::NotANumber`]).
    pub fn classify(&mut self, comments: &[&str]) -> Result<Vec<Prediction>, EngineError> {
        let mut predictions = Vec::with_capacity(comments.len());
        self.classify_into(comments, &mut predictions)?;
        Ok(predictions)
    }

    /// As [`Engine::classify`], into memory that the caller reuses: `predictions` is cleared and gets one for each comment,
    /// in order.
    ///
    /// # Errors
    /// As [`Engine::classify`]; `predictions` is then unspecified.
    pub fn classify_into(
        &mut self,
        comments: &[&str],
        predictions: &mut Vec<Prediction>,
    ) -> Result<(), EngineError> {
        self.buffers.classify(self.loaded.model(), self.loaded.packed(), comments, predictions)
    }

    /// Classifies sequences of tokens: `tokens` holds them one after the other, `lengths` how many each has. `out` is cleared
    /// and gets each sequence's probabilities: one (of positive) for a sigmoid, one a class for a softmax.
    ///
    /// # Errors
    /// A sequence whose score is not a number ([`EngineError::NotANumber`]); `out` is then unspecified.
    ///
    /// # Panics
    /// If a token is not in the vocabulary or the lengths do not add up to the tokens.
    pub fn score_tokens(
        &mut self,
        tokens: &[u32],
        lengths: &[u32],
        out: &mut Vec<f32>,
    ) -> Result<(), EngineError> {
        let loaded = &self.loaded;
        loaded.packed().logits(tokens, lengths, &mut self.buffers.scratch, out);
        let shape = loaded.packed().shape();
        for (index, logits) in out.chunks_exact_mut(shape.outputs).enumerate() {
            probabilities(shape.head, loaded.model().temperature, logits);
            if logits.iter().any(|probability| probability.is_nan()) {
                return Err(not_a_number(loaded.model(), index));
            }
        }
        Ok(())
    }
}

impl Classifier for Engine {
    fn classify(&mut self, comments: &[&str], predictions: &mut Vec<Prediction>) -> Result<(), EngineError> {
        self.classify_into(comments, predictions)
    }

    fn version(&self) -> &str {
        &self.loaded.model().version
    }

    fn labels(&self) -> &[String] {
        &self.loaded.model().labels
    }

    fn last_times(&self) -> Times {
        self.buffers.times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_that_is_not_a_number_is_an_error() {
        let (model, overflowing) = nunchi_model::testing::overflowing();
        let version = model.version.clone();
        let mut engine = Engine::new(Arc::new(LoadedModel::new(model, None).expect("it loads")));
        assert_eq!(engine.classify(&["좋아요"]).expect("the others have scores").len(), 1);
        let error = engine.classify(&["좋아요", overflowing]).expect_err("inf - inf is not a number");
        assert!(error.to_string().contains(&version), "{error}");
        assert!(matches!(error, EngineError::NotANumber { index: 1, .. }), "{error:?}");
        let tokens = engine.loaded().model().tokens(overflowing);
        let mut scores = Vec::new();
        let error = engine.score_tokens(&tokens, &[tokens.len() as u32], &mut scores);
        assert!(matches!(error, Err(EngineError::NotANumber { index: 0, .. })), "{error:?}");
    }
}
