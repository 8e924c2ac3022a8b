//! The findings and the decision of one run: for the manifest, as JSON, and (see [`super::page`]) as a page.

use super::gate::{GateDecision, GateThresholds};
use super::train::Recipe;
use super::{corrections, topics};
use crate::registry::Data;
use jiff::Timestamp;
use nunchi_eval::comparison::LabelChange;
use nunchi_eval::comparison::words::{MovedWord, NewWord};
use nunchi_eval::drift::Part;
use nunchi_eval::metrics::Metrics;
use nunchi_eval::paired::Paired;
use nunchi_eval::pairs::ComparedTally;
use serde::{Serialize, Serializer};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The candidate passed the gate and serves.
    Promoted,
    /// It passed the gate and was published only, as requested.
    Published,
    /// It did not pass the gate; it was published as rejected.
    Rejected,
    /// There was too little data; nothing was trained.
    NotEnoughData,
}

impl Ending {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Promoted => "promoted",
            Ending::Published => "published",
            Ending::Rejected => "rejected",
            Ending::NotEnoughData => "not_enough_data",
        }
    }
}

/// A source of training data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Learned {
    /// Its display name.
    pub name: String,
    /// How much each of its comments counts.
    pub weight: f64,
    /// Comments by class.
    pub classes: Vec<usize>,
}

/// A set that both models were measured on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Its display name.
    pub name: String,
    /// The current model's figures.
    pub current: Metrics,
    /// The candidate's.
    pub candidate: Metrics,
    /// Who is right where the other is wrong.
    #[serde(serialize_with = "paired_as_written")]
    pub paired: Paired,
    /// How many labels change.
    pub flips: usize,
}

/// The names under which reports state a paired comparison: here the first model is the current one.
fn paired_as_written<S: Serializer>(paired: &Paired, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Written {
        both: u64,
        current_only: u64,
        candidate_only: u64,
        neither: u64,
    }
    let Paired { both, only_first: current_only, only_second: candidate_only, neither } = *paired;
    Written { both, current_only, candidate_only, neither }.serialize(serializer)
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its name.
    pub run: String,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took until the decision.
    pub seconds: f64,
    /// How long training took.
    pub training_seconds: f64,
    /// How it ended.
    pub ending: Ending,
    /// Why, as a message.
    pub why: String,
    /// The version that was current.
    pub parent: String,
    /// The candidate's version, once there is one.
    pub candidate: Option<String>,
    /// The model's labels.
    pub labels: Vec<String>,
    /// The window of time.
    pub window: [Option<Timestamp>; 2],
    /// What was read, with offsets and hashes.
    pub data: Data,
    /// Outcomes of the records.
    pub records: topics::Counts,
    /// Outcomes of the corrections.
    pub corrections: corrections::Counts,
    /// The training data.
    pub learned: Vec<Learned>,
    /// Comments of the dev set, which selects the epoch and the temperature.
    pub dev: usize,
    /// Comments that are in the dev or test set, and so not in the training data.
    pub left_out: usize,
    /// How it was trained.
    pub recipe: Recipe,
    /// The gate's thresholds.
    #[serde(rename = "bands")]
    pub thresholds: GateThresholds,
    /// Both models on every set.
    pub sets: Vec<Measured>,
    /// Both models on pairs.
    pub pairs: Vec<ComparedTally>,
    /// Comments a second of the current model and of the candidate.
    pub speed: [f64; 2],
    /// The gate's decision.
    pub verdict: GateDecision,
    /// Comments whose label changes.
    pub flips: Vec<LabelChange>,
    /// Words that both models score differently.
    pub words: Vec<MovedWord>,
    /// Words that are not in the old comments.
    pub new_words: Vec<NewWord>,
    /// Statistics of the parts.
    pub drift: Vec<Part>,
}

impl Report {
    /// As a JSON value, for the manifest.
    pub fn to_value(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(self).expect("a report is numbers and strings");
        round(&mut value);
        value
    }
}

/// Nine places: more are noise, and do not round-trip through JSON.
fn round(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Number(number) if number.is_f64() => {
            let rounded = number.as_f64().map(|number| (number * 1e9).round() / 1e9);
            *value = serde_json::json!(rounded);
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(round),
        serde_json::Value::Object(object) => object.values_mut().for_each(round),
        _ => {}
    }
}
