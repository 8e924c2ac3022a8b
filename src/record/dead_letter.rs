//! A record that cannot be classified: the class of the error and its message.

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
    /// The value is larger than `input.max_bytes`, or its output record exceeds the limit of its topic.
    Oversize,
    /// The brokers refuse its output record.
    Refused,
    /// Its record batch cannot be read.
    Corrupt,
}

impl DeadLetterClass {
    /// All classes.
    pub const ALL: [DeadLetterClass; 7] = [
        DeadLetterClass::InvalidUtf8,
        DeadLetterClass::InvalidJson,
        DeadLetterClass::MissingText,
        DeadLetterClass::TextNotString,
        DeadLetterClass::Oversize,
        DeadLetterClass::Refused,
        DeadLetterClass::Corrupt,
    ];

    /// The name in headers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            DeadLetterClass::InvalidUtf8 => "invalid_utf8",
            DeadLetterClass::InvalidJson => "invalid_json",
            DeadLetterClass::MissingText => "missing_text",
            DeadLetterClass::TextNotString => "text_not_string",
            DeadLetterClass::Oversize => "oversize",
            DeadLetterClass::Refused => "refused",
            DeadLetterClass::Corrupt => "corrupt",
        }
    }
}

/// Longest message of a dead letter, in characters.
const MAX_MESSAGE: usize = 200;

/// A record that cannot be classified: its class and the message in the header `nunchi-error`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct DeadLetter {
    /// The class.
    pub class: DeadLetterClass,
    /// What is wrong, in at most 200 characters. Never contains a part of the value: headers and logs are read by others.
    pub message: String,
}

impl DeadLetter {
    /// A message longer than [`MAX_MESSAGE`] characters is cut: names of fields and topics are as long as somebody wants.
    pub(crate) fn new(class: DeadLetterClass, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE) {
            message.truncate(end);
        }
        DeadLetter { class, message }
    }
}
