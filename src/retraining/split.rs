//! The split into training, dev and test sets.
//!
//! Always holds: no comment is in two of them, however it is typed and whichever source it comes from (see
//! [`CommentKey`]). The test set is taken first, then the dev set; the rest is the training set.

use super::comment::Comment;
use nunchi_data::{CommentKey, CommentKeys};
use std::collections::HashSet;

/// Share of the comments besides the test set that is the dev set, which selects the epoch and the temperature.
const DEV_SHARE: f64 = 0.1;
/// Most comments of the dev set, of each source.
const MAX_DEV: usize = 4_000;
/// Most comments of the test set, of each source: more do not change the decision.
const MAX_TEST: usize = 20_000;

/// Labeled comments of one source.
#[derive(Clone, Debug, Default)]
pub struct LabeledSource {
    /// Its display name.
    pub name: String,
    /// How much each of its comments counts.
    pub weight: f64,
    /// Whether it is old, and mixed in against forgetting.
    pub old: bool,
    /// The comments.
    pub comments: Vec<Comment>,
}

/// The parts.
#[derive(Clone, Debug, Default)]
pub struct Split {
    /// The training set, new and old.
    pub train: Vec<LabeledSource>,
    /// The dev set, by source.
    pub dev: Vec<LabeledSource>,
    /// The test set: the last part in time of every new source.
    pub test: Vec<Comment>,
    /// Comments that are in no part because another part, or the golden set, has the same comment.
    pub left_out: usize,
}

impl Split {
    /// The new sources of the training and dev sets.
    pub fn new_sources(&self) -> impl Iterator<Item = &LabeledSource> {
        self.train.iter().chain(&self.dev).filter(|source| !source.old)
    }
}

/// Splits new comments (each source in the order of time) and old ones. `golden` is in no part. The same input gives the same
/// parts; which comments of a source are taken for a part depends on positions within that source alone.
pub fn split(
    mut new: Vec<LabeledSource>,
    old: Vec<LabeledSource>,
    golden: &[Comment],
    test_share: f64,
) -> Split {
    let mut split = Split::default();
    let mut keys = CommentKeys::default();
    let mut measured: HashSet<CommentKey> = keys_of(&mut keys, golden).collect();
    // The test sets of all sources before any training set: a later source's test may repeat an earlier
    // source's comments. Filtering the test set instead would bias it towards comments without duplicates.
    for source in &mut new {
        let count = ((source.comments.len() as f64 * test_share) as usize).min(MAX_TEST);
        let mut test = source.comments.split_off(source.comments.len() - count);
        // Golden comments are measured anyway.
        split.left_out += leave_out(&mut keys, &mut test, &measured);
        split.test.extend(test);
    }
    measured.extend(keys_of(&mut keys, &split.test));
    let mut dev_keys = HashSet::new();
    for mut source in new.into_iter().chain(old) {
        split.left_out += leave_out(&mut keys, &mut source.comments, &measured);
        let held = hold_out(&mut source);
        dev_keys.extend(keys_of(&mut keys, &held));
        let name = format!("{} (held out)", source.name);
        split.dev.push(LabeledSource { comments: held, name, ..source });
        split.train.push(source);
    }
    for source in &mut split.train {
        split.left_out += leave_out(&mut keys, &mut source.comments, &dev_keys);
    }
    split.train.retain(|source| !source.comments.is_empty());
    split.dev.retain(|source| !source.comments.is_empty());
    split
}

/// Takes the dev set out of a source: of a new one the last in time.
fn hold_out(source: &mut LabeledSource) -> Vec<Comment> {
    let comments = &mut source.comments;
    let count = ((comments.len() as f64 * DEV_SHARE) as usize).min(MAX_DEV);
    if !source.old {
        return comments.split_off(comments.len() - count);
    }
    // Old comments have no meaningful order: every tenth, or fewer of very many.
    let every = (comments.len() / count.max(1)).max(2);
    let (mut held, mut row) = (Vec::new(), 0);
    comments.retain(|comment| {
        row += 1;
        let hold = row % every == 0;
        if hold {
            held.push(comment.clone());
        }
        !hold
    });
    held
}

fn keys_of(keys: &mut CommentKeys, comments: &[Comment]) -> impl Iterator<Item = CommentKey> {
    comments.iter().map(|comment| keys.key(&comment.text))
}

fn leave_out(keys: &mut CommentKeys, comments: &mut Vec<Comment>, out: &HashSet<CommentKey>) -> usize {
    let before = comments.len();
    comments.retain(|comment| !out.contains(&keys.key(&comment.text)));
    before - comments.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(name: &str, texts: impl IntoIterator<Item = String>) -> LabeledSource {
        let comment = |(time_ms, text)| Comment { text, class: 0, id: None, time_ms, stars: None };
        LabeledSource {
            name: name.to_owned(),
            weight: 1.0,
            old: false,
            comments: (0..).zip(texts).map(comment).collect(),
        }
    }

    fn texts(comments: &[Comment]) -> Vec<&str> {
        comments.iter().map(|comment| comment.text.as_str()).collect()
    }

    #[test]
    fn the_last_part_in_time_is_the_test_and_nothing_measured_is_learned() {
        let new = source("new", (0..100).map(|row| format!("새 {row}")).chain(["새 3".to_owned()]));
        let golden = source("golden", ["새 5".to_owned(), "옛 7".to_owned()]).comments;
        let old = source("old", (0..50).map(|row| format!("옛 {row}")).chain(["새 99".to_owned()]));
        let old = LabeledSource { old: true, ..old };
        let split = split(vec![new], vec![old], &golden, 0.2);
        // 101 rows: 20 for the test, of which the last one repeats what would be learned.
        assert_eq!(split.test.len(), 20);
        assert_eq!((split.test[0].text.as_str(), split.test[19].text.as_str()), ("새 81", "새 3"));
        assert_eq!(split.left_out, 4, "새 3 at the beginning, 새 5, 옛 7, 새 99 among the old");
        assert_eq!(split.dev[0].comments.len(), 7);
        assert_eq!(split.dev[1].comments.len(), 4, "every twelfth of 49");
        let of_source = |index: usize| split.train[index].comments.len() + split.dev[index].comments.len();
        assert_eq!((of_source(0), of_source(1)), (79, 49));
    }

    /// The gate measured on learned comments: each source's test was compared with that source alone.
    #[test]
    fn a_test_is_not_learned_from_another_source() {
        let first = source("first", (0..20).map(|row| format!("처음 {row}")).chain(["둘째 19".to_owned()]));
        let second = source("second", (0..20).map(|row| format!("둘째 {row}")));
        let third = LabeledSource {
            old: true,
            ..source("third", ["둘째   19!".to_owned(), "둘째19".to_owned()])
        };
        let split = split(vec![first, second], vec![third], &[], 0.05);
        assert_eq!(texts(&split.test), ["둘째 19", "둘째 19"], "the last one of each");
        let learned: Vec<&str> = split.train.iter().flat_map(|source| texts(&source.comments)).collect();
        assert!(!learned.contains(&"둘째19"), "typed without the space it is the same comment");
        assert!(learned.contains(&"둘째   19!") && learned.contains(&"처음 0"));
    }

    #[test]
    fn the_dev_set_is_not_in_the_training_set() {
        let rows = (0..20).map(|row| format!("댓글 {row}"));
        let new = source("new", ["댓글 19".to_owned()].into_iter().chain(rows.clone()));
        let old = LabeledSource { old: true, ..source("old", rows) };
        let split = split(vec![new], vec![old], &[], 0.0);
        assert_eq!(texts(&split.dev[0].comments), ["댓글 18", "댓글 19"]);
        assert!(!texts(&split.train[0].comments).contains(&"댓글 19"));
        assert!(!texts(&split.train[1].comments).contains(&"댓글 18"));
        assert_eq!(
            split.left_out, 3,
            "of the new ones 19 and 9, which are in the dev set of the old ones; of the old ones 18"
        );
    }

    /// Sources of few different comments, typed in several ways.
    fn sources(old: bool) -> impl Strategy<Value = Vec<LabeledSource>> {
        let texts = proptest::collection::vec("[가-다]{1,2} ?[!a]{0,2} ?", 0..60);
        proptest::collection::vec(texts, 0..4).prop_map(move |all| {
            let named = |(index, texts)| LabeledSource { old, ..source(&format!("{old} {index}"), texts) };
            all.into_iter().enumerate().map(named).collect()
        })
    }

    fn keys_in<'a>(comments: impl IntoIterator<Item = &'a Comment>) -> HashSet<CommentKey> {
        comments.into_iter().map(|comment| CommentKey::of(&comment.text)).collect()
    }

    proptest! {
        #[test]
        fn no_comment_is_in_two_parts(
            new in sources(false),
            old in sources(true),
            golden in sources(true),
            test_share in 0.0..0.9_f64,
        ) {
            let golden: Vec<Comment> = golden.into_iter().flat_map(|source| source.comments).collect();
            let split_of = || split(new.clone(), old.clone(), &golden, test_share);
            let parts = split_of();
            let learned = keys_in(parts.train.iter().flat_map(|source| &source.comments));
            let dev_keys = keys_in(parts.dev.iter().flat_map(|source| &source.comments));
            let (test, golden) = (keys_in(&parts.test), keys_in(&golden));
            let all = [&learned, &dev_keys, &test, &golden];
            for (index, one) in all.iter().enumerate() {
                for other in &all[index + 1..] {
                    prop_assert!(one.is_disjoint(other), "{parts:?}");
                }
            }

            let kept = |sources: &[LabeledSource]| sources.iter().map(|source| source.comments.len()).sum::<usize>();
            let total = kept(&new) + kept(&old);
            prop_assert_eq!(kept(&parts.train) + kept(&parts.dev) + parts.test.len() + parts.left_out, total);
            prop_assert_eq!(format!("{:?}", split_of()), format!("{parts:?}"), "the same again");
        }

        /// What a source gives to the test does not depend on the other sources.
        #[test]
        fn a_source_is_split_by_its_own_positions(new in sources(false), other in sources(false), test_share in 0.0..0.9_f64) {
            let alone = split(new.clone(), Vec::new(), &[], test_share);
            let together = split(new.into_iter().chain(other).collect(), Vec::new(), &[], test_share);
            prop_assert_eq!(texts(&alone.test), &texts(&together.test)[..alone.test.len()]);
        }
    }
}
