//! Rows of TSV, CSV and JSONL files, as a stream, and gzip of them.

mod delimited;
mod input;
mod jsonl;
mod row;

pub(crate) use row::{BadRow, Row};

use crate::error::DataError;
use input::{Format, Input};
use row::MAX_COLUMNS;
use std::path::Path;

/// The names of the columns, in the file's order; of a JSONL file those of the first object.
pub(super) fn columns(path: &Path) -> Result<Vec<String>, DataError> {
    let mut file = Input::open(path)?;
    match file.format {
        Format::Tsv => Ok(delimited::open(&mut file, b'\t')?.1),
        Format::Csv => Ok(delimited::open(&mut file, b',')?.1),
        Format::Jsonl => jsonl::columns(file),
    }
}

/// Hands the values of `names`, a text first, of every row to `take`, with the row's line number.
pub(super) fn read<E: From<DataError>>(
    path: &Path,
    names: &[&str],
    take: impl FnMut(u64, Row<'_>) -> Result<(), E>,
) -> Result<(), E> {
    assert!(names.len() <= MAX_COLUMNS, "at most {MAX_COLUMNS} columns can be read");
    let file = Input::open(path)?;
    match file.format {
        Format::Tsv => delimited::read(file, b'\t', names, take),
        Format::Csv => delimited::read(file, b',', names, take),
        Format::Jsonl => jsonl::read(file, names, take),
    }
}
