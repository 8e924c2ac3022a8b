//! Sentences as people type them: with typos, and with spaces left out or too many.

use crate::augmentation::add_typos;
use crate::hangul::final_of;
use nunchi_eval::spacing::Spacing;
use rand::Rng;

/// Share of sentences with typos.
const TYPO_SHARE: f64 = 0.15;
/// Shares of sentences without any space, with some left out, with some too many, and with all.
const SPACING: [f64; 4] = [0.07, 0.08, 0.03, 0.02];

/// The sentence as somebody may have typed it.
pub(super) fn roughen(text: String, rng: &mut impl Rng) -> String {
    let text = if rng.random_bool(TYPO_SHARE) { add_typos(text, rng) } else { text };
    respace(text, rng)
}

fn respace(text: String, rng: &mut impl Rng) -> String {
    let draw: f64 = rng.random();
    let [none, fewer, more, every] = SPACING;
    if draw < none {
        Spacing::None.apply(&text)
    } else if draw < none + fewer {
        text.chars().filter(|character| *character != ' ' || rng.random_bool(0.5)).collect()
    } else if draw < none + fewer + more {
        let mut spaced = String::with_capacity(text.len() + 8);
        for character in text.chars() {
            if final_of(character).is_some() && rng.random_bool(0.12) && !spaced.ends_with(' ') {
                spaced.push(' ');
            }
            spaced.push(character);
        }
        spaced.trim_start().to_owned()
    } else if draw < none + fewer + more + every {
        Spacing::Every.apply(&text)
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn most_sentences_stay_and_the_others_keep_their_letters() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let text = "마음에 들지만 가격은 과합니다";
        let rough: Vec<String> = (0..2_000).map(|_| respace(text.to_owned(), &mut rng)).collect();
        let letters = |text: &str| text.replace(' ', "");
        assert!(rough.iter().all(|rough| letters(rough) == letters(text)));
        let same = rough.iter().filter(|rough| rough.as_str() == text).count();
        assert!((1_500..1_800).contains(&same), "{same}");
        assert!(rough.iter().any(|rough| rough == "마음에들지만가격은과합니다"));
        assert!(rough.iter().any(|rough| rough.starts_with("마 음 에 들 지")));
        assert!(rough.iter().all(|rough| !rough.contains("  ")));
    }
}
