//! The same comment as somebody else would have typed it: another ending, a slip, another sign at the end.
//!
//! Comments that were written to teach something are few; each time they are read they may look a little different
//! (`FILE,vary=SHARE`), so that what they mean is learned rather than how they look. The judgement never changes.

use super::contrast::{final_of, slip};
use rand::Rng;
use rand::seq::IndexedRandom;

/// Consonants below a syllable after which the endings of [`AFTER_PAST`] may stand for each other: ㅆ (했-, 있-) and ㅄ (없-).
const PAST_FINALS: [u32; 2] = [20, 18];
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
/// Shares of varied comments with another ending, with slips, and with a sign at the end.
const ENDED: f64 = 0.6;
const SLIPPED: f64 = 0.25;
const TAILED: f64 = 0.25;

/// `text` as somebody else may have typed it.
pub(super) fn vary(text: &str, random: &mut impl Rng) -> String {
    let mut varied = text.to_owned();
    if random.random_bool(ENDED) {
        end_otherwise(&mut varied, random);
    }
    if random.random_bool(SLIPPED) {
        varied = slip(varied, random);
    }
    // A sign after a sign, or alone, may be what decides.
    let ends_in_hangul = varied.chars().last().is_some_and(|last| final_of(last).is_some());
    if ends_in_hangul && random.random_bool(TAILED) {
        varied.push_str(TAILS.choose(random).copied().unwrap_or_default());
    }
    varied
}

/// Puts another ending of the same meaning in the place of the last one, if there is one.
fn end_otherwise(text: &mut String, random: &mut impl Rng) {
    let stem_of = |ending: &str| text.strip_suffix(ending).filter(|stem| !stem.is_empty()).map(str::len);
    let past = AFTER_PAST.iter().find_map(|ending| {
        let stem = stem_of(ending)?;
        let before = text[..stem].chars().last().and_then(final_of)?;
        PAST_FINALS.contains(&before).then_some((stem, &AFTER_PAST[..]))
    });
    let other = || {
        ANYWHERE.iter().find_map(|group| {
            // Without a vowel that swallows it, the shortest ending of a group may be a part of another word.
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
            end_otherwise(&mut text, random);
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
        let all = variants("도착했는데 ^^", vary);
        assert!(all.iter().all(|varied| varied.ends_with("^^")), "{all:?}");
        let all = variants("좋네요", vary);
        assert!(all.contains("좋네요") && all.contains("좋네~"), "{all:?}");
    }
}
