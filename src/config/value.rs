//! Values of librdkafka properties, which may be secret: how they are written, resolved and displayed.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// A value that may be secret: literal, or read from the environment or a file at start. Never printed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `{ env = "NAME" }`
    Env {
        /// The variable's name.
        env: String,
    },
    /// `{ file = "/path" }`; one trailing newline is dropped.
    File {
        /// The file's path.
        file: PathBuf,
    },
    /// The value itself: a string, number or boolean as librdkafka takes it.
    Literal(toml::Value),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Env { env } => write!(f, "{{ env = {env:?} }}"),
            Value::File { file } => write!(f, "{{ file = {file:?} }}"),
            Value::Literal(_) => f.write_str("***"),
        }
    }
}

/// Whether the value of property `name` must never be shown.
pub(crate) fn is_secret(name: &str) -> bool {
    const MARKS: &[&str] =
        &["password", "secret", "pem", "token", "private", "credential", "ssl.key", "oauthbearer.config"];
    // Paths are not secret, and help to find the error.
    !name.ends_with(".location") && MARKS.iter().any(|mark| name.contains(mark))
}

/// Whether `value` must never be shown: a secret by its name, or read from a variable or a file.
pub(crate) fn is_hidden(name: &str, value: &Value) -> bool {
    !matches!(value, Value::Literal(_)) || is_secret(name)
}

impl Value {
    /// The resolved text.
    ///
    /// # Errors
    /// A variable that is not set, a file that cannot be read, a value that is not a scalar; the message never holds the value.
    pub(crate) fn resolve(&self) -> Result<String, String> {
        match self {
            Value::Env { env } => std::env::var(env).map_err(|error| match error {
                std::env::VarError::NotPresent => format!("the environment variable {env} is not set"),
                std::env::VarError::NotUnicode(_) => format!("the environment variable {env} is not UTF-8"),
            }),
            Value::File { file } => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| format!("cannot read the file {}: {error}", file.display()))?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
            }
            Value::Literal(toml::Value::String(text)) => Ok(text.clone()),
            Value::Literal(toml::Value::Integer(number)) => Ok(number.to_string()),
            Value::Literal(toml::Value::Float(number)) => Ok(number.to_string()),
            Value::Literal(toml::Value::Boolean(flag)) => Ok(flag.to_string()),
            Value::Literal(_) => Err(
                "must be a string, a number, `true` or `false`, or a secret `{ env = \"NAME\" }` or `{ file = \"PATH\" }`"
                    .to_owned(),
            ),
        }
    }
}
