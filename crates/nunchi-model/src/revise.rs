//! The same weights, read otherwise: another normalizer, another longest comment, another name.

use super::{Model, WeightFormat};
use crate::PRECISIONS;
use nunchi_text::Normalizer;

/// Where a report lists what was changed after training.
const REVISIONS: &str = "revisions";

/// What is changed; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Revision {
    /// A name for people.
    pub name: Option<String>,
    /// Longer comments keep their first `max_tokens` tokens.
    pub max_tokens: Option<usize>,
    /// What is done to a text before it is cut.
    pub normalizer: Option<Normalizer>,
}

impl Model {
    /// The model with the changes of `revision`. Its report stays what training said, gets a list `revisions` with what it was
    /// before, and loses the measured `precisions`: these were measured on other tokens. The golden comments are scored anew
    /// when it is written.
    #[must_use]
    pub fn revised(&self, revision: &Revision) -> Model {
        let mut model = self.clone();
        let before = serde_json::json!({
            "from": self.version, "name": self.name, "max_tokens": self.max_tokens,
            "normaliser": self.tokenizer.normalizer().name(),
        });
        if !model.report.is_object() {
            model.report = serde_json::json!({});
        }
        if let Some(report) = model.report.as_object_mut() {
            report.remove(PRECISIONS);
            let revisions = report.entry(REVISIONS).or_insert_with(|| serde_json::json!([]));
            match revisions.as_array_mut() {
                Some(list) => list.push(before),
                None => *revisions = serde_json::json!([before]),
            }
        }
        if let Some(name) = &revision.name {
            model.name.clone_from(name);
        }
        if let Some(max_tokens) = revision.max_tokens {
            model.max_tokens = max_tokens;
        }
        if let Some(normalizer) = revision.normalizer {
            model.tokenizer = model.tokenizer.with_normalizer(normalizer);
        }
        model.version = String::new();
        model
    }

    /// The smallest form that the weights can be stored in without a change: the one that they were read from.
    pub fn stored_as(&self) -> WeightFormat {
        let exact = |format: &WeightFormat| {
            let same = |value: &f32| format.round(*value) == *value;
            self.network.tensors().iter().all(|(_, tensor)| tensor.iter().all(same))
        };
        [WeightFormat::F16, WeightFormat::Bf16].into_iter().find(exact).unwrap_or(WeightFormat::F32)
    }
}
