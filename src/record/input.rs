//! What comes in: a comment, read from a record's value without copying it.

use super::{DeadLetter, DeadLetterClass};
use crate::config::{Config, InputFormat};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
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
}

impl Reader {
    /// A reader for these settings.
    pub fn new(config: &Config) -> Self {
        Reader {
            format: config.input.format,
            max_bytes: config.input.max_bytes,
            text_field: config.input.text_field.clone(),
            id_field: config.input.id_field.clone(),
            echo: config.output.echo.clone(),
        }
    }

    /// Names of the echoed fields.
    pub fn echo(&self) -> &[String] {
        &self.echo
    }

    /// The comment in `value`.
    ///
    /// # Errors
    /// The class and the message of the dead letter that `value` becomes.
    pub fn read<'a>(&self, value: &'a [u8]) -> Result<Comment<'a>, DeadLetter> {
        if value.len() > self.max_bytes {
            let (bytes, limit) = (value.len(), self.max_bytes);
            let message = format!("the value has {bytes} bytes, more than the {limit} of input.max_bytes");
            return Err(DeadLetter::new(DeadLetterClass::Oversize, message));
        }
        let text = std::str::from_utf8(value).map_err(|error| {
            DeadLetter::new(DeadLetterClass::InvalidUtf8, format!("the value is not UTF-8: {error}"))
        })?;
        match self.format {
            InputFormat::Text => {
                Ok(Comment { text: Cow::Borrowed(text), id: None, fields: vec![None; self.echo.len()] })
            }
            InputFormat::Json => self.read_json(text),
        }
    }

    fn read_json<'a>(&self, text: &'a str) -> Result<Comment<'a>, DeadLetter> {
        let broken = |error: serde_json::Error| {
            DeadLetter::new(DeadLetterClass::InvalidJson, format!("the value is not a JSON object: {error}"))
        };
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let object = ObjectSeed { reader: self }.deserialize(&mut deserializer).map_err(broken)?;
        deserializer.end().map_err(broken)?;
        match object.text {
            TextValue::String(text) => Ok(Comment { text, id: object.id, fields: object.fields }),
            TextValue::Missing => Err(DeadLetter::new(
                DeadLetterClass::MissingText,
                format!("the object has no field `{}`", self.text_field),
            )),
            TextValue::Other(kind) => Err(DeadLetter::new(
                DeadLetterClass::TextNotString,
                format!("the field `{}` is {kind}, not a string", self.text_field),
            )),
        }
    }
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

/// Reads an object whose field names are settings.
struct ObjectSeed<'r> {
    reader: &'r Reader,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = Object<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object<'de>, D::Error> {
        // Not `deserialize_map`: its error would quote the value, which is a comment, and errors go into headers and logs.
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_unit<E: Error>(self) -> Result<Object<'de>, E> {
        Err(E::custom("it is null"))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Object<'de>, E> {
        Err(E::custom("it is a boolean"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Object<'de>, E> {
        Err(E::custom("it is a number"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Object<'de>, E> {
        Err(E::custom("it is a number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Object<'de>, E> {
        Err(E::custom("it is a number"))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Object<'de>, E> {
        Err(E::custom("it is a string"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Object<'de>, A::Error> {
        Err(A::Error::custom("it is an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let reader = self.reader;
        let mut object = Object { text: TextValue::Missing, id: None, fields: vec![None; reader.echo.len()] };
        while let Some(Key(key)) = map.next_key()? {
            let echoed = reader.echo.iter().position(|name| *name == *key);
            if let Some(place) = echoed {
                let raw: &'de RawValue = map.next_value()?;
                object.fields[place] = Some(raw.get());
                // A field may be echoed and be the text or the id too.
                if *key == *reader.text_field {
                    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
                    object.text = TextSeed.deserialize(&mut deserializer).map_err(A::Error::custom)?;
                }
                if *key == *reader.id_field {
                    object.id = string_or_number(raw.get());
                }
            } else if *key == *reader.text_field {
                object.text = map.next_value_seed(TextSeed)?;
            } else if *key == *reader.id_field {
                object.id = string_or_number(map.next_value::<&'de RawValue>()?.get());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(object)
    }
}

/// The JSON of an id, if it is of a type that an id may have.
fn string_or_number(json: &str) -> Option<&str> {
    json.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit()).then_some(json)
}

/// A field's name, borrowed unless it holds escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Reads the text field: a string, or the name of what it is instead.
struct TextSeed;

impl<'de> DeserializeSeed<'de> for TextSeed {
    type Value = TextValue<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<TextValue<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextSeed {
    type Value = TextValue<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<TextValue<'de>, E> {
        Ok(TextValue::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<TextValue<'de>, E> {
        Ok(TextValue::String(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<TextValue<'de>, E> {
        Ok(TextValue::Other("null"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<TextValue<'de>, E> {
        Ok(TextValue::Other("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<TextValue<'de>, E> {
        Ok(TextValue::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<TextValue<'de>, E> {
        Ok(TextValue::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<TextValue<'de>, E> {
        Ok(TextValue::Other("a number"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<TextValue<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(TextValue::Other("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TextValue<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(TextValue::Other("an object"))
    }
}
