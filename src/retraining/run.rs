//! One run, from the first record to the decision.

use super::compare::compare;
use super::report::{Ending, Report};
use super::start::Start;
use super::train::{Candidate, train};
use super::training_data::TrainingData;
use super::{Request, RetrainError};
use crate::registry::{Data, Entry, Gate, Manifest, NewVersion, PromotionNote, RegistryError, Store};
use crate::stop::Stop;
use nunchi_train::trainer::Progress;

/// A run that reached a decision.
#[derive(Clone, Debug)]
pub struct RetrainOutcome {
    /// The report.
    pub report: Report,
    /// The manifest of the candidate.
    pub manifest: Option<Manifest>,
    /// The promotion.
    pub entry: Option<Entry>,
}

/// Runs once. `say` gets a line for each step, `progress` the training's.
///
/// # Errors
/// See [`RetrainError`]; nothing was published then, unless the message states it.
pub fn retrain(
    request: &Request,
    store: &Store,
    stop: &Stop,
    progress: Box<dyn Progress + Send>,
    say: &dyn Fn(&str),
) -> Result<RetrainOutcome, RetrainError> {
    let start = Start::new(request, store)?;
    let data = TrainingData::read(request, &start.current, say)?;
    if stop.requested() {
        return Err(RetrainError::Stopped);
    }
    if let Some(why) = data.too_little(request.min_comments, &start.current.labels) {
        let report = start.report(request, &data, Ending::NotEnoughData, why);
        return Ok(RetrainOutcome { report, manifest: None, entry: None });
    }
    let examples: usize = data.split.train.iter().map(|source| source.comments.len()).sum();
    say(&format!(
        "training {} on {examples} comments, selecting the epoch on {}",
        if request.recipe.from_scratch { "a new network" } else { "the current network" },
        data.split.dev.iter().map(|source| source.comments.len()).sum::<usize>()
    ));
    let candidate = train(&start.current, &data.split, &request.recipe, &start.run, stop, progress)?;
    say(&format!("the candidate is {}; comparing it with {}", candidate.model.version, start.parent));
    let report = compare(request, &start, &data, &candidate)?;
    if stop.requested() {
        return Err(RetrainError::Stopped);
    }
    publish(start, request, store, candidate, report, data.manifest)
}

/// Publishes the candidate, and promotes it if it passed.
fn publish(
    mut start: Start,
    request: &Request,
    store: &Store,
    candidate: Candidate,
    mut report: Report,
    data: Data,
) -> Result<RetrainOutcome, RetrainError> {
    let passed = report.verdict.passed;
    if passed && !request.publish_only {
        // Checked before anything is written, too: an entry that was written meanwhile wins.
        start.still_current(store)?;
    }
    report.seconds = start.begin.elapsed().as_secs_f64();
    if report.candidate.is_none() {
        return Ok(RetrainOutcome { report, manifest: None, entry: None });
    }
    let new = NewVersion {
        created_by: request.actor.clone(),
        parent: Some(start.parent.clone()),
        data,
        parameters: serde_json::json!({ "recipe": request.recipe, "test_share": request.test_share }),
        gate: Some(Gate { passed, report: report.to_value() }),
        note: Some(report.why.clone()),
    };
    let manifest = store.publish(candidate.content, new)?.manifest;
    if report.ending != Ending::Promoted {
        return Ok(RetrainOutcome { report, manifest: Some(manifest), entry: None });
    }
    let note = PromotionNote { actor: request.actor.clone(), reason: report.why.clone() };
    match store.promote_after(&start.log, &manifest.version, note, false) {
        Ok(entry) => Ok(RetrainOutcome { report, manifest: Some(manifest), entry: Some(entry) }),
        Err(RegistryError::LostRace(entry)) => Err(RetrainError::Overtaken { parent: start.parent, entry }),
        Err(error) => Err(error.into()),
    }
}
