//! Candidate and current model on the same comments: the gate's evidence, and the report.

use super::comment::Comment;
use super::gate::{Check, GateDecision, GateEvidence, Set};
use super::measure::{measure, speed, texts_and_classes};
use super::report::{Ending, Measured, Report};
use super::start::Start;
use super::train::Candidate;
use super::training_data::TrainingData;
use super::{Request, RetrainError};
use nunchi_engine::{Engine, EngineError, LoadedModel};
use nunchi_eval::comparison::{label_changes, words};
use nunchi_eval::paired::Paired;
use nunchi_eval::{drift, pairs};
use nunchi_model::Model;
use std::sync::Arc;

/// Measures both models and applies the gate.
pub(super) fn compare(
    request: &Request,
    start: &Start,
    data: &TrainingData,
    candidate: &Candidate,
) -> Result<Report, RetrainError> {
    // Which lower precisions a model allows is measured when it is published, so it is unknown for the candidate. Both run
    // in full precision, by the same kernel, unless one is named.
    let load = |model: &Model| {
        let plain = Model { report: serde_json::Value::Null, ..model.clone() };
        LoadedModel::new(plain, request.kernel.as_deref().map(str::parse).transpose()?)
    };
    let mut current = Engine::new(Arc::new(load(&start.current)?));
    let mut new = match load(&candidate.model) {
        Ok(loaded) => Engine::new(Arc::new(loaded)),
        Err(error @ EngineError::Golden { .. }) => return Ok(not_servable(request, start, data, &error)),
        Err(error) => return Err(error.into()),
    };
    let parts = &data.split;
    let mut both = |comments: &[Comment]| -> Result<_, EngineError> {
        Ok([measure(&mut current, comments)?, measure(&mut new, comments)?])
    };
    let fresh = both(&parts.test)?;
    let golden = (!data.golden.is_empty()).then(|| both(&data.golden)).transpose()?;
    let tallies = pairs::compare([&mut current, &mut new], &data.pairs)?;
    let speed = speed([&mut current, &mut new], &parts.test)?;
    let evidence = GateEvidence {
        fresh: Set { name: "fresh", current: &fresh[0], candidate: &fresh[1] },
        golden: golden.as_ref().map(|[current, candidate]| Set { name: "golden", current, candidate }),
        pairs: &tallies,
        speed,
    };
    let verdict = request.thresholds.decide(&evidence);
    let ending = match (verdict.passed, request.publish_only) {
        (false, _) => Ending::Rejected,
        (true, true) => Ending::Published,
        (true, false) => Ending::Promoted,
    };
    let mut report = start.report(request, data, ending, reason(start, &verdict, &evidence));
    describe_set(&mut report, &evidence.fresh, &parts.test);
    if let Some(set) = &evidence.golden {
        describe_set(&mut report, set, &data.golden);
    }
    report.candidate = Some(candidate.model.version.clone());
    report.training_seconds = candidate.took.as_secs_f64();
    (report.pairs, report.speed, report.verdict) = (tallies, speed, verdict);
    describe_input(data, &mut report, [&mut current, &mut new])?;
    Ok(report)
}

/// The report on a candidate whose scores by the engine differ from its network's: it cannot be published.
fn not_servable(request: &Request, start: &Start, data: &TrainingData, error: &EngineError) -> Report {
    let name = "the engine reproduces the network's scores".to_owned();
    let check = Check { name, passed: false, finding: error.to_string() };
    let verdict = GateDecision { passed: false, checks: vec![check] };
    let why = format!("did not pass the gate against {}: {}", start.parent, verdict.reasons());
    let mut report = start.report(request, data, Ending::Rejected, why);
    report.verdict = verdict;
    report
}

/// Figures and flips of a set.
fn describe_set(report: &mut Report, set: &Set<'_>, comments: &[Comment]) {
    let (texts, classes) = texts_and_classes(comments);
    let (count, shown) =
        label_changes(set.name, (&texts, &classes), &report.labels, [set.current, set.candidate]);
    report.flips.extend(shown);
    report.sets.push(Measured {
        name: set.name.to_owned(),
        current: set.current.metrics,
        candidate: set.candidate.metrics,
        paired: Paired::of(&set.current.outcomes, &set.candidate.outcomes),
        flips: count,
    });
}

/// Words and drift.
fn describe_input(
    data: &TrainingData,
    report: &mut Report,
    [current, new]: [&mut Engine; 2],
) -> Result<(), EngineError> {
    let (parts, labels) = (&data.split, report.labels.len());
    let learned: Vec<Comment> =
        parts.new_sources().flat_map(|source| source.comments.iter().cloned()).collect();
    let fresh = || learned.iter().chain(&parts.test).map(|comment| comment.text.as_str());
    let old: Vec<Comment> = parts
        .train
        .iter()
        .filter(|source| source.old)
        .flat_map(|source| source.comments.iter().cloned())
        .collect();
    if labels == 2 {
        report.words = words::moved([current, new], fresh())?;
    }
    let known = if old.is_empty() { &data.golden } else { &old };
    report.new_words = words::new_words(fresh(), known.iter().map(|comment| comment.text.as_str()));
    for (name, comments) in [
        ("old, mixed in", &old),
        ("golden", &data.golden),
        ("new, learned", &learned),
        ("new, the last part", &parts.test),
    ] {
        if !comments.is_empty() {
            let comments: Vec<drift::Comment<'_>> = comments
                .iter()
                .map(|comment| drift::Comment {
                    text: &comment.text,
                    class: comment.class,
                    stars: comment.stars,
                })
                .collect();
            report.drift.push(drift::Part::measure(name, &comments, labels, current)?);
        }
    }
    Ok(())
}

/// The decision in one line, for the log and the report.
fn reason(start: &Start, verdict: &GateDecision, evidence: &GateEvidence<'_>) -> String {
    if !verdict.passed {
        return format!("did not pass the gate against {}: {}", start.parent, verdict.reasons());
    }
    let sets = [Some(&evidence.fresh), evidence.golden.as_ref()].into_iter().flatten().map(|set| {
        format!(
            "{} {:.2} → {:.2} %",
            set.name,
            set.current.metrics.accuracy * 100.0,
            set.candidate.metrics.accuracy * 100.0
        )
    });
    format!("retrained from {}, passed the gate: {}", start.parent, sets.collect::<Vec<_>>().join(", "))
}
