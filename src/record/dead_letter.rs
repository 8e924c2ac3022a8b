//! A record that cannot be classified: why, as a class and in words.

use thiserror::Error;

/// Why a record cannot be classified: the value of the header `nunchi-error-class`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeadLetterClass {
    /// The value is not UTF-8.
    InvalidUtf8,
    /// The value is not a JSON object.
    InvalidJson,
    /// The object has no text field.
    MissingText,
    /// The text field is not a string.
    TextNotString,
    /// The value is larger than `input.max_bytes`, or its answer fits no topic.
    Oversize,
}

impl DeadLetterClass {
    /// All classes.
    pub const ALL: [DeadLetterClass; 5] = [
        DeadLetterClass::InvalidUtf8,
        DeadLetterClass::InvalidJson,
        DeadLetterClass::MissingText,
        DeadLetterClass::TextNotString,
        DeadLetterClass::Oversize,
    ];

    /// The name in headers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            DeadLetterClass::InvalidUtf8 => "invalid_utf8",
            DeadLetterClass::InvalidJson => "invalid_json",
            DeadLetterClass::MissingText => "missing_text",
            DeadLetterClass::TextNotString => "text_not_string",
            DeadLetterClass::Oversize => "oversize",
        }
    }
}

/// A record that cannot be classified: its class and a sentence for the header `nunchi-error`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{sentence}")]
pub struct DeadLetter {
    /// The class.
    pub class: DeadLetterClass,
    /// What is wrong, in words.
    pub sentence: String,
}

impl DeadLetter {
    pub(super) fn new(class: DeadLetterClass, sentence: impl Into<String>) -> Self {
        DeadLetter { class, sentence: sentence.into() }
    }
}
