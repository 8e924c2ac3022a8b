//! How the comments change: by part, from the old ones to the newest.

use super::comment::Comment;
use super::measure::judge;
use nunchi_engine::Engine;
use serde::Serialize;

/// Most comments of a part that are looked at: more change no figure that is shown.
const MOST: usize = 10_000;

/// What a part of the comments is like.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// What people call it.
    pub name: String,
    /// How many comments it has.
    pub comments: usize,
    /// How many of them were looked at.
    pub looked_at: usize,
    /// Mean length in characters.
    pub characters: f64,
    /// Mean length in tokens of the current model.
    pub tokens: f64,
    /// Share of unknown tokens.
    pub unknown: f64,
    /// Share of each class, in the order of the labels.
    pub classes: Vec<f64>,
    /// Comments by stars, 1 to 5.
    pub stars: [usize; 5],
    /// How often the current model agrees with the labels.
    pub accuracy: f64,
}

/// Looks at a part with the current model.
pub fn part(name: &str, comments: &[Comment], labels: usize, current: &mut Engine) -> Part {
    // Spread over the whole part: it may be in the order of time.
    let step = comments.len().div_ceil(MOST).max(1);
    let sample: Vec<Comment> = comments.iter().step_by(step).cloned().collect();
    let judged = judge(current, &sample);
    let count = sample.len().max(1) as f64;
    let tokens: usize = judged.predictions.iter().map(|prediction| prediction.tokens).sum();
    let unknown: usize = judged.predictions.iter().map(|prediction| prediction.unknown).sum();
    let mut stars = [0; 5];
    for rating in comments.iter().filter_map(|comment| comment.stars) {
        if (1.0..=5.0).contains(&rating) {
            stars[rating.round() as usize - 1] += 1;
        }
    }
    let classes = super::comment::classes(&sample, labels);
    Part {
        name: name.to_owned(),
        comments: comments.len(),
        looked_at: sample.len(),
        characters: sample.iter().map(|comment| comment.text.chars().count()).sum::<usize>() as f64 / count,
        tokens: tokens as f64 / count,
        unknown: unknown as f64 / tokens.max(1) as f64,
        classes: classes.iter().map(|&of_class| of_class as f64 / count).collect(),
        stars,
        accuracy: judged.metrics.accuracy,
    }
}
