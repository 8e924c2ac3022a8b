//! Measuring models on labelled comments, read as a stream: scores and lengths are kept, and the texts of a few mistakes.

use crate::breakdown::Groups;
use crate::calibration;
use crate::metrics::{Metrics, Outcome};
use crate::spacing::Spacing;
use crate::top::Top;
use nunchi_data::LabeledSet;
use nunchi_data::{Columns, DataError, Example, LeftOut};
use nunchi_engine::{DecisionPolicy, Engine, EngineError, LoadedModel, Prediction};
use nunchi_model::Model;
use nunchi_text::Scratch;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Comments classified together.
const CHUNK: usize = 4_096;
/// Comments whose logits the reference computes together.
const REFERENCE_CHUNK: usize = 256;
/// Mistakes of a model whose texts are kept, and comments on which models disagree.
const MAX_CASES: usize = 24;

/// Why models cannot be measured.
#[derive(Debug, Error)]
pub enum EvaluationError {
    /// Files that cannot be read or understood, or hold one class alone.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A model that cannot classify a comment.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Classifies `texts` with the engine, in chunks, so that memory for tokens stays bounded.
///
/// # Errors
/// A comment whose score is not a number.
pub fn classify(engine: &mut Engine, texts: &[&str]) -> Result<Vec<Prediction>, EngineError> {
    let (mut all, mut part) = (Vec::with_capacity(texts.len()), Vec::new());
    for chunk in texts.chunks(CHUNK) {
        engine.classify_into(chunk, &mut part)?;
        all.append(&mut part);
    }
    Ok(all)
}

/// One model on a labelled set.
#[derive(Clone, Debug)]
pub struct Measured {
    /// By comment.
    pub outcomes: Vec<Outcome>,
    /// By comment.
    pub predictions: Vec<Prediction>,
    /// Over all.
    pub metrics: Metrics,
}

impl Measured {
    /// Classifies `texts`, whose classes are `classes`.
    ///
    /// # Errors
    /// A comment whose score is not a number.
    pub fn new(engine: &mut Engine, texts: &[&str], classes: &[usize]) -> Result<Self, EngineError> {
        let predictions = classify(engine, texts)?;
        let outcomes: Vec<Outcome> = predictions
            .iter()
            .zip(classes)
            .map(|(prediction, &class)| Outcome::of_prediction(prediction, class))
            .collect();
        let metrics = Metrics::of(&outcomes);
        Ok(Measured { outcomes, predictions, metrics })
    }
}

/// A model, and what computes its predictions.
pub enum ModelUnderTest {
    /// The engine, as `run` uses it.
    Engine {
        /// It.
        engine: Box<Engine>,
        /// Its predictions, reused from chunk to chunk.
        predictions: Vec<Prediction>,
    },
    /// The reference implementation of [`nunchi_model::rnn`], which the engine is tested against.
    Reference(Box<Model>),
    /// Another one that is given every comment with other spaces.
    Respaced(Box<ModelUnderTest>, Spacing),
}

impl ModelUnderTest {
    /// By the engine, with the best kernel of this CPU.
    ///
    /// # Errors
    /// A model that cannot be loaded into the engine.
    pub fn engine(model: Model) -> Result<Self, EngineError> {
        ModelUnderTest::deciding(model, None)
    }

    /// As [`ModelUnderTest::engine`]; `policy` says which verdicts are unsure.
    ///
    /// # Errors
    /// A model that cannot be loaded into the engine, or lacks what the policy needs.
    pub fn deciding(model: Model, policy: Option<DecisionPolicy>) -> Result<Self, EngineError> {
        let loaded = LoadedModel::new(model, None)?.with_decision(policy)?;
        let engine = Box::new(Engine::new(Arc::new(loaded)));
        Ok(ModelUnderTest::Engine { engine, predictions: Vec::new() })
    }

    /// By the reference.
    pub fn reference(model: Model) -> Self {
        ModelUnderTest::Reference(Box::new(model))
    }

    /// The same, but given every comment with other spaces.
    pub fn respaced(self, spacing: Spacing) -> Self {
        ModelUnderTest::Respaced(Box::new(self), spacing)
    }

    /// The model.
    pub fn model(&self) -> &Model {
        match self {
            ModelUnderTest::Engine { engine, .. } => engine.loaded().model(),
            ModelUnderTest::Reference(model) => model,
            ModelUnderTest::Respaced(tested, _) => tested.model(),
        }
    }

    /// Appends the outcome of each comment; `classes` are the classes that they have.
    ///
    /// # Errors
    /// A comment whose score is not a number.
    pub(crate) fn classify(
        &mut self,
        comments: &[&str],
        classes: &[usize],
        out: &mut Vec<Outcome>,
    ) -> Result<(), EngineError> {
        match self {
            ModelUnderTest::Engine { engine, predictions } => {
                engine.classify_into(comments, predictions)?;
                let pairs = predictions.iter().zip(classes);
                out.extend(pairs.map(|(prediction, &class)| Outcome::of_prediction(prediction, class)));
            }
            ModelUnderTest::Reference(model) => {
                for (comments, classes) in
                    comments.chunks(REFERENCE_CHUNK).zip(classes.chunks(REFERENCE_CHUNK))
                {
                    by_reference(model, comments, classes, out);
                }
            }
            ModelUnderTest::Respaced(tested, spacing) => {
                let spaced: Vec<String> = comments.iter().map(|comment| spacing.apply(comment)).collect();
                let views: Vec<&str> = spaced.iter().map(String::as_str).collect();
                tested.classify(&views, classes, out)?;
            }
        }
        Ok(())
    }
}

fn by_reference(model: &Model, comments: &[&str], classes: &[usize], out: &mut Vec<Outcome>) {
    let mut scratch = Scratch::default();
    let mut tokens = vec![Vec::new(); comments.len()];
    for (comment, tokens) in comments.iter().zip(&mut tokens) {
        model.tokenizer.encode(comment, model.max_tokens, &mut scratch, tokens);
    }
    let sequences: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
    let logits = model.network.logits(&sequences);
    let (head, temperature) = (model.network.shape.head, f64::from(model.temperature));
    let rows = logits.rows().into_iter().zip(classes);
    out.extend(rows.map(|(row, &class)| calibration::outcome(head, row, class, temperature)));
}

/// A labelled file to measure on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name in reports.
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

/// A comment that a model classified wrongly, or that models disagree on.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The comment.
    pub text: String,
    /// Its class.
    pub class: usize,
    /// Each model's outcome.
    pub outcomes: Vec<Outcome>,
}

/// The outcomes of models on labelled comments.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// The parts' names and their numbers of comments, in the order of the outcomes.
    pub parts: Vec<(String, usize)>,
    /// Rows whose stars stand for no class.
    pub dropped: usize,
    /// Other rows that were left out.
    pub left_out: LeftOut,
    /// The comments' lengths in characters.
    pub lengths: Vec<u32>,
    /// The comments' groups, if a column was named.
    pub groups: Option<Groups>,
    /// Every model's outcomes.
    pub outcomes: Vec<Vec<Outcome>>,
    /// Every model's worst mistakes, the worst first.
    pub mistakes: Vec<Vec<Case>>,
    /// Where some models are right and others wrong, the furthest apart first; empty for one model.
    pub disagreements: Vec<Case>,
}

/// Classifies the same parts with every model; each is read once. Keeps each comment's group in column `by`, if one is named.
/// `on_progress` gets the number of comments classified since its last call.
///
/// # Errors
/// Files that cannot be read or understood, or hold one class alone; a model that cannot classify a comment.
pub fn observe(
    models: &mut [ModelUnderTest],
    parts: &[Part],
    columns: &Columns,
    by: Option<&str>,
    mut on_progress: impl FnMut(usize),
) -> Result<Observations, EvaluationError> {
    let mut observer = Observer::new(models);
    let mut groups = by.map(|column| Groups { column: column.to_owned(), ..Groups::default() });
    let mut observations = Observations::default();
    for part in parts {
        let before = observer.lengths.len();
        let mut take = |example: Example<'_>| {
            if observer.take(example.text, example.class) {
                on_progress(observer.classify());
            }
        };
        let counts = match &mut groups {
            Some(groups) => {
                nunchi_data::read_by(&part.path, columns, &groups.column.clone(), |example, value| {
                    let group = groups.number(value);
                    groups.of.push(group);
                    take(example);
                })
            }
            None => nunchi_data::read(&part.path, columns, take),
        }?;
        on_progress(observer.classify());
        nunchi_data::require_classes(&part.path, &columns.target, &counts)?;
        let records = observer.lengths.len() - before;
        if records > 0 {
            observations.parts.push((part.name.clone(), records));
        }
        observations.dropped += counts.dropped;
        observations.left_out.merge(&counts.left_out);
    }
    observer.finish(&mut observations)?;
    observations.groups = groups;
    Ok(observations)
}

/// Classifies comments in memory with every model.
///
/// # Errors
/// A model that cannot classify a comment.
pub fn observe_sets(models: &mut [ModelUnderTest], sets: &[LabeledSet]) -> Result<Observations, EngineError> {
    let mut observer = Observer::new(models);
    let mut observations = Observations::default();
    for set in sets.iter().filter(|set| !set.texts.is_empty()) {
        for (text, &class) in set.texts.iter().zip(&set.classes) {
            if observer.take(text, class) {
                observer.classify();
            }
        }
        observer.classify();
        observations.parts.push((set.name.clone(), set.texts.len()));
    }
    observer.finish(&mut observations)?;
    Ok(observations)
}

/// Collects comments, classifies them in chunks, and keeps outcomes and the texts with the largest errors.
struct Observer<'a> {
    models: &'a mut [ModelUnderTest],
    comments: Vec<String>,
    classes: Vec<usize>,
    lengths: Vec<u32>,
    outcomes: Vec<Vec<Outcome>>,
    mistakes: Vec<Top<Case>>,
    disagreements: Top<Case>,
    /// The first error; nothing is measured after it.
    failed: Option<EngineError>,
}

impl<'a> Observer<'a> {
    fn new(models: &'a mut [ModelUnderTest]) -> Self {
        Observer {
            comments: Vec::new(),
            classes: Vec::new(),
            lengths: Vec::new(),
            outcomes: vec![Vec::new(); models.len()],
            mistakes: vec![Top::new(MAX_CASES); models.len()],
            disagreements: Top::new(MAX_CASES),
            failed: None,
            models,
        }
    }

    /// Adds a comment; whether the chunk is full.
    fn take(&mut self, text: &str, class: usize) -> bool {
        self.comments.push(text.to_owned());
        self.classes.push(class);
        self.lengths.push(text.chars().count() as u32);
        self.comments.len() == CHUNK
    }

    /// Moves what was kept into `observations`.
    fn finish(self, observations: &mut Observations) -> Result<(), EngineError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        observations.lengths = self.lengths;
        observations.outcomes = self.outcomes;
        observations.mistakes = self.mistakes.into_iter().map(Top::into_items).collect();
        observations.disagreements = self.disagreements.into_items();
        Ok(())
    }

    /// Classifies the chunk; how many comments it had.
    fn classify(&mut self) -> usize {
        let first = self.lengths.len() - self.comments.len();
        let views: Vec<&str> = self.comments.iter().map(String::as_str).collect();
        for (model, outcomes) in self.models.iter_mut().zip(&mut self.outcomes) {
            if let Err(error) = model.classify(&views, &self.classes, outcomes) {
                self.failed.get_or_insert(error);
            }
        }
        if self.failed.is_some() {
            self.lengths.truncate(first);
            self.comments.clear();
            self.classes.clear();
            return 0;
        }
        for (at, (text, &class)) in self.comments.iter().zip(&self.classes).enumerate() {
            let outcomes = || self.outcomes.iter().map(|outcomes| &outcomes[first + at]);
            let case = || Case { text: text.clone(), class, outcomes: outcomes().cloned().collect() };
            // The probability that a model gives the true class.
            let truth = |outcome: &Outcome| outcome.probabilities[class];
            for (outcome, top) in outcomes().zip(&mut self.mistakes) {
                if !outcome.is_right() {
                    top.offer(1.0 - truth(outcome), case);
                }
            }
            let right = outcomes().filter(|outcome| outcome.is_right()).count();
            if 0 < right && right < self.outcomes.len() {
                let (low, high) = outcomes()
                    .map(truth)
                    .fold((1.0_f64, 0.0_f64), |(low, high), p| (low.min(p), high.max(p)));
                self.disagreements.offer(high - low, case);
            }
        }
        self.comments.clear();
        self.classes.clear();
        self.lengths.len() - first
    }
}
