//! Measuring models on labelled comments, read as a stream: only scores are kept.

use super::data::{self, Columns, Counts, DataError};
use super::judge;
use super::metrics::{Metrics, Outcome};
use super::spacing::Spacing;
use crate::engine::{Engine, EngineError, Judgement, Warm};
use crate::model::Model;
use crate::text::Scratch;
use std::path::Path;
use std::sync::Arc;

/// Comments judged together.
const CHUNK: usize = 4_096;

/// What judges: the engine that `run` uses, or the readable mathematics that it is tested against.
pub enum Judge {
    /// The engine.
    Engine {
        /// It.
        engine: Box<Engine>,
        /// Its judgements, reused from chunk to chunk.
        judgements: Vec<Judgement>,
    },
    /// The mathematics of [`crate::rnn`].
    Reference(Box<Model>),
    /// A judge that is given every comment with other spaces.
    Respaced(Box<Judge>, Spacing),
}

impl Judge {
    /// The engine, with the best kernel of this CPU.
    ///
    /// # Errors
    /// A model that cannot be made warm.
    pub fn engine(model: Model) -> Result<Self, EngineError> {
        let engine = Box::new(Engine::new(Arc::new(Warm::new(model, None)?)));
        Ok(Judge::Engine { engine, judgements: Vec::new() })
    }

    /// The mathematics.
    pub fn reference(model: Model) -> Self {
        Judge::Reference(Box::new(model))
    }

    /// The same judge, but given every comment with other spaces.
    pub fn respaced(self, spacing: Spacing) -> Self {
        Judge::Respaced(Box::new(self), spacing)
    }

    /// The model that judges.
    pub fn model(&self) -> &Model {
        match self {
            Judge::Engine { engine, .. } => engine.warm().model(),
            Judge::Reference(model) => model,
            Judge::Respaced(judge, _) => judge.model(),
        }
    }

    /// Appends what it says of each comment, beside the class that the comment has.
    pub(super) fn judge(&mut self, comments: &[&str], classes: &[usize], out: &mut Vec<Outcome>) {
        match self {
            Judge::Engine { engine, judgements } => {
                engine.classify(comments, judgements);
                out.extend(
                    judgements.iter().zip(classes).map(|(judgement, &class)| of_judgement(judgement, class)),
                );
            }
            Judge::Reference(model) => {
                let mut scratch = Scratch::default();
                let mut tokens = vec![Vec::new(); comments.len()];
                for (comment, tokens) in comments.iter().zip(&mut tokens) {
                    model.tokenizer.encode(comment, model.max_tokens, &mut scratch, tokens);
                }
                for (part, classes) in tokens.chunks(256).zip(classes.chunks(256)) {
                    let sequences: Vec<&[u32]> = part.iter().map(Vec::as_slice).collect();
                    let logits = model.network.logits(&sequences);
                    let (head, temperature) = (model.network.shape.head, f64::from(model.temperature));
                    out.extend(
                        logits
                            .rows()
                            .into_iter()
                            .zip(classes)
                            .map(|(row, &class)| judge::outcome(head, row, class, temperature)),
                    );
                }
            }
            Judge::Respaced(judge, spacing) => {
                let spaced: Vec<String> = comments.iter().map(|comment| spacing.apply(comment)).collect();
                let views: Vec<&str> = spaced.iter().map(String::as_str).collect();
                judge.judge(&views, classes, out);
            }
        }
    }
}

fn of_judgement(judgement: &Judgement, class: usize) -> Outcome {
    if judgement.scores.is_empty() {
        Outcome::of_two(class, f64::from(judgement.score))
    } else {
        Outcome { class, probabilities: judgement.scores.iter().map(|&score| f64::from(score)).collect() }
    }
}

/// Measures every judge on the same file, read once. `heard` is told how many comments were judged so far.
///
/// # Errors
/// Files that cannot be read or understood, or that hold one class alone.
pub fn evaluate(
    judges: &mut [Judge],
    path: &Path,
    columns: &Columns,
    mut heard: impl FnMut(usize),
) -> Result<(Vec<Metrics>, Counts), DataError> {
    let mut outcomes: Vec<Vec<Outcome>> = vec![Vec::new(); judges.len()];
    let (mut comments, mut classes) = (Vec::<String>::new(), Vec::new());
    let mut judge_all = |comments: &mut Vec<String>, classes: &mut Vec<usize>| {
        let views: Vec<&str> = comments.iter().map(String::as_str).collect();
        for (judge, outcomes) in judges.iter_mut().zip(&mut outcomes) {
            judge.judge(&views, classes, outcomes);
        }
        heard(views.len());
        comments.clear();
        classes.clear();
    };
    let counts = data::read(path, columns, |example| {
        comments.push(example.text.to_owned());
        classes.push(example.class);
        if comments.len() == CHUNK {
            judge_all(&mut comments, &mut classes);
        }
    })?;
    judge_all(&mut comments, &mut classes);
    data::require_classes(path, &columns.target, &counts)?;
    Ok((outcomes.iter().map(|outcomes| Metrics::of(outcomes)).collect(), counts))
}
