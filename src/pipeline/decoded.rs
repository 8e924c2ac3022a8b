//! The result of decoding a record's value.

use crate::record::{Comment, DeadLetter, Reader};

/// The result of decoding a record.
pub(super) enum Decoded<'m> {
    /// A comment, to be classified.
    Comment(Comment<'m>),
    /// A null value, or a record that says that something was deleted.
    Tombstone,
    /// Something that cannot be classified.
    Poisoned(DeadLetter),
}

impl<'m> Decoded<'m> {
    /// Reads a value.
    pub(super) fn read(reader: &Reader, value: Option<&'m [u8]>) -> Self {
        match value.map(|value| reader.read_change(value)) {
            None | Some(Ok(None)) => Decoded::Tombstone,
            Some(Ok(Some(comment))) => Decoded::Comment(comment),
            Some(Err(dead_letter)) => Decoded::Poisoned(dead_letter),
        }
    }

    /// This, or a dead letter if the brokers are known to refuse what would be written.
    pub(super) fn or_refused(self, refused: impl FnOnce() -> Option<DeadLetter>) -> Self {
        match self {
            Decoded::Poisoned(dead_letter) => Decoded::Poisoned(dead_letter),
            sound => refused().map_or(sound, Decoded::Poisoned),
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
