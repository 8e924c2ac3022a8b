//! The same network, read otherwise or with more beside it: another normalizer, another longest comment, another name, what
//! format 2 adds.

use super::{Extension, Model, WeightFormat};
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
    /// What format 2 adds.
    pub extension: Option<Extension>,
}

impl Model {
    /// The model with the changes of `revision`. Its report stays what training said, and gets a list `revisions` with what it
    /// was before. With another normalizer or longest comment it loses what was measured on other tokens: the `precisions` of
    /// the report, the coverage table and the reference. The golden comments are scored anew when it is written.
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
        let other_tokens = revision.max_tokens.is_some() || revision.normalizer.is_some();
        if other_tokens {
            model.extension = Extension { opinion: model.extension.opinion.take(), ..Extension::default() };
        }
        if let Some(report) = model.report.as_object_mut() {
            if other_tokens {
                report.remove(PRECISIONS);
            }
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
        if let Some(extension) = &revision.extension {
            model.extension.clone_from(extension);
        }
        model.version = String::new();
        model.checksum = String::new();
        model
    }

    /// The smallest form that the network's weights can be stored in without a change: the one that they were read from.
    pub fn stored_as(&self) -> WeightFormat {
        let exact = |format: &WeightFormat| {
            let same = |value: &f32| format.round(*value) == *value;
            self.network.tensors().iter().all(|(_, tensor)| tensor.iter().all(same))
        };
        [WeightFormat::F16, WeightFormat::Bf16].into_iter().find(exact).unwrap_or(WeightFormat::F32)
    }
}
