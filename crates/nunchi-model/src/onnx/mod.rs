//! A model for other people's engines: an ONNX graph, and the tokenizer beside it.
//!
//! Inputs: `ids`, int64 `[T, B]`, token ids, a column a comment, padded at the end with anything; `last`, int64 `[B]`, where
//! each comment's last state stands among the `T * B` states: `(length - 1) * B + b`. Output: `p`, float `[B, 1]`, the
//! probability of positive (`[B, classes]` with a softmax). The temperature is part of the graph. A model with an opinion output
//! has a second output: `opinion`, float `[B, 1]`, the probability that the comment holds an opinion.
//!
//! Every shape of a model can be exported this way: lengths follow from `last`. Forward layers need none and run over the padding, whose
//! states nobody reads; backward layers get the lengths as `sequence_lens`, which ONNX Runtime heeds (an engine that ignores
//! them, as OpenVINO does, needs comments of equal length in a batch for bidirectional models).

mod graph;
mod proto;

use super::{Model, ModelError};
use prost::Message as _;
use proto::StringStringEntryProto;
use std::path::{Path, PathBuf};

/// The version of ONNX's operators that the graph uses.
const OPSET: i64 = 17;
/// The version of the file's layout that goes with it.
const IR_VERSION: i64 = 8;
/// Files of the tokenizer, beside the graph.
const SENTENCEPIECE: &str = "tokenizer.model";
const HUGGING_FACE: &str = "tokenizer.json";

/// The bytes of the ONNX file of `model`.
pub fn to_bytes(model: &Model) -> Vec<u8> {
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
    proto::ModelProto {
        ir_version: IR_VERSION,
        producer_name: "nunchi".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: format!("{} (version {})", model.name, model.version),
        graph: Some(graph::graph(model)),
        opset_import: vec![proto::OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: vec![
            entry("nunchi.version", model.version.clone()),
            entry("nunchi.labels", model.labels.join(",")),
            entry("nunchi.max_tokens", model.max_tokens.to_string()),
            entry("nunchi.unknown", model.tokenizer.unknown().to_string()),
            entry("nunchi.normaliser", model.tokenizer.normalizer().name().to_owned()),
        ],
    }
    .encode_to_vec()
}

/// Writes the graph of `model` to `path` and its tokenizer into the same folder, as `tokenizer.model` (sentencepiece) and
/// `tokenizer.json` (Hugging Face). Returns the files.
///
/// # Errors
/// Files that cannot be written.
pub fn export(model: &Model, path: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let files = [
        (path.to_owned(), to_bytes(model)),
        (path.with_file_name(SENTENCEPIECE), model.tokenizer.to_sentencepiece()),
        (path.with_file_name(HUGGING_FACE), model.tokenizer.to_hugging_face()),
    ];
    for (path, content) in &files {
        super::file::write(path, content)?;
    }
    Ok(files.map(|(path, _)| path).to_vec())
}
