//! TSV and CSV: the first line names the columns.

use super::input::{BUFFER, Input};
use super::row::{BadRow, MAX_COLUMNS, Row};
use crate::error::DataError;
use std::io::{self, Read};

/// A row over more lines holds other rows.
const MAX_LINES: u64 = 200;
/// A row behind the last one of a CSV: if it does not come out, a quotation mark swallowed it.
const LAST_ROW: &[u8] = b"\n\x01\n";

/// What is behind the line with the column names.
type Records = csv::Reader<Box<dyn Read>>;

/// The result of a reader of delimited rows.
fn csv_error(input: &Input, error: csv::Error, line: u64) -> DataError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => input.error(error, line),
        other => input.error(io::Error::other(format!("{other:?}")), line),
    }
}

/// A reader of the rows behind the line with the column names, and these.
pub(super) fn open(input: &mut Input, delimiter: u8) -> Result<(Records, Vec<String>), DataError> {
    let reader = std::mem::replace(&mut input.reader, Box::new(io::empty()));
    let quoting = delimiter != b'\t';
    let reader: Box<dyn Read> = if quoting { Box::new(reader.chain(LAST_ROW)) } else { Box::new(reader) };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(quoting)
        .flexible(true)
        .buffer_capacity(BUFFER)
        .from_reader(reader);
    let header = reader.byte_headers().map_err(|error| csv_error(input, error, 0))?;
    if quoting && header.iter().next_back().is_some_and(|last| last.ends_with(LAST_ROW)) {
        return Err(unclosed(input, 1));
    }
    if header.is_empty() || (quoting && header.as_slice() == [1]) {
        return Err(DataError::Empty(input.path.clone()));
    }
    let columns = header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    Ok((reader, columns))
}

fn unclosed(input: &Input, line: u64) -> DataError {
    let what = "has a quotation mark that is never closed (a quotation mark in a text is written twice)";
    DataError::Endless { path: input.path.clone(), line, what }
}

/// Hands every row to `take`.
pub(super) fn read<E: From<DataError>>(
    mut input: Input,
    delimiter: u8,
    names: &[&str],
    mut take: impl FnMut(u64, Row<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut reader, columns) = open(&mut input, delimiter)?;
    let mut places = [0; MAX_COLUMNS];
    for (place, name) in places.iter_mut().zip(names) {
        let found = columns.iter().position(|column| column == name);
        *place = found.ok_or_else(|| DataError::column(&input.path, name, &columns))?;
    }
    let mut record = csv::ByteRecord::new();
    let mut before = reader.position().line() - 1;
    loop {
        input.begin_row();
        if !reader.read_byte_record(&mut record).map_err(|error| csv_error(&input, error, before))? {
            return Ok(());
        }
        let line = record.position().map_or(before + 1, csv::Position::line);
        if delimiter == b',' {
            if record.as_slice() == [1] && record.len() == 1 {
                return Ok(());
            }
            if record.iter().next_back().is_some_and(|last| last.ends_with(LAST_ROW)) {
                return Err(unclosed(&input, line).into());
            }
        }
        before = reader.position().line() - 1;
        let mut values = [""; MAX_COLUMNS];
        let row = fields(&record, &columns, &places[..names.len()], names, &mut values);
        let row = row.and_then(|()| {
            let lines = before + 1 - line;
            if lines > MAX_LINES {
                return Err(BadRow::from(format!("runs over {lines} lines: a quotation mark is not closed")));
            }
            Ok(&values[..names.len()])
        });
        take(line, row)?;
    }
}

/// Puts the fields at `places` into `values`.
fn fields<'a>(
    record: &'a csv::ByteRecord,
    columns: &[String],
    places: &[usize],
    names: &[&str],
    values: &mut [&'a str],
) -> Result<(), BadRow> {
    if record.iter().skip(columns.len()).any(|extra| !extra.is_empty()) {
        return Err(BadRow::from(format!(
            "has {} columns instead of {}: a text with the separator in it must be quoted in a CSV and cannot be in \
             a TSV",
            record.len(),
            columns.len()
        )));
    }
    for ((&place, name), value) in places.iter().zip(names).zip(values) {
        let bytes = record
            .get(place)
            .ok_or_else(|| BadRow::from(format!("has {} columns, too few for `{name}`", record.len())))?;
        *value = std::str::from_utf8(bytes)
            .map_err(|_| BadRow { reason: format!("`{name}` is not UTF-8"), encoding: true })?;
    }
    Ok(())
}
