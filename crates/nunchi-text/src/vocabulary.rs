//! The pieces of a tokenizer and their scores, and how they stand in a model file.
//!
//! `tokenizer.data` of kind `unigram`, all numbers little-endian: `u8` format (1), `u8` flags (1: spell unknown characters
//! in bytes, 2: mark the first word too), `u32` number of pieces, then per piece `u8` role, `f32` score (a natural logarithm
//! of a probability), `u16` length and that many bytes of UTF-8. Only pieces are stored; what is derived from them is
//! derived again at load, so a file cannot smuggle in an inconsistent trie.

use super::{NAME, TextError, excerpt};
use std::collections::HashSet;

/// Most pieces that a vocabulary may have.
const MAX_PIECES: usize = 1 << 20;
/// Longest piece in bytes.
const MAX_PIECE: usize = 1024;
/// Largest absolute score: sums over a text stay finite.
const HIGHEST_SCORE: f32 = 1e6;
const FORMAT: u8 = 1;
const SPELL_BYTES: u8 = 1;
const MARK_FIRST: u8 = 2;
/// Format, flags, number of pieces.
const HEADER: usize = 6;
/// Role, score, length.
const ENTRY: usize = 7;

/// What a piece is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Matches text.
    Normal = 0,
    /// Stands for what nothing else matches; exactly one.
    Unknown = 1,
    /// Matches nothing (`<s>`, padding).
    Control = 2,
    /// One byte of a character that no piece matches, named `<0x00>` to `<0xFF>`; all 256 or none.
    Byte = 3,
    /// Matches text and beats every cut of it.
    User = 4,
    /// Matches nothing.
    Unused = 5,
}

impl Role {
    fn from_byte(byte: u8) -> Option<Self> {
        [Role::Normal, Role::Unknown, Role::Control, Role::Byte, Role::User, Role::Unused]
            .into_iter()
            .find(|&role| role as u8 == byte)
    }

    /// Whether the piece is looked for in texts.
    pub(super) fn matches_text(self) -> bool {
        matches!(self, Role::Normal | Role::User)
    }
}

/// One piece; its place in the list is its id.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub text: String,
    pub score: f32,
    pub role: Role,
}

/// A checked list of pieces.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Vocabulary {
    pub pieces: Vec<Piece>,
    /// Whether the first word gets a word mark like the others.
    pub mark_first: bool,
    /// Id of the unknown piece.
    pub unknown: u32,
    /// Ids of the byte pieces by byte, if there are any.
    pub bytes: Option<Box<[u32; 256]>>,
}

impl Vocabulary {
    /// Checks `pieces`: one unknown piece, all byte pieces or none, finite scores, no text twice.
    pub fn new(pieces: Vec<Piece>, mark_first: bool) -> Result<Self, TextError> {
        let damaged = |what: String| Err(TextError::Damaged(what));
        if pieces.is_empty() || pieces.len() > MAX_PIECES {
            return damaged(format!("{} pieces; there must be 1 to {MAX_PIECES}", pieces.len()));
        }
        let mut unknown = None;
        let mut bytes = [u32::MAX; 256];
        let mut seen = HashSet::with_capacity(pieces.len());
        for (id, piece) in pieces.iter().enumerate() {
            if !piece.score.is_finite() || piece.score.abs() > HIGHEST_SCORE || piece.text.len() > MAX_PIECE {
                return damaged(format!("piece {id} has a score or length that cannot be"));
            }
            if piece.role.matches_text() && (piece.text.is_empty() || !seen.insert(piece.text.as_str())) {
                return damaged(format!(
                    "piece {id} (`{}`) is empty or there twice",
                    excerpt(&piece.text, NAME)
                ));
            }
            match piece.role {
                Role::Unknown if unknown.replace(id as u32).is_some() => {
                    return damaged("more than one unknown piece".into());
                }
                Role::Byte => match byte_of(&piece.text) {
                    Some(byte) if bytes[usize::from(byte)] == u32::MAX => {
                        bytes[usize::from(byte)] = id as u32
                    }
                    _ => {
                        let text = excerpt(&piece.text, NAME);
                        return damaged(format!("piece {id} (`{text}`) is not a new byte piece"));
                    }
                },
                _ => {}
            }
        }
        let Some(unknown) = unknown else { return damaged("no unknown piece".into()) };
        let spelled = bytes.iter().filter(|&&id| id != u32::MAX).count();
        if spelled != 0 && spelled != 256 {
            return damaged(format!("{spelled} of 256 byte pieces"));
        }
        let bytes = (spelled == 256).then(|| Box::new(bytes));
        Ok(Vocabulary { pieces, mark_first, unknown, bytes })
    }

    /// Reads what [`Vocabulary::to_bytes`] wrote. Allocates no more than a small multiple of `data`.
    pub fn from_bytes(data: &[u8]) -> Result<Self, TextError> {
        let short = || TextError::Damaged("it ends too early".into());
        let header = data.get(..HEADER).ok_or_else(short)?;
        let (format, flags) = (header[0], header[1]);
        if format != FORMAT || flags > (SPELL_BYTES | MARK_FIRST) {
            return Err(TextError::Damaged(format!("format {format} with flags {flags} is not known")));
        }
        let count = u32::from_le_bytes([header[2], header[3], header[4], header[5]]) as usize;
        let mut rest = &data[HEADER..];
        if count > rest.len() / ENTRY {
            return Err(short());
        }
        let mut pieces = Vec::with_capacity(count);
        for id in 0..count {
            let entry = rest.get(..ENTRY).ok_or_else(short)?;
            let role = Role::from_byte(entry[0])
                .ok_or_else(|| TextError::Damaged(format!("piece {id} has the unknown role {}", entry[0])))?;
            let score = f32::from_le_bytes([entry[1], entry[2], entry[3], entry[4]]);
            let end = ENTRY + usize::from(u16::from_le_bytes([entry[5], entry[6]]));
            let text = std::str::from_utf8(rest.get(ENTRY..end).ok_or_else(short)?)
                .map_err(|_| TextError::Damaged(format!("piece {id} is not UTF-8")))?;
            pieces.push(Piece { text: text.to_owned(), score, role });
            rest = &rest[end..];
        }
        if !rest.is_empty() {
            return Err(TextError::Damaged(format!("{} bytes follow its end", rest.len())));
        }
        let vocabulary = Vocabulary::new(pieces, flags & MARK_FIRST != 0)?;
        if vocabulary.bytes.is_some() != (flags & SPELL_BYTES != 0) {
            return Err(TextError::Damaged("its flags and its byte pieces disagree".into()));
        }
        Ok(vocabulary)
    }

    /// The form that travels in a model file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let spell = if self.bytes.is_some() { SPELL_BYTES } else { 0 };
        let mark = if self.mark_first { MARK_FIRST } else { 0 };
        let mut out = vec![FORMAT, spell | mark];
        out.extend((self.pieces.len() as u32).to_le_bytes());
        for piece in &self.pieces {
            out.push(piece.role as u8);
            out.extend(piece.score.to_le_bytes());
            // Checked by `new`: at most `MAX_PIECE`.
            out.extend((piece.text.len() as u16).to_le_bytes());
            out.extend(piece.text.as_bytes());
        }
        out
    }
}

/// The name of a byte piece.
pub(super) fn byte_name(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

/// The byte that a byte piece stands for.
fn byte_of(name: &str) -> Option<u8> {
    let digits = name.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn piece(text: &str, role: Role) -> Piece {
        Piece { text: text.into(), score: -1.5, role }
    }

    fn some() -> Vocabulary {
        let mut pieces =
            vec![piece("<unk>", Role::Unknown), piece("▁좋아", Role::Normal), piece("요", Role::User)];
        pieces.extend((0..=255).map(|byte| piece(&byte_name(byte), Role::Byte)));
        Vocabulary::new(pieces, true).unwrap()
    }

    #[test]
    fn comes_back_from_its_bytes() {
        assert_eq!(Vocabulary::from_bytes(&some().to_bytes()).unwrap(), some());
    }

    #[test]
    fn refuses_what_cannot_be() {
        for (pieces, want) in [
            (vec![], "0 pieces"),
            (vec![piece("좋", Role::Normal)], "no unknown piece"),
            (vec![piece("?", Role::Unknown), piece("!", Role::Unknown)], "more than one unknown"),
            (
                vec![piece("?", Role::Unknown), piece("좋", Role::Normal), piece("좋", Role::User)],
                "there twice",
            ),
            (vec![piece("?", Role::Unknown), piece("", Role::Normal)], "empty"),
            (vec![piece("?", Role::Unknown), piece("<0x41>", Role::Byte)], "1 of 256"),
            (vec![piece("?", Role::Unknown), piece("<0xZZ>", Role::Byte)], "not a new byte piece"),
            (
                vec![piece("?", Role::Unknown), Piece { score: f32::NAN, ..piece("좋", Role::Normal) }],
                "score",
            ),
        ] {
            let said = Vocabulary::new(pieces, true).unwrap_err().to_string();
            assert!(said.contains(want), "{said}");
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let data = some().to_bytes();
        for end in 0..data.len() {
            assert!(Vocabulary::from_bytes(&data[..end]).is_err(), "{end} bytes");
        }
        let mut huge = data.clone();
        huge[2..6].fill(0xff);
        assert!(Vocabulary::from_bytes(&huge).is_err());
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..200), place in 0usize..500, byte: u8) {
            let _ = Vocabulary::from_bytes(&data);
            let mut mutated = some().to_bytes();
            let place = place % mutated.len();
            mutated[place] = byte;
            let _ = Vocabulary::from_bytes(&mutated);
        }
    }
}
