//! CSV, TSV and their like: a row names the columns, the rows behind it are data.

use super::record::{MAX_COLUMNS, Record, Records, Unclosed};
use super::row::{BadRow, Cell, Row};
use super::sniff::sniff;
use crate::error::DataError;
use crate::file::{Lines, TextInput, read_error};
use crate::names::Names;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// A row over more lines holds other rows.
const MAX_LINES: u64 = 200;

/// The rows of a delimited text.
pub(super) struct Delimited {
    path: PathBuf,
    layers: Vec<&'static str>,
    records: Records,
    encoding: &'static str,
    width: usize,
}

/// What the beginning of a text shows.
pub(super) enum Opened {
    /// A table: its rows, its columns and the line of their names.
    Table(Delimited, Vec<String>, u64),
    /// No table: each line is a comment by itself.
    Plain(Lines),
}

impl Delimited {
    /// A reader of `text`, which stands behind the row with the columns' names.
    pub(super) fn open(
        path: &Path,
        layers: &[&'static str],
        text: TextInput,
        ending: &str,
        wanted: &Names,
    ) -> Result<Opened, DataError> {
        if text.whole && text.head.trim_ascii().is_empty() {
            return Err(DataError::Empty(path.to_owned()));
        }
        let sniffed = sniff(&text.head, text.whole, ending, wanted);
        let lines = Lines::new(text.reader, &text.head);
        let Some(header) = sniffed.header else { return Ok(Opened::Plain(lines)) };
        let mut rows = Delimited {
            path: path.to_owned(),
            layers: layers.to_vec(),
            records: Records::new(lines, sniffed.delimiter),
            encoding: text.encoding.name(),
            width: 0,
        };
        let mut record = Record::default();
        while rows.next(&mut record)? {
            if record.line < header || (record.line == header && record.is_blank()) {
                continue;
            }
            if record.overfull {
                let what =
                    format!("has more than {MAX_COLUMNS} columns in line {}: is it a table?", record.line);
                return Err(DataError::Content { path: path.to_owned(), what });
            }
            let columns =
                record.fields().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
            rows.width = record.len();
            rows.records.width = Some(record.len());
            return Ok(Opened::Table(rows, columns, record.line));
        }
        Err(DataError::Empty(path.to_owned()))
    }

    pub(super) fn delimiter(&self) -> u8 {
        self.records.delimiter
    }

    fn next(&mut self, record: &mut Record) -> Result<bool, DataError> {
        let before = self.records.lines.number;
        match self.records.next(record) {
            Ok(Ok(more)) => Ok(more),
            Ok(Err(Unclosed(line))) => {
                let what =
                    "has a quotation mark that is never closed (a quotation mark in a text is written twice)";
                Err(DataError::Endless { path: self.path.clone(), line, what })
            }
            Err(error) => Err(read_error(&self.path, &self.layers, error, before)),
        }
    }

    /// Hands the cells at `places` of every row to `take`, and the names of the columns for messages.
    pub(super) fn read<E: From<DataError>>(
        mut self,
        places: &[usize],
        names: &[String],
        mut take: impl FnMut(u64, Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut record = Record::default();
        while self.next(&mut record)? {
            if record.is_blank() {
                // An empty line between rows or at the end is no row.
                if record.len() > 1 {
                    take(record.line, Row::Blank)?;
                }
                continue;
            }
            match self.cells(&record, places, names) {
                Ok(cells) => take(record.line, Row::Cells(&cells))?,
                Err(bad) => take(record.line, Row::Bad(bad))?,
            }
        }
        Ok(())
    }

    fn cells<'a>(
        &self,
        record: &'a Record,
        places: &[usize],
        names: &[String],
    ) -> Result<Vec<Cell<'a>>, BadRow> {
        if record.lines > MAX_LINES {
            let lines = record.lines;
            return Err(BadRow::from(format!("runs over {lines} lines: a quotation mark is not closed")));
        }
        if record.overfull || record.fields().skip(self.width).any(|extra| !extra.trim_ascii().is_empty()) {
            return Err(BadRow::from(format!(
                "has {} columns instead of {}: a text with the separator in it must be quoted in a CSV and cannot be in \
                 a TSV",
                record.len(),
                self.width
            )));
        }
        let name = |place: usize| crate::shown::shown_column(names, place);
        places
            .iter()
            .map(|&place| {
                let bytes = record.get(place).ok_or_else(|| {
                    BadRow::from(format!("has {} columns, too few for {}", record.len(), name(place)))
                })?;
                let text = std::str::from_utf8(bytes).map_err(|_| BadRow {
                    reason: format!("{} is not {}", name(place), self.encoding),
                    encoding: true,
                })?;
                Ok(if text.is_empty() { Cell::Missing } else { Cell::Text(Cow::Borrowed(text)) })
            })
            .collect()
    }
}
