//! The parts of a comment, each classified by itself: what is praised in it and what is not.

use super::buffers::Buffers;
use super::{EngineError, LoadedModel, Prediction};
use nunchi_text::sentences::split;
use std::ops::Range;

/// A part is certain from this probability of its label on, where no [`crate::Decision`] says what is sure.
const CERTAIN: f64 = 0.9;

/// One part of a comment: a sentence or a clause.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentence {
    /// The first of its Unicode characters in the comment, from 0.
    pub start: usize,
    /// After the last one.
    pub end: usize,
    /// Index into the model's labels.
    pub label: usize,
    /// As [`Prediction::score`].
    pub score: f32,
}

/// The sentences of a comment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sentences {
    /// In order; none for a comment of white space.
    pub parts: Vec<Sentence>,
    /// Whether two of them have different labels for certain.
    pub mixed: bool,
}

/// Memory that is reused from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct Work {
    predictions: Vec<Prediction>,
}

/// Puts the sentences of each of `comments` into its prediction: the parts go through the network once more, all of the batch
/// together. A comment of one part costs nothing.
///
/// # Errors
/// A part whose score is not a number, with the index of its comment.
pub(crate) fn add(
    loaded: &LoadedModel,
    buffers: &mut Buffers,
    work: &mut Work,
    comments: &[&str],
    predictions: &mut [Prediction],
) -> Result<(), EngineError> {
    let splits: Vec<Vec<Range<usize>>> = comments.iter().map(|comment| split(comment)).collect();
    let of_several = |parts: &&Vec<Range<usize>>| parts.len() > 1;
    let mut parts = Vec::with_capacity(splits.iter().filter(of_several).map(Vec::len).sum());
    let mut owners = Vec::with_capacity(parts.capacity());
    for (index, (comment, ranges)) in comments.iter().zip(&splits).enumerate() {
        if ranges.len() > 1 {
            parts.extend(ranges.iter().map(|range| &comment[range.clone()]));
            owners.extend(std::iter::repeat_n(index, ranges.len()));
        }
    }
    let whole = buffers.times;
    buffers
        .classify(loaded.model(), loaded.packed(), loaded.decision(), &parts, &mut work.predictions)
        .map_err(|error| match error {
            EngineError::NotANumber { version, index } => {
                EngineError::NotANumber { version, index: owners[index] }
            }
            other => other,
        })?;
    buffers.times.tokenise += whole.tokenise;
    buffers.times.infer += whole.infer;
    let mut classified = work.predictions.iter();
    for ((comment, ranges), prediction) in comments.iter().zip(&splits).zip(predictions) {
        let own = [prediction.clone()];
        let parts = if ranges.len() > 1 { classified.as_slice() } else { &own[..] };
        let parts = &parts[..ranges.len()];
        if ranges.len() > 1 {
            classified.nth(ranges.len() - 1);
        }
        prediction.sentences = Some(Box::new(sentences(comment, ranges, parts, loaded.decision().is_some())));
    }
    Ok(())
}

fn sentences(comment: &str, ranges: &[Range<usize>], parts: &[Prediction], decided: bool) -> Sentences {
    let (mut at, mut characters) = (0, 0);
    let mut position = |byte: usize| {
        characters += comment[at..byte].chars().count();
        at = byte;
        characters
    };
    let is_certain = |part: &Prediction| {
        if decided { part.unsure.is_none() } else { part.confidence().value() >= CERTAIN }
    };
    let mut certain = parts.iter().filter(|part| is_certain(part)).map(|part| part.label);
    let first = certain.next();
    Sentences {
        mixed: first.is_some_and(|first| certain.any(|label| label != first)),
        parts: ranges
            .iter()
            .zip(parts)
            .map(|(range, part)| Sentence {
                start: position(range.start),
                end: position(range.end),
                label: part.label,
                score: part.score,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::{DecisionPolicy, Engine, LoadedModel};
    use nunchi_model::rnn::Cell;
    use nunchi_model::testing;
    use std::sync::Arc;

    fn engine(policy: Option<DecisionPolicy>) -> Engine {
        let loaded = LoadedModel::new(testing::model(Cell::Gru, 3), None).expect("it loads");
        Engine::new(Arc::new(loaded.with_decision(policy).expect("a band needs nothing")))
    }

    #[test]
    fn each_part_has_the_score_that_it_has_by_itself() {
        let comments = ["별로지만 추천해요", "좋아요", "", " \n", "👍 예뻐요!! 끈이 약해요 😡"];
        let plain = engine(None).classify(&comments).expect("it classifies");
        assert!(plain.iter().all(|prediction| prediction.sentences.is_none()), "off unless asked for");
        let mut engine = engine(None).with_sentences(true);
        let with = engine.classify(&comments).expect("it classifies");
        let parts = |index: usize| {
            let sentences = with[index].sentences.as_ref().expect("they were asked for");
            let text: Vec<char> = comments[index].chars().collect();
            let text = |start: usize, end: usize| text[start..end].iter().collect::<String>();
            sentences.parts.iter().map(|part| (text(part.start, part.end), part.score)).collect::<Vec<_>>()
        };
        let texts = |index| parts(index).into_iter().map(|(text, _)| text).collect::<Vec<_>>();
        assert_eq!(texts(0), ["별로지만", "추천해요"]);
        assert_eq!(texts(1), ["좋아요"]);
        assert!(texts(2).is_empty() && texts(3).is_empty());
        assert_eq!(texts(4), ["👍 예뻐요!!", "끈이 약해요 😡"]);
        for index in 0..comments.len() {
            assert_eq!((with[index].score, with[index].label), (plain[index].score, plain[index].label));
            for (text, score) in parts(index) {
                let alone = engine.classify(&[&text]).expect("it classifies").remove(0);
                assert_eq!(score, alone.score, "{text}");
            }
        }
    }

    #[test]
    fn mixed_are_comments_whose_parts_differ_for_certain() {
        // Of a random model no score is certain by itself; a narrow band makes nearly all of them so.
        let comments = ["별로지만 추천해요", "좋아요. 최악이에요. 예뻐요. 느려요. 비싸요. 맛있어요"];
        let by = |policy| engine(policy).with_sentences(true).classify(&comments).expect("it classifies");
        for (index, prediction) in by(Some(DecisionPolicy::Band([0.5, 0.5]))).iter().enumerate() {
            let sentences = prediction.sentences.as_ref().expect("they were asked for");
            let labels: std::collections::BTreeSet<_> =
                sentences.parts.iter().map(|part| part.label).collect();
            assert_eq!(sentences.mixed, labels.len() > 1, "{}: {sentences:?}", comments[index]);
        }
        for prediction in by(Some(DecisionPolicy::Band([0.0, 1.0]))) {
            assert!(!prediction.sentences.expect("they were asked for").mixed, "nothing is certain");
        }
    }

    #[test]
    fn a_part_without_a_number_is_an_error_of_its_comment() {
        let (model, overflowing) = testing::overflowing();
        let loaded = LoadedModel::new(model, None).expect("it loads");
        let mut engine = Engine::new(Arc::new(loaded)).with_sentences(true);
        let long = format!("좋아요. {overflowing}");
        let error = engine.classify(&["좋아요. 예뻐요", &long]).expect_err("it has no score");
        assert!(matches!(error, crate::EngineError::NotANumber { index: 1, .. }), "{error:?}");
    }
}
