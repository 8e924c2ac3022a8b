//! One run, from the first record to the decision.

use super::RetrainError;
use super::comment::classes;
use super::compare::compare;
use super::gate::{GateThresholds, Verdict};
use super::material::Material;
use super::report::{Ending, Learned, Report};
use super::topics::Window;
use super::train::{Candidate, Recipe, train};
use crate::config::Config;
use crate::registry::{
    Data, Entry, Gate, Log, Manifest, NewVersion, PromotionNote, RegistryError, Store, Version,
};
use crate::stop::Stop;
use jiff::Timestamp;
use nunchi_data::ColumnHints;
use nunchi_data::Source;
use nunchi_data::Target;
use nunchi_model::Model;
use nunchi_train::trainer::Progress;
use std::path::PathBuf;
use std::time::Instant;

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct Request {
    /// The settings: names of fields, brokers.
    pub config: Config,
    /// The kernel to judge with; the best one of this CPU unless named.
    pub kernel: Option<String>,
    /// The historical topics, and the window of time.
    pub window: Window,
    /// The topic of corrections.
    pub corrections: Option<String>,
    /// Files with new comments.
    pub data: Vec<Source>,
    /// Files with old comments, to be mixed in.
    pub mix: Vec<Source>,
    /// Most old comments, as a multiple of the new ones.
    pub mix_ratio: f64,
    /// Files with the golden set.
    pub golden: Vec<Source>,
    /// A file of pairs; the built-in ones unless named.
    pub pairs: Option<PathBuf>,
    /// How files are read.
    pub columns: ColumnHints,
    /// Fewest new labelled comments.
    pub least: usize,
    /// Share of the new comments, the last in time, that is kept as test.
    pub test_share: f64,
    /// How to train.
    pub recipe: Recipe,
    /// The gate.
    pub bands: GateThresholds,
    /// Whether to leave the promotion to somebody else.
    pub publish_only: bool,
    /// Who acts; empty: user@host.
    pub by: String,
}

/// A run that came to a decision.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What was found and decided.
    pub report: Report,
    /// What the store knows of the candidate.
    pub manifest: Option<Manifest>,
    /// The promotion.
    pub entry: Option<Entry>,
}

/// Runs once. `say` hears in words how it goes on; `progress` how training does.
///
/// # Errors
/// See [`RetrainError`]; nothing was published then, unless the sentence says so.
pub fn retrain(
    request: &Request,
    store: &Store,
    stop: &Stop,
    progress: Box<dyn Progress + Send>,
    say: &dyn Fn(&str),
) -> Result<Finished, RetrainError> {
    let start = Start::new(request, store)?;
    let material = Material::read(request, &start.current, say)?;
    if stop.requested() {
        return Err(RetrainError::Stopped);
    }
    if let Some(why) = material.too_little(request.least, &start.current.labels) {
        let report = start.report(request, &material, Ending::NotEnoughData, why);
        return Ok(Finished { report, manifest: None, entry: None });
    }
    let examples: usize = material.parts.train.iter().map(|source| source.comments.len()).sum();
    say(&format!(
        "training {} on {examples} comments, choosing on {}",
        if request.recipe.from_scratch { "a new network" } else { "the current network" },
        material.parts.dev.iter().map(|source| source.comments.len()).sum::<usize>()
    ));
    let candidate = train(&start.current, &material.parts, &request.recipe, &start.run, stop, progress)?;
    say(&format!("the candidate is {}; comparing it with {}", candidate.model.version, start.parent));
    let report = compare(request, &start, &material, &candidate)?;
    if stop.requested() {
        return Err(RetrainError::Stopped);
    }
    start.decide(request, store, candidate, report, material.data)
}

/// What was so when the run began.
pub(super) struct Start {
    run: String,
    at: Timestamp,
    begin: Instant,
    log: Log,
    pub(super) parent: Version,
    pub(super) current: Model,
}

impl Start {
    fn new(request: &Request, store: &Store) -> Result<Self, RetrainError> {
        let at = Timestamp::now();
        let log = store.log()?;
        let parent = log.current().cloned();
        let parent = parent.ok_or_else(|| RegistryError::NothingPromoted(store.url().to_owned()))?;
        let current = store.load(&parent)?;
        check_stars(request, &parent, &current)?;
        let run = format!("{}-{:04x}", at.strftime("%Y%m%d-%H%M%S"), rand::random::<u16>());
        Ok(Start { run, at, begin: Instant::now(), log, parent, current })
    }

    /// A report that tells of what was read, and nothing of a candidate yet.
    pub(super) fn report(
        &self,
        request: &Request,
        material: &Material,
        ending: Ending,
        why: String,
    ) -> Report {
        let labels = self.current.labels.len();
        let learned = material.parts.train.iter().map(|source| Learned {
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
            data: material.data.clone(),
            records: material.records.clone(),
            corrections: material.corrections.clone(),
            learned: learned.collect(),
            dev: material.parts.dev.iter().map(|source| source.comments.len()).sum(),
            left_out: material.parts.left_out,
            recipe: request.recipe.clone(),
            bands: request.bands.clone(),
            sets: Vec::new(),
            pairs: Vec::new(),
            speed: [0.0; 2],
            verdict: Verdict::default(),
            flips: Vec::new(),
            words: Vec::new(),
            new_words: Vec::new(),
            drift: Vec::new(),
        }
    }

    /// Publishes the candidate, and promotes it if it passed.
    fn decide(
        mut self,
        request: &Request,
        store: &Store,
        candidate: Candidate,
        mut report: Report,
        data: Data,
    ) -> Result<Finished, RetrainError> {
        let passed = report.verdict.passed;
        if passed && !request.publish_only {
            // Found out before anything is written, too: whoever was faster has the word.
            self.still_current(store)?;
        }
        report.seconds = self.begin.elapsed().as_secs_f64();
        if report.candidate.is_none() {
            return Ok(Finished { report, manifest: None, entry: None });
        }
        let new = NewVersion {
            created_by: request.by.clone(),
            parent: Some(self.parent.clone()),
            data,
            parameters: serde_json::json!({ "recipe": request.recipe, "test_share": request.test_share }),
            gate: Some(Gate { passed, report: report.to_value() }),
            note: Some(report.why.clone()),
        };
        let manifest = store.publish(candidate.content, new)?.manifest;
        if report.ending != Ending::Promoted {
            return Ok(Finished { report, manifest: Some(manifest), entry: None });
        }
        let note = PromotionNote { actor: request.by.clone(), reason: report.why.clone() };
        match store.promote_after(&self.log, &manifest.version, note, false) {
            Ok(entry) => Ok(Finished { report, manifest: Some(manifest), entry: Some(entry) }),
            Err(RegistryError::LostRace(entry)) => {
                Err(RetrainError::Overtaken { parent: self.parent, entry })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the version that the candidate was compared with is current still.
    fn still_current(&mut self, store: &Store) -> Result<(), RetrainError> {
        store.read_on(&mut self.log)?;
        if self.log.current() == Some(&self.parent) {
            return Ok(());
        }
        let parent = self.parent.clone();
        match self.log.entries().last() {
            Some(entry) => Err(RetrainError::Overtaken { parent, entry: Box::new(entry.clone()) }),
            // The log is gone: another store stands in its place.
            None => Err(RegistryError::NothingPromoted(store.url().to_owned()).into()),
        }
    }
}

/// Stars stand for two classes; of another model's labels they say nothing.
fn check_stars(request: &Request, parent: &Version, current: &Model) -> Result<(), RetrainError> {
    let Some(stars) = request.window.stars.as_ref().filter(|_| !request.window.topics.is_empty()) else {
        return Ok(());
    };
    let meant: Vec<&str> = (0..Target::classes(stars)).map(|class| stars.label(class)).collect();
    if current.labels == meant {
        return Ok(());
    }
    Err(RetrainError::Usage(format!(
        "stars stand for {}, but the labels of version {parent} are {}; --no-stars learns from corrections and files alone",
        meant.join(" and "),
        current.labels.join(", ")
    )))
}
