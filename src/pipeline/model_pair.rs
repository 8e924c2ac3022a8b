//! Two models on the same comments, for comparisons.

use nunchi_engine::{Classifier, EngineError, Prediction, Times};

/// What a worker needs of a classifier: for each comment a value that the output accepts. A [`Classifier`] returns one
/// prediction, a [`ModelPair`] two.
pub(crate) trait BatchClassifier: Send {
    /// What is returned for a comment.
    type Prediction;

    /// As [`Classifier::refresh`].
    fn refresh(&mut self);

    /// Classifies `comments`; `out` is cleared and gets the prediction of each, in order.
    fn classify(&mut self, comments: &[&str], out: &mut Vec<Self::Prediction>) -> Result<(), EngineError>;

    /// As [`Classifier::version`].
    fn version(&self) -> &str;

    /// As [`Classifier::labels`].
    fn labels(&self) -> &[String];

    /// Where the time of the last call of [`BatchClassifier::classify`] went.
    fn last_times(&self) -> Times;
}

impl<C: Classifier> BatchClassifier for C {
    type Prediction = Prediction;

    fn refresh(&mut self) {
        Classifier::refresh(self);
    }

    fn classify(&mut self, comments: &[&str], out: &mut Vec<Prediction>) -> Result<(), EngineError> {
        Classifier::classify(self, comments, out)
    }

    fn version(&self) -> &str {
        Classifier::version(self)
    }

    fn labels(&self) -> &[String] {
        Classifier::labels(self)
    }

    fn last_times(&self) -> Times {
        Classifier::last_times(self)
    }
}

/// Two models with the same labels. Both classify at the same time, on a thread each.
#[derive(Debug)]
pub(crate) struct ModelPair<C> {
    classifiers: [C; 2],
    predictions: [Vec<Prediction>; 2],
}

impl<C: Classifier> ModelPair<C> {
    pub(crate) fn new(classifiers: [C; 2]) -> Self {
        ModelPair { classifiers, predictions: Default::default() }
    }
}

/// Version and labels are the first model's.
impl<C: Classifier> BatchClassifier for ModelPair<C> {
    type Prediction = [Prediction; 2];

    fn refresh(&mut self) {
        self.classifiers.iter_mut().for_each(C::refresh);
    }

    fn classify(&mut self, comments: &[&str], out: &mut Vec<[Prediction; 2]>) -> Result<(), EngineError> {
        let ([first, second], [left, right]) = (&mut self.classifiers, &mut self.predictions);
        std::thread::scope(|threads| {
            let first = threads.spawn(|| first.classify(comments, left));
            second.classify(comments, right)?;
            first.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        out.clear();
        out.extend(left.drain(..).zip(right.drain(..)).map(|(left, right)| [left, right]));
        Ok(())
    }

    fn version(&self) -> &str {
        self.classifiers[0].version()
    }

    fn labels(&self) -> &[String] {
        self.classifiers[0].labels()
    }

    fn last_times(&self) -> Times {
        self.classifiers[0].last_times()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Constant(f32);

    impl Classifier for Constant {
        fn classify(&mut self, comments: &[&str], out: &mut Vec<Prediction>) -> Result<(), EngineError> {
            out.clear();
            out.extend(comments.iter().map(|text| Prediction {
                score: self.0,
                tokens: text.len(),
                ..Prediction::default()
            }));
            Ok(())
        }

        fn version(&self) -> &str {
            "constant"
        }

        fn labels(&self) -> &[String] {
            &[]
        }

        fn last_times(&self) -> Times {
            Times::default()
        }
    }

    #[test]
    fn a_pair_returns_both_predictions_of_every_comment() {
        let mut pair = ModelPair::new([Constant(0.25), Constant(0.75)]);
        let mut out = Vec::new();
        for comments in [&["a", "bcd"][..], &[], &["ef"]] {
            pair.classify(comments, &mut out).expect("constants cannot fail");
            assert_eq!(out.len(), comments.len());
            for ([left, right], comment) in out.iter().zip(comments) {
                assert_eq!((left.score, right.score), (0.25, 0.75));
                assert_eq!((left.tokens, right.tokens), (comment.len(), comment.len()));
            }
        }
    }
}
