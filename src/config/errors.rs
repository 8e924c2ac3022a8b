//! Errors in the settings: all of them at once, each with its origin.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where a setting's value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Not set anywhere.
    #[default]
    Default,
    /// A file, and the line where it is known.
    File {
        /// The file's path as it was given.
        path: PathBuf,
        /// The line, counted from 1.
        line: Option<usize>,
    },
    /// An environment variable.
    Environment(String),
    /// Several values that are invalid in combination.
    Together(&'static str),
    /// A command-line flag, as `--brokers` or `--set`.
    Flag(String),
    /// A library of the system.
    Library(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Origin::File { path, line: None } => write!(f, "{}", path.display()),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Together(what) => f.write_str(what),
            Origin::Flag(flag) => write!(f, "flag {flag}"),
            Origin::Library(name) => f.write_str(name),
        }
    }
}

/// Where each setting was set, by its dotted name.
pub(crate) type Origins = BTreeMap<String, Origin>;

/// One error: its origin, and a message with what is wrong and what is allowed. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where the value comes from.
    pub origin: Origin,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

/// All errors in the configuration; never empty when returned as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
    pub(crate) fn add(&mut self, origin: Origin, message: impl Into<String>) {
        self.0.push(ConfigError { origin, message: message.into() });
    }

    /// Appends the errors of `more`.
    pub(crate) fn extend(&mut self, more: ConfigErrors) {
        self.0.extend(more.0);
    }

    /// `Ok(value)` if there is none.
    ///
    /// # Errors
    /// These errors.
    pub(crate) fn none_or<T>(self, value: T) -> Result<T, ConfigErrors> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, plural) = (self.0.len(), if self.0.len() == 1 { "" } else { "s" });
        write!(f, "{count} error{plural} in the configuration:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for ConfigErrors {}
