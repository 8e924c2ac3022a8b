//! Drift: statistics of a part of the comments, to be compared with those of other parts.

use crate::evaluation::classify;
use crate::metrics::{Metrics, Outcome};
use nunchi_engine::{Engine, EngineError};
use serde::Serialize;

/// Most comments of a part that are classified: more change no figure that is shown.
const MAX_CLASSIFIED: usize = 10_000;

/// A labelled comment of a part.
#[derive(Clone, Copy, Debug)]
pub struct Comment<'a> {
    /// The text of the comment.
    pub text: &'a str,
    /// Its class, an index into the labels.
    pub class: usize,
    /// Its stars, if it has any.
    pub stars: Option<f64>,
}

/// The statistics of a part of the comments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// How many comments it has.
    pub comments: usize,
    /// How many of them were classified: the figures below but the stars are theirs.
    pub looked_at: usize,
    /// Mean length in characters.
    pub characters: f64,
    /// Mean length in tokens of the model.
    pub tokens: f64,
    /// Share of unknown tokens.
    pub unknown: f64,
    /// Share of each class, in the order of the labels.
    pub classes: Vec<f64>,
    /// Comments by stars, 1 to 5.
    pub stars: [usize; 5],
    /// How often the model agrees with the labels.
    pub accuracy: f64,
}

impl Part {
    /// Measures a part with a model of `labels` labels.
    ///
    /// # Errors
    /// A comment whose score is not a number.
    pub fn measure(
        name: &str,
        comments: &[Comment<'_>],
        labels: usize,
        engine: &mut Engine,
    ) -> Result<Self, EngineError> {
        // Spread over the whole part: it may be in the order of time.
        let step = comments.len().div_ceil(MAX_CLASSIFIED).max(1);
        let sample: Vec<Comment<'_>> = comments.iter().step_by(step).copied().collect();
        let texts: Vec<&str> = sample.iter().map(|comment| comment.text).collect();
        let predictions = classify(engine, &texts)?;
        let pairs = predictions.iter().zip(&sample);
        let outcomes: Vec<Outcome> =
            pairs.map(|(prediction, comment)| Outcome::of_prediction(prediction, comment.class)).collect();
        let tokens: usize = predictions.iter().map(|prediction| prediction.tokens).sum();
        let unknown: usize = predictions.iter().map(|prediction| prediction.unknown).sum();
        let mut classes = vec![0_usize; labels];
        sample.iter().for_each(|comment| classes[comment.class] += 1);
        let count = sample.len().max(1) as f64;
        Ok(Part {
            name: name.to_owned(),
            comments: comments.len(),
            looked_at: sample.len(),
            characters: texts.iter().map(|text| text.chars().count()).sum::<usize>() as f64 / count,
            tokens: tokens as f64 / count,
            unknown: unknown as f64 / tokens.max(1) as f64,
            classes: classes.iter().map(|&of_class| of_class as f64 / count).collect(),
            stars: by_stars(comments),
            accuracy: Metrics::of(&outcomes).accuracy,
        })
    }
}

/// Comments by whole stars; what lies outside of 1 to 5 is not counted.
fn by_stars(comments: &[Comment<'_>]) -> [usize; 5] {
    let mut counts = [0; 5];
    for stars in comments.iter().filter_map(|comment| comment.stars) {
        if (1.0..=5.0).contains(&stars) {
            counts[stars.round() as usize - 1] += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use nunchi_engine::LoadedModel;
    use nunchi_model::rnn::Cell;
    use std::sync::Arc;

    #[test]
    fn a_part_is_sampled_over_its_whole_length_and_all_stars_are_counted() {
        let texts: Vec<String> = (0..25_000).map(|row| format!("좋아요 {row}")).collect();
        let stars = |row: usize| [Some(5.0), Some(0.5), None, Some(1.4), Some(f64::NAN)][row % 5];
        let comment = |(row, text): (usize, &String)| (text.clone(), usize::from(row >= 12_500), stars(row));
        let rows: Vec<(String, usize, Option<f64>)> = texts.iter().enumerate().map(comment).collect();
        let comments: Vec<Comment<'_>> =
            rows.iter().map(|(text, class, stars)| Comment { text, class: *class, stars: *stars }).collect();
        let model = nunchi_model::testing::model(Cell::Bag, 1);
        let mut engine = Engine::new(Arc::new(LoadedModel::new(model, None).unwrap()));
        let part = Part::measure("all", &comments, 2, &mut engine).unwrap();
        assert_eq!((part.comments, part.looked_at), (25_000, 8_334));
        assert_eq!(part.stars, [5_000, 0, 0, 0, 5_000]);
        assert!((part.classes[0] - 0.5).abs() < 1e-3, "{:?}", part.classes);
        assert!((0.0..=1.0).contains(&part.accuracy) && part.tokens > 1.0, "{part:?}");
        let nothing = Part::measure("none", &[], 2, &mut engine).unwrap();
        assert_eq!((nothing.looked_at, nothing.accuracy), (0, 0.0));
    }
}
