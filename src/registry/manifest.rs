//! The manifest of a version: who made it, when, from what, and what was measured. Written once, after the model file; a
//! version without one does not exist.

use super::name::is_checksum_of;
use super::{RegistryError, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest manifest in bytes; reports are part of it.
pub(super) const MAX_BYTES: u64 = 16 << 20;
/// The layout that this version writes and reads.
const FORMAT: u32 = 1;

/// The metadata of a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The layout: 1.
    pub format: u32,
    /// The VERSION: the beginning of the model's checksum.
    pub version: Version,
    /// The model's whole checksum; absent in what older versions of nunchi wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// The alias `vN` that the store gave it.
    pub alias: String,
    /// The model's display name.
    pub name: String,
    /// Size of `model.safetensors`.
    pub bytes: u64,
    /// SHA-256 of `model.safetensors`, in hex.
    pub sha256: String,
    /// When it was published.
    pub created_at: jiff::Timestamp,
    /// Who published it.
    pub created_by: String,
    /// The nunchi that published it.
    pub nunchi: String,
    /// The version that it was trained from, if any.
    #[serde(default)]
    pub parent: Option<Version>,
    /// What it was trained on.
    #[serde(default)]
    pub data: Data,
    /// How it was trained: settings by name.
    #[serde(default)]
    pub parameters: Value,
    /// The report of the training.
    #[serde(default)]
    pub report: Value,
    /// Measurements of each kernel of the publishing machine.
    #[serde(default)]
    pub precisions: Vec<Precision>,
    /// The gate that it passed or did not pass; absent if it was published without one.
    #[serde(default)]
    pub gate: Option<Gate>,
    /// A note.
    #[serde(default)]
    pub note: Option<String>,
}

/// What a model was trained on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Data {
    /// Ranges of topics.
    pub topics: Vec<TopicRange>,
    /// Files.
    pub files: Vec<DataFile>,
}

/// Offsets of one partition that were read: from ≤ offset < to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicRange {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub from: i64,
    /// The offset after the last one.
    pub to: i64,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Its path, as it was given.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, in hex.
    pub sha256: String,
}

/// The measurement of one kernel, made when the version was published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Precision {
    /// The kernel's name.
    pub kernel: String,
    /// The precision of its products: `f32`, `bf16`, `int8`.
    pub precision: String,
    /// Whether golden scores hold within the precision's bound, with the same labels.
    pub golden: bool,
    /// Comments that were classified by it and by the portable kernel: the golden and the sample comments. 0 where golden
    /// scores do not hold.
    pub comments: usize,
    /// Share of them with the same label.
    pub agreement: Option<f64>,
    /// Largest difference between two scores of a comment.
    pub max_error: Option<f64>,
}

impl Precision {
    /// Fewest comments for a meaningful agreement.
    const MIN_COMMENTS: usize = 300;

    /// The precision whose kernels may be chosen by default for the model: golden scores hold, and next to no label
    /// differs. None of them, and of a precision that this version does not know: `None`.
    pub fn allows(&self) -> Option<nunchi_engine::Precision> {
        let precision: nunchi_engine::Precision = self.precision.parse().ok()?;
        let min_agreement = if precision == nunchi_engine::Precision::Int8 { 0.995 } else { 0.999 };
        let holds = self.golden
            && self.comments >= Self::MIN_COMMENTS
            && self.agreement.is_some_and(|agreement| agreement >= min_agreement)
            && self.max_error.is_some_and(|error| error <= precision.bound());
        holds.then_some(precision)
    }

    /// Whether [`Precision::allows`] it.
    pub fn holds(&self) -> bool {
        self.allows().is_some()
    }
}

/// The decision of a retraining's gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Whether it passed. A version that did not is promoted only by force.
    pub passed: bool,
    /// The checks and their results.
    #[serde(default)]
    pub report: Value,
}

impl Manifest {
    pub(super) const FORMAT: u32 = FORMAT;

    /// Reads the manifest of `version`.
    pub(super) fn parse(version: &Version, json: &[u8]) -> Result<Self, RegistryError> {
        let damaged =
            |reason: String| RegistryError::Damaged { what: format!("the manifest of {version}"), reason };
        let manifest: Manifest =
            serde_json::from_slice(json).map_err(|error| damaged(format!("it cannot be read ({error})")))?;
        if manifest.format != FORMAT {
            return Err(damaged(format!("it has format {}; this nunchi reads {FORMAT}", manifest.format)));
        }
        if manifest.version != *version {
            return Err(damaged(format!("it belongs to version {}", manifest.version)));
        }
        if manifest.checksum.as_ref().is_some_and(|checksum| !is_checksum_of(checksum, version)) {
            return Err(damaged("its checksum is none of this version".to_owned()));
        }
        Ok(manifest)
    }

    /// Its JSON, pretty-printed.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("a manifest has a JSON form");
        json.push(b'\n');
        json
    }

    /// Whether its gate refused it.
    pub fn is_rejected(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| !gate.passed)
    }
}
