//! Why a model is refused.

use crate::rnn::RnnError;
use nunchi_text::TextError;
use std::path::PathBuf;
use thiserror::Error;

/// Why a model cannot be read or written.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The operating system refuses.
    #[error("cannot {verb} the model {}: {error}", path.display())]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The model's path.
        path: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The file is larger than any model.
    #[error("the file has {bytes} bytes, more than the {most} that a model may have")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// The bytes are no safetensors file: truncated, or something else.
    #[error("this is not a complete safetensors file (it was cut off, or is another kind of file): {0}")]
    Damaged(String),
    /// A safetensors file, but no model of ours.
    #[error(
        "this safetensors file is no nunchi model: its metadata lack `{0}`; a PyTorch state dict is brought in by `nunchi models import`"
    )]
    Foreign(&'static str),
    /// A format of a later build.
    #[error(
        "the model has format {0}, and this build (nunchi {version}) reads the formats 1 and 2: use the build that wrote it \
         or a later one",
        version = env!("CARGO_PKG_VERSION")
    )]
    LaterFormat(String),
    /// No format at all.
    #[error("`nunchi.format` is {0:?}, which no build of nunchi writes; there are the formats 1 and 2")]
    Format(String),
    /// An entry of the metadata has an invalid value.
    #[error("the metadata's `{key}` is {value:?}; it should be {should}")]
    Metadata {
        /// The entry.
        key: &'static str,
        /// Its value, shortened.
        value: String,
        /// What would be understood.
        should: String,
    },
    /// The content is not what was written.
    #[error(
        "the checksum does not match (recorded {recorded}, found {found}): the file was changed or damaged"
    )]
    Checksum {
        /// The value in the file, shortened.
        recorded: String,
        /// What its content gives.
        found: String,
    },
    /// A tensor that the network needs is not there.
    #[error("the tensor `{0}` is missing")]
    MissingTensor(String),
    /// A tensor that the network does not have.
    #[error("the tensor `{0}` belongs to no part of this network")]
    ExtraTensor(String),
    /// A tensor of another type.
    #[error("the tensor `{name}` holds {dtype}; models hold F32, F16 or BF16")]
    Dtype {
        /// The tensor.
        name: String,
        /// Its type.
        dtype: String,
    },
    /// A weight that is infinite or not a number (also after rounding to 16 bits).
    #[error("the tensor `{0}` holds a weight that is infinite or not a number")]
    NotFinite(String),
    /// Shape and tensors disagree.
    #[error(transparent)]
    Network(#[from] RnnError),
    /// The tokenizer cannot be read.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Parts that do not fit together.
    #[error("the model's parts do not fit: {0}")]
    Inconsistent(String),
    /// A golden comment does not score as recorded.
    #[error(
        "the golden comment {text:?} scores {got:.6} instead of {want:.6}: the model is not what was published"
    )]
    Golden {
        /// The comment, shortened.
        text: String,
        /// The score on record.
        want: f64,
        /// The score of the stored weights.
        got: f64,
    },
    /// The binary was built without a model in `models/`.
    #[error("this build ships no model: name one with --model FILE, or build with one file in models/")]
    NoneShipped,
    /// A state dict that cannot be taken over.
    #[error("the state dict cannot be imported: {0}")]
    Import(String),
}
