//! Standard input: a comment a line, an object of JSON a line, or one array of JSON.

use super::format::{Item, Printer};
use super::{BATCH, Counts, Format, Input};
use crate::cli::lines::{Line, Lines, MAX_LINE};
use crate::config::{Config, InputFormat};
use crate::record::{Comment, DeadLetter, DeadLetterClass, Reader};
use anyhow::Context as _;
use nunchi_data::{Cell, Elements};
use nunchi_engine::{Engine, Prediction};
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::io::{self, BufReader, Cursor, Read};

/// Bytes that are looked at to tell an array of JSON from a comment in brackets.
const MAX_START: usize = 1 << 20;
/// Columns of a table about lines.
const OWN: [&str; 2] = ["id", "text"];

/// Classifies what standard input holds.
pub(super) fn run(engine: Engine, input: Input, format: Format, excel: bool) -> anyhow::Result<Counts> {
    let own = match format {
        Format::Csv | Format::Tsv | Format::Parquet => OWN.map(str::to_owned).to_vec(),
        Format::Jsonl | Format::Text => Vec::new(),
    };
    let printer = Printer::new(format, excel, own, false, &engine)?;
    let mut filter = Filter::new(engine, input, printer);
    let mut stdin = io::stdin().lock();
    let start =
        if input == Input::Text { Start::default() } else { Start::read(&mut stdin).context(CANNOT)? };
    let source = Cursor::new(start.bytes).chain(stdin);
    let open = if start.array { filter.array(source)? } else { filter.lines(source)? };
    if open {
        filter.printer.finish()?;
    }
    Ok(if open { filter.counts } else { Counts::default() })
}

const CANNOT: &str = "cannot read standard input";

/// The beginning of the input, as far as it was read.
#[derive(Default)]
struct Start {
    bytes: Vec<u8>,
    /// Whether the input is an array of JSON.
    array: bool,
}

/// What the beginning shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Array,
    Lines,
    /// More of it is needed.
    Nothing,
}

impl Start {
    /// Reads as much as is needed to know. A comment that begins with something else than a bracket is not waited behind.
    fn read(source: &mut impl Read) -> io::Result<Self> {
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            let ended = match source.read(&mut buffer) {
                Ok(read) => {
                    bytes.extend_from_slice(&buffer[..read]);
                    read == 0
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            match shown(&bytes, ended) {
                Shown::Nothing if bytes.len() < MAX_START && !ended => {}
                shown => return Ok(Start { bytes, array: shown == Shown::Array }),
            }
        }
    }
}

/// What an input is that begins with `bytes`; `ended` if that is all of it. An array's first element must be JSON, and
/// something of an array must follow: `[재구매] 좋아요` is a comment.
fn shown(bytes: &[u8], ended: bool) -> Shown {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).trim_ascii_start();
    let unknown = if ended { Shown::Lines } else { Shown::Nothing };
    let Some(inside) = bytes.strip_prefix(b"[") else {
        return if bytes.is_empty() { unknown } else { Shown::Lines };
    };
    let inside = inside.trim_ascii_start();
    let behind = match inside.first() {
        None => return unknown,
        // No comment begins with this.
        Some(b'{') => return Shown::Array,
        Some(b']') => &inside[1..],
        Some(_) => {
            let mut values = serde_json::Deserializer::from_slice(inside).into_iter::<IgnoredAny>();
            match values.next() {
                Some(Ok(_)) => {}
                Some(Err(error)) if !error.is_eof() => return Shown::Lines,
                _ => return unknown,
            }
            let rest = inside[values.byte_offset()..].trim_ascii_start();
            match rest.first() {
                Some(b',') => return Shown::Array,
                Some(b']') => &rest[1..],
                Some(_) => return Shown::Lines,
                None => return unknown,
            }
        }
    };
    match (behind.trim_ascii().is_empty(), ended) {
        (true, true) => Shown::Array,
        (true, false) => Shown::Nothing,
        (false, _) => Shown::Lines,
    }
}

/// The state that is reused from batch to batch.
struct Filter {
    engine: Engine,
    input: Input,
    printer: Printer,
    reader: Reader,
    counts: Counts,
    predictions: Vec<Prediction>,
}

/// One line, read.
struct Entry<'a> {
    line: u64,
    bare: bool,
    comment: Result<Comment<'a>, DeadLetter>,
}

impl Filter {
    fn new(engine: Engine, input: Input, printer: Printer) -> Self {
        let mut config = Config::default();
        config.input.format = InputFormat::Json;
        config.input.max_bytes = MAX_LINE;
        let reader = Reader::new(&config);
        Filter { engine, input, printer, reader, counts: Counts::default(), predictions: Vec::new() }
    }

    /// Classifies lines as they come; whether the output is still read.
    fn lines(&mut self, source: impl Read) -> anyhow::Result<bool> {
        let mut lines = Lines::new(source);
        loop {
            let block = lines.next_block().context(CANNOT)?;
            let Some(block) = block else { return Ok(true) };
            let mut block = block.peekable();
            while block.peek().is_some() {
                let batch = block.by_ref().take(BATCH);
                let entries =
                    batch.enumerate().map(|(at, line)| self.read(self.counts.all + 1 + at as u64, line));
                let entries: Vec<Entry<'_>> = entries.collect();
                if !self.classify(&entries)? {
                    return Ok(false);
                }
            }
        }
    }

    /// Classifies the elements of an array; whether the output is still read.
    fn array(&mut self, source: impl Read) -> anyhow::Result<bool> {
        let mut elements = Elements::of_array(BufReader::new(source));
        loop {
            let (mut values, mut failed) = (Vec::new(), None);
            while values.len() < BATCH {
                let mut value = Vec::new();
                match elements.next(&mut value) {
                    Ok(Some(line)) => values.push((line, value)),
                    Ok(None) => break,
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            let entries: Vec<Entry<'_>> =
                values.iter().map(|(line, value)| Entry { line: *line, ..self.element(value) }).collect();
            let ended = entries.len() < BATCH;
            if !self.classify(&entries)? {
                return Ok(false);
            }
            if let Some(error) = failed {
                return self.broken_array(&elements, error);
            }
            if ended {
                return Ok(true);
            }
        }
    }

    /// What breaks off is told in the place of what would follow.
    fn broken_array<R: io::BufRead>(
        &mut self,
        elements: &Elements<R>,
        error: io::Error,
    ) -> anyhow::Result<bool> {
        let (class, message) = match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                (DeadLetterClass::InvalidJson, error.to_string())
            }
            io::ErrorKind::FileTooLarge => {
                (DeadLetterClass::Oversize, "an element of the array is larger than 16 MiB".to_owned())
            }
            _ => return Err(error).context(CANNOT),
        };
        let comment = Err(DeadLetter { class, message });
        self.classify(&[Entry { line: elements.line(), bare: true, comment }])
    }

    /// An element of an array: an object, or a string, which is the comment itself.
    fn element<'a>(&self, value: &'a [u8]) -> Entry<'a> {
        if !value.starts_with(b"\"") {
            return Entry { line: 0, bare: false, comment: self.reader.read(value) };
        }
        let text = std::str::from_utf8(value).ok().map(nunchi_data::without_lone_surrogates);
        let text = text.and_then(|json| serde_json::from_str::<String>(&json).ok());
        let comment = text.map(|text| Comment { text: Cow::Owned(text), ..Comment::default() });
        let broken = || {
            let message = "the element is a string that cannot be read".to_owned();
            DeadLetter { class: DeadLetterClass::InvalidJson, message }
        };
        Entry { line: 0, bare: true, comment: comment.ok_or_else(broken) }
    }

    fn read<'a>(&self, number: u64, line: Line<'a>) -> Entry<'a> {
        let Line::Whole(mut line) = line else {
            let message = format!("the line has more than {MAX_LINE} bytes");
            let comment = Err(DeadLetter { class: DeadLetterClass::Oversize, message });
            return Entry { line: number, bare: true, comment };
        };
        // The byte order mark, which some editors write at the start, and some programs before each line of JSON.
        let unmarked = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        let is_object = unmarked.trim_ascii_start().starts_with(b"{");
        if number == 1 || is_object {
            line = unmarked;
        }
        let bare = match self.input {
            Input::Auto => !is_object,
            Input::Text => true,
            Input::Json => false,
        };
        let comment = if bare {
            match std::str::from_utf8(line) {
                Ok(text) => Ok(Comment { text: Cow::Borrowed(text), ..Comment::default() }),
                Err(error) => {
                    let message = format!("the line is not UTF-8: {error}");
                    Err(DeadLetter { class: DeadLetterClass::InvalidUtf8, message })
                }
            }
        } else {
            self.reader.read(line)
        };
        Entry { line: number, bare, comment }
    }

    /// Prints the answers to `entries`, in their order; whether the output is still read.
    fn classify(&mut self, entries: &[Entry<'_>]) -> anyhow::Result<bool> {
        let texts: Vec<&str> = entries
            .iter()
            .filter_map(|entry| entry.comment.as_ref().ok().map(|comment| comment.text.as_ref()))
            .collect();
        self.engine.classify_into(&texts, &mut self.predictions)?;
        let mut next = self.predictions.iter();
        let model = self.engine.loaded().model();
        for entry in entries {
            self.counts.all += 1;
            let comment = entry.comment.as_ref().ok();
            let id = comment.and_then(|comment| comment.id);
            let text = comment.map_or("", |comment| comment.text.as_ref());
            // The columns of a table; JSON and text have none of the input.
            let own = [id.map_or(Cell::Missing, cell_of_id), Cell::Text(Cow::Borrowed(text))];
            let own = if self.printer.is_table() { &own[..] } else { &[] };
            let item = Item { line: entry.line, file: None, id, text, bare: entry.bare, own };
            match &entry.comment {
                Ok(_) => {
                    let prediction = next.next().expect("one prediction a comment");
                    self.printer.verdict(&item, prediction, model)?;
                }
                Err(error) => {
                    self.counts.broken += 1;
                    self.printer.broken(&item, error)?;
                }
            }
        }
        self.printer.flush()
    }
}

/// The characters of an id's JSON.
fn cell_of_id(json: &str) -> Cell<'_> {
    let text = serde_json::from_str::<String>(&nunchi_data::without_lone_surrogates(json));
    Cell::Text(text.map_or(Cow::Borrowed(json), Cow::Owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_told_from_a_comment_in_brackets() {
        for (input, want) in [
            ("[{\"text\": \"좋아요\"}]", Shown::Array),
            ("\u{feff} [\n {", Shown::Array),
            ("[]", Shown::Array),
            ("[\n]\n", Shown::Array),
            ("[\"좋아요\", \"별로\"]", Shown::Array),
            ("[\"좋아요\"]", Shown::Array),
            ("[1, 2]", Shown::Array),
            ("[재구매] 좋아요", Shown::Lines),
            ("[1] 좋아요", Shown::Lines),
            ("[\"강추\"] 정말", Shown::Lines),
            ("[] 좋아요", Shown::Lines),
            ("[", Shown::Lines),
            ("[1]\n좋아요", Shown::Lines),
            ("좋아요", Shown::Lines),
            ("{\"text\": \"x\"}", Shown::Lines),
            ("", Shown::Lines),
        ] {
            assert_eq!(shown(input.as_bytes(), true), want, "{input}");
        }
        for more in ["", " \n", "[", "[ \"좋아", "[]", "[1", "[1]\n"] {
            assert_eq!(shown(more.as_bytes(), false), Shown::Nothing, "{more}");
        }
        assert_eq!(shown("[재구매".as_bytes(), false), Shown::Lines);
    }
}
