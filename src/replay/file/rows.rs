//! What a file holds of a record, whatever the file's form.

use crate::record::{DeadLetter, Verdict};
use crate::replay::error::ReplayError;
use std::io;
use std::path::Path;

/// A file's form, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `.jsonl`: a JSON object a line.
    Jsonl,
    /// `.jsonl.gz`: the same, one gzip member a commit.
    JsonlGz,
    /// `.parquet`.
    Parquet,
}

impl Form {
    /// The form of the file at `path`.
    ///
    /// # Errors
    /// The end of the name says nothing.
    pub fn of(path: &Path) -> Result<Self, ReplayError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let plain = |name: &str| [".jsonl", ".ndjson", ".json"].iter().any(|end| name.ends_with(end));
        match name.strip_suffix(".gz") {
            Some(inner) if plain(inner) => Ok(Form::JsonlGz),
            None if plain(&name) => Ok(Form::Jsonl),
            None if name.ends_with(".parquet") => Ok(Form::Parquet),
            _ => Err(ReplayError::Usage(format!(
                "the name of {} (--to-file) does not say its form; it must end in .jsonl, .jsonl.gz or .parquet",
                path.display()
            ))),
        }
    }

    /// Whether a file that was begun can go on; else it begins anew.
    pub(crate) fn goes_on(self) -> bool {
        self != Form::Parquet
    }
}

/// A record and what became of it.
pub(crate) struct Row<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) what: What<'a>,
}

/// What became of a record.
pub(crate) enum What<'a> {
    /// It was judged.
    Verdict {
        verdict: Verdict<'a>,
        /// Names of echoed fields.
        echo: &'a [String],
        /// Their JSON.
        fields: &'a [Option<&'a str>],
    },
    /// It had no value.
    Tombstone,
    /// It cannot be judged.
    DeadLetter(&'a DeadLetter),
}

/// Writes rows to a file.
pub(crate) trait Rows {
    /// Writes a row; how many bytes it took, before compression.
    fn write(&mut self, row: &Row<'_>) -> io::Result<u64>;

    /// Brings everything so far to the disk; the file's length then.
    fn commit(&mut self) -> io::Result<u64>;

    /// Writes what the end of such a file holds, and brings it to the disk.
    fn finish(&mut self) -> io::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_the_form() {
        for (name, form) in [
            ("a/out.jsonl", Form::Jsonl),
            ("OUT.JSON", Form::Jsonl),
            ("out.jsonl.gz", Form::JsonlGz),
            ("out.parquet", Form::Parquet),
            ("out.jsonl.parquet", Form::Parquet),
        ] {
            assert_eq!(Form::of(Path::new(name)).unwrap(), form, "{name}");
        }
        for name in ["out", "out.csv", "out.gz", "out.parquet.gz", ".."] {
            assert!(Form::of(Path::new(name)).is_err(), "{name}");
        }
    }
}
