//! Why a verdict is unsure.

/// Letters of other scripts that make it plain that a text without Hangul is not Korean. Brands and abbreviations have fewer.
const FOREIGN_LETTERS: usize = 5;

/// Why a verdict is unsure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsure {
    /// Its score lies in the band.
    Band,
    /// The model says that the comment holds no opinion.
    NoOpinion,
    /// The comment is plainly not Korean.
    Language,
}

impl Unsure {
    /// All reasons.
    pub const ALL: [Unsure; 3] = [Unsure::Band, Unsure::NoOpinion, Unsure::Language];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Unsure::Band => "band",
            Unsure::NoOpinion => "no_opinion",
            Unsure::Language => "language",
        }
    }
}

/// Whether the letters of a text make it plain that it is not Korean: none is Hangul, and there are some of another script.
pub fn is_plainly_foreign(text: &str) -> bool {
    let mut letters = 0;
    for c in text.chars() {
        if is_hangul(c) {
            return false;
        }
        letters += usize::from(c.is_alphabetic());
    }
    letters >= FOREIGN_LETTERS
}

/// Whether `c` belongs to one of Unicode's blocks of Hangul: jamo (also `ㅋㅋ`), syllables, halfwidth forms.
fn is_hangul(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}'
        | '\u{ffa0}'..='\u{ffdc}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_letters_make_a_language_plain() {
        for foreign in [
            "Great product",
            "très bon",
            "とても良い商品です",
            "非常好的产品",
            "Отлично",
            "hello 👍",
            "a.b.c.d.e",
        ] {
            assert!(is_plainly_foreign(foreign), "{foreign}");
        }
        for not in [
            "",
            "좋아요",
            "good 좋아요 very much indeed",
            "ㅋㅋㅋ lol lol lol",
            "good",
            "LG TV",
            "👍👍👍👍👍👍",
            "12345",
            "!!!!!",
            "ﾡﾡ good one",
            "\u{1112}\u{1161}\u{11ab} hello",
        ] {
            assert!(!is_plainly_foreign(not), "{not}");
        }
    }
}
