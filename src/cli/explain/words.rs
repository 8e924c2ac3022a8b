//! The tokens of a comment, put together to what a person reads as one: a word with its ending, an emoji.

use nunchi_model::Model;

/// A word of more characters was typed without spaces, and stays in pieces.
const MAX_WORD: usize = 10;

/// Some tokens in a row.
#[derive(Debug, PartialEq)]
pub(super) struct Word {
    /// What was typed.
    pub(super) text: String,
    /// After how many tokens of the comment it is read.
    pub(super) end: usize,
}

/// The words of `text` as far as `model` reads it. Where the normalizer of the model does not say what comes from where, every
/// piece is a word.
pub(super) fn words(model: &Model, text: &str) -> Vec<Word> {
    let pieces = model.tokenizer.pieces(text, model.max_tokens);
    let normal: usize = pieces.iter().map(|(_, piece)| piece.len()).sum();
    let origins = model.tokenizer.normalizer().normalize_aligned(text, normal).map(|(_, origins)| origins);
    let mut words: Vec<Word> = Vec::new();
    let (mut at, mut last) = (0, None);
    for (place, (_, piece)) in pieces.iter().enumerate() {
        let range = at..at + piece.len();
        at = range.end;
        let typed = origins.as_ref().map(|origins| origins.source(range));
        let typed =
            typed.filter(|typed| text.is_char_boundary(typed.start) && text.is_char_boundary(typed.end));
        let word = typed.as_ref().map(|typed| word_at(text, typed.start));
        // Bytes of a character after its first, or pieces of the same word.
        let belongs = piece.is_empty() || word.is_some() && word == last && is_short(text, word);
        let shown = typed.map_or_else(|| piece.trim().to_owned(), |typed| text[typed].trim().to_owned());
        match words.last_mut() {
            Some(word) if belongs => {
                // An emoji that became two pieces is there once.
                if !word.text.ends_with(&shown) {
                    word.text.push_str(&shown);
                }
                word.end = place + 1;
            }
            _ => words.push(Word { text: shown, end: place + 1 }),
        }
        last = word.or(last);
    }
    words
}

/// Where the word that holds the byte `at` begins and ends.
fn word_at(text: &str, at: usize) -> (usize, usize) {
    let begin = text[..at].rfind(char::is_whitespace);
    let begin = begin.map_or(0, |space| space + text[space..].chars().next().map_or(0, char::len_utf8));
    let end = text[at..].find(char::is_whitespace).map_or(text.len(), |length| at + length);
    (begin, end)
}

fn is_short(text: &str, word: Option<(usize, usize)>) -> bool {
    word.is_some_and(|(begin, end)| begin <= end && text[begin..end].chars().count() <= MAX_WORD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::shipped;

    fn texts(text: &str) -> Vec<String> {
        words(&shipped().unwrap(), text).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn a_word_and_an_emoji_are_one_line() {
        assert_eq!(texts("배송이 빨라요"), ["배송이", "빨라요"]);
        assert_eq!(texts("별로지만 추천해요 ㅠㅠ"), ["별로지만", "추천해요", "ㅠㅠ"]);
        assert_eq!(texts("🧡"), ["🧡"]);
        assert_eq!(texts("👨‍👩‍👧"), ["👨‍👩‍👧"]);
        // Beside words it says nothing.
        assert_eq!(texts("추천해요 🧡"), ["추천해요"]);
        assert_eq!(texts("<b>좋아요</b> 뷁"), ["좋아요", "뷁"]);
    }

    #[test]
    fn all_tokens_are_in_one_word_whatever_is_written() {
        let model = shipped().unwrap();
        let long = "별로지만 추천해요 ".repeat(600);
        for text in [
            "",
            " ",
            "a",
            "🇰🇷🇰🇷",
            "&lt;br&gt;좋아요",
            "좋아요좋아요좋아요좋아요좋아요",
            "１２３ ㅋㅋㅋㅋㅋ",
            &long,
        ] {
            let found = words(&model, text);
            let ends: Vec<usize> = found.iter().map(|word| word.end).collect();
            assert!(ends.windows(2).all(|pair| pair[0] < pair[1]), "{text}");
            assert_eq!(ends.last(), Some(&model.tokens(text).len()), "{text}");
        }
    }
}
