//! What a file holds of a record, whatever the file's format.

use super::super::error::ReplayError;
use crate::record::{DeadLetter, Verdict};
use std::io;
use std::path::Path;

/// A file's format, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// `.jsonl`: a JSON object a line.
    Jsonl,
    /// `.jsonl.gz`: the same, one gzip member a commit.
    JsonlGz,
    /// `.parquet`.
    Parquet,
}

impl FileFormat {
    /// The format of the file at `path`.
    ///
    /// # Errors
    /// A name with another ending.
    pub fn of(path: &Path) -> Result<Self, ReplayError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let plain = |name: &str| [".jsonl", ".ndjson", ".json"].iter().any(|end| name.ends_with(end));
        match name.strip_suffix(".gz") {
            Some(inner) if plain(inner) => Ok(FileFormat::JsonlGz),
            None if plain(&name) => Ok(FileFormat::Jsonl),
            None if name.ends_with(".parquet") => Ok(FileFormat::Parquet),
            _ => Err(ReplayError::Usage(format!(
                "the name of {} (--to-file) has no known ending; it must end in .jsonl, .jsonl.gz or .parquet",
                path.display()
            ))),
        }
    }

    /// Whether a file that was begun can go on; else it begins anew.
    pub(super) fn goes_on(self) -> bool {
        self != FileFormat::Parquet
    }
}

/// A record and its outcome.
pub(super) struct Row<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: RowValue<'a>,
}

/// The outcome of a record.
pub(super) enum RowValue<'a> {
    /// It was classified.
    Verdict {
        verdict: Verdict<'a>,
        /// Names of echoed fields.
        echo: &'a [String],
        /// Their JSON.
        fields: &'a [Option<&'a str>],
    },
    /// It had no value.
    Tombstone,
    /// It cannot be classified.
    DeadLetter(&'a DeadLetter),
}

/// Writes rows to a file.
pub(super) trait Rows {
    /// Writes a row; how many bytes it took, before compression.
    fn write(&mut self, row: &Row<'_>) -> io::Result<u64>;

    /// Brings everything so far to the disk; the file's length then.
    fn sync(&mut self) -> io::Result<u64>;

    /// Writes what the end of such a file holds, and brings it to the disk.
    fn finish(&mut self) -> io::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_the_format() {
        for (name, format) in [
            ("a/out.jsonl", FileFormat::Jsonl),
            ("OUT.JSON", FileFormat::Jsonl),
            ("out.jsonl.gz", FileFormat::JsonlGz),
            ("out.parquet", FileFormat::Parquet),
            ("out.jsonl.parquet", FileFormat::Parquet),
        ] {
            assert_eq!(FileFormat::of(Path::new(name)).unwrap(), format, "{name}");
        }
        for name in ["out", "out.csv", "out.gz", "out.parquet.gz", ".."] {
            assert!(FileFormat::of(Path::new(name)).is_err(), "{name}");
        }
    }
}
