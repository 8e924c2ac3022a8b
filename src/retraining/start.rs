//! The state at the beginning of a run.

use super::comment::classes;
use super::gate::GateDecision;
use super::report::{Ending, Learned, Report};
use super::training_data::TrainingData;
use super::{Request, RetrainError};
use crate::registry::{Log, RegistryError, Store, Version};
use jiff::Timestamp;
use nunchi_data::{Target, are_negative_and_positive};
use nunchi_model::Model;
use std::time::Instant;

/// The state when the run began: the model that the candidate is compared with, and the log that made it current.
pub(super) struct Start {
    pub(super) run: String,
    at: Timestamp,
    pub(super) begin: Instant,
    /// As it was then: a later entry means that another decision was made.
    pub(super) log: Log,
    pub(super) parent: Version,
    pub(super) current: Model,
}

impl Start {
    pub(super) fn new(request: &Request, store: &Store) -> Result<Self, RetrainError> {
        let at = Timestamp::now();
        let log = store.log()?;
        let parent = log.current().cloned();
        let parent = parent.ok_or_else(|| RegistryError::NothingPromoted(store.url().to_owned()))?;
        let current = store.load(&parent)?;
        check_stars(request, &parent, &current)?;
        let run = format!("{}-{:04x}", at.strftime("%Y%m%d-%H%M%S"), rand::random::<u16>());
        Ok(Start { run, at, begin: Instant::now(), log, parent, current })
    }

    /// A report on the data, without a candidate.
    pub(super) fn report(
        &self,
        request: &Request,
        data: &TrainingData,
        ending: Ending,
        why: String,
    ) -> Report {
        let labels = self.current.labels.len();
        let learned = data.split.train.iter().map(|source| Learned {
            name: source.name.clone(),
            weight: source.weight,
            classes: classes(&source.comments, labels),
        });
        Report {
            run: self.run.clone(),
            started_at: self.at,
            seconds: self.begin.elapsed().as_secs_f64(),
            training_seconds: 0.0,
            ending,
            why,
            parent: self.parent.to_string(),
            candidate: None,
            labels: self.current.labels.clone(),
            window: [request.window.from, request.window.to],
            data: data.manifest.clone(),
            records: data.records.clone(),
            corrections: data.corrections.clone(),
            learned: learned.collect(),
            dev: data.split.dev.iter().map(|source| source.comments.len()).sum(),
            left_out: data.split.left_out,
            recipe: request.recipe.clone(),
            thresholds: request.thresholds.clone(),
            sets: Vec::new(),
            pairs: Vec::new(),
            speed: [0.0; 2],
            verdict: GateDecision::default(),
            flips: Vec::new(),
            words: Vec::new(),
            new_words: Vec::new(),
            drift: Vec::new(),
        }
    }

    /// Checks that the version that the candidate was compared with is still current.
    pub(super) fn still_current(&mut self, store: &Store) -> Result<(), RetrainError> {
        store.read_on(&mut self.log)?;
        if self.log.current() == Some(&self.parent) {
            return Ok(());
        }
        let parent = self.parent.clone();
        match self.log.entries().last() {
            Some(entry) => Err(RetrainError::Overtaken { parent, entry: Box::new(entry.clone()) }),
            // The log is empty: the store was replaced.
            None => Err(RegistryError::NothingPromoted(store.url().to_owned()).into()),
        }
    }
}

/// Stars map to two classes; models with other labels cannot use them.
fn check_stars(request: &Request, parent: &Version, current: &Model) -> Result<(), RetrainError> {
    let Some(stars) = request.window.stars.as_ref().filter(|_| !request.window.topics.is_empty()) else {
        return Ok(());
    };
    let mapped: Vec<&str> = (0..Target::classes(stars)).map(|class| stars.label(class)).collect();
    if are_negative_and_positive(&current.labels) {
        return Ok(());
    }
    Err(RetrainError::Usage(format!(
        "stars map to {}, but the labels of version {parent} are {}; use --no-stars to train on corrections and files alone",
        mapped.join(" and "),
        current.labels.join(", ")
    )))
}
