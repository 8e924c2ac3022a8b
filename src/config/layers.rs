//! The layers before they are merged: leaves of a file, of the environment and of flags, each with its origin.

use super::catalog::PROPERTY_SECTIONS;
use super::{ConfigErrors, Origin};
use nunchi_text::excerpt;
use serde::Deserialize;
use std::ffi::OsString;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// Prefix of environment variables that are settings.
const PREFIX: &str = "NUNCHI__";

/// One value of one layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Leaf {
    /// `section.key`, or `kafka.consumer.NAME` with a name that may hold dots.
    pub key: String,
    pub raw: Raw,
    pub origin: Origin,
}

/// A value before its type is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    /// From a file, with its type.
    Typed(toml::Value),
    /// From a variable or a flag.
    Text(String),
}

/// A setting given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The flag as the user wrote it, such as `--brokers`.
    pub flag: String,
    /// The setting, `section.key`.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl Flag {
    /// A dedicated flag.
    pub fn new(flag: &str, key: &str, value: impl Into<String>) -> Self {
        Flag { flag: flag.to_owned(), key: key.to_owned(), value: value.into() }
    }

    /// `section.key=value` of `--set`; without `=` the value is missing, which loading reports.
    pub fn set(assignment: &str) -> Self {
        match assignment.split_once('=') {
            Some((key, value)) => Flag::new(&format!("--set {}", key.trim()), key.trim(), value),
            None => Flag::new("--set", assignment.trim(), ""),
        }
    }
}

/// Reads the settings of a TOML file; every syntax error is reported.
pub(super) fn from_file(path: &Path, errors: &mut ConfigErrors) -> Vec<Leaf> {
    let at = |line| Origin::File { path: path.to_owned(), line };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            errors.add(at(None), format!("cannot read the configuration file: {error}"));
            return Vec::new();
        }
    };
    let line = |offset: usize| Some(text.get(..offset).unwrap_or(&text).matches('\n').count() + 1);
    let (table, syntax_errors) = DeTable::parse_recoverable(&text);
    for error in &syntax_errors {
        // Only the message: the error's own rendering quotes the line, and that line may hold a secret.
        errors.add(
            at(error.span().and_then(|span| line(span.start))),
            format!("not TOML: {}", error.message()),
        );
    }
    if !syntax_errors.is_empty() {
        // Only a part of such a file was parsed; errors about that part would mislead.
        return Vec::new();
    }
    let mut found = Vec::new();
    collect(table.into_inner(), "", &mut |key, offset, value| found.push((offset, key, value)));
    found.sort_by_key(|(offset, ..)| *offset);
    let leaf = |(offset, key, value)| Leaf { key, raw: Raw::Typed(value), origin: at(line(offset)) };
    found.into_iter().map(leaf).collect()
}

/// Walks a table; tables deeper than sections are names with dots (`ssl.ca.location`), unless they are a secret.
fn collect(table: DeTable<'_>, prefix: &str, found: &mut impl FnMut(String, usize, toml::Value)) {
    for (name, value) in table {
        let offset = name.span().start;
        let name = name.into_inner();
        let key = if prefix.is_empty() { name.into_owned() } else { format!("{prefix}.{name}") };
        let is_section =
            prefix.is_empty() || key.strip_prefix("kafka.").is_some_and(|k| PROPERTY_SECTIONS.contains(&k));
        match value.get_ref() {
            DeValue::Table(inner) if is_section || !is_secret_reference(inner) => {
                if let DeValue::Table(inner) = value.into_inner() {
                    collect(inner, &key, found);
                }
            }
            _ => {
                // A value that does not convert has no type that a setting has; an empty list takes its place and is refused.
                let value = typed(value).unwrap_or_else(|| toml::Value::Array(Vec::new()));
                found(key, offset, value);
            }
        }
    }
}

fn typed(value: Spanned<DeValue<'_>>) -> Option<toml::Value> {
    toml::Value::deserialize(ValueDeserializer::from(value)).ok()
}

fn is_secret_reference(table: &DeTable<'_>) -> bool {
    let mut entries = table.iter();
    matches!((entries.next(), entries.next()), (Some((name, value)), None)
        if matches!(name.get_ref().as_ref(), "env" | "file") && value.get_ref().is_str())
}

/// Reads `NUNCHI__SECTION__KEY`; an empty value counts as unset. In names of librdkafka properties `_` is read as `.`.
pub(super) fn from_environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    errors: &mut ConfigErrors,
) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for (variable, value) in variables {
        let variable = variable.to_string_lossy().into_owned();
        let Some(path) = variable.strip_prefix(PREFIX) else { continue };
        let mut parts: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        if let [section, kind, property] = parts.as_mut_slice()
            && section == "kafka"
            && PROPERTY_SECTIONS.contains(&kind.as_str())
        {
            *property = property.replace('_', ".");
        }
        let origin = Origin::Environment(variable.clone());
        match value.into_string() {
            Ok(value) if value.is_empty() => {}
            Ok(value) => leaves.push(Leaf { key: parts.join("."), raw: Raw::Text(value), origin }),
            Err(_) => errors.add(origin, "the value is not UTF-8"),
        }
    }
    leaves.sort_by(|a, b| a.key.cmp(&b.key));
    leaves
}

/// Reads flags, in their order.
pub(super) fn from_flags(flags: &[Flag], errors: &mut ConfigErrors) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for Flag { flag, key, value } in flags {
        let origin = Origin::Flag(flag.clone());
        if flag == "--set" {
            let key = excerpt(key, 100);
            errors.add(origin, format!("`{key}` has no value; write --set section.key=value"));
        } else {
            leaves.push(Leaf { key: key.clone(), raw: Raw::Text(value.clone()), origin });
        }
    }
    leaves
}
