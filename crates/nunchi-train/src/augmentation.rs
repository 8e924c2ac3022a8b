//! Augmentation: the same comment typed differently, with another ending, a typo, another sign at the end.
//!
//! Contrast pairs are few; in each epoch they may be varied a little
//! (`FILE,vary=SHARE` on the command line), so that their meaning is learned rather than their form. The label never changes.

use super::hangul::{PIEUP_SIOT, SIOT, SSANG_SIOT, final_of, with_final};
use rand::Rng;
use rand::seq::IndexedRandom;

/// Consonants below a syllable after which the endings of [`AFTER_PAST`] may stand for each other: ㅆ (했-, 있-) and ㅄ (없-).
const PAST_FINALS: [u32; 2] = [SSANG_SIOT, PIEUP_SIOT];
const AFTER_PAST: [&str; 8] = ["어요", "습니다", "음", "네요", "다", "어", "네", "어여"];
/// Endings that may stand for each other wherever they stand.
const ANYWHERE: [&[&str]; 5] = [
    &["네요", "네", "네여", "군요"],
    &["해요", "합니다", "해", "해여", "함"],
    &["이에요", "입니다", "이네요", "임"],
    &["돼요", "됩니다", "돼", "됨"],
    &["어요", "어", "어여", "어용"],
];
/// Signs of no meaning.
const TAILS: [&str; 8] = [".", "!", "~", "..", "...", " ㅋㅋ", " ㅠㅠ", "!!"];
/// Misspellings by ear.
const TYPOS: [(&str, &str); 14] = [
    ("이에요", "이예요"),
    ("예요", "에요"),
    ("습니다", "슴니다"),
    ("네요", "내요"),
    ("않", "안"),
    ("없어", "업서"),
    ("좋아", "조아"),
    ("해요", "해여"),
    ("어요", "어여"),
    ("더라고요", "더라구요"),
    ("너무", "넘"),
    ("정말", "증말"),
    ("진짜", "찐자"),
    ("훌륭", "훌룡"),
];
/// Shares of augmented comments with another ending, with typos, and with a sign at the end.
const ENDING_SHARE: f64 = 0.6;
const TYPO_SHARE: f64 = 0.25;
const TAIL_SHARE: f64 = 0.25;

/// `text`, varied.
pub(super) fn augment(text: &str, random: &mut impl Rng) -> String {
    let mut augmented = text.to_owned();
    if random.random_bool(ENDING_SHARE) {
        replace_ending(&mut augmented, random);
    }
    if random.random_bool(TYPO_SHARE) {
        augmented = add_typos(augmented, random);
    }
    // A sign after a sign, or alone, may be what decides.
    let ends_in_hangul = augmented.chars().last().is_some_and(|last| final_of(last).is_some());
    if ends_in_hangul && random.random_bool(TAIL_SHARE) {
        augmented.push_str(TAILS.choose(random).copied().unwrap_or_default());
    }
    augmented
}

/// `text` with some typos, of the keyboard and of spelling.
pub(super) fn add_typos(mut text: String, rng: &mut impl Rng) -> String {
    for (right, typed) in TYPOS {
        if rng.random_bool(0.4) {
            text = text.replace(right, typed);
        }
    }
    if rng.random_bool(0.4) {
        // One key without shift.
        text = text
            .chars()
            .map(|character| match final_of(character) {
                Some(SSANG_SIOT) => with_final(character, SIOT),
                _ => character,
            })
            .collect();
    }
    text
}

/// Puts another ending of the same meaning in the place of the last one, if there is one.
fn replace_ending(text: &mut String, random: &mut impl Rng) {
    let stem_of = |ending: &str| text.strip_suffix(ending).filter(|stem| !stem.is_empty()).map(str::len);
    let past = AFTER_PAST.iter().find_map(|ending| {
        let stem = stem_of(ending)?;
        let before = text[..stem].chars().last().and_then(final_of)?;
        PAST_FINALS.contains(&before).then_some((stem, &AFTER_PAST[..]))
    });
    let other = || {
        ANYWHERE.iter().find_map(|group| {
            // An ending of one syllable may as well be a part of a word.
            let ending =
                group.iter().filter(|ending| ending.chars().count() > 1).find(|e| stem_of(e).is_some())?;
            Some((stem_of(ending)?, *group))
        })
    };
    if let Some((stem, group)) = past.or_else(other) {
        text.truncate(stem);
        text.push_str(group.choose(random).copied().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::collections::HashSet;

    fn variants(text: &str, of: impl Fn(&str, &mut ChaCha8Rng) -> String) -> HashSet<String> {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        (0..500).map(|_| of(text, &mut random)).collect()
    }

    #[test]
    fn endings_of_one_meaning_stand_for_each_other() {
        let other = |text: &str, random: &mut ChaCha8Rng| {
            let mut text = text.to_owned();
            replace_ending(&mut text, random);
            text
        };
        let past = variants("하루 만에 고장 났어요", other);
        assert_eq!(past.len(), AFTER_PAST.len(), "{past:?}");
        assert!(past.contains("하루 만에 고장 났음") && past.contains("하루 만에 고장 났습니다"));
        assert!(variants("쓸 데가 없네요", other).contains("쓸 데가 없다"));
        assert!(variants("추천해요", other).contains("추천합니다"));
        // Nothing that could be a part of a word is taken for an ending.
        for whole in ["다", "맛있는 동네", "😡", "별점 하나"] {
            assert_eq!(variants(whole, other), HashSet::from([whole.to_owned()]));
        }
    }

    #[test]
    fn signs_decide_nothing_where_they_decided() {
        let all = variants("도착했는데 ^^", augment);
        assert!(all.iter().all(|text| text.ends_with("^^")), "{all:?}");
        let all = variants("좋네요", augment);
        assert!(all.contains("좋네요") && all.contains("좋네~"), "{all:?}");
    }

    #[test]
    fn typos_are_those_of_a_keyboard() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let slipped: Vec<String> = (0..50).map(|_| add_typos("정말 좋았어요".to_owned(), &mut rng)).collect();
        for typed in ["증말 좋았어요", "정말 좋앗어요", "정말 좋았어여"] {
            assert!(slipped.iter().any(|slipped| slipped == typed), "{typed}: {slipped:?}");
        }
    }
}
