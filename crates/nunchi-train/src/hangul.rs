//! Syllables of Hangul: their last consonants, by which endings are chosen.

/// Code point of 가; syllables follow in the order initial, vowel, final.
const FIRST_SYLLABLE: u32 = 0xAC00;
/// Code point of 힣.
const LAST_SYLLABLE: u32 = 0xD7A3;
/// Finals of a vowel, none of them counted.
const FINALS: u32 = 28;
/// ㅅ as a final consonant.
pub(super) const SIOT: u32 = 19;
/// ㅆ as a final consonant.
pub(super) const SSANG_SIOT: u32 = 20;
/// ㅄ as a final consonant.
pub(super) const PIEUP_SIOT: u32 = 18;

/// The final consonant of a syllable, 0 where there is none; `None` for what is no syllable.
pub(super) fn final_of(character: char) -> Option<u32> {
    let code = u32::from(character);
    (FIRST_SYLLABLE..=LAST_SYLLABLE).contains(&code).then(|| (code - FIRST_SYLLABLE) % FINALS)
}

/// The syllable with another final consonant.
pub(super) fn with_final(syllable: char, last: u32) -> char {
    let code = u32::from(syllable);
    char::from_u32(code - (code - FIRST_SYLLABLE) % FINALS + last).unwrap_or(syllable)
}
