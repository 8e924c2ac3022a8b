//! The mean of the weights of several models that were trained from the same one.
//!
//! Trainings that begin with the same weights and differ in their order of comments or in their rates end near each other, and
//! the mean of their weights is better than each of them outside of what they were trained on, at the cost of one network
//! (Wortsman et al. 2022, *Model soups*).

use super::Model;
use thiserror::Error;

/// Why weights have no mean.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AverageError {
    /// There is nothing to average.
    #[error("an average needs at least two models")]
    TooFew,
    /// Weights of different shapes or different tokens.
    #[error(
        "{name} ({version}) has another {what} than the first model: only models that were trained from the same one can be averaged"
    )]
    Different {
        /// The name of the model.
        name: String,
        /// Its VERSION.
        version: String,
        /// What differs.
        what: &'static str,
    },
}

impl Model {
    /// A model with the mean of the weights of `models`, and everything else of the first one: name, golden comments (scored anew
    /// when it is written), report. The temperature is the geometric mean. The report gets a list `averaged` with the versions,
    /// and loses what was measured on the first one's weights (`precisions`, `development`).
    ///
    /// # Errors
    /// Fewer than two models, and models that do not have the same shape, tokenizer, labels and longest comment.
    pub fn average(models: &[Model]) -> Result<Model, AverageError> {
        let [first, rest @ ..] = models else { return Err(AverageError::TooFew) };
        if rest.is_empty() {
            return Err(AverageError::TooFew);
        }
        for other in rest {
            if let Some(what) = first.difference(other) {
                let (name, version) = (other.name.clone(), other.version.clone());
                return Err(AverageError::Different { name, version, what });
            }
        }
        let mut mean = first.clone();
        let count = models.len() as f64;
        let sources: Vec<_> = models.iter().map(|model| model.network.tensors()).collect();
        for (index, (_, mut tensor)) in mean.network.tensors_mut().into_iter().enumerate() {
            // In double precision, so that the order of the models does not matter.
            let mut sum = sources[0][index].1.mapv(f64::from);
            for source in &sources[1..] {
                sum.zip_mut_with(&source[index].1, |sum, &value| *sum += f64::from(value));
            }
            tensor.zip_mut_with(&sum, |value, &sum| *value = (sum / count) as f32);
        }
        let logarithms: f64 = models.iter().map(|model| f64::from(model.temperature).ln()).sum();
        mean.temperature = (logarithms / count).exp() as f32;
        if !mean.report.is_object() {
            mean.report = serde_json::json!({});
        }
        if let Some(report) = mean.report.as_object_mut() {
            report.remove(crate::PRECISIONS);
            report.remove("development");
            let versions: Vec<&str> = models.iter().map(|model| model.version.as_str()).collect();
            report.insert("averaged".to_owned(), serde_json::json!(versions));
        }
        mean.version = String::new();
        Ok(mean)
    }

    /// What makes it impossible to average the weights of two models.
    fn difference(&self, other: &Model) -> Option<&'static str> {
        if self.network.shape != other.network.shape {
            Some("shape")
        } else if self.tokenizer.to_parts() != other.tokenizer.to_parts() {
            Some("tokenizer")
        } else if self.labels != other.labels {
            Some("list of labels")
        } else if self.max_tokens != other.max_tokens {
            Some("longest comment")
        } else {
            None
        }
    }
}
