//! Publishing: the model file, an alias, and at last the manifest. An interrupted publisher has published nothing.

use super::identity::Verified;
use super::log::Log;
use super::manifest::{Data, Gate, Manifest, Precision};
use super::store::{manifest_path, model_path};
use super::{RegistryError, Store, Version, actor};
use crate::samples;
use nunchi_engine::{Engine, EngineError, KernelKind, LoadedModel, Packed, Prediction, kernels};
use nunchi_model::{MAX_BYTES, Model, hex};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::sync::Arc;

/// Where the hash of a file to publish was found, for messages.
const FILE: &str = "the file to publish";

/// The metadata of a version that its publisher provides.
#[derive(Clone, Debug, Default)]
pub struct NewVersion {
    /// Who publishes; empty: [`actor`].
    pub created_by: String,
    /// The version that it was trained from.
    pub parent: Option<Version>,
    /// What it was trained on.
    pub data: Data,
    /// How it was trained.
    pub parameters: Value,
    /// The gate that it passed or not.
    pub gate: Option<Gate>,
    /// A note.
    pub note: Option<String>,
}

/// The result of a publication.
#[derive(Clone, Debug)]
pub struct Published {
    /// The manifest in the store.
    pub manifest: Manifest,
    /// Whether it is new; otherwise the same model had been published before, and nothing was changed.
    pub new: bool,
}

impl Store {
    /// Publishes the model in `content`, the bytes of a model file: verifies it, measures the precisions of this machine's
    /// kernels, writes it, and at last its manifest. The same model twice is one version, published once; where the store's
    /// copy is damaged, it is repaired if the whole hashes show that it is the same model.
    ///
    /// # Errors
    /// A file that is not a valid model, or has the VERSION of another model; a log that cannot be read; a store that does not
    /// answer.
    pub fn publish(&self, content: Vec<u8>, new: NewVersion) -> Result<Published, RegistryError> {
        let model = Model::from_bytes(&content).map_err(RegistryError::Refused)?;
        let version: Version = model.version.parse()?;
        let log = self.log()?;
        log.check(&version, &model.checksum, FILE)?;
        let (bytes, sha256) = (content.len() as u64, hex(&Sha256::digest(&content)));
        let repair = match self.read_verified(&version, &log) {
            Ok(Verified { manifest, model: stored }) if stored.checksum == model.checksum => {
                return Ok(Published { manifest, new: false });
            }
            Ok(Verified { model: stored, .. }) => {
                return Err(another(&version, (&model.checksum, &stored.checksum), "the model in the store"));
            }
            Err(RegistryError::NoVersion(_)) => false,
            Err(error) if error.is_unavailable() => return Err(error),
            Err(_) => {
                if let Some(manifest) = self.repairable(&version, &log, (&model, &sha256))? {
                    self.objects.replace(&model_path(&version), content)?;
                    return Ok(Published { manifest, new: false });
                }
                true
            }
        };
        let precisions = precisions(&model)?;
        self.write_model(&version, content)?;
        let alias = self.assign_alias(&version)?;
        let manifest = Manifest {
            format: Manifest::FORMAT,
            alias: format!("v{alias}"),
            name: model.name,
            bytes,
            sha256,
            created_at: jiff::Timestamp::now(),
            created_by: if new.created_by.is_empty() { actor() } else { new.created_by },
            nunchi: env!("CARGO_PKG_VERSION").to_owned(),
            parent: new.parent,
            data: new.data,
            parameters: new.parameters,
            report: model.report,
            precisions,
            gate: new.gate,
            note: new.note,
            checksum: Some(model.checksum),
            version,
        };
        if repair {
            self.objects.replace(&manifest_path(&manifest.version), manifest.to_json())?;
            return Ok(Published { manifest, new: false });
        }
        if self.objects.create(&manifest_path(&manifest.version), manifest.to_json())? {
            return Ok(Published { manifest, new: true });
        }
        // Another process published at the same time: the same model, or another one with the same VERSION.
        let first = self.manifest(&manifest.version)?;
        if first.sha256 != manifest.sha256 {
            return Err(another(&first.version, (&manifest.sha256, &first.sha256), "the manifest"));
        }
        Ok(Published { manifest: first, new: false })
    }

    /// Whether the damaged copy of `version` is that of `model`, whose file has the hash `sha256`: its manifest, if that can be
    /// read, or `None` if it is to be written anew. The digits of the VERSION prove nothing: whole hashes must agree.
    fn repairable(
        &self,
        version: &Version,
        log: &Log,
        (model, sha256): (&Model, &str),
    ) -> Result<Option<Manifest>, RegistryError> {
        match self.manifest(version) {
            Ok(manifest) if manifest.sha256 == sha256 => {
                manifest.check(&model.checksum, FILE)?;
                return Ok(Some(manifest));
            }
            Ok(manifest) => return Err(another(version, (sha256, &manifest.sha256), "the manifest")),
            Err(error) if error.is_unavailable() => return Err(error),
            Err(_) => {}
        }
        // The manifest is gone: what is left are the model file and the log.
        let stored = match self.objects.get(&model_path(version), MAX_BYTES) {
            Ok(stored) => stored.and_then(|content| Model::from_bytes(&content).ok()),
            Err(error) if error.is_unavailable() => return Err(error),
            Err(_) => None,
        };
        match stored {
            Some(stored) if stored.checksum == model.checksum => Ok(None),
            Some(stored) => {
                Err(another(version, (&model.checksum, &stored.checksum), "the model in the store"))
            }
            None if log.names(version, &model.checksum) == Some(true) => Ok(None),
            None => Err(RegistryError::Damaged {
                what: format!("version {version}"),
                reason: format!(
                    "neither its manifest nor its model can be read, and the promotion log does not say which model it was; \
                     if it was this one, remove versions/{version} and publish it again"
                ),
            }),
        }
    }

    /// Writes the model file. A file that an interrupted publisher left is replaced unless it is complete.
    fn write_model(&self, version: &Version, content: Vec<u8>) -> Result<(), RegistryError> {
        let path = model_path(version);
        if self.objects.create(&path, content.clone())? {
            return Ok(());
        }
        match self.objects.get(&path, content.len() as u64) {
            Ok(Some(found)) if found == content => Ok(()),
            // Without a valid manifest the version is not published.
            Ok(_) | Err(RegistryError::Damaged { .. }) => self.objects.replace(&path, content),
            Err(error) => Err(error),
        }
    }
}

/// The refusal of a file whose VERSION the store has for another model.
fn another(version: &Version, (file, stored): (&str, &str), there: &str) -> RegistryError {
    RegistryError::Ambiguous {
        version: version.clone(),
        found: file.to_owned(),
        here: FILE.to_owned(),
        other: stored.to_owned(),
        there: there.to_owned(),
    }
}

/// Measures each kernel of this machine on `model`, against the portable one.
fn precisions(model: &Model) -> Result<Vec<Precision>, RegistryError> {
    let samples = samples::comments().into_iter().map(|comment| comment.text);
    let texts: Vec<String> = model.golden.iter().map(|golden| golden.text.clone()).chain(samples).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let want = classify(model, KernelKind::Portable, &texts).map_err(RegistryError::NotServable)?;
    let measure = |kernel: KernelKind| -> Result<Precision, EngineError> {
        let precision = Packed::new(&model.network, Some(kernel))?.precision();
        let measured = match classify(model, kernel, &texts) {
            Ok(got) => Some(compare(&want, &got)),
            // The golden scores do not hold, or it overflows: the kernel cannot be used for this model.
            Err(EngineError::Golden { .. } | EngineError::NotANumber { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Precision {
            kernel: kernel.name().to_owned(),
            precision: precision.name().to_owned(),
            golden: measured.is_some(),
            comments: measured.map_or(0, |_| texts.len()),
            agreement: measured.map(|(agreement, _)| agreement),
            max_error: measured.map(|(_, error)| error),
        })
    };
    kernels().into_iter().map(|kernel| measure(kernel).map_err(RegistryError::NotServable)).collect()
}

/// Share of the same labels, and the largest difference between scores.
fn compare(want: &[Prediction], got: &[Prediction]) -> (f64, f64) {
    let same = want.iter().zip(got).filter(|(want, got)| want.label == got.label).count();
    let errors = want.iter().zip(got).map(|(want, got)| f64::from((want.score - got.score).abs()));
    // Nine places: more are noise, and do not round-trip through JSON.
    let places = |number: f64| (number * 1e9).round() / 1e9;
    (places(same as f64 / want.len().max(1) as f64), places(errors.fold(0.0, f64::max)))
}

/// The predictions of a kernel for `texts`.
fn classify(model: &Model, kernel: KernelKind, texts: &[&str]) -> Result<Vec<Prediction>, EngineError> {
    Engine::new(Arc::new(LoadedModel::new(model.clone(), Some(kernel))?)).classify(texts)
}

/// Size and SHA-256 (hex) of a file's content, for [`super::DataFile`].
///
/// # Errors
/// A file that cannot be read.
pub fn hash_file(path: &Path) -> std::io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let bytes = std::io::copy(&mut std::fs::File::open(path)?, &mut hash)?;
    Ok((bytes, hex(&hash.finalize())))
}
