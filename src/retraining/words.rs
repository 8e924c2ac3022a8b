//! Words: which ones are judged otherwise now, and which ones are new.

use super::comment::Comment;
use nunchi_engine::{Engine, EngineError};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// Words in fewer comments say little.
const LEAST: usize = 5;
/// Most words that are judged.
const MOST: usize = 4_000;
/// Words of a list; of those that moved half in each direction.
const SHOWN: usize = 20;
/// Lengths of a word, in characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 2..=14;

/// A word alone, judged by both models.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
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
fn frequent<'a>(comments: impl Iterator<Item = &'a Comment>) -> Vec<(&'a str, usize)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for comment in comments {
        let words: HashSet<&str> = words(&comment.text).collect();
        words.into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
    }
    let mut counts: Vec<(&str, usize)> =
        counts.into_iter().filter(|&(_, comments)| comments >= LEAST).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    counts
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|letter: char| !letter.is_alphanumeric()))
        .filter(|word| LENGTHS.contains(&word.chars().count()))
}

/// The words whose score alone moved most, in both directions: first what rose most, last what fell most.
pub fn moved<'a>(
    engines: [&mut Engine; 2],
    comments: impl Iterator<Item = &'a Comment>,
) -> Result<Vec<Moved>, EngineError> {
    let mut found = frequent(comments);
    found.truncate(MOST);
    let texts: Vec<&str> = found.iter().map(|&(word, _)| word).collect();
    let [current, candidate] = engines.map(|engine| engine.classify(&texts));
    let scores = [current?, candidate?];
    let mut moved: Vec<Moved> = found
        .iter()
        .enumerate()
        .map(|(index, &(word, comments))| Moved {
            word: word.to_owned(),
            comments,
            scores: [0, 1].map(|model: usize| f64::from(scores[model][index].score)),
        })
        .collect();
    let shift = |moved: &Moved| moved.scores[1] - moved.scores[0];
    moved.sort_by(|a, b| shift(b).total_cmp(&shift(a)));
    let (rose, fell): (Vec<Moved>, Vec<Moved>) = moved.into_iter().partition(|word| shift(word) >= 0.0);
    let from = fell.len().saturating_sub(SHOWN / 2);
    Ok(rose.into_iter().take(SHOWN / 2).chain(fell.into_iter().skip(from)).collect())
}

/// The most frequent words of `new` that `old` does not have at all.
pub fn new_words<'a>(
    new: impl Iterator<Item = &'a Comment>,
    old: impl Iterator<Item = &'a Comment>,
) -> Vec<NewWord> {
    let known: HashSet<&str> = old.flat_map(|comment| words(&comment.text)).collect();
    if known.is_empty() {
        return Vec::new();
    }
    let unknown = frequent(new).into_iter().filter(|(word, _)| !known.contains(word));
    unknown.take(SHOWN).map(|(word, comments)| NewWord { word: word.to_owned(), comments }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_words_that_the_old_comments_lack_are_new() {
        let comment =
            |text: &str| Comment { text: text.to_owned(), class: 0, id: None, time_ms: 0, stars: None };
        let new = vec![comment("가성비 갓성비! 좋아요, 갓성비"); 5];
        let old = [comment("가성비 (좋아요)")];
        let words = new_words(new.iter(), old.iter());
        assert_eq!(words, [NewWord { word: "갓성비".to_owned(), comments: 5 }]);
        assert!(new_words(new[..4].iter(), old.iter()).is_empty(), "four comments are too few");
    }
}
