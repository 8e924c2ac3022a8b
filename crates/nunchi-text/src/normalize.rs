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
//! `nunchi-2`, the one for training, also drops all spaces. Korean typed on phones rarely has them where the
//! rules require them, and often has none: what a network learns about them is noise, and without them `잘쓰고있어요`, `잘 쓰고 있어요` and
//! `잘 쓰 고 있 어 요` are the same comment (measured: docs/MODEL.md).

use super::{NAME, TextError, excerpt};
use unicode_normalization::UnicodeNormalization;

/// Equal characters in a row that `nunchi-1` keeps.
const MAX_RUN: usize = 3;
/// What shops put in front of a comment.
pub(super) const BADGES: [&str; 2] = ["재구매 ", "한달사용기 "];

/// A way to normalize, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalizer {
    /// `nunchi-1`: see the module's description.
    Nunchi1,
    /// `nunchi-2`: `nunchi-1` without spaces.
    #[default]
    Nunchi2,
    /// `nfkc`: NFKC and white space only; what sentencepiece does by default. For imported models.
    Nfkc,
    /// `none`: white space only. For imported models.
    Plain,
}

impl Normalizer {
    /// The names that [`Normalizer::from_name`] accepts.
    pub const NAMES: &'static str = "nunchi-2, nunchi-1, nfkc, none";

    /// The normalizer of this name.
    ///
    /// # Errors
    /// A name that this version does not support.
    pub fn from_name(name: &str) -> Result<Self, TextError> {
        match name {
            "nunchi-1" => Ok(Normalizer::Nunchi1),
            "nunchi-2" => Ok(Normalizer::Nunchi2),
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
        out.clear();
        match self {
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
        self == Normalizer::Nunchi2
    }
}

/// Whether NFKC (with our exception) leaves `c` alone wherever it stands among inert characters.
#[inline]
fn is_inert(c: char) -> bool {
    matches!(u32::from(c),
        0..=0x7f
        | 0xac00..=0xd7a3                               // Hangul syllables
        | 0x3131..=0x3163 | 0x3165..=0x318e             // compatibility jamo, but for the filler
        | 0xb7 | 0x2018 | 0x2019 | 0x201c | 0x201d      // middle dot, quotation marks
        | 0x200b..=0x200f | 0xfe00..=0xfe0f | 0xfeff    // dropped anyway
        | 0x2500..=0x27bf | 0x1f300..=0x1faff           // shapes, symbols, emoji
    )
}

fn is_compatibility_jamo(c: char) -> bool {
    matches!(c, '\u{3131}'..='\u{3163}' | '\u{3165}'..='\u{318e}')
}

/// Characters without meaning for the classification: controls, format characters, variation selectors, skin tones.
#[inline]
fn is_dropped(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    matches!(u32::from(c),
        0x80..=0x9f | 0xad | 0x34f | 0x61c | 0x180b..=0x180f | 0x200b..=0x200f | 0x202a..=0x202e
        | 0x2060..=0x206f | 0xfe00..=0xfe0f | 0xfeff | 0xfff9..=0xfffb | 0x1f3fb..=0x1f3ff | 0xe0000..=0xe0fff)
}

/// White space, and the letters that look like it.
#[inline]
fn is_space(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || ('\t'..='\r').contains(&c);
    }
    matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}') || c.is_whitespace()
}

/// The slow way of `nunchi-1` up to [`fold`]: drop, NFKC, lower case, and NFKC again, for lower-casing can make new
/// pairs (`J` and a caron do not compose, `j` and a caron do).
fn compose(text: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|&c| is_space(c) || !is_dropped(c))
        .map(|c| if is_space(c) { ' ' } else { c })
        .collect();
    let lower: String = nfkc_but_jamo(&kept).chars().map(lower).collect();
    nfkc_but_jamo(&lower)
}

/// NFKC of the stretches between compatibility jamo; conjoining jamo that are left over become compatibility jamo.
fn nfkc_but_jamo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for stretch in text.split_inclusive(is_compatibility_jamo) {
        let end = stretch.chars().next_back().filter(|&c| is_compatibility_jamo(c));
        let rest = &stretch[..stretch.len() - end.map_or(0, char::len_utf8)];
        out.extend(rest.nfkc().map(standing_alone));
        out.extend(end);
    }
    out
}

/// A modern conjoining jamo as the compatibility jamo that looks like it; every other character as it is.
fn standing_alone(c: char) -> char {
    const LEADING: [char; 19] = [
        'ㄱ', 'ㄲ', 'ㄴ', 'ㄷ', 'ㄸ', 'ㄹ', 'ㅁ', 'ㅂ', 'ㅃ', 'ㅅ', 'ㅆ', 'ㅇ', 'ㅈ', 'ㅉ', 'ㅊ', 'ㅋ', 'ㅌ',
        'ㅍ', 'ㅎ',
    ];
    const TRAILING: [char; 27] = [
        'ㄱ', 'ㄲ', 'ㄳ', 'ㄴ', 'ㄵ', 'ㄶ', 'ㄷ', 'ㄹ', 'ㄺ', 'ㄻ', 'ㄼ', 'ㄽ', 'ㄾ', 'ㄿ', 'ㅀ', 'ㅁ', 'ㅂ',
        'ㅄ', 'ㅅ', 'ㅆ', 'ㅇ', 'ㅈ', 'ㅊ', 'ㅋ', 'ㅌ', 'ㅍ', 'ㅎ',
    ];
    match u32::from(c) {
        code @ 0x1100..=0x1112 => LEADING[(code - 0x1100) as usize],
        code @ 0x1161..=0x1175 => char::from_u32(0x314f + code - 0x1161).unwrap_or(c),
        code @ 0x11a8..=0x11c2 => TRAILING[(code - 0x11a8) as usize],
        _ => c,
    }
}

/// Lower case where that is one character.
fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
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
    while let Some(badge) = BADGES.iter().find(|badge| out.starts_with(**badge)) {
        out.drain(..badge.len());
    }
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

    #[test]
    fn inert_characters_are_inert() {
        for c in (0..=0x10ffff).filter_map(char::from_u32) {
            if is_inert(c) && !is_compatibility_jamo(c) {
                assert!(std::iter::once(c).nfkc().eq(std::iter::once(c)), "{c:?} decomposes");
                assert_eq!(unicode_normalization::char::canonical_combining_class(c), 0, "{c:?} combines");
                assert!(c.is_ascii() || is_dropped(c) || lower(c) == c, "{c:?} has a case");
            }
            let mut parts = Vec::new();
            unicode_normalization::char::decompose_canonical(c, |part| parts.push(part));
            let composed = parts.len() > 1 && std::iter::once(c).nfkc().eq(std::iter::once(c));
            assert!(
                !composed || !parts.iter().all(|&part| is_inert(part)),
                "{c:?} is made of inert characters"
            );
        }
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
