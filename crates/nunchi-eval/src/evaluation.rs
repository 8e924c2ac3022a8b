//! Measuring models on labelled comments, read as a stream: scores and lengths are kept, and the texts of a few mistakes.

use super::metrics::Outcome;
use super::spacing::Spacing;
use crate::calibration;
use nunchi_data::examples::DevSet;
use nunchi_data::{Columns, DataError};
use nunchi_engine::{Engine, EngineError, LoadedModel, Prediction};
use nunchi_model::Model;
use nunchi_text::Scratch;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Comments judged together.
const CHUNK: usize = 4_096;
/// ConfigErrors of a model whose texts are kept, and verdicts that models differ in.
const CASES: usize = 24;

/// What judges: the engine that `run` uses, or the readable mathematics that it is tested against.
pub enum ModelUnderTest {
    /// The engine.
    Engine {
        /// It.
        engine: Box<Engine>,
        /// Its predictions, reused from chunk to chunk.
        predictions: Vec<Prediction>,
    },
    /// The mathematics of [`nunchi_model::rnn`].
    Reference(Box<Model>),
    /// A judge that is given every comment with other spaces.
    Respaced(Box<ModelUnderTest>, Spacing),
}

impl ModelUnderTest {
    /// The engine, with the best kernel of this CPU.
    ///
    /// # Errors
    /// A model that cannot be made warm.
    pub fn engine(model: Model) -> Result<Self, EngineError> {
        let engine = Box::new(Engine::new(Arc::new(LoadedModel::new(model, None)?)));
        Ok(ModelUnderTest::Engine { engine, predictions: Vec::new() })
    }

    /// The mathematics.
    pub fn reference(model: Model) -> Self {
        ModelUnderTest::Reference(Box::new(model))
    }

    /// The same judge, but given every comment with other spaces.
    pub fn respaced(self, spacing: Spacing) -> Self {
        ModelUnderTest::Respaced(Box::new(self), spacing)
    }

    /// The model that judges.
    pub fn model(&self) -> &Model {
        match self {
            ModelUnderTest::Engine { engine, .. } => engine.warm().model(),
            ModelUnderTest::Reference(model) => model,
            ModelUnderTest::Respaced(judge, _) => judge.model(),
        }
    }

    /// Appends what it says of each comment, beside the class that the comment has.
    pub(super) fn judge(&mut self, comments: &[&str], classes: &[usize], out: &mut Vec<Outcome>) {
        match self {
            ModelUnderTest::Engine { engine, predictions } => {
                engine.classify(comments, predictions);
                out.extend(
                    predictions
                        .iter()
                        .zip(classes)
                        .map(|(prediction, &class)| of_prediction(prediction, class)),
                );
            }
            ModelUnderTest::Reference(model) => {
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
                            .map(|(row, &class)| calibration::outcome(head, row, class, temperature)),
                    );
                }
            }
            ModelUnderTest::Respaced(judge, spacing) => {
                let spaced: Vec<String> = comments.iter().map(|comment| spacing.apply(comment)).collect();
                let views: Vec<&str> = spaced.iter().map(String::as_str).collect();
                judge.judge(&views, classes, out);
            }
        }
    }
}

fn of_prediction(prediction: &Prediction, class: usize) -> Outcome {
    if prediction.scores.is_empty() {
        Outcome::of_two(class, f64::from(prediction.score))
    } else {
        Outcome { class, probabilities: prediction.scores.iter().map(|&score| f64::from(score)).collect() }
    }
}

/// What to measure on: a labelled file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// A name for people.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

impl Part {
    /// A whole file under its own name.
    pub fn whole(path: &Path) -> Self {
        let name = path
            .file_name()
            .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        Part { name, path: path.to_owned() }
    }
}

/// A comment that a model got wrong, or that models differ about.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The comment.
    pub text: String,
    /// Its class.
    pub class: usize,
    /// What each model answered.
    pub outcomes: Vec<Outcome>,
}

/// What models answered on data.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// The parts' names and their numbers of comments, in the order of the outcomes.
    pub parts: Vec<(String, usize)>,
    /// Rows of no class, and rows that could not be read.
    pub left_out: (usize, usize),
    /// The comments' lengths in characters.
    pub lengths: Vec<u32>,
    /// Every model's outcomes.
    pub outcomes: Vec<Vec<Outcome>>,
    /// Every model's worst mistakes, the worst first.
    pub mistakes: Vec<Vec<Case>>,
    /// Where some models are right and others wrong, the furthest apart first; empty for one model.
    pub disagreements: Vec<Case>,
}

/// Has every judge answer the same parts, each read once. `heard` is told how many comments were judged since the last
/// time.
///
/// # Errors
/// Files that cannot be read or understood, or hold one class alone.
pub fn observe(
    judges: &mut [ModelUnderTest],
    parts: &[Part],
    columns: &Columns,
    mut heard: impl FnMut(usize),
) -> Result<Observations, DataError> {
    let mut observer = Observer::new(judges);
    let mut seen = Observations::default();
    for part in parts {
        let before = observer.lengths.len();
        let counts = nunchi_data::read(&part.path, columns, |example| {
            if observer.take(example.text, example.class) {
                heard(observer.judge());
            }
        })?;
        heard(observer.judge());
        nunchi_data::require_classes(&part.path, &columns.target, &counts)?;
        let records = observer.lengths.len() - before;
        if records > 0 {
            seen.parts.push((part.name.clone(), records));
        }
        seen.left_out.0 += counts.dropped;
        seen.left_out.1 += counts.bad;
    }
    observer.into(&mut seen);
    Ok(seen)
}

/// Has every judge answer comments that are in memory.
pub fn observe_sets(judges: &mut [ModelUnderTest], sets: &[DevSet]) -> Observations {
    let mut observer = Observer::new(judges);
    let mut seen = Observations::default();
    for set in sets.iter().filter(|set| !set.texts.is_empty()) {
        for (text, &class) in set.texts.iter().zip(&set.classes) {
            if observer.take(text, class) {
                observer.judge();
            }
        }
        observer.judge();
        seen.parts.push((set.name.clone(), set.texts.len()));
    }
    observer.into(&mut seen);
    seen
}

/// Gathers comments, has them judged, and keeps what is worth keeping.
struct Observer<'a> {
    judges: &'a mut [ModelUnderTest],
    comments: Vec<String>,
    classes: Vec<usize>,
    lengths: Vec<u32>,
    outcomes: Vec<Vec<Outcome>>,
    mistakes: Vec<Top>,
    disagreements: Top,
}

impl<'a> Observer<'a> {
    fn new(judges: &'a mut [ModelUnderTest]) -> Self {
        Observer {
            comments: Vec::new(),
            classes: Vec::new(),
            lengths: Vec::new(),
            outcomes: vec![Vec::new(); judges.len()],
            mistakes: vec![Top::default(); judges.len()],
            disagreements: Top::default(),
            judges,
        }
    }

    /// Adds a comment; whether it is time to judge.
    fn take(&mut self, text: &str, class: usize) -> bool {
        self.comments.push(text.to_owned());
        self.classes.push(class);
        self.lengths.push(text.chars().count() as u32);
        self.comments.len() == CHUNK
    }

    /// Hands over what was kept.
    fn into(self, seen: &mut Observations) {
        seen.lengths = self.lengths;
        seen.outcomes = self.outcomes;
        seen.mistakes = self.mistakes.into_iter().map(Top::into_cases).collect();
        seen.disagreements = self.disagreements.into_cases();
    }

    /// Judges what was taken; how many.
    fn judge(&mut self) -> usize {
        let first = self.lengths.len() - self.comments.len();
        let views: Vec<&str> = self.comments.iter().map(String::as_str).collect();
        for (judge, outcomes) in self.judges.iter_mut().zip(&mut self.outcomes) {
            judge.judge(&views, &self.classes, outcomes);
        }
        for (at, (text, &class)) in self.comments.iter().zip(&self.classes).enumerate() {
            let answers = || self.outcomes.iter().map(|outcomes| &outcomes[first + at]);
            let case = || Case { text: text.clone(), class, outcomes: answers().cloned().collect() };
            // How sure each model is of the truth.
            let sure = |outcome: &Outcome| outcome.probabilities[class];
            for (outcome, top) in answers().zip(&mut self.mistakes) {
                if outcome.chosen() != class {
                    top.offer(1.0 - sure(outcome), case);
                }
            }
            let right = answers().filter(|outcome| outcome.chosen() == class).count();
            if 0 < right && right < self.outcomes.len() {
                let (low, high) =
                    answers().map(sure).fold((1.0_f64, 0.0_f64), |(low, high), p| (low.min(p), high.max(p)));
                self.disagreements.offer(high - low, case);
            }
        }
        self.comments.clear();
        self.classes.clear();
        self.lengths.len() - first
    }
}

/// The cases with the highest keys, the highest first; of equal ones those that came first.
#[derive(Clone, Debug, Default)]
struct Top(Vec<(f64, Case)>);

impl Top {
    fn offer(&mut self, key: f64, case: impl Fn() -> Case) {
        let place = self.0.partition_point(|(other, _)| *other >= key);
        if place < CASES {
            self.0.insert(place, (key, case()));
            self.0.truncate(CASES);
        }
    }

    fn into_cases(self) -> Vec<Case> {
        self.0.into_iter().map(|(_, case)| case).collect()
    }
}
