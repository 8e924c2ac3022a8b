//! JSON: an object a line, objects one after another over several lines, or an array of them. Their fields are the columns.

use super::row::{BadRow, Cell, Row};
use crate::error::DataError;
use crate::file::{Lines, MAX_ROW, TextInput, read_error};
use crate::json::{json_fault, without_lone_surrogates};
use crate::names;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

/// Objects whose fields are the columns.
const SAMPLE: usize = 1_000;
/// Bytes of them.
const MAX_SAMPLE: usize = 16 << 20;
/// Most columns of a file of JSON.
const MAX_COLUMNS: usize = 16_384;

/// What is wrong with the text between the values.
const BREAKS_OFF: &str = "the array breaks off";
const OUTSIDE: &str = "something stands outside of the array";
const CLOSED: &str = "a bracket is closed that was not opened";

/// Cuts a text of JSON into values: those of one array, or one after another.
pub struct Elements<R> {
    reader: R,
    /// Whether an array is read, and how far.
    place: Place,
    /// The line that is read, counted from 1.
    line: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Inside,
    Behind,
    Values,
}

impl<R: BufRead> Elements<R> {
    /// The elements of the array in `reader`.
    pub fn of_array(reader: R) -> Self {
        Elements { reader, place: Place::Before, line: 1 }
    }

    /// The values in `reader`.
    pub fn of_values(reader: R) -> Self {
        Elements { reader, place: Place::Values, line: 1 }
    }

    /// The line that is read, counted from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Puts the next value into `value`; the line that it begins at, or nothing at the end.
    ///
    /// # Errors
    /// Of the reader; [`io::ErrorKind::FileTooLarge`] for a value of more than 16 MiB, [`io::ErrorKind::InvalidData`] for what
    /// is no JSON between values.
    pub fn next(&mut self, value: &mut Vec<u8>) -> io::Result<Option<u64>> {
        value.clear();
        loop {
            let Some(&byte) = self.reader.fill_buf()?.first() else {
                return match self.place {
                    Place::Behind | Place::Values => Ok(None),
                    _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, BREAKS_OFF)),
                };
            };
            match (byte, self.place) {
                (b' ' | b'\t' | b'\r' | b'\n', _) => {}
                // A byte order mark, of which some programs write one before each line.
                (0xef | 0xbb | 0xbf, _) => {}
                (b'[', Place::Before) => self.place = Place::Inside,
                (b',', Place::Inside) => {}
                (b']', Place::Inside) => self.place = Place::Behind,
                (_, Place::Inside | Place::Values) => break,
                (_, Place::Before | Place::Behind) => {
                    let what = OUTSIDE;
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
            }
            self.line += u64::from(byte == b'\n');
            self.reader.consume(1);
        }
        let line = self.line;
        self.take(value)?;
        Ok(Some(line))
    }

    /// Takes one value, with what is within its brackets.
    fn take(&mut self, value: &mut Vec<u8>) -> io::Result<()> {
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                // Of a value that breaks off its reader tells it.
                return match self.place {
                    Place::Inside => Err(io::Error::new(io::ErrorKind::UnexpectedEof, BREAKS_OFF)),
                    _ => Ok(()),
                };
            }
            let mut end = None;
            for (at, &byte) in buffer.iter().enumerate() {
                self.line += u64::from(byte == b'\n');
                if in_string {
                    match byte {
                        _ if escaped => escaped = false,
                        b'\\' => escaped = true,
                        b'"' => {
                            in_string = false;
                            if depth == 0 {
                                end = Some(at + 1);
                                break;
                            }
                        }
                        _ => {}
                    }
                    continue;
                }
                match byte {
                    b'"' => in_string = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' if depth > 0 => {
                        depth -= 1;
                        if depth == 0 {
                            end = Some(at + 1);
                            break;
                        }
                    }
                    // The end of a number or a word.
                    b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => {
                        self.line -= u64::from(byte == b'\n');
                        end = Some(at);
                        break;
                    }
                    _ => {}
                }
            }
            let length = end.unwrap_or(buffer.len());
            value.extend_from_slice(&buffer[..length]);
            self.reader.consume(length);
            if value.len() > MAX_ROW {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            if end.is_some() {
                if length == 0 {
                    // A closing bracket without an opening one.
                    return Err(io::Error::new(io::ErrorKind::InvalidData, CLOSED));
                }
                return Ok(());
            }
        }
    }
}

/// The fields of an object: their names, and the JSON of their values, which are read only when they are asked for. What is not
/// asked for may be too deep, too large or half a character: it does not make a record unreadable.
#[derive(Debug)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// The object in `json`.
    ///
    /// # Errors
    /// What is wrong with it, without a part of it.
    pub fn of(json: &'a [u8]) -> Result<Self, BadRow> {
        let json = json.strip_prefix("\u{feff}".as_bytes()).unwrap_or(json);
        let text = std::str::from_utf8(json)
            .map_err(|_| BadRow { reason: "is not UTF-8".to_owned(), encoding: true })?;
        let broken = |error| BadRow::from(format!("is not a JSON object: {}", json_fault(text, &error)));
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let fields = deserializer.deserialize_map(ObjectVisitor).map_err(broken)?;
        deserializer.end().map_err(broken)?;
        Ok(fields)
    }

    /// The names, as they stand.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// The value of field `name`, of several the last one.
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        let exact = self.0.iter().rev().find(|(field, _)| field == name);
        exact.map(|(_, value)| *value)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        // Raw: as a string a name with half a surrogate pair would be an error of the whole record.
        while let Some(name) = map.next_key::<&'de RawValue>()? {
            let name = unescaped(name.get()).unwrap_or(Cow::Borrowed(""));
            fields.push((name, map.next_value::<&'de RawValue>()?));
        }
        Ok(Fields(fields))
    }
}

/// The characters of a JSON string that was accepted as such; borrowed unless there are escapes.
fn unescaped(json: &str) -> Option<Cow<'_, str>> {
    let content = &json[1..json.len() - 1];
    if !content.contains('\\') {
        return Some(Cow::Borrowed(content));
    }
    serde_json::from_str(&without_lone_surrogates(json)).ok().map(Cow::Owned)
}

fn cell(value: Option<&RawValue>) -> Cell<'_> {
    let Some(json) = value.map(RawValue::get) else { return Cell::Missing };
    match json.as_bytes().first() {
        Some(b'"') => unescaped(json).map_or(Cell::Missing, Cell::Text),
        Some(b'n') | None => Cell::Missing,
        Some(b't') => Cell::Bool(true),
        Some(b'f') => Cell::Bool(false),
        Some(b'[' | b'{') => Cell::Json(without_lone_surrogates(json)),
        _ => Cell::Number(Cow::Borrowed(json)),
    }
}

/// Where values come from.
enum Values {
    /// A value a line.
    Lines(Lines),
    /// Values over several lines, or an array.
    Elements(Elements<Box<dyn BufRead>>),
}

/// The objects of a file.
pub(super) struct JsonRows {
    path: PathBuf,
    layers: Vec<&'static str>,
    values: Values,
    /// The first values, which were read to know the columns.
    first: VecDeque<(u64, Vec<u8>)>,
    /// An error that came while they were read; it is told behind them.
    failed: Option<DataError>,
    /// The place of each spelling of a column's name.
    places: HashMap<String, usize>,
    /// The place of each name as names are compared.
    keys: HashMap<String, usize>,
}

/// Whether an error is one of [`Elements`], and not of what undoes a compression.
fn is_of_array(error: &io::Error) -> bool {
    let told = error.to_string();
    [BREAKS_OFF, OUTSIDE, CLOSED].contains(&told.as_str())
}

/// What a text is if it is JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonKind {
    Lines,
    Values,
    Array,
}

impl JsonKind {
    /// Whether a text that begins with `head`, of a file with this ending, is JSON.
    pub(super) fn of(head: &[u8], ending: &str) -> Option<Self> {
        let named = matches!(ending, "json" | "jsonl" | "ndjson");
        let head = head.trim_ascii_start();
        let head = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head).trim_ascii_start();
        let second = || head.get(1..).unwrap_or_default().trim_ascii_start().first();
        match head.first()? {
            b'[' if ending == "json" || matches!(second(), Some(b'{' | b']')) => Some(JsonKind::Array),
            b'{' if named || matches!(second(), Some(b'"' | b'}')) => {
                let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii();
                Some(if line == b"{" { JsonKind::Values } else { JsonKind::Lines })
            }
            _ if named => Some(JsonKind::Lines),
            _ => None,
        }
    }
}

impl JsonRows {
    /// Reads the first objects of `text`; the columns are their fields in the order of their first occurrence.
    pub(super) fn open(
        path: &Path,
        layers: &[&'static str],
        text: TextInput,
        kind: JsonKind,
    ) -> Result<(Self, Vec<String>), DataError> {
        let values = match kind {
            JsonKind::Lines => Values::Lines(Lines::new(text.reader, &text.head)),
            JsonKind::Values => Values::Elements(Elements::of_values(text.reader)),
            JsonKind::Array => Values::Elements(Elements::of_array(text.reader)),
        };
        let (path, layers) = (path.to_owned(), layers.to_vec());
        let mut rows = JsonRows {
            path,
            layers,
            values,
            first: VecDeque::new(),
            failed: None,
            places: HashMap::new(),
            keys: HashMap::new(),
        };
        let columns = rows.sample()?;
        Ok((rows, columns))
    }

    fn sample(&mut self) -> Result<Vec<String>, DataError> {
        let (mut columns, mut bytes, mut objects, mut value) = (Vec::<String>::new(), 0, 0, Vec::new());
        while objects < SAMPLE && bytes < MAX_SAMPLE {
            let line = match self.next(&mut value) {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) if self.first.is_empty() => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            };
            bytes += value.len();
            if let Ok(fields) = Fields::of(&value) {
                objects += 1;
                for name in fields.names() {
                    self.add(name, &mut columns);
                }
                if columns.len() > MAX_COLUMNS {
                    let what =
                        format!("has objects with more than {MAX_COLUMNS} different fields: is it a table?");
                    return Err(DataError::Content { path: self.path.clone(), what });
                }
            }
            self.first.push_back((line, std::mem::take(&mut value)));
        }
        match (self.first.is_empty(), objects) {
            (true, _) => Err(DataError::Empty(self.path.clone())),
            (false, 0) => {
                let what = "has no line that is a JSON object".to_owned();
                Err(DataError::Content { path: self.path.clone(), what })
            }
            _ => Ok(columns),
        }
    }

    /// Notes a field's name; other spellings of a column's name are the same column.
    fn add(&mut self, name: &str, columns: &mut Vec<String>) {
        if self.places.contains_key(name) || columns.len() > MAX_COLUMNS {
            return;
        }
        let place = *self.keys.entry(names::key(name)).or_insert_with(|| {
            columns.push(name.to_owned());
            columns.len() - 1
        });
        self.places.insert(name.to_owned(), place);
    }

    /// Puts the next value that is not blank into `value`; its line.
    fn next(&mut self, value: &mut Vec<u8>) -> Result<Option<u64>, DataError> {
        let (line, result) = match &mut self.values {
            Values::Lines(lines) => loop {
                match lines.next(value) {
                    Ok(true) if value.trim_ascii().is_empty() => {}
                    Ok(more) => break (lines.number, Ok(more.then_some(lines.number))),
                    Err(error) => break (lines.number, Err(error)),
                }
            },
            Values::Elements(elements) => {
                let next = elements.next(value);
                (elements.line, next)
            }
        };
        result.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData if is_of_array(&error) => {
                let what = format!("is no whole JSON array: {error} at line {line}");
                DataError::Content { path: self.path.clone(), what }
            }
            _ => read_error(&self.path, &self.layers, error, line.saturating_sub(1)),
        })
    }

    /// Hands the values at `places` of every object to `take`.
    pub(super) fn read<E: From<DataError>>(
        mut self,
        places: &[usize],
        columns: &[String],
        mut take: impl FnMut(u64, Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        // The spellings of each column that is asked for, its own first.
        let spellings: Vec<Vec<String>> = places
            .iter()
            .map(|&place| {
                let others =
                    self.places.iter().filter(|(name, at)| **at == place && **name != columns[place]);
                std::iter::once(columns[place].clone()).chain(others.map(|(name, _)| name.clone())).collect()
            })
            .collect();
        let mut give = |line, value: &[u8]| match Fields::of(value) {
            Ok(fields) => {
                let get = |names: &Vec<String>| cell(names.iter().find_map(|name| fields.get(name)));
                let cells: Vec<Cell<'_>> = spellings.iter().map(get).collect();
                take(line, Row::Cells(&cells))
            }
            Err(bad) => take(line, Row::Bad(bad)),
        };
        while let Some((line, value)) = self.first.pop_front() {
            give(line, &value)?;
        }
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        let mut value = Vec::new();
        while let Some(line) = self.next(&mut value)? {
            give(line, &value)?;
        }
        Ok(())
    }
}
