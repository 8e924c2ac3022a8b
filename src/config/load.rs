//! Loading: the layers become one [`Config`], and every error on the way is kept.
//!
//! Each value is first checked alone, so that each error is reported with its origin, also that of a value which another
//! layer overrides.

use super::catalog::PROPERTY_SECTIONS;
use super::errors::Origins;
use super::layers::{Flag, Leaf, Raw};
use super::value::is_secret;
use super::{Config, ConfigErrors, Origin, Value, catalog, layers};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

/// Settings, and where each comes from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// All settings.
    pub config: Config,
    pub(crate) origins: Origins,
}

/// One line of `nunchi config check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// `section`, or `kafka.consumer` and the like.
    pub section: String,
    /// The setting's name in its section.
    pub name: String,
    /// The value in TOML, secrets masked; `None` if it is unset.
    pub value: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Loads settings: defaults < `file` < `environment` (`NUNCHI__SECTION__KEY`) < `flags`.
///
/// librdkafka properties under `[kafka]` are not checked here: see
/// [`ClientProperties`](crate::kafka::ClientProperties).
///
/// # Errors
/// Every error, with its origin: syntax, unknown settings, wrong types, values out of range.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    flags: &[Flag],
) -> Result<Loaded, ConfigErrors> {
    let (loaded, errors) = read(file, environment, flags);
    errors.none_or(loaded)
}

/// As [`load`], for callers with further checks: the valid settings, and the errors.
pub(crate) fn read(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    flags: &[Flag],
) -> (Loaded, ConfigErrors) {
    let mut errors = ConfigErrors::default();
    let mut leaves = file.map_or_else(Vec::new, |path| layers::from_file(path, &mut errors));
    leaves.extend(layers::from_environment(environment, &mut errors));
    leaves.extend(layers::from_flags(flags, &mut errors));
    let mut merged = BTreeMap::new();
    for leaf in leaves {
        match accept(&leaf) {
            Ok(value) => {
                merged.insert(leaf.key, (value, leaf.origin));
            }
            Err(message) => errors.add(leaf.origin, message),
        }
    }
    let config = assemble(merged.iter().map(|(key, (value, _))| (key.as_str(), value.clone())))
        .expect("each value was accepted alone, and no two set the same key");
    let origins: Origins = merged.into_iter().map(|(key, (_, origin))| (key, origin)).collect();
    catalog::check(&config, &origins, &mut errors);
    (Loaded { config, origins }, errors)
}

/// The value of one leaf with its type, if the setting exists and accepts it.
fn accept(leaf: &Leaf) -> Result<toml::Value, String> {
    if property(&leaf.key).is_some() {
        return match &leaf.raw {
            Raw::Typed(value) => Ok(value.clone()),
            Raw::Text(text) => Ok(parsed(text)
                .filter(|value| value.as_table().is_some_and(is_secret_reference))
                .unwrap_or_else(|| toml::Value::String(text.clone()))),
        };
    }
    let setting = catalog::find(&leaf.key).ok_or_else(|| catalog::unknown(&leaf.key))?;
    candidates(&leaf.raw)
        .into_iter()
        .find(|value| assemble([(leaf.key.as_str(), value.clone())]).is_some())
        .ok_or_else(|| format!("`{}` must be {}", setting.key, setting.allowed))
}

/// The section and the name, if `key` is a librdkafka property: `kafka.consumer.NAME`.
fn property(key: &str) -> Option<(&str, &str)> {
    let (section, name) = key.strip_prefix("kafka.")?.split_once('.')?;
    (PROPERTY_SECTIONS.contains(&section) && !name.is_empty()).then_some((section, name))
}

fn is_secret_reference(table: &toml::Table) -> bool {
    table.len() == 1 && ["env", "file"].iter().any(|name| table.get(*name).is_some_and(toml::Value::is_str))
}

/// The possible readings of a value, most likely first: the text itself, TOML, a list with commas between, of texts or of TOML.
fn candidates(raw: &Raw) -> Vec<toml::Value> {
    let text = match raw {
        Raw::Typed(value) => return vec![value.clone()],
        Raw::Text(text) => text,
    };
    let plain = toml::Value::String(text.clone());
    let list =
        toml::Value::Array(text.split(',').map(|item| toml::Value::String(item.trim().to_owned())).collect());
    match parsed(text) {
        Some(value) if text.starts_with(['"', '\'', '[']) => vec![value, plain],
        Some(value) => vec![plain, value, list],
        None => {
            let values: Option<Vec<toml::Value>> = text.split(',').map(|item| parsed(item.trim())).collect();
            [plain, list].into_iter().chain(values.map(toml::Value::Array)).collect()
        }
    }
}

fn parsed(text: &str) -> Option<toml::Value> {
    toml::Value::deserialize(toml::de::ValueDeserializer::parse(text).ok()?).ok()
}

/// A [`Config`] of the defaults and `values`, if all of them have the right types.
fn assemble<'a>(values: impl IntoIterator<Item = (&'a str, toml::Value)>) -> Option<Config> {
    let mut root = toml::Table::new();
    for (key, value) in values {
        let (section, name) = key.split_once('.')?;
        let table = root.entry(section).or_insert_with(|| toml::Table::new().into()).as_table_mut()?;
        match property(key) {
            Some((kind, property)) => {
                let properties = table.entry(kind).or_insert_with(|| toml::Table::new().into());
                properties.as_table_mut()?.insert(property.to_owned(), value);
            }
            None => {
                table.insert(name.to_owned(), value);
            }
        }
    }
    Config::deserialize(toml::Value::Table(root)).ok()
}

impl Loaded {
    /// Every setting as it is in effect, in the order of `config/nunchi.toml`; secrets masked.
    pub fn effective(&self) -> Vec<Effective> {
        let all = toml::Table::try_from(&self.config).expect("settings are TOML");
        let origin = |key: &str| self.origins.get(key).cloned().unwrap_or_default();
        let mut lines = Vec::new();
        for setting in catalog::SETTINGS {
            let (section, name) = setting.key.split_once('.').expect("keys of the list have a section");
            let value = all.get(section).and_then(|settings| settings.get(name)).map(ToString::to_string);
            lines.push(Effective {
                section: section.to_owned(),
                name: name.to_owned(),
                value,
                origin: origin(setting.key),
            });
        }
        let kafka = &self.config.kafka;
        let mut after_kafka = lines.iter().take_while(|line| line.section == "kafka").count();
        for (section, properties) in
            PROPERTY_SECTIONS.iter().zip([&kafka.properties, &kafka.consumer, &kafka.producer])
        {
            for (name, value) in properties {
                let section = format!("kafka.{section}");
                let origin = origin(&format!("{section}.{name}"));
                let quoted = toml::Value::String(name.clone()).to_string();
                lines.insert(
                    after_kafka,
                    Effective { section, name: quoted, value: Some(shown(name, value)), origin },
                );
                after_kafka += 1;
            }
        }
        lines
    }
}

/// The value for display: a literal secret is masked, a reference is shown.
fn shown(name: &str, value: &Value) -> String {
    match value {
        Value::Literal(literal) if !is_secret(name) => literal.to_string(),
        Value::Literal(_) => "\"***\"".to_owned(),
        reference => format!("{reference:?}"),
    }
}
