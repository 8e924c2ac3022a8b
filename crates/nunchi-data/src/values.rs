//! Labels and stars in the spellings that people and programs use.

use unicode_normalization::UnicodeNormalization as _;

/// Words for the negative class, and for the positive one.
const NEGATIVE: [&str; 14] = [
    "negative",
    "neg",
    "부정",
    "부정적",
    "부정적임",
    "싫어요",
    "나빠요",
    "나쁨",
    "bad",
    "불만",
    "불만족",
    "비추천",
    "비추",
    "dislike",
];
const POSITIVE: [&str; 13] = [
    "positive",
    "pos",
    "긍정",
    "긍정적",
    "긍정적임",
    "좋아요",
    "좋음",
    "good",
    "만족",
    "만족함",
    "추천",
    "강추",
    "like",
];
/// Answers on a scale of five in words.
const LIKERT: [(&str, f64); 12] = [
    ("매우만족", 5.0),
    ("아주만족", 5.0),
    ("매우좋음", 5.0),
    ("만족", 4.0),
    ("좋음", 4.0),
    ("보통", 3.0),
    ("불만족", 2.0),
    ("불만", 2.0),
    ("나쁨", 2.0),
    ("매우불만족", 1.0),
    ("매우불만", 1.0),
    ("매우나쁨", 1.0),
];

/// A value as values are compared: compatible characters are the same (`５` is `5`), without case and outer white space.
pub(crate) fn plain(value: &str) -> String {
    if value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return value.to_ascii_lowercase();
    }
    // ☆ and ★ have no compatible characters; a presentation selector behind them does not count.
    let folded: String =
        value.nfkc().filter(|c| !matches!(c, '\u{feff}' | '\u{200b}' | '\u{fe0e}' | '\u{fe0f}')).collect();
    folded.trim().to_lowercase()
}

/// Whether a word stands for the positive class (1) or the negative one (0).
pub(crate) fn polarity(word: &str) -> Option<usize> {
    let word = plain(word);
    if NEGATIVE.contains(&word.as_str()) { Some(0) } else { POSITIVE.contains(&word.as_str()).then_some(1) }
}

/// Whether of two labels the first one is the positive one.
pub fn are_reversed(labels: &[String]) -> bool {
    matches!(labels, [first, second] if polarity(first) == Some(1) && polarity(second) == Some(0))
}

/// Whether the first of two labels is the negative one and the second the positive one.
pub fn are_negative_and_positive(labels: &[String]) -> bool {
    matches!(labels, [first, second] if polarity(first) == Some(0) && polarity(second) == Some(1))
}

/// The class that `value` names: a label, the number of one counted from 0 (also `1.0`), and where there are two `true` and
/// `false`, or a word of the same meaning as a label.
pub fn class_of(value: &str, labels: &[String]) -> Option<usize> {
    if let Some(class) = labels.iter().position(|label| label == value) {
        return Some(class);
    }
    let value = plain(value);
    if let Some(class) = labels.iter().position(|label| plain(label) == value) {
        return Some(class);
    }
    let number = value.parse::<f64>().ok().filter(|number| number.fract() == 0.0 && *number >= 0.0);
    if let Some(number) = number {
        return Some(number as usize).filter(|&class| class < labels.len());
    }
    if labels.len() != 2 {
        return None;
    }
    match value.as_str() {
        "true" | "t" => return Some(1),
        "false" | "f" => return Some(0),
        _ => {}
    }
    let meaning = polarity(&value)?;
    let of = [polarity(&labels[0]), polarity(&labels[1])];
    match of {
        [Some(0), Some(1)] => Some(meaning),
        [Some(1), Some(0)] => Some(1 - meaning),
        _ => None,
    }
}

/// Stars as they were written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WrittenStars {
    pub(crate) stars: f64,
    /// Of how many, if that was written too.
    pub(crate) of: Option<f64>,
}

/// The stars in `value`: `4`, `4.0`, `４`, `4점`, `★★★★☆`, `4/5`, `별 4개`.
pub(crate) fn stars(value: &str) -> Option<WrittenStars> {
    let value = plain(value);
    if let Some(number) = number(&value) {
        return Some(WrittenStars { stars: number, of: None });
    }
    if let Some(drawn) = drawn(&value) {
        return Some(drawn);
    }
    let packed: String = value.chars().filter(|c| !c.is_whitespace()).collect();
    if let Some((_, stars)) = LIKERT.iter().find(|(word, _)| *word == packed) {
        return Some(WrittenStars { stars: *stars, of: Some(5.0) });
    }
    let parts =
        packed.split_once('/').or_else(|| packed.split_once("outof")).or_else(|| packed.split_once('⁄'));
    match parts {
        Some((stars, of)) => {
            let (stars, of) = (with_unit(stars)?, with_unit(of)?);
            (of > 0.0).then_some(WrittenStars { stars, of: Some(of) })
        }
        None => with_unit(&packed).map(|stars| WrittenStars { stars, of: None }),
    }
}

fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b".+-e".contains(&byte));
    text.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

/// A number with what stands around one.
fn with_unit(text: &str) -> Option<f64> {
    const BEFORE: [&str; 5] = ["별점", "평점", "별", "★", "⭐"];
    const BEHIND: [&str; 7] = ["점만점", "점", "개", "stars", "star", "별", "★"];
    let text = BEFORE.iter().find_map(|unit| text.strip_prefix(unit)).unwrap_or(text);
    let text = text.trim_start_matches(':');
    let text = BEHIND.iter().find_map(|unit| text.strip_suffix(unit)).unwrap_or(text);
    number(text)
}

/// Stars that are drawn, perhaps with the number behind them.
fn drawn(value: &str) -> Option<WrittenStars> {
    let is_full = |c: char| matches!(c, '★' | '⭐' | '🌟' | '⋆');
    let is_empty = |c: char| matches!(c, '☆' | '✩' | '✰');
    let full = value.chars().filter(|&c| is_full(c)).count();
    let empty = value.chars().filter(|&c| is_empty(c)).count();
    let rest: String = value
        .chars()
        .filter(|&c| !is_full(c) && !is_empty(c) && !c.is_whitespace() && !"()[]".contains(c))
        .collect();
    if full + empty == 0 || (full + empty == 1 && !rest.is_empty()) {
        return None;
    }
    let stars = full as f64;
    if !rest.is_empty() && with_unit(&rest).is_none_or(|written| written != stars) {
        return None;
    }
    // Without an outline the number of all is not known.
    Some(WrittenStars { stars, of: (empty > 0).then_some((full + empty) as f64) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: [&str; 2]) -> Vec<String> {
        names.map(str::to_owned).to_vec()
    }

    #[test]
    fn labels_are_read_in_every_spelling_that_is_clear() {
        let two = labels(["negative", "positive"]);
        for (value, want) in [
            ("1", Some(1)),
            ("1.0", Some(1)),
            ("0.0", Some(0)),
            ("１", Some(1)),
            ("true", Some(1)),
            ("True", Some(1)),
            ("FALSE", Some(0)),
            ("pos", Some(1)),
            ("NEG", Some(0)),
            ("Positive", Some(1)),
            ("긍정", Some(1)),
            ("부정", Some(0)),
            ("좋아요", Some(1)),
            ("싫어요", Some(0)),
            ("2", None),
            ("0.5", None),
            ("-1", None),
            ("중립", None),
            ("", None),
            ("yes", None),
            ("nan", None),
            ("inf", None),
        ] {
            assert_eq!(class_of(value, &two), want, "{value}");
        }
        let reversed = labels(["긍정", "부정"]);
        assert_eq!(
            (class_of("좋아요", &reversed), class_of("neg", &reversed), class_of("1", &reversed)),
            (Some(0), Some(1), Some(1))
        );
        let other = labels(["ham", "spam"]);
        assert_eq!(
            (class_of("SPAM", &other), class_of("positive", &other), class_of("true", &other)),
            (Some(1), None, Some(1))
        );
        let five: Vec<String> = (1..=5).map(|n| n.to_string()).collect();
        assert_eq!(
            (class_of("1", &five), class_of("5", &five), class_of("0", &five)),
            (Some(0), Some(4), Some(0))
        );
    }

    #[test]
    fn stars_are_read_in_every_spelling_that_is_clear() {
        for (value, want, of) in [
            ("5", 5.0, None),
            ("5.0", 5.0, None),
            ("５", 5.0, None),
            ("5점", 5.0, None),
            ("5 점", 5.0, None),
            ("★★★★☆", 4.0, Some(5.0)),
            ("★★★", 3.0, None),
            ("⭐⭐⭐⭐⭐", 5.0, None),
            ("★☆☆☆☆", 1.0, Some(5.0)),
            ("☆☆☆☆☆", 0.0, Some(5.0)),
            ("★★★★☆ 4", 4.0, Some(5.0)),
            ("★★★★☆(4.0)", 4.0, Some(5.0)),
            ("4/5", 4.0, Some(5.0)),
            ("4 / 5", 4.0, Some(5.0)),
            ("8/10점", 8.0, Some(10.0)),
            ("4점/5점", 4.0, Some(5.0)),
            ("별 4개", 4.0, None),
            ("별점 4점", 4.0, None),
            ("4 stars", 4.0, None),
            ("★4", 4.0, None),
            ("4 out of 5", 4.0, Some(5.0)),
            ("⭐️⭐️", 2.0, None),
            ("매우 만족", 5.0, Some(5.0)),
            ("보통", 3.0, Some(5.0)),
        ] {
            assert_eq!(stars(value), Some(WrittenStars { stars: want, of }), "{value}");
        }
        for value in ["", "five", "4,5", "★★★★☆ 5", "NaN", "inf", "5/0", "좋아요", "점", "4-5", "1e400"]
        {
            assert_eq!(stars(value), None, "{value}");
        }
    }
}
