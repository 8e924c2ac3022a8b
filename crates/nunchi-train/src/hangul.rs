//! Syllables of Hangul: their last consonants, by which endings are chosen.

/// Code point of 가; syllables follow in the order initial, vowel, final.
const FIRST_SYLLABLE: u32 = 0xAC00;
/// Code point of 힣.
const LAST_SYLLABLE: u32 = 0xD7A3;
/// Finals of a vowel, none of them counted.
const FINALS: u32 = 28;
/// ㅂ as a final consonant.
pub(super) const PIEUP: u32 = 17;
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

/// Whether `word` ends in a syllable with a final consonant, which chooses among particles.
pub(super) fn closed(word: &str) -> bool {
    word.chars().last().and_then(final_of).is_some_and(|last| last != 0)
}

/// `word` with the final consonant of its last syllable replaced.
pub(super) fn refinal(word: &str, last: u32) -> String {
    let mut characters: Vec<char> = word.chars().collect();
    if let Some(syllable) = characters.last_mut() {
        *syllable = with_final(*syllable, last);
    }
    characters.into_iter().collect()
}

/// The final consonant of a word's last syllable, 0 where there is none.
pub(super) fn last_final(word: &str) -> u32 {
    word.chars().last().and_then(final_of).unwrap_or(0)
}
