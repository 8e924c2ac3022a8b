//! A labelled comment from any source.

use std::collections::HashSet;

/// A comment with its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    /// What was written.
    pub text: String,
    /// Its class: an index into the model's labels.
    pub class: usize,
    /// Its id, if it has one: a string's content, or a number's digits.
    pub id: Option<String>,
    /// When it was written, in milliseconds of Unix time; 0 if unknown, as in files.
    pub time_ms: i64,
    /// Its stars, if it has any.
    pub stars: Option<f64>,
}

/// Puts comments in the order of time and keeps the last one of each id; how many were dropped.
pub(super) fn deduplicate(comments: &mut Vec<Comment>) -> usize {
    comments.sort_by_key(|comment| comment.time_ms);
    let before = comments.len();
    let mut seen: HashSet<String> = HashSet::new();
    let mut kept: Vec<bool> = comments
        .iter()
        .rev()
        .map(|comment| comment.id.as_ref().is_none_or(|id| seen.insert(id.clone())))
        .collect();
    kept.reverse();
    let mut kept = kept.into_iter();
    comments.retain(|_| kept.next().unwrap_or(true));
    before - comments.len()
}

/// How many there are of each class.
pub(super) fn classes(comments: &[Comment], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    comments.iter().for_each(|comment| counts[comment.class] += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(id: Option<&str>, time_ms: i64) -> Comment {
        Comment { text: "좋아요".to_owned(), class: 1, id: id.map(str::to_owned), time_ms, stars: None }
    }

    #[test]
    fn the_last_comment_of_an_id_counts_and_what_has_none_stays() {
        let mut comments =
            vec![comment(Some("a"), 3), comment(None, 2), comment(Some("a"), 1), comment(None, 2)];
        assert_eq!(deduplicate(&mut comments), 1);
        let times: Vec<i64> = comments.iter().map(|comment| comment.time_ms).collect();
        assert_eq!(times, [2, 2, 3]);
        assert_eq!(classes(&comments, 2), [0, 3]);
    }
}
