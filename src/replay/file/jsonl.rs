//! A JSON object a line, plain or in gzip members. A gzip file may be cut behind any member, so each sync ends one.

use super::rows::{Row, RowValue, Rows};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write};

/// What is kept in memory before it goes to the file.
const BUFFER_BYTES: usize = 1 << 20;

/// Writes lines.
pub(super) struct Jsonl {
    file: BufWriter<File>,
    /// The member that is being written, if the file is compressed and there is one.
    member: Option<GzEncoder<Vec<u8>>>,
    compressed: bool,
    members: usize,
    replay: String,
    line: Vec<u8>,
}

impl Jsonl {
    pub(super) fn plain(file: File, replay: &str) -> Self {
        Jsonl {
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            member: None,
            compressed: false,
            members: 0,
            replay: replay.to_owned(),
            line: Vec::new(),
        }
    }

    pub(super) fn gzip(file: File, replay: &str) -> Self {
        Jsonl { compressed: true, ..Self::plain(file, replay) }
    }

    fn end_member(&mut self) -> io::Result<()> {
        if let Some(member) = self.member.take() {
            self.file.write_all(&member.finish()?)?;
            self.members += 1;
        }
        Ok(())
    }
}

impl Rows for Jsonl {
    fn write(&mut self, row: &Row<'_>) -> io::Result<u64> {
        self.line.clear();
        write_line(row, &self.replay, &mut self.line);
        if self.compressed {
            self.member
                .get_or_insert_with(|| GzEncoder::new(Vec::new(), Compression::default()))
                .write_all(&self.line)?;
        } else {
            self.file.write_all(&self.line)?;
        }
        Ok(self.line.len() as u64)
    }

    fn sync(&mut self) -> io::Result<u64> {
        self.end_member()?;
        self.file.flush()?;
        self.file.get_ref().sync_data()?;
        self.file.stream_position()
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.compressed && self.file.stream_position()? == 0 {
            // No bytes at all are no gzip file.
            self.file.write_all(&GzEncoder::new(Vec::new(), Compression::default()).finish()?)?;
        }
        self.sync().map(drop)
    }
}

/// The verdict's object, with where it comes from.
fn write_line(row: &Row<'_>, replay: &str, line: &mut Vec<u8>) {
    match &row.value {
        RowValue::Verdict { verdict, echo, fields } => {
            verdict.write(echo, fields, line);
            // What follows goes into the same object.
            line.pop();
        }
        RowValue::Tombstone => line.extend_from_slice(b"{\"tombstone\":true"),
        RowValue::DeadLetter(dead_letter) => {
            line.extend_from_slice(b"{\"error_class\":");
            write_string(dead_letter.class.name(), line);
            line.extend_from_slice(b",\"error\":");
            write_string(&dead_letter.message, line);
        }
    }
    match row.key.map(std::str::from_utf8) {
        None => line.extend_from_slice(b",\"key\":null"),
        Some(Ok(key)) => {
            line.extend_from_slice(b",\"key\":");
            write_string(key, line);
        }
        Some(Err(_)) => {
            line.extend_from_slice(b",\"key_base64\":");
            write_string(&BASE64.encode(row.key.unwrap_or_default()), line);
        }
    }
    line.extend_from_slice(b",\"timestamp\":");
    match row.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()) {
        Some(time) => write_string(&time.to_string(), line),
        None => line.extend_from_slice(b"null"),
    }
    line.extend_from_slice(b",\"source\":");
    write_string(&format!("{}/{}/{}", row.topic, row.partition, row.offset), line);
    line.extend_from_slice(b",\"replay\":");
    write_string(replay, line);
    line.extend_from_slice(b"}\n");
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("writing a string to memory does not fail");
}
