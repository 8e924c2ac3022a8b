//! Comments out of files, one after another; rows that cannot be understood are counted, and decide in the end.

use super::columns::Columns;
use super::error::DataError;
use super::mapping::Target;
use super::rows::{self, BadRow, Row};
use super::shown::shown_value;
use std::path::Path;

/// Bad rows that an error shows; it counts the others.
const MAX_SHOWN: u64 = 3;

/// One labeled comment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Example<'a> {
    /// The comment.
    pub text: &'a str,
    /// Its class: an index into the labels.
    pub class: usize,
    /// The soft label: a teacher's probability of positive.
    pub soft: Option<f32>,
}

/// One comment that needs no label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comment<'a> {
    /// The comment.
    pub text: &'a str,
    /// The soft label: a teacher's probability of positive.
    pub soft: Option<f32>,
}

/// What was found in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Labeled rows by class.
    pub classes: Vec<usize>,
    /// Rows whose stars stand for no class.
    pub dropped: usize,
    /// Rows that were left out because they could not be understood.
    pub bad: usize,
}

impl Counts {
    /// All labeled rows.
    pub fn labeled(&self) -> usize {
        self.classes.iter().sum()
    }
}

/// Reads every labeled comment of `path` in order and hands it to `visit`.
///
/// # Errors
/// See [`DataError`]; bad rows are counted to the end, so that one run shows how many there are. One class alone is
/// no error here: see [`require_classes`].
pub fn read(path: &Path, columns: &Columns, mut visit: impl FnMut(Example<'_>)) -> Result<Counts, DataError> {
    try_read(path, columns, None, |example| {
        visit(example);
        Ok(())
    })
}

/// As [`read`], with the value of column `by` of each row.
///
/// # Errors
/// As [`read`].
pub fn read_by(
    path: &Path,
    columns: &Columns,
    by: &str,
    mut visit: impl FnMut(Example<'_>, &str),
) -> Result<Counts, DataError> {
    read_rows(path, columns, None, Some(by), |example, value| {
        visit(example, value);
        Ok(())
    })
}

/// As [`read`], until `visit` fails; with the soft labels in column `soft`, if one is named.
///
/// # Errors
/// As [`read`], and those of `visit`.
pub fn try_read<E: From<DataError>>(
    path: &Path,
    columns: &Columns,
    soft: Option<&str>,
    mut visit: impl FnMut(Example<'_>) -> Result<(), E>,
) -> Result<Counts, E> {
    read_rows(path, columns, soft, None, |example, _| visit(example))
}

/// Reads every labeled comment with its soft label in `soft` and its value in `by`, where these columns are named.
fn read_rows<E: From<DataError>>(
    path: &Path,
    columns: &Columns,
    soft: Option<&str>,
    by: Option<&str>,
    mut visit: impl FnMut(Example<'_>, &str) -> Result<(), E>,
) -> Result<Counts, E> {
    let mut counts = Counts { classes: vec![0; columns.target.classes()], ..Counts::default() };
    let mut tally = Tally::default();
    let names: Vec<&str> =
        [columns.text.as_str(), columns.target.column()].into_iter().chain(by).chain(soft).collect();
    rows::read(path, &names, |line, row: Row<'_>| {
        let example = row.and_then(|values| {
            let class = columns.target.class(values[1])?;
            let value = if by.is_some() { values[2] } else { "" };
            let soft = probability(soft, values.get(2 + usize::from(by.is_some())).copied())?;
            Ok((values[0], class, soft, value))
        });
        match tally.count(line, example) {
            Some((text, Some(class), soft, value)) => {
                counts.classes[class] += 1;
                visit(Example { text, class, soft }, value)
            }
            Some((_, None, ..)) => {
                counts.dropped += 1;
                Ok(())
            }
            None => Ok(()),
        }
    })?;
    counts.bad = tally.end(path, columns.skip_bad_rows)? as usize;
    if counts.labeled() == 0 {
        return Err(DataError::NoClass { path: path.to_owned(), rows: tally.rows }.into());
    }
    Ok(counts)
}

/// Reads every comment in column `text` of `path` in order, labeled or not, until `visit` fails; with the soft
/// labels in column `soft`, if one is named. Returns how many rows could not be understood.
///
/// # Errors
/// As [`read`], and those of `visit`.
pub fn read_comments<E: From<DataError>>(
    path: &Path,
    text: &str,
    soft: Option<&str>,
    skip_bad_rows: bool,
    mut visit: impl FnMut(Comment<'_>) -> Result<(), E>,
) -> Result<usize, E> {
    let mut tally = Tally::default();
    let names: Vec<&str> = [text].into_iter().chain(soft).collect();
    rows::read(path, &names, |line, row: Row<'_>| {
        let comment = row.and_then(|values| {
            Ok(Comment { text: values[0], soft: probability(soft, values.get(1).copied())? })
        });
        tally.count(line, comment).map_or(Ok(()), &mut visit)
    })?;
    Ok(tally.end(path, skip_bad_rows)? as usize)
}

/// A probability as it stands in `column`; nothing where nothing stands.
fn probability(column: Option<&str>, value: Option<&str>) -> Result<Option<f32>, BadRow> {
    let (Some(column), Some(value)) = (column, value.map(str::trim).filter(|value| !value.is_empty())) else {
        return Ok(None);
    };
    match value.parse::<f32>() {
        Ok(probability) if (0.0..=1.0).contains(&probability) => Ok(Some(probability)),
        _ => Err(BadRow::from(format!("`{column}` is {}, not a probability", shown_value(value)))),
    }
}

/// Refuses data of one class alone: nothing can be learned or measured on it.
///
/// # Errors
/// [`DataError::OneClass`], naming `path`.
pub fn require_classes(path: &Path, target: &Target, counts: &Counts) -> Result<(), DataError> {
    let mut present = (0..counts.classes.len()).filter(|&class| counts.classes[class] > 0);
    match (present.next(), present.next()) {
        (Some(only), None) => Err(DataError::OneClass {
            path: path.to_owned(),
            rows: counts.labeled(),
            label: target.label(only).to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Counts rows, and keeps the first that cannot be used.
#[derive(Default)]
struct Tally {
    rows: u64,
    bad: u64,
    wrong_bytes: u64,
    /// The first bad rows: their lines, by reason.
    shown: Vec<(String, Vec<u64>)>,
}

impl Tally {
    fn count<T>(&mut self, line: u64, row: Result<T, BadRow>) -> Option<T> {
        self.rows += 1;
        row.map_err(|bad| {
            self.bad += 1;
            self.wrong_bytes += u64::from(bad.encoding);
            if self.bad <= MAX_SHOWN {
                match self.shown.iter_mut().find(|(reason, _)| *reason == bad.reason) {
                    Some((_, lines)) => lines.push(line),
                    None => self.shown.push((bad.reason, vec![line])),
                }
            }
        })
        .ok()
    }

    /// The first bad rows in words.
    fn shown(&self) -> String {
        let of_reason = |(reason, lines): &(String, Vec<u64>)| {
            let numbers: Vec<String> = lines.iter().map(u64::to_string).collect();
            format!("line{} {}: {reason}", if lines.len() > 1 { "s" } else { "" }, numbers.join(", "))
        };
        let shown: Vec<String> = self.shown.iter().map(of_reason).collect();
        shown.join("; ") + if self.bad > MAX_SHOWN { "; …" } else { "" }
    }

    /// How many rows were bad, if one may go on so.
    fn end(&self, path: &Path, skip_bad_rows: bool) -> Result<u64, DataError> {
        let (path, count, rows) = (path.to_owned(), self.bad, self.rows);
        let shown = self.shown();
        if rows == 0 {
            Err(DataError::NoRows(path))
        } else if 2 * count > rows {
            let hint = if 2 * self.wrong_bytes > count {
                "is it in another encoding? Then make it UTF-8, for instance with iconv -f CP949 -t UTF-8"
            } else {
                "are these the right file, columns and labels?"
            };
            Err(DataError::MostRows { path, count, rows, hint, shown })
        } else if count > 0 && !skip_bad_rows {
            Err(DataError::Rows { path, count, rows, shown })
        } else {
            Ok(count)
        }
    }
}
