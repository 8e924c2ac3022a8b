//! From a comment to tokens: normalize, then cut into subword pieces.
//!
//! Always holds: a text yields at least one token (a text without tokens is one unknown token) and at most `max_tokens`;
//! what no piece of a trained tokenizer matches is spelled in bytes, so no text is lost to the unknown token.
//!
//! - [`normalize`]: the same comment in the same letters, however it was typed.
//! - [`Tokenizer`]: the most probable cut into pieces; measured in `docs/TOKENIZER.md`.
//! - [`train`]: finds the pieces of a tokenizer in texts.
//! - [`import`]: takes tokenizers that others trained; [`Tokenizer::to_sentencepiece`] and [`Tokenizer::to_hugging_face`]
//!   hand ours on.

#![cfg_attr(not(test), warn(clippy::disallowed_macros))]
#![forbid(unsafe_code)]

mod characters;
mod export;
pub mod import;
pub mod normalize;
mod rules;
pub mod sentences;
mod tokenizer;
mod train;
mod trie;
mod unwritten;
mod vocabulary;

pub use normalize::Normalizer;
pub use tokenizer::{Scratch, Tokenizer};
pub use train::train;
pub use unwritten::Origins;

use thiserror::Error;

/// Comments such as a shop has them: enough to train a small tokenizer on, and the golden comments of models that bring
/// none of their own.
pub const EXAMPLES: [&str; 12] = [
    "배송이 빨라요 정말 좋아요 ㅋㅋㅋㅋ",
    "별로지만 추천해요",
    "추천하지만 별로예요",
    "가격 대비 품질이 좋아요!!",
    "배송이 너무 느려요 ㅠㅠ",
    "포장이 꼼꼼하고 배송도 빨라요",
    "품질이 별로예요 다시는 안 사요",
    "good 👍 정말 좋아요 ♡",
    "생각보다 작아요 3개 샀는데 1개는 불량",
    "한 달 써 봤는데 또 살게요",
    "아이가 정말 좋아해요 ㅎㅎ",
    "사이즈가 작아요 교환했어요",
];

/// Characters of a name of a file in a message, and of another library's error, which may quote the file.
pub(crate) const NAME: usize = 40;
pub(crate) const REASON: usize = 200;

/// What can be wrong with a tokenizer.
#[derive(Debug, Error)]
pub enum TextError {
    /// The file names a tokenizer or a normalizer that this version does not support.
    #[error("unknown {what} `{name}`; this version supports: {known}")]
    Unknown {
        /// `tokenizer.kind` or `normaliser`, as the metadata of a model file spell them.
        what: &'static str,
        /// The name in the file, shortened.
        name: String,
        /// What would have been understood.
        known: &'static str,
    },
    /// The tokenizer's data cannot be read.
    #[error("the tokenizer's data is damaged: {0}")]
    Damaged(String),
    /// The texts for training do not suffice.
    #[error("no tokenizer can be trained: {0}")]
    Training(String),
    /// Somebody else's tokenizer that cannot be taken over.
    #[error("the tokenizer cannot be imported: {0}")]
    Import(String),
}

/// The first `most` characters of something that a file says, fit for a message: a file must not fill a log, nor steer
/// a terminal.
pub fn excerpt(text: &str, most: usize) -> String {
    let shown = |c: char| if steers_display(c) { char::REPLACEMENT_CHARACTER } else { c };
    let mut out: String = text.chars().take(most).map(shown).collect();
    if text.chars().nth(most).is_some() {
        out.push('…');
    }
    out
}

/// Whether a terminal or a page acts on `character` instead of showing it: controls (also of the second block, U+0080 to U+009F),
/// line and paragraph separators, and what changes the direction of the text around it (UAX #9), by which a text can look
/// like another one. Joiners, which emoji and several scripts need, do not.
pub fn steers_display(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
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
