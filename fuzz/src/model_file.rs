//! Any bytes as a model file, as they are and with a checksum that holds: without it nearly every mutation would end at
//! the checksum.
//!
//! - What is refused has a message that is not long, whatever names the file holds.
//! - What loads can be written, and the written file loads, is the same again, and has the version that was promised.
//! - The engine computes what the reference computes, or says that the score is not a number; also whether there is an opinion.

use crate::message;
use nunchi_engine::{Engine, KernelKind, LoadedModel};
use nunchi_model::{Model, WeightFormat, onnx, summary};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Reads `data` as a model file.
pub fn run(data: &[u8]) {
    check(data);
    if let Some(sealed) = sealed(data) {
        check(&sealed);
    }
}

fn check(bytes: &[u8]) {
    let model = match Model::from_bytes(bytes) {
        Ok(model) => model,
        Err(error) => return message::check(&error.to_string()),
    };
    let (written, version) = model.to_bytes(WeightFormat::F32).expect("a model that loads can be written");
    let again = Model::from_bytes(&written).expect("a model that was written loads");
    assert_eq!(again.version, version);
    assert_eq!(again.to_bytes(WeightFormat::F32).expect("it can be written").0, written);
    assert!(!summary::summary(&model).is_empty());
    assert!(!onnx::to_bytes(&model).is_empty());

    let texts = ["", "좋아요", "별로지만 추천해요 abc"];
    let wanted = model.reference_scores(&texts);
    let opinions = model.reference_opinions(&texts);
    let loaded = match LoadedModel::new(model, Some(KernelKind::Portable)) {
        Ok(loaded) => loaded,
        Err(error) => return message::check(&error.to_string()),
    };
    match Engine::new(Arc::new(loaded)).classify(&texts) {
        Ok(predictions) => {
            for (at, prediction) in predictions.iter().enumerate() {
                let wanted = opinions.as_ref().map(|opinions| opinions[at]);
                assert_eq!(prediction.opinion.is_some(), wanted.is_some());
                if let (Some(opinion), Some(wanted)) = (prediction.opinion, wanted) {
                    let near = (f64::from(opinion) - wanted).abs() <= 1e-3;
                    assert!(
                        (0.0..=1.0).contains(&opinion) && (near || largest(&again) > 100.0),
                        "{prediction:?}"
                    );
                }
            }
            for (prediction, wanted) in predictions.iter().zip(wanted) {
                assert!((0.0..=1.0).contains(&prediction.score), "{prediction:?}");
                // Huge weights and tiny temperatures multiply what the order of additions leaves open.
                let near = (f64::from(prediction.score) - wanted).abs() <= 1e-3;
                let steep = again.temperature < 0.1 || largest(&again) > 100.0;
                assert!(near || steep, "{prediction:?} instead of {wanted}");
            }
        }
        Err(error) => message::check(&error.to_string()),
    }
}

fn largest(model: &Model) -> f32 {
    let tensors = model.network.tensors();
    let opinion =
        model.extension.opinion.iter().flat_map(|opinion| opinion.weight.iter().chain(&opinion.bias));
    let all = tensors.iter().flat_map(|(_, tensor)| tensor.iter()).chain(opinion);
    all.fold(0.0, |most, value| most.max(value.abs()))
}

/// `data` with the right length of its header and the right checksum in its metadata, if it has so much of a safetensors
/// file: written after `docs/MODEL.md`, not with the code that is tested.
pub fn sealed(data: &[u8]) -> Option<Vec<u8>> {
    let rest = data.get(8..)?;
    let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
    let mut header = values.next()?.ok()?;
    let end = values.byte_offset();
    // Spaces after the header pad it.
    let padding = rest[end..].iter().take_while(|&&byte| byte == b' ').count();
    let tensors = &rest[end + padding..];
    let checksum = checksum(&header, tensors)?;
    header.get_mut("__metadata__")?.as_object_mut()?.insert("checksum".to_owned(), checksum.into());
    let header = header.to_string();
    Some([&(header.len() as u64).to_le_bytes(), header.as_bytes(), tensors].concat())
}

fn checksum(header: &Value, data: &[u8]) -> Option<String> {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    let mut entries: Vec<(&String, &Value)> = header.get("__metadata__")?.as_object()?.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    for (key, value) in entries.into_iter().filter(|(key, _)| *key != "checksum") {
        field(key.as_bytes());
        field(value.as_str()?.as_bytes());
    }
    let mut tensors: Vec<(&String, &Value)> =
        header.as_object()?.iter().filter(|(name, _)| *name != "__metadata__").collect();
    tensors.sort_by_key(|(name, _)| *name);
    for (name, tensor) in tensors {
        field(name.as_bytes());
        field(tensor["dtype"].as_str()?.as_bytes());
        let sizes = tensor["shape"].as_array()?.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>()?;
        field(&sizes.iter().flat_map(|size| size.to_le_bytes()).collect::<Vec<u8>>());
        let offset = |place: usize| usize::try_from(tensor["data_offsets"].get(place)?.as_u64()?).ok();
        field(data.get(offset(0)?..offset(1)?)?);
    }
    Some(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
