//! The same comment in the same letters, however it was typed.
//!
//! A normalizer has a name, which travels in the model file: a network must read at work what it read in training.
//! Always holds: the result has no leading, trailing or doubled space, and normalizing it again changes nothing.
//!
//! `nunchi-1` does this:
//! - NFKC (Unicode Standard Annex 15), with one exception: compatibility jamo (`ㅋㅋ`, `ㅠㅠ`) stay what they are, and
//!   conjoining jamo that belong to no syllable become compatibility jamo. Plain NFKC would turn `ㅋㅏ` into `카` and
//!   `ㅋ` into a letter that fonts do not show on its own.
//! - Lower case; control, format and variation characters and skin tones are dropped; white space and fillers become
//!   one space.
//! - More than three of the same character in a row become three; digits stay (a price is not a sigh).
//! - A shop's badge in front (`재구매 `, `한달사용기 `) is dropped: the buyer did not write it, and it gives labels away.
//!
//! `nunchi-2` also drops all spaces. Korean typed on phones rarely has them where the
//! rules require them, and often has none: what a network learns about them is noise, and without them `잘쓰고있어요`, `잘 쓰고 있어요` and
//! `잘 쓰 고 있 어 요` are the same comment (measured: docs/MODEL.md).
//!
//! `nunchi-3`, the one for training, is `nunchi-2` without what the buyer did not write (tags, entities, badges, masked names,
//! addresses), and with one of a few pieces for an emoji: see `unwritten`.

use super::characters::{MAX_RUN, compose, is_dropped, is_inert, is_space};
use super::unwritten::{self, Origins, Spaces};
use super::{NAME, TextError, excerpt};
use unicode_normalization::UnicodeNormalization;

/// What shops put in front of a comment.
pub(super) const BADGES: [&str; 2] = ["재구매 ", "한달사용기 "];

/// A way to normalize, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalizer {
    /// `nunchi-1`: see the module's description.
    Nunchi1,
    /// `nunchi-2`: `nunchi-1` without spaces.
    Nunchi2,
    /// `nunchi-3`: `nunchi-2` without what the buyer did not write.
    #[default]
    Nunchi3,
    /// `nfkc`: NFKC and white space only; what sentencepiece does by default. For imported models.
    Nfkc,
    /// `none`: white space only. For imported models.
    Plain,
}

impl Normalizer {
    /// The names that [`Normalizer::from_name`] accepts.
    pub const NAMES: &'static str = "nunchi-3, nunchi-2, nunchi-1, nfkc, none";

    /// The normalizer of this name.
    ///
    /// # Errors
    /// A name that this version does not support.
    pub fn from_name(name: &str) -> Result<Self, TextError> {
        match name {
            "nunchi-1" => Ok(Normalizer::Nunchi1),
            "nunchi-2" => Ok(Normalizer::Nunchi2),
            "nunchi-3" => Ok(Normalizer::Nunchi3),
            "nfkc" => Ok(Normalizer::Nfkc),
            "none" => Ok(Normalizer::Plain),
            _ => {
                Err(TextError::Unknown { what: "normaliser", name: excerpt(name, NAME), known: Self::NAMES })
            }
        }
    }

    /// Its name in a model file.
    pub fn name(self) -> &'static str {
        match self {
            Normalizer::Nunchi1 => "nunchi-1",
            Normalizer::Nunchi2 => "nunchi-2",
            Normalizer::Nunchi3 => "nunchi-3",
            Normalizer::Nfkc => "nfkc",
            Normalizer::Plain => "none",
        }
    }

    /// The normalized `text`.
    pub fn normalize(self, text: &str) -> String {
        let mut out = String::new();
        self.normalize_into(text, &mut out);
        out
    }

    /// Puts the normalized `text` into `out`, whose old content is dropped.
    pub fn normalize_into(self, text: &str, out: &mut String) {
        self.normalize_head(text, usize::MAX, out, &mut String::new());
    }

    /// The normalized `text`, and which part of the original each part of it comes from; `None` for a normalizer that does
    /// not keep track (all but `nunchi-3`). Of a long text the head suffices: at least `most` bytes of it.
    pub fn normalize_aligned(self, text: &str, most: usize) -> Option<(String, Origins)> {
        (self == Normalizer::Nunchi3).then(|| unwritten::normalize_aligned(text, most))
    }

    /// The words of `text`, for finding pieces in: normalized, single spaces kept.
    pub(super) fn words_into(self, text: &str, out: &mut String, spare: &mut String) {
        match self {
            Normalizer::Nunchi2 => Normalizer::Nunchi1.normalize_into(text, out),
            Normalizer::Nunchi3 => unwritten::normalize(text, usize::MAX, Spaces::Kept, out, spare),
            other => other.normalize_into(text, out),
        }
    }

    /// Puts the head of the normalized `text` into `out`: at least `most` bytes, or all. `spare` is memory to work in.
    pub(super) fn normalize_head(self, text: &str, most: usize, out: &mut String, spare: &mut String) {
        if self == Normalizer::Nunchi3 {
            return unwritten::normalize(text, most, Spaces::Dropped, out, spare);
        }
        out.clear();
        match self {
            Normalizer::Nunchi3 => {}
            // What people type is nearly always made of characters that NFKC leaves alone.
            Normalizer::Nunchi1 | Normalizer::Nunchi2 if text.chars().all(is_inert) => {
                fold(text.chars(), MAX_RUN, out);
            }
            Normalizer::Nunchi1 | Normalizer::Nunchi2 => fold(compose(text).chars(), MAX_RUN, out),
            Normalizer::Nfkc => fold_spaces(text.nfkc(), out),
            Normalizer::Plain => fold_spaces(text.chars(), out),
        }
        if matches!(self, Normalizer::Nunchi1 | Normalizer::Nunchi2) {
            strip_badges(out);
        }
        if self == Normalizer::Nunchi2 && out.contains(' ') {
            join(out);
        }
    }

    /// Whether spaces are dropped.
    pub(super) fn drops_spaces(self) -> bool {
        matches!(self, Normalizer::Nunchi2 | Normalizer::Nunchi3)
    }

    /// Whether it is one of those made for Korean comments, which shorten runs and drop badges.
    pub(super) fn is_own(self) -> bool {
        matches!(self, Normalizer::Nunchi1 | Normalizer::Nunchi2 | Normalizer::Nunchi3)
    }
}

/// The last step of `nunchi-1`: ASCII lower case, characters without meaning dropped, spaces folded, runs shortened.
#[inline]
fn fold(text: impl Iterator<Item = char>, longest_run: usize, out: &mut String) {
    let (mut last, mut run, mut space) = ('\0', 0, false);
    for c in text {
        if is_space(c) {
            space = true;
            continue;
        }
        if is_dropped(c) {
            continue;
        }
        let c = c.to_ascii_lowercase();
        if space && !out.is_empty() {
            out.push(' ');
            run = 0;
        }
        space = false;
        run = if c == last { run + 1 } else { 1 };
        last = c;
        if run <= longest_run || c.is_ascii_digit() {
            out.push(c);
        }
    }
}

/// Drops all spaces. What they held apart may belong together now: runs are shortened again, and letters and combining
/// accents compose.
fn join(out: &mut String) {
    out.retain(|c| c != ' ');
    if !out.chars().all(is_inert) {
        *out = compose(out);
    }
    let (mut last, mut run) = ('\0', 0);
    out.retain(|c| {
        run = if c == last { run + 1 } else { 1 };
        last = c;
        run <= MAX_RUN || c.is_ascii_digit()
    });
}

/// White space to single spaces, none at the ends; nothing else.
fn fold_spaces(text: impl Iterator<Item = char>, out: &mut String) {
    let mut space = false;
    for c in text {
        if c.is_whitespace() {
            space = true;
        } else {
            if space && !out.is_empty() {
                out.push(' ');
            }
            space = false;
            out.push(c);
        }
    }
}

fn strip_badges(out: &mut String) {
    // Taken away at once: text that is moved once a badge takes time that grows with their square.
    let mut rest = out.as_str();
    while let Some(less) = BADGES.iter().find_map(|badge| rest.strip_prefix(badge)) {
        rest = less;
    }
    let badges = out.len() - rest.len();
    out.drain(..badges);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nunchi(text: &str) -> String {
        Normalizer::Nunchi1.normalize(text)
    }

    #[test]
    fn does_what_its_description_says() {
        for (text, want) in [
            ("  배송이\t빨라요 \n", "배송이 빨라요"),
            ("ㅋㅋㅋㅋㅋㅋ 좋아요!!!!!!", "ㅋㅋㅋ 좋아요!!!"),
            ("10000000원", "10000000원"),
            ("재구매 역시 좋네요", "역시 좋네요"),
            ("재구매 한달사용기 튼튼", "튼튼"),
            ("재구매", "재구매"),
            ("GOOD ＧＯＯＤ Good", "good good good"),
            ("\u{1112}\u{1161}\u{11ab}글", "한글"),
            ("\u{110f}\u{110f}", "ㅋㅋ"),
            ("ㅋㅏ ㄱㅅ", "ㅋㅏ ㄱㅅ"),
            ("좋\u{200b}아\u{7}요", "좋아요"),
            ("👍🏻👍🏿❤️", "👍👍❤"),
            ("…", "..."),
            ("\u{3164}\u{3164}", ""),
            ("J\u{30c}", "\u{1f0}"),
        ] {
            assert_eq!(nunchi(text), want, "{text:?}");
        }
    }

    #[test]
    fn spaces_are_no_part_of_a_comment() {
        let normal = |text: &str| Normalizer::Nunchi2.normalize(text);
        for text in ["잘 쓰고 있어요 ㅋㅋ ㅋㅋ", "잘쓰고있어요ㅋㅋㅋㅋ", "잘 쓰 고 있 어 요 ㅋ ㅋ ㅋ ㅋ"]
        {
            assert_eq!(normal(text), "잘쓰고있어요ㅋㅋㅋ");
        }
        assert_eq!(normal("재구매 역시 좋네요"), "역시좋네요");
        assert_eq!(normal("재구매했어요"), "재구매했어요");
        assert_eq!(normal("e \u{301}"), "é");
        assert_eq!(normal(" "), "");
    }

    /// Characters that cause trouble, more often than a uniform choice has them.
    fn trouble() -> impl Strategy<Value = String> {
        let pool: Vec<char> =
            "재구매 한달사용기 ㅋㅋㅋㅠaaJÉİſΣ１２３…™℡ﷺ￦ﾡￂ가각ᄀ\u{1161}\u{11a8}\u{301}\u{30c}\u{323}\u{200d}\u{fe0f}\t\u{7}\u{3164}\u{a0}👍🏻❤️♡"
                .chars()
                .collect();
        proptest::collection::vec(prop_oneof![4 => proptest::sample::select(pool), 1 => any::<char>()], 0..24)
            .prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn normalizing_twice_changes_nothing(text in trouble()) {
            for normalizer in [Normalizer::Nunchi1, Normalizer::Nunchi2, Normalizer::Nfkc, Normalizer::Plain] {
                let once = normalizer.normalize(&text);
                prop_assert_eq!(&normalizer.normalize(&once), &once);
                prop_assert!(!once.starts_with(' ') && !once.ends_with(' ') && !once.contains("  "));
            }
        }

        #[test]
        fn the_fast_way_equals_the_slow_way(text in "[a-zA-Z0-9 !?~.\t가-힣ㄱ-ㅣ‘’·★♥❤\u{fe0f}👍🏻😂\u{200d}]{0,30}") {
            let mut slow = String::new();
            fold(compose(&text).chars(), MAX_RUN, &mut slow);
            strip_badges(&mut slow);
            prop_assert_eq!(nunchi(&text), slow);
        }
    }
}
