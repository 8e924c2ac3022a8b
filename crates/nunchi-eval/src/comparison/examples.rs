//! Comments that show how two models differ.

use super::ComparedComment;
use super::scores::written;
use crate::top::Top;
use jiff::Timestamp;
use serde::Serialize;

/// Examples of each direction.
const MAX_EXAMPLES: usize = 10;
/// Characters of an example.
const MAX_TEXT: usize = 400;

/// A comment with a large change of its score.
#[derive(Clone, Debug, Serialize)]
pub struct Example {
    /// The comment, cut if it is long.
    pub text: String,
    /// Its id's JSON.
    pub id: Option<String>,
    /// The product.
    pub product: Option<String>,
    /// Its stars.
    pub rating: Option<u8>,
    /// When it was written.
    pub timestamp: Option<Timestamp>,
    /// Where it stands: `topic/partition/offset`.
    pub source: String,
    /// Each model's label.
    pub labels: [String; 2],
    /// Each model's score.
    pub scores: [f64; 2],
    /// The change.
    pub change: f64,
}

/// The examples with the largest changes, each text once.
#[derive(Clone, Debug)]
pub(super) struct Examples {
    up: Top<Example>,
    down: Top<Example>,
}

impl Default for Examples {
    fn default() -> Self {
        Examples { up: Top::new(MAX_EXAMPLES), down: Top::new(MAX_EXAMPLES) }
    }
}

impl Examples {
    pub(super) fn offer(&mut self, comment: &ComparedComment<'_>, labels: &[String], change: f64) {
        let top = if change < 0.0 { &mut self.down } else { &mut self.up };
        if change == 0.0 || !top.takes(change.abs()) {
            return;
        }
        let label = |index: usize| labels.get(index).cloned().unwrap_or_default();
        let example = Example {
            text: crate::excerpt(comment.text, MAX_TEXT),
            id: comment.id.map(str::to_owned),
            product: comment.product.map(str::to_owned),
            rating: comment.rating,
            timestamp: comment.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            source: comment.source.to_string(),
            labels: comment.predictions.map(|prediction| label(prediction.label)),
            scores: written(comment.predictions),
            change,
        };
        // The same words ten times say no more than once.
        top.offer_distinct(change.abs(), example, |one, other| one.text == other.text);
    }

    /// Those to a higher score first.
    pub(super) fn finish(self) -> Vec<Example> {
        let mut examples = self.up.into_items();
        examples.extend(self.down.into_items());
        examples
    }
}
