//! Which columns of a file hold what: named by the user, or found by their names.

use super::error::{DataError, hint};
use super::mapping::{Stars, Target};
use super::rows;
use super::shown::shown_names;
use std::path::Path;

/// Columns that hold comments, the likeliest first.
const TEXTS: [&str; 6] = ["text", "comment", "review", "document", "content", "sentence"];
/// Columns that hold labels.
const LABELS: [&str; 1] = ["label"];
/// Columns that hold stars.
const STARS: [&str; 2] = ["stars", "rating"];

/// Which columns to read, and what to do with rows that cannot be understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    /// The column with the comment.
    pub text: String,
    /// The column with the class, and how to read it.
    pub target: Target,
    /// Whether to leave out bad rows instead of failing.
    pub skip_bad_rows: bool,
}

/// What is known about the columns of data files; the others are found by their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnHints {
    /// The column with the comment.
    pub text: Option<String>,
    /// The column with the label.
    pub label: Option<String>,
    /// The column with stars, instead of a label.
    pub stars: Option<String>,
    /// Stars that are negative; without a column named, this selects the column of stars.
    pub negative: Option<Stars>,
    /// Stars that are positive; as `negative`.
    pub positive: Option<Stars>,
    /// Whether to leave out bad rows instead of failing.
    pub skip_bad_rows: bool,
}

impl ColumnHints {
    /// The columns of `path`, for a network with these labels. A label is preferred to stars.
    ///
    /// # Errors
    /// A file that cannot be read, or lacks the columns.
    pub fn columns(&self, path: &Path, labels: &[String]) -> Result<Columns, DataError> {
        let columns = rows::columns(path)?;
        let text = self.text_among(path, &columns)?;
        let target = match (&self.label, &self.stars) {
            (Some(label), _) => self.label(label, labels),
            (None, Some(stars)) => self.stars(stars),
            (None, None) => self.target_among(path, &columns, labels)?,
        };
        if !columns.iter().any(|column| column == target.column()) {
            return Err(DataError::column(path, target.column(), &columns));
        }
        Ok(Columns { text, target, skip_bad_rows: self.skip_bad_rows })
    }

    /// The column of `path` with the comment.
    ///
    /// # Errors
    /// As [`ColumnHints::columns`].
    pub fn text(&self, path: &Path) -> Result<String, DataError> {
        self.text_among(path, &rows::columns(path)?)
    }

    fn text_among(&self, path: &Path, columns: &[String]) -> Result<String, DataError> {
        match &self.text {
            Some(text) if columns.contains(text) => Ok(text.clone()),
            Some(text) => Err(DataError::column(path, text, columns)),
            None => Ok(first(path, &TEXTS, columns, "--text-column names it")?.to_owned()),
        }
    }

    fn target_among(&self, path: &Path, columns: &[String], labels: &[String]) -> Result<Target, DataError> {
        let stars_asked = self.negative.is_some() || self.positive.is_some();
        // Stars give two classes.
        let stars_fit = labels.len() == 2;
        let candidates: Vec<&str> = match (stars_asked, stars_fit) {
            (true, _) => STARS.to_vec(),
            (false, true) => LABELS.iter().chain(&STARS).copied().collect(),
            (false, false) => LABELS.to_vec(),
        };
        let found = first(path, &candidates, columns, "--label-column or --stars-column names it")?;
        Ok(if STARS.contains(&found) { self.stars(found) } else { self.label(found, labels) })
    }

    fn label(&self, column: &str, labels: &[String]) -> Target {
        Target::Label { column: column.to_owned(), labels: labels.to_vec() }
    }

    fn stars(&self, column: &str) -> Target {
        Target::Stars {
            column: column.to_owned(),
            negative: self.negative.clone().unwrap_or_else(Stars::default_negative),
            positive: self.positive.clone().unwrap_or_else(Stars::default_positive),
        }
    }
}

/// The first of `candidates` that is a column.
fn first<'a>(
    path: &Path,
    candidates: &[&'a str],
    columns: &[String],
    help: &str,
) -> Result<&'a str, DataError> {
    let is_column = |candidate: &&&str| columns.iter().any(|column| column == **candidate);
    candidates.iter().find(is_column).copied().ok_or_else(|| {
        let quoted: Vec<String> = candidates.iter().map(|candidate| format!("`{candidate}`")).collect();
        let wanted = match quoted.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            _ => quoted.concat(),
        };
        let slip = candidates.iter().map(|name| hint(path, name, columns)).find(|hint| !hint.is_empty());
        let hint = slip.unwrap_or_default() + "; " + help;
        DataError::Column { path: path.to_owned(), wanted, columns: shown_names(columns), hint }
    })
}
