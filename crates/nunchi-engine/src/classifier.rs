//! The interface between whoever has comments and whatever classifies them.

use crate::{EngineError, Prediction};
use std::time::Duration;

/// Where the time of a batch went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// From text to tokens.
    pub tokenise: Duration,
    /// From tokens to predictions.
    pub infer: Duration,
}

/// Classifies batches of comments. One for each thread: implementations reuse their memory from batch to batch.
pub trait Classifier: Send {
    /// Called before each batch. From here until the next call one and the same model classifies, so that
    /// [`Classifier::version`] and [`Classifier::labels`] belong to the batch's predictions.
    fn refresh(&mut self) {}

    /// Classifies `comments`; `predictions` is cleared and gets one for each comment, in order.
    ///
    /// # Errors
    /// A model that cannot classify one of the comments; `predictions` is then unspecified.
    fn classify(&mut self, comments: &[&str], predictions: &mut Vec<Prediction>) -> Result<(), EngineError>;

    /// The model's VERSION, as verdicts carry it.
    fn version(&self) -> &str;

    /// Class names. Two: `negative` and `positive`, and a score is the probability of the second.
    fn labels(&self) -> &[String];

    /// Where the time of the last [`Classifier::classify`] went.
    fn last_times(&self) -> Times;
}
