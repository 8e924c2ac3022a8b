//! When two comments are the same comment.
//!
//! One rule for everything that must not meet itself: what is held out and what is learned, what is measured with and what is
//! learned, files that repeat each other. Comments are the same if a network of the normalizer `nunchi-2` reads the same
//! characters: spaces, case, badges of shops and the number of exclamation marks make no difference. A network with another
//! normalizer may read some of them differently; leaving out a few comments too many is the safe side.

use nunchi_text::Normalizer;
use sha2::{Digest, Sha256};

/// The rule. A change of it changes [`DOMAIN`] too: what was compared by one rule must not be compared by another.
const NORMALIZER: Normalizer = Normalizer::Nunchi2;
/// Hashed before the text, so that no other hash in the project can be taken for a key.
const DOMAIN: &[u8] = b"nunchi comment key 1\n";

/// Equal for two comments exactly when they are the same: 64 bits of the SHA-256 of the normalized text. Not the standard
/// library's hasher, whose algorithm may change with the compiler, while keys outlive a process in the fingerprints of
/// checkpoints. With a million keys in the set that is compared with, a comment is taken for one of them by mistake once in
/// 2^44.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommentKey(u64);

impl CommentKey {
    /// The key of one comment; of many use [`CommentKeys`].
    pub fn of(text: &str) -> Self {
        CommentKeys::default().key(text)
    }

    /// The key as a number, to be stored.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The key that was stored as a number.
    pub fn from_bits(bits: u64) -> Self {
        CommentKey(bits)
    }
}

/// Makes keys of many comments in the memory of one.
#[derive(Clone, Debug, Default)]
pub struct CommentKeys {
    normal: String,
}

impl CommentKeys {
    /// The key of a comment.
    pub fn key(&mut self, text: &str) -> CommentKey {
        NORMALIZER.normalize_into(text, &mut self.normal);
        let hash = Sha256::new().chain_update(DOMAIN).chain_update(self.normal.as_bytes()).finalize();
        let (first, _) = hash.split_first_chunk::<8>().expect("SHA-256 has 32 bytes");
        CommentKey(u64::from_le_bytes(*first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_that_are_typed_differently_are_the_same_comment() {
        let key = CommentKey::of("잘 쓰고 있어요!!!");
        for same in [" 잘쓰고있어요!!!!!!\n", "재구매 잘 쓰고 있어요!!!", "잘 쓰고\u{200b} 있어요!!!"]
        {
            assert_eq!(CommentKey::of(same), key, "{same:?}");
        }
        for other in ["잘 쓰고 있어요", "잘 쓰고 있어요!!", "잘 쓰고 있네요!!!", ""] {
            assert_ne!(CommentKey::of(other), key, "{other:?}");
        }
    }

    /// Computed by another program: a key that changes makes every stored fingerprint worthless without saying so.
    #[test]
    fn keys_are_the_same_in_every_version() {
        for (text, bits) in [("", EMPTY), ("배송이 빨라요", FAST), ("GOOD", GOOD)] {
            assert_eq!(CommentKey::of(text).to_bits(), bits, "{text}");
            assert_eq!(CommentKey::from_bits(bits), CommentKey::of(text));
        }
    }
    const EMPTY: u64 = 0x3936_1548_6753_832e;
    const FAST: u64 = 0xd594_132f_38f9_b933;
    const GOOD: u64 = 0xbdd5_0769_03cc_fe31;
}
