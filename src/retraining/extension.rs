//! What format 2 adds to the current model, for a candidate with other weights.

use super::RetrainError;
use super::comment::Comment;
use super::split::Split;
use nunchi_engine::{Engine, EngineError, LoadedModel};
use nunchi_eval::coverage;
use nunchi_eval::evaluation::classify;
use nunchi_model::rnn::Dense;
use nunchi_model::{Model, WeightFormat};
use nunchi_train::opinion::{self, Lessons};
use std::sync::Arc;

/// Fewer comments make no coverage table: then the current model's stays.
const MIN_COVERAGE: usize = 500;
/// Most comments that the opinion output is carried over on, and that the reference is measured on.
const MAX_COMMENTS: usize = 20_000;

/// `candidate` with as much of the current model's extension as it can have. A model of format 1 stays one.
///
/// - The opinion output learns to say of the comments of this training what the current model says of them, drawn to its
///   weights: the states moved a little, and there are hardly any texts without an opinion here to learn from anew. A network
///   that began with random weights has none.
/// - The coverage table is measured on the development and test sets. It changes no label, so the gate may use the same
///   comments.
/// - The reference is measured on the fresh comments.
pub(super) fn carried_over(
    current: &Model,
    mut candidate: Model,
    split: &Split,
    from_scratch: bool,
) -> Result<Model, RetrainError> {
    if current.extension.is_empty() {
        return Ok(candidate);
    }
    let fresh = || split.new_sources().flat_map(|source| &source.comments).take(MAX_COMMENTS);
    if let Some(opinion) = current.extension.opinion.as_ref().filter(|_| !from_scratch) {
        let texts: Vec<&str> = fresh().map(|comment| comment.text.as_str()).collect();
        candidate.extension.opinion = Some(moved(opinion, current, &candidate, &texts)?);
    }
    let stored = Model::from_bytes(&candidate.to_bytes(WeightFormat::F16)?.0)?;
    let mut engine = match LoadedModel::new(Model { report: serde_json::Value::Null, ..stored }, None) {
        Ok(loaded) => Engine::new(Arc::new(loaded)),
        // The gate says of a model that cannot serve why it is rejected.
        Err(EngineError::Golden { .. }) => return Ok(candidate),
        Err(error) => return Err(error.into()),
    };
    if let Some(table) = &current.extension.coverage {
        let measured: Vec<&Comment> =
            split.dev.iter().flat_map(|source| &source.comments).chain(&split.test).collect();
        candidate.extension.coverage = if measured.len() < MIN_COVERAGE {
            Some(table.clone()).filter(|_| !from_scratch)
        } else {
            let texts: Vec<&str> = measured.iter().map(|comment| comment.text.as_str()).collect();
            let predictions = classify(&mut engine, &texts)?;
            let classes: Vec<usize> = measured.iter().map(|comment| comment.class).collect();
            let names = vec!["held out by retrain".to_owned()];
            Some(coverage::coverage(names, &candidate.labels, &predictions, &classes))
        };
    }
    if current.extension.reference.is_some() {
        let texts: Vec<&str> = fresh().map(|comment| comment.text.as_str()).collect();
        let predictions = classify(&mut engine, &texts)?;
        let names = vec!["fresh comments of retrain".to_owned()];
        candidate.extension.reference = Some(coverage::reference(names, &candidate, &texts, &predictions));
    }
    Ok(candidate)
}

/// The opinion output for the states of `candidate` that says what `current` says of `texts`.
fn moved(
    opinion: &Dense<f32>,
    current: &Model,
    candidate: &Model,
    texts: &[&str],
) -> Result<Dense<f32>, EngineError> {
    if texts.is_empty() {
        return Ok(opinion.clone());
    }
    let said = opinion::logits(opinion, &opinion::states(current, texts)?);
    let targets: Vec<f64> = said.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
    let weights = vec![1.0 / texts.len() as f64; texts.len()];
    let states = opinion::states(candidate, texts)?;
    Ok(opinion::learn(&Lessons { states, targets, weights }, Some(opinion)))
}

#[cfg(test)]
mod tests {
    use super::super::split::LabeledSource;
    use super::*;
    use nunchi_model::rnn::Cell;
    use nunchi_model::{Extension, testing};

    fn comments(range: std::ops::Range<usize>) -> Vec<Comment> {
        let text = |row: usize| format!("정말 {} 제품이에요 {row}번", ["최악", "최고"][row % 2]);
        range
            .map(|row| Comment { text: text(row), class: row % 2, id: None, time_ms: 0, stars: None })
            .collect()
    }

    fn split(dev: usize) -> Split {
        let source = |comments| LabeledSource { comments, weight: 1.0, ..LabeledSource::default() };
        Split {
            train: vec![source(comments(0..200))],
            dev: vec![source(comments(200..200 + dev))],
            ..Split::default()
        }
    }

    /// A model with everything of format 2.
    fn extended() -> Model {
        let model = testing::with_opinion(testing::model(Cell::Gru, 3));
        let split = split(600);
        let mut engine = Engine::new(Arc::new(LoadedModel::new(model.clone(), None).unwrap()));
        let texts: Vec<&str> = split.dev[0].comments.iter().map(|comment| comment.text.as_str()).collect();
        let predictions = classify(&mut engine, &texts).unwrap();
        let classes: Vec<usize> = split.dev[0].comments.iter().map(|comment| comment.class).collect();
        let coverage = coverage::coverage(vec!["old".to_owned()], &model.labels, &predictions, &classes);
        let reference = coverage::reference(vec!["old".to_owned()], &model, &texts, &predictions);
        let extension =
            Extension { coverage: Some(coverage), reference: Some(reference), ..model.extension.clone() };
        Model { extension, ..model }
    }

    /// The same network a little further, as training leaves it: without an extension.
    fn candidate(current: &Model) -> Model {
        let mut model = Model { extension: Extension::default(), ..current.clone() };
        model.network.layers[0].forward.weight_hh.mapv_inplace(|weight| weight * 0.97);
        model
    }

    #[test]
    fn the_candidate_says_of_the_comments_what_the_current_model_says() {
        let current = extended();
        let made = carried_over(&current, candidate(&current), &split(600), false).unwrap();
        let texts: Vec<String> = comments(900..960).into_iter().map(|comment| comment.text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (before, after) =
            (current.reference_opinions(&texts).unwrap(), made.reference_opinions(&texts).unwrap());
        for (before, after) in before.iter().zip(&after) {
            assert!((before - after).abs() < 0.05, "{before} became {after}");
        }
        let coverage = made.extension.coverage.as_ref().unwrap();
        assert_eq!((coverage.comments, coverage.data[0].as_str()), (600, "held out by retrain"));
        // Fresh comments: those of the training and of the dev set.
        assert_eq!(made.extension.reference.as_ref().unwrap().comments, 800);
        made.to_bytes(WeightFormat::F16).expect("what is carried over passes every check of a model file");
    }

    #[test]
    fn what_cannot_be_measured_stays_and_format_1_stays_format_1() {
        let current = extended();
        let made = carried_over(&current, candidate(&current), &split(60), false).unwrap();
        assert_eq!(made.extension.coverage, current.extension.coverage, "60 comments are no table");
        let made = carried_over(&current, candidate(&current), &split(60), true).unwrap();
        assert_eq!((made.extension.opinion, made.extension.coverage), (None, None), "it is another network");
        let plain = testing::model(Cell::Gru, 3);
        assert!(carried_over(&plain, candidate(&plain), &split(600), false).unwrap().extension.is_empty());
    }
}
