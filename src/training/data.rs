//! Labelled comments from files: TSV, CSV or JSONL, and gzip of them, by the file's name. Read as a stream.
//!
//! A TSV is read as it stands, without quoting (a quotation mark is a character like any other); a CSV by RFC 4180. The
//! first line of both names the columns; in JSONL the fields of each object are the columns.

use super::mapping::Target;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Bad rows that an error shows; it counts the others.
const SHOWN: usize = 3;
/// Files are read in pieces of this many bytes.
const BUFFER: usize = 1 << 18;

/// Why a data file cannot be used.
#[derive(Debug, Error)]
pub enum DataError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The name does not say what is inside.
    #[error("{0}: the name must end in .tsv, .csv, .jsonl or .ndjson, or in one of these and .gz")]
    Format(PathBuf),
    /// A column is missing.
    #[error("{path} has no column `{name}`; it has: {columns}")]
    Column {
        /// The file.
        path: PathBuf,
        /// The column that was asked for.
        name: String,
        /// The columns that there are.
        columns: String,
    },
    /// Some rows cannot be understood.
    #[error(
        "{path}: {count} of {rows} rows cannot be used (rows can be left out with --skip-bad-rows): {shown}"
    )]
    Rows {
        /// The file.
        path: PathBuf,
        /// How many.
        count: usize,
        /// Of how many.
        rows: usize,
        /// The first of them, with line numbers and reasons.
        shown: String,
    },
    /// There is nothing in it.
    #[error("{0} has no labelled rows")]
    Empty(PathBuf),
    /// Only one class occurs.
    #[error("all {rows} labelled rows of {path} are `{label}`: at least two classes are needed")]
    OneClass {
        /// The file.
        path: PathBuf,
        /// How many rows.
        rows: usize,
        /// Their class.
        label: String,
    },
}

/// Which columns to read, and what to do with rows that cannot be understood.
#[derive(Clone, Debug)]
pub struct Columns {
    /// The column with the comment.
    pub text: String,
    /// The column with the class, and how to read it.
    pub target: Target,
    /// Whether to leave out bad rows instead of failing.
    pub skip_bad_rows: bool,
}

/// One labelled comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example<'a> {
    /// The comment.
    pub text: &'a str,
    /// Its class: an index into the labels.
    pub class: usize,
}

/// What was found in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Labelled rows by class.
    pub classes: Vec<usize>,
    /// Rows whose stars stand for no class.
    pub dropped: usize,
    /// Rows that were left out because they could not be understood.
    pub bad: usize,
}

impl Counts {
    /// All labelled rows.
    pub fn labelled(&self) -> usize {
        self.classes.iter().sum()
    }
}

/// Reads every labelled comment of `path` in order and hands it to `visit`.
///
/// # Errors
/// See [`DataError`]; bad rows are counted to the end, so that one run shows how many there are. One class alone is
/// no error here: see [`require_classes`].
pub fn read(path: &Path, columns: &Columns, mut visit: impl FnMut(Example<'_>)) -> Result<Counts, DataError> {
    let mut counts = Counts { classes: vec![0; columns.target.classes()], ..Counts::default() };
    let (mut rows, mut shown) = (0, Vec::new());
    let take = |line: u64, row: Result<(&str, &str), String>| {
        rows += 1;
        let outcome = row.and_then(|(text, target)| Ok((text, columns.target.class(target)?)));
        match outcome {
            Ok((text, Some(class))) => {
                counts.classes[class] += 1;
                visit(Example { text, class });
            }
            Ok((_, None)) => counts.dropped += 1,
            Err(reason) => {
                counts.bad += 1;
                if shown.len() < SHOWN {
                    shown.push(format!("line {line}: {reason}"));
                }
            }
        }
    };
    let (format, reader) = open(path)?;
    let names = [columns.text.as_str(), columns.target.column()];
    match format {
        Format::Tsv => read_delimited(path, reader, b'\t', names, take)?,
        Format::Csv => read_delimited(path, reader, b',', names, take)?,
        Format::Jsonl => read_jsonl(path, reader, names, take)?,
    }
    if counts.bad > 0 && !columns.skip_bad_rows {
        let more = if counts.bad > SHOWN { "; …" } else { "" };
        return Err(DataError::Rows {
            path: path.to_owned(),
            count: counts.bad,
            rows,
            shown: shown.join("; ") + more,
        });
    }
    if counts.labelled() == 0 {
        return Err(DataError::Empty(path.to_owned()));
    }
    Ok(counts)
}

/// Refuses data of one class alone: nothing can be learned or measured on it.
///
/// # Errors
/// [`DataError::OneClass`], naming `path`.
pub fn require_classes(path: &Path, target: &Target, counts: &Counts) -> Result<(), DataError> {
    let mut present = (0..counts.classes.len()).filter(|&class| counts.classes[class] > 0);
    match (present.next(), present.next()) {
        (Some(only), None) => Err(DataError::OneClass {
            path: path.to_owned(),
            rows: counts.labelled(),
            label: target.label(only).to_owned(),
        }),
        _ => Ok(()),
    }
}

#[derive(Clone, Copy)]
enum Format {
    Tsv,
    Csv,
    Jsonl,
}

fn open(path: &Path) -> Result<(Format, Box<dyn Read>), DataError> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let bare = name.strip_suffix(".gz").unwrap_or(&name);
    let format = match bare.rsplit_once('.').map(|(_, extension)| extension) {
        Some("tsv") => Format::Tsv,
        Some("csv") => Format::Csv,
        Some("jsonl" | "ndjson") => Format::Jsonl,
        _ => return Err(DataError::Format(path.to_owned())),
    };
    let file = File::open(path).map_err(|source| unreadable(path, source))?;
    let reader: Box<dyn Read> = if name.ends_with(".gz") {
        Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, file)))
    } else {
        Box::new(file)
    };
    Ok((format, reader))
}

fn unreadable(path: &Path, source: impl Into<std::io::Error>) -> DataError {
    DataError::Unreadable { path: path.to_owned(), source: source.into() }
}

fn missing_column(path: &Path, name: &str, columns: &[String]) -> DataError {
    DataError::Column { path: path.to_owned(), name: name.to_owned(), columns: columns.join(", ") }
}

fn read_delimited(
    path: &Path,
    reader: Box<dyn Read>,
    delimiter: u8,
    names: [&str; 2],
    mut take: impl FnMut(u64, Result<(&str, &str), String>),
) -> Result<(), DataError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(delimiter != b'\t')
        .flexible(true)
        .buffer_capacity(BUFFER)
        .from_reader(reader);
    let header = reader.byte_headers().map_err(|error| unreadable(path, error))?;
    let columns: Vec<String> = header
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim_start_matches('\u{feff}').to_owned())
        .collect();
    let mut places = [0; 2];
    for (place, name) in places.iter_mut().zip(names) {
        *place = columns
            .iter()
            .position(|column| column == name)
            .ok_or_else(|| missing_column(path, name, &columns))?;
    }
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|error| unreadable(path, error))? {
        let line = record.position().map_or(0, csv::Position::line);
        let field = |index: usize| {
            let bytes = record
                .get(places[index])
                .ok_or_else(|| format!("has {} columns, too few for `{}`", record.len(), names[index]))?;
            std::str::from_utf8(bytes).map_err(|_| format!("`{}` is not UTF-8", names[index]))
        };
        take(line, field(0).and_then(|text| Ok((text, field(1)?))));
    }
    Ok(())
}

fn read_jsonl(
    path: &Path,
    reader: Box<dyn Read>,
    names: [&str; 2],
    mut take: impl FnMut(u64, Result<(&str, &str), String>),
) -> Result<(), DataError> {
    type Object = serde_json::Map<String, serde_json::Value>;
    let mut reader = BufReader::with_capacity(BUFFER, reader);
    let (mut line, mut bytes, mut first) = (0, Vec::new(), true);
    loop {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).map_err(|error| unreadable(path, error))? == 0 {
            return Ok(());
        }
        line += 1;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let object = match serde_json::from_slice::<Object>(&bytes) {
            Ok(object) => object,
            Err(error) => {
                take(line, Err(format!("is not a JSON object: {error}")));
                continue;
            }
        };
        if std::mem::take(&mut first) {
            // The first object stands for all: a wrong name is one mistake, not one a row.
            let columns: Vec<String> = object.keys().cloned().collect();
            for name in names {
                if !object.contains_key(name) {
                    return Err(missing_column(path, name, &columns));
                }
            }
        }
        let text = match object.get(names[0]) {
            Some(serde_json::Value::String(text)) => Ok(text.as_str()),
            Some(_) => Err(format!("`{}` is not a string", names[0])),
            None => Err(format!("has no `{}`", names[0])),
        };
        let target = match object.get(names[1]) {
            Some(serde_json::Value::String(value)) => Ok(value.clone()),
            Some(serde_json::Value::Number(value)) => Ok(value.to_string()),
            Some(_) => Err(format!("`{}` is neither a number nor a string", names[1])),
            None => Err(format!("has no `{}`", names[1])),
        };
        take(line, text.and_then(|text| target.as_deref().map(|value| (text, value)).map_err(Clone::clone)));
    }
}
