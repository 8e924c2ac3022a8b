//! A file as a table: its columns, and its rows as a stream, whatever the format.

mod delimited;
mod html;
mod json;
mod parquet;
mod record;
mod row;
mod sniff;
mod workbook;

pub use json::{Elements, Fields};
pub use row::{BadRow, Cell, Row};

use crate::error::DataError;
use crate::file::{Content, Encoding, Lines, Opened, Progress, read_error};
use crate::names::{self, Names};
use crate::shown::shown_column;
use delimited::Delimited;
use json::{JsonKind, JsonRows};
use parquet::ParquetRows;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use workbook::Sheet;

/// The name of the only column of a file whose lines are comments.
const TEXT: &str = "text";

/// What was recognized in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognized {
    /// How its text is encoded, if it is text.
    pub encoding: Option<Encoding>,
    /// What it is compressed with, the outermost first.
    pub layers: Vec<&'static str>,
    /// How rows are written.
    pub kind: Kind,
    /// The line of the row with the columns' names, if there is one.
    pub header: Option<u64>,
    /// Which of how many sheets or tables is read, counted from 1.
    pub sheet: Option<(usize, usize)>,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Columns separated by this character.
    Delimited(char),
    /// An object of JSON a line, or one after another.
    JsonLines,
    /// An array of objects.
    JsonArray,
    /// A workbook of Excel.
    Xlsx,
    /// A workbook of old versions of Excel.
    Xls,
    /// A table on a web page.
    Html,
    /// Parquet.
    Parquet,
    /// A comment a line.
    Text,
}

impl Kind {
    /// Its name in messages and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Delimited('\t') => "tsv",
            Kind::Delimited(_) => "csv",
            Kind::JsonLines => "jsonl",
            Kind::JsonArray => "json",
            Kind::Xlsx => "xlsx",
            Kind::Xls => "xls",
            Kind::Html => "html",
            Kind::Parquet => "parquet",
            Kind::Text => "text",
        }
    }
}

impl Recognized {
    /// What a person may not expect of a file with this name, in words; nothing if all is as usual.
    pub fn remarks(&self, path: &Path) -> Option<String> {
        let mut remarks = Vec::new();
        if let Some(encoding) = self.encoding.filter(|&encoding| encoding != Encoding::UTF_8) {
            remarks.push(format!("read as {encoding}"));
        }
        let name = path.to_string_lossy().to_lowercase();
        let ending = |endings: &[&str]| endings.iter().any(|ending| name.contains(ending));
        match self.kind {
            Kind::Delimited(',') if !ending(&[".csv"]) => remarks.push("separated by commas".to_owned()),
            Kind::Delimited('\t') if !ending(&[".tsv", ".tab"]) => {
                remarks.push("separated by tabs".to_owned())
            }
            Kind::Delimited(other @ (';' | '|')) => remarks.push(format!("separated by `{other}`")),
            Kind::JsonLines | Kind::JsonArray if !ending(&[".json", ".ndjson"]) => {
                remarks.push("JSON".to_owned())
            }
            Kind::Html => remarks.push("a table in HTML".to_owned()),
            Kind::Xlsx if !ending(&[".xlsx"]) => remarks.push("a workbook of Excel".to_owned()),
            Kind::Xls if !ending(&[".xls"]) || ending(&[".xlsx"]) => {
                remarks.push("an old workbook of Excel".to_owned())
            }
            Kind::Parquet if !ending(&[".parquet"]) => remarks.push("Parquet".to_owned()),
            Kind::Text => remarks.push("each line is a comment".to_owned()),
            _ => {}
        }
        if let Some((sheet, of)) = self.sheet.filter(|&(_, of)| of > 1) {
            remarks.push(format!("sheet {sheet} of {of}"));
        }
        if let Some(line) = self.header.filter(|&line| line > 1) {
            remarks.push(format!("the columns' names in line {line}"));
        }
        (!remarks.is_empty()).then(|| remarks.join(", "))
    }
}

/// A file, open, with its columns.
pub struct Table {
    path: PathBuf,
    layers: Vec<&'static str>,
    columns: Vec<String>,
    recognized: Recognized,
    source: Source,
    progress: Progress,
}

enum Source {
    Delimited(Box<Delimited>),
    Plain(Box<Lines>),
    Json(Box<JsonRows>),
    /// Rows behind the one with the names.
    Sheet(std::vec::IntoIter<workbook::SheetRow>, usize),
    Parquet(ParquetRows),
}

impl Table {
    /// Opens the file at `path`. Its text is in `encoding`, or in what its content shows; `wanted` are names that the row with
    /// the columns' names may have beside the known ones.
    ///
    /// # Errors
    /// A file that cannot be read, is no table, or has a column's name twice.
    pub fn open<'a>(
        path: &Path,
        encoding: Option<Encoding>,
        wanted: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, DataError> {
        let wanted = Names::new(wanted);
        let mut progress = Progress::default();
        let opened = Opened::new(path, encoding, &mut progress)?;
        let layers = opened.layers.clone();
        let mut recognized = Recognized {
            encoding: None,
            layers: layers.clone(),
            kind: Kind::Text,
            header: None,
            sheet: None,
        };
        let (source, columns) = match opened.content {
            Content::Text(text) => {
                recognized.encoding = Some(text.encoding);
                let (head, ending) = (&text.head[..], opened.ending.as_str());
                if let Some(kind) = JsonKind::of(head, ending) {
                    recognized.kind = if kind == JsonKind::Array { Kind::JsonArray } else { Kind::JsonLines };
                    let (rows, columns) = JsonRows::open(path, &layers, text, kind)?;
                    (Source::Json(Box::new(rows)), columns)
                } else if html::is_markup(head) {
                    recognized.kind = Kind::Html;
                    of_sheets(path, html::tables(path, &layers, text)?, &wanted, &mut recognized)?
                } else {
                    of_text(path, &layers, text, ending, &wanted, &mut recognized)?
                }
            }
            Content::Xlsx(bytes) => {
                recognized.kind = Kind::Xlsx;
                of_sheets(path, workbook::xlsx(path, bytes)?, &wanted, &mut recognized)?
            }
            Content::Xls(bytes) => {
                recognized.kind = Kind::Xls;
                of_sheets(path, workbook::xls(path, bytes)?, &wanted, &mut recognized)?
            }
            content @ (Content::ParquetFile(_) | Content::ParquetBytes(_)) => {
                recognized.kind = Kind::Parquet;
                let (rows, columns) = ParquetRows::open(path, content)?;
                (Source::Parquet(rows), columns)
            }
        };
        if !matches!(recognized.kind, Kind::JsonLines | Kind::JsonArray)
            && let Some((first, second)) = names::twice(&columns)
        {
            let name = shown_column(&columns, first);
            let line = recognized.header.map_or_else(String::new, |line| format!(" of line {line}"));
            let what = format!(
                "has two columns of the same name: {name} is column {} and column {}{line}; rename or remove one",
                first + 1,
                second + 1
            );
            return Err(DataError::Content { path: path.to_owned(), what });
        }
        Ok(Table { path: path.to_owned(), layers, columns, recognized, source, progress })
    }

    /// The names of the columns, in the file's order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What was recognized.
    pub fn recognized(&self) -> &Recognized {
        &self.recognized
    }

    /// The place of column `name`.
    pub fn place(&self, name: &str) -> Option<usize> {
        names::find(&self.columns, name)
    }

    /// How far the file is read, in bytes; also while its rows are.
    pub fn position(&self) -> std::rc::Rc<std::cell::Cell<u64>> {
        std::rc::Rc::clone(&self.progress.read)
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.progress.bytes
    }

    /// Hands the cells at `places` of every row to `take`, with the row's line.
    ///
    /// # Errors
    /// A file that cannot be read to its end; those of `take`.
    pub fn read<E: From<DataError>>(
        self,
        places: &[usize],
        mut take: impl FnMut(u64, Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.source {
            Source::Delimited(rows) => rows.read(places, &self.columns, take),
            Source::Json(rows) => rows.read(places, &self.columns, take),
            Source::Parquet(rows) => rows.read(places, &self.columns, take),
            Source::Plain(mut lines) => {
                let mut line = Vec::new();
                loop {
                    let before = lines.number;
                    match lines.next(&mut line) {
                        Ok(true) => {}
                        Ok(false) => return Ok(()),
                        Err(error) => return Err(read_error(&self.path, &self.layers, error, before).into()),
                    }
                    match std::str::from_utf8(&line) {
                        Ok(text) => {
                            let cells = vec![Cell::Text(Cow::Borrowed(text)); places.len()];
                            take(lines.number, Row::Cells(&cells))?;
                        }
                        Err(_) => {
                            let encoding = self.recognized.encoding.unwrap_or(Encoding::UTF_8);
                            let bad = BadRow { reason: format!("is not {encoding}"), encoding: true };
                            take(lines.number, Row::Bad(bad))?;
                        }
                    }
                }
            }
            Source::Sheet(rows, width) => {
                for (line, row) in rows {
                    if row.iter().all(Cell::is_blank) {
                        take(line, Row::Blank)?;
                        continue;
                    }
                    if row.iter().skip(width).any(|cell| !cell.is_blank()) {
                        let reason = format!("has {} columns instead of {width}", row.len());
                        take(line, Row::Bad(BadRow::from(reason)))?;
                        continue;
                    }
                    let cell = |&place: &usize| row.get(place).cloned().unwrap_or(Cell::Missing);
                    let cells: Vec<Cell<'_>> = places.iter().map(cell).collect();
                    take(line, Row::Cells(&cells))?;
                }
                Ok(())
            }
        }
    }
}

fn of_text(
    path: &Path,
    layers: &[&'static str],
    text: crate::file::TextInput,
    ending: &str,
    wanted: &Names,
    recognized: &mut Recognized,
) -> Result<(Source, Vec<String>), DataError> {
    match Delimited::open(path, layers, text, ending, wanted)? {
        delimited::Opened::Table(rows, columns, line) => {
            recognized.kind = Kind::Delimited(char::from(rows.delimiter()));
            recognized.header = Some(line);
            Ok((Source::Delimited(Box::new(rows)), columns))
        }
        delimited::Opened::Plain(lines) => Ok((Source::Plain(Box::new(lines)), vec![TEXT.to_owned()])),
    }
}

/// The sheet with the most known names of columns, or the first one that holds anything.
fn of_sheets(
    path: &Path,
    sheets: Vec<Sheet>,
    wanted: &Names,
    recognized: &mut Recognized,
) -> Result<(Source, Vec<String>), DataError> {
    let of = sheets.len();
    let texts = |row: &workbook::SheetRow| -> (u64, Vec<String>) {
        (row.0, row.1.iter().map(|cell| cell.as_str().to_owned()).collect())
    };
    let mut best: Option<(usize, usize, usize)> = None;
    for (at, sheet) in sheets.iter().enumerate() {
        let rows: Vec<_> = sheet.rows.iter().take(100).map(texts).collect();
        let Some(header) = sniff::header(&rows, wanted) else { continue };
        let known =
            rows[header].1.iter().filter(|name| names::is_known(name) || wanted.contains(name)).count();
        if best.is_none_or(|(before, ..)| known > before) {
            best = Some((known, at, header));
        }
    }
    let Some((_, at, header)) = best else { return Err(DataError::Empty(path.to_owned())) };
    let sheet = sheets.into_iter().nth(at).unwrap_or(Sheet { rows: Vec::new() });
    let mut rows = sheet.rows.into_iter();
    let (line, names) = rows.nth(header).unwrap_or_default();
    recognized.header = Some(line);
    recognized.sheet = Some((at + 1, of));
    let columns: Vec<String> = names.iter().map(|cell| cell.as_str().trim().to_owned()).collect();
    let width = columns.len();
    Ok((Source::Sheet(rows, width), columns))
}
