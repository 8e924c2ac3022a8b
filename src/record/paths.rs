//! Fields by path: `payload.after.text` is the field `text` of the object `after` of the object `payload`, and a number counts the
//! elements of an array from 0.

use nunchi_data::without_lone_surrogates;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Most names of fields in a message.
const MAX_NAMES: usize = 5;
/// Longest name of a field in a message.
const MAX_NAME: usize = 32;

/// Where a field is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// As it was set.
    pub(super) name: String,
    segments: Vec<String>,
}

/// A value that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// Its JSON.
    Value(&'a str),
    /// There is none.
    Nothing,
    /// The record is Debezium's of a deletion: `after` is null where `op` is `d`.
    Deletion,
}

impl<'a> Found<'a> {
    pub(super) fn value(self) -> Option<&'a str> {
        match self {
            Found::Value(json) => Some(json),
            Found::Nothing | Found::Deletion => None,
        }
    }
}

/// The fields of an object, in order.
pub(super) type Entries<'a> = Vec<(Cow<'a, str>, &'a str)>;

impl Path {
    pub(super) fn new(name: &str) -> Self {
        Path { name: name.to_owned(), segments: name.split('.').map(str::to_owned).collect() }
    }

    /// Whether it is the name of a field of the record itself.
    pub(super) fn is_plain(&self) -> bool {
        self.segments.len() == 1
    }

    /// The value in a record with the fields `entries`. A field of exactly this name wins over the path.
    pub(super) fn find<'a>(&self, entries: &Entries<'a>) -> Found<'a> {
        if let Some(json) = field(entries, &self.name) {
            return Found::Value(json);
        }
        let mut entries = Cow::Borrowed(entries);
        let (last, before) = self.segments.split_last().expect("a name has a segment");
        for segment in before {
            match step(&entries, segment) {
                Some(Level::Object(inner)) => entries = Cow::Owned(inner),
                Some(Level::Deletion) => return Found::Deletion,
                None => return Found::Nothing,
            }
        }
        if last == "after" && is_deletion(&entries) {
            return Found::Deletion;
        }
        field(&entries, last).map_or(Found::Nothing, Found::Value)
    }

    /// `no payload.after.text; there are payload.before, payload.after.body`: what is there beside the path, as far as names are
    /// surely no part of a comment.
    pub(super) fn missing(&self, entries: &Entries<'_>) -> String {
        let mut levels = Vec::new();
        let (mut at, mut prefix) = (Cow::Borrowed(entries), String::new());
        for segment in &self.segments {
            let names = at.iter().map(|(name, _)| name).filter(|name| *name != segment && is_harmless(name));
            levels.push(names.take(MAX_NAMES).map(|name| format!("{prefix}{name}")).collect::<Vec<_>>());
            let Some(Level::Object(inner)) = step(&at, segment) else { break };
            at = Cow::Owned(inner);
            prefix += &format!("{segment}.");
        }
        // The deepest say most; they are shown last.
        let mut left = MAX_NAMES;
        for level in levels.iter_mut().rev() {
            level.truncate(left);
            left -= level.len();
        }
        let names: Vec<String> = levels.into_iter().flatten().collect();
        let there =
            if names.is_empty() { String::new() } else { format!("; there are {}", names.join(", ")) };
        match self.is_plain() {
            true => format!("the object has no field `{}`{there}", self.name),
            false => format!("no {}{there}", self.name),
        }
    }
}

/// What is one step further.
enum Level<'a> {
    /// The fields of an object, or the elements of an array by their numbers.
    Object(Entries<'a>),
    Deletion,
}

fn step<'a>(entries: &Entries<'a>, segment: &str) -> Option<Level<'a>> {
    if segment == "after" && is_deletion(entries) {
        return Some(Level::Deletion);
    }
    let json = field(entries, segment)?;
    match json.as_bytes().first()? {
        b'{' => self::entries(json).ok().map(Level::Object),
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            let numbered = elements.into_iter().enumerate();
            Some(Level::Object(
                numbered.map(|(place, json)| (place.to_string().into(), json.get())).collect(),
            ))
        }
        _ => None,
    }
}

/// The last one of that name, as everywhere.
fn field<'a>(entries: &Entries<'a>, name: &str) -> Option<&'a str> {
    entries.iter().rev().find(|(found, _)| found == name).map(|(_, json)| *json)
}

/// <https://debezium.io/documentation/reference/stable/connectors/mysql.html#mysql-delete-events>
fn is_deletion(entries: &Entries<'_>) -> bool {
    field(entries, "op") == Some("\"d\"") && field(entries, "after").is_none_or(|after| after == "null")
}

/// Whether a name may stand in a message: names can be parts of comments, too.
fn is_harmless(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.')
}

/// The fields of the object that `json` is.
pub(super) fn entries(json: &str) -> Result<Entries<'_>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let entries = deserializer.deserialize_map(EntriesVisitor)?;
    deserializer.end()?;
    Ok(entries)
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
        let mut entries = Vec::new();
        // Raw: as a `str` a name with half a surrogate pair would be an error of the whole record.
        while let Some((name, json)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
            entries.push((unescaped(name.get()).map_err(A::Error::custom)?, json.get()));
        }
        Ok(entries)
    }
}

/// The characters of a JSON string that was accepted as such; borrowed unless there are escapes. Half a surrogate pair,
/// which Rust's strings cannot hold, is U+FFFD: a comment that was cut within an emoji is a comment.
pub(super) fn unescaped(json: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    let content = &json[1..json.len() - 1];
    if !content.contains('\\') {
        return Ok(Cow::Borrowed(content));
    }
    serde_json::from_str(&without_lone_surrogates(json)).map(Cow::Owned)
}
