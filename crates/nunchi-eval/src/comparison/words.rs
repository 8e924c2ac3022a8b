//! Single words: which ones two models score differently, and which ones are new.

use nunchi_engine::{Engine, EngineError};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// Words in fewer comments say little.
const MIN_COMMENTS: usize = 5;
/// Most words that are classified.
const MAX_WORDS: usize = 4_000;
/// Words of a list; of those that moved half in each direction.
const MAX_SHOWN: usize = 20;
/// Lengths of a word, in characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 2..=14;

/// A word alone, scored by both models.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MovedWord {
    /// The word.
    pub word: String,
    /// In how many new comments it occurs.
    pub comments: usize,
    /// Its score by the current model and by the candidate.
    pub scores: [f64; 2],
}

/// A word of the new comments that the old ones do not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewWord {
    /// The word.
    pub word: String,
    /// In how many new comments it occurs.
    pub comments: usize,
}

/// In how many comments each word occurs, the most frequent first.
fn frequent<'a>(comments: impl Iterator<Item = &'a str>) -> Vec<(&'a str, usize)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for comment in comments {
        let words: HashSet<&str> = words(comment).collect();
        words.into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
    }
    let mut counts: Vec<(&str, usize)> =
        counts.into_iter().filter(|&(_, comments)| comments >= MIN_COMMENTS).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    counts
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|character: char| !character.is_alphanumeric()))
        .filter(|word| LENGTHS.contains(&word.chars().count()))
}

/// The words of `comments` whose score alone moved most, in both directions: first what rose most, last what fell most.
///
/// # Errors
/// A word whose score is not a number.
pub fn moved<'a>(
    engines: [&mut Engine; 2],
    comments: impl Iterator<Item = &'a str>,
) -> Result<Vec<MovedWord>, EngineError> {
    let mut found = frequent(comments);
    found.truncate(MAX_WORDS);
    let texts: Vec<&str> = found.iter().map(|&(word, _)| word).collect();
    let [current, candidate] = engines.map(|engine| engine.classify(&texts));
    let predictions = [current?, candidate?];
    let mut moved: Vec<MovedWord> = found
        .iter()
        .enumerate()
        .map(|(index, &(word, comments))| MovedWord {
            word: word.to_owned(),
            comments,
            scores: [0, 1].map(|model: usize| f64::from(predictions[model][index].score)),
        })
        .collect();
    let shift = |moved: &MovedWord| moved.scores[1] - moved.scores[0];
    moved.sort_by(|a, b| shift(b).total_cmp(&shift(a)));
    let (rose, fell): (Vec<MovedWord>, Vec<MovedWord>) =
        moved.into_iter().partition(|word| shift(word) >= 0.0);
    let from = fell.len().saturating_sub(MAX_SHOWN / 2);
    Ok(rose.into_iter().take(MAX_SHOWN / 2).chain(fell.into_iter().skip(from)).collect())
}

/// The most frequent words of `new` comments that `old` ones do not have at all; none if there are no old comments.
pub fn new_words<'a>(new: impl Iterator<Item = &'a str>, old: impl Iterator<Item = &'a str>) -> Vec<NewWord> {
    let known: HashSet<&str> = old.flat_map(words).collect();
    if known.is_empty() {
        return Vec::new();
    }
    let unknown = frequent(new).into_iter().filter(|(word, _)| !known.contains(word));
    unknown.take(MAX_SHOWN).map(|(word, comments)| NewWord { word: word.to_owned(), comments }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_words_that_the_old_comments_lack_are_new() {
        let new = ["가성비 갓성비! 좋아요, 갓성비"; 5];
        let old = ["가성비 (좋아요)"];
        let words = new_words(new.into_iter(), old.into_iter());
        assert_eq!(words, [NewWord { word: "갓성비".to_owned(), comments: 5 }]);
        assert!(new_words(new.into_iter().take(4), old.into_iter()).is_empty(), "four comments are too few");
        assert!(new_words(new.into_iter(), std::iter::empty()).is_empty(), "nothing old is known");
    }
}
