//! What single characters are to a normalizer, and how they are composed.

use unicode_normalization::UnicodeNormalization;

/// Equal characters in a row that are kept.
pub(super) const MAX_RUN: usize = 3;

/// Whether NFKC (with our exception) leaves `c` alone wherever it stands among inert characters.
#[inline]
pub(super) fn is_inert(c: char) -> bool {
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

/// Characters that say nothing: controls, format characters, variation selectors, skin tones.
#[inline]
pub(super) fn is_dropped(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    matches!(u32::from(c),
        0x80..=0x9f | 0xad | 0x34f | 0x61c | 0x180b..=0x180f | 0x200b..=0x200f | 0x202a..=0x202e
        | 0x2060..=0x206f | 0xfe00..=0xfe0f | 0xfeff | 0xfff9..=0xfffb | 0x1f3fb..=0x1f3ff | 0xe0000..=0xe0fff)
}

/// White space, and the letters that look like it.
#[inline]
pub(super) fn is_space(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || ('\t'..='\r').contains(&c);
    }
    matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}') || c.is_whitespace()
}

/// The slow way of `nunchi-1` up to [`fold`]: drop, NFKC, lower case, and NFKC again, for lower-casing can make new
/// pairs (`J` and a caron do not compose, `j` and a caron do).
pub(super) fn compose(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
