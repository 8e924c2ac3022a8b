//! A Parquet file: a column for each part of a verdict, snappy, in row groups.

use super::rows::{Row, RowValue, Rows};
use nunchi_engine::score::WrittenScore;
use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// Rows of a group at most.
const MAX_GROUP_ROWS: usize = 65_536;
/// Bytes of a group at most, before compression: what is kept in memory. Keys, echoed fields and errors may be as large as
/// records are, so that rows alone bound nothing.
const MAX_GROUP_BYTES: u64 = 32 << 20;
/// Bytes that a row takes beside its texts.
const ROW_BYTES: usize = 64;

/// The columns, in the order of [`Columns`].
const SCHEMA: &str = "
message verdict {
  required binary source_topic (STRING);
  required int32 source_partition;
  required int64 source_offset;
  optional int64 timestamp (TIMESTAMP(MILLIS, true));
  optional binary key;
  optional binary id (STRING);
  optional binary label (STRING);
  optional double score;
  optional binary scores (STRING);
  optional binary model (STRING);
  optional boolean truncated;
  optional binary fields (STRING);
  optional binary error_class (STRING);
  optional binary error (STRING);
  optional boolean unsure;
}";

/// Values of a column, and for each row whether it has one.
struct Column<T> {
    values: Vec<T>,
    levels: Vec<i16>,
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Column { values: Vec::new(), levels: Vec::new() }
    }
}

impl<T> Column<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

/// A group's columns.
#[derive(Default)]
struct Columns {
    topic: Column<ByteArray>,
    partition: Column<i32>,
    offset: Column<i64>,
    timestamp: Column<i64>,
    key: Column<ByteArray>,
    id: Column<ByteArray>,
    label: Column<ByteArray>,
    score: Column<f64>,
    scores: Column<ByteArray>,
    model: Column<ByteArray>,
    truncated: Column<bool>,
    fields: Column<ByteArray>,
    error_class: Column<ByteArray>,
    error: Column<ByteArray>,
    unsure: Column<bool>,
}

/// Writes row groups.
pub(super) struct Parquet {
    writer: SerializedFileWriter<File>,
    columns: Columns,
    /// Bytes of `columns`.
    bytes: u64,
}

impl Parquet {
    pub(super) fn new(file: File) -> Result<Self, ParquetError> {
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
        let writer = SerializedFileWriter::new(file, schema, properties)?;
        Ok(Parquet { writer, columns: Columns::default(), bytes: 0 })
    }

    fn end_group(&mut self) -> Result<(), ParquetError> {
        let columns = std::mem::take(&mut self.columns);
        self.bytes = 0;
        if columns.topic.levels.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        let mut place = 0;
        while let Some(mut writer) = group.next_column()? {
            columns.write(place, &mut writer)?;
            writer.close()?;
            place += 1;
        }
        group.close().map(drop)
    }
}

impl Columns {
    /// Takes a row; how many bytes it holds.
    fn push(&mut self, row: &Row<'_>) -> u64 {
        let mut bytes = ROW_BYTES + row.topic.len() + row.key.map_or(0, <[u8]>::len);
        let text = |text: &str| Some(ByteArray::from(text.as_bytes().to_vec()));
        self.topic.push(text(row.topic));
        self.partition.push(Some(row.partition));
        self.offset.push(Some(row.offset));
        self.timestamp.push(row.timestamp_ms);
        self.key.push(row.key.map(|key| ByteArray::from(key.to_vec())));
        let dead_letter = match &row.value {
            RowValue::DeadLetter(dead_letter) => {
                bytes += dead_letter.message.len();
                Some(dead_letter)
            }
            RowValue::Verdict { .. } | RowValue::Tombstone => None,
        };
        self.error_class.push(dead_letter.and_then(|dead_letter| text(dead_letter.class.name())));
        self.error.push(dead_letter.and_then(|dead_letter| text(&dead_letter.message)));
        let RowValue::Verdict { verdict, echo, fields } = &row.value else {
            for column in [&mut self.id, &mut self.label, &mut self.scores, &mut self.model, &mut self.fields]
            {
                column.push(None);
            }
            self.score.push(None);
            self.truncated.push(None);
            self.unsure.push(None);
            return bytes as u64;
        };
        let prediction = verdict.prediction;
        // A string without its quotes; a number as it came.
        let id = verdict.id.map(|id| serde_json::from_str::<String>(id).unwrap_or_else(|_| id.to_owned()));
        self.id.push(id.as_deref().and_then(text));
        self.label.push(verdict.labels.get(prediction.label).and_then(|label| text(label)));
        self.score.push(Some(WrittenScore::new(prediction.score).value()));
        let scores: serde_json::Map<String, serde_json::Value> = verdict
            .labels
            .iter()
            .zip(&prediction.scores)
            .map(|(label, &score)| (label.clone(), WrittenScore::new(score).value().into()))
            .collect();
        let scores = (!scores.is_empty()).then(|| serde_json::Value::Object(scores).to_string());
        self.scores.push(scores.as_deref().and_then(text));
        self.model.push(text(verdict.model));
        self.truncated.push(Some(prediction.truncated));
        self.unsure.push(prediction.unsure.map(|_| true));
        let present: Vec<String> = echo
            .iter()
            .zip(*fields)
            .filter_map(|(name, value)| Some(format!("{}:{}", serde_json::json!(name), (*value)?)))
            .collect();
        let object = (!echo.is_empty()).then(|| format!("{{{}}}", present.join(",")));
        self.fields.push(object.as_deref().and_then(text));
        for part in [&id, &scores, &object] {
            bytes += part.as_ref().map_or(0, String::len);
        }
        bytes as u64
    }

    /// Writes the column at `place` of the schema. Required ones have no levels.
    fn write(&self, place: usize, writer: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let mut bytes = |column: &Column<ByteArray>, optional: bool| {
            let levels = optional.then_some(&column.levels[..]);
            writer.typed::<ByteArrayType>().write_batch(&column.values, levels, None).map(drop)
        };
        match place {
            0 => bytes(&self.topic, false),
            4 => bytes(&self.key, true),
            5 => bytes(&self.id, true),
            6 => bytes(&self.label, true),
            8 => bytes(&self.scores, true),
            9 => bytes(&self.model, true),
            11 => bytes(&self.fields, true),
            12 => bytes(&self.error_class, true),
            13 => bytes(&self.error, true),
            1 => writer.typed::<Int32Type>().write_batch(&self.partition.values, None, None).map(drop),
            2 => writer.typed::<Int64Type>().write_batch(&self.offset.values, None, None).map(drop),
            3 => {
                let levels = Some(&self.timestamp.levels[..]);
                writer.typed::<Int64Type>().write_batch(&self.timestamp.values, levels, None).map(drop)
            }
            7 => {
                let levels = Some(&self.score.levels[..]);
                writer.typed::<DoubleType>().write_batch(&self.score.values, levels, None).map(drop)
            }
            10 | 14 => {
                let column = if place == 10 { &self.truncated } else { &self.unsure };
                let levels = Some(&column.levels[..]);
                writer.typed::<BoolType>().write_batch(&column.values, levels, None).map(drop)
            }
            other => unreachable!("the schema has 15 columns, not {}", other + 1),
        }
    }
}

impl Rows for Parquet {
    fn write(&mut self, row: &Row<'_>) -> io::Result<u64> {
        let bytes = self.columns.push(row);
        self.bytes += bytes;
        if self.columns.topic.levels.len() >= MAX_GROUP_ROWS || self.bytes >= MAX_GROUP_BYTES {
            self.end_group().map_err(io::Error::other)?;
        }
        Ok(bytes)
    }

    /// A Parquet file cannot be read before its footer is written: it starts anew after a kill.
    fn sync(&mut self) -> io::Result<u64> {
        Ok(0)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.end_group().map_err(io::Error::other)?;
        self.writer.finish().map_err(io::Error::other)?;
        self.writer.inner().sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Verdict;
    use nunchi_engine::Prediction;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};

    #[test]
    fn a_group_is_bounded_by_its_bytes() {
        let path = std::env::temp_dir().join(format!("nunchi-parquet-{:08x}.parquet", rand::random::<u32>()));
        let mut parquet =
            Parquet::new(File::create(&path).expect("a temporary file")).expect("the schema is right");
        let (labels, echo) = (["negative", "positive"].map(String::from), ["text".to_owned()]);
        let (prediction, text) = (Prediction::default(), format!("\"{}\"", "a".repeat(1 << 20)));
        for offset in 0..80 {
            let verdict =
                Verdict { id: None, prediction: &prediction, labels: &labels, model: "0123456789ab" };
            let value = RowValue::Verdict { verdict, echo: &echo, fields: &[Some(&text)] };
            let row = Row { topic: "comments", partition: 0, offset, timestamp_ms: None, key: None, value };
            let bytes = parquet.write(&row).expect("there is room");
            assert!((1 << 20..(1 << 20) + 1_000).contains(&bytes), "{bytes}");
        }
        parquet.finish().expect("there is room");
        let reader =
            SerializedFileReader::new(File::open(&path).expect("it was written")).expect("it is whole");
        let rows: Vec<i64> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
        std::fs::remove_file(&path).expect("it was written");
        assert_eq!(rows, [32, 32, 16], "32 MiB each");
    }
}
