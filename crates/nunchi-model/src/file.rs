//! The model file: a safetensors file with the metadata of `docs/MODEL.md`.
//!
//! Reading trusts nothing: sizes are checked before anything is allocated, and no byte is used before the checksum holds.

use super::atomic::atomic_write;
use super::checksum::{Stored, checksum, version};
use super::extension::{self, COVERAGE, Extension, OPINION_BIAS, OPINION_WEIGHT, REFERENCE};
use super::{Golden, Model, ModelError, open_regular};
use crate::rnn::{Cell, HeadKind, Network, Pooling, Shape};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn};
use nunchi_text::Tokenizer;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;

/// Largest model file in bytes.
pub const MAX_BYTES: u64 = 1 << 30;
/// Largest layer count and unit count of the metadata: products of them cannot overflow.
const MAX_LAYERS: usize = 64;
const MAX_UNITS: usize = 1 << 16;
/// Most dimensions of a tensor: biases have one, tables two.
const MAX_DIMENSIONS: usize = 2;

const FORMAT: &str = "nunchi.format";
/// The formats that this build reads: the first without, the second with an [`Extension`].
const FORMATS: [&str; 2] = ["1", "2"];
const CHECKSUM: &str = "checksum";

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum WeightFormat {
    /// 32 bits.
    F32,
    /// 16 bits with 11 of precision; the largest number is 65,504.
    F16,
    /// 16 bits with 8 of precision and the range of `f32`.
    Bf16,
}

impl WeightFormat {
    /// `value` as it will be read back.
    pub fn round(self, value: f32) -> f32 {
        match self {
            WeightFormat::F32 => value,
            WeightFormat::F16 => f16::from_f32(value).to_f32(),
            WeightFormat::Bf16 => bf16::from_f32(value).to_f32(),
        }
    }

    fn dtype(self) -> &'static str {
        match self {
            WeightFormat::F32 => "F32",
            WeightFormat::F16 => "F16",
            WeightFormat::Bf16 => "BF16",
        }
    }

    fn append(self, value: f32, out: &mut Vec<u8>) {
        match self {
            WeightFormat::F32 => out.extend(value.to_le_bytes()),
            WeightFormat::F16 => out.extend(f16::from_f32(value).to_le_bytes()),
            WeightFormat::Bf16 => out.extend(bf16::from_f32(value).to_le_bytes()),
        }
    }
}

/// The content of the file at `path`, unless it is larger than any model.
///
/// # Errors
/// A file that cannot be read or is too large; what is no regular file (a FIFO, a device, a folder).
pub fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    let failed = |error| ModelError::File { verb: "read", path: path.to_owned(), error };
    let file = open_regular(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    if bytes > MAX_BYTES {
        return Err(ModelError::TooLarge { bytes, most: MAX_BYTES });
    }
    let mut content = Vec::with_capacity(bytes as usize);
    // The metadata of a growing file have a smaller size than there is to read.
    file.take(MAX_BYTES + 1).read_to_end(&mut content).map_err(failed)?;
    Ok(content)
}

/// Writes `content` under the name `path`, all or nothing.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), ModelError> {
    let failed = |error| ModelError::File { verb: "write", path: path.to_owned(), error };
    atomic_write(path, content).map_err(failed)
}

/// The content of a model's file and its VERSION; the weights are in `format` already.
pub(super) fn compose(model: &Model, format: WeightFormat) -> (Vec<u8>, String) {
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, tensor) in model.network.tensors().into_iter().chain(model.extension.tensors()) {
        let mut bytes = Vec::with_capacity(tensor.len() * 4);
        tensor.iter().for_each(|&value| format.append(value, &mut bytes));
        tensors.push((name, tensor.shape().to_vec(), bytes));
    }
    tensors.sort();
    let mut entries = metadata(model);
    let mut borrowed: Vec<(&str, &str)> = entries.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut stored: Vec<Stored<'_>> = tensors
        .iter()
        .map(|(name, shape, bytes)| Stored { name, dtype: format.dtype(), shape, bytes })
        .collect();
    let checksum = checksum(&mut borrowed, &mut stored);
    let version = version(&checksum);
    entries.push((CHECKSUM, checksum));

    let mut header = serde_json::Map::new();
    let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    header.insert("__metadata__".to_owned(), serde_json::Value::Object(entries));
    let mut offset = 0;
    for (name, shape, bytes) in &tensors {
        let end = offset + bytes.len();
        let info =
            serde_json::json!({ "dtype": format.dtype(), "shape": shape, "data_offsets": [offset, end] });
        header.insert(name.clone(), info);
        offset = end;
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    // Spaces, so that the tensors begin at a multiple of 8 (as the format wishes).
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut out = Vec::with_capacity(8 + header.len() + offset);
    out.extend((header.len() as u64).to_le_bytes());
    out.extend(header);
    tensors.iter().for_each(|(_, _, bytes)| out.extend(bytes));
    (out, version)
}

/// Every entry but the checksum.
fn metadata(model: &Model) -> Vec<(&'static str, String)> {
    let shape = &model.network.shape;
    let (kind, data, normalizer) = model.tokenizer.to_parts();
    let json = |value: serde_json::Result<String>| value.expect("strings and numbers have a JSON form");
    let format = if model.extension.is_empty() { FORMATS[0] } else { FORMATS[1] };
    let mut entries = vec![
        (FORMAT, format.to_owned()),
        ("name", model.name.clone()),
        ("cell", shape.cell.name().to_owned()),
        ("layers", shape.layers.to_string()),
        ("hidden", shape.hidden.to_string()),
        ("bidirectional", shape.bidirectional.to_string()),
        ("pooling", shape.pooling.name().to_owned()),
        ("head", shape.head.name().to_owned()),
        ("labels", json(serde_json::to_string(&model.labels))),
        ("max_tokens", model.max_tokens.to_string()),
        ("temperature", model.temperature.to_string()),
        ("normaliser", normalizer),
        ("tokenizer.kind", kind),
        ("tokenizer.data", STANDARD.encode(data)),
        ("golden", json(serde_json::to_string(&model.golden))),
        ("report", model.report.to_string()),
    ];
    entries.extend(model.extension.metadata());
    entries
}

/// Reads a model; the checksum holds, the tensors have the right names and shapes. Their values are not checked yet.
pub(super) fn parse(bytes: &[u8]) -> Result<Model, ModelError> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ModelError::TooLarge { bytes: bytes.len() as u64, most: MAX_BYTES });
    }
    // The error quotes names of the file, at any length.
    let damaged = |error: safetensors::SafeTensorError| {
        ModelError::Damaged(nunchi_text::excerpt(&error.to_string(), 200))
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let empty = HashMap::new();
    let metadata = Metadata(header.metadata().as_ref().unwrap_or(&empty));
    let format = metadata.text(FORMAT)?;
    let Some(extended) = FORMATS.iter().position(|known| *known == format).map(|at| at > 0) else {
        return Err(unknown_format(format));
    };
    let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let checksum = metadata.verify(&tensors)?;
    let shape = metadata.shape(&tensors)?;
    let data = STANDARD
        .decode(metadata.text("tokenizer.data")?)
        .map_err(|error| metadata.wrong("tokenizer.data", format!("base64 ({error})")))?;
    let tokenizer =
        Tokenizer::from_parts(metadata.text("tokenizer.kind")?, &data, metadata.text("normaliser")?)?;
    let mut tensors = tensors.tensors();
    let extension = if extended { metadata.extension(&shape, &mut tensors)? } else { Extension::default() };
    Ok(Model {
        name: metadata.text("name")?.to_owned(),
        network: network(shape, &tensors)?,
        tokenizer,
        labels: metadata.json("labels", "a JSON list of names")?,
        max_tokens: metadata.number("max_tokens", super::MAX_TOKENS)?,
        temperature: metadata.parse("temperature", "a positive number")?,
        golden: metadata.json::<Vec<Golden>>("golden", "a JSON list of {text, score}")?,
        report: metadata.json("report", "JSON")?,
        extension,
        version: version(&checksum),
        checksum,
    })
}

/// The network of `shape` in `tensors`, in `f32`.
pub(super) fn network(
    shape: Shape,
    tensors: &[(String, TensorView<'_>)],
) -> Result<Network<f32>, ModelError> {
    shape.check()?;
    let wanted: std::collections::HashSet<String> =
        shape.tensors().into_iter().map(|(name, _)| name).collect();
    tensors.iter().try_for_each(|(name, view)| check_dimensions(name, view))?;
    if let Some((extra, _)) = tensors.iter().find(|(name, _)| !wanted.contains(name)) {
        return Err(ModelError::ExtraTensor(shortened(extra)));
    }
    Network::from_tensors(shape, |name, dimensions| {
        let found = tensors.iter().find(|(found, _)| found == name);
        let (_, view) = found.ok_or_else(|| ModelError::MissingTensor(name.to_owned()))?;
        if view.shape() != dimensions {
            let (want, got) = (dimensions.to_vec(), view.shape().to_vec());
            return Err(crate::rnn::RnnError::Dimensions { name: name.to_owned(), want, got }.into());
        }
        values(name, view)
    })
}

fn check_dimensions(name: &str, view: &TensorView<'_>) -> Result<(), ModelError> {
    let dimensions = view.shape().len();
    if dimensions > MAX_DIMENSIONS {
        let name = shortened(name);
        return Err(ModelError::Inconsistent(format!(
            "`{name}` has {dimensions} dimensions; no tensor has more than {MAX_DIMENSIONS}"
        )));
    }
    Ok(())
}

/// The error of a format that this build does not read.
fn unknown_format(format: &str) -> ModelError {
    let is_later = format.parse().is_ok_and(|number: u64| number > FORMATS.len() as u64);
    let format = shortened(format);
    if is_later { ModelError::LaterFormat(format) } else { ModelError::Format(format) }
}

/// A tensor's values in `f32`.
fn values(name: &str, view: &TensorView<'_>) -> Result<ArrayD<f32>, ModelError> {
    let data = view.data();
    let pairs = || data.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => data
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
            .collect(),
        Dtype::F16 => pairs().map(|pair| f16::from_le_bytes(pair).to_f32()).collect(),
        Dtype::BF16 => pairs().map(|pair| bf16::from_le_bytes(pair).to_f32()).collect(),
        other => return Err(ModelError::Dtype { name: name.to_owned(), dtype: format!("{other:?}") }),
    };
    ArrayD::from_shape_vec(IxDyn(view.shape()), values)
        .map_err(|error| ModelError::Damaged(error.to_string()))
}

/// The metadata of a file, read entry by entry.
struct Metadata<'a>(&'a HashMap<String, String>);

impl Metadata<'_> {
    fn text(&self, key: &'static str) -> Result<&str, ModelError> {
        self.0.get(key).map(String::as_str).ok_or(ModelError::Foreign(key))
    }

    fn wrong(&self, key: &'static str, should: impl Into<String>) -> ModelError {
        let value = shortened(self.0.get(key).map_or("", String::as_str));
        ModelError::Metadata { key, value, should: should.into() }
    }

    fn parse<T: std::str::FromStr>(&self, key: &'static str, should: &str) -> Result<T, ModelError> {
        self.text(key)?.parse().map_err(|_| self.wrong(key, should))
    }

    fn number(&self, key: &'static str, most: usize) -> Result<usize, ModelError> {
        let should = format!("a number up to {most}");
        let number = self.parse(key, &should)?;
        if number > most { Err(self.wrong(key, should)) } else { Ok(number) }
    }

    fn json<T: serde::de::DeserializeOwned>(&self, key: &'static str, should: &str) -> Result<T, ModelError> {
        serde_json::from_str(self.text(key)?).map_err(|_| self.wrong(key, should))
    }

    /// What format 2 adds; its tensors are taken out of `tensors`.
    fn extension(
        &self,
        shape: &Shape,
        tensors: &mut Vec<(String, TensorView<'_>)>,
    ) -> Result<Extension, ModelError> {
        let opinion = extension::opinion(shape, |name| {
            let at = tensors.iter().position(|(found, _)| found == name)?;
            let (_, view) = tensors.swap_remove(at);
            Some(check_dimensions(name, &view).and_then(|()| values(name, &view)))
        })?;
        let extension =
            Extension { opinion, coverage: self.table(COVERAGE)?, reference: self.table(REFERENCE)? };
        match extension.is_empty() {
            // Written again it would be a file of format 1, and so another VERSION.
            true => Err(ModelError::Inconsistent(format!(
                "format 2 has at least one of the tensors `{OPINION_WEIGHT}`, `{OPINION_BIAS}` and the metadata \
                 `{COVERAGE}`, `{REFERENCE}`"
            ))),
            false => Ok(extension),
        }
    }

    /// A table that may be absent.
    fn table<T: serde::de::DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, ModelError> {
        let Some(text) = self.0.get(key) else { return Ok(None) };
        extension::table(text).map(Some).map_err(|should| self.wrong(key, should))
    }

    /// Compares the checksum; returns it.
    fn verify(&self, tensors: &SafeTensors<'_>) -> Result<String, ModelError> {
        let recorded = self.text(CHECKSUM)?;
        let views = tensors.tensors();
        let dtypes: Vec<String> = views.iter().map(|(_, view)| format!("{:?}", view.dtype())).collect();
        let mut stored: Vec<Stored<'_>> = views
            .iter()
            .zip(&dtypes)
            .map(|((name, view), dtype)| Stored { name, dtype, shape: view.shape(), bytes: view.data() })
            .collect();
        let mut entries: Vec<(&str, &str)> = self
            .0
            .iter()
            .filter(|(key, _)| *key != CHECKSUM)
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let found = checksum(&mut entries, &mut stored);
        if found == recorded {
            Ok(found)
        } else {
            Err(ModelError::Checksum { recorded: shortened(recorded), found: shortened(&found) })
        }
    }

    /// The network's shape, by the metadata and the outer tensors.
    fn shape(&self, tensors: &SafeTensors<'_>) -> Result<Shape, ModelError> {
        let cell = Cell::from_name(self.text("cell")?);
        let pooling = Pooling::from_name(self.text("pooling")?);
        let head = HeadKind::from_name(self.text("head")?);
        let dimensions = |name: &'static str| -> Result<[usize; 2], ModelError> {
            let view = tensors.tensor(name).map_err(|_| ModelError::MissingTensor(name.to_owned()))?;
            let got = view.shape();
            <[usize; 2]>::try_from(got).map_err(|_| {
                ModelError::Inconsistent(format!("`{name}` has {} dimensions, not 2", got.len()))
            })
        };
        let [vocabulary, embedding] = dimensions("embedding.weight")?;
        let [outputs, _] = dimensions("head.weight")?;
        if embedding > MAX_UNITS || outputs > MAX_UNITS {
            return Err(ModelError::Inconsistent(format!(
                "{embedding} embedding columns or {outputs} outputs are more than {MAX_UNITS}"
            )));
        }
        Ok(Shape {
            cell: cell.ok_or_else(|| self.wrong("cell", "bag, simple, gru or lstm"))?,
            vocabulary,
            embedding,
            hidden: self.number("hidden", MAX_UNITS)?,
            layers: self.number("layers", MAX_LAYERS)?,
            bidirectional: self.parse("bidirectional", "true or false")?,
            pooling: pooling.ok_or_else(|| self.wrong("pooling", "last, mean or max"))?,
            head: head.ok_or_else(|| self.wrong("head", "sigmoid or softmax"))?,
            outputs,
        })
    }
}

/// The beginning of a value of a file, fit for a message.
pub(super) fn shortened(text: &str) -> String {
    nunchi_text::excerpt(text, 40)
}
