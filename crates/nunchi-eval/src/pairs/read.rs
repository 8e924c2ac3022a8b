//! Reading files of pairs.

use super::{Pair, Side};
use nunchi_data::shown_value;
use nunchi_engine::EngineError;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Columns of a file of pairs; others are left unread.
const COLUMNS: [&str; 5] = ["category", "a", "label_a", "b", "label_b"];
/// Columns without which nothing can be compared, whatever the use.
const TEXTS: [&str; 2] = ["a", "b"];

/// Whether the order of the two comments matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairOrder {
    /// `a` is more negative than `b`. All five columns and every category are required: a misspelled column would
    /// silently relax the test.
    WorseFirst,
    /// Either comment may come first. Labels and categories may be missing.
    Any,
}

/// Why pairs cannot be used.
#[derive(Debug, Error)]
pub enum PairsError {
    /// The file cannot be opened or read.
    #[error("cannot read the pairs in {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: csv::Error,
    },
    /// The model cannot classify a comment.
    #[error(transparent)]
    Engine(#[from] EngineError),
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
    /// The model's classes are not negative and positive.
    #[error("pairs need a model of two classes, negative and positive; {name} has {classes}")]
    Classes {
        /// The model's name.
        name: String,
        /// How many it has.
        classes: usize,
    },
}

/// Reads a file of pairs: tab-separated without quoting, the first line names the columns. A label is one of `labels`, an
/// index into them, or empty. Spaces around cells do not count.
///
/// # Errors
/// A file that cannot be read, lacks a column, has a row that is no pair, or has no rows.
pub fn read(path: &Path, labels: &[String], order: PairOrder) -> Result<Vec<Pair>, PairsError> {
    let unreadable = |reason| PairsError::Unreadable { path: path.to_owned(), reason };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(b'\t')
        .quoting(false)
        .flexible(true)
        .from_path(path)
        .map_err(unreadable)?;
    let header = reader.headers().map_err(unreadable)?;
    let mut indices = [None; COLUMNS.len()];
    for (index, column) in indices.iter_mut().zip(COLUMNS) {
        *index = header.iter().position(|name| name.trim_start_matches('\u{feff}') == column);
        if index.is_none() && (order == PairOrder::WorseFirst || TEXTS.contains(&column)) {
            return Err(PairsError::Column { path: path.to_owned(), column });
        }
    }
    let mut pairs = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let cells = indices.map(|index| index.and_then(|index| record.get(index)).unwrap_or_default().trim());
        let line = record.position().map_or(0, csv::Position::line);
        let pair = pair(cells, labels, order);
        pairs.push(pair.map_err(|reason| PairsError::Row { path: path.to_owned(), line, reason })?);
    }
    if pairs.is_empty() { Err(PairsError::Empty(path.to_owned())) } else { Ok(pairs) }
}

fn pair(
    [category, a, label_a, b, label_b]: [&str; COLUMNS.len()],
    labels: &[String],
    order: PairOrder,
) -> Result<Pair, String> {
    let (a, b) = (side("a", a, label_a, labels)?, side("b", b, label_b, labels)?);
    if order == PairOrder::WorseFirst {
        if category.is_empty() {
            return Err("`category` is empty".to_owned());
        }
        if let (Some(first), Some(second)) = (a.class, b.class)
            && first > second
        {
            return Err("`a` is labelled above `b`".to_owned());
        }
    }
    Ok(Pair { category: category.to_owned(), a, b })
}

fn side(name: &str, text: &str, label: &str, labels: &[String]) -> Result<Side, String> {
    if text.is_empty() {
        return Err(format!("`{name}` is empty"));
    }
    let by_index = || label.parse::<usize>().ok().filter(|&class| class < labels.len());
    let class = labels.iter().position(|known| known == label).or_else(by_index);
    if class.is_none() && !label.is_empty() {
        return Err(format!(
            "`label_{name}` is {}; it must be empty, one of {}, or the number of one, from 0",
            shown_value(label),
            labels.join(", ")
        ));
    }
    Ok(Side { text: text.to_owned(), class })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(content: &str, order: PairOrder) -> Result<Vec<Pair>, PairsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.tsv");
        std::fs::write(&path, content).unwrap();
        read(&path, &["negative", "positive"].map(str::to_owned), order)
    }

    fn side(text: &str, class: Option<usize>) -> Side {
        Side { text: text.to_owned(), class }
    }

    #[test]
    fn rows_become_pairs_and_other_columns_are_left_unread() {
        let content = "note\tcategory\ta\tlabel_a\tb\tlabel_b\nwhy\tprice\t\"비싸요\t0\t싸요 \tpositive\n\tprice\t좀 비싸요\t\t싸요\t\n";
        for order in [PairOrder::WorseFirst, PairOrder::Any] {
            let pairs = read_text(content, order).unwrap();
            assert_eq!(pairs.len(), 2);
            assert_eq!((&pairs[0].a, &pairs[0].b), (&side("\"비싸요", Some(0)), &side("싸요", Some(1))));
            assert_eq!((pairs[1].a.class, pairs[1].b.class), (None, None));
        }
    }

    #[test]
    fn without_an_order_labels_and_categories_may_be_missing() {
        let pairs = read_text("b\ta\n별로예요\t좋아요\n", PairOrder::Any).unwrap();
        assert_eq!(
            pairs,
            [Pair { category: String::new(), a: side("좋아요", None), b: side("별로예요", None) }]
        );
        let turned = "a\tb\tlabel_a\tlabel_b\n좋아요\t별로예요\t1\t0\n";
        assert_eq!(read_text(turned, PairOrder::Any).unwrap()[0].a.class, Some(1));
        let missing = read_text(turned, PairOrder::WorseFirst).unwrap_err().to_string();
        assert!(missing.contains("no column `category`"), "{missing}");
        let missing = read_text("a\tc\n", PairOrder::Any).unwrap_err().to_string();
        assert!(missing.contains("no column `b`"), "{missing}");
    }

    #[test]
    fn what_is_no_pair_is_refused_with_its_line() {
        const HEADER: &str = "category\ta\tlabel_a\tb\tlabel_b\n";
        let error = |rows: &str| {
            read_text(&format!("{HEADER}{rows}"), PairOrder::WorseFirst).unwrap_err().to_string()
        };
        assert!(error("").ends_with("has no pairs"));
        let unknown = error("c\t나빠요\t0\t좋아요\t1\nc\t나빠요\t2\t좋아요\t1\n");
        assert!(unknown.contains("line 3: `label_a` is `2`"), "{unknown}");
        assert!(error("c\t나빠요\tgreat\t좋아요\t1\n").contains("one of negative, positive"));
        assert!(error("c\t나빠요\t0\n").contains("line 2: `b` is empty"));
        assert!(error("\t나빠요\t0\t좋아요\t1\n").contains("`category` is empty"));
        assert!(error("c\t좋아요\t1\t나빠요\t0\n").contains("labelled above"));
        let missing = read_text("category\ta\tb\n", PairOrder::WorseFirst).unwrap_err().to_string();
        assert!(missing.contains("no column `label_a`"), "{missing}");
    }
}
