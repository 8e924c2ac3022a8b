//! Verdicts as Parquet: the input's columns as texts, the score as a number.

use anyhow::Context as _;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use std::io::Write;
use std::sync::Arc;

/// Rows of a group at most.
const MAX_GROUP_ROWS: usize = 65_536;
/// Bytes of a group at most, before compression.
const MAX_GROUP_BYTES: usize = 32 << 20;

/// Writes row groups.
pub(super) struct Parquet {
    writer: SerializedFileWriter<Box<dyn Write + Send>>,
    /// The texts of each column but that of the score.
    texts: Vec<(Vec<ByteArray>, Vec<i16>)>,
    scores: (Vec<f64>, Vec<i16>),
    /// The place of the score among all columns.
    score: usize,
    rows: usize,
    bytes: usize,
}

impl Parquet {
    /// A file with these columns; one of them is the score.
    pub(super) fn new(out: impl Write + Send + 'static, columns: &[String]) -> anyhow::Result<Self> {
        let score = columns.iter().rposition(|name| name == "score" || name.ends_with("_score")).unwrap_or(0);
        let fields = columns.iter().enumerate().map(|(place, name)| {
            // A column without a name has its number.
            let name = if name.is_empty() { format!("column_{}", place + 1) } else { name.clone() };
            let builder = if place == score {
                Type::primitive_type_builder(&name, Physical::DOUBLE)
            } else {
                Type::primitive_type_builder(&name, Physical::BYTE_ARRAY)
                    .with_logical_type(Some(LogicalType::String))
            };
            builder.with_repetition(Repetition::OPTIONAL).build().map(Arc::new)
        });
        let fields = fields.collect::<Result<Vec<_>, _>>().context("cannot make the schema of the output")?;
        let schema = Type::group_type_builder("verdict").with_fields(fields).build()?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let out: Box<dyn Write + Send> = Box::new(out);
        let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
        let texts = vec![(Vec::new(), Vec::new()); columns.len() - 1];
        Ok(Parquet { writer, texts, scores: (Vec::new(), Vec::new()), score, rows: 0, bytes: 0 })
    }

    /// Adds a row: the cells of all columns but the score, which stands at place `score`.
    pub(super) fn push(&mut self, cells: &[Option<&str>], score: usize, value: Option<f64>) {
        debug_assert_eq!(score, self.score, "the score's column is where the schema has it");
        for ((values, levels), cell) in self.texts.iter_mut().zip(cells) {
            levels.push(i16::from(cell.is_some()));
            self.bytes += cell.map_or(0, str::len) + 16;
            values.extend(cell.map(|cell| ByteArray::from(cell.as_bytes().to_vec())));
        }
        self.scores.1.push(i16::from(value.is_some()));
        self.scores.0.extend(value);
        self.rows += 1;
    }

    /// Writes a group if there are enough rows; whether more can be written.
    pub(super) fn flush(&mut self) -> anyhow::Result<bool> {
        if self.rows < MAX_GROUP_ROWS && self.bytes < MAX_GROUP_BYTES {
            return Ok(true);
        }
        self.end_group()
    }

    fn end_group(&mut self) -> anyhow::Result<bool> {
        if self.rows == 0 {
            return Ok(true);
        }
        (self.rows, self.bytes) = (0, 0);
        let mut texts = self.texts.iter_mut();
        let mut write = || -> Result<(), parquet::errors::ParquetError> {
            let mut group = self.writer.next_row_group()?;
            let mut place = 0;
            while let Some(mut column) = group.next_column()? {
                if place == self.score {
                    let (values, levels) = std::mem::take(&mut self.scores);
                    column.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?;
                } else if let Some(text) = texts.next() {
                    let (values, levels) = std::mem::take(text);
                    column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
                }
                column.close()?;
                place += 1;
            }
            group.close().map(drop)
        };
        // The printer keeps an error of standard output, and tells it at the end; a closed pipe is none.
        Ok(write().is_ok())
    }

    /// Writes the rest and the end of the file.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        if self.end_group()? {
            let _ = self.writer.close();
        }
        Ok(())
    }
}
