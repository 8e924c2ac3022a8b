//! What is said about data files that cannot be used.

use crate::shown::{is_showable, shown_names};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// How alike a wrong column's name and one that there is must be (Jaro-Winkler) to be taken for a slip.
const ALIKE: f64 = 0.8;

/// Why a data file cannot be used.
#[derive(Debug, Error)]
pub enum DataError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        reason: std::io::Error,
    },
    /// A folder where a file should be.
    #[error("{0} is a folder; name the data file in it")]
    Folder(PathBuf),
    /// The file holds something else than a table of comments, or something that is wrong.
    #[error("{path} {what}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do.
        what: String,
    },
    /// The compressed data breaks off or is damaged.
    #[error(
        "{path}: the {kind} data breaks off or is damaged behind line {line}; copy or make the file again: {reason}"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it is compressed.
        kind: &'static str,
        /// The last line that could be read.
        line: u64,
        /// The decompressor's error.
        reason: std::io::Error,
    },
    /// A row that does not end.
    #[error("{path}: the row at line {line} {what}")]
    Endless {
        /// The file.
        path: PathBuf,
        /// Where the row begins.
        line: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A column is missing.
    #[error("{path} has no column {wanted}; it has: {columns}{hint}")]
    Column {
        /// The file.
        path: PathBuf,
        /// The column that was requested, or those that would do.
        wanted: String,
        /// The columns that there are, as far as their names may be shown.
        columns: String,
        /// What was meant, perhaps.
        hint: String,
    },
    /// Some rows cannot be understood.
    #[error(
        "{path}: {count} of {rows} rows cannot be used (rows can be left out with --skip-bad-rows): {shown}"
    )]
    Rows {
        /// The file.
        path: PathBuf,
        /// How many.
        count: u64,
        /// Of how many.
        rows: u64,
        /// The first of them, with line numbers and reasons.
        shown: String,
    },
    /// Most rows cannot be understood, which no leaving out mends.
    #[error("{path}: {count} of {rows} rows cannot be used, more than half: {hint} ({shown})")]
    MostRows {
        /// The file.
        path: PathBuf,
        /// How many.
        count: u64,
        /// Of how many.
        rows: u64,
        /// The probable cause.
        hint: &'static str,
        /// The first of them, with line numbers and reasons.
        shown: String,
    },
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(PathBuf),
    /// There is nothing but column names in it.
    #[error("{0} has column names and no rows")]
    NoRows(PathBuf),
    /// Not one row has a class.
    #[error("none of the {rows} rows of {path} stands for a class: {why}")]
    NoClass {
        /// The file.
        path: PathBuf,
        /// How many rows.
        rows: u64,
        /// Why: what was left out, or that all stars are in the middle.
        why: String,
    },
    /// Only one class occurs.
    #[error("all {rows} labelled rows of {path} are `{label}`: at least two classes are needed{left_out}")]
    OneClass {
        /// The file.
        path: PathBuf,
        /// How many rows.
        rows: usize,
        /// Their class.
        label: String,
        /// The other rows, in parentheses, if there are any.
        left_out: String,
    },
}

impl DataError {
    /// The system's error about a file.
    pub(super) fn unreadable(path: &Path, reason: std::io::Error) -> Self {
        DataError::Unreadable { path: path.to_owned(), reason }
    }

    /// The column `name` is not among `columns`.
    pub(super) fn column(path: &Path, name: &str, columns: &[String]) -> Self {
        DataError::Column {
            path: path.to_owned(),
            wanted: format!("`{name}`"),
            columns: shown_names(columns),
            hint: hint(name, columns),
        }
    }
}

/// A hint for `name`: the column that was probably meant.
pub(super) fn hint(name: &str, columns: &[String]) -> String {
    let alike = |column: &String| strsim::jaro_winkler(&column.to_lowercase(), &name.to_lowercase());
    let shown = columns.iter().filter(|column| is_showable(column));
    let nearest = shown.map(|column| (alike(column), column)).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((alike, column)) if alike >= ALIKE => format!(" (is `{column}` meant?)"),
        _ => String::new(),
    }
}
