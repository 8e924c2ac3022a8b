//! Which columns of a file hold what: named by the user, or found by their names.

use super::error::{DataError, hint};
use super::file::Encoding;
use super::mapping::{Stars, Target};
use super::names::{self, IDS, LABELS, STARS, TEXTS};
use super::rows::Table;
use super::shown::{shown_column, shown_names};
use std::path::Path;

/// Which columns to read, and what to do with rows that cannot be understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    /// The column with the comment.
    pub text: String,
    /// The column with the class, and how to read it.
    pub target: Target,
    /// Whether to leave out bad rows instead of failing.
    pub skip_bad_rows: bool,
    /// The encoding of a text file, if it is told and not recognized.
    pub encoding: Option<Encoding>,
    /// What was recognized that its name does not tell, for people.
    pub remarks: Option<String>,
}

/// The column with comments, where labels do not matter.
#[derive(Clone, Debug, PartialEq)]
pub struct TextColumn {
    /// The column.
    pub text: String,
    /// The column with ids, if one has a known name.
    pub id: Option<String>,
    /// As of [`Columns`].
    pub remarks: Option<String>,
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
    /// The most stars that there are, if not five; as `negative`.
    pub scale: Option<f64>,
    /// The encoding of text files, if it is not to be recognized.
    pub encoding: Option<Encoding>,
    /// Whether to leave out bad rows instead of failing.
    pub skip_bad_rows: bool,
}

impl ColumnHints {
    /// The columns of `path`, for a network with these labels. A label is preferred to stars.
    ///
    /// # Errors
    /// A file that cannot be read, or lacks the columns.
    pub fn columns(&self, path: &Path, labels: &[String]) -> Result<Columns, DataError> {
        let table = self.open(path)?;
        let columns = table.columns();
        let text = self.text_among(path, columns)?;
        let target = match self.named_target(path, columns, labels)? {
            Some(target) => target,
            None => self.target_among(path, columns, labels)?,
        };
        let place = names::find(columns, target.column()).unwrap_or(0);
        let kind = if matches!(target, Target::Label { .. }) { "labels" } else { "stars" };
        let remarks = remarks(path, &table, text, Some((kind, place)));
        let text = columns[text].clone();
        Ok(Columns { text, target, skip_bad_rows: self.skip_bad_rows, encoding: self.encoding, remarks })
    }

    /// The column of `path` with the comment, and that with its id.
    ///
    /// # Errors
    /// As [`ColumnHints::columns`].
    pub fn text(&self, path: &Path) -> Result<TextColumn, DataError> {
        self.text_of(path, &self.open(path)?)
    }

    /// As [`ColumnHints::text`], of a file that is open.
    ///
    /// # Errors
    /// A column that is missing.
    pub fn text_of(&self, path: &Path, table: &Table) -> Result<TextColumn, DataError> {
        let columns = table.columns();
        let text = self.text_among(path, columns)?;
        let id = names::find_known(columns, &IDS).filter(|&id| id != text);
        Ok(TextColumn {
            text: columns[text].clone(),
            id: id.map(|id| columns[id].clone()),
            remarks: remarks(path, table, text, None),
        })
    }

    /// Opens the file at `path`; names that were told help to find the row with the columns' names.
    ///
    /// # Errors
    /// A file that cannot be read, or is no table.
    pub fn open(&self, path: &Path) -> Result<Table, DataError> {
        let told = [&self.text, &self.label, &self.stars];
        Table::open(path, self.encoding, told.into_iter().flatten().map(String::as_str))
    }

    fn text_among(&self, path: &Path, columns: &[String]) -> Result<usize, DataError> {
        match &self.text {
            Some(text) => names::find(columns, text).ok_or_else(|| DataError::column(path, text, columns)),
            None => first(path, &TEXTS[..6], &TEXTS, columns, "--text-column names it"),
        }
    }

    /// The target whose column was named.
    fn named_target(
        &self,
        path: &Path,
        columns: &[String],
        labels: &[String],
    ) -> Result<Option<Target>, DataError> {
        let column = |name: &String| {
            let place = names::find(columns, name).ok_or_else(|| DataError::column(path, name, columns))?;
            Ok(columns[place].clone())
        };
        Ok(match (&self.label, &self.stars) {
            (Some(label), _) => Some(label_target(column(label)?, labels)),
            (None, Some(stars)) => Some(self.star_target(column(stars)?)),
            (None, None) => None,
        })
    }

    fn target_among(&self, path: &Path, columns: &[String], labels: &[String]) -> Result<Target, DataError> {
        let stars_asked = self.negative.is_some() || self.positive.is_some() || self.scale.is_some();
        // Stars give two classes.
        let stars_fit = labels.len() == 2;
        let candidates: Vec<&str> = match (stars_asked, stars_fit) {
            (true, _) => STARS.to_vec(),
            (false, true) => LABELS.iter().chain(&STARS).copied().collect(),
            (false, false) => LABELS.to_vec(),
        };
        let shown: Vec<&str> =
            candidates.iter().copied().filter(|name| ["label", "stars", "rating"].contains(name)).collect();
        let help = "--label-column or --stars-column names it";
        let found = first(path, &shown, &candidates, columns, help)?;
        let column = columns[found].clone();
        let is_label = names::find_known(std::slice::from_ref(&column), &LABELS).is_some() && !stars_asked;
        Ok(if is_label { label_target(column, labels) } else { self.star_target(column) })
    }

    /// How stars in `column` are read.
    pub(crate) fn star_target(&self, column: String) -> Target {
        let default = |of_five: fn() -> Stars, of: fn(f64) -> Stars| match self.scale {
            Some(scale) if scale != 5.0 => of(scale),
            _ => of_five(),
        };
        Target::Stars {
            column,
            negative: self
                .negative
                .clone()
                .unwrap_or_else(|| default(Stars::default_negative, Stars::negative_of)),
            positive: self
                .positive
                .clone()
                .unwrap_or_else(|| default(Stars::default_positive, Stars::positive_of)),
            scale: self.scale,
        }
    }
}

fn label_target(column: String, labels: &[String]) -> Target {
    Target::Label { column, labels: labels.to_vec() }
}

/// What to tell about a file: what its name does not, and columns that were found by a name other than the usual ones.
fn remarks(path: &Path, table: &Table, text: usize, target: Option<(&str, usize)>) -> Option<String> {
    let columns = table.columns();
    let recognized = table.recognized().remarks(path);
    let usual = |place: usize| columns[place].is_ascii();
    if recognized.is_none() && usual(text) && target.is_none_or(|(_, place)| usual(place)) {
        return None;
    }
    let mut all: Vec<String> = recognized.into_iter().collect();
    if table.recognized().kind != crate::rows::Kind::Text {
        all.push(format!("comments in {}", shown_column(columns, text)));
    }
    if let Some((kind, place)) = target {
        all.push(format!("{kind} in {}", shown_column(columns, place)));
    }
    (!all.is_empty()).then(|| all.join(", "))
}

/// The place of the column whose name is the first of `candidates`; an error names those of `shown`.
fn first(
    path: &Path,
    shown: &[&str],
    candidates: &[&str],
    columns: &[String],
    help: &str,
) -> Result<usize, DataError> {
    names::find_known(columns, candidates).ok_or_else(|| {
        let quoted: Vec<String> = shown.iter().map(|candidate| format!("`{candidate}`")).collect();
        let wanted = match quoted.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            _ => quoted.concat(),
        };
        let slip = shown.iter().map(|name| hint(name, columns)).find(|hint| !hint.is_empty());
        let hint = slip.unwrap_or_default() + "; " + help;
        DataError::Column { path: path.to_owned(), wanted, columns: shown_names(columns), hint }
    })
}
