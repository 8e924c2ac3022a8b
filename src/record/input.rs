//! What comes in: a comment, read from a record's value without copying it.

use super::paths::{Entries, Found, Path, entries, unescaped};
use super::{DeadLetter, DeadLetterClass};
use crate::config::{Config, InputFormat};
use nunchi_data::json_fault;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A comment, borrowed from the record's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comment<'a> {
    /// What was written; borrowed unless it holds JSON escapes.
    pub text: Cow<'a, str>,
    /// The id's JSON (a string or a number) exactly as it came; `None` if absent or of another type.
    pub id: Option<&'a str>,
    /// The JSON of each field of `output.echo`, in that order; `None` where absent. Empty if nothing is echoed.
    pub fields: Vec<Option<&'a str>>,
}

/// Reads records as `[input]` and `[output]` define.
#[derive(Clone, Debug)]
pub struct Reader {
    format: InputFormat,
    max_bytes: usize,
    text_field: String,
    id_field: String,
    echo: Vec<String>,
    /// Where texts, id and echoed fields are, if one of them is not a field of the record itself, or there are several texts.
    paths: Option<Paths>,
}

#[derive(Clone, Debug)]
struct Paths {
    texts: Vec<Path>,
    id: Path,
    echo: Vec<Path>,
}

impl Paths {
    /// `None` where the names of fields are enough.
    fn new(config: &Config) -> Option<Self> {
        let all = |names: &[String]| names.iter().map(|name| Path::new(name)).collect::<Vec<_>>();
        let paths = Paths {
            texts: all(&config.input.text_field.0),
            id: Path::new(&config.input.id_field),
            echo: all(&config.output.echo),
        };
        let plain = paths.texts.iter().chain([&paths.id]).chain(&paths.echo).all(Path::is_plain);
        (paths.texts.len() > 1 || !plain).then_some(paths)
    }
}

impl Reader {
    /// A reader for these settings.
    pub fn new(config: &Config) -> Self {
        Reader {
            format: config.input.format,
            max_bytes: config.input.max_bytes,
            text_field: config.input.text_field.0.first().cloned().unwrap_or_default(),
            id_field: config.input.id_field.clone(),
            echo: config.output.echo.clone(),
            paths: Paths::new(config),
        }
    }

    /// Names of the echoed fields.
    pub fn echo(&self) -> &[String] {
        &self.echo
    }

    /// The comment in `value`.
    ///
    /// # Errors
    /// The class and the message of the dead letter that `value` becomes. The message never contains a part of `value`.
    pub fn read<'a>(&self, value: &'a [u8]) -> Result<Comment<'a>, DeadLetter> {
        self.read_change(value)?.ok_or_else(|| {
            DeadLetter::new(DeadLetterClass::MissingText, "the record is that of a deletion".to_owned())
        })
    }

    /// As [`Reader::read`]; `None` for Debezium's record of a deletion, which is a tombstone.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn read_change<'a>(&self, value: &'a [u8]) -> Result<Option<Comment<'a>>, DeadLetter> {
        if value.len() > self.max_bytes {
            let (bytes, limit) = (value.len(), self.max_bytes);
            let message = format!("the value has {bytes} bytes, more than the {limit} of input.max_bytes");
            return Err(DeadLetter::new(DeadLetterClass::Oversize, message));
        }
        if self.format == InputFormat::Json && is_framed(value) {
            let message = "the value begins with a zero byte, the magic byte of a schema registry's format, and four \
                           bytes of a schema id; input.format = \"json\" reads plain JSON";
            return Err(DeadLetter::new(DeadLetterClass::InvalidJson, message));
        }
        let value = match (self.format, value) {
            (InputFormat::RawJson, [0, _, _, _, _, rest @ ..]) => rest,
            _ => value,
        };
        let text = std::str::from_utf8(value).map_err(|error| {
            DeadLetter::new(DeadLetterClass::InvalidUtf8, format!("the value is not UTF-8: {error}"))
        })?;
        match self.format {
            InputFormat::Text => {
                Ok(Some(Comment { text: Cow::Borrowed(text), id: None, fields: vec![None; self.echo.len()] }))
            }
            // RFC 8259 lets a reader pass over a byte order mark, which some editors and .NET put there.
            InputFormat::Json | InputFormat::RawJson => {
                let text = text.strip_prefix('\u{feff}').unwrap_or(text);
                match &self.paths {
                    None => self.read_json(text).map(Some),
                    Some(paths) => paths.read(text),
                }
            }
        }
    }

    fn read_json<'a>(&self, text: &'a str) -> Result<Comment<'a>, DeadLetter> {
        let broken = |error| no_object(text, &error);
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let object = ObjectSeed { reader: self }.deserialize(&mut deserializer).map_err(broken)?;
        deserializer.end().map_err(broken)?;
        match object.text {
            TextValue::String(text) => Ok(Comment { text, id: object.id, fields: object.fields }),
            TextValue::Missing => {
                let entries = entries(text).map_err(broken)?;
                Err(missing(&Path::new(&self.text_field), &entries))
            }
            TextValue::Other(kind) => Err(no_string(&self.text_field, kind)),
        }
    }
}

impl Paths {
    /// The comment in the JSON `text`; `None` for a deletion.
    fn read<'a>(&self, text: &'a str) -> Result<Option<Comment<'a>>, DeadLetter> {
        let broken = |error| no_object(text, &error);
        let entries = entries(text).map_err(broken)?;
        let mut texts: Vec<Cow<'a, str>> = Vec::with_capacity(self.texts.len());
        let several = self.texts.len() > 1;
        for path in &self.texts {
            let json = match path.find(&entries) {
                Found::Deletion => return Ok(None),
                Found::Nothing => continue,
                Found::Value(json) => json,
            };
            match TextValue::of(json).map_err(broken)? {
                TextValue::String(text) => texts.push(text),
                // One of several texts may be absent: a review without a title.
                TextValue::Missing | TextValue::Other("null") if several => {}
                TextValue::Missing => {}
                TextValue::Other(kind) => return Err(no_string(&path.name, kind)),
            }
        }
        let text = match texts.len() {
            0 => return Err(missing(&self.texts[0], &entries)),
            1 => texts.remove(0),
            _ => Cow::Owned(texts.join("\n")),
        };
        let value = |path: &Path| path.find(&entries).value();
        let id = value(&self.id).and_then(string_or_number);
        Ok(Some(Comment { text, id, fields: self.echo.iter().map(value).collect() }))
    }
}

fn no_object(text: &str, error: &serde_json::Error) -> DeadLetter {
    let message = format!("the value is not a JSON object: {}", json_fault(text, error));
    DeadLetter::new(DeadLetterClass::InvalidJson, message)
}

fn missing(path: &Path, entries: &Entries<'_>) -> DeadLetter {
    DeadLetter::new(DeadLetterClass::MissingText, path.missing(entries))
}

fn no_string(field: &str, kind: &str) -> DeadLetter {
    DeadLetter::new(DeadLetterClass::TextNotString, format!("the field `{field}` is {kind}, not a string"))
}

/// Whether JSON follows a magic byte and a schema id, as the serializers of Confluent's schema registry write it.
fn is_framed(value: &[u8]) -> bool {
    matches!(value, [0, _, _, _, _, rest @ ..] if rest.trim_ascii_start().starts_with(b"{"))
}

/// The fields of a JSON object. Of fields of the same name the last one counts.
struct Object<'a> {
    text: TextValue<'a>,
    id: Option<&'a str>,
    fields: Vec<Option<&'a str>>,
}

enum TextValue<'a> {
    Missing,
    String(Cow<'a, str>),
    Other(&'static str),
}

impl<'a> TextValue<'a> {
    /// From the JSON of a value that was accepted as such.
    fn of(json: &'a str) -> Result<Self, serde_json::Error> {
        Ok(TextValue::Other(match json.as_bytes()[0] {
            b'"' => return Ok(TextValue::String(unescaped(json)?)),
            b'n' => "null",
            b't' | b'f' => "a boolean",
            b'[' => "an array",
            b'{' => "an object",
            _ => "a number",
        }))
    }
}

/// Reads an object whose field names are settings.
struct ObjectSeed<'r> {
    reader: &'r Reader,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = Object<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let reader = self.reader;
        let mut object = Object { text: TextValue::Missing, id: None, fields: vec![None; reader.echo.len()] };
        // Raw: as a `str` a name or a text with half a surrogate pair would be an error of the whole record.
        while let Some(name) = map.next_key::<&'de RawValue>()? {
            let name = unescaped(name.get()).map_err(A::Error::custom)?;
            let echoed = reader.echo.iter().position(|field| *field == *name);
            let (is_text, is_id) = (*name == *reader.text_field, *name == *reader.id_field);
            if echoed.is_none() && !is_text && !is_id {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let json = map.next_value::<&'de RawValue>()?.get();
            // A field may be echoed and be the text or the id too.
            if let Some(place) = echoed {
                object.fields[place] = Some(json);
            }
            if is_text {
                object.text = TextValue::of(json).map_err(A::Error::custom)?;
            }
            if is_id {
                object.id = string_or_number(json);
            }
        }
        Ok(object)
    }
}

/// The JSON of an id, if it is of a type that an id may have.
fn string_or_number(json: &str) -> Option<&str> {
    json.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit()).then_some(json)
}
