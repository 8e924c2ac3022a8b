//! Which labels change on a set whose labels are known.

use crate::evaluation::Measured;
use crate::top::Top;
use serde::Serialize;

/// Changes of a set that are shown.
const MAX_SHOWN: usize = 25;
/// Longest text that is shown, in characters.
const MAX_TEXT: usize = 240;

/// A comment to which the second model, the candidate, gives another label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelChange {
    /// The set that it belongs to.
    pub set: String,
    /// What was written, the beginning of it.
    pub text: String,
    /// The label that it has.
    pub label: String,
    /// The labels that the current model and the candidate give.
    #[serde(rename = "said")]
    pub given: [String; 2],
    /// Their scores.
    pub scores: [f64; 2],
}

/// The comments of a set whose label changes: how many there are, and those with the greatest change of score. `texts` and
/// `classes` are what both models were measured on.
pub fn label_changes(
    set: &str,
    (texts, classes): (&[&str], &[usize]),
    labels: &[String],
    [current, candidate]: [&Measured; 2],
) -> (usize, Vec<LabelChange>) {
    let (mut count, mut top) = (0, Top::new(MAX_SHOWN));
    let predictions = current.predictions.iter().zip(&candidate.predictions);
    for ((&text, &class), (one, other)) in texts.iter().zip(classes).zip(predictions) {
        let given = [one, other].map(|prediction| prediction.label);
        if given[0] == given[1] {
            continue;
        }
        count += 1;
        let scores = [one, other].map(|prediction| f64::from(prediction.score));
        top.offer((scores[1] - scores[0]).abs(), || LabelChange {
            set: set.to_owned(),
            text: text.chars().take(MAX_TEXT).collect(),
            label: labels[class].clone(),
            given: given.map(|label| labels[label].clone()),
            scores,
        });
    }
    (count, top.into_items())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use nunchi_engine::Prediction;

    fn measured(scores: &[f32]) -> Measured {
        let predictions = scores.iter().copied().map(Prediction::of_two).collect();
        Measured { outcomes: Vec::new(), predictions, metrics: Metrics::of(&[]) }
    }

    #[test]
    fn changed_labels_are_counted_and_the_greatest_changes_come_first() {
        let labels = ["negative", "positive"].map(str::to_owned);
        let (current, candidate) = (measured(&[0.25, 0.75, 0.75]), measured(&[0.75, 0.5, 0.0]));
        let (count, shown) =
            label_changes("fresh", (&["하나", "둘", "셋"], &[1, 1, 1]), &labels, [&current, &candidate]);
        assert_eq!(count, 2);
        let texts: Vec<&str> = shown.iter().map(|change| change.text.as_str()).collect();
        assert_eq!(texts, ["셋", "하나"]);
        assert_eq!(shown[0].given, ["positive", "negative"]);
        assert_eq!((shown[0].label.as_str(), shown[0].scores), ("positive", [0.75, 0.0]));
    }
}
