//! Which comments are learned, which one chooses on, and which one measures with. Nothing that is measured with is learned.

use super::comment::Comment;
use std::collections::HashSet;

/// Share of what is learned from that chooses the epoch and the temperature.
const DEV: f64 = 0.1;
/// Most comments to choose on, of each source.
const MAX_DEV: usize = 4_000;
/// Most comments to measure with: more make no decision surer.
const MAX_TEST: usize = 20_000;

/// Comments of one source that are learned from.
#[derive(Clone, Debug, Default)]
pub struct Lesson {
    /// What people call it.
    pub name: String,
    /// How much each of its comments counts.
    pub weight: f64,
    /// Whether it is old, and mixed in so that nothing is forgotten.
    pub old: bool,
    /// The comments.
    pub comments: Vec<Comment>,
}

/// The parts.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// To learn from, new and old.
    pub lessons: Vec<Lesson>,
    /// To choose the epoch and the temperature on, by source.
    pub dev: Vec<Lesson>,
    /// The last part in time of what is new.
    pub test: Vec<Comment>,
    /// Comments that are not learned because they are measured with, or not measured with because they are learned.
    pub left_out: usize,
}

impl Parts {
    /// What is new of what is learned and chosen on.
    pub fn new_lessons(&self) -> impl Iterator<Item = &Lesson> {
        self.lessons.iter().chain(&self.dev).filter(|lesson| !lesson.old)
    }
}

/// Splits new comments (each source in the order of time) and old ones. `golden` is never learned.
pub fn split(new: Vec<Lesson>, old: Vec<Lesson>, golden: &[Comment], test_share: f64) -> Parts {
    let mut parts = Parts::default();
    let golden: HashSet<&str> = golden.iter().map(|comment| comment.text.trim()).collect();
    for mut lesson in new {
        let count = ((lesson.comments.len() as f64 * test_share) as usize).min(MAX_TEST);
        let mut test = lesson.comments.split_off(lesson.comments.len() - count);
        parts.left_out += leave_out(&mut lesson.comments, |text| golden.contains(text));
        // A text that is learned measures nothing, and one that is golden is measured already.
        let learned: HashSet<&str> = lesson.comments.iter().map(|comment| comment.text.trim()).collect();
        parts.left_out += leave_out(&mut test, |text| learned.contains(text) || golden.contains(text));
        parts.test.extend(test);
        let dev = dev(lesson.comments.len());
        let dev = lesson.comments.split_off(lesson.comments.len() - dev);
        parts.dev.push(Lesson { comments: dev, name: format!("{} (held out)", lesson.name), ..lesson });
        parts.lessons.push(lesson);
    }
    let measured: HashSet<String> = parts.test.iter().map(|comment| comment.text.trim().to_owned()).collect();
    for mut lesson in old {
        parts.left_out +=
            leave_out(&mut lesson.comments, |text| golden.contains(text) || measured.contains(text));
        // Old comments have no order that counts: every tenth.
        let every = lesson.comments.len() / dev(lesson.comments.len()).max(1);
        let (mut held, mut row) = (Vec::new(), 0);
        lesson.comments.retain(|comment| {
            row += 1;
            let hold = row % every.max(2) == 0;
            if hold {
                held.push(comment.clone());
            }
            !hold
        });
        parts.dev.push(Lesson { comments: held, name: format!("{} (held out)", lesson.name), ..lesson });
        parts.lessons.push(lesson);
    }
    parts.lessons.retain(|lesson| !lesson.comments.is_empty());
    parts.dev.retain(|lesson| !lesson.comments.is_empty());
    parts
}

fn dev(count: usize) -> usize {
    ((count as f64 * DEV) as usize).min(MAX_DEV)
}

fn leave_out(comments: &mut Vec<Comment>, is_out: impl Fn(&str) -> bool) -> usize {
    let before = comments.len();
    comments.retain(|comment| !is_out(comment.text.trim()));
    before - comments.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(name: &str, texts: impl IntoIterator<Item = String>) -> Lesson {
        let comment = |(time_ms, text)| Comment { text, class: 0, id: None, time_ms, stars: None };
        Lesson {
            name: name.to_owned(),
            weight: 1.0,
            old: false,
            comments: (0..).zip(texts).map(comment).collect(),
        }
    }

    #[test]
    fn the_last_part_in_time_is_the_test_and_nothing_measured_is_learned() {
        let new = lesson("new", (0..100).map(|row| format!("새 {row}")).chain(["새 3".to_owned()]));
        let golden = lesson("golden", ["새 5".to_owned(), "옛 7".to_owned()]).comments;
        let old = lesson("old", (0..50).map(|row| format!("옛 {row}")).chain(["새 99".to_owned()]));
        let parts = split(vec![new], vec![old], &golden, 0.2);
        // 101 rows: 20 for the test, of which the last one repeats what is learned.
        assert_eq!(parts.test.len(), 19);
        assert_eq!(parts.test[0].text, "새 81");
        assert_eq!(parts.left_out, 4, "새 3 at the end, 새 5, 옛 7, 새 99 among the old");
        assert_eq!(parts.dev[0].comments.len(), 8);
        let measured: HashSet<&str> =
            parts.test.iter().chain(&golden).map(|comment| comment.text.as_str()).collect();
        for lesson in parts.lessons.iter().chain(&parts.dev) {
            assert!(lesson.comments.iter().all(|comment| !measured.contains(comment.text.as_str())));
        }
        let held = |index: usize| parts.lessons[index].comments.len() + parts.dev[index].comments.len();
        assert_eq!((held(0), held(1)), (80, 49));
    }
}
