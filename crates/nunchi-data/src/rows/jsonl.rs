//! JSONL: an object a line; its fields are the columns.

use super::input::Input;
use super::row::{BadRow, Row};
use crate::error::DataError;
use crate::json::{json_fault, without_lone_surrogates};
use std::borrow::Cow;

type Object = serde_json::Map<String, serde_json::Value>;

/// The fields of the first object.
pub(super) fn columns(mut file: Input) -> Result<Vec<String>, DataError> {
    let (mut bytes, mut line) = (Vec::new(), 0);
    while file.next_line(&mut bytes, &mut line)? {
        if let Ok(object) = object(&bytes) {
            return Ok(object.keys().cloned().collect());
        }
    }
    Err(DataError::Content { path: file.path.clone(), what: "has no line that is a JSON object" })
}

/// Hands every object's values to `take`.
pub(super) fn read<E: From<DataError>>(
    mut input: Input,
    names: &[&str],
    mut take: impl FnMut(u64, Row<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut line, mut bytes, mut first, mut blank) = (0, Vec::new(), true, true);
    while input.next_line(&mut bytes, &mut line)? {
        blank = false;
        let object = match object(&bytes) {
            Ok(object) => object,
            Err(bad) => {
                take(line, Err(bad))?;
                continue;
            }
        };
        if std::mem::take(&mut first) {
            // The first object is taken for all: a wrong name is one error, not one a row.
            let columns: Vec<String> = object.keys().cloned().collect();
            if let Some(name) = names.iter().find(|&&name| !object.contains_key(name)) {
                return Err(DataError::column(&input.path, name, &columns).into());
            }
        }
        let values: Result<Vec<Cow<'_, str>>, BadRow> =
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

/// The object in a line. Half an emoji is no reason to lose it, as it is none for `run`.
fn object(line: &[u8]) -> Result<Object, BadRow> {
    let text = std::str::from_utf8(line)
        .map_err(|_| BadRow { reason: "is not UTF-8".to_owned(), encoding: true })?;
    serde_json::from_str(&without_lone_surrogates(text))
        .map_err(|error| BadRow::from(format!("is not a JSON object: {}", json_fault(text, &error))))
}

/// The value under `name`: a string, or else a number unless it must be `text`.
fn value<'a>(object: &'a Object, name: &str, text: bool) -> Result<Cow<'a, str>, BadRow> {
    match object.get(name) {
        Some(serde_json::Value::String(value)) => Ok(Cow::Borrowed(value)),
        Some(serde_json::Value::Number(value)) if !text => Ok(Cow::Owned(value.to_string())),
        Some(_) if text => Err(BadRow::from(format!("`{name}` is not a string"))),
        Some(_) => Err(BadRow::from(format!("`{name}` is neither a number nor a string"))),
        None => Err(BadRow::from(format!("has no `{name}`"))),
    }
}
