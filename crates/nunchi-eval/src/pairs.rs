//! Pairs of comments that differ in what they mean: whether a model tells them apart as a reader would.
//!
//! Accuracy on a test set says how often a model is right; pairs say what it understood (Ribeiro et al. 2020,
//! *Beyond Accuracy: Behavioral Testing of NLP Models with CheckList*). In each pair comment `a` says something worse than
//! comment `b`. A pair is right when the model scores `a` below `b` and each hard label holds. No model may be trained on
//! them.

use super::evaluation::ModelUnderTest;
use nunchi_engine::score::WrittenScore;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Columns that a file of pairs must have; others are left unread.
const COLUMNS: [&str; 5] = ["category", "a", "label_a", "b", "label_b"];

/// Why pairs cannot be used.
#[derive(Debug, Error)]
pub enum BehaviourError {
    /// The file cannot be opened or read.
    #[error("cannot read the pairs in {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: csv::Error,
    },
    /// A column is missing.
    #[error(
        "{path} has no column `{column}`: pairs are tab-separated columns category, a, label_a, b, label_b"
    )]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
    },
    /// A row is no pair.
    #[error("{path}, line {line}: {reason}")]
    Row {
        /// The file.
        path: PathBuf,
        /// Where, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// There are no pairs.
    #[error("{0} has no pairs")]
    Empty(PathBuf),
    /// The model does not tell negative from positive.
    #[error("pairs need a model of two classes, negative and positive; {name} has {classes}")]
    Classes {
        /// The model's name.
        name: String,
        /// How many it has.
        classes: usize,
    },
}

/// One comment of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The comment.
    pub text: String,
    /// Whether it must be judged positive (`true`) or negative (`false`); `None` where only the order counts.
    pub label: Option<bool>,
}

/// Two comments, the first of which must have the lower score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What the difference is made of: `negation`, `order`, …
    pub category: String,
    /// The comment that says something worse.
    pub a: Side,
    /// The comment that says something better.
    pub b: Side,
}

/// What a model says of a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Score of `a`, as a verdict would state it.
    pub a: f64,
    /// Score of `b`.
    pub b: f64,
    /// Whether `a` < `b` and each hard label holds.
    pub right: bool,
}

/// How many pairs, and how many of them are right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All.
    pub pairs: usize,
    /// Right ones.
    pub right: usize,
}

impl Tally {
    fn add(&mut self, answer: &Answer) {
        self.pairs += 1;
        self.right += usize::from(answer.right);
    }

    /// The share of right ones, 0 to 1.
    pub fn accuracy(self) -> f64 {
        self.right as f64 / self.pairs.max(1) as f64
    }
}

/// Reads a file of pairs: tab-separated, without quoting, the first line names the columns.
///
/// # Errors
/// A file that cannot be read, lacks a column, has a row that is no pair, or has no rows.
pub fn read(path: &Path) -> Result<Vec<Pair>, BehaviourError> {
    let unreadable = |source| BehaviourError::Unreadable { path: path.to_owned(), source };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(b'\t')
        .quoting(false)
        .flexible(true)
        .from_path(path)
        .map_err(unreadable)?;
    let header = reader.headers().map_err(unreadable)?;
    let mut places = [0; COLUMNS.len()];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let found = header.iter().position(|name| name.trim_start_matches('\u{feff}') == column);
        *place = found.ok_or_else(|| BehaviourError::Column { path: path.to_owned(), column })?;
    }
    let mut pairs = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let fields = places.map(|place| record.get(place).unwrap_or_default());
        let line = record.position().map_or(0, csv::Position::line);
        let pair =
            pair(fields).map_err(|reason| BehaviourError::Row { path: path.to_owned(), line, reason })?;
        pairs.push(pair);
    }
    if pairs.is_empty() { Err(BehaviourError::Empty(path.to_owned())) } else { Ok(pairs) }
}

fn pair([category, a, label_a, b, label_b]: [&str; COLUMNS.len()]) -> Result<Pair, String> {
    let side = |name: &str, text: &str, label: &str| {
        if text.trim().is_empty() {
            return Err(format!("`{name}` is empty"));
        }
        let label = match label {
            "" => None,
            "0" => Some(false),
            "1" => Some(true),
            other => return Err(format!("`label_{name}` is `{other}`; it must be 0, 1 or empty")),
        };
        Ok(Side { text: text.to_owned(), label })
    };
    if category.is_empty() {
        return Err("`category` is empty".to_owned());
    }
    let (a, b) = (side("a", a, label_a)?, side("b", b, label_b)?);
    if a.label == Some(true) && b.label == Some(false) {
        return Err("`a` is labelled above `b`".to_owned());
    }
    Ok(Pair { category: category.to_owned(), a, b })
}

/// What the judge says of each pair, in their order.
///
/// # Errors
/// A model that does not have two classes.
pub fn answers(judge: &mut ModelUnderTest, pairs: &[Pair]) -> Result<Vec<Answer>, BehaviourError> {
    let model = judge.model();
    if model.labels.len() != 2 {
        return Err(BehaviourError::Classes { name: model.name.clone(), classes: model.labels.len() });
    }
    let texts: Vec<&str> = pairs.iter().flat_map(|pair| [pair.a.text.as_str(), &pair.b.text]).collect();
    let mut outcomes = Vec::with_capacity(texts.len());
    judge.judge(&texts, &vec![0; texts.len()], &mut outcomes);
    let scores: Vec<WrittenScore> =
        outcomes.iter().map(|outcome| WrittenScore::new(outcome.probabilities[1] as f32)).collect();
    Ok(pairs.iter().zip(scores.chunks_exact(2)).map(|(pair, scores)| answer(pair, scores)).collect())
}

fn answer(pair: &Pair, scores: &[WrittenScore]) -> Answer {
    let (a, b) = (scores[0], scores[1]);
    let holds =
        |side: &Side, score: WrittenScore| side.label.is_none_or(|label| label == score.is_positive());
    Answer { a: a.value(), b: b.value(), right: a < b && holds(&pair.a, a) && holds(&pair.b, b) }
}

/// The tally of each category in the order in which they first occur.
pub fn by_category<'a>(pairs: &'a [Pair], answers: &[Answer]) -> Vec<(&'a str, Tally)> {
    let mut tallies: Vec<(&str, Tally)> = Vec::new();
    for (pair, answer) in pairs.iter().zip(answers) {
        match tallies.iter_mut().find(|(category, _)| *category == pair.category) {
            Some((_, tally)) => tally.add(answer),
            None => {
                let mut tally = Tally::default();
                tally.add(answer);
                tallies.push((&pair.category, tally));
            }
        }
    }
    tallies
}

/// The tally of all pairs.
pub fn total(answers: &[Answer]) -> Tally {
    let mut tally = Tally::default();
    answers.iter().for_each(|answer| tally.add(answer));
    tally
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read_text(content: &str) -> Result<Vec<Pair>, BehaviourError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.tsv");
        std::fs::write(&path, content).unwrap();
        read(&path)
    }

    #[test]
    fn rows_become_pairs_and_other_columns_are_left_unread() {
        let pairs = read_text(
            "note\tcategory\ta\tlabel_a\tb\tlabel_b\nwhy\tprice\t\"비싸요\t0\t싸요\t1\n\tprice\t좀 비싸요\t\t싸요\t\n",
        )
        .unwrap();
        let side = |text: &str, label| Side { text: text.to_owned(), label };
        assert_eq!(pairs.len(), 2);
        assert_eq!((&pairs[0].a, &pairs[0].b), (&side("\"비싸요", Some(false)), &side("싸요", Some(true))));
        assert_eq!((pairs[1].a.label, pairs[1].b.label), (None, None));
    }

    #[test]
    fn what_is_no_pair_is_refused_with_its_line() {
        const HEADER: &str = "category\ta\tlabel_a\tb\tlabel_b\n";
        let error = |rows: &str| read_text(&format!("{HEADER}{rows}")).unwrap_err().to_string();
        assert!(error("").ends_with("has no pairs"));
        assert!(
            error("c\t나빠요\t0\t좋아요\t1\nc\t나빠요\t2\t좋아요\t1\n").contains("line 3: `label_a` is `2`")
        );
        assert!(error("c\t나빠요\t0\n").contains("line 2: `b` is empty"));
        assert!(error("\t나빠요\t0\t좋아요\t1\n").contains("`category` is empty"));
        assert!(error("c\t좋아요\t1\t나빠요\t0\n").contains("labelled above"));
        let missing = read_text("category\ta\tb\n").unwrap_err().to_string();
        assert!(missing.contains("no column `label_a`"), "{missing}");
    }

    #[test]
    fn a_pair_is_right_when_the_order_and_each_hard_label_hold() {
        let right = |labels: [Option<bool>; 2], scores: [f32; 2]| {
            let side = |label| Side { text: "text".to_owned(), label };
            let pair = Pair { category: String::new(), a: side(labels[0]), b: side(labels[1]) };
            answer(&pair, &scores.map(WrittenScore::new)).right
        };
        let hard = [Some(false), Some(true)];
        assert!(right(hard, [0.499_999, 0.5]));
        assert!(!right(hard, [0.5, 0.9]), "a is not negative");
        assert!(!right(hard, [0.1, 0.4]), "b is not positive");
        assert!(right([None, None], [0.1, 0.4]));
        assert!(!right([None, None], [0.4, 0.4]), "equal scores order nothing");
        assert!(!right([None, Some(true)], [0.8, 0.7]));
    }

    #[test]
    fn categories_are_counted_in_the_order_in_which_they_occur() {
        let pairs =
            read_text("category\ta\tlabel_a\tb\tlabel_b\nz\t1\t\t2\t\na\t3\t\t4\t\nz\t5\t\t6\t\n").unwrap();
        let answers = [true, false, false].map(|right| Answer { a: 0.0, b: 0.0, right });
        let tally = |pairs, right| Tally { pairs, right };
        assert_eq!(by_category(&pairs, &answers), [("z", tally(2, 1)), ("a", tally(1, 0))]);
        assert_eq!(total(&answers), tally(3, 1));
        assert!((total(&answers).accuracy() - 1.0 / 3.0).abs() < 1e-12);
    }
}
