//! What format 2 adds to a model: an output for whether a comment holds an opinion at all, how often the model is right at
//! which confidence, and what its input looked like.
//!
//! All of it is learned from or measured on a finished network, which stays as it is: scores are the same with and without it.
//! A model without any of it is written in format 1, which older builds read.

mod coverage;
mod reference;

pub use coverage::{ClassCoverage, Coverage, CoveragePoint, Threshold};
pub use reference::{Histogram, Reference};

use crate::rnn::{Dense, RnnError, Shape};
use crate::{ModelError, WeightFormat};
use ndarray::{ArrayD, ArrayViewD, Ix1, Ix2};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The tensors of the opinion output.
pub(crate) const OPINION_WEIGHT: &str = "opinion.weight";
pub(crate) const OPINION_BIAS: &str = "opinion.bias";
/// The metadata.
pub(crate) const COVERAGE: &str = "coverage";
pub(crate) const REFERENCE: &str = "reference";
/// Longest metadata of either kind in bytes; what nunchi writes has some tens of kilobytes.
const MAX_METADATA_BYTES: usize = 1 << 20;
/// Most names of files that a table was measured on, and their longest in bytes.
const MAX_NAMES: usize = 64;
const MAX_NAME_BYTES: usize = 256;
/// Most comments that a table may be about: sums of them are exact in double precision.
const MAX_COMMENTS: u64 = 1 << 52;

/// What format 2 adds to a model. The default is nothing: format 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extension {
    /// A second output on the head's input, weights `[1, features]` and bias `[1]`; its sigmoid is the probability that the
    /// comment holds an opinion.
    pub opinion: Option<Dense<f32>>,
    /// How many verdicts are right at which confidence, by class, on development data.
    pub coverage: Option<Coverage>,
    /// What the model's input looked like, to measure drift by.
    pub reference: Option<Reference>,
}

impl Extension {
    /// Whether there is nothing in it: the model is one of format 1.
    pub fn is_empty(&self) -> bool {
        self.opinion.is_none() && self.coverage.is_none() && self.reference.is_none()
    }

    /// Its tensors under their names in a model file.
    pub(crate) fn tensors(&self) -> Vec<(String, ArrayViewD<'_, f32>)> {
        self.opinion.as_ref().map_or_else(Vec::new, |opinion| {
            vec![
                (OPINION_WEIGHT.to_owned(), opinion.weight.view().into_dyn()),
                (OPINION_BIAS.to_owned(), opinion.bias.view().into_dyn()),
            ]
        })
    }

    /// Rounds its weights to what `format` stores.
    pub(crate) fn round(&mut self, format: WeightFormat) {
        if let Some(opinion) = &mut self.opinion {
            opinion.weight.mapv_inplace(|value| format.round(value));
            opinion.bias.mapv_inplace(|value| format.round(value));
        }
    }

    /// Its entries of a model file's metadata.
    pub(crate) fn metadata(&self) -> Vec<(&'static str, String)> {
        fn json(value: &impl Serialize) -> String {
            serde_json::to_string(value).expect("numbers and names have a JSON form")
        }
        let coverage = self.coverage.as_ref().map(|coverage| (COVERAGE, json(coverage)));
        let reference = self.reference.as_ref().map(|reference| (REFERENCE, json(reference)));
        coverage.into_iter().chain(reference).collect()
    }

    /// What must hold beside a network of `shape` whose classes are `labels`.
    pub(crate) fn check(&self, shape: &Shape, labels: &[String]) -> Result<(), ModelError> {
        if let Some(opinion) = &self.opinion {
            let (want, got) = ([1, shape.features()], opinion.weight.dim());
            if (want[0], want[1]) != got || opinion.bias.len() != 1 {
                let (name, got) = (OPINION_WEIGHT.to_owned(), vec![got.0, got.1]);
                return Err(RnnError::Dimensions { name, want: want.to_vec(), got }.into());
            }
            for (name, tensor) in self.tensors() {
                if !tensor.iter().all(|value| value.is_finite()) {
                    return Err(ModelError::NotFinite(name));
                }
            }
        }
        let named = |key: &str, what: Result<(), String>| {
            what.map_err(|what| ModelError::Inconsistent(format!("the metadata's `{key}`: {what}")))
        };
        if let Some(coverage) = &self.coverage {
            named(COVERAGE, coverage.check(labels))?;
        }
        if let Some(reference) = &self.reference {
            named(REFERENCE, reference.check(labels.len()))?;
        }
        Ok(())
    }
}

/// The opinion output of the tensors that `lookup` finds; `None` if there is none of them.
pub(crate) fn opinion(
    shape: &Shape,
    mut lookup: impl FnMut(&str) -> Option<Result<ArrayD<f32>, ModelError>>,
) -> Result<Option<Dense<f32>>, ModelError> {
    let dimensions = |name: &str, want: &[usize], got: &[usize]| -> ModelError {
        RnnError::Dimensions { name: name.to_owned(), want: want.to_vec(), got: got.to_vec() }.into()
    };
    let (weight, bias) = match (lookup(OPINION_WEIGHT), lookup(OPINION_BIAS)) {
        (None, None) => return Ok(None),
        (Some(weight), Some(bias)) => (weight?, bias?),
        (None, Some(_)) => return Err(ModelError::MissingTensor(OPINION_WEIGHT.to_owned())),
        (Some(_), None) => return Err(ModelError::MissingTensor(OPINION_BIAS.to_owned())),
    };
    let want = [1, shape.features()];
    if weight.shape() != want {
        return Err(dimensions(OPINION_WEIGHT, &want, weight.shape()));
    }
    if bias.shape() != [1] {
        return Err(dimensions(OPINION_BIAS, &[1], bias.shape()));
    }
    Ok(Some(Dense {
        weight: weight.into_dimensionality::<Ix2>().expect("two dimensions were compared"),
        bias: bias.into_dimensionality::<Ix1>().expect("one dimension was compared"),
    }))
}

/// Reads a table of the metadata. It is hostile until it is checked: its length first, its values by [`Extension::check`].
///
/// # Errors
/// What the table should be, for a message.
pub(crate) fn table<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    if text.len() > MAX_METADATA_BYTES {
        return Err(format!("at most {MAX_METADATA_BYTES} bytes"));
    }
    serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        format!("a table as docs/MODEL.md describes it (see {place})")
    })
}

/// Checks the names of the files that a table was measured on.
fn check_names(names: &[String]) -> Result<(), String> {
    if names.len() > MAX_NAMES || names.iter().any(|name| name.len() > MAX_NAME_BYTES) {
        return Err(format!("`data` may have {MAX_NAMES} names of {MAX_NAME_BYTES} bytes"));
    }
    Ok(())
}

/// Checks a number of comments.
fn check_comments(comments: u64) -> Result<(), String> {
    if comments > MAX_COMMENTS {
        return Err(format!("`comments` is {comments}; at most {MAX_COMMENTS} can be"));
    }
    Ok(())
}
