//! From a comment to tokens: normalise, then cut into subword pieces.
//!
//! Always holds: a text yields at least one token (a text without tokens is one unknown token) and at most `max_tokens`.

use thiserror::Error;

/// What can be wrong with a tokenizer.
#[derive(Debug, Error)]
pub enum TextError {
    /// The file names a tokenizer or a normaliser that this version does not know.
    #[error("unknown {what} `{name}`; this version knows: {known}")]
    Unknown {
        /// `tokenizer.kind` or `normaliser`.
        what: &'static str,
        /// What the file says.
        name: String,
        /// What would have been understood.
        known: &'static str,
    },
    /// The tokenizer's data cannot be read.
    #[error("the tokenizer's data is damaged: {0}")]
    Damaged(String),
}

/// What became of one text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Tokens written (at least 1).
    pub tokens: usize,
    /// How many of them are the unknown token.
    pub unknown: usize,
    /// Whether the text had more tokens than were allowed and was cut.
    pub truncated: bool,
}

/// Memory that one thread reuses from text to text.
#[derive(Debug, Default)]
pub struct Scratch {}

/// Cuts normalised text into the pieces of a trained vocabulary. Shared between threads.
#[derive(Debug, Clone)]
pub struct Tokenizer {}

impl Tokenizer {
    /// Reads a tokenizer as it stands in a model file: `tokenizer.kind`, the decoded `tokenizer.data`, and `normaliser`.
    ///
    /// # Errors
    /// Unknown names and damaged data.
    pub fn from_parts(_kind: &str, _data: &[u8], _normaliser: &str) -> Result<Self, TextError> {
        Ok(Tokenizer {})
    }

    /// `tokenizer.kind`, `tokenizer.data` and `normaliser` for a model file: the inverse of [`Tokenizer::from_parts`].
    pub fn to_parts(&self) -> (String, Vec<u8>, String) {
        (String::new(), Vec::new(), String::new())
    }

    /// How many different tokens there are; ids are below this.
    pub fn vocabulary(&self) -> usize {
        1
    }

    /// Appends the tokens of `text` to `out`: at least one, at most `max_tokens` (the head is kept).
    pub fn encode(
        &self,
        _text: &str,
        max_tokens: usize,
        _scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) -> Encoded {
        debug_assert!(max_tokens > 0);
        out.push(0);
        Encoded { tokens: 1, unknown: 1, truncated: false }
    }

    /// The text of each token of `text`, for people (`explain`), in step with [`Tokenizer::encode`]'s ids.
    pub fn pieces(&self, _text: &str, _max_tokens: usize) -> Vec<(u32, String)> {
        vec![(0, "?".to_owned())]
    }
}
