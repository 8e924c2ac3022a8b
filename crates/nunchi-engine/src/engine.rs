//! One thread's engine: a loaded model and the memory that is reused from batch to batch.

use super::buffers::{Buffers, not_a_number};
use super::prediction::probabilities;
use super::sentences;
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
    /// Memory for the sentences, if they are classified too.
    sentences: Option<sentences::Work>,
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
        Engine { loaded, buffers: Buffers::default(), sentences: None }
    }

    /// Whether the sentences of each comment are classified too ([`Prediction::sentences`]). Off at first.
    #[must_use]
    pub fn with_sentences(self, on: bool) -> Self {
        Engine { sentences: on.then(sentences::Work::default), ..self }
    }

    /// Whether the sentences of each comment are classified too.
    pub fn has_sentences(&self) -> bool {
        self.sentences.is_some()
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
        let loaded = &self.loaded;
        self.buffers.classify(loaded.model(), loaded.packed(), loaded.decision(), comments, predictions)?;
        match &mut self.sentences {
            Some(work) => sentences::add(loaded, &mut self.buffers, work, comments, predictions),
            None => Ok(()),
        }
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
    use nunchi_model::rnn::Cell;

    #[test]
    fn the_opinion_is_the_reference_networks_and_changes_no_score() {
        let plain = nunchi_model::testing::model(Cell::Gru, 7);
        let model = nunchi_model::testing::with_opinion(plain.clone());
        let texts = ["좋아요", "언제 배송되나요?", "", "별로지만 추천해요"];
        let want = model.reference_opinions(&texts).expect("it has the output");
        assert_eq!(plain.reference_opinions(&texts), None);
        for kernel in crate::kernels() {
            let load =
                |model| Engine::new(Arc::new(LoadedModel::new(model, Some(kernel)).expect("it loads")));
            let without = load(plain.clone()).classify(&texts).expect("it classifies");
            let mut engine = load(model.clone());
            let with = engine.classify(&texts).expect("it classifies");
            let bound = engine.loaded().precision().bound();
            for ((without, with), want) in without.iter().zip(&with).zip(&want) {
                assert_eq!(
                    (without.opinion, without.score.to_bits()),
                    (None, with.score.to_bits()),
                    "{kernel}"
                );
                let off = (f64::from(with.opinion.expect("it has the output")) - want).abs();
                assert!(off <= bound, "{kernel}: off by {off}");
            }
        }
    }

    #[test]
    fn an_opinion_that_is_not_a_number_is_an_error() {
        let (model, overflowing) = nunchi_model::testing::overflowing();
        // The score of it would be fine: the head is replaced.
        let mut model = nunchi_model::testing::with_opinion(model);
        let head = std::mem::replace(&mut model.network.head.weight, ndarray::Array2::zeros((1, 16)));
        model.extension.opinion.as_mut().expect("it has the output").weight = head;
        let (bytes, _) = model.to_bytes(nunchi_model::WeightFormat::F32).expect("all weights are finite");
        let model = Model::from_bytes(&bytes).expect("the golden comment does not overflow");
        let mut engine = Engine::new(Arc::new(LoadedModel::new(model, None).expect("it loads")));
        let error = engine.classify(&["좋아요", overflowing]).expect_err("inf - inf is not a number");
        assert!(matches!(error, EngineError::NotANumber { index: 1, .. }), "{error:?}");
    }

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
