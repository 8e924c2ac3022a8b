//! Publishing: the model file, an alias, and at last the manifest. An interrupted publisher has published nothing.

use super::manifest::{Data, Gate, Manifest, Precision};
use super::store::{manifest_path, model_path, read};
use super::{RegistryError, Store, Version, actor};
use crate::samples;
use nunchi_engine::{Engine, EngineError, KernelKind, LoadedModel, Packed, Prediction, kernels};
use nunchi_model::{Model, hex};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::sync::Arc;

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
    /// copy is damaged, it is repaired: the VERSION determines the content.
    ///
    /// # Errors
    /// A file that is not a valid model; a store that does not answer.
    pub fn publish(&self, content: Vec<u8>, new: NewVersion) -> Result<Published, RegistryError> {
        let model = Model::from_bytes(&content).map_err(RegistryError::Refused)?;
        let version: Version = model.version.parse()?;
        let repair = match self.published(&version) {
            Ok(Some(manifest)) => return Ok(Published { manifest, new: false }),
            Ok(None) => false,
            Err(error) if error.is_unavailable() => return Err(error),
            Err(_) => true,
        };
        let (bytes, sha256) = (content.len() as u64, hex(&Sha256::digest(&content)));
        if repair
            && let Ok(manifest) = self.manifest(&version)
            && manifest.sha256 == sha256
        {
            self.objects.replace(&model_path(&version), content)?;
            return Ok(Published { manifest, new: false });
        }
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
            version,
        };
        if repair {
            self.objects.replace(&manifest_path(&manifest.version), manifest.to_json())?;
            return Ok(Published { manifest, new: false });
        }
        if self.objects.create(&manifest_path(&manifest.version), manifest.to_json())? {
            return Ok(Published { manifest, new: true });
        }
        // Another process published the same model at the same time.
        Ok(Published { manifest: self.manifest(&manifest.version)?, new: false })
    }

    /// The manifest of a version that exists and is complete.
    fn published(&self, version: &Version) -> Result<Option<Manifest>, RegistryError> {
        match self.fetch(version) {
            Ok((manifest, content)) => read(version, &content).map(|_| Some(manifest)),
            Err(RegistryError::NoVersion(_)) => Ok(None),
            Err(error) => Err(error),
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
