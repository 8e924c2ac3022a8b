//! What a record's value turned out to be.

use crate::record::{Comment, DeadLetter, Reader};

/// What a record turned out to be.
pub(super) enum Decoded<'m> {
    /// A comment, to be classified.
    Comment(Comment<'m>),
    /// A null value.
    Tombstone,
    /// Something that cannot be classified.
    Poisoned(DeadLetter),
}

impl<'m> Decoded<'m> {
    /// Reads a value.
    pub(super) fn read(reader: &Reader, value: Option<&'m [u8]>) -> Self {
        match value.map(|value| reader.read(value)) {
            None => Decoded::Tombstone,
            Some(Ok(comment)) => Decoded::Comment(comment),
            Some(Err(letter)) => Decoded::Poisoned(letter),
        }
    }

    /// The comment's text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Decoded::Comment(comment) => Some(comment.text.as_ref()),
            Decoded::Tombstone | Decoded::Poisoned(_) => None,
        }
    }
}
