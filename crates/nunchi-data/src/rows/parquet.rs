//! Parquet: flat columns, read in batches, row group by row group.

use super::row::{BadRow, Cell, Row};
use super::workbook::date;
use crate::error::DataError;
use crate::file::Content;
use bytes::Bytes;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Rows that are read at once.
const BATCH: usize = 1_024;
/// Most columns of a file.
const MAX_COLUMNS: usize = 16_384;
/// Days and units of a day from Excel's first day to that of Unix.
const UNIX_DAY: f64 = 25_569.0;

/// The rows of a Parquet file.
pub(super) struct ParquetRows {
    path: PathBuf,
    file: Box<dyn FileReader>,
    /// The place of each column in the file.
    leaves: Vec<usize>,
}

fn damaged(path: &Path, error: &ParquetError) -> DataError {
    // A message of the library may hold values.
    let what = match error {
        ParquetError::NYI(_) => {
            "is a Parquet file with a compression or encoding that is not known here: write it with snappy, gzip or zstd"
        }
        _ => "is a Parquet file that breaks off or is damaged: copy or make it again",
    };
    DataError::Content { path: path.to_owned(), what: what.to_owned() }
}

impl ParquetRows {
    /// The rows of `content`, and the columns that are not lists or parts of objects.
    pub(super) fn open(path: &Path, content: Content) -> Result<(Self, Vec<String>), DataError> {
        let file: Result<Box<dyn FileReader>, _> = match content {
            Content::ParquetFile(file) => SerializedFileReader::new(file).map(|file| Box::new(file) as _),
            Content::ParquetBytes(bytes) => {
                SerializedFileReader::new(Bytes::from(bytes)).map(|file| Box::new(file) as _)
            }
            _ => Err(ParquetError::General("no Parquet".to_owned())),
        };
        let file = file.map_err(|error| damaged(path, &error))?;
        let schema = file.metadata().file_metadata().schema_descr();
        let flat = (0..schema.num_columns()).filter(|&at| schema.column(at).max_rep_level() == 0);
        let (leaves, columns): (Vec<usize>, Vec<String>) =
            flat.map(|at| (at, schema.column(at).path().parts().join("."))).unzip();
        if columns.len() > MAX_COLUMNS {
            let what = format!("has more than {MAX_COLUMNS} columns");
            return Err(DataError::Content { path: path.to_owned(), what });
        }
        if file.metadata().file_metadata().num_rows() == 0 {
            return Err(DataError::NoRows(path.to_owned()));
        }
        Ok((ParquetRows { path: path.to_owned(), file, leaves }, columns))
    }

    /// Hands the cells at `places` of every row to `take`, with its number, counted from 1.
    pub(super) fn read<E: From<DataError>>(
        self,
        places: &[usize],
        names: &[String],
        mut take: impl FnMut(u64, Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut number = 0;
        for group in 0..self.file.num_row_groups() {
            let mut columns = self.columns(group, places).map_err(|error| damaged(&self.path, &error))?;
            let mut left = self.file.metadata().row_group(group).num_rows().max(0) as usize;
            while left > 0 {
                let batch = left.min(BATCH);
                for column in &mut columns {
                    column.fill(batch).map_err(|error| damaged(&self.path, &error))?;
                }
                for row in 0..batch {
                    number += 1;
                    let wrong = columns.iter().position(|column| column.cells[row].is_none());
                    if let Some(wrong) = wrong {
                        let name = crate::shown::shown_column(names, places[wrong]);
                        take(
                            number,
                            Row::Bad(BadRow { reason: format!("{name} is not UTF-8"), encoding: true }),
                        )?;
                        continue;
                    }
                    let cells: Vec<Cell<'_>> = columns
                        .iter()
                        .map(|column| column.cells[row].clone().unwrap_or(Cell::Missing))
                        .collect();
                    take(number, Row::Cells(&cells))?;
                }
                left -= batch;
            }
        }
        Ok(())
    }

    fn columns(&self, group: usize, places: &[usize]) -> Result<Vec<Column>, ParquetError> {
        let reader = self.file.get_row_group(group)?;
        let schema = self.file.metadata().file_metadata().schema_descr();
        let open = |&place: &usize| {
            let at = self.leaves[place];
            let description = schema.column(at);
            Ok(Column {
                reader: reader.get_column_reader(at)?,
                meaning: Meaning::of(&description),
                optional: description.max_def_level(),
                cells: Vec::new(),
            })
        };
        places.iter().map(open).collect()
    }
}

/// What a stored number means.
#[derive(Clone, Copy, PartialEq)]
enum Meaning {
    Plain,
    Unsigned,
    /// Digits behind the point.
    Decimal(i32),
    Days,
    /// Units of a day.
    Time(f64),
}

impl Meaning {
    fn of(column: &ColumnDescriptor) -> Self {
        match (column.logical_type_ref(), column.converted_type()) {
            (Some(LogicalType::Timestamp(timestamp)), _) => Meaning::Time(match timestamp.unit {
                TimeUnit::MILLIS => 86_400e3,
                TimeUnit::MICROS => 86_400e6,
                TimeUnit::NANOS => 86_400e9,
            }),
            (_, ConvertedType::TIMESTAMP_MILLIS) => Meaning::Time(86_400e3),
            (_, ConvertedType::TIMESTAMP_MICROS) => Meaning::Time(86_400e6),
            (_, ConvertedType::DATE) => Meaning::Days,
            (_, ConvertedType::DECIMAL) => Meaning::Decimal(column.type_scale()),
            (
                _,
                ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64,
            ) => Meaning::Unsigned,
            _ => Meaning::Plain,
        }
    }

    fn cell(self, number: i64, narrow: bool) -> Cell<'static> {
        let number_cell = |text: String| Cell::Number(Cow::Owned(text));
        let moment = |days: f64| date(days).map_or(Cell::Missing, |text| Cell::Text(Cow::Owned(text)));
        match self {
            Meaning::Plain => number_cell(number.to_string()),
            Meaning::Unsigned if narrow => number_cell((number as u32).to_string()),
            Meaning::Unsigned => number_cell((number as u64).to_string()),
            Meaning::Decimal(scale) => number_cell(decimal(number, scale)),
            Meaning::Days => moment(number as f64 + UNIX_DAY),
            Meaning::Time(units) => moment(number as f64 / units + UNIX_DAY),
        }
    }
}

/// A decimal as it is written: 1234 with a scale of 2 is 12.34.
fn decimal(number: i64, scale: i32) -> String {
    let Some(scale) = usize::try_from(scale).ok().filter(|&scale| scale > 0) else {
        return number.to_string();
    };
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    format!("{}{whole}.{part}", if number < 0 { "-" } else { "" })
}

/// A column of a row group.
struct Column {
    reader: ColumnReader,
    meaning: Meaning,
    /// The definition level of a value that is there.
    optional: i16,
    /// Those of the batch; nothing where a text is not UTF-8.
    cells: Vec<Option<Cell<'static>>>,
}

impl Column {
    fn fill(&mut self, rows: usize) -> Result<(), ParquetError> {
        let (meaning, optional) = (self.meaning, self.optional);
        let number = |text: String| Some(Cell::Number(Cow::Owned(text)));
        self.cells = match &mut self.reader {
            ColumnReader::BoolColumnReader(reader) => {
                batch(reader, rows, optional, |value| Some(Cell::Bool(value)))?
            }
            ColumnReader::Int32ColumnReader(reader) => {
                batch(reader, rows, optional, |value| Some(meaning.cell(i64::from(value), true)))?
            }
            ColumnReader::Int64ColumnReader(reader) => {
                batch(reader, rows, optional, |value| Some(meaning.cell(value, false)))?
            }
            ColumnReader::Int96ColumnReader(reader) => {
                let moment = Meaning::Time(86_400e3);
                batch(reader, rows, optional, |value| Some(moment.cell(value.to_millis(), false)))?
            }
            ColumnReader::FloatColumnReader(reader) => {
                batch(reader, rows, optional, |value| number(value.to_string()))?
            }
            ColumnReader::DoubleColumnReader(reader) => {
                batch(reader, rows, optional, |value| number(value.to_string()))?
            }
            ColumnReader::ByteArrayColumnReader(reader) => batch(reader, rows, optional, text)?,
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                batch(reader, rows, optional, |value| text(value.into()))?
            }
        };
        Ok(())
    }
}

fn text(bytes: ByteArray) -> Option<Cell<'static>> {
    match std::str::from_utf8(bytes.data()) {
        Ok("") => Some(Cell::Missing),
        Ok(text) => Some(Cell::Text(Cow::Owned(text.to_owned()))),
        Err(_) => None,
    }
}

/// The next `rows` cells of a column.
fn batch<T: DataType>(
    reader: &mut parquet::column::reader::ColumnReaderImpl<T>,
    rows: usize,
    optional: i16,
    cell: impl Fn(T::T) -> Option<Cell<'static>>,
) -> Result<Vec<Option<Cell<'static>>>, ParquetError> {
    let (mut values, mut levels) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let mut read = 0;
    while read < rows {
        let given = (optional > 0).then_some(&mut levels);
        let (records, ..) = reader.read_records(rows - read, given, None, &mut values)?;
        if records == 0 {
            return Err(ParquetError::EOF("fewer values than rows".to_owned()));
        }
        read += records;
    }
    let mut values = values.into_iter();
    let mut next = || values.next().map_or(Some(Cell::Missing), &cell);
    if optional == 0 {
        return Ok((0..rows).map(|_| next()).collect());
    }
    Ok(levels.iter().map(|&level| if level == optional { next() } else { Some(Cell::Missing) }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_and_moments_are_written_as_people_do() {
        assert_eq!(
            (decimal(1234, 2), decimal(-5, 2), decimal(7, 0)),
            ("12.34".into(), "-0.05".into(), "7".into())
        );
        let moment = Meaning::Time(86_400e3).cell(1_704_067_200_000, false);
        assert_eq!(moment.as_str(), "2024-01-01");
        assert_eq!(Meaning::Days.cell(19_723, true).as_str(), "2024-01-01");
    }
}
