//! Rows of TSV, CSV and JSONL files, as a stream, and gzip of them.

use super::error::DataError;
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Files are read in pieces of this many bytes.
const BUFFER: usize = 1 << 18;
/// Longer rows are no comments: a quotation mark that is not closed, or no text file.
const MAX_ROW: usize = 1 << 24;
/// A row over more lines holds other rows.
const MAX_LINES: u64 = 200;
/// Most columns that are asked for.
const MAX_COLUMNS: usize = 3;
/// A row behind the last one of a CSV: if it does not come out, a quotation mark swallowed it.
const LAST_ROW: &[u8] = b"\n\x01\n";

/// Why a row cannot be used.
#[derive(Clone, Debug)]
pub(super) struct Bad {
    /// In words.
    pub reason: String,
    /// Whether its bytes are not UTF-8.
    pub encoding: bool,
}

impl From<String> for Bad {
    fn from(reason: String) -> Self {
        Bad { reason, encoding: false }
    }
}

/// A row's values in the order of the names that were asked for, or why there are none.
pub(super) type Row<'a> = Result<&'a [&'a str], Bad>;

/// What is behind the line with the column names.
type Records = csv::Reader<Box<dyn Read>>;

#[derive(Clone, Copy)]
enum Format {
    Tsv,
    Csv,
    Jsonl,
}

/// The names of the columns, in the file's order; of a JSONL file those of the first object.
pub(super) fn columns(path: &Path) -> Result<Vec<String>, DataError> {
    let mut file = Input::open(path)?;
    match file.format {
        Format::Tsv => Ok(file.delimited(b'\t')?.1),
        Format::Csv => Ok(file.delimited(b',')?.1),
        Format::Jsonl => {
            let (mut bytes, mut line) = (Vec::new(), 0);
            while file.next_line(&mut bytes, &mut line)? {
                if let Ok(object) = serde_json::from_slice::<Object>(&bytes) {
                    return Ok(object.keys().cloned().collect());
                }
            }
            Err(DataError::Content { path: path.to_owned(), what: "has no line that is a JSON object" })
        }
    }
}

/// Hands the values of `names`, a text first, of every row to `take`, with the row's line number.
pub(super) fn read<E: From<DataError>>(
    path: &Path,
    names: &[&str],
    take: impl FnMut(u64, Row<'_>) -> Result<(), E>,
) -> Result<(), E> {
    assert!(names.len() <= MAX_COLUMNS, "at most {MAX_COLUMNS} columns are asked for");
    let file = Input::open(path)?;
    match file.format {
        Format::Tsv => read_delimited(file, b'\t', names, take),
        Format::Csv => read_delimited(file, b',', names, take),
        Format::Jsonl => read_jsonl(file, names, take),
    }
}

/// An open file.
struct Input {
    path: PathBuf,
    format: Format,
    gzip: bool,
    reader: Box<dyn BufRead>,
    /// Bytes that may still be read for the row that is read now.
    left: Rc<Cell<usize>>,
}

impl Input {
    fn open(path: &Path) -> Result<Self, DataError> {
        if path.is_dir() {
            return Err(DataError::Folder(path.to_owned()));
        }
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let bare = name.strip_suffix(".gz").unwrap_or(&name);
        let format = match bare.rsplit_once('.').map(|(_, extension)| extension) {
            Some("tsv") => Format::Tsv,
            Some("csv") => Format::Csv,
            Some("jsonl" | "ndjson") => Format::Jsonl,
            _ => return Err(DataError::Format(path.to_owned())),
        };
        let file = File::open(path).map_err(|reason| DataError::unreadable(path, reason))?;
        let gzip = name.ends_with(".gz");
        let bytes: Box<dyn Read> = if gzip {
            Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, file)))
        } else {
            Box::new(file)
        };
        let left = Rc::new(Cell::new(MAX_ROW));
        let limited = Limited { inner: bytes, left: Rc::clone(&left) };
        let reader: Box<dyn BufRead> = Box::new(BufReader::with_capacity(BUFFER, limited));
        let mut input = Input { path: path.to_owned(), format, gzip, reader, left };
        input.check_start()?;
        Ok(input)
    }

    /// Looks at the first bytes for what no text file begins with; passes over a UTF-8 byte order mark.
    fn check_start(&mut self) -> Result<(), DataError> {
        let start = match self.reader.fill_buf() {
            Ok(start) => start,
            Err(error) if self.gzip && error.kind() == io::ErrorKind::InvalidInput => {
                return Err(self.content("is no gzip data, though its name ends in .gz"));
            }
            Err(error) => return Err(self.error(error, 0)),
        };
        let what = match start {
            [] => return Err(DataError::Empty(self.path.clone())),
            [0x1f, 0x8b, ..] => "is gzip data: its name must end in .gz",
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                "is UTF-16 text: make it UTF-8, for instance with iconv -f UTF-16 -t UTF-8"
            }
            [b'P', b'K', 3, 4, ..] => "is a zip archive or a spreadsheet: save it as UTF-8 text",
            [0xef, 0xbb, 0xbf, ..] => {
                self.reader.consume(3);
                return Ok(());
            }
            _ => return Ok(()),
        };
        Err(self.content(what))
    }

    fn content(&self, what: &'static str) -> DataError {
        DataError::Content { path: self.path.clone(), what }
    }

    /// What went wrong while the row behind line `line` was read.
    fn error(&self, reason: io::Error, line: u64) -> DataError {
        let path = self.path.clone();
        match reason.kind() {
            io::ErrorKind::FileTooLarge => DataError::Endless {
                path,
                line: line + 1,
                what: "is longer than 16 MiB: a quotation mark that is not closed, or no text file",
            },
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                if self.gzip =>
            {
                DataError::Gzip { path, line, reason }
            }
            _ => DataError::Unreadable { path, reason },
        }
    }

    /// What a reader of delimited rows says.
    fn csv_error(&self, error: csv::Error, line: u64) -> DataError {
        match error.into_kind() {
            csv::ErrorKind::Io(error) => self.error(error, line),
            other => self.error(io::Error::other(format!("{other:?}")), line),
        }
    }

    /// A reader of the rows behind the line with the column names, and these.
    fn delimited(&mut self, delimiter: u8) -> Result<(Records, Vec<String>), DataError> {
        let reader = std::mem::replace(&mut self.reader, Box::new(io::empty()));
        let quoting = delimiter != b'\t';
        let reader: Box<dyn Read> = if quoting { Box::new(reader.chain(LAST_ROW)) } else { Box::new(reader) };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .quoting(quoting)
            .flexible(true)
            .buffer_capacity(BUFFER)
            .from_reader(reader);
        let header = reader.byte_headers().map_err(|error| self.csv_error(error, 0))?;
        if quoting && header.iter().next_back().is_some_and(|last| last.ends_with(LAST_ROW)) {
            return Err(self.unclosed(1));
        }
        if header.is_empty() || (quoting && header.as_slice() == [1]) {
            return Err(DataError::Empty(self.path.clone()));
        }
        let columns = header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        Ok((reader, columns))
    }

    fn unclosed(&self, line: u64) -> DataError {
        let what = "has a quotation mark that is never closed (a quotation mark in a text is written twice)";
        DataError::Endless { path: self.path.clone(), line, what }
    }

    /// Puts the next line that is not blank into `bytes`, and its number into `line`; returns whether there was one.
    fn next_line(&mut self, bytes: &mut Vec<u8>, line: &mut u64) -> Result<bool, DataError> {
        loop {
            bytes.clear();
            self.left.set(MAX_ROW);
            let read = self.reader.read_until(b'\n', bytes).map_err(|error| self.error(error, *line))?;
            if read == 0 {
                return Ok(false);
            }
            *line += 1;
            if !bytes.iter().all(u8::is_ascii_whitespace) {
                return Ok(true);
            }
        }
    }
}

/// Refuses to read for ever on one row.
struct Limited<R> {
    inner: R,
    left: Rc<Cell<usize>>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.left.get().checked_sub(read).ok_or(io::ErrorKind::FileTooLarge)?;
        self.left.set(left);
        Ok(read)
    }
}

fn read_delimited<E: From<DataError>>(
    mut input: Input,
    delimiter: u8,
    names: &[&str],
    mut take: impl FnMut(u64, Row<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut reader, columns) = input.delimited(delimiter)?;
    let mut places = [0; MAX_COLUMNS];
    for (place, name) in places.iter_mut().zip(names) {
        let found = columns.iter().position(|column| column == name);
        *place = found.ok_or_else(|| DataError::column(&input.path, name, &columns))?;
    }
    let mut record = csv::ByteRecord::new();
    let mut before = reader.position().line() - 1;
    loop {
        input.left.set(MAX_ROW);
        if !reader.read_byte_record(&mut record).map_err(|error| input.csv_error(error, before))? {
            return Ok(());
        }
        let line = record.position().map_or(before + 1, csv::Position::line);
        if delimiter == b',' {
            if record.as_slice() == [1] && record.len() == 1 {
                return Ok(());
            }
            if record.iter().next_back().is_some_and(|last| last.ends_with(LAST_ROW)) {
                return Err(input.unclosed(line).into());
            }
        }
        before = reader.position().line() - 1;
        let mut values = [""; MAX_COLUMNS];
        let row = fields(&record, &columns, &places[..names.len()], names, &mut values);
        let row = row.and_then(|()| {
            let lines = before + 1 - line;
            if lines > MAX_LINES {
                return Err(Bad::from(format!("runs over {lines} lines: a quotation mark is not closed")));
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
) -> Result<(), Bad> {
    if record.iter().skip(columns.len()).any(|extra| !extra.is_empty()) {
        return Err(Bad::from(format!(
            "has {} columns instead of {}: a text with the separator in it must be quoted in a CSV and cannot be in \
             a TSV",
            record.len(),
            columns.len()
        )));
    }
    for ((&place, name), value) in places.iter().zip(names).zip(values) {
        let bytes = record
            .get(place)
            .ok_or_else(|| Bad::from(format!("has {} columns, too few for `{name}`", record.len())))?;
        *value = std::str::from_utf8(bytes)
            .map_err(|_| Bad { reason: format!("`{name}` is not UTF-8"), encoding: true })?;
    }
    Ok(())
}

type Object = serde_json::Map<String, serde_json::Value>;

fn read_jsonl<E: From<DataError>>(
    mut input: Input,
    names: &[&str],
    mut take: impl FnMut(u64, Row<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut line, mut bytes, mut first, mut blank) = (0, Vec::new(), true, true);
    while input.next_line(&mut bytes, &mut line)? {
        blank = false;
        let object = match serde_json::from_slice::<Object>(&bytes) {
            Ok(object) => object,
            Err(error) => {
                let encoding = std::str::from_utf8(&bytes).is_err();
                let reason = if encoding {
                    "is not UTF-8".to_owned()
                } else {
                    format!("is not a JSON object: {error}")
                };
                take(line, Err(Bad { reason, encoding }))?;
                continue;
            }
        };
        if std::mem::take(&mut first) {
            // The first object stands for all: a wrong name is one mistake, not one a row.
            let columns: Vec<String> = object.keys().cloned().collect();
            if let Some(name) = names.iter().find(|&&name| !object.contains_key(name)) {
                return Err(DataError::column(&input.path, name, &columns).into());
            }
        }
        let values: Result<Vec<Cow<'_, str>>, Bad> =
            names.iter().enumerate().map(|(place, name)| value(&object, name, place == 0)).collect();
        match &values {
            Ok(values) => {
                let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
                take(line, Ok(&values))?;
            }
            Err(bad) => take(line, Err(bad.clone()))?,
        }
    }
    if blank { Err(DataError::Empty(input.path).into()) } else { Ok(()) }
}

/// The value under `name`: a string, or else a number unless it must be `text`.
fn value<'a>(object: &'a Object, name: &str, text: bool) -> Result<Cow<'a, str>, Bad> {
    match object.get(name) {
        Some(serde_json::Value::String(value)) => Ok(Cow::Borrowed(value)),
        Some(serde_json::Value::Number(value)) if !text => Ok(Cow::Owned(value.to_string())),
        Some(_) if text => Err(Bad::from(format!("`{name}` is not a string"))),
        Some(_) => Err(Bad::from(format!("`{name}` is neither a number nor a string"))),
        None => Err(Bad::from(format!("has no `{name}`"))),
    }
}
