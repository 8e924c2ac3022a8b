//! The comments whose label changes.

use super::comment::Comment;
use nunchi_eval::evaluation::Measured;
use serde::Serialize;

/// Flips of a set that are shown.
const SHOWN: usize = 25;
/// Longest text that is shown, in characters.
const LONGEST: usize = 240;

/// A comment that the candidate judges otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flip {
    /// The set that it belongs to.
    pub set: String,
    /// What was written, the beginning of it.
    pub text: String,
    /// The label that it has.
    pub label: String,
    /// What the current model says, and the candidate.
    pub said: [String; 2],
    /// Their scores.
    pub scores: [f64; 2],
}

/// The flips of a set: how many there are, and those with the greatest change of score.
pub fn flips(
    set: &str,
    comments: &[Comment],
    labels: &[String],
    judged: [&Measured; 2],
) -> (usize, Vec<Flip>) {
    let [current, candidate] = judged;
    let pairs = current.predictions.iter().zip(&candidate.predictions);
    let mut found: Vec<Flip> = comments
        .iter()
        .zip(pairs)
        .filter(|(_, (current, candidate))| current.label != candidate.label)
        .map(|(comment, (current, candidate))| Flip {
            set: set.to_owned(),
            text: comment.text.chars().take(LONGEST).collect(),
            label: labels[comment.class].clone(),
            said: [current, candidate].map(|prediction| labels[prediction.label].clone()),
            scores: [f64::from(current.score), f64::from(candidate.score)],
        })
        .collect();
    let all = found.len();
    let change = |flip: &Flip| (flip.scores[1] - flip.scores[0]).abs();
    found.sort_by(|a, b| change(b).total_cmp(&change(a)));
    found.truncate(SHOWN);
    (all, found)
}
